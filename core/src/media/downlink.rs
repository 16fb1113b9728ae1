//! How to send over the line as it is: what the other side's reports say about it, and what to do about that.
//!
//! [`Downlink`] is told every RTCP reception report (RFC 3550, section 6.4.1) and, by a tick, of their absence; [`Plan`] is
//! what the mouth does with the next packet. The ladder between them has five rungs, [`Level`] 0 to 4. It is climbed at
//! once, because a lost word is gone, and descended a rung at a time after [`CALM_AFTER`] of calm, because a network that was bad
//! is seldom good for good. Copies cost bits: where the line is slow and not noisy they are the cause of the loss and not
//! its cure, and [`Congestion`] takes them back.

use std::collections::VecDeque;
use std::time::Duration;

use crate::audio::opus::{OpusSettings, Width};
use crate::time::CallTime;

mod congestion;

use congestion::Congestion;

/// A reception report about our stream, in units.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LinkReport {
    /// Packets that the other side expected since the report before.
    pub expected: u32,
    /// Of those, how many did not come. Duplicates count against it in RFC 3550; never below zero here.
    pub lost: u32,
    /// Interarrival jitter at the other side.
    pub jitter: Duration,
    /// Round trip, where the report answers one of our sender reports.
    pub rtt: Option<Duration>,
}

impl LinkReport {
    /// 0.0..=1.0.
    pub fn loss(&self) -> f32 {
        if self.expected == 0 { 0.0 } else { self.lost.min(self.expected) as f32 / self.expected as f32 }
    }
}

/// How redundant: 0 sends each packet once, 4 sends it five times.
pub type Level = u8;

/// What the configuration allows, and what the other side can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DownlinkSettings {
    /// The other side reads RFC 2198.
    pub red: bool,
    /// Copies in a packet at most, 0..=4. None is as if the other side did not read them.
    pub most: u8,
}

/// How the next packets are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The packets that go along once more, by their distance in packets; nearest first.
    pub copies: &'static [u8],
    pub opus: OpusSettings,
}

impl Plan {
    /// What a receiver should hold back so that every copy comes in time.
    pub fn hold(&self) -> Duration {
        crate::time::TICK * u32::from(self.copies.last().copied().unwrap_or(0))
    }
}

/// From this share of loss on a level is needed. One in a hundred is where a listener begins to notice single gaps; the others
/// are where the level below leaves more than half a percent of the packets lost when losses are independent
/// (`loss ^ (1 + copies)`), or some three percent in bursts of three.
const LOSS_FOR_LEVEL: [f32; 4] = [0.01, 0.04, 0.08, 0.14];
/// A level is left downwards when the loss has been below this part of what called for it, so that a loss which hovers about
/// a threshold does not change the sound every few seconds.
const LEAVE_BELOW: f32 = 0.6;
/// ... for so long: two reports of a browser, which come every 2.5 to 7.5 s.
const CALM_AFTER: Duration = Duration::from_secs(10);
/// Loss is counted over this window, and over the last report alone.
const WINDOW: Duration = Duration::from_secs(10);
/// A report over fewer packets than a second's says little by itself, and so do one or two losses in it: one lost packet
/// of 20 is no 5 %.
const TELLING_PACKETS: u32 = 45;
const TELLING_LOSSES: u32 = 3;
/// Before the first report nothing is known. One copy until then: a browser's first report takes up to 7.5 s, and a line that
/// is bad is bad from its first word.
const UNKNOWN: Level = 1;
/// Reports that have come and come no more: they are being lost, like what they report on. A browser's come every 2.5 to
/// 7.5 s; one of them may be lost without meaning much.
const ABSENT_AFTER: Duration = Duration::from_secs(16);
/// The level that absence calls for.
const ABSENT: Level = 2;

/// Distances of the copies at each level. They are spread: a burst takes neighbours together, and a copy that travels
/// five packets behind survives where four next to each other are lost with what they are copies of. No further than a
/// browser can be asked to wait.
const COPIES: [&[u8]; 5] = [&[], &[1], &[1, 3], &[1, 2, 4], &[1, 2, 4, 5]];

/// The state of one call's way out.
#[derive(Clone, Debug)]
pub struct Downlink {
    settings: DownlinkSettings,
    level: Level,
    /// What was reported within the window: when, expected, lost.
    window: VecDeque<(CallTime, u32, u32)>,
    /// When the last report came.
    heard: Option<CallTime>,
    /// A report over packets enough has come: the level is no guess any more.
    known: bool,
    /// Since when the loss calls for less than what is done.
    calm_since: Option<CallTime>,
    congestion: Congestion,
}

impl Downlink {
    pub fn new(settings: DownlinkSettings) -> Self {
        Self {
            settings,
            level: UNKNOWN,
            window: VecDeque::new(),
            heard: None,
            known: false,
            calm_since: None,
            congestion: Congestion::default(),
        }
    }

    /// The other side has told how our packets arrive.
    pub fn report(&mut self, at: CallTime, report: &LinkReport) {
        self.heard = Some(at);
        let telling = report.expected >= TELLING_PACKETS;
        let alone = if telling && report.lost >= TELLING_LOSSES { needed(report.loss()) } else { 0 };
        let was_capped = self.congestion.cap().is_some();
        self.congestion.report(at, report, self.level);
        let is_capped = self.congestion.cap().is_some();
        if is_capped || was_capped {
            // What was lost before was lost to our own copies; what is lost now is what the line itself loses.
            self.window.clear();
            self.calm_since = None;
            self.level = if was_capped { alone } else { self.level };
            return;
        }
        self.window.push_back((at, report.expected, report.lost.min(report.expected)));
        // Bounded: reports come no faster than a hostile peer sends them.
        while self.window.len() > 64 || self.window.front().is_some_and(|(then, ..)| at.since(*then) > WINDOW) {
            self.window.pop_front();
        }
        let first = telling && !self.known;
        self.known |= telling;
        self.follow(at, needed(self.window_loss()).max(alone), first);
    }

    /// Once a tick, or once a second: time passes without a report.
    pub fn tick(&mut self, at: CallTime) {
        if self.heard.is_some_and(|heard| at.since(heard) > ABSENT_AFTER) && self.level < ABSENT {
            self.level = ABSENT;
            self.calm_since = None;
        }
    }

    /// What to do now.
    pub fn plan(&self) -> Plan {
        let level = self.level();
        let congested = self.congestion.cap().is_some();
        let most = if self.settings.red { self.settings.most } else { 0 };
        Plan { copies: COPIES[usize::from(level.min(most))], opus: opus(level, most > 0, congested) }
    }

    /// What is done now, congestion considered.
    pub fn level(&self) -> Level {
        self.congestion.cap().map_or(self.level, |cap| self.level.min(cap))
    }

    /// Share of packets lost of late, 0.0..=1.0, by the other side's count.
    pub fn window_loss(&self) -> f32 {
        let sum = |so_far: u32, part: u32| so_far.saturating_add(part);
        let add = |(e, l), (_, expected, lost): &(CallTime, u32, u32)| (sum(e, *expected), sum(l, *lost));
        let (expected, lost) = self.window.iter().fold((0, 0), add);
        LinkReport { expected, lost, ..LinkReport::default() }.loss()
    }

    /// `first`: nothing was known before this report, so that there is no level to descend from.
    fn follow(&mut self, at: CallTime, needed: Level, first: bool) {
        if needed > self.level || first {
            self.level = needed;
            self.calm_since = None;
            return;
        }
        let leave_below = match self.level {
            0 => return,
            level => LOSS_FOR_LEVEL[usize::from(level) - 1] * LEAVE_BELOW,
        };
        if needed == self.level || self.window_loss() >= leave_below {
            self.calm_since = None;
            return;
        }
        let since = *self.calm_since.get_or_insert(at);
        if at.since(since) >= CALM_AFTER {
            self.level -= 1;
            self.calm_since = Some(at);
        }
    }
}

/// The level that a loss calls for.
fn needed(loss: f32) -> Level {
    LOSS_FOR_LEVEL.iter().filter(|threshold| loss >= **threshold).count() as Level
}

/// How a voice is encoded at a level.
///
/// On a good line everything up to 20 kHz is sent, at 32 kb/s. On a bad one the voice band up to 8 kHz is, at 24 kb/s: PESQ-WB
/// 3.8 without loss where the full band has 3.5 at that rate, and a fifth of the cost of each copy saved. In-band FEC
/// takes its bits from the voice, 0.25 to 0.4 PESQ at 10 to 20 %; it is for those who cannot read copies.
fn opus(level: Level, red: bool, congested: bool) -> OpusSettings {
    let (bitrate_bps, complexity, width) = match level {
        // What is left of each packet must be small where the line is slow.
        _ if congested => (16_000, 9, Width::Wide),
        0 | 1 => (32_000, 5, Width::Full),
        _ if red => (24_000, 9, Width::Wide),
        _ => (32_000, 9, Width::Wide),
    };
    let expected_loss_percent = if red { 0 } else { [0, 5, 10, 15, 25][usize::from(level)] };
    OpusSettings { bitrate_bps, complexity, width, expected_loss_percent, fec: expected_loss_percent > 0 }
}

#[cfg(test)]
mod tests;
