//! Rows that speak of what is lost: after a recovery each of them points at something that is there, or at nothing.

use sqlx::{AssertSqlSafe, SqliteConnection};
use uuid::Uuid;

/// A row that goes takes others with it, and these others: there are no longer chains.
const ROUNDS: u32 = 8;

/// Calls whose own row is lost get one again, with what their name tells (a version 7 UUID has its moment in it) and what is known of
/// when they ended: their turns can be found. How many.
pub(super) async fn name_calls(connection: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let lost: Vec<String> = sqlx::query_scalar(
        "SELECT call FROM turns UNION SELECT call FROM events UNION SELECT call FROM recordings EXCEPT SELECT id FROM calls",
    )
    .fetch_all(&mut *connection)
    .await
    .unwrap_or_default();
    for call in &lost {
        let stamp = Uuid::try_parse(call).ok().and_then(|id| id.get_timestamp());
        let seconds = stamp.map_or(0, |stamp| stamp.to_unix().0);
        sqlx::query(
            "INSERT INTO calls (id, persona, transport, asr, llm, tts, started_utc_ms, ended_utc_ms, duration_ms, end_reason, end_detail)
             SELECT ?1, 'unknown', 'unknown', 'unknown', 'unknown', 'unknown', ?2, ?2 + last.ms, last.ms, 'crash',
                    'the row of this call was lost in a damaged database'
             FROM (SELECT max(coalesce((SELECT max(at_ms) FROM events WHERE call = ?1), 0),
                              coalesce((SELECT max(ended_ms) FROM turns WHERE call = ?1), 0)) AS ms) AS last",
        )
        .bind(call)
        .bind(i64::try_from(seconds).unwrap_or(0).saturating_mul(1_000))
        .execute(&mut *connection)
        .await?;
        // Its sums are made by the trigger of a call that ends.
        let ends = "UPDATE calls SET end_reason = end_reason WHERE id = ?1";
        sqlx::query(ends).bind(call).execute(&mut *connection).await?;
    }
    Ok(lost.len() as u64)
}

/// Rows that point at what is not there point at nothing, where they may, and go otherwise. How many.
pub(super) async fn settle(connection: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let keys: Vec<(String, i64, String, String, String, bool)> = sqlx::query_as(
        "SELECT tables.name, keys.id, keys.\"table\", keys.\"from\",
                coalesce(keys.\"to\", (SELECT name FROM pragma_table_info(keys.\"table\") WHERE pk = 1)),
                NOT (SELECT \"notnull\" OR pk > 0 FROM pragma_table_info(tables.name) AS of WHERE of.name = keys.\"from\")
         FROM pragma_table_list AS tables, pragma_foreign_key_list(tables.name) AS keys
         WHERE tables.schema = 'main' AND tables.type = 'table' ORDER BY tables.name, keys.id, keys.seq",
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut all = 0;
    for _ in 0..ROUNDS {
        let mut changed = 0;
        for of_one in keys.chunk_by(|one, next| one.0 == next.0 && one.1 == next.1) {
            let (table, _, parent, ..) = &of_one[0];
            let is = |join: &str, each: &dyn Fn(&str, &str) -> String| {
                of_one.iter().map(|(_, _, _, from, to, _)| each(from, to)).collect::<Vec<_>>().join(join)
            };
            let points = is(" AND ", &|from, _| format!("\"{table}\".\"{from}\" IS NOT NULL"));
            let there = is(" AND ", &|from, to| format!("there.\"{to}\" = \"{table}\".\"{from}\""));
            let loose = format!("{points} AND NOT EXISTS (SELECT 1 FROM \"{parent}\" AS there WHERE {there})");
            let nothing = is(", ", &|from, _| format!("\"{from}\" = NULL"));
            let statement = if of_one.iter().all(|(.., may_be_null)| *may_be_null) {
                format!("UPDATE \"{table}\" SET {nothing} WHERE {loose}")
            } else {
                format!("DELETE FROM \"{table}\" WHERE {loose}")
            };
            changed += sqlx::query(AssertSqlSafe(statement)).execute(&mut *connection).await?.rows_affected();
        }
        all += changed;
        if changed == 0 {
            break;
        }
    }
    Ok(all)
}
