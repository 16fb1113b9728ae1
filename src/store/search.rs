//! What is looked for in a caller's rows: the question put to FTS5.

/// The search for one caller's rows with any of these words. Words are letters and digits only, and quoted.
pub(super) fn find_any(caller: i64, words: &[String]) -> Option<String> {
    find(caller, words, " OR ")
}

/// The same with all of them.
pub(super) fn find_all(caller: i64, words: &[String]) -> Option<String> {
    find(caller, words, " AND ")
}

fn find(caller: i64, words: &[String], joined: &str) -> Option<String> {
    if words.is_empty() {
        return None;
    }
    let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    Some(format!("caller_id : \"{caller}\" AND text : ({})", words.join(joined)))
}
