//! What is counted in calls, and how sure it is.

use crate::room::Dice;

/// What came of one call, or of many.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub agent_ms: u64,
    /// The agent stopped, and nobody had spoken.
    pub false_stops: u64,
    /// Turns that the caller is said to have begun, with nobody speaking.
    pub ghost_turns: u64,
    /// Sounds over the agent that were doubted, with nobody speaking.
    pub doubts: u64,
    pub interruptions: u64,
    pub missed: u64,
    /// Short answers right after the agent's last word, and those that opened no turn.
    pub answers: u64,
    pub unheard: u64,
    pub stop_ms: Vec<u64>,
    /// What the ear's part of each tick took, microseconds: packet, decoder, canceller, self-voice, detector.
    pub ear_us: Vec<f32>,
}

impl Counts {
    pub fn sum<'a>(calls: impl Iterator<Item = &'a Self>) -> Self {
        calls.fold(Self::default(), |mut sum, call| {
            sum.agent_ms += call.agent_ms;
            sum.false_stops += call.false_stops;
            sum.ghost_turns += call.ghost_turns;
            sum.doubts += call.doubts;
            sum.interruptions += call.interruptions;
            sum.missed += call.missed;
            sum.answers += call.answers;
            sum.unheard += call.unheard;
            sum.stop_ms.extend(&call.stop_ms);
            sum.ear_us.extend(&call.ear_us);
            sum
        })
    }

    pub fn hours(&self) -> f64 {
        self.agent_ms as f64 / 3.6e6
    }
}

/// A rate in an hour with its 95 % interval, from whole calls drawn again: what happens in one call hangs together. Where
/// nothing happened, Poisson's upper bound of 3 in all that was watched.
pub fn an_hour(calls: &[Counts], what: impl Fn(&Counts) -> u64) -> String {
    const DRAWS: usize = 1_000;
    let rate = |calls: &mut dyn Iterator<Item = &Counts>| {
        let (events, hours) = calls.fold((0, 0.0), |(n, h), call| (n + what(call), h + call.hours()));
        (events as f64 / hours.max(1e-9), hours)
    };
    let (all, hours) = rate(&mut calls.iter());
    if all == 0.0 {
        return format!("0 (to {:.1})", 3.0 / hours.max(1e-9));
    }
    let mut dice = Dice(7);
    let mut drawn: Vec<f64> =
        (0..DRAWS).map(|_| rate(&mut (0..calls.len()).map(|_| &calls[dice.below(calls.len())])).0).collect();
    drawn.sort_by(f64::total_cmp);
    format!("{all:.1} ({:.1} to {:.1})", drawn[DRAWS / 40], drawn[DRAWS - 1 - DRAWS / 40])
}

/// A share with Wilson's 95 % interval, per cent.
pub fn share(part: u64, all: u64) -> String {
    const Z: f64 = 1.96;
    let (n, p) = (all.max(1) as f64, part as f64 / all.max(1) as f64);
    let (middle, half) = (p + Z * Z / (2.0 * n), Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt());
    let scale = 100.0 / (1.0 + Z * Z / n);
    format!(
        "{part} of {all}: {:.1} % ({:.1} to {:.1})",
        p * 100.0,
        ((middle - half) * scale).max(0.0),
        (middle + half) * scale
    )
}
