//! Looking things up for the caller's words, beside the tick: the newest words win.

use std::time::Instant;

use super::task::{CallTask, Listened};
use crate::dialogue::conversation::Input;

impl CallTask {
    /// Looks these words up in the persona's files.
    pub(super) fn consult(&mut self, persona: String, words: String) {
        if let Some(older) = self.work.consulting.take() {
            older.abort();
        }
        let (house, inbox) = (self.knowledge.clone(), self.inbox.0.clone());
        self.work.consulting = Some(self.work.listening.spawn(async move {
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
}
