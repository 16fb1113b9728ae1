//! What every back end must do, as checks that tests and `duologue check` run alike.

mod asr;
mod llm;
mod tts;

pub use asr::check_asr;
pub use llm::check_llm;
pub use tts::check_tts;

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What should hold, as a sentence about the back end: "streams text".
    pub name: &'static str,
    pub outcome: Outcome,
}

/// Whether it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Holds,
    /// This back end does not offer it, and says so itself.
    NotOffered(String),
    Broken(String),
}

impl Finding {
    /// Is the contract kept, as far as this check goes?
    pub const fn kept(&self) -> bool {
        !matches!(self.outcome, Outcome::Broken(_))
    }
}
