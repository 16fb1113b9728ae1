//! `POST /v1/calls/{id}/transfer` and `/dtmf`: what may be asked of a call that a telephone holds.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::Web;
use super::calls::gone_or_unknown;
use super::errands::read;
use super::outward::{may_dial, no_telephone};
use super::refusal::Refusal;
use crate::call::keying::{KEYS_MOST, readable};
use crate::call::leg::NotTransferred;
use crate::call::telephone::NotPressed;

/// Whom a call is handed on to: an address, or the other side of another live call.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// `sip:user@host`
    to: Option<String>,
    call: Option<String>,
}

/// `POST /v1/calls/{id}/dtmf`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Digits {
    digits: String,
}

/// Hands a call on. Only for whoever may have calls made: this is one, at the expense of whoever believes us.
pub async fn transfer(
    State(web): State<Web>,
    Path(id): Path<String>,
    headers: HeaderMap,
    asked: Result<Json<Transfer>, JsonRejection>,
) -> Result<Response, Refusal> {
    if let Some(refused) = may_dial(&web, &headers)? {
        return Ok(refused);
    }
    let dialler = web.bridges.dialler().ok_or_else(no_telephone)?;
    let handed_on = match read(asked)? {
        Transfer { to: Some(to), call: None } => dialler.transfer(&id, &to)?,
        Transfer { to: None, call: Some(other) } => match web.registry.taken_over_by(&other) {
            _ if other == id => return Err(nobody_there("A call cannot be handed on to itself.".into())),
            None => return Err(gone_or_unknown(&web, &other).await),
            Some(None) => {
                return Err(nobody_there(format!("Call {other} is no telephone's, or nobody has answered yet.")));
            }
            Some(Some(onto)) => web.registry.transfer(&id, onto),
        },
        _ => {
            let fix = "Send {\"to\": \"sip:desk@pbx.example.org\"}, or {\"call\": ID} of another live call.";
            let detail = "Exactly one of \"to\" and \"call\" has to be there.";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "bad-request", detail, fix));
        }
    };
    match handed_on {
        None => Err(gone_or_unknown(&web, &id).await),
        Some(Ok(())) => Ok(StatusCode::ACCEPTED.into_response()),
        Some(Err(why @ NotTransferred::NoTelephone)) => Err(nobody_there(format!("{why}."))),
        Some(Err(why @ NotTransferred::Already)) => {
            let fix = "Wait for the event \"transfer\" that tells what came of it.";
            Err(Refusal::new(StatusCode::CONFLICT, "transfer-under-way", format!("{why}."), fix))
        }
    }
}

fn nobody_there(detail: String) -> Refusal {
    let fix = "Only a telephone that has answered can be asked to call somebody else.";
    Refusal::new(StatusCode::CONFLICT, "not-transferable", detail, fix)
}

/// The telephones that may register, and where they are. Only for whoever may read everything.
pub async fn phones(State(web): State<Web>) -> Response {
    Json(web.bridges.dialler().map(crate::sip::Dialler::phones).unwrap_or_default()).into_response()
}

/// Presses keys.
pub async fn dtmf(
    State(web): State<Web>,
    Path(id): Path<String>,
    asked: Result<Json<Digits>, JsonRejection>,
) -> Result<StatusCode, Refusal> {
    let Digits { digits } = read(asked)?;
    let keys = readable(&digits).ok_or_else(|| {
        let detail = format!("digits is empty, longer than {KEYS_MOST}, or has something in it that is no key.");
        let fix = "Give 0 to 9, *, #, A to D, and a comma for a second's pause.";
        Refusal::new(StatusCode::BAD_REQUEST, "bad-digits", detail, fix)
    })?;
    match web.registry.press(&id, keys) {
        None => Err(gone_or_unknown(&web, &id).await),
        Some(Ok(())) => Ok(StatusCode::ACCEPTED),
        Some(Err(NotPressed::Busy)) => Err(Refusal::call_busy()),
        Some(Err(why @ NotPressed::NobodyReads)) => {
            let fix = "Have the telephone offer telephone-event; browsers and other doors take no keys.";
            Err(Refusal::new(StatusCode::CONFLICT, "no-keys", format!("{why}."), fix))
        }
    }
}
