//! Questions that a remembered fact answers by itself: "What did I do yesterday?", "Do you know my name?"
//!
//! Such an answer has no room for taste, and small language models get it wrong: they tell the caller's day as their own, or
//! make one up where the fact stands in the prompt. Only a turn that is nothing but such a question is answered here.

use super::calendar::{Day, Towards, find_day};
use super::past::is_past;
use super::recollection::{Known, capital};

/// Words that a question may begin with, and that change nothing about it.
const BEFORE: &[&str] =
    &["so", "and", "well", "hey", "hi", "hello", "okay", "ok", "please", "um", "uh", "now", "but", "oh", "then"];
/// Words that a question may end with, likewise.
const AFTER: &[&str] = &["please", "again", "then", "now", "still"];
/// What wraps a question: "Do you remember what I did yesterday?"
const WRAPPED: &[&str] = &[
    "do you remember",
    "do you still remember",
    "do you know",
    "do you still know",
    "can you tell me",
    "tell me",
    "remember",
    "you remember",
];

/// A question for a value.
struct ForValue {
    asked: &'static [&'static str],
    /// How the fact begins, and how it is told.
    begins: &'static str,
    told: &'static str,
    /// There is one such value; the newest holds.
    one: bool,
}

const FOR_VALUES: &[ForValue] = &[
    ForValue {
        asked: &[
            "what is my name",
            "what's my name",
            "my name",
            "what my name is",
            "who am i",
            "who i am",
            "what am i called",
            "what i'm called",
        ],
        begins: "is called ",
        told: "Your name is",
        one: true,
    },
    ForValue {
        asked: &[
            "which room am i in",
            "what room am i in",
            "which room i'm in",
            "what room i'm in",
            "what is my room",
            "what's my room",
            "what is my room number",
            "what's my room number",
            "my room number",
            "which room is mine",
        ],
        begins: "is in room ",
        told: "You are in room",
        one: true,
    },
    ForValue {
        asked: &["what am i allergic to", "what i'm allergic to", "what i am allergic to"],
        begins: "allergic to ",
        told: "You are allergic to",
        one: false,
    },
    ForValue { asked: &["where do i live", "where i live"], begins: "lives in ", told: "You live in", one: true },
    ForValue {
        asked: &["where do i come from", "where am i from", "where i come from", "where i'm from"],
        begins: "comes from ",
        told: "You come from",
        one: true,
    },
];

/// Questions about a day, before the day's name, and whether they are about a way somewhere.
const DAYS: &[(&str, bool)] = &[
    ("what did i do", false),
    ("what i did", false),
    ("what have i done", false),
    ("where did i go", true),
    ("where i went", true),
    ("where was i", true),
    ("where i was", true),
];
/// Facts that say where somebody was begin so.
const WAYS: &[&str] = &[
    "went",
    "walked",
    "drove",
    "flew",
    "rode",
    "ran",
    "swam",
    "was",
    "visited",
    "travelled",
    "stayed",
    "hiked",
    "cycled",
];
/// Events of a day that are told; more is a recital.
const MOST: usize = 3;

/// The answer to `asked` out of `facts`, the newest first; `None` where it is another question, more than a question, or nothing is known.
pub fn answer(asked: &str, facts: &[Known], today: Day) -> Option<String> {
    let said: Vec<&str> =
        asked.split_whitespace().map(|word| word.trim_matches(|c: char| !c.is_alphanumeric())).collect();
    let low: Vec<String> = said.iter().map(|word| word.to_lowercase().replace('’', "'")).collect();
    let mut rest: Vec<&str> = low.iter().map(String::as_str).filter(|word| !word.is_empty()).collect();
    // Nothing that takes longer to ask is asked here.
    if rest.len() > 16 {
        return None;
    }
    while rest.first().is_some_and(|word| BEFORE.contains(word)) {
        rest.remove(0);
    }
    while rest.last().is_some_and(|word| AFTER.contains(word)) {
        rest.pop();
    }
    let question = rest.join(" ");
    let question = WRAPPED
        .iter()
        .filter_map(|wrap| question.strip_prefix(wrap)?.strip_prefix(' '))
        .min_by_key(|inner| inner.len())
        .unwrap_or(&question);
    of_a_value(question, facts).or_else(|| of_a_day(question, facts, today, &said))
}

fn of_a_value(question: &str, facts: &[Known]) -> Option<String> {
    let ForValue { begins, told, one, .. } = FOR_VALUES.iter().find(|value| value.asked.contains(&question))?;
    let values = facts.iter().filter_map(|fact| fact.line.strip_prefix(begins));
    let values: Vec<&str> = values.take(if *one { 1 } else { MOST }).collect();
    Some(format!("{told} {}.", listed(&values)?))
}

/// `said`: the words as they were written, of which the day's name keeps its capitals.
fn of_a_day(question: &str, facts: &[Known], today: Day, said: &[&str]) -> Option<String> {
    let (asked, way) = DAYS.iter().find(|(asked, _)| question.starts_with(asked))?;
    let named: Vec<&str> = question[asked.len()..].split_whitespace().collect();
    let (day, range) = find_day(&named, today, Towards::Past)?;
    if range != (0..named.len()) {
        return None;
    }
    let mut events: Vec<&str> = facts.iter().filter_map(|fact| done_on(&fact.line, day, *way)).collect();
    events.truncate(MOST);
    // The newest facts come first; a day is told from its beginning.
    let told: Vec<String> = events.iter().rev().map(|event| to_the_caller(event)).collect();
    let told: Vec<&str> = told.iter().map(String::as_str).collect();
    let spelt =
        |low: &str| said.iter().find(|word| word.to_lowercase() == low).map_or(low.to_owned(), |word| (*word).into());
    let when = capital(&named.iter().map(|low| spelt(low)).collect::<Vec<String>>().join(" "));
    Some(format!("{when} you {}.", listed(&told)?))
}

/// What the caller did on the day, where the line is about that. What others did begins with who they are, and a plan is no past.
fn done_on(line: &str, day: Day, way: bool) -> Option<&str> {
    let (on, event) = line.split_once(": ")?;
    let verb = event.split(' ').next()?;
    (Day::parse(on)? == day && is_past(verb) && (!way || WAYS.contains(&verb))).then_some(event)
}

/// "went to the lake with their sister" is told to whose sister it is.
fn to_the_caller(event: &str) -> String {
    let words = event.split(' ').enumerate().map(|(at, word)| match word {
        "their" => "your",
        "them" => "you",
        "themselves" => "yourself",
        "was" if at == 0 => "were",
        other => other,
    });
    words.collect::<Vec<_>>().join(" ")
}

fn listed(parts: &[&str]) -> Option<String> {
    match parts {
        [] => None,
        [one] => Some((*one).to_owned()),
        [first @ .., last] => Some(format!("{} and {last}", first.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<Known> {
        [
            "is called Ada",
            "is in room 12",
            "allergic to nuts",
            "allergic to penicillin",
            "sister lives in Leeds",
            "2026-11-25: had soup with their sister",
            "2026-11-25: went to the lighthouse",
            "2026-11-20: was ill",
            "2026-11-25: sister went to Leeds",
            "2026-11-25: fly to Oslo",
        ]
        .map(|line| Known { id: 1, line: line.into(), identity: true })
        .into()
    }

    fn said(asked: &str) -> String {
        answer(asked, &known(), Day::parse("2026-11-26").expect("a day")).unwrap_or_default()
    }

    #[test]
    fn a_question_that_a_fact_answers_is_answered_with_the_fact() {
        for (asked, told) in [
            ("What did I do yesterday?", "Yesterday you went to the lighthouse and had soup with your sister."),
            (
                "So, do you remember what I did yesterday?",
                "Yesterday you went to the lighthouse and had soup with your sister.",
            ),
            ("Where did I go yesterday?", "Yesterday you went to the lighthouse."),
            ("And what did I do on Friday?", "On Friday you were ill."),
            ("Do you know my name?", "Your name is Ada."),
            ("What's my name again?", "Your name is Ada."),
            ("Hello. Can you tell me which room I'm in, please?", "You are in room 12."),
            ("What am I allergic to?", "You are allergic to nuts and penicillin."),
        ] {
            assert_eq!(said(asked), told, "{asked}");
        }
    }

    #[test]
    fn what_is_not_known_or_more_than_that_question_is_for_the_model() {
        for asked in [
            "Where do I live?",
            "What did I do on Monday?",
            "What did I do yesterday that made her so angry?",
            "What should I do?",
            "What is my name worth?",
            "What did you do yesterday?",
            "Can you tell me which room Mister Brown is in?",
            "",
        ] {
            assert_eq!(said(asked), "", "{asked}");
        }
    }
}
