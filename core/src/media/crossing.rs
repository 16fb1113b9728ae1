//! The other side of a bridge on its way into this call: its sound as it was heard there, tick by tick. The two calls tick by clocks of
//! their own, so one tick has none and the next has two; a frame in hand takes that up, and what stands too long is dropped, for a
//! delay that has come about would otherwise stay.

use std::collections::VecDeque;

use crate::audio::resample::{Resampler, UnsupportedRates};
use crate::audio::{HEAR_FRAME, HEAR_RATE, LINE_FRAME, LINE_RATE};

/// Frames that are there before the first is played: one to play, and one in hand for a tick that comes late.
const BEFORE_THE_FIRST: usize = 2;
/// Frames that wait at the most: a call that stood still for a moment is caught up with at once.
const MOST: usize = 6;
/// So many ticks in which never fewer than [`BEFORE_THE_FIRST`] frames were left: one of them is too many.
const WATCHED: u32 = 50;

/// What has gone across, in frames of 20 ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crossed {
    pub passed: u64,
    /// Ticks that found nothing, after the first that found something.
    pub missing: u64,
    pub dropped: u64,
}

/// One direction of a bridge.
pub struct Crossing {
    up: Resampler,
    made: Vec<f32>,
    waiting: VecDeque<[f32; HEAR_FRAME]>,
    flows: bool,
    began: bool,
    /// Fewest frames that were left of late, and since how many ticks that is watched.
    least: usize,
    watched: u32,
    crossed: Crossed,
}

impl Crossing {
    /// Nothing has come yet.
    ///
    /// # Errors
    /// Never for the two rates that are compiled in.
    pub fn new() -> Result<Self, UnsupportedRates> {
        Ok(Self {
            up: Resampler::live(HEAR_RATE, LINE_RATE)?,
            made: Vec::with_capacity(LINE_FRAME),
            waiting: VecDeque::with_capacity(MOST),
            flows: false,
            began: false,
            least: MOST,
            watched: 0,
            crossed: Crossed::default(),
        })
    }

    /// The other side has heard this.
    pub fn came(&mut self, heard: [f32; HEAR_FRAME]) {
        if self.waiting.len() == MOST {
            self.waiting.pop_front();
            self.crossed.dropped += 1;
        }
        self.waiting.push_back(heard);
    }

    /// What of it is played in this tick; `None` where there is nothing.
    pub fn next(&mut self) -> Option<Box<[f32; LINE_FRAME]>> {
        if !self.flows && self.waiting.len() < BEFORE_THE_FIRST {
            self.crossed.missing += u64::from(self.began);
            return None;
        }
        self.flows = true;
        self.began = true;
        let Some(heard) = self.waiting.pop_front() else {
            // Two are waited for again: a tick that is late once is so twice.
            self.flows = false;
            self.crossed.missing += 1;
            return None;
        };
        self.trim();
        self.crossed.passed += 1;
        self.made.clear();
        self.up.push(&heard, &mut self.made);
        let mut frame = Box::new([0.0; LINE_FRAME]);
        for (sample, made) in frame.iter_mut().zip(&self.made) {
            *sample = *made;
        }
        Some(frame)
    }

    /// What has gone across since this was asked last.
    pub fn take_crossed(&mut self) -> Crossed {
        std::mem::take(&mut self.crossed)
    }

    fn trim(&mut self) {
        self.least = self.least.min(self.waiting.len());
        self.watched += 1;
        if self.watched < WATCHED {
            return;
        }
        if self.least >= BEFORE_THE_FIRST {
            self.waiting.pop_front();
            self.crossed.dropped += 1;
        }
        (self.least, self.watched) = (MOST, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::level::rms;

    fn crossing() -> Crossing {
        Crossing::new().expect("two known rates")
    }

    fn tone(n: usize) -> [f32; HEAR_FRAME] {
        std::array::from_fn(|k| {
            let t = (n * HEAR_FRAME + k) as f32 / HEAR_RATE as f32;
            0.5 * (t * 440.0 * std::f32::consts::TAU).sin()
        })
    }

    #[test]
    fn what_goes_in_comes_out_as_loud_and_whole() {
        let mut crossing = crossing();
        let mut out = Vec::new();
        for n in 0..100 {
            crossing.came(tone(n));
            out.extend(crossing.next().map(|frame| *frame).unwrap_or([0.0; LINE_FRAME]));
        }
        let steady = &out[LINE_FRAME * 4..];
        assert!((rms(steady) - 0.5 / 2.0_f32.sqrt()).abs() < 0.01, "{}", rms(steady));
        // No step that a tone of this pitch does not make: nothing is missing between two frames.
        let step = steady.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
        assert!(step < 0.04, "{step}");
        assert_eq!(crossing.take_crossed(), Crossed { passed: 99, missing: 0, dropped: 0 });
    }

    #[test]
    fn a_tick_that_comes_late_costs_nothing() {
        let mut crossing = crossing();
        for n in 0..200 {
            match n % 10 {
                8 => {}
                9 => {
                    crossing.came(tone(n - 1));
                    crossing.came(tone(n));
                }
                _ => crossing.came(tone(n)),
            }
            crossing.next();
        }
        assert_eq!(crossing.take_crossed(), Crossed { passed: 199, missing: 0, dropped: 0 });
    }

    #[test]
    fn a_delay_that_has_come_about_goes_again() {
        let mut crossing = crossing();
        for n in 0..5 {
            crossing.came(tone(n));
        }
        for n in 5..405 {
            crossing.came(tone(n));
            crossing.next();
        }
        assert_eq!(crossing.waiting.len(), 1, "the one in hand");
        assert_eq!(crossing.take_crossed().missing, 0);
    }

    #[test]
    fn a_side_that_stands_still_is_waited_for_and_caught_up_with() {
        let mut crossing = crossing();
        for n in 0..50 {
            crossing.came(tone(n));
            crossing.next();
        }
        for _ in 0..20 {
            crossing.next();
        }
        for n in 50..70 {
            crossing.came(tone(n));
        }
        let crossed = crossing.take_crossed();
        assert!(crossed.missing >= 19, "{crossed:?}");
        assert_eq!(crossed.dropped, 14, "of twenty at once the newest six are kept");
    }
}
