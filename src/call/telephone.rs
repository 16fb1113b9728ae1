//! What only a telephone does to the task: the clock stands still on hold, and the mouth speaks another codec. And what only a telephone's
//! call is asked for.

use std::time::Duration;

use tokio::time::Instant;

use super::leg::{Leg, NotTransferred, Onto};
use super::registry::Registry;
use super::task::CallTask;
use super::wire::Control;
use crate::dialogue::conversation::Input;
use crate::journal::EndReason;
use crate::machine::Happening;
use crate::peer::Spoken;

/// A call is not kept on hold for longer than this.
const HOLD_MOST: Duration = Duration::from_secs(30 * 60);

/// Why keys were not pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPressed {
    #[error("the other side of the call reads no keys (RFC 4733)")]
    NobodyReads,
    #[error("the call is too busy to listen")]
    Busy,
}

impl CallTask {
    /// On hold the call stands still: nobody hears, nothing is said, no timer runs. What the agent was saying goes on where it was.
    pub(super) fn on_hold(&mut self, on: bool) {
        match (on, self.work.held) {
            (true, None) => {
                self.tell(Happening::Hold { on });
                self.work.held = Some(Instant::now());
            }
            (false, Some(since)) => {
                self.began += since.elapsed();
                self.work.held = None;
                self.tell(Happening::Hold { on });
            }
            _ => {}
        }
    }

    /// True while the call is on hold: this tick is none.
    pub(super) fn rests(&mut self, due: Instant) -> bool {
        let Some(since) = self.work.held else { return false };
        if due.saturating_duration_since(since) >= HOLD_MOST {
            let detail = "The call was on hold for half an hour.".into();
            self.tell(Happening::End { reason: EndReason::TimeLimit, detail });
        }
        self.mouth.pass();
        true
    }

    /// Another telephone holds the call from here on.
    pub(super) fn change_leg(&mut self, leg: Leg, by: String) {
        // Hangs up in the background. What is still on its way from there is nobody's any more.
        drop(std::mem::replace(&mut self.leg, leg));
        self.on_hold(false);
        self.tell(Happening::TakenOver { by });
        self.speak(self.leg.spoken);
    }

    /// The other side wants another codec.
    pub(super) fn speak(&mut self, spoken: Spoken) {
        self.tell(Happening::Speaks { codec: spoken.codec, payload_type: spoken.payload_type });
        if let Err(fault) = self.mouth.speak(spoken) {
            self.tell(Happening::Input(Input::Trouble { code: "no-codec", detail: fault.to_string() }));
        }
    }
}

impl Registry {
    /// Who the caller of a live call is. `None`: there is no such live call.
    pub fn caller_of(&self, call: &str) -> Option<Option<String>> {
        self.live().get(call).map(|live| live.caller.clone())
    }

    /// A live call is held over this leg from here on; the one before is hung up. False: there is no such live call any more.
    pub async fn take_over(&self, call: &str, leg: Leg, by: String) -> bool {
        let line = leg.line.clone();
        if !self.tell_surely(call, Control::Leg { leg: Box::new(leg), by }).await {
            return false;
        }
        if let Some(live) = self.live().get_mut(call) {
            live.line = line;
        }
        true
    }

    /// Presses keys in a live call. `None`: there is no such live call.
    ///
    /// # Errors
    /// When the other side reads none, or the call is too busy to listen.
    pub fn press(&self, call: &str, keys: String) -> Option<Result<(), NotPressed>> {
        let live = self.live().get(call).cloned()?;
        if live.line.key_packets().is_none() {
            return Some(Err(NotPressed::NobodyReads));
        }
        Some(live.control.try_send(Control::Press(keys)).map_err(|_| NotPressed::Busy))
    }

    /// Hands a live call on. `None`: there is no such live call.
    ///
    /// # Errors
    /// When the other side is no telephone, or was asked to already.
    pub fn transfer(&self, call: &str, onto: Onto) -> Option<Result<(), NotTransferred>> {
        let live = self.live().get(call).cloned()?;
        Some(live.line.transfer(onto))
    }

    /// Whom a telephone has to call to take the other side of this live call over. `None`: there is no such call. `Some(None)`: it is
    /// no telephone's, or nobody has answered yet.
    pub fn taken_over_by(&self, call: &str) -> Option<Option<Onto>> {
        let live = self.live().get(call).cloned()?;
        Some(live.line.taken_over_by())
    }
}
