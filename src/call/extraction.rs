//! The language model, asked for facts: after a turn, one turn at a time, only while nobody speaks or waits, and given up at once
//! when somebody does. Off unless `memory.extractor` says so.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use duologue_signaling::event::FloorState;
use futures_util::StreamExt;
use tokio::task::AbortHandle;

use super::task::{CallTask, Listened};
use crate::backend::{ChatRequest, Llm};
use crate::journal::{Entry, Speaker};
use crate::memory::extract::{self, ANSWER_BYTES};
use crate::memory::{Fact, Gleanings};
use crate::store::utc_ms;

/// Turns that may wait; of a caller who talks faster than the model reads, the newest are asked about.
const WAITING_MOST: usize = 8;
/// A turn is begun so often before it is given up for good.
const TRIES: u32 = 3;
/// An answer that takes longer is none.
const LIMIT: Duration = Duration::from_secs(20);

/// Turns that the model is to be asked about.
#[derive(Default)]
pub struct Extracting {
    waiting: VecDeque<Asking>,
    running: Option<(Asking, AbortHandle)>,
}

#[derive(Clone)]
struct Asking {
    turn: u32,
    text: Arc<str>,
    tries: u32,
}

/// What came of one.
pub struct Extracted {
    turn: u32,
    outcome: &'static str,
    facts: Vec<Fact>,
    refused: u32,
    took_ms: u64,
}

impl CallTask {
    /// A finished caller turn that says something waits for its moment.
    pub(super) fn note_for_extraction(&mut self, entry: &Entry) {
        let (Some(memory), Entry::Turn(row)) = (&mut self.work.memory, entry) else { return };
        if !memory.house.asks_model || row.speaker != Speaker::Caller || extract::question(&row.text).is_none() {
            return;
        }
        let waiting = &mut memory.extracting.waiting;
        if waiting.len() == WAITING_MOST {
            waiting.pop_front();
        }
        waiting.push_back(Asking { turn: row.turn, text: row.text.as_str().into(), tries: 0 });
    }

    /// Once a tick: begins one when the floor is free, gives it up when it is not.
    pub(super) fn watch_extraction(&mut self) {
        let free = self.conversation.floor() == FloorState::Idle;
        let Some(memory) = &mut self.work.memory else { return };
        let extracting = &mut memory.extracting;
        if !free {
            if let Some((mut asking, running)) = extracting.running.take() {
                running.abort();
                asking.tries += 1;
                if asking.tries < TRIES {
                    extracting.waiting.push_front(asking);
                } else {
                    let turn = asking.turn;
                    self.keep_extracted(Extracted {
                        turn,
                        outcome: "given-up",
                        facts: Vec::new(),
                        refused: 0,
                        took_ms: 0,
                    });
                }
            }
            return;
        }
        if extracting.running.is_some() {
            return;
        }
        let Some(asking) = extracting.waiting.pop_front() else { return };
        let Some(request) = extract::question(&asking.text) else { return };
        let (llm, turn, text) = (self.engines.llm.clone(), asking.turn, asking.text.clone());
        let running =
            self.work.listening.spawn(async move { Listened::Extracted(ask(llm, request, turn, &text).await) });
        extracting.running = Some((asking, running));
    }

    /// What was found becomes facts of the turn, and that it was asked a row.
    pub(super) fn keep_extracted(&mut self, found: Extracted) {
        let Some(memory) = &mut self.work.memory else { return };
        memory.extracting.running.take_if(|(asking, _)| asking.turn == found.turn);
        let Extracted { turn, outcome, facts, refused, took_ms } = found;
        let (call, at_utc_ms) = (self.call.clone(), utc_ms());
        let count = u32::try_from(facts.len()).unwrap_or(u32::MAX);
        self.recorder.record(Entry::Extracted {
            call: call.clone(),
            turn,
            at_utc_ms,
            outcome,
            facts: count,
            refused,
            took_ms,
        });
        if !facts.is_empty() {
            let gleanings = Gleanings { facts: facts.clone(), ..Gleanings::default() };
            self.recorder.record(Entry::Remembered { call, turn, gleanings, at_utc_ms });
            self.find_meanings(&facts);
        }
    }
}

async fn ask(llm: Arc<dyn Llm>, request: ChatRequest, turn: u32, text: &str) -> Extracted {
    let began = Instant::now();
    let answer = tokio::time::timeout(LIMIT, answer(llm, request)).await;
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let nothing = |outcome| Extracted { turn, outcome, facts: Vec::new(), refused: 0, took_ms };
    match answer.map(|answer| answer.map(|answer| extract::read(&answer, text))) {
        Err(_) | Ok(Err(())) => nothing("failed"),
        Ok(Ok(Err(why))) => {
            tracing::debug!(why, "the language model's facts are not taken");
            nothing("no-json")
        }
        Ok(Ok(Ok(found))) => {
            let outcome = if found.facts.is_empty() { "nothing" } else { "facts" };
            Extracted { turn, outcome, facts: found.facts, refused: found.refused, took_ms }
        }
    }
}

/// The whole answer, or as much of it as is too much.
async fn answer(llm: Arc<dyn Llm>, request: ChatRequest) -> Result<String, ()> {
    let mut pieces = llm.chat(request).await.map_err(drop)?;
    let mut answer = String::new();
    while let Some(piece) = pieces.next().await {
        answer.push_str(&piece.map_err(drop)?);
        if answer.len() > ANSWER_BYTES {
            break;
        }
    }
    Ok(answer)
}
