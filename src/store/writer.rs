//! The one task that writes: it takes what is waiting, commits it as one transaction, and when the disk refuses, keeps
//! a bounded backlog and tries again.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::error::{NotKept, StoreError};
use super::rows::{self, Kept};
use super::utc_ms;
use super::{Order, Tally};
use crate::journal::Entry;

/// How long the first entry waits for company: one wait for the disk then serves all of them. A flush ends it.
const GATHERING: Duration = Duration::from_millis(10);

/// Entries in one transaction: some 10 ms of work, so that a flush never waits long behind it.
const BATCH: usize = 1_024;

/// Entries that are kept in memory while the disk refuses: minutes of a busy server, at most some 16 MiB.
const BACKLOG: usize = 32_768;

/// Pauses between attempts while the disk refuses, doubling.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Attempts of a store that is being closed while the disk refuses: with the pauses some 3 s.
const LAST_ATTEMPTS: u32 = 5;

/// The disk refuses.
struct Failing {
    pause: Duration,
    next: Instant,
    error: StoreError,
}

/// The writer's state.
pub(super) struct Writer {
    path: PathBuf,
    connection: SqliteConnection,
    orders: mpsc::Receiver<Order>,
    tally: Arc<Tally>,
    backlog: VecDeque<Entry>,
    waiting: Vec<oneshot::Sender<Result<(), NotKept>>>,
    failing: Option<Failing>,
    /// Lost entries that `incidents` already tells of.
    lost_told: u64,
}

impl Writer {
    pub(super) fn new(
        path: PathBuf,
        connection: SqliteConnection,
        orders: mpsc::Receiver<Order>,
        tally: Arc<Tally>,
    ) -> Self {
        Self {
            path,
            connection,
            orders,
            tally,
            backlog: VecDeque::new(),
            waiting: Vec::new(),
            failing: None,
            lost_told: 0,
        }
    }

    /// Writes until the store is closed or nobody can record any more.
    pub(super) async fn run(mut self) {
        while self.gather().await {
            self.write().await;
        }
        self.finish().await;
    }

    /// Takes orders until it is time to write; `false` when no more will come.
    async fn gather(&mut self) -> bool {
        let mut until = self.failing.as_ref().map(|failing| failing.next);
        while self.waiting.is_empty() && (self.failing.is_some() || self.backlog.len() < BATCH) {
            let order = match until {
                Some(moment) => match timeout_at(moment, self.orders.recv()).await {
                    Ok(order) => order,
                    Err(_) => return true,
                },
                None => self.orders.recv().await,
            };
            match order {
                Some(Order::Keep(entry)) => self.push(entry),
                Some(Order::Flush(done)) => self.waiting.push(done),
                Some(Order::Close) | None => return false,
            }
            until = until.or_else(|| Some(Instant::now() + GATHERING));
        }
        true
    }

    fn push(&mut self, entry: Entry) {
        if self.backlog.len() < BACKLOG {
            self.backlog.push_back(entry);
        } else {
            self.tally.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes the backlog and answers those who wait for it.
    async fn write(&mut self) {
        while !self.backlog.is_empty() || self.tally.lost.load(Ordering::Relaxed) > self.lost_told {
            if let Err(error) = self.commit().await {
                self.refused_by_disk(StoreError::of(&self.path, &error));
                break;
            }
            if self.failing.take().is_some() {
                let lost = self.tally.lost.load(Ordering::Relaxed);
                tracing::info!(path = %self.path.display(), lost, "the database can be written again");
            }
        }
        let answer = self.failing.as_ref().map_or(Ok(()), |failing| Err(NotKept::Failing(failing.error.clone())));
        for done in self.waiting.drain(..) {
            // Whoever asked may have gone away meanwhile.
            let _gone = done.send(answer.clone());
        }
    }

    /// One transaction: as much of the backlog as fits, and word of what was lost before it.
    ///
    /// BEGIN and COMMIT are plain statements: sqlx counts the depth of its own transactions, and SQLite ends one by
    /// itself when the disk is full, after which sqlx refuses every further one.
    async fn commit(&mut self) -> Result<(), sqlx::Error> {
        let lost = self.tally.lost.load(Ordering::Relaxed);
        let count = self.backlog.len().min(BATCH);
        sqlx::query("BEGIN IMMEDIATE").execute(&mut self.connection).await?;
        let written = match self.put_batch(count, lost - self.lost_told).await {
            Ok(refused) => sqlx::query("COMMIT").execute(&mut self.connection).await.map(|_| refused),
            Err(error) => Err(error),
        };
        let refused = match written {
            Ok(refused) => refused,
            Err(error) => {
                // Fails where SQLite has rolled back already.
                let _rolled_back = sqlx::query("ROLLBACK").execute(&mut self.connection).await;
                return Err(error);
            }
        };
        self.backlog.drain(..count);
        self.lost_told = lost;
        self.tally.kept.fetch_add((count - refused.len()) as u64, Ordering::Relaxed);
        for why in refused {
            let before = self.tally.refused.fetch_add(1, Ordering::Relaxed);
            // Ever more rarely: one broken caller of the store must not fill the log.
            if (before + 1).is_power_of_two() {
                tracing::warn!(refused = before + 1, why, "an entry was refused; the table incidents has it");
            }
        }
        Ok(())
    }

    /// Puts the first `count` entries into the open transaction; gives why some of them were refused.
    async fn put_batch(&mut self, count: usize, newly_lost: u64) -> Result<Vec<String>, sqlx::Error> {
        let mut refused = Vec::new();
        if newly_lost > 0 {
            rows::tell_lost(&mut self.connection, utc_ms(), newly_lost).await?;
        }
        for entry in self.backlog.iter().take(count) {
            if let Kept::Refused(why) = rows::put(&mut self.connection, entry).await? {
                rows::tell_refused(&mut self.connection, utc_ms(), entry, &why).await?;
                refused.push(why);
            }
        }
        Ok(refused)
    }

    /// Plans the next attempt; tells the log the first time and when the reason changes.
    fn refused_by_disk(&mut self, error: StoreError) {
        let pause = match &self.failing {
            Some(failing) => (failing.pause * 2).min(LONGEST_PAUSE),
            None => FIRST_PAUSE,
        };
        if self.failing.as_ref().is_none_or(|failing| failing.error != error) {
            tracing::error!(%error, waiting = self.backlog.len(), "calls cannot be written; they go on, and up to {BACKLOG} entries are kept in memory");
        }
        self.failing = Some(Failing { pause, next: Instant::now() + pause, error });
    }

    /// Takes what is still in the queue, writes it, closes the file.
    async fn finish(mut self) {
        self.orders.close();
        while let Some(order) = self.orders.recv().await {
            match order {
                Order::Keep(entry) => self.push(entry),
                Order::Flush(done) => self.waiting.push(done),
                Order::Close => {}
            }
        }
        for _attempt in 0..LAST_ATTEMPTS {
            self.write().await;
            match &self.failing {
                Some(failing) => tokio::time::sleep_until(failing.next).await,
                None => break,
            }
        }
        if !self.backlog.is_empty() {
            self.tally.lost.fetch_add(self.backlog.len() as u64, Ordering::Relaxed);
            tracing::error!(path = %self.path.display(), entries = self.backlog.len(), "closed with entries that could not be written");
        }
        if let Err(error) = self.connection.close().await {
            tracing::warn!(path = %self.path.display(), %error, "the database did not close cleanly; what was acknowledged is in it");
        }
    }
}
