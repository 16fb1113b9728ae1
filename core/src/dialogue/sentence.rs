//! Cuts the language model's text into clauses that can be spoken while the rest is still being written.
//!
//! Any script. The cuts tile the text: each has its byte range, so that what was heard is always a prefix of what was
//! generated. Where a cut falls depends on the text alone, never on how it was divided into pieces on the way.

use std::ops::Range;

mod marks;
mod scan;
mod words;

pub use marks::{emoji, speakable};
use scan::{Ending, Limits, Scan};

/// One clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The clause as it was written, without the white space around it.
    pub text: String,
    /// Its bytes in everything pushed since the cutter was made, the white space before it included: each range begins
    /// where the one before it ended.
    pub range: Range<usize>,
}

/// How long a clause may be, in words. A character of a script without spaces between words counts as half a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClauseLimits {
    /// The first clause of a turn ends at a comma or the like when it has this many words: the caller waits for it.
    pub first_mark: usize,
    /// Without any mark the first clause ends here.
    pub first_most: usize,
    /// A later sentence longer than this is cut at its best comma or the like.
    pub later_mark: usize,
    /// Without any mark a later clause ends here.
    pub later_most: usize,
}

impl Default for ClauseLimits {
    /// At 150 words a minute: a first clause of 0.8 to 5 s, later ones of at most 10 s, 16 s without any mark.
    fn default() -> Self {
        Self { first_mark: 2, first_most: 12, later_mark: 25, later_most: 40 }
    }
}

/// Cuts one turn's text. Told a piece at a time; see the module's words.
#[derive(Clone, Debug)]
pub struct ClauseCutter {
    limits: ClauseLimits,
    text: String,
    /// Where the clause that is being collected begins.
    from: usize,
    first: bool,
}

impl Default for ClauseCutter {
    fn default() -> Self {
        Self::new(ClauseLimits::default())
    }
}

impl ClauseCutter {
    /// A cutter at the beginning of a turn.
    pub const fn new(limits: ClauseLimits) -> Self {
        Self { limits, text: String::new(), from: 0, first: true }
    }

    /// Takes in the model's next piece of text, of any length, and returns the clauses that are complete now. A mark
    /// counts only when what follows it makes it sure: `3.` may become `3.14`, and `Dr.` ends no sentence.
    pub fn push(&mut self, piece: &str) -> Vec<Cut> {
        self.text.push_str(piece);
        self.cuts(Ending::Open)
    }

    /// The model has paused: gives out a clause that ends in a mark, if the mark needs nothing behind it to be sure.
    /// A clause in the middle of a word, a number or an abbreviation goes on waiting.
    pub fn flush_if_waiting(&mut self) -> Option<Cut> {
        let end = self.scan(Ending::Paused).next_cut()?;
        Some(self.cut_at(end))
    }

    /// The text is complete: the clauses that are left. White space at the very end belongs to none.
    pub fn finish(&mut self) -> Vec<Cut> {
        let mut cuts = self.cuts(Ending::Finished);
        if !self.text[self.from..].trim().is_empty() {
            cuts.push(self.cut_at(self.text.len()));
        }
        cuts
    }

    /// Everything pushed so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What is not in any clause yet.
    pub fn waiting(&self) -> &str {
        &self.text[self.from..]
    }

    fn cuts(&mut self, ending: Ending) -> Vec<Cut> {
        let mut cuts = Vec::new();
        while let Some(end) = self.scan(ending).next_cut() {
            cuts.push(self.cut_at(end));
        }
        cuts
    }

    fn scan(&self, ending: Ending) -> Scan<'_> {
        let ClauseLimits { first_mark, first_most, later_mark, later_most } = self.limits;
        let limits = if self.first {
            Limits { least: first_mark, mark: first_mark, most: first_most, phrase_least: first_most / 3 }
        } else {
            Limits { least: later_mark / 5, mark: later_mark, most: later_most, phrase_least: later_most / 3 }
        };
        Scan { text: &self.text, from: self.from, ending, limits }
    }

    fn cut_at(&mut self, end: usize) -> Cut {
        let range = self.from..end;
        self.from = end;
        self.first = false;
        Cut { text: self.text[range.clone()].trim().to_owned(), range }
    }
}

#[cfg(test)]
mod tests;
