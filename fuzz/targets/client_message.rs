//! Any text as a client's message: read or refused, never a panic; what is read can be written and read again.

use duologue_signaling::event::ClientMessage;

/// The text of one message.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(message) = serde_json::from_str::<ClientMessage>(text) {
        let written = serde_json::to_string(&message).expect("what was read can be written");
        assert_eq!(serde_json::from_str::<ClientMessage>(&written).expect("and read again"), message);
    }
}
