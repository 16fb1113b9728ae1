//! What somebody is told who takes a call over, in two sentences: who is on the line and what is known of him, and what he has said last.
//! Out of what was said and what is remembered, by rule: whoever picks the telephone up acts on it, and a made-up word would be
//! acted on too.

use super::calendar::Day;
use super::recollection::{Known, told};
use super::{CALLER, Fact, Predicate, glean};

/// Facts that are told: what is heard once, on the telephone, of somebody whom one has never met. Working memory holds some four
/// things (Cowan 2001), and the name is one.
const FACTS_MOST: usize = 3;
/// Longest last words that are told, characters: some ten seconds of speech.
const LAST_CHARS: usize = 160;

/// A line of the call.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    pub by_caller: bool,
    pub text: &'a str,
}

/// The two sentences. `known`: what earlier calls have left of this caller.
pub fn briefing(said: &[Said<'_>], known: &[Known], today: Day) -> String {
    let learned = learned(said, today);
    let is_name = |fact: &&Fact| fact.subject == CALLER && fact.predicate == Predicate::Name;
    let name = learned.iter().rev().find(is_name).map(|fact| fact.value.clone());
    let name = name.or_else(|| known.iter().find_map(|fact| fact.line.strip_prefix("is called ").map(str::to_owned)));
    let mut facts: Vec<String> = learned.iter().filter(|fact| !is_name(fact)).map(Fact::line).collect();
    facts.drain(..facts.len().saturating_sub(FACTS_MOST));
    for fact in known.iter().filter(|fact| fact.identity && !fact.line.starts_with("is called ")) {
        if facts.len() < FACTS_MOST && !facts.contains(&fact.line) {
            facts.push(fact.line.clone());
        }
    }
    let facts: Vec<String> = facts.iter().map(|line| told(line, today)).collect();
    let who = name.as_deref().unwrap_or("a caller");
    let mut out = if facts.is_empty() {
        format!("I have {who} on the line.")
    } else {
        format!("I have {who} on the line: {}.", facts.join(", "))
    };
    if let Some(last) = said.iter().rfind(|line| line.by_caller && !line.text.trim().is_empty()) {
        let words = shortened(last.text.trim());
        let kind = if words.ends_with('?') { "question" } else { "words" };
        let end = if words.ends_with(['.', '!', '?']) { "" } else { "." };
        out.push_str(&format!(" The last {kind}: {words}{end}"));
    }
    out
}

/// The facts of this call, each slot with what was said of it last.
fn learned(said: &[Said<'_>], today: Day) -> Vec<Fact> {
    let mut facts: Vec<Fact> = Vec::new();
    let mut agent = None;
    for line in said {
        if !line.by_caller {
            agent = Some(line.text);
            continue;
        }
        let gleanings = glean(line.text, agent, today);
        if !gleanings.wishes.is_empty() {
            facts.clear();
        }
        for fact in gleanings.facts {
            facts.retain(|before| {
                before.line() != fact.line()
                    && !(fact.predicate.is_slot()
                        && before.predicate == fact.predicate
                        && before.subject == fact.subject)
            });
            facts.push(fact);
        }
    }
    facts
}

/// The end of it, in whole words: what is asked stands there.
fn shortened(text: &str) -> String {
    let mut kept = Vec::new();
    let mut chars = 0;
    for word in text.split_whitespace().rev() {
        chars += word.chars().count() + 1;
        if chars > LAST_CHARS && !kept.is_empty() {
            break;
        }
        kept.push(word);
    }
    kept.reverse();
    kept.join(" ").chars().take(LAST_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: fn() -> Day = || Day::parse("2026-11-26").expect("a day");

    fn told_of(lines: &[(&str, &str)], known: &[Known]) -> String {
        let said: Vec<Said<'_>> = lines.iter().map(|(who, text)| Said { by_caller: *who == "caller", text }).collect();
        briefing(&said, known, TODAY())
    }

    #[test]
    fn who_it_is_what_was_learned_and_what_was_asked_last() {
        let lines = [
            ("caller", "Hello, my name is Ada."),
            ("agent", "Good evening, Ada."),
            ("caller", "I'm in room 11. I'm allergic to nuts."),
            ("agent", "I see."),
            ("caller", "Sorry, I'm in room 12."),
            ("agent", "Very well."),
            ("caller", "What time does the kitchen close?"),
            ("agent", "At ten."),
        ];
        assert_eq!(
            told_of(&lines, &[]),
            "I have Ada on the line: allergic to nuts, is in room 12. The last question: What time does the kitchen close?"
        );
    }

    #[test]
    fn who_is_remembered_is_told_by_what_is_known() {
        let known = |line: &str, identity| Known { id: 1, line: line.into(), identity };
        let known =
            [known("is called Ada", true), known("lives in Leeds", true), known("2026-11-24: went home", false)];
        assert_eq!(
            told_of(&[("caller", "I want to talk to somebody")], &known),
            "I have Ada on the line: lives in Leeds. The last words: I want to talk to somebody."
        );
    }

    #[test]
    fn of_whom_nothing_is_known_nothing_is_made_up() {
        assert_eq!(told_of(&[("agent", "Good evening.")], &[]), "I have a caller on the line.");
    }

    #[test]
    fn a_long_turn_is_told_by_its_end() {
        let long = format!("{} can you help me?", "well ".repeat(200));
        let told = told_of(&[("caller", &long)], &[]);
        assert!(told.ends_with("can you help me?") && told.len() < 260, "{told}");
    }
}
