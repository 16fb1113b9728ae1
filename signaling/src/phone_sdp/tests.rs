use super::*;

/// As a desk phone sends it, with video.
const DESK: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n\
    m=audio 5004 RTP/AVP 9 8 0 101\r\na=rtpmap:9 G722/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n\
    m=video 5006 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n";

fn here() -> SocketAddr {
    "198.51.100.3:40002".parse().unwrap()
}

fn ours(session: u64, version: u32) -> Ours {
    Ours { here: here(), session, version, key: None, suite: None, dtls: None }
}

fn read(text: &str) -> PhoneSdp {
    PhoneSdp::read(text.as_bytes()).unwrap()
}

fn with(from: &str, to: &str) -> Result<PhoneSdp, PhoneSdpFault> {
    assert!(DESK.contains(from), "{from}");
    PhoneSdp::read(DESK.replace(from, to).as_bytes())
}

#[test]
fn a_desk_phone_is_answered_with_the_first_codec_it_likes_and_without_video() {
    let offer = read(DESK);
    assert_eq!(offer.address, "192.0.2.7:5004".parse().unwrap());
    assert_eq!(offer.codecs, [(PhoneCodec::G722, 9), (PhoneCodec::Pcma, 8), (PhoneCodec::Pcmu, 0)]);
    let agreed = offer.agree(&PhoneCodec::ALL).unwrap();
    let keys = Some(KeyPackets { payload_type: 101, clock_hz: 8_000 });
    assert_eq!(agreed, PhoneAgreed { codec: PhoneCodec::G722, payload_type: 9, keys, direction: Direction::Both });
    assert_eq!(
        offer.answer(&agreed, &ours(7, 1)),
        "v=0\r\no=- 7 1 IN IP4 198.51.100.3\r\ns=-\r\nc=IN IP4 198.51.100.3\r\nt=0 0\r\n\
         m=audio 40002 RTP/AVP 9 101\r\na=rtpmap:9 G722/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n\
         a=ptime:20\r\na=sendrecv\r\nm=video 0 RTP/AVP 96\r\n"
    );
}

#[test]
fn only_what_is_spoken_here_is_agreed_on() {
    assert_eq!(read(DESK).agree(&[PhoneCodec::Pcmu]).unwrap().payload_type, 0);
    assert!(matches!(read(DESK).agree(&[PhoneCodec::Opus]), Err(PhoneSdpFault::NoCodec(_))));
}

#[test]
fn opus_is_known_by_its_map_and_has_keys_of_its_own_clock_where_there_are() {
    let offer = read(
        "v=0\no=- 1 1 IN IP6 2001:db8::1\ns=-\nc=IN IP6 2001:db8::1\nt=0 0\nm=audio 6000 RTP/AVPF 107 0 101 110\n\
         a=rtpmap:107 OPUS/48000/2\na=rtpmap:101 telephone-event/8000\na=rtpmap:110 telephone-event/48000\n",
    );
    let agreed = offer.agree(&PhoneCodec::ALL).unwrap();
    assert_eq!((agreed.codec, agreed.payload_type), (PhoneCodec::Opus, 107));
    assert_eq!(agreed.keys, Some(KeyPackets { payload_type: 110, clock_hz: 48_000 }));
    let answer = offer.answer(&agreed, &Ours { here: "[2001:db8::2]:40000".parse().unwrap(), ..ours(1, 1) });
    assert!(answer.contains("m=audio 40000 RTP/AVPF 107 110\r\n"), "{answer}");
    assert!(answer.contains("c=IN IP6 2001:db8::2\r\n"), "{answer}");
}

/// RFC 3389: where it is offered, and the codec has none of its own.
#[test]
fn comfort_noise_is_answered_where_it_is_offered_and_offered_by_us() {
    let answered = |formats: &str, ours_are: &[PhoneCodec]| {
        let offer = read(&DESK.replace("9 8 0 101", formats));
        offer.answer(&offer.agree(ours_are).unwrap(), &ours(7, 1))
    };
    for (formats, spoken, line) in [
        ("8 0 13 101", &PhoneCodec::ALL[..], "m=audio 40002 RTP/AVP 8 13 101\r\n"),
        ("8 0 101", &PhoneCodec::ALL, "m=audio 40002 RTP/AVP 8 101\r\n"),
        ("9 8 13 101", &PhoneCodec::ALL, "m=audio 40002 RTP/AVP 9 101\r\n"),
        ("9 8 13 101", &[PhoneCodec::Pcma], "m=audio 40002 RTP/AVP 8 13 101\r\n"),
    ] {
        let answer = answered(formats, spoken);
        assert!(answer.contains(line), "{formats}: {answer}");
        assert_eq!(answer.contains("a=rtpmap:13 CN/8000\r\n"), line.contains(" 13 "), "{answer}");
    }
    let other = read(&DESK.replace("9 8 0 101\r\n", "8 13\r\na=rtpmap:13 telephone-event/8000\r\n"));
    let answer = other.answer(&other.agree(&PhoneCodec::ALL).unwrap(), &ours(7, 1));
    assert!(
        answer.contains("RTP/AVP 8 13\r\n") && !answer.contains("CN"),
        "a number that means something else: {answer}"
    );
    assert!(offer(&ours(1, 1), &PhoneCodec::ALL).contains("m=audio 40002 RTP/AVP 96 9 8 0 13 101\r\n"));
    assert!(!offer(&ours(1, 1), &[PhoneCodec::Opus, PhoneCodec::G722]).contains("CN"));
}

#[test]
fn types_without_a_map_mean_what_they_always_did() {
    let bare = "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 5004 RTP/AVP 18 0\r\n";
    assert_eq!(read(bare).codecs, [(PhoneCodec::Pcmu, 0)]);
    assert_eq!(read(bare).agree(&PhoneCodec::ALL).unwrap().keys, None);
}

#[test]
fn hold_is_answered_as_it_is_asked() {
    for (theirs, ours, holds) in [
        ("sendonly", "recvonly", true),
        ("inactive", "inactive", true),
        ("recvonly", "sendonly", false),
        ("sendrecv", "sendrecv", false),
    ] {
        let offer = with("a=sendrecv", &format!("a={theirs}")).unwrap();
        assert_eq!(offer.direction.holds(), holds, "{theirs}");
        let agreed = offer.agree(&PhoneCodec::ALL).unwrap();
        assert!(offer.answer(&agreed, &self::ours(1, 2)).contains(&format!("a={ours}\r\n")), "{theirs}");
    }
    let old = with("c=IN IP4 192.0.2.7", "c=IN IP4 0.0.0.0").unwrap();
    assert!(old.direction.holds(), "the hold of RFC 2543");
}

#[test]
fn the_stream_s_own_words_count_more_than_the_session_s() {
    let offer = with("a=ptime:20\r\na=sendrecv\r\n", "c=IN IP4 192.0.2.99\r\n").unwrap();
    assert_eq!(offer.address.ip().to_string(), "192.0.2.99");
    let session = with("t=0 0\r\n", "t=0 0\r\na=inactive\r\n").unwrap();
    assert!(!session.direction.holds(), "the stream says sendrecv");
}

#[test]
fn what_cannot_be_answered_is_named() {
    assert_eq!(PhoneSdp::read(b""), Err(PhoneSdpFault::NotSdp));
    assert_eq!(PhoneSdp::read(&[0xff; 9]), Err(PhoneSdpFault::NotText));
    assert_eq!(PhoneSdp::read(&vec![b'v'; MOST_BYTES + 1]), Err(PhoneSdpFault::TooLong));
    assert_eq!(with("m=audio 5004", "m=audio 0"), Err(PhoneSdpFault::NoAudio));
    assert_eq!(with("m=audio", "m=image"), Err(PhoneSdpFault::NoAudio));
    assert_eq!(with("5004 RTP/AVP", "5004 RTP/SAVP"), Err(PhoneSdpFault::NoKey));
    assert_eq!(with("5004 RTP/AVP", "5004 UDP/TLS/RTP/SAVP"), Err(PhoneSdpFault::NoFingerprint));
    assert_eq!(with("5004 RTP/AVP", "5004 TCP/TLS/RTP/SAVP"), Err(PhoneSdpFault::Transport("TCP/TLS/RTP/SAVP".into())));
    assert_eq!(with("c=IN IP4 192.0.2.7", "c=IN IP4 phone.example"), Err(PhoneSdpFault::Address));
    let many = format!("{DESK}{}", "m=video 1 RTP/AVP 96\r\n".repeat(MOST_STREAMS));
    assert_eq!(PhoneSdp::read(many.as_bytes()), Err(PhoneSdpFault::TooManyStreams));
}

/// The desk telephone, with sound that is protected.
fn protected(lines: &str) -> Result<PhoneSdp, PhoneSdpFault> {
    PhoneSdp::read(DESK.replace("RTP/AVP 9 8 0 101\r\n", &format!("RTP/SAVP 9 8 0 101\r\n{lines}")).as_bytes())
}

const THEIRS: &str = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";

#[test]
fn protected_sound_is_answered_by_the_first_line_that_can_be_used_and_with_a_key_of_ours() {
    let lines = format!(
        "a=crypto:1 AEAD_AES_256_GCM inline:x\r\na=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:{THEIRS}\r\n\
         a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:{THEIRS}\r\na=rtcp-mux\r\na=rtcp:5009 IN IP4 192.0.2.8\r\n"
    );
    let offer = protected(&lines).unwrap();
    let crypto = offer.crypto.unwrap();
    assert_eq!((crypto.tag, crypto.suite), (2, Suite::Sha1Of32));
    assert!(offer.mux);
    assert_eq!(offer.rtcp, "192.0.2.8:5009".parse().unwrap());
    let agreed = offer.agree(&PhoneCodec::ALL).unwrap();
    let answer = offer.answer(&agreed, &Ours { key: Some(Key([7; KEY_BYTES])), ..ours(7, 1) });
    assert!(answer.contains("m=audio 40002 RTP/SAVP 9 101\r\n"), "{answer}");
    assert_eq!(answer.matches("a=crypto:").count(), 1, "{answer}");
    assert!(answer.contains("a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:BwcH"), "{answer}");
    assert!(answer.contains("a=rtcp-mux\r\n"), "{answer}");
    assert_eq!(protected("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:short\r\n"), Err(PhoneSdpFault::NoKey));
}

#[test]
fn rtcp_is_one_port_above_the_sound_unless_it_is_said_where() {
    let of = |line: &str| with("a=ptime:20\r\n", &format!("{line}\r\n")).unwrap().rtcp.to_string();
    assert_eq!(of("a=ptime:20"), "192.0.2.7:5005");
    assert_eq!(of("a=rtcp:5010"), "192.0.2.7:5010");
    for nonsense in ["a=rtcp:", "a=rtcp:0", "a=rtcp:70000", "a=rtcp:x IN IP4 192.0.2.9"] {
        assert_eq!(of(nonsense), "192.0.2.7:5005", "{nonsense}");
    }
}

#[test]
fn our_offer_of_protected_sound_has_both_ways() {
    let text = offer(&Ours { key: Some(Key([7; KEY_BYTES])), ..ours(1, 1) }, &PhoneCodec::ALL);
    assert!(
        text.contains("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:")
            && text.contains("a=crypto:2 AES_CM_128_HMAC_SHA1_32")
    );
    let again =
        offer(&Ours { key: Some(Key([7; KEY_BYTES])), suite: Some(Suite::Sha1Of32), ..ours(1, 2) }, &PhoneCodec::ALL);
    assert!(again.contains("a=crypto:2 ") && !again.contains("a=crypto:1 "), "{again}");
    let offer = read(&text);
    assert_eq!(offer.crypto.map(|crypto| crypto.key), Some(Key([7; KEY_BYTES])));
    assert!(offer.mux);
}

/// The desk telephone with keys from DTLS; lines of the session, and of the stream.
fn over_dtls(session: &str, stream: &str) -> Result<PhoneSdp, PhoneSdpFault> {
    let sdp = DESK.replace("t=0 0\r\n", &format!("t=0 0\r\n{session}"));
    let sound = format!("UDP/TLS/RTP/SAVP 9 8 0 101\r\n{stream}");
    PhoneSdp::read(sdp.replace("RTP/AVP 9 8 0 101\r\n", &sound).as_bytes())
}

fn fingerprint(byte: &str) -> String {
    format!("a=fingerprint:SHA-256 {}\r\n", [byte; 32].join(":"))
}

fn our_dtls(setup: Setup) -> Ours {
    Ours { dtls: Some(OurDtls { sha256: [0xab; 32], setup }), ..ours(7, 1) }
}

#[test]
fn keys_over_dtls_are_answered_with_our_certificate_and_who_begins() {
    let offer = over_dtls("", &format!("{}a=setup:actpass\r\n", fingerprint("0F"))).unwrap();
    let dtls = offer.dtls.clone().expect("DTLS");
    assert_eq!((dtls.setup, dtls.fingerprints[0].digest.as_slice()), (Some(Setup::ActPass), &[15; 32][..]));
    assert_eq!(offer.crypto, None);
    let agreed = offer.agree(&PhoneCodec::ALL).unwrap();
    let answer = offer.answer(&agreed, &our_dtls(Setup::Active));
    let line = format!("a=fingerprint:sha-256 {}\r\na=setup:active\r\n", ["AB"; 32].join(":"));
    assert!(answer.contains("m=audio 40002 UDP/TLS/RTP/SAVP 9 101\r\n") && answer.contains(&line), "{answer}");
    assert!(!answer.contains("a=crypto") && !answer.contains("rtcp-mux"), "{answer}");
    let with_feedback = DESK.replace("RTP/AVP 9", "UDP/TLS/RTP/SAVPF 9").replace("a=ptime:20\r\n", &fingerprint("0F"));
    let offer = PhoneSdp::read(with_feedback.as_bytes()).unwrap();
    let answer = offer.answer(&offer.agree(&PhoneCodec::ALL).unwrap(), &our_dtls(Setup::Passive));
    assert!(answer.contains("m=audio 40002 UDP/TLS/RTP/SAVPF 9 101\r\n"), "{answer}");
}

#[test]
fn a_certificate_may_be_named_for_the_session_or_the_stream_and_the_stream_s_word_counts() {
    let named = |session: &str, stream: &str| {
        let dtls = over_dtls(session, stream).unwrap().dtls.expect("DTLS");
        (dtls.fingerprints.iter().map(|one| one.digest[0]).collect::<Vec<_>>(), dtls.setup)
    };
    let (session, stream) = (format!("{}a=setup:actpass\r\n", fingerprint("01")), fingerprint("02"));
    assert_eq!(named(&session, ""), (vec![1], Some(Setup::ActPass)));
    assert_eq!(named(&session, &format!("{stream}a=setup:passive\r\n")), (vec![2], Some(Setup::Passive)));
    assert_eq!(named(&session, &stream), (vec![2], Some(Setup::ActPass)));
    assert_eq!(named("", &format!("{stream}{}", fingerprint("03"))), (vec![2, 3], None));
    assert_eq!(
        named("", &format!("a=fingerprint:md5 00\r\n{stream}")),
        (vec![2], None),
        "what is not known is passed over"
    );
}

#[test]
fn keys_over_dtls_that_could_not_come_about_are_refused() {
    for (lines, fault) in [
        (String::new(), PhoneSdpFault::NoFingerprint),
        ("a=fingerprint:sha-256 00:11\r\n".into(), PhoneSdpFault::NoFingerprint),
        ("a=fingerprint:md5 00:11\r\na=setup:active\r\n".into(), PhoneSdpFault::NoFingerprint),
        (format!("{}a=setup:holdconn\r\n", fingerprint("01")), PhoneSdpFault::NobodyBegins),
        (format!("{}a=setup:whoever\r\n", fingerprint("01")), PhoneSdpFault::NobodyBegins),
    ] {
        assert_eq!(over_dtls("", &lines), Err(fault), "{lines}");
    }
}

#[test]
fn our_offer_of_keys_over_dtls_can_be_read_and_has_no_key_in_it() {
    let text = offer(&Ours { key: Some(Key([7; KEY_BYTES])), ..our_dtls(Setup::ActPass) }, &PhoneCodec::ALL);
    assert!(text.contains("m=audio 40002 UDP/TLS/RTP/SAVP 96 ") && !text.contains("a=crypto"), "{text}");
    let dtls = read(&text).dtls.expect("DTLS");
    assert_eq!((dtls.setup, dtls.fingerprints[0].digest.as_slice()), (Some(Setup::ActPass), &[0xab; 32][..]));
}

#[test]
fn our_own_offer_can_be_read_and_answered() {
    let ours = read(&offer(&self::ours(5, 1), &PhoneCodec::ALL));
    assert_eq!(ours.codecs.len(), 4);
    assert_eq!(ours.address, here());
    assert!(ours.agree(&[PhoneCodec::Pcma]).unwrap().keys.is_some());
}

#[test]
fn no_bytes_are_more_than_a_fault() {
    // Every cut and every single byte changed: read, refused or answered, never a panic.
    for at in 0..DESK.len() {
        let _ = PhoneSdp::read(&DESK.as_bytes()[..at]);
        for byte in [0, b' ', b'/', b'9', 0xff] {
            let mut bytes = DESK.as_bytes().to_vec();
            bytes[at] = byte;
            if let Ok(sdp) = PhoneSdp::read(&bytes)
                && let Ok(agreed) = sdp.agree(&PhoneCodec::ALL)
            {
                assert!(!sdp.answer(&agreed, &ours(1, 1)).is_empty());
            }
        }
    }
}
