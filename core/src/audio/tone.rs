//! The sound that says "this call is recorded": short, soft, at the beginning, heard by the caller.

use super::{LINE_FRAME, LINE_RATE};

/// 1,400 Hz, as recording tones of telephone systems have been (ITU-T E.182 leaves the country its choice; 1,400 Hz is the one
/// in use in North America).
const PITCH_HZ: f32 = 1_400.0;
/// 0.3 s are noticed and do not cover a greeting.
const SAMPLES: usize = 3 * LINE_RATE as usize / 10;
/// -26 dBFS: well below a voice.
const LEVEL: f32 = 0.05;
/// Edges of 10 ms: no clicks.
const EDGE: usize = LINE_RATE as usize / 100;

/// One call's tone, played once.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordingTone {
    played: usize,
}

impl RecordingTone {
    /// Adds what is left of the tone to the frame; false once it is over.
    pub fn mix(&mut self, frame: &mut [f32; LINE_FRAME]) -> bool {
        if self.played >= SAMPLES {
            return false;
        }
        for (n, sample) in (self.played..SAMPLES).zip(frame.iter_mut()) {
            let edge = n.min(SAMPLES - 1 - n).min(EDGE) as f32 / EDGE as f32;
            let turn = n as f32 * PITCH_HZ / LINE_RATE as f32;
            *sample += LEVEL * edge * (std::f32::consts::TAU * turn.fract()).sin();
        }
        self.played += LINE_FRAME;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_heard_for_three_tenths_of_a_second_and_adds_nothing_after_it() {
        let mut tone = RecordingTone::default();
        let frames: Vec<[f32; LINE_FRAME]> = std::iter::from_fn(|| {
            let mut frame = [0.25; LINE_FRAME];
            tone.mix(&mut frame).then_some(frame)
        })
        .collect();
        assert_eq!(frames.len(), 15);
        let loudest = frames.iter().flatten().map(|sample| (sample - 0.25).abs()).fold(0.0, f32::max);
        assert!((LEVEL * 0.98..=LEVEL * 1.001).contains(&loudest), "{loudest}");
        let mut after = [0.25; LINE_FRAME];
        assert!(!tone.mix(&mut after));
        assert_eq!(after, [0.25; LINE_FRAME]);
    }
}
