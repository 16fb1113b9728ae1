//! `POST /v1/calls/{id}/handover` and `/bridge`: a call is handed over to somebody, or connected with another one. Only for whoever may
//! have calls made: a handover is a call that somebody pays for, and either lets people hear each other.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::Web;
use super::calls::gone_or_unknown;
use super::errands::read;
use super::outward::{may_dial, no_telephone};
use super::refusal::Refusal;
use crate::bridge::NotHandedOver;
use crate::call::bridging::NotBridged;

/// Whom a call is handed over to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handover {
    /// `sip:user@host`, or `phone:NAME`
    to: String,
    /// He is told what is known of the caller before they are connected.
    #[serde(default = "usually")]
    announce: bool,
}

const fn usually() -> bool {
    true
}

/// Which call it is connected with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bridge {
    call: String,
    #[serde(default)]
    agent: Agent,
}

/// What the agents do meanwhile.
#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Agent {
    #[default]
    Listens,
}

/// Has somebody called who is to take the call over; the answer does not wait for his.
pub async fn hand_over(
    State(web): State<Web>,
    Path(id): Path<String>,
    headers: HeaderMap,
    asked: Result<Json<Handover>, JsonRejection>,
) -> Result<Response, Refusal> {
    if let Some(refused) = may_dial(&web, &headers)? {
        return Ok(refused);
    }
    let Handover { to, announce } = read(asked)?;
    match web.bridges.hand_over(&id, &to, announce).await {
        Ok(call) => {
            let location = [(header::LOCATION, format!("/v1/calls/{call}"))];
            Ok((StatusCode::ACCEPTED, location, Json(json!({ "call": call }))).into_response())
        }
        Err(NotHandedOver::NoTelephone) => Err(no_telephone()),
        Err(NotHandedOver::Bridged(why)) => Err(not_bridged(&web, why).await),
        Err(NotHandedOver::Dialled(why)) => Err(why.into()),
    }
}

/// Connects two live calls.
pub async fn bridge(
    State(web): State<Web>,
    Path(id): Path<String>,
    headers: HeaderMap,
    asked: Result<Json<Bridge>, JsonRejection>,
) -> Result<Response, Refusal> {
    if let Some(refused) = may_dial(&web, &headers)? {
        return Ok(refused);
    }
    let Bridge { call, agent: Agent::Listens } = read(asked)?;
    match web.bridges.bridge(&id, &call) {
        Ok(()) => Ok(StatusCode::ACCEPTED.into_response()),
        Err(why) => Err(not_bridged(&web, why).await),
    }
}

/// Parts two calls, or gives up handing one over.
pub async fn part(State(web): State<Web>, Path(id): Path<String>, headers: HeaderMap) -> Result<Response, Refusal> {
    if let Some(refused) = may_dial(&web, &headers)? {
        return Ok(refused);
    }
    match web.bridges.part(&id) {
        Some(true) => Ok(StatusCode::ACCEPTED.into_response()),
        Some(false) => {
            let detail = format!("Call {id} is connected with no other, and nobody is called for it.");
            let fix = "Connect it first: POST /v1/calls/ID/bridge or /handover.";
            Err(Refusal::new(StatusCode::CONFLICT, "no-bridge", detail, fix))
        }
        None => Err(gone_or_unknown(&web, &id).await),
    }
}

async fn not_bridged(web: &Web, why: NotBridged) -> Refusal {
    let detail = format!("{why}.");
    let conflict = |kind, fix: &str| Refusal::new(StatusCode::CONFLICT, kind, detail.clone(), fix);
    match &why {
        NotBridged::NoSuchCall(call) => gone_or_unknown(web, call).await,
        NotBridged::Itself => conflict("not-bridgeable", "Name another live call."),
        NotBridged::NobodyTalks(_) => conflict("not-bridgeable", "Only calls that an agent answers can be connected."),
        NotBridged::Already(_) => conflict(
            "bridge-under-way",
            "End that first: DELETE /v1/calls/ID/bridge, or wait for its event \"bridge\".",
        ),
    }
}
