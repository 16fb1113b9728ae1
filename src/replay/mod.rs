//! Ring 3: the input journal of every recorded call, and `duologue replay`. What a call's machine is told is written beside its recording
//! as it is told, so that the call can be driven again ([`duologue_core::replay`]): a bug report is one file.

mod cli;
mod diff;
mod file;
mod into;
mod settings;
mod tape;

pub use cli::{ReplayArguments, run};
pub use file::{Kept, Opened, ReplayFault, open, read};
pub use settings::{SetFault, apply, config_of};
pub use tape::{JournalHouse, JournalTape};

use std::path::Path;
use std::time::Duration;

use crate::journal::{CallId, Entry, RecordingGone};
use crate::store::Recorder;

/// Blocks of all calls that may wait for the disk: a second's of each; some 10 s of 100 calls at 4 kB, 4 MB. More are lost, counted, and
/// end what can be replayed of their call.
pub const BLOCKS_WAITING: usize = 1_024;

/// How long the end of a call waits for its file, as for a recording's.
const FINISH_WITHIN: Duration = Duration::from_secs(5);

/// A journal does not grow beyond this: five hours of call, or a peer that floods us.
const FILE_BYTES_MOST: u64 = 64 * 1_024 * 1_024;

/// The name of a call's journal in the folder of recordings.
pub fn journal_of(call: &CallId) -> String {
    format!("{call}.journal")
}

/// Takes a call's journal out of the folder, as its recording is taken out.
///
/// # Errors
/// When the file is there and cannot be taken away.
pub fn remove(
    folder: &Path,
    call: &CallId,
    why: RecordingGone,
    recorder: &Recorder,
    at_utc_ms: i64,
) -> std::io::Result<()> {
    match std::fs::remove_file(folder.join(journal_of(call))) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    }
    recorder.record(Entry::JournalGone { call: call.clone(), why, at_utc_ms });
    Ok(())
}
