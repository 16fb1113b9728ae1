//! What words tell: abbreviations before a dot, words that begin sentences, words that begin phrases.
//!
//! The lists are short on purpose. A missing word costs a pause in the wrong place or a clause that is too long.

use super::marks::is_newline;

/// What the word before a dot says about the dot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Abbreviation {
    /// No abbreviation: the dot ends a sentence.
    No,
    /// Never stands at the end of a sentence.
    Always,
    /// An abbreviation when a number follows, a word otherwise: `No. 5`, `No. I don't.`
    BeforeNumber,
    /// May end a sentence too; the next word decides.
    Perhaps,
}

/// Stand before a name or in the middle of a sentence.
const ALWAYS: &[&str] = &[
    "mr", "mrs", "ms", "mx", "dr", "prof", "mme", "mlle", "sra", "srta", "dott", "sig", "hr", "messrs", "capt", "lt",
    "sgt", "cmdr", "gov", "rev", "hon", "mt", "ft", "vs", "cf", "bzw", "ca", "z.b", "d.h", "u.a", "e.g", "i.e", "n.b",
    "p.ej", "c.-à-d", "св", "гр", "ул",
];

/// As above, but these are words too when they are not capitalised.
const ALWAYS_CAPITALISED: &[&str] = &["Gen", "Col", "Sen", "Rep", "Pres", "Maj", "Fr", "Ing", "Dipl", "Sr", "St"];

const BEFORE_NUMBER: &[&str] = &[
    "no", "nos", "nr", "fig", "figs", "vol", "ch", "p", "pp", "art", "sec", "eq", "tel", "ext", "jan", "feb", "mar",
    "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "стр",
];

const PERHAPS: &[&str] = &[
    "etc", "inc", "ltd", "co", "corp", "llc", "jr", "sr", "ave", "blvd", "rd", "st", "dept", "univ", "est", "approx",
    "min", "max", "al", "usw", "usf", "str", "tsp", "tbsp", "oz", "lb", "lbs", "hrs", "mins", "secs", "ph.d", "b.sc",
    "m.sc", "др", "пр", "руб",
];

/// German words between which and a noun a number with a dot is an ordinal.
const BEFORE_ORDINAL: &[&str] =
    &["am", "der", "die", "das", "dem", "den", "des", "im", "zum", "zur", "vom", "beim", "ab", "bis"];

/// English, German, French, Spanish, Italian, Portuguese: words that begin sentences and rarely follow a title.
const STARTERS: &[&str] = &[
    "the",
    "a",
    "an",
    "it",
    "he",
    "she",
    "they",
    "we",
    "i",
    "you",
    "this",
    "that",
    "these",
    "those",
    "there",
    "here",
    "what",
    "when",
    "where",
    "who",
    "why",
    "how",
    "which",
    "if",
    "is",
    "are",
    "do",
    "does",
    "did",
    "would",
    "could",
    "can",
    "will",
    "should",
    "have",
    "has",
    "but",
    "and",
    "or",
    "so",
    "then",
    "also",
    "however",
    "in",
    "on",
    "at",
    "for",
    "as",
    "after",
    "before",
    "by",
    "with",
    "to",
    "from",
    "not",
    "no",
    "yes",
    "my",
    "your",
    "our",
    "their",
    "his",
    "her",
    "its",
    "let",
    "please",
    "maybe",
    "it's",
    "it’s",
    "i'm",
    "i’m",
    "that's",
    "that’s",
    "there's",
    "there’s",
    "let's",
    "let’s",
    "just",
    "now",
    "well",
    "sure",
    "okay",
    "thanks",
    "some",
    "all",
    "most",
    "many",
    "one",
    "der",
    "die",
    "das",
    "es",
    "er",
    "sie",
    "wir",
    "ich",
    "ein",
    "eine",
    "und",
    "aber",
    "dann",
    "wenn",
    "was",
    "wie",
    "le",
    "la",
    "les",
    "il",
    "elle",
    "nous",
    "vous",
    "je",
    "c'est",
    "c’est",
    "un",
    "une",
    "et",
    "mais",
    "el",
    "los",
    "las",
    "una",
    "y",
    "pero",
    "si",
    "qué",
    "cómo",
    "o",
    "os",
    "um",
    "uma",
    "mas",
    "lo",
    "gli",
    "ma",
    "che",
];

/// Begin a clause of their own: a cut before them is heard as a breath.
const CONJUNCTIONS: &[&str] = &[
    "and",
    "but",
    "or",
    "because",
    "so",
    "that",
    "which",
    "who",
    "when",
    "while",
    "where",
    "if",
    "then",
    "although",
    "though",
    "unless",
    "until",
    "since",
    "und",
    "oder",
    "aber",
    "weil",
    "dass",
    "wenn",
    "et",
    "ou",
    "mais",
    "que",
    "qui",
    "car",
    "quand",
    "y",
    "o",
    "pero",
    "porque",
    "cuando",
    "e",
    "ma",
    "perché",
    "и",
    "или",
    "но",
    "что",
    "потому",
    "если",
    "когда",
];

const PREPOSITIONS: &[&str] = &[
    "with", "without", "for", "from", "in", "on", "at", "to", "by", "near", "into", "about", "than", "through",
    "after", "before", "between", "under", "over", "during", "mit", "für", "von", "auf", "bei", "nach", "zu", "avec",
    "pour", "dans", "sur", "par", "chez", "con", "para", "por", "en", "desde", "hasta", "per", "da", "su", "в", "на",
    "с", "для", "из", "к",
];

/// Everything between the last white space and `at`.
pub(super) fn token_before(text: &str, at: usize) -> &str {
    let start = text[..at].rfind(char::is_whitespace);
    let start = start.map_or(0, |n| n + text[n..].chars().next().map_or(0, char::len_utf8));
    &text[start..at]
}

/// Judges the word before the dot at `dot`.
pub(super) fn before_dot(text: &str, dot: usize) -> Abbreviation {
    let token = token_before(text, dot);
    let word = token.trim_start_matches(|c: char| !c.is_alphanumeric());
    let begins_line = text[..dot - token.len()].chars().rev().find(|&c| !c.is_whitespace() || is_newline(c));
    let begins_line = begins_line.is_none_or(is_newline);
    let letters = word.chars().count();
    let number = !word.is_empty() && word.chars().all(char::is_numeric);
    if begins_line && word == token && ((number && letters <= 3) || (letters == 1 && !number)) {
        // A list: "1. Milk", "b. Eggs". Nothing else is said of it.
        return Abbreviation::Always;
    }
    if number {
        // "am 3. Mai", "der 2. Weltkrieg"; elsewhere a number is a sentence's last word.
        let before = token_before(text, text[..dot - token.len()].trim_end().len()).to_lowercase();
        let ordinal = letters <= 2 && BEFORE_ORDINAL.contains(&before.as_str());
        return if ordinal { Abbreviation::Perhaps } else { Abbreviation::No };
    }
    let lower = word.to_lowercase();
    let listed = |list: &[&str]| list.contains(&lower.as_str());
    if listed(ALWAYS) || ALWAYS_CAPITALISED.contains(&word) {
        Abbreviation::Always
    } else if listed(BEFORE_NUMBER) {
        Abbreviation::BeforeNumber
    } else if listed(PERHAPS) || is_initials(word) {
        Abbreviation::Perhaps
    } else {
        Abbreviation::No
    }
}

/// `J`, `U.S`, `a.m`, `т.д`: single letters of a script with two cases.
fn is_initials(word: &str) -> bool {
    let single = |part: &str| {
        let mut letters = part.chars();
        letters.next().is_some_and(|c| c.is_lowercase() || c.is_uppercase()) && letters.next().is_none()
    };
    word.split('.').all(single)
}

/// Is this word, capitalised, likely to begin a sentence after a dot that may belong to an abbreviation?
pub(super) fn begins_sentence(word: &str) -> bool {
    word.starts_with(char::is_uppercase) && STARTERS.contains(&word.to_lowercase().as_str())
}

/// How good a place the gap before this word is, where there is no mark at all.
pub(super) fn phrase_rank(word: &str) -> Option<u8> {
    let lower = word.to_lowercase();
    if CONJUNCTIONS.contains(&lower.as_str()) {
        Some(2)
    } else if PREPOSITIONS.contains(&lower.as_str()) {
        Some(1)
    } else {
        None
    }
}
