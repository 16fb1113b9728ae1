//! Moments as other formats write them.

use crate::memory::calendar::Day;

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// RFC 3339, in UTC.
pub fn rfc3339(utc_ms: i64) -> String {
    let (year, month, day) = Day::of_utc_ms(utc_ms).civil();
    let (hours, minutes, seconds, ms) = clock(utc_ms.rem_euclid(DAY_MS));
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{ms:03}Z")
}

/// As WebVTT writes a moment of a recording.
pub(super) fn cue_time(ms: i64) -> String {
    let (hours, minutes, seconds, ms) = clock(ms.max(0));
    format!("{hours:02}:{minutes:02}:{seconds:02}.{ms:03}")
}

const fn clock(ms: i64) -> (i64, i64, i64, i64) {
    (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60, ms % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_to_the_millisecond() {
        assert_eq!(rfc3339(1_767_607_200_045), "2026-01-05T10:00:00.045Z");
        assert_eq!(cue_time(3_723_004), "01:02:03.004");
        assert_eq!(cue_time(-5), "00:00:00.000");
    }
}
