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
#[derive(Debug)]
pub struct Playout {
    samples: VecDeque<f32>,
    /// Samples of the turn played so far.
    played: u64,
    held: bool,
    /// Amplitude of the last sample that was played, and what it is on its way to.
    gain: f32,
    gain_wanted: f32,
    /// What was played last before a hold, to be played again: the ear lost its beginning in the fade.
    tail: Vec<f32>,
    closed: bool,
}

impl Default for Playout {
    fn default() -> Self {
        Self::new()
    }
}

impl Playout {
    /// Nothing queued, nothing played.
    pub fn new() -> Self {
        Self {
            samples: VecDeque::new(),
            played: 0,
            held: false,
            gain: 1.0,
            gain_wanted: 1.0,
            tail: Vec::new(),
            closed: false,
        }
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

    /// Goes on more softly: `db` at most 0. Full again on [`Playout::resume`]; nothing is lost or repeated by it.
    pub fn duck(&mut self, db: f32) {
        self.gain_wanted = 10f32.powf(db.min(0.0) / 20.0);
    }

    /// Stops after one more frame that fades out. Nothing is lost: the faded frame is played again on [`Playout::resume`].
    pub fn hold(&mut self) {
        self.held = true;
    }

    /// Goes on after a hold or a duck; at most one frame (20 ms) is repeated.
    pub fn resume(&mut self) {
        self.held = false;
        self.gain_wanted = 1.0;
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
        ramp(out, self.gain, self.gain_wanted);
        self.gain = self.gain_wanted;
        Played::Speech
    }

    /// Samples of the turn that have left for good: what was faded out for a hold is not among them, for it is played again
    /// if the turn goes on, and lost if it does not.
    pub fn played(&self) -> u64 {
        self.played - self.tail.len() as u64
    }
}

/// From one amplitude to another within the frame: a step would click.
fn ramp(frame: &mut [f32], from: f32, to: f32) {
    if from == 1.0 && to == 1.0 {
        return;
    }
    let n = frame.len() as f32;
    for (i, sample) in frame.iter_mut().enumerate() {
        *sample *= from + (to - from) * i as f32 / n;
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

    #[test]
    fn a_duck_is_heard_at_once_costs_no_sample_and_is_undone() {
        let mut playout = Playout::new();
        playout.push(&vec![0.5; 4 * LINE_FRAME]);
        playout.close();
        let mut frame = [0.0; LINE_FRAME];
        playout.frame(&mut frame);
        playout.duck(-18.0);
        playout.frame(&mut frame);
        assert_eq!(frame[0], 0.5, "no step");
        assert!((frame[LINE_FRAME - 1] - 0.063).abs() < 1e-3, "{}", frame[LINE_FRAME - 1]);
        playout.resume();
        playout.frame(&mut frame);
        assert!(frame[0] < 0.07 && frame[LINE_FRAME - 1] > 0.49);
        playout.frame(&mut frame);
        assert_eq!(frame[0], 0.5);
        assert_eq!(playout.frame(&mut frame), Played::Done, "each sample was played once");
    }

    proptest! {
        /// Invariant 8: ducked, held and then resumed speech loses no sample, and repeats at most 20 ms a hold.
        #[test]
        fn held_and_resumed_speech_loses_no_sample(
            samples in 1usize..20_000,
            hold_at in prop::collection::vec((0usize..20, 0usize..6), 0..4),
            duck_db in -60.0f32..0.0,
        ) {
            let mut playout = playout(samples);
            let mut frame = [0.0; LINE_FRAME];
            let mut holds = hold_at.into_iter();
            let mut next = holds.next();
            let held = next.is_some();
            let mut clean: Vec<f32> = Vec::new();
            let mut tick = 0;
            loop {
                if let Some((at, ticks)) = next
                    && at <= tick
                {
                    playout.duck(duck_db);
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
            // Each sample once, in order; only the frames that come back from a duck are softer.
            prop_assert_eq!(clean.len(), samples);
            let softest = 10f32.powf(duck_db / 20.0) * 0.999;
            for (sample, wanted) in clean.iter().zip(ramp(samples)) {
                prop_assert!((wanted * softest..=wanted).contains(sample), "{sample} for {wanted}");
            }
            if !held {
                prop_assert_eq!(clean, ramp(samples));
            }
        }
    }
}
