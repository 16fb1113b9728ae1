//! What only a telephone does to the task: the clock stands still on hold, and the mouth speaks another codec.

use std::time::Duration;

use tokio::time::Instant;

use super::task::CallTask;
use crate::dialogue::conversation::Input;
use crate::journal::EndReason;
use crate::machine::Happening;
use crate::peer::Spoken;

/// A call is not kept on hold for longer than this.
const HOLD_MOST: Duration = Duration::from_secs(30 * 60);

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

    /// The other side wants another codec.
    pub(super) fn speak(&mut self, spoken: Spoken) {
        self.tell(Happening::Speaks { codec: spoken.codec, payload_type: spoken.payload_type });
        if let Err(fault) = self.mouth.speak(spoken) {
            self.tell(Happening::Input(Input::Trouble { code: "no-codec", detail: fault.to_string() }));
        }
    }
}
