//! What a client asks for, done or refused.

use serde_json::json;

use super::{Order, Session, Step};
use crate::event::FloorState;
use crate::realtime::ask::{Ask, NewItem, Refused, TEXT_MAX_CHARS};
use crate::realtime::format::Format;
use crate::realtime::items::{Item, Who};
use crate::realtime::settings::Wanted;
use crate::realtime::tell;

impl Session {
    pub(super) fn do_as_asked(&mut self, ask: Ask) -> Result<(), Refused> {
        match ask {
            Ask::Update(wanted) => self.update(wanted),
            Ask::Append(_) | Ask::Commit | Ask::Clear if self.track => {
                let instead = "the caller's sound is the track of this connection";
                return Err(Refused::unsupported("input_audio_buffer", instead));
            }
            Ask::Append(sound) => {
                if sound.len() % self.format.sample_bytes() != 0 {
                    let message = "'audio' ends in the middle of a 16 bit sample.";
                    return Err(Refused::new("invalid_value", "audio", message));
                }
                self.appended |= !sound.is_empty();
                self.steps.push(Step::Hear(sound));
            }
            Ask::Commit => return self.commit(),
            Ask::Clear => {
                self.appended = false;
                self.steps.push(Step::Forget);
                self.tell("input_audio_buffer.cleared", json!({}));
            }
            Ask::Create { id, item } => return self.create(id, item),
            Ask::Retrieve { id } => {
                let item = tell::item(self.known(&id)?);
                self.tell("conversation.item.retrieved", json!({"item": item}));
            }
            Ask::Truncate { id, audio_end_ms } => return self.truncate(&id, audio_end_ms),
            Ask::Respond { instructions } => return self.respond(instructions),
            Ask::Cancel { response } => return self.cancel(response.as_deref()),
            Ask::Silence if self.track => return self.cancel(None),
            Ask::Silence => {
                let instead =
                    "over a WebSocket the client's own buffer is the client's to clear; `response.cancel` stops";
                return Err(Refused::unsupported("output_audio_buffer.clear", instead));
            }
        }
        Ok(())
    }

    fn update(&mut self, wanted: Wanted) {
        for refused in &wanted.refused {
            self.refuse(refused, None);
        }
        self.speak(wanted.formats);
        if let Some(instructions) = wanted.instructions {
            self.instructions.clone_from(&instructions);
            self.order(Order::Become(instructions));
        }
        let shown = self.shown();
        self.tell("session.updated", json!({"session": shown}));
    }

    /// Both sides change together: the call speaks one codec.
    fn speak(&mut self, [input, output]: [Option<Format>; 2]) {
        let (heard, spoken) = (input.unwrap_or(self.format), output.unwrap_or(self.format));
        let instead = match self.track {
            true if heard != self.format || spoken != self.format => {
                "the tracks of this connection have a codec of their own"
            }
            _ if heard != spoken => "both sides speak the same format: set that of the other side to it as well",
            _ => "",
        };
        if !instead.is_empty() {
            let side = if heard == self.format { "output" } else { "input" };
            self.refuse(&Refused::unsupported(&format!("session.audio.{side}.format"), instead), None);
        } else if heard != self.format {
            self.format = heard;
            self.loose.clear();
            self.appended = false;
            self.steps.push(Step::Speak(heard));
        }
    }

    /// The turn ends when its sound has been heard and its end with it; the item follows then.
    fn commit(&mut self) -> Result<(), Refused> {
        if !std::mem::take(&mut self.appended) {
            let message = "Nothing was appended since the last commit.";
            return Err(Refused::new("input_audio_buffer_commit_empty", "", message));
        }
        self.committed = true;
        Ok(())
    }

    fn create(&mut self, id: Option<String>, item: NewItem) -> Result<(), Refused> {
        if id.as_ref().is_some_and(|id| self.items.find(id).is_some()) {
            return Err(Refused::new("item_exists", "item.id", "There is an item of that id already."));
        }
        let (who, text) = match item {
            NewItem::Caller(text) => (Who::Typed, text),
            NewItem::System(text) => (Who::System, text),
        };
        if who == Who::Typed {
            let before: usize = self.typed.iter().map(|text| text.chars().count() + 1).sum();
            if before + text.chars().count() > TEXT_MAX_CHARS {
                let message =
                    format!("Items that wait for a `response.create` have {TEXT_MAX_CHARS} characters at most.");
                return Err(Refused::new("too_much_text", "item.content.text", message));
            }
            self.typed.push(text.clone());
        } else {
            self.order(Order::Know { text: text.clone(), speak: false });
        }
        let id = id.unwrap_or_else(|| self.ids.next("item"));
        self.add(Item::new(id, who, text));
        Ok(())
    }

    /// Of an item of the agent's no more was heard than this: the call's own account is the limit of what is believed.
    fn truncate(&mut self, id: &str, audio_end_ms: u64) -> Result<(), Refused> {
        let item = self.known(id)?;
        let (Who::Agent, sent_ms, turn) = (item.who, item.sent_ms, item.turn) else {
            return Err(Refused::new("invalid_value", "item_id", "Only the agent's items can be truncated."));
        };
        if audio_end_ms > sent_ms {
            let message =
                format!("{audio_end_ms} ms of that item cannot have been heard: {sent_ms} ms were sent of it.");
            return Err(Refused::new("audio_end_after_sent", "audio_end_ms", message));
        }
        // What is still being said is over: the client plays no more of it.
        if self.response.as_ref().is_some_and(|response| response.item == id) {
            self.cancelled = true;
            self.order(Order::Stop);
        }
        if let Some(turn) = turn {
            self.order(Order::Truncated { turn, heard_ms: audio_end_ms });
        }
        self.tell(
            "conversation.item.truncated",
            json!({"item_id": id, "content_index": 0, "audio_end_ms": audio_end_ms}),
        );
        Ok(())
    }

    /// A spoken turn is answered by itself; what is typed is answered when it is asked for; and the agent may be asked to speak.
    fn respond(&mut self, instructions: Option<String>) -> Result<(), Refused> {
        if let Some(response) = self.response.as_ref().filter(|response| response.turn.is_some()) {
            let message = format!("Response {} is being spoken.", response.id);
            return Err(Refused::new("conversation_already_has_active_response", "", message));
        }
        let answered_anyway = self.committed || matches!(self.floor, FloorState::Caller | FloorState::Thinking);
        if self.typed.is_empty() && !answered_anyway {
            let text = instructions.unwrap_or_else(|| "It is your turn to speak now.".to_owned());
            self.order(Order::Know { text, speak: true });
            return Ok(());
        }
        if let Some(text) = instructions {
            self.order(Order::Know { text, speak: false });
        }
        if !self.typed.is_empty() {
            let text = std::mem::take(&mut self.typed).join("\n");
            self.typing += 1;
            self.order(Order::Type(text));
        }
        Ok(())
    }

    fn cancel(&mut self, response: Option<&str>) -> Result<(), Refused> {
        let open = self.response.as_ref().filter(|open| open.turn.is_some());
        let meant = open.is_some_and(|open| response.is_none_or(|id| id == open.id));
        // What is still being thought of has no id yet.
        if !meant && !(response.is_none() && self.floor == FloorState::Thinking) {
            return Err(Refused::new("response_cancel_not_active", "response_id", "No such response is being spoken."));
        }
        self.cancelled = meant;
        self.order(Order::Stop);
        Ok(())
    }

    fn known(&mut self, id: &str) -> Result<&mut Item, Refused> {
        let shown: String = id.chars().take(80).collect();
        let message = format!("There is no item '{shown}' among the newest.");
        self.items.find(id).ok_or_else(|| Refused::new("item_not_found", "item_id", message))
    }
}
