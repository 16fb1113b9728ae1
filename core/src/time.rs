//! A call's own clock. Everything below ring 3 is told the time; nothing there asks for it.

use std::ops::{Add, Sub};
use std::time::Duration;

/// The beat of a call: one RTP packet each way, one pass of hear -> decide -> gate -> send.
pub const TICK: Duration = Duration::from_millis(20);

/// A moment of a call: microseconds since the call began, never wrapping (584,000 years).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct CallTime(u64);

impl CallTime {
    /// The moment the call began.
    pub const ZERO: Self = Self(0);

    /// A moment so many milliseconds into the call.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms * 1_000)
    }

    /// A moment so many microseconds into the call.
    pub const fn from_us(us: u64) -> Self {
        Self(us)
    }

    /// Whole milliseconds since the call began.
    pub const fn ms(self) -> u64 {
        self.0 / 1_000
    }

    /// Microseconds since the call began.
    pub const fn us(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for CallTime {
    type Output = Self;
    fn add(self, by: Duration) -> Self {
        Self(self.0 + by.as_micros() as u64)
    }
}

impl Sub<Duration> for CallTime {
    type Output = Self;
    /// Stops at the beginning of the call.
    fn sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(by.as_micros() as u64))
    }
}
