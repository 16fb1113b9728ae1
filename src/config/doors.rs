//! The section about other protocols' ways in.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::values::{Secret, SecretError};

section! {
    /// Protocols that clients already speak, each a door to the same calls: docs/DOORS.md says which client goes through which.
    pub struct Doors in "doors" {
        /// OpenAI's Realtime protocol: /v1/realtime (WebSocket) and /v1/realtime/calls (WebRTC).
        realtime: bool = true, (), "";
        /// WHIP at /v1/whip and WHEP at /v1/whep, as a pair: a microphone, and the agent's voice.
        whip: bool = true, (), "";
        /// Twilio's Media Streams at /v1/twilio. With a key, the stream's parameter "key" must have it: Twilio sends no header.
        twilio: bool = false, (), "";
        /// The environment variable with the token of the Twilio account: then only requests that Twilio has signed with it
        /// (X-Twilio-Signature) are taken.
        twilio_token_env: Option<String> = None, Optional { each: Text { most: 128 }, example: "\"TWILIO_AUTH_TOKEN\"" }, "";
        /// The file that holds it, instead of twilio_token_env.
        twilio_token_file: Option<PathBuf> = None, Optional { each: (), example: "\"/run/secrets/twilio-token\"" }, "";
        /// The stream's address as TwiML names it, where that is not wss://, the host that the request names, and /v1/twilio.
        twilio_url: Option<String> = None, Optional { each: Text { most: 500 }, example: "\"wss://calls.example.org/v1/twilio\"" }, "";
        /// Asterisk's AudioSocket. The protocol has neither key nor encryption, so whoever reaches this port can call.
        audio_socket: Option<SocketAddr> = None, Optional { each: (), example: "\"127.0.0.1:9092\"" }, "";
        /// The environment variable with the key that these doors ask for (Authorization: Bearer). Without one they are as open as
        /// POST /v1/calls.
        key_env: Option<String> = None, Optional { each: Text { most: 128 }, example: "\"DUOLOGUE_DOOR_KEY\"" }, "";
        /// The file that holds the key, instead of key_env.
        key_file: Option<PathBuf> = None, Optional { each: (), example: "\"/run/secrets/door-key\"" }, "";
    }
}

impl Doors {
    /// The key, from the environment or the file; `None` where neither is named.
    ///
    /// # Errors
    /// When the variable or the file is not there, is empty or is unreadable; the text names which.
    pub fn key(&self) -> Result<Option<Secret>, SecretError> {
        match (&self.key_env, &self.key_file) {
            (Some(name), _) => Secret::from_env("doors.key_env", name).map(Some),
            (None, Some(file)) => Secret::from_file("doors.key_file", file).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// What Twilio signs with; `None` where its signature is not asked for.
    ///
    /// # Errors
    /// As [`Doors::key`].
    pub fn twilio_token(&self) -> Result<Option<Secret>, SecretError> {
        match (&self.twilio_token_env, &self.twilio_token_file) {
            (Some(name), _) => Secret::from_env("doors.twilio_token_env", name).map(Some),
            (None, Some(file)) => Secret::from_file("doors.twilio_token_file", file).map(Some),
            (None, None) => Ok(None),
        }
    }
}
