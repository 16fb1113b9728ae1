//! `POST /v1/realtime/client_secrets`: keys for clients that must not have the doors' own, as a page in a browser. A pass opens
//! Realtime sessions for a while, and nothing else; the session that was opened with it goes on when it has run out.
//!
//! The server keeps no list of them: a pass is its own end and a code over it, made with a key that lives as long as the process.

use std::fmt;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use duologue_signaling::realtime::session::Step;
use hmac::{Hmac, Mac};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::Sha256;

use super::refusal::Refusal;
use super::{Web, doors};
use crate::doors::orders;
use crate::store::utc_ms;

/// A pass begins as OpenAI's do: their SDK takes it from a browser without a warning.
const PREFIX: &str = "ek_";
/// For how long, seconds: OpenAI's own bounds and its default.
const VALID_S: std::ops::RangeInclusive<u64> = 10..=7_200;
const USUALLY_VALID_S: u64 = 600;
/// Bytes of a pass: until when it holds, and what tells it from others of the same second.
const UNTIL: usize = 8;
const HEAD: usize = UNTIL + 8;

/// Makes passes, and knows its own.
#[derive(Clone)]
pub struct Passes(Arc<[u8; 32]>);

impl Default for Passes {
    fn default() -> Self {
        Self(Arc::new(rand::random()))
    }
}

impl fmt::Debug for Passes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Passes(...)")
    }
}

impl Passes {
    /// One that holds until then, in seconds of Unix time.
    fn make(&self, until_s: u64) -> String {
        let mut bytes = until_s.to_be_bytes().to_vec();
        bytes.extend(rand::random::<[u8; 8]>());
        let code = self.code(&bytes).map(|mac| mac.finalize().into_bytes().to_vec()).unwrap_or_default();
        bytes.extend(code);
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Whether this is one of ours, and holds at `now_s`.
    pub(super) fn holds(&self, shown: &[u8], now_s: u64) -> bool {
        let bytes = shown.strip_prefix(PREFIX.as_bytes()).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let Some((head, code)) = bytes.as_deref().and_then(|bytes| bytes.split_at_checked(HEAD)) else { return false };
        let until = head.first_chunk::<UNTIL>().map_or(0, |until| u64::from_be_bytes(*until));
        // Compared in a time that does not tell how much of it was right.
        until > now_s && self.code(head).is_some_and(|mac| mac.verify_slice(code).is_ok())
    }

    fn code(&self, head: &[u8]) -> Option<Hmac<Sha256>> {
        // A key of any length is taken (RFC 2104, section 2).
        Hmac::<Sha256>::new_from_slice(self.0.as_slice()).ok().map(|mac| mac.chain_update(head))
    }
}

/// Seconds of Unix time.
pub(super) fn now_s() -> u64 {
    u64::try_from(utc_ms()).unwrap_or(0) / 1_000
}

#[derive(Default, Deserialize)]
struct Asked {
    expires_after: Option<ExpiresAfter>,
    session: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct ExpiresAfter {
    anchor: Option<String>,
    seconds: Option<u64>,
}

/// A pass, and what will hold in a session that begins with it.
pub(super) async fn issue(State(web): State<Web>, body: Result<Bytes, BytesRejection>) -> Result<Json<Value>, Refusal> {
    let bad = |detail: String, fix: &str| Refusal::new(StatusCode::BAD_REQUEST, "bad-client-secret", detail, fix);
    let body = body.map_err(|fault| bad(fault.to_string(), "Send a shorter session."))?;
    let asked: Asked = if body.is_empty() {
        Asked::default()
    } else {
        let fix = "Send JSON with `expires_after` and `session`, or nothing.";
        serde_json::from_slice(&body).map_err(|fault| bad(format!("The body is not understood: {fault}."), fix))?
    };
    let after = asked.expires_after.unwrap_or(ExpiresAfter { anchor: None, seconds: None });
    let seconds = after.seconds.unwrap_or(USUALLY_VALID_S);
    if !VALID_S.contains(&seconds) || after.anchor.is_some_and(|anchor| anchor != "created_at") {
        let detail = "`expires_after` is not understood.".to_owned();
        return Err(bad(detail, "Give {\"anchor\": \"created_at\", \"seconds\": 10 to 7200}."));
    }
    let session = session(&web, asked.session.unwrap_or_default())?;
    let expires_at = now_s() + seconds;
    Ok(Json(json!({"value": web.doors.passes.make(expires_at), "expires_at": expires_at, "session": session})))
}

/// The session as it would hold. What a client can only say on the connection itself is refused here by its name: it would not hold.
fn session(web: &Web, mut wanted: Map<String, Value>) -> Result<Value, Refusal> {
    let refuse = |param: &str| {
        let detail = format!("'{param}' cannot be set before the session.");
        Refusal::new(StatusCode::BAD_REQUEST, "not-before-the-session", detail, "Send it in `session.update`.")
    };
    let model = wanted.remove("model").and_then(|model| model.as_str().map(str::to_owned));
    let persona = orders::answers(&web.registry, None, model.as_deref())?;
    if wanted.get("instructions").is_some_and(|text| !text.is_null()) {
        return Err(refuse("session.instructions"));
    }
    let mut session = doors::session(web, &persona, false);
    session.ask(&json!({"type": "session.update", "session": wanted}).to_string());
    let mut shown = Value::Null;
    for step in session.steps() {
        match step {
            Step::Tell(event) if event["type"] == "error" => {
                return Err(refuse(event["error"]["param"].as_str().unwrap_or("session")));
            }
            Step::Tell(mut event) => shown = event["session"].take(),
            Step::Speak(_) => return Err(refuse("session.audio")),
            _ => {}
        }
    }
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_holds_until_its_end_and_only_here() {
        let passes = Passes::default();
        let pass = passes.make(1_000);
        assert!(pass.starts_with("ek_") && pass != passes.make(1_000));
        assert!(passes.holds(pass.as_bytes(), 999));
        assert!(!passes.holds(pass.as_bytes(), 1_000), "it has run out");
        assert!(!Passes::default().holds(pass.as_bytes(), 0), "another server's");
        for end in 0..pass.len() {
            assert!(!passes.holds(&pass.as_bytes()[..end], 0), "a part of it");
        }
        let mut later = URL_SAFE_NO_PAD.decode(&pass[3..]).expect("base64");
        later[0] = 1;
        assert!(
            !passes.holds(format!("ek_{}", URL_SAFE_NO_PAD.encode(later)).as_bytes(), 0),
            "its end cannot be moved"
        );
    }
}
