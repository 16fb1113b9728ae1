//! What is counted of the packets that come, for the reports that go back (RFC 3550, section 6.4.1 and appendix A).

use core::time::Duration;

/// A jump of so many numbers is a sender that began anew, not packets that are lost (appendix A.1 has 3,000).
const DROPOUT: u16 = 3_000;

/// Counts of one source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reception {
    source: Option<Source>,
}

#[derive(Clone, Debug, PartialEq)]
struct Source {
    ssrc: u32,
    /// The first number, and the highest with the rounds before it.
    first: u32,
    highest: u32,
    came: u32,
    /// Smoothed differences in transit, in units of the clock.
    jitter: f64,
    transit: u32,
    /// As it stood at the report before.
    expected_before: u32,
    came_before: u32,
}

/// One report block's counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    pub ssrc: u32,
    /// Lost since the report before, of 256.
    pub fraction_lost: u8,
    /// Lost in all; below zero where more came twice than were lost. 24 bits with a sign.
    pub total_lost: i32,
    /// The highest number, with the rounds of 16 bits before it.
    pub highest: u32,
    /// In units of the clock.
    pub jitter: u32,
}

impl Source {
    fn new(ssrc: u32, sequence: u16, transit: u32) -> Self {
        let first = u32::from(sequence);
        Self { ssrc, first, highest: first, came: 0, jitter: 0.0, transit, expected_before: 0, came_before: 0 }
    }

    const fn expected(&self) -> u32 {
        self.highest.wrapping_sub(self.first).wrapping_add(1)
    }
}

impl Reception {
    /// A packet has come, so long after anything that stays the same. `timestamp` is of this clock. Another source, or one whose numbers jump,
    /// begins anew.
    pub fn came(&mut self, ssrc: u32, sequence: u16, timestamp: u32, clock_hz: u32, at: Duration) {
        // Rounds of 32 bits cancel out in the difference of two of them.
        let arrived = (at.as_nanos() * u128::from(clock_hz) / 1_000_000_000) as u32;
        let transit = arrived.wrapping_sub(timestamp);
        let known = self.source.take().filter(|source| {
            let ahead = sequence.wrapping_sub(source.highest as u16);
            let behind = (source.highest as u16).wrapping_sub(sequence);
            source.ssrc == ssrc && (ahead < DROPOUT || behind < DROPOUT)
        });
        let source = self.source.insert(known.unwrap_or_else(|| Source::new(ssrc, sequence, transit)));
        let ahead = sequence.wrapping_sub(source.highest as u16);
        if ahead < DROPOUT {
            source.highest = source.highest.wrapping_add(u32::from(ahead));
        }
        source.came = source.came.wrapping_add(1);
        let differs = f64::from((transit.wrapping_sub(source.transit) as i32).unsigned_abs());
        // Appendix A.8. Of keys, and after a pause, the stamp stands still or leaps: a second is no jitter.
        if differs < f64::from(clock_hz) {
            source.jitter += (differs - source.jitter) / 16.0;
        }
        source.transit = transit;
    }

    /// What the next report says. `None`: nothing has come yet.
    pub fn report(&mut self) -> Option<Counted> {
        let source = self.source.as_mut()?;
        let (expected, came) = (source.expected(), source.came);
        let expected_since = expected.wrapping_sub(source.expected_before);
        let lost_since = i64::from(expected_since) - i64::from(came.wrapping_sub(source.came_before));
        (source.expected_before, source.came_before) = (expected, came);
        let fraction_lost =
            if lost_since > 0 { (lost_since * 256 / i64::from(expected_since)).min(255) as u8 } else { 0 };
        let total_lost = (i64::from(expected) - i64::from(came)).clamp(-0x80_0000, 0x7f_ffff) as i32;
        Some(Counted {
            ssrc: source.ssrc,
            fraction_lost,
            total_lost,
            highest: source.highest,
            jitter: source.jitter as u32,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets of 20 ms at 8 kHz with these numbers, each so many milliseconds late.
    fn come(reception: &mut Reception, packets: impl IntoIterator<Item = (u32, u64)>) {
        for (number, late_ms) in packets {
            let at = Duration::from_millis(u64::from(number) * 20 + late_ms);
            reception.came(7, number as u16, number.wrapping_mul(160), 8_000, at);
        }
    }

    #[test]
    fn losses_are_told_since_the_report_before_and_in_all() {
        let mut reception = Reception::default();
        assert_eq!(reception.report(), None);
        come(&mut reception, (0..100).filter(|n| n % 4 != 1).map(|n| (n, 0)));
        let report = reception.report().expect("a report");
        assert_eq!((report.fraction_lost, report.total_lost, report.highest, report.jitter), (64, 25, 99, 0));
        come(&mut reception, (100..200).map(|n| (n, 0)));
        let report = reception.report().expect("a report");
        assert_eq!((report.fraction_lost, report.total_lost, report.highest), (0, 25, 199));
        come(&mut reception, (190..200).map(|n| (n, 0)));
        assert_eq!(reception.report().expect("a report").total_lost, 15, "what comes twice counts against it");
    }

    #[test]
    fn numbers_begin_anew_after_sixteen_bits_and_late_ones_do_not_count_back() {
        let mut reception = Reception::default();
        come(&mut reception, [65_534, 65_535, 65_537, 65_536, 65_538].map(|n| (n, 0)));
        let report = reception.report().expect("a report");
        assert_eq!((report.total_lost, report.highest), (0, 65_538));
    }

    #[test]
    fn jitter_is_the_smoothed_difference_in_transit() {
        let mut reception = Reception::default();
        // Every other packet is 10 ms, 80 units, late: the difference is 80 each time.
        come(&mut reception, (0..200).map(|n| (n, u64::from(n % 2) * 10)));
        assert_eq!(reception.report().expect("a report").jitter, 79);
    }

    #[test]
    fn another_source_and_a_leap_begin_anew() {
        let mut reception = Reception::default();
        come(&mut reception, [(5, 0), (6, 0), (30_000, 0), (30_001, 0)]);
        assert_eq!(reception.report().map(|report| (report.total_lost, report.highest)), Some((0, 30_001)));
        reception.came(8, 1, 0, 8_000, Duration::ZERO);
        assert_eq!(reception.report().map(|report| (report.ssrc, report.total_lost)), Some((8, 0)));
    }
}
