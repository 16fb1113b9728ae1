//! Which peer a datagram on the shared port belongs to: a pure table, told the time, total over any bytes.
//!
//! STUN requests name their peer in USERNAME (RFC 8445, section 7.2.2), STUN answers by the transaction that we began,
//! everything else by its source address. An address is believed only after the peer itself has answered a check from
//! it, which it does only when MESSAGE-INTEGRITY holds: a stranger cannot send media into a call.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{HashMap, VecDeque};

/// One peer on a port; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(pub u64);

/// A STUN transaction (RFC 8489, section 5).
pub type Transaction = [u8; 12];

/// What a datagram is, as far as it can be told from its first bytes (RFC 7983).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A binding request for the peer with this local fragment; it carries the transaction too.
    Check {
        ufrag: &'a str,
        transaction: Transaction,
    },
    /// A binding response: a success has proved its integrity to whoever accepts it.
    CheckAnswer {
        success: bool,
        transaction: Transaction,
    },
    /// Other STUN: indications, requests without a user name.
    OtherStun,
    Dtls,
    /// RTP or RTCP, encrypted.
    Media,
    Garbage,
}

/// Why a datagram goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stranger {
    /// A check for a peer that is not here (any more).
    UnknownPeer,
    /// DTLS, media or an answer from an address that has proved nothing.
    UnknownAddress,
    /// Nothing that belongs on this port.
    Garbage,
}

const COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
const HEADER: usize = 20;
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;
const USERNAME: u16 = 0x0006;

/// What a report begins with: its kind, its length and who speaks (RFC 3550, section 6.4).
const REPORT_HEAD: usize = 8;
/// What is behind it: its number, and 80 bits of proof with either suite of HMAC-SHA1 (RFC 4568, section 6.2.2).
const REPORT_TAIL: usize = 4 + 10;

/// Addresses that one peer may prove; a client has a handful, one per interface and NAT.
const ADDRESSES_PER_PEER: usize = 16;
/// Transactions of our own checks that are remembered, over all peers. A check is answered within seconds or never.
const TRANSACTIONS: usize = 4096;
/// A proved address stays with its peer for this long after its last proof, whoever else claims it. Browsers prove it
/// every 5 s at the latest (RFC 7675 consent; Chromium 2.5 s).
const HELD_FOR: Duration = Duration::from_secs(6);

/// Tells what a datagram is.
pub fn kind(datagram: &[u8]) -> Kind<'_> {
    match datagram.first() {
        Some(0..=3) => stun(datagram).unwrap_or(Kind::Garbage),
        Some(20..=63) => Kind::Dtls,
        Some(128..=191) if datagram.len() >= 8 => Kind::Media,
        _ => Kind::Garbage,
    }
}

/// A DTLS alert record: what a peer that hangs up sends last. After the handshake its content is encrypted, the record
/// type in front is not (RFC 6347, section 4.1).
pub fn is_dtls_alert(datagram: &[u8]) -> bool {
    datagram.first() == Some(&21)
}

/// RTCP among [`Kind::Media`], by its second byte (RFC 5761, section 4).
pub fn is_report(datagram: &[u8]) -> bool {
    datagram.get(1).is_some_and(|kind| (192..=223).contains(kind))
}

/// Whether a protected report says of itself that it is encrypted: the first bit behind it (RFC 3711, section 3.4), which stands before 31 bits
/// of its number and 80 of proof. One that does not would have to prove itself all the same; `rtc-srtp` believes it unread, so nobody may hand
/// it one. `None` where it is too short to be a report. In this place the bit is with HMAC-SHA1 alone: with GCM the number is the last there is
/// (RFC 7714, section 9.2).
pub fn says_encrypted(report: &[u8]) -> Option<bool> {
    let tail = report.len().checked_sub(REPORT_TAIL).filter(|tail| *tail >= REPORT_HEAD)?;
    Some(report[tail] & 0x80 != 0)
}

fn stun(datagram: &[u8]) -> Option<Kind<'_>> {
    let (header, rest) = datagram.split_at_checked(HEADER)?;
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header[4..8] != COOKIE || length % 4 != 0 {
        return None;
    }
    let attributes = rest.get(..length)?;
    let transaction: Transaction = header[8..HEADER].try_into().ok()?;
    Some(match u16::from_be_bytes([header[0], header[1]]) {
        BINDING_REQUEST => match local_fragment(attributes) {
            Some(ufrag) => Kind::Check { ufrag, transaction },
            None => Kind::OtherStun,
        },
        BINDING_SUCCESS => Kind::CheckAnswer { success: true, transaction },
        BINDING_ERROR => Kind::CheckAnswer { success: false, transaction },
        _ => Kind::OtherStun,
    })
}

/// USERNAME is `receiver's fragment:sender's fragment`.
fn local_fragment(mut attributes: &[u8]) -> Option<&str> {
    while let Some((head, rest)) = attributes.split_at_checked(4) {
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        if u16::from_be_bytes([head[0], head[1]]) == USERNAME {
            let name = std::str::from_utf8(rest.get(..length)?).ok()?;
            return name.split(':').next().filter(|ufrag| !ufrag.is_empty());
        }
        attributes = rest.get(length.next_multiple_of(4)..)?;
    }
    None
}

#[derive(Clone, Copy, Debug)]
struct Proof {
    peer: PeerId,
    at: Duration,
}

/// Who is on the port.
#[derive(Debug, Default)]
pub struct Table {
    fragments: HashMap<String, PeerId>,
    addresses: HashMap<SocketAddr, Proof>,
    asked: HashMap<Transaction, PeerId>,
    asked_in_order: VecDeque<Transaction>,
}

impl Table {
    /// Checks for `ufrag` are for `peer` from now on. A peer may have several names: each ICE restart adds one.
    pub fn name(&mut self, ufrag: &str, peer: PeerId) {
        self.fragments.insert(ufrag.to_owned(), peer);
    }

    /// Forgets everything about `peer`.
    pub fn forget(&mut self, peer: PeerId) {
        self.fragments.retain(|_, p| *p != peer);
        self.addresses.retain(|_, proof| proof.peer != peer);
        // The order keeps the dead transactions until they are pushed out.
        self.asked.retain(|_, p| *p != peer);
    }

    /// `peer` has sent `datagram` to `to`: its checks and its answers to checks teach the table where it lives.
    pub fn sent(&mut self, datagram: &[u8], to: SocketAddr, peer: PeerId, now: Duration) {
        match kind(datagram) {
            Kind::Check { transaction, .. } => self.remember(transaction, peer),
            Kind::CheckAnswer { success: true, .. } => self.prove(to, peer, now),
            _ => {}
        }
    }

    /// Where a datagram from `from` goes.
    ///
    /// # Errors
    /// With the reason when it is for nobody.
    pub fn route(&mut self, datagram: &[u8], from: SocketAddr) -> Result<PeerId, Stranger> {
        match kind(datagram) {
            Kind::Check { ufrag, .. } => self.fragments.get(ufrag).copied().ok_or(Stranger::UnknownPeer),
            Kind::CheckAnswer { transaction, .. } => self.asked.remove(&transaction).ok_or(Stranger::UnknownAddress),
            Kind::OtherStun | Kind::Dtls | Kind::Media => {
                self.addresses.get(&from).map(|proof| proof.peer).ok_or(Stranger::UnknownAddress)
            }
            Kind::Garbage => Err(Stranger::Garbage),
        }
    }

    fn remember(&mut self, transaction: Transaction, peer: PeerId) {
        // A retransmitted check keeps its transaction and its place.
        if self.asked.insert(transaction, peer).is_none() {
            self.asked_in_order.push_back(transaction);
        }
        while self.asked_in_order.len() > TRANSACTIONS {
            if let Some(old) = self.asked_in_order.pop_front() {
                self.asked.remove(&old);
            }
        }
    }

    fn prove(&mut self, address: SocketAddr, peer: PeerId, now: Duration) {
        let held_by_another = self
            .addresses
            .get(&address)
            .is_some_and(|proof| proof.peer != peer && now.saturating_sub(proof.at) < HELD_FOR);
        if held_by_another {
            return;
        }
        self.addresses.insert(address, Proof { peer, at: now });
        let mut mine: Vec<_> =
            self.addresses.iter().filter(|(_, proof)| proof.peer == peer).map(|(a, proof)| (proof.at, *a)).collect();
        if mine.len() > ADDRESSES_PER_PEER {
            mine.sort_unstable();
            self.addresses.remove(&mine[0].1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ANNE: PeerId = PeerId(1);
    const BOB: PeerId = PeerId(2);
    const NOW: Duration = Duration::from_secs(100);

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 7], port))
    }

    fn message(kind: u16, transaction: u8, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (name, value) in attributes {
            body.extend_from_slice(&name.to_be_bytes());
            body.extend_from_slice(&(value.len() as u16).to_be_bytes());
            body.extend_from_slice(value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let mut out = kind.to_be_bytes().to_vec();
        out.extend_from_slice(&(body.len() as u16).to_be_bytes());
        out.extend_from_slice(&COOKIE);
        out.extend_from_slice(&[transaction; 12]);
        out.extend(body);
        out
    }

    fn check(user: &str, transaction: u8) -> Vec<u8> {
        // PRIORITY in front: the user name is not always the first attribute.
        message(BINDING_REQUEST, transaction, &[(0x0024, &[0; 4]), (USERNAME, user.as_bytes())])
    }

    fn rtp() -> Vec<u8> {
        [vec![0x80, 111], vec![0; 40]].concat()
    }

    #[test]
    fn a_check_finds_its_peer_by_name_from_any_address() {
        let mut table = Table::default();
        table.name("anne", ANNE);
        table.name("bob", BOB);
        assert_eq!(table.route(&check("bob:xyz", 1), address(9)), Ok(BOB));
        assert_eq!(table.route(&check("anne:xyz", 1), address(9)), Ok(ANNE));
        assert_eq!(table.route(&check("eve:xyz", 1), address(9)), Err(Stranger::UnknownPeer));
    }

    #[test]
    fn media_is_heard_only_from_an_address_whose_check_the_peer_has_answered() {
        let mut table = Table::default();
        table.name("anne", ANNE);
        table.route(&check("anne:xyz", 1), address(9)).expect("named");
        assert_eq!(table.route(&rtp(), address(9)), Err(Stranger::UnknownAddress), "a check alone proves nothing");
        table.sent(&message(BINDING_ERROR, 1, &[]), address(9), ANNE, NOW);
        assert_eq!(table.route(&rtp(), address(9)), Err(Stranger::UnknownAddress), "a refused check proves nothing");
        table.sent(&message(BINDING_SUCCESS, 1, &[]), address(9), ANNE, NOW);
        assert_eq!(table.route(&rtp(), address(9)), Ok(ANNE));
        assert_eq!(table.route(&[22, 254, 253, 0], address(9)), Ok(ANNE), "so is DTLS");
        assert_eq!(table.route(&rtp(), address(10)), Err(Stranger::UnknownAddress));
    }

    #[test]
    fn an_answer_to_our_check_goes_to_the_peer_that_asked_and_only_once() {
        let mut table = Table::default();
        table.sent(&check("their:ours", 5), address(9), BOB, NOW);
        let answer = message(BINDING_SUCCESS, 5, &[]);
        assert_eq!(table.route(&answer, address(9)), Ok(BOB));
        assert_eq!(table.route(&answer, address(9)), Err(Stranger::UnknownAddress), "a replay finds nobody");
    }

    #[test]
    fn a_second_call_cannot_take_an_address_that_is_in_use() {
        let mut table = Table::default();
        let proof = message(BINDING_SUCCESS, 1, &[]);
        table.sent(&proof, address(9), ANNE, NOW);
        table.sent(&proof, address(9), BOB, NOW + Duration::from_secs(3));
        assert_eq!(table.route(&rtp(), address(9)), Ok(ANNE));
        table.sent(&proof, address(9), BOB, NOW + Duration::from_secs(30));
        assert_eq!(table.route(&rtp(), address(9)), Ok(BOB), "the first one has been silent too long");
    }

    #[test]
    fn a_restarted_peer_answers_to_both_its_names() {
        let mut table = Table::default();
        table.name("old", ANNE);
        table.name("new", ANNE);
        assert_eq!(table.route(&check("old:x", 1), address(9)), Ok(ANNE));
        assert_eq!(table.route(&check("new:x", 2), address(9)), Ok(ANNE));
    }

    #[test]
    fn nothing_is_left_of_a_forgotten_peer() {
        let mut table = Table::default();
        table.name("anne", ANNE);
        table.sent(&message(BINDING_SUCCESS, 1, &[]), address(9), ANNE, NOW);
        table.sent(&check("x:anne", 7), address(9), ANNE, NOW);
        table.forget(ANNE);
        assert_eq!(table.route(&check("anne:x", 1), address(9)), Err(Stranger::UnknownPeer));
        assert_eq!(table.route(&rtp(), address(9)), Err(Stranger::UnknownAddress));
        assert_eq!(table.route(&message(BINDING_SUCCESS, 7, &[]), address(9)), Err(Stranger::UnknownAddress));
    }

    #[test]
    fn the_table_stays_small_however_many_checks_are_sent() {
        let mut table = Table::default();
        for n in 0..20_000_u32 {
            let mut datagram = check("a:b", 0);
            datagram[8..12].copy_from_slice(&n.to_be_bytes());
            table.sent(&datagram, address(9), ANNE, NOW);
            table.sent(&message(BINDING_SUCCESS, 1, &[]), address((n % 60_000) as u16), ANNE, NOW);
        }
        assert!(table.asked.len() <= TRANSACTIONS && table.asked_in_order.len() <= TRANSACTIONS);
        assert!(table.addresses.len() <= ADDRESSES_PER_PEER);
    }

    #[test]
    fn a_report_is_known_by_its_second_byte_and_its_bit_by_its_place() {
        assert!(is_report(&[0x80, 200]) && is_report(&[0x81, 207, 0, 1]) && !is_report(&rtp()) && !is_report(&[0x80]));
        let report = |bit: u8| [vec![0x80, 201, 0, 1, 0, 0, 0, 7], vec![bit, 0, 0, 1], vec![0xff; 10]].concat();
        assert_eq!((says_encrypted(&report(0x80)), says_encrypted(&report(0))), (Some(true), Some(false)));
        assert_eq!(says_encrypted(&report(0x80)[1..]), None, "no report is so short");
    }

    fn mangled() -> impl Strategy<Value = Vec<u8>> {
        let valid = prop_oneof![Just(check("anne:x", 3)), Just(message(BINDING_SUCCESS, 3, &[])), Just(rtp())];
        (valid, any::<u16>(), any::<u8>(), 0..60_usize).prop_map(|(mut datagram, at, value, cut)| {
            let length = datagram.len();
            datagram[usize::from(at) % length] = value;
            datagram.truncate(length - cut % length);
            datagram
        })
    }

    proptest! {
        #[test]
        fn any_bytes_at_all_are_routed_or_counted_and_never_panic(
            datagrams in proptest::collection::vec(
                prop_oneof![proptest::collection::vec(any::<u8>(), 0..200), mangled()], 0..40),
        ) {
            let mut table = Table::default();
            table.name("anne", ANNE);
            for datagram in &datagrams {
                if let Ok(peer) = table.route(datagram, address(9)) {
                    prop_assert_eq!(peer, ANNE);
                }
                table.sent(datagram, address(9), ANNE, NOW);
            }
        }

        #[test]
        fn a_stranger_never_gets_anything_but_a_named_check_through(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut table = Table::default();
            table.name("anne", ANNE);
            table.sent(&message(BINDING_SUCCESS, 1, &[]), address(9), ANNE, NOW);
            if table.route(&bytes, address(10)).is_ok() {
                let named = matches!(kind(&bytes), Kind::Check { ufrag: "anne", .. });
                prop_assert!(named);
            }
        }
    }
}
