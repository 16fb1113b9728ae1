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

/// A moment as RFC 3339 writes it; `None` where it is none.
pub(super) fn utc_ms_of(text: &str) -> Option<i64> {
    let (day, clock) = (text.get(..10)?, text.get(11..)?);
    let at = clock.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = clock.split_at(at);
    let number = |text: &str| text.parse::<i64>().ok().filter(|number| (0..100).contains(number));
    let minutes_of = |text: &str| {
        let (hours, minutes) = text.split_once(':')?;
        Some(number(hours)? * 60 + number(minutes)?)
    };
    let offset = match zone.split_at(1) {
        ("+", rest) => minutes_of(rest)?,
        ("-", rest) => -minutes_of(rest)?,
        _ => 0,
    };
    let (hours_and_minutes, seconds) = clock.rsplit_once(':')?;
    let (seconds, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let ms = if fraction.is_empty() { 0 } else { (format!("0.{fraction}").parse::<f64>().ok()? * 1_000.0) as i64 };
    let minutes = minutes_of(hours_and_minutes)? - offset;
    Some(Day::parse(day)?.utc_ms() + minutes * 60_000 + number(seconds)? * 1_000 + ms)
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
        for text in ["2026-01-05T10:00:00.045Z", "2026-01-05T12:30:00.045+02:30", "2026-01-05 09:00:00.0459-01:00"] {
            assert_eq!(utc_ms_of(text), Some(1_767_607_200_045), "{text}");
        }
        for text in [
            "",
            "2026-01-05",
            "2026-01-05T10:00:00",
            "2026-13-05T10:00:00Z",
            "2026-01-05T10:99999999999999:00Z",
            "\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}T1",
        ] {
            assert_eq!(utc_ms_of(text), None, "{text}");
        }
        assert_eq!(cue_time(3_723_004), "01:02:03.004");
        assert_eq!(cue_time(-5), "00:00:00.000");
    }
}
