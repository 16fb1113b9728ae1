//! What is changed in the stack's own session descriptions before they go out, and what is read from them. Pure.

use std::collections::HashSet;
use std::fmt::Write;
use std::net::SocketAddr;

pub(super) use duologue_signaling::offer::Codecs;

/// The local ICE fragment of a description.
pub(super) fn fragment(description: &str) -> Option<&str> {
    description.lines().find_map(|line| line.trim_end().strip_prefix("a=ice-ufrag:"))
}

/// Payload types of Opus, of telephone events at 48 kHz and of redundant audio in the first audio section.
pub(super) fn codecs(description: &str) -> Codecs {
    duologue_signaling::offer::audio_codecs(description)
}

/// The description as it goes out: our candidates instead of the stack's inner ones, and no line twice.
///
/// The stack matches telephone events by name alone: an offer with them at 48 kHz and at 8 kHz makes it write one
/// payload type twice into the media line, with its attributes. Chromium bears that, stricter peers need not. And it
/// knows nothing of what redundant audio consists of: that is written here.
pub(super) fn finish(description: &str, addresses: &[SocketAddr]) -> String {
    let mut out = String::with_capacity(description.len() + 128 * addresses.len());
    let mut seen = HashSet::new();
    let red = match codecs(description) {
        Codecs { opus: Some(opus), red: Some(red), .. } => Some((red, format!("a=fmtp:{red} {opus}/{opus}"))),
        _ => None,
    };
    let red_map = red.as_ref().map(|(red, _)| format!("a=rtpmap:{red} "));
    let red_format = red.as_ref().map(|(red, _)| format!("a=fmtp:{red} "));
    let mut live_media = false;
    for line in description.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        if line.starts_with("a=candidate:") || line == "a=end-of-candidates" {
            continue;
        }
        if let Some(media) = line.strip_prefix("m=") {
            candidates(&mut out, live_media, addresses);
            seen.clear();
            live_media = media.split(' ').nth(1) != Some("0");
            let _ = write!(out, "m={}\r\n", without_repeats(media));
            continue;
        }
        if red_format.as_ref().is_some_and(|own| line.starts_with(own.as_str())) {
            continue;
        }
        let repeatable = ["a=rtpmap:", "a=fmtp:", "a=rtcp-fb:"].iter().any(|name| line.starts_with(name));
        if repeatable && !seen.insert(line.to_owned()) {
            continue;
        }
        let _ = write!(out, "{line}\r\n");
        if let (Some(map), Some((_, format))) = (&red_map, &red)
            && line.starts_with(map.as_str())
        {
            let _ = write!(out, "{format}\r\n");
        }
    }
    candidates(&mut out, live_media, addresses);
    out
}

fn candidates(out: &mut String, live_media: bool, addresses: &[SocketAddr]) {
    if !live_media {
        return;
    }
    for (n, address) in addresses.iter().enumerate() {
        // RFC 8445, section 5.1.2.1: type preference 126 for host, local preference in our order, component 1.
        let priority = (126_u32 << 24) + ((65_535 - n as u32) << 8) + 255;
        let (ip, port) = (address.ip(), address.port());
        let _ = write!(out, "a=candidate:{} 1 udp {priority} {ip} {port} typ host\r\n", n + 1);
    }
    out.push_str("a=end-of-candidates\r\n");
}

/// `audio 9 UDP/TLS/RTP/SAVPF 111 110 110` without the second 110.
fn without_repeats(media: &str) -> String {
    let mut seen = HashSet::new();
    let kept: Vec<&str> =
        media.split(' ').enumerate().filter(|(n, part)| *n < 3 || seen.insert(*part)).map(|(_, part)| part).collect();
    kept.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=ice-lite\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111 110 110\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n\
        a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n\
        a=rtpmap:110 telephone-event/48000\r\na=rtpmap:110 telephone-event/48000\r\n\
        a=candidate:1 1 udp 2130706431 127.0.0.1 40001 typ host\r\na=end-of-candidates\r\n\
        m=video 0 UDP/TLS/RTP/SAVPF 0\r\na=inactive\r\n";

    #[test]
    fn the_answer_names_the_shared_port_and_not_the_inner_one() {
        let out = finish(ANSWER, &["192.0.2.1:7000".parse().expect("v4"), "[2001:db8::1]:7000".parse().expect("v6")]);
        assert!(out.contains("a=candidate:1 1 udp 2130706431 192.0.2.1 7000 typ host\r\n"));
        assert!(out.contains("a=candidate:2 1 udp 2130706175 2001:db8::1 7000 typ host\r\n"));
        assert!(!out.contains("40001"));
    }

    #[test]
    fn candidates_stand_in_live_media_sections_only() {
        let out = finish(ANSWER, &["192.0.2.1:7000".parse().expect("v4")]);
        let (audio, video) = out.split_once("m=video").expect("both sections are kept");
        assert!(audio.contains("a=candidate"));
        assert!(!video.contains("a=candidate"));
    }

    #[test]
    fn a_payload_type_is_named_once() {
        let out = finish(ANSWER, &[]);
        assert!(out.contains("m=audio 9 UDP/TLS/RTP/SAVPF 111 110\r\n"));
        assert_eq!(out.matches("a=rtpmap:110").count(), 1);
    }

    #[test]
    fn redundant_audio_names_what_it_carries() {
        let with_red =
            ANSWER.replace("a=rtpmap:110", "a=rtpmap:63 red/48000/2\r\na=rtpmap:110").replacen(" 110", " 63 110", 1);
        let out = finish(&with_red, &[]);
        assert!(out.contains("a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n"), "{out}");
        assert_eq!(out.matches("a=fmtp:63").count(), 1);
        assert_eq!(finish(&out, &[]), out, "once is enough");
        assert_eq!(codecs(&out).red, Some(63));
    }

    #[test]
    fn the_fragment_is_the_local_one() {
        assert_eq!(fragment(ANSWER), Some("abcd"));
        assert_eq!(fragment("v=0"), None);
    }
}
