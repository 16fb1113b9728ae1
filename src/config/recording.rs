//! The section about recordings.

use std::path::PathBuf;

use std::sync::Arc;

use super::values::{RecordCalls, Secret, SecretError};
use crate::recording::{SealKey, Shelf};

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
        /// The environment variable that holds the key with which new recordings are sealed: 32 characters of chance or more, as
        /// `openssl rand -hex 32` gives. Without the key nobody hears them, you neither.
        key_env: Option<String> = None, Optional { each: Text { most: 128 }, example: "\"DUOLOGUE_RECORDING_KEY\"" }, "";
        /// The file that holds the key, instead of key_env.
        key_file: Option<PathBuf> = None, Optional { each: (), example: "\"/run/secrets/recording-key\"" }, "";
    }
}

impl Recording {
    /// Where recordings lie, and what opens them.
    ///
    /// # Errors
    /// When the variable or the file with the key is not there, is empty or is unreadable; the text names which.
    pub fn shelf(&self) -> Result<Shelf, SecretError> {
        let secret = match (&self.key_env, &self.key_file) {
            (Some(name), _) => Some(Secret::from_env("recording.key_env", name)?),
            (None, Some(file)) => Some(Secret::from_file("recording.key_file", file)?),
            (None, None) => None,
        };
        let key = secret.map(|secret| Arc::new(SealKey::new(secret.reveal().as_bytes())));
        Ok(Shelf { folder: self.dir.clone(), key })
    }
}
