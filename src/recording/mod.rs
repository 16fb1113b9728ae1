//! Ring 3: every call as a sound file, caller left and agent right, on the call's own clock. The tick hands over what was heard
//! and what was sent and goes on; one thread encodes and writes for all calls.
//!
//! A finished recording may move on to a store of objects; until it is there it stays in the folder.
//!
//! A file is Ogg/Opus (RFC 7845), a page a second, so that what was written before a crash is played by any player.

mod house;
mod moving;
mod objects;
mod ogg_file;
mod pages;
mod sealed;
mod shelf;
mod silence;
mod tape;
mod thread;

pub use house::{Consent, Housekeeping, RecordingHouse, file_of, remove};
pub use moving::{Moving, take_away_left};
pub use objects::{ObjectSettings, ObjectShelf, Probed};
pub use ogg_file::{OggFile, Peaks, length_of, peaks, read, whole_file};
pub use pages::page_hashes;
pub use sealed::{KEY_CHARS_LEAST, SealKey, SealKeys, Sealer, key_id};
pub use shelf::{RecordingShelf, Whereabouts};
pub use silence::{Silenced, put_beside, settle_place, silenced, take_place};
pub use tape::{Finished, Tape};

use std::time::Duration;

/// Ticks of all calls that may wait for the disk: some 4 s of 100 calls at 2.6 kB each, 50 MB. More are lost and counted.
pub const TICKS_WAITING: usize = 20_000;

/// How long the end of a call waits for its file. A disk that is behind by more is told by a row without a hash.
pub const FINISH_WITHIN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
