//! Who may call: digest authentication (RFC 8760) of a call's first request.
//!
//! A challenge needs no memory: the nonce is a time with a seal over it, the address and the `Call-ID`, good for a minute. So a
//! stranger's requests cost a hash each, and an answer that was overheard opens no other call.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use rsipstack::dialog::authenticate::verify_digest;
use rsipstack::sip::headers::auth::Algorithm;
use rsipstack::sip::{Header, HeadersExt as _, Request, typed};
use sha2::{Digest as _, Sha256};

use super::digest::for_the_stack;
use crate::config::{Secret, SipDigest};

/// The realm that passwords are for.
const REALM: &str = "duologue";
/// How long a challenge can be answered, seconds.
const GOOD_FOR_S: u64 = 60;

/// Names and passwords.
#[derive(Clone)]
pub struct Guard {
    users: HashMap<String, Secret>,
    /// Whoever reaches the server may call.
    open: bool,
    /// What is asked for, in this order.
    digests: Vec<SipDigest>,
    seal: [u8; 32],
}

/// Why nobody is known by his password.
pub(super) struct Unproved {
    /// What he is asked, the better one first.
    pub challenges: Vec<Header>,
    /// A password was shown, and it is none.
    pub wrong: bool,
}

/// What an answer to a challenge shows.
enum Shown {
    Right(String),
    /// The right password for a challenge that holds no more, or was another's.
    Stale,
    Wrong,
    Nothing,
}

impl fmt::Debug for Guard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Guard({} users)", self.users.len())
    }
}

impl Guard {
    /// `digests`: how a password may be proved, the best first.
    pub fn new(users: Vec<(String, Secret)>, digests: Vec<SipDigest>) -> Self {
        Self { open: users.is_empty(), users: users.into_iter().collect(), digests, seal: rand::random() }
    }

    /// Has telephones prove themselves as well: whether anybody may call is not changed by that.
    pub fn with_phones(mut self, phones: Vec<(String, Secret)>) -> Self {
        self.users.extend(phones);
        self
    }

    /// Whether there is a password for this name.
    pub fn has(&self, name: &str) -> bool {
        self.users.contains_key(name)
    }

    /// Anybody may call.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Who this is, by name; `Ok(None)` where anybody may call.
    ///
    /// # Errors
    /// The challenges, the better one first, where he has not shown that he knows the password.
    #[cfg(test)]
    fn name(&self, request: &Request, from: IpAddr, now_s: u64) -> Result<Option<String>, Vec<Header>> {
        if self.is_open() {
            return Ok(None);
        }
        self.prove(request, from, now_s).map(Some).map_err(|unproved| unproved.challenges)
    }

    /// Who this is, by his password, whether anybody may call or not.
    ///
    /// # Errors
    /// Where he has not shown that he knows it.
    pub(super) fn prove(&self, request: &Request, from: IpAddr, now_s: u64) -> Result<String, Unproved> {
        let call = request.call_id_header().map(|id| id.value().to_owned()).unwrap_or_default();
        let shown =
            request.authorization_header().map(|header| self.shown(header.value(), request, from, &call, now_s));
        if let Some(Shown::Right(name)) = shown {
            return Ok(name);
        }
        let nonce = self.nonce(from, &call, now_s);
        // So that a telephone does not ask its owner for another password (RFC 7616, section 3.3).
        let stale = if matches!(shown, Some(Shown::Stale)) { ", stale=true" } else { "" };
        // Telephones take the first that they know (RFC 8760, section 2.3). MD5 is what every one of them has; of a password that is
        // used for nothing else it gives nothing away that an exchange on the way could not hear anyhow.
        let challenge = |digest: &SipDigest| {
            let algorithm = digest.as_str();
            let challenge =
                format!("Digest realm=\"{REALM}\", nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth\"{stale}");
            Header::WwwAuthenticate(challenge.into())
        };
        let wrong = matches!(shown, Some(Shown::Wrong));
        Err(Unproved { challenges: self.digests.iter().map(challenge).collect(), wrong })
    }

    fn shown(&self, header: &str, request: &Request, from: IpAddr, call: &str, now_s: u64) -> Shown {
        let shown = for_the_stack(header);
        // An answer to somebody else's challenge is none to ours, and no try either.
        let Some(auth) = typed::Authorization::parse(&shown).ok().filter(|auth| auth.realm == REALM) else {
            return Shown::Nothing;
        };
        let digest = match auth.algorithm {
            None | Some(Algorithm::Md5) => SipDigest::Md5,
            Some(Algorithm::Sha256) => SipDigest::Sha256,
            Some(_) => return Shown::Nothing,
        };
        if !self.digests.contains(&digest) {
            return Shown::Nothing;
        }
        let password = self.users.get(&auth.username);
        if !password.is_some_and(|password| verify_digest(&auth, password.reveal(), request.method(), &shown)) {
            return Shown::Wrong;
        }
        if self.made(&auth.nonce, from, call, now_s) { Shown::Right(auth.username) } else { Shown::Stale }
    }

    fn nonce(&self, from: IpAddr, call: &str, now_s: u64) -> String {
        let sealed = Sha256::new()
            .chain_update(self.seal)
            .chain_update(now_s.to_be_bytes())
            .chain_update(from.to_string())
            .chain_update([0])
            .chain_update(call)
            .finalize();
        let seal: String = sealed[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{now_s:x}.{seal}")
    }

    /// Whether a nonce is ours, for this call, and still good.
    fn made(&self, nonce: &str, from: IpAddr, call: &str, now_s: u64) -> bool {
        let made_s = nonce.split_once('.').and_then(|(time, _)| u64::from_str_radix(time, 16).ok());
        made_s.is_some_and(|made_s| {
            made_s <= now_s && now_s - made_s <= GOOD_FOR_S && self.nonce(from, call, made_s) == nonce
        })
    }
}

#[cfg(test)]
mod tests {
    use rsipstack::dialog::authenticate::compute_digest;
    use rsipstack::sip::Method;

    use super::*;

    fn guard() -> Guard {
        let digests = vec![SipDigest::Sha256, SipDigest::Md5];
        Guard::new(vec![("anna".into(), Secret::of("secret"))], digests)
    }

    fn from() -> IpAddr {
        "192.0.2.7".parse().unwrap()
    }

    fn invite(call: &str, authorization: &str) -> Request {
        let text = format!(
            "INVITE sip:porter@198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK1\r\n\
             From: <sip:anna@x>;tag=1\r\nTo: <sip:porter@198.51.100.1>\r\nCall-ID: {call}\r\nCSeq: 1 INVITE\r\n{authorization}\
             Content-Length: 0\r\n\r\n"
        );
        Request::try_from(text.as_bytes()).expect("a request")
    }

    /// The answer to the challenges, as a telephone gives it that knows this algorithm.
    fn answered(challenges: &[Header], call: &str, user: &str, password: &str) -> Request {
        answered_with(("MD5", Algorithm::Md5), challenges, call, user, password)
    }

    fn answered_with(
        (name, algorithm): (&str, Algorithm),
        challenges: &[Header],
        call: &str,
        user: &str,
        password: &str,
    ) -> Request {
        let challenges: Vec<&str> = challenges
            .iter()
            .map(|challenge| match challenge {
                Header::WwwAuthenticate(challenge) => challenge.value(),
                other => panic!("no challenge: {other}"),
            })
            .collect();
        assert!(challenges[0].contains("algorithm=SHA-256,") && challenges[1].contains("algorithm=MD5,"));
        let challenge = challenges[0];
        let nonce = challenge.split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a nonce");
        let uri = "sip:porter@198.51.100.1";
        let response = compute_digest(user, password, REALM, nonce, &Method::Invite, uri, algorithm, None);
        invite(
            call,
            &format!(
                "Authorization: Digest username=\"{user}\", realm=\"{REALM}\", nonce=\"{nonce}\", uri=\"{uri}\", \
                 response=\"{response}\", algorithm={name}\r\n"
            ),
        )
    }

    #[test]
    fn who_knows_the_password_is_let_in_and_nobody_else() {
        let guard = guard();
        let challenge = guard.name(&invite("1@x", ""), from(), 1_000).expect_err("a challenge");
        let let_in = |request: &Request, from: IpAddr, now_s: u64| guard.name(request, from, now_s).ok().flatten();
        let right = answered(&challenge, "1@x", "anna", "secret");
        assert_eq!(let_in(&right, from(), 1_030).as_deref(), Some("anna"));
        assert_eq!(let_in(&answered(&challenge, "1@x", "anna", "guess"), from(), 1_030), None);
        assert_eq!(let_in(&answered(&challenge, "1@x", "berta", "secret"), from(), 1_030), None);
        for algorithm in [("SHA-256", Algorithm::Sha256), ("\"sha-256\"", Algorithm::Sha256)] {
            let right = answered_with(algorithm, &challenge, "1@x", "anna", "secret");
            assert_eq!(let_in(&right, from(), 1_030).as_deref(), Some("anna"), "{algorithm:?}");
        }
        let other = answered_with(("SHA512", Algorithm::Sha512), &challenge, "1@x", "anna", "secret");
        assert_eq!(let_in(&other, from(), 1_030), None, "which was not asked for");
        assert_eq!(let_in(&right, "203.0.113.9".parse().unwrap(), 1_030), None, "from elsewhere");
        assert_eq!(let_in(&answered(&challenge, "2@x", "anna", "secret"), from(), 1_030), None, "another call");
        assert_eq!(let_in(&right, from(), 1_061), None, "too late");
        assert_eq!(let_in(&right, from(), 999), None, "before its time");
    }

    #[test]
    fn without_users_anybody_is_let_in_without_a_name() {
        assert_eq!(Guard::new(Vec::new(), Vec::new()).name(&invite("1@x", ""), from(), 0).ok(), Some(None));
    }
}
