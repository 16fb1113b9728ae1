//! What is to happen at a moment of the call: one wheel a call, on the call's own clock.

use std::collections::BTreeMap;

use crate::time::CallTime;

/// Timers that one call may have at once: nobody promises more than this.
pub const TIMERS_MOST: usize = 64;

/// The name of a timer that is set, for taking it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerId(u64);

/// Timers that are set, each with what is to happen.
#[derive(Clone, Debug)]
pub struct Timers<T> {
    due: BTreeMap<(CallTime, TimerId), T>,
    last: u64,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self { due: BTreeMap::new(), last: 0 }
    }
}

impl<T> Timers<T> {
    /// At this moment, this. `None`: there are [`TIMERS_MOST`] already, and it is not taken.
    pub fn schedule(&mut self, at: CallTime, what: T) -> Option<TimerId> {
        if self.due.len() >= TIMERS_MOST {
            return None;
        }
        self.last += 1;
        let id = TimerId(self.last);
        self.due.insert((at, id), what);
        Some(id)
    }

    /// Takes a timer back; what was to happen, if it has not happened.
    pub fn cancel(&mut self, id: TimerId) -> Option<T> {
        let key = *self.due.keys().find(|(_, known)| *known == id)?;
        self.due.remove(&key)
    }

    /// Takes back all that are like this.
    pub fn cancel_all(&mut self, mut like: impl FnMut(&T) -> bool) {
        self.due.retain(|_, what| !like(what));
    }

    /// The next of what is due by now, the earliest first, and in the order in which they were set.
    pub fn due(&mut self, now: CallTime) -> Option<T> {
        let first = self.due.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// How many are set.
    pub fn len(&self) -> usize {
        self.due.len()
    }

    /// Is none set?
    pub fn is_empty(&self) -> bool {
        self.due.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> CallTime {
        CallTime::from_ms(ms)
    }

    #[test]
    fn what_is_due_comes_once_and_in_order() {
        let mut timers = Timers::default();
        timers.schedule(ms(300), "c");
        timers.schedule(ms(100), "a");
        timers.schedule(ms(100), "b");
        assert_eq!(timers.due(ms(99)), None);
        assert_eq!([timers.due(ms(200)), timers.due(ms(200)), timers.due(ms(200))], [Some("a"), Some("b"), None]);
        assert_eq!((timers.due(ms(1_000)), timers.is_empty()), (Some("c"), true));
    }

    #[test]
    fn what_is_taken_back_does_not_come() {
        let mut timers = Timers::default();
        let kept = timers.schedule(ms(100), "kept");
        let gone = timers.schedule(ms(100), "gone").unwrap();
        assert_eq!((timers.cancel(gone), timers.cancel(gone)), (Some("gone"), None));
        assert_eq!((timers.due(ms(100)), timers.due(ms(100))), (Some("kept"), None));
        assert_eq!(timers.cancel(kept.unwrap()), None, "it has happened");
        timers.schedule(ms(100), "answer");
        timers.schedule(ms(100), "reminder");
        timers.cancel_all(|what| *what == "answer");
        assert_eq!((timers.due(ms(100)), timers.len()), (Some("reminder"), 0));
    }

    #[test]
    fn there_is_an_end_to_what_can_be_set() {
        let mut timers = Timers::default();
        let set = (0..200).filter(|n| timers.schedule(ms(*n), *n).is_some()).count();
        assert_eq!(set, TIMERS_MOST);
    }
}
