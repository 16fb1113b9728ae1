//! A call that rings: whether it is taken, for whom, and over which socket.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use duologue_signaling::phone_sdp::{self, PhoneAgreed, PhoneSdp};
use rsipstack::sip::{Method, Request, StatusCode, Transport};
use rsipstack::transaction::transaction::Transaction;

use super::ending::status_of;
use super::line::{Latch, Wire};
use super::party::Party;
use super::{Exchange, request};
use crate::call::leg::Leg;
use crate::call::registry::{self, Admitted};
use crate::journal::CallId;

/// Why an offer with keys is refused that came over UDP or TCP.
pub(super) const KEYS_IN_CLEAR: &str = "the keys of RTP/SAVP came in the clear: call over TLS, or offer RTP/AVP";

/// Why a call is refused.
pub(super) struct Refused(pub(super) StatusCode, pub(super) String);

/// What a telephone calls for.
pub(super) enum Place {
    /// To begin a call.
    New(Admitted),
    /// To hold this one in another telephone's place (`Replaces`, RFC 3891).
    Of(CallId),
}

/// A call that rings.
pub(super) struct Ringing {
    pub(super) place: Place,
    /// `None`: the telephone wants our offer.
    pub(super) theirs: Option<(PhoneSdp, PhoneAgreed)>,
    pub(super) came_from: IpAddr,
    pub(super) here: IpAddr,
    pub(super) wire: Arc<Wire>,
}

impl Exchange {
    /// Whether the call is taken, and how.
    pub(super) async fn admit(
        &self,
        invite: &Request,
        transport: Transport,
        came_from: IpAddr,
        name: Option<String>,
        over: Option<CallId>,
    ) -> Result<Ringing, Refused> {
        let spoken_here = &self.settings.codecs;
        let theirs = if invite.body.is_empty() {
            None
        } else {
            let not_here = |why: phone_sdp::PhoneSdpFault| Refused(StatusCode::NotAcceptableHere, why.to_string());
            let theirs = PhoneSdp::read(&invite.body).map_err(not_here)?;
            if self.are_keys_in_clear(&theirs, transport) {
                return Err(Refused(StatusCode::NotAcceptableHere, KEYS_IN_CLEAR.into()));
            }
            let agreed = theirs.agree(spoken_here).map_err(not_here)?;
            Some((theirs, agreed))
        };
        let place = match over {
            Some(call) => Place::Of(call),
            None => Place::New(self.admit_new(invite, name).await?),
        };
        let here = self.here(came_from);
        let said = theirs.as_ref().map(|(theirs, _)| theirs.address);
        let target = said.and_then(|said| Latch::new(said, came_from).target());
        let wire = self
            .wire(here, target)
            .await
            .map_err(|why| Refused(StatusCode::ServiceUnavailable, format!("no port for the sound: {why}")))?;
        Ok(Ringing { place, theirs, came_from, here, wire })
    }

    /// Whether an SDP has keys in it that whoever is on the way can read, where they may not.
    fn are_keys_in_clear(&self, theirs: &PhoneSdp, transport: Transport) -> bool {
        theirs.crypto.is_some() && transport != Transport::Tls && !self.settings.srtp_in_clear
    }

    /// The same of a request in a call, which may have begun over TLS or without keys.
    pub(super) fn tells_keys_in_clear(&self, request: &Transaction) -> bool {
        let transport = request.connection.as_ref().map_or(Transport::Udp, |connection| connection.transport());
        let (method, body) = (request.original.method, &request.original.body);
        let offers = matches!(method, Method::Invite | Method::Update) && !body.is_empty();
        offers && PhoneSdp::read(body).is_ok_and(|theirs| self.are_keys_in_clear(&theirs, transport))
    }

    /// Who calls: by his password, or one of the trunks that we are registered with.
    pub(super) fn caller_is(&self, name: Option<&str>, trunk: Option<usize>) -> Party {
        let trunk = trunk.and_then(|trunk| self.settings.outbound.registered().nth(trunk));
        match (name, trunk) {
            (Some(name), _) if self.phones.knows(name) => Party::Phone(name.to_owned()),
            (Some(name), _) => Party::User(name.to_owned()),
            (None, Some(trunk)) => Party::Trunk(trunk.name.clone()),
            (None, None) => Party::Stranger,
        }
    }

    /// A socket for a call's sound.
    pub(super) async fn wire(&self, here: IpAddr, target: Option<SocketAddr>) -> std::io::Result<Arc<Wire>> {
        let listen = self.settings.listen.ip();
        let on = if listen.is_unspecified() { unspecified(here) } else { listen };
        Wire::open(on, &self.settings.ports, target).await
    }

    /// What is spoken until it is agreed on.
    pub(super) fn first_codec(&self) -> phone_sdp::PhoneCodec {
        self.settings.codecs.first().copied().unwrap_or(phone_sdp::PhoneCodec::Pcmu)
    }

    async fn admit_new(&self, invite: &Request, name: Option<String>) -> Result<Admitted, Refused> {
        let dialled = invite.uri.user().unwrap_or("").to_owned();
        let personas = self.registry.personas();
        let who = self.settings.dialled.who(&dialled, |name| personas.iter().any(|persona| persona.name == name));
        let caller = name.or_else(|| request::caller(invite));
        let asked = registry::Asked { persona: Some(who), caller, ..registry::Asked::default() };
        self.registry.admit(asked).await.map_err(|why| Refused(status_of(&why), why.to_string()))
    }

    /// The call that this leg holds from here on: a new one, or one that another telephone has held until now.
    pub(super) async fn take_place(&self, place: Place, leg: Leg, by: Option<String>) -> Result<CallId, Refused> {
        match place {
            Place::New(admitted) => self
                .registry
                .begin(admitted, leg)
                .map_err(|why| Refused(StatusCode::ServerInternalError, why.to_string())),
            Place::Of(call) => {
                if self.registry.take_over(&call, leg, by.unwrap_or_default()).await {
                    Ok(call)
                } else {
                    Err(Refused(StatusCode::CallTransactionDoesNotExist, "the call is over".into()))
                }
            }
        }
    }
}

const fn unspecified(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
    }
}
