//! A turn is heard in parts: what lies before a pause that the caller spoke on after is settled, and only what came since is
//! heard again. So less of a long turn is left to be recognised at its end.
//!
//! This keeps the words of the parts and puts what is heard of the rest behind them. Answers of the recogniser come in any
//! order: one that follows a part whose words are not known yet waits for them here.

use super::conversation::Input;
use crate::backend::AsrPurpose;

/// Goes with a piece of sound to the recogniser and comes back with the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Ask {
    pub turn: u32,
    pub revision: u32,
    pub purpose: AsrPurpose,
    number: u64,
    /// Parts that lie before this sound.
    after: usize,
    /// The conversation asked, and waits for the answer.
    waited_for: bool,
}

/// The parts of the open turn.
#[derive(Debug, Default)]
pub struct Parts {
    turn: u32,
    parts: Vec<Part>,
    asks: u64,
    /// The newest tail that was asked for: if the caller speaks on, it is a part.
    tail: Option<Tail>,
    /// Answers that wait for the words before them.
    waiting: Vec<(Ask, Result<String, String>)>,
}

#[derive(Debug)]
struct Part {
    /// The ask that tells its words.
    ask: u64,
    words: Option<String>,
}

#[derive(Debug)]
struct Tail {
    ask: u64,
    after: usize,
    /// How far its sound went, in samples of everything heard.
    until: u64,
    words: Option<String>,
}

/// What is to be done about a part that was just cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Its words are known already, or on their way: they were asked for when the pause began.
    Asked,
    /// Transcribe it.
    Ask(Ask),
}

impl Parts {
    /// The open utterance, up to sample `until` of everything heard, goes to the recogniser.
    pub fn ask(&mut self, turn: u32, revision: u32, purpose: AsrPurpose, until: u64) -> Ask {
        self.follow(turn);
        let ask = Ask { waited_for: true, ..self.next(turn, revision, purpose) };
        if purpose == AsrPurpose::Final {
            self.tail = Some(Tail { ask: ask.number, after: ask.after, until, words: None });
        }
        ask
    }

    /// The beginning of the utterance was cut off. Its last sound was voiced at sample `voiced_until`, and it ends at `end`.
    pub fn cut(&mut self, turn: u32, voiced_until: u64, end: u64, spoken_on_at: u64) -> Cut {
        self.follow(turn);
        let after = self.parts.len();
        let tail = self.tail.take();
        let heard = |tail: &Tail| tail.after == after && (voiced_until..=spoken_on_at.max(end)).contains(&tail.until);
        if let Some(tail) = tail.filter(heard) {
            self.parts.push(Part { ask: tail.ask, words: tail.words });
            return Cut::Asked;
        }
        let ask = self.next(turn, 0, AsrPurpose::Final);
        self.parts.push(Part { ask: ask.number, words: None });
        Cut::Ask(ask)
    }

    /// The recogniser has answered; what the conversation is to be told of it, in order.
    pub fn answer(&mut self, ask: Ask, text: Result<String, String>) -> Vec<Input> {
        if ask.turn != self.turn {
            return if ask.waited_for { vec![told(ask, text)] } else { Vec::new() };
        }
        if let Some(tail) = self.tail.as_mut().filter(|tail| tail.ask == ask.number) {
            tail.words = Some(text.clone().unwrap_or_default());
        }
        // A part that was not understood has no words; the turn goes on without it.
        if let Some(part) = self.parts.iter_mut().find(|part| part.ask == ask.number) {
            part.words = Some(text.clone().unwrap_or_default());
        }
        // Also where a tail became a part: the sound after it may have been nothing.
        if ask.waited_for {
            self.waiting.push((ask, text));
            self.waiting.sort_by_key(|(ask, _)| ask.number);
        }
        let ready = |ask: &Ask| self.parts.iter().take(ask.after).all(|part| part.words.is_some());
        let (ready, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|(ask, _)| ready(ask));
        self.waiting = waiting;
        ready.into_iter().map(|(ask, text)| told(ask, text.map(|text| self.whole(ask.after, &text)))).collect()
    }

    /// The words of the parts, for the recogniser to go on from; empty when there are none or they are not known yet.
    pub fn words(&self, turn: u32) -> &str {
        let last = self.parts.last().filter(|_| self.turn == turn);
        last.and_then(|part| part.words.as_deref()).unwrap_or_default()
    }

    fn whole(&self, after: usize, rest: &str) -> String {
        let parts = self.parts.iter().take(after).filter_map(|part| part.words.as_deref()).map(joint);
        let words: Vec<&str> = parts.chain([rest]).filter(|words| !words.is_empty()).collect();
        words.join(" ")
    }

    const fn next(&mut self, turn: u32, revision: u32, purpose: AsrPurpose) -> Ask {
        self.asks += 1;
        Ask { turn, revision, purpose, number: self.asks, after: self.parts.len(), waited_for: false }
    }

    /// Another turn: nothing of the last one lies before it.
    fn follow(&mut self, turn: u32) {
        if turn != self.turn {
            *self = Self { turn, asks: self.asks, ..Self::default() };
        }
    }
}

/// A part's words without the dots that a recogniser writes where a sentence is cut off.
fn joint(words: &str) -> &str {
    words.trim_end_matches(|c: char| c == '…' || c == '-' || c.is_whitespace()).trim_end_matches("...")
}

fn told(ask: Ask, text: Result<String, String>) -> Input {
    Input::Transcribed { turn: ask.turn, revision: ask.revision, purpose: ask.purpose, text }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(inputs: &[Input]) -> Vec<&str> {
        let text = |input| match input {
            &Input::Transcribed { text: Ok(ref text), .. } => text.as_str(),
            other => panic!("{other:?}"),
        };
        inputs.iter().map(text).collect()
    }

    fn ask(parts: &mut Parts, purpose: AsrPurpose, until: u64) -> Ask {
        parts.ask(1, 0, purpose, until)
    }

    #[test]
    fn the_rest_is_told_behind_the_words_of_the_parts() {
        let mut parts = Parts::default();
        let Cut::Ask(part) = parts.cut(1, 900, 1_000, 1_000) else { panic!("nothing was asked before") };
        assert_eq!(parts.answer(part, Ok("A table...".into())), []);
        let rest = ask(&mut parts, AsrPurpose::Partial, 2_000);
        assert_eq!(text(&parts.answer(rest, Ok("for two".into()))), ["A table for two"]);
    }

    #[test]
    fn what_comes_before_the_words_of_a_part_waits_for_them() {
        let mut parts = Parts::default();
        let Cut::Ask(part) = parts.cut(1, 900, 1_000, 1_000) else { panic!("nothing was asked before") };
        let rest = ask(&mut parts, AsrPurpose::Final, 2_000);
        assert_eq!(parts.answer(rest, Ok("for two.".into())), []);
        assert_eq!(text(&parts.answer(part, Ok("A table".into()))), ["A table for two."]);
    }

    #[test]
    fn a_tail_that_the_caller_spoke_on_after_is_not_asked_for_again() {
        let mut parts = Parts::default();
        let tail = ask(&mut parts, AsrPurpose::Final, 1_000);
        assert_eq!(text(&parts.answer(tail, Ok("A table".into()))), ["A table"]);
        assert_eq!(parts.cut(1, 900, 1_100, 1_200), Cut::Asked);
        let rest = ask(&mut parts, AsrPurpose::Final, 2_000);
        assert_eq!(text(&parts.answer(rest, Ok("for two.".into()))), ["A table for two."]);
    }

    #[test]
    fn a_tail_still_on_its_way_becomes_the_part_when_it_comes() {
        let mut parts = Parts::default();
        let tail = ask(&mut parts, AsrPurpose::Final, 1_000);
        assert_eq!(parts.cut(1, 900, 1_100, 1_200), Cut::Asked);
        let rest = ask(&mut parts, AsrPurpose::Final, 2_000);
        assert_eq!(parts.answer(rest, Ok("for two.".into())), []);
        let told = parts.answer(tail, Ok("A table".into()));
        assert_eq!(text(&told), ["A table", "A table for two."], "who asked for the tail may still wait for it");
    }

    #[test]
    fn a_tail_of_an_earlier_pause_says_nothing_about_this_part() {
        let mut parts = Parts::default();
        let _earlier = ask(&mut parts, AsrPurpose::Final, 500);
        assert!(matches!(parts.cut(1, 900, 1_000, 1_000), Cut::Ask(_)));
    }

    #[test]
    fn another_turn_begins_with_nothing_before_it() {
        let mut parts = Parts::default();
        let Cut::Ask(part) = parts.cut(1, 900, 1_000, 1_000) else { panic!("nothing was asked before") };
        let next = parts.ask(2, 0, AsrPurpose::Final, 3_000);
        assert_eq!(text(&parts.answer(next, Ok("Thank you.".into()))), ["Thank you."]);
        assert_eq!(parts.answer(part, Ok("A table".into())), [], "nobody waits for it any more");
    }

    proptest! {
        /// Parts and the rest, answered in any order: the last answer tells all words in the order they were said.
        #[test]
        fn words_come_in_the_order_they_were_said(order in Just((0..6_usize).collect::<Vec<_>>()).prop_shuffle()) {
            let mut parts = Parts::default();
            let mut asks: Vec<Ask> = (1..6_u64)
                .map(|n| match parts.cut(1, n * 10, n * 10, n * 10) {
                    Cut::Ask(ask) => ask,
                    Cut::Asked => panic!("nothing was asked before"),
                })
                .collect();
            asks.push(parts.ask(1, 0, AsrPurpose::Final, 100));
            let told: Vec<Input> = order.iter().flat_map(|n| parts.answer(asks[*n], Ok(format!("w{n}")))).collect();
            prop_assert_eq!(text(&told), ["w0 w1 w2 w3 w4 w5"]);
        }
    }
}
