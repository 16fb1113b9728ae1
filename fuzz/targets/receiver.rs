//! Packets of any bytes, numbers and times into the receiver: every sample is accounted for, nothing piles up.

use bytes::Bytes;
use duologue_core::audio::HEAR_FRAME;
use duologue_core::media::receiver::{Receiver, ReceiverSettings};
use duologue_core::media::rtp::RtpPacket;
use duologue_core::time::CallTime;

/// Six bytes say when and what, a seventh how long; then comes the payload. Small numbers follow on from the packet before.
pub fn run(bytes: &[u8]) {
    let mut receiver = Receiver::new(ReceiverSettings::default()).expect("a decoder");
    let (mut now_us, mut tick, mut sequence, mut timestamp) = (0_u64, 0_u64, 0_u16, 0_u32);
    let mut rest = bytes;
    while let [after, step, jump, ssrc, quiet, scale, length, after_head @ ..] = rest {
        let (payload, after_payload) = after_head.split_at(after_head.len().min(usize::from(*length)));
        rest = after_payload;
        now_us += u64::from(*after) * 500;
        sequence = sequence.wrapping_add(u16::from(*step)).wrapping_sub(u16::from(*jump));
        timestamp = timestamp
            .wrapping_add((u32::from(*step).wrapping_sub(u32::from(*jump))).wrapping_mul(u32::from(*scale) * 12));
        let packet = RtpPacket {
            payload_type: 111,
            sequence,
            timestamp,
            ssrc: u32::from(ssrc & 3),
            marker: false,
            payload: Bytes::copy_from_slice(payload),
        };
        receiver.packet(CallTime::from_us(now_us), packet);
        while tick * 20_000 <= now_us {
            let mut frame = [0.0; HEAR_FRAME];
            receiver.frame(CallTime::from_us(tick * 20_000), &mut frame);
            receiver.judged(&frame, quiet & 1 == 0);
            assert!(frame.iter().all(|sample| (-1.0..=1.0).contains(sample)));
            tick += 1;
        }
    }
    let packets = receiver.jitter().stats();
    let became = packets.played + packets.dropped + packets.late + packets.duplicate + packets.foreign;
    assert_eq!(packets.received, became + receiver.jitter().held() as u64);
    assert!(receiver.counts().adds_up(receiver.left()) && receiver.left() < 4_000);
    receiver.totals();
}
