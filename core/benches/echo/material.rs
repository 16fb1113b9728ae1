//! What is said, by the agent and by its callers, and where it begins.

use std::path::{Path, PathBuf};

use duologue_core::audio::level::{dbfs, rms};
use duologue_core::audio::resample::Resampler;
use duologue_core::audio::{HEAR_RATE, LINE_RATE, wav};

/// The mean level of speech while it is spoken: what voices are made at, and what a caller's headset sends.
pub const AGENT_DBFS: f32 = -20.0;
pub const CALLER_DBFS: f32 = -26.0;
/// The longest interruption.
const LONGEST_S: f32 = 4.0;
/// Sound counts as speech from so far below its mean level on.
const ONSET_BELOW_DB: f32 = 20.0;

/// One thing that a caller says, 16 kHz.
pub struct Clip {
    pub sound: Vec<f32>,
    /// The sample at which the first word begins.
    pub onset: usize,
}

/// Sound of the agent, 48 kHz, one clause each.
pub type Clauses = Vec<Vec<f32>>;

fn wavs(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut wavs: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|kind| kind == "wav")).collect();
    wavs.sort();
    wavs
}

fn read(path: &Path, rate_hz: u32) -> Vec<f32> {
    let file = std::fs::File::open(path).expect("a readable file");
    let sound = wav::read(std::io::BufReader::new(file)).expect("a WAV file");
    let mut resampler = Resampler::new(sound.rate_hz, rate_hz).expect("usual rates");
    let mut out = Vec::new();
    resampler.push(&sound.into_mono(), &mut out);
    resampler.flush(&mut out);
    out
}

/// The level of the tenths of a second that are within 20 dB of the loudest.
fn speech_dbfs(sound: &[f32], rate_hz: u32) -> f32 {
    let levels: Vec<f32> = sound.chunks(rate_hz as usize / 10).map(rms).collect();
    let loudest = levels.iter().copied().fold(0.0, f32::max);
    let loud: Vec<f32> = levels.into_iter().filter(|level| *level > loudest * 0.1).collect();
    dbfs((loud.iter().map(|level| level * level).sum::<f32>() / loud.len().max(1) as f32).sqrt())
}

fn brought_to(mut sound: Vec<f32>, rate_hz: u32, level_dbfs: f32) -> Vec<f32> {
    let gain = 10.0_f32.powf((level_dbfs - speech_dbfs(&sound, rate_hz)) / 20.0);
    sound.iter_mut().for_each(|sample| *sample = (*sample * gain).clamp(-1.0, 1.0));
    sound
}

/// Every WAV of the folder is a clause.
pub fn agent(folder: &Path) -> Clauses {
    wavs(folder).iter().map(|path| brought_to(read(path, LINE_RATE), LINE_RATE, AGENT_DBFS)).collect()
}

/// Every WAV of the folder is an interruption.
pub fn callers(folder: &Path, level_dbfs: f32) -> Vec<Clip> {
    let brought = |path: &PathBuf| brought_to(read(path, HEAR_RATE), HEAR_RATE, level_dbfs);
    wavs(folder).iter().map(|path| clip(brought(path), level_dbfs)).collect()
}

/// From a tenth of a second before the first word: the first 10 ms that are loud enough and are followed by 50 ms that
/// are, too.
fn clip(sound: Vec<f32>, level_dbfs: f32) -> Clip {
    const STEP: usize = HEAR_RATE as usize / 100;
    let loud: Vec<bool> = sound.chunks(STEP).map(|step| dbfs(rms(step)) > level_dbfs - ONSET_BELOW_DB).collect();
    let first = loud.windows(6).position(|window| window.iter().all(|loud| *loud)).unwrap_or(0) * STEP;
    let from = first.saturating_sub(10 * STEP);
    let to = (from + (LONGEST_S * HEAR_RATE as f32) as usize).min(sound.len());
    Clip { sound: sound[from..to].to_vec(), onset: first - from }
}
