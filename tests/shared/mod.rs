//! Where tests find models and recordings; both are optional, and their absence is said aloud.

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
