//! Is this a whole ggml Whisper model? Looked at before whisper.cpp sees it, whose loader trusts every length in the
//! file: a cut or foreign one can abort the process.
//!
//! The layout (all little-endian): magic, eleven hyperparameters, the mel filters, the vocabulary, then tensors to
//! the end of the file, each with its dimensions, type and name before its numbers.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};

/// `ggml` as a number.
const MAGIC: u32 = 0x6767_6d6c;
/// More than any Whisper has, in any of the header's counts.
const MOST: u32 = 1 << 20;

/// Why a file cannot be used as a Whisper model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhisperFault {
    #[error("there is no Whisper model at {}; {}", .path.display(), remedy(.path))]
    Missing { path: PathBuf },
    #[error("the Whisper model {} cannot be read: {why}", .path.display())]
    Unreadable { path: PathBuf, why: String },
    #[error("{} is no ggml Whisper model; {}", .path.display(), remedy(.path))]
    Foreign { path: PathBuf },
    #[error("the Whisper model {} is truncated: it ends after {bytes} bytes; {}", .path.display(), remedy(.path))]
    Truncated { path: PathBuf, bytes: u64 },
    #[error("whisper.cpp does not load {}: {why}; {}", .path.display(), remedy(.path))]
    Refused { path: PathBuf, why: String },
    #[error("the recogniser's thread cannot be started: {why}")]
    NoThread { why: String },
    #[error("Whisper knows no language {language}; use a code such as en, de or ja")]
    NoSuchLanguage { language: String },
}

/// The command that puts the file there, for the models that the manifest knows by these file names.
fn remedy(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let id = name.strip_prefix("ggml-").unwrap_or(&name);
    let id = id.strip_suffix(".bin").unwrap_or(id);
    format!("`duologue models fetch whisper-{id}` fetches it")
}

/// Reads through the file without loading it: milliseconds for any size.
pub(super) fn inspect(path: &Path) -> Result<(), WhisperFault> {
    let file = File::open(path).map_err(|fault| match fault.kind() {
        ErrorKind::NotFound => WhisperFault::Missing { path: path.to_owned() },
        _ => WhisperFault::Unreadable { path: path.to_owned(), why: fault.to_string() },
    })?;
    let unreadable = |why: std::io::Error| WhisperFault::Unreadable { path: path.to_owned(), why: why.to_string() };
    let bytes = file.metadata().map_err(unreadable)?.len();
    match walk(&mut BufReader::new(file), bytes) {
        Ok(()) => Ok(()),
        Err(Stop::Foreign) => Err(WhisperFault::Foreign { path: path.to_owned() }),
        Err(Stop::End) => Err(WhisperFault::Truncated { path: path.to_owned(), bytes }),
        Err(Stop::Fault(why)) => Err(unreadable(why)),
    }
}

enum Stop {
    Foreign,
    End,
    Fault(std::io::Error),
}

impl From<std::io::Error> for Stop {
    fn from(fault: std::io::Error) -> Self {
        if fault.kind() == ErrorKind::UnexpectedEof { Self::End } else { Self::Fault(fault) }
    }
}

fn walk(file: &mut (impl Read + Seek), bytes: u64) -> Result<(), Stop> {
    if number(file)? != MAGIC {
        return Err(Stop::Foreign);
    }
    let mut header = [0u32; 11];
    for value in &mut header {
        *value = count(file)?;
    }
    let [audio_layers, text_layers] = [header[4], header[8]];
    let filters = u64::from(count(file)?) * u64::from(count(file)?);
    skip(file, filters * 4, bytes)?;
    for _ in 0..count(file)? {
        let length = count(file)?;
        skip(file, length.into(), bytes)?;
    }
    // What whisper.cpp allocates: 11 tensors beside the blocks, 15 in a block of the encoder, 24 in one of the decoder.
    let tensors = 11 + 15 * audio_layers + 24 * text_layers;
    for _ in 0..tensors {
        let dimensions = count(file)?;
        let name = count(file)?;
        let kind = number(file)?;
        if dimensions > 4 {
            return Err(Stop::Foreign);
        }
        let mut numbers = 1u64;
        for _ in 0..dimensions {
            numbers = numbers.saturating_mul(count(file)?.into());
        }
        skip(file, name.into(), bytes)?;
        let Some((block, size)) = block_of(kind) else { return Err(Stop::Foreign) };
        skip(file, (numbers / block).saturating_mul(size), bytes)?;
    }
    Ok(())
}

/// Numbers in a block and its bytes, by ggml's type numbers.
fn block_of(kind: u32) -> Option<(u64, u64)> {
    Some(match kind {
        0 => (1, 4),
        1 => (1, 2),
        2 => (32, 18),
        3 => (32, 20),
        6 => (32, 22),
        7 => (32, 24),
        8 => (32, 34),
        10 => (256, 84),
        11 => (256, 110),
        12 => (256, 144),
        13 => (256, 176),
        14 => (256, 210),
        _ => return None,
    })
}

fn number(file: &mut impl Read) -> Result<u32, Stop> {
    let mut bytes = [0; 4];
    file.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn count(file: &mut impl Read) -> Result<u32, Stop> {
    let value = number(file)?;
    if value <= MOST { Ok(value) } else { Err(Stop::Foreign) }
}

fn skip(file: &mut impl Seek, by: u64, bytes: u64) -> Result<(), Stop> {
    let at = file.stream_position()?;
    if at.saturating_add(by) > bytes {
        return Err(Stop::End);
    }
    file.seek_relative(by as i64)?;
    Ok(())
}
