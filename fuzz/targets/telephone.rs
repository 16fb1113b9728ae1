//! Any bytes as a telephone sends them to a port: RTP, its keys, and the sound of every codec.

use std::time::Duration;

use bytes::Bytes;
use duologue_core::audio::codec::{L16Rate, LineCodec, LineDecoder};
use duologue_core::media::keys::KeyReader;
use duologue_core::media::rtp::RtpPacket;
use duologue_core::time::CallTime;

/// One datagram.
pub fn run(bytes: &[u8]) {
    let Some(packet) = RtpPacket::read(&Bytes::copy_from_slice(bytes)) else { return };
    assert_eq!(RtpPacket::read(&packet.write()), Some(packet.clone()), "what is read can be sent");
    let mut keys = KeyReader::new(8_000);
    let first = keys.packet(CallTime::ZERO, packet.timestamp, &packet.payload);
    let late = keys.overdue(CallTime::ZERO + Duration::from_secs(1));
    assert!(first.is_none() || late.is_none(), "a key counts once");
    for codec in [LineCodec::Pcmu, LineCodec::Pcma, LineCodec::G722, LineCodec::L16(L16Rate::Hz24000)] {
        let mut decoder = LineDecoder::new(codec).expect("a decoder");
        let mut sound = Vec::new();
        decoder.decode(&packet.payload, &mut sound);
        decoder.conceal(Duration::from_millis(20), &mut sound);
        decoder.decode(&packet.payload, &mut sound);
        assert!(sound.len() <= 16 * (120 + 20 + 120) && sound.iter().all(|sample| sample.is_finite()));
    }
}
