//! Spans go to the collector in batches; what it does not take is tried again for a while, and then let go.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

use super::span::Spans;
use crate::journal::Entry;

/// How long a collector may take for a batch.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// The first span of a batch waits for others so long.
const GATHERING: Duration = Duration::from_millis(500);
/// Spans in a batch.
const BATCH: usize = 512;
/// Pauses between attempts, doubling: some seven seconds, and the batch is let go.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const ATTEMPTS: u32 = 4;

/// Sends until nobody has anything to send any more.
pub(super) async fn run(mut inbox: mpsc::Receiver<Entry>, client: reqwest::Client, url: String, content: bool) {
    let mut spans = Spans::new(content);
    let mut failing = false;
    while let Some(entry) = inbox.recv().await {
        let mut batch = spans.take(entry);
        let until = Instant::now() + GATHERING;
        while batch.len() < BATCH {
            match timeout_at(until, inbox.recv()).await {
                Ok(Some(entry)) => batch.extend(spans.take(entry)),
                Ok(None) | Err(_) => break,
            }
        }
        if batch.is_empty() {
            continue;
        }
        let count = batch.len();
        let sent = send(&client, &url, &request(batch)).await;
        match &sent {
            Err(why) if !failing => {
                tracing::warn!(why, url, spans = count, "the collector does not take traces; calls go on")
            }
            Ok(()) if failing => tracing::info!(url, "the collector takes traces again"),
            _ => {}
        }
        failing = sent.is_err();
    }
}

/// As `ExportTraceServiceRequest` is written in JSON.
fn request(spans: Vec<Value>) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    json!({"resourceSpans": [{
        "resource": {"attributes": [text("service.name", "duologue"), text("service.version", version)]},
        "scopeSpans": [{"scope": {"name": "duologue", "version": version}, "spans": spans}],
    }]})
}

async fn send(client: &reqwest::Client, url: &str, request: &Value) -> Result<(), String> {
    let mut pause = FIRST_PAUSE;
    let mut why = String::new();
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            sleep(pause).await;
            pause *= 2;
        }
        match client.post(url).json(request).send().await {
            Ok(response) if response.status().is_success() => return Ok(()),
            // What the collector does not understand it will not understand later (OTLP: only these are to be tried again).
            Ok(response) if !matches!(response.status().as_u16(), 429 | 502 | 503 | 504) => {
                return Err(format!("it answers {}", response.status()));
            }
            Ok(response) => why = format!("it answers {}", response.status()),
            Err(fault) => why = fault.to_string(),
        }
    }
    Err(why)
}
