//! The call's recording: fed by the tick, and ended with the call or by the caller's wish.

use duologue_signaling::event::{Event, Stamped};
use tokio::time::Instant;

use super::task::CallTask;
use crate::audio::LINE_FRAME;
use crate::journal::{CallId, Entry, RecordingGone};
use crate::recording::{Tape, file_of};
use crate::store::{Recorder, utc_ms};
use crate::time::CallTime;

impl CallTask {
    /// One tick of both sides, as it is heard and as it is sent.
    pub(super) fn tape_tick(&mut self, due: Instant, sent: &mut [f32; LINE_FRAME]) {
        let Some(tape) = &mut self.tape else { return };
        let due = CallTime::ZERO + due.saturating_duration_since(self.began);
        if tape.tick(due, self.ear.frame(), sent) {
            let (call, started_ms) = (self.call.clone(), tape.started_ms());
            self.recorder.record(Entry::RecordingBegan { file: file_of(&call), call, started_ms });
            self.emit(Stamped { at_ms: due.ms(), event: Event::Recording { on: true } });
        }
    }

    /// The caller's wish not to be recorded. What there is of it goes.
    pub(super) fn stop_taping(&mut self, at: CallTime, on: bool) {
        if on {
            let detail = "A recording does not begin in the middle of a call.".into();
            return self
                .emit(Stamped { at_ms: at.ms(), event: Event::Trouble { code: "cannot-record".into(), detail } });
        }
        if let Some(tape) = self.tape.take() {
            tape.discard();
            let call = self.call.clone();
            self.recorder.record(Entry::RecordingGone { call, why: RecordingGone::OptOut, at_utc_ms: utc_ms() });
            self.emit(Stamped { at_ms: at.ms(), event: Event::Recording { on: false } });
        }
    }

    /// The call is over: what the file holds becomes a row.
    pub(super) async fn close_tape(tape: Option<Tape>, call: CallId, recorder: &Recorder) {
        let Some(tape) = tape else { return };
        if let Some(kept) = tape.finish().await {
            recorder.record(Entry::RecordingKept {
                call,
                duration_ms: kept.duration_ms,
                bytes: kept.bytes,
                sha256: kept.sha256,
                lost_ms: kept.lost_ms,
            });
        }
    }
}
