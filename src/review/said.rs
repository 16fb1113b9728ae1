//! Looking for words in everything that was said.

use crate::memory::words;

/// Where it was said; `?1` is what [`match_all`] makes of the words.
pub const SAID: &str = "SELECT turns.call, turns.turn, turns.started_ms / 1000.0 AS at_s, turns.speaker,
       snippet(said_fts, 0, '[', ']', '…', 16) AS said
FROM said_fts JOIN turns ON turns.id = said_fts.rowid
WHERE said_fts MATCH ?1 ORDER BY rank LIMIT 100";

/// What FTS5 is asked for all of these words, each also as the beginning of a longer one; `None` where there is no word. Words are
/// letters and digits only, and quoted: nothing of FTS5's own language can be said with them.
pub fn match_all(text: &str) -> Option<String> {
    let words: Vec<String> = words(text).iter().map(|word| format!("\"{word}\"*")).collect();
    (!words.is_empty()).then(|| words.join(" AND "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_a_search_that_says_nothing_else() {
        assert_eq!(match_all("sick note").as_deref(), Some("\"sick\"* AND \"note\"*"));
        assert_eq!(match_all("\"a\" OR text: b*").as_deref(), Some("\"a\"* AND \"or\"* AND \"text\"* AND \"b\"*"));
        assert_eq!(match_all(" - \" * "), None);
    }
}
