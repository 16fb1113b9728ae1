//! How requests are refused: problem documents that name the fault and the way out. And who may ask from another site.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use duologue_signaling::problem::Problem;

use super::{ALLOWED, Web};
use crate::call::registry::OpenError;
use crate::peer::OfferRefused;

/// A request that was not fulfilled.
#[derive(Debug)]
pub struct Refusal {
    problem: Problem,
}

impl Refusal {
    /// `code` is stable, for programs; `detail` and `fix` are for people.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { problem: Problem::new(status.as_u16(), code, &detail.into(), &fix.into()) }
    }

    /// No such call, now or ever.
    pub fn no_such_call(id: &str) -> Self {
        let shown: String = id.chars().take(60).collect();
        Self::new(
            StatusCode::NOT_FOUND,
            "no-such-call",
            format!("There is no call '{shown}'."),
            "Take the id from the Location header of POST /v1/calls, or from GET /v1/calls.",
        )
    }

    /// More was asked of the call than it has heard yet.
    pub fn call_busy() -> Self {
        let fix = "Try again in a moment.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "call-busy", "The call has too much to do.", fix)
    }

    /// The call is over.
    pub fn call_over(id: &str) -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "call-over",
            format!("Call '{id}' is over."),
            "Open a new call with POST /v1/calls.",
        )
    }

    /// Where the address was that of one session alone, and that is over, nothing is there any more: 410 instead of 409.
    pub fn of_a_session(mut self) -> Self {
        if self.problem.status == StatusCode::CONFLICT.as_u16() {
            self.problem.status = StatusCode::GONE.as_u16();
        }
        self
    }
}

impl From<OpenError> for Refusal {
    fn from(error: OpenError) -> Self {
        let detail = error.to_string();
        match error {
            OpenError::NoSuchPersona { .. } => {
                Self::new(StatusCode::NOT_FOUND, "no-such-persona", detail, "GET /v1/personas lists them.")
            }
            OpenError::Full(_) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "all-lines-taken",
                detail,
                "Try again later, or raise calls.max.",
            ),
            OpenError::Blocked(_) => Self::new(
                StatusCode::FORBIDDEN,
                "blocked",
                detail,
                "Wait until then, or ask the operator: `duologue block lift CALLER`.",
            ),
            OpenError::ShuttingDown => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "shutting-down",
                detail,
                "Try again when the server is back.",
            ),
            OpenError::Offer(OfferRefused::Fault(fault)) => Self { problem: fault.problem() },
            OpenError::Offer(OfferRefused::NotAnswerable(_)) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "offer-refused",
                detail,
                "Send the SDP of RTCPeerConnection.createOffer with one audio line that has Opus.",
            ),
            OpenError::Offer(OfferRefused::Closed) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "media-port-closed", detail, "Start the server again.")
            }
            OpenError::Offer(OfferRefused::Setup(_)) | OpenError::Codec(_) | OpenError::Machine(_) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "setup-failed", detail, "See the server's log.")
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.problem).unwrap_or_default();
        let mut response = (status, body).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
        }
        response
    }
}

/// A known path, asked with another verb.
pub async fn method(method: Method) -> Refusal {
    let detail = format!("{method} does not work here.");
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail, "PROTOCOL.md lists the requests.")
}

/// Cross-origin rules: pages of listed sites may call, others are told nothing by us and refused by their browser. A
/// request that changes something and comes from a page of an unlisted site is refused here as well, since browsers send
/// some of those without asking first.
pub async fn cross_origin(State(web): State<Web>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let host = request.headers().get(header::HOST).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let Some(origin) = origin else { return next.run(request).await };
    let own = host.is_some_and(|host| origin.split_once("://").is_some_and(|(_, site)| site == host));
    let listed = web.origins.iter().any(|allowed| allowed == "*" || *allowed == origin);
    if !own && !listed {
        let detail = format!("Pages of {} may not call this server.", origin.chars().take(100).collect::<String>());
        let fix = "Add the site to http.cors_origins in duologue.toml.";
        return Refusal::new(StatusCode::FORBIDDEN, "foreign-origin", detail, fix).into_response();
    }
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::from_str(&origin) {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, value);
        headers.insert(header::VARY, HeaderValue::from_static("Origin"));
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("Location, ETag, Link, Accept-Patch"),
        );
        let verbs: Vec<&str> = ALLOWED.iter().map(Method::as_str).collect();
        if let Ok(verbs) = HeaderValue::from_str(&verbs.join(", ")) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, verbs);
        }
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("Content-Type, Authorization, If-Match"),
        );
    }
    response
}
