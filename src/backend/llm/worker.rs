//! The embedded model: starts the `duologue-llm` executable, starts it again when it dies, and is its client.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use reqwest::Client;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::keeping::{self, Way};
use super::{OllamaLlm, Patience, http};
use crate::backend::pool::{Permit, Pool};
use crate::backend::{ChatRequest, Llm, LlmError, Urgency};

/// The executable's file name.
const EXECUTABLE: &str = "duologue-llm";
/// Between two starts: doubled each time, so that a model file that does not load costs next to nothing.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A worker that lived so long did not fail at its start.
const STEADY: Duration = Duration::from_secs(60);
/// A cold 1.5B model from a slow disk takes half a minute.
const LOADING: Duration = Duration::from_secs(180);
/// The end of a process is seen within milliseconds; a worker that is still there after this has refused for another reason.
const DEATH_IS_SEEN: Duration = Duration::from_secs(1);
/// After so many failed starts in a row a chat does not wait for the next.
const GIVE_UP_WAITING: u32 = 3;

/// How the worker is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerSettings {
    /// The executable; looked for beside this one when `None`.
    pub executable: Option<PathBuf>,
    /// The GGUF file.
    pub model: PathBuf,
    /// The model's name, as calls record it.
    pub name: String,
    /// Threads that make replies; the worker's own default (half of the processors) when `None`.
    pub threads: Option<u32>,
    /// Threads that read prompts; as many as `threads` when `None`.
    pub prefill_threads: Option<u32>,
    /// The longest prompt and reply of a chat in tokens; the worker's default (4096) when `None`.
    pub ctx: Option<u32>,
    /// Chats that keep their prefix in the cache and reply at once; the worker's default (4) when `None`.
    pub slots: Option<u32>,
    /// Beginnings of chats that can be kept read ([`LlmWorker::keeping`]): 0..=32.
    pub keeps: u32,
    /// A chat is put to the model as the transcript of a call that it writes down.
    pub transcript: bool,
    /// 0..=19; how far the worker steps back behind the media threads.
    pub nice: Option<u8>,
}

impl WorkerSettings {
    /// Defaults for one model.
    pub fn new(model: impl Into<PathBuf>, name: impl Into<String>) -> Self {
        Self {
            executable: None,
            model: model.into(),
            name: name.into(),
            threads: None,
            prefill_threads: None,
            ctx: None,
            slots: None,
            keeps: 0,
            transcript: false,
            nice: None,
        }
    }

    fn command(&self, executable: &Path) -> Command {
        let mut command = Command::new(executable);
        command.arg("--model").arg(&self.model).arg("--name").arg(&self.name).args(["--port", "0"]);
        let options = [
            ("--threads", self.threads),
            ("--prefill-threads", self.prefill_threads),
            ("--ctx", self.ctx),
            ("--slots", self.slots),
            ("--keeps", Some(self.keeps)),
            ("--nice", self.nice.map(u32::from)),
        ];
        for (option, value) in options {
            if let Some(value) = value {
                command.arg(option).arg(value.to_string());
            }
        }
        if self.transcript {
            command.args(["--layout", "transcript"]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        // Ctrl-C reaches every process of the terminal's group: the worker would die before the calls have ended.
        #[cfg(unix)]
        command.process_group(0);
        command
    }
}

/// How the worker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerState {
    /// It loads its model; `failures` starts in a row came to nothing before.
    Starting { failures: u32 },
    /// It answers at this URL.
    Ready { url: String },
    /// It died and will be started again.
    Down { why: String, failures: u32 },
}

/// A worker that cannot be started at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkerError {
    #[error("the language model's worker was not found at {}; build it with `cargo build --release -p duologue-llm`", paths(.0))]
    NoExecutable(Vec<PathBuf>),
    #[error("there is no model file at {}; fetch it with `duologue models fetch`", .0.display())]
    NoModel(PathBuf),
}

fn paths(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" or ")
}

/// The embedded model. Dropping it ends the worker.
#[derive(Debug)]
pub struct LlmWorker {
    name: String,
    http: Client,
    patience: Patience,
    state: watch::Receiver<WorkerState>,
    keeper: JoinHandle<()>,
    share: Option<Arc<Share>>,
    keeping: Option<JoinHandle<()>>,
}

/// The worker's part of the pool. All chats run in one loop of the worker, so they share one permit.
#[derive(Debug)]
pub(super) struct Share {
    pool: Pool,
    threads: u32,
    /// The permit of the chats that are running, if any are.
    chats: Mutex<Weak<Permit>>,
}

impl Share {
    async fn for_chat(&self) -> Arc<Permit> {
        let mut chats = self.chats.lock().await;
        match chats.upgrade() {
            Some(permit) => permit,
            None => {
                let permit = Arc::new(self.pool.ask(Urgency::FirstAudio, self.threads).await);
                *chats = Arc::downgrade(&permit);
                permit
            }
        }
    }

    /// Reading ahead goes along with the chats that are running; alone, it stands back for everything.
    pub(super) async fn for_reading_ahead(&self) -> Arc<Permit> {
        let running = self.chats.try_lock().ok().and_then(|chats| chats.upgrade());
        match running {
            Some(permit) => permit,
            None => Arc::new(self.pool.ask(Urgency::Partial, self.threads).await),
        }
    }
}

impl Drop for LlmWorker {
    fn drop(&mut self) {
        self.keeper.abort();
        if let Some(keeping) = &self.keeping {
            keeping.abort();
        }
    }
}

impl LlmWorker {
    /// Starts the worker and returns at once; [`LlmWorker::ready`] waits for it. Needs a tokio runtime.
    ///
    /// # Errors
    /// When there is no executable or no model file; a model that does not load shows in the state.
    pub fn start(settings: WorkerSettings, patience: Patience) -> Result<Self, LlmStartError> {
        let executable = find_executable(settings.executable.as_deref())?;
        if !settings.model.is_file() {
            return Err(WorkerError::NoModel(settings.model).into());
        }
        let http = http::client("http://127.0.0.1")?;
        let (told, state) = watch::channel(WorkerState::Starting { failures: 0 });
        let name = settings.name.clone();
        let keeper = tokio::spawn(keep(executable, settings, told));
        Ok(Self { name, http, patience, state, keeper, share: None, keeping: None })
    }

    /// Generates only with permits of this pool: one of `threads` for all chats together.
    #[must_use]
    pub fn in_pool(mut self, pool: Pool, threads: u32) -> Self {
        self.share = Some(Arc::new(Share { pool, threads, chats: Mutex::default() }));
        self
    }

    /// Keeps these beginnings of chats read, the first of them first, in each worker that is started, while nobody waits for
    /// anything else; as many as [`WorkerSettings::keeps`] has room for.
    #[must_use]
    pub fn keeping(mut self, beginnings: Vec<ChatRequest>) -> Self {
        let way = Way { http: self.http.clone(), name: self.name.clone(), patience: self.patience };
        self.keeping = Some(tokio::spawn(keeping::keep(way, self.share.clone(), self.state.clone(), beginnings)));
        self
    }

    /// How the worker is, now and as it changes.
    pub fn state(&self) -> watch::Receiver<WorkerState> {
        self.state.clone()
    }

    /// Waits until the worker answers.
    ///
    /// # Errors
    /// After three failed starts in a row, with the reason of the last.
    pub async fn ready(&self) -> Result<(), LlmError> {
        self.url().await.map(|_| ())
    }

    async fn url(&self) -> Result<String, LlmError> {
        let mut state = self.state.clone();
        let settled = |state: &WorkerState| match state {
            WorkerState::Ready { .. } => true,
            WorkerState::Starting { failures } | WorkerState::Down { failures, .. } => *failures >= GIVE_UP_WAITING,
        };
        let state = state.wait_for(settled).await.map_err(|_| unreachable("its keeper has stopped".into()))?;
        match &*state {
            WorkerState::Ready { url } => Ok(url.clone()),
            WorkerState::Down { why, .. } => Err(unreachable(why.clone())),
            WorkerState::Starting { failures } => {
                Err(unreachable(format!("it starts again after {failures} failures")))
            }
        }
    }

    async fn client(&self) -> Result<OllamaLlm, LlmError> {
        let url = self.in_time(self.url()).await?;
        Ok(self.client_at(&url))
    }

    fn client_at(&self, url: &str) -> OllamaLlm {
        OllamaLlm::with_client(self.http.clone(), url, &self.name, self.patience).of_a_worker()
    }

    /// A worker that has just died still stands as ready until its end has been seen, and its socket may even take a
    /// request on its way down: whoever is refused waits for the next worker, and asks that once.
    async fn chat_unpooled(
        &self,
        request: ChatRequest,
    ) -> Result<BoxStream<'static, Result<String, LlmError>>, LlmError> {
        let url = self.in_time(self.url()).await?;
        let refused = match self.client_at(&url).chat(request.clone()).await {
            Err(refused @ (LlmError::Unreachable { .. } | LlmError::BrokeOff(_))) => refused,
            opened => return opened,
        };
        let mut state = self.state.clone();
        let ended = state.wait_for(|state| !matches!(state, WorkerState::Ready { url: same } if *same == url));
        if timeout(DEATH_IS_SEEN, ended).await.is_err() {
            return Err(refused);
        }
        let url = self.in_time(self.url()).await?;
        let pieces = self.client_at(&url).chat(request).await?;
        Ok(stream::iter([Err(LlmError::StartedAgain(refused.to_string()))]).chain(pieces).boxed())
    }

    /// Within the patience for a first token.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T, LlmError>>) -> Result<T, LlmError> {
        timeout(self.patience.first_token, work).await.map_err(|_| LlmError::TimedOut(self.patience.first_token))?
    }
}

/// Why [`LlmWorker::start`] gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LlmStartError {
    #[error(transparent)]
    Worker(#[from] WorkerError),
    #[error(transparent)]
    Client(#[from] LlmError),
}

fn unreachable(why: String) -> LlmError {
    LlmError::Unreachable { url: EXECUTABLE.into(), why }
}

#[async_trait]
impl Llm for LlmWorker {
    async fn chat(&self, request: ChatRequest) -> Result<BoxStream<'static, Result<String, LlmError>>, LlmError> {
        let permit = match &self.share {
            Some(share) => Some(share.for_chat().await),
            None => None,
        };
        let pieces = self.chat_unpooled(request).await?;
        // The permit goes with the stream: it is given back at its end, or when it is dropped.
        Ok(pieces.inspect(move |_| _ = &permit).boxed())
    }

    async fn chat_aside(&self, request: ChatRequest) -> Result<BoxStream<'static, Result<String, LlmError>>, LlmError> {
        let Some(share) = &self.share else { return self.chat(request).await };
        let permit = Arc::new(share.pool.ask(Urgency::Memory, share.threads).await);
        let pieces = self.chat_unpooled(request).await?;
        let waited_for = Arc::clone(&permit);
        let recalled = Box::pin(async move { waited_for.recalled().await });
        Ok(pieces.take_until(recalled).inspect(move |_| _ = &permit).boxed())
    }

    async fn prime(&self, request: ChatRequest) -> Result<(), LlmError> {
        let Some(share) = &self.share else { return self.client().await?.prime(request).await };
        let permit = share.for_reading_ahead().await;
        tokio::select! {
            // Dropping the request stops the worker; what it has read stays in its cache.
            () = permit.recalled() => Ok(()),
            read = async { self.client().await?.prime(request).await } => read,
        }
    }

    fn name(&self) -> String {
        format!("embedded {}", self.name)
    }
}

/// The configured path; else beside this executable, or one folder up, where cargo puts tests.
fn find_executable(configured: Option<&Path>) -> Result<PathBuf, WorkerError> {
    let file = format!("{EXECUTABLE}{}", std::env::consts::EXE_SUFFIX);
    let candidates: Vec<PathBuf> = match configured {
        Some(path) => vec![path.to_owned()],
        None => std::env::current_exe()
            .iter()
            .flat_map(|exe| exe.ancestors().skip(1).take(2))
            .map(|folder| folder.join(&file))
            .collect(),
    };
    candidates.iter().find(|path| path.is_file()).cloned().ok_or(WorkerError::NoExecutable(candidates))
}

/// Starts the worker again and again, until aborted.
async fn keep(executable: PathBuf, settings: WorkerSettings, told: watch::Sender<WorkerState>) {
    let mut failures = 0;
    loop {
        let began = Instant::now();
        let why = match settings.command(&executable).spawn() {
            Ok(child) => live(child, &told).await,
            Err(fault) => format!("{} does not start: {fault}", executable.display()),
        };
        failures = if began.elapsed() >= STEADY { 1 } else { failures + 1 };
        let pause = FIRST_PAUSE.saturating_mul(1 << (failures - 1).min(16)).min(LONGEST_PAUSE);
        tracing::warn!(%why, failures, pause_ms = pause.as_millis() as u64, "the language model's worker ended");
        told.send_replace(WorkerState::Down { why, failures });
        sleep(pause).await;
        told.send_replace(WorkerState::Starting { failures });
    }
}

/// The worker's one line on stdout.
#[derive(Deserialize)]
struct ReadyLine {
    port: u16,
}

/// Follows one worker to its end, and says why it ended.
async fn live(mut child: Child, told: &watch::Sender<WorkerState>) -> String {
    // held open for as long as the worker shall live: it ends when its stdin closes
    let _stdin = child.stdin.take();
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return "its output was not captured".into();
    };
    let (mut stdout, mut stderr) = (BufReader::new(stdout).lines(), BufReader::new(stderr).lines());
    let (mut hears_out, mut hears_err) = (true, true);
    let mut last_words = String::new();
    let deadline = Instant::now() + LOADING;
    let mut ready = false;
    let status = loop {
        tokio::select! {
            line = stdout.next_line(), if hears_out => match line {
                Ok(Some(line)) => if let Ok(ReadyLine { port }) = serde_json::from_str(&line) {
                    ready = true;
                    told.send_replace(WorkerState::Ready { url: format!("http://127.0.0.1:{port}") });
                },
                _ => hears_out = false,
            },
            line = stderr.next_line(), if hears_err => match line {
                Ok(Some(line)) => last_words = log(line),
                _ => hears_err = false,
            },
            status = child.wait() => break status,
            () = sleep_until(deadline), if !ready => {
                return format!("it did not become ready within {} s", LOADING.as_secs());
            }
        }
    };
    // what it said last says why; the pipe ends with the process
    while let Ok(Some(line)) = stderr.next_line().await {
        last_words = log(line);
    }
    match status {
        Ok(status) if last_words.is_empty() => format!("it ended with {status}"),
        Ok(status) => format!("it ended with {status}: {last_words}"),
        Err(fault) => format!("its end was not seen: {fault}"),
    }
}

/// Passes on a line of the worker's stderr, and gives it back without its level.
fn log(line: String) -> String {
    let line = line.trim();
    if let Some(said) = line.strip_prefix("ERROR").or_else(|| line.strip_prefix("Error:")) {
        tracing::error!(target: "duologue_llm", "{}", said.trim());
        return said.trim().to_owned();
    }
    if let Some(said) = line.strip_prefix("WARN") {
        tracing::warn!(target: "duologue_llm", "{}", said.trim());
    } else {
        tracing::debug!(target: "duologue_llm", "{line}");
    }
    line.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_executable_is_named_with_the_way_out() {
        let error = find_executable(Some(Path::new("/nowhere/duologue-llm"))).expect_err("not there");
        let text = error.to_string();
        assert!(text.contains("/nowhere/duologue-llm") && text.contains("cargo build"), "{text}");
    }

    #[tokio::test]
    async fn a_missing_model_is_named_with_the_way_out() {
        let mut settings = WorkerSettings::new("/nowhere/model.gguf", "m");
        settings.executable = std::env::current_exe().ok();
        let error = LlmWorker::start(settings, Patience::default()).expect_err("not there");
        let text = error.to_string();
        assert!(text.contains("/nowhere/model.gguf") && text.contains("duologue models fetch"), "{text}");
    }
}
