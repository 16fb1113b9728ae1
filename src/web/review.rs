//! `/v1/sql` and `/v1/review`: the call database, for those who may read all of it.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::Web;
use super::calls::unreadable;
use super::errands::{read, text_in};
use super::refusal::Refusal;
use crate::review::{AskFault, Limits, QUERIES, Table, ask_with, find};
use crate::store::{self, Label, LabelFault};

/// Who may read everything.
#[derive(Clone, Debug)]
pub enum Reviewers {
    /// Whoever reaches the server: it listens on this machine only.
    Anybody,
    /// Whoever shows this key as a bearer token (RFC 6750).
    Key(crate::config::Secret),
    /// Nobody: the server is reached from outside and has no key.
    Nobody,
}

/// `POST /v1/sql`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    sql: String,
    /// What `?1`, `?2` stand for: texts, numbers, nulls.
    #[serde(default)]
    parameters: Vec<serde_json::Value>,
}

/// One statement that reads.
pub async fn sql(
    State(web): State<Web>,
    headers: HeaderMap,
    asked: Result<Json<Question>, JsonRejection>,
) -> Result<Response, Refusal> {
    let Question { sql, parameters } = read(asked)?;
    answer(&web, &headers, &sql, &parameters).await
}

#[derive(Serialize)]
struct QueryShown {
    name: &'static str,
    question: &'static str,
    sql: &'static str,
}

/// The questions with names.
pub async fn list() -> Response {
    let shown =
        QUERIES.iter().map(|query| QueryShown { name: query.name, question: query.question(), sql: query.sql() });
    Json(shown.collect::<Vec<_>>()).into_response()
}

/// One of them, asked.
pub async fn run(State(web): State<Web>, headers: HeaderMap, Path(name): Path<String>) -> Result<Response, Refusal> {
    let query = find(&name).ok_or_else(|| {
        let fix = "GET /v1/review lists them.";
        Refusal::new(StatusCode::NOT_FOUND, "no-such-question", "There is no question of that name.", fix)
    })?;
    answer(&web, &headers, query.sql(), &[]).await
}

async fn answer(
    web: &Web,
    headers: &HeaderMap,
    sql: &str,
    parameters: &[serde_json::Value],
) -> Result<Response, Refusal> {
    web.registry.settle().await;
    let table: Table = ask_with(web.store.path(), sql, parameters, Limits::default()).await.map_err(|fault| {
        let detail = fault.to_string();
        match fault {
            AskFault::NotOne(_) | AskFault::Sql(_) => {
                let fix = "docs/SQL.md has the tables, and questions to go on from.";
                Refusal::new(StatusCode::BAD_REQUEST, "bad-sql", detail, fix)
            }
            AskFault::TooLong(_) => {
                Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "sql-too-long", detail, "Add a LIMIT.")
            }
            AskFault::Store(fault) => unreadable(&fault),
        }
    })?;
    let wants_csv =
        headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|a| a.contains("text/csv"));
    if wants_csv {
        return Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present")], table.csv()).into_response());
    }
    Ok(Json(table).into_response())
}

/// `POST /v1/judgements/{id}/label`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Word {
    /// What should have been done.
    action: String,
    /// What else a sensible person would accept.
    #[serde(default)]
    also: Vec<String>,
    /// One sentence.
    #[serde(default)]
    reason: String,
    /// Who says so.
    by: String,
}

/// Longest name and longest sentence of a reviewer's, characters.
pub(super) const BY_MAX_CHARS: usize = 60;
const REASON_MAX_CHARS: usize = 500;

/// A reviewer's word on a judgement: what the judge is trained on.
pub async fn label(
    State(web): State<Web>,
    Path(judgement): Path<i64>,
    asked: Result<Json<Word>, JsonRejection>,
) -> Result<StatusCode, Refusal> {
    let Word { action, also, reason, by } = read(asked)?;
    let by = text_in("by", &by, BY_MAX_CHARS)?;
    let reason = if reason.trim().is_empty() { String::new() } else { text_in("reason", &reason, REASON_MAX_CHARS)? };
    web.registry.settle().await;
    store::label(web.store.path(), &Label { judgement, action, also, reason, by }).await.map_err(|fault| {
        let detail = fault.to_string();
        match fault {
            LabelFault::NoJudgement(_) => {
                let fix = "Take the id from `judgement` in the views `reviewed` or `judgement_reasons`.";
                Refusal::new(StatusCode::NOT_FOUND, "no-such-judgement", detail, fix)
            }
            LabelFault::NotLegal { .. } => {
                let fix = "Choose one of these; GET /v1/calls/{id} has the floor at that moment.";
                Refusal::new(StatusCode::BAD_REQUEST, "not-legal", detail, fix)
            }
            LabelFault::Store(fault) => unreadable(&fault),
        }
    })?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets through who may read everything.
pub async fn guard(State(web): State<Web>, request: Request, next: Next) -> Result<Response, Refusal> {
    match turned_away(&web, request.headers())? {
        Some(refused) => Ok(refused),
        None => Ok(next.run(request).await),
    }
}

/// The answer to whoever may not read everything, nor cost the operator anything.
///
/// # Errors
/// When nobody may.
pub(super) fn turned_away(web: &Web, headers: &HeaderMap) -> Result<Option<Response>, Refusal> {
    match &web.reviewers {
        Reviewers::Anybody => {}
        Reviewers::Nobody => {
            let detail = "Everything that was said is not shown to whoever reaches this server.";
            let fix = "Set review.key_env or review.key_file, and send the key as a bearer token.";
            return Err(Refusal::new(StatusCode::FORBIDDEN, "no-key-set", detail, fix));
        }
        Reviewers::Key(key) => {
            let shown = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
            let shown = shown.strip_prefix(b"Bearer ").unwrap_or_default();
            if !key.is(shown) {
                let fix = "Send the key of review.key_env or review.key_file: Authorization: Bearer KEY.";
                let mut refused =
                    Refusal::new(StatusCode::UNAUTHORIZED, "bad-key", "The key is missing or wrong.", fix)
                        .into_response();
                refused.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                return Ok(Some(refused));
            }
        }
    }
    Ok(None)
}
