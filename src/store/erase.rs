//! Taking a caller out of the file, so that no word of theirs is left in it: not in a row, not in the index, not in a page that
//! SQLite keeps for later. Works beside a running server.

use std::path::Path;
use std::time::Duration;

use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

use super::error::StoreError;
use super::opening::options;
use super::utc_ms;

/// A server beside this one writes in batches of milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who wants it: `erasures.asked_by` in SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedBy {
    Operator,
    Http,
}

impl AskedBy {
    /// As it stands in SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Http => "http",
        }
    }
}

/// What went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Erased {
    pub facts: i64,
    pub turns: i64,
    pub calls: i64,
}

/// What is deleted or emptied; `?1` is the caller. Calls, the times of turns and their outcomes stay, without a name and
/// without a word. Of calls that were connected with theirs the recordings go, and of those that took them over the words too. The caller's own row goes last: rows before it are found by it.
const STEPS: &[&str] = &[
    "DELETE FROM commitments WHERE caller_id = ?1",
    "DELETE FROM call_summaries WHERE call IN (SELECT call FROM heard_in WHERE caller_id = ?1 AND how <> 'bridged')",
    "DELETE FROM facts WHERE caller_id = ?1",
    "DELETE FROM judgements WHERE call IN (SELECT call FROM heard_in WHERE caller_id = ?1 AND how <> 'bridged')",
    "DELETE FROM notes WHERE call IN (SELECT call FROM heard_in WHERE caller_id = ?1 AND how <> 'bridged')",
    "DELETE FROM retrievals WHERE call IN (SELECT call FROM heard_in WHERE caller_id = ?1 AND how <> 'bridged')",
    "DELETE FROM searches WHERE call IN (SELECT call FROM heard_in WHERE caller_id = ?1 AND how <> 'bridged')",
    "DELETE FROM blocks WHERE caller_id = ?1",
    "DELETE FROM words WHERE call IN (SELECT call FROM heard_in WHERE caller_id = ?1 AND how <> 'bridged')",
    "DELETE FROM extractions WHERE call IN (SELECT call FROM heard_in WHERE caller_id = ?1 AND how <> 'bridged')",
    "DELETE FROM events WHERE call IN (SELECT call FROM heard_in WHERE caller_id = ?1 AND how <> 'bridged')",
    "UPDATE recordings SET removed_utc_ms = coalesce(removed_utc_ms, unixepoch() * 1000),
            removed_why = coalesce(removed_why, 'erased') WHERE call IN (SELECT call FROM heard_in WHERE caller_id = ?1)",
    "UPDATE journals SET removed_utc_ms = coalesce(removed_utc_ms, unixepoch() * 1000),
            removed_why = coalesce(removed_why, 'erased') WHERE call IN (SELECT call FROM heard_in WHERE caller_id = ?1 AND how <> 'bridged')",
    "UPDATE incidents SET detail = 'erased' WHERE call IN (SELECT call FROM heard_in WHERE caller_id = ?1 AND how <> 'bridged')",
    "UPDATE turns SET text = '', heard = CASE WHEN heard IS NULL THEN NULL ELSE '' END
     WHERE call IN (SELECT call FROM heard_in WHERE caller_id = ?1 AND how <> 'bridged')",
    "DELETE FROM turns_fts WHERE rowid IN (SELECT id FROM turns WHERE call IN (SELECT call FROM heard_in WHERE caller_id = ?1 AND how <> 'bridged'))",
    "DELETE FROM callers WHERE id = ?1",
];

/// Erases a caller, the recordings and journals in the folder `recordings` included; `None` where there is none of that name.
///
/// # Errors
/// When the file cannot be written. Nothing is erased then, or all of it: then only the tidying up of the file has failed,
/// and the error says so.
pub async fn erase(
    path: &Path,
    recordings: &Path,
    caller: &str,
    asked_by: AskedBy,
) -> Result<Option<Erased>, StoreError> {
    let of = |error: sqlx::Error| StoreError::of(path, &error);
    let mut connection = options(path)
        .busy_timeout(PATIENCE)
        // Freed pages are overwritten at once.
        .pragma("secure_delete", "ON")
        .connect()
        .await
        .map_err(of)?;
    let Some((erased, files)) = erase_rows(&mut connection, caller, asked_by).await.map_err(of)? else {
        return Ok(None);
    };
    // After the rows: a server that stops between the two takes the files away at its next start.
    for file in files {
        match std::fs::remove_file(recordings.join(&file)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let why = format!("the caller is erased, but the recording {file} is still there: {error}");
                return Err(StoreError::Failed { path: recordings.to_path_buf(), why });
            }
            _ => {}
        }
    }
    leave_nothing(&mut connection, path, "the caller is erased", "erase again").await?;
    connection.close().await.map_err(of)?;
    Ok(Some(erased))
}

/// What was deleted leaves the index and the pages of the file. `done` is what is so already, and `again` how to have this done once
/// more where it fails.
pub(super) async fn leave_nothing(
    connection: &mut SqliteConnection,
    path: &Path,
    done: &str,
    again: &str,
) -> Result<(), StoreError> {
    for tidy in [
        // One segment without the deleted words.
        "INSERT INTO facts_fts (facts_fts) VALUES ('optimize')",
        "INSERT INTO turns_fts (turns_fts) VALUES ('optimize')",
        "INSERT INTO said_fts (said_fts) VALUES ('optimize')",
        "VACUUM",
        "PRAGMA wal_checkpoint(TRUNCATE)",
    ] {
        sqlx::query(tidy).execute(&mut *connection).await.map_err(|error| StoreError::Failed {
            path: path.to_path_buf(),
            why: format!("{done}, but pages of before may still hold words; {again} to tidy up ({error})"),
        })?;
    }
    Ok(())
}

async fn erase_rows(
    connection: &mut SqliteConnection,
    caller: &str,
    asked_by: AskedBy,
) -> Result<Option<(Erased, Vec<String>)>, sqlx::Error> {
    let mut all_or_nothing = connection.begin_with("BEGIN IMMEDIATE").await?;
    let id: Option<i64> = sqlx::query_scalar("SELECT id FROM callers WHERE name = ?1")
        .bind(caller)
        .fetch_optional(&mut *all_or_nothing)
        .await?;
    let Some(id) = id else { return Ok(None) };
    let (facts, turns, calls): (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM facts WHERE caller_id = ?1),
                (SELECT count(*) FROM turns JOIN calls ON calls.id = call WHERE caller_id = ?1),
                (SELECT count(*) FROM calls WHERE caller_id = ?1)",
    )
    .bind(id)
    .fetch_one(&mut *all_or_nothing)
    .await?;
    let files = sqlx::query_scalar(
        "SELECT file FROM recordings WHERE call IN (SELECT call FROM heard_in WHERE caller_id = ?1)
         UNION SELECT file FROM journals WHERE call IN (SELECT call FROM heard_in WHERE caller_id = ?1 AND how <> 'bridged')",
    )
    .bind(id)
    .fetch_all(&mut *all_or_nothing)
    .await?;
    for step in STEPS {
        sqlx::query(*step).bind(id).execute(&mut *all_or_nothing).await?;
    }
    sqlx::query("INSERT INTO erasures (at_utc_ms, asked_by, facts, turns, calls) VALUES (?1, ?2, ?3, ?4, ?5)")
        .bind(utc_ms())
        .bind(asked_by.as_str())
        .bind(facts)
        .bind(turns)
        .bind(calls)
        .execute(&mut *all_or_nothing)
        .await?;
    all_or_nothing.commit().await?;
    Ok(Some((Erased { facts, turns, calls }, files)))
}
