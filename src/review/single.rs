//! What may be asked: one statement, and one that reads. The connection is read-only besides; this is for statements that would
//! open other files (`ATTACH`) or change the connection (`PRAGMA`), and for a second one behind the first.

/// Why a text is not asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOne {
    #[error("there is no statement")]
    Nothing,
    #[error("'{0}' is not for reading: ask with SELECT, WITH, VALUES or EXPLAIN")]
    NotReading(String),
    #[error("there is a second statement: ask them one by one")]
    Second,
}

/// The statement of `text`, without the semicolon at its end.
///
/// # Errors
/// When there is none, more than one, or it is of another kind.
pub fn one_reading_statement(text: &str) -> Result<&str, NotOne> {
    let start = skip_blank(text, 0);
    let mut at = start;
    let mut end = text.len();
    let bytes = text.as_bytes();
    while let Some(byte) = bytes.get(at) {
        at = match byte {
            b'\'' | b'"' | b'`' => past(text, at + 1, *byte),
            b'[' => past(text, at + 1, b']'),
            b'-' if bytes.get(at + 1) == Some(&b'-') => skip_blank(text, at),
            b'/' if bytes.get(at + 1) == Some(&b'*') => skip_blank(text, at),
            b';' => {
                end = at;
                break;
            }
            _ => at + 1,
        };
    }
    let statement = text[start..end].trim_end();
    if statement.is_empty() {
        return Err(NotOne::Nothing);
    }
    if skip_blank(text, (end + 1).min(text.len())) < text.len() {
        return Err(NotOne::Second);
    }
    let word: String = statement.chars().take_while(char::is_ascii_alphabetic).collect();
    if ["SELECT", "WITH", "VALUES", "EXPLAIN"].contains(&word.to_ascii_uppercase().as_str()) {
        Ok(statement)
    } else {
        Err(NotOne::NotReading(word.chars().take(20).collect()))
    }
}

/// Behind the closing `mark`; a doubled one is passed over by being two strings in a row.
fn past(text: &str, from: usize, mark: u8) -> usize {
    text.as_bytes()[from.min(text.len())..].iter().position(|byte| *byte == mark).map_or(text.len(), |at| from + at + 1)
}

/// The first byte from `at` on that is neither white space nor a comment.
fn skip_blank(text: &str, mut at: usize) -> usize {
    loop {
        let rest = &text[at..];
        let white = rest.len() - rest.trim_start().len();
        at += white;
        let rest = &text[at..];
        if rest.starts_with("--") {
            at += rest.find('\n').map_or(rest.len(), |line| line + 1);
        } else if rest.starts_with("/*") {
            at += rest.find("*/").map_or(rest.len(), |end| end + 2);
        } else {
            return at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_statement_that_reads_is_taken_whatever_stands_around_it() {
        for text in [
            "SELECT 1",
            " select ';' ; ",
            "-- first\n/* second; */ WITH a AS (SELECT 1) SELECT * FROM a -- last\n;\n-- and more",
            "SELECT \"a;b\", [c;d], `e;f`, 'it''s; fine'",
            "EXPLAIN QUERY PLAN SELECT 1",
            "VALUES (1)",
        ] {
            assert!(one_reading_statement(text).is_ok(), "{text}: {:?}", one_reading_statement(text));
        }
        assert_eq!(one_reading_statement("SELECT 1; -- done"), Ok("SELECT 1"));
    }

    #[test]
    fn everything_else_is_refused_by_name() {
        for (text, why) in [
            ("", NotOne::Nothing),
            (" ; ", NotOne::Nothing),
            ("-- SELECT 1", NotOne::Nothing),
            ("SELECT 1; SELECT 2", NotOne::Second),
            ("SELECT 1;; ", NotOne::Second),
            ("ATTACH 'x' AS y", NotOne::NotReading("ATTACH".into())),
            ("PRAGMA query_only = OFF", NotOne::NotReading("PRAGMA".into())),
            ("/* SELECT */ DELETE FROM calls", NotOne::NotReading("DELETE".into())),
            ("VACUUM INTO 'x'", NotOne::NotReading("VACUUM".into())),
        ] {
            assert_eq!(one_reading_statement(text), Err(why), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_at_all_is_answered(text in "\\PC*") {
            let _ = one_reading_statement(&text);
        }
    }
}
