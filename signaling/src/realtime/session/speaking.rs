//! The agent's turns as responses, each with one item.
//!
//! A response begins with the turn's first sound, not when it is thought of: a reply that is dropped unheard was none. Its
//! sound goes out as the call's clock makes it, pauses included, so that the place in an item's sound is a place in time, and
//! its transcript is what has been heard. Sound that is nobody's turn (a tone that says that the call is recorded, a sign of
//! attention) is a response of its own.

use serde_json::{Value, json};

use super::Session;
use crate::event::TurnOutcome;
use crate::realtime::items::{Item, Who};
use crate::realtime::tell;

/// Sound of no turn that makes a response of its own: its turn may still be told, which comes after its first 20 ms, and what a
/// filter leaves at the end of a turn is no sound.
const NOTICE_MS: u64 = 60;
/// Silence that ends such a response.
const NOTICE_QUIET_MS: u64 = 200;

/// What is being said.
#[derive(Debug)]
pub(super) struct Response {
    pub id: String,
    /// Its item's.
    pub item: String,
    /// None: sound that is nobody's turn.
    pub turn: Option<u32>,
    began_ms: u64,
    quiet_ms: u64,
}

impl Session {
    /// The agent's next 20 ms, in the session's format. Not to be called where the sound goes another way.
    pub fn sound(&mut self, sound: &[u8]) {
        let quiet = self.format.is_quiet(sound);
        if self.response.is_none() {
            if quiet {
                self.loose.clear();
                return;
            }
            self.loose.extend_from_slice(sound);
            if self.format.ms(self.loose.len()) < NOTICE_MS {
                return;
            }
            let words = self.attention.take().unwrap_or_default();
            self.begin(None, words, 0);
            let loose = std::mem::take(&mut self.loose);
            self.play(&loose);
            return;
        }
        self.play(sound);
        let ms = self.format.ms(sound.len());
        let Some(response) = &mut self.response else { return };
        response.quiet_ms = if quiet { response.quiet_ms + ms } else { 0 };
        if response.turn.is_none() && response.quiet_ms >= NOTICE_QUIET_MS {
            self.end_notice();
        }
    }

    fn play(&mut self, sound: &[u8]) {
        let Some(response) = &self.response else { return };
        let (id, item_id) = (response.id.clone(), response.item.clone());
        if let Some(item) = self.items.find(&item_id) {
            item.sent_ms += self.format.ms(sound.len());
        }
        if !sound.is_empty() {
            let delta = tell::base64(sound);
            self.tell("response.output_audio.delta", part(&id, &item_id, json!({"delta": delta})));
        }
    }

    pub(super) fn begin_turn(&mut self, turn: u32, at_ms: u64) {
        self.end_notice();
        self.attention = None;
        self.cancelled = false;
        self.begin(Some(turn), String::new(), at_ms);
        let loose = std::mem::take(&mut self.loose);
        self.play(&loose);
    }

    fn begin(&mut self, turn: Option<u32>, words: String, began_ms: u64) {
        let (id, item_id) = (self.ids.next("resp"), self.ids.next("item"));
        let mut item = Item::new(item_id.clone(), Who::Agent, words.clone());
        (item.status, item.turn) = ("in_progress", turn);
        let shown = tell::item(&item);
        let before = self.items.add(item);
        self.tell("response.created", json!({"response": tell::response(&id, "in_progress", None, vec![])}));
        self.tell("response.output_item.added", json!({"response_id": id, "output_index": 0, "item": shown}));
        self.tell("conversation.item.added", json!({"previous_item_id": before, "item": shown}));
        let content = json!({"part": {"type": "audio", "transcript": ""}});
        self.tell("response.content_part.added", part(&id, &item_id, content));
        if self.track {
            self.tell("output_audio_buffer.started", json!({"response_id": id}));
        }
        if !words.is_empty() {
            self.tell("response.output_audio_transcript.delta", part(&id, &item_id, json!({"delta": words})));
        }
        self.response = Some(Response { id, item: item_id, turn, began_ms, quiet_ms: 0 });
    }

    /// More has been heard.
    pub(super) fn on_words(&mut self, turn: u32, heard: &str) {
        let Some(response) = self.response.as_ref().filter(|response| response.turn == Some(turn)) else { return };
        let (id, item_id) = (response.id.clone(), response.item.clone());
        let Some(item) = self.items.find(&item_id) else { return };
        let Some(more) = heard.strip_prefix(item.words.as_str()).filter(|more| !more.is_empty()) else { return };
        let delta = more.to_owned();
        item.words = heard.to_owned();
        self.tell("response.output_audio_transcript.delta", part(&id, &item_id, json!({"delta": delta})));
    }

    pub(super) fn end_turn(&mut self, turn: u32, outcome: TurnOutcome, heard: &str, at_ms: u64) {
        self.on_words(turn, heard);
        let Some(response) = self.response.take_if(|response| response.turn == Some(turn)) else { return };
        if self.track
            && let Some(item) = self.items.find(&response.item)
        {
            item.sent_ms = at_ms.saturating_sub(response.began_ms);
        }
        let cancelled = std::mem::take(&mut self.cancelled);
        let (status, why) = match outcome {
            TurnOutcome::Completed => ("completed", None),
            TurnOutcome::Failed => {
                ("failed", Some(json!({"type": "failed", "error": {"type": "server_error", "code": "reply_failed"}})))
            }
            TurnOutcome::Interrupted | TurnOutcome::Revoked => {
                let reason = if cancelled { "client_cancelled" } else { "turn_detected" };
                ("cancelled", Some(json!({"type": "cancelled", "reason": reason})))
            }
        };
        self.end(response, status, why);
    }

    /// Sound that was nobody's turn is over.
    pub(super) fn end_notice(&mut self) {
        if let Some(response) = self.response.take() {
            self.end(response, "completed", None);
        }
    }

    fn end(&mut self, Response { id, item: item_id, .. }: Response, status: &'static str, why: Option<Value>) {
        let Some(item) = self.items.find(&item_id) else { return };
        item.status = if status == "completed" { "completed" } else { "incomplete" };
        let (shown, words) = (tell::item(item), item.words.clone());
        if self.track {
            let kind =
                if status == "completed" { "output_audio_buffer.stopped" } else { "output_audio_buffer.cleared" };
            self.tell(kind, json!({"response_id": id}));
        } else {
            self.tell("response.output_audio.done", part(&id, &item_id, json!({})));
        }
        self.tell("response.output_audio_transcript.done", part(&id, &item_id, json!({"transcript": words})));
        let content = json!({"part": {"type": "audio", "transcript": words}});
        self.tell("response.content_part.done", part(&id, &item_id, content));
        self.tell("response.output_item.done", json!({"response_id": id, "output_index": 0, "item": shown}));
        self.tell("conversation.item.done", json!({"previous_item_id": null, "item": shown}));
        self.tell("response.done", json!({"response": tell::response(&id, status, why, vec![shown])}));
    }
}

/// Members of an event about the one part of the one item of a response.
fn part(response: &str, item: &str, mut members: Value) -> Value {
    if let Some(object) = members.as_object_mut() {
        object.insert("response_id".into(), response.into());
        object.insert("item_id".into(), item.into());
        object.insert("output_index".into(), 0.into());
        object.insert("content_index".into(), 0.into());
    }
    members
}
