//! What a line speaks: Opus, or one of the telephone's own codecs. One decoder and one encoder for all of them, so that
//! everything above hears 16 kHz and says 48 kHz, whoever is at the other end.
//!
//! G.711 and G.722 conceal nothing by themselves: that is [`conceal::Concealer`]'s. They are resampled by
//! [`Resampler::live`], which costs 10 ms each way at 8 kHz and leaves no mirror image above the telephone's band.

mod conceal;

use std::time::Duration;

use audio_codec::g722::{G722Decoder, G722Encoder};
use audio_codec::pcma::{PcmaDecoder, PcmaEncoder};
use audio_codec::pcmu::{PcmuDecoder, PcmuEncoder};
use audio_codec::{Decoder, Encoder, Sample};
use bytes::Bytes;

use super::opus::{self, OpusDecoder, OpusEncoder, OpusError, OpusSettings, Origin};
use super::resample::{Resampler, UnsupportedRates};
use super::{HEAR_RATE, LINE_FRAME, LINE_RATE};
use conceal::Concealer;

/// The longest packet that is taken, in ticks of 48 kHz: 120 ms, as Opus has it.
const LONGEST_TICKS: u32 = 5_760;
/// What one lost packet takes in time when nothing else is known.
const USUAL_PACKET: Duration = Duration::from_millis(20);

/// A codec, as two sides agree on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum LineCodec {
    #[default]
    Opus,
    /// G.711 mu-law (RFC 3551, section 4.5.14).
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722 at 64 kb/s: sound up to 7 kHz.
    G722,
    /// Plain samples of 16 bits, most significant byte first (RFC 3551, section 4.5.11).
    L16(L16Rate),
}

/// The rates at which plain samples are taken: those with a whole number of 48 kHz ticks a sample, and of samples in a
/// tick of 20 ms after resampling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum L16Rate {
    Hz8000,
    Hz16000,
    Hz24000,
    Hz48000,
}

impl L16Rate {
    /// `None`: at this rate nothing is taken; resample first.
    pub const fn of(rate_hz: u32) -> Option<Self> {
        match rate_hz {
            8_000 => Some(Self::Hz8000),
            16_000 => Some(Self::Hz16000),
            24_000 => Some(Self::Hz24000),
            48_000 => Some(Self::Hz48000),
            _ => None,
        }
    }

    pub const fn hz(self) -> u32 {
        match self {
            Self::Hz8000 => 8_000,
            Self::Hz16000 => 16_000,
            Self::Hz24000 => 24_000,
            Self::Hz48000 => 48_000,
        }
    }
}

impl LineCodec {
    /// The RTP clock. G.722's is 8 kHz, though it has 16,000 samples a second: a mistake of RFC 1890 that RFC 3551, section
    /// 4.5.2, keeps for the sake of those who had built it.
    pub const fn clock_hz(self) -> u32 {
        match self {
            Self::Opus => LINE_RATE,
            Self::Pcmu | Self::Pcma | Self::G722 => 8_000,
            Self::L16(rate) => rate.hz(),
        }
    }

    /// Samples a second of the sound itself.
    pub const fn sample_rate_hz(self) -> u32 {
        match self {
            Self::Opus => LINE_RATE,
            Self::Pcmu | Self::Pcma => 8_000,
            Self::G722 => 16_000,
            Self::L16(rate) => rate.hz(),
        }
    }

    /// 48 kHz ticks in one tick of the codec's RTP clock: a whole number, so that a timestamp times this wraps where the
    /// timestamp wraps.
    pub const fn line_ticks(self) -> u32 {
        LINE_RATE / self.clock_hz()
    }

    /// By how much the RTP timestamp rises in 20 ms.
    pub const fn tick_clocks(self) -> u32 {
        self.clock_hz() / 50
    }

    /// A packet's duration in ticks of 48 kHz; `None` when it is none of this codec.
    pub fn packet_ticks(self, payload: &[u8]) -> Option<u32> {
        let clocks = match self {
            Self::Opus => return opus::packet_samples(payload),
            // An octet is a sample, or the two of G.722 in one tick of its clock.
            Self::Pcmu | Self::Pcma | Self::G722 => payload.len() as u64,
            Self::L16(_) if payload.len() % 2 == 1 => return None,
            Self::L16(_) => payload.len() as u64 / 2,
        };
        let ticks = clocks * u64::from(self.line_ticks());
        (1..=u64::from(LONGEST_TICKS)).contains(&ticks).then_some(ticks as u32)
    }

    /// True for a packet that says "nothing to hear from here on".
    pub fn is_silence(self, payload: &[u8]) -> bool {
        self == Self::Opus && opus::is_silence(payload)
    }

    /// True where the packet carries a copy of the one before it.
    pub fn has_redundancy(self, payload: &[u8]) -> bool {
        self == Self::Opus && opus::has_redundancy(payload)
    }

    /// Bits a second of what is sent; `None` for Opus, which is told its own.
    pub const fn bitrate_bps(self) -> Option<u32> {
        match self {
            Self::Opus => None,
            Self::Pcmu | Self::Pcma | Self::G722 => Some(64_000),
            Self::L16(rate) => Some(rate.hz() * 16),
        }
    }

    /// As SDP names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::L16(_) => "L16",
        }
    }
}

/// Why a codec could not be made or an encoder gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    #[error(transparent)]
    Opus(#[from] OpusError),
    #[error(transparent)]
    Rates(#[from] UnsupportedRates),
    #[error("{0} did not encode a frame")]
    Encode(&'static str),
}

/// One incoming stream, as sound at 16 kHz. Feed it in order, and tell it of every loss.
pub enum LineDecoder {
    Opus(OpusDecoder),
    Plain(Box<PlainDecoder>),
}

impl LineDecoder {
    /// # Errors
    /// When libopus gives no decoder: it is out of memory.
    pub fn new(codec: LineCodec) -> Result<Self, CodecError> {
        Ok(match codec {
            LineCodec::Opus => Self::Opus(OpusDecoder::new(HEAR_RATE)?),
            plain => Self::Plain(Box::new(PlainDecoder::new(plain)?)),
        })
    }

    /// Decodes a packet and appends its sound to `out`. One that makes no sense is counted and concealed. (At 8 kHz sound
    /// comes out in pieces of 20 ms: of two packets of 10 ms the second brings both.)
    pub fn decode(&mut self, payload: &[u8], out: &mut Vec<f32>) -> Origin {
        match self {
            Self::Opus(opus) => opus.decode(payload, out),
            Self::Plain(plain) => plain.decode(payload, out),
        }
    }

    /// Restores a lost packet from the redundancy in the one after it, where there is any; conceals it otherwise.
    pub fn recover(&mut self, next: &[u8], lost: Duration, out: &mut Vec<f32>) -> Origin {
        match self {
            Self::Opus(opus) => opus.recover(next, lost, out),
            Self::Plain(plain) => plain.conceal(lost, out),
        }
    }

    /// Makes up for a lost stretch; it fades to nothing within some 60 ms in a row.
    pub fn conceal(&mut self, lost: Duration, out: &mut Vec<f32>) -> Origin {
        match self {
            Self::Opus(opus) => opus.conceal(lost, out),
            Self::Plain(plain) => plain.conceal(lost, out),
        }
    }

    /// Packets so far that made no sense.
    pub const fn malformed(&self) -> u64 {
        match self {
            Self::Opus(opus) => opus.malformed(),
            Self::Plain(plain) => plain.malformed,
        }
    }

    /// Forgets the stream: for a new sender on the same line.
    pub fn reset(&mut self) {
        match self {
            Self::Opus(opus) => opus.reset(),
            Self::Plain(plain) => plain.reset(),
        }
    }
}

/// A codec without state of its own about loss.
pub struct PlainDecoder {
    codec: LineCodec,
    g722: G722Decoder,
    concealer: Concealer,
    resampler: Resampler,
    /// One packet, at the codec's own rate.
    samples: Vec<f32>,
    pcm: Vec<Sample>,
    malformed: u64,
}

impl PlainDecoder {
    fn new(codec: LineCodec) -> Result<Self, CodecError> {
        let rate_hz = codec.sample_rate_hz();
        Ok(Self {
            codec,
            g722: G722Decoder::new(),
            concealer: Concealer::new(rate_hz),
            resampler: Resampler::live(rate_hz, HEAR_RATE)?,
            samples: Vec::new(),
            pcm: Vec::new(),
            malformed: 0,
        })
    }

    fn decode(&mut self, payload: &[u8], out: &mut Vec<f32>) -> Origin {
        if self.codec.packet_ticks(payload).is_none() || self.expand(payload).is_none() {
            self.malformed += 1;
            return self.conceal(USUAL_PACKET, out);
        }
        self.samples.clear();
        self.samples.extend(self.pcm.iter().map(|sample| f32::from(*sample) / 32_768.0));
        self.concealer.good(&mut self.samples);
        self.resampler.push(&self.samples, out);
        Origin::Packet
    }

    /// The payload's samples, into `pcm`.
    fn expand(&mut self, payload: &[u8]) -> Option<()> {
        // Two samples an octet at most.
        self.pcm.resize(payload.len() * 2, 0);
        let out = &mut self.pcm[..];
        let written = match self.codec {
            LineCodec::Pcmu => PcmuDecoder::new().decode_into(payload, out).ok()?,
            LineCodec::Pcma => PcmaDecoder::new().decode_into(payload, out).ok()?,
            LineCodec::G722 => self.g722.decode_into(payload, out).ok()?,
            LineCodec::L16(_) => {
                for (sample, octets) in out.iter_mut().zip(payload.chunks_exact(2)) {
                    *sample = i16::from_be_bytes([octets[0], octets[1]]);
                }
                payload.len() / 2
            }
            LineCodec::Opus => return None,
        };
        self.pcm.truncate(written);
        (written > 0).then_some(())
    }

    fn conceal(&mut self, lost: Duration, out: &mut Vec<f32>) -> Origin {
        let lost = lost.min(Duration::from_millis(120));
        let wanted = lost.as_micros() as u64 * u64::from(self.codec.sample_rate_hz()) / 1_000_000;
        self.samples.clear();
        self.concealer.fill(wanted as usize, &mut self.samples);
        self.resampler.push(&self.samples, out);
        Origin::Concealed
    }

    fn reset(&mut self) {
        self.g722 = G722Decoder::new();
        self.concealer = Concealer::new(self.codec.sample_rate_hz());
        // What the resampler holds is the old stream's.
        self.resampler.flush(&mut Vec::new());
    }
}

/// One outgoing stream: 48 kHz mono in, 20 ms a packet.
pub enum LineEncoder {
    Opus(Box<OpusEncoder>),
    Plain(Box<PlainEncoder>),
}

/// See [`LineEncoder`].
pub struct PlainEncoder {
    codec: LineCodec,
    g722: G722Encoder,
    resampler: Resampler,
    samples: Vec<f32>,
    pcm: Vec<Sample>,
    packet: Vec<u8>,
}

impl LineEncoder {
    /// `settings` are Opus's.
    ///
    /// # Errors
    /// When libopus cannot make an encoder.
    pub fn new(codec: LineCodec, settings: OpusSettings) -> Result<Self, CodecError> {
        Ok(match codec {
            LineCodec::Opus => Self::Opus(Box::new(OpusEncoder::new(settings)?)),
            codec => Self::Plain(Box::new(PlainEncoder {
                codec,
                g722: G722Encoder::new(),
                resampler: Resampler::live(LINE_RATE, codec.sample_rate_hz())?,
                samples: Vec::new(),
                pcm: Vec::new(),
                packet: Vec::new(),
            })),
        })
    }

    /// Other settings of Opus from the next frame on; the others have none.
    ///
    /// # Errors
    /// When a setting is out of its range.
    pub fn tune(&mut self, settings: OpusSettings) -> Result<(), CodecError> {
        match self {
            Self::Opus(opus) => Ok(opus.tune(settings)?),
            Self::Plain(_) => Ok(()),
        }
    }

    /// Encodes 20 ms into one packet. Samples that are no numbers are silence, those out of range are clipped.
    ///
    /// # Errors
    /// When the codec gives no packet; the caller then sends none in this tick.
    pub fn encode(&mut self, frame: &[f32; LINE_FRAME]) -> Result<Bytes, CodecError> {
        match self {
            Self::Opus(opus) => Ok(opus.encode(frame)?),
            Self::Plain(plain) => plain.encode(frame),
        }
    }
}

impl PlainEncoder {
    fn encode(&mut self, frame: &[f32; LINE_FRAME]) -> Result<Bytes, CodecError> {
        let refused = |_| CodecError::Encode(self.codec.name());
        self.samples.clear();
        let clean = frame.map(|sample| if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 });
        self.resampler.push(&clean, &mut self.samples);
        self.pcm.clear();
        self.pcm
            .extend(self.samples.iter().map(|sample| (sample * 32_767.0).round().clamp(-32_768.0, 32_767.0) as i16));
        self.packet.resize(self.pcm.len() * 2 + 1, 0);
        let octets = match self.codec {
            LineCodec::Pcmu => PcmuEncoder::new().encode_into(&self.pcm, &mut self.packet).map_err(refused)?,
            LineCodec::Pcma => PcmaEncoder::new().encode_into(&self.pcm, &mut self.packet).map_err(refused)?,
            LineCodec::G722 => self.g722.encode_into(&self.pcm, &mut self.packet).map_err(refused)?,
            LineCodec::L16(_) => {
                for (octets, sample) in self.packet.chunks_exact_mut(2).zip(&self.pcm) {
                    octets.copy_from_slice(&sample.to_be_bytes());
                }
                self.pcm.len() * 2
            }
            LineCodec::Opus => 0,
        };
        if octets == 0 {
            return Err(CodecError::Encode(self.codec.name()));
        }
        Ok(Bytes::copy_from_slice(&self.packet[..octets]))
    }
}

#[cfg(test)]
mod tests;
