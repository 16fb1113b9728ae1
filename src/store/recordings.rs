//! The rows about recordings.

use serde::Serialize;
use sqlx::{FromRow, SqliteConnection};

use super::StoreError;
use super::read::Reader;
use super::rows::{Kept, whole};
use crate::journal::{CallId, Entry, RecordingGone};
use crate::recording::Whereabouts;

/// A call's recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow)]
pub struct RecordingView {
    /// Its name in the folder of recordings.
    pub file: String,
    pub started_ms: i64,
    /// These three are absent while it is written.
    pub duration_ms: Option<i64>,
    pub bytes: Option<i64>,
    pub sha256: Option<String>,
    pub lost_ms: i64,
    /// Since when it is gone, and why; absent while it is there.
    pub removed_utc_ms: Option<i64>,
    pub removed_why: Option<String>,
    /// The id of the key that it is sealed with.
    pub key_id: Option<String>,
    /// What it is called on the store, `s3://bucket/...`, where it is there or on its way.
    pub object: Option<String>,
    /// Since when it is there, and no more in the folder.
    pub stored_utc_ms: Option<i64>,
}

impl From<&RecordingView> for Whereabouts {
    fn from(row: &RecordingView) -> Self {
        Self { file: row.file.clone(), object: row.object.clone() }
    }
}

pub(super) async fn began(
    connection: &mut SqliteConnection,
    call: &CallId,
    file: &str,
    started_ms: u64,
    key_id: Option<&str>,
) -> Result<Kept, sqlx::Error> {
    sqlx::query("INSERT INTO recordings (call, file, started_ms, key_id) VALUES (?1, ?2, ?3, ?4)")
        .bind(call)
        .bind(file)
        .bind(whole(started_ms))
        .bind(key_id)
        .execute(connection)
        .await?;
    Ok(Kept::Yes)
}

pub(super) async fn kept(connection: &mut SqliteConnection, entry: &Entry) -> Result<Kept, sqlx::Error> {
    let Entry::RecordingKept { call, duration_ms, bytes, sha256, lost_ms } = entry else {
        return Ok(Kept::Refused("not a recording".into()));
    };
    sqlx::query(
        "UPDATE recordings SET duration_ms = ?2, bytes = ?3, sha256 = ?4, lost_ms = ?5 WHERE call = ?1 AND sha256 IS NULL",
    )
    .bind(call)
    .bind(whole(*duration_ms))
    .bind(whole(*bytes))
    .bind(sha256)
    .bind(whole(*lost_ms))
    .execute(connection)
    .await?;
    Ok(Kept::Yes)
}

/// The first reason stands.
pub(super) async fn gone(
    connection: &mut SqliteConnection,
    call: &CallId,
    why: RecordingGone,
    at_utc_ms: i64,
) -> Result<Kept, sqlx::Error> {
    sqlx::query(
        "UPDATE recordings SET removed_utc_ms = ?2, removed_why = ?3 WHERE call = ?1 AND removed_utc_ms IS NULL",
    )
    .bind(call)
    .bind(at_utc_ms)
    .bind(why.as_str())
    .execute(connection)
    .await?;
    Ok(Kept::Yes)
}

impl Reader {
    /// A call's recording; `None` where the call was not recorded.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn recording(&self, call: &str) -> Result<Option<RecordingView>, StoreError> {
        let mut connection = self.connect().await?;
        let answer =
            sqlx::query_as("SELECT * FROM recordings WHERE call = ?1").bind(call).fetch_optional(&mut connection).await;
        self.done(connection, answer).await
    }

    /// Recordings of calls that are over of which it is not known what they hold: call and file.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn unfinished_recordings(&self) -> Result<Vec<(CallId, String)>, StoreError> {
        self.recordings_where("sha256 IS NULL AND removed_utc_ms IS NULL AND calls.end_reason IS NOT NULL", 0).await
    }

    /// Recordings of calls that began before a moment: call and file.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn recordings_before(&self, utc_ms: i64) -> Result<Vec<(CallId, String)>, StoreError> {
        self.recordings_where("removed_utc_ms IS NULL AND calls.started_utc_ms < ?1", utc_ms).await
    }

    /// Recordings that are gone by their rows: their files should be, too.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn removed_recordings(&self) -> Result<Vec<(CallId, String)>, StoreError> {
        self.recordings_where("removed_utc_ms IS NOT NULL", 0).await
    }

    /// The keys that recordings and journals are sealed with which are there: id, and how many files.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn seal_keys(&self) -> Result<Vec<(String, i64)>, StoreError> {
        let mut connection = self.connect().await?;
        let answer = sqlx::query_as(
            "SELECT key_id, count(*) FROM (SELECT key_id, removed_utc_ms FROM recordings UNION ALL SELECT key_id, removed_utc_ms FROM journals)
             WHERE key_id IS NOT NULL AND removed_utc_ms IS NULL GROUP BY key_id",
        )
        .fetch_all(&mut connection)
        .await;
        self.done(connection, answer).await
    }

    async fn recordings_where(&self, which: &'static str, value: i64) -> Result<Vec<(CallId, String)>, StoreError> {
        let mut connection = self.connect().await?;
        let question = format!("SELECT call, file FROM recordings JOIN calls ON calls.id = call WHERE {which}");
        let answer = sqlx::query_as(sqlx::AssertSqlSafe(question)).bind(value).fetch_all(&mut connection).await;
        self.done(connection, answer).await
    }
}
