//! Who may call: digest authentication (RFC 8760) of a call's first request.
//!
//! A challenge needs no memory: the nonce is a time with a seal over it, the address and the `Call-ID`, good for a minute. So a
//! stranger's requests cost a hash each, and an answer that was overheard opens no other call.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use rsipstack::dialog::authenticate::verify_digest;
use rsipstack::sip::{Header, HeadersExt as _, Request, typed};
use sha2::{Digest as _, Sha256};

use crate::config::Secret;

/// The realm that passwords are for.
const REALM: &str = "duologue";
/// How long a challenge can be answered, seconds.
const GOOD_FOR_S: u64 = 60;

/// Names and passwords.
#[derive(Clone)]
pub struct Guard {
    users: HashMap<String, Secret>,
    seal: [u8; 32],
}

impl fmt::Debug for Guard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Guard({} users)", self.users.len())
    }
}

impl Guard {
    pub fn new(users: Vec<(String, Secret)>) -> Self {
        Self { users: users.into_iter().collect(), seal: rand::random() }
    }

    /// Anybody may call.
    pub fn is_open(&self) -> bool {
        self.users.is_empty()
    }

    /// Who this is, by name; `Ok(None)` where anybody may call.
    ///
    /// # Errors
    /// The challenge, where he has not shown that he knows the password.
    pub(super) fn name(&self, request: &Request, from: IpAddr, now_s: u64) -> Result<Option<String>, Header> {
        if self.is_open() {
            return Ok(None);
        }
        let call = request.call_id_header().map(|id| id.value().to_owned()).unwrap_or_default();
        let shown = request.authorization_header().and_then(|header| {
            let auth = typed::Authorization::parse(header.value()).ok()?;
            let password = self.users.get(&auth.username)?;
            let fresh = auth.realm == REALM && self.made(&auth.nonce, from, &call, now_s);
            let right = fresh && verify_digest(&auth, password.reveal(), request.method(), header.value());
            right.then_some(auth.username)
        });
        match shown {
            Some(name) => Ok(Some(name)),
            None => {
                let nonce = self.nonce(from, &call, now_s);
                // MD5 is what every telephone has; of a password that is used for nothing else it gives nothing away that an
                // exchange on the way could not hear anyhow.
                let challenge = format!("Digest realm=\"{REALM}\", nonce=\"{nonce}\", algorithm=MD5, qop=\"auth\"");
                Err(Header::WwwAuthenticate(challenge.into()))
            }
        }
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
    use rsipstack::sip::headers::auth::Algorithm;

    use super::*;

    fn guard() -> Guard {
        Guard::new(vec![("anna".into(), Secret::of("secret"))])
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

    /// The answer to a challenge.
    fn answered(challenge: &Header, call: &str, user: &str, password: &str) -> Request {
        let Header::WwwAuthenticate(challenge) = challenge else { panic!("no challenge") };
        let nonce =
            challenge.value().split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a nonce");
        let uri = "sip:porter@198.51.100.1";
        let response = compute_digest(user, password, REALM, nonce, &Method::Invite, uri, Algorithm::Md5, None);
        invite(
            call,
            &format!(
                "Authorization: Digest username=\"{user}\", realm=\"{REALM}\", nonce=\"{nonce}\", uri=\"{uri}\", \
                 response=\"{response}\", algorithm=MD5\r\n"
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
        assert_eq!(let_in(&right, "203.0.113.9".parse().unwrap(), 1_030), None, "from elsewhere");
        assert_eq!(let_in(&answered(&challenge, "2@x", "anna", "secret"), from(), 1_030), None, "another call");
        assert_eq!(let_in(&right, from(), 1_061), None, "too late");
        assert_eq!(let_in(&right, from(), 999), None, "before its time");
    }

    #[test]
    fn without_users_anybody_is_let_in_without_a_name() {
        assert_eq!(Guard::new(Vec::new()).name(&invite("1@x", ""), from(), 0).ok(), Some(None));
    }
}
