//! A client that stops the agent by itself, or has stopped playing it: it knows what came out of its loudspeaker.

use std::time::Duration;

use duologue_signaling::event::FloorState;

use super::Conversation;
use crate::audio::LINE_RATE;
use crate::time::CallTime;

impl Conversation {
    /// What is being said, or thought of, is over. Whoever speaks goes on.
    pub(super) fn stop(&mut self, at: CallTime) {
        if self.over || self.closing {
            return;
        }
        let spoken = self.reply.as_ref().is_some_and(|reply| reply.draft.is_none());
        if !spoken && self.floor.state() != FloorState::Thinking {
            return;
        }
        // Whoever stops the agent is there: a goodbye to nobody is taken back, and the next silence begins at the lowest rung.
        self.ladder.reset();
        // The question is settled, however little of its answer was heard: nobody waits for the rest.
        self.commit_caller(at);
        self.drop_reply(at);
        self.rest(at);
    }

    /// What has left of the turn beyond this was never heard.
    pub(super) fn truncate(&mut self, turn: u32, played: Duration) {
        let samples =
            u64::try_from(played.as_micros()).unwrap_or(u64::MAX).saturating_mul(LINE_RATE.into()) / 1_000_000;
        let open = self.reply.as_mut().filter(|reply| reply.turn == turn).map(|reply| &mut reply.ledger);
        let mut arriving = self.arriving.iter_mut().filter(|arriving| arriving.turn == turn);
        if let Some(ledger) = open.or_else(|| arriving.next().map(|arriving| &mut arriving.ledger)) {
            ledger.truncate(samples);
            self.history.heard(turn, ledger.heard());
        }
    }
}
