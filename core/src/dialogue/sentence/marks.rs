//! What a mark means where it stands: the end of a sentence, a place to breathe, or a part of a word.

use super::scan::Ending;
use super::words::{self, Abbreviation};

/// What was found at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// A sentence ends before this byte.
    Sentence(usize),
    /// A comma or the like; a higher rank is a better place.
    Clause { end: usize, rank: u8 },
    /// No mark, but too much text: cut before this byte.
    Gap(usize),
    /// Go on reading here.
    Nothing(usize),
}

pub(super) fn char_at(text: &str, at: usize) -> Option<char> {
    text.get(at..)?.chars().next()
}

/// Ends sentences in Latin, Greek, Cyrillic, CJK, Arabic and Urdu, Indic, Armenian, Ethiopic, Burmese, Khmer, Tibetan.
pub(super) const fn is_terminal(c: char) -> bool {
    matches!(
        c,
        '.' | '!'
            | '?'
            | '…'
            | '‼'
            | '⁇'
            | '⁈'
            | '⁉'
            | '‽'
            | '。'
            | '！'
            | '？'
            | '｡'
            | '．'
            | '؟'
            | '۔'
            | '।'
            | '॥'
            | '\u{37e}'
            | '։'
            | '።'
            | '፧'
            | '။'
            | '។'
            | '།'
            | '༎'
            | '᠃'
    )
}

pub(super) const fn is_clause_mark(c: char) -> bool {
    matches!(
        c,
        ',' | ';'
            | ':'
            | '—'
            | '–'
            | '-'
            | '،'
            | '؛'
            | '，'
            | '；'
            | '：'
            | '、'
            | '､'
            | '፣'
            | '፤'
            | '၊'
            | '՝'
            | '᠂'
    )
}

pub(super) const fn is_newline(c: char) -> bool {
    matches!(c, '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Pictures, not their modifiers: those make a letter or digit a picture and begin nothing.
pub(super) const fn is_emoji(c: char) -> bool {
    matches!(c, '\u{1f000}'..='\u{1faff}' | '\u{2600}'..='\u{27bf}' | '\u{2b50}' | '\u{2b55}') && !is_emoji_modifier(c)
}

const fn is_emoji_modifier(c: char) -> bool {
    matches!(c, '\u{fe0e}' | '\u{fe0f}' | '\u{200d}' | '\u{20e3}' | '\u{1f3fb}'..='\u{1f3ff}' | '\u{e0020}'..='\u{e007f}')
}

/// Letters of scripts that put no space between words.
pub(super) const fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{e01}'..='\u{e3a}' | '\u{e40}'..='\u{e4e}' | '\u{e81}'..='\u{ece}' // Thai, Lao
        | '\u{1000}'..='\u{1049}' | '\u{1780}'..='\u{17d3}' // Burmese, Khmer
        | '\u{3005}'..='\u{3007}' | '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}' | '\u{20000}'..='\u{3ffff}') // kana and ideographs
}

const fn is_closer(c: char) -> bool {
    matches!(
        c,
        '"' | '\''
            | '”'
            | '’'
            | ')'
            | ']'
            | '}'
            | '»'
            | '›'
            | '」'
            | '』'
            | '）'
            | '】'
            | '》'
            | '〉'
            | '〕'
            | '］'
            | '｝'
            | '*'
            | '_'
            | '`'
            | '~'
    )
}

/// Closes in one language what it opens in another: „so“ and »so«.
const fn is_either(c: char) -> bool {
    matches!(c, '“' | '‘' | '«' | '‹')
}

pub(super) const fn is_opener(c: char) -> bool {
    is_either(c)
        || matches!(
            c,
            '"' | '\''
                | '('
                | '['
                | '{'
                | '„'
                | '‚'
                | '»'
                | '›'
                | '「'
                | '『'
                | '（'
                | '【'
                | '《'
                | '〈'
                | '¿'
                | '¡'
                | '*'
                | '_'
                | '`'
                | '#'
                | '$'
                | '€'
                | '£'
                | '&'
                | '@'
        )
}

/// Skips white space, but stops at a new line.
pub(super) fn skip_blank(text: &str, at: usize) -> usize {
    at + text[at..].find(|c: char| !c.is_whitespace() || is_newline(c)).unwrap_or(text.len() - at)
}

fn skip(text: &str, at: usize, class: impl Fn(char) -> bool) -> usize {
    at + text[at..].find(|c| !class(c)).unwrap_or(text.len() - at)
}

/// Quotes, brackets and emphasis that belong to what stands before them. `None`: more text must come to tell.
fn skip_closers(text: &str, mut at: usize, ending: Ending) -> Option<usize> {
    loop {
        let Some(c) = char_at(text, at) else { return Some(at) };
        let next = at + c.len_utf8();
        if is_closer(c) {
            at = next;
        } else if is_either(c) {
            match char_at(text, next) {
                None if ending != Ending::Finished => return None,
                Some(after) if after.is_alphanumeric() => return Some(at),
                _ => at = next,
            }
        } else {
            return Some(at);
        }
    }
}

/// The end of everything that belongs to a sentence after its mark: closers, more marks (also after a space, as the
/// French write), pictures. `None`: more text must come to tell.
fn skip_tail(text: &str, mut at: usize, ending: Ending) -> Option<usize> {
    loop {
        at = skip_closers(text, at, ending)?;
        let after = skip_blank(text, at);
        let Some(c) = char_at(text, after) else { return Some(at) };
        let next = after + c.len_utf8();
        if is_emoji(c) {
            at = skip(text, next, |c| is_emoji(c) || is_emoji_modifier(c));
        } else if after > at && matches!(c, '!' | '?' | '؟') {
            at = skip(text, next, is_terminal);
        } else if after > at && matches!(c, '»' | '›') {
            match char_at(text, next) {
                None if ending != Ending::Finished => return None,
                Some(inner) if inner.is_alphanumeric() => return Some(at),
                _ => at = next,
            }
        } else {
            return Some(at);
        }
    }
}

/// Judges `.`, `!`, `?`, their kin and pictures. `None`: more text must come to tell.
pub(super) fn terminal(text: &str, at: usize, ending: Ending) -> Option<Mark> {
    let run = skip(text, at, |c| is_terminal(c) || is_emoji(c) || is_emoji_modifier(c));
    let nothing = Some(Mark::Nothing(run));
    let dot = &text[at..run] == ".";
    if dot && char_at(text, run).is_some_and(|c| !c.is_whitespace() && !closes_a_dot(c)) {
        // 3.14, e.g. in its middle, example.com, etc., U.S.-based
        return nothing;
    }
    let end = skip_tail(text, run, ending)?;
    let after = skip_blank(text, end);
    let Some(next) = char_at(text, after) else {
        return match ending {
            Ending::Open => None,
            Ending::Paused if dot && !sure_without_more(text, at, end > run) => None,
            Ending::Paused | Ending::Finished => Some(Mark::Sentence(end)),
        };
    };
    if is_newline(next) {
        return Some(Mark::Sentence(end));
    }
    if after == end {
        return Some(if runs_on(text, at, next) { Mark::Nothing(run) } else { Mark::Sentence(end) });
    }
    if next.is_lowercase() || is_clause_mark(next) || is_terminal(next) {
        // "Stop!" he said. A trailing off is a place to breathe all the same.
        let trails_off = text[at..run].ends_with('…') || text[at..run].ends_with("..");
        return if trails_off { Some(Mark::Clause { end, rank: 2 }) } else { nothing };
    }
    if !dot {
        return Some(Mark::Sentence(end));
    }
    match words::before_dot(text, at) {
        Abbreviation::No => Some(Mark::Sentence(end)),
        Abbreviation::Always => nothing,
        Abbreviation::BeforeNumber if next.is_numeric() => nothing,
        Abbreviation::BeforeNumber => Some(Mark::Sentence(end)),
        Abbreviation::Perhaps => {
            let start = skip(text, after, is_opener);
            let word_end = skip(text, start, |c| c.is_alphabetic() || matches!(c, '\'' | '’'));
            if word_end == text.len() && ending != Ending::Finished {
                return None;
            }
            if words::begins_sentence(&text[start..word_end]) { Some(Mark::Sentence(end)) } else { nothing }
        }
    }
}

/// Does the dot at `at` end a sentence while nothing is known of what follows? After a closing quote no number goes on.
fn sure_without_more(text: &str, at: usize, closed: bool) -> bool {
    match words::before_dot(text, at) {
        Abbreviation::No => closed || !text[..at].ends_with(char::is_numeric),
        Abbreviation::BeforeNumber => closed,
        Abbreviation::Always | Abbreviation::Perhaps => false,
    }
}

fn closes_a_dot(c: char) -> bool {
    is_closer(c) || is_either(c) || is_unspaced(c) || is_emoji(c)
}

/// Does the text go on without a gap after a mark, as in `a?b=1` or `.env!x`?
fn runs_on(text: &str, at: usize, next: char) -> bool {
    if is_unspaced(next) || matches!(next, '¿' | '¡' | '「' | '『' | '（' | '【' | '《' | '“' | '«' | '„') {
        return false;
    }
    let token = words::token_before(text, at);
    let address = token.contains("://") || token.starts_with("www.") || token.contains(['@', '/']);
    // "Really?Yes" has lost its space; "a!b" never had one. Letters without case cannot tell, and do end sentences.
    address || !next.is_alphabetic() || next.is_lowercase()
}

/// Judges commas, colons, dashes and their kin. `None`: more text must come to tell.
pub(super) fn clause_mark(text: &str, at: usize, ending: Ending) -> Option<Mark> {
    let mark = char_at(text, at)?;
    let run = skip(text, at, is_clause_mark);
    let end = skip_closers(text, run, ending)?;
    let before = text[..at].chars().next_back();
    let Some(next) = char_at(text, end) else {
        let alone = mark.is_ascii() && (mark == '-' || before.is_some_and(char::is_numeric));
        return match ending {
            Ending::Open => None,
            Ending::Paused if alone => None,
            _ => Some(Mark::Clause { end, rank: 1 }),
        };
    };
    let spaced = next.is_whitespace();
    let between_gaps = spaced && before.is_some_and(char::is_whitespace);
    let unspaced = is_unspaced(next) || before.is_some_and(is_unspaced);
    let ranked = |rank| Some(Mark::Clause { end, rank });
    match mark {
        '—' => ranked(2),
        '–' | '-' if between_gaps || &text[at..run] == "--" => ranked(2),
        '–' | '-' => Some(Mark::Nothing(run)),
        ',' if spaced || unspaced => ranked(1),
        ';' | ':' if spaced || unspaced => ranked(2),
        _ if mark.is_ascii() => Some(Mark::Nothing(run)),
        '；' | '：' | '؛' | '፤' => ranked(2),
        _ => ranked(1),
    }
}

/// The text as a voice should get it: pictures, emphasis, headings and list marks become blanks, byte for byte, so that
/// every place in it is the same place in the original.
pub fn speakable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut line_start = true;
    for (at, c) in text.char_indices() {
        let before = text[..at].chars().next_back();
        let after = char_at(text, at + c.len_utf8());
        let touches = |side: Option<char>| side.is_some_and(|c| !c.is_whitespace());
        let silent = match c {
            '*' | '~' => line_start || touches(before) != touches(after) || before == Some(c) || after == Some(c),
            '_' => !(before.is_some_and(char::is_alphanumeric) && after.is_some_and(char::is_alphanumeric)),
            '`' => true,
            '#' | '•' | '>' => line_start,
            '-' | '–' | '—' => line_start && !touches(after),
            _ => is_emoji(c) || is_emoji_modifier(c),
        };
        if is_newline(c) {
            line_start = true;
        } else if !c.is_whitespace() && !silent {
            line_start = false;
        }
        if silent {
            out.extend(std::iter::repeat_n(' ', c.len_utf8()));
        } else {
            out.push(c);
        }
    }
    out
}

/// The pictures in a text, each with its modifiers, and with what is joined to it.
pub fn emoji(text: &str) -> Vec<&str> {
    const JOINER: char = '\u{200d}';
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(c) = char_at(text, at) {
        let mut end = at + c.len_utf8();
        if is_emoji(c) {
            let is_flag = |c: char| matches!(c, '\u{1f1e6}'..='\u{1f1ff}');
            if is_flag(c) && char_at(text, end).is_some_and(is_flag) {
                end = skip(text, end, is_flag).min(end + c.len_utf8());
            }
            end = skip(text, end, is_emoji_modifier);
            while text[..end].ends_with(JOINER) && char_at(text, end).is_some_and(is_emoji) {
                end += char_at(text, end).map_or(0, char::len_utf8);
                end = skip(text, end, is_emoji_modifier);
            }
            found.push(&text[at..end]);
        }
        at = end;
    }
    found
}
