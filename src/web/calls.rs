//! `/v1/calls` and `/v1/personas`: a browser's offer becomes a call; a call can be looked at and ended.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use super::{BODY_LIMIT_BYTES, Web};
use crate::call::registry::{self, OpenError};
use crate::call::wire::Control;
use crate::journal::EndReason;
use crate::peer::OfferRefused;

/// `POST /v1/calls?persona=NAME&caller=NAME`
#[derive(Deserialize)]
pub struct Asked {
    persona: Option<String>,
    /// A stable name of the caller: what memory hangs on.
    caller: Option<String>,
    /// `record=false`: the caller does not want to be recorded.
    record: Option<bool>,
}

/// Longest caller name taken from a URL, characters.
const CALLER_MAX_CHARS: usize = 128;

/// Takes a call: SDP offer in, SDP answer out.
pub async fn open(
    State(web): State<Web>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    if is_json(&headers) {
        return super::outward::dial(&web, &headers, body).await;
    }
    let offer = offer_in(&headers, body)?;
    let caller = named(asked.caller)?;
    let recorded = asked.record.unwrap_or(true);
    let wanted = registry::Asked { persona: asked.persona.as_deref(), caller, recorded, ..registry::Asked::default() };
    let opened = web.registry.open(&offer, wanted).await?;
    let location = format!("/v1/calls/{}", opened.call);
    let headers = [(header::CONTENT_TYPE, "application/sdp".to_owned()), (header::LOCATION, location)];
    Ok((StatusCode::CREATED, headers, opened.answer).into_response())
}

/// A further offer for a live call, as after a change of network: SDP offer in, SDP answer out. What is open stays open.
pub async fn reoffer(
    State(web): State<Web>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let offer = offer_in(&headers, body)?;
    match web.registry.reoffer(&id, offer).await {
        Some(Ok(answer)) => Ok(([(header::CONTENT_TYPE, "application/sdp")], answer).into_response()),
        // The call ended while it was asked.
        Some(Err(OfferRefused::Closed)) | None => Err(gone_or_unknown(&web, &id).await),
        Some(Err(refused)) => Err(OpenError::from(refused).into()),
    }
}

/// A caller's name, as it may stand in a URL.
pub(super) fn named(caller: Option<String>) -> Result<Option<String>, Refusal> {
    if caller.as_ref().is_some_and(|name| name.is_empty() || name.chars().count() > CALLER_MAX_CHARS) {
        let fix = "Give 1 to 128 characters, or leave it out.";
        let detail = "The caller's name is empty or too long.";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "bad-caller", detail, fix));
    }
    Ok(caller)
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    kind.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case("application/json")
}

/// The SDP offer of a request.
pub(super) fn offer_in(headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> Result<String, Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    if !kind.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case("application/sdp") {
        let detail =
            if kind.is_empty() { "There is no Content-Type.".into() } else { format!("The Content-Type is '{kind}'.") };
        let fix = "Send the SDP offer with Content-Type: application/sdp.";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-sdp", detail, fix));
    }
    let body = body.map_err(|_| {
        let detail = format!("The body is larger than {BODY_LIMIT_BYTES} bytes.");
        Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            detail,
            "An offer with one audio line has some 5 kB.",
        )
    })?;
    String::from_utf8(body.into()).map_err(|fault| {
        let detail = format!("The body is not UTF-8 text: {fault}.");
        Refusal::new(StatusCode::BAD_REQUEST, "not-text", detail, "Send the SDP offer as it came from createOffer.")
    })
}

/// A call as it stands in the store.
pub async fn show(State(web): State<Web>, Path(id): Path<String>) -> Result<Response, Refusal> {
    // What has been recorded so far should be seen: a call that was just opened is a row in the making.
    web.registry.settle().await;
    match web.store.call(&id).await {
        Ok(Some(call)) => Ok(Json(call).into_response()),
        Ok(None) => Err(Refusal::no_such_call(&id)),
        Err(fault) => Err(unreadable(&fault)),
    }
}

/// The newest calls first.
pub async fn list(State(web): State<Web>) -> Result<Response, Refusal> {
    web.registry.settle().await;
    web.store.calls(100).await.map(|calls| Json(calls).into_response()).map_err(|fault| unreadable(&fault))
}

pub(super) fn unreadable(fault: &dyn std::fmt::Display) -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "store-unreadable", fault.to_string(), "Run `duologue check`.")
}

/// Hangs up.
pub async fn end(State(web): State<Web>, Path(id): Path<String>) -> Result<StatusCode, Refusal> {
    let control = Control::End { reason: EndReason::CallerHangup, detail: "The caller hung up.".into() };
    match web.registry.tell(&id, control) {
        Some(true) => Ok(StatusCode::NO_CONTENT),
        Some(false) => Err(Refusal::call_busy()),
        None => Err(gone_or_unknown(&web, &id).await),
    }
}

/// Which of the two it is, is worth telling: a second hang-up is no mistake of the id.
pub(super) async fn gone_or_unknown(web: &Web, id: &str) -> Refusal {
    web.registry.settle().await;
    match web.store.call(id).await {
        Ok(Some(_)) => Refusal::call_over(id),
        _ => Refusal::no_such_call(id),
    }
}

/// `OPTIONS`, for pages of other sites; the headers are set for every answer.
pub async fn preflight() -> StatusCode {
    StatusCode::NO_CONTENT
}

#[derive(Serialize)]
struct PersonaShown<'a> {
    name: &'a str,
    title: &'a str,
    description: &'a str,
    /// False for an echo or a recording, which cannot take a call over.
    talks: bool,
    /// The one that answers when nobody is asked for.
    default: bool,
}

/// Who can be called.
pub async fn personas(State(web): State<Web>) -> Response {
    let default = web.registry.default_persona();
    let mut shown: Vec<PersonaShown<'_>> = web
        .registry
        .personas()
        .iter()
        .map(|p| PersonaShown {
            name: &p.name,
            title: &p.title,
            description: &p.description,
            talks: p.talks(),
            default: p.name == default,
        })
        .collect();
    shown.sort_by_key(|persona| !persona.default);
    Json(shown).into_response()
}
