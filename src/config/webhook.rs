//! The section about webhooks.

use std::path::PathBuf;

use super::values::{EventName, HttpUrl, Secret, SecretError};

section! {
    /// What happens in calls, sent to a program of yours: one signed request an event, as Standard Webhooks have it (docs/DOORS.md).
    pub struct Webhook in "webhook" {
        /// Where to. Without it nothing is sent. Over HTTPS, unless it is on this machine: what was said goes along.
        url: Option<HttpUrl> = None, Optional { each: (), example: "\"https://example.org/duologue\"" }, "";
        /// The environment variable with the secret that messages are signed with: whsec_ and base64 as the standard has it, or any
        /// text of 16 bytes or more. Needed with url: a message that nobody can check is a message from anybody.
        secret_env: Option<String> = None, Optional { each: Text { most: 128 }, example: "\"DUOLOGUE_WEBHOOK_SECRET\"" }, "";
        /// The file that holds it, instead of secret_env.
        secret_file: Option<PathBuf> = None, Optional { each: (), example: "\"/run/secrets/webhook-secret\"" }, "";
        /// Which events are sent (signaling/PROTOCOL.md says what each is). "partial" and "quality" are many.
        events: Vec<EventName> = EventName::usual(), ListOf { most: 32, each: () }, "";
        /// How long a message is tried, with pauses of 0.5 s to 60 s, before it is given up. Later ones wait behind it: what comes
        /// comes in order.
        patience_s: u32 = 300, 1..=86_400, "s";
    }
}

impl Webhook {
    /// The secret; `None` where none is named.
    ///
    /// # Errors
    /// When the variable or the file is not there, is empty or is unreadable; the text names which.
    pub fn secret(&self) -> Result<Option<Secret>, SecretError> {
        match (&self.secret_env, &self.secret_file) {
            (Some(name), _) => Secret::from_env("webhook.secret_env", name).map(Some),
            (None, Some(file)) => Secret::from_file("webhook.secret_file", file).map(Some),
            (None, None) => Ok(None),
        }
    }
}
