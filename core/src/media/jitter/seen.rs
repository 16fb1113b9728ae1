//! Which of the latest sequence numbers have arrived.

/// More than twice the distance at which a number belongs to another stream, so that no slot is read for a wrong one.
const SLOTS: i64 = 1_024;

#[derive(Clone, Debug)]
pub(super) struct Seen {
    slots: [u64; SLOTS as usize / 64],
    newest: i64,
}

impl Seen {
    pub(super) const fn starting_at(sequence: i64) -> Self {
        Self { slots: [0; SLOTS as usize / 64], newest: sequence }
    }

    /// Notes a number that is less than 512 from the newest; true if it was noted before.
    pub(super) fn note(&mut self, sequence: i64) -> bool {
        for passed in self.newest + 1..=sequence {
            let (slot, bit) = Self::place(passed);
            self.slots[slot] &= !bit;
        }
        self.newest = self.newest.max(sequence);
        let (slot, bit) = Self::place(sequence);
        let before = self.slots[slot] & bit != 0;
        self.slots[slot] |= bit;
        before
    }

    const fn place(sequence: i64) -> (usize, u64) {
        let n = sequence.rem_euclid(SLOTS);
        (n as usize / 64, 1 << (n % 64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_seen_once_and_forgotten_after_a_thousand() {
        let mut seen = Seen::starting_at(-3);
        for sequence in [-3, -1, 400, 0, 398] {
            assert!(!seen.note(sequence), "{sequence}");
            assert!(seen.note(sequence), "{sequence}");
        }
        for sequence in 401..1_500 {
            assert!(!seen.note(sequence), "{sequence} takes the slot of {}", sequence - SLOTS);
        }
    }
}
