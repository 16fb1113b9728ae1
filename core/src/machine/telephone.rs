//! What only a telephone does: keys, hold, another codec in the middle of the call.

use std::time::Duration;

use duologue_signaling::event::Event;

use super::CallMachine;
use crate::audio::codec::LineCodec;
use crate::dialogue::conversation::Input;
use crate::time::CallTime;

/// So long after a key a number counts as complete; #, the usual key for it, says so at once. Two seconds let a caller look for the
/// next key, and are what exchanges use between digits at the least (ITU-T E.182 has 3 to 5 s for numbers to dial).
const COMPLETE_AFTER: Duration = Duration::from_secs(2);
/// More keys than this in a row are none: 32 digits are the longest that anybody types, an IBAN or a card with its date.
const KEYS_MOST: usize = 40;

/// Keys that were pressed and do not make a number yet.
#[derive(Debug, Default)]
pub(super) struct Keys {
    pressed: String,
    last: CallTime,
}

impl CallMachine {
    /// Keys are told one by one, and the conversation is given them as a number: typed words.
    pub(super) fn on_key(&mut self, at: CallTime, key: char, held: Duration) {
        let held_ms = held.as_millis() as u32;
        self.emit(at, Event::Key { key: key.to_string(), held_ms });
        self.keys.last = at;
        if key != '#' && self.keys.pressed.len() < KEYS_MOST {
            self.keys.pressed.push(key);
        }
        if key == '#' {
            self.hand_over_keys(at);
        }
    }

    /// Once a tick.
    pub(super) fn mind_keys(&mut self, at: CallTime) {
        if !self.keys.pressed.is_empty() && at.since(self.keys.last) >= COMPLETE_AFTER {
            self.hand_over_keys(at);
        }
    }

    fn hand_over_keys(&mut self, at: CallTime) {
        let pressed = std::mem::take(&mut self.keys.pressed);
        if !pressed.is_empty() && self.talks {
            self.conversation.on(at, Input::Typed(pressed));
        }
    }

    /// The other side wants another codec. Should there be none, the old one goes on, and nobody understands anything: that is told.
    pub(super) fn speak(&mut self, at: CallTime, codec: LineCodec, payload_type: u8) {
        if let Err(fault) = self.ear.speak(codec, payload_type) {
            self.trouble(at, "no-codec", fault.to_string());
        }
    }
}
