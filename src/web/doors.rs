//! The doors over HTTP: `/v1/realtime` (OpenAI Realtime), `/v1/twilio` (Media Streams); [`super::whip`] has WHIP and WHEP.

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use duologue_signaling::realtime::format::Format;
use duologue_signaling::realtime::session::Session;
use serde::Deserialize;

use super::passes::{self, Passes};
use super::refusal::{self, Refusal};
use super::{Web, calls, whip};
use crate::call::leg::Echoes;
use crate::call::registry::{self, OpenError};
use crate::config::Secret;
use crate::doors::orders::{self, Party};
use crate::doors::{doorway, realtime, twilio, twilio_signature};

/// Which doors are open, and for whom.
#[derive(Clone, Debug, Default)]
pub struct Doors {
    pub realtime: bool,
    pub whip: bool,
    pub twilio: bool,
    /// What has to be shown; `None`: nothing.
    pub key: Option<Secret>,
    /// What opens Realtime sessions for a while.
    pub passes: Passes,
    /// What Twilio signs with, where its signature is asked for, and the address that it signs where that is not ours.
    pub twilio_token: Option<Secret>,
    pub twilio_url: Option<String>,
}

/// The routes of the open doors.
pub(super) fn router(web: &Web) -> Router<Web> {
    let mut guarded = Router::new();
    if web.doors.realtime {
        guarded = guarded
            .route("/v1/realtime", get(converse).fallback(refusal::method))
            .route(
                "/v1/realtime/client_secrets",
                post(passes::issue).options(calls::preflight).fallback(refusal::method),
            )
            .route("/v1/realtime/calls", post(connect).options(calls::preflight).fallback(refusal::method))
            .route(
                "/v1/realtime/calls/{id}/hangup",
                post(calls::end).options(calls::preflight).fallback(refusal::method),
            );
    }
    if web.doors.whip {
        guarded = guarded.merge(whip::router());
    }
    let mut all = if guarded.has_routes() {
        guarded.route_layer(axum::middleware::from_fn_with_state(web.clone(), guard))
    } else {
        guarded
    };
    if web.doors.twilio {
        // Its key comes in the stream's parameters.
        all = all.route("/v1/twilio", get(stream).fallback(refusal::method));
    }
    all
}

/// What a browser's WebSocket, which sends no headers, shows its key with; the SDKs do it like this.
const KEY_PROTOCOL: &str = "openai-insecure-api-key.";

/// Lets through who has the key.
async fn guard(State(web): State<Web>, request: Request, next: Next) -> Result<Response, Refusal> {
    let Some(key) = &web.doors.key else { return Ok(next.run(request).await) };
    let headers = request.headers();
    // The name of the scheme is written in whatever letters (RFC 9110, section 11.1).
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.as_bytes().split_at_checked(7));
    let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"Bearer ")).map(|(_, key)| key);
    let protocol = headers.get(header::SEC_WEBSOCKET_PROTOCOL).and_then(|value| value.to_str().ok());
    let protocol =
        protocol.into_iter().flat_map(|all| all.split(',')).find_map(|one| one.trim().strip_prefix(KEY_PROTOCOL));
    let shown = bearer.or(protocol.map(str::as_bytes)).unwrap_or_default();
    // A pass begins sessions; it makes no other passes, and hangs up nobody.
    let begins = matches!(request.uri().path(), "/v1/realtime" | "/v1/realtime/calls");
    let passes = begins && web.doors.passes.holds(shown, passes::now_s());
    // A browser asks without the key whether it may ask with it.
    if request.method() == axum::http::Method::OPTIONS || passes || key.is(shown) {
        return Ok(next.run(request).await);
    }
    let fix = "Send the key of doors.key_env or doors.key_file: Authorization: Bearer KEY.";
    let mut refused =
        Refusal::new(StatusCode::UNAUTHORIZED, "bad-key", "The key is missing or wrong.", fix).into_response();
    refused.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    Ok(refused)
}

/// `GET /v1/realtime?model=...`
#[derive(Deserialize)]
struct Wanted {
    model: Option<String>,
    persona: Option<String>,
    caller: Option<String>,
    record: Option<bool>,
}

impl Wanted {
    fn asked<'a>(&'a self, persona: &'a str) -> Result<registry::Asked<'a>, Refusal> {
        let caller = calls::named(self.caller.clone())?;
        let recorded = self.record.unwrap_or(true);
        Ok(registry::Asked { persona: Some(persona), caller, recorded, ..registry::Asked::default() })
    }
}

pub(super) fn session(web: &Web, persona: &crate::dialogue::persona::Persona, track: bool) -> Session {
    let seed = uuid::Uuid::new_v4().simple().to_string();
    Session::new(&seed[..16], orders::given(&web.registry, persona), track)
}

/// A conversation over a WebSocket, sound and all.
async fn converse(
    State(web): State<Web>,
    Query(wanted): Query<Wanted>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Refusal> {
    let persona = orders::answers(&web.registry, wanted.persona.as_deref(), wanted.model.as_deref())?;
    let admitted = web.registry.admit(wanted.asked(&persona.name)?).await?;
    let session = session(&web, &persona, false);
    let upgrade = upgrade.protocols(["realtime"]).max_message_size(realtime::MESSAGE_LIMIT_BYTES);
    Ok(upgrade.on_upgrade(async move |socket| {
        let registry = web.registry;
        let (leg, doorway) = doorway::open(realtime::codec(Format::default()), "realtime", Echoes::ClientTells);
        match registry.begin(admitted, leg) {
            Ok(call) => {
                let party = Party { registry, call, persona };
                realtime::Talk { socket, doorway, session, party, format: Format::default() }.run().await;
            }
            Err(fault) => tracing::error!(%fault, "a Realtime session became no call"),
        }
    }))
}

/// A conversation over WebRTC: SDP in, SDP out, messages on the data channel `oai-events`.
async fn connect(
    State(web): State<Web>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let offer = calls::offer_in(&headers, body)?;
    let persona = orders::answers(&web.registry, wanted.persona.as_deref(), wanted.model.as_deref())?;
    let admitted = web.registry.admit(wanted.asked(&persona.name)?).await?;
    let (peer, answer) = web.registry.answer(&offer).await.map_err(OpenError::from)?;
    let (leg, introduce) = realtime::beside(peer, session(&web, &persona, true));
    let call = web.registry.begin(admitted, leg)?;
    let location = format!("/v1/realtime/calls/{call}");
    // Its task waits for this and for nothing else.
    let _ = introduce.send(Party { registry: web.registry, call, persona });
    let headers = [(header::CONTENT_TYPE, "application/sdp".to_owned()), (header::LOCATION, location)];
    Ok((StatusCode::CREATED, headers, answer).into_response())
}

/// Twilio's `<Connect><Stream url="wss://HOST/v1/twilio">`.
async fn stream(
    State(web): State<Web>,
    uri: Uri,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Refusal> {
    if let Some(token) = &web.doors.twilio_token {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let addresses = twilio_signature::addresses(web.doors.twilio_url.as_deref(), text("host"), path);
        if !twilio_signature::is_of(token, text("x-twilio-signature"), &addresses) {
            let address: String = addresses.into_iter().next().unwrap_or_default().chars().take(200).collect();
            let detail = format!("X-Twilio-Signature is missing, or not that of {address} with the account's token.");
            let fix = "Where TwiML names the stream by another address, set doors.twilio_url to that one.";
            return Err(Refusal::new(StatusCode::FORBIDDEN, "bad-twilio-signature", detail, fix));
        }
    }
    let key = web.doors.key.clone();
    let upgrade = upgrade.max_message_size(twilio::MESSAGE_LIMIT_BYTES);
    Ok(upgrade.on_upgrade(move |socket| twilio::run(socket, web.registry, key)))
}
