//! The OpenAI client against the server-sent events that the API documents, spoken by a small real server for the
//! contract, and byte by byte for the faults.

use std::convert::Infallible;

use axum::Json;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use duologue::backend::contract::check_llm;
use duologue::backend::llm::{ApiKey, OpenAiLlm, Patience, Script, ScriptedLlm};
use duologue::backend::{ChatMessage, ChatRequest, Llm, LlmError, Role};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::served::{Answer, IMPATIENT, Seen, Then, cut_inside_a_character, dead_url, serve};
use super::{assert_kept, hello, scripted};

const PATH: &str = "/v1/chat/completions";

fn event(delta: &Value, finish: Option<&str>) -> String {
    let chunk = json!({
        "id": "chatcmpl-123", "object": "chat.completion.chunk", "created": 1694268190, "model": "gpt-4o-mini",
        "system_fingerprint": "fp_44709d6fcb",
        "choices": [{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }],
    });
    format!("data: {chunk}\n\n")
}

fn piece(text: &str) -> String {
    event(&json!({ "content": text }), None)
}

fn end() -> String {
    event(&json!({}), Some("stop")) + "data: [DONE]\n\n"
}

async fn reply(url: &str, patience: Patience) -> Result<Vec<Result<String, LlmError>>, LlmError> {
    let llm = OpenAiLlm::new(&format!("{url}/v1"), "gpt-4o-mini", Some(&ApiKey::new("sk-test")), patience)?;
    Ok(llm.chat(hello()).await?.collect().await)
}

#[tokio::test]
async fn the_documented_events_become_text() {
    let role = event(&json!({ "role": "assistant", "content": "" }), None);
    let mut served = serve(PATH, Answer::ok([role, piece("Hel"), piece("lo"), end()])).await;
    let pieces = reply(&served.url, Patience::default()).await.expect("opens");
    assert_eq!(pieces, [Ok("Hel".into()), Ok("lo".into())]);
    let Some(Seen::Asked(body)) = served.seen.recv().await else { panic!("the server was asked") };
    assert_eq!((&body["stream"], &body["max_tokens"]), (&json!(true), &json!(40)));
    assert_eq!(body["messages"][1], json!({ "role": "user", "content": "Hello" }));
}

#[tokio::test]
async fn a_chunk_may_end_inside_a_character() {
    let text = "caf\u{e9} \u{1f642}";
    let mut chunks = cut_inside_a_character(&piece(text));
    chunks.push(end().into());
    let served = serve(PATH, Answer::ok(chunks)).await;
    assert_eq!(reply(&served.url, Patience::default()).await.expect("opens"), [Ok(text.into())]);
}

#[tokio::test]
async fn a_missing_model_is_named_in_openais_words_and_in_vllms() {
    let openai = r#"{"error":{"message":"The model `x` does not exist","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#;
    let vllm =
        r#"{"error":{"message":"The model `x` does not exist.","type":"NotFoundError","param":null,"code":404}}"#;
    for body in [openai, vllm] {
        let served = serve(PATH, Answer::status(404, body)).await;
        let fault = reply(&served.url, Patience::default()).await.expect_err("refused");
        assert_eq!(fault, LlmError::NoSuchModel { model: "gpt-4o-mini".into() });
    }
}

#[tokio::test]
async fn a_refused_key_is_told_without_the_key() {
    let body = r#"{"error":{"message":"Incorrect API key provided","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#;
    let served = serve(PATH, Answer::status(401, body)).await;
    let text = reply(&served.url, Patience::default()).await.expect_err("refused").to_string();
    assert!(text.contains("key was refused") && !text.contains("sk-test"), "{text}");
}

#[tokio::test]
async fn a_refused_connection_is_named_with_its_url() {
    let url = dead_url().await;
    let fault = reply(&url, Patience::default()).await.expect_err("refused");
    assert!(matches!(&fault, LlmError::Unreachable { url: named, .. } if named.starts_with(&url)), "{fault}");
}

#[tokio::test]
async fn a_stream_without_its_end_is_broken_off() {
    let served = serve(PATH, Answer::ok([piece("Hel")])).await;
    let pieces = reply(&served.url, Patience::default()).await.expect("opens");
    assert!(matches!(&pieces[..], [Ok(_), Err(LlmError::BrokeOff(_))]), "{pieces:?}");
    let served = serve(PATH, Answer::ok([piece("Hel")]).then(Then::Cut)).await;
    let llm = OpenAiLlm::new(&format!("{}/v1", served.url), "m", None, Patience::default()).expect("a URL");
    let mut reply = llm.chat(hello()).await.expect("opens");
    assert_eq!(reply.next().await, Some(Ok("Hel".into())));
    served.cut.notify_one();
    assert!(matches!(reply.next().await, Some(Err(LlmError::BrokeOff(_)))));
}

#[tokio::test]
async fn a_server_that_falls_silent_times_out() {
    let served = serve(PATH, Answer::ok(Vec::<String>::new()).then(Then::Hang)).await;
    let pieces = reply(&served.url, IMPATIENT).await.expect("the head of the answer comes");
    assert_eq!(pieces, [Err(LlmError::TimedOut(IMPATIENT.first_token))]);
    let served = serve(PATH, Answer::ok([piece("Hel")]).then(Then::Hang)).await;
    let pieces = reply(&served.url, IMPATIENT).await.expect("opens");
    assert_eq!(pieces, [Ok("Hel".into()), Err(LlmError::TimedOut(IMPATIENT.next_token))]);
}

#[tokio::test]
async fn a_dropped_reply_is_cancelled_at_the_server() {
    let mut served = serve(PATH, Answer::ok([piece("Hel")]).then(Then::Hang)).await;
    let llm = OpenAiLlm::new(&format!("{}/v1/", served.url), "m", None, Patience::default()).expect("a URL");
    let mut reply = llm.chat(hello()).await.expect("opens");
    assert_eq!(reply.next().await, Some(Ok("Hel".into())));
    drop(reply);
    assert!(matches!(served.seen.recv().await, Some(Seen::Asked(_))));
    assert_eq!(served.seen.recv().await, Some(Seen::ClientGone));
}

#[tokio::test]
async fn priming_costs_nothing_unless_it_is_wished() {
    let mut served = serve(PATH, Answer::ok([piece("H"), end()])).await;
    let llm = OpenAiLlm::new(&format!("{}/v1", served.url), "m", None, Patience::default()).expect("a URL");
    llm.prime(hello()).await.expect("does nothing");
    assert!(served.seen.try_recv().is_err());
    llm.priming(true).prime(hello()).await.expect("primes");
    let Some(Seen::Asked(body)) = served.seen.recv().await else { panic!("the server was asked") };
    assert_eq!(body["max_tokens"], 1);
}

/// Speaks the documented protocol over a script.
async fn completions(Json(body): Json<Value>) -> Response {
    let messages = body["messages"].as_array().expect("messages").iter().map(|message| ChatMessage {
        role: serde_json::from_value(message["role"].clone()).expect("a role"),
        content: message["content"].as_str().expect("text").to_owned(),
    });
    let request = ChatRequest {
        messages: messages.collect(),
        max_tokens: body["max_tokens"].as_u64().expect("a cap") as u32,
        temperature: 0.0,
        schema: body["response_format"]["json_schema"].get("schema").cloned(),
    };
    assert!(request.messages.iter().any(|message| message.role == Role::System) || request.messages.is_empty());
    let llm = ScriptedLlm::new(Script::parse(scripted::SCRIPT).expect("valid"));
    let Ok(pieces) = llm.chat(request).await else {
        let error = json!({ "error": { "message": "response_format is not supported", "type": "invalid_request_error", "param": null, "code": null } });
        return (axum::http::StatusCode::BAD_REQUEST, Json(error)).into_response();
    };
    let events = pieces.map(|text| piece(&text.expect("the script is complete"))).chain(stream::iter([end()]));
    let body = Body::from_stream(events.map(|event| Ok::<_, Infallible>(Bytes::from(event))));
    ([("content-type", "text/event-stream")], body).into_response()
}

#[tokio::test]
async fn the_client_keeps_the_contract() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/v1", listener.local_addr().expect("bound"));
    let server = tokio::spawn(axum::serve(listener, Router::new().route(PATH, post(completions))).into_future());
    let llm = OpenAiLlm::new(&url, "scripted", None, Patience::default()).expect("a URL");
    assert_kept("openai", &check_llm(&llm).await);
    server.abort();
}
