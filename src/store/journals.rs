//! The rows about input journals.

use serde::Serialize;
use sqlx::{FromRow, SqliteConnection};

use super::StoreError;
use super::read::Reader;
use super::rows::{Kept, whole};
use crate::journal::{CallId, Entry};

/// A call's input journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow)]
pub struct JournalView {
    /// Its name in the folder of recordings.
    pub file: String,
    /// These two are absent while it is written.
    pub bytes: Option<i64>,
    pub records: Option<i64>,
    pub lost: i64,
    /// Since when it is gone, and why; absent while it is there.
    pub removed_utc_ms: Option<i64>,
    pub removed_why: Option<String>,
    /// The id of the key that it is sealed with.
    pub key_id: Option<String>,
}

pub(super) async fn put(connection: &mut SqliteConnection, entry: &Entry) -> Result<Kept, sqlx::Error> {
    let statement = match entry {
        Entry::JournalBegan { call, file, key_id } => {
            let statement = sqlx::query("INSERT INTO journals (call, file, key_id) VALUES (?1, ?2, ?3)");
            statement.bind(call).bind(file).bind(key_id)
        }
        Entry::JournalKept { call, bytes, records, lost } => {
            sqlx::query("UPDATE journals SET bytes = ?2, records = ?3, lost = ?4 WHERE call = ?1 AND bytes IS NULL")
                .bind(call)
                .bind(whole(*bytes))
                .bind(whole(*records))
                .bind(whole(*lost))
        }
        // The first reason stands.
        Entry::JournalGone { call, why, at_utc_ms } => sqlx::query(
            "UPDATE journals SET removed_utc_ms = ?2, removed_why = ?3 WHERE call = ?1 AND removed_utc_ms IS NULL",
        )
        .bind(call)
        .bind(at_utc_ms)
        .bind(why.as_str()),
        _ => return Ok(Kept::Refused("not a journal".into())),
    };
    statement.execute(connection).await?;
    Ok(Kept::Yes)
}

impl Reader {
    /// A call's journal; `None` where none was kept.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn journal(&self, call: &str) -> Result<Option<JournalView>, StoreError> {
        let mut connection = self.connect().await?;
        let answer =
            sqlx::query_as("SELECT * FROM journals WHERE call = ?1").bind(call).fetch_optional(&mut connection).await;
        self.done(connection, answer).await
    }

    /// Journals of calls that are over of which it is not known what they hold: call and file.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn unfinished_journals(&self) -> Result<Vec<(CallId, String)>, StoreError> {
        let mut connection = self.connect().await?;
        let answer = sqlx::query_as(
            "SELECT call, file FROM journals JOIN calls ON calls.id = call
             WHERE bytes IS NULL AND removed_utc_ms IS NULL AND calls.end_reason IS NOT NULL",
        )
        .fetch_all(&mut connection)
        .await;
        self.done(connection, answer).await
    }

    /// Journals that are gone by their rows: their files should be, too.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn removed_journals(&self) -> Result<Vec<String>, StoreError> {
        let mut connection = self.connect().await?;
        let answer = sqlx::query_scalar("SELECT file FROM journals WHERE removed_utc_ms IS NOT NULL")
            .fetch_all(&mut connection)
            .await;
        self.done(connection, answer).await
    }
}
