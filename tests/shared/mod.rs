//! Where tests find models and recordings (both are optional, and their absence is said aloud), and sounds made by
//! formula.
// Each test is a crate of its own and uses a part of this.
#![allow(dead_code)]

use std::f64::consts::TAU;
use std::path::{Path, PathBuf};

/// A file of the models directory: `$DUOLOGUE_MODELS`, or `duologue/models` in the user's data directory.
pub fn model(file: &str, id: &str) -> Option<PathBuf> {
    let directory = std::env::var_os("DUOLOGUE_MODELS").map(PathBuf::from).or_else(|| {
        let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
        let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/share"));
        Some(data.or_else(home)?.join("duologue/models"))
    })?;
    let path = directory.join(file);
    if !path.is_file() {
        println!("not tested: {} is absent; `duologue models fetch {id}` fetches it", path.display());
        return None;
    }
    Some(path)
}

/// A 16 kHz mono recording of the test data, in -1.0..=1.0.
pub fn recording(name: &str) -> Option<Vec<f32>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/testdata").join(name);
    if !path.is_file() {
        println!("not tested: the recording {name} is absent");
        return None;
    }
    let mut wav = hound::WavReader::open(path).expect("a WAV file");
    assert_eq!((wav.spec().sample_rate, wav.spec().channels), (16_000, 1));
    Some(wav.samples::<i16>().map(|sample| f32::from(sample.expect("readable")) / 32_768.0).collect())
}

/// Numerical Recipes' linear congruential generator, uniform in -1.0..1.0.
pub struct Noise(pub u32);

impl Noise {
    /// The next number.
    pub fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(self.0 >> 8) / f64::from(1u32 << 24) * 2.0 - 1.0
    }
}

/// That voice as a file for a caller to play: speech enough for either voice detector.
pub fn voice_wav(path: &Path, seconds: usize) {
    let file = std::fs::File::create(path).expect("a writable folder");
    let samples = synthetic_voice(seconds * 16_000);
    duologue::audio::wav::write_mono(std::io::BufWriter::new(file), 16_000, &samples).expect("written");
}

/// A buzz through two gliding formants, three syllables a second, two seconds of every three: enough of a voice for
/// the trained network to go from 0.001 to 0.98.
pub fn synthetic_voice(samples: usize) -> Vec<f32> {
    let mut noise = Noise(7);
    let mut phase = 0.0;
    (0..samples)
        .map(|i| {
            let t = i as f64 / 16_000.0;
            let pitch = 120.0 + 30.0 * (TAU * 0.7 * t).sin();
            phase += pitch / 16_000.0;
            let syllable = (TAU * 3.1 * t).sin().max(0.0);
            let phrase = if t % 3.0 < 2.0 { 1.0 } else { 0.0 };
            let first = 500.0 + 250.0 * (TAU * 1.3 * t).sin();
            let second = 1500.0 + 600.0 * (TAU * 0.9 * t).sin();
            let voice: f64 = (1..25)
                .map(|h| {
                    let hz = f64::from(h) * pitch;
                    let near = |formant: f64, width: f64| 1.0 / (1.0 + ((hz - formant) / width).powi(2));
                    let gain = near(first, 120.0) + 0.5 * near(second, 200.0) + 0.02;
                    gain * (TAU * phase * f64::from(h)).sin()
                })
                .sum();
            (0.12 * phrase * syllable * voice + 0.003 * noise.next()) as f32
        })
        .collect()
}
