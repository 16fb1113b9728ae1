//! Turns whose words are the persona's own and not a model's: a greeting returned, a goodbye, a warning. A model of half a billion
//! parameters answers "Hello." with an apology and an insult with an offer of help; of these three nothing may depend on it.

use super::Conversation;
use super::reply::Reply;
use crate::dialogue::courtesy::{self, Courtesy};
use crate::dialogue::judge::Action;
use crate::time::CallTime;

/// Why a turn was answered as it was, where a greeting or a goodbye was returned: `turns.reason` in SQL.
const COURTESY: &str = "courtesy";

/// A refusal for this reason stands in place of a block: the caller is warned.
pub(super) fn warns(action: Action, reason: &str) -> bool {
    action == Action::Refuse && reason.starts_with("block")
}

impl Conversation {
    /// Says what the persona has for this turn. `false`: it has nothing, and the model is to be asked.
    pub(super) fn answer_with_fixed_words(&mut self, at: CallTime) -> bool {
        let Some(reply) = self.reply.as_ref().filter(|reply| reply.ledger.text().is_empty()) else { return false };
        let (known, why) = match warns(reply.action, reply.reason) {
            true => (&self.persona.warnings[..], None),
            false => (self.courtesies(reply), Some(COURTESY)),
        };
        let Some(words) = known.get(self.last_turn as usize % known.len().max(1)).cloned() else { return false };
        self.answer_by_rule(at, why, &words);
        true
    }

    /// A greeting is returned once: who says hello later on asks whether anybody is there.
    fn courtesies(&self, reply: &Reply) -> &[String] {
        let said = reply.draft.as_deref().or_else(|| self.caller_words()).unwrap_or_default();
        match Courtesy::of(said).filter(|_| reply.is_plain_answer()) {
            Some(Courtesy::Greeting) if self.history.said_last().is_none() => &self.persona.greetings,
            Some(Courtesy::Goodbye) => &self.persona.farewells,
            _ => &[],
        }
    }

    /// The reply has its words, and no model is asked. `why` stands for the judge's reason, where it is another.
    pub(super) fn answer_by_rule(&mut self, at: CallTime, why: Option<&'static str>, words: &str) {
        let Some(reply) = &mut self.reply else { return };
        reply.rule = why;
        if let Some(why) = why.filter(|_| reply.draft.is_none()) {
            reply.reason = why;
        }
        reply.take(at, words);
        reply.finish_text();
        self.pump(at);
    }

    /// The model was to refuse, for this reason, and begins with anything but a no: a small one consents as often as not.
    pub(super) fn refusal_that_was_missed(&self) -> Option<&'static str> {
        let reply = self.reply.as_ref().filter(|reply| reply.action == Action::Refuse && reply.draft.is_none())?;
        // Of the persona's own words none came from a model.
        let begins = reply.first_clause().filter(|_| reply.tokens > 0)?;
        (!courtesy::says_no(begins)).then_some(reply.reason)
    }

    /// The model failed and nothing was heard: fixed words instead of a dead line.
    pub(super) fn apologise(&mut self, at: CallTime) {
        let words = self.persona.trouble.clone();
        self.say(at, Action::Respond, "back-end-failed", &words, false);
    }

    /// The model failed to find words for a decision: the persona has some. `false`: it has none for this one.
    pub(super) fn say_plainly(&mut self, at: CallTime, action: Action, reason: &'static str) -> bool {
        let known = match action {
            Action::Refuse => &self.persona.refusals,
            Action::Deflect => &self.persona.deflections,
            _ => return false,
        };
        let Some(words) = known.get(self.last_turn as usize % known.len().max(1)).cloned() else { return false };
        self.say(at, action, reason, &words, false);
        true
    }
}
