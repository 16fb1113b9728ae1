//! How much one source may send: a window of a second each. Pure: the time is passed in.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Sources that are counted on their own at once; those beyond share one window. Some 64 bytes each.
const SOURCES_MOST: usize = 4_096;
const WINDOW: Duration = Duration::from_secs(1);

#[derive(Clone, Copy)]
struct Window {
    since: Instant,
    count: u32,
}

/// Counts what sources send.
pub(super) struct Floods {
    most: u32,
    within: Duration,
    windows: HashMap<IpAddr, Window>,
    others: Option<Window>,
}

impl Floods {
    /// `most` within a second from each source.
    pub fn new(most: u32) -> Self {
        Self::within(most, WINDOW)
    }

    /// `most` within this time from each source.
    pub fn within(most: u32, within: Duration) -> Self {
        Self { most, within, windows: HashMap::new(), others: None }
    }

    /// Whether as many came from there as may; counts none.
    pub fn is_over(&self, from: IpAddr, now: Instant) -> bool {
        let window = match self.windows.get(&source(from)) {
            None if self.windows.len() >= SOURCES_MOST => self.others.as_ref(),
            window => window,
        };
        let fresh = |window: &&Window| now.saturating_duration_since(window.since) < self.within;
        window.filter(fresh).is_some_and(|window| window.count >= self.most)
    }

    /// Counts one; false where it is too many.
    pub fn take(&mut self, from: IpAddr, now: Instant) -> bool {
        let (source, within) = (source(from), self.within);
        let fresh = |window: &Window| now.saturating_duration_since(window.since) < within;
        if !self.windows.contains_key(&source) && self.windows.len() >= SOURCES_MOST {
            self.windows.retain(|_, window| fresh(window));
        }
        let new = Window { since: now, count: 0 };
        let window = if self.windows.contains_key(&source) || self.windows.len() < SOURCES_MOST {
            self.windows.entry(source).or_insert(new)
        } else {
            self.others.get_or_insert(new)
        };
        if !fresh(window) {
            *window = new;
        }
        window.count = window.count.saturating_add(1);
        window.count <= self.most
    }
}

/// Who it is: whoever has one IPv6 address has 2^64 of them (RFC 6177).
pub(super) fn source(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() & !u128::from(u64::MAX)).into()),
        ip => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_has_its_own_second() {
        let start = Instant::now();
        let mut floods = Floods::new(2);
        let [anna, berta] = ["192.0.2.1", "192.0.2.2"].map(|ip| ip.parse::<IpAddr>().expect("an address"));
        let mut taken = |from, ms| floods.take(from, start + Duration::from_millis(ms));
        assert_eq!([taken(anna, 0), taken(anna, 500), taken(anna, 999)], [true, true, false]);
        assert!(taken(berta, 999), "the other one is not to blame");
        assert!(taken(anna, 1_000), "a new second");
    }

    #[test]
    fn who_changes_his_address_within_a_network_is_one_source() {
        let start = Instant::now();
        let mut floods = Floods::new(1);
        assert!(floods.take("2001:db8::1".parse().expect("an address"), start));
        assert!(!floods.take("2001:db8::2".parse().expect("an address"), start));
        assert!(floods.take("2001:db8:0:1::1".parse().expect("an address"), start));
        assert!(floods.take("::ffff:192.0.2.1".parse().expect("an address"), start));
        assert!(!floods.take("192.0.2.1".parse().expect("an address"), start), "the same one, written otherwise");
    }

    #[test]
    fn sources_without_end_cost_no_memory_without_end() {
        let start = Instant::now();
        let mut floods = Floods::new(1);
        let taken = (0..20_000_u32).filter(|n| floods.take(IpAddr::V4((*n).into()), start)).count();
        assert_eq!((taken, floods.windows.len()), (SOURCES_MOST + 1, SOURCES_MOST));
        assert!(floods.take(IpAddr::V4(20_000.into()), start + WINDOW), "and is over with the second");
        assert_eq!(floods.windows.len(), 1);
    }
}
