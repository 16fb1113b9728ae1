//! Judgement data: one JSON object a line, as `judge eval`, `judge train` and the export of the call database know it.

use crate::action::{Action, Floor};
use crate::fault::{Fault, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::path::Path;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Persona {
    pub name: String,
    /// One or two sentences.
    pub role: String,
    /// What the persona will not do or agree to; may be empty.
    #[serde(default)]
    pub stance: String,
    /// Action -> 0..=1: how much the persona leans to an action.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub priors: BTreeMap<Action, f32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Relation {
    #[default]
    Stranger,
    Acquaintance,
    Friend,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Speaker {
    Caller,
    Agent,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    pub who: Speaker,
    pub text: String,
    /// How many characters of an agent's turn were heard, if it was cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<usize>,
}

impl Said {
    /// What the caller heard of it: the judge never rests on words that were not.
    #[must_use]
    pub fn heard_text(&self) -> String {
        self.heard.map_or_else(|| self.text.clone(), |heard| self.text.chars().take(heard).collect())
    }
}

/// What the judge is told. Times are seconds in this turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Situation {
    pub floor: Floor,
    pub persona: Persona,
    /// Facts known of this caller, newest last.
    pub memory: Vec<String>,
    pub relation: Relation,
    /// The last turns, oldest first.
    pub history: Vec<Said>,
    /// The open partial, the whole turn, or nothing when idle.
    pub text: String,
    pub speaking_s: f32,
    pub silence_s: f32,
}

/// A situation with what should be done in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    pub id: String,
    pub lang: String,
    pub floor: Floor,
    pub persona: Persona,
    #[serde(default)]
    pub memory: Vec<String>,
    #[serde(default)]
    pub relation: Relation,
    #[serde(default)]
    pub history: Vec<Said>,
    #[serde(default)]
    pub text: String,
    #[serde(default)]
    pub speaking_s: f32,
    #[serde(default)]
    pub silence_s: f32,
    pub gold: Action,
    #[serde(default)]
    pub also: Vec<Action>,
    #[serde(default)]
    pub why: String,
}

impl Item {
    #[must_use]
    pub fn situation(&self) -> Situation {
        Situation {
            floor: self.floor,
            persona: self.persona.clone(),
            memory: self.memory.clone(),
            relation: self.relation,
            history: self.history.clone(),
            text: self.text.clone(),
            speaking_s: self.speaking_s,
            silence_s: self.silence_s,
        }
    }

    /// Whether a sensible person would accept this action.
    #[must_use]
    pub fn accepts(&self, action: Action) -> bool {
        action == self.gold || self.also.contains(&action)
    }

    pub(crate) fn fault(&self) -> Option<String> {
        if let Some(action) = std::iter::once(&self.gold).chain(&self.also).find(|a| !self.floor.allows(**a)) {
            return Some(format!("`{action}` is not legal when the floor is `{}`", self.floor.word()));
        }
        if let Some((action, prior)) = self.persona.priors.iter().find(|(_, p)| !(0.0..=1.0).contains(*p)) {
            return Some(format!("prior of `{action}` is {prior}, not within 0..1"));
        }
        if self.floor == Floor::Idle && !self.text.is_empty() {
            return Some("`text` must be empty when the floor is `idle`".into());
        }
        if self.floor != Floor::Idle && self.text.trim().is_empty() {
            return Some(format!("`text` is empty though the floor is `{}`", self.floor.word()));
        }
        [("speaking_s", self.speaking_s), ("silence_s", self.silence_s)]
            .iter()
            .find(|(_, s)| !(0.0..=86_400.0).contains(s))
            .map(|(name, s)| format!("`{name}` is {s}, not within 0..86400 seconds"))
    }
}

/// Reads a file of items; the first fault ends it, named by its line.
pub fn read_items(path: &Path) -> Result<Vec<Item>> {
    parse_items(path, &std::fs::read_to_string(path).map_err(Fault::file(path))?)
}

/// `file` is only for naming faults.
pub fn parse_items(file: &Path, text: &str) -> Result<Vec<Item>> {
    let mut seen = HashSet::new();
    let mut items = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let item: Item = serde_json::from_str(line).map_err(|e| Fault::line(file, at + 1, e.to_string()))?;
        if let Some(what) = item.fault() {
            return Err(Fault::line(file, at + 1, format!("{}: {what}", item.id)));
        }
        if !seen.insert(item.id.clone()) {
            return Err(Fault::line(file, at + 1, format!("id `{}` is there twice", item.id)));
        }
        items.push(item);
    }
    Ok(items)
}

pub fn write_items(path: &Path, items: &[Item]) -> Result<()> {
    let mut out = Vec::new();
    for item in items {
        serde_json::to_writer(&mut out, item).map_err(|e| Fault::content(path, e.to_string()))?;
        out.push(b'\n');
    }
    std::fs::File::create(path).and_then(|mut f| f.write_all(&out)).map_err(Fault::file(path))
}
