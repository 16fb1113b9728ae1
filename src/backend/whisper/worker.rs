//! The threads that do the hearing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use tokio::sync::watch;
use whisper_rs::{WhisperContext, WhisperContextParameters};

use super::context::AudioContext;
use super::engine::{Effort, Engine, Waiting};
use super::file::{self, WhisperFault};
use super::queue::{Asked, JobQueue};
use crate::audio::HEAR_RATE;
use crate::backend::{AsrError, AsrPurpose, niceness};

/// A model file in memory, shared by all workers.
#[derive(Clone)]
pub(super) struct Model {
    pub(super) path: PathBuf,
    pub(super) context: Arc<WhisperContext>,
}

impl Model {
    pub(super) fn load(path: &Path) -> Result<Self, WhisperFault> {
        file::inspect(path)?;
        let context = WhisperContext::new_with_params(path, WhisperContextParameters::default())
            .map_err(|fault| WhisperFault::Refused { path: path.to_owned(), why: fault.to_string() })?;
        Ok(Self { path: path.to_owned(), context: Arc::new(context) })
    }

    /// `tiny.en` for `ggml-tiny.en.bin`.
    pub(super) fn name(&self) -> String {
        let name = self.path.file_stem().unwrap_or_default().to_string_lossy();
        name.strip_prefix("ggml-").unwrap_or(&name).to_owned()
    }

    /// The narrowest window that costs no accuracy, by the number of layers (4 are tiny's).
    pub(super) fn measured_window(&self) -> AudioContext {
        let margin = if self.context.model_n_audio_layer() <= 4 { 180 } else { 300 };
        AudioContext::Fitted { margin, at_least: 0 }
    }
}

/// What a worker is told before it starts.
#[derive(Clone)]
pub(super) struct Orders {
    pub(super) partial: Model,
    pub(super) finals: Model,
    pub(super) partial_effort: Effort,
    pub(super) final_effort: Effort,
    pub(super) language: &'static str,
    pub(super) niceness: u8,
}

/// How far the workers have got with running their engines once.
#[derive(Clone, Default)]
struct Warming {
    left: u32,
    fault: Option<String>,
}

/// All workers; dropping it ends and joins them.
pub(super) struct Crew {
    queue: Arc<JobQueue>,
    threads: Vec<JoinHandle<()>>,
    warming: watch::Receiver<Warming>,
}

impl Crew {
    /// Starts so many workers and waits until each has its working memory.
    pub(super) fn start(orders: &Orders, workers: u32, queue: &Arc<JobQueue>) -> Result<Self, WhisperFault> {
        let (tell, warming) = watch::channel(Warming { left: workers, fault: None });
        let mut crew = Self { queue: queue.clone(), threads: Vec::new(), warming };
        let (ready, started) = sync_channel(workers as usize);
        for _ in 0..workers {
            let (orders, queue, tell, ready) = (orders.clone(), queue.clone(), tell.clone(), ready.clone());
            let thread = std::thread::Builder::new()
                .name("whisper".into())
                .spawn(move || work(&orders, &queue, &tell, ready))
                .map_err(|fault| WhisperFault::NoThread { why: fault.to_string() })?;
            crew.threads.push(thread);
        }
        drop(ready);
        for outcome in started {
            outcome?;
        }
        Ok(crew)
    }

    /// Waits until each worker has run its engines once.
    pub(super) async fn warmed(&self) -> Result<(), AsrError> {
        let mut warming = self.warming.clone();
        let done = warming.wait_for(|warming| warming.left == 0 || warming.fault.is_some()).await;
        match done.map(|warming| warming.fault.clone()) {
            Ok(None) => Ok(()),
            Ok(Some(fault)) => Err(AsrError::Engine(fault)),
            Err(_) => Err(AsrError::Closed),
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.queue.close();
        for thread in self.threads.drain(..) {
            // A worker that panicked has been reported by the panic itself; there is nothing left to save here.
            let _ = thread.join();
        }
    }
}

/// Closes the queue when a worker panics: nobody may wait for a thread that is gone.
struct Leaving<'a>(&'a JobQueue);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.close();
        }
    }
}

fn work(
    orders: &Orders,
    queue: &JobQueue,
    warming: &watch::Sender<Warming>,
    ready: SyncSender<Result<(), WhisperFault>>,
) {
    let _leaving = Leaving(queue);
    niceness::lower_this_thread(orders.niceness);
    let waiting = Waiting::default();
    let mut worker = match Worker::new(orders, &waiting) {
        Ok(worker) => worker,
        Err(fault) => {
            let _ = ready.send(Err(fault));
            return;
        }
    };
    let _ = ready.send(Ok(()));
    drop(ready);
    let fault = worker.warm().err();
    warming.send_modify(|warming| {
        warming.left -= 1;
        warming.fault = warming.fault.take().or(fault);
    });
    while let Some(Asked { job, asker }) = queue.pop() {
        waiting.replace(Some(asker));
        let (engine, effort) = worker.for_purpose(job.purpose);
        let heard = engine.hear(&job.audio, job.prompt.as_deref(), effort);
        if let Some(asker) = waiting.take() {
            let made_way = asker.made_way();
            let heard =
                heard.map_err(|fault| if made_way { AsrError::MadeWay } else { AsrError::Engine(fault.to_string()) });
            // Whoever gave the utterance up does not read this; for him it is the abort that "failed".
            let _ = asker.reply.send(heard);
        }
    }
}

/// The engines of one thread: one when both purposes have the same model.
struct Worker<'a> {
    orders: &'a Orders,
    finals: Engine,
    partial: Option<Engine>,
}

impl<'a> Worker<'a> {
    fn new(orders: &'a Orders, waiting: &Waiting) -> Result<Self, WhisperFault> {
        let engine = |model: &Model| {
            Engine::new(model.context.clone(), orders.language, waiting.clone())
                .map_err(|fault| WhisperFault::Refused { path: model.path.clone(), why: fault.to_string() })
        };
        let shared = Arc::ptr_eq(&orders.partial.context, &orders.finals.context);
        let partial = if shared { None } else { Some(engine(&orders.partial)?) };
        Ok(Self { orders, finals: engine(&orders.finals)?, partial })
    }

    fn for_purpose(&mut self, purpose: AsrPurpose) -> (&mut Engine, Effort) {
        match purpose {
            AsrPurpose::Final => (&mut self.finals, self.orders.final_effort),
            AsrPurpose::Partial => (self.partial.as_mut().unwrap_or(&mut self.finals), self.orders.partial_effort),
        }
    }

    /// A second of faint noise: enough to touch all weights and buffers once.
    fn warm(&mut self) -> Result<(), String> {
        let noise: Vec<f32> = (0..HEAR_RATE).map(|i| if i % 7 < 3 { 0.01 } else { -0.01 }).collect();
        for purpose in [AsrPurpose::Partial, AsrPurpose::Final] {
            let (engine, effort) = self.for_purpose(purpose);
            engine.hear(&noise, None, effort).map_err(|fault| fault.to_string())?;
        }
        Ok(())
    }
}
