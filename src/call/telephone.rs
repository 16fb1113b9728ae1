//! What only a telephone does: keys, hold, another codec in the middle of the call.

use std::time::Duration;

use duologue_signaling::event::{Event, Stamped};
use tokio::time::Instant;

use super::task::CallTask;
use crate::dialogue::conversation::Input;
use crate::journal::EndReason;
use crate::peer::Spoken;
use crate::time::CallTime;

/// So long after a key a number counts as complete; #, the usual key for it, says so at once. Two seconds let a caller look for the
/// next key, and are what exchanges use between digits at the least (ITU-T E.182 has 3 to 5 s for numbers to dial).
const COMPLETE_AFTER: Duration = Duration::from_secs(2);
/// More keys than this in a row are none: 32 digits are the longest that anybody types, an IBAN or a card with its date.
const KEYS_MOST: usize = 40;
/// A call is not kept on hold for longer than this.
const HOLD_MOST: Duration = Duration::from_secs(30 * 60);

/// Keys that were pressed and do not make a number yet.
#[derive(Debug, Default)]
pub struct Keys {
    pressed: String,
    last: CallTime,
}

impl CallTask {
    /// Keys are told one by one, and the conversation is given them as a number: typed words.
    pub(super) fn on_key(&mut self, key: char, held: Duration) {
        let at = self.now();
        let held_ms = held.as_millis() as u32;
        self.emit(Stamped { at_ms: at.ms(), event: Event::Key { key: key.to_string(), held_ms } });
        let keys = &mut self.work.keys;
        keys.last = at;
        if key != '#' && keys.pressed.len() < KEYS_MOST {
            keys.pressed.push(key);
        }
        if key == '#' {
            self.hand_over_keys();
        }
    }

    /// Once a tick.
    pub(super) fn mind_keys(&mut self, at: CallTime) {
        if !self.work.keys.pressed.is_empty() && at.since(self.work.keys.last) >= COMPLETE_AFTER {
            self.hand_over_keys();
        }
    }

    fn hand_over_keys(&mut self) {
        let pressed = std::mem::take(&mut self.work.keys.pressed);
        if !pressed.is_empty() && self.talks() {
            self.conversation.on(self.now(), Input::Typed(pressed));
        }
    }

    /// On hold the call stands still: nobody hears, nothing is said, no timer runs. What the agent was saying goes on where it was.
    pub(super) fn on_hold(&mut self, held: bool) {
        match (held, self.work.held) {
            (true, None) => {
                let at_ms = self.now().ms();
                self.work.held = Some(Instant::now());
                self.emit(Stamped { at_ms, event: Event::Hold { on: true } });
            }
            (false, Some(since)) => {
                self.began += since.elapsed();
                self.work.held = None;
                self.emit(Stamped { at_ms: self.now().ms(), event: Event::Hold { on: false } });
            }
            _ => {}
        }
    }

    /// True while the call is on hold: this tick is none.
    pub(super) fn rests(&mut self, due: Instant) -> bool {
        let Some(since) = self.work.held else { return false };
        if due.saturating_duration_since(since) >= HOLD_MOST {
            self.end(EndReason::TimeLimit, "The call was on hold for half an hour.");
        }
        self.mouth.pass();
        true
    }

    /// The other side wants another codec. Should there be none, the old one goes on, and nobody understands anything: that is told.
    pub(super) fn speak(&mut self, spoken: Spoken) {
        let ear = self.ear.speak(spoken.codec, spoken.payload_type).map_err(|fault| fault.to_string());
        let mouth = self.mouth.speak(spoken).map_err(|fault| fault.to_string());
        if let Err(detail) = ear.and(mouth) {
            let event = Event::Trouble { code: "no-codec".into(), detail };
            self.emit(Stamped { at_ms: self.now().ms(), event });
        }
    }
}
