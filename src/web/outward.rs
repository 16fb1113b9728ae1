//! `POST /v1/calls` with JSON: the server calls a telephone. Only for whoever may read everything, because a call costs the operator.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::Web;
use super::calls::named;
use super::refusal::Refusal;
use super::review::{Reviewers, turned_away};
use crate::call::registry::Asked;
use crate::sip::NotDialled;

/// `POST /v1/calls` as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Dialled {
    /// `sip:user@host`, or `phone:NAME`
    to: String,
    persona: Option<String>,
    /// By which name memory knows who is called; his address otherwise.
    caller: Option<String>,
    record: Option<bool>,
}

/// Calls; the answer does not wait for the telephone's.
pub(super) async fn dial(
    web: &Web,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    if let Some(refused) = may_dial(web, headers)? {
        return Ok(refused);
    }
    let dialler = web.bridges.dialler().ok_or_else(no_telephone)?;
    let bad = |detail: String| {
        let fix = "Send a JSON object such as {\"to\": \"sip:anna@192.0.2.7\", \"persona\": \"porter\"}.";
        Refusal::new(StatusCode::BAD_REQUEST, "bad-request", detail, fix)
    };
    let body = body.map_err(|fault| bad(fault.body_text()))?;
    let Dialled { to, persona, caller, record } =
        serde_json::from_slice(&body).map_err(|fault| bad(format!("The body cannot be read: {fault}.")))?;
    let recorded = record.unwrap_or(true);
    let asked = Asked { persona: persona.as_deref(), caller: named(caller)?, recorded, ..Asked::default() };
    let call = dialler.dial(&to, asked).await?;
    let location = [(header::LOCATION, format!("/v1/calls/{call}"))];
    Ok((StatusCode::ACCEPTED, location, Json(json!({ "call": call }))).into_response())
}

pub(super) fn no_telephone() -> Refusal {
    let detail = "This server has no telephone.";
    Refusal::new(StatusCode::CONFLICT, "no-telephone", detail, "Set sip.listen and sip.outbound in duologue.toml.")
}

/// The answer to whoever may have no calls made. Without a key nobody may, on this machine neither: what reaches a server that listens
/// here alone may come through a proxy from anywhere.
pub(super) fn may_dial(web: &Web, headers: &HeaderMap) -> Result<Option<Response>, Refusal> {
    if matches!(web.reviewers, Reviewers::Anybody) {
        let detail = "Calls cost whoever makes them, and this server has no key that says who may.";
        let fix = "Set review.key_env or review.key_file, and send the key: Authorization: Bearer KEY.";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "no-key-set", detail, fix));
    }
    turned_away(web, headers)
}

impl From<NotDialled> for Refusal {
    fn from(why: NotDialled) -> Self {
        let detail = format!("{why}.");
        match why {
            NotDialled::Target(_) => {
                let fix = "Write it as sip:user@host, with :port or ;transport=tcp behind it.";
                Self::new(StatusCode::BAD_REQUEST, "bad-address", detail, fix)
            }
            NotDialled::NotAllowed(target) => {
                let fix = format!("Add \"{}\" to sip.outbound in duologue.toml, if it may be.", target.name());
                Self::new(StatusCode::FORBIDDEN, "not-allowed", detail, fix)
            }
            NotDialled::NoSuchPhone(_) => {
                let fix = "Name one of sip.phones; GET /v1/phones lists them.";
                Self::new(StatusCode::NOT_FOUND, "no-such-phone", detail, fix)
            }
            NotDialled::NotRegistered(_) => {
                let fix =
                    "Have it register, with its name and password of sip.phones; `duologue phones` shows who is there.";
                Self::new(StatusCode::CONFLICT, "not-registered", detail, fix)
            }
            NotDialled::AtOnce(_) => {
                let fix = "Wait until one of them is over, or raise sip.outbound_most.";
                Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-calls", detail, fix)
            }
            NotDialled::TooFast(_) => {
                let fix = "Wait a minute, or raise sip.outbound_a_minute.";
                Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-calls", detail, fix)
            }
            NotDialled::NoSuchHost { .. } => Self::new(
                StatusCode::BAD_GATEWAY,
                "no-such-host",
                detail,
                "Look at the host's name and the server's DNS.",
            ),
            NotDialled::KeysInClear(_) => {
                let fix = "Have it called over TLS, offer it keys from DTLS (\"=dtls\" in sip.srtp), or set sip.srtp_in_clear = true.";
                Self::new(StatusCode::CONFLICT, "keys-in-clear", detail, fix)
            }
            NotDialled::NoPort(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "no-port", detail, "Raise sip.rtp_last in duologue.toml.")
            }
            NotDialled::Open(why) => why.into(),
        }
    }
}
