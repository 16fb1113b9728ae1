//! Judgements and blocks: their rows, and the questions that are asked about them.

use std::path::Path;

use serde::Serialize;
use sqlx::{Connection, FromRow, SqliteConnection};

use super::labels;
use super::opening::options;
use super::rows::{Kept, whole};
use super::{Reader, StoreError};
use crate::journal::{CallId, JudgementRow};

pub(super) async fn put_judgement(connection: &mut SqliteConnection, row: &JudgementRow) -> Result<Kept, sqlx::Error> {
    let odds: serde_json::Map<String, serde_json::Value> =
        row.probabilities.iter().map(|(action, p)| ((*action).to_owned(), f64::from(*p).into())).collect();
    let judgement = sqlx::query(
        "INSERT INTO judgements (call, turn, at_ms, moment, judge, text, proposed, action, overruled_by, reason, rests_on,
             probabilities, took_ms, situation)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )
    .bind(&row.call)
    .bind(row.turn)
    .bind(whole(row.at_ms))
    .bind(row.moment)
    .bind(row.judge)
    .bind(&row.text)
    .bind(row.proposed)
    .bind(row.action)
    .bind(row.overruled_by)
    .bind(row.reason)
    .bind(&row.rests_on)
    .bind(serde_json::Value::Object(odds).to_string())
    .bind(f64::from(row.took_ms))
    .bind(labels::situation(row).map(|shown| shown.to_string()))
    .execute(&mut *connection)
    .await?;
    if let Some(line) = &row.rests_on {
        rests_on(connection, &row.call, judgement.last_insert_rowid(), line).await?;
    }
    Ok(Kept::Yes)
}

/// The fact that a line is about: the one that holds, else the last that did. A quoted turn is none.
async fn rests_on(
    connection: &mut SqliteConnection,
    call: &CallId,
    judgement: i64,
    line: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO judgement_facts (judgement_id, fact_id)
         SELECT ?1, facts.id FROM facts JOIN calls ON calls.caller_id = facts.caller_id
         WHERE calls.id = ?2 AND facts.text = ?3 ORDER BY valid_to_utc_ms IS NOT NULL, facts.id DESC LIMIT 1",
    )
    .bind(judgement)
    .bind(call)
    .bind(line)
    .execute(connection)
    .await?;
    Ok(())
}

/// A caller without a name cannot be refused: the call has ended, and that is all.
pub(super) async fn put_block(
    connection: &mut SqliteConnection,
    call: &CallId,
    at_ms: u64,
    ttl_s: u64,
    reason: &str,
) -> Result<Kept, sqlx::Error> {
    sqlx::query(
        "INSERT INTO blocks (caller_id, call, reason, from_utc_ms, until_utc_ms)
         SELECT caller_id, id, ?3, started_utc_ms + ?2, started_utc_ms + ?2 + 1000 * ?4
         FROM calls WHERE id = ?1 AND caller_id IS NOT NULL",
    )
    .bind(call)
    .bind(whole(at_ms))
    .bind(reason)
    .bind(whole(ttl_s))
    .execute(connection)
    .await?;
    Ok(Kept::Yes)
}

/// A block as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow)]
pub struct BlockView {
    pub caller: String,
    pub call: String,
    pub reason: String,
    pub from_utc: String,
    pub until_utc: String,
    /// It holds now.
    pub active: bool,
}

impl Reader {
    /// A reader of a file that no server of this process has open.
    pub fn of_file(path: &Path) -> Self {
        Self::new(path)
    }

    /// All blocks, the newest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn blocks(&self) -> Result<Vec<BlockView>, StoreError> {
        let mut connection = self.connect().await?;
        let blocks = sqlx::query_as(
            "SELECT callers.name AS caller, call, reason,
                    strftime('%Y-%m-%dT%H:%M:%SZ', from_utc_ms / 1000.0, 'unixepoch') AS from_utc,
                    strftime('%Y-%m-%dT%H:%M:%SZ', min(until_utc_ms, coalesce(lifted_utc_ms, until_utc_ms)) / 1000.0, 'unixepoch')
                        AS until_utc,
                    lifted_utc_ms IS NULL AND until_utc_ms > 1000 * unixepoch('now') AS active
             FROM blocks JOIN callers ON callers.id = caller_id ORDER BY from_utc_ms DESC, blocks.id DESC",
        )
        .fetch_all(&mut connection)
        .await;
        self.done(connection, blocks).await
    }

    /// Until when this caller is refused; `None` where his calls are taken.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn blocked_until(&self, caller: &str) -> Result<Option<String>, StoreError> {
        let mut connection = self.connect().await?;
        let until: Result<Option<(String,)>, sqlx::Error> = sqlx::query_as(
            "SELECT strftime('%Y-%m-%dT%H:%M:%SZ', max(until_utc_ms) / 1000.0, 'unixepoch')
             FROM blocks JOIN callers ON callers.id = caller_id
             WHERE callers.name = ?1 AND lifted_utc_ms IS NULL AND until_utc_ms > 1000 * unixepoch('now')
             HAVING count(*) > 0",
        )
        .bind(caller)
        .fetch_optional(&mut connection)
        .await;
        Ok(self.done(connection, until).await?.map(|(until,)| until))
    }
}

/// Lifts the blocks of a caller, beside a running server too; says how many there were.
///
/// # Errors
/// When the file cannot be written.
pub async fn lift_block(path: &Path, caller: &str) -> Result<u64, StoreError> {
    let fault = |error: sqlx::Error| StoreError::of(path, &error);
    let mut connection = SqliteConnection::connect_with(&options(path)).await.map_err(fault)?;
    let done = sqlx::query(
        "UPDATE blocks SET lifted_utc_ms = 1000 * unixepoch('now')
         WHERE lifted_utc_ms IS NULL AND until_utc_ms > 1000 * unixepoch('now')
           AND caller_id = (SELECT id FROM callers WHERE name = ?1)",
    )
    .bind(caller)
    .execute(&mut connection)
    .await
    .map_err(fault)?;
    connection.close().await.map_err(fault)?;
    Ok(done.rows_affected())
}
