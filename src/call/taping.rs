//! What a call leaves in files: its recording, fed by the tick, and its journal, fed by everything. Both are ended with the call or by
//! the caller's wish.

use super::task::CallTask;
use crate::audio::LINE_FRAME;
use crate::journal::{CallId, Entry, RecordingGone};
use crate::recording::{Tape, file_of};
use crate::replay::{JournalTape, journal_of};
use crate::store::{Recorder, utc_ms};
use crate::time::CallTime;

impl CallTask {
    /// One tick of both sides, as it is heard and as it is sent.
    pub(super) fn tape_tick(&mut self, due: CallTime, sent: &[f32; LINE_FRAME]) {
        // Who does not want to be recorded is not recorded with the call that he is connected with either.
        let sent =
            if self.work.joint.as_ref().is_some_and(|joint| !joint.may_be_taped()) { &[0.0; LINE_FRAME] } else { sent };
        let Some(tape) = &mut self.tape else { return };
        if tape.tick(due, self.machine.heard(), sent) {
            let (call, started_ms, key_id) = (self.call.clone(), tape.started_ms(), tape.key_id());
            self.recorder.record(Entry::RecordingBegan { file: file_of(&call), call, started_ms, key_id });
            if let Some(journal) = &self.journal {
                let (call, key_id) = (self.call.clone(), journal.key_id());
                self.recorder.record(Entry::JournalBegan { file: journal_of(&call), call, key_id });
            }
        }
    }

    /// The caller's wish not to be recorded. What there is of it goes, the journal with it: it holds his sound.
    pub(super) fn stop_taping(&mut self) {
        let (call, why, at_utc_ms) = (self.call.clone(), RecordingGone::OptOut, utc_ms());
        if let Some(tape) = self.tape.take() {
            tape.discard();
            self.recorder.record(Entry::RecordingGone { call: call.clone(), why, at_utc_ms });
        }
        if let Some(journal) = self.journal.take() {
            journal.discard();
            self.recorder.record(Entry::JournalGone { call, why, at_utc_ms });
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

    /// The same for the journal.
    pub(super) async fn close_journal(journal: Option<JournalTape>, digest: u64, call: CallId, recorder: &Recorder) {
        let Some(journal) = journal else { return };
        if let Some(kept) = journal.finish(digest).await {
            recorder.record(Entry::JournalKept { call, bytes: kept.bytes, records: kept.records, lost: kept.lost });
        }
    }
}
