//! Any bytes where protected sound and reports are expected, and bytes of them changed on the way: what was not sealed is not opened, and
//! what was is opened once.

use duologue_signaling::phone_sdp::{Crypto, KEY_BYTES, Key, Suite};

use super::srtp::{NotOpened, Opener, Sealer};

/// Two bytes say where a sealed packet is changed, and a third what it is; the rest is the packet.
pub fn run(bytes: &[u8]) {
    let [high, low, what, rest @ ..] = bytes else { return };
    let suite = if what & 1 == 0 { Suite::Sha1Of80 } else { Suite::Sha1Of32 };
    let (rtcp, key) = (what & 2 != 0, Key([7; KEY_BYTES]));
    let mut opener = Opener::new(Crypto { tag: 1, suite, key });
    assert!(opener.open(rest, rtcp).is_err(), "nobody has sealed it");
    // Ours have neither extension nor padding; the library's sealing, not its opening, runs past the end of headers that lie.
    if !rtcp && rest.first() != Some(&0x80) {
        return;
    }
    let mut sealer = Sealer::new(suite, &key).expect("a key");
    let Some(sealed) = sealer.seal(rest, rtcp) else { return };
    let mut changed = sealed.clone();
    let at = usize::from(u16::from_be_bytes([*high, *low])) % changed.len();
    changed[at] ^= what | 1;
    assert!(opener.open(&changed, rtcp).is_err(), "it was changed at {at}");
    if opener.open(&sealed, rtcp).is_ok() {
        assert_eq!(opener.open(&sealed, rtcp), Err(NotOpened::Replayed));
    }
}
