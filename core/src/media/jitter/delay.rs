//! How unevenly packets arrive, and how long to hold them back for it.

use std::time::Duration;

use super::drift::Drift;
use crate::time::CallTime;

/// Share of the packets that should be there in time.
const QUANTILE: f32 = 0.97;
/// Each packet weakens those before it by this: half the weight is in the last 140 packets, 2.8 s. At 0.998 (7 s) a network that
/// was bad for 8 s cost 25 ms more of mean delay over the next half minute, and concealed as much (`make bench-jitter`).
const FORGET: f32 = 0.995;
/// Width of a step of the histogram; the target is the upper edge of a step.
const STEP_US: i64 = 5_000;
/// What is expected before anything was seen, and how many packets that expectation weighs.
const EXPECTED_US: i64 = 40_000;
const EXPECTED_WEIGHT: f32 = 2.0;
/// A packet that came after its turn keeps the target up for so long: late packets come in clusters.
const PEAK_HOLD: Duration = Duration::from_secs(5);
/// The fastest packet is looked for in the last one to two of these. Long enough to hold an undelayed one, short enough
/// to follow a clock that runs 100 ppm faster or slower (1 ms in 10 s), or a route that has changed for good.
const FASTEST_WINDOW: Duration = Duration::from_secs(5);

/// Transit is arrival minus timestamp: the two clocks have nothing in common, so only differences of transits mean
/// anything. Jitter is the transit above that of the fastest packet of late.
#[derive(Clone, Debug)]
pub(super) struct Delay {
    min_us: i64,
    max_us: i64,
    fastest: Option<Fastest>,
    histogram: Vec<f32>,
    /// Of the histogram, kept up to date with it.
    quantile_us: i64,
    peak: Option<(i64, CallTime)>,
    drift: Drift,
}

#[derive(Clone, Copy, Debug)]
struct Fastest {
    began: CallTime,
    /// The fastest of this window, and when it came.
    now_us: i64,
    now_at: CallTime,
    before_us: i64,
}

impl Delay {
    pub(super) fn new(min_ms: u32, max_ms: u32) -> Self {
        let (min_us, max_us) = (i64::from(min_ms) * 1_000, i64::from(max_ms.max(min_ms)) * 1_000);
        let mut histogram = vec![0.0; (max_us / STEP_US) as usize + 1];
        let expected = (EXPECTED_US.clamp(min_us, max_us) - 1).max(0) / STEP_US;
        histogram[expected as usize] = EXPECTED_WEIGHT;
        Self {
            min_us,
            max_us,
            fastest: None,
            histogram,
            quantile_us: (expected + 1) * STEP_US,
            peak: None,
            drift: Drift::default(),
        }
    }

    /// Takes in a packet's transit.
    pub(super) fn arrived(&mut self, at: CallTime, transit_us: i64) {
        let begins = |before_us| Fastest { began: at, now_us: transit_us, now_at: at, before_us };
        let fastest = self.fastest.get_or_insert(begins(transit_us));
        if at.since(fastest.began) >= FASTEST_WINDOW {
            self.drift.window(fastest.now_at, fastest.now_us);
            let slower_us = fastest.now_us.min(transit_us) - fastest.now_us.min(fastest.before_us);
            *fastest = begins(fastest.now_us);
            self.slow_down(slower_us);
        } else if transit_us < fastest.now_us {
            (fastest.now_us, fastest.now_at) = (transit_us, at);
        }
        let step = (self.jitter_us(transit_us) / STEP_US) as usize;
        let step = step.min(self.histogram.len() - 1);
        self.histogram.iter_mut().for_each(|weight| *weight *= FORGET);
        self.histogram[step] += 1.0;
        self.quantile_us = self.quantile();
    }

    /// The fastest packet of late is slower than the one before: a slow clock or a longer route. What was measured
    /// against the old one is that much less.
    fn slow_down(&mut self, by_us: i64) {
        let steps = (by_us / STEP_US).clamp(0, self.histogram.len() as i64 - 1) as usize;
        let passed: f32 = self.histogram.drain(..steps).sum();
        self.histogram[0] += passed;
        self.histogram.extend(std::iter::repeat_n(0.0, steps));
        if let Some((peak_us, _)) = &mut self.peak {
            *peak_us -= by_us.max(0);
        }
    }

    /// A packet was not there when its turn came.
    pub(super) fn tardy(&mut self, at: CallTime, transit_us: i64) {
        let jitter_us = self.jitter_us(transit_us) + STEP_US;
        // What no delay that is allowed could have caught must not drive the delay up.
        if jitter_us <= self.max_us && self.peak_us(at).is_none_or(|peak| jitter_us >= peak) {
            self.peak = Some((jitter_us, at + PEAK_HOLD));
        }
    }

    /// The clocks have a new relation: only the habits of the network are kept.
    pub(super) fn forget_fastest(&mut self) {
        self.fastest = None;
        self.drift.forget();
    }

    /// How much faster than ours the sender's clock runs, once that can be told.
    pub(super) fn drift_ppm(&self) -> Option<i32> {
        self.drift.ppm()
    }

    /// How much later than the fastest packet a packet of this transit is.
    pub(super) fn jitter_us(&self, transit_us: i64) -> i64 {
        let fastest = self.fastest.map_or(transit_us, |fastest| fastest.now_us.min(fastest.before_us));
        (transit_us - fastest).max(0)
    }

    /// The delay to play at, counted from the arrival of the fastest packet.
    pub(super) fn target_us(&self, at: CallTime) -> i64 {
        self.quantile_us.max(self.peak_us(at).unwrap_or(0)).clamp(self.min_us, self.max_us)
    }

    /// The upper edge of the step that the wanted share of packets does not exceed.
    fn quantile(&self) -> i64 {
        let wanted: f32 = self.histogram.iter().sum::<f32>() * QUANTILE;
        let mut sum = 0.0;
        let reaches = |weight: &f32| {
            sum += weight;
            sum >= wanted
        };
        let steps = self.histogram.iter().position(reaches).unwrap_or(self.histogram.len() - 1) as i64 + 1;
        steps * STEP_US
    }

    fn peak_us(&self, at: CallTime) -> Option<i64> {
        self.peak.filter(|(_, until)| at < *until).map(|(peak, _)| peak)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 20 ms packets with these jitters, in ms, over and over for `seconds`.
    fn fed(delay: &mut Delay, jitters_ms: &[i64], seconds: u64) -> CallTime {
        let mut at = CallTime::ZERO;
        for n in 0..seconds * 50 {
            at = CallTime::from_ms(n * 20 + 1_000);
            delay.arrived(at, 777_000 + jitters_ms[n as usize % jitters_ms.len()] * 1_000);
        }
        at
    }

    #[test]
    fn an_even_network_needs_the_least_delay() {
        let mut delay = Delay::new(10, 200);
        assert_eq!(delay.target_us(CallTime::ZERO), 40_000, "before anything was seen");
        let at = fed(&mut delay, &[0], 3);
        assert_eq!(delay.target_us(at), 10_000);
    }

    #[test]
    fn the_target_covers_all_but_the_rarest_delays() {
        let mut delay = Delay::new(10, 200);
        // Every tenth packet takes 63 ms longer.
        let at = fed(&mut delay, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 63], 10);
        assert_eq!(delay.target_us(at), 65_000);
        let at = fed(&mut delay, &[0], 60);
        assert_eq!(delay.target_us(at), 10_000, "forgotten");
    }

    #[test]
    fn a_late_packet_counts_at_once_and_for_a_while() {
        let mut delay = Delay::new(10, 200);
        let at = fed(&mut delay, &[0], 5);
        delay.tardy(at, 777_000 + 90_000);
        assert_eq!(delay.target_us(at), 95_000);
        delay.tardy(at, 777_000 + 5_000_000);
        assert_eq!(delay.target_us(at), 95_000, "no delay catches five seconds");
        assert_eq!(delay.target_us(at + PEAK_HOLD), 10_000);
    }

    #[test]
    fn a_slow_clock_and_a_longer_route_are_no_jitter() {
        let mut delay = Delay::new(10, 200);
        let mut at = CallTime::ZERO;
        for n in 0..50 * 60_i64 {
            at = CallTime::from_ms(n as u64 * 20);
            // 200 ppm, and 150 ms more from the half on.
            delay.arrived(at, n * 4 + if n > 1_500 { 150_000 } else { 0 });
        }
        assert_eq!(delay.drift_ppm(), None, "the route changed less than 30 s ago");
        assert!(delay.jitter_us(3_000 * 4 + 150_000) < 5_000);
        assert_eq!(delay.target_us(at), 10_000);
    }

    #[test]
    fn the_drift_of_the_clocks_is_told_through_jitter() {
        for ppm in [-250_i64, -20, 0, 60, 200] {
            let (mut delay, mut draw) = (Delay::new(10, 200), 5_u64);
            for n in 0..50 * 120_i64 {
                draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let jitter_us = (draw >> 33) as i64 % 60_000;
                // Each 20 ms of a fast sender are a little less of ours.
                let transit_us = jitter_us - n * 20_000 * ppm / 1_000_000;
                delay.arrived(CallTime::from_us((n * 20_000 + transit_us + 1_000_000) as u64), transit_us);
            }
            let told = i64::from(delay.drift_ppm().unwrap());
            assert!((told - ppm).abs() <= 10, "{ppm} ppm told as {told}");
        }
    }

    #[test]
    fn the_target_stays_between_its_bounds() {
        let mut delay = Delay::new(30, 60);
        let at = fed(&mut delay, &[0, 500], 5);
        assert_eq!(delay.target_us(at), 60_000);
        let at = fed(&mut delay, &[0], 60);
        assert_eq!(delay.target_us(at), 30_000);
        assert_eq!(Delay::new(0, 0).target_us(at), 0);
    }
}
