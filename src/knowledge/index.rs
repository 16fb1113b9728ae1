//! Reading the files of a shelf into the database: only what has changed, and what is gone goes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::text::{Chunk, chunks_of, chunks_of_pages};
use super::{Shelf, pdf};
use crate::store::{KnowledgeFiles, StoreError};

/// Files of one shelf; more are not looked at, and that is told.
const FILES_MOST: usize = 5_000;
/// Folders within folders.
const DEPTH_MOST: usize = 8;
/// The largest file that is read, bytes.
const FILE_MOST: u64 = 32 * 1024 * 1024;

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Unchanged,
    Indexed {
        chunks: usize,
    },
    Removed,
    /// It is named and skipped.
    Faulty(String),
}

/// A file and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub persona: String,
    pub source: String,
    pub what: What,
}

/// Brings the database up to what lies in the folders; tells of each file as it is done.
///
/// # Errors
/// When the database cannot be written. A file that cannot be read is no error.
pub async fn index(database: &Path, shelves: &[Shelf], mut tell: impl FnMut(Report)) -> Result<(), StoreError> {
    let mut kept = KnowledgeFiles::open(database).await?;
    for shelf in shelves {
        let mut here = BTreeSet::new();
        let before = kept.hashes(&shelf.persona).await?;
        for path in files(shelf).await {
            let source = source_of(shelf, &path);
            here.insert(source.clone());
            let what = match read(&path).await {
                Err(why) => {
                    kept.put(&shelf.persona, &source, &hash(why.as_bytes()), Err(&why)).await?;
                    What::Faulty(why)
                }
                Ok(bytes) => {
                    let sha256 = hash(&bytes);
                    match before.get(&source).filter(|(known, _)| *known == sha256) {
                        Some((_, None)) => What::Unchanged,
                        Some((_, Some(fault))) => What::Faulty(fault.clone()),
                        None => take_in(&mut kept, shelf, &source, &path, bytes, &sha256).await?,
                    }
                }
            };
            tell(Report { persona: shelf.persona.clone(), source, what });
        }
        for source in before.into_keys().filter(|source| !here.contains(source)) {
            kept.remove(&shelf.persona, &source).await?;
            tell(Report { persona: shelf.persona.clone(), source, what: What::Removed });
        }
    }
    kept.close().await
}

/// Reads one file that is new or has changed.
async fn take_in(
    kept: &mut KnowledgeFiles,
    shelf: &Shelf,
    source: &str,
    path: &Path,
    bytes: Vec<u8>,
    sha256: &str,
) -> Result<What, StoreError> {
    let read = match kind(path) {
        Some("pdf") => pdf::pages(path).await.map(|pages| chunks_of_pages(&pages)),
        Some(kind) => cut(bytes, kind != "txt").await,
        None => Ok(Vec::new()),
    };
    let read =
        read.and_then(|chunks| if chunks.is_empty() { Err("there is no text in it".into()) } else { Ok(chunks) });
    kept.put(&shelf.persona, source, sha256, read.as_deref().map_err(String::as_str)).await?;
    Ok(match read {
        Ok(chunks) => What::Indexed { chunks: chunks.len() },
        Err(why) => What::Faulty(why),
    })
}

/// A long text takes a while to cut: not on a thread that media needs.
async fn cut(bytes: Vec<u8>, markdown: bool) -> Result<Vec<Chunk>, String> {
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())?;
    let text = text.trim_start_matches('\u{feff}').to_owned();
    tokio::task::spawn_blocking(move || chunks_of(&text, markdown))
        .await
        .map_err(|_| "its text could not be cut into pieces".to_owned())
}

async fn read(path: &Path) -> Result<Vec<u8>, String> {
    let size = tokio::fs::metadata(path).await.map_err(|why| format!("it cannot be read: {why}"))?.len();
    if size > FILE_MOST {
        return Err(format!("it has {size} bytes; at most {FILE_MOST} are read"));
    }
    tokio::fs::read(path).await.map_err(|why| format!("it cannot be read: {why}"))
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What of it can be read: by its name.
fn kind(path: &Path) -> Option<&'static str> {
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    Some(match ending.as_str() {
        "md" | "markdown" => "md",
        "txt" | "text" => "txt",
        "pdf" => "pdf",
        _ => return None,
    })
}

/// The file as it is called from the persona's folder on, with `/` everywhere.
fn source_of(shelf: &Shelf, path: &Path) -> String {
    let named = path.strip_prefix(&shelf.home).unwrap_or(path);
    named.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// Every file of the shelf that can be read, in the order of their names. Links and hidden files are left alone: what a persona
/// knows lies in its folders.
async fn files(shelf: &Shelf) -> Vec<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders: Vec<(PathBuf, usize)> = shelf.folders.iter().map(|folder| (folder.clone(), 0)).collect();
    while let Some((folder, depth)) = folders.pop() {
        let Ok(mut entries) = tokio::fs::read_dir(&folder).await else {
            tracing::warn!(folder = %folder.display(), persona = shelf.persona, "a folder of knowledge cannot be read");
            continue;
        };
        while let Ok(Some(entry)) = entries.next_entry().await {
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            let Ok(sort) = entry.file_type().await else { continue };
            if hidden || found.len() >= FILES_MOST {
                continue;
            }
            if sort.is_dir() && depth < DEPTH_MOST {
                folders.push((entry.path(), depth + 1));
            } else if sort.is_file() && kind(&entry.path()).is_some() {
                found.insert(entry.path());
            }
        }
    }
    if found.len() >= FILES_MOST {
        tracing::warn!(persona = shelf.persona, files = FILES_MOST, "there are more files than are read");
    }
    found.into_iter().collect()
}
