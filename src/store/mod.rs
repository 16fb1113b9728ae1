//! Every call in one SQLite file. Calls hand [`Entry`] values to a [`Recorder`], which never waits; one writer task
//! turns them into rows, many a transaction; readers open the file beside it. docs/SQL.md is the map of the tables.

mod amend;
mod bridges;
mod erase;
mod error;
mod facts;
mod import;
mod journals;
mod judging;
mod knowledge;
mod labels;
mod meant;
mod notes;
mod objects;
mod opening;
mod orphans;
mod read;
mod recall;
mod recordings;
mod recover;
mod redact;
mod remembered;
mod rows;
mod search;
mod undelivered;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::journal::Entry;
use crate::meters::Meters;
use crate::traces::Tracer;
use crate::webhook::Courier;

pub use amend::{correct_fact, forget_fact};
pub use erase::{AskedBy, Erased, erase};
pub use error::{NotKept, StoreError};
pub use import::{EVENTS, ImportRow, ImportedCall, JUDGEMENTS, TURNS, WORDS, import_call};
pub use journals::JournalView;
pub use judging::{BlockView, lift_block};
pub use knowledge::{KnowledgeFile, KnowledgeFiles};
pub use labels::{Decided, Label, LabelFault, label};
pub use notes::{Note, NoteFault, note, remove_note};
pub use objects::{Unremoved, Unstored, name_object, object_removed, object_stored};
pub use opening::reading;
pub use opening::{Probe, probe};
pub use read::{CallSummary, CallView, Connected, MediaView, MemoryView, Reader, TurnView};
pub use recordings::RecordingView;
pub use recover::{RecoverFault, Recovered, RecoveredTable, recover};
pub use redact::{REDACTED, Redacted, SoundGone, Span, redact, tidy_redacted};
pub use remembered::{CallerMemory, CallerSummary, CommitmentView, FactView, SummaryView};

/// Entries that may wait for the disk: some 10 s of the events of 100 calls, at most some 4 MiB.
pub const ENTRIES_WAITING: usize = 8_192;

/// Places of the queue that events may not take, so that a flood of partial transcripts never costs a turn or the end
/// of a call.
const KEPT_FOR_ROWS: usize = ENTRIES_WAITING / 4;

/// Now, as it stands in `..._utc_ms` columns: milliseconds since the Unix epoch.
pub fn utc_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    i64::try_from(now).unwrap_or(i64::MAX)
}

/// What goes to the writer.
enum Order {
    Keep(Entry),
    Flush(oneshot::Sender<Result<(), NotKept>>),
    Close,
}

/// What has become of the entries so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows in the file, durable.
    pub kept: u64,
    /// Dropped because the queue was full or the store closed; told in the table `incidents` when that is possible.
    pub lost: u64,
    /// Against a rule of the schema, such as a turn of a call that nobody opened; told in `incidents`.
    pub refused: u64,
}

/// The counters behind [`Counts`].
#[derive(Debug, Default)]
struct Tally {
    kept: AtomicU64,
    lost: AtomicU64,
    refused: AtomicU64,
}

/// The way into the store for everything that happens in a call. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    orders: mpsc::Sender<Order>,
    tally: Arc<Tally>,
    meters: Meters,
    tracer: Option<Tracer>,
    courier: Option<Courier>,
}

impl Recorder {
    /// Hands an entry over and returns at once. When the disk has been behind for so long that the queue is full, the
    /// entry is dropped and counted.
    pub fn record(&self, entry: Entry) {
        self.meters.observe(&entry);
        if let Some(tracer) = &self.tracer {
            tracer.observe(&entry);
        }
        if let Some(courier) = &self.courier {
            courier.observe(&entry);
        }
        let full = matches!(entry, Entry::Event { .. }) && self.orders.capacity() < KEPT_FOR_ROWS;
        if full || self.orders.try_send(Order::Keep(entry)).is_err() {
            self.tally.lost.fetch_add(1, Ordering::Relaxed);
            self.meters.lose();
        }
    }

    /// What is counted of all that passes here.
    pub const fn meters(&self) -> &Meters {
        &self.meters
    }

    /// Waits until everything that was recorded here before is durable: it survives a kill and a power cut.
    ///
    /// # Errors
    /// When the file cannot be written at present (the entries stay in memory and are tried again), or the store is
    /// closed.
    pub async fn flush(&self) -> Result<(), NotKept> {
        let (done, wait) = oneshot::channel();
        self.orders.send(Order::Flush(done)).await.map_err(|_| NotKept::Closed)?;
        wait.await.unwrap_or(Err(NotKept::Closed))
    }

    /// What has become of the entries of all recorders of this store.
    pub fn counts(&self) -> Counts {
        Counts {
            kept: self.tally.kept.load(Ordering::Relaxed),
            lost: self.tally.lost.load(Ordering::Relaxed),
            refused: self.tally.refused.load(Ordering::Relaxed),
        }
    }
}

/// An open file with its writer.
pub struct Store {
    path: PathBuf,
    recorder: Recorder,
    writer: JoinHandle<()>,
    /// Held while this process has the file; the system lets it go with the process.
    _lock: std::fs::File,
}

impl Store {
    /// Opens the file, makes or migrates its tables, closes the calls that a crash left open, and starts the writer.
    ///
    /// # Errors
    /// When the file cannot be had for writing; each error names the path and the way out.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let opening::Opened { connection, lock, crashed } = opening::open(path).await?;
        if crashed > 0 {
            tracing::warn!(path = %path.display(), calls = crashed, "the server had stopped during calls: they are closed as \"crash\"");
        }
        let (orders, inbox) = mpsc::channel(ENTRIES_WAITING);
        let tally = Arc::new(Tally::default());
        let writer = writer::Writer::new(path.to_path_buf(), connection, inbox, Arc::clone(&tally));
        let writer = tokio::spawn(writer.run());
        Ok(Self {
            path: path.to_path_buf(),
            recorder: Recorder { orders, tally, meters: Meters::new(), tracer: None, courier: None },
            writer,
            _lock: lock,
        })
    }

    /// From here on, what is recorded also becomes traces.
    pub fn traced(mut self, tracer: Tracer) -> Self {
        self.recorder.tracer = Some(tracer);
        self
    }

    /// From here on, what happens in calls is also told elsewhere.
    pub fn told(mut self, courier: Courier) -> Self {
        self.recorder.courier = Some(courier);
        self
    }

    /// A way in for one more writer of entries.
    pub fn recorder(&self) -> Recorder {
        self.recorder.clone()
    }

    /// A way to read what is in the file.
    pub fn reader(&self) -> Reader {
        Reader::new(&self.path)
    }

    /// Writes what is still in the queue and closes the file. Entries recorded afterwards are counted as lost.
    pub async fn close(mut self) -> Counts {
        if self.recorder.orders.send(Order::Close).await.is_ok() {
            // The writer ends by itself; a panic in it has already been printed and left nothing to wait for.
            let _ended = (&mut self.writer).await;
        }
        self.recorder.counts()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.writer.abort();
    }
}
