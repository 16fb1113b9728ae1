//! Has the caller finished? Smart Turn v3.2 (pipecat-ai, BSD-2), which listens to the tone, not the words.
//!
//! One thread owns the ONNX session. The model takes the last 8 s, silence before them where there is less, as
//! Whisper's log-mel picture, and gives the probability that the turn is complete. It errs at times with great
//! certainty, so the floor uses it to shorten or lengthen its patience, never alone.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use async_trait::async_trait;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::Tensor;
use tokio::sync::oneshot;

use super::onnx_runtime::{self, OnnxRuntimeFault};
use super::pool::{Permit, Pool};
use super::{AsrError, TurnModel, Urgency, niceness};
use crate::audio::HEAR_RATE;
use crate::audio::log_mel::{BANDS, HOP, LogMel};

/// What the model hears: 8 s.
const WINDOW: usize = 8 * HEAR_RATE as usize;
/// Questions that may wait; a call asks one at a time.
const CAPACITY: usize = 64;
/// As for recognition: the media threads come first.
const NICENESS: u8 = 5;

/// Why there is no end-of-turn model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SmartTurnFault {
    #[error(transparent)]
    Runtime(#[from] OnnxRuntimeFault),
    #[error("there is no end-of-turn model at {}; `duologue models fetch smart-turn` fetches it", .path.display())]
    Missing { path: PathBuf },
    #[error(
        "the end-of-turn model {} cannot be used: {why}; `duologue models fetch smart-turn` fetches it again",
        .path.display()
    )]
    Unusable { path: PathBuf, why: String },
    #[error("the end-of-turn model's thread cannot be started: {0}")]
    NoThread(String),
}

/// The end-of-turn model; dropping it ends its thread.
pub struct SmartTurn {
    /// Taken before the thread is joined: the thread ends when the channel does.
    questions: Option<SyncSender<Question>>,
    thread: Option<JoinHandle<()>>,
    pool: Option<Pool>,
}

struct Question {
    audio: Arc<[f32]>,
    reply: oneshot::Sender<Result<f32, AsrError>>,
    /// Held until the question is answered.
    _permit: Option<Permit>,
}

impl SmartTurn {
    /// Loads `smart-turn-v3.2-cpu.onnx` and asks it once, so that the first caller does not pay for the first use.
    /// Blocks for some tenths of a second.
    ///
    /// # Errors
    /// When ONNX Runtime or the model is absent or damaged, or the model is another one.
    pub fn load(model: &Path, runtime: &Path) -> Result<Self, SmartTurnFault> {
        onnx_runtime::ensure(runtime)?;
        if !model.is_file() {
            return Err(SmartTurnFault::Missing { path: model.to_owned() });
        }
        let unusable = |why: String| SmartTurnFault::Unusable { path: model.to_owned(), why };
        let mut ear = Ear::open(model).map_err(|fault| unusable(fault.to_string()))?;
        ear.complete(&[]).map_err(|fault| unusable(fault.to_string()))?;
        let (questions, asked) = sync_channel(CAPACITY);
        let thread = std::thread::Builder::new()
            .name("smart-turn".into())
            .spawn(move || answer(&mut ear, &asked))
            .map_err(|fault| SmartTurnFault::NoThread(fault.to_string()))?;
        Ok(Self { questions: Some(questions), thread: Some(thread), pool: None })
    }

    /// Infers only with permits of this pool.
    #[must_use]
    pub fn in_pool(mut self, pool: Pool) -> Self {
        self.pool = Some(pool);
        self
    }
}

#[async_trait]
impl TurnModel for SmartTurn {
    async fn complete(&self, audio: Arc<[f32]>) -> Result<f32, AsrError> {
        let permit = match &self.pool {
            Some(pool) => Some(pool.ask(Urgency::Tail, 1).await),
            None => None,
        };
        let (reply, answer) = oneshot::channel();
        let questions = self.questions.as_ref().ok_or(AsrError::Closed)?;
        questions.try_send(Question { audio, reply, _permit: permit }).map_err(|fault| match fault {
            TrySendError::Full(_) => AsrError::Busy { waiting: CAPACITY },
            TrySendError::Disconnected(_) => AsrError::Closed,
        })?;
        answer.await.unwrap_or(Err(AsrError::Closed))
    }
}

impl Drop for SmartTurn {
    fn drop(&mut self) {
        self.questions = None;
        if let Some(thread) = self.thread.take() {
            // Had it panicked, the panic has been reported; there is nothing left to save here.
            let _ = thread.join();
        }
    }
}

fn answer(ear: &mut Ear, asked: &Receiver<Question>) {
    niceness::lower_this_thread(NICENESS);
    while let Ok(Question { audio, reply, _permit }) = asked.recv() {
        if !reply.is_closed() {
            let _ = reply.send(ear.complete(&audio).map_err(|fault| AsrError::Engine(fault.to_string())));
        }
    }
}

/// The session and what it needs.
struct Ear {
    session: Session,
    mel: LogMel,
}

impl Ear {
    fn open(model: &Path) -> ort::Result<Self> {
        // One thread that sleeps when idle: spinning threads would take the cores from the calls.
        let session = Session::builder()?
            .with_optimization_level(GraphOptimizationLevel::Level3)?
            .with_intra_threads(1)?
            .with_intra_op_spinning(false)?
            // The model's weights are 8-bit integers. Where the processor has AVX2 and no VNNI, ONNX Runtime's quick kernels add up products
            // in 16 bits, which overflow: a finished sentence was .59 instead of .85. This takes the kernels that do not.
            .with_config_entry("session.x64quantprecision", "1")?
            .commit_from_file(model)?;
        Ok(Self { session, mel: LogMel::new() })
    }

    fn complete(&mut self, audio: &[f32]) -> ort::Result<f32> {
        let picture = self.mel.picture(&last_eight_seconds(audio));
        let features = Tensor::from_array(([1, BANDS, WINDOW / HOP], picture))?;
        let outputs = self.session.run(ort::inputs!["input_features" => features])?;
        let (_, probability) = outputs[0].try_extract_tensor::<f32>()?;
        let probability = probability.first().copied().filter(|p| p.is_finite());
        probability.map(|p| p.clamp(0.0, 1.0)).ok_or_else(|| ort::Error::new("the model gave no number"))
    }
}

/// The end of the audio, with silence before it where it is shorter.
fn last_eight_seconds(audio: &[f32]) -> Vec<f32> {
    let kept = &audio[audio.len().saturating_sub(WINDOW)..];
    let mut window = vec![0.0; WINDOW - kept.len()];
    // One sample that is no number would make all features so.
    window.extend(kept.iter().map(|sample| if sample.is_finite() { *sample } else { 0.0 }));
    window
}
