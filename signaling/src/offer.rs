//! What must be true of an SDP offer before anything is allocated for it. Pure, total over any text.
//!
//! This reads as much of RFC 8866 as is needed to name a fault to whoever made the offer; the WebRTC stack parses it
//! again, in full, when it answers.

use thiserror::Error;

use crate::problem::Problem;

/// Longest offer that is looked at. A browser's audio offer is 3 to 8 KB.
pub const LIMIT_BYTES: usize = 64 * 1024;

/// What an acceptable offer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfferFacts {
    /// Payload type of Opus, as the offerer numbers it.
    pub opus_payload_type: u8,
    /// Payload type of telephone events at 48 kHz (RFC 4733).
    pub telephone_event_payload_type: Option<u8>,
    /// A data channel is offered: events can go over it.
    pub has_data_channel: bool,
    /// The caller sends audio (`sendrecv`, `sendonly`).
    pub sends_audio: bool,
    /// The caller wants to hear the agent (`sendrecv`, `recvonly`).
    pub wants_audio: bool,
}

/// Payload types of the codecs that matter here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Codecs {
    pub opus: Option<u8>,
    /// At 48 kHz, the clock of Opus; those at 8 kHz belong to other codecs.
    pub telephone_event: Option<u8>,
    /// Redundant audio (RFC 2198) that carries that Opus and nothing else.
    pub red: Option<u8>,
}

/// What is wrong with an offer, and the way out.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OfferFault {
    #[error(
        "the offer is {bytes} bytes long; at most {LIMIT_BYTES} are read: remove codecs and candidates that are not needed"
    )]
    TooLong { bytes: usize },
    #[error(
        "this is no SDP: it must begin with the line v=0. Send the text of localDescription.sdp as application/sdp"
    )]
    NotSdp,
    #[error("line {line} of the offer is malformed: {what}")]
    Malformed { line: usize, what: &'static str },
    #[error(
        "the offer has no audio section: add the microphone's track, or a sendrecv audio transceiver, before createOffer()"
    )]
    NoAudio,
    #[error("the offer's audio section is rejected (port 0): its transceiver is stopped; add a new one")]
    AudioRejected,
    #[error("the offer's audio section is inactive: set its transceiver's direction to sendrecv")]
    AudioInactive,
    #[error("the offer's audio is {protocol}; only audio over DTLS-SRTP (UDP/TLS/RTP/SAVPF) is answered")]
    NotSecured { protocol: String },
    #[error("the offer's audio has no Opus at 48 kHz (it has {offered}): allow opus/48000/2 in the codec preferences")]
    NoOpus { offered: String },
    #[error(
        "the offer has no ICE credentials (a=ice-ufrag, a=ice-pwd): send localDescription after setLocalDescription()"
    )]
    NoIceCredentials,
    #[error("the offer has no DTLS fingerprint (a=fingerprint): send localDescription after setLocalDescription()")]
    NoFingerprint,
}

impl OfferFault {
    /// A stable name, for clients that branch on it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "offer-too-long",
            Self::NotSdp => "not-sdp",
            Self::Malformed { .. } => "malformed-sdp",
            Self::NoAudio => "no-audio",
            Self::AudioRejected => "audio-rejected",
            Self::AudioInactive => "audio-inactive",
            Self::NotSecured { .. } => "not-secured",
            Self::NoOpus { .. } => "no-opus",
            Self::NoIceCredentials => "no-ice-credentials",
            Self::NoFingerprint => "no-fingerprint",
        }
    }

    /// 400 for text that cannot be read, 413 for too much of it, 422 for an offer that cannot be served.
    pub const fn status(&self) -> u16 {
        match self {
            Self::TooLong { .. } => 413,
            Self::NotSdp | Self::Malformed { .. } => 400,
            _ => 422,
        }
    }

    /// The fault as the body of an HTTP answer.
    pub fn problem(&self) -> Problem {
        let text = self.to_string();
        let (detail, fix) = match self {
            // What is malformed belongs to what was found.
            Self::Malformed { .. } => (text.as_str(), "Send the SDP as the browser made it."),
            _ => text.split_once(": ").unwrap_or((&text, "")),
        };
        Problem::new(self.status(), self.code(), detail, fix)
    }
}

/// Reads an offer.
///
/// # Errors
/// With the first thing that stands in the way of answering it.
pub fn check(sdp: &str) -> Result<OfferFacts, OfferFault> {
    if sdp.len() > LIMIT_BYTES {
        return Err(OfferFault::TooLong { bytes: sdp.len() });
    }
    let description = Description::read(sdp)?;
    let audio = description.media.iter().find(|media| media.kind == "audio").ok_or(OfferFault::NoAudio)?;
    // Port 0 with bundle-only is not a rejection (RFC 9143, section 6).
    if audio.port == 0 && !audio.has("bundle-only") {
        return Err(OfferFault::AudioRejected);
    }
    let direction = audio.direction().or_else(|| description.session.direction()).unwrap_or("sendrecv");
    if direction == "inactive" {
        return Err(OfferFault::AudioInactive);
    }
    if !audio.protocol.contains("TLS/RTP/SAVP") {
        return Err(OfferFault::NotSecured { protocol: audio.protocol.to_owned() });
    }
    let codecs = audio.codecs();
    let opus_payload_type = codecs.opus.ok_or_else(|| OfferFault::NoOpus { offered: audio.codec_names() })?;
    let first_in_bundle = description.media.first();
    let transport = |name: &str| {
        [Some(audio), Some(&description.session), first_in_bundle].into_iter().flatten().any(|part| part.has(name))
    };
    if !(transport("ice-ufrag") && transport("ice-pwd")) {
        return Err(OfferFault::NoIceCredentials);
    }
    if !transport("fingerprint") {
        return Err(OfferFault::NoFingerprint);
    }
    Ok(OfferFacts {
        opus_payload_type,
        telephone_event_payload_type: codecs.telephone_event,
        has_data_channel: description.media.iter().any(Section::is_data_channel),
        sends_audio: direction != "recvonly",
        wants_audio: direction != "sendonly",
    })
}

/// The codecs of the first audio section of any description, offer or answer.
pub fn audio_codecs(sdp: &str) -> Codecs {
    Description::read(sdp)
        .ok()
        .and_then(|description| description.media.into_iter().find(|media| media.kind == "audio"))
        .map(|audio| audio.codecs())
        .unwrap_or_default()
}

/// The session part, or one media section.
#[derive(Debug, Default)]
struct Section<'a> {
    kind: &'a str,
    port: u16,
    protocol: &'a str,
    formats: Vec<&'a str>,
    attributes: Vec<(&'a str, &'a str)>,
}

#[derive(Debug)]
struct Description<'a> {
    session: Section<'a>,
    media: Vec<Section<'a>>,
}

impl<'a> Description<'a> {
    fn read(sdp: &'a str) -> Result<Self, OfferFault> {
        let mut session = Section::default();
        let mut media: Vec<Section<'a>> = Vec::new();
        for (index, text) in sdp.lines().enumerate() {
            let line = index + 1;
            let text = text.trim_end();
            if index == 0 && text != "v=0" {
                return Err(OfferFault::NotSdp);
            }
            if text.is_empty() {
                continue;
            }
            let malformed = |what| OfferFault::Malformed { line, what };
            let (name, value) = match text.split_once('=') {
                Some((name, value)) if name.len() == 1 && name.as_bytes()[0].is_ascii_lowercase() => (name, value),
                _ => return Err(malformed("it must be one small letter, an equals sign and a value")),
            };
            match name {
                "m" => media.push(Section::read(value).map_err(malformed)?),
                "a" => {
                    let (attribute, value) = value.split_once(':').unwrap_or((value, ""));
                    well_formed(attribute, value).map_err(malformed)?;
                    media.last_mut().unwrap_or(&mut session).attributes.push((attribute, value));
                }
                _ => {}
            }
        }
        // An empty text has no first line to be wrong.
        if sdp.is_empty() { Err(OfferFault::NotSdp) } else { Ok(Self { session, media }) }
    }
}

/// The attributes that the checks rely on, as far as their form goes (RFC 8839 section 5.4, RFC 8122 section 5,
/// RFC 8866 section 6.6).
fn well_formed(attribute: &str, value: &str) -> Result<(), &'static str> {
    let ice_characters = |value: &str| value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/');
    let sound = match attribute {
        "ice-ufrag" if !((4..=256).contains(&value.len()) && ice_characters(value)) => {
            Err("a=ice-ufrag takes 4 to 256 letters, digits, + or /")
        }
        "ice-pwd" if !((22..=256).contains(&value.len()) && ice_characters(value)) => {
            Err("a=ice-pwd takes 22 to 256 letters, digits, + or /")
        }
        "fingerprint" => {
            let hex = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
            match value.split_once(' ') {
                Some((hash, print)) if !hash.is_empty() && print.trim().split(':').all(hex) => Ok(()),
                _ => Err("a=fingerprint takes a hash name and pairs of hex digits joined by colons"),
            }
        }
        "rtpmap" => match value.split_once(' ') {
            Some((number, codec)) if number.parse::<u8>().is_ok_and(|n| n < 128) && codec.contains('/') => Ok(()),
            _ => Err("a=rtpmap takes a payload type of 0 to 127 and name/rate"),
        },
        _ => Ok(()),
    };
    sound
}

impl<'a> Section<'a> {
    fn read(value: &'a str) -> Result<Self, &'static str> {
        let mut parts = value.split_ascii_whitespace();
        let (Some(kind), Some(port), Some(protocol)) = (parts.next(), parts.next(), parts.next()) else {
            return Err("m= takes a kind, a port, a protocol and formats");
        };
        let port = port.split('/').next().and_then(|port| port.parse().ok()).ok_or("the port in m= is no number")?;
        let formats: Vec<_> = parts.collect();
        if formats.is_empty() {
            return Err("m= names no format");
        }
        Ok(Self { kind, port, protocol, formats, attributes: Vec::new() })
    }

    fn has(&self, name: &str) -> bool {
        self.attributes.iter().any(|(attribute, _)| *attribute == name)
    }

    fn direction(&self) -> Option<&'a str> {
        let directions = ["sendrecv", "sendonly", "recvonly", "inactive"];
        self.attributes.iter().map(|(name, _)| *name).find(|name| directions.contains(name))
    }

    fn is_data_channel(&self) -> bool {
        let live = self.port != 0 || self.has("bundle-only");
        live && self.kind == "application" && self.protocol.contains("DTLS/SCTP")
    }

    /// Payload type and codec, for those that the media line names too.
    fn maps(&self) -> impl Iterator<Item = (u8, &'a str)> {
        self.attributes.iter().filter(|(name, _)| *name == "rtpmap").filter_map(|(_, value)| {
            let (number, codec) = value.split_once(' ')?;
            self.formats.contains(&number).then_some((number.parse().ok()?, codec.trim()))
        })
    }

    fn codecs(&self) -> Codecs {
        let find = |wanted: &[&str]| {
            self.maps().find(|(_, codec)| wanted.iter().any(|name| codec.eq_ignore_ascii_case(name))).map(|(n, _)| n)
        };
        // RFC 7587, section 7: always 48000/2, whatever is sent.
        let opus = find(&["opus/48000/2"]);
        Codecs {
            opus,
            telephone_event: find(&["telephone-event/48000", "telephone-event/48000/1"]),
            red: find(&["red/48000/2"]).filter(|red| opus.is_some_and(|opus| self.carries_only(*red, opus))),
        }
    }

    /// RFC 2198, section 5: `a=fmtp:63 111/111` says what the blocks are. Without the line they are what is agreed besides.
    fn carries_only(&self, red: u8, codec: u8) -> bool {
        let formats = self.attributes.iter().filter(|(name, _)| *name == "fmtp").filter_map(|(_, value)| {
            let (number, formats) = value.split_once(' ')?;
            (number.parse() == Ok(red)).then_some(formats)
        });
        formats.flat_map(|formats| formats.split('/')).all(|format| format.trim().parse() == Ok(codec))
    }

    fn codec_names(&self) -> String {
        let names: Vec<_> = self.maps().map(|(_, codec)| codec).take(12).collect();
        if names.is_empty() { "no named codec".to_owned() } else { names.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A browser's offer, shortened: Opus, RED, PCMU, two telephone events, a data channel.
    const OFFER: &str = "v=0\r\no=- 42 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\na=msid-semantic: WMS\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111 63 0 110 126\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:aB3+\r\n\
        a=ice-pwd:abcdefghijklmnopqrstuv\r\na=fingerprint:sha-256 AA:BB:CC\r\na=setup:actpass\r\na=mid:0\r\na=sendrecv\r\n\
        a=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:63 red/48000/2\r\n\
        a=fmtp:63 111/111\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:110 telephone-event/48000\r\na=rtpmap:126 telephone-event/8000\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:aB3+\r\n\
        a=ice-pwd:abcdefghijklmnopqrstuv\r\na=fingerprint:sha-256 AA:BB:CC\r\na=mid:1\r\na=sctp-port:5000\r\n";

    fn with(from: &str, to: &str) -> Result<OfferFacts, OfferFault> {
        assert!(OFFER.contains(from), "the change must change something");
        check(&OFFER.replace(from, to))
    }

    #[test]
    fn a_browser_offer_is_understood() {
        let facts = check(OFFER).expect("a good offer");
        assert_eq!(facts.opus_payload_type, 111);
        assert_eq!(facts.telephone_event_payload_type, Some(110), "the one at 48 kHz");
        assert!(facts.has_data_channel && facts.sends_audio && facts.wants_audio);
        assert!(check(&OFFER.replace("\r\n", "\n")).is_ok(), "bare line feeds are borne");
    }

    #[test]
    fn redundant_audio_counts_where_it_carries_opus() {
        assert_eq!(audio_codecs(OFFER).red, Some(63));
        assert_eq!(audio_codecs(&OFFER.replace("a=fmtp:63 111/111\r\n", "")).red, Some(63), "nothing else is agreed");
        assert_eq!(audio_codecs(&OFFER.replace("a=fmtp:63 111/111", "a=fmtp:63 111/0")).red, None);
        assert_eq!(audio_codecs(&OFFER.replace("red/48000/2", "red/8000")).red, None);
        assert_eq!(audio_codecs(&OFFER.replace("111 63 0", "111 0")).red, None, "the media line does not name it");
    }

    #[test]
    fn an_offer_without_a_data_channel_is_fine() {
        let (audio, _) = OFFER.split_once("m=application").expect("there is one");
        assert!(!check(audio).expect("a good offer").has_data_channel);
        assert!(!with("m=application 9", "m=application 0").expect("a rejected one").has_data_channel);
    }

    #[test]
    fn the_direction_tells_who_speaks() {
        let listens = with("a=sendrecv", "a=recvonly").expect("listening only");
        assert!(!listens.sends_audio && listens.wants_audio);
        let speaks = with("a=sendrecv", "a=sendonly").expect("speaking only");
        assert!(speaks.sends_audio && !speaks.wants_audio);
        assert_eq!(with("a=sendrecv", "a=inactive"), Err(OfferFault::AudioInactive));
        assert!(with("a=sendrecv\r\n", "").expect("sendrecv is the default").wants_audio);
    }

    #[test]
    fn each_fault_is_told_from_the_others() {
        assert_eq!(check(""), Err(OfferFault::NotSdp));
        assert_eq!(check("{\"type\":\"offer\"}"), Err(OfferFault::NotSdp));
        assert!(matches!(with("s=-", "nonsense"), Err(OfferFault::Malformed { line: 3, .. })));
        assert!(matches!(with("m=audio 9", "m=audio x"), Err(OfferFault::Malformed { line: 7, .. })));
        assert!(matches!(
            with("m=audio 9 UDP/TLS/RTP/SAVPF 111 63 0 110 126", "m=audio 9"),
            Err(OfferFault::Malformed { .. })
        ));
        assert_eq!(with("m=audio", "m=video"), Err(OfferFault::NoAudio));
        assert_eq!(with("m=audio 9", "m=audio 0"), Err(OfferFault::AudioRejected));
        assert_eq!(with("UDP/TLS/RTP/SAVPF", "RTP/AVP"), Err(OfferFault::NotSecured { protocol: "RTP/AVP".into() }));
        let no_opus = with("opus/48000/2", "PCMA/8000").expect_err("no Opus");
        assert!(no_opus.to_string().contains("PCMU/8000"), "it says what there is instead: {no_opus}");
        assert_eq!(
            with("SAVPF 111", "SAVPF 96"),
            Err(OfferFault::NoOpus {
                offered: "red/48000/2, PCMU/8000, telephone-event/48000, telephone-event/8000".into()
            })
        );
        assert_eq!(with("a=ice-ufrag:aB3+\r\n", ""), Err(OfferFault::NoIceCredentials));
        assert!(matches!(with("a=ice-ufrag:aB3+", "a=ice-ufrag:a b"), Err(OfferFault::Malformed { .. })));
        assert_eq!(with("a=fingerprint:sha-256 AA:BB:CC\r\n", ""), Err(OfferFault::NoFingerprint));
        assert!(matches!(with("AA:BB:CC", "AA:BB:C"), Err(OfferFault::Malformed { .. })));
        assert!(matches!(check(&format!("{OFFER}{}", " ".repeat(LIMIT_BYTES))), Err(OfferFault::TooLong { .. })));
    }

    #[test]
    fn credentials_may_stand_once_for_the_whole_session() {
        let once = OFFER
            .replace("a=ice-ufrag:aB3+\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\na=fingerprint:sha-256 AA:BB:CC\r\n", "")
            .replace("a=msid-semantic", "a=ice-ufrag:aB3+\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\na=fingerprint:sha-256 AA:BB\r\na=msid-semantic");
        check(&once).expect("a good offer");
    }

    #[test]
    fn a_fault_becomes_a_problem_document_with_the_way_out_apart() {
        let problem = OfferFault::NoAudio.problem();
        assert_eq!(problem.status, 422);
        assert_eq!(problem.detail.as_deref(), Some("the offer has no audio section"));
        assert!(problem.fix.expect("a way out").contains("createOffer"));
        let problem = OfferFault::NoOpus { offered: "PCMU/8000".into() }.problem();
        assert_eq!(problem.detail.as_deref(), Some("the offer's audio has no Opus at 48 kHz (it has PCMU/8000)"));
        assert_eq!(OfferFault::NotSdp.problem().status, 400);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = check(&String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn an_offer_with_a_hole_in_it_is_read_or_refused_and_never_panics(
            at in 0..OFFER.len(), length in 0..40_usize, put in ".{0,20}",
        ) {
            let end = (at + length).min(OFFER.len());
            let holed = format!("{}{put}{}", &OFFER[..at], &OFFER[end..]);
            if let Ok(facts) = check(&holed) {
                prop_assert!(facts.opus_payload_type < 128);
            }
            let _ = audio_codecs(&holed);
        }
    }
}
