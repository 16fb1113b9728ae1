//! Opus (RFC 6716), mono: packets to samples, with loss made good, and samples to packets.
//!
//! Nothing that arrives can stop the decoder: a packet that makes no sense is counted and concealed like a lost one.

mod stereo;

use std::time::Duration;

use bytes::Bytes;

use super::{LINE_FRAME, LINE_RATE};

pub use stereo::{STEREO_BITRATE_BPS, StereoDecoder, StereoEncoder};

/// The largest Opus frame (RFC 6716, section 3.2.1); a 20 ms packet holds one frame.
pub const MAX_PACKET_BYTES: usize = 1275;

/// What one lost packet takes in time when nothing else is known.
const USUAL_PACKET: Duration = Duration::from_millis(20);
/// The longest packet and the longest stretch that libopus conceals at once (RFC 6716, section 2.1.4).
const LONGEST_PACKET: Duration = Duration::from_millis(120);
/// Concealment comes in steps of the shortest Opus frame.
const STEP_US: u128 = 2_500;

/// Why a codec could not be made or an encoder gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpusError {
    #[error("Opus does not run at {0} Hz: use 8000, 12000, 16000, 24000 or 48000")]
    Rate(u32),
    #[error("Opus refused its settings: {0}; the bitrate is 6000 to 510000 b/s, complexity 0 to 10, loss 0 to 100 %")]
    Settings(String),
    #[error("Opus did not encode a frame: {0}")]
    Encode(String),
}

/// Where a stretch of decoded sound came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The packet itself.
    Packet,
    /// The redundancy that the next packet carries, or concealment where it carries none: libopus does not say which.
    Redundancy,
    /// Made up from what was heard before.
    Concealed,
}

/// The duration of a packet in samples at 48 kHz (RFC 7587's clock); `None` when it is no Opus packet.
pub fn packet_samples(payload: &[u8]) -> Option<u32> {
    if payload.is_empty() {
        return None;
    }
    let samples = opus::packet::get_nb_samples(payload, LINE_RATE).ok()?;
    (samples > 0).then_some(samples as u32)
}

/// True for a packet that says "nothing to hear from here on" (discontinuous transmission): a table of contents and at
/// most one more byte.
pub fn is_silence(payload: &[u8]) -> bool {
    (1..=2).contains(&payload.len())
}

/// True where the packet carries a coarse copy of the one before it (in-band FEC, RFC 6716, section 2.1.7): without it a
/// lost packet can only be concealed. Read from the flags at the front of the first SILK frame (section 4.2.3).
pub fn has_redundancy(payload: &[u8]) -> bool {
    let Some(&toc) = payload.first() else { return false };
    let Some(&flags) = first_frame(payload).and_then(|at| payload.get(at)) else { return false };
    // SILK frames in one Opus frame: each is 20 ms, or the only one is 10 ms.
    let frames = match toc >> 3 {
        config @ 0..=11 => [1, 1, 2, 3][usize::from(config & 3)],
        12..=15 => 1,
        _ => return false,
    };
    // For each channel: a flag a frame for voice activity, then the one for redundancy.
    let middle = flags >> (7 - frames) & 1 == 1;
    let side = toc & 4 != 0 && flags >> (6 - 2 * frames) & 1 == 1;
    packet_samples(payload).is_some() && (middle || side)
}

/// Where the first frame begins (RFC 6716, section 3.2).
fn first_frame(payload: &[u8]) -> Option<usize> {
    let length_at = |at: usize| payload.get(at).map(|first| if *first < 252 { 1 } else { 2 });
    match payload.first()? & 3 {
        0 | 1 => Some(1),
        2 => Some(1 + length_at(1)?),
        _ => {
            let count = payload.get(1)?;
            let mut at = 2;
            if count & 0x40 != 0 {
                while *payload.get(at)? == 255 {
                    at += 1;
                }
                at += 1;
            }
            if count & 0x80 != 0 {
                for _ in 1..count & 0x3f {
                    at += length_at(at)?;
                }
            }
            Some(at)
        }
    }
}

/// One incoming stream. Its state runs on from packet to packet: feed it in order, and tell it of every loss.
pub struct OpusDecoder {
    inner: opus::Decoder,
    rate_hz: u32,
    malformed: u64,
}

impl OpusDecoder {
    /// A decoder that yields mono at `rate_hz`, whatever the sender's rate and channels.
    ///
    /// # Errors
    /// When Opus has no such rate.
    pub fn new(rate_hz: u32) -> Result<Self, OpusError> {
        let inner = opus::Decoder::new(rate_hz, opus::Channels::Mono).map_err(|_| OpusError::Rate(rate_hz))?;
        Ok(Self { inner, rate_hz, malformed: 0 })
    }

    /// Decodes a packet and appends its sound to `out`: 20 ms, unless the packet carries another duration (2.5 to
    /// 120 ms). A malformed packet is counted and concealed.
    pub fn decode(&mut self, payload: &[u8], out: &mut Vec<f32>) -> Origin {
        let Some(samples) = packet_samples(payload) else {
            self.malformed += 1;
            return self.conceal(USUAL_PACKET, out);
        };
        let wanted = (u64::from(samples) * u64::from(self.rate_hz) / u64::from(LINE_RATE)) as usize;
        match self.append(payload, wanted, false, out) {
            Ok(()) => Origin::Packet,
            Err(()) => {
                self.malformed += 1;
                self.conceal(Duration::from_micros(u64::from(samples) * 1_000_000 / u64::from(LINE_RATE)), out)
            }
        }
    }

    /// Restores a lost packet of length `lost` from the redundancy (in-band FEC) in the packet after it, and appends it
    /// to `out`. Where there is no redundancy it is concealed. Decode `next` itself afterwards.
    pub fn recover(&mut self, next: &[u8], lost: Duration, out: &mut Vec<f32>) -> Origin {
        let wanted = self.samples_of(lost);
        if packet_samples(next).is_none() || self.append(next, wanted, true, out).is_err() {
            return self.conceal(lost, out);
        }
        Origin::Redundancy
    }

    /// Makes up for a lost stretch of length `lost` (20 ms for a usual packet; at most 120 ms, in steps of 2.5 ms) and
    /// appends it to `out`. After some 60 ms in a row libopus fades it to silence.
    pub fn conceal(&mut self, lost: Duration, out: &mut Vec<f32>) -> Origin {
        let wanted = self.samples_of(lost);
        if self.append(&[], wanted, false, out).is_err() {
            // libopus conceals any whole step; should it ever refuse, the time must pass all the same.
            out.resize(out.len() + wanted, 0.0);
        }
        Origin::Concealed
    }

    /// Packets so far that were no Opus.
    pub const fn malformed(&self) -> u64 {
        self.malformed
    }

    /// Samples per second of what comes out.
    pub const fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// Forgets the stream: for a new sender on the same line.
    pub fn reset(&mut self) {
        // The only failure that libopus names for this request is an unknown request.
        let _ = self.inner.reset_state();
    }

    fn samples_of(&self, stretch: Duration) -> usize {
        let steps = stretch.clamp(Duration::from_micros(STEP_US as u64), LONGEST_PACKET).as_micros().div_ceil(STEP_US);
        (steps * STEP_US * u128::from(self.rate_hz) / 1_000_000) as usize
    }

    /// Leaves `out` as it was when libopus refuses.
    fn append(&mut self, payload: &[u8], wanted: usize, fec: bool, out: &mut Vec<f32>) -> Result<(), ()> {
        let from = out.len();
        out.resize(from + wanted, 0.0);
        match self.inner.decode_float(payload, &mut out[from..], fec) {
            Ok(samples) if samples == wanted => Ok(()),
            _ => {
                out.truncate(from);
                Err(())
            }
        }
    }
}

/// How the agent's voice is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusSettings {
    /// Bits per second, 6,000..=510,000. Speech at 48 kHz is good at 24,000 and hardly gains above 32,000.
    pub bitrate_bps: u32,
    /// 0..=10. Five costs three quarters of ten (139 against 178 µs a frame) and is not told apart on speech.
    pub complexity: u8,
    /// In-band FEC: each packet carries a coarse copy of the one before it.
    pub fec: bool,
    /// Loss that the encoder is to expect, 0..=100 %; FEC spends bits only when this is above zero.
    pub expected_loss_percent: u8,
    /// What is sent of the sound.
    pub width: Width,
}

/// How much of the audible band is encoded. At 24 to 32 kb/s a narrower band is a better one: the bits go where the voice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// Up to 8 kHz: all that a voice needs.
    Wide,
    /// Up to 20 kHz.
    Full,
}

impl Default for OpusSettings {
    fn default() -> Self {
        Self { bitrate_bps: 28_000, complexity: 5, fec: true, expected_loss_percent: 10, width: Width::Full }
    }
}

/// One outgoing stream: 48 kHz mono, 20 ms a packet.
pub struct OpusEncoder {
    inner: opus::Encoder,
    /// The frame as it is handed to libopus, which must never see a number that is none.
    clean: [f32; LINE_FRAME],
    packet: [u8; MAX_PACKET_BYTES],
}

impl OpusEncoder {
    /// # Errors
    /// When a setting is out of its range.
    pub fn new(settings: OpusSettings) -> Result<Self, OpusError> {
        let refused = |error: opus::Error| OpusError::Settings(error.to_string());
        let mut inner =
            opus::Encoder::new(LINE_RATE, opus::Channels::Mono, opus::Application::Voip).map_err(refused)?;
        // Left to itself the encoder takes held vowels for music and changes to a mode that has no in-band FEC.
        inner.set_signal(opus::Signal::Voice).map_err(refused)?;
        inner.set_dtx(false).map_err(refused)?;
        let mut encoder = Self { inner, clean: [0.0; LINE_FRAME], packet: [0; MAX_PACKET_BYTES] };
        encoder.tune(settings)?;
        Ok(encoder)
    }

    /// Other settings from the next frame on; the stream goes on without a seam.
    ///
    /// # Errors
    /// When a setting is out of its range; those before it in [`OpusSettings`] are in force then.
    pub fn tune(&mut self, settings: OpusSettings) -> Result<(), OpusError> {
        let refused = |error: opus::Error| OpusError::Settings(error.to_string());
        // libopus clamps a bitrate instead of refusing it; a wrong one is told here.
        if !(6_000..=510_000).contains(&settings.bitrate_bps) {
            return Err(OpusError::Settings(format!("bitrate {}", settings.bitrate_bps)));
        }
        let inner = &mut self.inner;
        inner.set_bitrate(opus::Bitrate::Bits(settings.bitrate_bps as i32)).map_err(refused)?;
        inner.set_complexity(i32::from(settings.complexity)).map_err(refused)?;
        inner.set_inband_fec(settings.fec).map_err(refused)?;
        inner.set_packet_loss_perc(i32::from(settings.expected_loss_percent)).map_err(refused)?;
        let widest = match settings.width {
            Width::Wide => opus::Bandwidth::Wideband,
            Width::Full => opus::Bandwidth::Fullband,
        };
        inner.set_max_bandwidth(widest).map_err(refused)
    }

    /// Encodes 20 ms into one packet of at most [`MAX_PACKET_BYTES`]. Samples outside -1.0..=1.0 are clipped and those
    /// that are no numbers are silence.
    ///
    /// # Errors
    /// When libopus gives no packet; the caller then sends none in this tick.
    pub fn encode(&mut self, frame: &[f32; LINE_FRAME]) -> Result<Bytes, OpusError> {
        for (clean, &sample) in self.clean.iter_mut().zip(frame) {
            *clean = if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 };
        }
        let bytes = self
            .inner
            .encode_float(&self.clean, &mut self.packet)
            .map_err(|error| OpusError::Encode(error.to_string()))?;
        Ok(Bytes::copy_from_slice(&self.packet[..bytes]))
    }
}

#[cfg(test)]
mod tests;
