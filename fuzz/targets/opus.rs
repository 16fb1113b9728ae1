//! Payloads of any bytes into the decoder, as packets, as copies of lost ones and between losses: time always passes.

use std::time::Duration;

use duologue_core::audio::HEAR_RATE;
use duologue_core::audio::opus::{OpusDecoder, has_redundancy, is_silence, packet_samples};

/// Payloads, each after a byte that says what to do and one that says how long it is.
pub fn run(bytes: &[u8]) {
    let mut decoder = OpusDecoder::new(HEAR_RATE).expect("a decoder");
    let mut rest = bytes;
    while let [what, length, after_head @ ..] = rest {
        let (payload, after_payload) = after_head.split_at(after_head.len().min(usize::from(*length)));
        rest = after_payload;
        let mut sound = Vec::new();
        let lost = Duration::from_micros(u64::from(*what) * 600);
        match what % 4 {
            0 => decoder.recover(payload, lost, &mut sound),
            1 => decoder.conceal(lost, &mut sound),
            _ => decoder.decode(payload, &mut sound),
        };
        assert!(sound.len() >= 40 && sound.len() <= 1_920, "2.5 to 120 ms: {}", sound.len());
        assert!(!has_redundancy(payload) || packet_samples(payload).is_some());
        is_silence(payload);
    }
}
