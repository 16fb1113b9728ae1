//! A collector of OpenTelemetry gets each answer as a span, and the page about it names every one.

mod house;

use std::path::Path;
use std::time::Duration;

use axum::routing::post;
use axum::{Json, Router};
use duologue::traces::{ATTRIBUTES, SPANS};
use house::House;
use house::typed::typed_call;
use serde_json::Value;
use tokio::sync::mpsc;

/// A collector on this machine: its address and what it is sent.
async fn collector() -> (String, mpsc::Receiver<Value>) {
    let (sent, received) = mpsc::channel(64);
    let take = move |Json(request): Json<Value>| {
        let sent = sent.clone();
        async move {
            let _ = sent.send(request).await;
            "{}"
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let router = Router::new().route("/v1/traces", post(take));
    let _serving = tokio::spawn(async move { axum::serve(listener, router).await });
    (address, received)
}

/// Everything that the collector gets of one call.
async fn spans_of_a_call(received: &mut mpsc::Receiver<Value>) -> Vec<Value> {
    let mut spans: Vec<Value> = Vec::new();
    while !spans.iter().any(|span| span["name"] == "call") {
        let request = tokio::time::timeout(Duration::from_secs(20), received.recv()).await;
        let request = request.expect("a batch in time").expect("a batch");
        let resource = &request["resourceSpans"][0];
        assert_eq!(resource["resource"]["attributes"][0]["value"]["stringValue"], "duologue");
        spans.extend(resource["scopeSpans"][0]["spans"].as_array().expect("spans").iter().cloned());
    }
    spans
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_arrives_as_a_span_of_its_calls_trace_without_a_word_of_it() {
    let (address, mut received) = collector().await;
    let house = House::scripted_with(&format!("[traces]\nendpoint = {address:?}\n")).await;
    typed_call(&house.server, "?caller=Ada", &["What time do you close?"]).await;
    let spans = spans_of_a_call(&mut received).await;
    let trace = &spans[0]["traceId"];
    assert!(spans.iter().all(|span| span["traceId"] == *trace), "one call, one trace");
    let turn = spans.iter().find(|span| span["name"] == "turn").expect("an answer");
    let call = spans.iter().find(|span| span["name"] == "call").expect("the call");
    assert_eq!(turn["parentSpanId"], call["spanId"]);
    assert!(spans.iter().any(|span| span["name"].as_str().is_some_and(|name| name.starts_with("chat "))));
    let all = serde_json::to_string(&spans).expect("JSON");
    assert!(!all.contains("Ada") && !all.contains("close") && !all.contains("pii."), "{all}");
    house.server.stop().await;
}

/// A collector takes them out by the beginning of their names, and nothing of what was said is left then.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_goes_along_where_it_is_wanted_and_under_names_that_say_so() {
    let (address, mut received) = collector().await;
    let house = House::scripted_with(&format!("[traces]\nendpoint = {address:?}\ncontent = true\n")).await;
    let answers = typed_call(&house.server, "?caller=Ada", &["What time do you close?"]).await;
    let mut spans = spans_of_a_call(&mut received).await;
    let mut private = Vec::new();
    for span in &mut spans {
        let of_one = span["attributes"].as_array_mut().expect("attributes");
        private.extend(of_one.extract_if(.., |one| one["key"].as_str().is_some_and(|key| key.starts_with("pii."))));
    }
    let said =
        |key: &str, text: &str| private.iter().any(|one| one["key"] == key && one["value"]["stringValue"] == text);
    assert!(said("pii.caller", "Ada") && said("pii.caller_said", "What time do you close?"), "{private:?}");
    assert!(said("pii.agent_heard", &answers[0]), "{answers:?} {private:?}");
    let rest = serde_json::to_string(&spans).expect("JSON");
    assert!(!rest.contains("Ada") && !rest.contains("close") && !rest.contains(&answers[0]), "{rest}");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_not_there_costs_no_call() {
    let house = House::scripted_with("[traces]\nendpoint = \"http://127.0.0.1:9\"\ncontent = true\n").await;
    let answers = typed_call(&house.server, "", &["What time do you close?"]).await;
    assert!(answers.iter().all(|answer| !answer.is_empty()), "{answers:?}");
    house.server.stop().await;
}

#[test]
fn the_page_names_every_span_and_attribute() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/OBSERVABILITY.md");
    let page = std::fs::read_to_string(page).expect("the page");
    for name in SPANS.iter().chain(&ATTRIBUTES) {
        assert!(page.contains(&format!("`{name}`")), "docs/OBSERVABILITY.md says nothing of {name}");
    }
    let told = page.split('`').skip(1).step_by(2);
    for name in told.filter(|name| ["gen_ai.", "duologue.", "pii."].iter().any(|start| name.starts_with(start))) {
        assert!(ATTRIBUTES.contains(&name) || name == "pii.", "{name} is no attribute");
    }
}
