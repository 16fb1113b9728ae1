//! The ranges of a persona's numbers, each with what it is where the file says nothing.

use std::ops::RangeInclusive;

/// A number of a persona file.
pub(super) struct Limit<T> {
    pub range: RangeInclusive<T>,
    pub usual: T,
    /// As people read it, with its unit.
    pub words: &'static str,
}

impl<T: PartialOrd> Limit<T> {
    const fn new(range: RangeInclusive<T>, usual: T, words: &'static str) -> Self {
        Self { range, usual, words }
    }
}

pub(super) const TEMPERATURE: Limit<f32> = Limit::new(0.0..=2.0, 0.3, "0.0 to 2.0");
/// 96 tokens are some 25 seconds of speech, longer than anybody listens to a machine.
pub(super) const MAX_TOKENS: Limit<u32> = Limit::new(8..=512, 96, "8 to 512 tokens");
pub(super) const RUNG_AFTER_MS: Limit<u64> = Limit::new(1_000..=600_000, 9_000, "1,000 to 600,000 ms");
pub(super) const PRIOR: Limit<f32> = Limit::new(0.0..=1.0, 0.5, "0.0 to 1.0");
/// Ten minutes are longer than anybody holds a silent line; a second is no silence yet.
pub(super) const SILENCE_TTL_MS: Limit<u64> = Limit::new(1_000..=600_000, 20_000, "1,000 to 600,000 ms");
/// A minute lets somebody cool down, thirty days are for an operator to think about.
pub(super) const BLOCK_TTL_S: Limit<u64> = Limit::new(60..=2_592_000, 3_600, "60 to 2,592,000 s");
pub(super) const INTERRUPTS: Limit<u32> = Limit::new(0..=10, 1, "0 to 10 interruptions");
pub(super) const PER_TURNS: Limit<u32> = Limit::new(1..=100, 6, "1 to 100 turns of the caller");
pub(super) const INITIATIVES: Limit<u32> = Limit::new(0..=100, 3, "0 to 100 a call");
pub(super) const SILENCES: Limit<u32> = Limit::new(0..=10, 2, "0 to 10 in a row");
pub(super) const BLOCKS: Limit<u32> = Limit::new(0..=1, 1, "0 (never) or 1");
/// Plain questions are over in three seconds, and a judge that reads along knows little of a turn before that.
pub(super) const LISTEN_MS: Limit<u32> = Limit::new(0..=60_000, 3_000, "0 to 60,000 ms");
/// From Baker Island to the Line Islands.
pub(super) const UTC_OFFSET_MIN: Limit<i32> = Limit::new(-720..=840, 0, "-720 to 840 minutes");
pub(super) const AFTER_QUESTION: Limit<f32> = Limit::new(1.0..=10.0, 1.5, "1.0 to 10.0 times the wait");
pub(super) const AFTER_HOLD_ON: Limit<f32> = Limit::new(1.0..=30.0, 4.0, "1.0 to 30.0 times the wait");
/// Each is some 30 tokens that the model reads as a call begins.
pub(super) const EXAMPLES: Limit<usize> = Limit::new(1..=12, 1, "1 to 12 exchanges");
/// What a persona knows is read at every start.
pub(super) const KNOWLEDGE_FOLDERS: Limit<usize> = Limit::new(1..=16, 1, "1 to 16 folders");
/// Sentences of one kind, and the length of one in characters: each is spoken whole, and kept ready.
pub(super) const SENTENCES: Limit<usize> = Limit::new(1..=12, 1, "1 to 12 sentences");
pub(super) const SENTENCE_CHARS: Limit<usize> = Limit::new(1..=120, 1, "1 to 120 characters");
