//! How much of Whisper's 30 s window an utterance needs.
//!
//! Whisper was trained on windows of 30 s; whisper.cpp can encode fewer positions (`audio_ctx`), which is most of
//! the time on a short utterance. Too few, and the decoder repeats itself or drops words.

use crate::audio::HEAR_RATE;

/// Positions of the whole window: 50 a second for 30 s.
pub const FULL_WINDOW: u32 = 1_500;
/// Positions per second of audio.
const PER_SECOND: u32 = 50;
/// The encoder's matrix kernels work on blocks of this many positions.
const BLOCK: u32 = 64;

/// How many positions the encoder computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudioContext {
    /// All 30 s, as Whisper was trained: the safest and the slowest.
    Full,
    /// The utterance and `margin` positions of silence after it, rounded up to a block, and `at_least` so many.
    Fitted { margin: u32, at_least: u32 },
}

impl AudioContext {
    /// The positions for so many samples at 16 kHz: 64..=1500.
    pub fn positions(self, samples: usize) -> u32 {
        match self {
            Self::Full => FULL_WINDOW,
            Self::Fitted { margin, at_least } => {
                let spoken = samples as u64 * u64::from(PER_SECOND) / u64::from(HEAR_RATE);
                let wanted = (spoken + u64::from(margin)).max(u64::from(at_least));
                wanted.next_multiple_of(u64::from(BLOCK)).min(u64::from(FULL_WINDOW)) as u32
            }
        }
    }
}

/// The most tokens that so much audio can hold: 6 a second is faster than anybody speaks (2.5 words, some 1.3 tokens
/// each), 10 more for time stamps and short utterances. A decoder that goes on has begun to loop.
pub(super) fn token_cap(samples: usize) -> u32 {
    (samples as u64 * 6 / u64::from(HEAR_RATE)) as u32 + 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_grows_with_the_utterance_up_to_the_whole() {
        let fitted = AudioContext::Fitted { margin: 180, at_least: 0 };
        assert_eq!(fitted.positions(16_000), 256);
        assert_eq!(fitted.positions(6 * 16_000), 512);
        assert_eq!(fitted.positions(29 * 16_000), FULL_WINDOW);
        assert_eq!(fitted.positions(usize::MAX / 2), FULL_WINDOW);
        assert_eq!(AudioContext::Fitted { margin: 0, at_least: 768 }.positions(16_000), 768);
        assert_eq!(AudioContext::Full.positions(1), FULL_WINDOW);
    }

    #[test]
    fn the_cap_leaves_room_for_quick_speakers() {
        assert_eq!(token_cap(16_000), 16);
        assert_eq!(token_cap(0), 10);
    }
}
