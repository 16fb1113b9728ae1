//! How long packets have waited, as a distribution that a call of any length fits into.

use std::time::Duration;

/// Width of a step: percentiles are the upper edge of one.
const STEP_US: u64 = 5_000;
/// 0 to 1 s; what waited longer is in the last step.
const STEPS: usize = 200;

/// Waits of packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waits {
    steps: [u64; STEPS],
    count: u64,
    sum_us: u64,
    longest_us: u64,
}

impl Default for Waits {
    fn default() -> Self {
        Self { steps: [0; STEPS], count: 0, sum_us: 0, longest_us: 0 }
    }
}

impl Waits {
    pub(super) fn add(&mut self, wait: Duration) {
        let us = wait.as_micros() as u64;
        self.steps[((us / STEP_US) as usize).min(STEPS - 1)] += 1;
        self.count += 1;
        self.sum_us += us;
        self.longest_us = self.longest_us.max(us);
    }

    /// Packets that have waited.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// All waits together.
    pub const fn sum(&self) -> Duration {
        Duration::from_micros(self.sum_us)
    }

    /// In milliseconds; 0 where nothing has waited.
    pub fn mean_ms(&self) -> u32 {
        (self.sum_us / 1_000).checked_div(self.count).unwrap_or(0) as u32
    }

    /// In milliseconds, to 5 ms.
    pub fn p95_ms(&self) -> u32 {
        let wanted = (self.count * 95).div_ceil(100);
        let mut sum = 0;
        let reaches = |waits: &u64| {
            sum += waits;
            sum >= wanted
        };
        match self.steps.iter().position(reaches) {
            Some(step) if self.count > 0 => {
                ((step as u64 + 1) * STEP_US / 1_000).min(self.longest_us.div_ceil(1_000)) as u32
            }
            _ => 0,
        }
    }

    /// In milliseconds.
    pub const fn longest_ms(&self) -> u32 {
        (self.longest_us / 1_000) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_percentile_and_longest_are_those_of_the_waits() {
        assert_eq!((Waits::default().mean_ms(), Waits::default().p95_ms(), Waits::default().longest_ms()), (0, 0, 0));
        let mut waits = Waits::default();
        for ms in 0..100 {
            waits.add(Duration::from_millis(ms));
        }
        waits.add(Duration::from_secs(7));
        assert_eq!((waits.mean_ms(), waits.p95_ms(), waits.longest_ms()), (118, 100, 7_000));
        let mut even = Waits::default();
        (0..10).for_each(|_| even.add(Duration::from_millis(42)));
        assert_eq!((even.mean_ms(), even.p95_ms(), even.longest_ms()), (42, 42, 42));
    }
}
