//! What was asked of back ends in a call, and what they answered: from here a call that goes another way is answered.

use std::cell::RefCell;

use super::again::{Driver, Journal};
use super::question::Question;
use super::record::Record;
use crate::backend::{AsrPurpose, ChatRequest, Role, Speech, WordMark};
use crate::dialogue::conversation::Input;
use crate::dialogue::judge::Situation;
use crate::machine::{Extracted, Happening, MachineError, Output, by_the_rules};
use crate::time::CallTime;

/// What stands in for an answer that the call does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guess {
    /// A transcript: the words of the pieces of sound that were recognised in the call and lie in this one.
    Words,
    /// The turn model's opinion: that about the nearest moment.
    Complete,
    /// The judge's verdict: that of the rules.
    Verdict,
    /// The language model's reply: that to the same words of the caller, or the nearest in time.
    Reply,
    /// The voice: silence of the length that the voice usually takes.
    Speech,
    /// What was found in files, on the web or in memory: nothing, or what was found for the nearest words.
    Found,
}

impl Guess {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Words, Self::Complete, Self::Verdict, Self::Reply, Self::Speech, Self::Found];

    /// How it is told.
    pub const fn told(self) -> &'static str {
        match self {
            Self::Words => "transcripts made of those of the call",
            Self::Complete => "opinions of the turn model about the nearest pause",
            Self::Verdict => "verdicts of the rules",
            Self::Reply => "replies that the model gave to another request",
            Self::Speech => "clauses at the voice's usual pace",
            Self::Found => "look-ups that found nothing, or what the nearest words found",
        }
    }
}

/// An answer: when it comes, in which order among those of one moment, and what it is.
pub(super) type Timed = (CallTime, u64, Happening);

/// A question as it was asked in the call, with its answers.
#[derive(Debug)]
struct Asked {
    at: CallTime,
    question: Question,
    answers: Vec<Timed>,
    /// When nobody waited for the answer any more: no answer had come by then. Never, where the call ended first.
    gave_up: CallTime,
}

/// After every call.
const NEVER: CallTime = CallTime::from_us(u64::MAX >> 2);

/// What a question gets.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// It was asked at this very moment in the call: the answers come when they came.
    pub as_it_was: bool,
    pub answers: Vec<Timed>,
    /// The call gave it up before its end: this is the end, if it is not given up here.
    pub end: Option<(CallTime, Happening)>,
    pub guess: Option<Guess>,
}

/// See the module's words.
pub(super) struct Shelf {
    asked: Vec<Asked>,
    /// Samples of speech for a byte of text, and how long a voice took to begin: over the call.
    pace: u64,
    voice_delay_us: u64,
}

/// A voice of whose pace nothing is known: 14 characters a second.
const SAMPLES_PER_BYTE: u64 = 48_000 / 14;

impl Shelf {
    /// Replays the call and notes who was asked what.
    pub fn of(journal: &Journal) -> Result<Self, MachineError> {
        let asked: RefCell<Vec<Asked>> = RefCell::default();
        let mut driver = Driver::new(&journal.head, |at, output| {
            for asked in asked.borrow_mut().iter_mut().filter(|asked| asked.gave_up == NEVER) {
                if asked.question.is_given_up_by(&output) {
                    asked.gave_up = at;
                }
            }
            if let Some(question) = Question::of(&output) {
                asked.borrow_mut().push(Asked { at, question, answers: Vec::new(), gave_up: NEVER });
            }
        })?;
        for (index, record) in journal.records.iter().enumerate() {
            match record {
                Record::Beat { at, due, sensed } => driver.beat(*at, *due, *sensed),
                Record::Happened { at, what } => {
                    let mut asked = asked.borrow_mut();
                    if let Some(asked) = asked.iter_mut().rev().find(|asked| asked.question.is_answered_by(what)) {
                        asked.answers.push((*at, index as u64, what.clone()));
                    }
                    drop(asked);
                    driver.on(*at, what.clone());
                }
                Record::Lost(_) => break,
                Record::Said(_) | Record::Done(_) => {}
            }
        }
        drop(driver);
        let asked = asked.into_inner();
        let spoken = |asked: &Asked| match &asked.question {
            Question::Speak { text, .. } => Some((text.len() as u64, samples(&asked.answers), asked.began_us()?)),
            _ => None,
        };
        let spoken: Vec<_> = asked.iter().filter_map(spoken).filter(|(_, samples, _)| *samples > 0).collect();
        let sum = |part: fn(&(u64, u64, u64)) -> u64| spoken.iter().map(part).sum::<u64>();
        let pace = sum(|(_, samples, _)| *samples).checked_div(sum(|(bytes, ..)| *bytes)).unwrap_or(SAMPLES_PER_BYTE);
        let voice_delay_us = sum(|(_, _, began)| *began).checked_div(spoken.len() as u64).unwrap_or(200_000);
        Ok(Self { asked, pace, voice_delay_us })
    }

    /// What this gets that is to be done at `at`; `None` where it is no question.
    pub fn answer(&self, at: CallTime, output: &Output) -> Option<Answer> {
        let question = Question::of(output)?;
        // What the call gave up before there was an answer has to be made up, if it is not given up here.
        let same = self.nearest(at, |asked| asked.question.is_same(&question) && asked.is_answered());
        let mut answer = match same {
            Some(asked) => asked.given_to(at, &question),
            None => self.make_up(at, &question, output)?,
        };
        // Where it was asked at this very moment, the call knows for how long there was no answer.
        if !answer.as_it_was
            && let Some(then) = self.asked.iter().find(|asked| asked.at == at && asked.question.is_same(&question))
        {
            let ends = answer.end.iter_mut().map(|(when, _)| when);
            answer.answers.iter_mut().map(|(when, ..)| when).chain(ends).for_each(|when| {
                *when = (*when).max(after(then.gave_up));
            });
        }
        Some(answer)
    }

    fn make_up(&self, at: CallTime, question: &Question, output: &Output) -> Option<Answer> {
        Some(match question {
            Question::Words { from, until, .. } => {
                let text = self.words_within(*from, *until);
                self.guessed(at, question, Guess::Words, vec![Happening::Words(question.ask()?, Ok(text))])
            }
            Question::Complete { .. } => self.like(at, question, Guess::Complete, |asked| {
                matches!(asked.question, Question::Complete { .. }) && !asked.answers.is_empty()
            }),
            Question::Judge { turn, revision, .. } => {
                let Output::Judge { situation, .. } = output else { return None };
                self.by_rules(at, question, *turn, *revision, situation)
            }
            Question::Consult { words } => {
                let near = self.nearest(at, |asked| matches!(asked.question, Question::Consult { .. }));
                let nothing = Input::Consulted { words: words.clone(), passages: Vec::new(), took_ms: 0.0 };
                match near.filter(|asked| !asked.answers.is_empty()) {
                    Some(asked) => {
                        Answer { as_it_was: false, guess: Some(Guess::Found), ..asked.given_to(at, question) }
                    }
                    None => self.guessed(at, question, Guess::Found, vec![Happening::Input(nothing)]),
                }
            }
            Question::Search { turn, .. } => {
                let nothing = Input::Searched { turn: *turn, result: Err("the call did not ask this".into()) };
                self.guessed(at, question, Guess::Found, vec![Happening::Input(nothing)])
            }
            Question::Recall { .. } => Answer { guess: Some(Guess::Found), ..Answer::default() },
            Question::FollowUps { .. } => Answer { guess: Some(Guess::Reply), ..Answer::default() },
            Question::Extract { turn, .. } => {
                let failed = Extracted { turn: *turn, outcome: "failed", facts: Vec::new(), refused: 0, took_ms: 0 };
                self.guessed(at, question, Guess::Reply, vec![Happening::Extracted(failed)])
            }
            Question::Generate { turn, request } => self.reply(at, question, *turn, request),
            Question::Speak { turn, clause, text } => {
                let (turn, clause) = (*turn, *clause);
                let inputs = self.sound(text).into_iter().map(|speech| Input::Speech { turn, clause, speech });
                let inputs = inputs.chain([Input::Spoken { turn, clause, result: Ok(()) }]);
                self.guessed(at, question, Guess::Speech, inputs.map(Happening::Input).collect())
            }
            Question::Phrase { text } => {
                let sound = Happening::Phrase(text.clone(), self.sound(text));
                self.guessed(at, question, Guess::Speech, vec![sound])
            }
            Question::Attention { text } => {
                let pcm = vec![0.0; self.length(text)].into();
                let sound = Happening::Input(Input::Attention { text: text.clone(), pcm });
                self.guessed(at, question, Guess::Speech, vec![sound])
            }
        })
    }

    fn nearest(&self, at: CallTime, fits: impl Fn(&Asked) -> bool) -> Option<&Asked> {
        let far = |asked: &&Asked| asked.at.us().abs_diff(at.us());
        self.asked.iter().filter(|asked| fits(asked)).min_by_key(far)
    }

    fn like(&self, at: CallTime, question: &Question, guess: Guess, fits: impl Fn(&Asked) -> bool) -> Answer {
        let near = self.nearest(at, fits).map(|asked| asked.given_to(at, question)).unwrap_or_default();
        Answer { as_it_was: false, guess: Some(guess), ..near }
    }

    /// Answers after the usual time of their kind.
    fn guessed(&self, at: CallTime, question: &Question, guess: Guess, what: Vec<Happening>) -> Answer {
        let kind = std::mem::discriminant(question);
        let took = self.asked.iter().filter(|asked| std::mem::discriminant(&asked.question) == kind);
        let took: Vec<u64> = took.filter_map(Asked::began_us).collect();
        let usual = took.iter().sum::<u64>().checked_div(took.len() as u64);
        let usual = usual.unwrap_or(if guess == Guess::Speech { self.voice_delay_us } else { 0 });
        let when = CallTime::from_us(at.us() + usual);
        let answers = what.into_iter().map(|what| (when, 0, what)).collect();
        Answer { answers, guess: Some(guess), ..Answer::default() }
    }

    fn by_rules(&self, at: CallTime, question: &Question, turn: u32, revision: u32, situation: &Situation) -> Answer {
        let verdict = Happening::Input(by_the_rules(turn, revision, situation));
        self.guessed(at, question, Guess::Verdict, vec![verdict])
    }

    fn reply(&self, at: CallTime, question: &Question, turn: u32, request: &ChatRequest) -> Answer {
        let generated = |asked: &Asked| match &asked.question {
            Question::Generate { request, .. } if !asked.answers.is_empty() => Some(last_words(request).to_owned()),
            _ => None,
        };
        let words = last_words(request);
        let same_words = self.nearest(at, |asked| generated(asked).is_some_and(|last| last == words));
        let near = same_words.or_else(|| self.nearest(at, |asked| generated(asked).is_some()));
        match near {
            Some(asked) => Answer { as_it_was: false, guess: Some(Guess::Reply), ..asked.given_to(at, question) },
            None => {
                let none = Input::Generated { turn, result: Err("the call has no reply at all".into()) };
                self.guessed(at, question, Guess::Reply, vec![Happening::Input(none)])
            }
        }
    }

    /// The words of the pieces that were recognised and lie in this one for the most part; where they overlap, the final one and the
    /// longest.
    fn words_within(&self, from: u64, until: u64) -> String {
        let mut pieces: Vec<(bool, u64, u64, &str)> = Vec::new();
        for asked in &self.asked {
            let (Question::Words { ask, from: first, until: last }, Some((_, _, Happening::Words(_, Ok(text))))) =
                (&asked.question, asked.answers.first())
            else {
                continue;
            };
            let inside = (*last).min(until).saturating_sub((*first).max(from));
            if inside * 5 >= last.saturating_sub(*first) * 3 {
                pieces.push((ask.purpose != AsrPurpose::Final, *first, *last, text));
            }
        }
        pieces.sort_by_key(|(passing, first, last, _)| (*passing, std::cmp::Reverse(last - first)));
        let mut chosen: Vec<(u64, u64, &str)> = Vec::new();
        for (_, first, last, text) in pieces {
            let over =
                |(a, b, _): &(u64, u64, &str)| (*b).min(last).saturating_sub((*a).max(first)) * 3 >= last - first;
            if !chosen.iter().any(over) {
                chosen.push((first, last, text));
            }
        }
        chosen.sort_unstable();
        let words: Vec<&str> = chosen.into_iter().map(|(_, _, text)| text).filter(|text| !text.is_empty()).collect();
        words.join(" ")
    }

    fn length(&self, text: &str) -> usize {
        usize::try_from(self.pace * text.len() as u64).unwrap_or(0)
    }

    /// A clause at the usual pace.
    fn sound(&self, text: &str) -> Vec<Speech> {
        let mut words = Vec::new();
        let mut offset = 0;
        for word in text.split_whitespace() {
            let start = offset + text[offset..].find(word).unwrap_or(0);
            offset = start + word.len();
            words.push(WordMark { text: start..offset, end: self.pace * offset as u64 });
        }
        let samples = self.length(text);
        vec![Speech::Plan { samples: samples as u64, words }, Speech::Pcm(vec![0.0; samples])]
    }
}

impl Asked {
    /// It has an answer, or one of its kind has none as often as not: then nobody waits for it.
    fn is_answered(&self) -> bool {
        let waited_for =
            matches!(self.question, Question::Generate { .. } | Question::Speak { .. } | Question::Words { .. });
        !waited_for || !self.answers.is_empty()
    }

    /// The end that its answers lack, where the call gave them up in the middle: what there is of them stands.
    fn end(&self) -> Option<Input> {
        let (.., last) = self.answers.last()?;
        match (&self.question, last) {
            (_, Happening::Input(Input::Generated { .. } | Input::Spoken { .. })) => None,
            (Question::Generate { turn, .. }, _) => Some(Input::Generated { turn: *turn, result: Ok(()) }),
            (Question::Speak { turn, clause, .. }, _) => {
                Some(Input::Spoken { turn: *turn, clause: *clause, result: Ok(()) })
            }
            _ => None,
        }
    }

    /// Its answers, for another asker: `question` is the same but for its numbers and its moment.
    fn given_to(&self, at: CallTime, question: &Question) -> Answer {
        let as_it_was = at == self.at;
        let moved = |when: CallTime| CallTime::from_us((at.us() + when.us()).saturating_sub(self.at.us()));
        let answers = self.answers.iter();
        let answers = answers.map(|(when, index, what)| (moved(*when), *index, question.addressed(what.clone())));
        let answers: Vec<Timed> = answers.collect();
        let last = answers.last().map_or(at, |(when, ..)| *when);
        let last = if as_it_was { last.max(after(self.gave_up)) } else { last };
        let end = self.end().map(|end| (last, question.addressed(Happening::Input(end))));
        let exact = !matches!(question, Question::Complete { .. }) || as_it_was;
        Answer { as_it_was, answers, end, guess: (!exact).then_some(Guess::Complete) }
    }

    /// From the question to the first answer.
    fn began_us(&self) -> Option<u64> {
        self.answers.first().map(|(when, ..)| when.us().saturating_sub(self.at.us()))
    }
}

/// Is it some back end's answer? The rest comes from outside, and comes again as it came.
pub(super) fn is_answer(what: &Happening) -> bool {
    match what {
        Happening::Words(..) | Happening::Phrase(..) | Happening::Extracted(_) => true,
        Happening::Input(input) => !matches!(input, Input::Trouble { .. } | Input::Remembered(_)),
        _ => false,
    }
}

/// As soon after it as there is a moment.
const fn after(at: CallTime) -> CallTime {
    CallTime::from_us(at.us() + 1)
}

fn samples(answers: &[Timed]) -> u64 {
    let samples = |(_, _, what): &Timed| match what {
        Happening::Input(Input::Speech { speech: Speech::Pcm(pcm), .. }) => pcm.len() as u64,
        _ => 0,
    };
    answers.iter().map(samples).sum()
}

/// What the caller has said last.
fn last_words(request: &ChatRequest) -> &str {
    let last = request.messages.iter().rev().find(|message| message.role == Role::User);
    last.map_or("", |message| message.content.as_str())
}
