//! `/v1/calls/{id}/notes`: what reviewers have to say about a call.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::Web;
use super::calls::unreadable;
use super::errands::{read, text_in};
use super::refusal::Refusal;
use super::review::BY_MAX_CHARS;
use crate::store::{self, Note, NoteFault};

/// `POST /v1/calls/{id}/notes`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    text: String,
    /// Who says so.
    by: String,
    /// The moment of the call that it is about; the whole of it where this is left out.
    #[serde(default)]
    at_ms: Option<u32>,
}

/// Longest note, characters.
pub const NOTE_MAX_CHARS: usize = 2_000;

/// Writes a note down; the answer has its number.
pub async fn write(
    State(web): State<Web>,
    Path(call): Path<String>,
    asked: Result<Json<Written>, JsonRejection>,
) -> Result<Response, Refusal> {
    let Written { text, by, at_ms } = read(asked)?;
    let text = text_in("text", &text, NOTE_MAX_CHARS)?;
    let by = text_in("by", &by, BY_MAX_CHARS)?;
    web.registry.settle().await;
    let note = Note { call, at_ms, text, by };
    let id = store::note(web.store.path(), &note).await.map_err(|fault| {
        let detail = fault.to_string();
        match fault {
            NoteFault::NoCall(_) => {
                Refusal::new(StatusCode::NOT_FOUND, "no-such-call", detail, "GET /v1/calls lists the last hundred.")
            }
            NoteFault::Beyond { .. } => {
                let fix = "Give at_ms in milliseconds of the call, as in the rows, or leave it out.";
                Refusal::new(StatusCode::BAD_REQUEST, "bad-moment", detail, fix)
            }
            NoteFault::Store(fault) => unreadable(&fault),
        }
    })?;
    Ok((StatusCode::CREATED, Json(serde_json::json!({"id": id}))).into_response())
}

/// Takes one away.
pub async fn remove(State(web): State<Web>, Path((call, id)): Path<(String, i64)>) -> Result<StatusCode, Refusal> {
    let removed = store::remove_note(web.store.path(), &call, id).await.map_err(|fault| unreadable(&fault))?;
    if removed {
        return Ok(StatusCode::NO_CONTENT);
    }
    let fix = "`SELECT id, text FROM notes WHERE call = ?1` lists them.";
    Err(Refusal::new(StatusCode::NOT_FOUND, "no-such-note", format!("Call {call} has no note {id}."), fix))
}
