//! What is looked up, thought of and spoken ahead for a call, beside the tick: the persona's files, follow-up questions, phrases.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::task::{CallTask, Listened};
use super::wire;
use crate::backend::{ChatRequest, Clause, Llm, Speech, Tts, Urgency};
use crate::dialogue::conversation::Input;

/// Follow-up questions that take longer are not worth it any more.
const FOLLOW_UPS_WITHIN: Duration = Duration::from_secs(20);

/// What runs for a call and is waited for by nothing, and what came of it.
#[derive(Default)]
pub(super) struct Aside {
    consulting: Option<AbortHandle>,
    follow_ups: Option<AbortHandle>,
}

impl CallTask {
    /// Looks these words up in the persona's files; the newest words win.
    pub(super) fn consult(&mut self, persona: String, words: String) {
        if let Some(older) = self.work.aside.consulting.take() {
            older.abort();
        }
        let (house, inbox) = (self.knowledge.clone(), self.inbox.0.clone());
        self.work.aside.consulting = Some(self.work.listening.spawn(async move {
            let asked = Instant::now();
            let found = house.find(&persona, &words).await;
            let took_ms = asked.elapsed().as_secs_f32() * 1_000.0;
            let passages = found.unwrap_or_else(|fault| {
                tracing::warn!(%fault, "nothing can be looked up");
                Vec::new()
            });
            let _ = inbox.send(Input::Consulted { words, passages, took_ms }).await;
            Listened::Nothing
        }));
    }

    /// Asks the web, as work of the agent's turn.
    pub(super) fn search(&mut self, turn: u32, query: String) {
        if let Some(web) = self.web.clone() {
            self.turn(turn).search(web, query);
        }
    }

    /// Has the model read the request ahead of time; the newest request wins.
    pub(super) fn prime(&mut self, request: ChatRequest) {
        if let Some(older) = self.work.priming.take() {
            older.abort();
        }
        let llm = self.engines.llm.clone();
        self.work.priming = Some(self.work.listening.spawn(async move {
            if let Err(fault) = llm.prime(request).await {
                tracing::debug!(%fault, "the prefix cache stays cold");
            }
            Listened::Nothing
        }));
    }

    /// Has the model think of follow-up questions, after everything that somebody waits for.
    pub(super) fn follow_up(&mut self, turn: u32, request: ChatRequest) {
        self.drop_follow_ups();
        let (llm, inbox) = (self.engines.llm.clone(), self.inbox.0.clone());
        self.work.aside.follow_ups = Some(self.work.listening.spawn(async move {
            match timeout(FOLLOW_UPS_WITHIN, whole(llm, request)).await {
                Ok(Some(text)) => drop(inbox.send(Input::FollowUps { turn, text }).await),
                Ok(None) | Err(_) => tracing::debug!(turn, "no follow-up questions"),
            }
            Listened::Nothing
        }));
    }

    pub(super) fn drop_follow_ups(&mut self) {
        if let Some(older) = self.work.aside.follow_ups.take() {
            older.abort();
        }
    }

    /// Has a clause spoken that may be needed at once.
    pub(super) fn voice_phrase(&mut self, text: String) {
        let tts = self.engines.tts.clone();
        self.work.listening.spawn(async move {
            let sound = spoken(tts, text.clone()).await;
            Listened::Phrase(text, sound)
        });
    }
}

/// The whole of an answer.
async fn whole(llm: Arc<dyn Llm>, request: ChatRequest) -> Option<String> {
    let mut pieces = llm.chat_aside(request).await.ok()?;
    let mut text = String::new();
    while let Some(piece) = pieces.next().await {
        text.push_str(&piece.ok()?);
    }
    Some(text)
}

/// The whole sound of a clause; nothing where the voice fails.
async fn spoken(tts: Arc<dyn Tts>, text: String) -> Vec<Speech> {
    let (out, mut made) = wire::speech();
    let gather = async {
        let mut sound = Vec::new();
        while let Some(speech) = made.recv().await {
            sound.push(speech);
        }
        sound
    };
    let clause = Clause { text, urgency: Urgency::Memory };
    let (result, sound) = tokio::join!(tts.speak(clause, out), gather);
    if result.is_ok() { sound } else { Vec::new() }
}
