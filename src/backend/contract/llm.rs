//! What every language model must do.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Finding, Outcome};
use crate::backend::{ChatMessage, ChatRequest, Llm, LlmError, Role};

/// A check that takes longer has hung: the back end's own patience must have run out long before.
const HANG: Duration = Duration::from_secs(120);
/// Two scripts, an accent and a character of four bytes in UTF-8.
const NON_ASCII: &str = "na\u{ef}ve \u{4f60}\u{597d} \u{1f642}";

/// Runs all checks against a model that answers; takes from milliseconds (scripted) to a minute (a small CPU).
pub async fn check_llm(llm: &dyn Llm) -> Vec<Finding> {
    vec![
        Finding { name: "streams a reply as text", outcome: bounded(streams(llm)).await },
        Finding { name: "honours max_tokens", outcome: bounded(honours_the_cap(llm)).await },
        Finding { name: "goes on after a reply was dropped", outcome: bounded(survives_a_drop(llm)).await },
        Finding { name: "gives whole characters only", outcome: bounded(whole_characters(llm)).await },
        Finding { name: "keeps an answer to its schema", outcome: bounded(keeps_to_the_schema(llm)).await },
        Finding { name: "gives non-ASCII text unharmed", outcome: bounded(non_ascii(llm)).await },
        Finding { name: "survives a chat with nothing said", outcome: bounded(nothing_said(llm)).await },
        Finding { name: "survives a prompt beyond its context", outcome: bounded(too_much_said(llm)).await },
        Finding { name: "answers after priming", outcome: bounded(primes(llm)).await },
    ]
}

async fn bounded(check: impl Future<Output = Result<Outcome, LlmError>>) -> Outcome {
    match timeout(HANG, check).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(fault)) => Outcome::Broken(fault.to_string()),
        Err(_) => Outcome::Broken(format!("no end after {} s", HANG.as_secs())),
    }
}

fn ask(said: &str, max_tokens: u32) -> ChatRequest {
    let messages = vec![
        ChatMessage { role: Role::System, content: "You are a friendly telephone assistant.".into() },
        ChatMessage { role: Role::User, content: said.into() },
    ];
    ChatRequest { messages, max_tokens, temperature: 0.0, schema: None }
}

async fn collect(llm: &dyn Llm, request: ChatRequest) -> Result<Vec<String>, LlmError> {
    llm.chat(request).await?.collect::<Vec<_>>().await.into_iter().collect()
}

fn holds_if(holds: bool, fault: impl FnOnce() -> String) -> Outcome {
    if holds { Outcome::Holds } else { Outcome::Broken(fault()) }
}

async fn streams(llm: &dyn Llm) -> Result<Outcome, LlmError> {
    let pieces = collect(llm, ask("Please count from one to ten.", 60)).await?;
    if pieces.len() < 2 {
        return Ok(Outcome::Broken(format!("{} piece(s); a reply must come as it is made", pieces.len())));
    }
    Ok(holds_if(pieces.iter().all(|piece| !piece.is_empty()), || "an empty piece of text".into()))
}

/// A word is at least one token in every vocabulary, so words count tokens from below.
async fn honours_the_cap(llm: &dyn Llm) -> Result<Outcome, LlmError> {
    let text = collect(llm, ask("Please count from one to ten.", 3)).await?.concat();
    let words = text.split_whitespace().count();
    Ok(holds_if((1..=3).contains(&words), || format!("{words} words where 3 tokens were allowed: {text:?}")))
}

async fn survives_a_drop(llm: &dyn Llm) -> Result<Outcome, LlmError> {
    let mut reply = llm.chat(ask("Please tell me a long story about the sea.", 512)).await?;
    let first = reply.next().await;
    drop(reply);
    if !matches!(first, Some(Ok(_))) {
        return Ok(Outcome::Broken(format!("no text to begin with: {first:?}")));
    }
    let next = collect(llm, ask("Hello!", 8)).await?;
    Ok(holds_if(!next.is_empty(), || "the next reply was empty".into()))
}

async fn whole_characters(llm: &dyn Llm) -> Result<Outcome, LlmError> {
    let text = collect(llm, ask(&format!("Please repeat: {NON_ASCII}"), 48)).await?.concat();
    Ok(holds_if(!text.contains(char::REPLACEMENT_CHARACTER), || format!("a broken character in {text:?}")))
}

/// A back end without answers of structure says so with `BrokeOff`, and that is all right.
async fn structured(llm: &dyn Llm, said: &str, schema: Value) -> Result<Result<Value, Outcome>, LlmError> {
    let text = match collect(llm, ChatRequest { schema: Some(schema), ..ask(said, 64) }).await {
        Ok(pieces) => pieces.concat(),
        Err(LlmError::BrokeOff(why)) => return Ok(Err(Outcome::NotOffered(why))),
        Err(fault) => return Err(fault),
    };
    Ok(serde_json::from_str(&text).map_err(|fault| Outcome::Broken(format!("no JSON ({fault}): {text:?}"))))
}

async fn keeps_to_the_schema(llm: &dyn Llm) -> Result<Outcome, LlmError> {
    let schema = json!({
        "type": "object",
        "properties": { "day": { "enum": ["Monday", "Friday"] }, "people": { "type": "integer", "minimum": 1, "maximum": 9 } },
        "required": ["day", "people"], "additionalProperties": false,
    });
    let answer = match structured(llm, "A table for two on Friday, please.", schema).await? {
        Ok(answer) => answer,
        Err(outcome) => return Ok(outcome),
    };
    let day = matches!(answer["day"].as_str(), Some("Monday" | "Friday"));
    let people = matches!(answer["people"].as_i64(), Some(1..=9));
    Ok(holds_if(day && people, || format!("not as the schema says: {answer}")))
}

/// Characters of several bytes are often several tokens: only a schema makes a model say them for certain.
async fn non_ascii(llm: &dyn Llm) -> Result<Outcome, LlmError> {
    let schema = json!({
        "type": "object", "properties": { "said": { "const": NON_ASCII } }, "required": ["said"],
        "additionalProperties": false,
    });
    Ok(match structured(llm, &format!("Please repeat: {NON_ASCII}"), schema).await? {
        Ok(answer) => holds_if(answer["said"] == NON_ASCII, || format!("{answer} where {NON_ASCII:?} was required")),
        Err(outcome) => outcome,
    })
}

/// Text, no text or an error are all fine; waiting for ever is not.
async fn nothing_said(llm: &dyn Llm) -> Result<Outcome, LlmError> {
    let silent = ChatRequest { messages: vec![], max_tokens: 8, temperature: 0.0, schema: None };
    for request in [ask("", 8), silent] {
        if let Err(fault @ LlmError::TimedOut(_)) = collect(llm, request).await {
            return Err(fault);
        }
    }
    Ok(Outcome::Holds)
}

async fn too_much_said(llm: &dyn Llm) -> Result<Outcome, LlmError> {
    let endless = ask(&"and then ".repeat(20_000), 8);
    if let Err(fault @ (LlmError::TimedOut(_) | LlmError::Unreachable { .. })) = collect(llm, endless).await {
        return Err(fault);
    }
    let next = collect(llm, ask("Hello!", 8)).await?;
    Ok(holds_if(!next.is_empty(), || "the next reply was empty".into()))
}

async fn primes(llm: &dyn Llm) -> Result<Outcome, LlmError> {
    let request = ask("Good morning!", 16);
    let system = ChatRequest { messages: request.messages[..1].to_vec(), ..request.clone() };
    llm.prime(system).await?;
    let text = collect(llm, request).await?.concat();
    Ok(holds_if(!text.trim().is_empty(), || "the reply was empty".into()))
}
