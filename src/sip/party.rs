//! Who the other side of a call is, as far as that was proved, and how a line of the configuration names somebody.

use super::outbound::{Keys, Outbound, Rule, fits, keys_of};
use super::target::{Target, TargetFault};

/// The other side of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Party {
    /// Nobody who has shown who he is.
    Stranger,
    /// One of `sip.phones`, by its password, or called where it has registered from.
    Phone(String),
    /// One of `sip.users`, by his password.
    User(String),
    /// One of `sip.trunks`: it calls us where it is registered with, or is called through.
    Trunk(String),
    /// Called at this address, through no trunk.
    Address(Target),
}

/// As a line of the configuration names one or more of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Phone(String),
    User(String),
    Trunk(String),
    Address(Rule),
}

/// Who there is to be named.
pub(super) struct Directory<'a> {
    pub(super) outbound: &'a Outbound,
    pub(super) phones: &'a [String],
    pub(super) is_user: &'a dyn Fn(&str) -> bool,
}

impl Who {
    /// `phone:NAME` and `user:NAME`, in which `*` stands for any letters; the name of a trunk; `user@host` as in `sip.outbound`.
    ///
    /// # Errors
    /// When it is none of these, or there is nobody of that name.
    pub(super) fn read(line: &str, of: &Directory<'_>) -> Result<Self, TargetFault> {
        let nobody = || TargetFault::Who(line.to_owned());
        let there = |name: &str, is: &dyn Fn(&str) -> bool| {
            if !name.is_empty() && (name.contains('*') || is(name)) { Ok(name.to_owned()) } else { Err(nobody()) }
        };
        match line.split_once(':') {
            Some(("phone", name)) => there(name, &|name| of.phones.iter().any(|phone| phone == name)).map(Self::Phone),
            Some(("user", name)) => there(name, of.is_user).map(Self::User),
            _ if line.contains('@') => Rule::read(line, &[]).map(Self::Address).map_err(|_| nobody()),
            _ => of.outbound.trunk(line).map(|trunk| Self::Trunk(trunk.name.clone())).ok_or_else(nobody),
        }
    }

    pub(super) fn is(&self, party: &Party) -> bool {
        match (self, party) {
            (Self::Phone(form), Party::Phone(name)) | (Self::User(form), Party::User(name)) => fits(form, name),
            (Self::Trunk(trunk), Party::Trunk(name)) => trunk == name,
            (Self::Address(rule), Party::Address(target)) => rule.allows(target),
            _ => false,
        }
    }
}

/// To whom sound is offered protected beside the trunks: lines of `sip.srtp`. Of several that name somebody the first counts.
///
/// # Errors
/// The first line that names nobody whom the server could call.
pub(super) fn protected(lines: &[String], of: &Directory<'_>) -> Result<Vec<(Who, Keys)>, TargetFault> {
    let read = |line: &String| {
        let (name, keys) = keys_of(line)?;
        match Who::read(name, of)? {
            Who::User(_) => Err(TargetFault::Keys(line.clone())),
            who => Ok((who, keys)),
        }
    };
    lines.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn among<T>(read: impl FnOnce(&Directory<'_>) -> T) -> T {
        let outbound = Outbound::read(&[], vec![("office=sip:4711@pbx.example.org".into(), None)]).expect("a trunk");
        let phones = ["101".to_owned()];
        read(&Directory { outbound: &outbound, phones: &phones, is_user: &|name| name == "anna" })
    }

    fn read(line: &str) -> Result<Who, TargetFault> {
        among(|there| Who::read(line, there))
    }

    #[test]
    fn keys_are_offered_to_whom_the_server_calls() {
        let of = |line: &str| among(|there| protected(&[line.to_owned()], there));
        assert_eq!(of("phone:101"), Ok(vec![(Who::Phone("101".into()), Keys::Sdes)]));
        assert_eq!(of("phone:* = dtls"), Ok(vec![(Who::Phone("*".into()), Keys::Dtls)]));
        assert!(of("*@192.0.2.7:*=sdes").is_ok_and(|read| read[0].1 == Keys::Sdes));
        assert_eq!(of("phone:102=dtls"), Err(TargetFault::Who("phone:102".into())));
        for wrong in ["user:anna=dtls", "phone:101=zrtp"] {
            assert_eq!(of(wrong), Err(TargetFault::Keys(wrong.into())));
        }
    }

    #[test]
    fn a_line_names_those_who_are_there() {
        let target = |at: &str| Party::Address(Target::read(at).expect("an address"));
        let phone = |name: &str| Party::Phone(name.to_owned());
        let user = |name: &str| Party::User(name.to_owned());
        for (line, is, is_not) in [
            ("phone:101", phone("101"), phone("102")),
            ("phone:*", phone("102"), user("102")),
            ("user:anna", user("anna"), Party::Stranger),
            ("office", Party::Trunk("office".into()), phone("office")),
            ("*@192.0.2.7", target("sip:desk@192.0.2.7"), target("sip:desk@192.0.2.7:5070")),
        ] {
            let who = read(line).unwrap_or_else(|fault| panic!("{fault}"));
            assert!(who.is(&is) && !who.is(&is_not), "{line}");
        }
    }

    #[test]
    fn a_line_that_names_nobody_is_named() {
        for line in ["phone:102", "phone:", "user:101", "home", "101", "", "a@b via office", "tel:1"] {
            assert_eq!(read(line), Err(TargetFault::Who(line.into())));
        }
    }
}
