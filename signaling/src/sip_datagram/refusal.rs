//! The answer to a request that cannot be read, as far as it can be (RFC 3261, section 8.2.6): without any memory, so that whoever sends
//! the same again gets the same.

use core::net::SocketAddr;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::Fault;
use super::message::{Message, end_of_first, has_tag, sent_by};

/// Longest answer, bytes: nobody has more sent somewhere than he sends himself.
const ANSWER_MOST: usize = 4_096;

/// `None` where no `Via` says that an answer is wanted, or it would be long.
pub fn answer(message: &Message<'_>, fault: Fault, why: &str, from: SocketAddr) -> Option<Vec<u8>> {
    let mut vias = message.all("via");
    let top = vias.next()?;
    sent_by(top)?;
    let (code, phrase) = fault.status();
    // Reasons may be told in the phrase (section 21.4.1); the two others have a header.
    let phrase = if code == 400 { format!("{phrase}: {why}") } else { phrase.to_owned() };
    let mut out = format!("SIP/2.0 {code} {phrase}\r\n");
    line(&mut out, "Via", &received(top, from));
    for via in vias {
        line(&mut out, "Via", via);
    }
    if let Some(value) = message.all("from").next() {
        line(&mut out, "From", value);
    }
    if let Some(value) = message.all("to").next() {
        let tag = if has_tag(value) { String::new() } else { tag(message) };
        line(&mut out, "To", &format!("{value}{tag}"));
    }
    for (name, written) in [("call-id", "Call-ID"), ("cseq", "CSeq")] {
        if let Some(value) = message.all(name).next() {
            line(&mut out, written, value);
        }
    }
    if fault == Fault::Extension {
        line(&mut out, "Unsupported", why);
    }
    out.push_str("Content-Length: 0\r\n\r\n");
    (out.len() <= ANSWER_MOST).then(|| out.into_bytes())
}

fn line(out: &mut String, name: &str, value: &str) {
    // A carriage return of its own would end the line for some readers.
    let value: String = value.chars().filter(|c| *c == '\t' || !c.is_control()).collect();
    // A string takes everything.
    let _ = write!(out, "{name}: {value}\r\n");
}

/// The top `Via` with where it came from (RFC 3581, section 4).
fn received(via: &str, from: SocketAddr) -> String {
    let (first, rest) = via.split_at(end_of_first(via));
    let kept = first.split(';').filter(|param| {
        let name = param.split('=').next().unwrap_or_default().trim();
        !["rport", "received"].iter().any(|ours| name.eq_ignore_ascii_case(ours))
    });
    let kept: Vec<&str> = kept.collect();
    format!("{};received={};rport={}{rest}", kept.join(";").trim_end(), from.ip(), from.port())
}

/// The same for the same request (section 8.2.7).
fn tag(message: &Message<'_>) -> String {
    let mut hasher = DefaultHasher::new();
    for name in ["call-id", "cseq", "from"] {
        message.all(name).next().hash(&mut hasher);
    }
    format!(";tag={:016x}", hasher.finish())
}
