//! Drafts: a reply begun while the turn is only probably over. The judge and the language model are asked and the first
//! clause is spoken, but nothing of it is played before the floor has decided. If the caller goes on, or the words turn out
//! to be others, it is thrown away unheard, like every turn that is revoked.

use duologue_signaling::event::{Event, FloorState};

use super::Conversation;
use super::caller::CallerTurn;
use super::reply::Reply;
use crate::dialogue::judge::{Action, Verdict};
use crate::dialogue::topic::asks_for_new_topic;
use crate::dialogue::words::same_words;
use crate::time::CallTime;

/// How far the agent runs ahead of the end of a turn.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct DraftSettings {
    /// Drafts of one caller turn: 0..=8. None: a reply is begun when the turn is over.
    pub most: u32,
    /// A turn this likely to be over is drafted for: 0.05..=0.99. Lower is earlier and wastes more.
    pub probability: f32,
    /// Drafted for is also what will be over within so long, if the caller stays silent, milliseconds: 0..=2000. It is about
    /// what a reply takes, so that the longest wait costs no more than itself.
    pub ahead_ms: u32,
    /// A partial is good enough to draft from if the caller spoke for no longer than this after it was asked for,
    /// milliseconds: 0..=1000. The final words show whether it was.
    pub lag_ms: u32,
}

impl Default for DraftSettings {
    fn default() -> Self {
        Self { most: 3, probability: 0.4, ahead_ms: 500, lag_ms: 160 }
    }
}

impl Conversation {
    /// Begins a draft if the turn is probably over. Called when something is known anew, and as silence grows.
    pub(super) fn consider_draft(&mut self, at: CallTime) {
        let settings = self.settings.draft;
        let Some(caller) = self.caller.as_ref().filter(|_| self.floor.state() == FloorState::Caller) else { return };
        let enough = caller.drafts >= settings.most || self.reply.is_some() || self.closing || self.listens;
        if enough
            || caller.is_to_be_heard_out()
            || caller.words.is_empty()
            || self.heard.silence_ms == 0
            || !caller.covers(settings.lag_ms)
        {
            return;
        }
        let (endpoint, evidence, silence_ms) = (&self.settings.endpoint, caller.evidence(), self.heard.silence_ms);
        let likely = endpoint.probability(evidence, silence_ms) >= settings.probability;
        if likely || endpoint.is_near(evidence, silence_ms, settings.ahead_ms) {
            self.begin_draft(at);
        }
    }

    /// The turn is over, and the judge thinks about it.
    pub(super) fn draft_meanwhile(&mut self, at: CallTime) {
        if self.reply.is_none() && !self.closing {
            self.open_draft(at);
        }
    }

    fn begin_draft(&mut self, at: CallTime) {
        self.open_draft(at);
        self.judge_ahead(at);
    }

    fn open_draft(&mut self, at: CallTime) {
        // What is to be looked up, or begins anew, is answered from what is not there yet.
        let asked = self.caller_words().unwrap_or_default();
        if self.to_search_for(Action::Respond).is_some() || asks_for_new_topic(asked) {
            return;
        }
        let turn = self.next_turn();
        let Some(caller) = &mut self.caller else { return };
        caller.drafts += 1;
        let words = caller.words.clone();
        let mut reply = Reply::new(turn, at, Action::Respond, "draft");
        reply.draft = Some(words);
        reply.once_more = true;
        self.reply = Some(reply);
        self.ask_model(at);
    }

    /// The verdict on final words is the same before the turn is over as after it.
    pub(super) fn judge_ahead(&mut self, at: CallTime) {
        let drafted = self.reply.as_ref().is_some_and(|reply| reply.draft.is_some());
        if drafted && self.caller.as_ref().is_some_and(CallerTurn::awaits_judge) {
            self.ask_judge(at);
        }
    }

    /// Throws a draft away that is for other words than the caller's, or that the caller talks over.
    pub(super) fn check_draft(&mut self, at: CallTime) {
        let Some(words) = self.reply.as_ref().and_then(|reply| reply.draft.as_ref()) else { return };
        let said = self.caller.as_ref().map_or("", |caller| caller.words.as_str());
        let goes_on = self.heard.silence_ms == 0
            && self.floor.is_voice(self.heard)
            && self.heard.speech_ms >= self.settings.floor.resume_ms;
        if goes_on || !same_words(words, said) {
            self.drop_reply(at);
        }
    }

    /// The judge wants this turn answered in the usual way: with the draft, if there is one for these words.
    pub(super) fn answer(&mut self, at: CallTime, verdict: &Verdict) {
        self.check_draft(at);
        if let Some(query) = self.to_search_for(verdict.action) {
            return self.search_first(at, verdict, query);
        }
        let latency = self.caller.as_ref().map(|caller| (caller.turn, caller.latency));
        match (&mut self.reply, latency) {
            (Some(reply), Some((caller_turn, latency))) if verdict.action == Action::Respond => {
                reply.adopt(verdict, latency);
                let event = reply.told_as_draft(at, caller_turn, true);
                self.emit(at, event);
                self.pump(at);
            }
            _ => {
                self.drop_reply(at);
                self.respond(at, verdict);
            }
        }
    }

    /// A back end failed while it worked for a draft: the turn is answered in the usual way when it is over.
    pub(super) fn give_up_draft(&mut self, at: CallTime) -> bool {
        if self.reply.as_ref().is_none_or(|reply| reply.draft.is_none()) {
            return false;
        }
        if let Some(caller) = &mut self.caller {
            caller.drafts = self.settings.draft.most;
        }
        self.drop_reply(at);
        true
    }
}

impl Reply {
    /// What became of the draft.
    pub fn told_as_draft(&self, at: CallTime, caller_turn: u32, adopted: bool) -> Event {
        let spent_ms = u64::try_from(at.since(self.opened).as_millis()).unwrap_or(u64::MAX);
        Event::Draft { turn: self.turn, caller_turn, adopted, tokens: self.tokens, spent_ms }
    }
}
