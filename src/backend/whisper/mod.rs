//! Speech to text with whisper.cpp, in threads of its own.
//!
//! Two models may share the work: a quick one for partials while the caller speaks, a better one for the finished
//! utterance. Each worker thread owns the working memory of both and takes the most urgent utterance that somebody
//! still waits for; whoever drops the future of [`Asr::transcribe`] gives the utterance up, even while it is worked
//! on.

mod context;
mod engine;
mod file;
mod queue;
mod text;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::oneshot;

pub use context::{AudioContext, FULL_WINDOW};
pub use file::WhisperFault;

use self::engine::Effort;
use self::queue::{Asked, Asker, JobQueue};
use self::worker::{Crew, Model, Orders};
use super::pool::Pool;
use super::{Asr, AsrError, AsrJob, AsrPurpose, Transcript, Urgency};

/// What the recogniser is made of.
#[derive(Clone, Debug)]
pub struct WhisperConfig {
    /// The ggml file for partials: tiny.en.
    pub partial_model: PathBuf,
    /// The ggml file for finished utterances: base where two cores are free, else the same file, loaded once.
    pub final_model: PathBuf,
    /// Threads of one partial, 1..=16. More than one only where as many cores stand idle: ggml's threads wait for
    /// each other by spinning, and on a busy machine two are slower than one.
    pub threads_partial: u32,
    /// Threads of one finished utterance, 1..=16.
    pub threads_final: u32,
    /// Utterances worked on at once, 1..=64.
    pub workers: u32,
    /// How far the workers stand back for the media threads, 0..=19 as in nice(1).
    pub niceness: u8,
    /// The caller's language as a code such as `en`; a model whose name ends in `.en` knows English only.
    pub language: String,
    /// Another window for partials than the one measured for the model's size.
    pub partial_context: Option<AudioContext>,
    /// Another window for finished utterances than the one measured for the model's size.
    pub final_context: Option<AudioContext>,
}

impl WhisperConfig {
    /// One worker, one thread, English.
    pub fn new(partial_model: impl Into<PathBuf>, final_model: impl Into<PathBuf>) -> Self {
        Self {
            partial_model: partial_model.into(),
            final_model: final_model.into(),
            threads_partial: 1,
            threads_final: 1,
            workers: 1,
            niceness: 5,
            language: "en".into(),
            partial_context: None,
            final_context: None,
        }
    }
}

/// The recogniser; dropping it ends its threads.
pub struct Whisper {
    name: String,
    queue: Arc<JobQueue>,
    crew: Crew,
    pool: Option<Pool>,
    threads: Threads,
}

/// Threads of one pass.
#[derive(Clone, Copy)]
struct Threads {
    partial: u32,
    finals: u32,
}

impl Whisper {
    /// Loads the models and starts the workers. Blocks for some tenths of a second.
    ///
    /// # Errors
    /// When a file is absent, truncated or no Whisper model, or the language is unknown.
    pub fn load(config: &WhisperConfig) -> Result<Self, WhisperFault> {
        // whisper.cpp and ggml write to stderr by the page unless told otherwise.
        whisper_rs::install_logging_hooks();
        let language = whisper_rs::get_lang_id(&config.language)
            .and_then(whisper_rs::get_lang_str)
            .ok_or_else(|| WhisperFault::NoSuchLanguage { language: config.language.clone() })?;
        let partial = Model::load(&config.partial_model)?;
        let shared = config.final_model == config.partial_model;
        let finals = if shared { partial.clone() } else { Model::load(&config.final_model)? };
        let name = if shared {
            format!("whisper.cpp {}", finals.name())
        } else {
            format!("whisper.cpp {}, partials {}", finals.name(), partial.name())
        };
        let orders = Orders {
            partial_effort: Effort {
                threads: config.threads_partial.clamp(1, 16),
                context: config.partial_context.unwrap_or(partial.measured_window()),
                insists: false,
            },
            final_effort: Effort {
                threads: config.threads_final.clamp(1, 16),
                context: config.final_context.unwrap_or(finals.measured_window()),
                insists: true,
            },
            partial,
            finals,
            language,
            niceness: config.niceness,
        };
        let queue = Arc::new(JobQueue::default());
        let crew = Crew::start(&orders, config.workers.clamp(1, 64), &queue)?;
        let threads = Threads { partial: orders.partial_effort.threads, finals: orders.final_effort.threads };
        Ok(Self { name, queue, crew, pool: None, threads })
    }

    /// Infers only with permits of this pool.
    #[must_use]
    pub fn in_pool(self, pool: Pool) -> Self {
        Self { pool: Some(pool), ..self }
    }
}

#[async_trait]
impl Asr for Whisper {
    async fn transcribe(&self, job: AsrJob) -> Result<Transcript, AsrError> {
        let (urgency, threads) = match job.purpose {
            AsrPurpose::Partial => (Urgency::Partial, self.threads.partial),
            AsrPurpose::Final => (Urgency::Tail, self.threads.finals),
        };
        let permit = match &self.pool {
            Some(pool) => Some(pool.ask(urgency, threads).await),
            None => None,
        };
        let (reply, answer) = oneshot::channel();
        self.queue.push(Asked { job, asker: Asker { reply, permit } })?;
        answer.await.unwrap_or(Err(AsrError::Closed))
    }

    async fn warm(&self) -> Result<(), AsrError> {
        self.crew.warmed().await
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}
