//! What the stack may not see. A report (RTCP) that does not claim to be protected it believes unproven (`rtc-srtp` looks no further), from whoever
//! writes the peer's address into a packet: how our sound arrives, which our redundancy follows, would then be anybody's to say. Pure.

use duologue_signaling::demux::{self, Kind};

/// Why this is not handed on, as counters name it. The claim has one place, because one way of protecting is agreed on
/// (`PROTECTION` in [`super::stack`]).
pub(super) fn missing(datagram: &[u8]) -> Option<&'static str> {
    if demux::kind(datagram) != Kind::Media || !demux::is_report(datagram) {
        return None;
    }
    match demux::says_encrypted(datagram) {
        Some(true) => None,
        Some(false) => Some("clear"),
        None => Some("short"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rtc_srtp::context::Context;
    use rtc_srtp::protection_profile::ProtectionProfile;

    use super::*;

    /// The stack's cryptography, as for a peer.
    fn context() -> Context {
        let provider = rtc_crypto::default_provider().expect("cryptography");
        let profile = ProtectionProfile::Aes128CmHmacSha1_80;
        Context::new(&[7; 16], &[9; 14], profile, None, None, provider.crypto()).expect("a key")
    }

    /// A report of any kind and length, in whole words.
    fn report() -> impl Strategy<Value = Vec<u8>> {
        (0_u8..32, 192_u8..=223, 0_usize..60, any::<u64>()).prop_map(|(count, kind, words, noise)| {
            let body = (0..words * 4).map(|n| (noise >> (n % 57)) as u8);
            [0x80 | count, kind, 0, words as u8 + 1, 0, 0, 0, 9].into_iter().chain(body).collect()
        })
    }

    #[test]
    fn sound_and_everything_else_is_not_looked_at() {
        for other in [&[0x80, 111, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9][..], &[22, 254, 253, 0], &[0, 1], &[]] {
            assert_eq!(missing(other), None);
        }
    }

    proptest! {
        #[test]
        fn what_a_peer_has_sealed_is_handed_on(report in report()) {
            let sealed = context().encrypt_rtcp(&report).expect("sealed");
            prop_assert_eq!(missing(&sealed), None);
            prop_assert_eq!(&context().decrypt_rtcp(&sealed).expect("opened")[..], &report[..]);
        }

        #[test]
        fn what_is_handed_on_and_was_sealed_by_nobody_the_stack_does_not_open(
            mut forged in report(),
            tail in proptest::collection::vec(any::<u8>(), 0..30),
        ) {
            forged.extend(tail);
            let believed = context().decrypt_rtcp(&forged).is_ok();
            prop_assert!(missing(&forged).is_some() || !believed);
        }

        #[test]
        fn no_bytes_at_all_get_past_it_and_are_believed(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(missing(&bytes).is_some() || !demux::is_report(&bytes) || context().decrypt_rtcp(&bytes).is_err());
        }
    }
}
