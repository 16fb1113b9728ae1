//! The agent's turn: text from the model, cut into clauses, spoken, played. Everything it owns goes when it is dropped, and
//! the playout is among it: dropping a reply is the barge-in.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use duologue_signaling::event::{Event, FloorState, LatencyParts};

use super::express::Expressions;
use super::initiative::Waiting;
use super::manner::{manage, manner};
use super::searching::{Searched, go_on};
use super::sources::Quoted;
use super::{Conversation, Effect};
use crate::audio::{LINE_FRAME, LINE_RATE};
use crate::backend::{ChatMessage, ChatRequest, Clause, Role, Speech, Urgency};
use crate::dialogue::judge::{Action, Verdict};
use crate::dialogue::ledger::Ledger;
use crate::dialogue::persona::Exchange;
use crate::dialogue::sentence::{ClauseCutter, ClauseLimits, Cut, speakable};
use crate::knowledge::Passage;
use crate::knowledge::quote::sealed;
use crate::media::playout::{Played, Playout};
use crate::time::CallTime;

/// Least time between two `words` events of a turn.
const WORDS_EVERY: Duration = Duration::from_millis(100);

/// The agent's open turn.
#[derive(Debug)]
pub(super) struct Reply {
    pub turn: u32,
    pub action: Action,
    pub reason: &'static str,
    pub opened: CallTime,
    /// What it is a draft for; `None` once it is the answer.
    pub draft: Option<String>,
    /// Pieces of text that the model has sent.
    pub tokens: u32,
    /// First packet with its sound.
    pub started: Option<CallTime>,
    /// How the model is told to answer; `None`: as it would.
    pub manner: Option<String>,
    /// It waits for what is looked up; the model has not been asked.
    pub held: bool,
    /// Bytes of a fixed phrase that it began with.
    pub lead: usize,
    /// It has asked the web, and this came of it.
    pub searched: Option<Searched>,
    /// What its answer may rest on.
    pub quoted: Quoted,
    /// The model may be asked once more, if it breaks off before its first word; never for fixed words.
    pub once_more: bool,
    /// Why it has the words that it has, where a rule gave them and no model.
    pub rule: Option<&'static str>,
    /// The text, and how far each word of it has come.
    pub ledger: Ledger,
    cutter: ClauseCutter,
    waiting: VecDeque<Cut>,
    next_clause: u32,
    /// The clause that the voice is making.
    speaking: Option<(u32, Range<usize>)>,
    pub text_done: bool,
    pub failed: bool,
    pub hang_up: bool,
    /// It is begun though the caller speaks.
    insists: bool,
    /// What it is said for, if not for the caller's turn.
    pub errand: Option<Waiting>,
    /// How much of what was heard the client has been told, in bytes, and when.
    shown: (usize, CallTime),
    pub playout: Playout,
    pub expressions: Expressions,
    pub latency: LatencyParts,
}

/// What the agent owes the caller after a sound took it away unheard.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Owed {
    /// The answer to a typed turn.
    Answer,
    /// Fixed words: a greeting, a rung of the ladder.
    Words { reason: &'static str, words: String, hang_up: bool },
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
            manner: None,
            held: false,
            lead: 0,
            searched: None,
            quoted: Quoted::default(),
            once_more: false,
            rule: None,
            ledger: Ledger::default(),
            cutter: ClauseCutter::new(ClauseLimits::default()),
            waiting: VecDeque::new(),
            next_clause: 0,
            speaking: None,
            text_done: false,
            failed: false,
            hang_up: false,
            insists: false,
            errand: None,
            shown: (0, at),
            playout: Playout::new(),
            expressions: Expressions::default(),
            latency: LatencyParts::default(),
        }
    }

    /// The words of a turn that no model makes, to be said again.
    pub fn fixed_words(&self) -> Option<Owed> {
        let words = || self.ledger.text().to_owned();
        // An errand comes back by itself.
        let fixed = !self.once_more && self.action == Action::Initiate && self.errand.is_none();
        fixed.then(|| Owed::Words { reason: self.reason, words: words(), hang_up: self.hang_up })
    }

    /// The usual answer to what the caller said, of which nothing is there yet.
    pub fn is_plain_answer(&self) -> bool {
        self.action == Action::Respond
            && self.manner.is_none()
            && self.errand.is_none()
            && self.ledger.text().is_empty()
    }

    /// The draft is the answer.
    pub fn adopt(&mut self, verdict: &Verdict, latency: LatencyParts) {
        let LatencyParts { speech_end_ms, turn_end_ms, asr_ms, judge_ms, .. } = latency;
        self.draft = None;
        (self.action, self.reason) = (verdict.action, self.rule.unwrap_or(verdict.reason));
        self.latency = LatencyParts { speech_end_ms, turn_end_ms, asr_ms, judge_ms, ..self.latency };
    }

    /// What of the text is about to be the first clause.
    pub fn first_clause(&self) -> Option<&str> {
        self.waiting.front().filter(|_| self.next_clause == 0).map(|cut| cut.text.as_str())
    }

    /// More text, whole or in pieces.
    pub fn take(&mut self, at: CallTime, text: &str) {
        self.ledger.generate(at, text);
        self.waiting.extend(self.cutter.push(text));
    }

    /// What there is is a clause, if its end is sure.
    pub fn cut_short(&mut self) {
        self.waiting.extend(self.cutter.flush_if_waiting());
    }

    pub fn finish_text(&mut self) {
        self.text_done = true;
        self.waiting.extend(self.cutter.finish());
    }
}

impl Conversation {
    /// The agent speaks first: fixed words, no model.
    pub(super) fn initiate(&mut self, at: CallTime, reason: &'static str, words: &str, hang_up: bool) {
        self.say(at, Action::Initiate, reason, words, hang_up);
    }

    pub(super) fn say(&mut self, at: CallTime, action: Action, reason: &'static str, words: &str, hang_up: bool) {
        self.drop_reply(at);
        let mut reply = Reply::new(self.next_turn(), at, action, reason);
        reply.hang_up = hang_up;
        reply.take(at, words);
        reply.finish_text();
        self.reply = Some(reply);
        self.floor.thinks(at);
        self.pump(at);
    }

    /// The caller has talked for too long: what was said is kept, and the agent takes the floor with a short sentence.
    pub(super) fn cut_in(&mut self, at: CallTime) {
        let words = self.persona.long_turn.clone();
        self.take_floor(at, Action::Interrupt, "long-turn", &words, false);
    }

    /// Fixed words, whoever speaks: what is being said gives way to them.
    pub(super) fn take_floor(
        &mut self,
        at: CallTime,
        action: Action,
        reason: &'static str,
        words: &str,
        hang_up: bool,
    ) {
        self.drop_reply(at);
        self.commit_caller(at);
        self.owed = None;
        self.say(at, action, reason, words, hang_up);
        if let Some(reply) = &mut self.reply {
            reply.insists = true;
            // Until the sentence is there, and then for as long as the agent insists.
            self.floor.spare(self.heard, u32::MAX);
        }
    }

    /// The judge wants the caller stopped: a short sentence takes the floor, and the model says why.
    pub(super) fn interrupt(&mut self, at: CallTime, verdict: &Verdict, manner: String) {
        self.drop_reply(at);
        self.commit_caller(at);
        let known = &self.persona.lead_ins;
        let lead_in = known.get(self.last_turn as usize % known.len().max(1)).cloned().unwrap_or_default();
        let mut reply = Reply::new(self.next_turn(), at, Action::Interrupt, verdict.reason);
        reply.insists = true;
        reply.take(at, &format!("{lead_in} "));
        reply.cut_short();
        let mut request = self.request(None);
        manage(&mut request, &format!("{manner} You have just said: \"{lead_in}\" Go on from there."));
        let turn = reply.turn;
        self.reply = Some(reply);
        self.floor.thinks(at);
        self.floor.spare(self.heard, u32::MAX);
        self.effects.push(Effect::Generate { turn, request });
        self.pump(at);
    }

    /// The model answers the caller's open turn, in the manner that the verdict asks for.
    pub(super) fn respond(&mut self, at: CallTime, verdict: &Verdict) {
        let mut reply = Reply::new(self.next_turn(), at, verdict.action, verdict.reason);
        reply.manner = manner(&self.persona, verdict);
        if let Some(caller) = &self.caller {
            reply.latency = caller.latency;
        }
        reply.once_more = true;
        self.reply = Some(reply);
        self.ask_model(at);
    }

    /// The model's view of the call, with the caller's open turn at its end.
    pub(super) fn request(&self, open_turn: Option<&str>) -> ChatRequest {
        self.request_with(open_turn, self.found_for(open_turn))
    }

    /// The same with these passages before the caller's last words.
    fn request_with(&self, open_turn: Option<&str>, passages: &[Passage]) -> ChatRequest {
        let mut messages = self.history.messages(&self.system_prompt());
        messages.splice(1..1, self.persona.examples.iter().flat_map(Exchange::turns));
        if let Some(words) = open_turn {
            match messages.last_mut() {
                Some(last) if last.role == Role::User => {
                    last.content.push(' ');
                    last.content.push_str(&sealed(words));
                }
                _ => messages.push(ChatMessage { role: Role::User, content: sealed(words) }),
            }
        }
        self.put_sources(&mut messages, passages);
        self.put_to_mind(&mut messages);
        ChatRequest {
            messages,
            max_tokens: self.persona.max_tokens,
            temperature: self.persona.temperature,
            schema: None,
        }
    }

    /// The request for a reply: to the words that it is a draft for, or to those of the caller.
    pub(super) fn request_for(&self, reply: &Reply) -> ChatRequest {
        let words = reply.draft.as_deref().or_else(|| self.caller_words());
        let mut request = self.request_with(words, reply.quoted.passages());
        if let Some(manner) = &reply.manner {
            manage(&mut request, manner);
        }
        go_on(&mut request, reply.lead_in(), reply.searched);
        request
    }

    pub(super) fn on_token(&mut self, at: CallTime, turn: u32, text: &str) {
        let Some(reply) = self.reply.as_mut().filter(|reply| reply.turn == turn && !reply.text_done) else { return };
        // Models begin with a blank or a newline now and then; the heard prefix should not.
        let text = if reply.ledger.text().len() == reply.lead { text.trim_start() } else { text };
        if text.is_empty() {
            return;
        }
        reply.tokens += 1;
        reply.latency.first_token_ms.get_or_insert(at.ms());
        reply.take(at, text);
        self.pump(at);
    }

    pub(super) fn on_generated(&mut self, at: CallTime, turn: u32, result: Result<(), String>) {
        let Some(reply) = self.reply.as_mut().filter(|reply| reply.turn == turn && !reply.text_done) else { return };
        let why = match result {
            Ok(()) if !reply.is_wordless() => None,
            Ok(()) => Some("the language model answered with nothing".to_owned()),
            Err(why) => Some(why),
        };
        if why.is_some() && self.give_up_draft(at) {
            return;
        }
        let Some(reply) = &mut self.reply else { return };
        let Some(why) = why else {
            reply.finish_text();
            self.cite(at);
            self.pump(at);
            return;
        };
        if !reply.is_wordless() {
            reply.finish_text();
            self.trouble(at, "llm-broke-off", &format!("{why}; what was said so far stands."));
            self.pump(at);
        } else if std::mem::take(&mut reply.once_more) {
            self.trouble(at, "llm-retry", &format!("{why}; asked once more."));
            // Made anew: more may have been heard by now.
            self.ask_model(at);
        } else if reply.lead > 0 {
            // The phrase has been said: the same turn goes on.
            reply.take(at, &self.persona.trouble.clone());
            reply.finish_text();
            self.trouble(at, "llm-failed", &format!("{why}; fixed words are said instead."));
            self.pump(at);
        } else {
            let (action, reason, news) = (reply.action, reply.reason, reply.news().map(ToOwned::to_owned));
            self.trouble(at, "llm-failed", &format!("{why}; fixed words are said instead."));
            self.fail_reply(at);
            if let Some(words) = news {
                self.initiate(at, reason, &words, false);
            } else if !self.say_plainly(at, action, reason) {
                self.apologise(at);
            }
        }
    }

    pub(super) fn on_speech(&mut self, at: CallTime, turn: u32, clause: u32, speech: Speech) {
        let Some(reply) = self.reply.as_mut().filter(|reply| reply.turn == turn) else { return };
        let Some((_, text)) = reply.speaking.as_ref().filter(|(speaking, _)| *speaking == clause) else { return };
        match speech {
            Speech::Plan { words, .. } => reply.ledger.plan(text.clone(), &words),
            Speech::Pcm(pcm) => {
                reply.latency.first_audio_ms.get_or_insert(at.ms());
                reply.ledger.synthesise(at, pcm.len());
                reply.playout.push(&pcm);
            }
        }
    }

    pub(super) fn on_spoken(&mut self, at: CallTime, turn: u32, clause: u32, result: Result<(), String>) {
        let Some(reply) = self.reply.as_mut().filter(|reply| reply.turn == turn) else { return };
        let Some((_, text)) = reply.speaking.take_if(|(speaking, _)| *speaking == clause) else { return };
        if result.is_ok() {
            reply.ledger.end_clause(at, &text);
        }
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
        if let Some(words) = self.news_that_was_missed() {
            return self.tell_plainly(at, &words);
        }
        if let Some(reason) = self.refusal_that_was_missed()
            && self.say_plainly(at, Action::Refuse, reason)
        {
            return;
        }
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
        let blank = reply.ledger.text().get(cut.range.clone()).map_or(0, |text| text.len() - text.trim_start().len());
        reply.speaking = Some((clause, cut.range.start + blank..cut.range.end));
        reply.expressions.find(&cut.text);
        let urgency = if first { Urgency::FirstAudio } else { Urgency::Speech };
        let turn = reply.turn;
        self.effects.push(Effect::Speak { turn, clause, what: Clause { text: speakable(&cut.text), urgency } });
    }

    /// The gate: what the agent sounds like in this tick.
    pub(super) fn play(&mut self, at: CallTime, out: &mut [f32; LINE_FRAME]) -> bool {
        out.fill(0.0);
        self.pump(at);
        let attention = self.play_attention(out);
        let Some(reply) = self.reply.as_mut().filter(|reply| reply.draft.is_none()) else { return attention };
        if reply.started.is_none() {
            if reply.playout.is_done() {
                // Nothing pronounceable came of it.
                self.reply_done(at);
                return false;
            }
            // Over a sound that may be the caller's, nothing is begun: it passes, or it revokes this reply.
            let busy = self.floor.is_voice(self.heard) && !reply.insists;
            // Nor before the caller has most likely finished: what is unheard is taken back without a trace.
            let wait_ms = self.caller.as_ref().map_or(0, |caller| caller.speak_ms(&self.settings.endpoint));
            let soon = self.heard.silence_ms < wait_ms && !reply.insists;
            if !reply.playout.is_ready() || busy || soon || !self.floor.agent_starts(at) {
                return false;
            }
            if reply.insists {
                self.floor.spare(self.heard, self.settings.floor.insist_ms);
            }
            self.reply_starts(at);
        }
        self.settle_caller(at);
        self.express(at);
        let Some(reply) = &mut self.reply else { return false };
        let played = reply.playout.frame(out);
        reply.ledger.send(at, self.far_ear.line(), reply.playout.played());
        if played == Played::Done {
            self.reply_done(at);
        }
        played == Played::Speech
    }

    /// The first packet leaves. The caller's turn is settled a little later: see [`Self::settle_caller`].
    fn reply_starts(&mut self, at: CallTime) {
        if self.caller.as_ref().is_some_and(|caller| caller.typed) {
            self.commit_caller(at);
        }
        self.owed = None;
        self.ladder.disarm();
        let Some(reply) = &mut self.reply else { return };
        reply.started = Some(at);
        reply.latency.first_packet_ms = Some(at.ms());
        let (turn, latency) = (reply.turn, reply.latency);
        self.emit(at, Event::TurnStarted { turn, latency });
        self.forget_bridge();
        self.cite(at);
    }

    /// The agent has been heard for long enough to answer to: what the caller says from here on is another turn.
    fn settle_caller(&mut self, at: CallTime) {
        let collide_ms = u128::from(self.settings.floor.collide_ms);
        let started = self.reply.as_ref().and_then(|reply| reply.started);
        let settled = started.is_some_and(|started| at.since(started).as_millis() >= collide_ms);
        if settled && self.caller.is_some() && self.floor.state() == FloorState::Agent {
            self.commit_caller(at);
        }
    }

    /// Tells the client what has been heard of the open turn, a few times a second.
    pub(super) fn show_words(&mut self, at: CallTime) {
        let Some(reply) = &mut self.reply else { return };
        reply.ledger.hear(at, &self.far_ear);
        let heard = reply.ledger.heard();
        let (shown, when) = reply.shown;
        // The first words at once; then at most ten times a second, which is more than anybody reads.
        if heard.len() > shown && (shown == 0 || at.since(when) >= WORDS_EVERY) {
            reply.shown = (heard.len(), at);
            let (turn, heard) = (reply.turn, heard.to_owned());
            self.emit(at, Event::Words { turn, heard });
        }
    }
}
