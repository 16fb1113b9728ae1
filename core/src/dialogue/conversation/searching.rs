//! Asking the web: the agent says that it looks, and goes on with what has come within the budget. Nothing waits for longer, and
//! every search is a row.

use std::time::Duration;

use duologue_signaling::event::{Event, SearchState};

use super::manner::manage;
use super::reply::Reply;
use super::{Conversation, Effect};
use crate::backend::ChatRequest;
use crate::dialogue::judge::{Action, Verdict};
use crate::dialogue::lookup::wants_search;
use crate::dialogue::sentence::{ClauseCutter, speakable};
use crate::journal::{Entry, SearchRow};
use crate::knowledge::Passage;
use crate::replay::kept;
use crate::time::CallTime;

/// Who is asked, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct SearchSettings {
    /// The provider's name; `None`: there is nobody to ask.
    #[serde(deserialize_with = "kept::maybe_code")]
    pub provider: Option<kept::Code>,
    /// A reply waits so long for what it has asked the web, milliseconds: 200..=10000.
    pub budget_ms: u32,
}

impl Default for SearchSettings {
    fn default() -> Self {
        Self { provider: None, budget_ms: 1_500 }
    }
}

/// A question to the web that has no answer yet.
#[derive(Debug)]
pub(super) struct Searching {
    turn: u32,
    caller_turn: u32,
    query: String,
    provider: &'static str,
    since: CallTime,
}

/// What a reply that has searched makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Searched {
    Found,
    Nothing,
}

impl Conversation {
    /// What the caller's words ask the web for, where this persona may.
    pub(super) fn to_search_for(&self, action: Action) -> Option<String> {
        let may = self.persona.search && self.settings.search.provider.is_some() && action == Action::Respond;
        let words = self.caller_words().filter(|_| may)?;
        wants_search(words, self.history.said_last())
    }

    /// Says that the agent looks, and asks.
    pub(super) fn search_first(&mut self, at: CallTime, verdict: &Verdict, query: String) {
        let Some(provider) = self.settings.search.provider else { return };
        // A draft knows nothing of it.
        self.drop_reply(at);
        let mut reply = Reply::new(self.next_turn(), at, verdict.action, verdict.reason);
        if let Some(caller) = &self.caller {
            reply.latency = caller.latency;
        }
        reply.once_more = true;
        reply.held = true;
        self.quote_files(&mut reply);
        let known = &self.persona.looking_up;
        if let Some(lead_in) = known.get(self.last_turn as usize % known.len().max(1)) {
            reply.open_with(at, lead_in);
        }
        let (turn, caller_turn) = (reply.turn, self.caller_turn().unwrap_or_default());
        self.reply = Some(reply);
        self.emit(at, Event::Search { turn, query: query.clone(), state: SearchState::Asked, results: 0, took_ms: 0 });
        self.effects.push(Effect::Search { turn, query: query.clone() });
        self.searching = Some(Searching { turn, caller_turn, query, provider, since: at });
        self.pump(at);
    }

    /// The provider has answered.
    pub(super) fn on_searched(&mut self, at: CallTime, turn: u32, result: Result<Vec<Passage>, String>) {
        let Some(searching) = self.searching.take_if(|searching| searching.turn == turn) else { return };
        let (state, found, detail) = match result {
            Ok(found) if found.is_empty() => (SearchState::Nothing, found, String::new()),
            Ok(found) => (SearchState::Found, found, String::new()),
            Err(why) => (SearchState::Failed, Vec::new(), why),
        };
        if state == SearchState::Failed {
            self.trouble(at, "search", &format!("{detail}; answered without it."));
        }
        let query = searching.query.clone();
        self.close_search(at, searching, state, found.len(), detail);
        self.go_on_with(at, &query, found);
    }

    /// Once a tick: who has waited long enough goes on without.
    pub(super) fn watch_search(&mut self, at: CallTime) {
        let budget = Duration::from_millis(u64::from(self.settings.search.budget_ms));
        let late = |searching: &mut Searching| at.since(searching.since) >= budget;
        if let Some(searching) = self.searching.take_if(late) {
            self.close_search(at, searching, SearchState::Late, 0, String::new());
            self.go_on_with(at, "", Vec::new());
        }
    }

    /// The caller went first: nobody waits for it any more.
    pub(super) fn drop_search(&mut self, at: CallTime, turn: u32) {
        if let Some(searching) = self.searching.take_if(|searching| searching.turn == turn) {
            self.close_search(at, searching, SearchState::Dropped, 0, String::new());
        }
    }

    fn close_search(&mut self, at: CallTime, of: Searching, state: SearchState, results: usize, detail: String) {
        let took_ms = u32::try_from(at.since(of.since).as_millis()).unwrap_or(u32::MAX);
        let results = u32::try_from(results).unwrap_or(u32::MAX);
        self.emit(at, Event::Search { turn: of.turn, query: of.query.clone(), state, results, took_ms });
        self.effects.push(Effect::Keep(Entry::Search(SearchRow {
            call: self.call.clone(),
            turn: of.turn,
            caller_turn: of.caller_turn,
            at_ms: of.since.ms(),
            query: of.query,
            provider: of.provider,
            took_ms,
            results,
            outcome: state.as_str(),
            detail,
        })));
    }

    fn go_on_with(&mut self, at: CallTime, query: &str, found: Vec<Passage>) {
        let Some(reply) = &mut self.reply else { return };
        reply.searched = Some(if found.is_empty() { Searched::Nothing } else { Searched::Found });
        reply.quoted.put_first(query, found, self.settings.sources.chars);
        self.ask_model(at);
    }

    /// Has a persona's fixed phrases spoken ahead of time, so that they are there at once.
    pub(super) fn prepare_phrases(&mut self) {
        let looks = self.persona.search && self.settings.search.provider.is_some();
        let bridges = self.settings.transition_ms > 0;
        let phrases = self.persona.looking_up.iter().filter(|_| looks);
        let phrases = phrases.chain(self.persona.transitions.iter().filter(|_| bridges));
        let clauses: Vec<String> = phrases.flat_map(|phrase| clauses(phrase)).collect();
        self.effects.extend(clauses.into_iter().map(|text| Effect::VoicePhrase { text }));
    }
}

/// How a phrase at the beginning of a turn goes to the voice.
fn clauses(phrase: &str) -> Vec<String> {
    let mut cutter = ClauseCutter::default();
    let mut cuts = cutter.push(&format!("{phrase} "));
    cuts.extend(cutter.flush_if_waiting());
    cuts.iter().map(|cut| speakable(&cut.text)).collect()
}

/// How the model is told to go on after a phrase, and after a search.
pub(super) fn go_on(request: &mut ChatRequest, lead_in: &str, searched: Option<Searched>) {
    let said = if lead_in.is_empty() {
        String::new()
    } else {
        format!("You have just said: \"{lead_in}\" Go on from there and do not say it again. ")
    };
    match searched {
        Some(Searched::Found) => manage(request, format!("{said}Answer in one or two sentences from what is quoted.").trim()),
        Some(Searched::Nothing) => manage(
            request,
            format!("{said}Looking it up has brought nothing. Say so in a few words, then what you know yourself, if anything.").trim(),
        ),
        None => {}
    }
}
