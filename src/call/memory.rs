//! The memory of a call with a caller who is known by name: beside the tick, owned by the call, waited for by nothing. Finished
//! turns are read into the notebook as they are kept; what is known is fetched when the call begins, and what comes to mind
//! with every transcript. A request is made with what is known by then.

use std::time::Duration;

use tokio::task::AbortHandle;

use super::registry::utc_ms;
use super::task::{CallTask, Listened};
use crate::dialogue::conversation::{Errand, Input};
use crate::journal::{Entry, Speaker, TurnRow};
use crate::memory::calendar::Day;
use crate::memory::keeping::soon;
use crate::memory::notebook::Notebook;
use crate::memory::recollection::Open;
use crate::memory::{Gleanings, Party, promises};
use crate::store::Reader;

/// What every call of this server shares of it.
#[derive(Clone, Debug)]
pub struct MemoryHouse {
    pub store: Reader,
    /// Characters of the prompt that what is known of the caller may take: 100..=4000.
    pub digest_chars: usize,
    /// Facts and earlier words that are recalled for a turn: 0..=16.
    pub recalled: u32,
}

/// One call's memory.
pub struct CallMemory {
    house: MemoryHouse,
    caller: String,
    today: Day,
    notebook: Notebook,
    /// The words that were looked for last, and the search itself.
    sought: String,
    recalling: Option<AbortHandle>,
}

impl CallTask {
    /// This call's caller is remembered.
    pub fn remember_caller(&mut self, house: MemoryHouse, caller: String) {
        let today = Day::of_utc_ms(utc_ms());
        self.conversation.give_memory(today, house.digest_chars);
        let notebook = Notebook::new(today);
        self.work.memory = Some(CallMemory { house, caller, today, notebook, sought: String::new(), recalling: None });
    }

    /// Fetches what is known of the caller, what the calls before this one have recorded included. `again`: it may be less than
    /// what this call knows.
    pub(super) fn recollect(&mut self, again: bool) {
        let Some(memory) = &self.work.memory else { return };
        let (store, caller, today) = (memory.house.store.clone(), memory.caller.clone(), memory.today);
        let (recorder, inbox) = (self.recorder.clone(), self.inbox.0.clone());
        self.work.listening.spawn(async move {
            if let Err(why) = recorder.flush().await {
                tracing::debug!(%why, "recollecting what the database has");
            }
            match store.recollection(&caller, today).await {
                Ok(recollection) if again || !recollection.is_empty() => {
                    let _ = inbox.send(Input::Remembered(Box::new(recollection))).await;
                }
                Ok(_) => {}
                Err(fault) => tracing::warn!(%fault, "nothing is recollected of the caller"),
            }
            Listened::Nothing
        });
    }

    /// Looks for what these words bring to mind; the newest words win.
    pub(super) fn recall(&mut self, words: &str) {
        let Some(memory) = self.work.memory.as_mut().filter(|memory| memory.house.recalled > 0) else { return };
        if memory.sought == words || words.is_empty() {
            return;
        }
        words.clone_into(&mut memory.sought);
        if let Some(older) = memory.recalling.take() {
            older.abort();
        }
        let (house, caller, today) = (memory.house.clone(), memory.caller.clone(), memory.today);
        let (call, words, inbox) = (self.call.clone(), words.to_owned(), self.inbox.0.clone());
        memory.recalling = Some(self.work.listening.spawn(async move {
            match house.store.recalled(&caller, &call, &words, today, house.recalled).await {
                Ok(lines) => {
                    let _ = inbox.send(Input::Recalled(lines)).await;
                }
                Err(fault) => tracing::debug!(%fault, "nothing comes to mind"),
            }
            Listened::Nothing
        }));
    }

    /// A row is kept; where it is a turn, what it gives to remember is kept after it.
    pub(super) fn keep(&mut self, entry: Entry) {
        let gleaned = match (&mut self.work.memory, &entry) {
            (Some(memory), Entry::Turn(row)) => Some((row.turn, memory.notebook.read(row))),
            _ => None,
        };
        let soon = match &entry {
            Entry::Turn(row) => promised_soon(row),
            _ => Vec::new(),
        };
        self.recorder.record(entry);
        for (errand, after) in soon {
            self.conversation.on(self.now(), Input::Errand { errand, after });
        }
        if let Some((turn, gleanings)) = gleaned.filter(|(_, gleanings)| !gleanings.is_empty()) {
            self.recorder.record(Entry::Remembered { call: self.call.clone(), turn, gleanings, at_utc_ms: utc_ms() });
        }
    }

    /// What is known of the caller is there: promises that this very call keeps are closed.
    pub(super) fn know(&mut self, input: &Input) {
        let (Some(memory), Input::Remembered(known)) = (&mut self.work.memory, input) else { return };
        let closed = memory.notebook.know(&known.open);
        if !closed.is_empty() {
            let gleanings = Gleanings { closed, ..Gleanings::default() };
            let entry = Entry::Remembered { call: self.call.clone(), turn: 0, gleanings, at_utc_ms: utc_ms() };
            self.recorder.record(entry);
        }
    }

    /// What the call was about, for the next one.
    pub(super) fn sum_up(&mut self) {
        if let Some(text) = self.work.memory.as_ref().and_then(|memory| memory.notebook.summary()) {
            self.recorder.record(Entry::Summed { call: self.call.clone(), text });
        }
    }
}

/// What the agent has promised for later in this call: "I'll remind you in ten minutes."
fn promised_soon(row: &TurnRow) -> Vec<(Errand, Duration)> {
    let heard = row.heard.as_deref().filter(|_| row.speaker == Speaker::Agent);
    let today = Day::of_utc_ms(utc_ms());
    let promised = heard.map_or_else(Vec::new, |heard| promises(heard, Party::Agent, today));
    let timed = promised.into_iter().filter_map(|promise| {
        let after = soon(&promise.what)?;
        let open = Open { who: promise.who, what: promise.what, due: promise.due, made: today };
        Some((Errand::promise(open, today), after))
    });
    timed.collect()
}
