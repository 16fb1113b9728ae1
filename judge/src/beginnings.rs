//! What is heard of a turn before it is over, and what is said when a telling is over. The scenarios have little of either, and calls
//! have little else: in the beginning of an ordinary turn nothing calls for more than listening, and who has told something is
//! answered.

use crate::action::{Action, Floor};
use crate::augment::seed;
use crate::evaluate::Outcome;
use crate::fault::Result;
use crate::judge::Judge;
use crate::situation::Item;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Words a second, as people speak on the telephone: for how long the caller has been speaking.
const WORDS_A_SECOND: f32 = 2.6;
/// How long it has been quiet when a telling is over, seconds.
const ENDED_S: f32 = 0.9;
/// Of so little nothing is judged.
const LEAST_WORDS: usize = 4;

/// A beginning of the turn that `item` is about, between a third of it and all of it; `None` where the turn itself may be cut in
/// on, and of turns of a word or two. Seeded by the id.
#[must_use]
pub fn beginning(item: &Item) -> Option<Item> {
    let ordinary = matches!(item.gold, Action::Respond | Action::Refuse | Action::Deflect | Action::Listen);
    if item.floor != Floor::EndOfTurn || !ordinary {
        return None;
    }
    let chinese = item.lang.starts_with("zh");
    let parts: Vec<String> = if chinese {
        item.text.chars().map(String::from).collect()
    } else {
        item.text.split_whitespace().map(str::to_owned).collect()
    };
    if parts.len() < LEAST_WORDS {
        return None;
    }
    let mut rng = StdRng::seed_from_u64(seed(&item.id) ^ 1);
    let keep = rng.random_range(parts.len().div_ceil(3).max(2)..=parts.len());
    let text = parts[..keep].join(if chinese { "" } else { " " });
    let words = if chinese { keep as f32 / 1.6 } else { keep as f32 };
    let (id, variant) = item.id.rsplit_once('~').map_or((item.id.as_str(), None), |(id, n)| (id, Some(n)));
    Some(Item {
        id: variant.map_or_else(|| format!("{id}^"), |n| format!("{id}^~{n}")),
        floor: Floor::Caller,
        text,
        speaking_s: (words / WORDS_A_SECOND * 10.0).round() / 10.0,
        silence_s: 0.0,
        gold: Action::Listen,
        also: Vec::new(),
        why: "The beginning of an ordinary turn.".into(),
        ..item.clone()
    })
}

/// The end of the telling that `item` is a gap of: it is answered, or left to sink in, and never refused. `None` of other items.
#[must_use]
pub fn ending(item: &Item) -> Option<Item> {
    if item.floor != Floor::Caller || item.gold != Action::Backchannel {
        return None;
    }
    let (id, variant) = item.id.rsplit_once('~').map_or((item.id.as_str(), None), |(id, n)| (id, Some(n)));
    Some(Item {
        id: variant.map_or_else(|| format!("{id}$"), |n| format!("{id}$~{n}")),
        floor: Floor::EndOfTurn,
        silence_s: ENDED_S,
        gold: Action::Respond,
        also: vec![Action::Silence, Action::Listen],
        why: "The telling is over.".into(),
        ..item.clone()
    })
}

/// Endings of tellings: how many there are, and the share that the judge refuses, deflects or blocks.
///
/// # Errors
/// When the judge fails.
pub fn turned_away(judge: &Judge, items: &[Item]) -> Result<(usize, f32)> {
    let told: Vec<Item> = items.iter().filter_map(ending).collect();
    let mut away = 0;
    for item in &told {
        away += usize::from(!item.accepts(judge.decide(&item.situation())?.action));
    }
    Ok((told.len(), away as f32 / (told.len() as f32).max(1.0)))
}

/// Beginnings of the items that are to be answered: how many there are, and the share that the judge cuts in on.
///
/// # Errors
/// When the judge fails.
pub fn cut_in(judge: &Judge, items: &[Item]) -> Result<(usize, f32)> {
    let honest: Vec<Item> = items.iter().filter(|item| item.gold == Action::Respond).filter_map(beginning).collect();
    let mut cut = 0;
    for item in &honest {
        cut += usize::from(judge.decide(&item.situation())?.action == Action::Interrupt);
    }
    Ok((honest.len(), cut as f32 / (honest.len() as f32).max(1.0)))
}

/// Of callers who are speaking, the share that is cut in on.
pub(crate) fn share_cut(outcomes: &[Outcome]) -> f32 {
    let speaking = || outcomes.iter().filter(|outcome| outcome.floor == Floor::Caller);
    let cut = speaking().filter(|outcome| outcome.chosen == Action::Interrupt).count();
    cut as f32 / (speaking().count() as f32).max(1.0)
}
