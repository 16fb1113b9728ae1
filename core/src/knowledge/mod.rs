//! Ring 1: what an answer may rest on beside the persona's prompt: passages of the persona's own files. They are quoted to the
//! model ([`quote`]) and never speak for anybody; what an answer took from them is told by its citations.

pub mod quote;

use duologue_signaling::event::{Citation, Origin};

use crate::dialogue::words::words;
use crate::memory::recollection::shares;

/// A piece of somebody's text that fits the caller's words.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Passage {
    /// The row of `knowledge_chunks` that it is.
    pub chunk: Option<i64>,
    pub origin: Origin,
    /// The file, as it is called from the persona's folder on; or a page's address.
    pub source: String,
    /// The headings above it, outermost first, with ` > ` between them; or the page's title.
    pub heading: String,
    /// Where it begins in a text file: from 1.
    pub line: Option<u32>,
    /// Where it stands in a paged file: from 1.
    pub page: Option<u32>,
    pub text: String,
    /// How well it fits; higher is better, and only comparable within one look-up.
    pub rank: f32,
}

impl Passage {
    /// As it is told to the client.
    pub fn citation(&self) -> Citation {
        Citation {
            origin: self.origin,
            source: self.source.clone(),
            heading: self.heading.clone(),
            line: self.line,
            page: self.page,
        }
    }

    /// Has `answer` taken something from it? Two of the answer's telling words, or the only one.
    pub fn is_used_in(&self, answer: &str) -> bool {
        let telling = telling_words(answer);
        let own = format!("{} {}", self.heading, self.text);
        !telling.is_empty() && shares(&own, &telling) >= telling.len().min(2)
    }
}

/// Words that may say what a text is about: four letters or more, or a number. Each once.
fn telling_words(text: &str) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    for word in words(text) {
        let telling = word.chars().count() >= 4 || word.chars().any(char::is_numeric) || !word.is_ascii();
        if telling && !told.contains(&word) {
            told.push(word);
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passage(heading: &str, text: &str) -> Passage {
        Passage { heading: heading.into(), text: text.into(), ..Passage::default() }
    }

    #[test]
    fn an_answer_cites_what_it_took_its_words_from() {
        let hours = passage("Opening hours", "On Saturdays the desk is staffed from nine to noon.");
        assert!(hours.is_used_in("The desk is staffed until noon on Saturdays."));
        assert!(!hours.is_used_in("A sick note costs eighteen pounds."));
        assert!(!hours.is_used_in(""));
        assert!(!hours.is_used_in("No."), "nothing of it");
    }
}
