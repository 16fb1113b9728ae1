//! What the server says, each as the JSON of one message. Names and members are those of the GA protocol.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::ask::Refused;
use super::items::{Item, Who};

/// Gives every event its id, and every item, response and session theirs.
#[derive(Clone, Debug)]
pub struct Ids {
    seed: String,
    last: u64,
}

impl Ids {
    /// `seed` tells one session's ids from another's.
    pub fn new(seed: &str) -> Self {
        Self { seed: seed.chars().filter(char::is_ascii_alphanumeric).take(32).collect(), last: 0 }
    }

    /// `item_...`, `resp_...`, `event_...`
    pub fn next(&mut self, kind: &str) -> String {
        self.last += 1;
        format!("{kind}_{}{:06}", self.seed, self.last)
    }

    /// The session's.
    pub fn session(&self) -> String {
        format!("sess_{}", self.seed)
    }
}

/// One event: `kind` and its members.
pub(super) fn event(ids: &mut Ids, kind: &str, mut members: Value) -> Value {
    if let Some(object) = members.as_object_mut() {
        object.insert("type".into(), kind.into());
        object.insert("event_id".into(), ids.next("event").into());
    }
    members
}

/// `error`. `event_id` is that of the client's message.
pub(super) fn error(ids: &mut Ids, refused: &Refused, event_id: Option<&str>) -> Value {
    let error = json!({
        "type": "invalid_request_error",
        "code": refused.code,
        "message": refused.message,
        "param": refused.param,
        "event_id": event_id,
    });
    event(ids, "error", json!({"error": error}))
}

/// An `error` that is none of the client's: the call goes on.
pub(super) fn trouble(ids: &mut Ids, code: &str, detail: &str) -> Value {
    let error = json!({"type": "server_error", "code": code, "message": detail, "param": null, "event_id": null});
    event(ids, "error", json!({"error": error}))
}

/// An item as events show it.
pub(super) fn item(item: &Item) -> Value {
    let content = match item.who {
        Who::Caller => json!([{"type": "input_audio", "transcript": item.words}]),
        Who::Typed | Who::System => json!([{"type": "input_text", "text": item.words}]),
        Who::Agent if item.sent_ms == 0 => json!([]),
        Who::Agent => json!([{"type": "output_audio", "transcript": item.words}]),
    };
    let role = match item.who {
        Who::Caller | Who::Typed => "user",
        Who::System => "system",
        Who::Agent => "assistant",
    };
    json!({
        "id": item.id, "object": "realtime.item", "type": "message", "status": item.status, "role": role,
        "content": content,
    })
}

/// A response as events show it. `why` is the `status_details` of one that was not completed.
pub(super) fn response(id: &str, status: &str, why: Option<Value>, output: Vec<Value>) -> Value {
    json!({
        "id": id, "object": "realtime.response", "status": status, "status_details": why, "output": output,
        "conversation_id": null, "output_modalities": ["audio"], "max_output_tokens": "inf", "usage": null,
        "metadata": null,
    })
}

/// Sound in base64.
pub(super) fn base64(sound: &[u8]) -> String {
    STANDARD.encode(sound)
}
