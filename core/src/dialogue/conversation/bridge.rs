//! A phrase over a wait: whoever has just stopped the agent is told that it has heard, if its answer is late. Never twice in a
//! row, and never where the answer is as good as there.

use std::time::Duration;

use duologue_signaling::event::{Event, FloorState};

use super::Conversation;
use super::reply::Reply;
use crate::time::CallTime;

impl Reply {
    /// Begins with a fixed phrase; the model's words follow it.
    pub fn open_with(&mut self, at: CallTime, phrase: &str) {
        if !phrase.is_empty() {
            self.take(at, &format!("{phrase} "));
            self.cut_short();
            self.lead = self.ledger.text().len();
        }
    }

    /// The fixed phrase that it began with; empty as a rule.
    pub fn lead_in(&self) -> &str {
        self.ledger.text().get(..self.lead).unwrap_or_default().trim_end()
    }

    /// Nothing of the model's has come.
    pub fn is_wordless(&self) -> bool {
        self.ledger.text().get(self.lead..).unwrap_or_default().trim().is_empty()
    }
}

impl Conversation {
    /// Once a tick: is it time to say something?
    pub(super) fn watch_transition(&mut self, at: CallTime) {
        let after = Duration::from_millis(u64::from(self.settings.transition_ms));
        let waits =
            self.caller.as_ref().filter(|caller| caller.after_barge_in).and_then(|caller| caller.latency.turn_end_ms);
        let late = waits.is_some_and(|ended| at.since(CallTime::from_ms(ended)) >= after);
        let thinks = self.floor.state() == FloorState::Thinking;
        if after.is_zero() || !late || !thinks || self.bridged {
            return;
        }
        let known = &self.persona.transitions;
        let Some(phrase) = known.get(self.last_turn as usize % known.len().max(1)).cloned() else { return };
        // Where there are words already the voice is at work, and a phrase would only put them off.
        let Some(reply) = self.reply.as_mut().filter(|reply| reply.draft.is_none() && reply.ledger.text().is_empty())
        else {
            return;
        };
        reply.open_with(at, &phrase);
        let turn = reply.turn;
        self.bridged = true;
        self.emit(at, Event::Transition { turn, text: phrase });
        self.pump(at);
    }

    /// An answer without a phrase is being heard: the next one may have one again.
    pub(super) fn forget_bridge(&mut self) {
        if self.reply.as_ref().is_some_and(|reply| reply.lead == 0) {
            self.bridged = false;
        }
    }

    /// After a phrase there is no dead air: a model that says nothing is spoken for.
    pub(super) fn watch_lead_in(&mut self, at: CallTime) {
        let limit = u128::from(self.settings.pace.think_limit_ms);
        let silent = |reply: &&mut Reply| {
            reply.lead > 0 && reply.is_wordless() && !reply.text_done && at.since(reply.opened).as_millis() >= limit
        };
        if let Some(reply) = self.reply.as_mut().filter(silent) {
            reply.take(at, &self.persona.trouble.clone());
            reply.finish_text();
            self.trouble(at, "no-reply", "No reply in time; the caller is asked to say it again.");
            self.pump(at);
        }
    }
}
