//! Numbers as they are said and as they are written.

const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

/// Digits that are dictated: `0 double 5 1`, `oh five five one`, `+49 170 ...`. `None` where a word is no digit.
pub fn dictated(words: &[&str]) -> Option<String> {
    let mut out = String::new();
    let mut times = 1;
    for word in words {
        match *word {
            "double" => times = 2,
            "triple" => times = 3,
            "plus" if out.is_empty() => out.push('+'),
            "oh" | "o" => out.push_str(&"0".repeat(std::mem::replace(&mut times, 1))),
            _ => {
                let digits = match SMALL.iter().position(|small| small == word) {
                    Some(digit) => digit.to_string(),
                    None => {
                        let plain: String =
                            word.chars().filter(|c| !matches!(c, '-' | '/' | '(' | ')' | '.')).collect();
                        let numeric = plain.strip_prefix('+').unwrap_or(&plain);
                        if numeric.is_empty() || !numeric.chars().all(|c| c.is_ascii_digit()) {
                            return None;
                        }
                        plain
                    }
                };
                out.push_str(&digits.repeat(std::mem::replace(&mut times, 1)));
            }
        }
    }
    (!out.is_empty()).then_some(out)
}

/// A number of a room or a house at the beginning of `words`, in digits, with how many words it takes: `12`, `12b`,
/// `two hundred and four`, `three twelve`.
pub fn counted(words: &[&str]) -> Option<(String, usize)> {
    let first = words.first()?;
    if first.chars().next().is_some_and(|c| c.is_ascii_digit()) && first.chars().all(|c| c.is_ascii_alphanumeric()) {
        return (first.len() <= 6).then(|| ((*first).to_owned(), 1));
    }
    let mut taken = 0;
    let mut groups: Vec<u32> = Vec::new();
    while let Some(word) = words.get(taken) {
        if let Some((tens, ones)) = word.split_once('-')
            && let (Some(tens), Some(ones)) =
                (TENS.iter().position(|t| *t == tens), SMALL.iter().position(|o| *o == ones))
        {
            groups.push((tens as u32 + 2) * 10 + ones as u32);
        } else if let Some(small) = SMALL.iter().position(|small| small == word) {
            match groups.last_mut() {
                Some(last) if (20..100).contains(last) && *last % 10 == 0 && (1..10).contains(&small) => {
                    *last += small as u32;
                }
                _ => groups.push(small as u32),
            }
        } else if let Some(tens) = TENS.iter().position(|tens| tens == word) {
            groups.push((tens as u32 + 2) * 10);
        } else if *word == "hundred" && groups.len() == 1 {
            let after = if words.get(taken + 1) == Some(&"and") { taken + 2 } else { taken + 1 };
            let hundreds = groups[0] * 100;
            let rest = words.get(after..).and_then(counted).and_then(|(rest, n)| Some((rest.parse::<u32>().ok()?, n)));
            return Some(match rest.filter(|(rest, _)| *rest < 100) {
                Some((rest, n)) => ((hundreds + rest).to_string(), after + n),
                None => (hundreds.to_string(), taken + 1),
            });
        } else {
            break;
        }
        taken += 1;
        if groups.len() > 4 {
            return None;
        }
    }
    let text: String = groups.iter().map(u32::to_string).collect();
    (!text.is_empty() && text.len() <= 5).then_some((text, taken))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<&str> {
        text.split(' ').collect()
    }

    #[test]
    fn dictated_digits_are_joined() {
        assert_eq!(dictated(&split("oh seven double five 1 2 3")).as_deref(), Some("0755123"));
        assert_eq!(dictated(&split("+49 170 555-0123")).as_deref(), Some("+491705550123"));
        assert_eq!(dictated(&split("five or six")), None);
    }

    #[test]
    fn rooms_are_counted_as_they_are_said() {
        for (said, room, taken) in [
            ("12 please", "12", 1),
            ("twelve", "12", 1),
            ("two hundred and four", "204", 4),
            ("three hundred", "300", 2),
            ("three twelve", "312", 2),
            ("twenty one", "21", 2),
            ("twenty-one", "21", 1),
            ("two oh four", "2", 1),
            ("12b", "12b", 1),
        ] {
            assert_eq!(counted(&split(said)), Some((room.to_owned(), taken)), "{said}");
        }
        assert_eq!(counted(&split("service")), None);
    }
}
