//! What the agent says of its own accord: on an operator's word, about news from outside, or as it has promised. It waits for its moment and for a free floor; the persona's budget and quiet hours have their say.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use duologue_signaling::event::{Event, FloorState, TurnOutcome};

use super::attention::Attention;
use super::idle::Due;
use super::reply::Reply;
use super::{Conversation, Effect};
use crate::dialogue::budget::may_initiate;
use crate::dialogue::judge::Action;
use crate::dialogue::ladder::Ladder;
use crate::dialogue::persona::Persona;
use crate::dialogue::timers::Timers;
use crate::journal::Entry;
use crate::memory::calendar::Day;
use crate::memory::keeping;
use crate::memory::recollection::{Open, shares};
use crate::time::CallTime;

/// Something that the agent is to say of its own accord.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Errand {
    /// These words, whatever the budget says: somebody outside has decided it.
    Say { words: String, interrupt: bool, hang_up: bool },
    /// These words, as was promised.
    Remind { words: String },
    /// A promise whose time has come is raised; with it goes the line that a judge reads.
    Promise { open: Open, words: String, line: String },
    /// Something has happened: the model is told, and speaks of it if it should.
    News { name: String, text: String, speak: bool },
}

impl Errand {
    /// What was promised is raised on this day.
    pub fn promise(open: Open, today: Day) -> Self {
        let (words, line) = (keeping::raised(&open), keeping::due_line(&open, today));
        Self::Promise { open, words, line }
    }

    const fn reason(&self) -> &'static str {
        match self {
            Self::Say { .. } => "told-to-say",
            Self::Remind { .. } => "reminder",
            Self::Promise { .. } => "promise",
            Self::News { .. } => "news",
        }
    }

    /// Does it take of what the persona may do?
    const fn is_budgeted(&self) -> bool {
        matches!(self, Self::Remind { .. } | Self::Promise { .. } | Self::News { .. })
    }

    /// Does the judge say whether this is the moment? What comes from outside has been decided there.
    const fn is_judged(&self) -> bool {
        matches!(self, Self::Promise { .. })
    }
}

/// An errand whose moment has come.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    errand: Errand,
    /// The budget has been asked, and the model told.
    begun: bool,
    /// The judge has said that it is the moment.
    judged: bool,
    /// How often it was begun and nothing of it heard.
    revoked: u32,
}

impl Waiting {
    const fn new(errand: Errand) -> Self {
        Self { errand, begun: false, judged: false, revoked: 0 }
    }

    /// What a judge is told of it.
    pub fn told(&self) -> Option<String> {
        match &self.errand {
            Errand::Promise { line, .. } => Some(line.clone()),
            _ => None,
        }
    }
}

impl Reply {
    /// What it is to tell of its own accord.
    pub(super) fn news(&self) -> Option<&str> {
        match &self.errand.as_ref()?.errand {
            Errand::News { text, .. } => Some(text),
            _ => None,
        }
    }
}

/// Errands that may wait for a free floor; more is more than anybody wants to hear at once.
const WAITING_MOST: usize = 16;
/// A promise is raised when nobody has spoken for so long, times the patience that the persona has now: the greeting is the
/// caller's to answer. People begin to answer one within two seconds.
const PAUSE: Duration = Duration::from_millis(2_500);
/// A caller who goes first so often does not want to hear it.
const REVOKED_MOST: u32 = 5;

/// What the agent means to say, and what of it may still be said.
#[derive(Debug, Default)]
pub(super) struct Initiative {
    timers: Timers<Errand>,
    waiting: VecDeque<Waiting>,
    /// How often the agent has spoken first, of what the budget counts.
    spent: u32,
    /// What the clock on the wall said when the call began, seconds since 1970.
    began_unix_s: Option<u64>,
    /// The last words were a rung of the ladder: what they ask is no question to think about.
    pub rung_spoke: bool,
}

impl Initiative {
    /// Whoever spoke goes first; it waits for the next free floor.
    pub(super) fn put_back(&mut self, waiting: Waiting) {
        self.waiting.push_front(Waiting { judged: false, ..waiting });
    }

    /// What the agent was told to say and has not said is not said into the talk of others.
    pub(super) fn forget_told(&mut self) {
        self.waiting.retain(|waiting| !matches!(waiting.errand, Errand::Say { .. }));
    }

    /// Promises that the caller wants forgotten are not raised.
    pub(super) fn forget_promises(&mut self, is_about: impl Fn(&str) -> bool) {
        let forgotten = |errand: &Errand| matches!(errand, Errand::Promise { open, .. } if is_about(&open.what));
        self.waiting.retain(|waiting| !forgotten(&waiting.errand));
        self.timers.cancel_all(forgotten);
    }

    /// Not now: it comes again. One too many is forgotten, as with every timer.
    pub(super) fn put_off(&mut self, until: CallTime, waiting: Waiting) {
        let _ = self.timers.schedule(until, waiting.errand);
    }
}

impl Conversation {
    /// What the clock on the wall says at the call's beginning, seconds since 1970: for quiet hours.
    pub fn began_at(&mut self, unix_s: u64) {
        self.initiative.began_unix_s = Some(unix_s);
    }

    /// An errand from outside or from the call itself, to be done after so long.
    pub(super) fn send_on(&mut self, at: CallTime, errand: Errand, after: Duration) {
        if after.is_zero() {
            self.await_floor(at, errand);
        } else if self.initiative.timers.schedule(at + after, errand).is_none() {
            self.trouble(at, "too-many-timers", "No more can be remembered in one call; it is forgotten.");
        }
    }

    pub(super) fn await_floor(&mut self, at: CallTime, errand: Errand) {
        match errand {
            Errand::News { name, text, speak: false } => self.history.news(&name, &text, false),
            Errand::Say { words, interrupt: true, hang_up } => self.say_over(at, &words, hang_up),
            errand if self.initiative.waiting.len() < WAITING_MOST => {
                self.initiative.waiting.push_back(Waiting::new(errand));
            }
            _ => self.trouble(at, "too-many-errands", "Too much waits to be said; the newest is forgotten."),
        }
    }

    /// The agent takes the floor, from whoever has it.
    fn say_over(&mut self, at: CallTime, words: &str, hang_up: bool) {
        if self.closing || self.over {
            return;
        }
        self.take_floor(at, Action::Initiate, "told-to-say", words, hang_up);
    }

    /// Once a tick: what is due joins what waits, and the first of those is said when the floor is free.
    pub(super) fn watch_errands(&mut self, at: CallTime) {
        while let Some(errand) = self.initiative.timers.due(at) {
            self.await_floor(at, errand);
        }
        let free = self.floor.state() == FloorState::Idle && self.reply.is_none() && self.caller.is_none();
        if !free || self.closing || self.over || self.pending.is_some() || self.floor.is_voice(self.heard) {
            return;
        }
        // Between two people it says what it was told to say, and nothing of its own.
        let speaks = |waiting: &Waiting| !self.listens || matches!(waiting.errand, Errand::Say { .. });
        let Some(first) = self.initiative.waiting.iter().position(speaks) else { return };
        let next = &self.initiative.waiting[first];
        if next.errand.is_judged() && at.since(self.floor.since()) < PAUSE.mul_f32(self.patience()) {
            return;
        }
        let Some(mut waiting) = self.initiative.waiting.remove(first) else { return };
        if waiting.errand.is_judged() && !std::mem::replace(&mut waiting.judged, true) {
            self.ask_idle(at, Due::Errand(waiting));
        } else {
            self.do_errand(at, waiting);
        }
    }

    pub(super) fn do_errand(&mut self, at: CallTime, mut waiting: Waiting) {
        if !std::mem::replace(&mut waiting.begun, true) {
            if let Errand::News { name, text, .. } = &waiting.errand {
                self.history.news(name, text, true);
            }
            if waiting.errand.is_budgeted() && !self.ask_budget(at) {
                return;
            }
        }
        let reason = waiting.errand.reason();
        match &waiting.errand {
            Errand::Say { words, hang_up, .. } => self.initiate(at, reason, &words.clone(), *hang_up),
            Errand::Remind { words } | Errand::Promise { words, .. } => {
                self.initiate(at, reason, &words.clone(), false);
            }
            Errand::News { .. } => self.speak_first(at, Action::Initiate, reason),
        }
        if let Some(reply) = &mut self.reply {
            reply.errand = Some(waiting);
        }
    }

    /// One check of the budget is one event, and a row with it.
    fn ask_budget(&mut self, at: CallTime) -> bool {
        let unix_s = self.initiative.began_unix_s.map(|began| began + at.ms() / 1_000);
        let spent = self.initiative.spent;
        let ruling = may_initiate(&self.persona, spent, unix_s);
        let (action, why) = (ruling.action.as_str().into(), ruling.why.into());
        let most = self.persona.budgets.initiatives_most;
        self.emit(at, Event::Budget { action, allowed: ruling.allowed, why, spent, most });
        self.initiative.spent += u32::from(ruling.allowed);
        ruling.allowed
    }

    /// The model speaks, though nobody has just said anything.
    fn speak_first(&mut self, at: CallTime, action: Action, reason: &'static str) {
        let mut reply = Reply::new(self.next_turn(), at, action, reason);
        reply.once_more = true;
        let turn = reply.turn;
        let request = self.request(None);
        self.reply = Some(reply);
        self.floor.thinks(at);
        self.effects.push(Effect::Generate { turn, request });
    }

    /// What the model was to tell, where it begins with something else, as small ones do.
    pub(super) fn news_that_was_missed(&self) -> Option<String> {
        let reply = self.reply.as_ref()?;
        let (news, begins) = (reply.news()?, reply.first_clause()?);
        let about = keeping::about(news);
        let missed = !about.is_empty() && shares(begins, &about) == 0;
        missed.then(|| news.to_owned())
    }

    /// News in the words that it came in.
    pub(super) fn tell_plainly(&mut self, at: CallTime, words: &str) {
        let Some(reply) = &mut self.reply else { return };
        let (reason, errand) = (reply.reason, reply.errand.take());
        self.initiate(at, reason, words, false);
        if let Some(reply) = &mut self.reply {
            reply.errand = errand;
        }
    }

    /// An errand that the caller did not let begin is done when the floor is free again.
    pub(super) fn close_errand(&mut self, at: CallTime, errand: Option<Waiting>, outcome: TurnOutcome) {
        if outcome != TurnOutcome::Revoked
            && let Some(Waiting { errand: Errand::Promise { open, .. }, .. }) = &errand
        {
            let (call, who, what) = (self.call.clone(), open.who, open.what.clone());
            self.effects.push(Effect::Keep(Entry::Raised { call, at_ms: at.ms(), who, what }));
        }
        let Some(mut waiting) = errand.filter(|_| outcome == TurnOutcome::Revoked && !self.over) else { return };
        waiting.revoked += 1;
        if waiting.revoked < REVOKED_MOST {
            self.initiative.waiting.push_front(waiting);
        } else {
            self.trouble(at, "errand-dropped", "The caller goes first time and again; it is not said.");
        }
    }

    /// What the waits of the ladder are multiplied by now.
    pub(super) fn patience(&self) -> f32 {
        let asked = !self.initiative.rung_spoke && self.history.asked().is_some();
        let after_question = if asked { self.persona.patience.after_question } else { 1.0 };
        self.patience.max(after_question)
    }

    /// Somebody else answers from now on: what was said stays, and what is being said is finished.
    pub(super) fn switch_persona(&mut self, at: CallTime, persona: Arc<Persona>) {
        if persona.name == self.persona.name {
            return;
        }
        // A draft was begun by somebody else.
        if self.reply.as_ref().is_some_and(|reply| reply.draft.is_some()) {
            self.drop_reply(at);
        }
        let was_armed = self.ladder.armed();
        self.ladder = Ladder::new(persona.ladder.clone());
        self.names = vec![persona.name.clone(), persona.title.clone()];
        self.persona = persona;
        if was_armed || self.floor.state() == FloorState::Idle {
            self.ladder.arm(at, self.patience());
        }
        // Another persona hums in its own words.
        self.attention = Attention::default();
        self.prepare_attention();
        let (name, title) = (self.persona.name.clone(), self.persona.title.clone());
        self.emit(at, Event::Persona { name, title });
        self.prime();
    }
}
