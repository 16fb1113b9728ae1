//! Where telephones are: the bindings of a registrar (RFC 3261, section 10.3). Pure: the time is passed in, and what a telephone is
//! reached by (`R`) is for others to know.
//!
//! There is a place for each telephone that the configuration names and for no other, and each has a few contacts at the most: nothing
//! that comes over the network makes it larger.

use std::collections::BTreeMap;

/// Contacts of one telephone: a desk, a mobile, a computer, and one that moved.
pub const CONTACTS_MOST: usize = 4;
/// What a telephone that says nothing of it is kept for, seconds.
pub const USUAL_S: u32 = 3_600;
/// Longest `Call-ID` and contact address that is kept, bytes. Telephones have some 60.
pub const TEXT_MOST: usize = 512;

/// For how long telephones are kept, seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Who asks for less is told so (423).
    pub least_s: u32,
    /// Who asks for more gets this.
    pub longest_s: u32,
}

/// One address of a telephone's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// What makes it the same as another: user, host, port and transport.
    pub key: String,
    /// As the telephone wrote it.
    pub uri: String,
    /// For how long; `None`: as the request's `Expires` says. 0: not any more.
    pub expires_s: Option<u32>,
    /// How much it is preferred: 0 to 1000 (`q` of 0 to 1).
    pub preference: u16,
}

/// What a REGISTER asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Where it is.
    Query,
    /// That it is nowhere (`Contact: *`).
    Nowhere,
    These(Vec<Contact>),
}

/// A REGISTER of a telephone that has shown its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register<R> {
    pub call_id: String,
    pub cseq: u32,
    /// The `Expires` header.
    pub expires_s: Option<u32>,
    pub wish: Wish,
    /// How it is reached.
    pub reach: R,
}

/// Why nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindingFault {
    #[error("there is no such telephone")]
    NoSuchPhone,
    #[error("registrations are kept for {0} s at the least")]
    TooBrief(u32),
    #[error("\"Contact: *\" goes with Expires: 0, and with no other contact")]
    Star,
    #[error("a later request of this telephone has come already")]
    OutOfOrder,
    #[error("a telephone has {CONTACTS_MOST} contacts at the most")]
    TooMany,
    #[error("a Call-ID or a contact has more than {TEXT_MOST} bytes")]
    TooLong,
}

/// One address under which a telephone is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding<R> {
    pub contact: Contact,
    pub reach: R,
    /// On the clock that was passed in, seconds.
    pub until_s: u64,
    call_id: String,
    cseq: u32,
    /// Counts up with each REGISTER that is taken.
    order: u64,
}

impl<R> Binding<R> {
    /// What is left, seconds; at least 1 of one that holds.
    pub fn left_s(&self, now_s: u64) -> u64 {
        self.until_s.saturating_sub(now_s)
    }
}

/// All telephones, and where they are.
#[derive(Clone, Debug)]
pub struct Bindings<R> {
    phones: BTreeMap<String, Vec<Binding<R>>>,
    times: Times,
    taken: u64,
}

impl<R: Clone> Bindings<R> {
    /// Nobody is anywhere.
    pub fn new(names: impl IntoIterator<Item = String>, times: Times) -> Self {
        Self { phones: names.into_iter().map(|name| (name, Vec::new())).collect(), times, taken: 0 }
    }

    /// Whether there is a telephone of this name.
    pub fn knows(&self, name: &str) -> bool {
        self.phones.contains_key(name)
    }

    /// All telephones in the order of their names, with the contacts that hold, the preferred one first.
    pub fn all(&self, now_s: u64) -> impl Iterator<Item = (&str, Vec<&Binding<R>>)> {
        self.phones.keys().map(move |name| (name.as_str(), self.of(name, now_s)))
    }

    /// The contacts of a telephone that hold: the preferred one first, among equals the one that was told last.
    pub fn of(&self, name: &str, now_s: u64) -> Vec<&Binding<R>> {
        let mut hold: Vec<_> = self.phones.get(name).into_iter().flatten().filter(|it| it.until_s > now_s).collect();
        hold.sort_by_key(|it| std::cmp::Reverse((it.contact.preference, it.order)));
        hold
    }

    /// Does what a REGISTER asks for, all of it or nothing.
    ///
    /// # Errors
    /// When it is out of order, or asks for what is not given. Everything is as it was then.
    pub fn register(&mut self, name: &str, asked: Register<R>, now_s: u64) -> Result<(), BindingFault> {
        let times = self.times;
        let known = self.phones.get_mut(name).ok_or(BindingFault::NoSuchPhone)?;
        known.retain(|it| it.until_s > now_s);
        let Register { call_id, cseq, expires_s, wish, reach } = asked;
        if call_id.len() > TEXT_MOST {
            return Err(BindingFault::TooLong);
        }
        // Requests of one Call-ID are of one telephone, and in order; another one has begun anew (section 10.2).
        let late = |it: &Binding<R>| it.call_id == call_id && cseq <= it.cseq;
        let contacts = match wish {
            Wish::Query => return Ok(()),
            Wish::Nowhere if expires_s != Some(0) => return Err(BindingFault::Star),
            Wish::Nowhere if known.iter().any(late) => return Err(BindingFault::OutOfOrder),
            Wish::Nowhere => {
                known.clear();
                return Ok(());
            }
            Wish::These(contacts) if contacts.len() > CONTACTS_MOST => return Err(BindingFault::TooMany),
            Wish::These(contacts) => contacts,
        };
        let mut then = known.clone();
        for contact in contacts {
            if contact.uri.len() > TEXT_MOST || contact.key.len() > TEXT_MOST {
                return Err(BindingFault::TooLong);
            }
            let before = then.iter().position(|it| it.contact.key == contact.key);
            if before.is_some_and(|at| late(&then[at]) && known.iter().any(|it| it.contact.key == contact.key)) {
                return Err(BindingFault::OutOfOrder);
            }
            before.map(|at| then.remove(at));
            let for_s = contact.expires_s.or(expires_s).unwrap_or(USUAL_S);
            if for_s == 0 {
                continue;
            }
            if for_s < times.least_s {
                return Err(BindingFault::TooBrief(times.least_s));
            }
            self.taken += 1;
            let until_s = now_s + u64::from(for_s.min(times.longest_s));
            let (call_id, order) = (call_id.clone(), self.taken);
            then.push(Binding { contact, reach: reach.clone(), until_s, call_id, cseq, order });
        }
        // A telephone that has started anew under another port is not kept out by what it was before.
        then.sort_by_key(|it| it.order);
        then.drain(..then.len().saturating_sub(CONTACTS_MOST));
        *known = then;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TIMES: Times = Times { least_s: 60, longest_s: 7_200 };

    fn bindings() -> Bindings<u8> {
        Bindings::new(["101".to_owned(), "102".to_owned()], TIMES)
    }

    fn contact(key: &str, expires_s: Option<u32>) -> Contact {
        Contact { key: key.into(), uri: format!("sip:{key}"), expires_s, preference: 1_000 }
    }

    fn these(contacts: &[(&str, Option<u32>)]) -> Wish {
        Wish::These(contacts.iter().map(|(key, expires_s)| contact(key, *expires_s)).collect())
    }

    fn asked(call_id: &str, cseq: u32, expires_s: Option<u32>, wish: Wish) -> Register<u8> {
        Register { call_id: call_id.into(), cseq, expires_s, wish, reach: 7 }
    }

    fn left(bindings: &Bindings<u8>, now_s: u64) -> Vec<(String, u64)> {
        bindings.of("101", now_s).iter().map(|it| (it.contact.key.clone(), it.left_s(now_s))).collect()
    }

    #[test]
    fn a_telephone_is_there_until_its_time_is_over_or_it_leaves() {
        let mut it = bindings();
        it.register("101", asked("a", 1, Some(600), these(&[("x", None)])), 1_000).expect("taken");
        assert_eq!(left(&it, 1_599), [("x".to_owned(), 1)]);
        assert_eq!(left(&it, 1_600), []);
        it.register("101", asked("a", 2, Some(600), these(&[("x", Some(100))])), 1_500).expect("refreshed");
        assert_eq!(left(&it, 1_500), [("x".to_owned(), 100)], "its own time is more than the request's");
        it.register("101", asked("a", 3, None, Wish::Query), 1_500).expect("told");
        assert_eq!(left(&it, 1_500).len(), 1);
        it.register("101", asked("a", 4, Some(0), these(&[("x", None)])), 1_510).expect("removed");
        assert_eq!(left(&it, 1_510), []);
        assert_eq!(it.of("102", 1_000), Vec::<&Binding<u8>>::new(), "each telephone has its own");
    }

    #[test]
    fn times_are_bounded_and_the_usual_one_is_an_hour() {
        let mut it = bindings();
        let brief = it.register("101", asked("a", 1, Some(59), these(&[("x", None)])), 0);
        assert_eq!(brief, Err(BindingFault::TooBrief(60)));
        it.register("101", asked("a", 1, None, these(&[("x", None), ("y", Some(99_999))])), 0).expect("taken");
        assert_eq!(left(&it, 0), [("y".to_owned(), 7_200), ("x".to_owned(), 3_600)]);
    }

    #[test]
    fn what_is_late_changes_nothing_and_another_call_id_begins_anew() {
        let mut it = bindings();
        it.register("101", asked("a", 5, Some(600), these(&[("x", None)])), 0).expect("taken");
        for late in [4, 5] {
            let refused = it.register("101", asked("a", late, Some(0), these(&[("x", None)])), 1);
            assert_eq!(refused, Err(BindingFault::OutOfOrder));
            assert_eq!(it.register("101", asked("a", late, Some(0), Wish::Nowhere), 1), Err(BindingFault::OutOfOrder));
        }
        assert_eq!(left(&it, 1).len(), 1);
        it.register("101", asked("b", 1, Some(0), these(&[("x", None)])), 1).expect("another beginning");
        assert_eq!(left(&it, 1), []);
    }

    #[test]
    fn a_star_takes_all_away_and_stands_alone() {
        let mut it = bindings();
        it.register("101", asked("a", 1, Some(600), these(&[("x", None), ("y", None)])), 0).expect("taken");
        assert_eq!(it.register("101", asked("b", 1, Some(1), Wish::Nowhere), 0), Err(BindingFault::Star));
        assert_eq!(it.register("101", asked("b", 1, None, Wish::Nowhere), 0), Err(BindingFault::Star));
        it.register("101", asked("b", 1, Some(0), Wish::Nowhere), 0).expect("gone");
        assert_eq!(left(&it, 0), []);
    }

    #[test]
    fn all_of_a_request_is_done_or_nothing() {
        let mut it = bindings();
        it.register("101", asked("a", 1, Some(600), these(&[("x", None)])), 0).expect("taken");
        let mixed = these(&[("x", Some(0)), ("y", Some(600)), ("z", Some(5))]);
        assert_eq!(it.register("101", asked("a", 2, None, mixed), 0), Err(BindingFault::TooBrief(60)));
        assert_eq!(left(&it, 0), [("x".to_owned(), 600)]);
        let five: Vec<(&str, Option<u32>)> = ["1", "2", "3", "4", "5"].map(|key| (key, None)).into();
        assert_eq!(it.register("101", asked("a", 2, None, these(&five)), 0), Err(BindingFault::TooMany));
        assert_eq!(it.register("103", asked("a", 2, None, Wish::Query), 0), Err(BindingFault::NoSuchPhone));
    }

    #[test]
    fn the_preferred_contact_is_first_and_the_oldest_makes_room() {
        let mut it = bindings();
        let low = Contact { preference: 100, ..contact("low", None) };
        it.register("101", asked("l", 1, None, Wish::These(vec![low])), 0).expect("taken");
        for key in ["1", "2", "3"] {
            it.register("101", asked(key, 1, None, these(&[(key, None)])), 0).expect("taken");
        }
        let keys = |it: &Bindings<u8>| left(it, 0).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        assert_eq!(keys(&it), ["3", "2", "1", "low"]);
        it.register("101", asked("4", 1, None, these(&[("4", None)])), 0).expect("taken");
        assert_eq!(keys(&it), ["4", "3", "2", "1"]);
    }

    proptest! {
        #[test]
        fn whatever_comes_there_are_a_few_contacts_of_known_telephones(
            asks in prop::collection::vec((0..3u8, 0..4u8, 0..5u32, 0..9u8, prop::option::of(0..9_000u32), 0..500u64), 0..60)
        ) {
            let (mut it, mut now_s) = (bindings(), 0);
            for (phone, call, cseq, key, expires_s, later) in asks {
                now_s += later;
                let wish = match key {
                    0 => Wish::Nowhere,
                    1 => Wish::Query,
                    key => these(&[(&key.to_string(), None), (&(key + 1).to_string(), expires_s)]),
                };
                let name = ["101", "102", "103"][usize::from(phone)];
                let before = left(&it, now_s);
                let done = it.register(name, asked(&call.to_string(), cseq, expires_s, wish), now_s);
                prop_assert!(done.is_ok() || before == left(&it, now_s));
                prop_assert!(it.all(now_s).count() == 2);
                for (_, held) in it.all(now_s) {
                    prop_assert!(held.len() <= CONTACTS_MOST);
                    prop_assert!(held.iter().all(|one| one.left_s(now_s) <= u64::from(TIMES.longest_s)));
                }
            }
        }
    }
}
