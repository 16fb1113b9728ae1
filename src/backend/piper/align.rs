//! Which phonemes belong to which word. The phonemiser joins words ("of the" is one group of phonemes) and writes others out
//! ("21" is two), so counting blanks is not enough.

use super::text::Word;

/// For each word the number of phonemes, of those of the whole part, up to its end; never decreasing.
///
/// Where blanks and words agree in number and no word can have been written out, they correspond. Else each word is
/// phonemised alone, and the words in a row are aligned with the whole by the least number of changes (Levenshtein).
///
/// # Errors
/// What `phonemise` says.
pub(super) fn word_ends<E>(
    words: &[Word],
    phonemes: &[char],
    phonemise: &mut impl FnMut(&str) -> Result<String, E>,
) -> Result<Vec<usize>, E> {
    let plain = |word: &Word| word.spoken.chars().all(|c| c.is_alphabetic() || c == '\'' || c == '-');
    let mut group_ends: Vec<usize> =
        (1..phonemes.len()).filter(|&at| phonemes[at] == ' ' && phonemes[at - 1] != ' ').collect();
    group_ends.push(phonemes.len());
    if group_ends.len() == words.len() && words.iter().all(plain) {
        return Ok(group_ends);
    }
    let mut alone = Vec::new();
    let mut ends_alone = Vec::with_capacity(words.len());
    for word in words {
        alone.extend(sounds(&phonemise(&word.spoken)?.chars().collect::<Vec<_>>()).map(|(_, sound)| sound));
        ends_alone.push(alone.len());
    }
    let (places, together): (Vec<usize>, Vec<char>) = sounds(phonemes).unzip();
    let partner = aligned(&alone, &together);
    let mut ends: Vec<usize> = ends_alone
        .iter()
        .map(|&end| match partner[end] {
            0 => 0,
            sounds => places[sounds - 1] + 1,
        })
        .map(|end| with_trailing_signs(phonemes, end))
        .collect();
    if let Some(last) = ends.last_mut() {
        *last = phonemes.len();
    }
    Ok(ends)
}

/// The phonemes that sound, with their places: neither blanks nor stress and length signs, which differ between a word
/// alone and the same word among others.
fn sounds(phonemes: &[char]) -> impl Iterator<Item = (usize, char)> + '_ {
    phonemes.iter().copied().enumerate().filter(|(_, phoneme)| !matches!(phoneme, ' ' | 'ˈ' | 'ˌ' | 'ː' | 'ˑ'))
}

/// A length sign belongs to the sound before it.
fn with_trailing_signs(phonemes: &[char], end: usize) -> usize {
    end + phonemes[end..].iter().take_while(|phoneme| matches!(phoneme, 'ː' | 'ˑ')).count()
}

/// For each prefix of `alone` the length of the prefix of `together` that it is aligned with; never decreasing.
fn aligned(alone: &[char], together: &[char]) -> Vec<usize> {
    let width = together.len() + 1;
    // costs[i * width + j]: changes between the first i and the first j.
    let mut costs: Vec<u32> = vec![0; (alone.len() + 1) * width];
    for i in 0..=alone.len() {
        for j in 0..width {
            costs[i * width + j] = match (i, j) {
                (0, j) => j as u32,
                (i, 0) => i as u32,
                (i, j) => {
                    let changed = u32::from(alone[i - 1] != together[j - 1]);
                    let both = costs[(i - 1) * width + j - 1] + changed;
                    both.min(costs[(i - 1) * width + j] + 1).min(costs[i * width + j - 1] + 1)
                }
            };
        }
    }
    let mut partner = vec![0; alone.len() + 1];
    let (mut i, mut j) = (alone.len(), together.len());
    partner[i] = j;
    while i > 0 {
        let here = costs[i * width + j];
        if j > 0 && here == costs[(i - 1) * width + j - 1] + u32::from(alone[i - 1] != together[j - 1]) {
            (i, j) = (i - 1, j - 1);
            partner[i] = j;
        } else if here == costs[(i - 1) * width + j] + 1 {
            i -= 1;
            partner[i] = j;
        } else {
            j -= 1;
            partner[i] = j;
        }
    }
    partner
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    fn words(texts: &[&str]) -> Vec<Word> {
        texts.iter().map(|text| Word { bytes: 0..1, spoken: (*text).to_owned() }).collect()
    }

    /// The phonemes of each word, by their ends.
    fn cut(texts: &[&str], together: &str, alone: &[(&str, &str)]) -> Vec<String> {
        let phonemes: Vec<char> = together.chars().collect();
        let mut phonemise = |text: &str| -> Result<String, Infallible> {
            let known = alone.iter().find(|(word, _)| *word == text);
            Ok(known.map_or_else(|| panic!("{text} was asked for"), |(_, phonemes)| (*phonemes).to_owned()))
        };
        let Ok(ends) = word_ends(&words(texts), &phonemes, &mut phonemise);
        let mut start = 0;
        let mut cut = Vec::new();
        for end in ends {
            cut.push(phonemes[start..end].iter().collect::<String>().trim().to_owned());
            start = end;
        }
        cut
    }

    #[test]
    fn groups_and_words_of_the_same_number_correspond() {
        assert_eq!(cut(&["how", "are", "you"], "hˈaʊ ɑːɹ juː", &[]), ["hˈaʊ", "ɑːɹ", "juː"]);
    }

    #[test]
    fn joined_words_are_parted() {
        let alone = [("I", "ˈaɪ"), ("am", "æm"), ("in", "ɪn"), ("the", "ðə"), ("house", "hˈaʊs")];
        assert_eq!(
            cut(&["I", "am", "in", "the", "house"], "aɪɐm ɪnðə hˈaʊs", &alone),
            ["aɪ", "ɐm", "ɪn", "ðə", "hˈaʊs"]
        );
    }

    #[test]
    fn a_number_has_all_of_its_words() {
        let alone = [("room", "ɹˈuːm"), ("21", "twˈɛnti wˈʌn"), ("now", "nˈaʊ")];
        assert_eq!(cut(&["room", "21", "now"], "ɹˈuːm twˈɛnti wˈʌn nˈaʊ", &alone), ["ɹˈuːm", "twˈɛnti wˈʌn", "nˈaʊ"]);
    }

    #[test]
    fn numbers_beside_joined_words_are_not_mistaken_for_them() {
        let alone = [("of", "ˈʌv"), ("the", "ðə"), ("21", "twˈɛnti wˈʌn")];
        assert_eq!(cut(&["of", "the", "21"], "ʌvðə twˈɛnti wˈʌn", &alone), ["ʌv", "ðə", "twˈɛnti wˈʌn"]);
    }

    proptest! {
        #[test]
        fn ends_never_decrease_and_the_last_is_the_end(
            together in "[abc ː]{0,30}",
            alone in prop::collection::vec("[abc ]{1,8}", 1..8),
        ) {
            let phonemes: Vec<char> = together.chars().collect();
            let texts: Vec<&str> = alone.iter().map(String::as_str).collect();
            let mut same = |text: &str| -> Result<String, Infallible> { Ok(text.to_owned()) };
            let Ok(ends) = word_ends(&words(&texts), &phonemes, &mut same);
            prop_assert_eq!(ends.len(), texts.len());
            prop_assert!(ends.is_sorted());
            prop_assert_eq!(ends.last().copied(), Some(phonemes.len()));
        }
    }
}
