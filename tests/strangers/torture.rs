//! The cases of RFC 4475 (SIP torture tests) and RFC 5118 (the same for IPv6), as far as they can be told to a telephone's end of a call. The
//! messages are our own, made after what each section describes.

/// One message, and what may come back.
pub struct Case {
    /// As the RFC calls it. It stands in `Call-ID`, tags and branch.
    pub name: &'static str,
    pub section: &'static str,
    /// Any of these; nothing at all where it is empty.
    pub answers: &'static [u16],
    pub bytes: Vec<u8>,
}

const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 49217 RTP/AVP 0 12\r\n";
/// The parts that cases write otherwise.
const ADDRESS: &str = "sip:nobody@example.com SIP/2.0";
const VIA: &str = "Via: SIP/2.0/UDP 192.0.2.9:5060;branch=";
const FROM: &str = "From: <sip:caller@example.net>";
const TO: &str = "To: <sip:nobody@example.com>\r\n";
const LENGTH: &str = "Content-Length: 0\r\n\r\n";

fn case(
    section: &'static str,
    name: &'static str,
    method: &str,
    edits: &[(&str, &str)],
    answers: &'static [u16],
) -> Case {
    let mut text = format!(
        "{method} {ADDRESS}\r\n{VIA}z9hG4bK-{name}\r\n{FROM};tag=1-{name}\r\n{TO}Call-ID: {name}@192.0.2.9\r\nCSeq: 8 {method}\r\n\
         Max-Forwards: 70\r\nContact: <sip:caller@192.0.2.9>\r\n{LENGTH}"
    );
    for (this, that) in edits {
        assert!(text.contains(this), "{name}: there is no '{this}'");
        text = text.replacen(this, &that.replace("NAME", name), 1);
    }
    Case { name, section, answers, bytes: text.into_bytes() }
}

fn with_sdp(section: &'static str, name: &'static str, edits: &[(&str, &str)], answers: &'static [u16]) -> Case {
    let body = format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}", SDP.len());
    let edits: Vec<(&str, &str)> = std::iter::once((LENGTH, body.as_str())).chain(edits.iter().copied()).collect();
    case(section, name, "INVITE", &edits, answers)
}

/// In order, however odd it looks.
pub fn valid() -> Vec<Case> {
    let folded = [
        ("nobody@example.com S", "nobody@example.com;unknownparam S"),
        (TO, "TO :\r\n sip:nobody@example.com ;   extra    = 1918181833n\r\n"),
        (FROM, "from   : \"J Caller \\\\\\\"\"       <sip:caller@example.com>\r\n  "),
        ("Max-Forwards: 70", "MaX-fOrWaRdS: 0068"),
        ("Call-ID:", "i:"),
        ("CSeq: 8 INVITE", "cseq: 0009\r\n  INVITE"),
        (
            VIA,
            "v:  SIP  / 2.0  / UDP     spindle.example.com   ;\r\n  branch  =   z9hG4bK-NAME  ,\r\n SIP  /    2.0   / UDP  192.168.255.111   ; branch=",
        ),
        (
            "Contact",
            "s :\r\nNewFangledHeader:   newfangled value\r\n continued newfangled value\r\nUnknownHeaderWithUnusualValue: ;;,,;;,;\r\nm",
        ),
        ("Content-Length: ", "l: "),
    ];
    let long = format!("sip:{}@example.com SIP/2.0", "unreasonablylong".repeat(40));
    let longer = format!("Call-ID: {}", "x".repeat(1_500));
    let two = "Content-Length: 0\r\n\r\nINVITE sip:second@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK-NAME-2\r\n\r\n";
    let several = format!(
        "Via: SIP/2.0/UDP t1.example.com;branch=z9hG4bK-NAME\r\nVia: SIP/2.0/SCTP t2.example.com;branch=z9hG4bKklasjdhf\r\n\
         Via: SIP/2.0/TLS t3.example.com;branch=z9hG4bK2980unddj\r\nVia: SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd0f3en\r\n{VIA}"
    );
    let parts = "Content-Type: multipart/mixed;boundary=7a9c\r\nContent-Length: 26\r\n\r\n--7a9c\r\n\r\n\0\x01\x02 bytes\r\n--7a9c--";
    vec![
        with_sdp("4475, 3.1.1.1", "wsinv", &folded, &[404]),
        case(
            "4475, 3.1.1.2",
            "intmeth",
            "!interesting-Method0123456789_*+`.%indeed'~",
            &[(
                "nobody@",
                "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@",
            )],
            &[501],
        ),
        with_sdp(
            "4475, 3.1.1.3",
            "esc01",
            &[("nobody@example.com S", "sips%3Auser%40example.com@example.net S")],
            &[404],
        ),
        case("4475, 3.1.1.4", "escnull", "REGISTER", &[("nobody@", "null-%00-null@")], &[405]),
        case("4475, 3.1.1.5", "esc02", "RE%47IST%45R", &[], &[501]),
        case("4475, 3.1.1.6", "lwsdisp", "OPTIONS", &[(FROM, "From: caller<sip:caller@example.com>")], &[200]),
        with_sdp("4475, 3.1.1.7", "longreq", &[(ADDRESS, &long), ("Call-ID: ", &longer)], &[404]),
        case("4475, 3.1.1.8", "dblreq", "REGISTER", &[(LENGTH, two)], &[405]),
        case("4475, 3.1.1.9", "semiuri", "OPTIONS", &[("nobody@", "user;par=u%40example.net@")], &[200]),
        case("4475, 3.1.1.10", "transports", "OPTIONS", &[(VIA, &several)], &[200]),
        case("4475, 3.1.1.11", "mpart01", "MESSAGE", &[(LENGTH, parts)], &[405]),
        case(
            "4475, 3.1.1.12",
            "unreason",
            "INVITE",
            &[("INVITE sip:nobody@example.com SIP/2.0", "SIP/2.0 200 = 2**3 * 5**2 но сто девяносто девять - простое")],
            &[],
        ),
        case("4475, 3.1.1.13", "noreason", "INVITE", &[("INVITE sip:nobody@example.com SIP/2.0", "SIP/2.0 100 ")], &[]),
    ]
}

/// Not in order.
pub fn invalid() -> Vec<Case> {
    vec![
        with_sdp("4475, 3.1.2.1", "badinv01", &[("z9hG4bK-badinv01", "z9hG4bK-NAME;;,;,,")], &[400]),
        with_sdp("4475, 3.1.2.2", "clerr", &[("Content-Length: ", "Content-Length: 9")], &[400]),
        with_sdp("4475, 3.1.2.3", "ncl", &[("Content-Length: ", "Content-Length: -")], &[400]),
        case(
            "4475, 3.1.2.4",
            "scalar02",
            "REGISTER",
            &[("CSeq: 8", "CSeq: 36893488147419103232"), ("Max-Forwards: 70", "Max-Forwards: 300")],
            &[400],
        ),
        case(
            "4475, 3.1.2.5",
            "scalarlg",
            "INVITE",
            &[
                ("INVITE sip:nobody@example.com SIP/2.0", "SIP/2.0 503 Service Unavailable"),
                ("CSeq: 8", "CSeq: 9292394834772304023312"),
            ],
            &[],
        ),
        with_sdp("4475, 3.1.2.6", "quotbal", &[(TO, "To: \"Mr. J. User <sip:j.user@example.com>\r\n")], &[400]),
        with_sdp("4475, 3.1.2.7", "ltgtruri", &[("sip:nobody@example.com S", "<sip:nobody@example.com> S")], &[400]),
        with_sdp("4475, 3.1.2.8", "lwsruri", &[("nobody@example.com S", "nobody@example.com; lr S")], &[400]),
        with_sdp("4475, 3.1.2.9", "lwsstart", &[("INVITE ", "INVITE  ")], &[400]),
        case("4475, 3.1.2.10", "trws", "OPTIONS", &[("SIP/2.0\r\nVia", "SIP/2.0  \r\nVia")], &[400]),
        with_sdp(
            "4475, 3.1.2.11",
            "escruri",
            &[("nobody@example.com S", "nobody@example.com?Route=%3Csip:example.com%3E S")],
            &[400],
        ),
        // The date is not looked at, so that its fault is none here.
        with_sdp("4475, 3.1.2.12", "baddate", &[("Max", "Date: Fri, 01 Jan 2010 16:00:00 EST\r\nMax")], &[404]),
        case(
            "4475, 3.1.2.13",
            "regbadct",
            "REGISTER",
            &[("<sip:caller@192.0.2.9>", "sip:caller@example.com?Route=%3Csip:sip.example.com%3E")],
            &[405],
        ),
        case(
            "4475, 3.1.2.14",
            "badaspec",
            "OPTIONS",
            &[(TO, "To: \"Watson, Thomas\" < sip:t.watson@example.org >\r\n")],
            &[400],
        ),
        // Many telephones write names so: they are let pass, as the section allows.
        case(
            "4475, 3.1.2.15",
            "baddn",
            "OPTIONS",
            &[(FROM, "From: Bell, Alexander <sip:a.g.bell@example.com>")],
            &[200],
        ),
        case("4475, 3.1.2.16", "badvers", "OPTIONS", &[("SIP/2.0\r\nVia: SIP/2.0", "SIP/7.0\r\nVia: SIP/7.0")], &[505]),
        case("4475, 3.1.2.17", "mismatch01", "OPTIONS", &[("8 OPTIONS", "8 INVITE")], &[400]),
        case("4475, 3.1.2.18", "mismatch02", "NEWMETHOD", &[("8 NEWMETHOD", "8 INVITE")], &[400, 501]),
        case(
            "4475, 3.1.2.19",
            "bigcode",
            "INVITE",
            &[("INVITE sip:nobody@example.com SIP/2.0", "SIP/2.0 4294967301 better not break the receiver")],
            &[],
        ),
    ]
}

/// About transactions and what applications do.
pub fn applied() -> Vec<Case> {
    let cancelled = ("INVITE sip:nobody@example.com SIP/2.0", "SIP/2.0 200 OK");
    vec![
        case("4475, 3.2.1", "badbranch", "OPTIONS", &[("z9hG4bK-badbranch", "z9hG4bK")], &[200]),
        case(
            "4475, 3.3.1",
            "insuf",
            "INVITE",
            &[("Call-ID: insuf@192.0.2.9\r\n", ""), (TO, ""), ("From: <sip:caller@example.net>;tag=1-insuf\r\n", "")],
            &[400],
        ),
        case(
            "4475, 3.3.2",
            "unkscm",
            "OPTIONS",
            &[("sip:nobody@example.com S", "nobodyKnowsThisScheme:totallyopaquecontent S")],
            &[416],
        ),
        case(
            "4475, 3.3.3",
            "novelsc",
            "OPTIONS",
            &[("sip:nobody@example.com S", "soap.beep://192.0.2.103:3002 S")],
            &[416],
        ),
        case(
            "4475, 3.3.4",
            "unksm2",
            "REGISTER",
            &[(TO, "To: <isbn:2983792873>\r\n"), (FROM, "From: <http://www.example.com>")],
            &[405],
        ),
        case(
            "4475, 3.3.5",
            "bext01",
            "OPTIONS",
            &[(
                "Max",
                "Require: nothingSupportsThis, nothingSupportsThisEither\r\nProxy-Require: noProxiesSupportThis\r\nMax",
            )],
            &[420],
        ),
        with_sdp("4475, 3.3.6", "invut", &[("application/sdp", "application/unknownformat")], &[415]),
        case(
            "4475, 3.3.7",
            "regaut01",
            "REGISTER",
            &[("Max", "Authorization: NoOneKnowsThisScheme opaque-data=here\r\nMax")],
            &[405],
        ),
        with_sdp(
            "4475, 3.3.8",
            "multi01",
            &[("CSeq", "CSeq: 5 INVITE\r\nCSeq"), ("Call-ID", "Call-ID: other@192.0.2.1\r\nCall-ID")],
            &[400],
        ),
        with_sdp("4475, 3.3.9", "mcl01", &[("Content-Length", "Content-Length: 13\r\nContent-Length")], &[400]),
        case("4475, 3.3.10", "bcast", "INVITE", &[cancelled, (VIA, "Via: SIP/2.0/UDP 255.255.255.255;branch=")], &[]),
        // Nothing is forwarded here: the last hop may be the last one.
        case("4475, 3.3.11", "zeromf", "OPTIONS", &[("Max-Forwards: 70", "Max-Forwards: 0")], &[200]),
        case(
            "4475, 3.3.12",
            "cparam01",
            "REGISTER",
            &[("<sip:caller@192.0.2.9>", "sip:+19725552222@gw1.example.net;unknownparam")],
            &[405],
        ),
        case(
            "4475, 3.3.13",
            "cparam02",
            "REGISTER",
            &[("<sip:caller@192.0.2.9>", "<sip:+19725552222@gw1.example.net;unknownparam>")],
            &[405],
        ),
        case(
            "4475, 3.3.14",
            "regescrt",
            "REGISTER",
            &[("<sip:caller@192.0.2.9>", "<sip:user@example.com?Route=%3Csip:sip.example.com%3E>")],
            &[405],
        ),
        with_sdp("4475, 3.3.15", "sdp01", &[("Max", "Accept: text/nobodyKnowsThis\r\nMax")], &[404, 406]),
        // Before RFC 3261 neither a tag nor a branch was needed. Nobody is left who writes so: they are told.
        case(
            "4475, 3.4.1",
            "inv2543",
            "INVITE",
            &[(";branch=z9hG4bK-inv2543", ""), (";tag=1-inv2543", ""), ("Max-Forwards: 70\r\n", "")],
            &[400],
        ),
    ]
}

/// RFC 5118.
pub fn ipv6() -> Vec<Case> {
    let host = |that: &'static str| ("nobody@example.com S", that);
    // And no Content-Length: the body ends with the datagram.
    let media = format!("Content-Type: application/sdp\r\n\r\n{}c=IN IP6 2001:db8::1\r\n", SDP);
    vec![
        case(
            "5118, 4.1",
            "v6valid",
            "OPTIONS",
            &[host("[2001:db8::10] S"), (VIA, "Via: SIP/2.0/UDP [2001:db8::9:1];branch=")],
            &[200],
        ),
        case("5118, 4.2", "v6invalid", "OPTIONS", &[host("2001:db8::10 S")], &[400]),
        case("5118, 4.3", "v6port-ambiguous", "OPTIONS", &[host("[2001:db8::10:5070] S")], &[200]),
        case("5118, 4.4", "v6port-clear", "OPTIONS", &[host("[2001:db8::10]:5070 S")], &[200]),
        case(
            "5118, 4.5",
            "v6received-bare",
            "BYE",
            &[
                ("z9hG4bK-v6received-bare", "z9hG4bK-NAME;received=2001:db8::9:255"),
                (TO, "To: <sip:nobody@example.com>;tag=x\r\n"),
            ],
            &[481],
        ),
        case(
            "5118, 4.5",
            "v6received-brackets",
            "BYE",
            &[
                ("z9hG4bK-v6received-brackets", "z9hG4bK-NAME;received=[2001:db8::9:255]"),
                (TO, "To: <sip:nobody@example.com>;tag=x\r\n"),
            ],
            &[481],
        ),
        with_sdp("5118, 4.6", "v6sdp", &[("c=IN IP4 192.0.2.9", "c=IN IP6 ::12:34:567")], &[404]),
        case(
            "5118, 4.7",
            "v6many",
            "OPTIONS",
            &[(
                VIA,
                "Via: SIP/2.0/UDP [2001:db8::9:1]:6050;branch=z9hG4bK-NAME\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKas3-111\r\nRoute: <sip:[2001:db8::1]:5060;lr>\r\nVia: SIP/2.0/UDP [2001:db8::9:2];branch=",
            )],
            &[200],
        ),
        case("5118, 4.8", "v6media", "INVITE", &[(LENGTH, &media)], &[404]),
        case(
            "5118, 4.9",
            "v6mapped",
            "OPTIONS",
            &[host("[::ffff:192.0.2.10] S"), (VIA, "Via: SIP/2.0/UDP [::ffff:192.0.2.2];branch=")],
            &[200],
        ),
        case("5118, 4.10", "v6colons", "OPTIONS", &[host("[2001:db8:::192.0.2.1] S")], &[400]),
    ]
}
