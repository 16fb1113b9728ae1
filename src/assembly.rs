//! Ring 3: from the configuration to engines that are loaded and warm. Everything that can be missing is looked for here,
//! before the first call is taken.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::audio::vad::{SileroWeights, VadFault};
use crate::backend::judge::{JudgeError, LlmJudge, TunedJudge};
use crate::backend::llm::worker::LlmStartError;
use crate::backend::llm::{LlmWorker, OllamaLlm, OpenAiLlm, Patience, Script, ScriptedLlm, WorkerSettings};
use crate::backend::onnx_runtime::OnnxRuntimeFault;
use crate::backend::piper::{OpenError, Piper, PiperConfig};
use crate::backend::pool::Pool;
use crate::backend::scripted_asr::{Lines, ScriptedAsr};
use crate::backend::scripted_voice::ScriptedVoice;
use crate::backend::smart_turn::{SmartTurn, SmartTurnFault};
use crate::backend::whisper::{Whisper, WhisperConfig, WhisperFault};
use crate::backend::{Asr, AsrError, ChatRequest, Embedder, Judge, Llm, LlmError, Tts, TtsError, TurnModel};
use crate::call::engines::Engines;
use crate::config::{
    AsrBackend, Config, JudgeKind, LlmBackend, LlmLayout, ModelRef, SecretError, TtsBackend, TurnKind,
};
use crate::models::{Library, ModelError, piper_split};

/// What stands in the way of an engine.
#[derive(Debug, thiserror::Error)]
pub enum AssemblyError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Whisper(#[from] WhisperFault),
    #[error("{}: {fault}; fetch it again with `duologue models fetch silero-vad`", .path.display())]
    Vad { path: PathBuf, fault: VadFault },
    #[error(transparent)]
    SmartTurn(#[from] SmartTurnFault),
    #[error(transparent)]
    Voice(#[from] OpenError),
    #[error("the voice {}: {why}", .path.display())]
    OwnVoice { path: PathBuf, why: String },
    #[error(transparent)]
    OnnxRuntime(#[from] OnnxRuntimeFault),
    #[error(transparent)]
    LlmStart(#[from] LlmStartError),
    #[error("the scripted language model: {0}")]
    Script(String),
    #[error(transparent)]
    Llm(#[from] LlmError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Asr(#[from] AsrError),
    #[error(transparent)]
    Tts(#[from] TtsError),
    #[error(transparent)]
    Judge(#[from] JudgeError),
    #[error("loading stopped: {0}")]
    Loading(String),
}

/// More beginnings than these are not kept read: each takes some 12 MB of the small model's cache.
const KEPT_MOST: usize = 8;

/// Loads everything that the configuration names and runs each engine once. `beginnings`: how the chats of the personas begin, those
/// that come first in the order in which they are likely to be needed.
///
/// # Errors
/// The first engine that cannot be had, with the way out.
pub async fn assemble(config: &Config, mut beginnings: Vec<ChatRequest>) -> Result<Engines, AssemblyError> {
    beginnings.truncate(KEPT_MOST);
    let library = Library::open(config.models.dir.clone())?;
    let pool = pool(config);
    let llm = language_model(config, &library, &pool, beginnings).await?;
    let asr = recogniser(config, &library, &pool).await?;
    let vad = match config.asr.backend {
        AsrBackend::Whisper => Some(voice_detector(&library)?),
        AsrBackend::Scripted => None,
    };
    let turn_model = turn_model(config, &library, &pool).await?;
    let tts = voice(config, &library, &pool).await?;
    let tuned = tuned(config, &library).await?;
    let judge: Option<Arc<dyn Judge>> = match config.judge.kind {
        JudgeKind::Llm => Some(Arc::new(LlmJudge::new(llm.clone()))),
        JudgeKind::Tuned => tuned.clone().map(|tuned| tuned as Arc<dyn Judge>),
        JudgeKind::Rules => None,
    };
    let embedder = tuned.map(|tuned| tuned as Arc<dyn Embedder>);
    let judge_limit = Duration::from_millis(u64::from(config.judge.limit_ms));
    let (heard, spoken) = tokio::join!(asr.warm(), tts.warm());
    heard?;
    spoken?;
    Ok(Engines { asr, turn_model, llm, judge, embedder, judge_limit, tts, vad })
}

/// The voice alone, not warmed.
///
/// # Errors
/// When it cannot be had.
pub async fn voice_alone(config: &Config) -> Result<Arc<dyn Tts>, AssemblyError> {
    voice(config, &Library::open(config.models.dir.clone())?, &pool(config)).await
}

/// Who says what lines mean, alone; `None` where the configuration or the models have nobody.
///
/// # Errors
/// When its model cannot be read.
pub async fn embedder_alone(config: &Config) -> Result<Option<Arc<dyn Embedder>>, AssemblyError> {
    let tuned = tuned(config, &Library::open(config.models.dir.clone())?).await?;
    Ok(tuned.map(|tuned| tuned as Arc<dyn Embedder>))
}

/// What all engines infer with, the embedded language model's process included.
fn pool(config: &Config) -> Pool {
    match config.calls.inference_threads {
        0 => Pool::of_the_machine(),
        threads => Pool::new(u32::from(threads)),
    }
}

/// Loading blocks for a second or so; calls may be alive on this runtime one day.
async fn blocking<T, E>(load: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, AssemblyError>
where
    T: Send + 'static,
    E: Send + 'static,
    AssemblyError: From<E>,
{
    let loaded = tokio::task::spawn_blocking(load).await.map_err(|fault| AssemblyError::Loading(fault.to_string()))?;
    Ok(loaded?)
}

/// Half of the cores make replies, so that the voice has the other half.
fn llm_threads() -> u32 {
    (cores() / 2).max(1) as u32
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn voice_detector(library: &Library) -> Result<Arc<SileroWeights>, AssemblyError> {
    let path = library.path("silero-vad", "silero_vad_16k_op15.onnx")?;
    let file = std::fs::read(&path).map_err(|fault| AssemblyError::Loading(format!("{}: {fault}", path.display())))?;
    SileroWeights::parse(&file).map(Arc::new).map_err(|fault| AssemblyError::Vad { path, fault })
}

/// Files of the manifest by id; a user's own by path or URL.
async fn file_of(library: &Library, model: &ModelRef, auto: &str) -> Result<PathBuf, ModelError> {
    match model.or_auto(auto) {
        ModelRef::Auto => library.path(auto, ""),
        ModelRef::Id(id) => {
            let known = library.manifest().model(&id)?;
            library.path(&id, known.files.first().map_or("", |file| file.name.as_str()))
        }
        ModelRef::Path(path) => library.own(&path.display().to_string(), None).await,
        ModelRef::Url(url) => library.own(&url, None).await,
    }
}

/// From four cores on there is time for the larger model after the caller has stopped; below, the caller would wait.
pub fn auto_final_model() -> &'static str {
    if cores() >= 4 { "whisper-base" } else { "whisper-tiny.en" }
}

/// What the scripted recogniser hears, one line a turn: the scripted language model has an answer to each.
const SCRIPTED_QUESTIONS: [&str; 3] =
    ["What time does the kitchen close?", "Are dogs welcome?", "What does a room cost?"];

async fn recogniser(config: &Config, library: &Library, pool: &Pool) -> Result<Arc<dyn Asr>, AssemblyError> {
    if config.asr.backend == AsrBackend::Scripted {
        return Ok(Arc::new(ScriptedAsr::new(Lines::InOrder(SCRIPTED_QUESTIONS.map(Into::into).to_vec()))));
    }
    let partial = file_of(library, &config.asr.partial_model, "whisper-tiny.en").await?;
    let finals = file_of(library, &config.asr.final_model, auto_final_model()).await?;
    let mut settings = WhisperConfig::new(partial, finals);
    // One worker for each permit that its work can have: a permit must not wait for a thread. Each has working memory of
    // its own (100 MB for tiny, 200 MB for base), hence the limit.
    settings.workers = pool.threads().min(4);
    settings.threads_final = match config.asr.threads {
        // The tail is all that runs while a caller waits for an answer to begin; half of the cores leave room for media
        // and other calls.
        0 => (cores() / 2).clamp(1, 4) as u32,
        threads => u32::from(threads),
    };
    Ok(Arc::new(blocking(move || Whisper::load(&settings)).await?.in_pool(pool.clone())))
}

async fn turn_model(
    config: &Config,
    library: &Library,
    pool: &Pool,
) -> Result<Option<Arc<dyn TurnModel>>, AssemblyError> {
    if config.turn.model == TurnKind::None || config.asr.backend == AsrBackend::Scripted {
        return Ok(None);
    }
    let runtime = onnx_runtime(library)?;
    let path = library.path("smart-turn", "smart-turn-v3.2-cpu.onnx")?;
    Ok(Some(Arc::new(blocking(move || SmartTurn::load(&path, &runtime)).await?.in_pool(pool.clone()))))
}

/// The tuned judge, which is also who says what facts mean; where it is not asked for, nothing is loaded.
async fn tuned(config: &Config, library: &Library) -> Result<Option<Arc<TunedJudge>>, AssemblyError> {
    if config.judge.kind != JudgeKind::Tuned {
        return Ok(None);
    }
    match library.path("minilm", "minilm/model.safetensors") {
        Ok(weights) => {
            let folder = weights.parent().unwrap_or(Path::new(".")).to_owned();
            let head = config.judge.head.clone();
            let load = move || match head {
                Some(head) => TunedJudge::with_head(&folder, &head),
                None => TunedJudge::load(&folder),
            };
            Ok(Some(Arc::new(blocking(load).await?)))
        }
        // A server that answers everybody is better than none.
        Err(absent @ ModelError::Absent { .. }) => {
            tracing::warn!(%absent, "the rules judge every turn: nothing is refused or deflected; judge.kind = \"rules\" makes this silent");
            Ok(None)
        }
        Err(fault) => Err(fault.into()),
    }
}

fn onnx_runtime(library: &Library) -> Result<PathBuf, ModelError> {
    let known = library.manifest().model("onnxruntime")?;
    library.path("onnxruntime", known.files.first().map_or("", |file| file.name.as_str()))
}

async fn voice(config: &Config, library: &Library, pool: &Pool) -> Result<Arc<dyn Tts>, AssemblyError> {
    if config.tts.backend == TtsBackend::Scripted {
        return Ok(Arc::new(ScriptedVoice::default()));
    }
    let runtime = onnx_runtime(library)?;
    let whole = file_of(library, &config.tts.voice, "piper-joe").await?;
    let own = matches!(config.tts.voice, ModelRef::Path(_) | ModelRef::Url(_));
    let folder = if own { library.directory().join("own") } else { library.directory().to_owned() };
    let name = whole.file_stem().and_then(|name| name.to_str()).unwrap_or("voice").to_owned();
    let mut settings = PiperConfig::in_folder(&folder, &name, runtime);
    if own {
        settings.voice_json = whole.with_extension("onnx.json");
        split_own(&whole, &settings)?;
    }
    if config.tts.threads > 0 {
        settings.threads = usize::from(config.tts.threads);
    }
    let pool = pool.clone();
    Ok(Arc::new(blocking(move || Piper::open_in_pool(settings, Some(pool))).await?))
}

/// A user's own voice is split once, beside the other models; again when it is newer than its parts.
fn split_own(whole: &Path, settings: &PiperConfig) -> Result<(), AssemblyError> {
    let refuse = |why: String| AssemblyError::OwnVoice { path: whole.to_owned(), why };
    let made = |path: &Path| std::fs::metadata(path).and_then(|file| file.modified()).ok();
    if made(&settings.vocoder).is_some_and(|parts| made(whole).is_some_and(|voice| voice <= parts)) {
        return Ok(());
    }
    let bytes = std::fs::read(whole).map_err(|fault| refuse(fault.to_string()))?;
    let parts = piper_split::split(bytes.into()).map_err(refuse)?;
    if let Some(folder) = settings.vocoder.parent() {
        std::fs::create_dir_all(folder).map_err(|fault| refuse(fault.to_string()))?;
    }
    // The vocoder last: its presence says that all three are whole.
    for (path, part) in
        [(&settings.frontend, parts.frontend), (&settings.flow, parts.flow), (&settings.vocoder, parts.vocoder)]
    {
        std::fs::write(path, part).map_err(|fault| refuse(format!("{}: {fault}", path.display())))?;
    }
    Ok(())
}

/// The file that `llm.model` names; the demonstration where it is left as it was.
fn script(model: &ModelRef) -> Result<Script, AssemblyError> {
    let text = match model {
        ModelRef::Path(path) => std::fs::read_to_string(path)
            .map_err(|fault| AssemblyError::Script(format!("{}: {fault}; set llm.model", path.display())))?,
        _ => include_str!("../personas/demo-script.yaml").to_owned(),
    };
    Script::parse(&text).map_err(|fault| AssemblyError::Script(fault.to_string()))
}

async fn language_model(
    config: &Config,
    library: &Library,
    pool: &Pool,
    beginnings: Vec<ChatRequest>,
) -> Result<Arc<dyn Llm>, AssemblyError> {
    let llm = &config.llm;
    let patience = Patience {
        first_token: Duration::from_millis(u64::from(llm.first_token_timeout_ms)),
        next_token: Duration::from_millis(u64::from(llm.stall_timeout_ms)),
    };
    let model = llm.model.to_string();
    let url = llm.server_url().unwrap_or_default();
    Ok(match llm.backend {
        LlmBackend::Embedded => {
            let file = file_of(library, &llm.model, "qwen2.5-0.5b").await?;
            let mut settings = WorkerSettings::new(file, model.clone());
            settings.threads = Some(llm_threads());
            settings.keeps = beginnings.len() as u32;
            settings.transcript = match llm.layout {
                LlmLayout::Auto => library.manifest().model(&model).is_ok_and(|known| known.transcript),
                layout => layout == LlmLayout::Transcript,
            };
            let worker = LlmWorker::start(settings, patience)?;
            worker.ready().await?;
            Arc::new(worker.in_pool(pool.clone(), llm_threads()).keeping(beginnings))
        }
        LlmBackend::Ollama => Arc::new(OllamaLlm::new(&url, &model, patience)?),
        LlmBackend::Openai => {
            let key = llm.key()?.map(|key| crate::backend::llm::ApiKey::new(key.reveal()));
            Arc::new(OpenAiLlm::new(&url, &model, key.as_ref(), patience)?)
        }
        LlmBackend::Scripted => Arc::new(ScriptedLlm::new(script(&llm.model)?)),
    })
}
