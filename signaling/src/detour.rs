//! Sending media the long way round: a description whose candidates are those of a relay between the two sides.
//!
//! The offer goes out without candidates, so that the server can reach the caller only where the caller's packets come
//! from, which is the relay; the answer names the relay and nothing else. Pure, total over any text.

use std::fmt::Write;
// Addresses as values; nothing here opens a socket.
use core::net::{IpAddr, SocketAddr};

/// Where a description says that it can be reached over UDP, in its order. Names (mDNS) are left out.
pub fn candidates(description: &str) -> Vec<SocketAddr> {
    let lines = description.lines().filter_map(|line| line.trim_end().strip_prefix("a=candidate:"));
    lines.filter_map(address).collect()
}

/// RFC 8839, section 5.1: foundation, component, transport, priority, address, port.
fn address(candidate: &str) -> Option<SocketAddr> {
    let mut parts = candidate.split_ascii_whitespace();
    let transport = parts.nth(2)?;
    let (ip, port) = (parts.nth(1)?.parse::<IpAddr>().ok()?, parts.next()?.parse().ok()?);
    transport.eq_ignore_ascii_case("udp").then(|| SocketAddr::new(ip, port))
}

/// The description without its candidates.
pub fn without_candidates(description: &str) -> String {
    rewritten(description, None)
}

/// The description with the relay's address in the place of its candidates, in each media section that had one.
pub fn through(description: &str, relay: SocketAddr) -> String {
    rewritten(description, Some(relay))
}

fn rewritten(description: &str, relay: Option<SocketAddr>) -> String {
    let mut out = String::with_capacity(description.len());
    let mut named = false;
    for line in description.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        if line.starts_with("m=") {
            named = false;
        }
        if !line.starts_with("a=candidate:") {
            let _ = write!(out, "{line}\r\n");
        } else if let Some(relay) = relay.filter(|_| !named) {
            named = true;
            // A host candidate, RFC 8445, section 5.1.2: type preference 126, the only one of its component.
            let priority = (126_u32 << 24) + (65_535 << 8) + 255;
            let (ip, port) = (relay.ip(), relay.port());
            let _ = write!(out, "a=candidate:1 1 udp {priority} {ip} {port} typ host\r\n");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=candidate:1 1 udp 2130706431 192.0.2.1 7000 typ host\r\n\
        a=candidate:2 1 UDP 2130706175 2001:db8::1 7000 typ host\r\na=candidate:3 1 tcp 1 192.0.2.1 9 typ host tcptype active\r\n\
        a=candidate:4 1 udp 2 a0b1.local 7000 typ host\r\na=end-of-candidates\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n\
        a=candidate:1 1 udp 2130706431 192.0.2.1 7000 typ host\r\na=mid:1\r\n";

    #[test]
    fn candidates_are_the_addresses_for_udp() {
        let v4: SocketAddr = "192.0.2.1:7000".parse().expect("v4");
        assert_eq!(candidates(ANSWER), [v4, "[2001:db8::1]:7000".parse().expect("v6"), v4]);
        assert_eq!(candidates("a=candidate:\r\na=candidate:1 1 udp\r\nhello"), []);
    }

    #[test]
    fn the_relay_stands_once_in_each_section_in_the_place_of_all() {
        let out = through(ANSWER, "127.0.0.1:9999".parse().expect("v4"));
        assert_eq!(out.matches("a=candidate:").count(), 2);
        assert_eq!(out.matches("127.0.0.1 9999 typ host").count(), 2);
        assert!(out.contains("a=end-of-candidates\r\nm=application") && out.ends_with("a=mid:1\r\n"));
    }

    #[test]
    fn nothing_else_is_changed() {
        let bare = without_candidates(ANSWER);
        assert!(candidates(&bare).is_empty());
        assert_eq!(without_candidates(&bare), bare);
    }
}
