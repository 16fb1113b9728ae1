//! How an agent turn ends: played to its end, dropped, or failed. What was heard of it is kept.

use duologue_signaling::event::{Event, FloorState, TurnOutcome};

use super::arriving::Arriving;
use super::reply::Reply;
use super::{Conversation, Effect};
use crate::dialogue::judge::Action;
use crate::journal::{Entry, Speaker, TurnRow};
use crate::time::CallTime;

impl Conversation {
    /// All of it has been played, or there was nothing to play.
    pub(super) fn reply_done(&mut self, at: CallTime) {
        // What was being doubted is over nobody's voice now: it is the caller's turn, or shows itself to be nothing.
        let doubt = self.suspicion.take();
        let Some(reply) = self.reply.take() else { return };
        let (hang_up, turn) = (reply.hang_up, reply.turn);
        let answers = reply.action == Action::Respond && !reply.failed && reply.started.is_some();
        self.initiative.rung_spoke = reply.reason == "silence";
        let outcome = if reply.failed { TurnOutcome::Failed } else { TurnOutcome::Completed };
        // Nothing was heard of it, or too little for the caller's turn to be settled by now.
        self.commit_caller(at);
        self.close_reply(at, reply, outcome);
        if let Some(doubt) = doubt {
            self.floor.caller_takes(at);
            self.caller_took_over(at, self.heard, &doubt);
        } else if self.floor.state() != FloorState::Caller {
            self.rest(at);
        }
        if hang_up {
            // The end comes when the last word has been heard.
            self.closing = true;
        } else {
            self.prime();
            if answers {
                self.answered(at, turn);
            }
        }
    }

    /// The caller goes first: whatever was being prepared or said is over in this tick.
    pub(super) fn drop_reply(&mut self, at: CallTime) {
        self.forget_suspicion();
        let Some(reply) = self.reply.take() else { return };
        let outcome = if reply.started.is_some() { TurnOutcome::Interrupted } else { TurnOutcome::Revoked };
        self.close_reply(at, reply, outcome);
    }

    pub(super) fn fail_reply(&mut self, at: CallTime) {
        if let Some(reply) = self.reply.take() {
            self.close_reply(at, reply, TurnOutcome::Failed);
        }
    }

    /// The turn is over: from here on nothing of it leaves. What is on its way is followed to the ear
    /// ([`Conversation::follow`]).
    fn close_reply(&mut self, at: CallTime, mut reply: Reply, outcome: TurnOutcome) {
        reply.ledger.hear(at, &self.far_ear);
        self.close_errand(at, reply.errand.take(), outcome);
        // What has left cannot be called back, unless the call ends: then nobody listens to it any more.
        let heard = if self.over { reply.ledger.heard() } else { reply.ledger.sent() }.to_owned();
        self.effects.push(Effect::DropTurn { turn: reply.turn });
        self.close_quoted(at, &mut reply, outcome, &heard);
        self.drop_search(at, reply.turn);
        if reply.draft.is_some() {
            let caller_turn = self.caller_turn().unwrap_or_default();
            self.emit(at, reply.told_as_draft(at, caller_turn, false));
        } else {
            self.emit(
                at,
                Event::TurnEnded {
                    turn: reply.turn,
                    outcome,
                    heard: heard.clone(),
                    generated: reply.ledger.text().to_owned(),
                    latency: reply.latency,
                },
            );
        }
        self.effects.push(Effect::Keep(Entry::Turn(TurnRow {
            call: self.call.clone(),
            turn: reply.turn,
            speaker: Speaker::Agent,
            started_ms: reply.started.unwrap_or(reply.opened).ms(),
            ended_ms: at.ms(),
            text: reply.ledger.text().to_owned(),
            heard: Some(heard),
            typed: false,
            outcome: Some(outcome),
            action: Some(reply.action.as_str().into()),
            reason: Some(reply.reason.into()),
            latency: reply.latency,
        })));
        let cut = outcome == TurnOutcome::Interrupted;
        self.history.agent(reply.turn, reply.ledger.heard(), reply.ledger.sent(), cut);
        self.arriving.push_back(Arriving { turn: reply.turn, ended: at, ledger: reply.ledger, cut });
    }
}
