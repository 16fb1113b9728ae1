//! The rows about recordings on a store of objects: which are to be sent there, which lie there, which are to be taken away there.
//! Written beside the running server's own writer, for each of them has to be on the disk before the next step is taken.

use std::io;
use std::path::Path;
use std::time::Duration;

use sqlx::{ConnectOptions as _, Connection as _, FromRow, SqliteConnection};

use super::StoreError;
use super::opening::options;
use super::read::Reader;
use crate::journal::CallId;

/// A server beside this one writes in batches of milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// A finished recording that is not on the store yet.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Unstored {
    pub call: CallId,
    pub file: String,
    /// Of the sound, as in the row.
    pub sha256: String,
    /// What it is called on the store, where it has been sent or was about to be.
    pub object: Option<String>,
}

/// An object that no recording is any more, and that is still on the store.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Unremoved {
    pub object: String,
    pub call: CallId,
    /// False where it may have been on its way: only whoever sends objects knows when that is over.
    pub arrived: bool,
}

impl Reader {
    /// Finished recordings that are not on the store.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn unstored(&self) -> Result<Vec<Unstored>, StoreError> {
        let mut connection = self.connect().await?;
        let answer = sqlx::query_as(
            "SELECT call, file, sha256, object FROM recordings
             WHERE removed_utc_ms IS NULL AND stored_utc_ms IS NULL AND sha256 IS NOT NULL ORDER BY call",
        )
        .fetch_all(&mut connection)
        .await;
        self.done(connection, answer).await
    }

    /// Objects that are still to be taken away.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn unremoved(&self) -> Result<Vec<Unremoved>, StoreError> {
        let mut connection = self.connect().await?;
        let answer = sqlx::query_as("SELECT object, call, arrived FROM unremoved ORDER BY since_utc_ms")
            .fetch_all(&mut connection)
            .await;
        self.done(connection, answer).await
    }

    /// The files of recordings that are on the store: none of them should be in the folder.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn stored_files(&self) -> Result<Vec<String>, StoreError> {
        let mut connection = self.connect().await?;
        let answer = sqlx::query_scalar(
            "SELECT file FROM recordings WHERE removed_utc_ms IS NULL AND stored_utc_ms IS NOT NULL",
        )
        .fetch_all(&mut connection)
        .await;
        self.done(connection, answer).await
    }
}

async fn connected(path: &Path) -> Result<SqliteConnection, StoreError> {
    let options = options(path).busy_timeout(PATIENCE);
    options.connect().await.map_err(|error| StoreError::of(path, &error))
}

/// Says what a recording is going to be called on the store, before anything is sent. False where the recording is gone or has a name
/// already.
///
/// # Errors
/// When the file cannot be written.
pub async fn name_object(path: &Path, call: &str, object: &str) -> Result<bool, StoreError> {
    let mut connection = connected(path).await?;
    let named =
        sqlx::query("UPDATE recordings SET object = ?2 WHERE call = ?1 AND object IS NULL AND removed_utc_ms IS NULL")
            .bind(call)
            .bind(object)
            .execute(&mut connection)
            .await
            .map_err(|error| StoreError::of(path, &error))?;
    Ok(named.rows_affected() == 1)
}

/// Says that a recording is on the store, and has its file taken away by `take_away`. That is done while nobody else can write a row: a
/// redaction puts a new file in that place only after it has written its own. False where the row speaks of another object by now,
/// of other sound, or of a recording that is gone: then the file stays.
///
/// # Errors
/// When the file cannot be written, or `take_away` fails; the row stays as it was.
pub async fn object_stored(
    path: &Path,
    row: &Unstored,
    object: &str,
    at_utc_ms: i64,
    take_away: impl FnOnce() -> io::Result<()>,
) -> Result<bool, StoreError> {
    let of = |error: sqlx::Error| StoreError::of(path, &error);
    let mut connection = connected(path).await?;
    let mut alone = connection.begin_with("BEGIN IMMEDIATE").await.map_err(of)?;
    let stored = sqlx::query(
        "UPDATE recordings SET stored_utc_ms = ?4
         WHERE call = ?1 AND object = ?2 AND sha256 = ?3 AND removed_utc_ms IS NULL",
    )
    .bind(&row.call)
    .bind(object)
    .bind(&row.sha256)
    .bind(at_utc_ms)
    .execute(&mut *alone)
    .await
    .map_err(of)?;
    if stored.rows_affected() == 0 {
        return Ok(false);
    }
    take_away().map_err(|why| of(sqlx::Error::Io(why)))?;
    alone.commit().await.map_err(of)?;
    Ok(true)
}

/// An object is not on the store any more.
///
/// # Errors
/// When the file cannot be written.
pub async fn object_removed(path: &Path, object: &str) -> Result<(), StoreError> {
    let mut connection = connected(path).await?;
    let gone = sqlx::query("DELETE FROM unremoved WHERE object = ?1").bind(object).execute(&mut connection).await;
    gone.map(drop).map_err(|error| StoreError::of(path, &error))
}
