//! The values of facts, cut out of a clause: names, rooms, telephone numbers, places, and words as they were said.

use super::clauses::Word;
use super::numbers::{counted, dictated};

/// Longest value of a fact, in words: what goes on for longer is a story.
pub(super) const MOST_WORDS: usize = 14;

/// A name at the beginning: capitals and the little words between them. Typed all in lower case, one or two words to the end.
pub(super) fn name(words: &[Word]) -> Option<String> {
    const LITTLE: &[&str] = &["de", "van", "von", "der", "den", "la", "le", "da", "di", "al", "bin", "ten"];
    const NEVER: &[&str] = &[
        "not",
        "on",
        "in",
        "the",
        "a",
        "an",
        "very",
        "hard",
        "difficult",
        "spelled",
        "spelt",
        "nobody",
        "none",
        "back",
        "when",
        "if",
        "tomorrow",
        "later",
        "please",
        "about",
        "no",
        "yes",
        "correct",
        "right",
        "wrong",
        "unusual",
        "long",
        "what",
        "your",
        "my",
        "his",
        "her",
        "i",
        "that",
    ];
    let first = words.first()?;
    if NEVER.contains(&first.low.as_str()) || first.low.chars().any(|c| c.is_ascii_digit()) {
        return None;
    }
    if !first.is_capital() {
        let lower = words.len() <= 2 && words.iter().all(|word| !NEVER.contains(&word.low.as_str()));
        return lower.then(|| words.iter().map(capital).collect::<Vec<_>>().join(" "));
    }
    let mut taken = 0;
    for (n, word) in words.iter().take(4).enumerate() {
        let little = LITTLE.contains(&word.low.as_str()) && words.get(n + 1).is_some_and(Word::is_capital);
        if word.is_capital() && word.low != "i" || little {
            taken = n + 1;
        } else {
            break;
        }
    }
    Some(words[..taken].iter().map(|word| word.said.as_str()).collect::<Vec<_>>().join(" "))
}

/// A name that is all there is: "I'm Ada", never "I'm German and tired".
pub(super) fn whole_name(words: &[Word]) -> Option<String> {
    const PEOPLE: &[&str] = &[
        "german",
        "english",
        "british",
        "french",
        "italian",
        "spanish",
        "american",
        "dutch",
        "danish",
        "swedish",
        "polish",
        "chinese",
        "japanese",
        "indian",
        "irish",
        "scottish",
        "welsh",
        "jewish",
        "muslim",
        "christian",
        "catholic",
        "yes",
        "no",
        "okay",
        "sorry",
        "hello",
        "thanks",
        "thank",
        "well",
        "i",
        "what",
        "why",
        "it",
        "just",
    ];
    let plain = words.iter().all(|word| word.is_capital() && !PEOPLE.contains(&word.low.as_str()));
    (plain && (1..=3).contains(&words.len())).then(|| name(words)).flatten()
}

fn capital(word: &Word) -> String {
    let mut chars = word.said.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// The number after "room", or after "room number is".
pub(super) fn room(low: &[&str]) -> Option<String> {
    let at = low.iter().position(|word| *word == "room")?;
    let rest: Vec<&str> =
        low[at + 1..].iter().copied().skip_while(|word| matches!(*word, "number" | "is" | "no")).collect();
    counted(&rest).map(|(room, _)| room)
}

/// Five digits or more, dictated at the end of the clause.
pub(super) fn phone(low: &[&str]) -> Option<String> {
    (0..low.len()).find_map(|from| {
        let number = dictated(&low[from..])?;
        (number.chars().filter(char::is_ascii_digit).count() >= 5).then_some(number)
    })
}

/// A place: to the end, or to the word that begins another thought.
pub(super) fn place(words: &[Word]) -> Option<String> {
    let end = words
        .iter()
        .position(|w| matches!(w.low.as_str(), "with" | "and" | "since" | "for" | "when" | "as" | "anymore"));
    value_with(&words[..end.unwrap_or(words.len())], 6)
}

/// What is named by the words to the end.
pub(super) fn value(words: &[Word]) -> Option<String> {
    value_with(words, MOST_WORDS)
}

/// The words as they were said, without what trails behind a value; `None` where nothing or too much is left.
pub(super) fn value_with(words: &[Word], most: usize) -> Option<String> {
    const TRAILS: &[&str] = &[
        "please",
        "thanks",
        "thank",
        "you",
        "too",
        "though",
        "actually",
        "anymore",
        "really",
        "you know",
        "right",
        "okay",
        "originally",
    ];
    const EMPTY: &[&str] =
        &["it", "that", "this", "them", "to", "you", "him", "her", "anything", "everything", "nothing"];
    let mut words = words;
    while let Some((last, before)) = words.split_last() {
        if !TRAILS.contains(&last.low.as_str()) {
            break;
        }
        words = before;
    }
    let vague = words.first().is_none_or(|first| EMPTY.contains(&first.low.as_str()));
    if vague || words.len() > most {
        return None;
    }
    Some(words.iter().map(|word| word.said.as_str()).collect::<Vec<_>>().join(" "))
}
