//! Any text as an SDP offer: facts, or a fault that can be told to the client.

use duologue_signaling::offer::{LIMIT_BYTES, audio_codecs, check};

/// The text of one offer.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match check(text) {
        Ok(facts) => assert_eq!(audio_codecs(text).opus, Some(facts.opus_payload_type)),
        Err(fault) => assert!((400..=422).contains(&fault.status()) && serde_json::to_string(&fault.problem()).is_ok()),
    }
    assert!(text.len() <= LIMIT_BYTES || check(text).is_err());
}
