//! The judge while nobody speaks: a rung of the silence ladder or a promise is due, and it says whether this is the moment. What
//! it says passes the budgets; the last rung, which hangs up, is not asked about.

use std::sync::Arc;
use std::time::Duration;

use duologue_signaling::event::FloorState;

use super::initiative::Waiting;
use super::verdict::{JUDGE_TURNS, Judged};
use super::{Conversation, Effect};
use crate::dialogue::judge::{Action, Moment, Situation, Verdict};
use crate::dialogue::ladder::Rung;
use crate::dialogue::permit::Proposal;
use crate::time::CallTime;

/// Without a verdict by then, what is due is done: a line must not stay dead because a judge hangs.
const UNJUDGED: Duration = Duration::from_secs(2);
/// A promise that is not the moment's is tried again after so long.
const PUT_OFF: Duration = Duration::from_secs(20);

/// What is due.
#[derive(Clone, Debug)]
pub(super) enum Due {
    Rung(Rung),
    Errand(Waiting),
}

/// A question that the judge has been put.
#[derive(Debug)]
pub(super) struct Pending {
    due: Due,
    turn: u32,
    until: CallTime,
    shown: Arc<Situation>,
}

impl Pending {
    /// What it was about.
    pub(super) fn into_due(self) -> Due {
        self.due
    }
}

impl Conversation {
    /// Is this the moment? One question in flight a call.
    pub(super) fn ask_idle(&mut self, at: CallTime, due: Due) {
        let mut memory = self.judged_memory();
        if let Due::Errand(waiting) = &due {
            memory.extend(waiting.told());
        }
        let situation = Situation {
            moment: Moment::Idle,
            persona: self.persona.clone(),
            relation: self.mind.recollection.relation,
            memory,
            history: self.history.last(JUDGE_TURNS),
            text: String::new(),
            speaking_s: 0.0,
            silence_s: at.since(self.floor.since()).as_secs_f32(),
            typed: false,
        };
        // The turn that would come next.
        let (turn, shown) = (self.last_turn + 1, Arc::new(situation));
        self.pending = Some(Pending { due, turn, until: at + UNJUDGED, shown: shown.clone() });
        self.effects.push(Effect::Judge { turn, revision: 0, situation: shown });
    }

    /// Once a tick: whoever speaks has made the question void, and a judge that does not answer is not waited for.
    pub(super) fn watch_pending(&mut self, at: CallTime) {
        let Some(pending) = &self.pending else { return };
        if self.floor.state() != FloorState::Idle || self.closing || self.over {
            if let Some(Pending { due: Due::Errand(waiting), .. }) = self.pending.take() {
                self.initiative.put_back(waiting);
            }
        } else if at >= pending.until
            && let Some(pending) = self.pending.take()
        {
            self.do_due(at, pending.due);
        }
    }

    /// What the judge says of it.
    pub(super) fn on_idle_verdict(
        &mut self,
        at: CallTime,
        turn: u32,
        judge: &'static str,
        verdict: &Verdict,
        took_ms: f32,
    ) {
        if self.floor.state() != FloorState::Idle || self.closing {
            return;
        }
        let Some(pending) = self.pending.take_if(|pending| pending.turn == turn) else { return };
        let proposal = Proposal {
            at,
            moment: Moment::Idle,
            action: verdict.action,
            text: "",
            asked: None,
            spoken: Duration::ZERO,
        };
        let permit = self.permits.check(&self.persona, proposal);
        let about = Judged { turn, moment: Moment::Idle, text: String::new(), shown: Some(pending.shown) };
        self.tell_judgement(at, about, judge, verdict, permit, took_ms);
        self.permits.spend(at, Moment::Idle, permit.action, verdict.action);
        match (permit.action, pending.due) {
            (Action::Initiate, due) => self.do_due(at, due),
            (_, Due::Rung(_)) => self.ladder.put_off(at, self.patience()),
            (_, Due::Errand(waiting)) => self.initiative.put_off(at + PUT_OFF, waiting),
        }
    }

    fn do_due(&mut self, at: CallTime, due: Due) {
        match due {
            Due::Rung(rung) => self.initiate(at, "silence", &rung.say, rung.hang_up),
            Due::Errand(waiting) => self.do_errand(at, waiting),
        }
    }
}
