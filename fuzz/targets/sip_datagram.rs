//! Any bytes as a datagram on the SIP port: one of the four, and no answer that would be answered. And as what comes over a connection: an
//! end that every reader finds at the same place, or none.

use duologue_signaling::sip_datagram::{Look, MESSAGE_MOST, look, unreadable};
use duologue_signaling::sip_stream::{Front, front, plain};

/// One datagram.
pub fn run(bytes: &[u8]) {
    let from = "[2001:db8::1]:5060".parse().expect("an address");
    match front(bytes, from) {
        Front::Message(length) => {
            assert!(length <= bytes.len().min(MESSAGE_MOST));
            let plain = plain(&bytes[..length]);
            assert_eq!(front(&plain, from), Front::Message(plain.len()));
        }
        Front::Blank(length) | Front::Ping(length) => assert!((1..=bytes.len()).contains(&length)),
        Front::Broken { answer: Some(answer), .. } => assert!(answer.starts_with(b"SIP/2.0 ")),
        Front::More | Front::Broken { answer: None, .. } => {}
    }
    for looked in [look(bytes, from), unreadable(bytes, from)] {
        match looked {
            Look::Message(read) => {
                assert!(read.len() <= MESSAGE_MOST + 32);
                // What was added is in order, too.
                assert!(matches!(look(&read, from), Look::Message(again) if again == read));
            }
            Look::Refused { answer: Some(answer), .. } => {
                assert!(answer.starts_with(b"SIP/2.0 ") && answer.ends_with(b"\r\n\r\n"));
                let text = std::str::from_utf8(&answer).expect("text");
                assert!(!text.trim_end().contains("\r\n\r\n") && !text.replace("\r\n", "").contains(['\r', '\n']));
                assert!(!matches!(look(&answer, from), Look::Refused { answer: Some(_), .. }));
            }
            Look::KeepAlive | Look::Ping | Look::Refused { answer: None, .. } => {}
        }
    }
}
