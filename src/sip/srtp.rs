//! Protected sound: SRTP and SRTCP (RFC 3711) with the keys that SDP carried or that were agreed on over DTLS. The cryptography is `rtc-srtp`'s, that of browsers' calls.

use std::sync::{Mutex, PoisonError};

use duologue_signaling::demux::says_encrypted;
use duologue_signaling::phone_sdp::{Crypto, Key, Suite};
use rtc::shared::error::Error;
use rtc_srtp::context::Context;
use rtc_srtp::option::{srtcp_replay_protection, srtp_replay_protection};
use rtc_srtp::protection_profile::ProtectionProfile;

/// Packets that may be late by so many and are known not to have come before (RFC 3711, section 3.3.2, has 64 as the least).
const WINDOW: usize = 128;
/// Sources of one telephone that are known at once: a telephone has one, and another one after a transfer behind it.
const SOURCES: usize = 4;
/// Of the 30 bytes that SDP has.
const KEY: usize = 16;

/// Why a packet was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotOpened {
    /// It does not prove that it is the telephone's: another key, or somebody else.
    Unproven,
    /// It has been here before.
    Replayed,
    /// A report that says of itself that it is in the clear. Nobody agrees on those here (`UNENCRYPTED_SRTCP`, RFC 4568, section 6.3.2).
    Clear,
    /// Too short to be one.
    Short,
    /// The keys are not there yet.
    Early,
}

impl NotOpened {
    /// As counters name it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Unproven => "authentication",
            Self::Replayed => "replay",
            Self::Clear => "clear",
            Self::Short => "short",
            Self::Early => "early",
        }
    }

    const fn of(error: &Error) -> Self {
        match error {
            Error::SrtpSsrcDuplicated(..) | Error::SrtcpSsrcDuplicated(..) => Self::Replayed,
            Error::ErrTooShortRtp | Error::ErrTooShortRtcp | Error::SrtpTooSmall(..) | Error::SrtcpTooSmall(..) => {
                Self::Short
            }
            _ => Self::Unproven,
        }
    }
}

/// The state of one way, for one key. `None` for a key that the library does not take: none of 30 bytes is one.
fn context(suite: Suite, key: &Key) -> Option<Context> {
    let profile = match suite {
        Suite::Sha1Of80 => ProtectionProfile::Aes128CmHmacSha1_80,
        Suite::Sha1Of32 => ProtectionProfile::Aes128CmHmacSha1_32,
    };
    let (master, salt) = key.0.split_at(KEY);
    let provider = rtc_crypto::default_provider().ok()?;
    let (rtp, rtcp) = (srtp_replay_protection(WINDOW), srtcp_replay_protection(WINDOW));
    Context::new(master, salt, profile, Some(rtp), Some(rtcp), provider.crypto()).ok()
}

/// Our packets on their way out.
pub(super) struct Sealer {
    pub(super) suite: Suite,
    context: Context,
}

impl Sealer {
    pub(super) fn new(suite: Suite, key: &Key) -> Option<Self> {
        Some(Self { suite, context: context(suite, key)? })
    }

    /// `None`: nothing may leave. In the clear is no way out.
    pub(super) fn seal(&mut self, packet: &[u8], rtcp: bool) -> Option<Vec<u8>> {
        let sealed = if rtcp { self.context.encrypt_rtcp(packet) } else { self.context.encrypt_rtp(packet) };
        sealed.ok().map(|sealed| sealed.to_vec())
    }
}

/// The telephone's packets as they come.
pub(super) struct Opener {
    crypto: Crypto,
    /// By source. One is known from its first packet on that has proved itself: what strangers make up takes no memory.
    /// Behind locks that nobody waits for, because the library's state may change hands and not be shared.
    known: Vec<(u32, Mutex<Context>)>,
}

impl Opener {
    pub(super) fn new(crypto: Crypto) -> Self {
        Self { crypto, known: Vec::new() }
    }

    /// Whether this is still the key of the telephone's packets.
    pub(super) fn is_of(&self, crypto: &Crypto) -> bool {
        (self.crypto.suite, self.crypto.key) == (crypto.suite, crypto.key)
    }

    /// The packet within.
    ///
    /// # Errors
    /// Why it is not to be believed.
    pub(super) fn open(&mut self, packet: &[u8], rtcp: bool) -> Result<Vec<u8>, NotOpened> {
        // The source stands behind the sequence and the time in RTP, and at once in RTCP (RFC 3550, sections 5.1 and 6.4.1).
        let at = if rtcp { 4 } else { 8 };
        let source = packet.get(at..at + 4).and_then(|four| four.try_into().ok()).map(u32::from_be_bytes);
        let source = source.ok_or(NotOpened::Short)?;
        if rtcp && !says_encrypted(packet).ok_or(NotOpened::Short)? {
            return Err(NotOpened::Clear);
        }
        let open = |context: &mut Context| {
            let opened = if rtcp { context.decrypt_rtcp(packet) } else { context.decrypt_rtp(packet) };
            opened.map(|opened| opened.to_vec()).map_err(|error| NotOpened::of(&error))
        };
        if let Some((_, context)) = self.known.iter_mut().find(|(known, _)| *known == source) {
            return open(context.get_mut().unwrap_or_else(PoisonError::into_inner));
        }
        let mut context = context(self.crypto.suite, &self.crypto.key).ok_or(NotOpened::Unproven)?;
        let opened = open(&mut context)?;
        if self.known.len() == SOURCES {
            self.known.remove(0);
        }
        self.known.push((source, Mutex::new(context)));
        Ok(opened)
    }
}

#[cfg(test)]
mod tests {
    use duologue_signaling::phone_sdp::KEY_BYTES;
    use proptest::prelude::*;

    use super::*;

    fn crypto(suite: Suite) -> Crypto {
        Crypto { tag: 1, suite, key: Key([7; KEY_BYTES]) }
    }

    fn packet(sequence: u16, source: u32) -> Vec<u8> {
        let [high, low] = sequence.to_be_bytes();
        [&[0x80, 8, high, low, 0, 0, 0, 9][..], &source.to_be_bytes(), b"a word of some length"].concat()
    }

    #[test]
    fn what_is_sealed_is_opened_once_and_by_nobody_else() {
        for (suite, proof) in [(Suite::Sha1Of80, 10), (Suite::Sha1Of32, 4)] {
            let mut sealer = Sealer::new(suite, &crypto(suite).key).expect("a key");
            let mut opener = Opener::new(crypto(suite));
            let plain = packet(100, 0xcafe);
            let sealed = sealer.seal(&plain, false).expect("sealed");
            assert_eq!(sealed.len(), plain.len() + proof);
            assert!(!sealed.windows(6).any(|six| six == b"a word"));
            assert_eq!(opener.open(&sealed, false).as_deref(), Ok(plain.as_slice()));
            assert_eq!(opener.open(&sealed, false), Err(NotOpened::Replayed));
            let mut other = Opener::new(Crypto { key: Key([8; KEY_BYTES]), ..crypto(suite) });
            assert_eq!(other.open(&sealed, false), Err(NotOpened::Unproven));
            for at in 0..sealed.len() {
                let mut changed = sealer.seal(&packet(101 + at as u16, 0xcafe), false).expect("sealed");
                changed[at] ^= 0x10;
                assert!(opener.open(&changed, false).is_err(), "{suite:?} {at}");
                assert!(opener.open(&sealed[..at], false).is_err(), "{suite:?} {at}");
            }
        }
    }

    #[test]
    fn what_proves_nothing_is_not_remembered() {
        let mut opener = Opener::new(crypto(Suite::Sha1Of80));
        for source in 0..1_000 {
            assert_eq!(opener.open(&packet(1, source), false), Err(NotOpened::Unproven));
        }
        assert_eq!(opener.known.len(), 0);
        let mut sealer = Sealer::new(Suite::Sha1Of80, &Key([7; KEY_BYTES])).expect("a key");
        for source in 0..10 {
            let sealed = sealer.seal(&packet(1, source), false).expect("sealed");
            assert!(opener.open(&sealed, false).is_ok());
        }
        assert_eq!(opener.known.len(), SOURCES);
    }

    #[test]
    fn numbers_begin_anew_after_sixteen_bits_and_the_packets_are_still_known() {
        let (mut sealer, mut opener) =
            (Sealer::new(Suite::Sha1Of80, &Key([7; KEY_BYTES])).expect("a key"), Opener::new(crypto(Suite::Sha1Of80)));
        let first = sealer.seal(&packet(65_000, 1), false).expect("sealed");
        assert!(opener.open(&first, false).is_ok());
        for n in 65_001..=66_000_u32 {
            let sealed = sealer.seal(&packet(n as u16, 1), false).expect("sealed");
            assert!(opener.open(&sealed, false).is_ok(), "{n}");
        }
        assert_eq!(opener.open(&first, false).is_err(), true);
    }

    #[test]
    fn reports_are_sealed_as_well() {
        let (mut sealer, mut opener) =
            (Sealer::new(Suite::Sha1Of32, &Key([7; KEY_BYTES])).expect("a key"), Opener::new(crypto(Suite::Sha1Of32)));
        let report = [&[0x80, 201, 0, 1][..], &7_u32.to_be_bytes()].concat();
        let sealed = sealer.seal(&report, true).expect("sealed");
        // Index and 80 bits of proof: SRTCP has no shorter one (RFC 4568, section 6.2.2).
        assert_eq!(sealed.len(), report.len() + 14);
        assert_eq!(opener.open(&sealed, true), Ok(report));
        assert_eq!(opener.open(&sealed, true), Err(NotOpened::Replayed));
    }

    #[test]
    fn a_report_that_says_it_is_in_the_clear_is_not_believed() {
        let mut opener = Opener::new(crypto(Suite::Sha1Of80));
        let forged = [&[0x80, 201, 0, 1][..], &7_u32.to_be_bytes(), &[0; 14]].concat();
        assert_eq!(opener.open(&forged, true), Err(NotOpened::Clear));
        let mut sealer = Sealer::new(Suite::Sha1Of80, &Key([7; KEY_BYTES])).expect("a key");
        let mut sealed = sealer.seal(&forged[..8], true).expect("sealed");
        sealed[8] &= 0x7f;
        assert_eq!(opener.open(&sealed, true), Err(NotOpened::Clear));
        assert_eq!(opener.open(&sealed[..13], true), Err(NotOpened::Short));
    }

    proptest! {
        #[test]
        fn what_nobody_has_sealed_or_was_changed_is_not_opened(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            at in any::<usize>(),
            rtcp: bool,
        ) {
            let suite = Suite::Sha1Of32;
            let mut opener = Opener::new(crypto(suite));
            prop_assert!(opener.open(&bytes, rtcp).is_err());
            let mut sealer = Sealer::new(suite, &crypto(suite).key).expect("a key");
            if let Some(mut sealed) = sealer.seal(&bytes, rtcp) {
                let at = at % sealed.len();
                sealed[at] ^= 1;
                prop_assert!(opener.open(&sealed, rtcp).is_err());
            }
        }
    }
}
