//! The far ear: how much of our line has come out of the caller's loudspeaker. What has left is still on its way for a
//! while (network, the receiver's jitter buffer, its sound card), so the clock of what was heard runs behind the clock of
//! what was sent.
//!
//! The line is counted in samples at 48 kHz from the call's first packet, silence included, as its RTP timestamps are.
//! Until the client says more, the way takes half a round trip and [`FarEarSettings::buffer_ms`]; a playout report
//! ([`PlayoutReport`]) sets it to what was measured. Until RTCP has told the round trip, a report's own way here is taken
//! for a part of it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::audio::{LINE_FRAME, LINE_RATE};
use crate::time::{CallTime, TICK};

/// What the far ear is taken for while it says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FarEarSettings {
    /// The receiver's jitter buffer and sound card, milliseconds: 0..=1000. A headless Chromium on a quiet network buffers
    /// 36 ms and plays 10 ms at a time; sound cards add 20 to 60 ms.
    pub buffer_ms: u32,
}

impl Default for FarEarSettings {
    fn default() -> Self {
        Self { buffer_ms: 100 }
    }
}

/// What a client says it is playing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PlayoutReport {
    /// The sample that is coming out of the loudspeaker: its RTP timestamp less that of the first packet, modulo 2^32.
    pub line: u32,
    /// When it does, milliseconds on the client's own clock, whose zero may be anywhere.
    pub at_ms: u64,
}

/// Why a report is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportFault {
    /// Older than one before it, or so late that the moment it speaks of is long gone.
    Stale,
    /// No network and no buffer is like that, or the client's clock has leapt.
    Absurd,
    /// It plays what has not been sent.
    Future,
}

/// What became of the reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportCounts {
    pub taken: u32,
    pub stale: u32,
    pub absurd: u32,
    pub future: u32,
}

/// How the moment of a heard word is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The client reported its playout within [`FRESH`].
    Report,
    /// From the round trip and the settings.
    Estimate,
}

/// Longest way that is believed. Browsers' jitter buffers hold at most 200 packets, 4 s; nobody talks over such a line.
const WAY_MAX: Duration = Duration::from_secs(3);
/// A report may have waited this much longer than the quickest one: a lost packet of the data channel costs about a second.
const QUEUED_MAX_US: i64 = 2_000_000;
/// Sample playing and clocks have grains of 10 to 20 ms, and the way back may be quicker than half the round trip.
const EARLY_MAX_US: i64 = 60_000;
/// How long a report is news: reports come five times a second, a page in the background is slowed down to one.
const FRESH: Duration = Duration::from_secs(2);
/// The client's clock is read off the quickest reports of the last minute: at 200 ppm two clocks part by 12 ms in it.
const CLOCK_WINDOW: Duration = Duration::from_secs(60);
/// Reports of that window that are kept: one minute at five a second.
const CLOCK_REPORTS: usize = 300;

/// One call's far ear.
#[derive(Clone, Debug)]
pub struct FarEar {
    settings: FarEarSettings,
    /// Frames that have left, and when the first of them would have, had each left on its tick, microseconds. A frame that
    /// leaves late is not heard later: catching up with it is what the receiver's buffer is for.
    frames: u64,
    begun_us: Option<i64>,
    half_trip: Duration,
    /// Measured by the newest report.
    way: Option<Duration>,
    reported: Option<CallTime>,
    /// Arrival, and arrival less the client's own time, microseconds.
    clock: VecDeque<(CallTime, i64)>,
    newest_ms: u64,
    counts: ReportCounts,
}

impl FarEar {
    /// Nothing sent, nothing heard.
    pub fn new(settings: FarEarSettings) -> Self {
        Self {
            settings,
            frames: 0,
            begun_us: None,
            half_trip: Duration::ZERO,
            way: None,
            reported: None,
            clock: VecDeque::new(),
            newest_ms: 0,
            counts: ReportCounts::default(),
        }
    }

    /// Where the line stands: samples that have left.
    pub fn line(&self) -> u64 {
        self.frames * LINE_FRAME as u64
    }

    /// One more frame leaves.
    pub fn left(&mut self, at: CallTime) {
        let begun = at.us() as i64 - self.frames as i64 * TICK.as_micros() as i64;
        self.begun_us = Some(self.begun_us.map_or(begun, |before| before.min(begun)));
        self.frames += 1;
    }

    /// The round trip, as RTCP measures it.
    pub fn round_trip(&mut self, rtt: Duration) {
        self.half_trip = rtt.min(WAY_MAX) / 2;
    }

    /// From leaving here to being heard there.
    pub fn way(&self) -> Duration {
        self.way.unwrap_or_else(|| self.half_trip + Duration::from_millis(self.settings.buffer_ms.into()))
    }

    /// When the sample is heard, or will be; the call's beginning while nothing has been sent.
    pub fn moment(&self, line: u64) -> CallTime {
        CallTime::from_us(self.due_us(line).max(0) as u64) + self.way()
    }

    /// How [`FarEar::moment`] is known now.
    pub fn evidence(&self, at: CallTime) -> Evidence {
        match self.reported {
            Some(reported) if at.since(reported) <= FRESH => Evidence::Report,
            _ => Evidence::Estimate,
        }
    }

    /// What became of the reports so far.
    pub fn counts(&self) -> ReportCounts {
        self.counts
    }

    /// A playout report arrives.
    ///
    /// # Errors
    /// When it is not believed: it is counted and changes nothing.
    pub fn report(&mut self, at: CallTime, report: PlayoutReport) -> Result<(), ReportFault> {
        let read = self.read(at, report);
        match read {
            Ok(way) => {
                self.way = Some(way);
                self.reported = Some(at);
                self.counts.taken += 1;
            }
            Err(ReportFault::Stale) => self.counts.stale += 1,
            Err(ReportFault::Absurd) => self.counts.absurd += 1,
            Err(ReportFault::Future) => self.counts.future += 1,
        }
        read.map(|_| ())
    }

    /// The way that a report tells of.
    fn read(&mut self, at: CallTime, report: PlayoutReport) -> Result<Duration, ReportFault> {
        let sample = self.sample(report.line)?;
        let client_us = i64::try_from(report.at_ms).ok().and_then(|ms| ms.checked_mul(1_000));
        let offset = (at.us() as i64).checked_sub(client_us.ok_or(ReportFault::Absurd)?).ok_or(ReportFault::Absurd)?;
        while self.clock.front().is_some_and(|(arrived, _)| at.since(*arrived) > CLOCK_WINDOW) {
            self.clock.pop_front();
        }
        let quickest = self.clock.iter().map(|(_, offset)| *offset).min();
        if let Some(quickest) = quickest {
            if offset.saturating_sub(quickest) > QUEUED_MAX_US || report.at_ms < self.newest_ms {
                return Err(ReportFault::Stale);
            }
            if quickest.saturating_sub(offset) > QUEUED_MAX_US {
                return Err(ReportFault::Absurd);
            }
        }
        let quickest = quickest.map_or(offset, |before| before.min(offset));
        let played_us = client_us.unwrap_or(0) + quickest - self.half_trip.as_micros() as i64;
        let way_us = played_us - self.due_us(sample);
        if way_us < -EARLY_MAX_US {
            return Err(ReportFault::Future);
        }
        let way = Duration::from_micros(way_us.max(0) as u64);
        if way > WAY_MAX {
            return Err(ReportFault::Absurd);
        }
        self.newest_ms = report.at_ms;
        if self.clock.len() == CLOCK_REPORTS {
            self.clock.pop_front();
        }
        self.clock.push_back((at, offset));
        Ok(way)
    }

    /// The sample that an RTP timestamp means: the last one with it that has left.
    fn sample(&self, line: u32) -> Result<u64, ReportFault> {
        let back = (self.line() as u32).wrapping_sub(line);
        if back > u32::MAX / 2 {
            return Err(ReportFault::Future);
        }
        self.line().checked_sub(u64::from(back)).ok_or(ReportFault::Absurd)
    }

    /// When the sample leaves by the line's own clock.
    fn due_us(&self, line: u64) -> i64 {
        self.begun_us.unwrap_or(0) + (line * 1_000_000 / u64::from(LINE_RATE)) as i64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An ear to which a line has run for so long, from the call's 500th millisecond on.
    fn ear(ms: u64) -> FarEar {
        let mut ear = FarEar::new(FarEarSettings::default());
        (0..ms / 20).for_each(|n| ear.left(CallTime::from_ms(500 + 20 * n)));
        ear
    }

    fn report(line_ms: u64, at_ms: u64) -> PlayoutReport {
        PlayoutReport { line: (line_ms * 48) as u32, at_ms }
    }

    #[test]
    fn without_a_report_the_way_is_half_the_round_trip_and_the_buffer() {
        let mut ear = ear(1_000);
        assert_eq!(ear.moment(48_000), CallTime::from_ms(1_600));
        ear.round_trip(Duration::from_millis(80));
        assert_eq!(ear.moment(48_000), CallTime::from_ms(1_640));
        assert_eq!(ear.evidence(CallTime::from_ms(1_500)), Evidence::Estimate);
    }

    #[test]
    fn a_report_says_what_is_being_played_whatever_the_client_s_clock() {
        let mut ear = ear(2_000);
        ear.round_trip(Duration::from_millis(40));
        // It left at 500 + 1,000 and is played at 1,730; the report takes 20 ms and the client's clock began elsewhere.
        assert_eq!(ear.report(CallTime::from_ms(1_750), report(1_000, 9_001_730)), Ok(()));
        assert_eq!(ear.way(), Duration::from_millis(230));
        assert_eq!(ear.evidence(CallTime::from_ms(2_000)), Evidence::Report);
        assert_eq!(ear.evidence(CallTime::from_ms(9_000)), Evidence::Estimate);
        assert_eq!(ear.way(), Duration::from_millis(230), "the last measurement is the best guess");
    }

    #[test]
    fn a_report_that_was_held_up_on_its_way_tells_the_same() {
        let mut ear = ear(3_000);
        ear.report(CallTime::from_ms(1_700), report(1_000, 1_700)).expect("the first");
        ear.report(CallTime::from_ms(2_800), report(1_300, 2_000)).expect("0.8 s in a queue");
        assert_eq!(ear.way(), Duration::from_millis(200));
    }

    #[test]
    fn a_frame_that_leaves_late_is_heard_in_its_place() {
        let mut ear = ear(200);
        (0..5).for_each(|_| ear.left(CallTime::from_ms(790)));
        assert_eq!(ear.moment(300 * 48), CallTime::from_ms(900));
    }

    #[test]
    fn reports_that_cannot_be_are_counted_and_ignored() {
        let mut ear = ear(2_000);
        ear.report(CallTime::from_ms(1_700), report(1_000, 1_700)).expect("a good one");
        let way = ear.way();
        let at = CallTime::from_ms(1_900);
        assert_eq!(ear.report(at, report(2_020, 1_900)), Err(ReportFault::Future), "it has not left");
        assert_eq!(ear.report(at, report(1_900, 1_900)), Err(ReportFault::Future), "nor could it have arrived by then");
        assert_eq!(ear.report(at, report(1_100, 1_699)), Err(ReportFault::Stale), "older than the one before");
        assert_eq!(ear.report(CallTime::from_ms(9_000), report(1_900, 1_800)), Err(ReportFault::Stale));
        assert_eq!(ear.report(at, report(1_000, 99_999)), Err(ReportFault::Absurd), "its clock has leapt");
        assert_eq!(ear.report(at, PlayoutReport { line: 0, at_ms: u64::MAX }), Err(ReportFault::Absurd));
        assert_eq!(ear.counts(), ReportCounts { taken: 1, stale: 2, absurd: 2, future: 2 });
        assert_eq!(ear.way(), way);
    }

    #[test]
    fn a_client_whose_clock_stood_still_is_believed_again_after_a_minute() {
        let mut ear = ear(200_000);
        ear.report(CallTime::from_ms(1_700), report(1_000, 1_700)).expect("a good one");
        assert!(ear.report(CallTime::from_ms(60_700), report(60_000, 50_700)).is_err(), "10 s were slept through");
        assert_eq!(ear.report(CallTime::from_ms(120_700), report(120_000, 110_700)), Ok(()));
        assert_eq!(ear.way(), Duration::from_millis(200));
    }

    #[test]
    fn timestamps_wrap_after_a_day() {
        let mut ear = ear(0);
        let day = u64::from(u32::MAX) / 960 + 50;
        (0..day).for_each(|n| ear.left(CallTime::from_ms(20 * n)));
        let played = day * 960 - 9_600;
        let line = played as u32;
        let at_ms = played / 48 + 150;
        assert_eq!(ear.report(CallTime::from_ms(at_ms), PlayoutReport { line, at_ms }), Ok(()));
        assert!(ear.way() <= Duration::from_millis(151));
    }

    proptest! {
        /// Total over anything a client may say.
        #[test]
        fn no_report_makes_the_way_longer_than_believable(
            ms in 0u64..5_000,
            reports in prop::collection::vec((any::<u64>(), any::<u32>(), any::<u64>()), 0..20),
        ) {
            let mut ear = ear(ms);
            for (at, line, at_ms) in reports {
                let _ = ear.report(CallTime::from_us(at >> 12), PlayoutReport { line, at_ms: at_ms >> (line % 64) });
                prop_assert!(ear.way() <= WAY_MAX);
                let _ = ear.moment(u64::from(line));
            }
        }
    }
}
