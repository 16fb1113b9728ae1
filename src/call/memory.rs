//! What a call looks up and finds out for its memory: beside the tick, owned by the call, waited for by nothing. What is known is
//! fetched when the call begins, and what comes to mind with every transcript. A request is made with what is known by then.

use std::sync::Arc;

use tokio::task::AbortHandle;

use super::task::{CallTask, Listened};
use crate::backend::Embedder;
use crate::dialogue::conversation::Input;
use crate::journal::{CallId, Entry};
use crate::machine::MemorySettings;
use crate::memory::Fact;
use crate::memory::calendar::Day;
use crate::memory::meaning::{Meaning, nearest};
use crate::store::{Reader, Recorder};

/// Meanings that are made up for as a call begins: about a second of work, while the agent greets.
const MADE_UP_MOST: u32 = 64;

/// What every call of this server shares of it.
#[derive(Clone, Debug)]
pub struct MemoryHouse {
    pub store: Reader,
    pub settings: MemorySettings,
}

/// What runs for one call's memory.
pub struct CallMemory {
    house: MemoryHouse,
    caller: String,
    today: Day,
    /// What the facts of the calls before mean.
    meanings: Arc<Vec<(i64, Meaning)>>,
    /// The language model is being asked for facts.
    pub(super) extracting: Option<AbortHandle>,
    /// The words that were looked for last, and the search itself.
    sought: String,
    recalling: Option<AbortHandle>,
}

impl CallMemory {
    /// This caller is remembered in a call that began at that moment.
    pub fn new(house: MemoryHouse, caller: String, began_utc_ms: i64) -> Self {
        Self {
            house,
            caller,
            today: Day::of_utc_ms(began_utc_ms),
            meanings: Arc::default(),
            extracting: None,
            sought: String::new(),
            recalling: None,
        }
    }
}

impl CallTask {
    /// Fetches what is known of the caller, what the calls before this one have recorded included.
    pub(super) fn recollect(&mut self) {
        let Some(memory) = &self.memory else { return };
        let (store, caller, today) = (memory.house.store.clone(), memory.caller.clone(), memory.today);
        let (recorder, inbox) = (self.recorder.clone(), self.inbox.0.clone());
        let (embedder, call) = (self.engines.embedder.clone(), self.call.clone());
        self.work.listening.spawn(async move {
            if let Err(why) = recorder.flush().await {
                tracing::debug!(%why, "recollecting what the database has");
            }
            match store.recollection(&caller, today).await {
                Ok(recollection) => {
                    let _ = inbox.send(Input::Remembered(Box::new(recollection))).await;
                }
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
        if let Some(memory) = &mut self.memory {
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
        let Some(memory) = self.memory.as_mut().filter(|memory| memory.house.settings.recalled > 0) else { return };
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
            let near =
                meant.map_or_else(Vec::new, |meant| nearest(&meant, &meanings, house.settings.recalled as usize));
            match house.store.recalled(&caller, &call, &words, today, house.settings.recalled, &near).await {
                Ok(lines) => {
                    let _ = inbox.send(Input::Recalled(lines)).await;
                }
                Err(fault) => tracing::debug!(%fault, "nothing comes to mind"),
            }
            Listened::Nothing
        }));
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
