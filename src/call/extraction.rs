//! The language model, asked for facts: beside the call, when its machine says so, and given up when it says so. Off unless
//! `memory.extractor` says otherwise.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;

use super::task::{CallTask, Listened};
use crate::backend::{ChatRequest, Llm};
use crate::machine::Extracted;
use crate::memory::extract::{self, ANSWER_BYTES};

/// An answer that takes longer is none.
const LIMIT: Duration = Duration::from_secs(20);

impl CallTask {
    pub(super) fn extract(&mut self, turn: u32, text: Arc<str>, request: ChatRequest) {
        let llm = self.engines.llm.clone();
        let running =
            self.work.listening.spawn(async move { Listened::Extracted(ask(llm, request, turn, &text).await) });
        if let Some(memory) = &mut self.memory {
            memory.extracting = Some(running);
        }
    }

    pub(super) fn give_up_extraction(&mut self) {
        if let Some(running) = self.memory.as_mut().and_then(|memory| memory.extracting.take()) {
            running.abort();
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
