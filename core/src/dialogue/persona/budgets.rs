//! What a persona is held to, whatever the judge says: how often, when, and never.

use std::fmt;

use super::limits;

/// How often the agent may do what a caller may mind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Budgets {
    /// Interruptions in any `interrupts_per_turns` caller turns: 0..=10.
    pub interrupts_most: u32,
    /// 1..=100.
    pub interrupts_per_turns: u32,
    /// Times that the agent speaks first in one call: 0..=100. The greeting and the silence ladder are not counted: a call
    /// must begin and end.
    pub initiatives_most: u32,
    /// Turns in a row that are answered by saying nothing: 0..=10.
    pub silences_in_a_row: u32,
    /// 1, or 0 for somebody who blocks nobody.
    pub blocks_most: u32,
    /// How long a caller has spoken before the agent cuts in on him, or shows that it listens: 0..=60,000 ms.
    pub listen_ms: u32,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            interrupts_most: limits::INTERRUPTS.usual,
            interrupts_per_turns: limits::PER_TURNS.usual,
            initiatives_most: limits::INITIATIVES.usual,
            silences_in_a_row: limits::SILENCES.usual,
            blocks_most: limits::BLOCKS.usual,
            listen_ms: limits::LISTEN_MS.usual,
        }
    }
}

/// What the agent never does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NeverRule {
    /// Cut in while digits, names or an address are being dictated.
    InterruptWhileDictating,
    /// Cut in on distress, or on a word of an emergency.
    InterruptDistress,
    /// Say nothing to a direct question about somebody's safety.
    SilenceSafety,
}

impl NeverRule {
    pub const ALL: [Self; 3] = [Self::InterruptWhileDictating, Self::InterruptDistress, Self::SilenceSafety];

    /// As it stands in persona files, in SQL and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InterruptWhileDictating => "interrupt-while-dictating",
            Self::InterruptDistress => "interrupt-distress",
            Self::SilenceSafety => "silence-safety",
        }
    }
}

/// When the agent does not speak first, on a wall clock. It may begin in the evening and end in the morning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct QuietHours {
    /// Minutes after midnight: 0..=1439.
    pub from_min: u32,
    /// The first minute that is not quiet: 0..=1439.
    pub until_min: u32,
    /// What the clock on the wall is ahead of UTC, minutes: -720..=840.
    pub utc_offset_min: i32,
}

impl QuietHours {
    /// `22:00-07:00`; `None` where it is not that, or has no length.
    pub fn parse(text: &str, utc_offset_min: i32) -> Option<Self> {
        let (from, until) = text.split_once('-')?;
        let (from_min, until_min) = (minute_of_day(from.trim())?, minute_of_day(until.trim())?);
        (from_min != until_min).then_some(Self { from_min, until_min, utc_offset_min })
    }

    /// Is it quiet at this moment? Seconds since 1970, UTC.
    pub fn holds(&self, unix_s: u64) -> bool {
        let minute = i64::try_from(unix_s / 60).unwrap_or(0) + i64::from(self.utc_offset_min);
        let minute = u32::try_from(minute.rem_euclid(24 * 60)).unwrap_or(0);
        if self.from_min < self.until_min {
            (self.from_min..self.until_min).contains(&minute)
        } else {
            minute >= self.from_min || minute < self.until_min
        }
    }
}

impl fmt::Display for QuietHours {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, until) = (self.from_min, self.until_min);
        write!(out, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, until / 60, until % 60)
    }
}

fn minute_of_day(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return None;
    }
    let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: u64, minute: u64) -> u64 {
        // A day in 2026; which one does not matter.
        20_600 * 86_400 + hour * 3_600 + minute * 60
    }

    #[test]
    fn a_night_lasts_over_midnight() {
        let night = QuietHours::parse("22:00-07:00", 0).unwrap();
        assert!(night.holds(at(22, 0)) && night.holds(at(23, 59)) && night.holds(at(0, 0)) && night.holds(at(6, 59)));
        assert!(!night.holds(at(7, 0)) && !night.holds(at(21, 59)));
    }

    #[test]
    fn a_nap_is_within_a_day() {
        let nap = QuietHours::parse("13:00-14:30", 0).unwrap();
        assert!(nap.holds(at(14, 29)) && !nap.holds(at(14, 30)) && !nap.holds(at(12, 59)));
    }

    #[test]
    fn the_clock_is_the_one_on_the_wall() {
        let night = QuietHours::parse("22:00-07:00", 120).unwrap();
        assert!(night.holds(at(20, 0)) && !night.holds(at(5, 0)));
        let west = QuietHours::parse("22:00-07:00", -60).unwrap();
        assert!(west.holds(at(0, 0)) && west.holds(at(23, 0)) && !west.holds(at(22, 0)));
    }

    #[test]
    fn what_is_no_time_is_no_quiet_hours() {
        for text in ["", "22-7", "24:00-07:00", "22:60-07:00", "7:00-8:00", "07:00-07:00", "+1:00-02:00"] {
            assert_eq!(QuietHours::parse(text, 0), None, "{text}");
        }
    }
}
