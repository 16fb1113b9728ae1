//! The caller's turns as items.
//!
//! A turn of ours may go on after a pause and be transcribed again; an item of theirs is final. So the item comes when the
//! turn can hardly change any more: when the agent is heard answering it, when another turn begins, or when nobody speaks.

use serde_json::json;

use super::Session;
use crate::event::FloorState;
use crate::realtime::items::{Item, Who};

/// What a sound has lasted before the floor is the caller's (`floor.onset_ms`), and the pre-roll that is heard along with it
/// (`floor.pre_roll_ms`), milliseconds: `audio_start_ms` points before the first consonant.
const BEFORE_ONSET_MS: u64 = 90 + 300;

/// The caller's open turn.
#[derive(Debug)]
pub(super) struct Spoken {
    id: String,
    turn: Option<u32>,
    words: Option<String>,
    /// As much as the client has of it.
    told: String,
    began_ms: u64,
    ended_ms: u64,
}

impl Session {
    pub(super) fn on_floor(&mut self, state: FloorState, heard_ms: u64) {
        self.floor = state;
        match state {
            FloorState::Caller if !self.speaking => {
                self.speaking = true;
                let audio_start_ms = heard_ms.saturating_sub(BEFORE_ONSET_MS);
                let item_id = self.spoken(audio_start_ms).id.clone();
                self.tell(
                    "input_audio_buffer.speech_started",
                    json!({"audio_start_ms": audio_start_ms, "item_id": item_id}),
                );
            }
            // A sound that is still doubted is nobody's.
            FloorState::Caller | FloorState::Suspect => {}
            _ => self.stop_speaking(heard_ms),
        }
        if state == FloorState::Idle {
            self.settle();
        }
    }

    pub(super) fn stop_speaking(&mut self, heard_ms: u64) {
        if !std::mem::take(&mut self.speaking) {
            return;
        }
        let spoken = self.spoken(heard_ms);
        spoken.ended_ms = heard_ms;
        let item_id = spoken.id.clone();
        self.tell("input_audio_buffer.speech_stopped", json!({"audio_end_ms": heard_ms, "item_id": item_id}));
    }

    /// The open turn, opened if there is none.
    fn spoken(&mut self, began_ms: u64) -> &mut Spoken {
        let ids = &mut self.ids;
        self.spoken.get_or_insert_with(|| Spoken {
            id: ids.next("item"),
            turn: None,
            words: None,
            told: String::new(),
            began_ms,
            ended_ms: began_ms,
        })
    }

    /// The words as they belong to the open item: without those of the item before it, where the turn has gone on.
    fn own(&mut self, turn: u32, words: &str, heard_ms: u64) -> Option<String> {
        let before = self.settled.as_ref().filter(|(settled, _)| *settled == turn);
        // What is heard more exactly afterwards changes no item.
        if before.is_some() && self.spoken.is_none() {
            return None;
        }
        let own = before.and_then(|(_, before)| words.strip_prefix(before.as_str())).unwrap_or(words).trim().to_owned();
        if self.spoken.as_ref().is_some_and(|spoken| spoken.turn.is_some_and(|open| open != turn)) {
            self.settle();
        }
        self.spoken(heard_ms).turn = Some(turn);
        Some(own)
    }

    pub(super) fn on_partial(&mut self, turn: u32, text: &str, stable: u32, heard_ms: u64) {
        let sure = first_words(text, stable as usize);
        let Some(sure) = self.own(turn, sure, heard_ms) else { return };
        let spoken = self.spoken(heard_ms);
        let Some(more) = sure.strip_prefix(spoken.told.as_str()).filter(|more| !more.is_empty()) else { return };
        let (item_id, delta) = (spoken.id.clone(), more.to_owned());
        spoken.told = sure;
        self.tell(
            "conversation.item.input_audio_transcription.delta",
            json!({"item_id": item_id, "content_index": 0, "delta": delta}),
        );
    }

    pub(super) fn on_transcript(&mut self, turn: u32, text: &str, heard_ms: u64) {
        if let Some(words) = self.own(turn, text, heard_ms) {
            self.spoken(heard_ms).words = Some(words);
        }
    }

    /// What the client had typed is an item already.
    pub(super) fn on_typed(&mut self, text: &str) {
        if self.typing > 0 {
            self.typing -= 1;
            return;
        }
        let id = self.ids.next("item");
        self.add(Item::new(id, Who::Typed, text.to_owned()));
    }

    /// The caller's turn is an item from here on.
    pub(super) fn settle(&mut self) {
        let Some(Spoken { id, turn, words, began_ms, ended_ms, .. }) = self.spoken.take() else { return };
        let words = words.unwrap_or_default();
        if let Some(turn) = turn {
            let before = self.settled.take().filter(|(settled, _)| *settled == turn).map(|(_, before)| before);
            self.settled = Some((turn, before.map_or_else(|| words.clone(), |before| format!("{before} {words}"))));
        }
        self.committed = false;
        let item = Item::new(id.clone(), Who::Caller, words.clone());
        let before = self.items.newest();
        self.tell("input_audio_buffer.committed", json!({"previous_item_id": before, "item_id": id}));
        self.add(item);
        let seconds = ended_ms.saturating_sub(began_ms) as f64 / 1_000.0;
        self.tell(
            "conversation.item.input_audio_transcription.completed",
            json!({
                "item_id": id, "content_index": 0, "transcript": words,
                "usage": {"type": "duration", "seconds": seconds},
            }),
        );
    }
}

/// The first so many words, with what stands between them.
fn first_words(text: &str, count: usize) -> &str {
    let mut end = 0;
    let mut rest = text;
    for _ in 0..count {
        let blank = rest.len() - rest.trim_start().len();
        let word = rest.trim_start().find(char::is_whitespace).unwrap_or(rest.trim_start().len());
        end += blank + word;
        rest = &text[end..];
    }
    &text[..end]
}
