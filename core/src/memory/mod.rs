//! Ring 1: what is remembered of a caller. Rules turn what was said into facts, promises and wishes to be forgotten
//! ([`glean`]); a [`notebook::Notebook`] does so for one call; a [`recollection::Recollection`] is what the next call knows.
//!
//! Everything here is a function of words and a day. The store keeps the facts, each with the turn that it rests on.

pub mod answering;
pub mod briefing;
pub mod calendar;
mod clauses;
mod content;
pub mod extract;
pub mod keeping;
mod lexicon;
pub mod meaning;
pub mod notebook;
mod numbers;
mod past;
pub(crate) mod promises;
pub mod recollection;
mod rules;
mod values;

pub use crate::dialogue::words::words;
pub use content::content_words;
pub use promises::{TakenOn, promises};
pub use rules::glean;

use calendar::Day;
use keeping::Closing;

/// What sort of knowledge a fact is: `facts.kind` in SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Who somebody is and how to reach them: a name, a number, a place, a date.
    Identity,
    /// What somebody likes, needs or cannot have.
    Preference,
    /// What is going to happen.
    Plan,
    /// What has happened, on a day.
    Event,
    /// Words without a form, from files of before facts had one.
    Note,
}

impl Kind {
    /// As it stands in SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Preference => "preference",
            Self::Plan => "plan",
            Self::Event => "event",
            Self::Note => "note",
        }
    }
}

/// What a fact says about its subject: `facts.predicate` in SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Predicate {
    Name,
    Phone,
    Email,
    Room,
    Home,
    Origin,
    Birthday,
    Work,
    Diet,
    Arrival,
    Departure,
    Allergy,
    Likes,
    Dislikes,
    Fears,
    Has,
    Plans,
    Did,
    Note,
}

impl Predicate {
    /// As it stands in SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Phone => "phone",
            Self::Email => "email",
            Self::Room => "room",
            Self::Home => "home",
            Self::Origin => "origin",
            Self::Birthday => "birthday",
            Self::Work => "work",
            Self::Diet => "diet",
            Self::Arrival => "arrival",
            Self::Departure => "departure",
            Self::Allergy => "allergy",
            Self::Likes => "likes",
            Self::Dislikes => "dislikes",
            Self::Fears => "fears",
            Self::Has => "has",
            Self::Plans => "plans",
            Self::Did => "did",
            Self::Note => "note",
        }
    }

    /// A slot: one value at a time. A new one supersedes the old, and the two are a conflict until then unsaid. Allergies are
    /// no slot: whoever names a second one has not lost the first.
    pub const fn is_slot(self) -> bool {
        matches!(
            self,
            Self::Name
                | Self::Phone
                | Self::Email
                | Self::Room
                | Self::Home
                | Self::Origin
                | Self::Birthday
                | Self::Work
                | Self::Diet
                | Self::Arrival
                | Self::Departure
        )
    }

    /// What sort of knowledge it is.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Allergy | Self::Diet | Self::Likes | Self::Dislikes | Self::Fears => Kind::Preference,
            Self::Plans | Self::Arrival | Self::Departure => Kind::Plan,
            Self::Did => Kind::Event,
            Self::Note => Kind::Note,
            _ => Kind::Identity,
        }
    }
}

/// The subject of what callers say about themselves.
pub const CALLER: &str = "caller";

/// Something known.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Fact {
    /// [`CALLER`], or whose it is, seen from there: `sister`, `dog`.
    pub subject: String,
    pub predicate: Predicate,
    /// In the caller's words; numbers in digits, days as `2026-11-27`.
    pub value: String,
    /// The day it is about, where it is about one.
    pub day: Option<Day>,
    /// 0.0..=1.0
    pub confidence: f32,
}

impl Fact {
    /// The fact as a short line, as the judge and the language model read it: `2026-11-24: went to the lighthouse`.
    pub fn line(&self) -> String {
        let value = &self.value;
        let said = match self.predicate {
            Predicate::Name => format!("is called {value}"),
            Predicate::Phone => format!("phone number {value}"),
            Predicate::Email => format!("email {value}"),
            Predicate::Room => format!("is in room {value}"),
            Predicate::Home => format!("lives in {value}"),
            Predicate::Origin => format!("comes from {value}"),
            Predicate::Birthday => format!("birthday {value}"),
            Predicate::Work => format!("works {value}"),
            Predicate::Diet => format!("is {value}"),
            Predicate::Arrival => format!("arrives on {value}"),
            Predicate::Departure => format!("leaves on {value}"),
            Predicate::Allergy => format!("allergic to {value}"),
            Predicate::Likes => format!("likes {value}"),
            Predicate::Dislikes => format!("does not like {value}"),
            Predicate::Fears => format!("afraid of {value}"),
            Predicate::Has => format!("has {value}"),
            Predicate::Plans | Predicate::Did | Predicate::Note => value.clone(),
        };
        let whose = if self.subject == CALLER { String::new() } else { format!("{} ", self.subject) };
        match self.day.filter(|_| matches!(self.predicate, Predicate::Did | Predicate::Plans)) {
            Some(day) => format!("{day}: {whose}{said}"),
            None => format!("{whose}{said}"),
        }
    }
}

/// Whose promise it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Party {
    Caller,
    Agent,
}

impl Party {
    /// As it stands in SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Agent => "agent",
        }
    }
}

/// Something promised.
#[derive(Clone, Debug, PartialEq)]
pub struct Commitment {
    pub who: Party,
    /// In the words of the promise, without its subject: `ask in the morning`.
    pub what: String,
    pub due: Option<Day>,
}

/// What the caller does not want remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    ForgetEverything,
    /// What was said about this: words.
    ForgetAbout(String),
}

impl Wish {
    /// Is this line of what is known, or was said, to be forgotten? It is where it has every word that says what the wish is about.
    pub fn is_about(&self, line: &str) -> bool {
        match self {
            Self::ForgetEverything => true,
            Self::ForgetAbout(about) => {
                let sought = content_words(about);
                !sought.is_empty() && recollection::shares(line, &sought) == sought.len()
            }
        }
    }

    /// Is this fact? Its predicate counts as a word of it: "forget my name".
    pub fn is_about_fact(&self, fact: &Fact) -> bool {
        self.is_about(&format!("{} {}", fact.predicate.as_str(), fact.line()))
    }
}

/// What a turn gives to remember.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gleanings {
    pub facts: Vec<Fact>,
    /// No longer so: what these say ends now.
    pub ended: Vec<Fact>,
    pub commitments: Vec<Commitment>,
    /// Promises that have been kept or dropped.
    pub closed: Vec<Closing>,
    pub wishes: Vec<Wish>,
}

impl Gleanings {
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
            && self.ended.is_empty()
            && self.commitments.is_empty()
            && self.closed.is_empty()
            && self.wishes.is_empty()
    }
}
