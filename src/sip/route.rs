//! The way to whom the server calls: to an address that a line of `sip.outbound` names, or to a telephone that is registered here.

use std::net::{IpAddr, SocketAddr};

use rsipstack::sip::{HostWithPort, Transport, Uri};
use rsipstack::transport::SipAddr;

use super::outbound::{Keys, Trunk};
use super::party::Party;
use super::phones::Reach;
use super::target::{Target, TargetFault, Way};
use super::{Exchange, NotDialled};

/// Whom the server may call.
pub(super) enum Allowed<'a> {
    /// A telephone of `sip.phones`, by name.
    Phone(String),
    Address(Target, Option<&'a Trunk>),
}

/// How a call gets there.
pub(super) struct Route<'a> {
    pub callee: Uri,
    /// As memory names whom it knows.
    pub name: String,
    pub trunk: Option<&'a Trunk>,
    /// Who that is, for what the configuration says of him.
    pub party: Party,
    /// To whom it is sent first.
    pub hop: Target,
    pub there: SocketAddr,
    /// Whether a connection may have to be made; a registered telephone has made its own.
    pub connects: bool,
    /// The callee's address wants TLS on every hop.
    pub sips: bool,
}

impl Route<'_> {
    pub fn address(&self) -> SipAddr {
        SipAddr::new(self.hop.way.transport(), HostWithPort::from(self.there))
    }
}

impl Exchange {
    /// Whom `phone:NAME` or `sip:user@host` means, where the server may call there.
    pub(super) fn allowed(&self, to: &str) -> Result<Allowed<'_>, NotDialled> {
        if let Some(name) = to.trim().strip_prefix("phone:") {
            let known = self.phones.knows(name);
            let name: String = name.chars().take(80).collect();
            return if known { Ok(Allowed::Phone(name)) } else { Err(NotDialled::NoSuchPhone(name)) };
        }
        let target = Target::read(to)?;
        if self.is_ours(&target) && self.phones.knows(&target.user) {
            return Ok(Allowed::Phone(target.user));
        }
        match self.settings.outbound.way(&target) {
            Some(trunk) => Ok(Allowed::Address(target, trunk)),
            None => Err(NotDialled::NotAllowed(target)),
        }
    }

    /// Where the keys of the sound are to come from, where it is offered protected.
    ///
    /// # Errors
    /// Where they would stand in an SDP that whoever is on the way can read. A telephone says with each registration how it is reached.
    pub(super) fn keys(&self, route: &Route<'_>) -> Result<Option<Keys>, NotDialled> {
        let settings = &self.settings;
        let of_trunk = route.trunk.and_then(|trunk| trunk.protects);
        let said = || settings.protects.iter().find(|(who, _)| who.is(&route.party)).map(|(_, keys)| *keys);
        let keys = of_trunk.or_else(said);
        if keys == Some(Keys::Sdes) && route.hop.way != Way::Tls && !settings.srtp_in_clear {
            return Err(NotDialled::KeysInClear(route.name.clone()));
        }
        Ok(keys)
    }

    /// Whether an address is this server's own: by number, with the port that it listens on.
    pub(super) fn is_ours(&self, target: &Target) -> bool {
        let ip = target.host.trim_matches(['[', ']']).parse::<IpAddr>();
        let ours = |ip: IpAddr| ip == self.settings.listen.ip() || self.here(ip) == ip;
        target.place().1 == self.port(target.way.transport()) && ip.is_ok_and(ours)
    }

    pub(super) async fn route<'a>(&self, allowed: Allowed<'a>) -> Result<Route<'a>, NotDialled> {
        match allowed {
            Allowed::Phone(name) => {
                let (uri, reach) = self.phones.reach(&name).ok_or_else(|| NotDialled::NotRegistered(name.clone()))?;
                let callee = Uri::try_from(uri.as_str()).map_err(|_| TargetFault::Form(uri))?;
                let Reach { at, transport, .. } = reach;
                let way = match transport {
                    Transport::Tls => Way::Tls,
                    Transport::Tcp => Way::Tcp,
                    _ => Way::Udp,
                };
                let host = HostWithPort::from(at).host.to_string();
                let hop = Target { user: name.clone(), host, port: Some(at.port()), way, sips: false };
                let party = Party::Phone(name.clone());
                Ok(Route { callee, name, trunk: None, party, hop, there: at, connects: false, sips: false })
            }
            Allowed::Address(target, trunk) => {
                let hop = trunk.map_or(&target, |trunk| &trunk.ours).clone();
                let there = self.find(&hop).await?;
                let callee = target.uri().map_err(|_| TargetFault::Form(target.to_string()))?;
                let (name, sips) = (target.name(), target.sips);
                let party = trunk.map_or(Party::Address(target), |trunk| Party::Trunk(trunk.name.clone()));
                Ok(Route { callee, name, trunk, party, hop, there, connects: true, sips })
            }
        }
    }
}
