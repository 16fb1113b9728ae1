//! The rows about calls that are connected with one another.

use sqlx::SqliteConnection;

use super::rows::{Kept, whole};
use crate::journal::BridgeRow;

pub(super) async fn put(connection: &mut SqliteConnection, row: &BridgeRow) -> Result<Kept, sqlx::Error> {
    let count = |of: Option<u64>| whole(of.unwrap_or_default());
    let end = row.end.as_ref();
    sqlx::query(
        "INSERT INTO bridges (id, call, other, kind, asked_utc_ms, joined_utc_ms, ended_utc_ms, outcome, passed, missing, dropped, relayed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         ON CONFLICT (id) DO UPDATE SET joined_utc_ms = excluded.joined_utc_ms, ended_utc_ms = excluded.ended_utc_ms,
             outcome = excluded.outcome, passed = excluded.passed, missing = excluded.missing, dropped = excluded.dropped,
             relayed = excluded.relayed",
    )
    .bind(&row.id)
    .bind(&row.call)
    .bind(&row.other)
    .bind(row.kind)
    .bind(row.asked_utc_ms)
    .bind(row.joined_utc_ms)
    .bind(end.map(|end| end.at_utc_ms))
    .bind(end.map(|end| end.outcome))
    .bind(count(end.map(|end| end.passed)))
    .bind(count(end.map(|end| end.missing)))
    .bind(count(end.map(|end| end.dropped)))
    .bind(count(end.map(|end| end.relayed)))
    .execute(connection)
    .await?;
    Ok(Kept::Yes)
}

/// Ends what a crash has left open, with the call that it was about.
pub(super) async fn close_crashed(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE bridges SET outcome = 'crash',
             ended_utc_ms = max(coalesce(joined_utc_ms, asked_utc_ms), coalesce((SELECT ended_utc_ms FROM calls WHERE id = call), 0))
         WHERE outcome IS NULL",
    )
    .execute(connection)
    .await?;
    Ok(())
}
