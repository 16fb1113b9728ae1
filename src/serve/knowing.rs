//! What personas know from files, as a running server keeps it up to date.

use std::path::PathBuf;
use std::sync::Arc;

use crate::backend::Embedder;
use crate::config::Config;
use crate::knowledge::{self, KnowledgeHouse, Learner, Shelf, What, meanings};
use crate::store::{Reader, Store, StoreError};

/// Where calls look things up, and who learns what the pieces mean where there is an embedding model.
pub(super) fn house(
    config: &Config,
    store: &Store,
    embedder: Option<Arc<dyn Embedder>>,
) -> (KnowledgeHouse, Option<Learner>) {
    let (meanings, learner) = embedder.map(meanings).unzip();
    (KnowledgeHouse { store: store.reader(), meanings, passages: config.knowledge.passages }, learner)
}

/// Brings the index up to the personas' files, and then what their pieces mean. Calls are taken meanwhile, and answered with what is
/// there.
pub(super) async fn read_in(database: PathBuf, shelves: Vec<Shelf>, learner: Option<Learner>) {
    let store = Reader::of(&database);
    if let Some(learner) = &learner {
        report(learner.remember(&store).await);
    }
    let read = knowledge::index(&database, &shelves, |report| match report.what {
        What::Faulty(why) => {
            tracing::warn!(persona = report.persona, file = report.source, why, "a file of knowledge is skipped");
        }
        what => tracing::debug!(persona = report.persona, file = report.source, ?what, "knowledge"),
    });
    report(read.await);
    if let Some(learner) = &learner {
        report(learner.learn(&store, &database).await);
    }
}

fn report(done: Result<(), StoreError>) {
    if let Err(fault) = done {
        tracing::error!(%fault, "what personas know from files is not up to date");
    }
}
