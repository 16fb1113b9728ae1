//! What is known of a caller when a call begins, and what comes to mind while it goes on.

use super::calendar::Day;
use super::{Fact, Party};

/// How well a caller is known, by how often they have talked with us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Relation {
    #[default]
    Stranger,
    Acquaintance,
    Friend,
}

impl Relation {
    /// Two earlier calls in which the caller said something make an acquaintance, six on three days a friend.
    pub const fn of(calls: u32, days: u32) -> Self {
        if calls >= 6 && days >= 3 {
            Self::Friend
        } else if calls >= 2 {
            Self::Acquaintance
        } else {
            Self::Stranger
        }
    }

    /// As it stands in SQL and in judgement data.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stranger => "stranger",
            Self::Acquaintance => "acquaintance",
            Self::Friend => "friend",
        }
    }
}

/// A fact as the store gives it back.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Known {
    /// The fact's row in SQL: what a verdict may rest on.
    pub id: i64,
    /// As [`Fact::line`] writes it.
    pub line: String,
    /// Who or what the caller is outweighs what they did.
    pub identity: bool,
}

/// A promise that is open.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Open {
    pub who: Party,
    pub what: String,
    pub due: Option<Day>,
    /// When it was made.
    pub made: Day,
    /// The persona in whose call it was made; `None`: not known, or the one that answers now.
    #[serde(default)]
    pub persona: Option<String>,
}

/// A value that was said to be another one before.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Conflict {
    pub predicate: String,
    pub before: String,
    pub now: String,
    /// When the two were said.
    pub before_on: Day,
    pub now_on: Day,
}

/// Everything that is known of a caller, before anybody chooses.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Recollection {
    pub relation: Relation,
    /// What holds now, the most telling first: who they are, then the newest.
    pub facts: Vec<Known>,
    pub open: Vec<Open>,
    pub conflicts: Vec<Conflict>,
    /// The day of the last call, and what it was about.
    pub last_call: Option<(Day, String)>,
    /// What came to mind about the words of the open turn.
    pub recalled: Vec<String>,
}

impl Recollection {
    /// The digest for the language model that speaks as `persona`, in at most `budget` characters: whole lines, the most telling
    /// first.
    pub fn digest(&self, today: Day, persona: &str, budget: usize) -> String {
        let mut lines = Vec::new();
        if self.relation != Relation::Stranger {
            lines.push(format!("You have talked before: {}.", self.relation.as_str()));
        }
        lines.extend(self.facts.iter().filter(|fact| fact.identity).map(|fact| told(&fact.line, today)));
        lines.extend(self.open.iter().map(|open| open.told(today, persona)));
        lines.extend(self.facts.iter().filter(|fact| !fact.identity).map(|fact| told(&fact.line, today)));
        if let Some((day, about)) = &self.last_call {
            lines.push(format!("Last call ({}): {about}", day.told(today)));
        }
        let mut out = String::new();
        for line in lines {
            if out.len() + line.len() + 3 <= budget {
                out.push_str(if out.is_empty() { "- " } else { "\n- " });
                out.push_str(&line);
            }
        }
        out
    }

    /// What comes to mind and is not in the digest already, for the language model.
    pub fn note(&self, today: Day, digest: &str) -> Option<String> {
        let new: Vec<String> =
            self.recalled.iter().map(|line| told(line, today)).filter(|line| !digest.contains(line.as_str())).collect();
        (!new.is_empty()).then(|| new.join("\n- "))
    }

    /// Facts as a judge reads them, the newest last, at most `most`.
    pub fn judged(&self, most: usize) -> Vec<String> {
        self.facts.iter().take(most).rev().map(|fact| fact.line.clone()).collect()
    }
}

impl Open {
    /// Is it a promise that `persona` has given or was given? Nobody keeps what another one promised.
    pub fn is_of(&self, persona: &str) -> bool {
        self.persona.as_deref().is_none_or(|made_by| made_by == persona)
    }

    fn told(&self, today: Day, persona: &str) -> String {
        let who = match (self.who, &self.persona) {
            (Party::Agent, Some(other)) if other != persona => format!("The {other} promised to"),
            (Party::Agent, _) => "You promised to".into(),
            (Party::Caller, _) => "The caller promised to".into(),
        };
        let due = match self.due {
            Some(due) if due < today => format!(", due {} and open", due.told(today)),
            Some(due) => format!(", due {}", due.told(today)),
            None => String::new(),
        };
        format!("{who} {} (said {}){due}", self.what, self.made.told(today))
    }
}

/// A line with its date as it is seen from today: a small model does not reckon with dates.
pub fn told(line: &str, today: Day) -> String {
    match line.get(..10).and_then(Day::parse) {
        Some(day) => format!("{}{}", capital(&day.told(today)), &line[10..]),
        None => line.to_owned(),
    }
}

pub(super) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// How many of the `words` are in `line`, in any of their forms.
pub fn shares(line: &str, words: &[String]) -> usize {
    let line = stems(line);
    words.iter().filter(|word| line.iter().any(|said| said == stem(word))).count()
}

/// The lines that have most of the `words`, as indices, the best first; those that are alike stay in their order. A word counts
/// for more the fewer of the lines have it: `ln(1 + lines / lines with it)`, the weight that BM25 gives it, taken over this
/// caller's own lines and not over everybody's.
pub fn ranked(lines: &[&str], words: &[String]) -> Vec<usize> {
    let lines: Vec<Vec<String>> = lines.iter().map(|line| stems(line)).collect();
    let has = |line: &[String], word: &String| line.iter().any(|said| said == stem(word));
    let weights: Vec<f32> = words
        .iter()
        .map(|word| {
            let with_it = lines.iter().filter(|line| has(line, word)).count().max(1);
            (lines.len() as f32 / with_it as f32).ln_1p()
        })
        .collect();
    let mut order: Vec<(usize, f32)> = lines
        .iter()
        .map(|line| words.iter().zip(&weights).filter(|(word, _)| has(line, word)).map(|(_, weight)| weight).sum())
        .enumerate()
        .collect();
    order.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    order.into_iter().map(|(line, _)| line).collect()
}

fn stems(line: &str) -> Vec<String> {
    crate::dialogue::words::words(line).iter().map(|word| stem(word).to_owned()).collect()
}

/// A word without its ending, so that `walked`, `walks` and `walking` are one. English only, as the rules are.
fn stem(word: &str) -> &str {
    const ENDINGS: [&str; 5] = ["ing", "ed", "es", "s", "e"];
    ENDINGS.iter().filter_map(|ending| word.strip_suffix(ending)).find(|rest| rest.len() >= 3).unwrap_or(word)
}

/// Facts of a call that are worth a line of their own in its summary.
pub(super) fn worth_telling(facts: &[Fact]) -> impl Iterator<Item = String> + '_ {
    facts.iter().map(Fact::line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(id: i64, line: &str, identity: bool) -> Known {
        Known { id, line: line.into(), identity }
    }

    #[test]
    fn the_digest_tells_the_name_first_and_never_more_than_it_may() {
        let today = Day::of(2026, 11, 25).unwrap();
        let mut known_of_ada = Recollection {
            relation: Relation::Acquaintance,
            facts: vec![known(2, "2026-11-24: went to the lighthouse", false), known(1, "is called Ada", true)],
            open: vec![Open {
                who: Party::Agent,
                what: "ask the cook".into(),
                due: Some(today),
                made: today.plus(-1),
                persona: None,
            }],
            last_call: Some((today.plus(-1), "asked about dogs".into())),
            ..Recollection::default()
        };
        let digest = known_of_ada.digest(today, "porter", 600);
        let lines: Vec<&str> = digest.lines().collect();
        assert_eq!(lines[1], "- is called Ada");
        assert!(lines[2].contains("You promised to ask the cook") && lines[2].contains("due today"), "{digest}");
        assert_eq!(lines[3], "- Yesterday, Tuesday 24 November 2026: went to the lighthouse");
        for budget in 0..600 {
            assert!(known_of_ada.digest(today, "porter", budget).len() <= budget);
        }
        known_of_ada.recalled = vec!["2026-11-24: went to the lighthouse".into(), "likes tea".into()];
        assert_eq!(
            known_of_ada.note(today, &digest).as_deref(),
            Some("likes tea"),
            "what stands there is not said twice"
        );
    }

    #[test]
    fn rare_words_bring_back_more_than_common_ones() {
        let words: Vec<String> = ["boat", "paint"].map(Into::into).into();
        let lines = ["washed the boat", "sold a boat", "painted the roof", "has a cat"];
        assert_eq!(ranked(&lines, &words), [2, 0, 1, 3], "two lines have a boat, one has paint");
        assert_eq!(shares("Painting boats is fun", &words), 2, "in any of their forms");
    }

    #[test]
    fn a_relation_grows_with_calls_and_days() {
        assert_eq!(Relation::of(0, 0), Relation::Stranger);
        assert_eq!(Relation::of(2, 1), Relation::Acquaintance);
        assert_eq!(Relation::of(9, 2), Relation::Acquaintance);
        assert_eq!(Relation::of(6, 3), Relation::Friend);
    }
}
