//! What the media path needs of an RTP packet (RFC 3550, section 5.1).

use bytes::Bytes;

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
