//! Decisions as judgement data: what a judge was shown, what was done, and what a reviewer says should have been done.

use std::collections::BTreeMap;
use std::path::Path;

use duologue_judge as tuned;
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};

use super::opening::options;
use super::{Reader, StoreError};
use crate::journal::{JudgementRow, Speaker};

/// The situation as it stands in `judgements.situation`: the fields of judgement data that have no column of their own.
pub(super) fn situation(row: &JudgementRow) -> Option<Value> {
    let shown = row.shown.as_deref()?;
    let history: Vec<Value> = shown
        .history
        .iter()
        .map(|line| json!({"who": if line.who == Speaker::Caller { "caller" } else { "agent" }, "text": line.text}))
        .collect();
    let hundredths = |prior: f32| (f64::from(prior) * 100.0).round() / 100.0;
    let priors: BTreeMap<&str, f64> =
        shown.persona.priors.iter().map(|(action, prior)| (action.as_str(), hundredths(*prior))).collect();
    let mut persona = json!({"name": shown.persona.title, "role": shown.persona.role, "stance": shown.persona.stance});
    if !priors.is_empty() {
        persona["priors"] = json!(priors);
    }
    Some(json!({
        "persona": persona,
        "memory": shown.memory,
        "relation": shown.relation.as_str(),
        "history": history,
        "speaking_s": tenths(shown.speaking_s),
        "silence_s": tenths(shown.silence_s),
    }))
}

/// Judgement data has seconds with one decimal place; more is noise.
fn tenths(seconds: f32) -> f64 {
    (f64::from(seconds.clamp(0.0, 86_400.0)) * 10.0).round() / 10.0
}

/// A judgement with its label, as judgement data.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    pub judgement: i64,
    pub item: tuned::Item,
    /// Somebody has looked at it.
    pub labelled: bool,
}

/// A reviewer's word on a judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    pub judgement: i64,
    /// What should have been proposed.
    pub action: String,
    /// What else a sensible person would accept.
    pub also: Vec<String>,
    /// One sentence, for people.
    pub reason: String,
    /// Who says so.
    pub by: String,
}

/// Why a label was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LabelFault {
    #[error("there is no judgement {0}; `SELECT judgement, caller_said, action FROM reviewed` lists them")]
    NoJudgement(i64),
    #[error("`{action}` is not possible when the floor is `{moment}`; there it is one of: {legal}")]
    NotLegal { action: String, moment: String, legal: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

type Row = (i64, String, String, String, Option<String>, String, Option<String>, Option<String>, Option<String>);

impl Reader {
    /// Judgements as judgement data, the oldest first: those with a label, or (`all`) those without one too, with what was
    /// done as the best action. Rows from before situations were kept, and turns without words, are not among them; the second
    /// value counts them.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn decided(&self, all: bool) -> Result<(Vec<Decided>, usize), StoreError> {
        let mut connection = self.connect().await?;
        let rows: Result<Vec<Row>, sqlx::Error> = sqlx::query_as(
            "SELECT j.id, j.call, j.moment, j.text, j.situation, j.action, r.label, r.also, r.label_reason
             FROM judgements j JOIN reviewed r ON r.judgement = j.id
             WHERE ?1 OR r.label IS NOT NULL ORDER BY j.id",
        )
        .bind(all)
        .fetch_all(&mut connection)
        .await;
        let rows = self.done(connection, rows).await?;
        let count = rows.len();
        let decided: Vec<Decided> = rows.into_iter().filter_map(decided).collect();
        let left = count - decided.len();
        Ok((decided, left))
    }
}

/// `None` where the row is no judgement data.
fn decided((id, call, moment, text, situation, done, label, also, reason): Row) -> Option<Decided> {
    let mut item: serde_json::Map<String, Value> = serde_json::from_str(&situation?).ok()?;
    let labelled = label.is_some();
    let also: Value = serde_json::from_str(also.as_deref().unwrap_or("[]")).ok()?;
    let why =
        reason.filter(|_| labelled).unwrap_or_else(|| format!("What was done; nobody has looked at it ({call})."));
    let chinese = text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
    for (field, value) in [
        ("id", json!(format!("call-{id}"))),
        ("lang", json!(if chinese { "zh" } else { "en" })),
        ("floor", json!(moment)),
        ("text", json!(if moment == "idle" { "" } else { text.as_str() })),
        ("gold", json!(label.unwrap_or(done))),
        ("also", also),
        ("why", json!(why)),
    ] {
        item.insert(field.into(), value);
    }
    let line = Value::Object(item).to_string();
    let item = tuned::situation::parse_items(Path::new("the database"), &line).ok()?.pop()?;
    Some(Decided { judgement: id, item, labelled })
}

/// Puts a label on a judgement, beside a running server too. The last label of a judgement stands.
///
/// # Errors
/// When there is no such judgement, the action is not possible there, or the file cannot be written.
pub async fn label(path: &Path, label: &Label) -> Result<(), LabelFault> {
    let fault = |error: sqlx::Error| StoreError::of(path, &error);
    let mut connection = SqliteConnection::connect_with(&options(path)).await.map_err(fault)?;
    let moment: Option<String> = sqlx::query_scalar("SELECT moment FROM judgements WHERE id = ?1")
        .bind(label.judgement)
        .fetch_optional(&mut connection)
        .await
        .map_err(fault)?;
    let moment = moment.ok_or(LabelFault::NoJudgement(label.judgement))?;
    let floor = tuned::Floor::ALL.into_iter().find(|floor| floor.word() == moment);
    let legal: Vec<&str> = floor.map_or_else(Vec::new, |floor| floor.legal().iter().map(|a| a.word()).collect());
    if let Some(wrong) = std::iter::once(&label.action).chain(&label.also).find(|a| !legal.contains(&a.as_str())) {
        return Err(LabelFault::NotLegal { action: wrong.clone(), moment, legal: legal.join(", ") });
    }
    sqlx::query(
        "INSERT INTO labels (judgement_id, action, also, reason, by, at_utc_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, 1000 * unixepoch('now'))",
    )
    .bind(label.judgement)
    .bind(&label.action)
    .bind(json!(label.also).to_string())
    .bind(&label.reason)
    .bind(&label.by)
    .execute(&mut connection)
    .await
    .map_err(fault)?;
    connection.close().await.map_err(fault)?;
    Ok(())
}
