//! Finds the first place where the text can be cut for sure, reading it from left to right.

use unicode_segmentation::GraphemeCursor;

use super::marks::{self, Mark};
use super::words::phrase_rank;

/// What is known about the end of the text so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// More comes at once.
    Open,
    /// More may come, but not soon.
    Paused,
    /// Nothing more comes.
    Finished,
}

/// Lengths for this clause, in words.
pub(super) struct Limits {
    /// No cut at a comma or the like before this.
    pub least: usize,
    /// From here on a comma or the like is a cut.
    pub mark: usize,
    /// From here on any gap between words is.
    pub most: usize,
    /// A cut without a mark may fall back to the beginning of a phrase after this.
    pub phrase_least: usize,
}

/// Text without gaps and marks is cut after so many bytes: no word is that long.
const LONGEST_BYTES: usize = 1_000;

pub(super) struct Scan<'a> {
    pub text: &'a str,
    pub from: usize,
    pub ending: Ending,
    pub limits: Limits,
}

/// What was passed since the clause began.
#[derive(Default)]
struct Passed {
    /// A word is two, a character of a script without gaps is one.
    half_words: usize,
    /// Where the word being read began.
    word: Option<usize>,
    /// Where the word before it ended.
    word_end: usize,
    /// The best comma or the like so far, by rank and then by place.
    best_mark: Option<(u8, usize)>,
    /// The best beginning of a phrase so far.
    best_phrase: Option<(u8, usize)>,
}

impl Passed {
    const fn at_least(&self, words: usize) -> bool {
        self.half_words >= 2 * words
    }

    /// The word being read ends at `at`. If it begins a phrase, the gap before it is a place to cut.
    fn end_word(&mut self, text: &str, at: usize, limits: &Limits) {
        let Some(start) = self.word.take() else { return };
        let words_before = (self.half_words / 2).saturating_sub(1);
        if let Some(rank) = phrase_rank(&text[start..at]).filter(|_| words_before >= limits.phrase_least) {
            better(&mut self.best_phrase, (rank, self.word_end));
        }
        self.word_end = at;
    }
}

/// Keeps the later of two places of the same rank.
fn better(best: &mut Option<(u8, usize)>, new: (u8, usize)) {
    if best.is_none_or(|old| new.0 >= old.0) {
        *best = Some(new);
    }
}

impl Scan<'_> {
    /// The end of the first clause, always after its beginning, or `None` while it is not sure. The answer for a text is also the answer for every
    /// text that begins with it: whatever is unsure ends the scan.
    pub(super) fn next_cut(&self) -> Option<usize> {
        let mut passed = Passed { word_end: self.from, ..Passed::default() };
        let mut at = self.from;
        while let Some(c) = marks::char_at(self.text, at) {
            if at - self.from >= LONGEST_BYTES && self.is_grapheme_boundary(at) {
                return Some(if passed.word_end > self.from { passed.word_end } else { at });
            }
            let next = at + c.len_utf8();
            let mark = match c {
                _ if marks::is_newline(c) && passed.half_words > 0 => return Some(at),
                _ if c.is_whitespace() => self.gap(&mut passed, at)?,
                _ if marks::is_terminal(c) || marks::is_emoji(c) => self.judge(marks::terminal, at)?,
                _ if marks::is_clause_mark(c) => self.judge(marks::clause_mark, at)?,
                _ => self.letter(&mut passed, c, at)?,
            };
            match mark {
                Mark::Sentence(end) if passed.half_words > 0 => return Some(end),
                Mark::Clause { end, rank } if passed.half_words > 0 => {
                    passed.end_word(self.text, at, &self.limits);
                    if passed.at_least(self.limits.mark) {
                        return Some(end);
                    }
                    if passed.at_least(self.limits.least) {
                        better(&mut passed.best_mark, (rank, end));
                    }
                    at = end.max(next);
                }
                Mark::Gap(end) => return Some(end),
                Mark::Sentence(end) | Mark::Clause { end, .. } | Mark::Nothing(end) => at = end.max(next),
            }
            if let Some((_, end)) = passed.best_mark.filter(|_| passed.at_least(self.limits.mark)) {
                return Some(end);
            }
        }
        None
    }

    /// `None` when the mark is not sure yet.
    fn judge(&self, rule: fn(&str, usize, Ending) -> Option<Mark>, at: usize) -> Option<Mark> {
        rule(self.text, at, self.ending)
    }

    /// Counts words, and cuts scripts without gaps when there is too much.
    fn letter(&self, passed: &mut Passed, c: char, at: usize) -> Option<Mark> {
        let next = at + c.len_utf8();
        if !c.is_alphanumeric() {
            return Some(Mark::Nothing(next));
        }
        if !marks::is_unspaced(c) {
            if passed.word.is_none() {
                passed.word = Some(at);
                passed.half_words += 2;
            }
            return Some(Mark::Nothing(next));
        }
        passed.end_word(self.text, at, &self.limits);
        passed.half_words += 1;
        passed.word_end = next;
        if !passed.at_least(self.limits.most) {
            return Some(Mark::Nothing(next));
        }
        match marks::char_at(self.text, next) {
            None => self.unless_open(Mark::Nothing(next)),
            Some(c) if marks::is_unspaced(c) && self.is_grapheme_boundary(next) => Some(Mark::Gap(next)),
            Some(_) => Some(Mark::Nothing(next)),
        }
    }

    /// White space: ends a word, is a mark of its own in scripts without gaps, and is a cut when there is too much.
    fn gap(&self, passed: &mut Passed, at: usize) -> Option<Mark> {
        passed.end_word(self.text, at, &self.limits);
        let after = marks::skip_blank(self.text, at);
        let before = self.text[self.from..at].chars().next_back();
        let phrase_gap = before.is_some_and(marks::is_unspaced);
        let too_much = passed.at_least(self.limits.most);
        if !phrase_gap && !too_much {
            return Some(Mark::Nothing(after));
        }
        let Some(next) = marks::char_at(self.text, after) else { return self.unless_open(Mark::Nothing(after)) };
        if phrase_gap && marks::is_unspaced(next) {
            return Some(Mark::Clause { end: at, rank: 1 });
        }
        if too_much && (next.is_alphanumeric() || marks::is_opener(next)) {
            return Some(Mark::Gap(passed.best_phrase.map_or(at, |(_, place)| place)));
        }
        Some(Mark::Nothing(after))
    }

    fn unless_open(&self, mark: Mark) -> Option<Mark> {
        (self.ending != Ending::Open).then_some(mark)
    }

    fn is_grapheme_boundary(&self, at: usize) -> bool {
        // All of the text is given, so that the answer is never "incomplete".
        GraphemeCursor::new(at, self.text.len(), true).is_boundary(self.text, 0).unwrap_or(false)
    }
}
