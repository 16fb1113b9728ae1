//! Promises, of either side, and what a caller wants forgotten.

use super::calendar::{Day, Towards, find_day};
use super::clauses::{Word, all, statements};
use super::values::value_with;
use super::{Commitment, Party, Wish};

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

/// What the caller wants forgotten.
pub(super) fn wishes(text: &str) -> Vec<Wish> {
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
