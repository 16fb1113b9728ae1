//! What all recordings of a server share: their folder, how callers are told, how long they are kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use super::moving::Moving;
use super::sealed::SealKey;
use super::shelf::RecordingShelf;
use super::silence::{settle_place, waiting_in};
use super::tape::Tape;
use super::thread::{self, Order, Place};
use crate::journal::{CallId, Entry, RecordingGone};
use crate::replay;
use crate::store::{Reader, Recorder, utc_ms};

/// How a caller learns that the call is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Consent {
    /// By the event alone: the client shows it.
    Silent,
    /// By a short tone at the beginning.
    Tone,
    /// By these words, before the greeting.
    Announced(String),
}

/// What every call of this server shares of it.
pub struct RecordingHouse {
    folder: PathBuf,
    consent: Consent,
    key: Option<Arc<SealKey>>,
    orders: SyncSender<Order>,
    next: AtomicU64,
}

impl RecordingHouse {
    /// Makes the folder, if it is not there, and the thread.
    ///
    /// # Errors
    /// When neither can be had; the text names the way out.
    pub fn open(folder: &Path, consent: Consent) -> Result<Self, String> {
        let cannot = |why: std::io::Error| {
            format!("cannot record into {}: {why}; set recording.dir, or recording.calls = \"off\"", folder.display())
        };
        std::fs::create_dir_all(folder).map_err(cannot)?;
        let orders = thread::start().map_err(cannot)?;
        Ok(Self { folder: folder.to_path_buf(), consent, key: None, orders, next: AtomicU64::new(0) })
    }

    /// New recordings are sealed with this.
    pub fn sealed_with(mut self, key: Option<Arc<SealKey>>) -> Self {
        self.key = key;
        self
    }

    /// How callers are told.
    pub const fn consent(&self) -> &Consent {
        &self.consent
    }

    /// Waits until everything that was ordered so far is done.
    #[cfg(test)]
    pub(super) fn settle(&self) {
        let (done, settled) = std::sync::mpsc::sync_channel(1);
        if self.orders.send(Order::Settle(done)).is_ok() {
            let _ = settled.recv();
        }
    }

    /// Begins a call's recording; its file is made at the first tick's time.
    pub fn begin(&self, call: &CallId, persona: &str, started_utc_ms: i64) -> Tape {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let comments = vec![
            ("CALL", call.clone()),
            ("PERSONA", persona.to_owned()),
            ("STARTED_UTC_MS", started_utc_ms.to_string()),
        ];
        let place = Place { path: self.folder.join(file_of(call)), comments, key: self.key.clone() };
        Tape::new(self.orders.clone(), id, place)
    }
}

/// The name of a call's file in the folder.
pub fn file_of(call: &CallId) -> String {
    format!("{call}.ogg")
}

/// Takes a recording out of the folder, the call's journal with it, and says so in their rows.
///
/// # Errors
/// When the file is there and cannot be taken away.
pub fn remove(
    folder: &Path,
    file: &str,
    call: CallId,
    why: RecordingGone,
    recorder: &Recorder,
    at_utc_ms: i64,
) -> std::io::Result<()> {
    match std::fs::remove_file(folder.join(file)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    replay::remove(folder, &call, why, recorder, at_utc_ms)?;
    recorder.record(Entry::RecordingGone { call, why, at_utc_ms });
    Ok(())
}

/// Keeps the folder: files whose server died get their rows' numbers, finished ones move to the store where there is one, old ones go.
pub struct Housekeeping {
    pub shelf: RecordingShelf,
    pub store: Reader,
    pub recorder: Recorder,
    /// Recordings older than this go; `None` keeps all of them.
    pub keep: Option<Duration>,
}

/// How often old recordings are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(3_600);

impl Housekeeping {
    /// Looks after the folder until it is dropped.
    pub async fn run(self) {
        self.mend().await;
        loop {
            self.sweep(utc_ms()).await;
            let next = tokio::time::Instant::now() + SWEEP_EVERY;
            let mut moving = Moving::default();
            if self.shelf.objects.is_none() {
                tokio::time::sleep_until(next).await;
            }
            while tokio::time::Instant::now() < next {
                self.move_out(&mut moving).await;
                tokio::time::sleep(moving.pause).await;
            }
        }
    }

    /// Files that a crash broke off: what they hold becomes known. Files whose rows say that they are gone go.
    pub async fn mend(&self) {
        for (id, files) in self.store.seal_keys().await.unwrap_or_default() {
            if self.shelf.keys.of(&id).is_none() {
                tracing::warn!(
                    key = id,
                    files,
                    "recordings and journals are sealed with a key that is not here: nobody hears them; name it among recording.old_key_files"
                );
            }
        }
        for (_, file) in self.store.removed_recordings().await.unwrap_or_default() {
            // An erasure that was cut short.
            let _ = std::fs::remove_file(self.shelf.path(&file));
        }
        for file in self.store.stored_files().await.unwrap_or_default() {
            // The row was kept when the power failed, and the folder's change was not.
            let _ = std::fs::remove_file(self.shelf.path(&file));
        }
        for (call, path) in waiting_in(&self.shelf.folder) {
            // A redaction that was cut short.
            let row = self.store.recording(&call).await.ok().flatten().filter(|row| row.removed_utc_ms.is_none());
            settle_place(&self.shelf, &path, row.and_then(|row| row.sha256).as_deref());
        }
        for file in self.store.removed_journals().await.unwrap_or_default() {
            let _ = std::fs::remove_file(self.shelf.path(&file));
        }
        for (call, file) in self.store.unfinished_journals().await.unwrap_or_default() {
            let (path, keys) = (self.shelf.path(&file), self.shelf.keys.clone());
            if let Ok(Ok(opened)) = tokio::task::spawn_blocking(move || replay::open(&path, &keys)).await {
                let (bytes, records) = (opened.bytes as u64, opened.journal.records.len() as u64);
                self.recorder.record(Entry::JournalKept { call, bytes, records, lost: 0 });
            }
        }
        let Ok(broken) = self.store.unfinished_recordings().await else { return };
        for (call, file) in broken {
            let shelf = self.shelf.clone();
            let Ok(Ok((duration_ms, bytes, sha256))) =
                tokio::task::spawn_blocking(move || shelf.length_of(&file)).await
            else {
                continue;
            };
            self.recorder.record(Entry::RecordingKept { call, duration_ms, bytes, sha256, lost_ms: 0 });
        }
    }

    /// Takes out what is older than it may be at `now_utc_ms`.
    pub async fn sweep(&self, now_utc_ms: i64) {
        let Some(keep) = self.keep else { return };
        let before = now_utc_ms - i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
        let Ok(old) = self.store.recordings_before(before).await else { return };
        for (call, file) in old {
            if let Err(why) =
                remove(&self.shelf.folder, &file, call, RecordingGone::Retention, &self.recorder, now_utc_ms)
            {
                tracing::warn!(%why, file, "a recording stays longer than it may");
            }
        }
    }
}
