//! What the media path needs of an RTP packet (RFC 3550, section 5.1).

use bytes::{BufMut, Bytes, BytesMut};

/// One RTP packet, without the fields that stay in the transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtpPacket {
    pub payload_type: u8,
    pub sequence: u16,
    /// In units of the payload's clock: 48 kHz for Opus, whatever it carries (RFC 7587, section 4.1).
    pub timestamp: u32,
    pub ssrc: u32,
    pub marker: bool,
    pub payload: Bytes,
}

/// The fixed header.
const HEADER: usize = 12;

impl RtpPacket {
    /// Reads a datagram. `None`: it is no RTP, or RTCP that has come to the same port (RFC 5761, section 4). Total over any bytes.
    pub fn read(datagram: &Bytes) -> Option<Self> {
        let fixed: &[u8; HEADER] = datagram.first_chunk()?;
        let (first, second) = (fixed[0], fixed[1]);
        if first >> 6 != 2 || (200..=207).contains(&second) {
            return None;
        }
        let mut from = HEADER + 4 * usize::from(first & 0x0f);
        if first & 0x10 != 0 {
            let head = datagram.get(from..from + 4)?;
            from += 4 + 4 * usize::from(u16::from_be_bytes([head[2], head[3]]));
        }
        let mut to = datagram.len();
        if first & 0x20 != 0 {
            // The last octet says how many there are, itself included: none is none.
            let padding = usize::from(*datagram.last()?);
            to = to.checked_sub(padding).filter(|_| padding > 0)?;
        }
        if from > to {
            return None;
        }
        Some(Self {
            payload_type: second & 0x7f,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
            marker: second & 0x80 != 0,
            payload: datagram.slice(from..to),
        })
    }

    /// The datagram: no extension, no padding.
    pub fn write(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(HEADER + self.payload.len());
        out.put_u8(0x80);
        out.put_u8(self.payload_type & 0x7f | u8::from(self.marker) << 7);
        out.put_u16(self.sequence);
        out.put_u32(self.timestamp);
        out.put_u32(self.ssrc);
        out.extend_from_slice(&self.payload);
        out.freeze()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet() -> RtpPacket {
        RtpPacket {
            payload_type: 8,
            sequence: 65_535,
            timestamp: 4_000_000_000,
            ssrc: 0x1234_5678,
            marker: true,
            payload: Bytes::from_static(&[1, 2, 3, 4, 5]),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(RtpPacket::read(&packet().write()), Some(packet()));
    }

    #[test]
    fn sources_extension_and_padding_are_passed_over() {
        let mut raw = vec![0x80 | 0x20 | 0x10 | 2, 0x88, 0xff, 0xff];
        raw.extend_from_slice(&packet().timestamp.to_be_bytes());
        raw.extend_from_slice(&packet().ssrc.to_be_bytes());
        raw.extend_from_slice(&[9; 8]);
        raw.extend_from_slice(&[0xbe, 0xde, 0, 1, 7, 7, 7, 7]);
        raw.extend_from_slice(&[1, 2, 3, 4, 5, 0, 0, 3]);
        assert_eq!(RtpPacket::read(&Bytes::from(raw)), Some(packet()));
    }

    #[test]
    fn what_is_no_rtp_is_refused() {
        let whole = packet().write();
        for cut in 0..HEADER {
            assert_eq!(RtpPacket::read(&whole.slice(..cut)), None);
        }
        let with = |at: usize, byte: u8| {
            let mut raw = whole.to_vec();
            raw[at] = byte;
            RtpPacket::read(&Bytes::from(raw))
        };
        assert_eq!(with(0, 0x40), None, "another version");
        assert_eq!(with(1, 200), None, "a sender report");
        assert_eq!(with(0, 0x8f), None, "more sources than bytes");
        assert_eq!(with(0, 0xa0).map(|packet| packet.payload.len()), Some(0), "five bytes of padding");
    }

    proptest! {
        #[test]
        fn no_bytes_are_more_than_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let bytes = Bytes::from(bytes);
            if let Some(packet) = RtpPacket::read(&bytes) {
                prop_assert!(packet.payload.len() + HEADER <= bytes.len());
            }
        }
    }
}
