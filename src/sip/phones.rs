//! The registrar (RFC 3261, section 10): telephones that the configuration names tell where they are, and are called there. What they
//! tell is kept in memory: after a restart each is there again when it registers again.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use duologue_signaling::bindings::{BindingFault, Bindings, Contact, Register, Times, Wish};
use rsipstack::sip::{Header, HeadersExt as _, Param, Request, Scheme, StatusCode, Transport, Uri, typed};
use rsipstack::transaction::transaction::Transaction;
use serde::Serialize;
use tokio::time::Instant;

use super::flood::Floods;
use super::guard::{Guard, Unproved};
use super::offers::cseq;
use super::request::{came_from, header, source};
use super::target::USUAL_PORT;
use super::{Exchange, SipError, answer, warning};
use crate::config::Secret;

/// Wrong passwords that one address may show within a minute: a telephone with an old one tries twice or so.
const WRONG_A_MINUTE: u32 = 10;
const MINUTE: Duration = Duration::from_secs(60);
/// Longest `User-Agent` that is kept, characters.
const AGENT_MOST: usize = 120;

/// How a telephone is reached: where its REGISTER came from, whatever it says itself. So a password that was lost has nobody else
/// called, and a telephone behind NAT is found.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    pub at: SocketAddr,
    pub transport: Transport,
    agent: String,
}

/// What is known of telephones.
pub(super) struct Phones {
    bindings: Mutex<Bindings<Reach>>,
    wrong: Mutex<Floods>,
    began: Instant,
}

/// A telephone as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PhoneShown {
    pub name: String,
    pub contacts: Vec<ContactShown>,
}

/// One address of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ContactShown {
    pub uri: String,
    /// Where it registered from: calls go there.
    pub from: String,
    pub transport: String,
    /// What is left of it, seconds.
    pub expires_s: u64,
    pub user_agent: String,
}

/// The names of telephones; each stands in addresses, and there is one password for it.
pub(super) fn names(guard: &Guard, phones: &[(String, Secret)]) -> Result<Vec<String>, SipError> {
    let mut names: Vec<String> = Vec::with_capacity(phones.len());
    for (name, _) in phones {
        let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "+-._".contains(c));
        if !plain || guard.has(name) || names.contains(name) {
            return Err(SipError::Phone(name.clone()));
        }
        names.push(name.clone());
    }
    Ok(names)
}

impl Phones {
    pub(super) fn new(names: impl IntoIterator<Item = String>, times: Times) -> Self {
        Self {
            bindings: Mutex::new(Bindings::new(names, times)),
            wrong: Mutex::new(Floods::within(WRONG_A_MINUTE, MINUTE)),
            began: Instant::now(),
        }
    }

    fn now_s(&self) -> u64 {
        self.began.elapsed().as_secs()
    }

    fn bindings(&self) -> MutexGuard<'_, Bindings<Reach>> {
        // A change is made in a copy and put in its place: a poisoned lock has no half of one.
        self.bindings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wrong(&self) -> MutexGuard<'_, Floods> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn knows(&self, name: &str) -> bool {
        self.bindings().knows(name)
    }

    /// Where a telephone is called: of several contacts the preferred one, among equals the one that was told last.
    pub(super) fn reach(&self, name: &str) -> Option<(String, Reach)> {
        let (bindings, now_s) = (self.bindings(), self.now_s());
        bindings.of(name, now_s).first().map(|it| (it.contact.uri.clone(), it.reach.clone()))
    }

    pub(super) fn shown(&self) -> Vec<PhoneShown> {
        let (bindings, now_s) = (self.bindings(), self.now_s());
        let shown = bindings.all(now_s).map(|(name, contacts)| PhoneShown {
            name: name.to_owned(),
            contacts: contacts
                .into_iter()
                .map(|it| ContactShown {
                    uri: it.contact.uri.clone(),
                    from: it.reach.at.to_string(),
                    transport: it.reach.transport.to_string().to_ascii_lowercase(),
                    expires_s: it.left_s(now_s),
                    user_agent: it.reach.agent.clone(),
                })
                .collect(),
        });
        shown.collect()
    }
}

impl Exchange {
    /// Who this is, by his password. Wrong ones are counted, and of one address only a few a minute are looked at.
    ///
    /// # Errors
    /// What is answered instead.
    pub(super) fn proved(&self, request: &Request, from: IpAddr) -> Result<String, (StatusCode, Vec<Header>)> {
        let meters = self.registry.recorder().meters();
        let now = std::time::Instant::now();
        if self.phones.wrong().is_over(from, now) {
            meters.refuse_sip("passwords");
            return Err((StatusCode::ServiceUnavailable, vec![Header::RetryAfter("60".into())]));
        }
        let now_s = u64::try_from(crate::store::utc_ms() / 1_000).unwrap_or(0);
        self.settings.guard.prove(request, from, now_s).map_err(|Unproved { challenges, wrong }| {
            if wrong {
                meters.refuse_sip("password");
                self.phones.wrong().take(from, now);
            }
            (StatusCode::Unauthorized, challenges)
        })
    }

    /// Answers a REGISTER.
    pub(super) async fn register_phone(&self, mut request: Transaction) {
        let (status, headers) = match self.registered(&request) {
            Ok(contacts) => (StatusCode::OK, contacts),
            Err(refused) => refused,
        };
        answer(&mut request, status, headers).await;
    }

    fn registered(&self, transaction: &Transaction) -> Result<Vec<Header>, (StatusCode, Vec<Header>)> {
        let request = &transaction.original;
        let bad = |why: &str| (StatusCode::BadRequest, vec![warning(why)]);
        let from = came_from(request).ok_or_else(|| bad("the Via names no address"))?;
        let name = self.proved(request, from)?;
        // A telephone tells of itself alone (section 10.3, step 3).
        let to = request.to_header().ok().and_then(|to| to.uri().ok());
        let itself = to.as_ref().and_then(|to| to.user()).is_some_and(|user| user == name);
        if !itself || !self.phones.knows(&name) {
            return Err((
                StatusCode::Forbidden,
                vec![warning("whoever registers is a telephone of sip.phones, and To names it")],
            ));
        }
        let transport = transaction.connection.as_ref().map_or(Transport::Udp, |connection| connection.transport());
        let at = match &transaction.connection {
            Some(connection) if connection.is_reliable() => {
                connection.get_remote_addr().and_then(|at| at.get_socketaddr().ok())
            }
            _ => source(request),
        };
        let at = at.ok_or_else(|| bad("the Via names no address"))?;
        let agent = header(request, "User-Agent").unwrap_or_default().chars().take(AGENT_MOST).collect();
        let asked = Register {
            call_id: request.call_id_header().map(|id| id.value().to_owned()).unwrap_or_default(),
            cseq: cseq(request).ok_or_else(|| bad("no CSeq"))?,
            expires_s: header(request, "Expires").and_then(|expires| expires.parse().ok()),
            wish: wish(request).ok_or_else(|| bad("a Contact cannot be read, or is no sip address"))?,
            reach: Reach { at, transport, agent },
        };
        let now_s = self.phones.now_s();
        let mut bindings = self.phones.bindings();
        bindings.register(&name, asked, now_s).map_err(refusal)?;
        let contact = |uri: &str, left_s: u64| Header::Contact(format!("<{uri}>;expires={left_s}").into());
        Ok(bindings.of(&name, now_s).iter().map(|it| contact(&it.contact.uri, it.left_s(now_s))).collect())
    }
}

fn refusal(fault: BindingFault) -> (StatusCode, Vec<Header>) {
    let status = match fault {
        BindingFault::TooBrief(least) => {
            return (StatusCode::IntervalTooBrief, vec![Header::MinExpires(least.to_string().into())]);
        }
        BindingFault::NoSuchPhone | BindingFault::TooMany => StatusCode::Forbidden,
        BindingFault::Star | BindingFault::TooLong => StatusCode::BadRequest,
        // As for any request of a dialog that is late (section 12.2.2).
        BindingFault::OutOfOrder => StatusCode::ServerInternalError,
    };
    (status, vec![warning(&fault.to_string())])
}

/// What the contacts of a request ask for. `None`: they cannot be read.
fn wish(request: &Request) -> Option<Wish> {
    let lines = request.headers.iter().filter_map(|header| match header {
        Header::Contact(contact) => Some(contact.value()),
        _ => None,
    });
    let (mut star, mut contacts) = (false, Vec::new());
    for line in lines {
        if line.trim() == "*" {
            star = true;
            continue;
        }
        for read in typed::Contact::parse_header_list(line).ok()? {
            contacts.push(contact(read)?);
        }
    }
    match (star, contacts.is_empty()) {
        (true, true) => Some(Wish::Nowhere),
        (true, false) => None,
        (false, true) => Some(Wish::Query),
        (false, false) => Some(Wish::These(contacts)),
    }
}

fn contact(read: typed::Contact) -> Option<Contact> {
    let (expires_s, q) = (read.expires(), read.q());
    // What stands behind a question mark would become headers of our request.
    let uri = Uri { headers: Vec::new(), ..read.uri };
    if uri.scheme != Some(Scheme::Sip) {
        return None;
    }
    let transport = uri.params.iter().find_map(|param| match param {
        Param::Transport(transport) => Some(transport.to_string().to_ascii_lowercase()),
        _ => None,
    });
    let host = uri.host_with_port.host.to_string().to_ascii_lowercase();
    let port = uri.host_with_port.port.as_ref().map_or(USUAL_PORT, |port| (*port).into());
    let user = uri.user().unwrap_or("");
    let key = format!("{user}@{host}:{port}/{}", transport.as_deref().unwrap_or("udp"));
    let preference = (q.unwrap_or(1.0).clamp(0.0, 1.0) * 1_000.0) as u16;
    Some(Contact { key, uri: uri.to_string(), expires_s, preference })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(contacts: &str) -> Request {
        let text = format!(
            "REGISTER sip:198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK1\r\nFrom: <sip:101@x>;tag=1\r\n\
             To: <sip:101@x>\r\nCall-ID: 1@x\r\nCSeq: 1 REGISTER\r\n{contacts}Content-Length: 0\r\n\r\n"
        );
        Request::try_from(text.as_bytes()).expect("a request")
    }

    #[test]
    fn contacts_are_read_as_telephones_write_them() {
        let Some(Wish::These(read)) = wish(&register(
            "Contact: \"Anna, desk\" <sip:101@192.0.2.7:5070;transport=TCP?Subject=x>;q=0.5;expires=90, <sip:101@192.0.2.8>\r\n",
        )) else {
            panic!("no contacts")
        };
        let shown: Vec<_> = read.iter().map(|it| (it.key.as_str(), it.expires_s, it.preference)).collect();
        let wanted = [("101@192.0.2.7:5070/tcp", Some(90), 500), ("101@192.0.2.8:5060/udp", None, 1_000)];
        assert_eq!(shown, wanted);
        assert!(!read[0].uri.contains("Subject"), "{}", read[0].uri);
        assert_eq!(wish(&register("Contact: *\r\n")), Some(Wish::Nowhere));
        assert_eq!(wish(&register("")), Some(Wish::Query));
        for bad in ["Contact: *\r\nContact: <sip:101@x>\r\n", "Contact: <tel:+49>\r\n"] {
            assert_eq!(wish(&register(bad)), None, "{bad}");
        }
    }
}
