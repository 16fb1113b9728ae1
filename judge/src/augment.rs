//! Variants of training items in which the label stays right: what a recogniser and another caller would have made of it.

use crate::action::{Action, Floor};
use crate::situation::Item;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

const FILLERS_EN: [&str; 8] = ["um", "uh", "er", "well", "so", "like", "you know", "right"];
const FILLERS_ZH: [&str; 6] = ["嗯", "呃", "那个", "就是", "啊", "这个"];
const NAMES: [&str; 14] = [
    "Ada", "Bruno", "Celia", "Dorian", "Edda", "Farid", "Greta", "Hamza", "Ines", "Jonah", "Kaito", "Lena", "Mirko",
    "Nora",
];

/// `copies` variants of each item, each with an id of its own. Seeded by the id, so that an item added or removed changes
/// no other item's variants.
#[must_use]
pub fn variants(item: &Item, copies: usize) -> Vec<Item> {
    let mut rng = StdRng::seed_from_u64(seed(&item.id));
    (1..=copies)
        .map(|copy| {
            let mut other = item.clone();
            other.id = format!("{}~{copy}", item.id);
            vary(&mut other, &mut rng);
            other
        })
        .collect()
}

/// FNV-1a: stable over releases, unlike the standard library's hash.
pub(crate) fn seed(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn vary(item: &mut Item, rng: &mut StdRng) {
    let chinese = item.lang.starts_with("zh");
    if item.floor == Floor::Caller && item.gold == Action::Listen && rng.random_bool(0.35) {
        cut_short(item, chinese, rng);
    }
    if rng.random_bool(0.35) {
        add_filler(item, chinese, rng);
    }
    match rng.random_range(0..4) {
        0 => item.text = item.text.to_lowercase(),
        1 => item.text = without_marks(&item.text).to_lowercase(),
        2 => item.text = without_commas(&item.text),
        _ => {}
    }
    if rng.random_bool(0.4) {
        item.memory.shuffle(rng);
    }
    if !chinese && rng.random_bool(0.5) {
        rename(item, rng);
    }
    let stretch: f32 = rng.random_range(0.85..1.2);
    item.speaking_s = (item.speaking_s * stretch * 10.0).round() / 10.0;
    item.silence_s = (item.silence_s * stretch * 10.0).round() / 10.0;
}

/// While nothing calls for anything but listening, nothing does in a beginning of it either.
fn cut_short(item: &mut Item, chinese: bool, rng: &mut StdRng) {
    if chinese {
        let all: Vec<char> = item.text.chars().collect();
        if all.len() > 6 {
            item.text = all[..rng.random_range(all.len() / 2..all.len())].iter().collect();
        }
        return;
    }
    let words: Vec<&str> = item.text.split(' ').collect();
    if words.len() > 5 {
        let keep = rng.random_range(words.len() / 2..words.len());
        let cut = words[..keep].join(" ");
        // A beginning that happens to end with a sentence could be a gap for a "mm-hm".
        if !cut.ends_with(['.', '!', '?', ',']) {
            item.speaking_s = item.speaking_s * keep as f32 / words.len() as f32;
            item.text = cut;
        }
    }
}

fn add_filler(item: &mut Item, chinese: bool, rng: &mut StdRng) {
    if item.text.is_empty() {
        return;
    }
    let filler = if chinese { FILLERS_ZH.choose(rng) } else { FILLERS_EN.choose(rng) };
    let Some(filler) = filler else { return };
    if chinese {
        item.text = format!("{filler}，{}", item.text);
        return;
    }
    let mut words: Vec<&str> = item.text.split(' ').collect();
    // Never last: a filler at the end says that more is coming.
    words.insert(rng.random_range(0..words.len()), filler);
    item.text = words.join(" ");
}

fn without_marks(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, ',' | '.' | '?' | '!' | ';' | '，' | '。' | '？' | '！' | '；')).collect()
}

fn without_commas(text: &str) -> String {
    text.replace([',', '，'], "")
}

/// Another name for the persona, wherever it stands.
fn rename(item: &mut Item, rng: &mut StdRng) {
    let old = item.persona.name.clone();
    let Some(new) = NAMES.choose(rng) else { return };
    if old.len() < 3 || old.contains(' ') || *new == old {
        return;
    }
    let swap = |text: &mut String| *text = text.replace(&old, new);
    swap(&mut item.persona.name);
    swap(&mut item.persona.role);
    swap(&mut item.persona.stance);
    item.memory.iter_mut().for_each(swap);
    item.history.iter_mut().for_each(|said| {
        if said.heard.is_none() {
            swap(&mut said.text);
        }
    });
    swap(&mut item.text);
}
