//! Single facts put right or taken out by whoever they are about. Works beside a running server.

use std::path::Path;
use std::time::Duration;

use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

use super::error::StoreError;
use super::opening::options;
use super::utc_ms;

/// A server beside this one writes in batches of milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// The fact and the caller that a change is about.
const OWNED: &str = "SELECT facts.value, facts.text FROM facts JOIN callers ON callers.id = caller_id
     WHERE facts.id = ?1 AND callers.name = ?2 AND valid_to_utc_ms IS NULL";

/// Gives a fact that holds another value. What stood there is kept as something that never held: it is no change of mind that
/// somebody could be reminded of. The new row's id; `None` where the caller has no such fact that holds.
///
/// # Errors
/// When the file cannot be written. Nothing is changed then.
pub async fn correct_fact(path: &Path, caller: &str, fact: i64, value: &str) -> Result<Option<i64>, StoreError> {
    change(path, async |connection| correct(connection, caller, fact, value).await).await
}

/// Takes a fact out, the values before it too. False where the caller has no such fact that holds.
///
/// # Errors
/// When the file cannot be written. Nothing is changed then.
pub async fn forget_fact(path: &Path, caller: &str, fact: i64) -> Result<bool, StoreError> {
    change(path, async |connection| forget(connection, caller, fact).await).await
}

async fn change<T>(
    path: &Path,
    work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, sqlx::Error>,
) -> Result<T, StoreError> {
    let of = |error: sqlx::Error| StoreError::of(path, &error);
    // Freed pages are overwritten at once: what was to be forgotten is gone from the file.
    let options = options(path).busy_timeout(PATIENCE).pragma("secure_delete", "ON");
    let mut connection = options.connect().await.map_err(of)?;
    let mut all_or_nothing = connection.begin_with("BEGIN IMMEDIATE").await.map_err(of)?;
    let done = work(&mut all_or_nothing).await.map_err(of)?;
    all_or_nothing.commit().await.map_err(of)?;
    connection.close().await.map_err(of)?;
    Ok(done)
}

async fn correct(
    connection: &mut SqliteConnection,
    caller: &str,
    fact: i64,
    value: &str,
) -> Result<Option<i64>, sqlx::Error> {
    let found: Option<(String, String)> =
        sqlx::query_as(OWNED).bind(fact).bind(caller).fetch_optional(&mut *connection).await?;
    let Some((before, line)) = found else { return Ok(None) };
    if before == value {
        return Ok(Some(fact));
    }
    sqlx::query("UPDATE facts SET valid_to_utc_ms = valid_from_utc_ms WHERE id = ?1")
        .bind(fact)
        .execute(&mut *connection)
        .await?;
    let now = sqlx::query(
        "INSERT INTO facts (caller_id, kind, subject, predicate, value, slot, text, day, confidence, source_turn_id,
                            last_said_utc_ms, valid_from_utc_ms)
         SELECT caller_id, kind, subject, predicate, ?2, slot, ?3, day, 1.0, NULL, ?4, ?4 FROM facts WHERE id = ?1",
    )
    .bind(fact)
    .bind(value)
    .bind(reworded(&line, &before, value))
    .bind(utc_ms())
    .execute(&mut *connection)
    .await?
    .last_insert_rowid();
    sqlx::query("UPDATE facts SET superseded_by = ?2 WHERE id = ?1").bind(fact).bind(now).execute(connection).await?;
    Ok(Some(now))
}

/// A fact's line ends with its value.
fn reworded(line: &str, before: &str, value: &str) -> String {
    line.strip_suffix(before).map_or_else(|| value.to_owned(), |head| format!("{head}{value}"))
}

async fn forget(connection: &mut SqliteConnection, caller: &str, fact: i64) -> Result<bool, sqlx::Error> {
    let found: Option<(String, String)> =
        sqlx::query_as(OWNED).bind(fact).bind(caller).fetch_optional(&mut *connection).await?;
    let Some((_, line)) = found else { return Ok(false) };
    // What a judgement quoted of it goes too; that it was judged stays.
    sqlx::query(
        "UPDATE judgements SET rests_on = CASE WHEN rests_on = ?1 THEN NULL ELSE rests_on END, situation = NULL
         WHERE (rests_on = ?1 OR instr(situation, ?1) > 0)
           AND call IN (SELECT calls.id FROM calls JOIN callers ON callers.id = caller_id WHERE name = ?2)",
    )
    .bind(line)
    .bind(caller)
    .execute(&mut *connection)
    .await?;
    let gone = sqlx::query(
        "WITH RECURSIVE gone (id) AS (
             SELECT ?1 UNION SELECT facts.id FROM facts JOIN gone ON facts.superseded_by = gone.id)
         DELETE FROM facts WHERE id IN (SELECT id FROM gone)",
    )
    .bind(fact)
    .execute(&mut *connection)
    .await?
    .rows_affected();
    sqlx::query("INSERT INTO erasures (at_utc_ms, asked_by, facts, turns, calls) VALUES (?1, 'http', ?2, 0, 0)")
        .bind(utc_ms())
        .bind(i64::try_from(gone).unwrap_or(i64::MAX))
        .execute(connection)
        .await?;
    Ok(true)
}
