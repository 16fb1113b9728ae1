//! SDP as telephones speak it (RFC 8866, RFC 3264): one stream of sound over RTP, or over SRTP with keys that stand in the SDP or are
//! agreed on over DTLS. What an offer asks for, and the answer to it; no socket, no clock.
//!
//! An answer names one codec, so that the other side sends only that: a telephone that changes its codec says so with a new
//! offer. Other streams (video, fax) are refused one by one, as RFC 3264, section 6, wants it.

use core::net::{IpAddr, SocketAddr};
use std::fmt::Write as _;

mod crypto;
mod dtls;

pub use crypto::{Crypto, KEY_BYTES, Key, Suite};
pub use dtls::{CertificateHash, DtlsRole, DtlsSdp, Fingerprint, OurDtls, Said, Setup};

/// A codec that is spoken with telephones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PhoneCodec {
    Opus,
    G722,
    Pcma,
    Pcmu,
}

impl PhoneCodec {
    /// The best sound first.
    pub const ALL: [Self; 4] = [Self::Opus, Self::G722, Self::Pcma, Self::Pcmu];

    /// As `a=rtpmap` names it, with its clock.
    pub const fn rtpmap(self) -> &'static str {
        match self {
            Self::Opus => "opus/48000/2",
            Self::G722 => "G722/8000",
            Self::Pcma => "PCMA/8000",
            Self::Pcmu => "PCMU/8000",
        }
    }

    /// The payload type that it has without being told (RFC 3551, table 4).
    const fn usual_type(self) -> Option<u8> {
        match self {
            Self::Opus => None,
            Self::G722 => Some(9),
            Self::Pcma => Some(8),
            Self::Pcmu => Some(0),
        }
    }

    /// The RTP clock.
    pub const fn clock_hz(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            _ => 8_000,
        }
    }

    fn of_rtpmap(map: &str) -> Option<Self> {
        // "opus/48000/2"; of one channel the number may be missing (RFC 8866, section 6.6).
        let map = map.strip_suffix("/1").unwrap_or(map);
        Self::ALL.into_iter().find(|codec| codec.rtpmap().eq_ignore_ascii_case(map))
    }
}

/// Who sends (RFC 3264, section 5.1), as the one who says it sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    #[default]
    Both,
    SendOnly,
    ReceiveOnly,
    Neither,
}

impl Direction {
    const fn name(self) -> &'static str {
        match self {
            Self::Both => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::ReceiveOnly => "recvonly",
            Self::Neither => "inactive",
        }
    }

    fn of(name: &str) -> Option<Self> {
        [Self::Both, Self::SendOnly, Self::ReceiveOnly, Self::Neither].into_iter().find(|way| way.name() == name)
    }

    /// The same, as the other side sees it.
    #[must_use]
    pub const fn seen_from_there(self) -> Self {
        match self {
            Self::SendOnly => Self::ReceiveOnly,
            Self::ReceiveOnly => Self::SendOnly,
            both => both,
        }
    }

    /// Whoever says this does not want to hear anything: the call is on hold.
    pub const fn holds(self) -> bool {
        matches!(self, Self::SendOnly | Self::Neither)
    }
}

/// Why an offer cannot be answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhoneSdpFault {
    #[error("the SDP is longer than {MOST_BYTES} bytes")]
    TooLong,
    #[error("the SDP is not text")]
    NotText,
    #[error("no SDP: it does not begin with v=0")]
    NotSdp,
    #[error("there is no stream of sound in it (m=audio)")]
    NoAudio,
    #[error("sound over {0} is not spoken here: RTP/AVP, RTP/SAVP and UDP/TLS/RTP/SAVP are")]
    Transport(String),
    #[error(
        "RTP/SAVP without a key that can be used here: a=crypto with AES_CM_128_HMAC_SHA1_80 or AES_CM_128_HMAC_SHA1_32, one key, no MKI"
    )]
    NoKey,
    #[error(
        "UDP/TLS/RTP/SAVP without a certificate that is named here: a=fingerprint with sha-256 (or sha-1, sha-384, sha-512)"
    )]
    NoFingerprint,
    #[error(
        "neither side would begin with DTLS: a=setup is actpass or active or passive in an offer, and active or passive in an answer"
    )]
    NobodyBegins,
    #[error("the sound is protected, and would be in the clear (RTP/AVP)")]
    InTheClear,
    #[error("the keys of the sound come in one way in a call: in the SDP (RTP/SAVP), or over DTLS (UDP/TLS/RTP/SAVP)")]
    OtherKeys,
    #[error("the address for the sound is no IP address")]
    Address,
    #[error("no codec in common: {0} are spoken here")]
    NoCodec(String),
    #[error("more than {MOST_STREAMS} streams")]
    TooManyStreams,
}

/// An SDP of a telephone is below 2 kB.
pub const MOST_BYTES: usize = 16_384;
/// Sound, video, fax, text, two of each.
const MOST_STREAMS: usize = 16;

/// A telephone's keys as packets (RFC 4733): payload type and clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPackets {
    pub payload_type: u8,
    pub clock_hz: u32,
}

/// What a telephone has said of itself: in an offer, or in an answer to ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhoneSdp {
    /// Where it wants its sound.
    pub address: SocketAddr,
    pub direction: Direction,
    /// Of those that are known here, in its order, with their payload types.
    pub codecs: Vec<(PhoneCodec, u8)>,
    /// How its packets are protected (RTP/SAVP); of several ways the first that is known here.
    pub crypto: Option<Crypto>,
    /// How the keys of both sides are agreed on (UDP/TLS/RTP/SAVP).
    pub dtls: Option<DtlsSdp>,
    /// RTCP can come and go with the sound (RFC 5761).
    pub mux: bool,
    /// Where it wants RTCP otherwise (RFC 3605).
    pub rtcp: SocketAddr,
    keys: Vec<KeyPackets>,
    /// It may say that it is silent, and how loud its room is (RFC 3389).
    noise: bool,
    /// Its `m=` lines: media, transport and formats as they stood; the answer needs one for each.
    streams: Vec<(String, String, String)>,
    /// Which of them is the sound.
    sound: usize,
}

/// What is agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhoneAgreed {
    pub codec: PhoneCodec,
    pub payload_type: u8,
    /// Where keys can come, and go, as packets.
    pub keys: Option<KeyPackets>,
    /// As we see it.
    pub direction: Direction,
}

/// What one stream, or the whole session, says.
#[derive(Default)]
struct Lines<'a> {
    address: Option<&'a str>,
    direction: Option<Direction>,
    rtpmaps: Vec<(u8, &'a str)>,
    crypto: Option<Crypto>,
    fingerprints: Vec<Fingerprint>,
    setup: Option<Setup>,
    mux: bool,
    rtcp: Option<&'a str>,
}

impl<'a> Lines<'a> {
    fn take(&mut self, line: &'a str) {
        if let Some(connection) = line.strip_prefix("c=") {
            self.address = connection.split_whitespace().nth(2);
        } else if let Some(attribute) = line.strip_prefix("a=") {
            if let Some((payload_type, map)) = attribute.strip_prefix("rtpmap:").and_then(|map| map.split_once(' ')) {
                if let (Ok(payload_type), true) = (payload_type.trim().parse(), self.rtpmaps.len() < 128) {
                    self.rtpmaps.push((payload_type, map.trim()));
                }
            } else if let Some(line) = attribute.strip_prefix("crypto:") {
                self.crypto = self.crypto.or_else(|| Crypto::read(line));
            } else if let Some(value) = attribute.strip_prefix("fingerprint:") {
                Fingerprint::read(value).into_iter().for_each(|one| Fingerprint::join(&mut self.fingerprints, one));
            } else if let Some(word) = attribute.strip_prefix("setup:") {
                self.setup = Some(Setup::of(word.trim()));
            } else if let Some(place) = attribute.strip_prefix("rtcp:") {
                self.rtcp = Some(place);
            } else if attribute.trim() == "rtcp-mux" {
                self.mux = true;
            } else if let Some(direction) = Direction::of(attribute.trim()) {
                self.direction = Some(direction);
            }
        }
    }
}

impl Lines<'_> {
    /// The stream's own words count more than the session's (RFC 8122, section 5; RFC 4145, section 4).
    fn dtls(&self, session: &Self) -> Result<DtlsSdp, PhoneSdpFault> {
        let named = [self, session].into_iter().map(|lines| &lines.fingerprints).find(|named| !named.is_empty());
        let fingerprints = named.ok_or(PhoneSdpFault::NoFingerprint)?.clone();
        match self.setup.or(session.setup) {
            Some(Setup::Neither) => Err(PhoneSdpFault::NobodyBegins),
            setup => Ok(DtlsSdp { fingerprints, setup }),
        }
    }

    /// Where RTCP goes: as `a=rtcp` says, "PORT" or "PORT IN IP4 ADDRESS"; else one port above the sound (RFC 3550, section 11).
    fn rtcp_of(&self, sound: SocketAddr) -> SocketAddr {
        let next = SocketAddr::new(sound.ip(), sound.port().saturating_add(1));
        let Some(place) = self.rtcp else { return next };
        let mut words = place.split_whitespace();
        let Some(port) = words.next().and_then(|port| port.parse().ok()).filter(|port| *port != 0) else { return next };
        let ip = words.nth(2).and_then(|ip| ip.parse().ok()).unwrap_or(sound.ip());
        SocketAddr::new(ip, port)
    }
}

/// What this side says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Ours {
    /// Where our sound is.
    pub here: SocketAddr,
    /// A number for this call.
    pub session: u64,
    /// Rises with everything that is said in it.
    pub version: u32,
    /// What our packets are protected with, where they are.
    pub key: Option<Key>,
    /// The way in which they are protected already: nothing else is offered again. `None`: any.
    pub suite: Option<Suite>,
    /// Where keys are agreed on over DTLS.
    pub dtls: Option<OurDtls>,
}

impl PhoneSdp {
    /// Reads what a telephone has sent. Total over any bytes.
    ///
    /// # Errors
    /// Why it cannot be answered.
    pub fn read(body: &[u8]) -> Result<Self, PhoneSdpFault> {
        if body.len() > MOST_BYTES {
            return Err(PhoneSdpFault::TooLong);
        }
        let text = std::str::from_utf8(body).map_err(|_| PhoneSdpFault::NotText)?;
        let mut lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
        if lines.next() != Some("v=0") {
            return Err(PhoneSdpFault::NotSdp);
        }
        let (mut session, mut streams) = (Lines::default(), Vec::<(&str, Lines<'_>)>::new());
        for line in lines {
            if let Some(stream) = line.strip_prefix("m=") {
                if streams.len() == MOST_STREAMS {
                    return Err(PhoneSdpFault::TooManyStreams);
                }
                streams.push((stream, Lines::default()));
            } else {
                streams.last_mut().map_or(&mut session, |(_, lines)| lines).take(line);
            }
        }
        Self::of(&session, &streams)
    }

    fn of(session: &Lines<'_>, found: &[(&str, Lines<'_>)]) -> Result<Self, PhoneSdpFault> {
        let mut streams = Vec::with_capacity(found.len());
        let mut sound = None;
        for (n, (stream, lines)) in found.iter().enumerate() {
            let mut words = stream.split_whitespace();
            let (media, port) = (words.next().unwrap_or(""), words.next().unwrap_or("0"));
            let (transport, formats) = (words.next().unwrap_or(""), words.collect::<Vec<_>>());
            // A port may be followed by a number of ports; 0 is a stream that is not wanted.
            let port: u16 = port.split('/').next().unwrap_or("0").parse().unwrap_or(0);
            if media == "audio" && port != 0 && sound.is_none() {
                sound = Some((n, port, transport, formats.clone(), lines));
            }
            streams.push((media.to_owned(), transport.to_owned(), formats.join(" ")));
        }
        let (sound, port, transport, formats, lines) = sound.ok_or(PhoneSdpFault::NoAudio)?;
        let (crypto, dtls) = match transport {
            "RTP/AVP" | "RTP/AVPF" => (None, None),
            "RTP/SAVP" | "RTP/SAVPF" => (Some(lines.crypto.ok_or(PhoneSdpFault::NoKey)?), None),
            DTLS | "UDP/TLS/RTP/SAVPF" => (None, Some(lines.dtls(session)?)),
            other => return Err(PhoneSdpFault::Transport(other.chars().take(40).collect())),
        };
        let address: IpAddr =
            lines.address.or(session.address).and_then(|at| at.parse().ok()).ok_or(PhoneSdpFault::Address)?;
        let direction = lines.direction.or(session.direction).unwrap_or_default();
        // The hold of before RFC 3264: sound to nowhere.
        let direction = if address.is_unspecified() { Direction::Neither } else { direction };
        let (mut codecs, mut keys, mut noise) = (Vec::new(), Vec::new(), false);
        for payload_type in formats.iter().filter_map(|format| format.parse::<u8>().ok()).filter(|format| *format < 128)
        {
            let map = lines.rtpmaps.iter().find(|(of, _)| *of == payload_type).map(|(_, map)| *map);
            let codec = match map {
                Some(map) => PhoneCodec::of_rtpmap(map),
                None => PhoneCodec::ALL.into_iter().find(|codec| codec.usual_type() == Some(payload_type)),
            };
            noise |= payload_type == NOISE_TYPE && map.is_none_or(|map| map.eq_ignore_ascii_case(NOISE_MAP));
            if let Some(codec) = codec {
                codecs.push((codec, payload_type));
            } else if let Some((name, clock)) = map.and_then(|map| map.split_once('/'))
                && name.eq_ignore_ascii_case("telephone-event")
            {
                let clock_hz = clock.split('/').next().and_then(|clock| clock.parse().ok());
                keys.extend(clock_hz.map(|clock_hz| KeyPackets { payload_type, clock_hz }));
            }
        }
        let (address, mux) = (SocketAddr::new(address, port), lines.mux);
        let rtcp = lines.rtcp_of(address);
        Ok(Self { address, direction, codecs, crypto, dtls, mux, rtcp, keys, noise, streams, sound })
    }

    /// What comes of it, where these codecs are spoken here. Of those the other side's order decides (RFC 3264, section 6.1).
    ///
    /// # Errors
    /// When there is none in common.
    pub fn agree(&self, ours: &[PhoneCodec]) -> Result<PhoneAgreed, PhoneSdpFault> {
        let (codec, payload_type) =
            self.codecs.iter().copied().find(|(codec, _)| ours.contains(codec)).ok_or_else(|| {
                PhoneSdpFault::NoCodec(ours.iter().map(|codec| codec.rtpmap()).collect::<Vec<_>>().join(", "))
            })?;
        // Keys have the clock of the sound they stand among (RFC 4733, section 2.1); some telephones have 8 kHz only.
        let keys = self.keys.iter().copied();
        let keys = keys.clone().find(|keys| keys.clock_hz == codec.clock_hz()).or_else(|| keys.clone().next());
        Ok(PhoneAgreed { codec, payload_type, keys, direction: self.direction.seen_from_there() })
    }

    /// The answer: one codec, and every other stream refused. Protected is answered in kind, by the same line, and RTCP where it
    /// was asked for.
    pub fn answer(&self, agreed: &PhoneAgreed, ours: &Ours) -> String {
        let mut sdp = head(ours);
        for (n, (media, transport, formats)) in self.streams.iter().enumerate() {
            if n == self.sound {
                let codecs = [(agreed.codec, agreed.payload_type)];
                sound(&mut sdp, ours.here.port(), transport, &codecs, agreed.keys, self.noise);
                if let Some((theirs, key)) = self.crypto.zip(ours.key) {
                    let _ = write!(sdp, "{}\r\n", Crypto { key, ..theirs }.write());
                }
                if let Some(dtls) = self.dtls.as_ref().and(ours.dtls) {
                    dtls.write(&mut sdp);
                }
                if self.mux {
                    sdp.push_str(MUX);
                }
                let _ = write!(sdp, "a={}\r\n", agreed.direction.name());
            } else {
                let _ = write!(sdp, "m={media} 0 {transport} {formats}\r\n");
            }
        }
        sdp
    }
}

/// What is agreed on until our offer is answered: this codec, as the offer has it.
pub fn promised(codec: PhoneCodec) -> PhoneAgreed {
    let keys = Some(KeyPackets { payload_type: KEYS_TYPE, clock_hz: 8_000 });
    let payload_type = codec.usual_type().unwrap_or(OPUS_TYPE);
    PhoneAgreed { codec, payload_type, keys, direction: Direction::Both }
}

/// An offer of our own: all that is spoken here, for a telephone that is called, or asks without offering.
pub fn offer(ours: &Ours, codecs: &[PhoneCodec]) -> String {
    let mut sdp = head(ours);
    let codecs: Vec<(PhoneCodec, u8)> =
        codecs.iter().map(|codec| (*codec, codec.usual_type().unwrap_or(OPUS_TYPE))).collect();
    let transport = match (ours.dtls, ours.key) {
        (Some(_), _) => DTLS,
        (None, Some(_)) => "RTP/SAVP",
        (None, None) => "RTP/AVP",
    };
    let keys = Some(KeyPackets { payload_type: KEYS_TYPE, clock_hz: 8_000 });
    sound(&mut sdp, ours.here.port(), transport, &codecs, keys, true);
    // One key in both ways: the other side takes one of them (RFC 4568, section 5.1.1), and the key is used in that one alone.
    for (tag, suite) in (1..).zip(Suite::ALL) {
        if let Some(key) = ours.key.filter(|_| ours.dtls.is_none() && ours.suite.is_none_or(|used| used == suite)) {
            let _ = write!(sdp, "{}\r\n", Crypto { tag, suite, key }.write());
        }
    }
    if let Some(dtls) = ours.dtls {
        dtls.write(&mut sdp);
    }
    sdp.push_str(MUX);
    sdp.push_str("a=sendrecv\r\n");
    sdp
}

/// SRTP with keys from DTLS (RFC 5764, section 8).
const DTLS: &str = "UDP/TLS/RTP/SAVP";
const MUX: &str = "a=rtcp-mux\r\n";
/// Payload types of ours in the free range.
const OPUS_TYPE: u8 = 96;
const KEYS_TYPE: u8 = 101;
/// Comfort noise (RFC 3551, table 4), which belongs to codecs that know no silence of their own.
const NOISE_TYPE: u8 = 13;
const NOISE_MAP: &str = "CN/8000";

fn head(ours: &Ours) -> String {
    let Ours { here, session, version, .. } = ours;
    let (kind, ip) = (if here.is_ipv4() { "IP4" } else { "IP6" }, here.ip());
    format!("v=0\r\no=- {session} {version} IN {kind} {ip}\r\ns=-\r\nc=IN {kind} {ip}\r\nt=0 0\r\n")
}

fn sound(
    sdp: &mut String,
    port: u16,
    transport: &str,
    codecs: &[(PhoneCodec, u8)],
    keys: Option<KeyPackets>,
    noise: bool,
) {
    let noise = (noise && codecs.iter().any(|(codec, _)| matches!(codec, PhoneCodec::Pcma | PhoneCodec::Pcmu)))
        .then_some(NOISE_TYPE);
    let types =
        codecs.iter().map(|(_, payload_type)| *payload_type).chain(noise).chain(keys.map(|keys| keys.payload_type));
    let types: Vec<String> = types.map(|payload_type| payload_type.to_string()).collect();
    let _ = write!(sdp, "m=audio {port} {transport} {}\r\n", types.join(" "));
    for (codec, payload_type) in codecs {
        let _ = write!(sdp, "a=rtpmap:{payload_type} {}\r\n", codec.rtpmap());
        if *codec == PhoneCodec::Opus {
            // One voice, and what is lost restored from the packet after it (RFC 7587, section 6.1).
            let _ = write!(sdp, "a=fmtp:{payload_type} useinbandfec=1;stereo=0\r\n");
        }
    }
    if noise.is_some() {
        let _ = write!(sdp, "a=rtpmap:{NOISE_TYPE} {NOISE_MAP}\r\n");
    }
    if let Some(KeyPackets { payload_type, clock_hz }) = keys {
        let _ = write!(sdp, "a=rtpmap:{payload_type} telephone-event/{clock_hz}\r\na=fmtp:{payload_type} 0-15\r\n");
    }
    sdp.push_str("a=ptime:20\r\n");
}

#[cfg(test)]
mod tests;
