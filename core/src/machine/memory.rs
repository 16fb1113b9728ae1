//! The memory of a call. Finished turns are read into the notebook as they are kept, and what they tell is known until the call ends. Of a
//! caller who has a name it is kept; what is known of him is fetched when the call begins, and what comes to mind with every transcript; and
//! the language model may be asked for facts, one turn at a time, only while nobody speaks or waits.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use duologue_signaling::event::FloorState;
use serde::{Deserialize, Serialize};

use super::{CallMachine, Extracted, Output};
use crate::dialogue::conversation::{Errand, Input};
use crate::journal::{Entry, Speaker, TurnRow};
use crate::memory::calendar::Day;
use crate::memory::extract;
use crate::memory::keeping::soon;
use crate::memory::recollection::Open;
use crate::memory::{Commitment, Gleanings, Party};
use crate::time::CallTime;

/// Turns that may wait; of a caller who talks faster than the model reads, the newest are asked about.
const WAITING_MOST: usize = 8;
/// A turn is begun so often before it is given up for good.
const TRIES: u32 = 3;

/// How a caller is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemorySettings {
    /// Characters of the prompt that what is known of the caller may take: 100..=4000.
    pub digest_chars: usize,
    /// Facts and earlier words that are recalled for a turn: 0..=16.
    pub recalled: u32,
    /// The language model is asked for facts as well.
    pub asks_model: bool,
}

/// The memory of a call with a caller who has a name.
pub(super) struct CallMemory {
    settings: MemorySettings,
    /// Turns that the language model is to be asked about, and the one that it is asked about.
    waiting: VecDeque<Asking>,
    running: Option<Asking>,
}

#[derive(Clone)]
struct Asking {
    turn: u32,
    text: Arc<str>,
    tries: u32,
}

impl CallMemory {
    pub fn new(settings: MemorySettings) -> Self {
        Self { settings, waiting: VecDeque::new(), running: None }
    }

    /// A finished caller turn that says something waits for its moment.
    fn note(&mut self, row: &TurnRow) {
        if !self.settings.asks_model || row.speaker != Speaker::Caller || extract::question(&row.text).is_none() {
            return;
        }
        if self.waiting.len() == WAITING_MOST {
            self.waiting.pop_front();
        }
        self.waiting.push_back(Asking { turn: row.turn, text: row.text.as_str().into(), tries: 0 });
    }
}

impl CallMachine {
    /// Looks for what these words bring to mind.
    pub(super) fn recall(&mut self, at: CallTime, words: &str) {
        if !words.is_empty() && self.memory.as_ref().is_some_and(|memory| memory.settings.recalled > 0) {
            self.put(at, Output::Recall { words: words.to_owned() });
        }
    }

    /// A row is kept; where it is a turn, what it gives to remember is kept after it.
    pub(super) fn keep(&mut self, at: CallTime, entry: Entry) {
        let mut gleaned = None;
        let mut promised = Vec::new();
        if let Entry::Turn(row) = &entry {
            let today = Day::of_utc_ms(self.utc_ms(at));
            let gleanings = self.notebook.read(row);
            if let Some(memory) = &mut self.memory {
                memory.note(row);
            }
            let ours = gleanings.commitments.iter().filter(|promise| promise.who == Party::Agent);
            promised = due_soon(ours.cloned(), today);
            gleaned = Some((row.turn, gleanings));
        }
        self.keep_row(at, entry);
        for (errand, after) in promised {
            self.conversation.on(at, Input::Errand { errand, after });
        }
        if let Some((turn, gleanings)) = gleaned.filter(|(_, gleanings)| !gleanings.is_empty()) {
            self.conversation.learn(&gleanings);
            self.keep_gleanings(at, turn, gleanings);
        }
    }

    /// What there is to remember is kept, where the caller has a name.
    fn keep_gleanings(&mut self, at: CallTime, turn: u32, gleanings: Gleanings) {
        if self.memory.is_none() {
            return;
        }
        let facts = gleanings.facts.clone();
        let forgets = !gleanings.wishes.is_empty();
        let entry = Entry::Remembered { call: self.call.clone(), turn, gleanings, at_utc_ms: self.utc_ms(at) };
        self.keep_row(at, entry);
        if !facts.is_empty() {
            self.put(at, Output::FindMeanings(facts));
        }
        if forgets {
            // What is to be forgotten may stand in the digest, which the model reads with every turn.
            self.put(at, Output::Recollect);
        }
    }

    /// What is known of the caller is there: promises that this very call keeps are closed.
    pub(super) fn know(&mut self, at: CallTime, input: &Input) {
        let Input::Remembered(known) = input else { return };
        let closed = self.notebook.know(&known.open);
        if !closed.is_empty() {
            self.keep_gleanings(at, 0, Gleanings { closed, ..Gleanings::default() });
        }
    }

    /// What the call was about, for the next one.
    pub(super) fn sum_up(&mut self, at: CallTime) {
        if self.memory.is_some()
            && let Some(text) = self.notebook.summary()
        {
            self.keep_row(at, Entry::Summed { call: self.call.clone(), text });
        }
    }

    /// Once a tick: asks the language model about a turn when the floor is free, gives it up when it is not.
    pub(super) fn watch_extraction(&mut self, at: CallTime) {
        let free = self.conversation.floor() == FloorState::Idle;
        let Some(memory) = &mut self.memory else { return };
        if !free {
            let Some(mut asking) = memory.running.take() else { return };
            asking.tries += 1;
            let turn = asking.turn;
            let again = asking.tries < TRIES;
            if again {
                memory.waiting.push_front(asking);
            }
            self.put(at, Output::GiveUpExtraction);
            if !again {
                let nothing = Extracted { turn, outcome: "given-up", facts: Vec::new(), refused: 0, took_ms: 0 };
                self.keep_extracted(at, nothing);
            }
            return;
        }
        if memory.running.is_some() {
            return;
        }
        let Some(asking) = memory.waiting.pop_front() else { return };
        let Some(request) = extract::question(&asking.text) else { return };
        let output = Output::Extract { turn: asking.turn, text: asking.text.clone(), request: Box::new(request) };
        memory.running = Some(asking);
        self.put(at, output);
    }

    /// What was found becomes facts of the turn, and that it was asked a row.
    pub(super) fn keep_extracted(&mut self, at: CallTime, found: Extracted) {
        let Some(memory) = &mut self.memory else { return };
        memory.running.take_if(|asking| asking.turn == found.turn);
        let Extracted { turn, outcome, facts, refused, took_ms } = found;
        let count = u32::try_from(facts.len()).unwrap_or(u32::MAX);
        let (call, at_utc_ms) = (self.call.clone(), self.utc_ms(at));
        self.keep_row(at, Entry::Extracted { call, turn, at_utc_ms, outcome, facts: count, refused, took_ms });
        if !facts.is_empty() {
            let gleanings = Gleanings { facts, ..Gleanings::default() };
            self.conversation.learn(&gleanings);
            self.keep_gleanings(at, turn, gleanings);
        }
    }
}

/// What the agent has taken on for later in this call: "I'll remind you in ten minutes."
fn due_soon(taken_on: impl Iterator<Item = Commitment>, today: Day) -> Vec<(Errand, Duration)> {
    let timed = taken_on.filter_map(|promise| {
        let after = soon(&promise.what)?;
        let open = Open { who: promise.who, what: promise.what, due: promise.due, made: today, persona: None };
        Some((Errand::promise(open, today), after))
    });
    timed.collect()
}
