//! The section about reading everything.

use std::path::PathBuf;

use super::values::{Secret, SecretError};

section! {
    /// Who may read everything over HTTP: the list of calls, their recordings, `POST /v1/sql`. Without a key: whoever reaches a server
    /// that listens on this machine only, and nobody where it is reached from outside.
    pub struct Review in "review" {
        /// The environment variable that holds the key.
        key_env: Option<String> = None, Optional { each: Text { most: 128 }, example: "\"DUOLOGUE_REVIEW_KEY\"" }, "";
        /// The file that holds the key, instead of key_env.
        key_file: Option<PathBuf> = None, Optional { each: (), example: "\"/run/secrets/review-key\"" }, "";
    }
}

impl Review {
    /// The key, from the environment or the file; `None` where neither is named.
    ///
    /// # Errors
    /// When the variable or the file is not there, is empty or is unreadable; the text names which.
    pub fn key(&self) -> Result<Option<Secret>, SecretError> {
        match (&self.key_env, &self.key_file) {
            (Some(name), _) => Secret::from_env("review.key_env", name).map(Some),
            (None, Some(file)) => Secret::from_file("review.key_file", file).map(Some),
            (None, None) => Ok(None),
        }
    }
}
