//! What of a datagram a DTLS handshake may see (RFC 6347, section 4.1). Before keys are agreed on nothing proves itself, and whoever writes the
//! other side's address into a packet is heard: so a handshake is handed what it is made of and nothing else, and how much that is
//! can be counted. Pure, and total over any bytes.

/// Before each record: what it is, version, epoch, number and length.
const RECORD_HEAD: usize = 13;
/// Before each part of a handshake's message (section 4.2.2).
const MESSAGE_HEAD: usize = 12;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;

/// Of one datagram.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sifted {
    /// The records that are handed on, one after the other.
    pub records: Vec<u8>,
    /// Of how many parts they are: each costs the handshake memory.
    pub parts: usize,
    /// An alert in the clear, by its number (RFC 5246, section 7.2). It is told and not believed: anybody can send one.
    pub alert: Option<u8>,
}

/// Sifts one datagram.
pub fn sift(datagram: &[u8]) -> Sifted {
    let (mut sifted, mut rest) = (Sifted::default(), datagram);
    while let Some((head, behind)) = rest.split_at_checked(RECORD_HEAD) {
        let Some(body) = behind.get(..usize::from(u16::from_be_bytes([head[11], head[12]]))) else { break };
        let (record, after) = rest.split_at(RECORD_HEAD + body.len());
        rest = after;
        // DTLS of any version counts backwards from there.
        if head[1] != 0xfe || body.is_empty() {
            continue;
        }
        let in_the_clear = [head[3], head[4]] == [0, 0];
        let parts = match head[0] {
            // What is encrypted proves itself, or is dropped.
            _ if !in_the_clear => 1,
            HANDSHAKE => parts(body),
            CHANGE_CIPHER_SPEC if body == [1] => 1,
            ALERT => {
                sifted.alert = sifted.alert.or(body.get(1).copied());
                0
            }
            _ => 0,
        };
        if parts > 0 {
            sifted.parts += parts;
            sifted.records.extend_from_slice(record);
        }
    }
    sifted
}

/// Of how many parts of messages a record is. Nothing, where they do not fill it.
fn parts(mut body: &[u8]) -> usize {
    let mut parts = 0;
    while !body.is_empty() {
        let Some((head, behind)) = body.split_at_checked(MESSAGE_HEAD) else { return 0 };
        let three = |at: usize| u32::from_be_bytes([0, head[at], head[at + 1], head[at + 2]]);
        let (whole, from, length) = (three(1), three(6), three(9));
        let Some(after) = behind.get(length as usize..).filter(|_| from + length <= whole) else { return 0 };
        (parts, body) = (parts + 1, after);
    }
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(kind: u8, epoch: u8, body: &[u8]) -> Vec<u8> {
        [&[kind, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 1, 0, body.len() as u8][..], body].concat()
    }

    /// A message of ten bytes, or a part of it.
    fn message(from: u8, length: u8) -> Vec<u8> {
        [vec![1, 0, 0, 10, 0, 0, 0, 0, from, 0, 0, length], vec![7; usize::from(length)]].concat()
    }

    #[test]
    fn a_handshake_is_handed_on_and_its_parts_are_counted() {
        let hello = record(22, 0, &message(0, 10));
        assert_eq!(sift(&hello), Sifted { records: hello.clone(), parts: 1, alert: None });
        let flight =
            [record(22, 0, &[message(0, 4), message(4, 6)].concat()), record(20, 0, &[1]), record(22, 1, &[9; 40])]
                .concat();
        assert_eq!(sift(&flight), Sifted { records: flight.clone(), parts: 4, alert: None });
    }

    #[test]
    fn what_no_handshake_is_made_of_is_not() {
        for wrong in [
            record(23, 0, &[1; 20]),
            record(20, 0, &[2]),
            record(20, 0, &[1, 1]),
            record(22, 0, &message(0, 10)[..15]),
            record(22, 0, &message(8, 10)),
            record(22, 0, &[0; 5]),
            record(22, 0, &[]),
            record(63, 0, &[1; 20]),
            record(22, 0, &message(0, 10)).iter().map(|byte| if *byte == 0xfe { 3 } else { *byte }).collect(),
            vec![22; 12],
        ] {
            assert_eq!(sift(&wrong), Sifted::default(), "{wrong:?}");
        }
        let good = record(22, 0, &message(0, 10));
        let among = [record(21, 0, &[2, 42]), good.clone(), record(21, 0, &[2, 40]), vec![22, 0xfe]].concat();
        assert_eq!(sift(&among), Sifted { records: good, parts: 1, alert: Some(42) });
    }

    proptest! {
        #[test]
        fn no_bytes_are_more_than_they_are(bytes in proptest::collection::vec(any::<u8>(), 0..300), epoch in 0_u8..2, kind in 19_u8..24) {
            for datagram in [bytes.clone(), record(kind, epoch, &bytes[..bytes.len().min(200)])] {
                let sifted = sift(&datagram);
                prop_assert!(sifted.records.len() <= datagram.len());
                prop_assert_eq!(sifted.records.is_empty(), sifted.parts == 0);
                prop_assert_eq!(&sift(&sifted.records).records, &sifted.records, "what is handed on is handed on again");
            }
        }
    }
}
