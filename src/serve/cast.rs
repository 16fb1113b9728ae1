//! The characters of a folder, as the server and the command line read them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::ServeError;
use crate::audio::resample::Resampler;
use crate::audio::{LINE_RATE, wav};
use crate::backend::ChatRequest;
use crate::dialogue::persona::Persona;
use crate::knowledge::missing_folders;

/// Every `*.md` of the folder; all faults of all files at once.
///
/// # Errors
/// When the folder cannot be read, a file has faults, two have one name, or the default is missing.
pub fn load_personas(folder: &Path, default: &str) -> Result<Vec<Arc<Persona>>, ServeError> {
    let unreadable = |why: std::io::Error| {
        ServeError::Personas(format!("cannot read {}: {why}; set personas.dir in duologue.toml", folder.display()))
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .map_err(unreadable)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|kind| kind == "md"))
        .collect();
    files.sort();
    let mut personas: Vec<Arc<Persona>> = Vec::new();
    let mut faults = Vec::new();
    for file in &files {
        let text = std::fs::read_to_string(file).map_err(unreadable)?;
        match Persona::parse(&text) {
            Ok(persona) if personas.iter().any(|known| known.name == persona.name) => {
                faults.push(format!("{}: the name '{}' is taken by another file", file.display(), persona.name));
            }
            Ok(mut persona) => {
                match persona.plays.as_ref().map(|wav| recording(&folder.join(wav))).transpose() {
                    Ok(sound) => persona.recording = sound,
                    Err(why) => faults.push(format!("{}: plays: {why}", file.display())),
                }
                let missing = missing_folders(folder, &persona);
                faults.extend(missing.iter().map(|fault| format!("{}: {fault}", file.display())));
                personas.push(Arc::new(persona));
            }
            Err(found) => faults.extend(found.iter().map(|fault| format!("{}: {fault}", file.display()))),
        }
    }
    if faults.is_empty() && !personas.iter().any(|persona| persona.name == default) {
        faults.push(format!("personas.default is '{default}', but no file in {} has that name", folder.display()));
    }
    if faults.is_empty() { Ok(personas) } else { Err(ServeError::Personas(faults.join("\n"))) }
}

/// The longest recording that a persona plays: ten minutes take 115 MB.
const RECORDING_MOST: Duration = Duration::from_secs(600);

/// A WAV file as it goes over the line.
fn recording(path: &Path) -> Result<Arc<[f32]>, String> {
    let fault = |why: String| format!("cannot read {}: {why}", path.display());
    let file = std::fs::File::open(path).map_err(|why| fault(why.to_string()))?;
    let sound = wav::read(std::io::BufReader::new(file)).map_err(|why| fault(why.to_string()))?;
    let rate_hz = sound.rate_hz;
    let mono = sound.into_mono();
    if mono.is_empty() || mono.len() as u64 > RECORDING_MOST.as_secs() * u64::from(rate_hz) {
        return Err(fault(format!("it must hold sound, at most {} s of it", RECORDING_MOST.as_secs())));
    }
    let mut resampler = Resampler::new(rate_hz, LINE_RATE).map_err(|why| fault(why.to_string()))?;
    let mut line = Vec::new();
    resampler.push(&mono, &mut line);
    resampler.flush(&mut line);
    Ok(line.into())
}

/// How their chats begin, the default's first. Who only echoes has none.
pub fn beginnings(personas: &[Arc<Persona>], default: &str) -> Vec<ChatRequest> {
    let mut talking: Vec<&Arc<Persona>> = personas.iter().filter(|persona| !persona.echo).collect();
    talking.sort_by_key(|persona| persona.name != default);
    talking.into_iter().map(|persona| persona.beginning()).collect()
}
