//! Scenarios as people write them (YAML), compiled to items. A scenario is a situation; its items are things a caller
//! says in it. An item that needs another memory, persona, relation or history overrides the scenario's: so minimal
//! pairs are made.

use crate::action::{Action, Floor};
use crate::fault::{Fault, Result};
use crate::situation::{Item, Persona, Relation, Said, Speaker};
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    Train,
    Dev,
    Test,
    /// What a stance forbids beside what it allows, in the same words: a contrast set (Gardner et al. 2020, "Evaluating Models' Local
    /// Decision Boundaries via Contrast Sets"). It is reported by itself, so that the figures of `test` stay comparable.
    Contrast,
}

impl Split {
    pub const ALL: [Self; 4] = [Self::Train, Self::Dev, Self::Test, Self::Contrast];

    #[must_use]
    pub const fn file(self) -> &'static str {
        match self {
            Self::Train => "train.jsonl",
            Self::Dev => "dev.jsonl",
            Self::Test => "test.jsonl",
            Self::Contrast => "contrast.jsonl",
        }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum At {
    Caller,
    End,
    Idle,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct TurnText {
    #[serde(default)]
    caller: Option<String>,
    #[serde(default)]
    agent: Option<String>,
    #[serde(default)]
    heard: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    at: At,
    #[serde(default)]
    say: String,
    gold: Spanned<Action>,
    #[serde(default)]
    also: Vec<Action>,
    #[serde(default)]
    why: String,
    #[serde(default)]
    speaking: f32,
    #[serde(default)]
    silence: f32,
    memory: Option<Vec<String>>,
    persona: Option<Persona>,
    relation: Option<Relation>,
    history: Option<Vec<TurnText>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    id: Spanned<String>,
    split: Split,
    lang: String,
    persona: Persona,
    #[serde(default)]
    relation: Relation,
    #[serde(default)]
    memory: Vec<String>,
    #[serde(default)]
    history: Vec<TurnText>,
    items: Vec<Line>,
}

/// All scenario files of a folder, in the order of their names, as (split, item).
pub fn read_folder(folder: &Path) -> Result<Vec<(Split, Item)>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .map_err(Fault::file(folder))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    paths.sort();
    let mut seen = HashMap::new();
    let mut items = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).map_err(Fault::file(&path))?;
        items.extend(compile(&path, &text, &mut seen)?);
    }
    Ok(items)
}

/// `seen` holds the ids met so far and where, over all files.
pub fn compile(file: &Path, text: &str, seen: &mut HashMap<String, String>) -> Result<Vec<(Split, Item)>> {
    let scenarios: Vec<Scenario> = serde_saphyr::from_str(text).map_err(|e| {
        let line = e.location().map_or(0, |at| usize::try_from(at.line()).unwrap_or(0));
        Fault::line(file, line, e.to_string())
    })?;
    let mut items = Vec::new();
    for scenario in scenarios {
        let line = usize::try_from(scenario.id.referenced.line()).unwrap_or(0);
        let id = scenario.id.value.clone();
        if let Some(before) = seen.insert(id.clone(), format!("{}:{line}", file.display())) {
            return Err(Fault::line(file, line, format!("id `{id}` is already at {before}")));
        }
        for (at, said) in scenario.items.iter().enumerate() {
            items.push((scenario.split, item(file, &scenario, format!("{id}.{:02}", at + 1), said)?));
        }
    }
    Ok(items)
}

fn item(file: &Path, scenario: &Scenario, id: String, said: &Line) -> Result<Item> {
    let line = usize::try_from(said.gold.referenced.line()).unwrap_or(0);
    let floor = match said.at {
        At::Caller => Floor::Caller,
        At::End => Floor::EndOfTurn,
        At::Idle => Floor::Idle,
    };
    let item = Item {
        id,
        lang: scenario.lang.clone(),
        floor,
        persona: said.persona.clone().unwrap_or_else(|| scenario.persona.clone()),
        memory: said.memory.clone().unwrap_or_else(|| scenario.memory.clone()),
        relation: said.relation.unwrap_or(scenario.relation),
        history: turns(file, line, said.history.as_ref().unwrap_or(&scenario.history))?,
        text: said.say.trim().to_owned(),
        speaking_s: said.speaking,
        silence_s: said.silence,
        gold: said.gold.value,
        also: said.also.clone(),
        why: said.why.clone(),
    };
    match item.fault() {
        Some(what) => Err(Fault::line(file, line, format!("{}: {what}", item.id))),
        None => Ok(item),
    }
}

fn turns(file: &Path, line: usize, history: &[TurnText]) -> Result<Vec<Said>> {
    let turn = |turn: &TurnText| match (&turn.caller, &turn.agent) {
        (Some(text), None) => Ok(Said { who: Speaker::Caller, text: text.clone(), heard: None }),
        (None, Some(text)) => Ok(Said { who: Speaker::Agent, text: text.clone(), heard: turn.heard }),
        _ => Err(Fault::line(file, line, "a turn of `history` needs either `caller` or `agent`")),
    };
    history.iter().map(turn).collect()
}
