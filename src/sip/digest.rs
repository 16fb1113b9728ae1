//! Digest authentication as RFC 8760 spells it. The stack computes SHA-256 and calls it `SHA256`, which nobody else does; of several
//! challenges it answers the first, and one that it cannot read, not at all. What comes is therefore put as the stack reads it, and what
//! leaves as the others do.

use rsipstack::sip::headers::auth::{Algorithm, Scheme};
use rsipstack::sip::headers::{Authorization, ProxyAuthenticate, ProxyAuthorization, WwwAuthenticate};
use rsipstack::sip::{Header, Headers, SipMessage, StatusCode, typed};
use rsipstack::transaction::endpoint::MessageInspector;
use rsipstack::transport::SipAddr;

/// The standard's name, the stack's.
const NAMES: (&str, &str) = ("SHA-256", "SHA256");

/// Between the standard's spelling and the stack's.
pub(super) struct Spelling;

impl MessageInspector for Spelling {
    fn before_send(&self, mut message: SipMessage, _to: Option<&SipAddr>) -> SipMessage {
        if let SipMessage::Request(request) = &mut message {
            for header in request.headers.iter_mut() {
                match header {
                    Header::Authorization(it) => *it = Authorization::new(for_others(it.value())),
                    Header::ProxyAuthorization(it) => *it = ProxyAuthorization::new(for_others(it.value())),
                    _ => {}
                }
            }
        }
        message
    }

    fn after_received(&self, mut message: SipMessage, _from: Option<&SipAddr>) -> SipMessage {
        if let SipMessage::Response(response) = &mut message
            && matches!(response.status_code, StatusCode::Unauthorized | StatusCode::ProxyAuthenticationRequired)
        {
            keep_strongest(&mut response.headers);
        }
        message
    }
}

/// Of each kind of challenge the strongest that can be answered. One that nobody here can answer stays, for then there is nothing better.
fn keep_strongest(headers: &mut Headers) {
    let www = strongest(headers, |header| match header {
        Header::WwwAuthenticate(it) => Some(it.value()),
        _ => None,
    });
    let proxy = strongest(headers, |header| match header {
        Header::ProxyAuthenticate(it) => Some(it.value()),
        _ => None,
    });
    if let Some(challenge) = www {
        headers.unique_push(Header::WwwAuthenticate(WwwAuthenticate::new(challenge)));
    }
    if let Some(challenge) = proxy {
        headers.unique_push(Header::ProxyAuthenticate(ProxyAuthenticate::new(challenge)));
    }
}

fn strongest(headers: &Headers, value: fn(&Header) -> Option<&str>) -> Option<String> {
    let known = headers.iter().filter_map(value).map(for_the_stack).filter_map(|challenge| {
        let read = typed::WwwAuthenticate::parse(&challenge).ok().filter(|read| read.scheme == Scheme::Digest)?;
        let strength = match read.algorithm {
            Some(Algorithm::Sha256) => 1,
            Some(Algorithm::Md5) | None => 0,
            // The stack would leave out what "-sess" adds, and its SHA-512 is not the standard's SHA-512-256.
            Some(_) => return None,
        };
        Some((strength, challenge))
    });
    // Among equals the first (RFC 8760, section 2.3).
    known.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, challenge)| challenge)
}

/// A challenge, or the answer to one, as the stack reads it.
pub(super) fn for_the_stack(value: &str) -> String {
    let value = renamed(value, NAMES.0, NAMES.1);
    // A list in `qop` is a choice, of which the stack reads none.
    parameter(&value, "qop")
        .filter(|(_, qop)| qop.split(',').any(|one| one.trim().eq_ignore_ascii_case("auth")))
        .map_or_else(|| value.clone(), |(at, qop)| format!("{}auth{}", &value[..at], &value[at + qop.len()..]))
}

/// An answer to a challenge, as everybody else reads it.
fn for_others(value: &str) -> String {
    renamed(value, NAMES.1, NAMES.0)
}

fn renamed(value: &str, this: &str, that: &str) -> String {
    match parameter(value, "algorithm") {
        Some((at, found)) if found.eq_ignore_ascii_case(this) => {
            format!("{}{that}{}", &value[..at], &value[at + found.len()..])
        }
        _ => value.to_owned(),
    }
}

/// A parameter's value without quotes, and where it stands.
fn parameter<'a>(value: &'a str, name: &str) -> Option<(usize, &'a str)> {
    let mut at = value.find(char::is_whitespace)?;
    while at < value.len() {
        at += value[at..].len() - value[at..].trim_start_matches(|c: char| c == ',' || c.is_whitespace()).len();
        let equals = at + value[at..].find('=')?;
        let key = value[at..equals].trim();
        let rest = value[equals + 1..].trim_start();
        let start = value.len() - rest.len();
        let (from, end, next) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let end = start + 1 + quoted.find('"')?;
                (start + 1, end, end + 1)
            }
            None => {
                let end = start + rest.find(',').unwrap_or(rest.len());
                (start, start + value[start..end].trim_end().len(), end)
            }
        };
        if key.eq_ignore_ascii_case(name) {
            return Some((from, &value[from..end]));
        }
        at = next;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenged(challenges: &[&str]) -> Vec<String> {
        let challenges: String =
            challenges.iter().map(|challenge| format!("WWW-Authenticate: {challenge}\r\n")).collect();
        let text = format!(
            "SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\n\
             Call-ID: 1\r\nCSeq: 1 INVITE\r\n{challenges}Content-Length: 0\r\n\r\n"
        );
        let message = Spelling.after_received(SipMessage::try_from(text.as_bytes()).expect("a response"), None);
        let SipMessage::Response(response) = message else { panic!("no response") };
        let kept = response.headers.iter().filter_map(|header| match header {
            Header::WwwAuthenticate(it) => Some(it.value().to_owned()),
            _ => None,
        });
        kept.collect()
    }

    #[test]
    fn the_strongest_challenge_that_is_known_is_answered() {
        let [md5, sha, other, session] = ["MD5", "SHA-256", "SHA-512-256", "SHA-256-sess"]
            .map(|algorithm| format!("Digest realm=\"x\", algorithm={algorithm}, nonce=\"n, algorithm=MD5\""));
        let stack_s = "Digest realm=\"x\", algorithm=SHA256, nonce=\"n, algorithm=MD5\"";
        assert_eq!(challenged(&[&md5, &sha]), [stack_s]);
        assert_eq!(challenged(&[&other, &session, &sha, &md5]), [stack_s]);
        assert_eq!(challenged(&[&other, &md5]), [md5.as_str()]);
        assert_eq!(
            challenged(&["Bearer realm=\"x\"", "Digest realm=\"y\", nonce=\"m\""]),
            ["Digest realm=\"y\", nonce=\"m\""]
        );
        assert_eq!(challenged(&[&other]), [other.as_str()], "nothing better is there");
    }

    #[test]
    fn of_a_list_in_qop_auth_is_taken() {
        let of = |qop: &str| for_the_stack(&format!("Digest realm=\"x\", qop={qop}, nonce=\"n\""));
        assert_eq!(of("\"auth-int, auth\""), "Digest realm=\"x\", qop=\"auth\", nonce=\"n\"");
        assert_eq!(of("auth"), "Digest realm=\"x\", qop=auth, nonce=\"n\"");
        assert_eq!(of("\"auth-int\""), "Digest realm=\"x\", qop=\"auth-int\", nonce=\"n\"");
    }

    #[test]
    fn what_leaves_is_spelled_as_the_standard_has_it() {
        let request = "INVITE sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\n\
                       Call-ID: 1\r\nCSeq: 1 INVITE\r\nAuthorization: Digest username=\"SHA256\", algorithm=SHA256\r\n\
                       Content-Length: 0\r\n\r\n";
        let message = Spelling.before_send(SipMessage::try_from(request.as_bytes()).expect("a request"), None);
        let written = String::from_utf8(message.to_bytes()).expect("text");
        assert!(written.contains("Authorization: Digest username=\"SHA256\", algorithm=SHA-256\r\n"), "{written}");
    }

    #[test]
    fn what_is_no_list_of_parameters_stays_as_it_is() {
        for odd in ["", "Digest", "Digest =", "Digest a=\"", "Digest ,,,", "Digest algorithm", "Digest a=b,"] {
            assert_eq!(for_the_stack(odd), odd);
        }
    }
}
