//! A clause of text as a voice reads it: sentences, cut at their marks into parts, of words that know where in the text they
//! stand.
//!
//! The cuts are ours because the phonemiser drops punctuation and runs the words on both sides of a mark together.

use std::ops::Range;
use std::time::Duration;

use super::spell::spoken;

/// A word of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Its bytes in the clause, marks and unpronounceable neighbours (a dash, an emoji) included.
    pub bytes: Range<usize>,
    /// What the phonemiser is given; never empty.
    pub spoken: String,
}

/// Words up to a mark; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub words: Vec<Word>,
    pub mark: Mark,
}

/// What stands after a part; the voice was trained with these marks and speaks accordingly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// The text ends without any: it goes on in the next clause.
    Open,
    Comma,
    Semicolon,
    Colon,
    Stop,
    Exclamation,
    Question,
}

impl Mark {
    /// What the voice is given. An open end gets a comma: without any mark the last sound is cut short.
    pub const fn phoneme(self) -> char {
        match self {
            Self::Open | Self::Comma => ',',
            Self::Semicolon => ';',
            Self::Colon => ':',
            Self::Stop => '.',
            Self::Exclamation => '!',
            Self::Question => '?',
        }
    }

    /// Silence from the end of the last word until the next clause may begin. Pauses in read English are around 100-200 ms at
    /// commas and 250-500 ms between sentences; a conversation takes the short ends. The voice's own silence (165-240 ms after
    /// any mark) is replaced by this.
    pub const fn pause(self) -> Duration {
        Duration::from_millis(match self {
            Self::Open => 40,
            Self::Comma => 120,
            Self::Semicolon | Self::Colon => 180,
            Self::Stop | Self::Exclamation | Self::Question => 250,
        })
    }

    const fn ends_sentence(self) -> bool {
        matches!(self, Self::Stop | Self::Exclamation | Self::Question)
    }
}

/// The voice's text encoder compares every phoneme with every other: memory and time grow with the square of a sentence. Longer
/// ones than this (some 25 s) are spoken in two breaths.
const MOST_WORDS: usize = 64;
/// A longer word is no word but data; its beginning is spoken.
const MOST_LETTERS: usize = 80;

/// Parts up to a full stop, question or exclamation mark: what the voice speaks in one breath. Never empty.
pub(super) type Sentence = Vec<Part>;

/// Reads a clause for a voice of `language`. Nothing to pronounce gives no sentence.
pub(super) fn read(text: &str, language: &str) -> Vec<Sentence> {
    let mut sentences = Vec::new();
    let mut sentence = Sentence::new();
    let mut words: Vec<Word> = Vec::new();
    // Where a token without sound waits for the word after it.
    let mut waiting: Option<usize> = None;
    let tokens = tokens(text);
    for (at, token) in tokens.iter().enumerate() {
        let written = &text[token.clone()];
        let next = tokens.get(at + 1).map(|next| &text[next.clone()]);
        let spoken: String = spoken(written, language).chars().take(MOST_LETTERS).collect();
        let mark = if spoken.is_empty() { mark_alone(written) } else { mark_behind(written, next) };
        if spoken.is_empty() {
            match last_word(&mut words, &mut sentence, &mut sentences) {
                Some(word) => word.bytes.end = token.end,
                None => waiting = waiting.or(Some(token.start)),
            }
        } else {
            words.push(Word { bytes: waiting.take().unwrap_or(token.start)..token.end, spoken });
        }
        let too_long = words.len() + sentence.iter().map(|part| part.words.len()).sum::<usize>() >= MOST_WORDS;
        let mark = mark.or(too_long.then_some(Mark::Open));
        if let Some(mark) = mark.filter(|_| !words.is_empty()) {
            sentence.push(Part { words: std::mem::take(&mut words), mark });
            if mark.ends_sentence() || too_long {
                sentences.push(std::mem::take(&mut sentence));
            }
        }
    }
    if !words.is_empty() {
        sentence.push(Part { words, mark: Mark::Open });
    }
    if !sentence.is_empty() {
        sentences.push(sentence);
    }
    sentences
}

fn last_word<'w>(
    words: &'w mut [Word],
    sentence: &'w mut Sentence,
    sentences: &'w mut [Sentence],
) -> Option<&'w mut Word> {
    let written = words.last_mut();
    written.or_else(|| sentence.last_mut().or_else(|| sentences.last_mut()?.last_mut())?.words.last_mut())
}

/// Marks of scripts that put no blank after them; a token ends behind each.
const FULL_WIDTH_MARKS: [char; 8] = ['。', '！', '？', '；', '：', '，', '、', '．'];

/// Byte ranges of the text between blanks.
fn tokens(text: &str) -> Vec<Range<usize>> {
    let mut tokens = Vec::new();
    let mut start = None;
    for (at, sign) in text.char_indices() {
        if sign.is_whitespace() {
            tokens.extend(start.take().map(|start| start..at));
            continue;
        }
        let first = *start.get_or_insert(at);
        if FULL_WIDTH_MARKS.contains(&sign) {
            tokens.push(first..at + sign.len_utf8());
            start = None;
        }
    }
    tokens.extend(start.map(|start| start..text.len()));
    tokens
}

/// Abbreviations, lower case, that something always follows: their full stop ends a sentence only where the text ends.
const TITLES: [&str; 16] =
    ["mr", "mrs", "ms", "dr", "prof", "st", "vs", "no", "e.g", "i.e", "approx", "dept", "tel", "ext", "fig", "al"];

/// Abbreviations, lower case, that may stand last in a sentence: the next word's first letter tells.
const ABBREVIATIONS: [&str; 9] = ["a.m", "p.m", "etc", "inc", "ltd", "co", "jr", "sr", "ave"];

/// The mark of a token without sound, such as a dash between two words.
fn mark_alone(token: &str) -> Option<Mark> {
    strongest(token).or_else(|| token.contains(['—', '–', '-']).then_some(Mark::Comma))
}

/// The mark at the end of a word, behind which quotes, brackets and mark-up may follow.
fn mark_behind(token: &str, next: Option<&str>) -> Option<Mark> {
    let core = token.trim_end_matches(|c: char| !c.is_alphanumeric() && !is_mark(c));
    let word = core.trim_end_matches(is_mark);
    let marks = &core[word.len()..];
    match next {
        Some(next) if marks == "." && is_abbreviation(word, next) => None,
        _ => strongest(marks),
    }
}

/// The strongest of several marks: "?!" asks.
fn strongest(marks: &str) -> Option<Mark> {
    let by_strength: [(&[char], Mark); 6] = [
        (&['?', '？'], Mark::Question),
        (&['!', '！'], Mark::Exclamation),
        (&['.', '。', '．', '…'], Mark::Stop),
        (&[';', '；'], Mark::Semicolon),
        (&[':', '：'], Mark::Colon),
        (&[',', '，', '、'], Mark::Comma),
    ];
    by_strength.iter().find(|(signs, _)| marks.contains(*signs)).map(|(_, mark)| *mark)
}

fn is_mark(c: char) -> bool {
    matches!(c, '.' | ',' | ';' | ':' | '!' | '?' | '…') || FULL_WIDTH_MARKS.contains(&c)
}

fn is_abbreviation(word: &str, next: &str) -> bool {
    let word = word.trim_start_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    // "J." in a name, but not "I.", which ends more sentences than it abbreviates.
    let initial = word.chars().count() == 1 && word != "i" && !word.starts_with(|c: char| c.is_ascii_digit());
    let goes_on = next.starts_with(|c: char| c.is_lowercase() || c.is_ascii_digit());
    initial || TITLES.contains(&word.as_str()) || (goes_on && ABBREVIATIONS.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The sentences as text: spoken words, each part followed by its mark.
    fn said(text: &str) -> Vec<String> {
        let part = |part: &Part| {
            let words: Vec<&str> = part.words.iter().map(|word| word.spoken.as_str()).collect();
            format!("{}{}", words.join(" "), if part.mark == Mark::Open { '~' } else { part.mark.phoneme() })
        };
        read(text, "en-us").iter().map(|sentence| sentence.iter().map(part).collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn a_clause_is_cut_at_its_marks() {
        for (text, expected) in [
            ("Hello there. How are you?", vec!["Hello there.", "How are you?"]),
            ("Well, I think so: yes!", vec!["Well, I think so: yes!"]),
            ("She said \"stop.\" Then left", vec!["She said stop.", "Then left~"]),
            ("Really?!", vec!["Really?"]),
            ("Wait... what", vec!["Wait.", "what~"]),
            ("We open — as always — at 9:00.", vec!["We open, as always, at 9."]),
            ("Dr. Smith, at 3 p.m. today", vec!["Dr Smith, at 3 p.m today~"]),
            ("Till 3 p.m. See J. Doe etc.", vec!["Till 3 p.m.", "See J Doe etc."]),
            ("Pi is 3.14, or 1,000 of it", vec!["Pi is 3.14, or 1,000 of it~"]),
            ("  **Yes**,\n we do 🙂.", vec!["Yes, we do."]),
        ] {
            assert_eq!(said(text), expected, "{text:?}");
        }
    }

    #[test]
    fn nothing_to_pronounce_is_no_sentence() {
        for text in ["", "  \n", "🙂🎉", "***", "...", "— - –", "?!", "你好"] {
            assert_eq!(said(text), Vec::<String>::new(), "{text:?}");
        }
    }

    #[test]
    fn what_has_no_sound_belongs_to_the_word_before_it_or_the_first() {
        let text = "🙂 Oh — well 🎉!";
        let sentences = read(text, "en-us");
        let words: Vec<&str> =
            sentences.iter().flatten().flat_map(|part| &part.words).map(|word| &text[word.bytes.clone()]).collect();
        assert_eq!(words, ["🙂 Oh —", "well 🎉!"]);
    }

    #[test]
    fn no_sentence_is_longer_than_the_voice_can_bear() {
        let sentences = read(&"and so on, ".repeat(100), "en-us");
        let words = |sentence: &Sentence| sentence.iter().map(|part| part.words.len()).sum::<usize>();
        assert!(sentences.iter().all(|sentence| words(sentence) <= MOST_WORDS));
        assert_eq!(sentences.iter().map(words).sum::<usize>(), 300);
        assert_eq!(read(&"a".repeat(1_000), "en-us")[0][0].words[0].spoken.len(), MOST_LETTERS);
    }

    #[test]
    fn full_width_marks_need_no_blank() {
        let sentences = read("你好。今天，天气很好！", "cmn");
        assert_eq!(sentences.len(), 2);
        assert_eq!(sentences[1].len(), 2);
    }

    proptest! {
        #[test]
        fn any_text_gives_words_in_order_that_lie_in_it(text in "\\PC{0,80}") {
            let mut end = 0;
            for word in read(&text, "en-us").iter().flatten().flat_map(|part| &part.words) {
                prop_assert!(word.bytes.start >= end && word.bytes.start < word.bytes.end);
                prop_assert!(text.get(word.bytes.clone()).is_some(), "cut inside a character");
                prop_assert!(!word.spoken.is_empty());
                end = word.bytes.end;
            }
        }
    }
}
