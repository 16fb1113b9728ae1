//! Is somebody speaking? Every 32 ms of 16 kHz audio gets a probability.
//!
//! Two detectors: [`SileroVad`], the neural one that calls use, and [`EnergyVad`], which needs no model file. Neither
//! decides where an utterance begins or ends: the segmenter does, from these numbers.

mod energy;
mod onnx;
mod silero;

pub use energy::EnergyVad;
pub use silero::{SileroVad, SileroWeights};

/// Samples of one frame: 32 ms at 16 kHz, the only length that Silero VAD was trained for at this rate.
pub const VAD_FRAME: usize = 512;

/// A voice activity detector for one stream of audio. Frames are consecutive; each detector keeps what it needs of
/// the past.
pub trait Vad: Send {
    /// The probability, 0.0..=1.0, that the frame (16 kHz mono, -1.0..=1.0) holds speech.
    fn probability(&mut self, frame: &[f32; VAD_FRAME]) -> f32;

    /// Forgets the past: the next frame belongs to another stream, or comes after a gap.
    fn reset(&mut self);
}

/// Why a model file is not the Silero VAD.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VadFault {
    #[error("the file ends or goes astray at byte {at}: it is truncated or no ONNX file")]
    Malformed { at: usize },
    #[error("the file has no tensor {name}: it is no Silero VAD for 16 kHz")]
    Missing { name: &'static str },
    #[error("tensor {name} has {found} numbers instead of {wanted}: another version of Silero VAD?")]
    Shape { name: &'static str, wanted: usize, found: usize },
}
