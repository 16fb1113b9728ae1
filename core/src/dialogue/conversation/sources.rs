//! What an answer may rest on: passages of the persona's files, looked up beside the tick for the caller's words as they come. A
//! reply waits for them for a few milliseconds, then goes without. They are quoted to the model alone: no judge, no rule and no
//! memory ever reads them.

use std::time::Duration;

use duologue_signaling::event::{Citation, Event, TurnOutcome};

use super::reply::Reply;
use super::{Conversation, Effect};
use crate::backend::{ChatMessage, Role};
use crate::dialogue::words::same_words;
use crate::journal::{Entry, RetrievalRow, Retrieved};
use crate::knowledge::Passage;
use crate::knowledge::quote::quotation;
use crate::time::CallTime;

/// How much is quoted, and how long it is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct SourceSettings {
    /// Characters of passages in a request: 100..=4000. More knows more and is read more slowly by the model.
    pub chars: usize,
    /// A reply waits so long for what is looked up, milliseconds: 0..=1000.
    pub wait_ms: u32,
}

impl Default for SourceSettings {
    fn default() -> Self {
        Self { chars: 500, wait_ms: 200 }
    }
}

/// What is looked up for the caller's open turn.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// The words that were looked up last.
    asked: String,
    /// Since when they are waited for; `None` when nothing is under way.
    since: Option<CallTime>,
    found: Vec<Passage>,
    took_ms: f32,
}

/// What stands before the model in a reply's request.
#[derive(Debug, Default)]
pub(super) struct Quoted {
    caller_turn: u32,
    words: String,
    passages: Vec<Passage>,
    took_ms: f32,
    /// The web has had its say: what is looked up in files changes nothing any more.
    settled: bool,
    /// The client knows what the answer rests on.
    told: bool,
}

impl Quoted {
    pub fn passages(&self) -> &[Passage] {
        &self.passages
    }

    /// Pages of the web before the rest, as many as may be quoted.
    pub fn put_first(&mut self, query: &str, found: Vec<Passage>, chars: usize) {
        if !found.is_empty() {
            query.clone_into(&mut self.words);
        }
        self.passages.splice(0..0, found);
        self.passages.truncate(quotation(&self.passages, chars).map_or(0, |(_, told)| told));
        self.settled = true;
    }

    fn used_in<'a>(&'a self, answer: &'a str) -> impl Iterator<Item = &'a Passage> {
        self.passages.iter().filter(move |passage| passage.is_used_in(answer))
    }

    /// The event, the first time that there is something to tell.
    fn tell(&mut self, turn: u32, answer: &str) -> Option<Event> {
        let citations: Vec<Citation> = self.used_in(answer).map(Passage::citation).collect();
        let tell = !self.told && !citations.is_empty();
        self.told |= tell;
        tell.then_some(Event::Citations { turn, caller_turn: self.caller_turn, citations })
    }
}

impl Conversation {
    /// Looks up the words of the open turn, where the persona has files and they are other words than before.
    pub(super) fn consult(&mut self, at: CallTime) {
        let Some(words) = self.caller_words().filter(|_| !self.persona.knowledge.is_empty()) else { return };
        if !same_words(words, &self.sources.asked) {
            let words = words.to_owned();
            self.sources.asked.clone_from(&words);
            self.sources.since = Some(at);
            self.effects.push(Effect::Consult { persona: self.persona.name.clone(), words });
        }
    }

    /// What was found for `words`; what is about other words than the newest is stale.
    pub(super) fn on_consulted(&mut self, at: CallTime, words: &str, found: Vec<Passage>, took_ms: f32) {
        if self.sources.asked != words || self.sources.since.take().is_none() {
            return;
        }
        let other = self.sources.found != found;
        (self.sources.found, self.sources.took_ms) = (found, took_ms);
        if other && self.reply.is_none() {
            self.read_along();
        }
        self.stop_waiting(at);
    }

    /// The turn is settled: what was found belongs to the reply now.
    pub(super) fn close_sources(&mut self) {
        self.sources = Sources::default();
    }

    /// Once a tick: a reply that has waited long enough goes without.
    pub(super) fn watch_sources(&mut self, at: CallTime) {
        if !self.waits_for_sources(at) && self.searching.is_none() {
            self.stop_waiting(at);
        }
    }

    fn stop_waiting(&mut self, at: CallTime) {
        if self.reply.as_ref().is_some_and(|reply| reply.held) {
            self.ask_model(at);
        }
    }

    fn waits_for_sources(&self, at: CallTime) -> bool {
        let wait = Duration::from_millis(u64::from(self.settings.sources.wait_ms));
        self.sources.since.is_some_and(|since| at.since(since) < wait)
    }

    /// What is found so far is what the reply may rest on.
    pub(super) fn quote_files(&self, reply: &mut Reply) {
        let Some(caller_turn) = self.caller_turn().filter(|_| !reply.quoted.settled) else { return };
        let told = quotation(&self.sources.found, self.settings.sources.chars).map_or(0, |(_, told)| told);
        reply.quoted = Quoted {
            caller_turn,
            words: self.sources.asked.clone(),
            passages: self.sources.found.iter().take(told).cloned().collect(),
            took_ms: self.sources.took_ms,
            ..Quoted::default()
        };
    }

    /// Has the model answer the caller's turn: now, or as soon as it is known what the answer may rest on.
    pub(super) fn ask_model(&mut self, at: CallTime) {
        if self.answer_from_memory(at) || self.answer_with_fixed_words(at) {
            return;
        }
        let waits = self.waits_for_sources(at) || self.searching.is_some();
        let Some(mut reply) = self.reply.take() else { return };
        self.quote_files(&mut reply);
        reply.held = waits;
        if !waits {
            let (turn, request) = (reply.turn, self.request_for(&reply));
            self.effects.push(Effect::Generate { turn, request });
        }
        self.reply = Some(reply);
    }

    /// What was found for the caller's open turn.
    pub(super) fn found_for(&self, open_turn: Option<&str>) -> &[Passage] {
        open_turn.map_or(&[], |_| &self.sources.found)
    }

    /// Puts passages before the caller's last words: a quotation, and nobody's.
    pub(super) fn put_sources(&self, messages: &mut Vec<ChatMessage>, passages: &[Passage]) {
        let last = messages.last().is_some_and(|message| message.role == Role::User);
        let quoted = quotation(passages, self.settings.sources.chars);
        if let Some((content, _)) = quoted.filter(|_| last) {
            messages.insert(messages.len() - 1, ChatMessage { role: Role::System, content });
        }
    }

    /// The answer is complete and is being heard: tells what it rests on.
    pub(super) fn cite(&mut self, at: CallTime) {
        let Some(reply) = self.reply.as_mut().filter(|reply| reply.started.is_some() && reply.text_done) else {
            return;
        };
        let event = reply.quoted.tell(reply.turn, reply.ledger.text());
        event.into_iter().for_each(|event| self.emit(at, event));
    }

    /// The turn is over: the rest of what is to be told, and the row.
    pub(super) fn close_quoted(&mut self, at: CallTime, reply: &mut Reply, outcome: TurnOutcome, heard: &str) {
        if reply.quoted.passages.is_empty() || reply.draft.is_some() {
            return;
        }
        if outcome != TurnOutcome::Revoked {
            let event = reply.quoted.tell(reply.turn, heard);
            event.into_iter().for_each(|event| self.emit(at, event));
        }
        let quoted = std::mem::take(&mut reply.quoted);
        let retrieved = quoted
            .passages
            .into_iter()
            .map(|passage| Retrieved { cited: quoted.told && passage.is_used_in(reply.ledger.text()), passage })
            .collect();
        self.effects.push(Effect::Keep(Entry::Retrieval(RetrievalRow {
            call: self.call.clone(),
            turn: reply.turn,
            caller_turn: quoted.caller_turn,
            at_ms: at.ms(),
            words: quoted.words,
            took_ms: quoted.took_ms,
            retrieved,
        })));
    }
}
