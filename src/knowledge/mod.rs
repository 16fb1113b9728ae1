//! Ring 3: what personas know from files. Folders of Markdown, plain text and PDF are read into chunks ([`text`], [`pdf`]), kept in
//! the database's full-text index ([`index`]), and looked up beside the tick of a call: by their words, and by their meaning
//! ([`meaning`]). What a passage is, and how it is quoted, is
//! the core's.

pub mod cli;
mod index;
pub mod meaning;
pub mod pdf;
mod text;

use std::path::{Path, PathBuf};

pub use duologue_core::knowledge::*;
pub use index::{Report, What, index};
pub use meaning::{Learner, Meanings, meanings};
pub use text::{Chunk, chunks_of};

use crate::dialogue::persona::{Persona, PersonaFault, What as Fault};
use crate::store::{Reader, StoreError};

/// What every call of this server shares of it. Cheap to clone.
#[derive(Clone)]
pub struct KnowledgeHouse {
    pub store: Reader,
    /// Finds by other words, too, where there is an embedding model.
    pub meanings: Option<Meanings>,
    /// Passages for one turn: 0..=8.
    pub passages: u32,
}

impl KnowledgeHouse {
    /// What this persona's files have about `words`, the best first.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub async fn find(&self, persona: &str, words: &str) -> Result<Vec<Passage>, StoreError> {
        if self.passages == 0 {
            return Ok(Vec::new());
        }
        let mut found = self.store.passages(persona, words).await?;
        if let Some(meanings) = &self.meanings {
            found = meanings.blend(&self.store, (persona, words), found, self.passages as usize).await?;
        }
        found.truncate(self.passages as usize);
        Ok(found)
    }
}

/// A persona with the folders of its files, as they are found from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shelf {
    pub persona: String,
    /// The persona's own folder: where sources are named from.
    pub home: PathBuf,
    pub folders: Vec<PathBuf>,
}

/// The shelves of the personas that have files; `home` is the folder of their own files.
pub fn shelves<'a>(home: &Path, personas: impl IntoIterator<Item = &'a Persona>) -> Vec<Shelf> {
    let shelf = |persona: &Persona| Shelf {
        persona: persona.name.clone(),
        home: home.to_owned(),
        folders: persona.knowledge.iter().map(|folder| home.join(&folder.path)).collect(),
    };
    personas.into_iter().filter(|persona| !persona.knowledge.is_empty()).map(shelf).collect()
}

/// The folders that a persona names and that are not there, each with its line.
pub fn missing_folders(home: &Path, persona: &Persona) -> Vec<PersonaFault> {
    persona
        .knowledge
        .iter()
        .filter(|folder| !home.join(&folder.path).is_dir())
        .map(|folder| PersonaFault { line: folder.line, what: Fault::NoFolder { path: folder.path.clone() } })
        .collect()
}
