//! Any bytes on the port of all WebRTC calls, from three addresses: a datagram goes to whom it names, or who has proved its address; and
//! what two peers send teaches the table nothing else.

use std::net::SocketAddr;
use std::time::Duration;

use duologue_signaling::demux::{Kind, PeerId, Stranger, Table, kind};

const ANNE: PeerId = PeerId(1);
const BOB: PeerId = PeerId(2);

/// Datagrams, each after a byte that says what happens and one that says how long it is.
pub fn run(bytes: &[u8]) {
    let mut table = Table::default();
    table.name("anne", ANNE);
    table.name("bob", BOB);
    let (mut now, mut rest) = (Duration::ZERO, bytes);
    while let [what, length, after_head @ ..] = rest {
        let (datagram, after) = after_head.split_at(after_head.len().min(usize::from(*length)));
        rest = after;
        now += Duration::from_millis(u64::from(*what) * 40);
        let at: SocketAddr = ([192, 0, 2, 7], 5_000 + u16::from(what & 3)).into();
        let peer = if what & 4 == 0 { ANNE } else { BOB };
        match what >> 3 & 3 {
            0 => table.sent(datagram, at, peer, now),
            1 if what & 0x80 != 0 => table.forget(peer),
            _ => came(&mut table, datagram, at),
        }
    }
    // Nobody is there any more: nothing goes anywhere.
    table.forget(ANNE);
    table.forget(BOB);
    assert!(table.route(bytes, ([192, 0, 2, 7], 5_000).into()).is_err());
}

fn came(table: &mut Table, datagram: &[u8], from: SocketAddr) {
    let routed = table.route(datagram, from);
    match kind(datagram) {
        Kind::Check { ufrag, .. } => {
            assert!(!ufrag.is_empty() && !ufrag.contains(':'));
            assert!(routed.is_err() || ["anne", "bob"].contains(&ufrag));
        }
        // An answer is taken once.
        Kind::CheckAnswer { .. } => assert!(table.route(datagram, from).is_err()),
        Kind::OtherStun | Kind::Dtls | Kind::Media => assert_eq!(table.route(datagram, from), routed),
        Kind::Garbage => assert_eq!(routed, Err(Stranger::Garbage)),
    }
}
