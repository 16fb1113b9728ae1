//! A small whole call, noted and replayed. Real sockets and random calls are in the server's tests and in `core/tests/replay.rs`.

use super::record::{Record, RecordFault, Writer, read};
use crate::machine::Happening;
use crate::media::ear::Sensed;
use crate::media::rtp::RtpPacket;
use crate::time::CallTime;
use proptest::prelude::*;

fn packet() -> impl Strategy<Value = RtpPacket> {
    (any::<(u8, u16, u32, u32, bool)>(), prop::collection::vec(any::<u8>(), 0..80)).prop_map(
        |((payload_type, sequence, timestamp, ssrc, marker), payload)| RtpPacket {
            payload_type,
            sequence,
            timestamp,
            ssrc,
            marker,
            payload: payload.into(),
        },
    )
}

fn at() -> impl Strategy<Value = CallTime> {
    (0u64..1 << 40).prop_map(CallTime::from_us)
}

fn record() -> impl Strategy<Value = Record> {
    let number = || -1e3f32..1e3;
    let sensed = (number(), number(), number(), any::<i32>());
    let sensed = sensed.prop_map(|(probability, echo_likelihood, level_dbfs, stretched)| Sensed {
        probability,
        echo_likelihood,
        level_dbfs,
        stretched,
    });
    prop_oneof![
        3 => (at(), at(), sensed).prop_map(|(at, due, sensed)| Record::Beat { at, due, sensed }),
        3 => (at(), at(), packet()).prop_map(|(at, arrived, packet)| Record::Happened {
            at,
            what: Happening::Rtp { arrived, packet },
        }),
        1 => (at(), ".{0,40}").prop_map(|(at, text)| Record::Happened { at, what: Happening::Message(text) }),
        1 => any::<u64>().prop_map(Record::Done),
        1 => any::<u64>().prop_map(Record::Lost),
    ]
}

fn written(records: &[Record]) -> Vec<u8> {
    let mut writer = Writer::default();
    for record in records {
        match record {
            Record::Beat { at, due, sensed } => writer.beat(*at, *due, *sensed),
            Record::Happened { at, what } => writer.happened(*at, what),
            Record::Done(digest) => writer.done(*digest),
            Record::Lost(records) => writer.lost(*records),
            Record::Said(_) => {}
        }
    }
    writer.take().0
}

proptest! {
    #[test]
    fn what_is_written_is_read(records in prop::collection::vec(record(), 0..40)) {
        prop_assert_eq!(read(&written(&records)).unwrap(), records);
    }

    #[test]
    fn no_bytes_are_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes);
    }
}

/// A second of a caller's packets and ticks: some 24 kb/s of Opus, and what comes to it.
#[test]
fn a_tick_and_a_packet_cost_little_more_than_the_packet() {
    let mut writer = Writer::default();
    for n in 0..50u32 {
        let at = CallTime::from_us(10_000_000 + u64::from(n) * 20_000);
        let packet = RtpPacket {
            payload_type: 111,
            sequence: n as u16,
            timestamp: n * 960,
            ssrc: 7,
            marker: false,
            payload: vec![1; 60].into(),
        };
        writer.happened(at, &Happening::Rtp { arrived: at, packet });
        writer.beat(at, at, Sensed::default());
    }
    let over = writer.len() - 50 * 60;
    assert!(over < 50 * 16, "{over} bytes a second");
}

#[test]
fn what_is_cut_off_or_none_of_ours_is_named() {
    assert_eq!(read(&[9]), Err(RecordFault::Unknown(9)));
    let whole = written(&[Record::Done(1)]);
    assert_eq!(read(&whole[..whole.len() - 1]), Err(RecordFault::Short));
    let mut strange = Writer::default();
    strange.happened(CallTime::ZERO, &Happening::Message("x".into()));
    let mut bytes = strange.take().0;
    let last = bytes.len() - 1;
    bytes[last] = b'[';
    assert!(matches!(read(&bytes), Err(RecordFault::Happening(_))));
}
