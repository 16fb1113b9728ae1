//! Which calls are those of a trunk that we are registered with. Its address proves nothing: over UDP whoever likes writes one into a
//! packet. So each registration tells a `Contact` with a parameter that nobody can guess, and a call is the trunk's where it is addressed
//! to that ([0038](../../docs/decisions/0038-a-trunk-calls-the-address-that-it-was-told.md)).

use std::net::IpAddr;

use rsipstack::sip::uri::{OtherParam, OtherParamValue};
use rsipstack::sip::{Param, Request};
use sha2::{Digest as _, Sha256};

/// As Asterisk names the parameter by which it tells its registrations apart.
const LINE: &str = "line";

/// What a trunk was told, and nobody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token(String);

impl Token {
    /// 128 bits of chance, in letters that stand in an address unescaped.
    pub(super) fn new() -> Self {
        Self(format!("{:032x}", rand::random::<u128>()))
    }

    /// As it stands in the address that is registered.
    pub(super) fn param(&self) -> Param {
        Param::Other(OtherParam::new(LINE), Some(OtherParamValue::new(&self.0)))
    }

    /// Whether a call is addressed to what the trunk was told. Hashes are compared, so that how long it takes tells nobody how much of a
    /// guess was right.
    fn is_in(&self, invite: &Request) -> bool {
        let shown = invite.uri.params.iter().find_map(|param| match param {
            Param::Other(name, value) if name.value().eq_ignore_ascii_case(LINE) => value.as_ref(),
            _ => None,
        });
        shown.is_some_and(|shown| Sha256::digest(shown.value()) == Sha256::digest(&self.0))
    }
}

/// How a call stands to the trunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// It is this trunk's, of those that were asked about.
    Proved(usize),
    /// It comes from a trunk's address, and not to what the trunk was told.
    AddressAlone,
    None,
}

/// `trunks`: where each is that we are registered with, and what it was told.
pub(super) fn claim<'a>(
    trunks: impl Iterator<Item = (Option<IpAddr>, &'a Token)>,
    invite: &Request,
    from: IpAddr,
) -> Claim {
    let mut found = Claim::None;
    for (n, (_, token)) in trunks.enumerate().filter(|(_, (there, _))| *there == Some(from)) {
        if token.is_in(invite) {
            return Claim::Proved(n);
        }
        found = Claim::AddressAlone;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite(params: &str) -> Request {
        let text = format!(
            "INVITE sip:4711@198.51.100.1{params} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK1\r\n\
             From: <sip:anna@x>;tag=1\r\nTo: <sip:4711@198.51.100.1>\r\nCall-ID: 1@x\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
        );
        Request::try_from(text.as_bytes()).expect("a request")
    }

    #[test]
    fn a_call_is_a_trunk_s_where_it_comes_from_there_and_to_what_the_trunk_alone_was_told() {
        let [there, elsewhere] = ["192.0.2.7", "203.0.113.9"].map(|ip| ip.parse::<IpAddr>().expect("an address"));
        let (token, other) = (Token::new(), Token::new());
        assert_ne!(token, other);
        let told = token.param().to_string();
        let of = |known: Option<IpAddr>, params: &str, from| {
            claim([(None, &other), (known, &token)].into_iter(), &invite(params), from)
        };
        assert_eq!(of(Some(there), &told, there), Claim::Proved(1));
        assert_eq!(of(Some(there), &format!(";transport=tcp{told}"), there), Claim::Proved(1));
        assert_eq!(of(Some(there), &told, elsewhere), Claim::None, "what was overheard opens nothing from elsewhere");
        assert_eq!(of(None, &told, there), Claim::None, "with a trunk that knows us no more");
        let of_another = other.param().to_string();
        for guess in ["", ";line", ";line=", ";line=0", &told[..told.len() - 1], of_another.as_str()] {
            assert_eq!(of(Some(there), guess, there), Claim::AddressAlone, "{guess}");
        }
    }
}
