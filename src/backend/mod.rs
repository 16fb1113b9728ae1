//! Ring 2: the seams to the models. A trait stands here only because two real implementations do.
//!
//! Every implementation passes the contract suite in [`contract`] (also run by `duologue check`). The `scripted`
//! back ends are products for demonstrations and load tests under that same suite, not mocks.
//!
//! Cancellation has one form everywhere: the caller drops the future, the stream or the receiving end of the channel,
//! and the work behind it stops as soon as it can.

pub mod contract;
pub mod judge;
pub mod llm;
pub(crate) mod niceness;
pub mod onnx_runtime;
pub mod piper;
pub mod pool;
pub mod scripted_asr;
pub mod scripted_voice;
mod seams;
pub mod smart_turn;
pub mod whisper;

pub use duologue_core::backend::*;
pub use seams::{Asr, Embedder, Judge, Llm, Tts, TurnModel};
