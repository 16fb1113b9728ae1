//! The embedded worker with real models, where they are on this machine.

use std::path::PathBuf;

use duologue::backend::contract::{Outcome, check_llm};
use duologue::backend::llm::{LlmWorker, Patience, WorkerSettings, WorkerState};
use duologue::backend::{ChatMessage, ChatRequest, Llm, Role};
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};
use std::time::Duration;

use super::{assert_kept, hello};

pub const SMALL: &str = "smollm2-135m-instruct-q4_1.gguf";
const DEFAULT: &str = "qwen2.5-coder-0.5b-instruct-q4.gguf";
/// For a cold model on a machine that is busy with other tests.
pub const PATIENT: Patience = Patience { first_token: Duration::from_secs(100), next_token: Duration::from_secs(60) };

pub fn models_folder() -> PathBuf {
    let data = || {
        let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".local/share");
        std::env::var_os("XDG_DATA_HOME").map_or_else(home, PathBuf::from)
    };
    std::env::var_os("DUOLOGUE_MODELS").map_or_else(|| data().join("duologue/models"), PathBuf::from)
}

/// A running worker, or `None` with a line that says what is missing.
pub async fn worker(model: &str) -> Option<LlmWorker> {
    worker_with(model, |_| ()).await
}

pub async fn worker_with(model: &str, set: impl FnOnce(&mut WorkerSettings)) -> Option<LlmWorker> {
    let path = models_folder().join(model);
    if !path.is_file() {
        println!("skipped: {} is absent; `duologue models fetch` brings it", path.display());
        return None;
    }
    let mut settings = WorkerSettings::new(path, "embedded");
    settings.executable = std::env::var_os("DUOLOGUE_LLM").map(PathBuf::from);
    set(&mut settings);
    match LlmWorker::start(settings, PATIENT) {
        Ok(worker) => {
            worker.ready().await.expect("the worker starts");
            Some(worker)
        }
        Err(fault) => {
            println!("skipped: {fault}");
            None
        }
    }
}

pub fn url(worker: &LlmWorker) -> String {
    match &*worker.state().borrow() {
        WorkerState::Ready { url } => url.clone(),
        other => panic!("not ready: {other:?}"),
    }
}

pub async fn ask(url: &str, path: &str, body: &Value) -> (u16, Value) {
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().expect("a client");
    let answer = client.post(format!("{url}{path}")).body(body.to_string()).send().await.expect("answered");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

pub async fn gauge(url: &str) -> Value {
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().expect("a client");
    let answer = client.get(format!("{url}/api/ps")).send().await.expect("answered");
    answer.json::<Value>().await.expect("JSON")["engine"].take()
}

#[tokio::test]
async fn the_smallest_model_keeps_the_contract() {
    if let Some(worker) = worker(SMALL).await {
        let findings = check_llm(&worker).await;
        assert_kept(SMALL, &findings);
        assert!(findings.iter().all(|finding| finding.outcome == Outcome::Holds), "the worker offers all of it");
    }
}

#[tokio::test]
async fn the_default_model_answers_from_its_facts() {
    let Some(worker) = worker(DEFAULT).await else {
        return;
    };
    let facts = "You answer the telephone of the Blue Door restaurant. The kitchen closes at ten in the evening. \
                 Answer in one short sentence.";
    let messages = vec![
        ChatMessage { role: Role::System, content: facts.into() },
        ChatMessage { role: Role::User, content: "What time does the kitchen close?".into() },
    ];
    let request = ChatRequest { messages, max_tokens: 40, temperature: 0.0, schema: None };
    let reply: Vec<_> = worker.chat(request).await.expect("opens").collect().await;
    let text: String = reply.into_iter().map(|piece| piece.expect("a piece")).collect();
    assert!(text.to_lowercase().contains("ten") || text.contains("10"), "{text}");
}

#[tokio::test]
async fn a_dropped_reply_stops_the_model() {
    let Some(worker) = worker(SMALL).await else {
        return;
    };
    let url = url(&worker);
    let request = ChatRequest { max_tokens: 512, ..hello() };
    let schema = json!({ "type": "array", "items": { "type": "integer" }, "minItems": 400 });
    let mut reply = worker.chat(ChatRequest { schema: Some(schema), ..request }).await.expect("opens");
    assert!(matches!(reply.next().await, Some(Ok(_))));
    drop(reply);
    // the list could not be finished: the engine becomes idle because the reply was cancelled
    loop {
        let gauge = gauge(&url).await;
        if gauge["running"] == 0 {
            assert_eq!(gauge["cancelled"], 1, "{gauge}");
            break;
        }
    }
}

#[tokio::test]
async fn four_callers_are_answered_together() {
    let Some(worker) = worker(SMALL).await else {
        return;
    };
    let url = url(&worker);
    let bodies = (0..4).map(|caller| {
        let said = format!("I am caller number {caller}. Who are you?");
        json!({ "model": "embedded", "messages": [{ "role": "user", "content": said }], "stream": false, "options": { "num_predict": 16 } })
    });
    let bodies: Vec<Value> = bodies.collect();
    for (status, answer) in join_all(bodies.iter().map(|body| ask(&url, "/api/chat", body))).await {
        assert_eq!(status, 200, "{answer}");
        assert!(answer["message"]["content"].as_str().is_some_and(|text| !text.is_empty()), "{answer}");
    }
}

#[tokio::test]
async fn a_flood_of_requests_is_turned_away_and_does_not_pile_up() {
    let Some(worker) = worker(SMALL).await else {
        return;
    };
    let url = url(&worker);
    let schema = json!({ "type": "array", "items": { "type": "integer" }, "minItems": 400 });
    let body = json!({
        "model": "embedded", "messages": [{ "role": "user", "content": "Count." }], "stream": false, "format": schema,
    });
    // 4 slots, 16 that wait and 16 in the channel are 36: among 60 unending replies some must be refused
    let mut flood: FuturesUnordered<_> = (0..60).map(|_| ask(&url, "/api/chat", &body)).collect();
    let (status, answer) = flood.next().await.expect("an answer");
    assert_eq!(status, 503, "{answer}");
    drop(flood);
    let (status, answer) = ask(&url, "/api/chat", &json!({ "model": "embedded", "messages": [] })).await;
    assert_eq!((status, &answer["done_reason"]), (200, &json!("load")), "{answer}");
}

#[tokio::test]
async fn bad_requests_are_named_and_harm_nobody() {
    let Some(worker) = worker(SMALL).await else {
        return;
    };
    let url = url(&worker);
    let chat = |extra: Value| {
        let mut body =
            json!({ "model": "embedded", "messages": [{ "role": "user", "content": "Hi" }], "stream": false });
        body.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
        body
    };
    let endless = "and then ".repeat(5_000);
    let cases = [
        (json!("nonsense"), 400, "the body"),
        (chat(json!({ "model": "other" })), 404, "model 'other' not found"),
        (chat(json!({ "options": { "temperature": 99 } })), 400, "options.temperature"),
        (chat(json!({ "messages": [{ "role": "robot", "content": "x" }] })), 400, "unknown role 'robot'"),
        (chat(json!({ "messages": [{ "role": "user", "content": endless }] })), 400, "tokens"),
        (chat(json!({ "format": { "type": "no such type" } })), 400, "format"),
        (chat(json!({ "junk": "x".repeat(2 << 20) })), 413, "the body"),
    ];
    for (body, status, words) in cases {
        let (got, answer) = ask(&url, "/api/chat", &body).await;
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(got == status && error.contains(words), "{got} {answer} where {status} with {words:?} was due");
    }
    let (status, answer) = ask(&url, "/api/chat", &chat(json!({ "options": { "num_predict": 4 } }))).await;
    assert_eq!((status, &answer["done"]), (200, &json!(true)), "{answer}");
}
