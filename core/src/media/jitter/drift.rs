//! How much faster than ours the sender's clock runs.

use std::collections::VecDeque;

use crate::time::CallTime;

/// Points of the line: one for each window of the fastest packet (5 s), six minutes of them.
const MOST_POINTS: usize = 72;
/// 30 s of them before anything is said: an uncertainty of half a millisecond is then 15 ppm.
const LEAST_POINTS: usize = 6;
/// A step of this much between two points is a new route, not a clock: 2,000 ppm, twenty times a bad crystal's.
const ROUTE_CHANGE_US: i64 = 10_000;

/// The transit of the fastest packet, over time. Queues come and go; what is left of the fastest is route and clocks.
#[derive(Clone, Debug, Default)]
pub(super) struct Drift {
    points: VecDeque<(CallTime, i64)>,
}

impl Drift {
    /// The fastest packet of a window: when it came and its transit.
    pub(super) fn window(&mut self, at: CallTime, transit_us: i64) {
        if self.points.back().is_some_and(|(_, last)| (transit_us - last).abs() > ROUTE_CHANGE_US) {
            self.points.clear();
        }
        if self.points.len() == MOST_POINTS {
            self.points.pop_front();
        }
        self.points.push_back((at, transit_us));
    }

    pub(super) fn forget(&mut self) {
        self.points.clear();
    }

    /// Parts per million, positive where the sender's clock is the faster one: the slope of the line of least squares.
    pub(super) fn ppm(&self) -> Option<i32> {
        if self.points.len() < LEAST_POINTS {
            return None;
        }
        // Relative to the first point: squares of microseconds since the call began do not fit a double's 53 bits.
        let (at0, transit0) = self.points[0];
        let n = self.points.len() as f64;
        let points =
            || self.points.iter().map(|(at, transit)| (at.since(at0).as_secs_f64(), (transit - transit0) as f64));
        let (mean_s, mean_us) = points().fold((0.0, 0.0), |sum, p| (sum.0 + p.0 / n, sum.1 + p.1 / n));
        let above: f64 = points().map(|(s, us)| (s - mean_s) * (us - mean_us)).sum();
        let below: f64 = points().map(|(s, _)| (s - mean_s) * (s - mean_s)).sum();
        // A slow sender's packets take longer and longer.
        (below > 0.0).then(|| (-above / below).round() as i32)
    }
}
