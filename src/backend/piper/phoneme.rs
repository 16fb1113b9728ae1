//! From words to the ids that the voice was trained with: espeak-ng's phonemes, one id each, laid out as Piper does.

use std::collections::HashMap;
use std::sync::Mutex;

use super::align::word_ends;
use super::text::{Part, Sentence};

/// Piper's signs for the beginning and the end of a sentence and for the gap after each phoneme.
const BEGIN: char = '^';
const END: char = '$';
const GAP: char = '_';

/// The voice's table from phoneme to ids (`phoneme_id_map` of its JSON file).
#[derive(Clone, Debug)]
pub(super) struct PhonemeIds {
    ids: HashMap<char, Vec<i64>>,
    begin: Vec<i64>,
    end: Vec<i64>,
    gap: Vec<i64>,
}

/// A sentence as the voice's first graph takes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Utterance {
    pub ids: Vec<i64>,
    /// How many ids come before the first sound.
    pub lead: usize,
    /// For each word the number of ids up to its end.
    pub word_ends: Vec<usize>,
    /// How many ids come before the closing mark: where the last sound has ended.
    pub sounds: usize,
}

impl PhonemeIds {
    /// Reads the table.
    ///
    /// # Errors
    /// Names the sign that is missing, without which no sentence can be built.
    pub fn new(map: &HashMap<String, Vec<i64>>) -> Result<Self, String> {
        let ids: HashMap<char, Vec<i64>> = map
            .iter()
            .filter_map(|(key, ids)| {
                let mut signs = key.chars();
                Some((signs.next().filter(|_| signs.next().is_none())?, ids.clone()))
            })
            .collect();
        let needed = |sign: char| ids.get(&sign).cloned().ok_or_else(|| format!("phoneme_id_map has no `{sign}`"));
        Ok(Self { begin: needed(BEGIN)?, end: needed(END)?, gap: needed(GAP)?, ids })
    }

    /// Lays out a sentence: begin, gap, then each phoneme followed by a gap, then end. `phonemise` is called once a part, and
    /// once a word where the two do not match in number.
    ///
    /// # Errors
    /// What `phonemise` says.
    pub fn utterance<E>(
        &self,
        sentence: &Sentence,
        mut phonemise: impl FnMut(&str) -> Result<String, E>,
    ) -> Result<Utterance, E> {
        let mut ids = [self.begin.as_slice(), &self.gap].concat();
        let mut utterance = Utterance { lead: ids.len(), ..Utterance::default() };
        for (at, part) in sentence.iter().enumerate() {
            if at > 0 {
                self.push(' ', &mut ids);
            }
            let phonemes = phonemes_of(part, &mut phonemise)?;
            // The ids up to each phoneme's end; phonemes that the voice does not know have none of their own.
            let ends: Vec<usize> = phonemes
                .iter()
                .map(|&phoneme| {
                    self.push(phoneme, &mut ids);
                    ids.len()
                })
                .collect();
            let before = utterance.word_ends.last().copied().unwrap_or(utterance.lead);
            let words = word_ends(&part.words, &phonemes, &mut phonemise)?;
            utterance.word_ends.extend(words.iter().map(|&end| end.checked_sub(1).map_or(before, |last| ends[last])));
            utterance.sounds = ids.len();
            self.push(part.mark.phoneme(), &mut ids);
        }
        ids.extend_from_slice(&self.end);
        utterance.ids = ids;
        Ok(utterance)
    }

    fn push(&self, phoneme: char, to: &mut Vec<i64>) {
        if let Some(ids) = self.ids.get(&phoneme) {
            to.extend_from_slice(ids);
            to.extend_from_slice(&self.gap);
        }
    }
}

/// The phonemes of a part, words parted by blanks, without marks.
fn phonemes_of<E>(part: &Part, phonemise: &mut impl FnMut(&str) -> Result<String, E>) -> Result<Vec<char>, E> {
    let words: Vec<&str> = part.words.iter().map(|word| word.spoken.as_str()).collect();
    let phonemes = phonemise(&words.join(" "))?;
    let mut plain = Vec::with_capacity(phonemes.len());
    for phoneme in phonemes.trim().chars() {
        match phoneme {
            '.' | ',' | ';' | ':' | '!' | '?' => {}
            // Voices are trained on decomposed text (NFD); this is the one composed letter among espeak-ng's.
            'ç' => plain.extend(['c', '\u{327}']),
            c if c.is_whitespace() => plain.push(' '),
            c => plain.push(c),
        }
    }
    Ok(plain)
}

/// espeak-ng keeps its voice and its translator in global variables, so the process has one turn at it at a time.
static ESPEAK: Mutex<()> = Mutex::new(());

/// Phonemes of `text` (no marks in it) in IPA, from the espeak-ng voice `language`.
///
/// # Errors
/// When espeak-ng has no such voice or does not find its data; the text says where it looks.
pub(super) fn espeak(text: &str, language: &str) -> Result<String, String> {
    // A panic in here leaves nothing half done that the next call would see: the voice is set anew each time.
    let _turn = ESPEAK.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let sentences = espeak_rs::text_to_phonemes(text, language, None).map_err(|fault| fault.0)?;
    Ok(sentences.join(" "))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::backend::piper::text::read;

    fn table() -> PhonemeIds {
        let signs = ["_", "^", "$", " ", ",", ".", "?", "a", "b", "c", "\u{327}"];
        let map = signs.iter().enumerate().map(|(id, sign)| ((*sign).to_owned(), vec![id as i64])).collect();
        PhonemeIds::new(&map).unwrap()
    }

    /// A phonemiser that says each letter as it is written.
    fn letters(text: &str) -> Result<String, Infallible> {
        Ok(text.to_owned())
    }

    fn utterance(text: &str) -> Utterance {
        let Ok(utterance) = table().utterance(&read(text, "en-us")[0], letters);
        utterance
    }

    #[test]
    fn a_gap_follows_the_beginning_and_every_phoneme() {
        assert_eq!(utterance("ab.").ids, [1, 0, 7, 0, 8, 0, 5, 0, 2]);
    }

    #[test]
    fn parts_keep_their_marks_and_are_parted_by_a_blank() {
        assert_eq!(utterance("a, b?").ids, [1, 0, 7, 0, 4, 0, 3, 0, 8, 0, 6, 0, 2]);
    }

    #[test]
    fn a_clause_without_a_mark_ends_as_if_with_a_comma() {
        assert_eq!(utterance("a").ids, utterance("a,").ids);
    }

    #[test]
    fn words_end_where_their_last_phoneme_does() {
        let utterance = utterance("ab a, b?");
        assert_eq!(utterance.lead, 2);
        assert_eq!(utterance.word_ends, [6, 10, 16]);
        assert_eq!(utterance.sounds, 16);
    }

    #[test]
    fn phonemes_that_the_voice_does_not_know_are_left_out() {
        assert_eq!(utterance("axb."), utterance("ab."));
        assert_eq!(utterance("x.").word_ends, [2], "a word of such phonemes ends where it begins");
    }

    #[test]
    fn composed_letters_are_decomposed_as_in_training() {
        assert_eq!(utterance("ça.").ids, [1, 0, 9, 0, 10, 0, 7, 0, 5, 0, 2]);
    }

    #[test]
    fn a_table_without_its_signs_is_refused() {
        let map = HashMap::from([("^".to_owned(), vec![1]), ("$".to_owned(), vec![2])]);
        assert_eq!(PhonemeIds::new(&map).unwrap_err(), "phoneme_id_map has no `_`");
    }

    #[test]
    fn espeak_is_found_and_speaks_english() {
        assert_eq!(espeak("hello there", "en-us").unwrap(), "həlˈoʊ ðˈɛɹ");
        assert!(espeak("hello", "no-such-language").unwrap_err().contains("no-such-language"));
    }
}
