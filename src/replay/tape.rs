//! One call's journal, seen from the call: records go in and nothing waits; one thread compresses and writes for all calls.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use duologue_signaling::event::Stamped;

use duologue_core::replay::Head;
use duologue_core::replay::record::Writer;

use super::file::{JournalFile, Kept};
use super::{BLOCKS_WAITING, FINISH_WITHIN, journal_of};
use crate::backend::niceness::lower_this_thread;
use crate::journal::CallId;
use crate::machine::{CallMachine, Happening};
use crate::recording::SealKey;
use crate::time::CallTime;

/// nice(1): after the media threads, before the models.
const NICE: u8 = 2;
/// A block a second: what a crash costs.
const BLOCK_BEATS: u32 = 50;
/// ... or so much, where a peer floods us.
const BLOCK_BYTES: usize = 64 * 1_024;

enum Order {
    Open {
        tape: u64,
        path: PathBuf,
        head: Vec<u8>,
        key: Option<Arc<SealKey>>,
    },
    Block {
        tape: u64,
        bytes: Vec<u8>,
        records: u64,
    },
    Finish {
        tape: u64,
        done: SyncSender<Option<Kept>>,
    },
    Discard {
        tape: u64,
    },
    /// The call's task is no more, and nobody waits.
    Close {
        tape: u64,
    },
}

/// What all journals of a server share.
pub struct JournalHouse {
    folder: PathBuf,
    /// See [`super::config_of`].
    config: String,
    key: Option<Arc<SealKey>>,
    orders: SyncSender<Order>,
    next: AtomicU64,
}

impl JournalHouse {
    /// Starts the thread. The folder is that of the recordings.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn open(folder: &Path, config: String) -> Result<Self, String> {
        let (orders, queue) = sync_channel(BLOCKS_WAITING);
        let thread = std::thread::Builder::new().name("journal".into()).spawn(move || {
            lower_this_thread(NICE);
            work(&queue);
        });
        thread.map_err(|why| format!("cannot keep journals: {why}; set journal.calls = \"off\""))?;
        Ok(Self { folder: folder.to_path_buf(), config, key: None, orders, next: AtomicU64::new(0) })
    }

    /// New journals are sealed with this.
    pub fn sealed_with(mut self, key: Option<Arc<SealKey>>) -> Self {
        self.key = key;
        self
    }

    /// The configuration, as it stands in heads.
    pub fn config(&self) -> &str {
        &self.config
    }

    /// Begins a call's journal; its file is made with its first second.
    pub fn begin(&self, call: &CallId, head: &Head) -> JournalTape {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let place = (self.folder.join(journal_of(call)), serde_json::to_vec(head).unwrap_or_default());
        JournalTape {
            orders: self.orders.clone(),
            id,
            place: Some(place),
            key: self.key.clone(),
            writer: Writer::default(),
            beats: 0,
            untold: 0,
            lost: 0,
            over: false,
        }
    }
}

/// The way to one call's journal.
pub struct JournalTape {
    orders: SyncSender<Order>,
    id: u64,
    /// The file and its head, until it is made: a call that never connects leaves none.
    place: Option<(PathBuf, Vec<u8>)>,
    key: Option<Arc<SealKey>>,
    writer: Writer,
    beats: u32,
    /// Records that the thread had no room for: since the last that it had, and in all.
    untold: u64,
    lost: u64,
    /// It was finished or discarded.
    over: bool,
}

impl JournalTape {
    /// The id of the key that the file is sealed with.
    pub fn key_id(&self) -> Option<String> {
        self.key.as_ref().map(|key| key.id())
    }

    /// Something is about to happen to the machine.
    pub fn happened(&mut self, at: CallTime, what: &Happening) {
        self.writer.happened(at, what);
        if self.writer.len() > BLOCK_BYTES {
            self.hand_over();
        }
    }

    /// The machine has had a tick.
    pub fn beat(&mut self, at: CallTime, due: CallTime, machine: &CallMachine) {
        self.writer.beat(at, due, machine.sensed());
        self.beats += 1;
        if self.beats.is_multiple_of(BLOCK_BEATS) {
            self.writer.done(machine.digest());
            self.hand_over();
        }
    }

    /// The client is told this.
    pub fn said(&mut self, event: &Stamped) {
        self.writer.said(event);
    }

    /// The call is over, and this is what was done in it; `None` where there is no file, or the disk is too far behind to wait for.
    pub async fn finish(mut self, digest: u64) -> Option<Kept> {
        self.over = true;
        if self.place.is_some() && self.beats == 0 {
            return None;
        }
        self.writer.done(digest);
        let (bytes, records) = self.block();
        let (orders, id, place, lost) = (self.orders.clone(), self.id, self.place.take(), self.lost);
        let key = self.key.clone();
        let (done, finished) = sync_channel(1);
        // Waited for beside the runtime, in the time of the wall: the queue may be full of other calls' blocks.
        let finished = tokio::task::spawn_blocking(move || {
            if let Some((path, head)) = place {
                orders.send(Order::Open { tape: id, path, head, key }).ok()?;
            }
            orders.send(Order::Block { tape: id, bytes, records }).ok()?;
            orders.send(Order::Finish { tape: id, done }).ok()?;
            finished.recv_timeout(FINISH_WITHIN).ok().flatten()
        });
        let kept = finished.await.ok().flatten()?;
        Some(Kept { lost: kept.lost + lost, ..kept })
    }

    /// The caller does not want it: the file goes.
    pub fn discard(mut self) {
        self.over = true;
        let (orders, id) = (self.orders.clone(), self.id);
        tokio::task::spawn_blocking(move || orders.send(Order::Discard { tape: id }));
    }

    fn hand_over(&mut self) {
        if let Some((path, head)) = self.place.take()
            && self.orders.try_send(Order::Open { tape: self.id, path, head, key: self.key.clone() }).is_err()
        {
            tracing::error!("the disk is too far behind to keep this call's journal");
        }
        let (bytes, records) = self.block();
        if self.orders.try_send(Order::Block { tape: self.id, bytes, records }).is_err() {
            self.untold += records;
            self.lost += records;
        }
    }

    /// What has gathered; with it goes how much is missing before it.
    fn block(&mut self) -> (Vec<u8>, u64) {
        let (bytes, records) = self.writer.take();
        if std::mem::take(&mut self.untold) == 0 {
            return (bytes, records);
        }
        let mut lost = Writer::default();
        lost.lost(self.lost);
        let (mut whole, _) = lost.take();
        whole.extend(bytes);
        (whole, records)
    }
}

/// A fault ended the call's task: its last second is what the report is about.
impl Drop for JournalTape {
    fn drop(&mut self) {
        if !self.over && self.beats > 0 {
            self.hand_over();
            let _ = self.orders.try_send(Order::Close { tape: self.id });
        }
    }
}

fn work(orders: &Receiver<Order>) {
    let mut files: HashMap<u64, JournalFile> = HashMap::new();
    while let Ok(order) = orders.recv() {
        match order {
            Order::Open { tape, path, head, key } => match JournalFile::create(&path, &head, key.as_deref()) {
                Ok(file) => {
                    files.insert(tape, file);
                }
                Err(why) => tracing::error!(%why, file = %path.display(), "a call goes on without a journal"),
            },
            Order::Block { tape, bytes, records } => {
                if let Some(file) = files.get_mut(&tape) {
                    file.block(&bytes, records);
                }
            }
            // Whoever asked may have given up waiting; the file is whole all the same.
            Order::Finish { tape, done } => drop(done.send(files.remove(&tape).map(JournalFile::finish))),
            Order::Close { tape } => {
                if let Some(file) = files.remove(&tape) {
                    file.finish();
                }
            }
            Order::Discard { tape } => {
                if let Some(file) = files.remove(&tape) {
                    file.discard();
                }
            }
        }
    }
}
