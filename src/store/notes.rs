//! What reviewers have to say about a call.

use std::path::Path;

use sqlx::{Connection as _, SqliteConnection};

use super::StoreError;
use super::opening::options;

/// A reviewer's note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The call's name.
    pub call: String,
    /// The moment of the call that it is about, milliseconds; `None`: the whole of it.
    pub at_ms: Option<u32>,
    pub text: String,
    /// Who says so.
    pub by: String,
}

/// Why a note was not taken.
#[derive(Debug, thiserror::Error)]
pub enum NoteFault {
    #[error("there is no call {0}; `duologue review run last-calls` shows them")]
    NoCall(String),
    #[error("call {call} was over after {duration_ms} ms, and the note is about {at_ms} ms")]
    Beyond { call: String, at_ms: u32, duration_ms: i64 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Puts a note on a call, beside a running server too; its number.
///
/// # Errors
/// When there is no such call, it was over before that moment, or the file cannot be written.
pub async fn note(path: &Path, note: &Note) -> Result<i64, NoteFault> {
    let fault = |error: sqlx::Error| StoreError::of(path, &error);
    let mut connection = SqliteConnection::connect_with(&options(path)).await.map_err(fault)?;
    let duration: Option<Option<i64>> = sqlx::query_scalar("SELECT duration_ms FROM calls WHERE id = ?1")
        .bind(&note.call)
        .fetch_optional(&mut connection)
        .await
        .map_err(fault)?;
    let duration_ms = duration.ok_or_else(|| NoteFault::NoCall(note.call.clone()))?;
    if let (Some(at_ms), Some(duration_ms)) = (note.at_ms, duration_ms)
        && i64::from(at_ms) > duration_ms
    {
        return Err(NoteFault::Beyond { call: note.call.clone(), at_ms, duration_ms });
    }
    let id = sqlx::query_scalar(
        "INSERT INTO notes (call, at_ms, text, by, at_utc_ms)
         VALUES (?1, ?2, ?3, ?4, 1000 * unixepoch('now')) RETURNING id",
    )
    .bind(&note.call)
    .bind(note.at_ms)
    .bind(&note.text)
    .bind(&note.by)
    .fetch_one(&mut connection)
    .await
    .map_err(fault)?;
    connection.close().await.map_err(fault)?;
    Ok(id)
}

/// Takes a note away; whether it was there.
///
/// # Errors
/// When the file cannot be written.
pub async fn remove_note(path: &Path, call: &str, id: i64) -> Result<bool, StoreError> {
    let fault = |error: sqlx::Error| StoreError::of(path, &error);
    // What is taken away may be what should not have been written down.
    let options = options(path).pragma("secure_delete", "ON");
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(fault)?;
    let removed = sqlx::query("DELETE FROM notes WHERE call = ?1 AND id = ?2")
        .bind(call)
        .bind(id)
        .execute(&mut connection)
        .await
        .map_err(fault)?;
    connection.close().await.map_err(fault)?;
    Ok(removed.rows_affected() == 1)
}
