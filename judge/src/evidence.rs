//! What can be counted in a situation without understanding it: times, marks, words that give things away, values of the
//! text that a memory row contradicts. The trained part weighs it beside what the encoder reads.

use crate::action::Floor;
use crate::augment::seed;
use crate::situation::{Relation, Said, Situation, Speaker};
use crate::words;

/// Buckets of the hashed word groups.
pub const BUCKETS: usize = 8192;
pub const COUNT: usize = 56;

/// Text in lower case between single spaces, so that " word " finds whole words; Chinese is found as it stands.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(' ');
    for word in split_words(text) {
        out.push_str(&word);
        out.push(' ');
    }
    out
}

/// Words in lower case without the marks around them.
pub(crate) fn split_words(text: &str) -> Vec<String> {
    text.to_lowercase()
        .replace('’', "'")
        .split(|c: char| {
            c.is_whitespace()
                || matches!(c, ',' | '，' | '。' | '.' | '?' | '!' | '？' | '！' | ':' | ';' | '"' | '、' | '-')
        })
        .filter(|w| !w.is_empty())
        .map(|w| w.trim_matches('\'').to_owned())
        .collect()
}

/// Chinese has no spaces: its telling pairs of characters, days, and numbers with their unit stand for words.
fn chinese_words(text: &str) -> Vec<String> {
    let all: Vec<char> = text.chars().collect();
    let mut out = Vec::new();
    for pair in all.windows(2) {
        if pair.iter().all(|c| is_chinese(*c)) && !pair.iter().any(|c| words::COMMON_CHARACTERS.contains(*c)) {
            out.push(pair.iter().collect());
        }
    }
    for (at, c) in all.iter().enumerate() {
        let day = all.get(at + 1).filter(|d| "一二三四五六日天".contains(**d));
        match (c, day) {
            ('周' | '期', Some(day)) => out.push(format!("周{day}")),
            ('号' | '点' | '节' | '片' | '元' | '块' | '度' | '位' | '人' | '分', _) => {
                out.extend(counted(&all[..at], *c))
            }
            _ => {}
        }
    }
    out
}

/// "十五" before "号" is "15号".
fn counted(before: &[char], unit: char) -> Option<String> {
    let from = before.iter().rposition(|c| !c.is_ascii_digit() && !NUMERALS.contains(*c)).map_or(0, |at| at + 1);
    let run = &before[from..];
    if run.is_empty() {
        return None;
    }
    if run.iter().all(char::is_ascii_digit) {
        return Some(run.iter().chain([&unit]).collect());
    }
    let value = |c: &char| NUMERALS.chars().position(|n| n == *c).unwrap_or(0);
    let number = match run.iter().position(|c| *c == '十') {
        Some(ten) => {
            let tens = if ten == 0 { 1 } else { value(&run[ten - 1]) };
            tens * 10 + run.get(ten + 1).map_or(0, value)
        }
        None => run.iter().fold(0usize, |n, c| n.saturating_mul(10).saturating_add(value(c))),
    };
    Some(format!("{number}{unit}"))
}

const NUMERALS: &str = "零一二三四五六七八九十";

/// Words to compare texts by.
fn comparable(text: &str) -> Vec<String> {
    let mut words = split_words(text);
    if text.chars().any(is_chinese) {
        words.extend(chinese_words(text));
    }
    words
}

fn hits(plain: &str, list: &[&str]) -> f32 {
    let hit = |word: &&&str| {
        if word.is_ascii() {
            plain.match_indices(**word).any(|(at, _)| {
                plain.as_bytes()[..at].last() == Some(&b' ') && plain.as_bytes().get(at + word.len()) == Some(&b' ')
            })
        } else {
            plain.contains(**word)
        }
    };
    (list.iter().filter(hit).count() as f32).min(3.0) / 2.0
}

fn is_chinese(c: char) -> bool {
    ('\u{4e00}'..='\u{9fff}').contains(&c)
}

/// Values of one kind in a text: days, months, numbers and clock times.
fn values(words: &[String]) -> [Vec<String>; 3] {
    let of = |list: &[&str]| words.iter().filter(|w| list.contains(&w.as_str())).cloned().collect();
    let numbers = words.iter().filter_map(|w| number(w)).collect();
    [of(words::DAYS), of(words::MONTHS), numbers]
}

/// A number as digits: "10th", "10", "ten" are one value.
fn number(word: &str) -> Option<String> {
    const SMALL: [&str; 21] = [
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
        "twenty",
    ];
    const ORDINAL: [&str; 13] = [
        "zeroth", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
        "eleventh", "twelfth",
    ];
    if word == "one" {
        return None; // "the one that": seldom a number
    }
    let spelled = SMALL.iter().chain(&ORDINAL).position(|w| *w == word).map(|at| at % SMALL.len());
    let digits: String = word.chars().take_while(char::is_ascii_digit).collect();
    spelled
        .map(|n| n.to_string())
        .or_else(|| (!digits.is_empty() && word.chars().count() <= digits.len() + 2).then_some(digits))
}

/// The kind of value that a word of the vocabulary is: day, month or number.
pub(crate) fn kind(word: &str) -> Option<u8> {
    match word {
        "may" => None, // seldom the month
        _ if words::DAYS.contains(&word) => Some(0),
        _ if words::MONTHS.contains(&word) => Some(1),
        _ => number(word).map(|_| 2),
    }
}

/// Whether a word of the vocabulary says too little to be compared; pieces of words do, too.
pub(crate) fn is_common(word: &str) -> bool {
    let mut letters = word.chars();
    let single = matches!((letters.next(), letters.next()), (Some(c), None) if !is_chinese(c) || words::COMMON_CHARACTERS.contains(c));
    single || word.starts_with("##") || words::COMMON.contains(&word)
}

/// How a text stands to a row: (shared telling words, values in both, values of a kind that differ).
fn compare(text: &[String], row: &[String]) -> (f32, f32, f32) {
    let telling = |w: &&String| (w.len() > 2) && !words::COMMON.contains(&w.as_str());
    let shared = row.iter().filter(telling).filter(|w| text.contains(w)).count() as f32;
    let (mut same, mut other) = (0.0, 0.0);
    for (ours, theirs) in values(text).iter().zip(values(row)) {
        let both = ours.iter().filter(|v| theirs.contains(v)).count();
        same += both as f32;
        if !ours.is_empty() && !theirs.is_empty() && both == 0 {
            other += 1.0;
        }
    }
    (shared, same, other)
}

/// For each memory row, how many telling words and values it shares with the text.
#[must_use]
pub fn shared_with_rows(text: &str, memory: &[String]) -> Vec<f32> {
    let text = comparable(text);
    let score = |row: &String| {
        let (shared, same, other) = compare(&text, &comparable(without_date(row)));
        shared + same + 0.5 * other
    };
    memory.iter().map(score).collect()
}

/// "2026-03-02: has a cat" -> "has a cat"
fn without_date(row: &str) -> &str {
    match row.split_once(": ") {
        Some((date, rest)) if date.starts_with(|c: char| c.is_ascii_digit()) && date.len() <= 16 => rest,
        _ => row,
    }
}

/// Words repeated in groups of three: the caller goes round in circles.
fn repeats(words: &[String]) -> f32 {
    let groups: Vec<&[String]> = words.windows(3).collect();
    let again = groups.iter().enumerate().filter(|(at, g)| groups[..*at].contains(g)).count();
    (again as f32 / 4.0).min(1.0)
}

fn last<'a>(history: &'a [Said], who: Speaker) -> Option<&'a Said> {
    history.iter().rev().find(|said| said.who == who)
}

fn flag(is: bool) -> f32 {
    f32::from(u8::from(is))
}

/// The numbers that the network is given beside the text; each is within about 0..=2.
#[must_use]
pub fn numbers(situation: &Situation) -> Vec<f32> {
    let mut out = Vec::with_capacity(COUNT);
    out.extend(Floor::ALL.map(|f| flag(f == situation.floor)));
    out.extend([Relation::Stranger, Relation::Acquaintance, Relation::Friend].map(|r| flag(r == situation.relation)));
    times(situation, &mut out);
    of_text(situation, &mut out);
    of_history(situation, &mut out);
    of_memory(situation, &mut out);
    debug_assert!(out.len() <= COUNT, "{}", out.len());
    out.resize(COUNT, 0.0);
    out
}

/// How long the caller has been speaking, and silent. At the end of a turn that says nothing of what is to be done: the scenarios leave
/// it out there, so that a judge which looked at it would know calls, which have it, from what it has learnt from.
fn times(situation: &Situation, out: &mut Vec<f32>) {
    let known = situation.floor != Floor::EndOfTurn;
    let (speaking, silence) = if known { (situation.speaking_s, situation.silence_s) } else { (0.0, 0.0) };
    out.extend([(1.0 + speaking).ln() / 3.0, flag(speaking >= 6.0), flag(speaking >= 20.0), flag(speaking > 0.0)]);
    out.extend([(1.0 + silence).ln() / 3.0, flag(silence >= 0.4), flag(silence >= 4.0), flag(silence >= 8.0)]);
    out.push(flag(silence >= 20.0));
}

fn of_text(situation: &Situation, out: &mut Vec<f32>) {
    let text = situation.text.trim();
    let words = split_words(text);
    let plain = plain(text);
    let end = text.chars().last().unwrap_or(' ');
    out.extend([".。", "?？", "!！", ",，", "…-"].map(|marks| flag(marks.contains(end))));
    let open = words.last().is_some_and(|w| words::OPEN_ENDED.contains(&w.as_str()));
    out.push(flag(open || text.ends_with("...")));
    let count = words.len() + text.chars().filter(|c| is_chinese(*c)).count() / 2;
    out.extend([(1.0 + count as f32).ln() / 3.0, flag(count <= 3), repeats(&words)]);
    let digits = words.iter().filter(|w| words::DIGITS.contains(&w.as_str()) || w.chars().all(|c| c.is_ascii_digit()));
    out.push((digits.count() as f32 / 4.0).min(1.5));
    let lists = [
        words::HOLD,
        words::BYE,
        words::INSULT,
        words::EMERGENCY,
        words::SPELLING,
        words::FEELING,
        words::QUESTION,
        words::ASIDE,
    ];
    out.extend(lists.map(|list| hits(&plain, list)));
}

fn of_history(situation: &Situation, out: &mut Vec<f32>) {
    let history = &situation.history;
    let agent = last(history, Speaker::Agent);
    let agent_text = agent.map_or_else(String::new, Said::heard_text);
    let all = |who: Speaker| {
        plain(&history.iter().filter(|s| s.who == who).map(Said::heard_text).collect::<Vec<_>>().join(" "))
    };
    let (agents, callers) = (all(Speaker::Agent), all(Speaker::Caller));
    let agent_last = history.last().is_some_and(|s| s.who == Speaker::Agent);
    out.push(flag(history.is_empty()));
    out.push((history.len() as f32 / 4.0).min(1.5));
    out.push(flag(agent_last && agent_text.trim_end().ends_with(['?', '？'])));
    out.push(flag(agent_last));
    out.push(flag(agent.is_some_and(|a| a.heard.is_some())));
    out.extend([hits(&agents, words::WARNING), hits(&agents, words::REFUSAL), hits(&callers, words::INSULT)]);
    out.push(hits(&agents, words::WARNING) * hits(&plain(&situation.text), words::INSULT));
    out.push(hits(&plain(&agent_text), words::BYE));
    let caller = plain(&last(history, Speaker::Caller).map_or_else(String::new, Said::heard_text));
    out.extend([hits(&caller, words::BYE), hits(&caller, words::AWAY).max(hits(&plain(&agent_text), words::AWAY))]);
    let text = split_words(&situation.text);
    let again = last(history, Speaker::Caller).map_or(0.0, |said| compare(&text, &split_words(&said.text)).0);
    out.push((again / 4.0).min(1.0));
}

fn of_memory(situation: &Situation, out: &mut Vec<f32>) {
    let text = comparable(&situation.text);
    let rows: Vec<_> = situation.memory.iter().map(|r| compare(&text, &comparable(without_date(r)))).collect();
    let most = |f: fn(&(f32, f32, f32)) -> f32| rows.iter().map(f).fold(0.0, f32::max);
    out.push(flag(rows.is_empty()));
    out.extend([(most(|r| r.0) / 3.0).min(1.0), (most(|r| r.1) / 2.0).min(1.0), (most(|r| r.2) / 2.0).min(1.0)]);
    // A value that differs counts where the row is about the same thing.
    let about = rows.iter().map(|r| if r.0 > 0.0 { r.2 } else { 0.0 }).fold(0.0, f32::max);
    out.push(about.min(1.0));
    out.push(hits(&plain(&situation.memory.join(" ")), words::DUE));
    out.push(flag(situation.persona.stance.trim().is_empty()));
    let stance = compare(&text, &comparable(&situation.persona.stance));
    out.push((stance.0 / 3.0).min(1.0));
}

/// Hashed groups of words (of characters in Chinese), so that set phrases need not be read by the encoder.
#[must_use]
pub fn word_groups(situation: &Situation) -> Vec<u32> {
    let mut groups = Vec::new();
    let floor = situation.floor.word();
    let text = units(&situation.text);
    let from = text.len().saturating_sub(28);
    let mut add = |tag: &str, group: &[String]| {
        let hash = seed(&format!("{floor}|{tag}|{}", group.join(" ")));
        groups.push((hash % BUCKETS as u64) as u32);
    };
    for size in 1..=3 {
        for group in text[from..].windows(size) {
            add("text", group);
        }
        if text.len() >= size {
            add("end", &text[text.len() - size..]);
            add("begin", &text[..size]);
        }
    }
    for (tag, who) in [("agent", Speaker::Agent), ("caller", Speaker::Caller)] {
        let said = units(&last(&situation.history, who).map_or_else(String::new, Said::heard_text));
        let from = said.len().saturating_sub(16);
        for size in 1..=2 {
            for group in said[from..].windows(size) {
                add(tag, group);
            }
        }
    }
    groups.sort_unstable();
    groups.dedup();
    groups
}

/// Words with their end marks as units of their own; each Chinese character is one.
fn units(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut word = String::new();
    for c in text.to_lowercase().chars() {
        if c.is_alphanumeric() && !is_chinese(c) || c == '\'' || c == '’' {
            word.push(if c == '’' { '\'' } else { c });
            continue;
        }
        if !word.is_empty() {
            out.push(std::mem::take(&mut word));
        }
        if !c.is_whitespace() {
            out.push(c.to_string());
        }
    }
    if !word.is_empty() {
        out.push(word);
    }
    out
}
