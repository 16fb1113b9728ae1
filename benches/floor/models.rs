//! The real models, each asked once about a stretch of sound: what it answered and how long it worked is kept on disk, so
//! that every policy gets the same answers at the same price, and a second run needs no inference.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use duologue::audio::vad::SileroWeights;
use duologue::audio::{LINE_RATE, wav};
use duologue::backend::piper::{Piper, PiperConfig};
use duologue::backend::smart_turn::SmartTurn;
use duologue::backend::whisper::{Whisper, WhisperConfig};
use duologue::backend::{Asr, AsrJob, AsrPurpose, Clause, Speech, Tts, TurnModel, Urgency};
use duologue::call::wire;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What a model said about a stretch of sound.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Answer {
    key: String,
    text: String,
    probability: f32,
    /// CPU time of all threads of the process: what it takes on a core of its own, whatever else the machine does.
    cpu_ms: f32,
    wall_ms: f32,
}

pub struct Models {
    runtime: tokio::runtime::Runtime,
    folder: PathBuf,
    cache: PathBuf,
    whisper: Option<Whisper>,
    smart_turn: Option<SmartTurn>,
    piper: Option<Piper>,
    known: HashMap<String, Answer>,
    file: File,
    voice: HashMap<String, Arc<[f32]>>,
    pub asked: u64,
    pub fresh: u64,
}

impl Models {
    /// Answers and clips are kept in `cache`; models are loaded when the first thing is asked that is not there.
    pub fn open(models: PathBuf, cache: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(cache.join("voice"))?;
        let path = cache.join("answers.jsonl");
        let known = std::fs::read_to_string(&path)
            .unwrap_or_default()
            .lines()
            .filter_map(|line| serde_json::from_str::<Answer>(line).ok())
            .map(|answer| (answer.key.clone(), answer))
            .collect();
        Ok(Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
            folder: models,
            cache: cache.to_owned(),
            whisper: None,
            smart_turn: None,
            piper: None,
            known,
            file: OpenOptions::new().create(true).append(true).open(&path)?,
            voice: HashMap::new(),
            asked: 0,
            fresh: 0,
        })
    }

    pub fn silero(&self) -> anyhow::Result<Arc<SileroWeights>> {
        let file = std::fs::read(self.model("silero_vad_16k_op15.onnx")?)?;
        Ok(Arc::new(SileroWeights::parse(&file)?))
    }

    fn model(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.folder.join(name);
        anyhow::ensure!(path.is_file(), "{} is absent; `make models` fetches it", path.display());
        Ok(path)
    }

    fn onnx_runtime(&self) -> anyhow::Result<PathBuf> {
        let files = std::fs::read_dir(&self.folder)?.flatten().map(|entry| entry.path());
        let mut found: Vec<PathBuf> =
            files.filter(|path| path.to_string_lossy().contains("libonnxruntime.so")).collect();
        found.sort();
        found.pop().context("ONNX Runtime is absent; `make models` fetches it")
    }

    /// Whisper tiny.en's words for the sound, and the milliseconds it took.
    pub fn transcribe(&mut self, audio: &Arc<[f32]>, purpose: AsrPurpose) -> anyhow::Result<(String, f32)> {
        let key = key(&format!("whisper-tiny.en {purpose:?}"), audio);
        if !self.known.contains_key(&key) {
            if self.whisper.is_none() {
                let file = self.model("ggml-tiny.en.bin")?;
                let whisper = Whisper::load(&WhisperConfig::new(&file, &file))?;
                self.runtime.block_on(whisper.warm())?;
                self.whisper = Some(whisper);
            }
            let whisper = self.whisper.as_ref().context("loaded above")?;
            let meter = Meter::start();
            let job = AsrJob { audio: audio.clone(), purpose, prompt: None };
            let text = self.runtime.block_on(whisper.transcribe(job))?.text;
            let (cpu_ms, wall_ms) = meter.read();
            self.keep(Answer { key: key.clone(), text, probability: 0.0, cpu_ms, wall_ms })?;
        }
        self.asked += 1;
        let answer = self.known.get(&key).context("kept above")?;
        Ok((answer.text.clone(), answer.cpu_ms))
    }

    /// smart-turn's probability that the turn is complete, and the milliseconds it took.
    pub fn complete(&mut self, audio: &Arc<[f32]>) -> anyhow::Result<(f32, f32)> {
        let key = key("smart-turn", audio);
        if !self.known.contains_key(&key) {
            if self.smart_turn.is_none() {
                self.smart_turn =
                    Some(SmartTurn::load(&self.model("smart-turn-v3.2-cpu.onnx")?, &self.onnx_runtime()?)?);
            }
            let model = self.smart_turn.as_ref().context("loaded above")?;
            let meter = Meter::start();
            let probability = self.runtime.block_on(model.complete(audio.clone()))?;
            let (cpu_ms, wall_ms) = meter.read();
            self.keep(Answer { key: key.clone(), text: String::new(), probability, cpu_ms, wall_ms })?;
        }
        self.asked += 1;
        let answer = self.known.get(&key).context("kept above")?;
        Ok((answer.probability, answer.cpu_ms))
    }

    fn keep(&mut self, answer: Answer) -> anyhow::Result<()> {
        self.fresh += 1;
        writeln!(self.file, "{}", serde_json::to_string(&answer)?)?;
        self.known.insert(answer.key.clone(), answer);
        Ok(())
    }

    /// Piper, 48 kHz, without the noise that makes each rendering another one.
    pub fn speak(&mut self, text: &str) -> anyhow::Result<Arc<[f32]>> {
        if let Some(pcm) = self.voice.get(text) {
            return Ok(pcm.clone());
        }
        let name = hex(&Sha256::digest(text.as_bytes()));
        let path = self.cache.join("voice").join(format!("{name}.wav"));
        if !path.is_file() {
            let pcm = self.render(text)?;
            let part = path.with_extension("part");
            wav::write_mono(std::io::BufWriter::new(File::create(&part)?), LINE_RATE, &pcm)?;
            std::fs::rename(part, &path)?;
        }
        let pcm: Arc<[f32]> = wav::read(File::open(&path)?)?.into_mono().into();
        self.voice.insert(text.to_owned(), pcm.clone());
        Ok(pcm)
    }

    fn render(&mut self, text: &str) -> anyhow::Result<Vec<f32>> {
        if self.piper.is_none() {
            let mut config = PiperConfig::in_folder(&self.folder, "en_US-joe-medium", self.onnx_runtime()?);
            let still = self.cache.join("en_US-joe-medium.onnx.json");
            let mut voice: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&config.voice_json)?)?;
            voice["inference"]["noise_scale"] = 0.0.into();
            voice["inference"]["noise_w"] = 0.0.into();
            std::fs::write(&still, voice.to_string())?;
            config.voice_json = still;
            self.piper = Some(Piper::open(config)?);
        }
        let piper = self.piper.as_ref().context("opened above")?;
        self.runtime.block_on(async {
            let (out, mut made) = wire::speech();
            let what = Clause { text: text.into(), urgency: Urgency::Speech };
            let gather = async {
                let mut pcm = Vec::new();
                while let Some(speech) = made.recv().await {
                    if let Speech::Pcm(piece) = speech {
                        pcm.extend(piece);
                    }
                }
                pcm
            };
            let (spoken, pcm) = tokio::join!(piper.speak(what, out), gather);
            spoken?;
            Ok(pcm)
        })
    }
}

fn key(model: &str, audio: &[f32]) -> String {
    let mut hash = Sha256::new();
    hash.update(model.as_bytes());
    for sample in audio {
        hash.update(sample.to_le_bytes());
    }
    hex(&hash.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Wall time and the CPU time of all threads.
struct Meter {
    began: Instant,
    cpu: Duration,
}

impl Meter {
    fn start() -> Self {
        Self { began: Instant::now(), cpu: cpu_time() }
    }

    fn read(&self) -> (f32, f32) {
        let cpu = cpu_time().saturating_sub(self.cpu);
        (cpu.as_secs_f32() * 1_000.0, self.began.elapsed().as_secs_f32() * 1_000.0)
    }
}

/// Nanoseconds on a core, from the scheduler's own account of each thread.
fn cpu_time() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let nanos = threads.filter_map(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        stat.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}
