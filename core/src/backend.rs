//! What the models are asked and what they answer, as values: the half of ring 2 that the pure rings speak of. The traits
//! are in the server's crate, since they need futures.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// Who waits for a piece of inference. The lower value is served first, in each engine and by the pool over all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// The caller has stopped speaking, or has stopped the agent for the moment, and hears nothing until this is done.
    Tail,
    /// The agent's first audible clause.
    FirstAudio,
    /// Later clauses, which play only after the ones before them.
    Speech,
    /// A partial transcript while the caller still speaks.
    Partial,
    /// Nobody waits.
    Memory,
}

/// What the recogniser is asked.
#[derive(Clone, Debug)]
pub struct AsrJob {
    /// 16 kHz mono, one utterance so far, pre-roll included; 0.1 s to 30 s.
    pub audio: Arc<[f32]>,
    pub purpose: AsrPurpose,
    /// Words that the recogniser may expect: names, hotwords. At most some 200 characters.
    pub prompt: Option<Arc<str>>,
}

/// Why a transcript is wanted: decides model and urgency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum AsrPurpose {
    /// The caller still speaks: quick and revisable.
    Partial,
    /// A sound over the agent's voice: quick like a partial, and waited for, because the agent is held until its words
    /// are known.
    Doubt,
    /// The utterance is (probably) over: as good as this machine can.
    Final,
}

impl AsrPurpose {
    /// Who waits for it.
    pub const fn urgency(self) -> Urgency {
        match self {
            Self::Partial => Urgency::Partial,
            Self::Doubt | Self::Final => Urgency::Tail,
        }
    }

    /// By the quick model, and overtaken by whatever is asked next.
    pub const fn is_passing(self) -> bool {
        matches!(self, Self::Partial | Self::Doubt)
    }
}

/// What was heard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transcript {
    /// Trimmed, punctuated; empty when nothing was said (noise, breath).
    pub text: String,
    /// Mean probability of the tokens, 0.0..=1.0.
    pub confidence: f32,
    /// The model's own probability that this was no speech, 0.0..=1.0; 0.0 also where the words are too sure for it to
    /// matter.
    pub no_speech: f32,
    /// Time spent in the engine, waiting in the queue not counted.
    pub took: Duration,
}

/// Why a recogniser gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AsrError {
    #[error("the recogniser failed: {0}")]
    Engine(String),
    #[error("the recogniser has {waiting} utterances waiting and takes no more")]
    Busy { waiting: usize },
    /// A partial that was given up for something that a caller waits for; the next one comes soon.
    #[error("the recogniser made way for work that is waited for")]
    MadeWay,
    #[error("the recogniser is shut down")]
    Closed,
}

/// Who speaks a message of a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    System,
    User,
    Assistant,
}

/// One message of a chat.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ChatMessage {
    pub role: Role,
    pub content: String,
}

/// What the language model is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatRequest {
    pub messages: Vec<ChatMessage>,
    /// 1..=512; spoken replies are short.
    pub max_tokens: u32,
    /// 0.0..=2.0
    pub temperature: f32,
    /// A JSON Schema that the answer must satisfy, where an answer with structure is wanted.
    pub schema: Option<serde_json::Value>,
}

/// Why the language model gave nothing, or stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LlmError {
    #[error("the language model cannot be reached at {url}: {why}")]
    Unreachable { url: String, why: String },
    #[error("the language model has no model called {model}")]
    NoSuchModel { model: String },
    #[error("the language model sent nothing for {} ms", .0.as_millis())]
    TimedOut(Duration),
    #[error("the language model broke off: {0}")]
    BrokeOff(String),
    /// No end: the text follows. The model's process had died before the request reached it.
    #[error("the language model was started again: {0}")]
    StartedAgain(String),
}

/// One clause to be spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// What is said, with its punctuation; no mark-up, no emoji.
    pub text: String,
    /// The first clause of a turn is waited for.
    pub urgency: Urgency,
}

/// What a voice makes of a clause, in this order: one `Plan`, then `Pcm` until the clause is complete.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Speech {
    /// How long the clause will be and where its words lie in it, known before most of it is synthesised.
    Plan { samples: u64, words: Vec<WordMark> },
    /// 48 kHz mono, any number of samples.
    Pcm(#[serde(with = "crate::replay::kept::length")] Vec<f32>),
}

/// Where a word of a clause lies in its audio.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct WordMark {
    /// Bytes of the word in [`Clause::text`], its punctuation included.
    pub text: Range<usize>,
    /// Samples at 48 kHz from the beginning of the clause to the end of the word.
    pub end: u64,
}

/// Why a voice gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TtsError {
    #[error("the voice failed: {0}")]
    Engine(String),
    #[error("the voice is shut down")]
    Closed,
}
