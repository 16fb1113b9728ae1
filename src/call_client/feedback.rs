//! A telephone without an echo canceller: what is heard goes back into the microphone, weaker and later.

use super::tape::{Track, samples};
use crate::audio::LINE_FRAME;

use std::str::FromStr;
use std::time::Duration;

/// The way from loudspeaker to microphone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Feedback {
    /// Echo return loss: how far what comes back lies below what is heard. 0.0..=60.0 dB.
    pub loss_db: f32,
    /// From hearing a sound to sending it back: 0..=1000 ms. At the least a packet's 20 ms come on top.
    pub delay: Duration,
}

const MOST_LOSS_DB: f32 = 60.0;
const LONGEST_DELAY_MS: u64 = 1_000;

impl FromStr for Feedback {
    type Err = String;

    /// `DB,DELAY_MS`, as in `10,120`; the loss may be written as what it is, a negative gain: `-10,120`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("{text:?} is no DB,DELAY_MS: 0 to {MOST_LOSS_DB} dB and 0 to {LONGEST_DELAY_MS} ms, as in 10,120")
        };
        let (loss_db, delay_ms) = text.split_once(',').ok_or_else(wrong)?;
        let loss_db = loss_db.trim().parse::<f32>().map_err(|_| wrong())?.abs();
        let delay_ms: u64 = delay_ms.trim().parse().map_err(|_| wrong())?;
        if loss_db > MOST_LOSS_DB || loss_db.is_nan() || delay_ms > LONGEST_DELAY_MS {
            return Err(wrong());
        }
        Ok(Self { loss_db, delay: Duration::from_millis(delay_ms) })
    }
}

impl Feedback {
    /// Mixes into the frame that leaves at sample `place` what was heard so long before.
    pub fn mix(&self, heard: &Track, place: u64, frame: &mut [f32; LINE_FRAME]) {
        let gain = 10.0_f32.powf(-self.loss_db / 20.0);
        // What is heard from now on until the frame has left is not there yet.
        let Some(from) = place.checked_sub(samples(self.delay) + LINE_FRAME as u64) else { return };
        let heard = heard.sound().get(from as usize..).unwrap_or_default();
        for (sample, heard) in frame.iter_mut().zip(heard) {
            *sample = (*sample + gain * heard).clamp(-1.0, 1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_heard_goes_back_later_and_weaker() {
        let mut heard = Track::default();
        heard.put(48_000, &[0.5; 96]);
        let feedback: Feedback = "20,100".parse().expect("a way");
        let frame_at = |place: u64| {
            let mut frame = [0.25; LINE_FRAME];
            feedback.mix(&heard, place, &mut frame);
            frame
        };
        // Heard at 1,000 ms, sent back in the frame that begins at 1,120 ms.
        assert_eq!(frame_at(48_000 + 4_800), [0.25; LINE_FRAME]);
        let frame = frame_at(48_000 + 5_760);
        assert!((frame[0] - 0.3).abs() < 1e-6 && (frame[95] - 0.3).abs() < 1e-6);
        assert_eq!(frame[96], 0.25);
        assert_eq!(frame_at(0), [0.25; LINE_FRAME], "nothing comes back from before the call");
    }

    #[test]
    fn a_loss_may_be_written_as_a_gain() {
        assert_eq!("-10,40".parse(), Ok(Feedback { loss_db: 10.0, delay: Duration::from_millis(40) }));
        assert_eq!("10, 40".parse::<Feedback>(), "-10,40".parse());
    }

    #[test]
    fn what_is_no_way_is_refused_with_an_example() {
        for text in ["", "10", "10,", ",10", "x,10", "10,-1", "61,10", "10,1001", "NaN,10"] {
            let refused = text.parse::<Feedback>().expect_err(text);
            assert!(refused.contains("10,120"), "{refused}");
        }
    }
}
