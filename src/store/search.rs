//! What is looked for in a caller's rows: the words of a turn that say what it is about, and the question put to FTS5.

use crate::memory::words;

/// Words of a turn that are looked for.
const WORDS_MOST: usize = 12;

/// Words that say nothing of what a turn is about.
const EMPTY_WORDS: &[&str] = &[
    "a",
    "an",
    "the",
    "i",
    "you",
    "he",
    "she",
    "it",
    "we",
    "they",
    "me",
    "my",
    "your",
    "his",
    "her",
    "our",
    "their",
    "im",
    "ive",
    "ill",
    "youre",
    "its",
    "is",
    "are",
    "am",
    "was",
    "were",
    "be",
    "been",
    "do",
    "does",
    "did",
    "dont",
    "didnt",
    "have",
    "has",
    "had",
    "can",
    "could",
    "would",
    "will",
    "shall",
    "should",
    "may",
    "might",
    "of",
    "to",
    "in",
    "on",
    "at",
    "for",
    "with",
    "from",
    "by",
    "about",
    "as",
    "and",
    "or",
    "but",
    "if",
    "so",
    "not",
    "no",
    "yes",
    "what",
    "when",
    "where",
    "who",
    "which",
    "why",
    "how",
    "that",
    "this",
    "these",
    "those",
    "there",
    "here",
    "please",
    "tell",
    "say",
    "said",
    "know",
    "remember",
    "again",
    "just",
    "any",
    "some",
    "one",
    "hello",
    "hi",
    "okay",
    "well",
    "um",
    "uh",
    "thank",
    "thanks",
    "let",
    "lets",
    "get",
    "got",
    "go",
    "went",
    "much",
    "many",
    "more",
    "very",
    "whats",
    "wheres",
    "whos",
    "told",
    "everything",
];

/// The words of `text` that are worth looking for, at most [`WORDS_MOST`].
pub(super) fn content_words(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for word in words(text) {
        if !EMPTY_WORDS.contains(&word.as_str()) && !found.contains(&word) && found.len() < WORDS_MOST {
            found.push(word);
        }
    }
    found
}

/// The search for one caller's rows with any of these words. Words are letters and digits only, and quoted.
pub(super) fn find_any(caller: i64, words: &[String]) -> Option<String> {
    find(caller, words, " OR ")
}

/// The same with all of them.
pub(super) fn find_all(caller: i64, words: &[String]) -> Option<String> {
    find(caller, words, " AND ")
}

fn find(caller: i64, words: &[String], joined: &str) -> Option<String> {
    if words.is_empty() {
        return None;
    }
    let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    Some(format!("caller_id : \"{caller}\" AND text : ({})", words.join(joined)))
}
