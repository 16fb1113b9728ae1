//! SIP over TCP and TLS: where in what has come so far one message ends and the next begins (RFC 3261, section 18.3). Bytes in; how
//! many of them are what, out.
//!
//! A message whose end cannot be known takes the connection with it: whatever comes after it might be its body. One that can
//! be taken whole and is wrong all the same is a matter for [`crate::sip_datagram::look`], and the connection lives on.

use core::net::SocketAddr;
use core::ops::Range;
use std::borrow::Cow;

use crate::sip_datagram::{Fault, MESSAGE_MOST, refuse};

/// What stands at the front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Front {
    /// Not whole yet.
    More,
    /// So many bytes of nothing.
    Blank(usize),
    /// Two line ends, which ask for one back (RFC 5626, section 4.4.1).
    Ping(usize),
    /// A message of so many bytes.
    Message(usize),
    /// It cannot be told where this ends. The answer, where there is one, is the connection's last word.
    Broken { fault: Fault, answer: Option<Vec<u8>> },
}

/// Looks at what has come from there and was not taken yet. Total over any bytes; linear in them.
pub fn front(bytes: &[u8], from: SocketAddr) -> Front {
    let Some(first) = bytes.first() else { return Front::More };
    if bytes.starts_with(b"\r\n\r\n") {
        return Front::Ping(4);
    }
    if b"\r\n\r\n".starts_with(bytes) {
        return Front::More;
    }
    if first.is_ascii_whitespace() {
        return Front::Blank(bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count().min(2));
    }
    // TLS where none is spoken, and whatever else is no text.
    if !first.is_ascii_graphic() {
        return Front::Broken { fault: Fault::NotSip, answer: None };
    }
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return if bytes.len() > MESSAGE_MOST { broken(bytes, Fault::TooLarge, from) } else { Front::More };
    };
    let head = &bytes[..end + 4];
    let length = match content_length(head) {
        Ok(said) => said.map_or(0, |(length, _)| length),
        Err(()) => return broken(head, Fault::ContentLength, from),
    };
    let whole = head.len().saturating_add(length);
    if whole > MESSAGE_MOST {
        return broken(head, Fault::TooLarge, from);
    }
    if bytes.len() < whole { Front::More } else { Front::Message(whole) }
}

fn broken(head: &[u8], fault: Fault, from: SocketAddr) -> Front {
    let why = match fault {
        Fault::TooLarge => format!("{MESSAGE_MOST} bytes are the most"),
        _ => "Content-Length is no number".to_owned(),
    };
    Front::Broken { fault, answer: refuse(head, fault, &why, from) }
}

/// The same message as every reader finds its end: some know no space before a colon (RFC 3261, section 25.1, allows it), and would
/// take the body for the next message.
pub fn plain(message: &[u8]) -> Cow<'_, [u8]> {
    match content_length(message) {
        Ok(Some((_, spaces))) if !spaces.is_empty() => {
            Cow::Owned([&message[..spaces.start], &message[spaces.end..]].concat())
        }
        _ => Cow::Borrowed(message),
    }
}

/// What is said of the body's length, and where spaces stand between the name and the colon. `None` where nothing is said: the body that
/// such a message may have cannot be found, and a message without one is in order.
fn content_length(message: &[u8]) -> Result<Option<(usize, Range<usize>)>, ()> {
    let mut start = 0;
    for line in message.split(|byte| *byte == b'\n') {
        if start > 0 && line.trim_ascii().is_empty() {
            break;
        }
        if let Some(colon) = line.iter().position(|byte| *byte == b':') {
            let name = line[..colon].trim_ascii_end();
            if name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"l") {
                let value = line[colon + 1..].trim_ascii();
                let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
                let number = std::str::from_utf8(value).ok().filter(|_| digits).and_then(|number| number.parse().ok());
                return number.map(|number| Some((number, start + name.len()..start + colon))).ok_or(());
            }
        }
        start += line.len() + 1;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from() -> SocketAddr {
        "192.0.2.7:5060".parse().unwrap()
    }

    fn request(length: &str, body: &str) -> Vec<u8> {
        format!(
            "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.7;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n\
             Call-ID: 1\r\nCSeq: 1 OPTIONS\r\n{length}\r\n{body}"
        )
        .into_bytes()
    }

    fn answered(front: Front) -> (Fault, String) {
        match front {
            Front::Broken { fault, answer } => {
                let answer = answer.map(|answer| String::from_utf8(answer).unwrap()).unwrap_or_default();
                (fault, answer.lines().next().unwrap_or_default().to_owned())
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_message_ends_where_its_length_says_whatever_the_pieces() {
        let one = request("l: 4\r\n", "abcd");
        let two = [one.as_slice(), one.as_slice(), b"\r\n\r\n"].concat();
        for cut in 1..one.len() {
            assert_eq!(front(&one[..cut], from()), Front::More, "{cut}");
        }
        for cut in one.len()..two.len() {
            assert_eq!(front(&two[..cut], from()), Front::Message(one.len()), "{cut}");
        }
        assert_eq!(front(&request("", ""), from()), Front::Message(request("", "").len()), "nothing behind it");
    }

    #[test]
    fn a_space_before_the_colon_hides_no_body() {
        let spaced = request("Content-Length \t: 4\r\n", "abcd");
        assert_eq!(front(&spaced, from()), Front::Message(spaced.len()));
        assert_eq!(plain(&spaced).as_ref(), request("Content-Length: 4\r\n", "abcd"));
        let usual = request("l: 4\r\n", "l : 9");
        assert!(matches!(plain(&usual), Cow::Borrowed(_)), "what the body says is nobody's length");
    }

    #[test]
    fn line_ends_between_messages_are_asked_and_passed_over() {
        assert_eq!(front(b"", from()), Front::More);
        assert_eq!(front(b"\r\n", from()), Front::More, "half a ping");
        assert_eq!(front(b"\r\n\r\nOPTIONS", from()), Front::Ping(4));
        assert_eq!(front(b"\r\nOPTIONS", from()), Front::Blank(2));
        assert_eq!(front(b" \n", from()), Front::Blank(2));
    }

    #[test]
    fn what_has_no_end_is_refused_and_ends_the_connection() {
        let bad = answered(front(&request("Content-Length: four\r\n", "abcd"), from()));
        assert_eq!(bad, (Fault::ContentLength, "SIP/2.0 400 Bad Request: Content-Length is no number".into()));
        let negative = answered(front(&request("Content-Length: -4\r\n", ""), from()));
        assert_eq!(negative.0, Fault::ContentLength);
        let large = answered(front(&request("Content-Length: 999999999\r\n", ""), from()));
        assert_eq!((large.0, &large.1[..11]), (Fault::TooLarge, "SIP/2.0 513"));
        let endless = vec![b'a'; MESSAGE_MOST + 1];
        assert_eq!(answered(front(&endless, from())), (Fault::TooLarge, String::new()));
        assert_eq!(answered(front(&[0x16, 3, 1, 2, 0], from())), (Fault::NotSip, String::new()), "TLS");
    }
}
