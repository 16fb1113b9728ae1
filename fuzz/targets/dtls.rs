//! Any bytes as a datagram of DTLS: what a handshake is handed of it is whole records of it, and is handed on again.

use duologue_signaling::dtls::{Sifted, sift};

/// One datagram.
pub fn run(bytes: &[u8]) {
    let Sifted { records, parts, .. } = sift(bytes);
    assert!(records.len() <= bytes.len() && records.is_empty() == (parts == 0));
    // A record has 13 bytes before it, and a part of a message twelve more.
    assert!(parts * 12 <= records.len());
    assert_eq!(sift(&records), Sifted { records, parts, alert: None });
}
