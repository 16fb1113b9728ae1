//! Ring 3: what happens in calls, told to a program of the operator's: one signed HTTP request an event, as Standard Webhooks have it
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>). Everything that is kept of a call
//! passes the store's recorder; the events are taken there, and no call waits for a receiver.

mod sender;
mod signature;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use duologue_signaling::event::Stamped;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::journal::{CallId, Entry};
use crate::store::{Recorder, utc_ms};

pub use signature::{Key, KeyTooShort};

/// Messages that may wait for a receiver: at some 0.5 to 4 kB each no more than 16 MB. More are lost, counted and a row.
pub const MESSAGES_WAITING: usize = 4_096;
/// How long a server that stops waits for its receiver.
const LAST_MESSAGES: Duration = Duration::from_secs(2);

/// What is sent, where to, and for how long it is tried.
pub struct Settings {
    /// The receiver's address.
    pub url: String,
    pub key: Key,
    /// Names of the events that are sent.
    pub events: BTreeSet<&'static str>,
    /// A message that is older than this is tried once more and then given up.
    pub patience: Duration,
}

/// One event on its way.
#[derive(Clone, Debug)]
struct Message {
    /// The same at each attempt, so that a receiver can tell a repetition: `webhook-id`.
    id: String,
    call: CallId,
    at_utc_ms: i64,
    event: Stamped,
}

/// Takes events from calls. Cheap to clone.
#[derive(Clone)]
pub struct Courier {
    messages: mpsc::Sender<Message>,
    events: Arc<BTreeSet<&'static str>>,
    dropped: Arc<AtomicU64>,
}

/// The task that sends.
pub struct Sending {
    task: JoinHandle<()>,
    closing: CancellationToken,
}

impl Courier {
    /// Begins to send. `recorder` is told what was given up; it must be one that tells this courier nothing.
    ///
    /// # Errors
    /// When there is no HTTP client to be had.
    pub fn start(settings: Settings, recorder: Recorder) -> Result<(Self, Sending), String> {
        let (messages, inbox) = mpsc::channel(MESSAGES_WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        let events = Arc::new(settings.events.clone());
        let closing = CancellationToken::new();
        let sender = sender::Sender::new(settings, recorder, inbox, dropped.clone(), closing.clone())?;
        let task = tokio::spawn(sender.run());
        Ok((Self { messages, events, dropped }, Sending { task, closing }))
    }

    /// Takes an event, if it is one that the receiver wants.
    pub fn observe(&self, entry: &Entry) {
        let Entry::Event { call, event } = entry else { return };
        if !self.events.contains(event.event.name()) {
            return;
        }
        let id = format!("msg_{}", uuid::Uuid::now_v7().simple());
        let message = Message { id, call: call.clone(), at_utc_ms: utc_ms(), event: event.clone() };
        if self.messages.try_send(message).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Sending {
    /// Sends what still waits, if that is quickly done; the rest is given up, with a row each.
    pub async fn finish(self) {
        self.closing.cancel();
        // It ends within its own bound; a panic in it has been printed already.
        let _ended = self.task.await;
    }
}
