//! Whom the server may call: the rules that allow addresses, and the trunks that calls go through. Nothing is allowed that no rule names,
//! because a call costs whoever makes it.

use super::target::{Target, TargetFault, Way, host_and_port};
use crate::config::Secret;

/// A way out that asks for a name and a password: an exchange or a provider.
#[derive(Clone, Debug)]
pub struct Trunk {
    pub name: String,
    /// Our own address there; calls go to its host.
    pub ours: Target,
    pub password: Option<Secret>,
    /// It is told where to call us.
    pub registers: bool,
    /// Calls through it are offered protected sound (SRTP), and not held in the clear. `None`: as they come.
    pub protects: Option<Keys>,
}

/// Where the keys of protected sound come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// They stand in the SDP (RFC 4568).
    Sdes,
    /// They are agreed on with the other side itself (RFC 5763).
    Dtls,
}

/// A line of `sip.srtp`: to whom sound is offered protected, and with keys from where.
pub(super) fn keys_of(line: &str) -> Result<(&str, Keys), TargetFault> {
    match line.rsplit_once('=').map(|(name, keys)| (name.trim(), keys.trim())) {
        None => Ok((line.trim(), Keys::Sdes)),
        Some((name, "sdes")) => Ok((name, Keys::Sdes)),
        Some((name, "dtls")) => Ok((name, Keys::Dtls)),
        Some(_) => Err(TargetFault::Keys(line.to_owned())),
    }
}

/// One line of `sip.outbound`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    user: String,
    host: String,
    port: Ports,
    trunk: Option<usize>,
}

/// Which ports of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ports {
    /// SIP's own.
    Usual,
    This(u16),
    Any,
}

impl Rule {
    pub(super) fn read(line: &str, trunks: &[Trunk]) -> Result<Self, TargetFault> {
        let fault = || TargetFault::Rule(line.to_owned());
        let words: Vec<&str> = line.split_whitespace().collect();
        let (address, trunk) = match words.as_slice() {
            [address] => (*address, None),
            [address, "via", name] => {
                let trunk = trunks.iter().position(|trunk| trunk.name == *name);
                (*address, Some(trunk.ok_or_else(|| TargetFault::NoTrunk((*name).to_owned()))?))
            }
            _ => return Err(fault()),
        };
        let address = ["sip:", "sips:"].iter().find_map(|scheme| address.strip_prefix(scheme)).unwrap_or(address);
        let (user, host) = address.split_once('@').filter(|(user, _)| !user.is_empty()).ok_or_else(fault)?;
        let (host, port) = host_and_port(host).ok_or_else(fault)?;
        let port = match port {
            Some("*") => Ports::Any,
            Some(port) => Ports::This(port.parse().map_err(|_| fault())?),
            None => Ports::Usual,
        };
        Ok(Self { user: user.to_owned(), host, port, trunk })
    }

    pub(super) fn allows(&self, target: &Target) -> bool {
        fits(&self.user, &target.user)
            && fits(&self.host, &target.host)
            && match self.port {
                Ports::Usual => target.port() == target.way.usual_port(),
                Ports::This(port) => target.port() == port,
                Ports::Any => true,
            }
    }
}

/// Whether a text has this form; `*` stands for any letters, none too. Linear in both but for one retry a star.
pub(super) fn fits(form: &str, text: &str) -> bool {
    let mut parts = form.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Whom the server may call, and through what.
#[derive(Clone, Debug, Default)]
pub struct Outbound {
    rules: Vec<Rule>,
    trunks: Vec<Trunk>,
}

impl Outbound {
    /// # Errors
    /// The first line that cannot be read.
    pub fn read(rules: &[String], trunks: Vec<(String, Option<Secret>)>) -> Result<Self, TargetFault> {
        let mut read = Vec::with_capacity(trunks.len());
        for (line, password) in trunks {
            let fault = || TargetFault::Trunk(line.clone());
            let mut words = line.split_whitespace();
            let (name, ours) = words.next().and_then(|word| word.split_once('=')).ok_or_else(fault)?;
            // The second word was the password's; there is no third, and no second trunk of that name.
            if words.nth(1).is_some() || name.is_empty() || read.iter().any(|trunk: &Trunk| trunk.name == name) {
                return Err(fault());
            }
            read.push(Trunk {
                name: name.to_owned(),
                ours: Target::read(ours)?,
                password,
                registers: false,
                protects: None,
            });
        }
        let rules = rules.iter().map(|line| Rule::read(line, &read)).collect::<Result<_, _>>()?;
        Ok(Self { rules, trunks: read })
    }

    /// Whether it may be called: the first rule that names it. `Some(None)`: without a trunk.
    pub fn way(&self, target: &Target) -> Option<Option<&Trunk>> {
        // A star in a host is a rule's alone.
        let rule = self.rules.iter().find(|rule| rule.allows(target)).filter(|_| !target.host.contains('*'))?;
        Some(rule.trunk.and_then(|trunk| self.trunks.get(trunk)))
    }

    /// The trunk of this name.
    pub(super) fn trunk(&self, name: &str) -> Option<&Trunk> {
        self.trunks.iter().find(|trunk| trunk.name == name)
    }

    /// Has us registered with these trunks.
    ///
    /// # Errors
    /// The first name that is no trunk's.
    pub fn register(mut self, names: &[String]) -> Result<Self, TargetFault> {
        for name in names {
            let trunk = self.trunks.iter_mut().find(|trunk| trunk.name == *name);
            trunk.ok_or_else(|| TargetFault::NoTrunk(name.clone()))?.registers = true;
        }
        Ok(self)
    }

    /// Has these trunks offered protected sound: NAME or NAME=sdes, or NAME=dtls.
    ///
    /// # Errors
    /// The first line that names no trunk or no such way, or the trunk to which keys would go in the clear, where they may not.
    pub fn protect(mut self, lines: &[String], in_clear: bool) -> Result<Self, TargetFault> {
        for line in lines {
            let (name, keys) = keys_of(line)?;
            let trunk = self.trunks.iter_mut().find(|trunk| trunk.name == name);
            let trunk = trunk.ok_or_else(|| TargetFault::NoTrunk(name.to_owned()))?;
            if keys == Keys::Sdes && trunk.ours.way != Way::Tls && !in_clear {
                return Err(TargetFault::KeysInClear(name.to_owned()));
            }
            if trunk.protects.replace(keys).is_some_and(|before| before != keys) {
                return Err(TargetFault::Keys(line.clone()));
            }
        }
        Ok(self)
    }

    /// The trunks that we are to be registered with.
    pub fn registered(&self) -> impl Iterator<Item = &Trunk> {
        self.trunks.iter().filter(|trunk| trunk.registers)
    }

    /// Whether a trunk is reached over TLS.
    pub fn has_secured_trunk(&self) -> bool {
        self.trunks.iter().any(|trunk| trunk.ours.way == Way::Tls)
    }

    /// How many rules there are.
    pub fn rules(&self) -> usize {
        self.rules.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbound(rules: &[&str]) -> Outbound {
        let rules: Vec<String> = rules.iter().map(|rule| (*rule).to_owned()).collect();
        let trunk = ("office=sip:4711@pbx.example.org OFFICE_PASSWORD".to_owned(), Some(Secret::of("x")));
        Outbound::read(&rules, vec![trunk]).expect("rules")
    }

    fn may(outbound: &Outbound, to: &str) -> Option<Option<String>> {
        outbound.way(&Target::read(to).expect("an address")).map(|trunk| trunk.map(|trunk| trunk.name.clone()))
    }

    #[test]
    fn nobody_is_called_whom_no_rule_names() {
        assert_eq!(may(&outbound(&[]), "sip:anna@127.0.0.1"), None);
        let house = outbound(&["anna@127.0.0.1", "+4930*@pbx.example.org via office", "*@*.phones.example.org:*"]);
        assert_eq!(may(&house, "sip:anna@127.0.0.1"), Some(None));
        assert_eq!(may(&house, "sip:anna@127.0.0.1:5060;transport=tcp"), Some(None));
        assert_eq!(may(&house, "sip:anna@127.0.0.1:9"), None, "another program's port");
        assert_eq!(may(&house, "sip:annabel@127.0.0.1"), None);
        assert_eq!(may(&house, "sip:+49301234@pbx.example.org"), Some(Some("office".into())));
        assert_eq!(may(&house, "sip:+4930@PBX.example.org"), Some(Some("office".into())));
        assert_eq!(may(&house, "sip:+882161234@pbx.example.org"), None, "a satellite");
        assert_eq!(may(&house, "sip:x@a.phones.example.org:7070"), Some(None));
        assert_eq!(may(&house, "sip:x@phones.example.org.evil.example"), None);
    }

    #[test]
    fn a_line_without_a_port_means_the_usual_one_of_the_way() {
        let house = outbound(&["anna@x", "bert@x:5060"]);
        assert_eq!(may(&house, "sips:anna@x"), Some(None), "TLS's own port");
        assert_eq!(may(&house, "sip:anna@x:5061"), None, "which is not SIP's over UDP");
        assert_eq!(may(&house, "sips:bert@x"), None);
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        let read = |rule: &str| Outbound::read(&[rule.to_owned()], Vec::new()).map(|_| ());
        assert_eq!(read("anna"), Err(TargetFault::Rule("anna".into())));
        assert_eq!(read("a@b through office"), Err(TargetFault::Rule("a@b through office".into())));
        assert_eq!(read("a@b via office"), Err(TargetFault::NoTrunk("office".into())));
        for bad in ["office", "office=sip:1@b SECRET register"] {
            let trunk = Outbound::read(&[], vec![(bad.into(), None)]).map(|_| ());
            assert_eq!(trunk, Err(TargetFault::Trunk(bad.into())));
        }
        let twice = vec![("a=sip:1@b".into(), None), ("a=sip:2@b".into(), None)];
        assert!(Outbound::read(&[], twice).is_err());
    }

    #[test]
    fn only_a_trunk_can_be_registered_with() {
        let office = outbound(&[]).register(&["office".into()]).expect("a trunk");
        assert_eq!(office.registered().map(|trunk| trunk.ours.user.as_str()).collect::<Vec<_>>(), ["4711"]);
        assert_eq!(office.register(&["home".into()]).map(|_| ()), Err(TargetFault::NoTrunk("home".into())));
        assert_eq!(outbound(&[]).registered().count(), 0);
    }

    #[test]
    fn keys_for_the_sound_go_over_tls_unless_it_is_said_that_they_need_not() {
        let names = ["office".to_owned()];
        let clear = TargetFault::KeysInClear("office".into());
        assert_eq!(outbound(&[]).protect(&names, false).map(|_| ()), Err(clear));
        assert!(outbound(&[]).protect(&names, true).is_ok());
        assert_eq!(outbound(&[]).protect(&["x".into()], true).map(|_| ()), Err(TargetFault::NoTrunk("x".into())));
        let trunk = ("office=sips:4711@pbx.example.org".to_owned(), None);
        let secured = Outbound::read(&[], vec![trunk]).and_then(|outbound| outbound.protect(&names, false));
        assert!(secured.is_ok_and(|outbound| outbound.has_secured_trunk()));
    }

    #[test]
    fn keys_come_from_the_sdp_or_over_dtls_as_it_is_said_once_for_each_trunk() {
        let keys = |lines: &[&str]| {
            let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            outbound(&[]).protect(&lines, false).map(|outbound| outbound.trunks[0].protects)
        };
        assert_eq!(keys(&[]), Ok(None));
        // Nobody on the way can read those, whatever the call travels over.
        assert_eq!(keys(&["office=dtls"]), Ok(Some(Keys::Dtls)));
        assert_eq!(keys(&["office = dtls", "office=dtls"]), Ok(Some(Keys::Dtls)));
        assert_eq!(keys(&["office=sdes"]), Err(TargetFault::KeysInClear("office".into())));
        assert_eq!(keys(&["office=zrtp"]), Err(TargetFault::Keys("office=zrtp".into())));
        assert_eq!(keys(&["home=dtls"]), Err(TargetFault::NoTrunk("home".into())));
        let both = outbound(&[]).protect(&["office=sdes".into(), "office=dtls".into()], true).map(|_| ());
        assert_eq!(both, Err(TargetFault::Keys("office=dtls".into())));
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (form, text, is) in [
            ("*", "", true),
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c", "acd", false),
            ("a*b*c", "axbxc", true),
            ("a*a", "a", false),
            ("abc", "abcd", false),
        ] {
            assert_eq!(fits(form, text), is, "{form} {text}");
        }
    }
}
