//! Addresses that can be called.

use std::fmt;

use rsipstack::sip::{Param, Transport, Uri};

/// Longest user part: E.164 has 15 digits, a name in an exchange some 60 letters.
const USER_MOST: usize = 128;
/// Longest host name (RFC 1035, section 2.3.4).
const HOST_MOST: usize = 253;

/// SIP's own port without TLS (RFC 3261, section 19.1.2).
pub(super) const USUAL_PORT: u16 = 5_060;

/// How a request travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Udp,
    Tcp,
    Tls,
}

impl Way {
    /// SIP's own ports (RFC 3261, section 19.1.2).
    pub(super) const fn usual_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => USUAL_PORT,
            Self::Tls => 5_061,
        }
    }

    /// As the stack names it.
    pub(super) const fn transport(self) -> Transport {
        match self {
            Self::Udp => Transport::Udp,
            Self::Tcp => Transport::Tcp,
            Self::Tls => Transport::Tls,
        }
    }
}

/// Why an address or a rule cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetFault {
    #[error(
        "'{0}' is no address to call: it is written sip:user@host or sips:user@host, with a port, ;transport=tcp or ;transport=tls behind it"
    )]
    Form(String),
    #[error(
        "'{0}' is no rule: it is written user@host, user@host:port or user@host:*, with \"via TRUNK\" behind it where calls go through one"
    )]
    Rule(String),
    #[error("'{0}' is no trunk: it is written NAME=sip:user@host VARIABLE")]
    Trunk(String),
    #[error("there is no trunk '{0}' in sip.trunks")]
    NoTrunk(String),
    #[error(
        "trunk '{0}' stands in sip.srtp and is not called over TLS, so that the keys of the sound would be read on the way: write \"{0}=dtls\", or sips: in its address, or set sip.srtp_in_clear = true"
    )]
    KeysInClear(String),
    #[error(
        "'{0}' in sip.srtp is nobody with his keys: it is written NAME, NAME=sdes or NAME=dtls, once for each trunk, with phone:NAME or user@host in place of a trunk's name"
    )]
    Keys(String),
    #[error(
        "'{0}' names nobody who is there: it is written phone:NAME, user:NAME, NAME of a trunk, or user@host as in sip.outbound"
    )]
    Who(String),
}

/// Where a call is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub user: String,
    /// In small letters; an IPv6 address in its brackets.
    pub host: String,
    pub port: Option<u16>,
    pub way: Way,
    /// Written with `sips:`, which wants TLS on every further hop as well (RFC 3261, section 26.2.2).
    pub sips: bool,
}

impl Target {
    /// Reads an address as a person writes it. What could carry anything but a user, a host, a port and the transport (headers,
    /// passwords, escapes) is no address here.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(text: &str) -> Result<Self, TargetFault> {
        let fault = || TargetFault::Form(text.chars().take(80).collect());
        let (scheme, rest) = text.trim().split_once(':').ok_or_else(fault)?;
        let sips = match scheme {
            "sip" => false,
            "sips" => true,
            _ => return Err(fault()),
        };
        let (address, param) = rest.split_once(';').map_or((rest, None), |(address, param)| (address, Some(param)));
        // With sips, "tcp" is the standard's word for TLS over it.
        let way = match (sips, param.map(str::to_ascii_lowercase).as_deref()) {
            (false, None | Some("transport=udp")) => Way::Udp,
            (false, Some("transport=tcp")) => Way::Tcp,
            (false, Some("transport=tls")) | (true, None | Some("transport=tls" | "transport=tcp")) => Way::Tls,
            _ => return Err(fault()),
        };
        let (user, host) = address.split_once('@').ok_or_else(fault)?;
        let user_ok = |c: char| c.is_ascii_alphanumeric() || "+*-._~!$&'()=".contains(c);
        if user.is_empty() || user.len() > USER_MOST || !user.chars().all(user_ok) {
            return Err(fault());
        }
        let (host, port) = host_and_port(host).ok_or_else(fault)?;
        let port = port.map(str::parse).transpose().map_err(|_| fault())?;
        if port == Some(0) {
            return Err(fault());
        }
        Ok(Self { user: user.to_owned(), host, port, way, sips })
    }

    /// The address as the stack has it.
    pub(super) fn uri(&self) -> Result<Uri, rsipstack::sip::Error> {
        let mut uri = Uri::try_from(self.to_string().as_str())?;
        // The stack knows the way by this alone.
        if self.sips {
            uri.params.push(Param::Transport(Transport::Tls));
        }
        Ok(uri)
    }

    /// As memory names whom it knows.
    pub fn name(&self) -> String {
        format!("{}@{}", self.user, self.host)
    }

    /// As a look-up wants it.
    pub(super) fn place(&self) -> (&str, u16) {
        (self.host.trim_matches(['[', ']']), self.port())
    }

    pub(super) fn port(&self) -> u16 {
        self.port.unwrap_or(self.way.usual_port())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}@{}", if self.sips { "sips" } else { "sip" }, self.user, self.host)?;
        if let Some(port) = self.port {
            write!(out, ":{port}")?;
        }
        match self.way {
            Way::Tcp => out.write_str(";transport=tcp"),
            Way::Tls if !self.sips => out.write_str(";transport=tls"),
            Way::Udp | Way::Tls => Ok(()),
        }
    }
}

/// A host in small letters, and what stands behind its colon.
pub(super) fn host_and_port(text: &str) -> Option<(String, Option<&str>)> {
    let end = if text.starts_with('[') { text.find(']')? + 1 } else { text.find(':').unwrap_or(text.len()) };
    let (host, rest) = text.split_at(end);
    let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) };
    let name_ok = |c: char| c.is_ascii_alphanumeric() || "-.*".contains(c);
    let known = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(ip) => ip.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.len() <= HOST_MOST && host.chars().all(name_ok),
    };
    known.then(|| (host.to_ascii_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_nothing_in_it_but_an_address() {
        for bad in [
            "anna@x",
            "sips:anna@x;transport=udp",
            "sip:anna@x;transport=ws",
            "tel:123",
            "sip:x",
            "sip:@x",
            "sip:a@",
            "sip:a@x?Replaces=1",
            "sip:a:secret@x",
            "sip:a@x;maddr=evil",
            "sip:a@x\r\nEvil: 1",
            "sip:a b@x",
            "sip:a@x:0",
            "sip:a@x:99999",
            "sip:a@[::zz]",
            "sip:a%40b@x",
        ] {
            assert!(Target::read(bad).is_err(), "{bad}");
        }
        let target = Target::read(" sip:Anna@Example.ORG:5070;transport=TCP ").expect("an address");
        assert_eq!(target.to_string(), "sip:Anna@example.org:5070;transport=tcp");
        assert_eq!(Target::read("sip:a@[::1]:7").expect("an address").place(), ("::1", 7));
    }

    #[test]
    fn tls_is_asked_for_in_either_way_and_has_a_port_of_its_own() {
        for (written, shown, stack) in [
            ("sips:a@x", "sips:a@x", "sips:a@x;transport=TLS"),
            ("sips:a@x;transport=tcp", "sips:a@x", "sips:a@x;transport=TLS"),
            ("sip:a@x;transport=TLS", "sip:a@x;transport=tls", "sip:a@x;transport=TLS"),
        ] {
            let target = Target::read(written).expect("an address");
            assert_eq!((target.way, target.place()), (Way::Tls, ("x", 5_061)), "{written}");
            assert_eq!(target.to_string(), shown);
            assert_eq!(target.uri().expect("an address").to_string(), stack);
        }
    }
}
