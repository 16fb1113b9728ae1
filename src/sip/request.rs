//! What stands in a SIP request.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rsipstack::sip::{
    Header, HeadersExt as _, Host, HostWithPort, Param, Request, StatusCode, ToTypedHeader as _, Uri,
};
use rsipstack::transaction::transaction::Transaction;

use crate::media::keys::known;

/// A key in an INFO that says nothing of its length.
const USUAL_KEY: Duration = Duration::from_millis(160);
/// Longest name of a caller, as over HTTP.
const CALLER_MOST: usize = 200;

/// Where a request came from: what the top `Via` says, corrected by the stack where it was not true (RFC 3261, section 18.2.1).
pub(super) fn came_from(request: &Request) -> Option<IpAddr> {
    let via = request.top_via_header().ok()?.typed().ok()?;
    let received = via.params.iter().find_map(|param| match param {
        Param::Received(received) => received.parse().ok(),
        _ => None,
    });
    received.or(match via.uri.host_with_port.host {
        Host::IpAddr(ip) => Some(ip),
        Host::Domain(_) => None,
    })
}

/// Where an answer over UDP goes, and what is asked there (RFC 3581, section 4).
pub(super) fn source(request: &Request) -> Option<SocketAddr> {
    let via = request.top_via_header().ok()?.typed().ok()?;
    let seen = via.params.iter().find_map(|param| match param {
        Param::Rport(port) => *port,
        _ => None,
    });
    let port = seen.or_else(|| via.uri.host_with_port.port.map(Into::into));
    Some(SocketAddr::new(came_from(request)?, port.unwrap_or(super::target::USUAL_PORT)))
}

/// The value of a header.
pub(super) fn header(request: &Request, name: &str) -> Option<String> {
    value_of(request.headers.iter(), name)
}

/// As [`header`], of any headers. The stack has read short forms as the names they stand for.
pub(super) fn value_of<'a>(mut headers: impl Iterator<Item = &'a Header>, name: &str) -> Option<String> {
    let header = headers.find(|header| header.name().eq_ignore_ascii_case(name))?;
    Some(header.value().trim().to_owned())
}

/// Whether the other side requires this extension.
pub(super) fn wants(request: &Request, extension: &str) -> bool {
    let mut required = request.headers.iter().filter(|header| matches!(header, Header::Require(_)));
    required.any(|header| header.value().split(',').any(|name| name.trim().eq_ignore_ascii_case(extension)))
}

/// Who calls, as memory knows him: `user@host` of `From`. Nobody, where he does not say (RFC 3323, section 4.1).
pub(super) fn caller(invite: &Request) -> Option<String> {
    let from = invite.from_header().ok()?.uri().ok()?;
    let (user, host) = (from.user()?, from.host().to_string().to_ascii_lowercase());
    let hidden = user.eq_ignore_ascii_case("anonymous") || host == "anonymous.invalid" || user.is_empty();
    let name = format!("{user}@{host}");
    (!hidden && name.chars().count() <= CALLER_MOST).then_some(name)
}

/// Where further requests of this call are to go.
pub(super) fn contact(here: SocketAddr, invite: &Transaction) -> Uri {
    let mut contact = Uri {
        host_with_port: HostWithPort { host: Host::IpAddr(here.ip()), port: Some(here.port().into()) },
        auth: invite.original.uri.auth.clone(),
        scheme: invite.original.uri.scheme.clone(),
        ..Uri::default()
    };
    if let Some(connection) = invite.connection.as_ref().filter(|connection| connection.is_reliable()) {
        contact.params.push(Param::Transport(connection.transport()));
    }
    contact
}

/// There is no body, or it is SDP (RFC 3261, section 8.2.3).
pub(super) fn is_sdp(invite: &Request) -> bool {
    let kind = invite.headers.iter().find_map(|header| match header {
        Header::ContentType(kind) => Some(kind.value().to_ascii_lowercase()),
        _ => None,
    });
    invite.body.is_empty() || kind.is_none_or(|kind| kind.starts_with("application/sdp"))
}

/// The key in an INFO, as older exchanges send it. Nothing, where there is nothing in it.
pub(super) fn key(info: &Request) -> Result<Option<(char, Duration)>, StatusCode> {
    let kind = info.headers.iter().find_map(|header| match header {
        Header::ContentType(kind) => Some(kind.value().to_ascii_lowercase()),
        _ => None,
    });
    let body = String::from_utf8_lossy(&info.body[..info.body.len().min(500)]).into_owned();
    let key = match kind.as_deref() {
        Some("application/dtmf-relay") => dtmf_relay(&body),
        Some("application/dtmf") => body.trim().chars().next().and_then(known).map(|key| (key, USUAL_KEY)),
        None if body.trim().is_empty() => return Ok(None),
        _ => return Err(StatusCode::UnsupportedMediaType),
    };
    key.map(Some).ok_or(StatusCode::BadRequest)
}

/// `Signal=5` and `Duration=160`, one a line.
fn dtmf_relay(body: &str) -> Option<(char, Duration)> {
    let value = |name: &str| {
        let mut lines = body.lines().filter_map(|line| line.split_once('='));
        lines.find(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    let key = value("Signal")?.chars().next().and_then(known)?;
    let ms = value("Duration").and_then(|ms| ms.parse().ok()).filter(|ms| (1..=60_000).contains(ms));
    Some((key, ms.map_or(USUAL_KEY, Duration::from_millis)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(from: &str, more: &str, body: &str) -> Request {
        let text = format!(
            "INFO sip:porter@198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK1;received=203.0.113.9\r\n\
             From: {from};tag=1\r\nTo: <sip:porter@198.51.100.1>\r\nCall-ID: 1@x\r\nCSeq: 1 INFO\r\n{more}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Request::try_from(text.as_bytes()).expect("a request")
    }

    #[test]
    fn the_caller_is_who_from_names_and_nobody_who_hides() {
        let of = |from: &str| caller(&request(from, "", ""));
        assert_eq!(of("\"Anna\" <sip:anna@Example.ORG:5070>").as_deref(), Some("anna@example.org"));
        assert_eq!(of("<sip:anonymous@anonymous.invalid>"), None);
        assert_eq!(of("<sip:192.0.2.7>"), None);
        assert_eq!(of(&format!("<sip:{}@example.org>", "a".repeat(300))), None);
    }

    #[test]
    fn a_request_came_from_where_the_network_says() {
        assert_eq!(came_from(&request("<sip:a@b>", "", "")), Some("203.0.113.9".parse().unwrap()));
    }

    #[test]
    fn keys_are_read_as_either_kind_of_exchange_writes_them() {
        let of = |kind: &str, body: &str| {
            let kind = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
            key(&request("<sip:a@b>", &kind, body))
        };
        assert_eq!(
            of("application/dtmf-relay", "Signal= 5\r\nDuration= 120\r\n"),
            Ok(Some(('5', Duration::from_millis(120))))
        );
        assert_eq!(of("application/dtmf-relay", "Signal=*\r\n"), Ok(Some(('*', USUAL_KEY))));
        assert_eq!(of("application/dtmf", "#"), Ok(Some(('#', USUAL_KEY))));
        assert_eq!(of("", ""), Ok(None));
        assert_eq!(of("application/dtmf", "x"), Err(StatusCode::BadRequest));
        assert_eq!(of("text/plain", "5"), Err(StatusCode::UnsupportedMediaType));
    }
}
