//! Ring 0: sound as numbers. Mono `f32` in -1.0..=1.0 throughout; two rates, named here.

pub mod codec;
pub mod comfort;
pub mod echo;
pub mod level;
pub mod log_mel;
pub mod opus;
pub mod resample;
#[cfg(test)]
pub(crate) mod score;
pub mod stretch;
pub mod tone;
pub mod vad;
pub mod wav;

/// What the models hear: 16 kHz mono.
pub const HEAR_RATE: u32 = 16_000;
/// What goes over the line: 48 kHz mono, the RTP clock of Opus (RFC 7587).
pub const LINE_RATE: u32 = 48_000;
/// Samples of one 20 ms tick at [`HEAR_RATE`].
pub const HEAR_FRAME: usize = 320;
/// Samples of one 20 ms tick at [`LINE_RATE`].
pub const LINE_FRAME: usize = 960;
