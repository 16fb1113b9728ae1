//! What callers tell of their days: "Yesterday I went to the lighthouse." Only what has a day is kept, and the day is written
//! out, since "yesterday" is another day in the next call.

use super::calendar::{Day, Towards, find_day};
use super::clauses::{Clause, Word};
use super::values::value_with;
use super::{Fact, Predicate};

/// Verbs whose past does not end in -ed, as callers use them.
const PASTS: &[&str] = &[
    "went", "saw", "met", "was", "were", "had", "bought", "ate", "drank", "took", "made", "did", "came", "got", "gave",
    "found", "lost", "broke", "left", "drove", "flew", "swam", "ran", "rode", "read", "wrote", "spoke", "spent",
    "slept", "felt", "fell", "heard", "caught", "brought", "built", "sold", "sang", "sent", "paid", "won", "began",
    "forgot", "thought", "taught", "wore", "hurt", "cut", "put", "began", "became", "grew", "knew", "held", "kept",
    "sat", "stood",
];

/// Verbs of which a recogniser drops the -ed where the next word begins with a "t": "I walk to the harbour yesterday."
const CLIPPED: &[&str] = &[
    "walk", "talk", "visit", "call", "cook", "watch", "work", "help", "book", "order", "start", "stay", "play",
    "clean", "travel", "return", "drop", "listen", "move",
];

/// Does this word tell of what has been done?
pub(super) fn is_past(verb: &str) -> bool {
    PASTS.contains(&verb) || (verb.len() > 3 && verb.ends_with("ed"))
}

/// The event that a clause tells: `rest` are the words after the subject, the day may stand anywhere in the clause.
pub(super) fn past(subject: &str, rest: &[Word], clause: &Clause, today: Day) -> Option<Fact> {
    let low: Vec<&str> = rest.iter().map(|word| word.low.as_str()).collect();
    let was = clause.low().iter().any(|word| matches!(*word, "was" | "were"));
    let verb =
        low.iter().position(|word| !matches!(*word, "just" | "also" | "only" | "already" | "finally" | "even"))?;
    let clipped = CLIPPED.contains(&low[verb]);
    let tells = clipped || is_past(low[verb]) || was;
    if !tells || low.iter().any(|word| matches!(*word, "not" | "never" | "didn't" | "wasn't")) {
        return None;
    }
    let (day, _) = find_day(&clause.low(), today, Towards::Past)?;
    // "I work today" is no past.
    if day > today || (clipped && day == today) {
        return None;
    }
    // The day's own name goes: the fact has it as a date.
    let kept: Vec<Word> = match find_day(&low, today, Towards::Past) {
        Some((_, range)) => {
            rest.iter().enumerate().filter(|(n, _)| !range.contains(n)).map(|(_, word)| word.clone()).collect()
        }
        None => rest.to_vec(),
    };
    let kept = kept.get(verb.min(kept.len())..)?;
    let told = value_with(kept, 24)?;
    let said_of_being = was && !PASTS.contains(&low[verb]) && !low[verb].ends_with("ed");
    let value = if said_of_being { format!("was {told}") } else { told };
    let value = own_words(&if clipped { unclipped(&value) } else { value });
    Some(Fact { subject: subject.into(), predicate: Predicate::Did, value, day: Some(day), confidence: 0.7 })
}

/// "walk to the harbour" -> "walked to the harbour"
fn unclipped(text: &str) -> String {
    let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
    let ending = match verb {
        "move" => "d",
        "drop" => "ped",
        "travel" => "led",
        _ => "ed",
    };
    format!("{verb}{ending} {rest}").trim_end().to_owned()
}

/// "with my sister" is said by the caller; read by somebody else it is the caller's.
fn own_words(text: &str) -> String {
    text.split(' ')
        .map(|word| match word {
            "my" | "our" => "their",
            "me" | "us" => "them",
            "myself" => "themselves",
            other => other,
        })
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::glean;

    #[test]
    fn a_past_that_lost_its_ending_is_a_past_where_a_day_says_so() {
        let lines = |text| {
            let facts = glean(text, None, Day::of(2026, 11, 25).expect("a day")).facts;
            facts.iter().map(Fact::line).collect::<Vec<_>>()
        };
        assert_eq!(lines("I walk to the harbour yesterday."), ["2026-11-24: walked to the harbour"]);
        assert_eq!(lines("Yesterday I visit my aunt."), ["2026-11-24: visited their aunt"]);
        for no in ["I work today.", "I walk to the harbour on most days.", "I walk to the harbour tomorrow."] {
            assert!(lines(no).iter().all(|line| !line.contains("ed ")), "{no}");
        }
    }
}
