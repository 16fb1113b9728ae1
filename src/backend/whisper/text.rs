//! What Whisper wrote, made into what was said: no stage directions, no loops.

/// Removes what Whisper adds for sounds (`[BLANK_AUDIO]`, `(music)`, `*sigh*`, `♪`) and joins the rest with single
/// spaces. Text without a letter or a digit is nothing said.
pub(super) fn tidy(raw: &str) -> String {
    let mut kept = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find(['[', '(', '*', '♪']) {
        let (before, from) = rest.split_at(at);
        kept.push_str(before);
        let opening = from.chars().next().unwrap_or('[');
        let closing = match opening {
            '[' => ']',
            '(' => ')',
            other => other,
        };
        let inside = &from[opening.len_utf8()..];
        // Where nothing closes, only the mark goes: the words after it were said.
        rest = inside.find(closing).map_or(inside, |end| &inside[end + closing.len_utf8()..]);
        kept.push(' ');
    }
    kept.push_str(rest);
    let said = kept.split_whitespace().collect::<Vec<_>>().join(" ");
    if said.chars().any(char::is_alphanumeric) { said } else { String::new() }
}

/// A decoder caught in a loop: from word `from` on, `period` words come `times` times over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loop {
    pub(super) from: usize,
    pub(super) period: usize,
    pub(super) times: usize,
}

/// The loop at the end of the text that began first, its last round perhaps cut short. Four words or more said twice
/// count, and fewer said four times: people say "no, no, no".
pub(super) fn loop_at_end(text: &str) -> Option<Loop> {
    let words: Vec<String> = text.split_whitespace().map(bare).collect();
    (1..=words.len() / 2)
        .filter_map(|period| {
            let run = (0..words.len() - period)
                .rev()
                .take_while(|at| !words[*at].is_empty() && words[*at] == words[at + period])
                .count();
            let times = 1 + run / period;
            let enough = if period >= 4 { 2 } else { 4 };
            (times >= enough).then_some(Loop { from: words.len() - period - run, period, times })
        })
        .min_by_key(|found| (found.from, found.period))
}

/// The text with the loop at its end gone round once.
pub(super) fn once(text: &str, found: Loop) -> String {
    text.split_whitespace().take(found.from + found.period).collect::<Vec<_>>().join(" ")
}

/// Whether each word of the text is one of the hint's.
pub(super) fn is_made_of(text: &str, hint: &str) -> bool {
    let known: Vec<String> = hint.split_whitespace().map(bare).collect();
    !text.is_empty() && text.split_whitespace().map(bare).all(|word| known.contains(&word))
}

fn bare(word: &str) -> String {
    word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stage_directions_are_not_words() {
        for nothing in ["[BLANK_AUDIO]", " (music)", "*sighs*", "♪", "♪ ♪", "[ Silence ]", " ... ", "-"] {
            assert_eq!(tidy(nothing), "", "{nothing}");
        }
        assert_eq!(tidy(" [door] A table  for two (coughs), please. "), "A table for two , please.");
        assert_eq!(tidy(" Five * three"), "Five three");
    }

    #[test]
    fn a_sentence_said_twice_is_a_loop_and_an_insisting_no_is_not() {
        assert_eq!(loop_at_end("No, no, no."), None);
        assert_eq!(loop_at_end("A table for two."), None);
        let found = loop_at_end("I would like a table. I would like a table.").expect("a loop");
        assert_eq!(found, Loop { from: 0, period: 5, times: 2 });
        assert_eq!(once("I would like a table. I would like a table.", found), "I would like a table.");
    }

    #[test]
    fn an_answer_made_of_the_hint_alone_is_suspect() {
        assert!(is_made_of("Harbour house, Arthur.", "Harbour House, Arthur"));
        assert!(!is_made_of("Is that Arthur?", "Harbour House, Arthur"));
        assert!(!is_made_of("Yes.", ""));
        assert!(!is_made_of("", "Arthur"));
    }

    #[test]
    fn a_loop_cut_short_by_the_cap_is_still_a_loop() {
        let text = "Well, and then and then and then and then and";
        let found = loop_at_end(text).expect("a loop");
        assert_eq!(found.period, 2);
        assert_eq!(once(text, found), "Well, and then");
    }

    proptest! {
        #[test]
        fn tidying_twice_changes_nothing(raw in "[a-c\\[\\]()*♪ .]{0,40}") {
            let tidied = tidy(&raw);
            prop_assert_eq!(tidy(&tidied), tidied);
        }

        #[test]
        fn going_round_once_leaves_the_beginning_of_the_text(words in proptest::collection::vec("[ab]", 0..24)) {
            let text = words.join(" ");
            if let Some(found) = loop_at_end(&text) {
                let said = once(&text, found);
                prop_assert!(text.starts_with(&said) && said.len() < text.len());
            }
        }
    }
}
