//! Everything that the database has of one call.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::recording::Whereabouts;
use crate::review::{AskFault, Limits, ask_with};

/// A row by the names of its columns.
pub type Row = Map<String, Value>;

/// What is gathered, and how; `?1` is the call. Facts and promises are those that rest on a turn of it.
const TABLES: &[(&str, &str)] = &[
    (
        "calls",
        "SELECT calls.*, callers.name AS caller FROM calls LEFT JOIN callers ON callers.id = caller_id WHERE calls.id = ?1",
    ),
    ("turns", "SELECT * FROM turns WHERE call = ?1 ORDER BY turn"),
    ("words", "SELECT * FROM words WHERE call = ?1 ORDER BY turn, n"),
    ("judgements", "SELECT * FROM judgements WHERE call = ?1 ORDER BY id"),
    (
        "labels",
        "SELECT labels.* FROM labels JOIN judgements ON judgements.id = judgement_id WHERE call = ?1 ORDER BY labels.id",
    ),
    ("notes", "SELECT id, at_ms, text, by, at_utc_ms FROM notes WHERE call = ?1 ORDER BY at_ms, id"),
    ("events", "SELECT at_ms, type, json FROM events WHERE call = ?1 ORDER BY at_ms, id"),
    (
        "facts",
        "SELECT facts.* FROM facts JOIN turns ON turns.id = source_turn_id WHERE turns.call = ?1 ORDER BY facts.id",
    ),
    (
        "commitments",
        "SELECT commitments.* FROM commitments JOIN turns ON turns.id = source_turn_id WHERE turns.call = ?1
         ORDER BY commitments.id",
    ),
    ("retrievals", "SELECT * FROM retrievals WHERE call = ?1 ORDER BY id"),
    ("searches", "SELECT * FROM searches WHERE call = ?1 ORDER BY id"),
    ("topics", "SELECT * FROM topics WHERE call = ?1 ORDER BY at_ms"),
    ("call_summaries", "SELECT * FROM call_summaries WHERE call = ?1"),
    ("downlink_stats", "SELECT * FROM downlink_stats WHERE call = ?1 ORDER BY at_ms"),
    ("lateness", "SELECT * FROM lateness WHERE call = ?1 ORDER BY most_ms"),
    ("playout_reports", "SELECT * FROM playout_reports WHERE call = ?1"),
    ("recordings", "SELECT * FROM recordings WHERE call = ?1"),
    ("imports", "SELECT * FROM imports WHERE call = ?1"),
    ("redactions", "SELECT * FROM redactions WHERE call = ?1 ORDER BY id"),
];

/// A call of hours has some hundred thousand rows.
const LIMITS: Limits = Limits { time: Duration::from_secs(30), rows: 2_000_000, bytes: 1 << 30 };

/// The rows of one call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gathered {
    tables: BTreeMap<&'static str, Vec<Row>>,
}

impl Gathered {
    /// Reads them; `None` where there is no such call.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn of(database: &Path, call: &str) -> Result<Option<Self>, AskFault> {
        let mut tables = BTreeMap::new();
        for (name, question) in TABLES {
            let rows = ask_with(database, question, &[call.into()], LIMITS).await?.objects();
            if *name == "calls" && rows.is_empty() {
                return Ok(None);
            }
            tables.insert(*name, rows);
        }
        Ok(Some(Self { tables }))
    }

    /// The rows of a table.
    pub fn rows(&self, table: &str) -> &[Row] {
        self.tables.get(table).map_or(&[], Vec::as_slice)
    }

    fn of_call(&self, column: &str) -> Option<&Value> {
        self.rows("calls").first()?.get(column)
    }

    /// A column of the call's own row, where it is a text.
    pub fn text(&self, column: &str) -> Option<&str> {
        self.of_call(column)?.as_str()
    }

    /// The same, where it is a whole number.
    pub fn number(&self, column: &str) -> Option<i64> {
        self.of_call(column)?.as_i64()
    }

    /// The call's name.
    pub fn call(&self) -> &str {
        self.text("id").unwrap_or_default()
    }

    /// The recording's row, where there still is one to hear.
    pub fn recording(&self) -> Option<&Row> {
        self.rows("recordings").first().filter(|row| row.get("removed_utc_ms").is_none_or(Value::is_null))
    }

    /// Where it lies.
    pub fn recording_at(&self) -> Option<Whereabouts> {
        let text = |name: &str| self.recording()?.get(name)?.as_str().map(str::to_owned);
        Some(Whereabouts { file: text("file")?, object: text("object") })
    }

    /// The moment of the call with which the recording begins; 0 where there is none.
    pub fn recording_began_ms(&self) -> i64 {
        self.recording().and_then(|row| row.get("started_ms")?.as_i64()).unwrap_or(0)
    }

    /// All of it; columns that hold JSON as what they hold.
    pub fn json(&self) -> Value {
        const JSON: [&str; 4] = ["json", "probabilities", "situation", "also"];
        let opened = |row: &Row| -> Row {
            let open = |(name, value): (&String, &Value)| {
                let held = JSON.contains(&name.as_str()).then(|| value.as_str()).flatten();
                let value = held.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_else(|| value.clone());
                (name.clone(), value)
            };
            row.iter().map(open).collect()
        };
        let mut all = json!({"made_by": concat!("duologue ", env!("CARGO_PKG_VERSION"))});
        for (name, rows) in &self.tables {
            all[*name] = rows.iter().map(opened).collect();
        }
        all
    }
}
