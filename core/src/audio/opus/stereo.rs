//! Two voices in one stream, for keeping: the caller left, the agent right.

use bytes::Bytes;

use super::{MAX_PACKET_BYTES, OpusError};
use crate::audio::{LINE_FRAME, LINE_RATE};

/// Bits per second of both voices together: each is as good as a call's own (24 kb/s), and an hour takes 20 MB.
pub const STEREO_BITRATE_BPS: i32 = 44_000;
/// 0..=10. A recording waits for nobody, but a server may keep a hundred at once: half of the CPU of 5 for speech that is
/// not told apart.
const COMPLEXITY: i32 = 2;

/// One stereo stream: 48 kHz, 20 ms a packet.
pub struct StereoEncoder {
    inner: opus::Encoder,
    frame: Vec<f32>,
    packet: Vec<u8>,
}

impl StereoEncoder {
    /// # Errors
    /// When libopus cannot make an encoder.
    pub fn new() -> Result<Self, OpusError> {
        let refused = |error: opus::Error| OpusError::Settings(error.to_string());
        let mut inner =
            opus::Encoder::new(LINE_RATE, opus::Channels::Stereo, opus::Application::Audio).map_err(refused)?;
        inner.set_bitrate(opus::Bitrate::Bits(STEREO_BITRATE_BPS)).map_err(refused)?;
        inner.set_complexity(COMPLEXITY).map_err(refused)?;
        Ok(Self { inner, frame: vec![0.0; 2 * LINE_FRAME], packet: vec![0; 2 * MAX_PACKET_BYTES] })
    }

    /// Samples at 48 kHz by which what is decoded lags behind what went in: a file's pre-skip (RFC 7845, section 4.2).
    pub fn pre_skip(&mut self) -> u16 {
        // The one failure that libopus names for this request is an unknown request; 6.5 ms is its answer for `Audio`.
        self.inner.get_lookahead().ok().and_then(|samples| u16::try_from(samples).ok()).unwrap_or(312)
    }

    /// Encodes one tick of both sides; samples that are no number are silence.
    ///
    /// # Errors
    /// When libopus refuses the frame.
    pub fn encode(&mut self, left: &[f32; LINE_FRAME], right: &[f32; LINE_FRAME]) -> Result<Bytes, OpusError> {
        let clean = |sample: f32| if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 };
        for ((slot, left), right) in self.frame.chunks_exact_mut(2).zip(left).zip(right) {
            slot.copy_from_slice(&[clean(*left), clean(*right)]);
        }
        let length = self
            .inner
            .encode_float(&self.frame, &mut self.packet)
            .map_err(|error| OpusError::Encode(error.to_string()))?;
        Ok(Bytes::copy_from_slice(&self.packet[..length]))
    }
}

/// Reads what [`StereoEncoder`] wrote.
pub struct StereoDecoder {
    inner: opus::Decoder,
    frame: Vec<f32>,
}

impl StereoDecoder {
    /// # Errors
    /// When libopus gives no decoder: it is out of memory.
    pub fn new() -> Result<Self, OpusError> {
        let inner = opus::Decoder::new(LINE_RATE, opus::Channels::Stereo).map_err(|_| OpusError::Rate(LINE_RATE))?;
        // The longest packet: 120 ms.
        Ok(Self { inner, frame: vec![0.0; 2 * 6 * LINE_FRAME] })
    }

    /// Decodes a packet and appends its two sides; one that is no Opus appends nothing and gives false.
    pub fn decode(&mut self, packet: &[u8], left: &mut Vec<f32>, right: &mut Vec<f32>) -> bool {
        let Ok(samples) = self.inner.decode_float(packet, &mut self.frame, false) else { return false };
        for pair in self.frame[..2 * samples].chunks_exact(2) {
            left.push(pair[0]);
            right.push(pair[1]);
        }
        true
    }
}
