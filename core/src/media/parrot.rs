//! The echo persona's sound: what was heard goes back, one frame later. It is the floor of every measurement: whatever the
//! rig reports for it is the rig, the network and the codec, not the agent.

use std::collections::VecDeque;

use crate::audio::resample::{Resampler, UnsupportedRates};
use crate::audio::{HEAR_RATE, LINE_FRAME, LINE_RATE};

/// From the rate of hearing back to the rate of the line.
pub struct Parrot {
    up: Resampler,
    ready: VecDeque<f32>,
    made: Vec<f32>,
}

impl Parrot {
    /// Starts with one frame of silence in hand: the resampler gives now a sample more, now a sample less.
    ///
    /// # Errors
    /// Never for the two rates that are compiled in.
    pub fn new() -> Result<Self, UnsupportedRates> {
        let up = Resampler::live(HEAR_RATE, LINE_RATE)?;
        Ok(Self { up, ready: VecDeque::from(vec![0.0; LINE_FRAME]), made: Vec::new() })
    }

    /// Takes what was heard in this tick, gives what is sent in this tick. `true`: it is always sound of the caller's.
    pub fn frame(&mut self, heard: &[f32], out: &mut [f32; LINE_FRAME]) -> bool {
        self.made.clear();
        self.up.push(heard, &mut self.made);
        self.ready.extend(&self.made);
        let n = self.ready.len().min(LINE_FRAME);
        for (slot, sample) in out.iter_mut().zip(self.ready.drain(..n)) {
            *slot = sample;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::HEAR_FRAME;
    use crate::audio::level::rms;

    #[test]
    fn what_goes_in_comes_out_as_loud() {
        let mut parrot = Parrot::new().unwrap();
        let mut phase = 0.0_f32;
        let mut last = [0.0; LINE_FRAME];
        for _ in 0..20 {
            let heard: Vec<f32> = (0..HEAR_FRAME)
                .map(|_| {
                    phase += 440.0 * std::f32::consts::TAU / HEAR_RATE as f32;
                    0.5 * phase.sin()
                })
                .collect();
            parrot.frame(&heard, &mut last);
        }
        assert!((rms(&last) - 0.5 / 2.0_f32.sqrt()).abs() < 0.02, "{}", rms(&last));
    }
}
