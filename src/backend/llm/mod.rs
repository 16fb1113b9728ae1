//! Language models behind one trait: an Ollama server, any OpenAI-compatible endpoint, the embedded worker (which
//! speaks Ollama's API too) and a script.

mod http;
mod keeping;
mod lines;
pub mod ollama;
pub mod openai;
pub mod scripted;
pub mod worker;

pub use ollama::OllamaLlm;
pub use openai::{ApiKey, KeySource, OpenAiLlm};
pub use scripted::{Script, ScriptedLlm};
pub use worker::{LlmWorker, WorkerSettings, WorkerState};

use std::time::Duration;

/// How long a model may keep silent before the caller is told something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// From the request to the first piece of text.
    pub first_token: Duration,
    /// Between two pieces of text.
    pub next_token: Duration,
}

impl Default for Patience {
    /// 10 s to the first token: a server that must load the model first needs that long, and nobody on a telephone
    /// waits longer. 5 s between tokens: the slowest useful model makes one in half a second.
    fn default() -> Self {
        Self { first_token: Duration::from_secs(10), next_token: Duration::from_secs(5) }
    }
}
