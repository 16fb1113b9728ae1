use proptest::prelude::*;

use super::*;
use crate::audio::LINE_FRAME;
use crate::audio::opus::{OpusEncoder, OpusSettings};

const OPUS: u8 = 111;
const RED: u8 = 63;

fn bytes(length: usize) -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..=length).prop_map(Bytes::from)
}

/// A stream of Opus packets, each told from the others by its bytes.
fn stream(first: u16, count: u16) -> Vec<RtpPacket> {
    let mut encoder = OpusEncoder::new(OpusSettings::default()).expect("an encoder");
    let packet = |n: u16| {
        let frame = std::array::from_fn(|k| (f32::from(n) * 0.37 + k as f32 * 0.05).sin() * 0.3);
        RtpPacket {
            payload_type: OPUS,
            sequence: first.wrapping_add(n),
            timestamp: 1_000_u32.wrapping_add(u32::from(n) * LINE_FRAME as u32),
            ssrc: 5,
            marker: false,
            payload: encoder.encode(&frame).expect("a packet"),
        }
    };
    (0..count).map(packet).collect()
}

/// The same stream as a sender with redundancy puts it on the wire.
fn redundant(packets: &[RtpPacket], copies: &[u8]) -> Vec<RtpPacket> {
    let mut repeats = Repeats::default();
    let wrap = |packet: &RtpPacket| {
        let (payload, _) = repeats.pack(OPUS, packet.timestamp, &packet.payload, copies);
        RtpPacket { payload_type: RED, payload, ..packet.clone() }
    };
    packets.iter().map(wrap).collect()
}

proptest! {
    #[test]
    fn what_was_packed_is_parsed(primary in bytes(1_200), redundant in prop::collection::vec((0_u32..20_000, bytes(1_100)), 0..6)) {
        let (payload, generations) = pack(OPUS, &primary, &redundant);
        let blocks = parse(&payload).expect("our own payload");
        prop_assert_eq!(blocks.len(), usize::from(generations) + 1);
        let last = blocks.last().expect("the primary");
        prop_assert_eq!((last.offset, &last.payload), (0, &primary));
        let fitting: Vec<_> = redundant.iter()
            .filter(|(offset, block)| (1..=MOST_OFFSET).contains(offset) && (1..=MOST_BLOCK_BYTES).contains(&block.len()))
            .collect();
        prop_assert!(blocks.len() - 1 <= fitting.len());
        // What is in it is the youngest, in its order, unchanged.
        for (block, (offset, payload)) in blocks.iter().zip(&fitting[fitting.len() - (blocks.len() - 1)..]) {
            prop_assert_eq!((block.payload_type, block.offset, &block.payload), (OPUS, *offset, payload));
        }
        if generations > 0 {
            prop_assert!(payload.len() <= MOST_PACKET_BYTES);
        } else {
            prop_assert_eq!(payload.len(), primary.len() + 1);
        }
    }

    #[test]
    fn no_bytes_can_stop_the_parser(payload in bytes(400)) {
        if let Ok(blocks) = parse(&payload) {
            let told: usize = blocks.iter().map(|block| block.payload.len()).sum();
            prop_assert_eq!(told + 4 * (blocks.len() - 1) + 1, payload.len(), "every byte belongs to something");
        }
        let packet = RtpPacket { payload_type: RED, sequence: 9, timestamp: 9, ssrc: 5, marker: false, payload };
        let mut unpacker = Unpacker::default();
        prop_assert!(unpacker.open(&packet, OPUS).len() <= MOST_BLOCKS);
    }

    /// A packet is back when one of those that carry it arrives: once, and as it was.
    #[test]
    fn the_lost_are_back_with_the_next_that_carries_them(
        lost in prop::collection::vec(prop::bool::weighted(0.3), 60),
        copies in prop::sample::subsequence((1..=OLDEST).collect::<Vec<_>>(), 0..=MOST_COPIES),
        first in any::<u16>(),
    ) {
        let packets = stream(first, 60);
        let mut unpacker = Unpacker::default();
        let arrived: Vec<_> = redundant(&packets, &copies).into_iter().zip(&lost).filter(|(_, lost)| !**lost).collect();
        let mut opened: Vec<RtpPacket> = arrived.iter().flat_map(|(packet, _)| unpacker.open(packet, OPUS)).collect();
        opened.sort_by_key(|packet| packet.timestamp);
        let expected: Vec<RtpPacket> = (0..60)
            .filter(|n| [0].iter().chain(&copies).any(|distance| lost.get(n + usize::from(*distance)) == Some(&false)))
            .map(|n| packets[n].clone())
            .collect();
        prop_assert_eq!(&opened, &expected);
        prop_assert_eq!(unpacker.counts(), RedCounts { recovered: (expected.len() - arrived.len()) as u64, malformed: 0 });
    }
}

#[test]
fn the_bits_stand_where_the_standard_puts_them() {
    // RFC 2198, section 3: F, block PT, 14 bits of offset, 10 bits of length; then F = 0 and the primary's PT.
    let (payload, generations) = pack(111, &[9, 9], &[(960, Bytes::from_static(&[1, 2, 3]))]);
    assert_eq!(generations, 1);
    assert_eq!(payload[..], [0x80 | 111, 0b0000_1111, 0b0000_0000, 3, 111, 1, 2, 3, 9, 9]);
}

#[test]
fn the_format_s_limits_are_kept() {
    let block = |length: usize| Bytes::from(vec![7; length]);
    let at_most = [(MOST_OFFSET, block(1)), (960, block(MOST_BLOCK_BYTES))];
    assert_eq!(pack(OPUS, &[1], &at_most).1, 2);
    let beyond = [(MOST_OFFSET + 1, block(1)), (0, block(1)), (960, block(MOST_BLOCK_BYTES + 1)), (960, block(0))];
    assert_eq!(pack(OPUS, &[1], &beyond).1, 0);
}

#[test]
fn faults_are_told_apart() {
    assert_eq!(parse(&Bytes::new()), Err(RedFault::Headers));
    assert_eq!(parse(&Bytes::from_static(&[0xef, 0, 0])), Err(RedFault::Headers));
    assert_eq!(parse(&Bytes::from_static(&[0xef, 15, 0, 3, 111, 1])), Err(RedFault::Blocks));
    let many: Vec<u8> = [0xef, 15, 0, 0].repeat(40);
    assert_eq!(parse(&Bytes::from(many)), Err(RedFault::TooMany));
}

#[test]
fn a_packet_that_came_before_is_not_given_again() {
    let packets = stream(0, 6);
    let wrapped = redundant(&packets, &[1, 2]);
    let mut unpacker = Unpacker::default();
    unpacker.saw(&packets[0]);
    assert_eq!(unpacker.open(&wrapped[2], OPUS).len(), 2, "packet 1 is new, packet 0 is not");
    assert_eq!(unpacker.open(&wrapped[3], OPUS).len(), 1);
    assert_eq!(unpacker.counts().recovered, 1);
}

#[test]
fn blocks_of_another_kind_are_left_out_and_counted() {
    let packets = stream(0, 2);
    let mut unpacker = Unpacker::default();
    unpacker.saw(&packets[0]);
    // An age that is no whole number of packets.
    let (payload, _) = pack(OPUS, &packets[1].payload, &[(700, packets[0].payload.clone())]);
    let odd = RtpPacket { payload_type: RED, payload, ..packets[1].clone() };
    assert_eq!(unpacker.open(&odd, OPUS).len(), 1);
    assert_eq!(unpacker.open(&odd, 96).len(), 0, "its primary is not the agreed codec");
    assert_eq!(unpacker.counts(), RedCounts { recovered: 0, malformed: 2 });
}
