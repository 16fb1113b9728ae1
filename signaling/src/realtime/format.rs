//! What sound is in: samples of 16 bits at 24 kHz, or the telephone's G.711 at 8 kHz. Both sides of a session speak the same.

use serde_json::{Value, json};

/// Samples up to this are silence: a resampler rounds.
const SILENCE: u16 = 4;

/// A format of the GA protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `audio/pcm`: 16 bits, least significant byte first, at 24 kHz.
    #[default]
    Pcm,
    /// `audio/pcmu`: G.711 mu-law at 8 kHz.
    Pcmu,
    /// `audio/pcma`: G.711 A-law at 8 kHz.
    Pcma,
}

impl Format {
    /// As `audio.input.format` has it. `None`: not spoken here, or at another rate than the protocol knows.
    pub(super) fn read(format: &Value) -> Option<Self> {
        let this = match format.get("type").and_then(Value::as_str)? {
            "audio/pcm" => Self::Pcm,
            "audio/pcmu" => Self::Pcmu,
            "audio/pcma" => Self::Pcma,
            _ => return None,
        };
        let rate = format.get("rate").filter(|rate| !rate.is_null());
        rate.is_none_or(|rate| rate.as_u64() == Some(this.rate_hz().into())).then_some(this)
    }

    /// As events show it: only PCM names its rate.
    pub(super) fn shown(self) -> Value {
        match self {
            Self::Pcm => json!({"type": "audio/pcm", "rate": self.rate_hz()}),
            Self::Pcmu => json!({"type": "audio/pcmu"}),
            Self::Pcma => json!({"type": "audio/pcma"}),
        }
    }

    /// Samples a second.
    pub const fn rate_hz(self) -> u32 {
        match self {
            Self::Pcm => super::PCM_RATE_HZ,
            Self::Pcmu | Self::Pcma => 8_000,
        }
    }

    /// Bytes of one sample.
    pub const fn sample_bytes(self) -> usize {
        match self {
            Self::Pcm => 2,
            Self::Pcmu | Self::Pcma => 1,
        }
    }

    /// How long so much sound is, milliseconds.
    pub(super) const fn ms(self, bytes: usize) -> u64 {
        (bytes * 1_000 / (self.rate_hz() as usize * self.sample_bytes())) as u64
    }

    /// Whether nothing is to be heard in this: the smallest steps of G.711 around zero are silence, too.
    pub(super) fn is_quiet(self, sound: &[u8]) -> bool {
        match self {
            Self::Pcm => {
                sound.chunks_exact(2).all(|pair| i16::from_le_bytes([pair[0], pair[1]]).unsigned_abs() <= SILENCE)
            }
            // Zero, and one step to either side (ITU-T G.711, tables 2a and 2b).
            Self::Pcmu => sound.iter().all(|byte| byte & 0x7f >= 0x7e),
            Self::Pcma => sound.iter().all(|byte| byte & 0x7f == 0x55),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_its_name_at_its_own_rate() {
        for format in [Format::Pcm, Format::Pcmu, Format::Pcma] {
            assert_eq!(Format::read(&format.shown()), Some(format));
        }
        assert_eq!(Format::read(&json!({"type": "audio/pcmu", "rate": 8_000})), Some(Format::Pcmu));
        for strange in
            [json!({"type": "audio/pcm", "rate": 8_000}), json!({"type": "audio/opus"}), json!("pcm16"), json!({})]
        {
            assert_eq!(Format::read(&strange), None, "{strange}");
        }
    }

    #[test]
    fn silence_is_silence_in_each() {
        assert!(Format::Pcm.is_quiet(&[0, 0, 4, 0, 252, 255]) && !Format::Pcm.is_quiet(&[0, 1]));
        assert!(Format::Pcmu.is_quiet(&[0xff, 0x7f, 0xfe]) && !Format::Pcmu.is_quiet(&[0xf0]));
        assert!(Format::Pcma.is_quiet(&[0xd5, 0x55]) && !Format::Pcma.is_quiet(&[0xd0]));
        assert_eq!((Format::Pcm.ms(960), Format::Pcmu.ms(160)), (20, 20));
    }
}
