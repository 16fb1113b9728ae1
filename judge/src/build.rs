//! Scenario files in, the splits out.

use crate::augment::variants;
use crate::fault::Result;
use crate::scenario::{Split, read_folder};
use crate::situation::{Item, write_items};
use std::path::Path;

/// Variants made of each training item.
pub const COPIES: usize = 1;

/// Compiles `data/scenarios/*.yaml` to `data/{train,dev,test,contrast}.jsonl`; the same scenarios always give the same bytes.
/// Returns the number of items of each split.
pub fn build(data: &Path) -> Result<[(Split, usize); Split::ALL.len()]> {
    let items = read_folder(&data.join("scenarios"))?;
    let mut counts = Split::ALL.map(|split| (split, 0));
    for (split, count) in &mut counts {
        let chosen = compiled(&items, *split);
        *count = chosen.len();
        write_items(&data.join(split.file()), &chosen)?;
    }
    Ok(counts)
}

/// Items of one split; those of `train` with their variants after them.
#[must_use]
pub fn compiled(items: &[(Split, Item)], split: Split) -> Vec<Item> {
    let chosen = items.iter().filter(|(s, _)| *s == split).map(|(_, item)| item);
    match split {
        Split::Train => chosen.flat_map(|item| std::iter::once(item.clone()).chain(variants(item, COPIES))).collect(),
        _ => chosen.cloned().collect(),
    }
}
