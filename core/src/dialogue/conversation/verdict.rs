//! What is done about a turn: the judge is asked, also ahead of the end, and its verdict carried out.

use duologue_signaling::event::{Event, FloorState};

use super::reply::Owed;
use super::{Conversation, Effect};
use crate::dialogue::judge::{Action, Situation, Verdict};
use crate::time::CallTime;

/// History that a judge sees, in turns.
const JUDGE_TURNS: usize = 8;

impl Conversation {
    pub(super) fn ask_judge(&mut self, at: CallTime) {
        let Some(caller) = &mut self.caller else { return };
        caller.judge_asked = true;
        let situation = Situation {
            persona: self.persona.clone(),
            history: self.history.last(JUDGE_TURNS),
            text: caller.words.clone(),
            speaking_s: caller.speaking_ms as f32 / 1_000.0,
            silence_s: at.since(caller.speech_end).as_secs_f32(),
            typed: caller.typed,
        };
        let (turn, revision) = (caller.turn, caller.revision);
        self.effects.push(Effect::Judge { turn, revision, situation: Box::new(situation) });
    }

    pub(super) fn on_verdict(
        &mut self,
        at: CallTime,
        (turn, revision): (u32, u32),
        judge: &'static str,
        verdict: Verdict,
        took_ms: f32,
    ) {
        let Some(caller) = self.caller.as_mut().filter(|caller| caller.is(turn, revision)) else { return };
        match self.floor.state() {
            FloorState::Thinking if self.reply.as_ref().is_none_or(|reply| reply.draft.is_some()) => {
                self.decide(at, judge, &verdict, took_ms);
            }
            // Asked ahead of the end: it stands if the turn ends with these words.
            FloorState::Caller => {
                let wanted = verdict.action == Action::Respond;
                caller.verdict = Some((judge, verdict, took_ms));
                if !wanted {
                    self.drop_reply(at);
                }
            }
            _ => {}
        }
    }

    /// The turn is over and judged.
    pub(super) fn decide(&mut self, at: CallTime, judge: &str, verdict: &Verdict, took_ms: f32) {
        let Some(caller) = &mut self.caller else { return };
        caller.latency.judge_ms = Some(at.ms());
        let (turn, text, typed) = (caller.turn, caller.words.clone(), caller.typed);
        let nothing_said = text.is_empty();
        if !nothing_said {
            self.emit(at, Event::Transcript { turn, text, typed });
        }
        self.emit(
            at,
            Event::Judgement {
                turn,
                judge: judge.into(),
                action: verdict.action.as_str().into(),
                reason: verdict.reason.into(),
                probabilities: verdict.probabilities.iter().map(|(action, p)| (action.as_str().into(), *p)).collect(),
                took_ms,
            },
        );
        match verdict.action {
            Action::Silence if nothing_said && self.owed.is_some() => self.make_good(at),
            Action::Silence => self.keep_quiet(at, 1.0),
            Action::Listen | Action::Backchannel => self.keep_quiet(at, self.persona.patience.after_hold_on),
            _ => self.answer(at, verdict),
        }
    }

    /// A sound without words has cost the caller something: it comes now.
    fn make_good(&mut self, at: CallTime) {
        match self.owed.take() {
            Some(Owed::Words { reason, words, hang_up }) => {
                self.commit_caller(at);
                self.initiate(at, reason, &words, hang_up);
            }
            _ => self.answer(at, &Verdict::certain(Action::Respond, "typed-turn-unanswered")),
        }
    }

    /// The turn is answered by listening.
    fn keep_quiet(&mut self, at: CallTime, patience: f32) {
        self.owed = None;
        self.drop_reply(at);
        self.commit_caller(at);
        self.patience = patience;
        self.rest(at);
    }
}
