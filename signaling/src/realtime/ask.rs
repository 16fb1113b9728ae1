//! What a client says: one JSON object a message, each with a `type`. Total over any text; a fault names what is wrong.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::settings::{self, Wanted};

/// Longest text of one item or of instructions, characters. A typed turn of ours takes 2,000.
pub const TEXT_MAX_CHARS: usize = 2_000;
/// Longest id that a client may give an item, characters.
const ID_MAX_CHARS: usize = 64;

/// One message, understood.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// `session.update`
    Update(Wanted),
    /// `input_audio_buffer.append`: sound in the format of the session.
    Append(Vec<u8>),
    /// `input_audio_buffer.commit`
    Commit,
    /// `input_audio_buffer.clear`
    Clear,
    /// `conversation.item.create`
    Create { id: Option<String>, item: NewItem },
    /// `conversation.item.retrieve`
    Retrieve { id: String },
    /// `conversation.item.truncate`
    Truncate { id: String, audio_end_ms: u64 },
    /// `response.create`
    Respond { instructions: Option<String> },
    /// `response.cancel`
    Cancel { response: Option<String> },
    /// `output_audio_buffer.clear`, where the agent's voice is a track.
    Silence,
}

/// What a client may put into the conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewItem {
    /// A typed turn of the caller's.
    Caller(String),
    /// Something that the agent knows from now on.
    System(String),
}

/// Why a message is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// A stable name.
    pub code: &'static str,
    pub message: String,
    /// Which part of the message it is about.
    pub param: Option<String>,
}

impl Refused {
    pub(super) fn new(code: &'static str, param: &str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), param: (!param.is_empty()).then(|| param.to_owned()) }
    }

    /// Not there at all, however it is asked for.
    pub(super) fn unsupported(param: &str, instead: &str) -> Self {
        Self::new("unsupported", param, format!("'{param}' is not supported here: {instead}"))
    }
}

/// The message's own id, which an `error` repeats.
pub fn event_id(text: &str) -> Option<String> {
    let object: Map<String, Value> = serde_json::from_str(text).ok()?;
    object.get("event_id")?.as_str().map(|id| id.chars().take(512).collect())
}

/// Reads one message.
///
/// # Errors
/// With what is wrong, or not supported, by its name.
pub fn read(text: &str) -> Result<Ask, Refused> {
    let message: Map<String, Value> = serde_json::from_str(text)
        .map_err(|fault| Refused::new("invalid_json", "", format!("Not a JSON object: {fault}.")))?;
    let kind = message.get("type").and_then(Value::as_str);
    match kind.ok_or_else(|| Refused::new("missing_required_parameter", "type", "There is no 'type'."))? {
        "session.update" => settings::read(object(&message, "session")?).map(Ask::Update),
        "input_audio_buffer.append" => sound(string(&message, "audio")?).map(Ask::Append),
        "input_audio_buffer.commit" => Ok(Ask::Commit),
        "input_audio_buffer.clear" => Ok(Ask::Clear),
        "conversation.item.create" => item(object(&message, "item")?),
        "conversation.item.retrieve" => Ok(Ask::Retrieve { id: string(&message, "item_id")?.to_owned() }),
        "conversation.item.truncate" => truncate(&message),
        "response.create" => response(message.get("response")),
        "response.cancel" => Ok(Ask::Cancel { response: optional(&message, "response_id")? }),
        "output_audio_buffer.clear" => Ok(Ask::Silence),
        "conversation.item.delete" => Err(Refused::unsupported(
            "conversation.item.delete",
            "what was said stays in the call; `conversation.item.truncate` says how much of it was heard",
        )),
        other => {
            let shown: String = other.chars().take(80).collect();
            Err(Refused::new("unknown_event", "type", format!("There is no client event '{shown}' here.")))
        }
    }
}

/// Base64 of sound.
fn sound(audio: &str) -> Result<Vec<u8>, Refused> {
    STANDARD
        .decode(audio)
        .map_err(|fault| Refused::new("invalid_value", "audio", format!("'audio' is no base64: {fault}.")))
}

fn item(item: &Map<String, Value>) -> Result<Ask, Refused> {
    let id = optional(item, "id")?;
    if id.as_ref().is_some_and(|id| id.is_empty() || id.chars().count() > ID_MAX_CHARS) {
        return Err(Refused::new("invalid_value", "item.id", format!("Give 1 to {ID_MAX_CHARS} characters.")));
    }
    match string(item, "type")? {
        "message" => {}
        other => {
            let param = format!("item.type.{}", other.chars().take(40).collect::<String>());
            return Err(Refused::unsupported(&param, "only items of type 'message' are taken; there are no tools"));
        }
    }
    let role = string(item, "role")?;
    let content = item.get("content").and_then(Value::as_array);
    let content = content.ok_or_else(|| missing("item.content"))?;
    let mut text = String::new();
    for part in content {
        match part.get("type").and_then(Value::as_str) {
            Some("input_text") => {
                let words = part.get("text").and_then(Value::as_str).ok_or_else(|| missing("item.content.text"))?;
                text.push_str(if text.is_empty() { "" } else { "\n" });
                text.push_str(words);
            }
            Some("input_audio") => {
                let instead = "sound goes into the call with `input_audio_buffer.append`";
                return Err(Refused::unsupported("item.content.input_audio", instead));
            }
            _ => return Err(Refused::unsupported("item.content", "only parts of type 'input_text' are taken")),
        }
    }
    let text = text_in("item.content.text", &text)?;
    match role {
        "user" => Ok(Ask::Create { id, item: NewItem::Caller(text) }),
        "system" => Ok(Ask::Create { id, item: NewItem::System(text) }),
        _ => Err(Refused::unsupported("item.role", "roles are 'user' and 'system': the agent's words are its own")),
    }
}

fn truncate(message: &Map<String, Value>) -> Result<Ask, Refused> {
    let number = |name: &str| message.get(name).and_then(Value::as_u64).ok_or_else(|| missing(name));
    if number("content_index")? != 0 {
        return Err(Refused::new("invalid_value", "content_index", "The agent's items have one part, 0."));
    }
    Ok(Ask::Truncate { id: string(message, "item_id")?.to_owned(), audio_end_ms: number("audio_end_ms")? })
}

fn response(response: Option<&Value>) -> Result<Ask, Refused> {
    let none = Map::new();
    let response = match response {
        None | Some(Value::Null) => &none,
        Some(Value::Object(response)) => response,
        Some(_) => return Err(Refused::new("invalid_type", "response", "'response' must be an object.")),
    };
    let mut instructions = None;
    for (name, value) in response {
        let param = format!("response.{name}");
        match (name.as_str(), value) {
            (_, Value::Null) | ("metadata" | "max_output_tokens" | "tool_choice" | "audio", _) => {}
            ("instructions", Value::String(text)) => instructions = Some(text_in(&param, text)?),
            ("output_modalities", modalities) => settings::spoken(&param, modalities)?,
            ("conversation", Value::String(which)) if which == "auto" => {}
            ("tools" | "input", Value::Array(list)) if list.is_empty() => {}
            _ => {
                let instead = "a response answers the conversation as it is, with a voice and without tools";
                return Err(Refused::unsupported(&param, instead));
            }
        }
    }
    Ok(Ask::Respond { instructions })
}

/// 1 to [`TEXT_MAX_CHARS`] characters.
pub(super) fn text_in(param: &str, text: &str) -> Result<String, Refused> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > TEXT_MAX_CHARS {
        let message = format!("'{param}' takes 1 to {TEXT_MAX_CHARS} characters.");
        return Err(Refused::new("invalid_value", param, message));
    }
    Ok(text.to_owned())
}

fn missing(name: &str) -> Refused {
    Refused::new("missing_required_parameter", name, format!("'{name}' is missing or of the wrong type."))
}

fn object<'a>(message: &'a Map<String, Value>, name: &str) -> Result<&'a Map<String, Value>, Refused> {
    message.get(name).and_then(Value::as_object).ok_or_else(|| missing(name))
}

fn string<'a>(message: &'a Map<String, Value>, name: &str) -> Result<&'a str, Refused> {
    message.get(name).and_then(Value::as_str).ok_or_else(|| missing(name))
}

fn optional(message: &Map<String, Value>, name: &str) -> Result<Option<String>, Refused> {
    match message.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Refused::new("invalid_type", name, format!("'{name}' must be a string."))),
    }
}
