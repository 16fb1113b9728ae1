//! A turn, taken apart into clauses: words with their spelling, and whether a clause asks, supposes or quotes. What is asked,
//! supposed or quoted is no fact.

use super::numbers::dictated;

/// A word as it was said, and as rules compare it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Without the marks around it.
    pub said: String,
    /// Lower case, straight apostrophes.
    pub low: String,
}

impl Word {
    fn of(token: &str) -> Self {
        let said = token.trim_matches(|c: char| !c.is_alphanumeric() && c != '+' && c != '@').to_owned();
        let low = said.to_lowercase().replace('’', "'");
        Self { said, low }
    }

    /// Does it begin with a capital?
    pub fn is_capital(&self) -> bool {
        self.said.chars().next().is_some_and(char::is_uppercase)
    }
}

/// A stretch of a sentence with a subject of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Clause {
    pub words: Vec<Word>,
    /// It stands after a greeting or a yes: "Hello, I'm Ada."
    pub greeted: bool,
    /// It puts right what was said: "Actually, ...", "No, ...".
    pub corrects: bool,
}

impl Clause {
    pub fn low(&self) -> Vec<&str> {
        self.words.iter().map(|word| word.low.as_str()).collect()
    }
}

/// Words that a new subject begins with; what follows "and" or a comma without one goes on with the value before it.
const SUBJECTS: &[&str] = &[
    "i",
    "i'm",
    "i've",
    "i'll",
    "i'd",
    "my",
    "we",
    "we're",
    "we've",
    "we'll",
    "our",
    "he",
    "she",
    "he's",
    "she's",
    "they",
    "it",
    "it's",
    "you",
    "you're",
    "your",
    "this",
    "that",
    "that's",
    "there",
    "what",
    "when",
    "where",
    "who",
    "how",
    "why",
    "can",
    "could",
    "do",
    "does",
    "did",
    "is",
    "are",
    "am",
    "will",
    "would",
    "please",
    "if",
    "yesterday",
    "tomorrow",
    "today",
    "don't",
    "isn't",
    "forget",
    "call",
    "remember",
    "room",
    "last",
];

/// Words before the clause that do not belong to it.
const LEADS: &[&str] = &[
    "well", "so", "um", "uh", "er", "oh", "ah", "okay", "ok", "right", "and", "but", "also", "because", "since",
    "look", "listen", "sorry", "please", "anyway", "then", "hm", "hmm", "now", "still", "yes", "yeah", "yep", "sure",
];
const GREETINGS: &[&str] = &["hi", "hello", "hey", "good", "morning", "afternoon", "evening", "day", "there"];
const CORRECTIONS: &[&str] = &["actually", "no", "nope", "correction", "wait"];

/// Phrases that hand on to what is meant: "Don't forget that I'm allergic to nuts."
const HANDOVERS: &[&str] = &[
    "don't forget that",
    "don't forget",
    "do not forget that",
    "do not forget",
    "remember that",
    "please note that",
    "note that",
    "you should know that",
    "you should know",
    "just so you know",
    "as i said",
    "i told you that",
    "i told you",
    "i said that",
    "i said",
    "i think that",
    "i think",
    "i mean",
    "the thing is",
    "by the way",
    "for the record",
];

/// A clause with one of these says nothing about how things are.
const SUPPOSES: &[&str] = &[
    "if",
    "suppose",
    "supposing",
    "imagine",
    "pretend",
    "wish",
    "would",
    "could",
    "might",
    "maybe",
    "perhaps",
    "unless",
    "whether",
    "hypothetically",
    "probably",
    "kidding",
    "joking",
    "should",
    "assuming",
    "wonder",
    "wondering",
    "unsure",
];
const REPORTS: &[&str] =
    &["said", "says", "told", "tells", "claims", "claimed", "thinks", "thought", "wrote", "asked", "believes", "quote"];

/// Begins a question.
const ASKS: &[&str] = &[
    "what", "when", "where", "who", "whose", "which", "why", "how", "do", "does", "did", "is", "are", "am", "was",
    "were", "can", "could", "will", "would", "shall", "should", "may", "have", "has", "isn't", "aren't", "don't",
    "doesn't", "what's", "where's", "who's", "how's",
];

/// The clauses of a turn that say how things are, in order.
pub fn statements(text: &str) -> Vec<Clause> {
    let mut out = Vec::new();
    for (sentence, asks) in sentences(text) {
        // A quotation may be anybody's words.
        if sentence.contains(['"', '“', '”', '«', '»']) {
            continue;
        }
        let clauses = parts(&sentence);
        let supposed = clauses.iter().any(|clause| clause.words.iter().any(|w| SUPPOSES.contains(&w.low.as_str())));
        let reported = clauses.iter().any(is_reported);
        if supposed || reported {
            continue;
        }
        let last = clauses.len().saturating_sub(1);
        for (n, clause) in clauses.into_iter().enumerate() {
            let question = (asks && n == last) || clause.words.first().is_some_and(|w| begins_question(&w.low));
            if !question && !clause.words.is_empty() {
                out.push(clause);
            }
        }
    }
    out
}

/// The clauses of a turn in which something may be wished: questions among them ("can you forget ...").
pub fn all(text: &str) -> Vec<Clause> {
    sentences(text).into_iter().flat_map(|(sentence, _)| parts(&sentence)).collect()
}

/// "don't" and "do not" begin orders as well.
fn begins_question(low: &str) -> bool {
    ASKS.contains(&low) && low != "don't"
}

/// Somebody else's words: "My mother says I'm allergic".
fn is_reported(clause: &Clause) -> bool {
    clause.words.iter().enumerate().any(|(n, word)| {
        let mine = n > 0 && matches!(clause.words[n - 1].low.as_str(), "i" | "i've" | "we");
        REPORTS.contains(&word.low.as_str()) && !mine
    })
}

/// Sentences, and whether each ends in a question mark. A point between digits, or after one letter, ends nothing.
fn sentences(text: &str) -> Vec<(String, bool)> {
    let mut out = Vec::new();
    let mut sentence = String::new();
    let chars: Vec<char> = text.chars().take(MOST_CHARS).collect();
    for (n, c) in chars.iter().enumerate() {
        let inside = *c == '.' && chars.get(n + 1).is_some_and(|next| next.is_alphanumeric());
        if matches!(c, '.' | '!' | '?' | ';' | '\n' | '…') && !inside {
            out.push((std::mem::take(&mut sentence), *c == '?'));
        } else {
            sentence.push(*c);
        }
    }
    out.push((sentence, false));
    out.retain(|(sentence, _)| !sentence.trim().is_empty());
    out
}

/// More of a turn is not looked at: some five minutes of speech.
const MOST_CHARS: usize = 4_000;

fn parts(sentence: &str) -> Vec<Clause> {
    let mut clauses: Vec<Vec<Word>> = vec![Vec::new()];
    let tokens: Vec<&str> = sentence.split_whitespace().collect();
    let subject_at = |n: usize| tokens.get(n).is_some_and(|token| SUBJECTS.contains(&Word::of(token).low.as_str()));
    for (n, token) in tokens.iter().enumerate() {
        let word = Word::of(token);
        let joins = matches!(word.low.as_str(), "and" | "but" | "because" | "so" | "then");
        if joins && (subject_at(n + 1) || (subject_at(n + 2) && LEADS.contains(&Word::of(tokens[n + 1]).low.as_str())))
        {
            clauses.push(Vec::new());
            continue;
        }
        if !word.low.is_empty()
            && let Some(clause) = clauses.last_mut()
        {
            clause.push(word);
        }
        let follows = |n: usize| {
            subject_at(n) || tokens.get(n).is_some_and(|token| LEADS.contains(&Word::of(token).low.as_str()))
        };
        if token.ends_with([',', ':']) && follows(n + 1) {
            clauses.push(Vec::new());
        }
    }
    let mut greeted = false;
    let mut corrects = false;
    let mut out = Vec::new();
    for words in clauses {
        let (words, hello, puts_right) = without_lead(words);
        greeted |= hello;
        corrects |= puts_right;
        if !words.is_empty() {
            out.push(Clause { words, greeted, corrects });
            greeted = false;
        }
    }
    out
}

/// The clause itself, whether a greeting stood before it, and whether a correction did.
fn without_lead(mut words: Vec<Word>) -> (Vec<Word>, bool, bool) {
    let (mut greeted, mut corrects) = (false, false);
    loop {
        let Some(first) = words.first().map(|word| word.low.clone()) else { break };
        let hello = GREETINGS.contains(&first.as_str());
        let puts_right = CORRECTIONS.contains(&first.as_str());
        // "Oh seven five": the first digit of a number.
        let digit = first == "oh" && words.get(1).is_some_and(|next| dictated(&[&next.low]).is_some());
        if digit {
            break;
        }
        if hello || puts_right || LEADS.contains(&first.as_str()) {
            greeted |= hello;
            corrects |= puts_right;
            words.remove(0);
            continue;
        }
        let handed = HANDOVERS.iter().find_map(|phrase| {
            let phrase: Vec<&str> = phrase.split(' ').collect();
            let here = words.len() > phrase.len() && phrase.iter().zip(&words).all(|(want, word)| *want == word.low);
            here.then_some(phrase.len())
        });
        match handed {
            Some(length) => drop(words.drain(..length)),
            None => break,
        }
    }
    (words, greeted, corrects)
}
