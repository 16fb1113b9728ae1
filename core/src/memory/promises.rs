//! Promises, of either side, and what a caller wants forgotten.

use super::calendar::{Day, Towards, find_day};
use super::clauses::{Word, all, statements};
use super::keeping::{is_reminder, matter_of, seen_from_here, soon};
use super::values::value_with;
use super::{Commitment, Party, Wish};
use crate::journal::{Speaker, TurnRow};

/// What is promised over the telephone. "I'll have a coffee" is an order and "I'll be there" a plan.
const PROMISED: &[&str] = &[
    "ask", "call", "check", "send", "book", "bring", "tell", "let", "remind", "find", "look", "reserve", "arrange",
    "get", "ring", "write", "email", "confirm", "order", "prepare", "keep", "hold", "pay", "return", "pick",
];

/// What `who` promises in `text`: "I'll ask in the morning."
pub fn promises(text: &str, who: Party, today: Day) -> Vec<Commitment> {
    let mut out = Vec::new();
    for clause in statements(text) {
        let low = clause.low();
        let from = match low.as_slice() {
            ["i'll" | "we'll", verb, ..] if PROMISED.contains(verb) => 1,
            ["i" | "we", "will", verb, ..] if PROMISED.contains(verb) => 2,
            ["i" | "we", "promise", "to", ..] => 3,
            _ => continue,
        };
        let due = find_day(&low, today, Towards::Future).map(|(day, _)| day);
        // "get" alone promises anything; "get back to you" is one.
        if low.get(from) == Some(&"get") && low.get(from + 1) != Some(&"back") {
            continue;
        }
        out.extend(value_with(&clause.words[from..], 20).map(|what| Commitment { who, what, due }));
    }
    out
}

/// What the agent has taken on, turn by turn: what it promises in its own words, and a reminder that it was asked for and answered
/// without a no. A language model does not always repeat what it agrees to.
#[derive(Clone, Debug, Default)]
pub struct TakenOn {
    asked: Vec<Commitment>,
}

impl TakenOn {
    /// A turn is over, either side's: what the agent has taken on with it.
    pub fn read(&mut self, row: &TurnRow, today: Day) -> Vec<Commitment> {
        if row.speaker == Speaker::Caller {
            self.asked = requests(&row.text, today);
            return Vec::new();
        }
        let Some(heard) = row.heard.as_deref().filter(|heard| !heard.is_empty()) else { return Vec::new() };
        let mut taken = promises(heard, Party::Agent, today);
        let asked = std::mem::take(&mut self.asked);
        if row.action.as_deref() == Some("respond") && !asked.is_empty() {
            // "I'll remind you in ten minutes" does not say of what.
            taken.retain(|promise| !is_reminder(&promise.what) || !matter_of(&promise.what).is_empty());
            if !taken.iter().any(|promise| is_reminder(&promise.what)) {
                taken.extend(asked);
            }
        }
        taken
    }
}

/// What the caller wants to be reminded of: "Remind me to ring my brother in ten minutes."
fn requests(text: &str, today: Day) -> Vec<Commitment> {
    let mut out = Vec::new();
    for clause in all(text) {
        let words = without_asking(&clause.words);
        let [remind, me, matter @ ..] = words else { continue };
        if remind.low != "remind" || me.low != "me" {
            continue;
        }
        let due = find_day(&clause.low(), today, Towards::Future).map(|(day, _)| day);
        // "Remind me in ten minutes to go": the time behind the matter, as when it stands there.
        let (time, matter) = matter.split_at(time_at_the_beginning(matter));
        if matter.is_empty() {
            continue;
        }
        let matter: Vec<Word> = matter.iter().chain(time).cloned().collect();
        let verb = matter.iter().position(|word| !["to", "of", "about", "that"].contains(&word.low.as_str()));
        let Some(what) = verb.and_then(|at| value_with(&matter[at..], 20)) else { continue };
        let joint = matter.first().filter(|_| verb == Some(1)).map_or("of", |word| word.low.as_str());
        out.push(Commitment { who: Party::Agent, what: format!("remind you {joint} {}", seen_from_here(&what)), due });
    }
    out
}

/// How many of the words are a time: "in half an hour" is four.
fn time_at_the_beginning(words: &[Word]) -> usize {
    let is_time = |many: &usize| {
        let said: Vec<&str> = words[..*many].iter().map(|word| word.low.as_str()).collect();
        said.first() == Some(&"in") && soon(&said.join(" ")).is_some()
    };
    (2..=words.len().min(5)).find(is_time).unwrap_or(0)
}

/// What the caller wants forgotten.
pub(crate) fn wishes(text: &str) -> Vec<Wish> {
    let mut out = Vec::new();
    for clause in all(text) {
        let words = without_asking(&clause.words);
        let low: Vec<&str> = words.iter().map(|word| word.low.as_str()).collect();
        let about = |from: usize| value_with(words.get(from..)?, 8).map(Wish::ForgetAbout);
        let wish = match low.as_slice() {
            ["forget" | "delete" | "erase", "everything" | "all", ..] | ["forget" | "delete" | "erase", "me"] => {
                Some(Wish::ForgetEverything)
            }
            ["forget", "what" | "that", "i" | "i've", ..] => {
                let about_at = low.iter().position(|word| *word == "about");
                match about_at {
                    Some(at) => about(at + 1),
                    None if low.get(1) == Some(&"that") => about(3),
                    None => None,
                }
            }
            ["forget" | "delete" | "erase", "my", ..] => about(2),
            ["don't", "remember", "my", ..] => about(3),
            _ => None,
        };
        out.extend(wish);
    }
    out
}

/// "Can you please", "I want you to": how a wish is put.
fn without_asking(words: &[Word]) -> &[Word] {
    const ASKING: &[&str] =
        &["can", "could", "would", "will", "you", "please", "i", "want", "like", "to", "just", "i'd", "kindly", "need"];
    let skipped = words.iter().take_while(|word| ASKING.contains(&word.low.as_str())).count();
    &words[skipped..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use duologue_signaling::event::LatencyParts;

    fn row(speaker: Speaker, said: &str, action: &str) -> TurnRow {
        TurnRow {
            call: "call".into(),
            turn: 1,
            speaker,
            started_ms: 0,
            ended_ms: 0,
            text: said.into(),
            heard: (speaker == Speaker::Agent).then(|| said.into()),
            typed: false,
            outcome: None,
            action: (speaker == Speaker::Agent).then(|| action.into()),
            reason: None,
            latency: LatencyParts::default(),
        }
    }

    fn taken_on(asked: &str, answer: &str, action: &str) -> Vec<String> {
        let today = Day::of(2026, 11, 25).expect("a day");
        let mut taken_on = TakenOn::default();
        assert!(taken_on.read(&row(Speaker::Caller, asked, ""), today).is_empty());
        // A draft that was thrown away unheard answers nothing.
        assert!(taken_on.read(&row(Speaker::Agent, "", "respond"), today).is_empty());
        taken_on.read(&row(Speaker::Agent, answer, action), today).into_iter().map(|promise| promise.what).collect()
    }

    #[test]
    fn a_reminder_that_is_asked_for_and_not_declined_is_taken_on() {
        for (asked, what) in [
            ("Please remind me to drink some water in ten minutes.", "remind you to drink some water in ten minutes"),
            ("Can you remind me of my train tomorrow?", "remind you of your train tomorrow"),
            (
                "Remind me in half an hour that I have to ring my brother.",
                "remind you that you have to ring your brother in half an hour",
            ),
            ("Could you remind me about the oven in a few minutes?", "remind you about the oven in a few minutes"),
        ] {
            assert_eq!(taken_on(asked, "Very well.", "respond"), [what], "{asked}");
            assert!(taken_on(asked, "No.", "refuse").is_empty(), "{asked}");
        }
    }

    #[test]
    fn the_agents_own_words_for_it_stand() {
        let asked = "Remind me of the train in ten minutes.";
        assert_eq!(taken_on(asked, "I'll remind you of it at ten.", "respond"), ["remind you of it at ten"]);
        assert_eq!(
            taken_on(asked, "I'll remind you in ten minutes.", "respond"),
            ["remind you of the train in ten minutes"]
        );
        assert_eq!(
            taken_on(asked, "I'll ask the cook.", "respond"),
            ["ask the cook", "remind you of the train in ten minutes"]
        );
    }

    #[test]
    fn what_is_no_request_is_not_taken_on() {
        for said in [
            "That song reminds me of my father.",
            "Remind me.",
            "You did not remind me of the train.",
            "Remind me in ten minutes.",
        ] {
            assert!(taken_on(said, "Yes.", "respond").is_empty(), "{said}");
        }
    }
}
