//! The agent's sound on its way out: a queue of clauses that is played tick by tick, held and resumed at a barge-in, and
//! that knows how much has left. It lives inside the agent's turn: dropping the turn drops it, and that is silence. Which
//! words have left and which were heard, the turn's ledger says ([`crate::dialogue::ledger`]).

use std::collections::VecDeque;

use crate::audio::LINE_FRAME;

/// What [`Playout::frame`] put into the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Played {
    /// Speech, at least some.
    Speech,
    /// Silence: more is expected but has not arrived, or the playout is held.
    Waiting,
    /// Silence: everything was played.
    Done,
}

/// The queue of one agent turn. Samples are 48 kHz mono.
#[derive(Debug, Default)]
pub struct Playout {
    samples: VecDeque<f32>,
    /// Samples of the turn played so far.
    played: u64,
    held: bool,
    /// What was played last before a hold, to be played again: the ear lost its beginning in the fade.
    tail: Vec<f32>,
    closed: bool,
}

impl Playout {
    /// Nothing queued, nothing played.
    pub fn new() -> Self {
        Self::default()
    }

    /// More sound of the turn.
    pub fn push(&mut self, pcm: &[f32]) {
        self.samples.extend(pcm);
    }

    /// Nothing more will come.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Samples queued and not yet played.
    pub fn ahead(&self) -> usize {
        self.samples.len()
    }

    /// Is there anything to start with?
    pub fn is_ready(&self) -> bool {
        !self.samples.is_empty()
    }

    /// Everything that will ever come has been played.
    pub fn is_done(&self) -> bool {
        self.closed && self.samples.is_empty()
    }

    /// Stops after one more frame that fades out. Nothing is lost: the faded frame is played again on [`Playout::resume`].
    pub fn hold(&mut self) {
        self.held = true;
    }

    /// Goes on after a hold; at most one frame (20 ms) is repeated.
    pub fn resume(&mut self) {
        self.held = false;
        self.played -= self.tail.len() as u64;
        for sample in self.tail.drain(..).rev() {
            self.samples.push_front(sample);
        }
    }

    /// The next 20 ms.
    pub fn frame(&mut self, out: &mut [f32; LINE_FRAME]) -> Played {
        out.fill(0.0);
        if self.held && !self.tail.is_empty() {
            return Played::Waiting;
        }
        let n = self.samples.len().min(LINE_FRAME);
        if n == 0 {
            return if self.closed { Played::Done } else { Played::Waiting };
        }
        // The queue is a ring: what is asked for may lie on both sides of its seam.
        let (front, back) = self.samples.as_slices();
        let seam = n.min(front.len());
        out[..seam].copy_from_slice(&front[..seam]);
        out[seam..n].copy_from_slice(&back[..n - seam]);
        self.samples.drain(..n);
        self.played += n as u64;
        if self.held {
            self.tail = out[..n].to_vec();
            fade_out(&mut out[..n]);
        }
        Played::Speech
    }

    /// Samples of the turn that have left for good: what was faded out for a hold is not among them, for it is played again
    /// if the turn goes on, and lost if it does not.
    pub fn played(&self) -> u64 {
        self.played - self.tail.len() as u64
    }
}

/// A straight line to zero: an abrupt end clicks.
fn fade_out(frame: &mut [f32]) {
    let n = frame.len() as f32;
    for (i, sample) in frame.iter_mut().enumerate() {
        *sample *= 1.0 - i as f32 / n;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ramp(samples: usize) -> Vec<f32> {
        (0..samples).map(|i| (i + 1) as f32 / 1e6).collect()
    }

    fn playout(samples: usize) -> Playout {
        let mut playout = Playout::new();
        playout.push(&ramp(samples));
        playout.close();
        playout
    }

    #[test]
    fn what_was_faded_out_has_not_left_for_good() {
        let mut playout = playout(4 * LINE_FRAME);
        let mut frame = [0.0; LINE_FRAME];
        playout.frame(&mut frame);
        playout.hold();
        playout.frame(&mut frame);
        assert_eq!(playout.played(), LINE_FRAME as u64);
        playout.resume();
        playout.frame(&mut frame);
        assert_eq!(playout.played(), 2 * LINE_FRAME as u64);
    }

    #[test]
    fn a_turn_that_is_not_closed_waits_for_more() {
        let mut playout = Playout::new();
        playout.push(&ramp(LINE_FRAME));
        let mut frame = [0.0; LINE_FRAME];
        assert_eq!(playout.frame(&mut frame), Played::Speech);
        assert_eq!(playout.frame(&mut frame), Played::Waiting);
        playout.close();
        assert_eq!(playout.frame(&mut frame), Played::Done);
    }

    proptest! {
        /// Invariant 8: held and then resumed speech loses no sample, and repeats at most 20 ms a hold.
        #[test]
        fn held_and_resumed_speech_loses_no_sample(
            samples in 1usize..20_000,
            hold_at in prop::collection::vec((0usize..20, 0usize..6), 0..4),
        ) {
            let mut playout = playout(samples);
            let mut frame = [0.0; LINE_FRAME];
            let mut holds = hold_at.into_iter();
            let mut next = holds.next();
            let mut clean: Vec<f32> = Vec::new();
            let mut tick = 0;
            loop {
                if let Some((at, ticks)) = next
                    && at <= tick
                {
                    playout.hold();
                    for _ in 0..=ticks {
                        playout.frame(&mut frame);
                    }
                    playout.resume();
                    next = holds.next();
                }
                match playout.frame(&mut frame) {
                    Played::Done => break,
                    _ => clean.extend(frame.iter().filter(|s| **s != 0.0)),
                }
                tick += 1;
            }
            prop_assert_eq!(clean, ramp(samples));
        }
    }
}
