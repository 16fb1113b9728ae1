//! `session.update`: what a client wishes, what of it can be had, and what holds.
//!
//! Wishes about how it should sound (a voice, a threshold, a recogniser) are answered by `session.updated`, which shows what
//! holds instead. Wishes that change what the client must do itself (tools, text instead of sound, turns that it ends, other
//! formats) are refused by name, each with an `error`; the rest of the update holds all the same.

use serde_json::{Map, Value, json};

use super::ask::Refused;
use super::format::Format;

/// Longest instructions, characters.
pub const INSTRUCTIONS_MAX_CHARS: usize = 8_000;

/// What of an update is done, and what is not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// How the agent is to behave.
    pub instructions: Option<String>,
    /// What the caller's sound is to be in, and the agent's.
    pub formats: [Option<Format>; 2],
    /// What cannot be had, by name.
    pub refused: Vec<Refused>,
}

/// What holds and is not the client's to choose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// The language model's name.
    pub model: String,
    /// The recogniser's.
    pub recogniser: String,
    /// The voice's.
    pub voice: String,
    /// The persona's own instructions, until the client gives others.
    pub instructions: String,
}

/// Reads the `session` of an update.
///
/// # Errors
/// When nothing of it can be done: another kind of session, or instructions that are no text or too long.
pub(super) fn read(session: &Map<String, Value>) -> Result<Wanted, Refused> {
    let mut wanted = Wanted::default();
    for (name, value) in session {
        let param = format!("session.{name}");
        let seen = match (name.as_str(), value) {
            ("type", Value::String(kind)) if kind != "realtime" => {
                return Err(Refused::unsupported("session.type", "a session here is 'realtime': it is a call"));
            }
            ("instructions", Value::String(text)) if text.chars().count() <= INSTRUCTIONS_MAX_CHARS => {
                wanted.instructions = Some(text.trim().to_owned()).filter(|text| !text.is_empty());
                Ok(())
            }
            ("instructions", _) => {
                let message = format!("'session.instructions' takes up to {INSTRUCTIONS_MAX_CHARS} characters.");
                return Err(Refused::new("invalid_value", "session.instructions", message));
            }
            ("audio", Value::Object(audio)) => {
                wanted.formats = ["input", "output"].map(|side| format_of(audio, side).and_then(Format::read));
                wanted.refused.extend(audio_faults(audio));
                Ok(())
            }
            ("output_modalities", modalities) => spoken(&param, modalities),
            ("tools", Value::Array(tools)) if tools.is_empty() => Ok(()),
            ("tools", _) => Err(Refused::unsupported(&param, "the agent has no tools of the client's")),
            ("max_output_tokens", Value::String(all)) if all == "inf" => Ok(()),
            // How it sounds and what is kept: `session.updated` shows what holds.
            ("type" | "model" | "tool_choice" | "truncation" | "tracing" | "include" | "speed", _) => Ok(()),
            (_, Value::Null) => Ok(()),
            ("max_output_tokens" | "prompt" | "reasoning" | "parallel_tool_calls", _) => {
                Err(Refused::unsupported(&param, "leave it out"))
            }
            _ => Err(Refused::new("unknown_parameter", &param, format!("There is no '{param}' in the GA protocol."))),
        };
        wanted.refused.extend(seen.err());
    }
    Ok(wanted)
}

/// The agent speaks; text alone cannot be had.
pub(super) fn spoken(param: &str, modalities: &Value) -> Result<(), Refused> {
    match modalities.as_array() {
        Some(list) if list.iter().any(|one| one == "audio") => Ok(()),
        _ => Err(Refused::unsupported(param, "answers are spoken, [\"audio\"], and come with their transcript")),
    }
}

fn format_of<'a>(audio: &'a Map<String, Value>, side: &str) -> Option<&'a Value> {
    audio.get(side)?.get("format").filter(|format| !format.is_null())
}

fn audio_faults(audio: &Map<String, Value>) -> Vec<Refused> {
    let mut faults = Vec::new();
    for side in ["input", "output"] {
        if format_of(audio, side).is_some_and(|format| Format::read(format).is_none()) {
            let instead = "sound is audio/pcm at 24000 Hz, audio/pcmu or audio/pcma";
            faults.push(Refused::unsupported(&format!("session.audio.{side}.format"), instead));
        }
    }
    let Some(detection) = audio.get("input").and_then(|input| input.get("turn_detection")) else { return faults };
    let param = "session.audio.input.turn_detection";
    if detection.is_null() {
        faults.push(Refused::unsupported(param, "the end of a turn is heard here, after a commit as well"));
    }
    for wish in ["create_response", "interrupt_response"] {
        if detection.get(wish) == Some(&Value::Bool(false)) {
            let instead = "the judge decides whether a turn is answered, and the floor who gives way";
            faults.push(Refused::unsupported(&format!("{param}.{wish}"), instead));
        }
    }
    faults
}

/// The session as it holds.
pub(super) fn shown(id: &str, given: &Given, instructions: &str, format: Format) -> Value {
    let format = format.shown();
    json!({
        "type": "realtime",
        "object": "realtime.session",
        "id": id,
        "model": given.model,
        "output_modalities": ["audio"],
        "instructions": instructions,
        "tools": [],
        "tool_choice": "none",
        "max_output_tokens": "inf",
        "tracing": null,
        "truncation": "auto",
        "prompt": null,
        "include": null,
        "audio": {
            "input": {
                "format": format,
                "transcription": {"model": given.recogniser, "language": null, "prompt": null},
                "noise_reduction": null,
                "turn_detection": {
                    "type": "semantic_vad", "eagerness": "auto", "create_response": true, "interrupt_response": true,
                },
            },
            "output": {"format": format, "voice": given.voice, "speed": 1.0},
        },
    })
}
