//! Ring 3: each answer as a trace, for whoever collects OpenTelemetry: OTLP over HTTP, in JSON
//! (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>). Everything that is kept of a call passes the store's recorder; what spans are
//! made of is taken there, and nothing waits for a collector.
//!
//! Written by hand: a handful of JSON objects, against thirty crates that would bring gRPC, Protobuf and a second HTTP client along.

mod sender;
mod span;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::journal::{Entry, JudgementRow};

pub use span::{ATTRIBUTES, SPANS};

/// Entries that may wait for a collector: some minutes of a busy server. More are lost and counted.
pub const ENTRIES_WAITING: usize = 4_096;

/// The way to the collector. Cheap to clone.
#[derive(Clone)]
pub struct Tracer {
    entries: mpsc::Sender<Entry>,
    lost: Arc<AtomicU64>,
}

impl Tracer {
    /// Begins to send to `endpoint` (`/v1/traces` is added). With `content`, what was said goes along.
    ///
    /// # Errors
    /// When there is no HTTP client to be had.
    pub fn start(endpoint: &str, content: bool) -> Result<(Self, JoinHandle<()>), String> {
        let client = reqwest::Client::builder().timeout(sender::PATIENCE).build().map_err(|why| why.to_string())?;
        let (entries, inbox) = mpsc::channel(ENTRIES_WAITING);
        let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        let task = tokio::spawn(sender::run(inbox, client, url, content));
        Ok((Self { entries, lost: Arc::new(AtomicU64::new(0)) }, task))
    }

    /// Takes what spans are made of.
    pub fn observe(&self, entry: &Entry) {
        let wanted = match entry {
            Entry::CallOpened { .. } | Entry::CallClosed { .. } | Entry::Turn(_) => entry.clone(),
            // What the judge was shown is large, and no part of a span.
            Entry::Judgement(row) => Entry::Judgement(JudgementRow { shown: None, ..row.clone() }),
            _ => return,
        };
        if self.entries.try_send(wanted).is_err() {
            let before = self.lost.fetch_add(1, Ordering::Relaxed);
            if (before + 1).is_power_of_two() {
                tracing::warn!(lost = before + 1, "the collector of traces is behind: spans are missing");
            }
        }
    }
}
