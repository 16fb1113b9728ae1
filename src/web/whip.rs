//! WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep): a microphone into a call, and the agent's voice out of it, as a pair. WHIP is
//! one-way by its rules, so the agent of a call that came in through it is heard through WHEP; a connection that does both is
//! `POST /v1/calls`.
//!
//! The tag of an ICE session is made from its credentials: it changes when ICE restarts, and needs no place to be kept.

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use duologue_signaling::ingest::{self, IngestFault};
use duologue_signaling::whip::{self, Credentials, FRAGMENT_TYPE, FragmentFault};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::refusal::{self, Refusal};
use super::{Web, calls};
use crate::call::listeners::ListenError;
use crate::call::registry::{self, OpenError};
use crate::peer::OfferRefused;

pub(super) fn router() -> Router<Web> {
    Router::new()
        .route("/v1/whip", post(publish).options(accepts).fallback(refusal::method))
        .route(
            "/v1/whip/{call}",
            axum::routing::patch(trickle).delete(unpublish).options(calls::preflight).fallback(refusal::method),
        )
        .route("/v1/whep/{call}", post(play).options(accepts).fallback(refusal::method))
        .route(
            "/v1/whep/{call}/{listener}",
            axum::routing::patch(trickle_played).delete(stop).options(calls::preflight).fallback(refusal::method),
        )
}

/// `POST /v1/whip?persona=NAME&caller=NAME`
#[derive(Deserialize)]
struct Asked {
    persona: Option<String>,
    caller: Option<String>,
    record: Option<bool>,
}

const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

/// `OPTIONS` on an endpoint: what may be posted (RFC 9725, section 4.2).
async fn accepts() -> Response {
    (StatusCode::NO_CONTENT, [(ACCEPT_POST, HeaderValue::from_static("application/sdp"))]).into_response()
}

/// A microphone becomes a call.
async fn publish(
    State(web): State<Web>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let offer = calls::offer_in(&headers, body)?;
    let facts = duologue_signaling::offer::check(&offer).map_err(OfferRefused::from).map_err(OpenError::from)?;
    if !facts.sends_audio {
        let fix = "Offer a sendonly audio section; the agent is heard through WHEP, at the call's /v1/whep/ID.";
        return Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "sends-nothing", "The offer sends no audio.", fix));
    }
    ingest::check(&offer).map_err(unfit)?;
    let offer = ingest::one_way(&offer);
    let caller = calls::named(asked.caller)?;
    let recorded = asked.record.unwrap_or(true);
    let persona = asked.persona.as_deref();
    let wanted = registry::Asked { persona, caller, recorded, ..registry::Asked::default() };
    let opened = web.registry.open_whip(&offer, wanted).await?;
    let location = format!("/v1/whip/{}", opened.call);
    let mut response = created(&web, &location, &offer, opened.answer);
    // Where the agent of this call is heard.
    if let Ok(link) =
        HeaderValue::from_str(&format!("</v1/whep/{}>; rel=\"alternate\"; type=\"application/sdp\"", opened.call))
    {
        response.headers_mut().append(header::LINK, link);
    }
    Ok(response)
}

/// What an offer says that a microphone's must not (RFC 9725, section 4.4.2).
fn unfit(fault: IngestFault) -> Refusal {
    let text = fault.to_string();
    let (detail, fix) = text.split_once(": ").unwrap_or((&text, ""));
    Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, fault.code(), detail, fix)
}

/// Nobody is there: not any more, or never.
async fn gone(web: &Web, call: &str) -> Refusal {
    calls::gone_or_unknown(web, call).await.of_a_session()
}

/// Somebody hears the agent of a live call.
async fn play(
    State(web): State<Web>,
    Path(call): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let offer = calls::offer_in(&headers, body)?;
    match web.registry.listen_in(&call, &offer).await {
        Ok((listener, answer)) => Ok(created(&web, &format!("/v1/whep/{call}/{listener}"), &offer, answer)),
        Err(ListenError::NoSuchCall) => Err(gone(&web, &call).await),
        Err(ListenError::TooMany(most)) => {
            let detail = format!("{most} listen to that call already.");
            let fix = "DELETE one of them, or try again later.";
            Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-listeners", detail, fix))
        }
        Err(ListenError::Offer(refused)) => Err(OpenError::from(refused).into()),
    }
}

fn created(web: &Web, location: &str, offer: &str, answer: String) -> Response {
    let mut response = (StatusCode::CREATED, answer).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/sdp"));
    headers.insert(ACCEPT_PATCH, HeaderValue::from_static(FRAGMENT_TYPE));
    if let Ok(location) = HeaderValue::from_str(location) {
        headers.insert(header::LOCATION, location);
    }
    if let Ok(tag) = HeaderValue::from_str(&tag(offer)) {
        headers.insert(header::ETAG, tag);
    }
    for server in web.ice_servers.links() {
        if let Ok(link) = HeaderValue::from_str(&server) {
            headers.append(header::LINK, link);
        }
    }
    response
}

/// Of the ICE session that this offer began.
fn tag(offer: &str) -> String {
    let Credentials { ufrag, pwd } =
        Credentials::of(offer).unwrap_or(Credentials { ufrag: String::new(), pwd: String::new() });
    let digest = Sha256::digest(format!("{ufrag}:{pwd}"));
    let hex: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

/// Candidates, or an ICE restart, of a microphone.
async fn trickle(
    State(web): State<Web>,
    Path(call): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let Some(offer) = web.registry.offer_of(&call, None) else { return Err(gone(&web, &call).await) };
    patch(&web, (&call, None), &offer, &headers, body).await
}

/// Candidates, or an ICE restart, of a listener.
async fn trickle_played(
    State(web): State<Web>,
    Path((call, listener)): Path<(String, String)>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let Some(offer) = web.registry.offer_of(&call, Some(&listener)) else { return Err(no_such_listener()) };
    patch(&web, (&call, Some(&listener)), &offer, &headers, body).await
}

/// RFC 9725, section 4.3.
async fn patch(
    web: &Web,
    (call, listener): (&str, Option<&str>),
    offer: &str,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let fragment = fragment_in(headers, body)?;
    let asked = headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok()).ok_or_else(|| {
        let fix = "Send If-Match with the ETag of the session, or with * to restart ICE.";
        Refusal::new(StatusCode::PRECONDITION_REQUIRED, "no-if-match", "There is no If-Match.", fix)
    })?;
    let same = fragment.credentials.as_ref().is_none_or(|new| Credentials::of(offer).as_ref() == Some(new));
    let matches = asked.split(',').any(|one| one.trim() == "*" || one.trim() == tag(offer));
    if !matches {
        let detail = "The ICE session of that ETag is over.";
        let fix = "Take the ETag of the last answer to an ICE restart.";
        return Err(Refusal::new(StatusCode::PRECONDITION_FAILED, "other-ice-session", detail, fix));
    }
    let Some(credentials) = fragment.credentials.filter(|_| !same) else {
        return match web.registry.trickle_to(call, listener, fragment.candidates).await {
            Some(Ok(())) => Ok(StatusCode::NO_CONTENT.into_response()),
            Some(Err(_)) | None => Err(gone(web, call).await),
        };
    };
    let again = whip::restarted(offer, &credentials, &fragment.candidates);
    match web.registry.reoffer_of(call, listener, again.clone()).await {
        Some(Ok(answer)) => {
            let mut response = (StatusCode::OK, whip::fragment_of(&answer)).into_response();
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(FRAGMENT_TYPE));
            if let Ok(tag) = HeaderValue::from_str(&tag(&again)) {
                headers.insert(header::ETAG, tag);
            }
            Ok(response)
        }
        Some(Err(OfferRefused::Closed)) | None => Err(gone(web, call).await),
        Some(Err(refused)) => Err(OpenError::from(refused).into()),
    }
}

fn fragment_in(headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> Result<whip::Fragment, Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    if !kind.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case(FRAGMENT_TYPE) {
        let fix = format!("Send the fragment with Content-Type: {FRAGMENT_TYPE}.");
        let detail = "The body is no fragment of a description.";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-a-fragment", detail, fix));
    }
    let bad = |detail: String| {
        let fix = "Send candidates as RFC 8840 has them: m=, a=mid, a=ice-ufrag, a=ice-pwd, a=candidate.";
        Refusal::new(StatusCode::BAD_REQUEST, "bad-fragment", detail, fix)
    };
    let body = body.map_err(|_| bad(FragmentFault::TooLong.to_string()))?;
    let text = std::str::from_utf8(&body).map_err(|fault| bad(format!("The body is not UTF-8 text: {fault}.")))?;
    whip::read(text).map_err(|fault| bad(format!("{fault}.")))
}

/// The microphone goes: the call is over. 200 (RFC 9725, section 4.2).
async fn unpublish(State(web): State<Web>, Path(call): Path<String>) -> Result<StatusCode, Refusal> {
    calls::end(State(web), Path(call)).await.map(|_| StatusCode::OK).map_err(Refusal::of_a_session)
}

/// The listener goes; the call goes on.
async fn stop(State(web): State<Web>, Path((call, listener)): Path<(String, String)>) -> Result<StatusCode, Refusal> {
    if web.registry.stop_listening(&call, &listener) { Ok(StatusCode::OK) } else { Err(no_such_listener()) }
}

fn no_such_listener() -> Refusal {
    let fix = "Take the address from the Location header of the answer.";
    Refusal::new(StatusCode::NOT_FOUND, "no-such-listener", "Nobody listens to that call under that name.", fix)
}
