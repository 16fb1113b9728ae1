//! The traits themselves: they need futures, so they exist with the `server` feature only.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use tokio::sync::mpsc;

use super::judge::JudgeError;
use super::{AsrError, AsrJob, ChatRequest, Clause, LlmError, Speech, Transcript, TtsError};
use crate::dialogue::judge::{Situation, Verdict};
use crate::memory::meaning::Meaning;

/// Speech to text.
#[async_trait]
pub trait Asr: Send + Sync {
    /// Transcribes one utterance.
    ///
    /// # Errors
    /// When the engine fails; an utterance without words is an empty [`Transcript`], not an error.
    async fn transcribe(&self, job: AsrJob) -> Result<Transcript, AsrError>;

    /// Runs the engine once, so that the first caller does not pay for the first use.
    async fn warm(&self) -> Result<(), AsrError>;

    /// What `duologue check` and the call's row print: engine and model.
    fn name(&self) -> String;
}

/// A chat, token by token.
#[async_trait]
pub trait Llm: Send + Sync {
    /// Opens a chat; the stream yields pieces of text as the model makes them. Dropping the stream cancels the
    /// generation at the server.
    ///
    /// # Errors
    /// At once when the server cannot be reached or has no such model; later, in the stream, when it breaks off.
    async fn chat(&self, request: ChatRequest) -> Result<BoxStream<'static, Result<String, LlmError>>, LlmError>;

    /// The same for what nobody waits for: it stands back for everything that somebody does.
    ///
    /// # Errors
    /// As [`Llm::chat`].
    async fn chat_aside(&self, request: ChatRequest) -> Result<BoxStream<'static, Result<String, LlmError>>, LlmError> {
        self.chat(request).await
    }

    /// Puts the request's messages into the model's prefix cache without generating, where the server can.
    async fn prime(&self, request: ChatRequest) -> Result<(), LlmError>;

    /// What `duologue check` and the call's row print: client, server and model.
    fn name(&self) -> String;
}

/// Text to speech, clause by clause.
#[async_trait]
pub trait Tts: Send + Sync {
    /// Speaks one clause into `out`: a [`Speech::Plan`], then [`Speech::Pcm`] as it is made. Stops within one chunk
    /// when `out` is closed.
    ///
    /// # Errors
    /// When the engine fails; a clause with nothing to pronounce is a plan of no samples, not an error.
    async fn speak(&self, clause: Clause, out: mpsc::Sender<Speech>) -> Result<(), TtsError>;

    /// Runs the engine once, so that the first caller does not pay for the first use.
    async fn warm(&self) -> Result<(), TtsError>;

    /// What `duologue check` and the call's row print: engine and voice.
    fn name(&self) -> String;
}

/// Has the caller finished, by the sound of it?
#[async_trait]
pub trait TurnModel: Send + Sync {
    /// The probability, 0.0..=1.0, that the turn is complete; `audio` is 16 kHz mono, the last 8 s at most are used.
    ///
    /// # Errors
    /// When the engine fails; the floor then falls back on silence alone.
    async fn complete(&self, audio: Arc<[f32]>) -> Result<f32, AsrError>;
}

/// Says what a line means.
#[async_trait]
pub trait Embedder: Send + Sync {
    /// # Errors
    /// When the engine fails; facts are then found by their words.
    async fn embed(&self, line: String) -> Result<Meaning, JudgeError>;

    /// For SQL: which model.
    fn model(&self) -> &'static str;
}

/// Chooses what to do about a turn, beside the tick.
#[async_trait]
pub trait Judge: Send + Sync {
    /// # Errors
    /// When it has no verdict; the rules then have one.
    async fn judge(&self, situation: Situation) -> Result<Verdict, JudgeError>;

    /// For SQL: which judge, which version.
    fn name(&self) -> &'static str;
}
