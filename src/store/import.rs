//! The rows of a call that was held elsewhere: all of them or none.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection};

use super::error::StoreError;
use super::opening::options;

/// A server beside this one writes in batches of milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Rows for one table: columns and values.
pub type ImportRow = Map<String, Value>;

/// A call as rows. `turns`, `words`, `judgements` and `events` have the columns of these tables, `call` left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImportedCall {
    pub call: String,
    pub caller: Option<String>,
    /// Of `calls`.
    pub columns: ImportRow,
    pub turns: Vec<ImportRow>,
    pub words: Vec<ImportRow>,
    pub judgements: Vec<ImportRow>,
    pub events: Vec<ImportRow>,
    pub summary: Option<String>,
    /// Of `recordings`, where there is one.
    pub recording: Option<ImportRow>,
    /// Of `imports`.
    pub origin: ImportRow,
}

const CALLS: &[&str] = &[
    "persona",
    "transport",
    "asr",
    "llm",
    "tts",
    "started_utc_ms",
    "ended_utc_ms",
    "duration_ms",
    "end_reason",
    "end_detail",
];
/// Of a turn, a word, a judgement and an event: what a vCon of ours tells and rows are made of again.
pub const TURNS: &[&str] = &[
    "turn",
    "speaker",
    "started_ms",
    "ended_ms",
    "text",
    "heard",
    "typed",
    "outcome",
    "action",
    "reason",
    "speech_end_ms",
    "turn_end_ms",
    "asr_ms",
    "judge_ms",
    "first_token_ms",
    "first_clause_ms",
    "first_audio_ms",
    "first_packet_ms",
];
pub const WORDS: &[&str] = &["text", "state", "generated_ms", "synthesised_ms", "sent_ms", "heard_ms", "heard_by"];
pub const JUDGEMENTS: &[&str] = &[
    "turn",
    "at_ms",
    "moment",
    "judge",
    "text",
    "proposed",
    "action",
    "overruled_by",
    "reason",
    "rests_on",
    "probabilities",
    "took_ms",
];
pub const EVENTS: &[&str] = &["at_ms", "type", "json"];
const RECORDINGS: &[&str] = &["file", "started_ms", "duration_ms", "bytes", "sha256", "key_id"];
const IMPORTS: &[&str] = &["at_utc_ms", "vcon", "made_by", "signed_by"];

/// Writes the rows; false where a call of this name is here already. Works beside a running server.
///
/// # Errors
/// When the file cannot be written, or a row breaks a rule of the schema; the text says which. Nothing is written then.
pub async fn import_call(path: &Path, call: &ImportedCall) -> Result<bool, StoreError> {
    let of = |error: sqlx::Error| StoreError::of(path, &error);
    let mut connection = options(path).busy_timeout(PATIENCE).connect().await.map_err(of)?;
    let mut together = connection.begin_with("BEGIN IMMEDIATE").await.map_err(of)?;
    let here: bool = sqlx::query_scalar("SELECT count(*) > 0 FROM calls WHERE id = ?1")
        .bind(&call.call)
        .fetch_one(&mut *together)
        .await
        .map_err(of)?;
    if here {
        return Ok(false);
    }
    put(&mut together, call).await.map_err(of)?;
    together.commit().await.map_err(of)?;
    connection.close().await.map_err(of)?;
    Ok(true)
}

async fn put(connection: &mut SqliteConnection, call: &ImportedCall) -> Result<(), sqlx::Error> {
    let id = &call.call;
    insert(connection, "calls", "id", id, CALLS, &call.columns).await?;
    if let Some(name) = &call.caller {
        // A caller of the same name is nobody's proof that it is the same person: no memory is made of an imported call.
        sqlx::query(
            "INSERT INTO callers (name, first_call_utc_ms, last_call_utc_ms)
             SELECT ?1, started_utc_ms, started_utc_ms FROM calls WHERE id = ?2 ON CONFLICT (name) DO NOTHING",
        )
        .bind(name)
        .bind(id)
        .execute(&mut *connection)
        .await?;
        sqlx::query("UPDATE calls SET caller_id = (SELECT id FROM callers WHERE name = ?1) WHERE id = ?2")
            .bind(name)
            .bind(id)
            .execute(&mut *connection)
            .await?;
    }
    let words = [&["turn", "n"], WORDS].concat();
    for (table, columns, rows) in [
        ("turns", TURNS, &call.turns),
        ("words", &words, &call.words),
        ("judgements", JUDGEMENTS, &call.judgements),
        ("events", EVENTS, &call.events),
    ] {
        for row in rows {
            insert(connection, table, "call", id, columns, row).await?;
        }
    }
    if let Some(text) = &call.summary {
        let statement = sqlx::query("INSERT INTO call_summaries (call, text) VALUES (?1, ?2)").bind(id).bind(text);
        statement.execute(&mut *connection).await?;
    }
    if let Some(row) = &call.recording {
        insert(connection, "recordings", "call", id, RECORDINGS, row).await?;
    }
    insert(connection, "imports", "call", id, IMPORTS, &call.origin).await
}

/// Of a row those columns that are known; others of it are not taken.
async fn insert(
    connection: &mut SqliteConnection,
    table: &str,
    key: &str,
    call: &str,
    columns: &[&str],
    row: &ImportRow,
) -> Result<(), sqlx::Error> {
    let there: Vec<&str> =
        columns.iter().copied().filter(|name| row.get(*name).is_some_and(|value| !value.is_null())).collect();
    let names: Vec<&str> = std::iter::once(key).chain(there.iter().copied()).collect();
    let places: Vec<String> = (1..=names.len()).map(|n| format!("?{n}")).collect();
    let statement = format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), places.join(", "));
    let mut statement = sqlx::query(AssertSqlSafe(statement)).bind(call);
    for name in there {
        statement = match &row[name] {
            Value::String(text) => statement.bind(text.clone()),
            Value::Bool(is) => statement.bind(*is),
            Value::Number(number) if number.is_i64() => statement.bind(number.as_i64()),
            Value::Number(number) => statement.bind(number.as_f64()),
            other => statement.bind(other.to_string()),
        };
    }
    statement.execute(connection).await.map(drop)
}
