//! Days, and how people name them. The Gregorian calendar by arithmetic (the days-from-civil method: eras of 400 years,
//! years that begin in March), in UTC: where a caller's clock stands is not known.

use std::fmt;

/// A day: days since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Day(i32);

const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

impl Day {
    /// The day in UTC of a moment in milliseconds since 1970.
    pub fn of_utc_ms(utc_ms: i64) -> Self {
        Self(i32::try_from(utc_ms.div_euclid(86_400_000)).unwrap_or(0))
    }

    /// Midnight UTC, milliseconds since 1970.
    pub fn utc_ms(self) -> i64 {
        i64::from(self.0) * 86_400_000
    }

    /// `None` where the calendar has no such day; years 1..=9999.
    pub fn of(year: i32, month: u32, day: u32) -> Option<Self> {
        let lengths = [31, if is_leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let length = *lengths.get(month.checked_sub(1)? as usize)?;
        if !(1..=9_999).contains(&year) || day == 0 || day > length {
            return None;
        }
        let shifted = if month <= 2 { year - 1 } else { year };
        let era = shifted.div_euclid(400);
        let year_of_era = shifted.rem_euclid(400);
        let month_from_march = (month as i32 + 9) % 12;
        let day_of_year = (153 * month_from_march + 2) / 5 + day as i32 - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        Some(Self(era * 146_097 + day_of_era - 719_468))
    }

    /// Year, month, day.
    pub fn civil(self) -> (i32, u32, u32) {
        let z = self.0.saturating_add(719_468);
        let era = z.div_euclid(146_097);
        let day_of_era = z.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u32;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 } as u32;
        (year_of_era + era * 400 + i32::from(month <= 2), month, day)
    }

    /// Reads `2026-11-24`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '-');
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        Self::of(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
    }

    /// So many days later; earlier where negative.
    pub fn plus(self, days: i32) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// Days from `other` to this one.
    pub fn since(self, other: Self) -> i32 {
        self.0.saturating_sub(other.0)
    }

    /// 0 is Monday.
    pub fn weekday(self) -> usize {
        // 1970-01-01 was a Thursday.
        (self.0.rem_euclid(7) as usize + 3) % 7
    }

    /// As people say it, seen from `today`: `yesterday, Tuesday 24 November 2026`.
    pub fn told(self, today: Self) -> String {
        let (year, month, day) = self.civil();
        let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
        let date = format!(
            "{} {day} {} {year}",
            capital(WEEKDAYS[self.weekday()]),
            capital(MONTHS[(month as usize - 1).min(11)])
        );
        match self.since(today) {
            -1 => format!("yesterday, {date}"),
            0 => format!("today, {date}"),
            1 => format!("tomorrow, {date}"),
            _ => date,
        }
    }
}

impl fmt::Display for Day {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(out, "{year:04}-{month:02}-{day:02}")
    }
}

fn is_leap(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Which way a day's name without a year or a week points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Towards {
    Past,
    Future,
}

/// A day that is named in `words` (lower case, without marks), and where its name stands in them.
pub fn find_day(words: &[&str], today: Day, towards: Towards) -> Option<(Day, std::ops::Range<usize>)> {
    (0..words.len()).find_map(|at| {
        let (day, length) = day_at(&words[at..], today, towards)?;
        // "on Friday", "on the 3rd of June", "by Monday": the little word belongs to the day.
        let little = |back: usize| at.checked_sub(back).and_then(|at| words.get(at)).copied();
        let before = match (little(2), little(1)) {
            (Some("on" | "by"), Some("the")) => 2,
            (_, Some("on" | "by" | "until" | "till" | "the")) => 1,
            _ => 0,
        };
        Some((day, at - before..at + length))
    })
}

fn day_at(words: &[&str], today: Day, towards: Towards) -> Option<(Day, usize)> {
    let part_of_day =
        |word: Option<&&str>| matches!(word.copied(), Some("morning" | "afternoon" | "evening" | "night" | "noon"));
    let longer = |day: Day, length: usize| (day, length + usize::from(part_of_day(words.get(length))));
    match words {
        ["the", "day", "before", "yesterday", ..] => Some(longer(today.plus(-2), 4)),
        ["the", "day", "after", "tomorrow", ..] => Some(longer(today.plus(2), 4)),
        ["yesterday", ..] => Some(longer(today.plus(-1), 1)),
        ["last", "night", ..] => Some((today.plus(-1), 2)),
        ["tomorrow", ..] => Some(longer(today.plus(1), 1)),
        ["today" | "tonight", ..] => Some((today, 1)),
        ["this", "morning" | "afternoon" | "evening", ..] => Some((today, 2)),
        ["in", "the", "morning", ..] if towards == Towards::Future => Some((today.plus(1), 3)),
        ["last", name, ..] => Some(longer(weekday_from(name, today, Towards::Past)?, 2)),
        ["next" | "this", name, ..] => Some(longer(weekday_from(name, today, Towards::Future)?, 2)),
        [first, ..] => {
            if let Some(day) = Day::parse(first) {
                return Some((day, 1));
            }
            if let Some(day) = weekday_from(first, today, towards) {
                // "Friday the 27th": the name is enough.
                return Some(longer(day, 1));
            }
            date_at(words, today, towards)
        }
        [] => None,
    }
}

/// The nearest day of that name that is not today.
fn weekday_from(name: &str, today: Day, towards: Towards) -> Option<Day> {
    let wanted = WEEKDAYS.iter().position(|weekday| *weekday == name)? as i32;
    let ahead = (wanted - today.weekday() as i32).rem_euclid(7);
    Some(match towards {
        Towards::Future => today.plus(if ahead == 0 { 7 } else { ahead }),
        Towards::Past => today.plus(ahead - 7),
    })
}

/// `3 June`, `3rd of June 1984`, `June 3rd`.
fn date_at(words: &[&str], today: Day, towards: Towards) -> Option<(Day, usize)> {
    let month = |word: Option<&&str>| -> Option<u32> {
        let at = MONTHS.iter().position(|month| Some(month) == word)?;
        Some(at as u32 + 1)
    };
    let number = |word: Option<&&str>| -> Option<u32> { ordinal(word?) };
    let (day, month, length) = if let Some(day) = number(words.first()) {
        if words.get(1).copied() == Some("of") {
            (day, month(words.get(2))?, 3)
        } else {
            (day, month(words.get(1))?, 2)
        }
    } else {
        let of_year = month(words.first())?;
        let the = usize::from(words.get(1).copied() == Some("the"));
        (number(words.get(1 + the))?, of_year, 2 + the)
    };
    let year = words.get(length).and_then(|word| word.parse::<i32>().ok()).filter(|year| (1_900..2_200).contains(year));
    if let Some(year) = year {
        return Some((Day::of(year, month, day)?, length + 1));
    }
    let this_year = today.civil().0;
    let near = Day::of(this_year, month, day)?;
    let found = match towards {
        Towards::Future if near < today => Day::of(this_year + 1, month, day)?,
        Towards::Past if near > today => Day::of(this_year - 1, month, day)?,
        _ => near,
    };
    Some((found, length))
}

/// `3`, `3rd`, `third`, up to 31.
fn ordinal(word: &str) -> Option<u32> {
    const ORDINALS: [&str; 20] = [
        "first",
        "second",
        "third",
        "fourth",
        "fifth",
        "sixth",
        "seventh",
        "eighth",
        "ninth",
        "tenth",
        "eleventh",
        "twelfth",
        "thirteenth",
        "fourteenth",
        "fifteenth",
        "sixteenth",
        "seventeenth",
        "eighteenth",
        "nineteenth",
        "twentieth",
    ];
    if let Some(at) = ORDINALS.iter().position(|ordinal| *ordinal == word) {
        return Some(at as u32 + 1);
    }
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let ending = &word[digits.len()..];
    let day: u32 = digits.parse().ok()?;
    (matches!(ending, "" | "st" | "nd" | "rd" | "th") && (1..=31).contains(&day)).then_some(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-25, a Wednesday.
    fn today() -> Day {
        Day::of(2026, 11, 25).unwrap()
    }

    #[test]
    fn days_and_dates_are_the_same_thing_over_eight_centuries() {
        for n in (-200_000..200_000).step_by(13) {
            let day = Day(n);
            let (year, month, of_month) = day.civil();
            assert_eq!(Day::of(year, month, of_month), Some(day), "{day}");
        }
        assert_eq!(Day::of(1970, 1, 1), Some(Day(0)));
        assert_eq!(Day::of(2026, 2, 29), None);
        assert_eq!(today().weekday(), 2);
        assert_eq!(Day::of_utc_ms(-1), Day(-1));
    }

    #[test]
    fn days_are_found_as_people_name_them() {
        let future = [
            ("i am arriving on friday", "2026-11-27"),
            ("next wednesday", "2026-12-02"),
            ("tomorrow morning at nine", "2026-11-26"),
            ("on the 3rd of june", "2027-06-03"),
            ("december 24th", "2026-12-24"),
            ("3 june 1984", "1984-06-03"),
        ];
        let past = [
            ("yesterday i went out", "2026-11-24"),
            ("the day before yesterday", "2026-11-23"),
            ("last night", "2026-11-24"),
            ("on monday we swam", "2026-11-23"),
            ("on wednesday", "2026-11-18"),
            ("in may on the third of may", "2026-05-03"),
        ];
        for (said, day) in future {
            let words: Vec<&str> = said.split(' ').collect();
            assert_eq!(find_day(&words, today(), Towards::Future).unwrap().0.to_string(), day, "{said}");
        }
        for (said, day) in past {
            let words: Vec<&str> = said.split(' ').collect();
            assert_eq!(find_day(&words, today(), Towards::Past).unwrap().0.to_string(), day, "{said}");
        }
        assert_eq!(find_day(&["i", "may", "come"], today(), Towards::Future), None);
    }

    #[test]
    fn a_day_is_told_as_it_is_seen_from_today() {
        assert_eq!(today().plus(-1).told(today()), "yesterday, Tuesday 24 November 2026");
        assert_eq!(today().plus(2).told(today()), "Friday 27 November 2026");
    }
}
