//! Does the caller want to begin anew? Then the model forgets what was said; what is remembered of the caller stays.

use super::words::{Phrases, words};

static ASKS: Phrases = Phrases::new(
    "lets talk about something else, let us talk about something else, can we talk about something else, \
     could we talk about something else, i want to talk about something else, id like to talk about something else, \
     lets change the subject, can we change the subject, change the subject, change of subject, lets change the topic, \
     change the topic, new topic, new subject, a different topic, another topic, a different subject, another subject, \
     forget what we talked about, forget what we were talking about, forget all that, lets start over, lets start again, \
     can we start over, start from scratch, on a different note, reden wir über etwas anderes, anderes thema, \
     换个话题, 我们聊点别的",
);

static FORBIDS: Phrases = Phrases::new("dont, do not, didnt, not, never, why, stop changing, he, she, they, you");

/// More words than this tell of something else that happened to have such words in it.
const WORDS_MOST: usize = 30;

/// Is this turn the beginning of another topic?
pub fn asks_for_new_topic(text: &str) -> bool {
    let said = words(text);
    if said.len() > WORDS_MOST {
        return false;
    }
    let asked = (0..said.len()).find(|from| ASKS.begin(&said[*from..]));
    asked.is_some_and(|from| !FORBIDS.within(&said[..from]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_topic_is_one_that_is_asked_for() {
        for text in [
            "Let's talk about something else.",
            "Okay, can we change the subject? How is the weather?",
            "New topic: what is a fjord?",
            "Forget all that. Do you have rooms?",
            "\u{6362}\u{4e2a}\u{8bdd}\u{9898}",
        ] {
            assert!(asks_for_new_topic(text), "{text}");
        }
        for text in [
            "Why do you change the subject?",
            "I don't want to change the subject.",
            "She said, let's start over.",
            "What else?",
            "",
        ] {
            assert!(!asks_for_new_topic(text), "{text}");
        }
    }
}
