//! The language models: clients against the documented wire formats over real sockets, and the embedded worker with
//! a real model.

mod cache;
mod ollama;
mod openai;
mod scripted;
mod served;
mod supervised;
mod worker;

use duologue::backend::contract::Finding;
use duologue::backend::{ChatMessage, ChatRequest, Role};

fn hello() -> ChatRequest {
    let messages = vec![
        ChatMessage { role: Role::System, content: "Be brief.".into() },
        ChatMessage { role: Role::User, content: "Hello".into() },
    ];
    ChatRequest { messages, max_tokens: 40, temperature: 0.2, schema: None }
}

/// Prints every finding, and fails with those that are broken.
fn assert_kept(who: &str, findings: &[Finding]) {
    for finding in findings {
        println!("{who}: {}: {:?}", finding.name, finding.outcome);
    }
    let broken: Vec<_> = findings.iter().filter(|finding| !finding.kept()).collect();
    assert!(!findings.is_empty() && broken.is_empty(), "{who} breaks the contract: {broken:#?}");
}
