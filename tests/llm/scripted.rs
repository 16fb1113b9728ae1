//! The scripted model under the contract.

use duologue::backend::contract::check_llm;
use duologue::backend::llm::{Script, ScriptedLlm};

use super::assert_kept;

/// A script that can answer all that the contract asks.
pub const SCRIPT: &str = "
rules:
  - hears: [count from one to ten]
    says: One, two, three, four, five, six, seven, eight, nine, ten.
  - hears: [a table for two on Friday]
    says: Gladly.
    answers: {day: Friday, people: 2}
  - hears: [please repeat]
    says: \"na\u{ef}ve \u{4f60}\u{597d} \u{1f642}\"
    answers: {said: \"na\u{ef}ve \u{4f60}\u{597d} \u{1f642}\"}
otherwise: Once upon a time there was a ship.
";

#[tokio::test]
async fn the_scripted_model_keeps_the_contract() {
    let llm = ScriptedLlm::new(Script::parse(SCRIPT).expect("valid"));
    assert_kept("scripted", &check_llm(&llm).await);
}
