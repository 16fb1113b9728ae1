use std::borrow::Cow;

use proptest::prelude::*;

use super::{Fault, Look, MESSAGE_MOST, look, unreadable};

fn there() -> std::net::SocketAddr {
    "192.0.2.7:5070".parse().expect("an address")
}

const GOOD: &str = "OPTIONS sip:porter@198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP phone.example:5060;branch=z9hG4bK1;rport\r\n\
                    Via: SIP/2.0/UDP other.example\r\nFrom: \"Anna, \\\"A\\\"\" <sip:anna@x>;tag=1\r\nTo: <sip:porter@198.51.100.1>\r\n\
                    Call-ID: 1@x\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n";

/// The fault and the answer's lines, with one thing written otherwise.
fn otherwise(this: &str, that: &str) -> (Fault, Option<Vec<String>>) {
    assert!(GOOD.contains(this), "{this}");
    let bytes = GOOD.replacen(this, that, 1).into_bytes();
    let Look::Refused { fault, answer } = look(&bytes, there()) else { panic!("'{that}' was read") };
    let lines = answer.map(|answer| {
        let text = String::from_utf8(answer).expect("text");
        assert!(text.ends_with("\r\n\r\n"), "{text}");
        text.lines().map(str::to_owned).collect()
    });
    (fault, lines)
}

#[test]
fn what_is_in_order_goes_to_the_stack_as_it_is() {
    assert_eq!(look(GOOD.as_bytes(), there()), Look::Message(Cow::Borrowed(GOOD.as_bytes())));
    let older = GOOD.replace("Max-Forwards: 70\r\n", "").replace("Via:", "v :").replace("Call-ID:", "i:\r\n\t");
    assert!(matches!(look(older.as_bytes(), there()), Look::Message(_)));
    for address in
        ["sip:a?b@[2001:db8::1:5070];x=y", "sips:[2001:db8::1]:5061", "tel:+1-201-555-0123", "SIP:h_o-s.t:5060"]
    {
        let elsewhere = GOOD.replacen("sip:porter@198.51.100.1", address, 1);
        assert!(matches!(look(elsewhere.as_bytes(), there()), Look::Message(_)), "{address}");
    }
    let answer = GOOD.replacen("OPTIONS sip:porter@198.51.100.1 SIP/2.0", "SIP/2.0 200 OK", 1);
    assert!(matches!(look(answer.as_bytes(), there()), Look::Message(_)));
}

#[test]
fn keep_alives_are_nobody_s_fault() {
    let stun = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat();
    assert_eq!(look(&stun, there()), Look::KeepAlive);
    assert_eq!(look(&[0, 0, 0, 0], there()), Look::KeepAlive);
    assert_eq!(look(b"\r\n\r\n", there()), Look::Ping);
}

#[test]
fn each_fault_has_its_name_and_its_answer() {
    for (this, that, fault, status) in [
        ("SIP/2.0\r", "SIP/7.0\r", Fault::Version, "505"),
        ("OPTIONS sip", "OPTIONS  sip", Fault::StartLine, "400"),
        ("sip:porter@198.51.100.1 S", "<sip:porter@x> S", Fault::StartLine, "400"),
        ("sip:porter@198.51.100.1 S", "porter S", Fault::StartLine, "400"),
        ("sip:porter@198.51.100.1 S", "sip:porter@x?Route=y S", Fault::StartLine, "400"),
        ("sip:porter@198.51.100.1 S", "ftp:porter S", Fault::Scheme, "416"),
        ("sip:porter@198.51.100.1 S", "sip:porter@2001:db8::1 S", Fault::StartLine, "400"),
        ("sip:porter@198.51.100.1 S", "sip:porter@[2001:db8::1:x] S", Fault::StartLine, "400"),
        (";tag=1", "", Fault::HeaderBad, "400"),
        ("Call-ID: 1@x\r\n", "", Fault::HeaderMissing, "400"),
        ("Call-ID: 1@x\r\n", "Call-ID: 1@x\r\ni: 2@x\r\n", Fault::HeaderRepeated, "400"),
        ("Call-ID: 1@x\r\n", "Call-ID: 1@x\r\nno colon\r\n", Fault::HeaderBad, "400"),
        ("CSeq: 1 OPTIONS", "CSeq: 1 INVITE", Fault::HeaderBad, "400"),
        ("CSeq: 1", "CSeq: 2147483648", Fault::HeaderBad, "400"),
        ("Max-Forwards: 70", "Max-Forwards: 256", Fault::HeaderBad, "400"),
        ("To: <sip:porter@198.51.100.1>", "To: \"Porter <sip:porter@x>", Fault::HeaderBad, "400"),
        ("To: <sip:porter@198.51.100.1>", "To: < sip:porter@x >", Fault::HeaderBad, "400"),
        (";rport", ";;,;,,", Fault::HeaderBad, "400"),
        ("Content-Length: 0", "Content-Length: -1", Fault::ContentLength, "400"),
        ("Content-Length: 0", "Content-Length: 9", Fault::ContentLength, "400"),
        ("0\r\n\r\n", "0\r\n", Fault::Unfinished, "400"),
        ("Max-Forwards", "Require: timer, nothing\r\nMax-Forwards", Fault::Extension, "420"),
    ] {
        let (found, answer) = otherwise(this, that);
        assert_eq!(found, fault, "{that}");
        let answer = answer.unwrap_or_else(|| panic!("no answer to {that}"));
        assert!(answer[0].starts_with(&format!("SIP/2.0 {status} ")), "{that}: {answer:?}");
    }
    let (_, answer) = otherwise("Max-Forwards", "Require: timer, nothing\r\nMax-Forwards");
    assert!(answer.expect("an answer").contains(&"Unsupported: nothing".to_owned()));
}

#[test]
fn a_method_of_nobody_is_told_so() {
    let bytes = GOOD.replace("OPTIONS", "options");
    let Look::Refused { fault, answer: Some(answer) } = look(bytes.as_bytes(), there()) else { panic!("no answer") };
    assert_eq!(fault, Fault::Method);
    assert!(answer.starts_with(b"SIP/2.0 501 Not Implemented\r\n"));
    let Look::Refused { fault, answer: Some(answer) } = unreadable(GOOD.as_bytes(), there()) else {
        panic!("no answer")
    };
    assert_eq!(fault, Fault::Unreadable);
    assert!(answer.starts_with(b"SIP/2.0 400 Bad Request: "));
}

#[test]
fn names_of_faults_are_told_apart() {
    let names: std::collections::BTreeSet<&str> = Fault::ALL.iter().map(|fault| fault.as_str()).collect();
    assert_eq!(names.len(), Fault::ALL.len());
}

#[test]
fn an_answer_goes_back_the_way_the_request_came() {
    let (_, answer) = otherwise("CSeq: 1 OPTIONS", "CSeq: 1 INVITE");
    let answer = answer.expect("an answer");
    assert_eq!(answer[1], "Via: SIP/2.0/UDP phone.example:5060;branch=z9hG4bK1;received=192.0.2.7;rport=5070");
    assert_eq!(answer[2], "Via: SIP/2.0/UDP other.example");
    assert_eq!(answer[3], "From: \"Anna, \\\"A\\\"\" <sip:anna@x>;tag=1");
    assert!(answer[4].starts_with("To: <sip:porter@198.51.100.1>;tag="), "{answer:?}");
    assert_eq!(otherwise("CSeq: 1 OPTIONS", "CSeq: 1 INVITE").1.expect("an answer"), answer, "the same again");
}

#[test]
fn whom_nothing_can_be_told_hears_nothing() {
    assert_eq!(otherwise("Via: SIP/2.0/UDP phone", "Via: phone"), (Fault::HeaderBad, None));
    assert_eq!(otherwise("OPTIONS sip:porter@198.51.100.1 SIP/2.0", "SIP/2.0 4294967301 x"), (Fault::StartLine, None));
    assert_eq!(otherwise("OPTIONS sip", "ACK sip"), (Fault::HeaderBad, None));
    assert_eq!(otherwise("OPTIONS sip:porter@198.51.100.1 SIP/2.0", "GET / HTTP/1.1"), (Fault::NotSip, None));
    let long = format!("Subject: {}\r\nCSeq", "x".repeat(MESSAGE_MOST));
    let (fault, answer) = otherwise("CSeq", &long);
    assert_eq!((fault, &answer.expect("an answer")[0][..]), (Fault::TooLarge, "SIP/2.0 513 Message Too Large"));
    let crooked = format!("From: <sip:{}@x>\r\nX-From", "x".repeat(MESSAGE_MOST));
    assert_eq!(otherwise("From", &crooked), (Fault::TooLarge, None), "nor is anybody sent much");
}

#[test]
fn a_body_of_no_stated_length_ends_with_the_datagram() {
    let bytes = GOOD.replace("Content-Length: 0\r\n\r\n", "\r\nhello");
    let Look::Message(read) = look(bytes.as_bytes(), there()) else { panic!("refused") };
    let read = String::from_utf8(read.into_owned()).expect("text");
    assert!(read.ends_with("Max-Forwards: 70\r\nContent-Length: 5\r\n\r\nhello"), "{read}");
}

proptest! {
    #[test]
    fn whatever_comes_is_one_of_the_three(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = look(&bytes, there());
        let after_a_request = [GOOD.as_bytes(), &bytes].concat();
        prop_assert!(matches!(look(&after_a_request, there()), Look::Message(_)), "what is behind it is passed over");
    }

    #[test]
    fn no_answer_is_an_invitation_to_answer(at in 0..GOOD.len(), byte in any::<u8>()) {
        let mut bytes = GOOD.as_bytes().to_vec();
        bytes[at] = byte;
        if let Look::Refused { answer: Some(answer), .. } = look(&bytes, there()) {
            prop_assert!(answer.starts_with(b"SIP/2.0 "));
            // Two servers that answered each other's answers would never end.
            let again = look(&answer, there());
            let silent = !matches!(again, Look::Refused { answer: Some(_), .. });
            prop_assert!(silent);
        }
    }
}
