//! The section about TURN servers for clients.

use std::path::PathBuf;

use super::values::{Secret, SecretError};

section! {
    /// Relays for clients whose network lets no UDP through to this server. They get a name and a password that hold for a while,
    /// made from a secret that the server shares with the relay (coturn: use-auth-secret, static-auth-secret).
    pub struct TurnServers in "turn_servers" {
        /// The relays' addresses, as in "turn:relay.example.org:3478?transport=udp"; STUN servers too, as in "stun:...".
        urls: Vec<String> = Vec::new(), ListOf { most: 8, each: Text { most: 200 } }, "";
        /// The environment variable that holds the shared secret.
        secret_env: Option<String> = None, Optional { each: Text { most: 128 }, example: "\"DUOLOGUE_TURN_SECRET\"" }, "";
        /// The file that holds it, instead of secret_env.
        secret_file: Option<PathBuf> = None, Optional { each: (), example: "\"/run/secrets/turn-secret\"" }, "";
        /// How long a name and its password hold. A relay asks for them again every ten minutes (RFC 8656, section 3.9), so at least
        /// the longest call.
        valid_s: u32 = 7_200, 600..=86_400, "s";
    }
}

impl TurnServers {
    /// The shared secret; `None` where none is named.
    ///
    /// # Errors
    /// When the variable or the file is not there, is empty or is unreadable; the text names which.
    pub fn secret(&self) -> Result<Option<Secret>, SecretError> {
        match (&self.secret_env, &self.secret_file) {
            (Some(name), _) => Secret::from_env("turn_servers.secret_env", name).map(Some),
            (None, Some(file)) => Secret::from_file("turn_servers.secret_file", file).map(Some),
            (None, None) => Ok(None),
        }
    }
}
