//! What has come to the SIP port as one datagram, before a stack reads it: a keep-alive, something to read, or something to refuse,
//! and then with which answer (RFC 3261; RFC 4475 has the cases).
//!
//! A stack drops what it cannot read, so that a telephone with a fault in its messages only hears nothing. Here the fault gets
//! its name, and an answer where the request says where to.

mod message;
mod refusal;

use core::net::SocketAddr;
use std::borrow::Cow;

use message::{Message, Start};

/// Longest message that is read. Longer ones than some 1,300 bytes are meant to go over TCP (RFC 3261, section 18.1.1); the longest
/// of RFC 4475 have 3 kB.
pub const MESSAGE_MOST: usize = 32 * 1_024;
/// Magic cookie of STUN (RFC 8489, section 5).
const STUN: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
/// Methods that are defined (RFC 3261, 3262, 3265, 3311, 3428, 3515, 3903, 6086). Those of them that are not spoken here get 405.
const METHODS: [&str; 14] = [
    "ACK",
    "BYE",
    "CANCEL",
    "INFO",
    "INVITE",
    "MESSAGE",
    "NOTIFY",
    "OPTIONS",
    "PRACK",
    "PUBLISH",
    "REFER",
    "REGISTER",
    "SUBSCRIBE",
    "UPDATE",
];
/// Option tags that a request may require of us (RFC 3261, section 20.32). Refreshes of session timers (RFC 4028) are answered.
const KNOWN_OPTIONS: [&str; 3] = ["timer", "100rel", "replaces"];

/// Why a datagram is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// Nothing that looks like SIP.
    NotSip,
    TooLarge,
    /// A request line or a status line that cannot be read.
    StartLine,
    /// Another version than 2.0.
    Version,
    /// The request's address is of a kind that is no telephone's.
    Scheme,
    /// The line that ends the headers is missing.
    Unfinished,
    /// `Via`, `From`, `To`, `Call-ID` or `CSeq` is missing. `Max-Forwards` is not asked for: older telephones leave it out (RFC 4475,
    /// section 3.4.1), and nothing is forwarded here.
    HeaderMissing,
    HeaderRepeated,
    HeaderBad,
    /// `Content-Length` is no number, or more than there is.
    ContentLength,
    /// A method that is nobody's.
    Method,
    /// An extension is required that is not there.
    Extension,
    /// In order as far as it is looked at here, and all the same more than the stack can read.
    Unreadable,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::NotSip,
        Self::TooLarge,
        Self::StartLine,
        Self::Version,
        Self::Scheme,
        Self::Unfinished,
        Self::HeaderMissing,
        Self::HeaderRepeated,
        Self::HeaderBad,
        Self::ContentLength,
        Self::Method,
        Self::Extension,
        Self::Unreadable,
    ];

    /// As counters name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotSip => "not-sip",
            Self::TooLarge => "too-large",
            Self::StartLine => "start-line",
            Self::Version => "version",
            Self::Scheme => "scheme",
            Self::Unfinished => "unfinished",
            Self::HeaderMissing => "header-missing",
            Self::HeaderRepeated => "header-repeated",
            Self::HeaderBad => "header-bad",
            Self::ContentLength => "content-length",
            Self::Method => "method",
            Self::Extension => "extension",
            Self::Unreadable => "unreadable",
        }
    }

    /// Status and default phrase of the answer.
    const fn status(self) -> (u16, &'static str) {
        match self {
            Self::TooLarge => (513, "Message Too Large"),
            Self::Version => (505, "Version Not Supported"),
            Self::Scheme => (416, "Unsupported URI Scheme"),
            Self::Method => (501, "Not Implemented"),
            Self::Extension => (420, "Bad Extension"),
            _ => (400, "Bad Request"),
        }
    }
}

/// A fault, and what exactly is wrong, in words of ours.
type Wrong = (Fault, String);

/// What one datagram is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look<'a> {
    /// Kept a hole in a firewall open, and wants nothing of us.
    KeepAlive,
    /// White space. The stack answers two line ends (RFC 5626, section 4.4.1), and passes others over.
    Ping,
    /// To be read by the stack.
    Message(Cow<'a, [u8]>),
    /// Not to be read. The answer, where there is one, goes to where the datagram came from (RFC 3581).
    Refused { fault: Fault, answer: Option<Vec<u8>> },
}

/// Looks at a datagram that came from there.
pub fn look(bytes: &[u8], from: SocketAddr) -> Look<'_> {
    let stun = bytes.len() >= 20 && bytes[0] < 4 && bytes[4..8] == STUN;
    // Some telephones send a few zeros instead of the two line ends.
    if stun || (bytes.len() <= 4 && bytes.iter().all(|byte| *byte == 0)) {
        return Look::KeepAlive;
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Look::Ping;
    }
    let Some(message) = Message::read(bytes) else { return Look::Refused { fault: Fault::NotSip, answer: None } };
    match check(&message, bytes.len()) {
        Ok(()) => Look::Message(with_length(&message, bytes)),
        Err((fault, why)) => refused(&message, fault, &why, from),
    }
}

/// The same, of a message that the stack cannot read after all.
pub fn unreadable(bytes: &[u8], from: SocketAddr) -> Look<'_> {
    let fault = Fault::Unreadable;
    let Some(message) = Message::read(bytes) else { return Look::Refused { fault, answer: None } };
    refused(&message, fault, "the message cannot be read", from)
}

/// The answer to a message of which no more than this could be taken, for a reason that was found elsewhere.
pub fn refuse(bytes: &[u8], fault: Fault, why: &str, from: SocketAddr) -> Option<Vec<u8>> {
    match refused(&Message::read(bytes)?, fault, why, from) {
        Look::Refused { answer, .. } => answer,
        _ => None,
    }
}

fn refused<'a>(message: &Message<'_>, fault: Fault, why: &str, from: SocketAddr) -> Look<'a> {
    // What is wrong with a response is told nobody (RFC 3261, section 18.1.2), nor what is wrong with an ACK.
    let answered = matches!(&message.start, Start::Request(line) if !line.starts_with("ACK "));
    Look::Refused { fault, answer: answered.then(|| refusal::answer(message, fault, why, from)).flatten() }
}

fn check(message: &Message<'_>, length: usize) -> Result<(), Wrong> {
    if length > MESSAGE_MOST {
        return Err((Fault::TooLarge, format!("{length} bytes; {MESSAGE_MOST} are the most")));
    }
    let method = match &message.start {
        Start::Request(line) => Some(request_line(line)?),
        Start::Status(line) => {
            status_line(line)?;
            None
        }
    };
    if message.unfinished {
        return Err((Fault::Unfinished, "no empty line behind the headers".into()));
    }
    if let Some(line) = message.unreadable {
        return Err((Fault::HeaderBad, format!("header line {line} cannot be read")));
    }
    for name in ["via", "from", "to", "call-id", "cseq"] {
        if message.all(name).next().is_none_or(str::is_empty) {
            return Err((Fault::HeaderMissing, format!("no {name}")));
        }
    }
    for name in ["from", "to", "call-id", "cseq", "max-forwards", "content-length"] {
        if message.all(name).nth(1).is_some() {
            return Err((Fault::HeaderRepeated, format!("{name} stands twice")));
        }
    }
    content_length(message)?;
    headers(message, method)
}

/// `METHOD SP Request-URI SP SIP/2.0`, with one space each (RFC 3261, section 7.1). The method.
fn request_line(line: &str) -> Result<&str, Wrong> {
    let wrong = |why: &str| (Fault::StartLine, why.to_owned());
    let version = line.trim_end().rsplit(' ').next().unwrap_or_default();
    if version.len() > 4 && version[..4].eq_ignore_ascii_case("SIP/") && !version.eq_ignore_ascii_case("SIP/2.0") {
        return Err((Fault::Version, "SIP/2.0 is spoken here".into()));
    }
    let parts: Vec<&str> = line.split(' ').collect();
    let [method, uri, _] = parts.as_slice() else {
        return Err(wrong("the request line is not three words with one space between each two"));
    };
    if !is_token(method) {
        return Err(wrong("the method is no token"));
    }
    let Some((scheme, rest)) = uri.split_once(':') else { return Err(wrong("the request's address has no scheme")) };
    if uri.starts_with('<') || scheme.is_empty() || rest.is_empty() {
        return Err(wrong("the request's address cannot be read"));
    }
    if !["sip", "sips", "tel"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err((Fault::Scheme, "sip, sips and tel are known here".into()));
    }
    if !scheme.eq_ignore_ascii_case("tel") {
        // A user part may have a question mark in it.
        let place = rest.split_once('@').map_or(rest, |(_, place)| place);
        // RFC 3261, section 19.1.1, table 1.
        if place.contains('?') {
            return Err(wrong("the request's address has headers in it"));
        }
        if !message::is_place(place.split(';').next().unwrap_or_default()) {
            return Err(wrong("the request's address has no host that can be read"));
        }
    }
    Ok(method)
}

/// `SIP/2.0 SP code SP phrase`; a missing phrase is passed over.
fn status_line(line: &str) -> Result<(), Wrong> {
    let mut parts = line.splitn(3, ' ');
    if !parts.next().is_some_and(|version| version.eq_ignore_ascii_case("SIP/2.0")) {
        return Err((Fault::Version, String::new()));
    }
    let code = parts.next().unwrap_or_default();
    let known = code.len() == 3 && code.parse::<u16>().is_ok_and(|code| (100..700).contains(&code));
    if known { Ok(()) } else { Err((Fault::StartLine, String::new())) }
}

fn content_length(message: &Message<'_>) -> Result<(), Wrong> {
    let Some(said) = message.all("content-length").next() else { return Ok(()) };
    let wrong = |why: String| Err((Fault::ContentLength, why));
    let digits = !said.is_empty() && said.bytes().all(|byte| byte.is_ascii_digit());
    match said.parse::<u32>() {
        Ok(length) if digits && length as usize <= message.body.len() => Ok(()),
        // Section 18.3: a datagram that ends before its body does is an error.
        Ok(length) if digits => {
            wrong(format!("Content-Length is {length}, and {} bytes are there", message.body.len()))
        }
        _ => wrong("Content-Length is no number".into()),
    }
}

fn headers(message: &Message<'_>, method: Option<&str>) -> Result<(), Wrong> {
    let wrong = |why: &str| Err((Fault::HeaderBad, why.to_owned()));
    let first = |name: &str| message.all(name).next().unwrap_or_default();
    for via in message.all("via") {
        if message::sent_by(via).is_none_or(|(version, _)| version != "2.0") || !message::separated(via) {
            return wrong("a Via cannot be read");
        }
    }
    for name in ["from", "to"] {
        if !message::names_an_address(first(name)) {
            return wrong(&format!("the address in {name} cannot be read"));
        }
    }
    // Section 8.1.1.5: less than 2^31.
    let cseq = first("cseq").split_once([' ', '\t']);
    let Some((number, named)) = cseq.map(|(number, named)| (number, named.trim())) else {
        return wrong("CSeq is not a number and a method");
    };
    // RFC 2543's way, in which a transaction has no name that could be told from others.
    if !message::has_tag(first("from")) {
        return wrong("From has no tag");
    }
    let small = number.bytes().all(|byte| byte.is_ascii_digit()) && number.parse::<i32>().is_ok();
    if !small || !is_token(named) {
        return wrong("CSeq is not a number below 2147483648 and a method");
    }
    if method.is_some_and(|method| method != named) {
        return wrong("CSeq names another method than the request does");
    }
    if let Some(hops) = message.all("max-forwards").next()
        && hops.parse::<u8>().is_err()
    {
        return wrong("Max-Forwards is not from 0 to 255");
    }
    if let Some(method) = method.filter(|method| !METHODS.contains(method)) {
        return Err((Fault::Method, method.to_owned()));
    }
    // Section 8.2.2.3: neither CANCEL nor ACK is refused for it.
    let unknown = unknown_options(message);
    if method.is_some_and(|method| !["ACK", "CANCEL"].contains(&method)) && !unknown.is_empty() {
        return Err((Fault::Extension, unknown.join(", ")));
    }
    Ok(())
}

fn unknown_options(message: &Message<'_>) -> Vec<String> {
    let asked = message.all("require").flat_map(|value| value.split(',')).map(str::trim);
    let known = |option: &str| KNOWN_OPTIONS.iter().any(|known| option.eq_ignore_ascii_case(known));
    asked.filter(|option| is_token(option) && !known(option)).map(str::to_owned).collect()
}

/// Without `Content-Length` the body ends with the datagram (RFC 3261, section 18.3); a stack that does not know this finds it told.
fn with_length<'a>(message: &Message<'_>, bytes: &'a [u8]) -> Cow<'a, [u8]> {
    if message.body.is_empty() || message.all("content-length").next().is_some() {
        return Cow::Borrowed(bytes);
    }
    // The empty line stays with the body.
    let (head, rest) = bytes.split_at(bytes.len() - message.body.len() - 2);
    let length = format!("Content-Length: {}\r\n", message.body.len());
    Cow::Owned([head, length.as_bytes(), rest].concat())
}

/// RFC 3261, section 25.1.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-.!%*_+`'~".contains(c))
}

#[cfg(test)]
mod tests;
