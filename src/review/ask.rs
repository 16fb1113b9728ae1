//! Asking, within limits.

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt as _;
use serde_json::{Number, Value};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions as _, Connection as _, Executor as _, Row as _, SqlSafeStr as _,
    TypeInfo as _, ValueRef as _,
};

use super::single::{NotOne, one_reading_statement};
use crate::store::{StoreError, reading};

/// How much one question may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub time: Duration,
    pub rows: usize,
    /// Of all values together.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: Duration::from_secs(5), rows: 10_000, bytes: 16 * 1024 * 1024 }
    }
}

/// SQLite's steps between two looks at the clock: some tens of microseconds.
const STEPS: i32 = 1_000;

/// What came of it.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Table {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Value>>,
    /// There was more than the limits allow.
    pub cut: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskFault {
    #[error(transparent)]
    NotOne(#[from] NotOne),
    #[error("SQLite says: {0}")]
    Sql(String),
    #[error("it took longer than {} s: ask for less, or use an index (EXPLAIN QUERY PLAN)", .0.as_secs())]
    TooLong(Duration),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Asks the database at `path`.
///
/// # Errors
/// When it is not one statement that reads, SQLite refuses it, it takes too long, or the file cannot be read.
pub async fn ask(path: &Path, text: &str, limits: Limits) -> Result<Table, AskFault> {
    ask_with(path, text, &[], limits).await
}

/// As [`ask`]; `?1`, `?2` in the statement stand for the parameters.
///
/// # Errors
/// As [`ask`].
pub async fn ask_with(path: &Path, text: &str, parameters: &[Value], limits: Limits) -> Result<Table, AskFault> {
    let statement = one_reading_statement(text)?;
    let mut connection = reading(path).connect().await.map_err(|error| StoreError::of(path, &error))?;
    let deadline = Instant::now() + limits.time;
    let answer = fetch(&mut connection, statement, parameters, limits, deadline).await;
    // Nothing was written: a close that fails takes nothing back.
    let _closed = connection.close().await;
    answer.map_err(|error| match error {
        _ if Instant::now() >= deadline => AskFault::TooLong(limits.time),
        other => match StoreError::of(path, &other) {
            fault @ (StoreError::Damaged { .. } | StoreError::NotADatabase { .. }) => fault.into(),
            fault => match other {
                sqlx::Error::Database(error) => AskFault::Sql(error.message().to_owned()),
                _ => fault.into(),
            },
        },
    })
}

async fn fetch(
    connection: &mut SqliteConnection,
    statement: &str,
    parameters: &[Value],
    limits: Limits,
    deadline: Instant,
) -> Result<Table, sqlx::Error> {
    // Read-only as the file is opened, and by SQLite's own word.
    connection.execute("PRAGMA query_only = ON").await?;
    connection.lock_handle().await?.set_progress_handler(STEPS, move || Instant::now() < deadline);
    let described = connection.prepare(AssertSqlSafe(statement).into_sql_str()).await?;
    let columns = sqlx::Statement::columns(&described).iter().map(|column| column.name().to_owned()).collect();
    let mut table = Table { columns, rows: Vec::new(), cut: false };
    let mut bytes = 0;
    let mut question = sqlx::query(AssertSqlSafe(statement));
    for parameter in parameters {
        question = match parameter {
            Value::String(text) => question.bind(text),
            Value::Number(number) if number.is_i64() => question.bind(number.as_i64()),
            Value::Number(number) => question.bind(number.as_f64()),
            Value::Bool(is) => question.bind(*is),
            Value::Null | Value::Array(_) | Value::Object(_) => question.bind(None::<i64>),
        };
    }
    let mut rows = question.fetch(connection);
    while let Some(row) = rows.try_next().await? {
        let row: Vec<Value> = (0..row.len()).map(|n| value(&row, n)).collect::<Result<_, _>>()?;
        bytes += row.iter().map(weight).sum::<usize>();
        if table.rows.len() == limits.rows || bytes > limits.bytes {
            table.cut = true;
            break;
        }
        table.rows.push(row);
    }
    Ok(table)
}

/// By the value's own type: a column of SQLite's may hold any.
fn value(row: &SqliteRow, n: usize) -> Result<Value, sqlx::Error> {
    let raw = row.try_get_raw(n)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    Ok(match raw.type_info().name() {
        "INTEGER" | "BOOLEAN" => row.try_get_unchecked::<i64, _>(n)?.into(),
        "REAL" => Number::from_f64(row.try_get_unchecked::<f64, _>(n)?).map_or(Value::Null, Value::Number),
        "BLOB" => {
            let bytes: Vec<u8> = row.try_get_unchecked(n)?;
            Value::String(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
        }
        _ => Value::String(row.try_get_unchecked(n)?),
    })
}

fn weight(value: &Value) -> usize {
    value.as_str().map_or(8, str::len)
}

impl Table {
    /// RFC 4180, with a head line.
    pub fn csv(&self) -> String {
        let mut out = String::new();
        let line = |cells: Vec<String>, out: &mut String| {
            out.push_str(&cells.join(","));
            out.push_str("\r\n");
        };
        line(self.columns.iter().map(|name| quoted(name)).collect(), &mut out);
        for row in &self.rows {
            line(row.iter().map(|value| quoted(&shown(value))).collect(), &mut out);
        }
        out
    }

    /// One object a row, by the columns' names.
    pub fn objects(&self) -> Vec<serde_json::Map<String, Value>> {
        let object = |row: &Vec<Value>| self.columns.iter().cloned().zip(row.iter().cloned()).collect();
        self.rows.iter().map(object).collect()
    }

    /// For people: columns side by side, long values cut.
    pub fn text(&self) -> String {
        const WIDEST: usize = 60;
        let cell = |text: String| -> String {
            let line = text.replace(['\n', '\r', '\t'], " ");
            if line.chars().count() <= WIDEST { line } else { line.chars().take(WIDEST - 1).chain(['…']).collect() }
        };
        let mut lines: Vec<Vec<String>> = vec![self.columns.clone()];
        lines.extend(self.rows.iter().map(|row| row.iter().map(|value| cell(shown(value))).collect()));
        let wide =
            |n: usize| lines.iter().filter_map(|line| line.get(n)).map(|text| text.chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.columns.len()).map(wide).collect();
        let mut out = String::new();
        for (n, line) in lines.iter().enumerate() {
            let padded: Vec<String> = line.iter().zip(&widths).map(|(text, width)| format!("{text:<width$}")).collect();
            out.push_str(padded.join("  ").trim_end());
            out.push('\n');
            if n == 0 {
                let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
                out.push_str(&rule.join("  "));
                out.push('\n');
            }
        }
        out
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}
