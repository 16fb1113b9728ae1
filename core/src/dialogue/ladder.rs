//! The silence ladder: what the agent does while nobody speaks. Rungs are persona data; the ladder starts again with every
//! sound of the caller, so at any time the agent speaks, or listens with an armed timer, or is closing.

use std::time::Duration;

use crate::time::CallTime;

/// What stretches the waits of the ladder, each a factor.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Patience {
    /// The agent has asked something: people think before they answer. 1.0..=10.0.
    pub after_question: f32,
    /// The caller has asked for time ("hold on"): 1.0..=30.0.
    pub after_hold_on: f32,
}

impl Default for Patience {
    fn default() -> Self {
        Self { after_question: 1.5, after_hold_on: 4.0 }
    }
}

/// One rung: after so much silence, say this.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Rung {
    /// Silence since the rung before (or since the last speech), milliseconds: 1,000..=600,000.
    pub after_ms: u64,
    /// What is said, word for word.
    pub say: String,
    /// The call ends after it.
    pub hang_up: bool,
}

/// A bound to what is computed with, above every value a persona may have.
const MOST_PATIENCE: f32 = 100.0;

/// Where on the ladder the call stands.
#[derive(Clone, Debug)]
pub struct Ladder {
    rungs: Vec<Rung>,
    next: usize,
    due: Option<CallTime>,
}

impl Ladder {
    /// Not armed until the first [`Ladder::arm`].
    pub fn new(rungs: Vec<Rung>) -> Self {
        Self { rungs, next: 0, due: None }
    }

    /// Nobody speaks from now on. `patience` multiplies the waits, 1.0 or more: see [`Patience`].
    pub fn arm(&mut self, at: CallTime, patience: f32) {
        let wait = |rung: &Rung| Duration::from_millis(rung.after_ms).mul_f32(patience.max(1.0).min(MOST_PATIENCE));
        self.due = self.rungs.get(self.next).map(|rung| at + wait(rung));
    }

    /// As [`Ladder::arm`], and no later than after `most`.
    pub fn arm_within(&mut self, at: CallTime, most: Duration) {
        self.arm(at, 1.0);
        self.due = self.due.map(|due| due.min(at + most));
    }

    /// Somebody speaks: the timer stops.
    pub fn disarm(&mut self) {
        self.due = None;
    }

    /// The caller was heard: the next silence begins at the lowest rung.
    pub fn reset(&mut self) {
        self.next = 0;
        self.due = None;
    }

    /// Is something due? Then it is taken, and the timer stops until the next [`Ladder::arm`].
    pub fn climb(&mut self, at: CallTime) -> Option<Rung> {
        if self.due.is_none_or(|due| at < due) {
            return None;
        }
        self.due = None;
        let rung = self.rungs.get(self.next).cloned();
        self.next += 1;
        rung
    }

    /// This was not the moment: the rung that was taken last comes again after its own wait.
    pub fn put_off(&mut self, at: CallTime, patience: f32) {
        self.next = self.next.saturating_sub(1);
        self.arm(at, patience);
    }

    /// Is a timer running?
    pub fn armed(&self) -> bool {
        self.due.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ladder() -> Ladder {
        Ladder::new(vec![
            Rung { after_ms: 4_000, say: "Are you there?".into(), hang_up: false },
            Rung { after_ms: 8_000, say: "Goodbye.".into(), hang_up: true },
        ])
    }

    #[test]
    fn rungs_come_one_after_the_other() {
        let mut ladder = ladder();
        ladder.arm(CallTime::ZERO, 1.0);
        assert!(ladder.climb(CallTime::from_ms(3_980)).is_none());
        assert_eq!(ladder.climb(CallTime::from_ms(4_000)).unwrap().say, "Are you there?");
        assert!(!ladder.armed());
        ladder.arm(CallTime::from_ms(5_000), 1.0);
        assert!(ladder.climb(CallTime::from_ms(13_000)).unwrap().hang_up);
    }

    #[test]
    fn a_word_from_the_caller_starts_it_again() {
        let mut ladder = ladder();
        ladder.arm(CallTime::ZERO, 1.0);
        ladder.climb(CallTime::from_ms(4_000));
        ladder.reset();
        ladder.arm(CallTime::from_ms(6_000), 1.0);
        assert_eq!(ladder.climb(CallTime::from_ms(10_000)).unwrap().say, "Are you there?");
    }

    #[test]
    fn a_rung_that_is_put_off_comes_again() {
        let mut ladder = ladder();
        ladder.arm(CallTime::ZERO, 1.0);
        assert!(ladder.climb(CallTime::from_ms(4_000)).is_some());
        ladder.put_off(CallTime::from_ms(4_200), 1.0);
        assert!(ladder.climb(CallTime::from_ms(8_180)).is_none());
        assert_eq!(ladder.climb(CallTime::from_ms(8_200)).unwrap().say, "Are you there?");
    }

    #[test]
    fn patience_stretches_the_wait() {
        let mut ladder = ladder();
        ladder.arm(CallTime::ZERO, 3.0);
        assert!(ladder.climb(CallTime::from_ms(11_980)).is_none());
        assert!(ladder.climb(CallTime::from_ms(12_000)).is_some());
    }
}
