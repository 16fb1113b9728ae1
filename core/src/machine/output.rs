//! What a call wants done outside of it.

use std::sync::Arc;

use duologue_signaling::event::Stamped;

use crate::backend::{ChatRequest, Clause};
use crate::dialogue::judge::Situation;
use crate::dialogue::parts::Ask;
use crate::journal::{Entry, JudgementRow};
use crate::media::downlink::{LinkReport, Plan};
use crate::memory::Fact;
use crate::time::CallTime;

/// One thing to do, at once and in order, without waiting for it.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Recognise this sound, which ends at sample `until` of everything heard; a passing one overtakes the passing one before it.
    Transcribe { ask: Ask, audio: Arc<[f32]>, until: u64, hotwords: Option<Arc<str>> },
    /// Ask the turn model how it sounds.
    AskTurnModel { turn: u32, revision: u32, audio: Arc<[f32]> },
    /// Ask the judge.
    Judge { turn: u32, revision: u32, situation: Arc<Situation> },
    /// Look these words up in the persona's files.
    Consult { persona: String, words: String },
    /// Ask the web; dropped with the agent's turn.
    Search { turn: u32, query: String },
    /// Look for what these words bring to mind.
    Recall { words: String },
    /// Fetch anew what is known of the caller.
    Recollect,
    /// Make the sound of a clause that may be needed at once.
    VoicePhrase { text: String },
    /// Make the sound of a sign of attention.
    VoiceAttention { text: String },
    /// Have the model propose what the caller could ask next.
    FollowUps { turn: u32, request: Box<ChatRequest> },
    /// Nobody wants to know any more.
    DropFollowUps,
    /// Warm the language model's prefix cache.
    Prime(ChatRequest),
    /// Begin the work of an agent turn, or begin it again.
    Generate { turn: u32, request: ChatRequest },
    /// Speak a clause of it.
    Speak { turn: u32, clause: u32, what: Clause },
    /// Drop everything that works for this turn.
    DropTurn { turn: u32 },
    /// Ask the language model for the facts of a turn.
    Extract { turn: u32, text: Arc<str>, request: Box<ChatRequest> },
    /// Give that up: somebody speaks or waits.
    GiveUpExtraction,
    /// Find out what these facts mean.
    FindMeanings(Vec<Fact>),
    /// The client wants the persona of this name.
    FindPersona { name: String },
    /// Send like this from now on.
    Plan(Plan),
    /// Keep a row about the way out, with this report.
    KeepDownlink(LinkReport),
    /// The caller does not want to be recorded: what there is of it goes.
    StopTaping,
    /// Tell the client, and keep the event.
    Emit(Stamped),
    /// Keep a row.
    Keep(Entry),
}

impl Output {
    /// It in one line, but for sound and what it says about itself elsewhere.
    pub(super) fn line(&self) -> String {
        match self {
            Self::Transcribe { ask, audio, until, .. } => format!("transcribe {ask:?} {until} {}", audio.len()),
            Self::AskTurnModel { turn, revision, audio } => format!("turn {turn} {revision} {}", audio.len()),
            Self::Judge { turn, revision, situation } => {
                let Situation { moment, relation, memory, history, text, speaking_s, silence_s, typed, persona } =
                    &**situation;
                let of = (moment, relation, memory, history, text, speaking_s, silence_s, typed, &persona.name);
                format!("judge {turn} {revision} {of:?}")
            }
            // What the judge was shown stands in the line before.
            Self::Keep(Entry::Judgement(row)) => format!("keep {:?}", JudgementRow { shown: None, ..row.clone() }),
            other => format!("{other:?}"),
        }
    }
}

/// FNV-1a over lines and their moments: no secret, but a difference.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    pub fn add(&mut self, at: CallTime, line: &str) {
        for byte in at.us().to_le_bytes().into_iter().chain(line.bytes()) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub const fn value(self) -> u64 {
        self.0
    }
}
