//! What is remembered of a caller, as people and the HTTP API see it.

use serde::Serialize;
use sqlx::FromRow;

/// A caller in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow)]
pub struct CallerSummary {
    pub caller: String,
    /// Calls in which the caller said something, and on how many days.
    pub calls: i64,
    pub days: i64,
    pub facts: i64,
    pub last_call_utc_ms: i64,
}

/// A fact as people see it.
#[derive(Clone, Debug, PartialEq, Serialize, FromRow)]
pub struct FactView {
    pub id: i64,
    pub kind: String,
    pub subject: String,
    pub predicate: String,
    pub value: String,
    pub text: String,
    pub day: Option<String>,
    pub confidence: f64,
    pub said_times: i64,
    pub valid_from_utc_ms: i64,
    /// Absent while it holds.
    pub valid_to_utc_ms: Option<i64>,
    pub superseded_by: Option<i64>,
    /// The call and turn that it rests on, where they are still there.
    pub call: Option<String>,
    pub turn: Option<i64>,
}

/// A promise as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow)]
pub struct CommitmentView {
    pub who: String,
    pub what: String,
    pub due: Option<String>,
    pub state: String,
    /// How it ended, where it has: `done`, `dropped`, `told`, `reminded`, `called`.
    pub closed_by: Option<String>,
    pub made_utc_ms: i64,
    pub call: Option<String>,
    pub turn: Option<i64>,
}

/// What a call was about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow)]
pub struct SummaryView {
    pub call: String,
    pub started_utc_ms: i64,
    pub text: String,
}

/// Everything that is remembered of a caller.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallerMemory {
    pub caller: String,
    pub relation: &'static str,
    pub calls: i64,
    pub days: i64,
    /// What held before included, the newest first.
    pub facts: Vec<FactView>,
    pub commitments: Vec<CommitmentView>,
    pub summaries: Vec<SummaryView>,
}
