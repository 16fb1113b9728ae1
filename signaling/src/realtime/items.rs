//! The conversation's items as far as a client may ask for them: the newest, and what was heard of each.

use std::collections::VecDeque;

/// So many items are remembered; of older ones nothing is known here any more (the call's rows have everything).
const ITEMS_KEPT: usize = 256;

/// Whose item it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Caller,
    Typed,
    System,
    Agent,
}

/// One item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub id: String,
    pub who: Who,
    pub status: &'static str,
    /// What was said; of the agent's: what was heard of it.
    pub words: String,
    /// Milliseconds of sound that were sent of it.
    pub sent_ms: u64,
    /// The agent's turn that it is.
    pub turn: Option<u32>,
}

impl Item {
    pub fn new(id: String, who: Who, words: String) -> Self {
        Self { id, who, status: "completed", words, sent_ms: 0, turn: None }
    }
}

/// The newest items, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Items {
    kept: VecDeque<Item>,
}

impl Items {
    /// Adds one; gives the id of the one before it.
    pub fn add(&mut self, item: Item) -> Option<String> {
        let before = self.newest();
        if self.kept.len() == ITEMS_KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(item);
        before
    }

    /// The id of the last one.
    pub fn newest(&self) -> Option<String> {
        self.kept.back().map(|item| item.id.clone())
    }

    pub fn find(&mut self, id: &str) -> Option<&mut Item> {
        self.kept.iter_mut().rev().find(|item| item.id == id)
    }
}
