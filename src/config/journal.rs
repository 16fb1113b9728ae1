//! The section about input journals.

use super::values::KeepJournals;

section! {
    /// Input journals: what a call was told, tick by tick, so that `duologue replay` can run it again and a bug report is one file.
    pub struct Journal in "journal" {
        /// "recorded" keeps one for each call that is recorded, beside the recording, some 0.2 MB a minute: it holds the caller's sound
        /// and words as the recording does, and goes with it (recording.keep_days, the caller's wish, erasure). "off" keeps none.
        calls: KeepJournals = KeepJournals::Recorded, (), "";
    }
}
