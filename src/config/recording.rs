//! The section about recordings.

use std::path::PathBuf;

use super::values::RecordCalls;

section! {
    /// How calls sounded, for whoever reviews them: one stereo file a call, the caller left, the agent right.
    pub struct Recording in "recording" {
        /// "tone" records and says so with a short tone at the beginning; "announced" says it in words; "silent" leaves it to the
        /// client, which is told; "off" records nothing. Which of them is lawful is for you to know.
        calls: RecordCalls = RecordCalls::Tone, (), "";
        /// The words of "announced", before the persona's greeting.
        announcement: String = "This call is recorded.".into(), Text { most: 300 }, "";
        /// The folder of the files. It holds what callers said: keep it as you keep the database.
        dir: PathBuf = PathBuf::from("recordings"), (), "";
        /// Recordings are taken away after so many days; 0 keeps them for ever.
        keep_days: u32 = 30, 0..=36_500, "days";
    }
}
