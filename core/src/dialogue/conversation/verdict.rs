//! What is done about a turn: the judge is asked, also ahead of the end, and its verdict carried out.

use std::sync::Arc;
use std::time::Duration;

use duologue_signaling::event::{Event, FloorState};

use super::manner::cutting_in;
use super::reply::Owed;
use super::{Conversation, Effect};
use crate::dialogue::judge::{Action, Moment, Situation, Verdict};
use crate::dialogue::permit::{Permit, Proposal};
use crate::dialogue::topic::asks_for_new_topic;
use crate::dialogue::words::words;
use crate::journal::{Entry, JudgementRow};
use crate::time::CallTime;

/// History that a judge sees, in turns.
pub(super) const JUDGE_TURNS: usize = 8;
/// With fewer words nobody knows where a turn is going.
const RUNNING_WORDS: usize = 4;
/// What a caller is told who is blocked: that it happens is never a surprise, and nothing is left to a model here.
const BLOCK_WORDS: &str = "I am ending this call now, and I will not take your calls for a while. Goodbye.";

/// What a judgement is about.
pub(super) struct Judged {
    pub turn: u32,
    pub moment: Moment,
    /// What the judge was shown of the turn, and everything else.
    pub text: String,
    pub shown: Option<Arc<Situation>>,
}

impl Conversation {
    pub(super) fn ask_judge(&mut self, at: CallTime) {
        if self.listens {
            return self.note_heard(at);
        }
        let Some(caller) = &mut self.caller else { return };
        caller.judge_asked = true;
        // While the judge thinks, so does the model: an answer is what most turns get.
        if self.settings.judging.beside && self.floor.state() == FloorState::Thinking && !caller.words.is_empty() {
            self.draft_meanwhile(at);
        }
        self.put_to_judge(at, Moment::EndOfTurn);
    }

    /// The judge reads along: is this the moment to say something, or to stop the caller? One question in flight a call.
    pub(super) fn judge_running(&mut self, at: CallTime) {
        let speaks = self.settings.judging.beside && self.floor.state() == FloorState::Caller && !self.listens;
        let Some(caller) = self.caller.as_mut().filter(|caller| speaks && !caller.typed) else { return };
        if caller.running_judged || caller.words == caller.running_text || words(&caller.words).len() < RUNNING_WORDS {
            return;
        }
        caller.running_judged = true;
        caller.running_text.clone_from(&caller.words);
        self.put_to_judge(at, Moment::Caller);
    }

    fn put_to_judge(&mut self, at: CallTime, moment: Moment) {
        let Some(caller) = &self.caller else { return };
        let situation = Arc::new(Situation {
            moment,
            persona: self.persona.clone(),
            relation: self.mind.recollection.relation,
            memory: self.judged_memory(),
            history: self.history.last(JUDGE_TURNS),
            text: caller.words.clone(),
            speaking_s: caller.speaking_s(),
            silence_s: at.since(caller.speech_end).as_secs_f32(),
            typed: caller.typed,
        });
        let (turn, revision) = (caller.turn, caller.revision);
        if let Some(caller) = &mut self.caller {
            let shown = if moment == Moment::Caller { &mut caller.running_shown } else { &mut caller.shown };
            *shown = Some(situation.clone());
        }
        self.effects.push(Effect::Judge { turn, revision, situation });
    }

    /// What the judge thinks of an open partial.
    pub(super) fn on_running_verdict(
        &mut self,
        at: CallTime,
        turn: u32,
        judge: &'static str,
        verdict: &Verdict,
        took_ms: f32,
    ) {
        let Some(caller) = self.caller.as_mut().filter(|caller| caller.turn == turn) else { return };
        caller.running_judged = false;
        // A turn that is over meanwhile is judged as a whole.
        if self.floor.state() != FloorState::Caller || self.closing || self.listens {
            return;
        }
        let permit = self.permit(at, Moment::Caller, verdict);
        if let Some(about) = self.judged(Moment::Caller) {
            self.tell_judgement(at, about, judge, verdict, permit, took_ms);
        }
        self.permits.spend(at, Moment::Caller, permit.action, verdict.action);
        match permit.action {
            Action::Interrupt => self.interrupt(at, verdict, cutting_in(verdict)),
            Action::Backchannel => self.give_attention(at, turn),
            _ => {}
        }
    }

    /// What the persona's budgets and rules make of it.
    fn permit(&self, at: CallTime, moment: Moment, verdict: &Verdict) -> Permit {
        let text = self.caller.as_ref().map_or("", |caller| match moment {
            Moment::Caller => caller.running_text.as_str(),
            _ => caller.words.as_str(),
        });
        let asked = self.caller.as_ref().and_then(|caller| caller.asked);
        let spoken = self.caller.as_ref().map_or(Duration::ZERO, |caller| at.since(caller.opened));
        self.permits.check(&self.persona, Proposal { at, moment, action: verdict.action, text, asked, spoken })
    }

    /// What the present judgement of the caller's turn is about.
    fn judged(&self, moment: Moment) -> Option<Judged> {
        let caller = self.caller.as_ref()?;
        let (text, shown) = match moment {
            Moment::Caller => (caller.running_text.clone(), caller.running_shown.clone()),
            _ => (caller.words.clone(), caller.shown.clone()),
        };
        Some(Judged { turn: caller.turn, moment, text, shown })
    }

    pub(super) fn tell_judgement(
        &mut self,
        at: CallTime,
        about: Judged,
        judge: &'static str,
        verdict: &Verdict,
        permit: Permit,
        took_ms: f32,
    ) {
        let Judged { turn, moment, text, shown } = about;
        let (proposed, action) = (verdict.action.as_str(), permit.action.as_str());
        self.emit(
            at,
            Event::Judgement {
                turn,
                moment: moment.as_str().into(),
                judge: judge.into(),
                action: action.into(),
                proposed: permit.rule.map(|_| proposed.into()),
                overruled_by: permit.rule.map(Into::into),
                rests_on: verdict.rests_on.clone(),
                reason: verdict.reason.into(),
                probabilities: verdict.probabilities.iter().map(|(action, p)| (action.as_str().into(), *p)).collect(),
                took_ms,
            },
        );
        self.effects.push(Effect::Keep(Entry::Judgement(JudgementRow {
            call: self.call.clone(),
            turn,
            at_ms: at.ms(),
            moment: moment.as_str(),
            judge,
            text,
            proposed,
            action,
            overruled_by: permit.rule,
            reason: verdict.reason,
            rests_on: verdict.rests_on.clone(),
            probabilities: verdict.probabilities.iter().map(|(action, p)| (action.as_str(), *p)).collect(),
            took_ms,
            shown,
        })));
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
    pub(super) fn decide(&mut self, at: CallTime, judge: &'static str, verdict: &Verdict, took_ms: f32) {
        if self.listens {
            return self.note_heard(at);
        }
        let Some(caller) = &mut self.caller else { return };
        caller.latency.judge_ms = Some(at.ms());
        let (turn, text, typed) = (caller.turn, caller.words.clone(), caller.typed);
        let (nothing_said, anew) = (text.is_empty(), asks_for_new_topic(&text));
        if !nothing_said {
            self.emit(at, Event::Transcript { turn, text, typed });
        }
        if anew {
            // A draft was made from what was said before.
            self.drop_reply(at);
            self.cut_history(at, turn, "words");
        }
        let permit = self.permit(at, Moment::EndOfTurn, verdict);
        if let Some(about) = self.judged(Moment::EndOfTurn) {
            self.tell_judgement(at, about, judge, verdict, permit, took_ms);
        }
        if !nothing_said {
            self.permits.spend(at, Moment::EndOfTurn, permit.action, verdict.action);
        }
        let verdict = &Verdict { action: permit.action, ..verdict.clone() };
        match verdict.action {
            Action::Silence if nothing_said && self.owed.is_some() => self.make_good(at),
            Action::Silence if nothing_said => self.keep_quiet(at, 1.0),
            Action::Silence => {
                self.keep_quiet(at, 1.0);
                self.ladder.arm_within(at, Duration::from_millis(self.persona.silence_ttl_ms));
            }
            Action::Listen | Action::Backchannel => self.keep_quiet(at, self.persona.patience.after_hold_on),
            Action::Deflect if verdict.reason.ends_with("tedious") => {
                self.keep_quiet(at, 1.0);
                self.deferred = Some(at + Duration::from_millis(u64::from(self.settings.judging.delay_ms)));
            }
            Action::Block => self.block(at, verdict),
            _ => self.answer(at, verdict),
        }
    }

    /// Says so, hangs up, and has the caller refused for a while.
    fn block(&mut self, at: CallTime, verdict: &Verdict) {
        self.drop_reply(at);
        self.commit_caller(at);
        let ttl_s = self.persona.block_ttl_s;
        let (call, at_ms, reason) = (self.call.clone(), at.ms(), verdict.reason);
        self.effects.push(Effect::Keep(Entry::Blocked { call, at_ms, ttl_s, reason }));
        self.say(at, Action::Block, verdict.reason, BLOCK_WORDS, true);
    }

    /// The answer that was put off comes, if nobody has spoken since.
    pub(super) fn answer_deferred(&mut self, at: CallTime) {
        if self.floor.state() != FloorState::Idle || self.closing || self.deferred.is_none_or(|due| at < due) {
            return;
        }
        self.deferred = None;
        self.ladder.disarm();
        self.floor.thinks(at);
        self.respond(at, &Verdict::certain(Action::Deflect, "deflect.delayed"));
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
    pub(super) fn keep_quiet(&mut self, at: CallTime, patience: f32) {
        self.owed = None;
        self.drop_reply(at);
        self.commit_caller(at);
        self.patience = patience;
        self.rest(at);
    }
}
