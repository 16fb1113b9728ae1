//! The section about recordings.

use std::path::PathBuf;
use std::sync::Arc;

use super::values::{RecordCalls, Secret, SecretError, home_expanded};
use crate::recording::{KEY_CHARS_LEAST, RecordingShelf, SealKey, SealKeys};

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
        /// The environment variable that holds the key with which new recordings and journals are sealed: 32 characters of chance or more,
        /// as `openssl rand -hex 32` gives. Without the key nobody hears them, you neither.
        key_env: Option<String> = None, Optional { each: Text { most: 128 }, example: "\"DUOLOGUE_RECORDING_KEY\"" }, "";
        /// The file that holds the key, instead of key_env.
        key_file: Option<PathBuf> = None, Optional { each: (), example: "\"/run/secrets/recording-key\"" }, "";
        /// Files with keys of before: what they sealed is opened still. To change the key, name the new one as key_file and the old one
        /// here, until retention has taken what it sealed.
        old_key_files: Vec<String> = Vec::new(), ListOf { most: 16, each: Text { most: 1_000 } }, "";
    }
}

impl Recording {
    /// Where recordings lie, and what opens them.
    ///
    /// # Errors
    /// When a variable or a file with a key is not there, is unreadable or has too short a key; the text names which.
    pub fn shelf(&self) -> Result<RecordingShelf, SecretError> {
        let new = match (&self.key_env, &self.key_file) {
            (Some(name), _) => Some(seal_key("recording.key_env", Secret::from_env("recording.key_env", name)?)?),
            (None, Some(file)) => Some(seal_key("recording.key_file", Secret::from_file("recording.key_file", file)?)?),
            (None, None) => None,
        };
        let old = |file: &String| {
            const OLD: &str = "recording.old_key_files";
            seal_key(OLD, Secret::from_file(OLD, &home_expanded(file))?)
        };
        let old = self.old_key_files.iter().map(old).collect::<Result<_, _>>()?;
        Ok(RecordingShelf { folder: self.dir.clone(), keys: SealKeys { new, old } })
    }
}

fn seal_key(key: &'static str, secret: Secret) -> Result<Arc<SealKey>, SecretError> {
    let sealing = SealKey::new(secret.reveal().as_bytes());
    sealing.map(Arc::new).map_err(|found| SecretError::TooShort { key, found, least: KEY_CHARS_LEAST })
}
