//! `/v1/callers/{name}/memory`: what is remembered of a caller, for whoever has the caller's name, and the end of it.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::Web;
use super::calls::unreadable;
use super::errands::{read, text_in};
use super::recordings::still_stored;
use super::refusal::Refusal;
use crate::recording::take_away_left;
use crate::store::{AskedBy, StoreError, correct_fact, erase, forget_fact};

/// Longest value of a fact, characters.
const VALUE_MAX_CHARS: usize = 200;

/// `PUT /v1/callers/{name}/memory/facts/{id}`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Correction {
    value: String,
}

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
    match erase(web.store.path(), &web.recordings.folder, &name, AskedBy::Http).await {
        Ok(Some(_)) => {
            web.registry.recollect(&name);
            let left = take_away_left(web.store.path(), &web.recordings, None).await;
            left.map_err(|why| still_stored(format!("The caller is erased, but not all recordings are: {why}.")))?;
            Ok(StatusCode::NO_CONTENT)
        }
        Ok(None) => Err(no_such_caller()),
        Err(fault) => Err(unwritable(&fault)),
    }
}

/// Puts one fact right; calls that are going on know it from their next request on. 200 with everything that is remembered.
pub async fn correct(
    state: State<Web>,
    Path((name, fact)): Path<(String, i64)>,
    asked: Result<Json<Correction>, JsonRejection>,
) -> Result<Response, Refusal> {
    let value = text_in("value", &read(asked)?.value, VALUE_MAX_CHARS)?;
    state.registry.settle().await;
    match correct_fact(state.store.path(), &name, fact, &value).await {
        Ok(Some(_)) => {
            state.registry.recollect(&name);
            show(state, Path(name)).await
        }
        Ok(None) => Err(no_such_fact()),
        Err(fault) => Err(unwritable(&fault)),
    }
}

/// Takes one fact out, the values before it too.
pub async fn drop_fact(State(web): State<Web>, Path((name, fact)): Path<(String, i64)>) -> Result<StatusCode, Refusal> {
    web.registry.settle().await;
    match forget_fact(web.store.path(), &name, fact).await {
        Ok(true) => {
            web.registry.recollect(&name);
            Ok(StatusCode::NO_CONTENT)
        }
        Ok(false) => Err(no_such_fact()),
        Err(fault) => Err(unwritable(&fault)),
    }
}

fn unwritable(fault: &StoreError) -> Refusal {
    let fix = "Try again in a moment, or run `duologue check`.";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "store-unwritable", fault.to_string(), fix)
}

fn no_such_fact() -> Refusal {
    let fix = "GET the caller's memory and take the id of a fact that holds.";
    Refusal::new(StatusCode::NOT_FOUND, "no-such-fact", "There is no such fact of that caller now.", fix)
}

/// The name is not shown: it is what a browser keeps secret.
fn no_such_caller() -> Refusal {
    let fix = "Give the name that the call was opened with, as in POST /v1/calls?caller=NAME.";
    Refusal::new(StatusCode::NOT_FOUND, "no-such-caller", "There is no caller of that name.", fix)
}
