//! One call's notebook: it reads the finished turns, both sides', gives what they leave to remember, and sums the call up.

use super::calendar::Day;
use super::promises::promises;
use super::recollection::worth_telling;
use super::{Fact, Gleanings, Party, glean};
use crate::journal::{Speaker, TurnRow};

/// Longest summary of a call, characters.
const SUMMARY_CHARS: usize = 300;
/// Questions that a summary quotes.
const QUESTIONS: usize = 3;

/// What is noted in a call.
#[derive(Clone, Debug)]
pub struct Notebook {
    today: Day,
    /// What the agent said last, as far as it was heard.
    agent: Option<String>,
    learned: Vec<Fact>,
    asked: Vec<String>,
    promised: Vec<String>,
}

impl Notebook {
    /// For a call on this day.
    pub fn new(today: Day) -> Self {
        Self { today, agent: None, learned: Vec::new(), asked: Vec::new(), promised: Vec::new() }
    }

    /// A turn is over: what it gives to remember.
    pub fn read(&mut self, turn: &TurnRow) -> Gleanings {
        let gleanings = match turn.speaker {
            Speaker::Agent => {
                let heard = turn.heard.clone().unwrap_or_default();
                let commitments = promises(&heard, Party::Agent, self.today);
                if !heard.is_empty() {
                    self.agent = Some(heard);
                }
                Gleanings { commitments, ..Gleanings::default() }
            }
            Speaker::Caller => {
                if turn.text.trim_end().ends_with('?') {
                    self.asked.push(turn.text.trim().to_owned());
                }
                glean(&turn.text, self.agent.as_deref(), self.today)
            }
        };
        if !gleanings.wishes.is_empty() {
            self.learned.clear();
            self.asked.clear();
        }
        self.learned.extend(gleanings.facts.iter().cloned());
        self.promised.extend(gleanings.commitments.iter().map(|promise| {
            let who = if promise.who == Party::Agent { "the agent" } else { "the caller" };
            format!("{who} promised to {}", promise.what)
        }));
        gleanings
    }

    /// What the call was about, in one line; `None` where nothing is worth a line.
    pub fn summary(&self) -> Option<String> {
        let asked = self.asked.iter().rev().take(QUESTIONS).rev().map(|question| format!("asked \"{question}\""));
        let said = worth_telling(&self.learned).map(|line| format!("said: {line}"));
        let mut out = String::new();
        for part in self.promised.iter().cloned().chain(said).chain(asked) {
            if out.len() + part.len() + 2 <= SUMMARY_CHARS {
                if !out.is_empty() {
                    out.push_str("; ");
                }
                out.push_str(&part);
            }
        }
        (!out.is_empty()).then_some(out)
    }
}
