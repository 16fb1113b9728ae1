//! A conversation: the floor, the caller's turn, the agent's reply, the history and the silence ladder as one state machine.
//!
//! It is told what happens ([`Conversation::tick`] once per 20 ms, [`Conversation::on`] whenever a back end answers) and
//! says what to do ([`Effect`]). It never waits and knows no clock, so text scenarios drive it in virtual time and the
//! call task in real time, through the same three doors.
//!
//! Results come back with the turn (and, for what was heard, the revision) they were asked for; whatever belongs to a
//! turn that is gone is dropped here, in one place.

mod arriving;
mod attention;
mod bridge;
mod caller;
mod doubt;
mod draft;
mod ending;
mod express;
mod fixed;
mod follow_ups;
mod idle;
mod initiative;
mod listening;
mod manner;
mod preparing;
mod recall;
mod renewal;
mod reply;
mod searching;
mod settings;
mod sources;
mod stopping;
mod verdict;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use duologue_signaling::event::{Event, FloorState, Stamped};

use super::endpoint::EndEvidence;
use super::floor::{Floor, Hearing, Turnover};
use super::history::History;
use super::judge::{Moment, Situation, Verdict};
use super::ladder::Ladder;
use super::permit::Permits;
use super::persona::Persona;
use super::suspicion::Suspicion;
use crate::audio::LINE_FRAME;
use crate::backend::{AsrPurpose, ChatRequest, Clause, Speech};
use crate::journal::{CallId, EndReason, Entry};
use crate::knowledge::Passage;
use crate::media::far_ear::{FarEar, PlayoutReport};
use crate::memory::recollection::Recollection;
use crate::replay::kept;
use crate::time::CallTime;

use arriving::Arriving;
use attention::Attention;
use caller::CallerTurn;
pub use draft::DraftSettings;
use follow_ups::Answered;
pub use follow_ups::FollowUpSettings;
use idle::{Due, Pending};
pub use initiative::Errand;
use initiative::Initiative;
use recall::Mind;
use reply::{Owed, Reply};
pub use searching::SearchSettings;
use searching::Searching;
pub use settings::{ConversationSettings, Judging, Pace};
pub use sources::SourceSettings;
use sources::Sources;

/// What a back end or a person tells the conversation.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Input {
    /// What was heard of the whole turn so far, parts that are settled included, or why it is not known. See
    /// [`super::parts`].
    Transcribed { turn: u32, revision: u32, purpose: AsrPurpose, text: Result<String, String> },
    /// The turn model's opinion about the present pause.
    Complete { turn: u32, revision: u32, probability: f32 },
    /// The judge's answer.
    Judged {
        turn: u32,
        revision: u32,
        moment: Moment,
        #[serde(deserialize_with = "kept::code")]
        judge: kept::Code,
        verdict: Verdict,
        took_ms: f32,
    },
    /// The sound of a sign of attention, at the rate of the line.
    Attention {
        text: String,
        #[serde(with = "kept::length")]
        pcm: Arc<[f32]>,
    },
    /// More text of a reply.
    Token { turn: u32, text: String },
    /// The language model has finished, or failed.
    Generated { turn: u32, result: Result<(), String> },
    /// Something went wrong that is worth a row, and was made good.
    Trouble {
        #[serde(deserialize_with = "kept::code")]
        code: kept::Code,
        detail: String,
    },
    /// Sound of a clause.
    Speech { turn: u32, clause: u32, speech: Speech },
    /// A clause is complete, or failed.
    Spoken { turn: u32, clause: u32, result: Result<(), String> },
    /// The caller typed this.
    Typed(String),
    /// The caller's microphone was switched.
    Muted(bool),
    /// The client says what it is playing.
    Playout(PlayoutReport),
    /// The round trip to the client, as RTCP measures it.
    RoundTrip(Duration),
    /// What is known of the caller.
    Remembered(Box<Recollection>),
    /// What came to mind about the words of the open turn.
    Recalled(Vec<String>),
    /// What the persona's files have about these words of the open turn, and how long that took.
    Consulted { words: String, passages: Vec<Passage>, took_ms: f32 },
    /// What the web has about what agent turn `turn` asked it, or why that is not known.
    Searched { turn: u32, result: Result<Vec<Passage>, String> },
    /// What the model proposes that the caller could ask after agent turn `turn`.
    FollowUps { turn: u32, text: String },
    /// The client shows so many of them.
    ShowsFollowUps(u32),
    /// The conversation begins anew.
    NewTopic,
    /// The client stops the agent.
    Stop,
    /// The client has played no more of agent turn `turn` than so much from its first frame on, and will play no more.
    Truncated { turn: u32, played: Duration },
    /// Something to say of the agent's own accord, after so long.
    Errand { errand: Errand, after: Duration },
    /// This persona answers from now on.
    Persona(#[serde(with = "kept::shared")] Arc<Persona>),
}

/// What the conversation wants done. The call task executes effects in order, at once, without waiting for any.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Transcribe the open utterance as it stands.
    Transcribe { turn: u32, revision: u32, purpose: AsrPurpose },
    /// Ask the turn model about the open utterance.
    AskTurnModel { turn: u32, revision: u32 },
    /// Ask the judge.
    Judge { turn: u32, revision: u32, situation: Arc<Situation> },
    /// Look these words up in the persona's files.
    Consult { persona: String, words: String },
    /// Ask the web, for agent turn `turn`; dropped with it.
    Search { turn: u32, query: String },
    /// Make the sound of a clause that may be needed at once, for later.
    VoicePhrase { text: String },
    /// Have the model propose what the caller could ask next; nobody waits for it.
    FollowUps { turn: u32, request: Box<ChatRequest> },
    /// Nobody wants to know any more.
    DropFollowUps,
    /// Make the sound of a sign of attention, for later.
    VoiceAttention { text: String },
    /// The open utterance has been dealt with: the next onset begins a new one.
    CloseUtterance,
    /// Warm the language model's prefix cache.
    Prime(ChatRequest),
    /// Begin the work of an agent turn, or begin it again.
    Generate { turn: u32, request: ChatRequest },
    /// Speak a clause of it.
    Speak { turn: u32, clause: u32, what: Clause },
    /// Drop everything that works for this turn.
    DropTurn { turn: u32 },
    /// Tell the client.
    Emit(Stamped),
    /// Keep a row.
    Keep(Entry),
    /// End the call.
    End { reason: EndReason, detail: String },
}

/// One call's conversation.
#[derive(Debug)]
pub struct Conversation {
    call: CallId,
    persona: Arc<Persona>,
    settings: ConversationSettings,
    floor: Floor,
    shown: FloorState,
    ladder: Ladder,
    /// Multiplies the ladder's waits: 1.0, or more after "hold on".
    patience: f32,
    initiative: Initiative,
    history: History,
    mind: Mind,
    sources: Sources,
    searching: Option<Searching>,
    /// The last answer began with a phrase over the wait for it.
    bridged: bool,
    answered: Option<Answered>,
    follow_ups_shown: u32,
    last_turn: u32,
    /// What was lost to a sound before it was heard, to be made good if the sound has no words.
    owed: Option<Owed>,
    /// The caller's open turn, until the agent is heard answering it.
    caller: Option<CallerTurn>,
    /// The agent's open turn. Dropping it is silence.
    reply: Option<Reply>,
    /// Agent turns that are over and not yet heard to their end.
    arriving: VecDeque<Arriving>,
    far_ear: FarEar,
    /// What the last tick heard.
    heard: Hearing,
    /// The sound over the agent's voice, while it is doubted; and how many there were in the call.
    suspicion: Option<Suspicion>,
    suspicions: u32,
    /// What the agent is called: who says it wants the agent to stop.
    names: Vec<String>,
    /// The level that the caller's turns usually have, dBFS; `None` before the first.
    usual_dbfs: Option<f32>,
    /// When the microphone was switched off, while it is.
    muted_at: Option<CallTime>,
    /// The call is being ended: nothing more is begun.
    closing: bool,
    /// It has been ended.
    over: bool,
    /// Two people talk: what is said is written down, and the agent keeps quiet.
    listens: bool,
    /// What has been spent of the persona's budgets.
    permits: Permits,
    /// An answer that was put off: when it is due.
    deferred: Option<CallTime>,
    attention: Attention,
    /// The judge has been asked whether this is the moment to speak first.
    pending: Option<Pending>,
    effects: Vec<Effect>,
}

impl Conversation {
    /// A conversation that has not begun: call [`Conversation::start`] when media flows.
    pub fn new(call: CallId, persona: Arc<Persona>, settings: ConversationSettings) -> Self {
        Self {
            call,
            floor: Floor::new(settings.floor),
            shown: FloorState::Idle,
            ladder: Ladder::new(persona.ladder.clone()),
            patience: 1.0,
            initiative: Initiative::default(),
            history: History::default(),
            mind: Mind::default(),
            sources: Sources::default(),
            searching: None,
            bridged: false,
            answered: None,
            follow_ups_shown: 0,
            last_turn: 0,
            owed: None,
            caller: None,
            reply: None,
            arriving: VecDeque::new(),
            far_ear: FarEar::new(settings.far_ear),
            heard: Hearing::default(),
            suspicion: None,
            suspicions: 0,
            names: vec![persona.name.clone(), persona.title.clone()],
            usual_dbfs: None,
            muted_at: None,
            closing: false,
            over: false,
            listens: false,
            permits: Permits::default(),
            deferred: None,
            attention: Attention::default(),
            pending: None,
            effects: Vec::new(),
            persona,
            settings,
        }
    }

    /// Media flows: warm the model, greet.
    pub fn start(&mut self, at: CallTime) {
        self.emit(at, Event::CallStarted { call: self.call.clone(), persona: self.persona.name.clone() });
        self.prepare();
        if self.persona.opening.is_empty() {
            self.ladder.arm(at, self.patience);
        } else {
            let opening = self.persona.opening.clone();
            self.initiate(at, "greeting", &opening, false);
        }
    }

    /// Once per 20 ms, after listening and before [`Conversation::frame`].
    pub fn tick(&mut self, at: CallTime, heard: Hearing) {
        let heard = self.unless_said_out(self.steadied(self.unmuted(at, heard)));
        let before = std::mem::replace(&mut self.heard, heard);
        if let Some(caller) = self.caller.as_mut().filter(|_| self.floor.state() == FloorState::Caller) {
            caller.hear(at, heard);
        }
        let ruling = self.suspect(at, heard);
        let evidence = self.caller.as_ref().map_or(EndEvidence::default(), CallerTurn::evidence);
        let wait_ms = self.settings.endpoint.wait_ms(evidence);
        match self.floor.hear(at, heard, wait_ms, ruling) {
            Some(Turnover::CallerStarts) => self.caller_starts(at, heard),
            Some(Turnover::CallerResumes) => self.caller_resumes(at, heard),
            Some(Turnover::CallerEnds) => self.caller_ends(at),
            Some(Turnover::Doubt) => self.doubt(at, heard),
            Some(Turnover::Yield(why)) => self.yield_floor(at, heard, why),
            Some(Turnover::Reject(why)) => self.resume_reply(at, why),
            None => self.listen(at, heard),
        }
        self.heed(heard);
        let nobodys = self.caller.as_ref().is_none_or(|caller| caller.typed) && self.suspicion.is_none();
        if before.speech && !heard.speech && nobodys {
            // A sound that became nobody's turn: the next onset begins with its own.
            self.effects.push(Effect::CloseUtterance);
        }
        self.watch(at);
        self.show_floor(at);
    }

    /// A back end or a person has something to say.
    pub fn on(&mut self, at: CallTime, input: Input) {
        match input {
            Input::Transcribed { turn, revision, purpose, text } => {
                self.on_transcript(at, turn, revision, purpose, text)
            }
            Input::Complete { turn, revision, probability } => self.on_complete(at, turn, revision, probability),
            Input::Judged { turn, moment: Moment::Caller, judge, verdict, took_ms, .. } => {
                self.on_running_verdict(at, turn, judge, &verdict, took_ms);
            }
            Input::Judged { turn, moment: Moment::Idle, judge, verdict, took_ms, .. } => {
                self.on_idle_verdict(at, turn, judge, &verdict, took_ms);
            }
            Input::Judged { turn, revision, judge, verdict, took_ms, .. } => {
                self.on_verdict(at, (turn, revision), judge, verdict, took_ms);
            }
            Input::Attention { text, pcm } => self.attention.learn(text, pcm),
            Input::Token { turn, text } => self.on_token(at, turn, &text),
            Input::Generated { turn, result } => self.on_generated(at, turn, result),
            Input::Trouble { code, detail } => self.trouble(at, code, &detail),
            Input::Speech { turn, clause, speech } => self.on_speech(at, turn, clause, speech),
            Input::Spoken { turn, clause, result } => self.on_spoken(at, turn, clause, result),
            Input::Typed(text) => self.on_typed(at, &text),
            Input::Muted(on) => self.muted_at = on.then(|| self.muted_at.unwrap_or(at)),
            // Counted there; a report that is not believed is no trouble of the call's.
            Input::Playout(report) => drop(self.far_ear.report(at, report)),
            Input::RoundTrip(rtt) => self.far_ear.round_trip(rtt),
            Input::Remembered(recollection) => self.remember(at, *recollection),
            Input::Recalled(lines) => self.mind.recollection.recalled = lines,
            Input::Consulted { words, passages, took_ms } => self.on_consulted(at, &words, passages, took_ms),
            Input::Searched { turn, result } => self.on_searched(at, turn, result),
            Input::FollowUps { turn, text } => self.on_follow_ups(at, turn, &text),
            Input::ShowsFollowUps(most) => self.follow_ups_shown = most,
            Input::NewTopic => self.begin_anew(at),
            Input::Stop => self.stop(at),
            Input::Truncated { turn, played } => self.truncate(turn, played),
            Input::Errand { errand, after } => self.send_on(at, errand, after),
            Input::Persona(persona) => self.switch_persona(at, persona),
        }
        self.show_floor(at);
    }

    /// The agent's next 20 ms; silence when it has nothing to say. `true` when there is speech in it.
    pub fn frame(&mut self, at: CallTime, out: &mut [f32; LINE_FRAME]) -> bool {
        let speech = self.play(at, out);
        self.far_ear.left(at);
        self.follow(at);
        self.show_floor(at);
        speech
    }

    /// What is to be done, in order.
    pub fn effects(&mut self) -> std::vec::Drain<'_, Effect> {
        self.effects.drain(..)
    }

    /// The call is over: closes what is open, so that every turn that was opened is kept.
    pub fn finish(&mut self, at: CallTime, reason: EndReason, detail: &str) {
        self.over = true;
        self.drop_reply(at);
        self.settle_all();
        self.commit_caller(at);
        self.ladder.disarm();
        self.emit(at, Event::CallEnded { reason: reason.as_str().into(), detail: detail.into() });
    }

    /// The caller's open turn, if there is one.
    pub fn caller_turn(&self) -> Option<u32> {
        self.caller.as_ref().map(|caller| caller.turn)
    }

    /// Who holds the floor.
    pub fn floor(&self) -> FloorState {
        self.floor.state()
    }

    /// Invariant 9, nobody waits for ever: somebody speaks or works, a timer runs, or the call is closing. Personas
    /// without a ladder have chosen to wait.
    pub fn is_live(&self) -> bool {
        let works = self.reply.is_some()
            || self.caller.is_some()
            || self.ladder.armed()
            || self.deferred.is_some()
            || self.pending.is_some()
            || self.listens;
        works || self.closing || self.persona.ladder.is_empty() || self.floor() != FloorState::Idle
    }

    /// The ladder while nobody speaks, a limit to turns without end, and the watchdog over a thinking agent.
    fn watch(&mut self, at: CallTime) {
        self.watch_sources(at);
        self.watch_search(at);
        self.watch_transition(at);
        self.watch_lead_in(at);
        self.watch_follow_ups(at);
        self.watch_pending(at);
        self.watch_errands(at);
        if self.floor.state() == FloorState::Idle
            && !self.listens
            && self.pending.is_none()
            && let Some(rung) = self.ladder.climb(at)
        {
            if rung.hang_up {
                self.initiate(at, "silence", &rung.say, true);
            } else {
                self.ask_idle(at, Due::Rung(rung));
            }
        }
        self.answer_deferred(at);
        let turn_s = self.caller.as_ref().map_or(0, |caller| at.since(caller.opened).as_secs());
        if self.floor.state() == FloorState::Caller
            && !self.listens
            && turn_s >= u64::from(self.settings.pace.longest_turn_s)
        {
            self.cut_in(at);
        }
        let thinking_ms = at.since(self.floor.since()).as_millis();
        if self.floor.state() == FloorState::Thinking && thinking_ms >= u128::from(self.settings.pace.think_limit_ms) {
            if self.is_heard_out() {
                return self.note_heard(at);
            }
            self.trouble(at, "no-reply", "No reply in time; the caller is asked to say it again.");
            self.drop_reply(at);
            self.apologise(at);
        }
    }

    /// Nobody speaks from now on.
    fn rest(&mut self, at: CallTime) {
        self.floor.agent_ends(at);
        self.ladder.arm(at, self.patience());
    }

    fn next_turn(&mut self) -> u32 {
        self.drop_follow_ups();
        self.last_turn += 1;
        self.last_turn
    }

    fn trouble(&mut self, at: CallTime, code: &str, detail: &str) {
        self.emit(at, Event::Trouble { code: code.into(), detail: detail.into() });
    }

    fn show_floor(&mut self, at: CallTime) {
        let state = self.floor.state();
        if state != self.shown {
            self.shown = state;
            self.emit(at, Event::Floor { state });
        }
    }

    fn emit(&mut self, at: CallTime, event: Event) {
        self.effects.push(Effect::Emit(Stamped { at_ms: at.ms(), event }));
    }
}
