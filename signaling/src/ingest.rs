//! What WHIP asks of an offer beyond what every offer needs (RFC 9725, section 4.4): one stream, one track of a kind, reports with the
//! sound. Pure, total over any text.

use std::fmt::Write;

/// Why an offer is none of a microphone's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IngestFault {
    #[error("the offer has several audio tracks: send one")]
    Tracks,
    #[error("the offer has tracks of several streams (a=msid): put all of them into one MediaStream")]
    Streams,
    #[error(
        "the offer's sections are not one bundle (a=group:BUNDLE): use the bundle policy max-bundle, or balanced, as browsers do"
    )]
    NotBundled,
    #[error("the offer's audio has no a=rtcp-mux: reports come with the sound here, and nowhere else")]
    NoMux,
}

impl IngestFault {
    /// A stable name, for clients that branch on it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Tracks => "several-tracks",
            Self::Streams => "several-streams",
            Self::NotBundled => "not-bundled",
            Self::NoMux => "no-rtcp-mux",
        }
    }
}

/// A media section that is not refused from the beginning.
struct Section<'a> {
    kind: &'a str,
    lines: Vec<&'a str>,
}

impl<'a> Section<'a> {
    fn value(&self, name: &str) -> Option<&'a str> {
        self.lines.iter().find_map(|line| line.strip_prefix("a=")?.strip_prefix(name)?.strip_prefix(':'))
    }

    fn has(&self, attribute: &str) -> bool {
        self.lines.contains(&attribute)
    }

    fn is_live(&self) -> bool {
        let port = self.lines.first().and_then(|media| media.split(' ').nth(1));
        // Port 0 of a section that is in a bundle alone is no refusal (RFC 9143, section 6).
        port != Some("0") || self.has("a=bundle-only")
    }
}

/// Looks at an offer that has been found acceptable otherwise.
///
/// # Errors
/// With the first thing that a microphone's offer must not have, or lacks.
pub fn check(offer: &str) -> Result<(), IngestFault> {
    let mut bundles: Vec<Vec<&str>> = Vec::new();
    let mut sections: Vec<Section<'_>> = Vec::new();
    for line in offer.lines().map(str::trim_end) {
        if let Some(media) = line.strip_prefix("m=") {
            sections.push(Section { kind: media.split(' ').next().unwrap_or(""), lines: vec![line] });
        } else if let Some(section) = sections.last_mut() {
            section.lines.push(line);
        } else if let Some(bundle) = line.strip_prefix("a=group:BUNDLE") {
            bundles.push(bundle.split_ascii_whitespace().collect());
        }
    }
    sections.retain(Section::is_live);
    let audio: Vec<_> = sections.iter().filter(|section| section.kind == "audio").collect();
    if audio.len() > 1 {
        return Err(IngestFault::Tracks);
    }
    // "stream track", or "-" for no stream (RFC 8830, section 2).
    let streams = sections.iter().filter_map(|section| section.value("msid")?.split(' ').next());
    let mut streams: Vec<&str> = streams.collect();
    streams.dedup();
    if streams.len() > 1 {
        return Err(IngestFault::Streams);
    }
    // One section needs no group to be one transport.
    let bundled = |section: &Section<'_>| {
        let mid = section.value("mid").unwrap_or("");
        bundles.first().is_some_and(|bundle| bundle.contains(&mid))
    };
    if bundles.len() > 1 || (sections.len() > 1 && !sections.iter().all(bundled)) {
        return Err(IngestFault::NotBundled);
    }
    if !audio.iter().all(|section| section.has("a=rtcp-mux")) {
        return Err(IngestFault::NoMux);
    }
    Ok(())
}

/// The same offer of one who hears nothing: what is answered to it is `recvonly` (RFC 9725, section 4.2), where `sendrecv` was offered too.
pub fn one_way(offer: &str) -> String {
    let mut out = String::with_capacity(offer.len() + 16);
    let mut said = false;
    for line in offer.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        let _ = write!(out, "{}\r\n", if line == "a=sendrecv" { "a=sendonly" } else { line });
        said |= line.starts_with("m=");
    }
    // Who says nothing means both ways (RFC 8866, section 6.7).
    if said && !has_direction(offer) {
        out = out.replacen("a=rtcp-mux\r\n", "a=rtcp-mux\r\na=sendonly\r\n", 1);
    }
    out
}

fn has_direction(offer: &str) -> bool {
    let ways = ["a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive"];
    offer.lines().any(|line| ways.contains(&line.trim_end()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 9725, section 4.2, in outline: sound and pictures of one stream, in one bundle.
    const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=bundle-only\r\na=sendonly\r\na=msid:- one\r\na=rtcp-mux\r\na=rtcp-mux-only\r\n\
        m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=bundle-only\r\na=sendonly\r\na=msid:- two\r\na=rtcp-mux\r\na=rtcp-mux-only\r\n";

    fn with(from: &str, to: &str) -> Result<(), IngestFault> {
        assert!(OFFER.contains(from), "the change must change something");
        check(&OFFER.replace(from, to))
    }

    #[test]
    fn one_stream_in_one_bundle_is_what_a_microphone_sends() {
        assert_eq!(check(OFFER), Ok(()));
        assert_eq!(with("a=msid:- two\r\n", ""), Ok(()), "who says nothing has one");
        assert_eq!(with("m=video", "m=audio"), Err(IngestFault::Tracks));
        assert_eq!(
            check(&OFFER.replace("m=video", "m=audio").replace("1\r\na=bundle-only\r\n", "1\r\n")),
            Ok(()),
            "refused"
        );
        assert_eq!(with("a=msid:- two", "a=msid:another two"), Err(IngestFault::Streams));
        for group in ["a=group:BUNDLE 0\r\n", "", "a=group:BUNDLE 0\r\na=group:BUNDLE 1\r\n"] {
            assert_eq!(with("a=group:BUNDLE 0 1\r\n", group), Err(IngestFault::NotBundled), "{group}");
        }
        assert_eq!(with("a=rtcp-mux\r\n", ""), Err(IngestFault::NoMux));
        let alone = OFFER.split("m=video").next().expect("its first half").replace("a=group:BUNDLE 0 1\r\n", "");
        assert_eq!(check(&alone), Ok(()));
    }

    #[test]
    fn who_would_hear_as_well_is_taken_for_one_who_does_not() {
        assert_eq!(one_way(OFFER), OFFER);
        let both = OFFER.replacen("a=sendonly", "a=sendrecv", 1);
        assert_eq!(one_way(&both), OFFER);
        let silent = one_way(&OFFER.replace("a=sendonly\r\n", ""));
        assert_eq!(silent.matches("a=sendonly\r\n").count(), 1, "{silent}");
        assert!(silent.find("a=sendonly") < silent.find("m=video"), "{silent}");
    }

    proptest! {
        #[test]
        fn any_text_is_looked_at(text in "[ -~\r\n]{0,300}", at in 0..OFFER.len()) {
            let holed = format!("{}{text}{}", &OFFER[..at], &OFFER[at..]);
            let _ = check(&holed);
            prop_assert!(one_way(&holed).lines().all(|line| line != "a=sendrecv"));
        }
    }
}
