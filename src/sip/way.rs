//! The way to whom the server calls: to an address that a line of `sip.outbound` names, or to a telephone that is registered here.

use std::net::{IpAddr, SocketAddr};

use rsipstack::sip::{HostWithPort, Transport, Uri};
use rsipstack::transport::SipAddr;

use super::phones::Reach;
use super::target::{Target, TargetFault, Trunk, USUAL_PORT};
use super::{Exchange, NotDialled};

/// Whom the server may call.
pub(super) enum Allowed<'a> {
    /// A telephone of `sip.phones`, by name.
    Phone(String),
    Address(Target, Option<&'a Trunk>),
}

/// How a call gets there.
pub(super) struct Way<'a> {
    pub callee: Uri,
    /// As memory names whom it knows.
    pub name: String,
    pub trunk: Option<&'a Trunk>,
    pub there: SocketAddr,
    pub transport: Transport,
}

impl Way<'_> {
    pub fn address(&self) -> SipAddr {
        SipAddr::new(self.transport, HostWithPort::from(self.there))
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

    /// Whether an address is this server's own: by number, with the port that it listens on.
    fn is_ours(&self, target: &Target) -> bool {
        let ip = target.host.trim_matches(['[', ']']).parse::<IpAddr>();
        let ours = |ip: IpAddr| ip == self.settings.listen.ip() || self.here(ip) == ip;
        target.port.unwrap_or(USUAL_PORT) == self.address.port() && ip.is_ok_and(ours)
    }

    pub(super) async fn way<'a>(&self, allowed: Allowed<'a>) -> Result<Way<'a>, NotDialled> {
        match allowed {
            Allowed::Phone(name) => {
                let (uri, reach) = self.phones.reach(&name).ok_or_else(|| NotDialled::NotRegistered(name.clone()))?;
                let callee = Uri::try_from(uri.as_str()).map_err(|_| TargetFault::Form(uri))?;
                let Reach { at, transport, .. } = reach;
                Ok(Way { callee, name, trunk: None, there: at, transport })
            }
            Allowed::Address(target, trunk) => {
                let hop = trunk.map_or(&target, |trunk| &trunk.ours);
                let there = self.find(hop).await?;
                let transport = if hop.tcp { Transport::Tcp } else { Transport::Udp };
                let callee = target.uri().map_err(|_| TargetFault::Form(target.to_string()))?;
                Ok(Way { callee, name: target.name(), trunk, there, transport })
            }
        }
    }
}
