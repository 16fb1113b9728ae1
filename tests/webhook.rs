//! A program of the operator's is told what happens in calls: signed, in order, again where it did not take it; and what it was
//! never told is counted and a row.

mod house;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use duologue_signaling::event::Event;
use duologue_signaling::webhook::Hook;
use hmac::{Hmac, Mac};
use house::House;
use house::typed::typed_call;
use sha2::Sha256;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::sync::mpsc;

const SECRET: &str = "a secret of more than sixteen bytes";

/// One request as it came.
struct Request {
    id: String,
    at_s: i64,
    signature: String,
    body: String,
}

/// A receiver on this machine: its address and what it is sent. It answers with the statuses in their order, then with 200.
async fn receiver(statuses: &'static [u16]) -> (String, mpsc::Receiver<Request>) {
    let (sent, received) = mpsc::channel(256);
    let count = Arc::new(AtomicUsize::new(0));
    let take = move |headers: HeaderMap, body: String| {
        let (sent, count) = (sent.clone(), count.clone());
        async move {
            let header = |name: &str| headers[name].to_str().expect("text").to_owned();
            assert_eq!(header("content-type"), "application/json");
            let at_s = header("webhook-timestamp").parse().expect("seconds");
            let (id, signature) = (header("webhook-id"), header("webhook-signature"));
            let _ = sent.send(Request { id, at_s, signature, body }).await;
            let status = statuses.get(count.fetch_add(1, Ordering::Relaxed)).copied().unwrap_or(200);
            StatusCode::from_u16(status).expect("a status")
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}/hooks?token=hidden", listener.local_addr().expect("an address"));
    let router = Router::new().route("/hooks", post(take));
    let _serving = tokio::spawn(async move { axum::serve(listener, router).await });
    (address, received)
}

async fn house(url: &str, more: &str) -> (House, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("secret");
    std::fs::write(&file, SECRET).expect("written");
    let file = file.display().to_string();
    (House::scripted_with(&format!("[webhook]\nurl = {url:?}\nsecret_file = {file:?}\n{more}")).await, folder)
}

async fn next(received: &mut mpsc::Receiver<Request>) -> Request {
    tokio::time::timeout(Duration::from_secs(60), received.recv()).await.expect("a request in time").expect("a request")
}

/// As a receiver does it (Standard Webhooks, "Verifying signatures").
fn is_ours(request: &Request) -> bool {
    let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key");
    let signed = mac.chain_update(format!("{}.{}.{}", request.id, request.at_s, request.body)).finalize();
    request.signature == format!("v1,{}", STANDARD.encode(signed.into_bytes()))
}

async fn metric(house: &House, name: &str) -> f64 {
    let text = reqwest::get(format!("{}/metrics", house.url)).await.expect("an answer").text().await.expect("text");
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in {text}"))
}

async fn opened(database: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(database).read_only(true).connect().await.expect("the database")
}

/// Call, type, messages, attempts and reason of what was given up, in its order.
async fn undelivered(database: &Path) -> Vec<(Option<String>, Option<String>, i64, i64, String)> {
    let mut connection = opened(database).await;
    let rows = sqlx::query_as("SELECT call, type, messages, attempts, why FROM undelivered ORDER BY id")
        .fetch_all(&mut connection)
        .await
        .expect("rows");
    connection.close().await.expect("closed");
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_told_signed_and_in_order_and_again_where_it_was_not_taken() {
    let (url, mut received) = receiver(&[503]).await;
    let (house, _secret) = house(&url, "").await;
    typed_call(&house.server, "", &["What time do you close?"]).await;
    let (mut ids, mut hooks) = (Vec::new(), Vec::new());
    loop {
        let request = next(&mut received).await;
        assert!(is_ours(&request), "signed: {}", request.body);
        let hook: Hook = serde_json::from_str(&request.body).expect("a hook");
        assert_eq!(hook.kind, hook.data.event.event.name());
        let last = matches!(hook.data.event.event, Event::CallEnded { .. });
        ids.push(request.id);
        hooks.push(hook);
        if last {
            break;
        }
    }
    assert_eq!((&ids[0], &hooks[0]), (&ids[1], &hooks[1]), "what was answered by 503 comes again, under its own name");
    ids.remove(0);
    hooks.remove(0);
    assert_eq!(std::collections::BTreeSet::from_iter(&ids).len(), ids.len(), "each message has a name of its own");
    let kinds: Vec<&str> = hooks.iter().map(|hook| hook.kind.as_str()).collect();
    assert_eq!(kinds, ["call-started", "turn-ended", "transcript", "turn-ended", "call-ended"]);
    assert!(
        hooks.is_sorted_by_key(|hook| hook.data.event.at_ms) && hooks.is_sorted_by_key(|hook| hook.timestamp.clone())
    );
    let Event::CallStarted { call, .. } = &hooks[0].data.event.event else { panic!("{:?}", hooks[0]) };
    assert!(hooks.iter().all(|hook| hook.data.call == *call));
    while metric(&house, "duologue_webhooks_delivered_total").await < 5.0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let database = house.database();
    house.server.stop().await;
    assert_eq!(undelivered(&database).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_receiver_refuses_is_a_row_and_what_follows_is_told() {
    let (url, mut received) = receiver(&[422]).await;
    let (house, _secret) = house(&url, "events = [\"call-started\", \"call-ended\"]\n").await;
    typed_call(&house.server, "", &[]).await;
    let kind = |request: Request| serde_json::from_str::<Hook>(&request.body).expect("a hook").kind;
    assert_eq!(kind(next(&mut received).await), "call-started");
    assert_eq!(kind(next(&mut received).await), "call-ended", "it does not come again, and nothing else does");
    let database = house.database();
    house.server.stop().await;
    let rows = undelivered(&database).await;
    let [(Some(_), Some(kind), 1, 1, why)] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((kind.as_str(), why.as_str()), ("call-started", "it answers 422 Unprocessable Entity"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_not_there_costs_no_call_and_its_rows_keep_its_address_to_themselves() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a port");
    let (house, _secret) = house(&format!("http://{nobody}/hooks?token=hidden"), "patience_s = 1\n").await;
    let answers = typed_call(&house.server, "", &["What time do you close?"]).await;
    assert!(answers.iter().all(|answer| !answer.is_empty()), "{answers:?}");
    while metric(&house, "duologue_webhooks_undelivered_total").await < 1.0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let database = house.database();
    house.server.stop().await;
    let rows = undelivered(&database).await;
    let kinds: Vec<&str> = rows.iter().filter_map(|row| row.1.as_deref()).collect();
    assert_eq!(
        kinds,
        ["call-started", "turn-ended", "transcript", "turn-ended", "call-ended"],
        "nothing is lost silently"
    );
    let (first, last) = (&rows[0], &rows[rows.len() - 1]);
    assert!(first.3 > 1 && first.4.contains("refused"), "tried more than once: {first:?}");
    assert!(last.4.starts_with("the server stopped"), "{last:?}");
    assert!(rows.iter().all(|row| !row.4.contains("hidden")), "an address may have a key in it: {rows:?}");
}
