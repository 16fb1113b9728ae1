//! Words as the rules of a conversation compare them: lower case, without marks, one language like the other.

use std::sync::OnceLock;

/// The words of `text`: lower case, without marks and apostrophes. A character of a script that writes without spaces
/// between words (Chinese, Japanese) is a word of its own. What recognisers put in brackets or between asterisks is no
/// word: `(laughs)`, `[music]`, `*coughs*`.
pub fn words(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut word = String::new();
    for c in spoken(text).chars() {
        if matches!(c, '\'' | '’') {
            continue;
        }
        if c.is_alphanumeric() && !is_ideograph(c) {
            word.extend(c.to_lowercase());
            continue;
        }
        if !word.is_empty() {
            out.push(std::mem::take(&mut word));
        }
        if is_ideograph(c) {
            out.push(c.to_string());
        }
    }
    if !word.is_empty() {
        out.push(word);
    }
    out
}

/// The same words, whatever their marks, case and spacing?
pub fn same_words(a: &str, b: &str) -> bool {
    words(a) == words(b)
}

/// Does `phrase` stand in `words`?
pub fn find(words: &[String], phrase: &str) -> bool {
    let phrase = self::words(phrase);
    !phrase.is_empty() && words.windows(phrase.len()).any(|window| window == phrase.as_slice())
}

/// A list of phrases, written in one text with commas between them, as [`words`] gives them.
#[derive(Debug)]
pub struct Phrases {
    text: &'static str,
    parsed: OnceLock<Vec<Vec<String>>>,
}

impl Phrases {
    pub const fn new(text: &'static str) -> Self {
        Self { text, parsed: OnceLock::new() }
    }

    fn all(&self) -> &[Vec<String>] {
        self.parsed.get_or_init(|| self.text.split(',').map(words).filter(|phrase| !phrase.is_empty()).collect())
    }

    /// Is this word one of them?
    pub fn has(&self, word: &str) -> bool {
        self.all().iter().any(|phrase| phrase.len() == 1 && phrase[0] == word)
    }

    /// Are `words` one of them, and nothing else?
    pub fn is(&self, words: &[String]) -> bool {
        self.all().iter().any(|phrase| phrase == words)
    }

    /// Do `words` begin with one of them?
    pub fn begin(&self, words: &[String]) -> bool {
        self.all().iter().any(|phrase| words.starts_with(phrase))
    }

    /// Do `words` end with one of them?
    pub fn end(&self, words: &[String]) -> bool {
        self.all().iter().any(|phrase| words.ends_with(phrase))
    }

    /// Does one of them stand in `words`?
    pub fn within(&self, words: &[String]) -> bool {
        (0..words.len()).any(|from| self.begin(&words[from..]))
    }

    /// How many words at the beginning are phrases of one word.
    pub fn lead(&self, words: &[String]) -> usize {
        words.iter().take_while(|word| self.has(word)).count()
    }

    /// Can `words` be laid out with the phrases, end to end?
    pub fn make_up(&self, words: &[String]) -> bool {
        let mut reachable = vec![false; words.len() + 1];
        reachable[0] = true;
        for from in 0..words.len() {
            if !reachable[from] {
                continue;
            }
            for phrase in self.all().iter().filter(|phrase| words[from..].starts_with(phrase)) {
                reachable[from + phrase.len()] = true;
            }
        }
        reachable[words.len()]
    }
}

/// Without what stands in brackets or between asterisks.
fn spoken(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut closing: Option<char> = None;
    for c in text.chars() {
        match (closing, c) {
            (Some(end), c) if c == end => closing = None,
            (Some(_), _) => {}
            (None, '(') => closing = Some(')'),
            (None, '[') => closing = Some(']'),
            (None, '*') => closing = Some('*'),
            (None, '（') => closing = Some('）'),
            (None, c) => out.push(c),
        }
    }
    out
}

/// Scripts without spaces between words: Han, Hiragana, Katakana.
const fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}')
}

/// Requests for time. A turn that is one, or ends with one, is not to be answered yet.
static WAIT_PHRASES: Phrases = Phrases::new(
    "hold on, hang on, wait, one moment, just a moment, one second, just a second, give me a second, \
     give me a moment, let me think, let me see, let me check, let me look, wait a minute, just a minute, \
     one sec, bear with me, moment bitte, einen moment, warte mal, un momento, espera, déjame ver, \
     un instant, attendez, laissez moi voir, 等一下, 稍等, 让我想想, 让我看看",
);

/// With these a short sentence only mentions waiting: "Do I have to wait?"
static QUESTION_STARTS: Phrases = Phrases::new("do, does, can, could, should, how, why, what, will, would, is, are");

/// What may come after a request for time and leaves it one.
static REMAINDERS: Phrases = Phrases::new(
    "please, um, uh, er, okay, ok, sir, madam, a bit, a second, a minute, a moment, for me, now, then, about it, about that, \
     that, it, i, bitte, por favor, s il vous plaît, 啊, 吧, 哦",
);

/// A short turn that is, or ends with, a request for time. "Let me think. For four people." has gone on.
pub fn asks_to_wait(text: &str) -> bool {
    let words = words(text);
    let question = QUESTION_STARTS.begin(&words);
    if words.len() > 8 || question {
        return false;
    }
    let asked_first = (1..=words.len())
        .any(|n| WAIT_PHRASES.make_up(&words[..n]) && (n == words.len() || REMAINDERS.make_up(&words[n..])));
    asked_first || WAIT_PHRASES.end(&words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_case_and_brackets_are_no_words() {
        assert_eq!(words("Don't (laughs) *cough*  STOP!"), ["dont", "stop"]);
        assert_eq!(words("好的，OK。"), ["好", "的", "ok"]);
        assert!(words("[BLANK_AUDIO] ...").is_empty());
        assert!(words("(never closed").is_empty());
    }

    #[test]
    fn the_same_words_are_the_same_whatever_their_marks() {
        assert!(same_words("What time is it?", "what time is it"));
        assert!(!same_words("What time is it?", "What time was it?"));
    }

    #[test]
    fn a_request_for_time_is_told_from_a_question_about_it() {
        for text in [
            "Hold on.",
            "Um, let me think.",
            "Wait a minute, please.",
            "Okay, just a second.",
            "等一下",
            "Let me check that, um.",
        ] {
            assert!(asks_to_wait(text), "{text}");
        }
        for text in [
            "Do I have to wait?",
            "Can you hold on to my coat until Friday?",
            "The waiter was kind.",
            "",
            "Let me think. For four.",
        ] {
            assert!(!asks_to_wait(text), "{text}");
        }
    }
}
