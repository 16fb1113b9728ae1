//! The thread that owns the model. Every step decodes one batch for all chats at once: one token of each chat that
//! is replying, and a chunk of the prompts that are still being read.

mod run;
mod step;

use std::num::NonZeroU32;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use tokio::sync::{mpsc, oneshot, watch};

use crate::wire::{Ask, Outcome};

/// How the engine is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    pub model: PathBuf,
    /// Threads that make replies.
    pub threads: u32,
    /// Threads that read prompts.
    pub prefill_threads: u32,
    /// The longest prompt and reply of one chat, in tokens.
    pub ctx: u32,
    /// Tokens of all chats that the cache holds together.
    pub cells: u32,
    /// Chats that can have their prefix in the cache and reply at once.
    pub slots: usize,
    /// Beginnings of chats that stay in the cache, whatever comes.
    pub keeps: usize,
    /// Requests that may wait for a slot.
    pub queue: usize,
    /// How a chat is put to the model.
    pub layout: crate::chat::Layout,
}

/// One request with the way back. Dropping the receiver of `events` cancels it.
pub struct Job {
    pub ask: Ask,
    /// Holds a whole reply, so that the engine never waits for a reader.
    pub events: mpsc::Sender<Event>,
}

/// What the engine answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A piece of the reply: whole characters.
    Text(String),
    /// The reply is complete.
    Done(Outcome),
    /// There is no reply, or no more of it.
    Refused(Refusal),
}

/// Why a request was refused or given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The client's fault.
    Bad(String),
    /// Too much to do at present.
    Busy(String),
    /// The engine's fault.
    Broken(String),
}

/// What the model file says of itself.
#[derive(Debug, Clone)]
pub struct ModelFacts {
    pub architecture: String,
    pub parameters: u64,
    pub bytes: u64,
    pub trained_ctx: u32,
    pub template: String,
}

/// What the engine is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Gauge {
    pub running: usize,
    pub waiting: usize,
    /// Requests whose client went away before the end, since the start.
    pub cancelled: u64,
    /// Tokens that the cache holds, slot by slot.
    pub slots: Vec<usize>,
}

/// The way to a running engine.
pub struct Engine {
    pub jobs: mpsc::Sender<Job>,
    pub gauge: watch::Receiver<Gauge>,
    pub facts: ModelFacts,
    /// Resolves when the engine's thread is gone, which only a fault makes it do.
    pub ended: oneshot::Receiver<()>,
}

impl Engine {
    /// Loads the model, warms it, and only then returns.
    ///
    /// # Errors
    /// When the file is missing or is no model, or there is not enough memory for the context.
    pub fn start(settings: Settings) -> anyhow::Result<Self> {
        let (jobs, inbox) = mpsc::channel(settings.queue.max(1));
        let (gauge_in, gauge) = watch::channel(Gauge::default());
        let (ready_in, ready) = std::sync::mpsc::sync_channel(1);
        let (alive, ended) = oneshot::channel();
        std::thread::Builder::new().name("llm-engine".into()).spawn(move || {
            let _alive: oneshot::Sender<()> = alive;
            let ready = ready_in;
            if let Err(fault) = own_the_model(&settings, inbox, gauge_in, &ready) {
                // nobody listens any more once the engine was ready
                let _ = ready.send(Err(fault));
            }
        })?;
        let facts = ready.recv().context("the engine's thread ended while it loaded the model")??;
        Ok(Self { jobs, gauge, facts, ended })
    }
}

type Ready = std::sync::mpsc::SyncSender<anyhow::Result<ModelFacts>>;

fn own_the_model(
    settings: &Settings,
    inbox: mpsc::Receiver<Job>,
    gauge: watch::Sender<Gauge>,
    ready: &Ready,
) -> anyhow::Result<()> {
    let path = &settings.model;
    if !path.is_file() {
        bail!("there is no model file at {}; fetch it with `duologue models fetch`", path.display());
    }
    let backend = LlamaBackend::init()?;
    let model = LlamaModel::load_from_file(&backend, path, &LlamaModelParams::default()).with_context(|| {
        format!("{} is not a complete GGUF model; check it with `duologue models verify`", path.display())
    })?;
    let mut context = new_context(&backend, &model, settings)?;
    warm(&model, &mut context)?;
    let facts = ModelFacts {
        architecture: model.meta_val_str("general.architecture").unwrap_or_default(),
        parameters: model.n_params(),
        bytes: model.size(),
        trained_ctx: model.n_ctx_train(),
        template: model.chat_template(None).ok().and_then(|text| text.to_string().ok()).unwrap_or_default(),
    };
    let _ = ready.send(Ok(facts));
    step::Loop::new(&model, context, settings, inbox, gauge).run();
    Ok(())
}

fn new_context<'m>(
    backend: &LlamaBackend,
    model: &'m LlamaModel,
    settings: &Settings,
) -> anyhow::Result<LlamaContext<'m>> {
    let sequences = settings.slots + settings.keeps;
    let batch = step::batch_capacity(sequences) as u32;
    let params = LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(settings.cells))
        .with_n_batch(batch)
        .with_n_ubatch(batch)
        .with_n_seq_max(sequences as u32)
        // one cache for all slots: a shared beginning costs nothing, and one long chat may use what others leave
        .with_kv_unified(true)
        .with_n_threads(settings.threads as i32)
        .with_n_threads_batch(settings.prefill_threads as i32);
    model
        .new_context(backend, params)
        .with_context(|| format!("no context of {} tokens: too little memory? try a smaller --cells", settings.cells))
}

/// The first decoding of a process pages the weights in and allocates: nobody should wait for that on the telephone.
fn warm(model: &LlamaModel, context: &mut LlamaContext<'_>) -> anyhow::Result<()> {
    let token = model.vocab().tokenize(b"Hello", true, false);
    let mut batch = LlamaBatch::new(token.len().max(1), 1);
    batch.add_sequence(&token, 0, false)?;
    context.decode(&mut batch)?;
    context.synchronize();
    context.clear_kv_cache();
    Ok(())
}
