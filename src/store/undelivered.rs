//! The rows about what the receiver of webhooks was not told.

use sqlx::SqliteConnection;

use super::rows::{Kept, whole};
use crate::journal::UndeliveredRow;

pub(super) async fn put(connection: &mut SqliteConnection, row: &UndeliveredRow) -> Result<Kept, sqlx::Error> {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    sqlx::query(
        "INSERT INTO undelivered (at_utc_ms, call, type, message, messages, attempts, why)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )
    .bind(row.at_utc_ms)
    .bind(&row.call)
    .bind(some(row.kind))
    .bind(some(&row.message))
    .bind(whole(row.messages))
    .bind(row.attempts)
    .bind(&row.why)
    .execute(connection)
    .await?;
    Ok(Kept::Yes)
}
