//! Short clauses that are spoken again and again (a greeting, a lead-in, "one moment") are kept as sound.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::backend::WordMark;

/// Longer clauses hardly ever come back word for word.
const LONGEST_TEXT: usize = 40;
const MOST_CLAUSES: usize = 64;
/// 10 MB: a clause of 40 characters is some 3 s, 0.6 MB.
const MOST_SAMPLES: usize = 10_000_000 / size_of::<f32>();

/// A clause, spoken.
#[derive(Debug, PartialEq)]
pub(super) struct Spoken {
    pub words: Vec<WordMark>,
    pub pcm: Vec<f32>,
}

/// The clauses spoken last.
#[derive(Default)]
pub(super) struct Cache {
    /// The most recently used first.
    clauses: VecDeque<(String, Arc<Spoken>)>,
    samples: usize,
}

impl Cache {
    /// Whether a clause is short enough to be kept.
    pub fn takes(text: &str) -> bool {
        text.chars().nth(LONGEST_TEXT).is_none()
    }

    /// The sound of exactly this text.
    pub fn get(&mut self, text: &str) -> Option<Arc<Spoken>> {
        let at = self.clauses.iter().position(|(known, _)| known == text)?;
        let clause = self.clauses.remove(at)?;
        let spoken = Arc::clone(&clause.1);
        self.clauses.push_front(clause);
        Some(spoken)
    }

    /// Keeps a clause; those not used for longest make room.
    pub fn put(&mut self, text: String, spoken: Spoken) {
        if !Self::takes(&text) || spoken.pcm.len() > MOST_SAMPLES || self.get(&text).is_some() {
            return;
        }
        self.samples += spoken.pcm.len();
        self.clauses.push_front((text, Arc::new(spoken)));
        while self.clauses.len() > MOST_CLAUSES || self.samples > MOST_SAMPLES {
            let Some((_, oldest)) = self.clauses.pop_back() else { break };
            self.samples -= oldest.pcm.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound(samples: usize) -> Spoken {
        Spoken { words: Vec::new(), pcm: vec![0.0; samples] }
    }

    #[test]
    fn a_clause_is_found_by_its_exact_text() {
        let mut cache = Cache::default();
        cache.put("Hello.".to_owned(), sound(7));
        assert_eq!(cache.get("Hello.").unwrap().pcm.len(), 7);
        assert_eq!(cache.get("hello."), None);
    }

    #[test]
    fn long_clauses_are_not_kept() {
        let mut cache = Cache::default();
        cache.put("é".repeat(40), sound(1));
        cache.put("é".repeat(41), sound(1));
        assert!(cache.get(&"é".repeat(40)).is_some());
        assert!(cache.get(&"é".repeat(41)).is_none());
    }

    #[test]
    fn what_was_not_used_for_longest_makes_room() {
        let mut cache = Cache::default();
        for n in 0..MOST_CLAUSES {
            cache.put(n.to_string(), sound(1));
        }
        cache.get("0");
        cache.put("new".to_owned(), sound(1));
        assert!(cache.get("0").is_some() && cache.get("new").is_some());
        assert!(cache.get("1").is_none());
    }

    #[test]
    fn the_cache_never_holds_more_than_its_samples() {
        let mut cache = Cache::default();
        for n in 0..8 {
            cache.put(n.to_string(), sound(MOST_SAMPLES / 3));
            let held: usize = cache.clauses.iter().map(|(_, spoken)| spoken.pcm.len()).sum();
            assert!(held <= MOST_SAMPLES && held == cache.samples);
        }
        assert!(cache.get("7").is_some());
    }
}
