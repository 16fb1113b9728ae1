//! A call that the server makes: from the question whether it may to the INVITE.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use duologue_signaling::phone_sdp::{self, Ours};
use duologue_signaling::refer::Replaces;
use rsipstack::dialog::authenticate::Credential;
use rsipstack::dialog::invitation::InviteOption;
use rsipstack::sip::{Header, Host, HostWithPort, Param, Scheme, Uri};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::line::RtpLine;
use super::outbound::Trunk;
use super::placed::{OurLine, Placed, Purpose};
use super::protection::Offered;
use super::refresh::wanted;
use super::route::Route;
use super::target::{Target, TargetFault, Way};
use super::{Exchange, PhoneShown, sdp};
use crate::call::leg::{Echoes, Leg, NotTransferred, Onto};
use crate::call::registry::{Asked, OpenError};
use crate::call::wire;
use crate::journal::CallId;
use crate::peer::Ending;

/// A name is looked up for so long.
const LOOK_UP: Duration = Duration::from_secs(5);

/// Why nobody was called.
#[derive(Debug, thiserror::Error)]
pub enum NotDialled {
    #[error(transparent)]
    Target(#[from] TargetFault),
    #[error("{0} may not be called: no line of sip.outbound names it")]
    NotAllowed(Target),
    #[error("there is no telephone '{0}' in sip.phones")]
    NoSuchPhone(String),
    #[error("telephone {0} is not registered")]
    NotRegistered(String),
    #[error("{0} calls of the server's own are under way: sip.outbound_most allows no more")]
    AtOnce(u32),
    #[error("{0} calls were made within a minute: sip.outbound_a_minute allows no more")]
    TooFast(u32),
    #[error("{host} is not found: {why}")]
    NoSuchHost { host: String, why: String },
    #[error(
        "{0} is to be offered keys in the SDP (sip.srtp) and is not called over TLS, so that they would be read on the way"
    )]
    KeysInClear(String),
    #[error("no port for the sound: {0}")]
    NoPort(std::io::Error),
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// Makes calls, and hands them on.
#[derive(Clone)]
pub struct Dialler(pub(super) Arc<Exchange>);

/// Leave for one call.
pub(super) struct Permits {
    pub(super) one_of: OwnedSemaphorePermit,
    pub(super) minute: OwnedSemaphorePermit,
}

impl Dialler {
    /// Calls, and gives the call's number at once; what comes of it is told by the call's end and events. `asked.caller` is who is
    /// called, where memory knows him by another name than his address.
    ///
    /// # Errors
    /// When it may not be called, or there is no room. Nothing is left behind then.
    pub async fn dial(&self, to: &str, asked: Asked<'_>) -> Result<CallId, NotDialled> {
        self.dial_and(to, asked, |_| {}).await
    }

    /// The same; `begun` is told the number before anything can come of it.
    ///
    /// # Errors
    /// As [`Self::dial`].
    pub async fn dial_and(
        &self,
        to: &str,
        asked: Asked<'_>,
        begun: impl FnOnce(&CallId),
    ) -> Result<CallId, NotDialled> {
        let exchange = &self.0;
        let allowed = exchange.allowed(to)?;
        let Permits { one_of, minute } = exchange.permits()?;
        let route = exchange.route(allowed).await?;
        let asked = Asked { caller: asked.caller.or_else(|| Some(route.name.clone())), ..asked };
        let admitted = exchange.registry.admit(asked).await?;
        let hang_up = CancellationToken::new();
        let (leg, line) = exchange.prepare(&route, admitted.persona(), None, one_of, hang_up).await?;
        let call = exchange.registry.begin(admitted, leg)?;
        begun(&call);
        exchange.dialled.fetch_add(1, Ordering::Relaxed);
        exchange.count_for_a_minute(minute);
        let placed = Placed { call: call.clone(), line, purpose: Purpose::Own };
        exchange.tasks.spawn(exchange.clone().place(placed));
        Ok(call)
    }
}

impl Dialler {
    /// The telephones that may register, and where they are.
    pub fn phones(&self) -> Vec<PhoneShown> {
        self.0.phones.shown()
    }

    /// Hands a live call on to this address: its telephone is asked to call there, what comes of it is told by events. `None`: there is
    /// no such live call.
    ///
    /// # Errors
    /// When nobody may be called there, or the call is no telephone's.
    pub fn transfer(&self, call: &str, to: &str) -> Result<Option<Result<(), NotTransferred>>, NotDialled> {
        let target = Target::read(to)?;
        // Whoever is called there is called at the cost of the telephone's side, which believes us.
        self.0.settings.outbound.way(&target).ok_or_else(|| NotDialled::NotAllowed(target.clone()))?;
        let to = target.to_string();
        Ok(self.0.registry.transfer(call, Onto { refer_to: format!("<{to}>"), to }))
    }
}

impl Exchange {
    /// Where a host is. Of several addresses the first of the kind that is listened on.
    pub(super) async fn find(&self, hop: &Target) -> Result<SocketAddr, NotDialled> {
        let not_found = |why: String| NotDialled::NoSuchHost { host: hop.host.clone(), why };
        let found = tokio::time::timeout(LOOK_UP, tokio::net::lookup_host(hop.place())).await;
        let mut found = found
            .map_err(|_| not_found(format!("no answer within {} s", LOOK_UP.as_secs())))?
            .map_err(|why| not_found(why.to_string()))?;
        let listen = self.address;
        found
            .find(|at| at.is_ipv4() == listen.is_ipv4())
            .ok_or_else(|| not_found("it has no address of the kind that sip.listen has".into()))
    }

    /// Leave for a call, as long as there are not too many.
    pub(super) fn permits(&self) -> Result<Permits, NotDialled> {
        let settings = &self.settings;
        let one_of = self.outbound.clone().try_acquire_owned();
        let one_of = one_of.map_err(|_| NotDialled::AtOnce(settings.outbound_most))?;
        let minute = self.minute.clone().try_acquire_owned();
        let minute = minute.map_err(|_| NotDialled::TooFast(settings.outbound_a_minute))?;
        Ok(Permits { one_of, minute })
    }

    /// A line to whom a call is made, and the leg that a call is held over. `as_whom`: who calls, where no trunk has a name for us;
    /// `replaces`: the dialog whose place it is to take there.
    pub(super) async fn prepare(
        &self,
        route: &Route<'_>,
        as_whom: &str,
        replaces: Option<Replaces>,
        one_of: OwnedSemaphorePermit,
        hang_up: CancellationToken,
    ) -> Result<(Leg, OurLine), NotDialled> {
        let keys = self.keys(route)?;
        let here = self.here(route.there.ip());
        let ours = SocketAddr::new(here, self.port(route.hop.way.transport()));
        let from = from(route.trunk, as_whom, ours, &route.hop);
        let wire = self.wire(here, None).await.map_err(NotDialled::NoPort)?;
        let (events, received) = wire::leg_events();
        let finished = CancellationToken::new();
        let session = rand::random::<u64>() >> 2;
        let sound = SocketAddr::new(here, wire.port());
        let offered = Offered::with(keys);
        let (key, dtls) = (offered.key(), offered.dtls(&self.identity));
        let offer = Ours { here: sound, session, version: 1, key, suite: None, dtls };
        let mut invite = self.invite(route, from, &offer);
        invite.headers = Some(self.asks(0, replaces.as_ref()));
        let leg = Leg {
            events: received,
            line: Arc::new(RtpLine(wire.clone())),
            spoken: sdp::spoken(&phone_sdp::promised(self.first_codec())),
            transport: "sip-out",
            echoes: Echoes::Likely,
            ending: Ending::new(hang_up.clone(), self.tasks.spawn(finished.clone().cancelled_owned())),
        };
        let told = finished.clone().drop_guard();
        let line = OurLine {
            invite,
            replaces,
            connects: route.connects.then(|| route.hop.clone()),
            there: route.there,
            party: route.party.clone(),
            here: sound,
            session,
            offered,
            early: None,
            wire,
            events,
            hang_up,
            finished,
            _told: told,
            one_of: Some(one_of),
        };
        Ok((leg, line))
    }

    /// What stands in an INVITE of ours besides: what may be asked of us, how often we want to be told that the other side is there (`least`: as
    /// often as it can bear), and whose place it is to take.
    pub(super) fn asks(&self, least: u32, replaces: Option<&Replaces>) -> Vec<Header> {
        let mut headers = self.in_calls();
        headers.extend(wanted(self.settings.session, least));
        headers.extend(replaces.map(|replaces| Header::Replaces(replaces.to_string().into())));
        headers
    }

    /// One of a minute's calls is used up, whatever comes of it.
    pub(super) fn count_for_a_minute(&self, one: OwnedSemaphorePermit) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let _ = stop.run_until_cancelled(tokio::time::sleep(Duration::from_secs(60))).await;
            drop(one);
        });
    }

    fn invite(&self, route: &Route<'_>, from: Uri, ours: &Ours) -> InviteOption {
        let here = SocketAddr::new(ours.here.ip(), self.port(route.hop.way.transport()));
        let credential = route.trunk.and_then(|trunk| {
            let password = trunk.password.as_ref()?.reveal().to_owned();
            Some(Credential { username: trunk.ours.user.clone(), password, ..Credential::default() })
        });
        let hop = Target { sips: route.sips, ..route.hop.clone() };
        InviteOption {
            callee: route.callee.clone(),
            contact: address(from.user().unwrap_or("duologue"), here, &hop),
            caller: from,
            destination: Some(route.address()),
            content_type: Some("application/sdp".into()),
            offer: Some(phone_sdp::offer(ours, &self.settings.codecs).into_bytes()),
            credential,
            // An INVITE that is sent again after 422 has the same one (RFC 4028, section 7.3).
            call_id: Some(format!("{:032x}", rand::random::<u128>())),
            // Ringing that comes reliably is acknowledged by the stack (RFC 3262).
            support_prack: true,
            ..InviteOption::default()
        }
    }
}

/// Who calls: ourselves at the trunk, or a persona here, so that the number that is shown can be called back.
fn from(trunk: Option<&Trunk>, persona: &str, here: SocketAddr, hop: &Target) -> Uri {
    trunk
        .and_then(|trunk| Target { port: None, way: Way::Udp, sips: false, ..trunk.ours.clone() }.uri().ok())
        .unwrap_or_else(|| address(persona, here, hop))
}

pub(super) fn address(user: &str, at: SocketAddr, hop: &Target) -> Uri {
    let user: String = user.chars().filter(|c| c.is_ascii_alphanumeric() || "+-._".contains(*c)).collect();
    Uri {
        // RFC 3261, section 8.1.1.8: who is called by a sips address is told one. Some telephones (baresip 1.0.0) cannot call one back.
        scheme: Some(if hop.sips { Scheme::Sips } else { Scheme::Sip }),
        auth: Some(user.into()),
        host_with_port: HostWithPort { host: Host::IpAddr(at.ip()), port: Some(at.port().into()) },
        params: if hop.way == Way::Udp { Vec::new() } else { vec![Param::Transport(hop.way.transport())] },
        ..Uri::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_persona_s_name_is_an_address_whatever_is_in_it() {
        let at = "192.0.2.1:5060".parse().expect("an address");
        let of = |hop: &str| address("night \"porter\"<x>", at, &Target::read(hop).expect("an address")).to_string();
        assert_eq!(of("sip:a@x"), "sip:nightporterx@192.0.2.1:5060");
        assert_eq!(of("sips:a@x"), "sips:nightporterx@192.0.2.1:5060;transport=TLS");
    }
}
