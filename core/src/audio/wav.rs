//! WAV in and out: any PCM that people have in, 16 bit out. Bytes only; files are ring 3's.

use std::io::{Read, Seek, Write};
use std::time::Duration;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

/// Why a WAV could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum WavError {
    #[error("not a PCM WAV file ({0}); convert it with: ffmpeg -i INPUT -c:a pcm_s16le OUTPUT.wav")]
    Format(String),
    #[error("the WAV stream failed: {0}")]
    Io(#[from] std::io::Error),
}

/// For reading, where the bytes are all there: what hound calls an IO error is a header that ends too soon.
fn misread(error: hound::Error) -> WavError {
    WavError::Format(error.to_string())
}

/// For writing.
fn unwritten(error: hound::Error) -> WavError {
    match error {
        hound::Error::IoError(error) => WavError::Io(error),
        // A rate or length that the header has no room for.
        other => WavError::Io(std::io::Error::other(other)),
    }
}

/// A sound that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Sound {
    /// Samples per second of each side.
    pub rate_hz: u32,
    /// The only side of a mono sound.
    pub left: Vec<f32>,
    /// As long as `left`; `None` for mono.
    pub right: Option<Vec<f32>>,
}

impl Sound {
    /// Both sides mixed to one, at half the level each.
    pub fn into_mono(self) -> Vec<f32> {
        match self.right {
            None => self.left,
            Some(right) => self.left.iter().zip(&right).map(|(l, r)| (l + r) / 2.0).collect(),
        }
    }

    /// How long it lasts.
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.left.len() as f64 / f64::from(self.rate_hz.max(1)))
    }
}

/// Reads a WAV of 8, 16, 24 or 32 bit integers or 32 bit floats, in any number of channels: one is mono, two are stereo,
/// more are mixed to mono. A file that was cut short yields what is there.
///
/// # Errors
/// When it is no WAV, or one that is not PCM, or the stream fails.
pub fn read(mut from: impl Read) -> Result<Sound, WavError> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes)?;
    let mut reader = WavReader::new(&bytes[..]).map_err(misread)?;
    let spec = reader.spec();
    let channels = usize::from(spec.channels);
    let interleaved = match spec.sample_format {
        SampleFormat::Float => collect(reader.samples::<f32>())?,
        SampleFormat::Int => {
            let full_scale = (1_u64 << (spec.bits_per_sample - 1)) as f32;
            collect(reader.samples::<i32>().map(|sample| sample.map(|value| value as f32 / full_scale)))?
        }
    };
    let side = |n: usize| interleaved.chunks_exact(channels).map(|frame| frame[n]).collect();
    let (left, right) = match channels {
        1 => (interleaved, None),
        2 => (side(0), Some(side(1))),
        _ => (interleaved.chunks_exact(channels).map(|f| f.iter().sum::<f32>() / channels as f32).collect(), None),
    };
    Ok(Sound { rate_hz: spec.sample_rate, left, right })
}

/// All samples, up to the end of the bytes where that comes before the end that the header promises.
fn collect(samples: impl Iterator<Item = hound::Result<f32>>) -> Result<Vec<f32>, WavError> {
    let mut all = Vec::new();
    for sample in samples {
        match sample {
            Ok(value) => all.push(if value.is_finite() { value } else { 0.0 }),
            Err(hound::Error::IoError(_)) => break,
            Err(error) => return Err(misread(error)),
        }
    }
    Ok(all)
}

/// Writes 16-bit mono; samples outside -1.0..=1.0 are clipped.
///
/// # Errors
/// When the stream fails.
pub fn write_mono(to: impl Write + Seek, rate_hz: u32, samples: &[f32]) -> Result<(), WavError> {
    let mut writer = writer(to, rate_hz, 1)?;
    for &sample in samples {
        writer.write_sample(to_i16(sample)).map_err(unwritten)?;
    }
    writer.finalize().map_err(unwritten)
}

/// Writes 16-bit stereo; the shorter side is filled up with silence.
///
/// # Errors
/// When the stream fails.
pub fn write_stereo(to: impl Write + Seek, rate_hz: u32, left: &[f32], right: &[f32]) -> Result<(), WavError> {
    let mut writer = writer(to, rate_hz, 2)?;
    for n in 0..left.len().max(right.len()) {
        for side in [left, right] {
            let sample = side.get(n).copied().unwrap_or(0.0);
            writer.write_sample(to_i16(sample)).map_err(unwritten)?;
        }
    }
    writer.finalize().map_err(unwritten)
}

fn writer<W: Write + Seek>(to: W, rate_hz: u32, channels: u16) -> Result<WavWriter<W>, WavError> {
    let spec = WavSpec { channels, sample_rate: rate_hz, bits_per_sample: 16, sample_format: SampleFormat::Int };
    WavWriter::new(to, spec).map_err(unwritten)
}

/// The nearest 16-bit value; a NaN becomes zero, as every float cast does.
fn to_i16(sample: f32) -> i16 {
    (sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16
}

#[cfg(test)]
mod tests;
