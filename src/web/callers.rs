//! `/v1/callers/{name}/memory`: what is remembered of a caller, for whoever has the caller's name, and the end of it.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::Web;
use super::calls::unreadable;
use super::refusal::Refusal;
use crate::store::{AskedBy, erase};

/// Everything that is remembered of the caller.
pub async fn show(State(web): State<Web>, Path(name): Path<String>) -> Result<Response, Refusal> {
    web.registry.settle().await;
    match web.store.caller(&name).await {
        Ok(Some(memory)) => Ok(Json(memory).into_response()),
        Ok(None) => Err(no_such_caller()),
        Err(fault) => Err(unreadable(&fault)),
    }
}

/// Erases the caller: facts, promises, summaries, and the words of every call.
pub async fn forget(State(web): State<Web>, Path(name): Path<String>) -> Result<StatusCode, Refusal> {
    web.registry.settle().await;
    match erase(web.store.path(), &name, AskedBy::Http).await {
        Ok(Some(_)) => Ok(StatusCode::NO_CONTENT),
        Ok(None) => Err(no_such_caller()),
        Err(fault) => Err(Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "store-unwritable",
            fault.to_string(),
            "Try again in a moment, or run `duologue check`.",
        )),
    }
}

/// The name is not shown: it is what a browser keeps secret.
fn no_such_caller() -> Refusal {
    let fix = "Give the name that the call was opened with, as in POST /v1/calls?caller=NAME.";
    Refusal::new(StatusCode::NOT_FOUND, "no-such-caller", "There is no caller of that name.", fix)
}
