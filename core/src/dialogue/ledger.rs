//! The word ledger of one agent turn: how far each of its words has come, and when.
//!
//! generated (the model wrote it) -> synthesised (its sound is there) -> sent (its last sample has left) -> heard (it has come
//! out of the caller's loudspeaker, as far as [`FarEar`] knows). Each state is reached in the order of the text, so that what
//! was heard is a prefix of what was sent, and that of what was generated. A turn that is dropped stops sending in the same
//! tick; what had left by then is still on its way and will be heard.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use crate::backend::WordMark;
use crate::journal::WordFate;
use crate::media::far_ear::{Evidence, FarEar};
use crate::time::CallTime;

/// A place at which the voice has told where it is: text up to here is sound up to there.
#[derive(Clone, Debug)]
struct Mark {
    text_end: usize,
    /// Samples of the turn.
    sample_end: u64,
    synthesised: Option<CallTime>,
    /// When, and at which sample of the line.
    sent: Option<(CallTime, u64)>,
    heard: Option<(CallTime, Evidence)>,
}

/// One turn's ledger.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    text: String,
    /// Where each piece of text ended, and when it came.
    pieces: Vec<(usize, CallTime)>,
    marks: Vec<Mark>,
    /// How many marks have got so far; each count runs behind the one before it.
    synthesised: usize,
    sent: usize,
    heard: usize,
    /// Samples of sound made, and that had been made when the present clause began.
    made: u64,
    clause: Range<usize>,
    clause_start: u64,
    /// Samples of it that have left for good.
    played: u64,
    /// Where the line stood when the turn's first frame left.
    begun: Option<u64>,
    /// No more marks than these can be heard: the client has played no further.
    hearable: Option<usize>,
}

impl Ledger {
    /// More text of the turn.
    pub fn generate(&mut self, at: CallTime, text: &str) {
        self.text.push_str(text);
        self.pieces.push((self.text.len(), at));
    }

    /// Everything generated so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The voice begins a clause: its place in the text, and where its words lie in the sound to come.
    pub fn plan(&mut self, clause: Range<usize>, words: &[WordMark]) {
        self.clause_start = self.made;
        for word in words {
            self.mark(
                clause.start.saturating_add(word.text.end),
                clause.end,
                self.clause_start.saturating_add(word.end),
            );
        }
        self.clause = clause;
    }

    /// So many samples of the clause have been made.
    pub fn synthesise(&mut self, at: CallTime, samples: usize) {
        self.made += samples as u64;
        self.catch_up(at);
    }

    /// The clause is complete: its text ends where its sound ends, whatever the plan had said.
    pub fn end_clause(&mut self, at: CallTime, clause: &Range<usize>) {
        for mark in &mut self.marks[self.synthesised..] {
            mark.sample_end = mark.sample_end.min(self.made);
        }
        self.mark(clause.end, clause.end, self.made);
        self.catch_up(at);
    }

    /// A frame leaves in which the line stands at sample `line`; with it `played` samples of the turn have left for good.
    pub fn send(&mut self, at: CallTime, line: u64, played: u64) {
        self.begun.get_or_insert(line);
        while let Some(mark) = self.marks[..self.synthesised].get_mut(self.sent)
            && mark.sample_end <= played
        {
            mark.sent = Some((at, line + mark.sample_end.saturating_sub(self.played)));
            self.sent += 1;
        }
        self.played = played;
    }

    /// Follows what has been sent to the far ear; whether more of it was heard.
    pub fn hear(&mut self, at: CallTime, ear: &FarEar) -> bool {
        let before = self.heard;
        while self.heard < self.hearable.unwrap_or(usize::MAX)
            && let Some(mark) = self.marks.get_mut(self.heard)
            && let Some((left, line)) = mark.sent
            && ear.moment(line) <= at
        {
            // A frame that left late, to a client that plays at once, is due at the ear before it left.
            mark.heard = Some((ear.moment(line).max(left), ear.evidence(at)));
            self.heard += 1;
        }
        // A report may have moved the clock back between two words; what is told never goes back.
        for n in before.max(1)..self.heard {
            if let (Some((earlier, _)), Some((moment, _))) = (self.marks[n - 1].heard, &mut self.marks[n].heard) {
                *moment = earlier.max(*moment);
            }
        }
        self.heard > before
    }

    /// The client has played so many samples of the line from the turn's first frame on, and plays no more of it. A second such
    /// report never gives back what the first took.
    pub fn truncate(&mut self, samples: u64) {
        let end = self.begun.unwrap_or(0).saturating_add(samples);
        let within = |mark: &Mark| mark.sent.is_some_and(|(_, line)| line <= end);
        let hearable = self.marks.iter().take_while(|mark| within(mark)).count();
        let hearable = self.hearable.map_or(hearable, |before| before.min(hearable));
        self.hearable = Some(hearable);
        self.heard = self.heard.min(hearable);
        self.marks[hearable..].iter_mut().for_each(|mark| mark.heard = None);
    }

    /// What the caller has heard.
    pub fn heard(&self) -> &str {
        self.up_to(self.heard)
    }

    /// What has left and cannot be called back: heard, or on its way to the ear.
    pub fn sent(&self) -> &str {
        self.up_to(self.sent)
    }

    /// Nothing of it is on its way any more.
    pub fn has_arrived(&self) -> bool {
        self.heard == self.sent.min(self.hearable.unwrap_or(usize::MAX))
    }

    /// Every word and how far it has come.
    pub fn words(&self) -> Vec<WordFate> {
        let mut mark = 0;
        let mut piece = 0;
        let fate = |text: Range<usize>| {
            mark += self.marks[mark..].iter().take_while(|mark| mark.text_end < text.end).count();
            piece += self.pieces[piece..].iter().take_while(|(end, _)| *end < text.end).count();
            let reached = self.marks.get(mark);
            WordFate {
                generated: self.pieces.get(piece).map_or(CallTime::ZERO, |(_, at)| *at),
                synthesised: reached.and_then(|mark| mark.synthesised),
                sent: reached.and_then(|mark| mark.sent).map(|(at, _)| at),
                heard: reached.and_then(|mark| mark.heard),
                text,
            }
        };
        words(&self.text).into_iter().map(fate).collect()
    }

    /// Total over what a voice may plan: marks neither go back nor leave their clause.
    fn mark(&mut self, text_end: usize, clause_end: usize, sample_end: u64) {
        let (text_before, sample_before) = self.marks.last().map_or((0, 0), |mark| (mark.text_end, mark.sample_end));
        let text_end = self.text.floor_char_boundary(text_end.min(clause_end));
        // White space behind the last word belongs to none.
        let text_end = self.text[..text_end].trim_end().len().max(text_before);
        let sample_end = sample_end.max(sample_before);
        self.marks.push(Mark { text_end, sample_end, synthesised: None, sent: None, heard: None });
    }

    fn catch_up(&mut self, at: CallTime) {
        while let Some(mark) = self.marks.get_mut(self.synthesised)
            && mark.sample_end <= self.made
        {
            mark.synthesised = Some(at);
            self.synthesised += 1;
        }
    }

    fn up_to(&self, marks: usize) -> &str {
        let end = marks.checked_sub(1).and_then(|last| self.marks.get(last)).map_or(0, |mark| mark.text_end);
        self.text.get(..end).unwrap_or(&self.text)
    }
}

/// The words of a text: what white space parts; in scripts without spaces, what Unicode (UAX 29) takes for a word. Marks
/// belong to the word before them.
fn words(text: &str) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = Vec::new();
    let mut apart = true;
    for (start, part) in text.split_word_bound_indices() {
        if part.trim().is_empty() {
            apart = true;
            continue;
        }
        let end = start + part.len();
        let begins = apart || part.chars().any(is_without_spaces);
        match words.last_mut() {
            Some(word) if !begins => word.end = end,
            _ => words.push(start..end),
        }
        apart = false;
    }
    words
}

/// Chinese and Japanese letters; their punctuation is not among them.
fn is_without_spaces(letter: char) -> bool {
    matches!(letter, '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::LINE_FRAME;
    use crate::media::far_ear::FarEarSettings;

    const FRAME: u64 = LINE_FRAME as u64;

    fn ms(ms: u64) -> CallTime {
        CallTime::from_ms(ms)
    }

    /// A turn of five words, two frames each, in two clauses.
    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        ledger.generate(ms(10), "We open ");
        ledger.generate(ms(20), "at ten, always.");
        let mark = |text: Range<usize>, frames: u64| WordMark { text, end: frames * FRAME };
        ledger.plan(0..15, &[mark(0..2, 2), mark(3..7, 4), mark(8..10, 6), mark(11..15, 8)]);
        ledger.synthesise(ms(30), 8 * LINE_FRAME);
        ledger.end_clause(ms(30), &(0..15));
        ledger.plan(16..23, &[mark(0..7, 2)]);
        ledger.synthesise(ms(40), LINE_FRAME);
        ledger
    }

    /// Sends so many frames from 100 ms on.
    fn send(ledger: &mut Ledger, ear: &mut FarEar, frames: u64) {
        for n in 0..frames {
            ledger.send(ms(100 + 20 * n), ear.line(), (n + 1) * FRAME);
            ear.left(ms(100 + 20 * n));
        }
    }

    fn states(ledger: &Ledger) -> Vec<&'static str> {
        ledger.words().iter().map(|word| word.state().as_str()).collect()
    }

    #[test]
    fn a_word_goes_from_generated_to_heard_in_its_turn() {
        let mut ledger = ledger();
        let mut ear = FarEar::new(FarEarSettings::default());
        assert_eq!(states(&ledger), ["synthesised", "synthesised", "synthesised", "synthesised", "generated"]);
        send(&mut ledger, &mut ear, 5);
        // Its last sample left with the frame of 120 ms and comes out 20 + 100 ms later.
        assert!(!ledger.hear(ms(239), &ear));
        assert!(ledger.hear(ms(240), &ear));
        assert_eq!(states(&ledger), ["heard", "sent", "synthesised", "synthesised", "generated"]);
        assert_eq!((ledger.heard(), ledger.sent()), ("We", "We open"));
        let first = &ledger.words()[0];
        assert_eq!((first.generated, first.synthesised, first.sent), (ms(10), Some(ms(30)), Some(ms(120))));
        assert_eq!(first.heard, Some((ms(240), Evidence::Estimate)));
    }

    #[test]
    fn what_was_on_its_way_when_the_turn_was_dropped_is_still_heard() {
        let mut ledger = ledger();
        let mut ear = FarEar::new(FarEarSettings::default());
        send(&mut ledger, &mut ear, 4);
        assert!(!ledger.has_arrived());
        ledger.hear(ms(2_000), &ear);
        assert!(ledger.has_arrived());
        assert_eq!(ledger.heard(), "We open");
    }

    #[test]
    fn what_the_client_did_not_play_was_not_heard_whatever_the_clock_says() {
        let mut ledger = ledger();
        let mut ear = FarEar::new(FarEarSettings::default());
        // Something else was said before.
        (0..50).for_each(|n| ear.left(ms(20 * n)));
        let begin = |ledger: &mut Ledger, ear: &mut FarEar| {
            for n in 0..6 {
                ledger.send(ms(1_000 + 20 * n), ear.line(), (n + 1) * FRAME);
                ear.left(ms(1_000 + 20 * n));
            }
        };
        begin(&mut ledger, &mut ear);
        ledger.truncate(3 * FRAME);
        assert!(!ledger.has_arrived(), "its first word is on its way");
        ledger.hear(ms(5_000), &ear);
        assert_eq!((ledger.heard(), ledger.sent()), ("We", "We open at"));
        assert!(ledger.has_arrived());
        assert_eq!(states(&ledger)[..3], ["heard", "sent", "sent"]);
        ledger.truncate(9 * FRAME);
        ledger.hear(ms(6_000), &ear);
        assert_eq!(ledger.heard(), "We", "no later report brings it back");
        ledger.truncate(0);
        assert_eq!(ledger.heard(), "");
    }

    #[test]
    fn a_clause_that_came_out_shorter_than_planned_is_still_said_to_its_end() {
        let mut ledger = ledger();
        let mut ear = FarEar::new(FarEarSettings::default());
        ledger.end_clause(ms(50), &(16..23));
        send(&mut ledger, &mut ear, 9);
        ledger.hear(ms(2_000), &ear);
        assert_eq!(ledger.heard(), "We open at ten, always.");
    }

    #[test]
    fn what_left_late_was_not_heard_before_it_left() {
        let mut ledger = ledger();
        let mut ear = FarEar::new(FarEarSettings { buffer_ms: 0 });
        for (n, at) in [100, 175].into_iter().enumerate() {
            ledger.send(ms(at), ear.line(), (n as u64 + 1) * FRAME);
            ear.left(ms(at));
        }
        assert!(ledger.hear(ms(180), &ear));
        let first = &ledger.words()[0];
        assert_eq!((first.sent, first.heard.map(|(at, _)| at)), (Some(ms(175)), Some(ms(175))));
    }

    #[test]
    fn a_plan_that_makes_no_sense_leaves_a_prefix_all_the_same() {
        let mut ledger = Ledger::default();
        ledger.generate(ms(0), "Für Elise");
        let plan = [(usize::MAX, 900), (2, 100), (0, u64::MAX)].map(|(text, end)| WordMark { text: 0..text, end });
        ledger.plan(0..10, &plan);
        ledger.plan(0..2, &[WordMark { text: 0..2, end: 5 }]);
        ledger.synthesise(ms(1), 1_000);
        ledger.end_clause(ms(1), &(0..2));
        ledger.send(ms(2), 0, 1_000);
        assert!(ledger.text().starts_with(ledger.sent()));
    }

    #[test]
    fn words_are_what_people_call_words() {
        let of = |text: &'static str| words(text).into_iter().map(|word| &text[word]).collect::<Vec<_>>();
        assert_eq!(
            of(" \"Well,\" he said — it's half-past 3.14! "),
            ["\"Well,\"", "he", "said", "—", "it's", "half-past", "3.14!"]
        );
        assert_eq!(of("今天，很好。 OK"), ["今", "天，", "很", "好。", "OK"]);
        assert_eq!(of(""), [""; 0]);
    }
}
