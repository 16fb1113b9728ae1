//! Which words of a partial transcript will stay.
//!
//! A recogniser that hears a sentence grow changes its mind about the last words, which it heard cut off. Words that two
//! hypotheses in a row begin with alike seldom change again ("local agreement", Liu et al. 2020); those are
//! *stable*, but for the last word of a hypothesis: its sound may still go on, and two that were cut off alike agree.

/// Follows the hypotheses about one turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stable {
    /// The newest hypothesis, word by word, without case and punctuation: "moon," and "Moon" agree.
    last: Vec<String>,
    /// Its first so many words are stable.
    agreed: usize,
}

impl Stable {
    /// Takes in the newest hypothesis about the whole turn; how many of its words, counted between white space, are stable.
    ///
    /// Where a hypothesis contradicts a stable word, that and what follows is unstable again.
    pub fn hear(&mut self, text: &str) -> u32 {
        let words: Vec<String> = text.split_whitespace().map(bare).collect();
        let agreed = self.last.iter().zip(&words).take_while(|(before, now)| before == now).count();
        self.agreed = agreed.min(words.len().saturating_sub(1));
        self.last = words;
        self.agreed as u32
    }

    /// Stable words of the newest hypothesis.
    pub fn words(&self) -> u32 {
        self.agreed as u32
    }
}

/// The beginning of a text that so many words make.
pub fn prefix(text: &str, words: u32) -> &str {
    let mut left = words;
    let mut within = false;
    for (at, c) in text.char_indices() {
        if c.is_whitespace() {
            if within && left == 0 {
                return &text[..at];
            }
            within = false;
        } else if !within {
            if left == 0 {
                return text[..at].trim_end();
            }
            within = true;
            left -= 1;
        }
    }
    text
}

/// A word without what may change beside it. Marks alone stay what they are, so that "-" is not the same as nothing.
fn bare(word: &str) -> String {
    let bare: String = word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    if bare.is_empty() { word.to_owned() } else { bare }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn heard(hypotheses: &[&str]) -> Vec<u32> {
        let mut stable = Stable::default();
        hypotheses.iter().map(|text| stable.hear(text)).collect()
    }

    #[test]
    fn words_are_stable_when_two_hypotheses_in_a_row_begin_with_them() {
        assert_eq!(heard(&["How far", "How far is the", "how far is the moon"]), [0, 2, 4]);
    }

    #[test]
    fn a_last_word_may_go_on() {
        assert_eq!(
            heard(&["How far is the", "How far is the", "How far is the theatre", "How far is the theatre"]),
            [0, 3, 4, 4]
        );
    }

    #[test]
    fn case_and_punctuation_are_no_change_of_mind() {
        assert_eq!(heard(&["A table, for two.", "a table for two people"]), [0, 4]);
        assert_eq!(heard(&["It's late", "Its late now"]), [0, 2]);
    }

    #[test]
    fn a_contradicted_word_is_unstable_again_with_all_that_follows() {
        assert_eq!(heard(&["I want two", "I want two", "I want to go", "I want to go there"]), [0, 2, 2, 4]);
    }

    #[test]
    fn silence_between_hypotheses_makes_nothing_stable() {
        assert_eq!(heard(&["A table", "", "A table"]), [0, 0, 0]);
    }

    #[test]
    fn the_stable_words_are_the_beginning_of_the_text() {
        assert_eq!(prefix("How far is", 2), "How far");
        assert_eq!(prefix("  How  far is", 1), "  How");
        assert_eq!(prefix("How far", 0), "");
        assert_eq!(prefix("How far", 9), "How far");
        assert_eq!(prefix("你好 世界", 1), "你好");
    }

    proptest! {
        #[test]
        fn never_more_words_than_either_has(first in "[ab ]{0,12}", second in "[ab .]{0,12}") {
            let mut stable = Stable::default();
            prop_assert_eq!(stable.hear(&first), 0);
            let agreed = stable.hear(&second) as usize;
            prop_assert!(agreed <= first.split_whitespace().count().min(second.split_whitespace().count()));
            prop_assert_eq!(prefix(&second, agreed as u32).split_whitespace().count(), agreed);
        }
    }
}
