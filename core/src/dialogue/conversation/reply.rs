//! The agent's turn: text from the model, cut into clauses, spoken, played. Everything it owns goes when it is dropped, and
//! the playout is among it: dropping a reply is the barge-in.

use std::collections::VecDeque;
use std::ops::Range;

use duologue_signaling::event::{Event, FloorState, LatencyParts, TurnOutcome};

use super::{Conversation, Effect};
use crate::audio::{LINE_FRAME, LINE_RATE};
use crate::backend::{ChatMessage, ChatRequest, Clause, Role, Speech, Urgency};
use crate::dialogue::judge::{Action, Verdict};
use crate::dialogue::sentence::{ClauseCutter, ClauseLimits, Cut, speakable};
use crate::journal::{EndReason, Entry, Speaker, TurnRow};
use crate::media::playout::{Played, Playout};
use crate::time::CallTime;

/// The agent's open turn.
#[derive(Debug)]
pub(super) struct Reply {
    pub turn: u32,
    action: Action,
    reason: &'static str,
    pub opened: CallTime,
    /// What it is a draft for; `None` once it is the answer.
    pub draft: Option<String>,
    /// Pieces of text that the model has sent.
    pub tokens: u32,
    /// First packet with its sound.
    pub started: Option<CallTime>,
    /// The request, to be made again once if the model breaks off before its first word; none for fixed words.
    pub request: Option<ChatRequest>,
    generated: String,
    cutter: ClauseCutter,
    waiting: VecDeque<Cut>,
    next_clause: u32,
    /// The clause that the voice is making.
    speaking: Option<(u32, Range<usize>)>,
    text_done: bool,
    failed: bool,
    hang_up: bool,
    /// It is begun though the caller speaks.
    insists: bool,
    shown: usize,
    pub playout: Playout,
    latency: LatencyParts,
}

impl Reply {
    pub fn new(turn: u32, at: CallTime, action: Action, reason: &'static str) -> Self {
        Self {
            turn,
            action,
            reason,
            opened: at,
            draft: None,
            tokens: 0,
            started: None,
            request: None,
            generated: String::new(),
            cutter: ClauseCutter::new(ClauseLimits::default()),
            waiting: VecDeque::new(),
            next_clause: 0,
            speaking: None,
            text_done: false,
            failed: false,
            hang_up: false,
            insists: false,
            shown: 0,
            playout: Playout::new(),
            latency: LatencyParts::default(),
        }
    }

    /// All of the text so far.
    pub fn generated(&self) -> &str {
        &self.generated
    }

    pub fn heard(&self) -> &str {
        self.generated.get(..self.playout.heard()).unwrap_or(&self.generated)
    }

    /// The draft is the answer.
    pub fn adopt(&mut self, verdict: &Verdict, latency: LatencyParts) {
        let LatencyParts { speech_end_ms, turn_end_ms, asr_ms, judge_ms, .. } = latency;
        self.draft = None;
        (self.action, self.reason) = (verdict.action, verdict.reason);
        self.latency = LatencyParts { speech_end_ms, turn_end_ms, asr_ms, judge_ms, ..self.latency };
    }

    /// More text, whole or in pieces.
    fn take(&mut self, text: &str) {
        self.generated.push_str(text);
        self.waiting.extend(self.cutter.push(text));
    }

    fn finish_text(&mut self) {
        self.text_done = true;
        self.waiting.extend(self.cutter.finish());
    }
}

impl Conversation {
    /// The agent speaks first: fixed words, no model.
    pub(super) fn initiate(&mut self, at: CallTime, reason: &'static str, words: &str, hang_up: bool) {
        self.say(at, Action::Initiate, reason, words, hang_up);
    }

    /// The model failed and nothing was heard: fixed words instead of a dead line.
    pub(super) fn apologise(&mut self, at: CallTime) {
        let words = self.persona.trouble.clone();
        self.say(at, Action::Respond, "back-end-failed", &words, false);
    }

    fn say(&mut self, at: CallTime, action: Action, reason: &'static str, words: &str, hang_up: bool) {
        self.drop_reply(at);
        let mut reply = Reply::new(self.next_turn(), at, action, reason);
        reply.hang_up = hang_up;
        reply.take(words);
        reply.finish_text();
        self.reply = Some(reply);
        self.floor.thinks(at);
        self.pump(at);
    }

    /// The caller has talked for too long: what was said is kept, and the agent takes the floor with a short sentence.
    pub(super) fn cut_in(&mut self, at: CallTime) {
        self.drop_reply(at);
        self.commit_caller(at);
        let words = self.persona.long_turn.clone();
        self.say(at, Action::Interrupt, "long-turn", &words, false);
        if let Some(reply) = &mut self.reply {
            reply.insists = true;
            // Until the sentence is there, and then for as long as the agent insists.
            self.floor.spare(self.heard, u32::MAX);
        }
    }

    /// The model answers the caller's open turn.
    pub(super) fn respond(&mut self, at: CallTime, verdict: &Verdict) {
        let mut reply = Reply::new(self.next_turn(), at, verdict.action, verdict.reason);
        if let Some(caller) = &self.caller {
            reply.latency = caller.latency;
        }
        let request = self.request(self.caller_words());
        reply.request = Some(request.clone());
        let turn = reply.turn;
        self.reply = Some(reply);
        self.effects.push(Effect::Generate { turn, request });
    }

    /// The model's view of the call, with the caller's open turn at its end.
    pub(super) fn request(&self, open_turn: Option<&str>) -> ChatRequest {
        let mut messages = self.history.messages(&self.persona.prompt);
        if let Some(words) = open_turn {
            match messages.last_mut() {
                Some(last) if last.role == Role::User => {
                    last.content.push(' ');
                    last.content.push_str(words);
                }
                _ => messages.push(ChatMessage { role: Role::User, content: words.into() }),
            }
        }
        ChatRequest {
            messages,
            max_tokens: self.persona.max_tokens,
            temperature: self.persona.temperature,
            schema: None,
        }
    }

    pub(super) fn on_token(&mut self, at: CallTime, turn: u32, text: &str) {
        let Some(reply) = self.reply.as_mut().filter(|reply| reply.turn == turn && !reply.text_done) else { return };
        // Models begin with a blank or a newline now and then; the heard prefix should not.
        let text = if reply.generated.is_empty() { text.trim_start() } else { text };
        if text.is_empty() {
            return;
        }
        reply.tokens += 1;
        reply.latency.first_token_ms.get_or_insert(at.ms());
        reply.take(text);
        self.pump(at);
    }

    pub(super) fn on_generated(&mut self, at: CallTime, turn: u32, result: Result<(), String>) {
        let Some(reply) = self.reply.as_mut().filter(|reply| reply.turn == turn && !reply.text_done) else { return };
        let why = match result {
            Ok(()) if !reply.generated.trim().is_empty() => None,
            Ok(()) => Some("the language model answered with nothing".to_owned()),
            Err(why) => Some(why),
        };
        if why.is_some() && self.give_up_draft(at) {
            return;
        }
        let Some(reply) = &mut self.reply else { return };
        let Some(why) = why else {
            reply.finish_text();
            self.pump(at);
            return;
        };
        if !reply.generated.is_empty() {
            reply.finish_text();
            self.trouble(at, "llm-broke-off", &format!("{why}; what was said so far stands."));
            self.pump(at);
        } else if let Some(request) = reply.request.take() {
            self.trouble(at, "llm-retry", &format!("{why}; asked once more."));
            self.effects.push(Effect::Generate { turn, request });
        } else {
            self.trouble(at, "llm-failed", &format!("{why}; the caller is asked to say it again."));
            self.fail_reply(at);
            self.apologise(at);
        }
    }

    pub(super) fn on_speech(&mut self, at: CallTime, turn: u32, clause: u32, speech: Speech) {
        let Some(reply) = self.reply.as_mut().filter(|reply| reply.turn == turn) else { return };
        let Some((_, text)) = reply.speaking.as_ref().filter(|(speaking, _)| *speaking == clause) else { return };
        match speech {
            Speech::Plan { words, .. } => reply.playout.begin_clause(text, &words),
            Speech::Pcm(pcm) => {
                reply.latency.first_audio_ms.get_or_insert(at.ms());
                reply.playout.push(&pcm);
            }
        }
    }

    pub(super) fn on_spoken(&mut self, at: CallTime, turn: u32, clause: u32, result: Result<(), String>) {
        let Some(reply) = self.reply.as_mut().filter(|reply| reply.turn == turn) else { return };
        if reply.speaking.as_ref().is_none_or(|(speaking, _)| *speaking != clause) {
            return;
        }
        reply.speaking = None;
        if result.is_err() && self.give_up_draft(at) {
            return;
        }
        let Some(reply) = &mut self.reply else { return };
        if let Err(why) = result {
            reply.failed = true;
            reply.waiting.clear();
            reply.text_done = true;
            self.trouble(at, "tts", &format!("{why}; the rest of this turn is not spoken."));
        }
        self.pump(at);
    }

    /// Keeps the voice busy, but not too far ahead of the ear.
    pub(super) fn pump(&mut self, at: CallTime) {
        let ahead = self.settings.pace.speech_ahead_ms as usize * (LINE_RATE as usize / 1_000);
        let Some(reply) = &mut self.reply else { return };
        // Of a draft the first clause is spoken: it is what the caller would wait for.
        let enough = reply.draft.is_some() && reply.next_clause > 0;
        if enough || reply.speaking.is_some() || reply.playout.ahead() > ahead {
            return;
        }
        let Some(cut) = reply.waiting.pop_front() else {
            if reply.text_done {
                reply.playout.close();
            }
            return;
        };
        let first = reply.next_clause == 0;
        if first {
            reply.latency.first_clause_ms = Some(at.ms());
        }
        let clause = reply.next_clause;
        reply.next_clause += 1;
        // A cut's range begins with the white space before the clause; its words are counted from the clause itself.
        let blank = reply.generated.get(cut.range.clone()).map_or(0, |text| text.len() - text.trim_start().len());
        reply.speaking = Some((clause, cut.range.start + blank..cut.range.end));
        let urgency = if first { Urgency::FirstAudio } else { Urgency::Speech };
        let turn = reply.turn;
        self.effects.push(Effect::Speak { turn, clause, what: Clause { text: speakable(&cut.text), urgency } });
    }

    /// The gate: what the agent sounds like in this tick.
    pub(super) fn play(&mut self, at: CallTime, out: &mut [f32; LINE_FRAME]) -> bool {
        out.fill(0.0);
        self.pump(at);
        let Some(reply) = self.reply.as_mut().filter(|reply| reply.draft.is_none()) else { return false };
        if reply.started.is_none() {
            if reply.playout.is_done() {
                // Nothing pronounceable came of it.
                self.reply_done(at);
                return false;
            }
            // Over a sound that may be the caller's, nothing is begun: it passes, or it revokes this reply.
            let busy = self.floor.is_voice(self.heard) && !reply.insists;
            if !reply.playout.is_ready() || busy || !self.floor.agent_starts(at) {
                return false;
            }
            if reply.insists {
                self.floor.spare(self.heard, self.settings.floor.insist_ms);
            }
            self.reply_starts(at);
        }
        let Some(reply) = &mut self.reply else { return false };
        let played = reply.playout.frame(out);
        if reply.playout.heard() > reply.shown {
            reply.shown = reply.playout.heard();
            let (turn, heard) = (reply.turn, reply.heard().to_owned());
            self.emit(at, Event::Words { turn, heard });
        }
        if played == Played::Done {
            self.reply_done(at);
        }
        played == Played::Speech
    }

    /// The first packet leaves: the caller's turn is settled.
    fn reply_starts(&mut self, at: CallTime) {
        self.commit_caller(at);
        self.owes_answer = false;
        self.ladder.disarm();
        let Some(reply) = &mut self.reply else { return };
        reply.started = Some(at);
        reply.latency.first_packet_ms = Some(at.ms());
        let (turn, latency) = (reply.turn, reply.latency);
        self.emit(at, Event::TurnStarted { turn, latency });
    }

    /// All of it has been played, or there was nothing to play.
    fn reply_done(&mut self, at: CallTime) {
        self.forget_suspicion();
        let Some(reply) = self.reply.take() else { return };
        let hang_up = reply.hang_up;
        let outcome = if reply.failed { TurnOutcome::Failed } else { TurnOutcome::Completed };
        let silent = reply.started.is_none();
        if silent {
            self.commit_caller(at);
        }
        self.close_reply(at, reply, outcome);
        if self.floor.state() != FloorState::Caller {
            self.rest(at);
        }
        if hang_up {
            self.closing = true;
            let detail = "The agent said goodbye after a long silence.".into();
            self.effects.push(Effect::End { reason: EndReason::AgentHangup, detail });
        } else {
            self.prime();
        }
    }

    /// The caller goes first: whatever was being prepared or said is over in this tick.
    pub(super) fn drop_reply(&mut self, at: CallTime) {
        self.forget_suspicion();
        let Some(reply) = self.reply.take() else { return };
        let outcome = if reply.started.is_some() { TurnOutcome::Interrupted } else { TurnOutcome::Revoked };
        self.close_reply(at, reply, outcome);
    }

    fn fail_reply(&mut self, at: CallTime) {
        if let Some(reply) = self.reply.take() {
            self.close_reply(at, reply, TurnOutcome::Failed);
        }
    }

    fn close_reply(&mut self, at: CallTime, reply: Reply, outcome: TurnOutcome) {
        let heard = match outcome {
            TurnOutcome::Completed => reply.generated.clone(),
            _ => reply.heard().to_owned(),
        };
        self.history.agent(&heard, outcome == TurnOutcome::Interrupted);
        self.effects.push(Effect::DropTurn { turn: reply.turn });
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
                    generated: reply.generated.clone(),
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
            text: reply.generated,
            heard: Some(heard),
            typed: false,
            outcome: Some(outcome),
            action: Some(reply.action.as_str().into()),
            reason: Some(reply.reason.into()),
            latency: reply.latency,
        })));
    }
}
