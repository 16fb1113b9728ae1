//! Finding by other words: what the pieces of the personas' files mean, learnt in the background and kept in memory.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Passage;
use crate::backend::Embedder;
use crate::memory::meaning::{Meaning, RELATED, fused, nearest};
use crate::store::{KnowledgeFiles, Reader, StoreError};

/// Pieces that are read, embedded and written at once.
const BATCH: u32 = 32;
/// After each piece, whose embedding takes some 30 ms of a core: calls go first. 2,000 pieces are learnt in four minutes.
const NAP: Duration = Duration::from_millis(100);
/// Pieces that are near the question and are weighed against those that have its words.
const NEAR_MOST: usize = 16;
/// How like the question a piece without its words must be (cosine). Thirteen lines against the surgery's folder: at 0.35 thanks, small
/// talk and a hurting knee find nothing, and four questions in other words than the file's find their piece.
const NEAR: f32 = 0.35;

/// By persona, each piece's row and meaning: some 400 bytes a piece.
type Known = BTreeMap<String, Vec<(i64, Meaning)>>;

/// What pieces mean, as far as that is known by now. Cheap to clone.
#[derive(Clone)]
pub struct Meanings {
    embedder: Arc<dyn Embedder>,
    known: watch::Receiver<Known>,
}

/// Learns what pieces mean; everybody who has its [`Meanings`] sees it.
pub struct Learner {
    embedder: Arc<dyn Embedder>,
    known: watch::Sender<Known>,
}

/// Nothing is known yet.
pub fn meanings(embedder: Arc<dyn Embedder>) -> (Meanings, Learner) {
    let (told, known) = watch::channel(Known::new());
    (Meanings { embedder: embedder.clone(), known }, Learner { embedder, known: told })
}

impl Learner {
    /// Reads what was learnt before.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn remember(&self, store: &Reader) -> Result<(), StoreError> {
        let mut known = Known::new();
        for (persona, chunk, meaning) in store.passage_meanings(self.embedder.model()).await? {
            known.entry(persona).or_default().push((chunk, meaning));
        }
        self.known.send_replace(known);
        Ok(())
    }

    /// Learns what is not known yet, until all is.
    ///
    /// # Errors
    /// When the database cannot be read or written. A piece that the model says nothing of ends it, with a warning.
    pub async fn learn(&self, store: &Reader, database: &Path) -> Result<(), StoreError> {
        let mut files = KnowledgeFiles::open(database).await?;
        loop {
            let batch = store.unmeant_passages(self.embedder.model(), BATCH).await?;
            if batch.is_empty() {
                return files.close().await;
            }
            let mut meant = Vec::new();
            for piece in &batch {
                match self.embedder.embed(piece.text.clone()).await {
                    Ok(meaning) => meant.push((piece.chunk, meaning)),
                    Err(why) => {
                        tracing::warn!(%why, "pieces of knowledge are found by their words alone");
                        return files.close().await;
                    }
                }
                tokio::time::sleep(NAP).await;
            }
            files.mean(self.embedder.model(), &meant).await?;
            self.known.send_modify(|known| {
                for (piece, learnt) in batch.into_iter().zip(meant) {
                    known.entry(piece.persona).or_default().push(learnt);
                }
            });
        }
    }
}

impl Meanings {
    /// `found`, which has words of the question, and what is like the question, as one ranking: the best first, at most `most`. What
    /// has its words and is not like it at all is there by chance, and goes. Ranks are 1, 1/2, 1/3 and so on.
    ///
    /// # Errors
    /// When a piece that is near cannot be read.
    pub async fn blend(
        &self,
        store: &Reader,
        (persona, words): (&str, &str),
        found: Vec<Passage>,
        most: usize,
    ) -> Result<Vec<Passage>, StoreError> {
        if !self.known.borrow().contains_key(persona) {
            return Ok(found);
        }
        let Ok(asked) = self.embedder.embed(words.to_owned()).await else { return Ok(found) };
        let order = self.order(persona, &asked, &found);
        let mut blended: Vec<Passage> = Vec::new();
        for chunk in order {
            if blended.len() == most {
                break;
            }
            let known = found.iter().find(|passage| passage.chunk == Some(chunk)).cloned();
            let passage = match known {
                Some(passage) => Some(passage),
                None => store.passage(chunk).await?,
            };
            let rank = 1.0 / (blended.len() + 1) as f32;
            blended.extend(passage.map(|passage| Passage { rank, ..passage }));
        }
        Ok(blended)
    }

    /// The rows of the pieces, the best first. A piece that nothing is known of yet stands where its words put it.
    fn order(&self, persona: &str, asked: &Meaning, found: &[Passage]) -> Vec<i64> {
        let known = self.known.borrow();
        let Some(known) = known.get(persona) else { return found.iter().filter_map(|passage| passage.chunk).collect() };
        let like = |chunk: i64| known.iter().find(|(at, _)| *at == chunk).map(|(_, meaning)| asked.likeness(meaning));
        let by_words: Vec<i64> = found
            .iter()
            .filter_map(|passage| passage.chunk)
            .filter(|chunk| like(*chunk).is_none_or(|like| like >= RELATED))
            .collect();
        let near: Vec<i64> = nearest(asked, known, NEAR_MOST)
            .into_iter()
            .filter(|chunk| by_words.contains(chunk) || like(*chunk).is_some_and(|like| like >= NEAR))
            .collect();
        fused(&by_words, &near)
    }
}
