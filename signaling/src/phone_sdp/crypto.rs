//! Keys for SRTP in SDP (security descriptions, RFC 4568): one `a=crypto` line read, one written. No key is used here.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

/// Master key of 16 bytes and salt of 14, one after the other (RFC 4568, section 6.2).
pub const KEY_BYTES: usize = 30;

/// What packets are protected with. Each encrypts with AES of 128 bits and proves with HMAC-SHA1; they differ in how much of the proof
/// is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// 80 bits: every implementation has it (RFC 4568, section 6.2.1).
    Sha1Of80,
    /// 32 bits, which some telephones ask for.
    Sha1Of32,
}

impl Suite {
    /// The stronger one first.
    pub const ALL: [Self; 2] = [Self::Sha1Of80, Self::Sha1Of32];

    /// As SDP names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1Of80 => "AES_CM_128_HMAC_SHA1_80",
            Self::Sha1Of32 => "AES_CM_128_HMAC_SHA1_32",
        }
    }
}

/// A master key and its salt. It shows itself to nobody.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key(pub [u8; KEY_BYTES]);

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Key(..)")
    }
}

/// One line: what the side that says it protects its own packets with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crypto {
    /// By which the answer names the line that it takes: up to nine digits.
    pub tag: u32,
    pub suite: Suite,
    pub key: Key,
}

impl Crypto {
    /// Reads what stands behind `a=crypto:`. `None` for what cannot be done here: another suite, several keys, an identifier in each packet
    /// (MKI), or parameters that would have packets unprotected or keys derived anew (RFC 4568, section 6.3.2: who does not know a
    /// parameter refuses the line).
    pub(super) fn read(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let tag = words.next().filter(|tag| tag.len() <= 9).and_then(|tag| tag.parse().ok())?;
        let named = words.next()?;
        let suite = Suite::ALL.into_iter().find(|suite| suite.name().eq_ignore_ascii_case(named))?;
        let inline = words.next()?;
        let key = inline.get(..7).filter(|start| start.eq_ignore_ascii_case("inline:")).map(|_| &inline[7..])?;
        // Behind the key: a lifetime, which is longer than any call, and an MKI, which has a colon.
        let mut parts = key.split('|');
        let key = parts.next()?;
        if key.contains(';') || parts.any(|part| part.contains([':', ';'])) {
            return None;
        }
        // Hints about order and window may be passed over.
        let known = |word: &str| word.starts_with("WSH=") || word.starts_with('-');
        if !words.all(known) {
            return None;
        }
        // 30 bytes need no padding; some write it nevertheless.
        let bytes = STANDARD.decode(key).or_else(|_| STANDARD_NO_PAD.decode(key)).ok()?;
        Some(Self { tag, suite, key: Key(bytes.try_into().ok()?) })
    }

    /// The whole line, without its end.
    pub(super) fn write(&self) -> String {
        format!("a=crypto:{} {} inline:{}", self.tag, self.suite.name(), STANDARD.encode(self.key.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4568, section 6.1, has such a line.
    const LINE: &str = "1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20";

    #[test]
    fn a_line_is_read_and_written() {
        let crypto = Crypto::read(LINE).expect("a line");
        assert_eq!((crypto.tag, crypto.suite), (1, Suite::Sha1Of80));
        assert_eq!(&crypto.key.0, b"wDfvg&T+)xG7@fb5jU,RaA}\\|p0%*#");
        assert_eq!(crypto.write(), format!("a=crypto:{}", LINE.trim_end_matches("|2^20")));
        assert_eq!(format!("{crypto:?}"), "Crypto { tag: 1, suite: Sha1Of80, key: Key(..) }");
        assert!(Crypto::read(&LINE.replace("_80", "_32")).is_some_and(|crypto| crypto.suite == Suite::Sha1Of32));
        assert!(Crypto::read(&format!("{LINE} WSH=128")).is_some());
    }

    #[test]
    fn what_cannot_be_done_is_passed_over() {
        for (from, to) in [
            ("|2^20", "|2^20|1:4"),
            ("|2^20", "|1:4"),
            ("|2^20", ";inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"),
            ("|2^20", " UNENCRYPTED_SRTP"),
            ("|2^20", " UNAUTHENTICATED_SRTP"),
            ("|2^20", " KDR=1"),
            ("AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM"),
            ("inline:", "uri:"),
            ("d0Rm", ""),
            ("1 AES", "x AES"),
            ("1 AES", "1234567890 AES"),
            ("inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj", ""),
        ] {
            let changed = LINE.replace(from, to);
            assert_ne!(changed, LINE);
            assert_eq!(Crypto::read(&changed), None, "{changed}");
        }
    }
}
