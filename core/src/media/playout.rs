//! The agent's sound on its way out: a queue of clauses that is played tick by tick, held and resumed at a barge-in, and
//! that knows which words have been played. It lives inside the agent's turn: dropping the turn drops it, and that is
//! silence.

use std::collections::VecDeque;
use std::ops::Range;

use crate::audio::LINE_FRAME;
use crate::backend::WordMark;

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

/// A word's place: bytes of the turn's text, and the sample of the turn at which it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Word {
    text_end: usize,
    sample_end: u64,
}

/// The queue of one agent turn. Samples are 48 kHz mono.
#[derive(Debug)]
pub struct Playout {
    samples: VecDeque<f32>,
    words: VecDeque<Word>,
    /// Samples of the turn played so far, and the sample at which the clause being queued begins.
    played: u64,
    clause_start: u64,
    queued: u64,
    heard: usize,
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
            words: VecDeque::new(),
            played: 0,
            clause_start: 0,
            queued: 0,
            heard: 0,
            held: false,
            gain: 1.0,
            gain_wanted: 1.0,
            tail: Vec::new(),
            closed: false,
        }
    }

    /// A clause begins: `text` is its place in the turn's text, the marks come from the voice's plan.
    pub fn begin_clause(&mut self, text: &Range<usize>, words: &[WordMark]) {
        self.clause_start = self.queued;
        self.words.extend(
            words
                .iter()
                .map(|word| Word { text_end: text.start + word.text.end, sample_end: self.clause_start + word.end }),
        );
    }

    /// Sound of the clause that was begun last.
    pub fn push(&mut self, pcm: &[f32]) {
        self.samples.extend(pcm);
        self.queued += pcm.len() as u64;
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
        for (slot, sample) in out.iter_mut().zip(self.samples.drain(..n)) {
            *slot = sample;
        }
        self.played += n as u64;
        if self.held {
            self.tail = out[..n].to_vec();
            fade_out(&mut out[..n]);
        } else {
            self.count_heard();
        }
        ramp(out, self.gain, self.gain_wanted);
        self.gain = self.gain_wanted;
        Played::Speech
    }

    /// How much of the turn's text has been played, in bytes. Never goes back; a word counts once its last sample has left.
    pub fn heard(&self) -> usize {
        self.heard
    }

    fn count_heard(&mut self) {
        while let Some(word) = self.words.front()
            && word.sample_end <= self.played
        {
            self.heard = self.heard.max(word.text_end);
            self.words.pop_front();
        }
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
        let half = samples as u64 / 2;
        let words = [WordMark { text: 0..5, end: half }, WordMark { text: 6..11, end: samples as u64 }];
        playout.begin_clause(&(0..11), &words);
        playout.push(&ramp(samples));
        playout.close();
        playout
    }

    #[test]
    fn a_word_is_heard_once_its_last_sample_has_left() {
        let mut playout = playout(4 * LINE_FRAME);
        let mut frame = [0.0; LINE_FRAME];
        let mut heard = Vec::new();
        while playout.frame(&mut frame) != Played::Done {
            heard.push(playout.heard());
        }
        assert_eq!(heard, [0, 5, 5, 11]);
    }

    #[test]
    fn the_second_clause_counts_from_where_the_first_ended() {
        let mut playout = Playout::new();
        playout.begin_clause(&(0..3), &[WordMark { text: 0..3, end: LINE_FRAME as u64 }]);
        playout.push(&ramp(LINE_FRAME));
        playout.begin_clause(&(4..8), &[WordMark { text: 0..4, end: LINE_FRAME as u64 }]);
        playout.push(&ramp(LINE_FRAME));
        let mut frame = [0.0; LINE_FRAME];
        playout.frame(&mut frame);
        assert_eq!(playout.heard(), 3);
        playout.frame(&mut frame);
        assert_eq!(playout.heard(), 8);
        assert_eq!(playout.frame(&mut frame), Played::Waiting, "the turn is not closed");
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
