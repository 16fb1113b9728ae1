//! Text to speech with a Piper voice (VITS), driven by hand: espeak-ng's phonemes, the voice cut into three ONNX graphs so that
//! its sound can be streamed, word ends from the durations that the voice itself chose.
//!
//! `docs/decisions/0002-piper-by-hand.md` says why this is no wrapper around an existing crate.

mod align;
mod cache;
mod engine;
mod phoneme;
mod rendering;
mod spell;
mod text;
mod worker;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use async_trait::async_trait;
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};

use self::engine::{Engine, Manner};
use self::phoneme::PhonemeIds;
use self::rendering::Voice;
use self::worker::Job;
use super::onnx_runtime::{self, OnnxRuntimeFault};
use super::pool::Pool;
use super::{Clause, Speech, Tts, TtsError, Urgency, niceness};

/// Clauses that may wait for the thread; with more the machine cannot keep up anyway.
const MOST_WAITING: usize = 64;

/// A clause is planned as a whole before its first sound, so a longer one would keep all the others waiting for a second.
const MOST_CHARACTERS: usize = 2_000;

/// Where the voice is and how it runs.
#[derive(Clone, Debug, PartialEq)]
pub struct PiperConfig {
    /// The voice's three graphs.
    pub frontend: PathBuf,
    pub flow: PathBuf,
    pub vocoder: PathBuf,
    /// The JSON file that belongs to the voice's `.onnx`.
    pub voice_json: PathBuf,
    /// `libonnxruntime.so`; not looked at if the process has loaded one already.
    pub onnx_runtime: PathBuf,
    /// Threads that compute within one run, 1..=16. One leaves the other cores to the recogniser and the media.
    pub threads: usize,
    /// 0.5..=2.0: how long the sounds are, relative to the voice's own pace.
    pub length_scale: f32,
    /// Niceness of the threads, 0..=19.
    pub niceness: u8,
}

impl PiperConfig {
    /// The files of `voice` (such as `en_US-joe-medium`) in `folder`, with one thread, the voice's own pace and niceness 5.
    pub fn in_folder(folder: &Path, voice: &str, onnx_runtime: PathBuf) -> Self {
        let file = |suffix: &str| folder.join(format!("{voice}.{suffix}"));
        Self {
            frontend: file("frontend.onnx"),
            flow: file("flow.onnx"),
            vocoder: file("vocoder.onnx"),
            voice_json: file("onnx.json"),
            onnx_runtime,
            threads: 1,
            length_scale: 1.0,
            niceness: 5,
        }
    }
}

/// Why a voice cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("there is no {what} of the voice at {}; `duologue models fetch piper-joe` fetches it", .path.display())]
    Missing { what: &'static str, path: PathBuf },
    #[error("{} cannot be used as part of a voice: {why}; `duologue models verify` tells whether it is whole", .path.display())]
    Unusable { path: PathBuf, why: String },
    #[error("{name} = {value} is out of range: {range}")]
    OutOfRange { name: &'static str, value: String, range: &'static str },
    #[error(transparent)]
    Runtime(#[from] OnnxRuntimeFault),
    #[error("espeak-ng, which turns text into phonemes, cannot be used: {0}")]
    Phonemiser(String),
    #[error("the voice's thread cannot be started: {0}")]
    Thread(std::io::Error),
}

/// A Piper voice on a thread of its own.
pub struct Piper {
    /// `None` only while dropping.
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    name: String,
}

impl Piper {
    /// Opens the voice; takes about a second, so not on a thread that must not block.
    ///
    /// # Errors
    /// Names the file, setting or part that stands in the way.
    pub fn open(config: PiperConfig) -> Result<Self, OpenError> {
        Self::open_in_pool(config, None)
    }

    /// As [`Piper::open`]; infers only with permits of this pool, where one is given.
    ///
    /// # Errors
    /// As [`Piper::open`].
    pub fn open_in_pool(config: PiperConfig, pool: Option<Pool>) -> Result<Self, OpenError> {
        config.check()?;
        let file = VoiceFile::read(&config.voice_json)?;
        let unusable = |why| OpenError::Unusable { path: config.voice_json.clone(), why };
        let ids = PhonemeIds::new(&file.phoneme_id_map).map_err(unusable)?;
        let voice = Voice { ids, language: file.espeak.voice, rate_hz: file.audio.sample_rate };
        let manner = Manner {
            noise_scale: file.inference.noise_scale,
            length_scale: file.inference.length_scale * config.length_scale,
            noise_w: file.inference.noise_w,
        };
        phoneme::espeak("ready", &voice.language).map_err(OpenError::Phonemiser)?;
        onnx_runtime::ensure(&config.onnx_runtime)?;

        let stem = config.voice_json.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("piper {}", stem.trim_end_matches(".json").trim_end_matches(".onnx"));
        let (jobs, waiting) = sync_channel(MOST_WAITING);
        let (opened, ready) = std::sync::mpsc::sync_channel(1);
        // The thread loads the graphs itself: ONNX Runtime's own threads then inherit its niceness.
        let thread = std::thread::Builder::new()
            .name("piper".to_owned())
            .spawn(move || {
                niceness::lower_this_thread(config.niceness);
                let paths = [config.frontend.as_path(), &config.flow, &config.vocoder];
                match Engine::load(paths, config.threads, manner) {
                    Ok(mut engine) => {
                        let _ = opened.send(Ok(()));
                        let pool = pool.as_ref().map(|pool| (pool, config.threads as u32));
                        worker::run(&waiting, &voice, &mut engine, pool);
                    }
                    Err((at, why)) => {
                        let _ = opened.send(Err(OpenError::Unusable { path: paths[at].to_owned(), why }));
                    }
                }
            })
            .map_err(OpenError::Thread)?;
        let piper = Self { jobs: Some(jobs), thread: Some(thread), name };
        let died = || OpenError::Thread(std::io::Error::other("it ended while it loaded the voice"));
        ready.recv().unwrap_or_else(|_| Err(died())).map(|()| piper)
    }

    fn send(&self, job: Job) -> Result<(), TtsError> {
        match self.jobs.as_ref().ok_or(TtsError::Closed)?.try_send(job) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => Err(TtsError::Engine(format!(
                "{MOST_WAITING} clauses are waiting already; this machine cannot speak in so many calls at once"
            ))),
            Err(TrySendError::Disconnected(_)) => Err(TtsError::Closed),
        }
    }
}

impl Drop for Piper {
    /// Ends the thread; waits for the chunk it is at, some tens of milliseconds.
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been told to those who waited for it.
            let _ = thread.join();
        }
    }
}

/// Spoken once before the first call: a short and a longer clause, as ONNX Runtime prepares its memory by size.
const WARM_UP: [&str; 2] =
    ["Ready.", "This is a somewhat longer sentence, so that nothing is done for the first time in a call."];

#[async_trait]
impl Tts for Piper {
    async fn speak(&self, clause: Clause, out: mpsc::Sender<Speech>) -> Result<(), TtsError> {
        if clause.text.chars().nth(MOST_CHARACTERS).is_some() {
            let why = format!("a clause has more than {MOST_CHARACTERS} characters; cut the text into clauses first");
            return Err(TtsError::Engine(why));
        }
        let (done, finished) = oneshot::channel();
        self.send(Job { text: clause.text, urgency: clause.urgency, out, done, asked: Instant::now() })?;
        match finished.await {
            Ok(outcome) => outcome,
            // Given up because nobody listens, unless the thread has died.
            Err(_) if self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) => Ok(()),
            Err(_) => Err(TtsError::Closed),
        }
    }

    async fn warm(&self) -> Result<(), TtsError> {
        for text in WARM_UP {
            let (out, mut sound) = mpsc::channel(4);
            let listen = async { while sound.recv().await.is_some() {} };
            let clause = Clause { text: text.to_owned(), urgency: Urgency::Tail };
            let (outcome, ()) = tokio::join!(self.speak(clause, out), listen);
            outcome?;
        }
        Ok(())
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

impl PiperConfig {
    fn check(&self) -> Result<(), OpenError> {
        let out_of_range = |name, value, range| Err(OpenError::OutOfRange { name, value, range });
        if !(1..=16).contains(&self.threads) {
            return out_of_range("threads", self.threads.to_string(), "1 to 16");
        }
        if !(0.5..=2.0).contains(&self.length_scale) {
            return out_of_range("length_scale", self.length_scale.to_string(), "0.5 to 2.0");
        }
        let files = [
            ("frontend graph", &self.frontend),
            ("flow graph", &self.flow),
            ("vocoder graph", &self.vocoder),
            ("JSON file", &self.voice_json),
        ];
        match files.into_iter().find(|(_, path)| !path.is_file()) {
            Some((what, path)) => Err(OpenError::Missing { what, path: path.clone() }),
            None => Ok(()),
        }
    }
}

/// What is used of a voice's JSON file.
#[derive(Deserialize)]
struct VoiceFile {
    audio: VoiceAudio,
    espeak: VoiceEspeak,
    inference: VoiceInference,
    phoneme_id_map: HashMap<String, Vec<i64>>,
    #[serde(default = "espeak_phonemes")]
    phoneme_type: String,
    #[serde(default = "one")]
    num_speakers: u32,
}

#[derive(Deserialize)]
struct VoiceAudio {
    sample_rate: u32,
}

#[derive(Deserialize)]
struct VoiceEspeak {
    voice: String,
}

#[derive(Deserialize)]
struct VoiceInference {
    noise_scale: f32,
    length_scale: f32,
    noise_w: f32,
}

fn espeak_phonemes() -> String {
    "espeak".to_owned()
}

const fn one() -> u32 {
    1
}

impl VoiceFile {
    fn read(path: &Path) -> Result<Self, OpenError> {
        let unusable = |why| OpenError::Unusable { path: path.to_owned(), why };
        let text = std::fs::read_to_string(path).map_err(|fault| unusable(fault.to_string()))?;
        let file: Self = serde_json::from_str(&text).map_err(|fault| unusable(fault.to_string()))?;
        if file.phoneme_type != "espeak" {
            return Err(unusable(format!("its phonemes are of the type `{}`, not `espeak`", file.phoneme_type)));
        }
        if file.num_speakers > 1 {
            return Err(unusable(format!("it has {} speakers; voices with one can be used", file.num_speakers)));
        }
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The real voice's files, where they have been fetched.
    pub(super) fn config() -> Option<PiperConfig> {
        let folder = std::env::var_os("DUOLOGUE_MODELS").map(PathBuf::from).or_else(|| {
            let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
            let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/share"));
            Some(data.or_else(home)?.join("duologue/models"))
        })?;
        let config = PiperConfig::in_folder(&folder, "en_US-joe-medium", folder.join("libonnxruntime.so.1.31.1"));
        if config.check().is_err() || !config.onnx_runtime.is_file() {
            println!("not tested: the voice is not in {}; `duologue models fetch` fetches it", folder.display());
            return None;
        }
        Some(config)
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let config = PiperConfig::in_folder(Path::new("/nonexistent"), "voice", PathBuf::new());
        let refusal = |config: PiperConfig| Piper::open(config).err().expect("refused").to_string();
        assert_eq!(refusal(PiperConfig { threads: 0, ..config.clone() }), "threads = 0 is out of range: 1 to 16");
        assert_eq!(
            refusal(PiperConfig { length_scale: 3.0, ..config.clone() }),
            "length_scale = 3 is out of range: 0.5 to 2.0"
        );
        assert!(refusal(config).contains("/nonexistent/voice.frontend.onnx"));
    }
}
