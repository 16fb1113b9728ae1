//! One written word as it is to be spoken: no mark-up, no emoji, and the few notations that the phonemiser would
//! read as symbols ("dollar twelve point five zero", "nine zero zero") written out.

/// What a word turns into for a voice of `language` (an espeak-ng name such as `en-us`); empty when there is nothing in it
/// to pronounce. Blanks may separate several spoken words.
pub(super) fn spoken(word: &str, language: &str) -> String {
    let word = linked_text(word);
    if let Some(address) = web_address(&word) {
        return address;
    }
    let cleaned = tidy(&clean(&word, language));
    if language.starts_with("en") { english(&cleaned) } else { cleaned }
}

/// `[the text](target)` of Markdown is the text alone; a target without text is dropped.
fn linked_text(word: &str) -> String {
    match word.split_once("](") {
        Some((text, target)) => {
            let after = target.split_once(')').map_or("", |(_, after)| after);
            format!("{text}{after}")
        }
        None => word.to_owned(),
    }
}

/// A web address without its scheme and query, its signs as words.
fn web_address(word: &str) -> Option<String> {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '/');
    let lower = word.to_ascii_lowercase();
    let schemes = ["https://www.", "http://www.", "https://", "http://", "www."];
    let scheme = schemes.iter().find(|scheme| lower.starts_with(*scheme))?;
    let address = word[scheme.len()..].split(['?', '#']).next()?.trim_end_matches('/');
    let mut spoken = String::with_capacity(address.len() * 2);
    for sign in address.chars() {
        match sign {
            '.' => spoken.push_str(" dot "),
            '/' => spoken.push_str(" slash "),
            '-' => spoken.push_str(" dash "),
            c if c.is_alphanumeric() => spoken.push(c),
            _ => spoken.push(' '),
        }
    }
    Some(tidy(&spoken))
}

/// Drops what has no sound and parts what mark-up has joined.
fn clean(word: &str, language: &str) -> String {
    let signs: Vec<char> = word.chars().collect();
    let mut cleaned = String::with_capacity(word.len());
    for (at, &sign) in signs.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| signs.get(at)).copied();
        let after = signs.get(at + 1).copied();
        let between = |test: fn(char) -> bool| before.is_some_and(test) && after.is_some_and(test);
        match sign {
            '’' | '‘' | 'ʼ' => cleaned.push('\''),
            '#' if after.is_some_and(|c| c.is_ascii_digit()) => cleaned.push_str(" number "),
            '–' if between(|c| c.is_ascii_digit()) => cleaned.push_str(" to "),
            // "555-1234" would be read with a "dash" and "and/or" with a "slash".
            '-' if between(|c| c.is_ascii_digit()) => cleaned.push(' '),
            '/' | '*' | '_' | '–' | '—' | '|' | '\\' | '~' | '…' => cleaned.push(' '),
            ',' | '.' | ':' if between(|c| c.is_ascii_digit()) => cleaned.push(sign),
            // Inside a word any other mark would end a clause of espeak-ng's, which runs the words on both sides together.
            ',' | ';' | ':' | '!' | '?' => cleaned.push(' '),
            '.' | '\'' | '-' | '&' | '@' | '%' | '+' | '=' | '$' | '€' | '£' | '°' | '½' | '¼' | '¾' => {
                cleaned.push(sign)
            }
            c if c.is_alphabetic() && !reads(language, c) => {}
            c if c.is_alphanumeric() || is_combining(c) => cleaned.push(c),
            _ => {}
        }
    }
    cleaned
}

/// Blanks made single, and nothing at all where no sign has a sound.
fn tidy(text: &str) -> String {
    let has_sound = |c: char| c.is_alphanumeric() || "&@%+=$€£°½¼¾".contains(c);
    let words = text.split_whitespace().filter(|word| word.chars().any(has_sound));
    words.map(|word| word.trim_end_matches('.')).collect::<Vec<_>>().join(" ")
}

/// Languages that are not written in Latin letters; their voices are given every letter there is.
const OTHER_SCRIPTS: [&str; 24] = [
    "am", "ar", "bg", "bn", "cmn", "el", "fa", "he", "hi", "ja", "ka", "kk", "ko", "ml", "mr", "ne", "ru", "sr", "ta",
    "te", "th", "uk", "ur", "zh",
];

/// Whether a voice of `language` can do more with a letter than name its script: an English one says "Chinese letter" for
/// each character of a Chinese sentence.
fn reads(language: &str, letter: char) -> bool {
    let stem = language.split('-').next().unwrap_or(language);
    OTHER_SCRIPTS.contains(&stem) || matches!(letter, 'a'..='z' | 'A'..='Z' | 'ª' | 'º' | 'µ' | 'À'..='ɏ' | 'Ḁ'..='ỿ')
}

fn is_combining(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{900}'..='\u{903}' | '\u{93a}'..='\u{94f}')
}

/// Words that espeak-ng spells letter by letter although they are spoken as words.
const ENGLISH_WORDS: [(&str, &str); 5] =
    [("vs", "versus"), ("mm-hm", "uh-huh"), ("mm-hmm", "uh-huh"), ("mhm", "uh-huh"), ("mm", "hmm")];

fn english(word: &str) -> String {
    if let Some((_, spoken)) = ENGLISH_WORDS.iter().find(|(written, _)| word.eq_ignore_ascii_case(written)) {
        return (*spoken).to_owned();
    }
    english_money(word).or_else(|| english_time(word)).unwrap_or_else(|| word.to_owned())
}

/// "$12.50" as "12 dollars 50".
fn english_money(word: &str) -> Option<String> {
    let sign = word.chars().next()?;
    let (one, many) = match sign {
        '$' => ("dollar", "dollars"),
        '€' => ("euro", "euros"),
        '£' => ("pound", "pounds"),
        _ => return None,
    };
    let amount = &word[sign.len_utf8()..];
    let (whole, rest) = amount.split_once('.').unwrap_or((amount, ""));
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit() || c == ',');
    if whole.is_empty() || !digits(whole) || !digits(rest) {
        return None;
    }
    let unit = if whole == "1" { one } else { many };
    match rest.trim_start_matches('0') {
        "" => Some(format!("{whole} {unit}")),
        _ => Some(format!("{whole} {unit} {rest}")),
    }
}

/// "9:00" as "9", "10:05" as "10 oh 5"; espeak-ng reads other times well.
fn english_time(word: &str) -> Option<String> {
    let digits_end = word.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(word.len());
    let (time, suffix) = word.split_at(digits_end);
    let (hours, minutes) = time.split_once(':')?;
    let hour: u8 = hours.parse().ok().filter(|hour| *hour < 24)?;
    if minutes.len() != 2 || !minutes.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let spoken = match minutes.strip_prefix('0') {
        Some("0") => format!("{hour} {suffix}"),
        Some(minute) => format!("{hour} oh {minute} {suffix}"),
        None => return None,
    };
    Some(spoken.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn en(word: &str) -> String {
        spoken(word, "en-us")
    }

    #[test]
    fn mark_up_and_emoji_have_no_sound() {
        for (written, said) in [
            ("**bold**", "bold"),
            ("`code`", "code"),
            ("snake_case", "snake case"),
            ("#", ""),
            ("#1", "number 1"),
            ("🙂", ""),
            ("👩‍👩‍👧", ""),
            ("Great!🎉", "Great"),
            ("1️⃣", "1"),
            ("—", ""),
            ("...", ""),
            ("(really)", "really"),
            ("“quoted”", "quoted"),
            ("don’t", "don't"),
            ("\u{0}nul\u{200b}", "nul"),
        ] {
            assert_eq!(en(written), said, "{written:?}");
        }
    }

    #[test]
    fn addresses_can_be_followed_by_ear() {
        assert_eq!(en("https://www.example.com/opening-hours?x=1"), "example dot com slash opening dash hours");
        assert_eq!(en("page](https://example.com/)."), "page", "the rest of [our page](...)");
        assert_eq!(en("(www.example.org)"), "example dot org");
        assert_eq!(en("me@example.org"), "me@example.org", "which espeak-ng reads well by itself");
    }

    #[test]
    fn money_times_and_numbers_are_said_as_people_say_them() {
        for (written, said) in [
            ("$60", "60 dollars"),
            ("$12.50", "12 dollars 50"),
            ("$1.00", "1 dollar"),
            ("£1,250", "1,250 pounds"),
            ("$", "$"),
            ("9:00", "9"),
            ("10:05", "10 oh 5"),
            ("9:00am", "9 am"),
            ("10:30", "10:30"),
            ("99:00", "99:00"),
            ("555-1234", "555 1234"),
            ("9–5", "9 to 5"),
            ("and/or", "and or"),
            ("twenty-one", "twenty-one"),
            ("p.m.", "p.m"),
        ] {
            assert_eq!(en(written), said, "{written:?}");
        }
    }

    #[test]
    fn letters_that_the_voice_could_only_name_are_left_out() {
        assert_eq!(en("你好"), "");
        assert_eq!(en("Привет"), "");
        assert_eq!(en("naïve"), "naïve");
        assert_eq!(spoken("Привет", "ru"), "Привет");
        assert_eq!(spoken("你好", "cmn"), "你好");
    }
}
