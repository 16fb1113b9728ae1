//! Promises that come due, and how they end: raised, kept or dropped. Rules again: an end that nobody has spoken of is none.

use std::time::Duration;

use super::calendar::Day;
use super::clauses::all;
use super::numbers::counted;
use super::recollection::{Open, shares};
use super::{Party, words};

/// How a promise ended: `commitments.state` in SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    Kept,
    Dropped,
}

impl End {
    /// As it stands in SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Dropped => "dropped",
        }
    }
}

/// A promise that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    pub who: Party,
    pub what: String,
    pub end: End,
    /// Why: `done`, `dropped`, `told`, `reminded`, `called`: `commitments.closed_by` in SQL.
    pub why: &'static str,
}

impl Closing {
    pub(super) fn of(open: &Open, end: End, why: &'static str) -> Self {
        Self { who: open.who, what: open.what.clone(), end, why }
    }
}

/// Has the time of this promise come? One without a day: at the next occasion, if it is ours; what callers promise without a day
/// is theirs to bring up.
pub fn is_due(open: &Open, today: Day) -> bool {
    match open.due {
        Some(due) => due <= today,
        None => open.who == Party::Agent,
    }
}

/// How the agent raises it.
pub fn raised(open: &Open) -> String {
    let what = without_time(&open.what);
    match open.who {
        Party::Agent if is_reminder(what) => match matter_of(what).as_str() {
            "" => "You asked me for a reminder.".into(),
            matter => format!("You asked me for a reminder: {matter}."),
        },
        Party::Agent => format!("By the way, I promised to {what}. That is still open."),
        Party::Caller => format!("By the way, you said you would {}. How did that go?", seen_from_here(what)),
    }
}

/// "remind you of the train in ten minutes" -> "remind you of the train": the time has come.
fn without_time(what: &str) -> &str {
    let time = what.rfind(" in ").filter(|_| soon(what).is_some());
    time.map_or(what, |at| &what[..at])
}

/// As a judge reads it beside what is known of the caller.
pub fn due_line(open: &Open, today: Day) -> String {
    let who = if open.who == Party::Agent { "promised to" } else { "the caller promised to" };
    let when = if open.due.is_some_and(|due| due < today) { "overdue" } else { "due now" };
    format!("{}: {who} {}; {when}", open.made, open.what)
}

/// "remind you of the train": saying it keeps it.
pub(super) fn is_reminder(what: &str) -> bool {
    what.to_lowercase().starts_with("remind ")
}

/// "remind you of the train in ten minutes" -> "the train"
pub(super) fn matter_of(what: &str) -> String {
    let words: Vec<&str> = without_time(what).split_whitespace().collect();
    let skipped = words
        .iter()
        .take_while(|word| ["remind", "you", "of", "about", "to", "that"].contains(&word.to_lowercase().as_str()));
    words[skipped.count()..].join(" ")
}

/// A caller's words in the agent's mouth: "call you back" -> "call me back".
pub(super) fn seen_from_here(what: &str) -> String {
    let turned = what.split_whitespace().map(|word| {
        let (bare, mark) = word.split_at(word.trim_end_matches(|c: char| !c.is_alphanumeric()).len());
        let other = match bare.to_lowercase().as_str() {
            "you" => "me",
            "your" => "my",
            "me" | "i" => "you",
            "my" => "your",
            "yours" => "mine",
            "mine" => "yours",
            _ => bare,
        };
        format!("{other}{mark}")
    });
    turned.collect::<Vec<_>>().join(" ")
}

/// A promise that is kept by calling, and kept now: whoever calls has called.
pub(super) fn kept_by_calling(open: &Open, today: Day) -> bool {
    let calls = ["call", "ring", "phone"].iter().any(|verb| open.what.to_lowercase().split(' ').next() == Some(verb));
    open.who == Party::Caller && calls && open.due.is_none_or(|due| due <= today)
}

/// What a caller says of a promise that has just been raised.
pub(super) fn answer(text: &str) -> Option<End> {
    const DROPPED: &[&str] = &[
        "forget it",
        "forget about it",
        "forget about that",
        "never mind",
        "nevermind",
        "no need",
        "not necessary",
        "doesn't matter",
        "does not matter",
        "don't bother",
        "leave it",
        "drop it",
        "no longer",
        "not anymore",
        "not any more",
    ];
    const KEPT: &[&str] = &[
        "done",
        "i did",
        "i have",
        "already",
        "taken care of",
        "sorted",
        "settled",
        "you did",
        "you told me",
        "went well",
        "went fine",
        "all good",
    ];
    const OPEN: &[&str] =
        &["not yet", "haven't", "have not", "didn't", "did not", "isn't done", "not done", "i will", "i'll", "later"];
    let low = format!(" {} ", text.to_lowercase().replace('’', "'").replace([',', '.', '!', '?', ';'], " "));
    let low = low.split_whitespace().collect::<Vec<_>>().join(" ");
    let low = format!(" {low} ");
    let says = |list: &[&str]| list.iter().any(|phrase| low.contains(&format!(" {phrase} ")));
    if says(DROPPED) {
        Some(End::Dropped)
    } else if says(KEPT) && !says(OPEN) {
        Some(End::Kept)
    } else {
        None
    }
}

/// Words of a promise, or of news, that say what it is about: those of telling and of time are in all of them.
pub(crate) fn about(what: &str) -> Vec<String> {
    const EMPTY: &[&str] = &[
        "i",
        "you",
        "me",
        "my",
        "your",
        "the",
        "a",
        "an",
        "to",
        "of",
        "about",
        "in",
        "on",
        "at",
        "for",
        "with",
        "when",
        "if",
        "it",
        "that",
        "this",
        "him",
        "her",
        "them",
        "back",
        "and",
        "or",
        "is",
        "are",
        "tell",
        "let",
        "know",
        "ask",
        "check",
        "find",
        "out",
        "look",
        "remind",
        "call",
        "ring",
        "send",
        "write",
        "get",
        "morning",
        "evening",
        "afternoon",
        "tomorrow",
        "today",
        "tonight",
        "later",
        "next",
        "week",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ];
    words(what).into_iter().filter(|word| !EMPTY.contains(&word.as_str())).collect()
}

/// Has the agent told what it promised to? It has said something of the matter that is neither a question nor the promise again.
pub(super) fn told(open: &Open, heard: &str) -> bool {
    let about = about(&open.what);
    let tells = ["tell", "let", "ask", "check", "find", "look"];
    let telling = open.what.to_lowercase().split(' ').next().is_some_and(|verb| tells.contains(&verb));
    let statements: Vec<String> = all(heard).iter().map(|clause| clause.low().join(" ")).collect();
    let promises = statements.iter().any(|clause| {
        ["i'll ", "i will ", "we'll ", "we will ", "i promise", "let me "].iter().any(|start| clause.starts_with(start))
    });
    open.who == Party::Agent
        && telling
        && !about.is_empty()
        && !heard.trim_end().ends_with('?')
        && !promises
        && shares(heard, &about) >= about.len().min(2)
}

/// "remind you in ten minutes": how long until then. At most a day.
pub fn soon(what: &str) -> Option<Duration> {
    let low = words(what);
    let low: Vec<&str> = low.iter().map(String::as_str).collect();
    let at = low.iter().rposition(|word| *word == "in")?;
    let unit = low.iter().skip(at + 1).position(|word| unit_s(word).is_some())? + at + 1;
    let each = unit_s(low[unit])?;
    let count = match &low[at + 1..unit] {
        ["a" | "an" | "one"] => 1,
        ["half", "an"] | ["half", "a"] => return Some(Duration::from_secs(each / 2)),
        ["a", "few"] => 3,
        ["a", "couple", "of"] => 2,
        number => counted(number)?.0.parse().ok()?,
    };
    let seconds = each.checked_mul(count).filter(|seconds| (1..=86_400).contains(seconds))?;
    Some(Duration::from_secs(seconds))
}

fn unit_s(word: &str) -> Option<u64> {
    match word {
        "second" | "seconds" => Some(1),
        "minute" | "minutes" | "minutes'" => Some(60),
        "hour" | "hours" => Some(3_600),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(who: Party, what: &str, due: Option<Day>) -> Open {
        Open { who, what: what.into(), due, made: today().plus(-1), persona: None }
    }

    fn today() -> Day {
        Day::of(2026, 11, 25).expect("a day")
    }

    #[test]
    fn a_promise_is_due_on_its_day_and_ours_without_one_at_the_next_occasion() {
        let due = |who, day| is_due(&open(who, "send the bill", day), today());
        assert!(due(Party::Agent, Some(today())) && due(Party::Caller, Some(today().plus(-3))));
        assert!(!due(Party::Agent, Some(today().plus(1))));
        assert!(due(Party::Agent, None) && !due(Party::Caller, None));
    }

    #[test]
    fn it_is_raised_in_the_words_of_whoever_says_it() {
        let said = |who, what| raised(&open(who, what, None));
        assert_eq!(said(Party::Agent, "ask the cook"), "By the way, I promised to ask the cook. That is still open.");
        assert_eq!(
            said(Party::Caller, "bring you my old map"),
            "By the way, you said you would bring me your old map. How did that go?"
        );
        assert_eq!(said(Party::Agent, "remind you of your train"), "You asked me for a reminder: your train.");
        let timed = "remind you of your train in ten minutes";
        assert_eq!(said(Party::Agent, timed), "You asked me for a reminder: your train.");
    }

    #[test]
    fn answers_close_a_promise_or_leave_it_open() {
        for text in ["Done.", "Oh, I did that on Monday.", "Yes, all sorted, thanks.", "I already have."] {
            assert_eq!(answer(text), Some(End::Kept), "{text}");
        }
        for text in ["Forget about it.", "Never mind, I found one.", "There's no need any more.", "It doesn't matter."]
        {
            assert_eq!(answer(text), Some(End::Dropped), "{text}");
        }
        for text in ["Not yet.", "I haven't done it.", "I'll do it later.", "What time is it?", "", "It isn't done."] {
            assert_eq!(answer(text), None, "{text}");
        }
    }

    #[test]
    fn telling_keeps_a_promise_and_promising_again_does_not() {
        let cook = open(Party::Agent, "ask the cook about the eggs in the morning", None);
        assert!(told(&cook, "The cook has eggs for tomorrow."));
        for heard in ["I'll ask the cook about the eggs.", "Do you want eggs from the cook?", "Breakfast is at eight."]
        {
            assert!(!told(&cook, heard), "{heard}");
        }
        assert!(!told(&open(Party::Caller, "tell you about the eggs", None), "The eggs are fine."));
    }

    #[test]
    fn who_calls_has_called() {
        assert!(kept_by_calling(&open(Party::Caller, "call you back on Friday", Some(today())), today()));
        assert!(!kept_by_calling(&open(Party::Caller, "call you back on Friday", Some(today().plus(2))), today()));
        assert!(!kept_by_calling(&open(Party::Agent, "call you back", None), today()));
    }

    #[test]
    fn minutes_and_hours_are_understood() {
        let s = |what| soon(what).map(|time| time.as_secs());
        assert_eq!(s("remind you in ten minutes"), Some(600));
        assert_eq!(s("call you back in an hour"), Some(3_600));
        assert_eq!(s("check in half an hour"), Some(1_800));
        assert_eq!(s("tell you in 20 seconds"), Some(20));
        for what in ["ask in the morning", "remind you in ten days", "check in", "call in 99999999 hours", ""] {
            assert_eq!(s(what), None, "{what}");
        }
    }
}
