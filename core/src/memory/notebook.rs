//! One call's notebook: it reads the finished turns, both sides', gives what they leave to remember, and sums the call up.

use super::calendar::Day;
use super::keeping::{self, Closing, End};
use super::promises::TakenOn;
use super::recollection::{Open, worth_telling};
use super::{Fact, Gleanings, Party, glean};
use crate::journal::{Speaker, TurnRow};

/// Longest summary of a call, characters.
const SUMMARY_CHARS: usize = 300;
/// Promises that are watched in one call.
const OPEN_MOST: usize = 32;
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
    /// Promises that are open, those of this call too, and the one that the agent has brought up last.
    open: Vec<Open>,
    raised: Option<usize>,
    taken_on: TakenOn,
}

impl Notebook {
    /// For a call on this day.
    pub fn new(today: Day) -> Self {
        Self {
            today,
            agent: None,
            learned: Vec::new(),
            asked: Vec::new(),
            promised: Vec::new(),
            open: Vec::new(),
            raised: None,
            taken_on: TakenOn::default(),
        }
    }

    /// Promises that are open, of the calls before or, where it is told again, of this one too; those that are kept by this very call close.
    pub fn know(&mut self, open: &[Open]) -> Vec<Closing> {
        let (kept, open): (Vec<&Open>, Vec<&Open>) =
            open.iter().partition(|open| keeping::kept_by_calling(open, self.today));
        let is_new = |open: &&Open| !self.open.iter().any(|known| known.who == open.who && known.what == open.what);
        let new: Vec<Open> = open.into_iter().filter(is_new).cloned().collect();
        if !new.is_empty() {
            // What this call has promised meanwhile stands behind.
            self.open.splice(0..0, new);
            self.raised = None;
        }
        kept.into_iter().map(|open| Closing::of(open, End::Kept, "called")).collect()
    }

    /// A turn is over: what it gives to remember.
    pub fn read(&mut self, turn: &TurnRow) -> Gleanings {
        let closed = self.closed_by(turn);
        let taken_on = self.taken_on.read(turn, self.today);
        let mut gleanings = match turn.speaker {
            Speaker::Agent => {
                let heard = turn.heard.clone().unwrap_or_default();
                if !heard.is_empty() {
                    self.agent = Some(heard);
                }
                Gleanings { commitments: taken_on, ..Gleanings::default() }
            }
            Speaker::Caller => {
                if turn.text.trim_end().ends_with('?') {
                    self.asked.push(turn.text.trim().to_owned());
                }
                glean(&turn.text, self.agent.as_deref(), self.today)
            }
        };
        gleanings.closed = closed;
        if !gleanings.wishes.is_empty() {
            let forgotten = |line: &str| gleanings.wishes.iter().any(|wish| wish.is_about(line));
            self.learned.clear();
            self.asked.clear();
            self.promised.retain(|line| !forgotten(line));
            self.open.retain(|open| !forgotten(&open.what));
            self.raised = None;
        }
        self.open.extend(gleanings.commitments.iter().map(|promise| Open {
            who: promise.who,
            what: promise.what.clone(),
            due: promise.due,
            made: self.today,
            persona: None,
        }));
        if self.open.len() > OPEN_MOST {
            self.open.drain(..self.open.len() - OPEN_MOST);
            self.raised = None;
        }
        self.learned.extend(gleanings.facts.iter().cloned());
        self.promised.extend(gleanings.commitments.iter().map(|promise| {
            let who = if promise.who == Party::Agent { "the agent" } else { "the caller" };
            format!("{who} promised to {}", promise.what)
        }));
        gleanings
    }

    /// Promises that this turn ends: the caller says so of the one that was brought up, or the agent has told what it promised.
    fn closed_by(&mut self, turn: &TurnRow) -> Vec<Closing> {
        let mut closed = Vec::new();
        if turn.speaker == Speaker::Caller {
            if let Some(open) = self.raised.take().filter(|at| *at < self.open.len())
                && let Some(end) = keeping::answer(&turn.text)
            {
                let why = if end == End::Kept { "done" } else { "dropped" };
                closed.push(Closing::of(&self.open.remove(open), end, why));
            }
            return closed;
        }
        let heard = turn.heard.as_deref().unwrap_or_default();
        if turn.reason.as_deref() == Some("promise") {
            self.raised = self.open.iter().position(|open| !heard.is_empty() && keeping::raised(open) == turn.text);
            // A reminder is kept by giving it.
            if let Some(at) = self.raised.filter(|at| keeping::is_reminder(&self.open[*at].what)) {
                self.raised = None;
                closed.push(Closing::of(&self.open.remove(at), End::Kept, "reminded"));
            }
            return closed;
        }
        if let Some(at) = self.open.iter().position(|open| keeping::told(open, heard)) {
            self.raised = None;
            closed.push(Closing::of(&self.open.remove(at), End::Kept, "told"));
        }
        closed
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
