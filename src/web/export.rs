//! `/v1/calls/{id}/export` and `/v1/calls/{id}/redactions`: a call as a file for others, and a span of it taken out.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::Web;
use super::calls::unreadable;
use super::errands::{read, text_in};
use super::recordings::still_stored;
use super::refusal::Refusal;
use crate::export::{As, Carried, ExportFault};
use crate::redaction::{RedactFault, take_out};
use crate::store::{AskedBy, Redacted, Span};

/// `GET /v1/calls/{id}/export?as=vcon&recording=inline`
#[derive(Deserialize)]
pub struct Wanted {
    #[serde(rename = "as")]
    form: As,
    #[serde(default)]
    recording: Carried,
}

/// The call as a file.
pub async fn export(
    State(web): State<Web>,
    Path(id): Path<String>,
    wanted: Result<Query<Wanted>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(wanted) = wanted.map_err(|fault| {
        let fix = "Say as=vcon, as=vtt, as=csv or as=json; a vCon has recording=inline, link or none.";
        Refusal::new(StatusCode::BAD_REQUEST, "bad-query", fault.body_text(), fix)
    })?;
    web.registry.settle().await;
    let made = web.export.export(&id, wanted.form, wanted.recording).await.map_err(|fault| {
        let detail = fault.to_string();
        match fault {
            ExportFault::NoCall(_) => no_call(&detail),
            ExportFault::StillOpen(_) => still_open(&detail),
            ExportFault::NoAddress => Refusal::new(
                StatusCode::BAD_REQUEST,
                "no-address",
                detail,
                "Set export.address, or say recording=inline.",
            ),
            ExportFault::Store(fault) => unreadable(&fault),
            ExportFault::Recording(_) | ExportFault::Asked(_) | ExportFault::Jws(_) => {
                let fix =
                    "Look into the folder of recording.dir and at export.key_file; say recording=none to do without.";
                Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "not-exported", detail, fix)
            }
        }
    })?;
    let name = format!("attachment; filename=\"{}.{}\"", plain(&id), made.ending);
    let name = HeaderValue::from_str(&name).unwrap_or(HeaderValue::from_static("attachment"));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(made.media_type)),
        (header::CONTENT_DISPOSITION, name),
        // It may be taken away at any time, and then it should be gone.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, made.bytes).into_response())
}

/// A call's name as a file's.
fn plain(id: &str) -> String {
    id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect()
}

/// `POST /v1/calls/{id}/redactions`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// Milliseconds of the call.
    from_ms: u64,
    to_ms: u64,
    why: String,
}

/// Longest reason, characters.
const WHY_MAX_CHARS: usize = 200;

/// Takes a span out.
pub async fn redact(
    State(web): State<Web>,
    Path(call): Path<String>,
    asked: Result<Json<Cut>, JsonRejection>,
) -> Result<Json<Redacted>, Refusal> {
    let Cut { from_ms, to_ms, why } = read(asked)?;
    let why = text_in("why", &why, WHY_MAX_CHARS)?;
    web.registry.settle().await;
    let span = Span { call, from_ms, to_ms, why, asked_by: AskedBy::Http };
    let gone = take_out(web.store.path(), web.recordings.clone(), &span).await.map_err(|fault| {
        let detail = fault.to_string();
        match fault {
            RedactFault::NoCall(_) => no_call(&detail),
            RedactFault::StillOpen(_) | RedactFault::Unfinished(_) => still_open(&detail),
            RedactFault::Backwards | RedactFault::NoReason => {
                let fix = "Say from_ms and to_ms, milliseconds of the call, the latter the greater, and why.";
                Refusal::new(StatusCode::BAD_REQUEST, "bad-span", detail, fix)
            }
            RedactFault::Store(fault) => unreadable(&fault),
            RedactFault::StillStored(_) => still_stored(detail),
            RedactFault::Recording(_) | RedactFault::NotInPlace { .. } => {
                let fix = "Look into the folder of recording.dir.";
                Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "recording-unreadable", detail, fix)
            }
        }
    })?;
    Ok(Json(gone))
}

fn no_call(detail: &str) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "no-such-call", detail, "GET /v1/calls lists them.")
}

fn still_open(detail: &str) -> Refusal {
    Refusal::new(StatusCode::CONFLICT, "call-open", detail, "Wait for its end, or end it: DELETE /v1/calls/{id}.")
}
