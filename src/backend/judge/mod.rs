//! Judges that take their time: the tuned one and the language model. The rules ([`crate::dialogue::judge::RulesJudge`]) are
//! asked where these fail or are late, so that a turn is never left undecided.

mod llm;
mod tuned;

use crate::dialogue::judge::Action;

pub use llm::LlmJudge;
pub use tuned::TunedJudge;

/// Why a judge gave no verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JudgeError {
    #[error("the judge cannot be loaded: {0}; run `duologue models fetch minilm`, or set judge.kind = \"rules\"")]
    Load(String),
    #[error(
        "judge.head: {0}; name a folder that `duologue judge train --head FOLDER` has written, or leave it out for the shipped one"
    )]
    Head(String),
    #[error("the judge failed: {0}")]
    Failed(String),
    #[error("the judge's answer is none of the actions: {0}")]
    NoAction(String),
}

fn action(word: &str) -> Option<Action> {
    Action::ALL.into_iter().find(|known| known.as_str() == word)
}
