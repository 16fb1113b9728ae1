//! The memory of a call with a caller who is known by name: beside the tick, owned by the call, waited for by nothing. Finished
//! turns are read into the notebook as they are kept; what is known is fetched when the call begins, and what comes to mind
//! with every transcript. A request is made with what is known by then.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use super::extraction::Extracting;
use super::task::{CallTask, Listened};
use crate::backend::Embedder;
use crate::dialogue::conversation::{Errand, Input};
use crate::journal::{CallId, Entry, Speaker, TurnRow};
use crate::memory::calendar::Day;
use crate::memory::keeping::soon;
use crate::memory::meaning::{Meaning, nearest};
use crate::memory::notebook::Notebook;
use crate::memory::recollection::Open;
use crate::memory::{Fact, Gleanings, Party, promises};
use crate::store::{Reader, Recorder, utc_ms};

/// Meanings that are made up for as a call begins: about a second of work, while the agent greets.
const MADE_UP_MOST: u32 = 64;

/// What every call of this server shares of it.
#[derive(Clone, Debug)]
pub struct MemoryHouse {
    pub store: Reader,
    /// Characters of the prompt that what is known of the caller may take: 100..=4000.
    pub digest_chars: usize,
    /// Facts and earlier words that are recalled for a turn: 0..=16.
    pub recalled: u32,
    /// The language model is asked for facts as well.
    pub asks_model: bool,
}

/// One call's memory.
pub struct CallMemory {
    pub(super) house: MemoryHouse,
    caller: String,
    today: Day,
    notebook: Notebook,
    /// What the facts of the calls before mean.
    meanings: Arc<Vec<(i64, Meaning)>>,
    /// Turns that the language model is to be asked about.
    pub(super) extracting: Extracting,
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
        self.work.memory = Some(CallMemory {
            house,
            caller,
            today,
            notebook,
            meanings: Arc::default(),
            extracting: Extracting::default(),
            sought: String::new(),
            recalling: None,
        });
    }

    /// Fetches what is known of the caller, what the calls before this one have recorded included. `again`: it may be less than
    /// what this call knows.
    pub(super) fn recollect(&mut self, again: bool) {
        let Some(memory) = &self.work.memory else { return };
        let (store, caller, today) = (memory.house.store.clone(), memory.caller.clone(), memory.today);
        let (recorder, inbox) = (self.recorder.clone(), self.inbox.0.clone());
        let (embedder, call) = (self.engines.embedder.clone(), self.call.clone());
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
            if let Some(embedder) = embedder {
                make_up_meanings(&store, &recorder, embedder, (&caller, call)).await;
            }
            match store.meanings(&caller).await {
                Ok(meanings) => Listened::Meanings(meanings),
                Err(fault) => {
                    tracing::debug!(%fault, "facts are found by their words alone");
                    Listened::Nothing
                }
            }
        });
    }

    /// What the caller's facts mean is there.
    pub(super) fn learn_meanings(&mut self, meanings: Vec<(i64, Meaning)>) {
        if let Some(memory) = &mut self.work.memory {
            memory.meanings = Arc::new(meanings);
        }
    }

    /// What new facts mean is found out beside the call, one line after the other, and kept.
    pub(super) fn find_meanings(&mut self, facts: &[Fact]) {
        let Some(embedder) = self.engines.embedder.clone() else { return };
        let lines: Vec<String> = facts.iter().map(Fact::line).collect();
        if lines.is_empty() {
            return;
        }
        let (call, recorder) = (self.call.clone(), self.recorder.clone());
        self.work.listening.spawn(async move {
            for line in lines {
                match embedder.embed(line.clone()).await {
                    Ok(meaning) => recorder.record(Entry::Meant {
                        call: call.clone(),
                        line,
                        model: embedder.model(),
                        meaning: Box::new(meaning),
                    }),
                    Err(fault) => tracing::debug!(%fault, "a fact is found by its words alone"),
                }
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
        let meanings = memory.meanings.clone();
        let embedder = self.engines.embedder.clone().filter(|_| !meanings.is_empty());
        memory.recalling = Some(self.work.listening.spawn(async move {
            let meant = match embedder {
                Some(embedder) => embedder.embed(words.clone()).await.ok(),
                None => None,
            };
            let near = meant.map_or_else(Vec::new, |meant| nearest(&meant, &meanings, house.recalled as usize));
            match house.store.recalled(&caller, &call, &words, today, house.recalled, &near).await {
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
        self.note_for_extraction(&entry);
        let soon = match &entry {
            Entry::Turn(row) => promised_soon(row),
            _ => Vec::new(),
        };
        self.recorder.record(entry);
        for (errand, after) in soon {
            self.conversation.on(self.now(), Input::Errand { errand, after });
        }
        if let Some((turn, gleanings)) = gleaned.filter(|(_, gleanings)| !gleanings.is_empty()) {
            let facts = gleanings.facts.clone();
            self.recorder.record(Entry::Remembered { call: self.call.clone(), turn, gleanings, at_utc_ms: utc_ms() });
            self.find_meanings(&facts);
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

/// What facts mean that were kept without: said in the last breath of a call, or before meanings were known.
async fn make_up_meanings(
    store: &Reader,
    recorder: &Recorder,
    embedder: Arc<dyn Embedder>,
    (caller, call): (&str, CallId),
) {
    let lines = store.unmeant(caller, MADE_UP_MOST).await.unwrap_or_default();
    if lines.is_empty() {
        return;
    }
    for line in lines {
        if let Ok(meaning) = embedder.embed(line.clone()).await {
            let (call, model, meaning) = (call.clone(), embedder.model(), Box::new(meaning));
            recorder.record(Entry::Meant { call, line, model, meaning });
        }
    }
    if let Err(why) = recorder.flush().await {
        tracing::debug!(%why, "what facts mean is known in the next call");
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
