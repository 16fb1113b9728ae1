//! Packets that go from one call to another as they came: the payload untouched, under numbers of our own. What was lost, or came in
//! another order, is so there too: the receiver's own jitter buffer makes good what it can, and Opus's redundancy still fits.

use crate::media::rtp::RtpPacket;

/// So many ticks without a packet are a pause of the network's; after that we send silence of our own, so that the line stays alive.
const QUIET_TICKS: u32 = 10;
/// A leap of more than this is another stream, whatever its source says: ten seconds of packets.
const LEAP: u16 = 500;

/// The numbers of a stream that is passed on.
#[derive(Debug, Default)]
pub(super) struct Relay {
    stream: Option<Stream>,
    quiet: u32,
}

#[derive(Clone, Copy, Debug)]
struct Stream {
    ssrc: u32,
    /// What is added to its numbers.
    sequence: u16,
    timestamp: u32,
    /// Its newest packet.
    last: u16,
}

impl Relay {
    /// The numbers under which this packet leaves. `next`: those that our next packet has; a stream that begins, begins there.
    pub(super) fn number(&mut self, packet: &RtpPacket, next: (u16, u32)) -> (u16, u32) {
        let goes_on = |stream: &Stream| {
            let ahead = packet.sequence.wrapping_sub(stream.last);
            stream.ssrc == packet.ssrc && ahead.min(ahead.wrapping_neg()) < LEAP
        };
        let mut stream = self.stream.filter(goes_on).unwrap_or(Stream {
            ssrc: packet.ssrc,
            sequence: next.0.wrapping_sub(packet.sequence),
            timestamp: next.1.wrapping_sub(packet.timestamp),
            last: packet.sequence,
        });
        if packet.sequence.wrapping_sub(stream.last) < LEAP {
            stream.last = packet.sequence;
        }
        self.stream = Some(stream);
        self.quiet = 0;
        (packet.sequence.wrapping_add(stream.sequence), packet.timestamp.wrapping_add(stream.timestamp))
    }

    /// A tick without a packet. False: there have been too many, or nothing is passed on.
    pub(super) fn waits(&mut self) -> bool {
        self.quiet += 1;
        self.stream.is_some() && self.quiet <= QUIET_TICKS
    }

    /// We send packets of our own; what comes after them begins anew.
    pub(super) fn stop(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(ssrc: u32, sequence: u16) -> RtpPacket {
        let timestamp = u32::from(sequence).wrapping_mul(960);
        RtpPacket { payload_type: 111, sequence, timestamp, ssrc, marker: false, payload: bytes::Bytes::new() }
    }

    #[test]
    fn a_stream_goes_on_where_ours_was_and_keeps_its_gaps_and_its_order() {
        let mut relay = Relay::default();
        assert_eq!(relay.number(&packet(1, 65_534), (100, 5_000)), (100, 5_000));
        assert_eq!(relay.number(&packet(1, 65_535), (101, 5_960)), (101, 5_960));
        assert_eq!(relay.number(&packet(1, 2), (102, 6_920)).0, 104, "two are missing there too");
        assert_eq!(relay.number(&packet(1, 1), (105, 7_880)).0, 103, "and come late");
    }

    #[test]
    fn another_stream_begins_where_ours_would_go_on() {
        let mut relay = Relay::default();
        relay.number(&packet(1, 10), (100, 5_000));
        assert_eq!(relay.number(&packet(2, 9), (101, 5_960)), (101, 5_960), "another source");
        assert_eq!(relay.number(&packet(2, 9_000), (102, 6_920)), (102, 6_920), "a leap");
        relay.stop();
        assert_eq!(relay.number(&packet(2, 9_001), (200, 9_999)), (200, 9_999));
    }

    #[test]
    fn a_stream_that_pauses_is_waited_for_a_while() {
        let mut relay = Relay::default();
        assert!(!relay.waits(), "nothing has come yet");
        relay.number(&packet(1, 10), (100, 5_000));
        assert_eq!((0..12).filter(|_| relay.waits()).count(), QUIET_TICKS as usize);
    }
}
