//! What a call says about itself, and what a client may say to it: JSON on the data channel and on
//! `GET /v1/calls/{id}/events`. PROTOCOL.md describes each with an example; `fixtures/` holds one of each, read by the
//! Rust and by the TypeScript tests.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An event with its moment, as it goes over the wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stamped {
    /// Milliseconds since the call began.
    pub at_ms: u64,
    #[serde(flatten)]
    pub event: Event,
}

/// Who holds the floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FloorState {
    /// Nobody speaks.
    Idle,
    /// The caller holds the floor.
    Caller,
    /// The turn has ended, or probably ended; a reply is being prepared.
    Thinking,
    /// The agent's audio is being played.
    Agent,
    /// Caller sound over agent audio: playout is ducked, then held, reversibly.
    Suspect,
}

/// How an agent turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TurnOutcome {
    /// All of it was played.
    Completed,
    /// The caller took the floor while it was being played.
    Interrupted,
    /// Dropped before any of it was heard: the caller went on.
    Revoked,
    /// A back end failed.
    Failed,
}

/// Where the time of a reply went: milliseconds since the call began, absent where a step did not happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LatencyParts {
    /// End of the caller's last word, as the voice detector saw it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speech_end_ms: Option<u64>,
    /// The floor decided that the turn was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn_end_ms: Option<u64>,
    /// The transcript that the reply is made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asr_ms: Option<u64>,
    /// The judge's verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judge_ms: Option<u64>,
    /// First text from the language model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token_ms: Option<u64>,
    /// First clause cut and handed to the voice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_clause_ms: Option<u64>,
    /// First audio from the voice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_audio_ms: Option<u64>,
    /// First packet with that audio on the line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_packet_ms: Option<u64>,
}

/// Whose text a citation is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A file of the persona's.
    #[default]
    File,
    /// A page of the web.
    Web,
}

/// How it stands with a call that is handed on, or with somebody who is to hold it in a telephone's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TransferState {
    Asked,
    /// It rings there.
    Ringing,
    /// They are connected; our part of the call ends, or it is held there from here on.
    Done,
    /// The call goes on here.
    Failed,
}

/// How it stands between a call and another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BridgeState {
    /// Somebody is called who is to take this call over.
    Asked,
    /// The two sides hear each other, and the agent only listens.
    Joined,
    /// They do not any more.
    Parted,
    /// It did not come about; the agent goes on.
    Failed,
}

impl BridgeState {
    /// As it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Joined => "joined",
            Self::Parted => "parted",
            Self::Failed => "failed",
        }
    }
}

/// How it stands with a question to the web.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SearchState {
    Asked,
    Found,
    /// The provider knows nothing about it.
    Nothing,
    /// The answer went on without it.
    Late,
    Failed,
    /// The caller went first.
    Dropped,
}

impl SearchState {
    /// As it stands in SQL and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Found => "found",
            Self::Nothing => "nothing",
            Self::Late => "late",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}

/// A place that an answer rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Citation {
    pub origin: Origin,
    /// The file, from the persona's folder on; or the page's address.
    pub source: String,
    /// The headings above the place, outermost first, with ` > ` between them; or the page's title.
    pub heading: String,
    /// From 1; of files without pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// From 1; of files with pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
}

/// What happens in a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Event {
    /// Media flows. Always the first event of a call.
    CallStarted { call: String, persona: String },
    /// The floor has changed hands.
    Floor { state: FloorState },
    /// What the caller has said so far in this turn; replaces the partial before it. Its first `stable` words, counted between
    /// white space, will hardly change any more: two hypotheses in a row agree on them.
    Partial {
        turn: u32,
        text: String,
        #[serde(default)]
        stable: u32,
    },
    /// What the caller said, final. `typed` when it came from the keyboard.
    Transcript {
        turn: u32,
        text: String,
        #[serde(default)]
        typed: bool,
    },
    /// What is done about a caller turn, and why: at its end, and while it is spoken where the judge reads along. `moment` is who
    /// held the floor. `overruled_by` is the budget or rule of the persona that put `action` in the place of the judge's
    /// own `proposed`. `rests_on` is the sentence of memory that decided it.
    Judgement {
        turn: u32,
        #[serde(default = "end_of_turn")]
        moment: String,
        judge: String,
        action: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        proposed: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        overruled_by: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rests_on: Option<String>,
        reason: String,
        probabilities: BTreeMap<String, f32>,
        took_ms: f32,
    },
    /// The agent gives a sign of attention while the caller speaks.
    Attention { turn: u32, text: String },
    /// An agent turn begins to play.
    TurnStarted { turn: u32, latency: LatencyParts },
    /// More of an agent turn has been played: `heard` is all of it so far, a prefix of what was generated.
    Words { turn: u32, heard: String },
    /// The caller showed that he listens ("mm-hm") while agent turn `turn` was played, and the agent went on.
    Backchannel { turn: u32, text: String },
    /// What became of a reply that was begun before caller turn `caller_turn` was over, as agent turn `turn`: it is the answer,
    /// or it was thrown away unheard. `tokens` and `spent_ms` are what had gone into it by then.
    Draft { turn: u32, caller_turn: u32, adopted: bool, tokens: u32, spent_ms: u64 },
    /// An agent turn is over.
    TurnEnded { turn: u32, outcome: TurnOutcome, heard: String, generated: String, latency: LatencyParts },
    /// Another persona answers from now on.
    Persona { name: String, title: String },
    /// What agent turn `turn` took from somebody else's texts, for the words of caller turn `caller_turn`.
    Citations { turn: u32, caller_turn: u32, citations: Vec<Citation> },
    /// The web is asked for agent turn `turn`, and what came of it: `asked` first, then one of the others.
    Search { turn: u32, query: String, state: SearchState, results: u32, took_ms: u32 },
    /// From caller turn `turn` on the model sees nothing that was said before; `asked_by` is `words` or `message`.
    Topic { turn: u32, asked_by: String },
    /// A phrase that agent turn `turn` begins with, because its answer is late.
    Transition { turn: u32, text: String },
    /// What the caller could ask next, after agent turn `turn`: nobody's words until one is chosen. Of no value once another turn has
    /// begun.
    FollowUps { turn: u32, questions: Vec<String> },
    /// The call is recorded from here on, or no more: what was recorded of it is gone then.
    Recording { on: bool },
    /// The caller pressed a key of the telephone: 0 to 9, *, #, A to D. `held_ms` is 0 where that is not known.
    Key { key: String, held_ms: u32 },
    /// The caller's side has put the call on hold, or taken it back. Meanwhile the call's clock stands still.
    Hold { on: bool },
    /// The other side was asked to call `to` in our place, or asks us to call `to` in its own, and how it stands with that. `detail` is a
    /// sentence for people.
    Transfer { to: String, state: TransferState, detail: String },
    /// How it stands between this call and call `with`. `detail` is a sentence for people.
    Bridge { with: String, state: BridgeState, detail: String },
    /// Another telephone holds the call from here on: `by`, or nobody who says who he is. The call goes on as it was.
    TakenOver { by: String },
    /// The agent's side presses these keys, one after the other.
    KeysSent { keys: String },
    /// A picture in the agent's text: shown, never spoken.
    Express { turn: u32, emoji: String },
    /// What the persona's budget, or its quiet hours, said to something that the agent meant to do: `spent` times of `most` it
    /// had been done before.
    Budget { action: String, allowed: bool, why: String, spent: u32, most: u32 },
    /// How the agent's sound arrives, by the client's own reports, and what is done about it. `loss` is the share of packets
    /// lost of late; `copies` how many earlier packets go along with each; `hold_ms` what a client should hold back so
    /// that all of them come in time.
    Line {
        loss: f32,
        jitter_ms: f32,
        /// Absent until a report has answered one of the server's.
        #[serde(skip_serializing_if = "Option::is_none")]
        rtt_ms: Option<f32>,
        copies: u8,
        hold_ms: u32,
    },
    /// How the caller's sound arrives at the server, since this was told last.
    Quality {
        /// How long the jitter buffer holds a packet back: mean, milliseconds.
        delay_ms: u32,
        /// Shares of the packets, 0..=1: those that never came, and those that came after their turn.
        loss: f32,
        late: f32,
        /// Shares of the sound, 0..=1: made up for missing packets, and restored from the copy in a later one.
        concealed: f32,
        recovered: f32,
        /// How much faster than the server's the caller's clock runs, parts per million; absent while it cannot be told.
        #[serde(skip_serializing_if = "Option::is_none")]
        drift_ppm: Option<i32>,
    },
    /// Something failed and the call goes on; `detail` says what is being done about it.
    Trouble { code: String, detail: String },
    /// The call is over; always the last event.
    CallEnded { reason: String, detail: String },
}

impl Event {
    /// All of their names.
    pub const NAMES: [&'static str; 30] = [
        "call-started",
        "floor",
        "partial",
        "transcript",
        "judgement",
        "attention",
        "turn-started",
        "words",
        "backchannel",
        "draft",
        "turn-ended",
        "persona",
        "citations",
        "search",
        "topic",
        "transition",
        "follow-ups",
        "recording",
        "key",
        "hold",
        "transfer",
        "bridge",
        "taken-over",
        "keys-sent",
        "express",
        "budget",
        "line",
        "quality",
        "trouble",
        "call-ended",
    ];

    /// As it stands on the wire.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::CallStarted { .. } => "call-started",
            Self::Floor { .. } => "floor",
            Self::Partial { .. } => "partial",
            Self::Transcript { .. } => "transcript",
            Self::Judgement { .. } => "judgement",
            Self::Attention { .. } => "attention",
            Self::TurnStarted { .. } => "turn-started",
            Self::Words { .. } => "words",
            Self::Backchannel { .. } => "backchannel",
            Self::Draft { .. } => "draft",
            Self::TurnEnded { .. } => "turn-ended",
            Self::Persona { .. } => "persona",
            Self::Citations { .. } => "citations",
            Self::Search { .. } => "search",
            Self::Topic { .. } => "topic",
            Self::Transition { .. } => "transition",
            Self::FollowUps { .. } => "follow-ups",
            Self::Recording { .. } => "recording",
            Self::Key { .. } => "key",
            Self::Hold { .. } => "hold",
            Self::Transfer { .. } => "transfer",
            Self::Bridge { .. } => "bridge",
            Self::TakenOver { .. } => "taken-over",
            Self::KeysSent { .. } => "keys-sent",
            Self::Express { .. } => "express",
            Self::Budget { .. } => "budget",
            Self::Line { .. } => "line",
            Self::Quality { .. } => "quality",
            Self::Trouble { .. } => "trouble",
            Self::CallEnded { .. } => "call-ended",
        }
    }
}

fn end_of_turn() -> String {
    "end_of_turn".into()
}

/// What a client may send on the data channel or the event socket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ClientMessage {
    /// A typed turn; 1 to 2,000 characters.
    Text { text: String },
    /// The client's microphone is off (or on again): silence now says nothing about the end of a turn.
    Mute { on: bool },
    /// What is coming out of the client's loudspeaker as this is sent.
    Playout {
        /// The RTP timestamp of the sample that is being played.
        rtp_timestamp: u32,
        /// The present moment: milliseconds on the client's own clock, whose zero may be anywhere and which never runs
        /// backwards.
        at_ms: u64,
    },
    /// The model forgets what was said; what is remembered of the caller stays.
    NewTopic,
    /// Somebody else is asked for; what was said stays.
    Persona { name: String },
    /// What the client knows of its microphone: whether something there takes the agent's voice out of it. A client that
    /// does not know says nothing.
    Microphone { echo_cancelled: bool },
    /// Questions that the caller could ask next are shown, so many at most; the server may propose fewer. Who sends nothing, or 0,
    /// has none thought of.
    FollowUps { most: u32 },
    /// The caller does not want to be recorded: what was recorded of this call goes. `on` is false; a recording does not begin in
    /// the middle of a call.
    Record { on: bool },
    /// The caller hangs up.
    Hangup,
}
