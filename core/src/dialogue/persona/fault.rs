//! What is wrong with a persona file, each with its line.

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct PersonaFault {
    /// From 1.
    pub line: usize,
    pub what: What,
}

/// What it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum What {
    #[error("a persona begins with a YAML head between two lines of '---'")]
    NoHead,
    #[error("{0}")]
    Yaml(String),
    #[error("'{field}' is not known here; did you mean '{nearest}'?")]
    Unknown { field: String, nearest: String },
    #[error("name: '{0}' should be 1 to 40 lower case letters, digits and '-'")]
    Name(String),
    #[error("{field}: {value} is outside {range}")]
    Range { field: String, value: String, range: &'static str },
    #[error("quiet_hours: '{0}' should be two different times of the day, as in \"22:00-07:00\"")]
    QuietHours(String),
    #[error("{field}: '{sentence}' has no word in it that could be spoken")]
    Wordless { field: String, sentence: String },
    #[error("knowledge: there is no folder '{path}' (it is looked for from the persona's own file)")]
    NoFolder { path: String },
    #[error("echo and plays exclude each other: keep one of them")]
    TwoMachines,
    #[error("the body is empty: write the system prompt below the second '---'")]
    NoPrompt,
}

/// Of the words that are known, the one that a mistyped one is nearest to.
pub(super) fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> &'a str {
    known.into_iter().min_by_key(|word| edits(typed, word)).unwrap_or("")
}

/// Letters to be put in, taken out or changed (Levenshtein).
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let changed = corner + usize::from(a != *b);
            corner = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(corner + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_has_the_fewest_other_letters() {
        assert_eq!((edits("kitten", "sitting"), edits("", "abc"), edits("abc", "abc")), (3, 3, 0));
        assert_eq!(nearest("voise", ["name", "voice", "title"]), "voice");
        assert_eq!(nearest("x", []), "");
    }
}
