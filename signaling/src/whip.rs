//! What WHIP (RFC 9725) and WHEP need beside offers: fragments of descriptions (RFC 8840) for trickled candidates and ICE
//! restarts, and the tag that tells one ICE session from the next. Pure, total over any text.

use std::fmt::Write;

/// The media type of fragments.
pub const FRAGMENT_TYPE: &str = "application/trickle-ice-sdpfrag";
/// Longest fragment that is looked at, and most candidates in it.
const LIMIT_BYTES: usize = 16 * 1024;
const CANDIDATES_MOST: usize = 64;

/// What a fragment says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fragment {
    /// Where there are any: whose candidates these are, or new ones, which restart ICE.
    pub credentials: Option<Credentials>,
    /// The values of `a=candidate:`.
    pub candidates: Vec<String>,
    /// No more will come.
    pub complete: bool,
}

/// ICE fragment and password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    pub ufrag: String,
    pub pwd: String,
}

impl Credentials {
    /// Those of a description: the first that stand in it (all sections are one bundle).
    pub fn of(description: &str) -> Option<Self> {
        let value = |name: &str| {
            let mut lines =
                description.lines().filter_map(|line| line.trim_end().strip_prefix("a=")?.strip_prefix(name));
            lines.next().map(str::to_owned)
        };
        Some(Self { ufrag: value("ice-ufrag:")?, pwd: value("ice-pwd:")? })
    }

    /// RFC 8839, section 5.4.
    fn well_formed(&self) -> bool {
        let ice = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/');
        (4..=256).contains(&self.ufrag.len())
            && (22..=256).contains(&self.pwd.len())
            && ice(&self.ufrag)
            && ice(&self.pwd)
    }
}

/// Why a fragment is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FragmentFault {
    #[error("the fragment is longer than {LIMIT_BYTES} bytes or has more than {CANDIDATES_MOST} candidates")]
    TooLong,
    #[error("line {line} of the fragment is none of an SDP: one small letter, an equals sign and a value")]
    Malformed { line: usize },
    #[error("a=ice-ufrag takes 4 to 256 and a=ice-pwd 22 to 256 letters, digits, + or /, and they come together")]
    Credentials,
    #[error("the fragment has neither candidates nor credentials nor an end of candidates")]
    Empty,
}

/// Reads a fragment.
///
/// # Errors
/// With what is wrong with it.
pub fn read(text: &str) -> Result<Fragment, FragmentFault> {
    if text.len() > LIMIT_BYTES {
        return Err(FragmentFault::TooLong);
    }
    let mut fragment = Fragment::default();
    for (index, line) in text.lines().map(str::trim_end).enumerate().filter(|(_, line)| !line.is_empty()) {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        if name.len() != 1 || !name.as_bytes()[0].is_ascii_lowercase() || value.is_empty() {
            return Err(FragmentFault::Malformed { line: index + 1 });
        }
        if value == "end-of-candidates" {
            fragment.complete = true;
        } else if let Some(candidate) = value.strip_prefix("candidate:") {
            fragment.candidates.push(candidate.to_owned());
        }
    }
    if fragment.candidates.len() > CANDIDATES_MOST {
        return Err(FragmentFault::TooLong);
    }
    fragment.credentials = Credentials::of(text);
    let half = fragment.credentials.is_none() && (text.contains("a=ice-ufrag:") || text.contains("a=ice-pwd:"));
    if half || fragment.credentials.as_ref().is_some_and(|credentials| !credentials.well_formed()) {
        return Err(FragmentFault::Credentials);
    }
    if fragment == Fragment::default() {
        return Err(FragmentFault::Empty);
    }
    Ok(fragment)
}

/// Whether this candidate (the value of `a=candidate:`, RFC 8839, section 5.1) is an address that UDP goes to: no name, which would have
/// to be looked up, and no TCP, which would have to be connected to.
pub fn is_udp_address(candidate: &str) -> bool {
    let mut words = candidate.split_ascii_whitespace().skip(2);
    words.next().is_some_and(|transport| transport.eq_ignore_ascii_case("udp"))
        && words.nth(1).is_some_and(|address| address.parse::<core::net::IpAddr>().is_ok())
}

/// The same offer with other credentials and other candidates, which stand in its first media section: an ICE restart.
pub fn restarted(offer: &str, credentials: &Credentials, candidates: &[String]) -> String {
    let mut out = String::with_capacity(offer.len() + 128);
    let mut first_media = None;
    for line in offer.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        if line.starts_with("m=") {
            if first_media == Some(true) {
                named(&mut out, candidates);
            }
            first_media = Some(first_media.is_none());
        }
        if line.starts_with("a=candidate:") || line == "a=end-of-candidates" {
            continue;
        }
        if line.starts_with("a=ice-ufrag:") {
            let _ = write!(out, "a=ice-ufrag:{}\r\n", credentials.ufrag);
        } else if line.starts_with("a=ice-pwd:") {
            let _ = write!(out, "a=ice-pwd:{}\r\n", credentials.pwd);
        } else {
            let _ = write!(out, "{line}\r\n");
        }
    }
    if first_media == Some(true) {
        named(&mut out, candidates);
    }
    out
}

fn named(out: &mut String, candidates: &[String]) {
    for candidate in candidates {
        let _ = write!(out, "a=candidate:{candidate}\r\n");
    }
}

/// The fragment of an answer: its credentials, and of each section that is alive its name and candidates.
pub fn fragment_of(answer: &str) -> String {
    let mut out = String::new();
    if answer.lines().any(|line| line.trim_end() == "a=ice-lite") {
        out.push_str("a=ice-lite\r\n");
    }
    if let Some(Credentials { ufrag, pwd }) = Credentials::of(answer) {
        let _ = write!(out, "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\n");
    }
    let kept = ["m=", "a=mid:", "a=candidate:", "a=end-of-candidates"];
    let mut first = true;
    for line in answer.lines().map(str::trim_end).filter(|line| kept.iter().any(|start| line.starts_with(start))) {
        // All sections are one bundle: the first has everything.
        if line.starts_with("m=") && !std::mem::take(&mut first) {
            break;
        }
        let _ = write!(out, "{line}\r\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 9725, section 4.3.2, figure 5, with a candidate.
    const TRICKLE: &str = "a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:EsAw\r\n\
        a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\na=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1\r\n\
        a=end-of-candidates\r\n";
    const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n\
        a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\na=candidate:1 1 udp 1 192.0.2.9 9 typ host\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n\
        a=mid:1\r\na=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n";

    fn other() -> Credentials {
        Credentials { ufrag: "ysXw".into(), pwd: "vw5LmwG4y/e6dPP/zAP9Gp5k".into() }
    }

    #[test]
    fn only_addresses_that_udp_goes_to_are_looked_at() {
        assert!(is_udp_address("1 1 UDP 2130706431 192.0.2.1 5000 typ host"));
        assert!(is_udp_address("1 1 udp 2130706431 2001:db8::1 5000 typ host"));
        for other in [
            "1 1 tcp 2130706431 192.0.2.1 9 typ host tcptype passive",
            "1 1 udp 2130706431 a-name.local 5000 typ host",
            "1 1 udp",
            "",
        ] {
            assert!(!is_udp_address(other), "{other}");
        }
    }

    #[test]
    fn a_fragment_has_candidates_and_says_whose() {
        let fragment = read(TRICKLE).expect("the RFC's own");
        assert_eq!(fragment.credentials, Credentials::of(OFFER));
        assert_eq!((fragment.candidates.len(), fragment.complete), (1, true));
        assert!(fragment.candidates[0].starts_with("1387637174 1 udp"));
    }

    #[test]
    fn a_fragment_at_fault_is_told_by_its_fault() {
        assert_eq!(read(""), Err(FragmentFault::Empty));
        assert_eq!(read("a=mid:0\r\n"), Err(FragmentFault::Empty));
        assert_eq!(read("hello"), Err(FragmentFault::Malformed { line: 1 }));
        assert_eq!(read("a=ice-ufrag:EsAw\r\n"), Err(FragmentFault::Credentials));
        assert_eq!(read(&TRICKLE.replace("P2uYro0UCOQ4zxjKXaWCBui1", "short")), Err(FragmentFault::Credentials));
        assert_eq!(read(&"a=candidate:1\r\n".repeat(65)), Err(FragmentFault::TooLong));
    }

    #[test]
    fn an_ice_restart_changes_credentials_and_candidates_and_nothing_else() {
        let again = restarted(OFFER, &other(), &["2 1 udp 1 192.0.2.2 7 typ host".into()]);
        assert_eq!(Credentials::of(&again), Some(other()));
        assert_eq!(again.matches("a=ice-ufrag:ysXw\r\n").count(), 2);
        assert!(again.contains("a=candidate:2 1 udp 1 192.0.2.2 7 typ host\r\nm=application"), "{again}");
        assert!(!again.contains("192.0.2.9"));
        assert_eq!(again.lines().count(), OFFER.lines().count());
    }

    #[test]
    fn the_fragment_of_an_answer_is_a_fragment() {
        let fragment = fragment_of(OFFER);
        assert_eq!(read(&fragment).expect("readable").candidates, ["1 1 udp 1 192.0.2.9 9 typ host"]);
        assert!(!fragment.contains("m=application") && fragment.contains("a=mid:0\r\n"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[ -~\r\n]{0,300}", at in 0..TRICKLE.len()) {
            let _ = read(&text);
            let holed = format!("{}{text}{}", TRICKLE.get(..at).unwrap_or(""), TRICKLE.get(at..).unwrap_or(""));
            if let Ok(fragment) = read(&holed) {
                prop_assert!(fragment.candidates.len() <= CANDIDATES_MOST);
            }
            let _ = restarted(&holed, &other(), &[]);
            let _ = fragment_of(&holed);
        }
    }
}
