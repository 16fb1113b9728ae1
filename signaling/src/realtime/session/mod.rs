//! One session: what the client asked for, what the call does, and which of their items and responses that is.
//!
//! [`Session::ask`] is told what the client says, [`Session::event`] what the call says about itself, [`Session::sound`] each
//! 20 ms of the agent's sound. What is to be done about it waits in [`Session::steps`], in order.

mod asked;
mod hearing;
mod speaking;

use serde_json::{Value, json};

use self::hearing::Spoken;
use self::speaking::Response;
use super::ask::{self, Refused};
use super::format::Format;
use super::items::{Item, Items};
use super::settings::{self, Given};
use super::tell::{self, Ids};
use crate::event::{Event, FloorState, Stamped};

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Send this to the client.
    Tell(Value),
    /// The caller's sound, for the call, in the session's format. Refused where no more may wait: see [`Session::full`].
    Hear(Vec<u8>),
    /// The sound that waits is not to be heard.
    Forget,
    /// Both sides speak this from now on; the caller's sound that waits is not to be heard.
    Speak(Format),
    /// Have the call do this.
    Order(Order),
}

/// What a call is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// The caller types this.
    Type(String),
    /// The agent knows this from now on, and speaks of it or not.
    Know { text: String, speak: bool },
    /// The agent stops.
    Stop,
    /// The agent behaves like this from now on.
    Become(String),
    /// Of agent turn `turn` nothing was heard beyond so much of its sound.
    Truncated { turn: u32, heard_ms: u64 },
}

/// One session.
#[derive(Debug)]
pub struct Session {
    ids: Ids,
    given: Given,
    instructions: String,
    format: Format,
    /// The agent's sound is a track beside the messages, and none of them.
    track: bool,
    items: Items,
    /// The caller's open turn.
    spoken: Option<Spoken>,
    speaking: bool,
    /// The caller's last turn that became an item, and its words: it may go on all the same.
    settled: Option<(u32, String)>,
    response: Option<Response>,
    /// Sound that belongs to no response yet.
    loose: Vec<u8>,
    /// A sign of attention whose sound comes.
    attention: Option<String>,
    /// Typed items that no response was asked for yet.
    typed: Vec<String>,
    /// Typed turns on their way into the call.
    typing: u32,
    floor: FloorState,
    appended: bool,
    committed: bool,
    /// The client has cancelled what is being said.
    cancelled: bool,
    steps: Vec<Step>,
}

impl Session {
    /// `seed` tells this session's ids from others'. `track`: the agent's sound goes another way.
    pub fn new(seed: &str, given: Given, track: bool) -> Self {
        let instructions = given.instructions.clone();
        let mut session = Self {
            ids: Ids::new(seed),
            given,
            instructions,
            format: Format::default(),
            track,
            items: Items::default(),
            spoken: None,
            speaking: false,
            settled: None,
            response: None,
            loose: Vec::new(),
            attention: None,
            typed: Vec::new(),
            typing: 0,
            floor: FloorState::Idle,
            appended: false,
            committed: false,
            cancelled: false,
            steps: Vec::new(),
        };
        let shown = session.shown();
        session.tell("session.created", json!({"session": shown}));
        session
    }

    /// What is to be done now, in order.
    pub fn steps(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.steps)
    }

    /// The client says something.
    pub fn ask(&mut self, text: &str) {
        let done = ask::read(text).and_then(|ask| self.do_as_asked(ask));
        if let Err(refused) = done {
            self.refuse(&refused, ask::event_id(text).as_deref());
        }
    }

    /// The client sent something that is no text, or too long.
    pub fn unreadable(&mut self, message: &str) {
        self.refuse(&Refused::new("invalid_message", "", message), None);
    }

    /// The last sound was not taken: so much waits already.
    pub fn full(&mut self, waiting_ms: u64) {
        let message = format!(
            "{waiting_ms} ms of sound wait to be heard, and no more may: it is heard as fast as it was spoken. What was \
             appended last is dropped."
        );
        self.refuse(&Refused::new("input_audio_buffer_full", "audio", message), None);
    }

    /// The call has not done what it was asked to: it has too much to do, or is over.
    pub fn busy(&mut self) {
        let trouble = tell::trouble(&mut self.ids, "call_busy", "The call has too much to do; try again in a moment.");
        self.steps.push(Step::Tell(trouble));
    }

    /// The call says something about itself; so much of the caller's sound has gone into it.
    pub fn event(&mut self, stamped: &Stamped, heard_ms: u64) {
        match &stamped.event {
            Event::Floor { state } => self.on_floor(*state, heard_ms),
            Event::Partial { turn, text, stable } => self.on_partial(*turn, text, *stable, heard_ms),
            Event::Transcript { turn, text, typed: false } => self.on_transcript(*turn, text, heard_ms),
            Event::Transcript { text, .. } => self.on_typed(text),
            Event::Attention { text, .. } => self.attention = Some(text.clone()),
            Event::TurnStarted { turn, .. } => {
                self.stop_speaking(heard_ms);
                self.settle();
                self.begin_turn(*turn, stamped.at_ms);
            }
            Event::Words { turn, heard } => self.on_words(*turn, heard),
            Event::TurnEnded { turn, outcome, heard, .. } => self.end_turn(*turn, *outcome, heard, stamped.at_ms),
            Event::Trouble { code, detail } => {
                let trouble = tell::trouble(&mut self.ids, code, detail);
                self.steps.push(Step::Tell(trouble));
            }
            Event::CallEnded { .. } => {
                self.stop_speaking(heard_ms);
                self.settle();
                self.end_notice();
            }
            _ => {}
        }
    }

    fn shown(&self) -> Value {
        settings::shown(&self.ids.session(), &self.given, &self.instructions, self.format)
    }

    fn tell(&mut self, kind: &str, members: Value) {
        let event = tell::event(&mut self.ids, kind, members);
        self.steps.push(Step::Tell(event));
    }

    fn refuse(&mut self, refused: &Refused, event_id: Option<&str>) {
        let error = tell::error(&mut self.ids, refused, event_id);
        self.steps.push(Step::Tell(error));
    }

    fn order(&mut self, order: Order) {
        self.steps.push(Step::Order(order));
    }

    /// A finished item that is new to the conversation.
    fn add(&mut self, item: Item) {
        let shown = tell::item(&item);
        let before = self.items.add(item);
        self.tell("conversation.item.added", json!({"previous_item_id": before, "item": shown}));
        self.tell("conversation.item.done", json!({"previous_item_id": before, "item": shown}));
    }
}
