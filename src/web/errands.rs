//! What may be asked of a live call from outside: say this, this has happened, somebody else answers from now on.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;

use super::Web;
use super::calls::gone_or_unknown;
use super::refusal::Refusal;
use crate::call::wire::Control;
use crate::dialogue::conversation::Errand;

/// Longest text that is said or told, characters: a minute of speech.
const TEXT_MAX_CHARS: usize = 1_000;
/// Longest name of an event, characters.
const NAME_MAX_CHARS: usize = 60;
/// A call does not last longer than this.
const AFTER_MAX_MS: u64 = 24 * 3_600_000;

/// `POST /v1/calls/{id}/say`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Say {
    text: String,
    /// Whoever speaks is talked over; without it the words wait for a free floor.
    #[serde(default)]
    interrupt: bool,
    /// The agent hangs up when they have been heard.
    #[serde(default)]
    hang_up: bool,
    #[serde(default)]
    after_ms: u64,
}

/// `POST /v1/calls/{id}/event`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Happened {
    name: String,
    text: String,
    /// The agent speaks of it by itself, within its persona's budget and quiet hours; else it only knows.
    #[serde(default)]
    speak: bool,
    #[serde(default)]
    after_ms: u64,
}

/// `POST /v1/calls/{id}/persona`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    name: String,
}

type Asked<T> = Result<Json<T>, JsonRejection>;

/// The agent says these words.
pub async fn say(State(web): State<Web>, Path(id): Path<String>, asked: Asked<Say>) -> Result<StatusCode, Refusal> {
    let Say { text, interrupt, hang_up, after_ms } = read(asked)?;
    let words = text_in("text", &text, TEXT_MAX_CHARS)?;
    tell(&web, &id, Control::Errand { errand: Errand::Say { words, interrupt, hang_up }, after: after(after_ms)? })
        .await
}

/// The agent learns of something.
pub async fn happened(
    State(web): State<Web>,
    Path(id): Path<String>,
    asked: Asked<Happened>,
) -> Result<StatusCode, Refusal> {
    let Happened { name, text, speak, after_ms } = read(asked)?;
    let name = text_in("name", &name, NAME_MAX_CHARS)?;
    let text = text_in("text", &text, TEXT_MAX_CHARS)?;
    tell(&web, &id, Control::Errand { errand: Errand::News { name, text, speak }, after: after(after_ms)? }).await
}

/// Somebody else answers from now on.
pub async fn persona(
    State(web): State<Web>,
    Path(id): Path<String>,
    asked: Asked<Wanted>,
) -> Result<StatusCode, Refusal> {
    let Wanted { name } = read(asked)?;
    let persona = web.registry.talking_persona(&name)?;
    tell(&web, &id, Control::Persona(persona)).await
}

pub(super) fn read<T>(asked: Asked<T>) -> Result<T, Refusal> {
    asked.map(|Json(asked)| asked).map_err(|fault| {
        let fix = "Send a JSON object with Content-Type: application/json, as signaling/PROTOCOL.md shows it.";
        Refusal::new(fault.status(), "bad-request", fault.body_text(), fix)
    })
}

pub(super) fn text_in(field: &str, text: &str, most: usize) -> Result<String, Refusal> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > most {
        let detail = format!("{field} is empty or longer than {most} characters.");
        let fix = format!("Give 1 to {most} characters.");
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "bad-text", detail, fix));
    }
    Ok(text.to_owned())
}

fn after(ms: u64) -> Result<Duration, Refusal> {
    if ms > AFTER_MAX_MS {
        let detail = format!("after_ms is {ms}, which is more than a day.");
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "bad-delay", detail, "Give 0 to 86,400,000 ms."));
    }
    Ok(Duration::from_millis(ms))
}

/// It is with the call now; what becomes of it is told by the call's events.
async fn tell(web: &Web, id: &str, control: Control) -> Result<StatusCode, Refusal> {
    match web.registry.tell(id, control) {
        Some(true) => Ok(StatusCode::ACCEPTED),
        Some(false) => Err(Refusal::call_busy()),
        None => Err(gone_or_unknown(web, id).await),
    }
}
