//! What personas know from files: the index, written beside the calls' own writer, and looked up in a call. What stood before the
//! model, and what was searched for, as rows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use duologue_signaling::event::Origin;
use sqlx::{ConnectOptions as _, Connection as _, FromRow, SqliteConnection};

use super::error::StoreError;
use super::opening::options;
use super::read::Reader;
use super::rows::{Kept, whole};
use crate::journal::{CallId, RetrievalRow, SearchRow};
use crate::knowledge::{Chunk, Passage};
use crate::memory::recollection::shares;
use crate::memory::{content_words, words};

/// A server beside this one writes in batches of milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// Passages that are weighed against each other for one look-up.
const CANDIDATES: u32 = 16;
/// A passage with one word of many in common is chance, unless so few passages have any.
const RARE: usize = 2;

/// The files that were read in, for writing. Each change is a transaction of its own, so that a call's rows never wait long.
pub struct KnowledgeFiles {
    pub(super) path: PathBuf,
    pub(super) connection: SqliteConnection,
}

/// A file that was read in, or could not be.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct KnowledgeFile {
    pub persona: String,
    pub source: String,
    pub chunks: i64,
    pub fault: Option<String>,
    pub indexed_utc: String,
}

impl KnowledgeFiles {
    /// Opens a file that a server has made the tables of.
    ///
    /// # Errors
    /// When it cannot be opened for writing.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = options(path).busy_timeout(PATIENCE).connect().await;
        let connection = connection.map_err(|error| StoreError::of(path, &error))?;
        Ok(Self { path: path.to_owned(), connection })
    }

    /// SHA-256 and fault of every file of a persona, by its source.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn hashes(&mut self, persona: &str) -> Result<BTreeMap<String, (String, Option<String>)>, StoreError> {
        let rows: Result<Vec<(String, String, Option<String>)>, sqlx::Error> =
            sqlx::query_as("SELECT source, sha256, fault FROM knowledge_files WHERE persona = ?1")
                .bind(persona)
                .fetch_all(&mut self.connection)
                .await;
        let rows = rows.map_err(|error| StoreError::of(&self.path, &error))?;
        Ok(rows.into_iter().map(|(source, sha256, fault)| (source, (sha256, fault))).collect())
    }

    /// A file as it is now, in the place of what it was.
    ///
    /// # Errors
    /// When the database cannot be written; then it has the file as it was.
    pub async fn put(
        &mut self,
        persona: &str,
        source: &str,
        sha256: &str,
        read: Result<&[Chunk], &str>,
    ) -> Result<(), StoreError> {
        let done = put(&mut self.connection, persona, source, sha256, read).await;
        done.map_err(|error| StoreError::of(&self.path, &error))
    }

    /// A file that is gone.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn remove(&mut self, persona: &str, source: &str) -> Result<(), StoreError> {
        let done = remove(&mut self.connection, persona, source).await;
        done.map_err(|error| StoreError::of(&self.path, &error))
    }

    /// # Errors
    /// When the file does not close cleanly; what was put is in it.
    pub async fn close(self) -> Result<(), StoreError> {
        self.connection.close().await.map_err(|error| StoreError::of(&self.path, &error))
    }
}

async fn remove(connection: &mut SqliteConnection, persona: &str, source: &str) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM knowledge_files WHERE persona = ?1 AND source = ?2")
        .bind(persona)
        .bind(source)
        .execute(connection)
        .await
        .map(drop)
}

async fn put(
    connection: &mut SqliteConnection,
    persona: &str,
    source: &str,
    sha256: &str,
    read: Result<&[Chunk], &str>,
) -> Result<(), sqlx::Error> {
    let mut whole_file = connection.begin_with("BEGIN IMMEDIATE").await?;
    remove(&mut whole_file, persona, source).await?;
    let chunks = read.unwrap_or_default();
    let now = super::utc_ms();
    let file: i64 = sqlx::query_scalar(
        "INSERT INTO knowledge_files (persona, source, sha256, chunks, fault, indexed_utc_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING id",
    )
    .bind(persona)
    .bind(source)
    .bind(sha256)
    .bind(chunks.len() as i64)
    .bind(read.err())
    .bind(now)
    .fetch_one(&mut *whole_file)
    .await?;
    for (n, chunk) in (1_i64..).zip(chunks) {
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO knowledge_chunks (file_id, n, heading, line, page, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING id",
        )
        .bind(file)
        .bind(n)
        .bind(&chunk.heading)
        .bind(chunk.line)
        .bind(chunk.page)
        .bind(&chunk.text)
        .fetch_one(&mut *whole_file)
        .await?;
        // The heading right above a piece says what it is about. Those further up say it of all their pieces, and weigh as its text.
        let (above, own) = chunk.heading.rsplit_once(" > ").unwrap_or(("", &chunk.heading));
        sqlx::query("INSERT INTO knowledge_fts (rowid, persona, heading, text) VALUES (?1, ?2, ?3, ?4)")
            .bind(id)
            .bind(persona)
            .bind(words(own).join(" "))
            .bind(words(&format!("{above} {}", chunk.text)).join(" "))
            .execute(&mut *whole_file)
            .await?;
    }
    whole_file.commit().await
}

#[derive(FromRow)]
pub(super) struct Found {
    id: i64,
    source: String,
    heading: String,
    line: Option<u32>,
    page: Option<u32>,
    text: String,
    rank: f64,
}

impl Found {
    pub(super) fn passage(self) -> Passage {
        Passage {
            chunk: Some(self.id),
            origin: Origin::File,
            source: self.source,
            heading: self.heading,
            line: self.line,
            page: self.page,
            text: self.text,
            rank: self.rank as f32,
        }
    }
}

impl Reader {
    /// Passages of this persona's files that have words of `text`, the best first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn passages(&self, persona: &str, text: &str) -> Result<Vec<Passage>, StoreError> {
        let sought = content_words(text);
        let Some(question) = question(persona, text, &sought) else { return Ok(Vec::new()) };
        let mut connection = self.connect().await?;
        // In this order: left to itself SQLite goes through a persona's pieces and asks the index about each.
        let found: Result<Vec<Found>, sqlx::Error> = sqlx::query_as(
            "SELECT chunks.id, files.source, chunks.heading, chunks.line, chunks.page, chunks.text,
                    -bm25(knowledge_fts, 0.0, 3.0, 1.0) AS rank
             FROM knowledge_fts CROSS JOIN knowledge_chunks AS chunks ON chunks.id = knowledge_fts.rowid
             CROSS JOIN knowledge_files AS files ON files.id = chunks.file_id
             WHERE knowledge_fts MATCH ?1 AND files.persona = ?2
             ORDER BY bm25(knowledge_fts, 0.0, 3.0, 1.0), chunks.id LIMIT ?3",
        )
        .bind(question)
        .bind(persona)
        .bind(CANDIDATES)
        .fetch_all(&mut connection)
        .await;
        let found = self.done(connection, found).await?;
        Ok(fitting(found, &sought))
    }

    /// Every file that was read in or could not be, by persona and name.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn knowledge_files(&self) -> Result<Vec<KnowledgeFile>, StoreError> {
        let mut connection = self.connect().await?;
        let files = sqlx::query_as(
            "SELECT persona, source, chunks, fault,
                    strftime('%Y-%m-%dT%H:%M:%SZ', indexed_utc_ms / 1000.0, 'unixepoch') AS indexed_utc
             FROM knowledge_files ORDER BY persona, source",
        )
        .fetch_all(&mut connection)
        .await;
        self.done(connection, files).await
    }
}

/// Two words in common with the question, where it has more than two; one word alone where hardly anything has it.
fn fitting(found: Vec<Found>, sought: &[String]) -> Vec<Passage> {
    let least = if sought.len() > 2 { 2 } else { 1 };
    let common = |found: &Found| shares(&format!("{} {}", found.heading, found.text), sought);
    let rare = found.len() <= RARE;
    let fits = |found: &Found| rare || common(found) >= least;
    found.into_iter().filter(fits).map(Found::passage).collect()
}

/// The question for FTS5: any of the words; of a script without spaces, any two characters that stand together. Words are letters
/// and digits only, and quoted.
fn question(persona: &str, text: &str, sought: &[String]) -> Option<String> {
    let is_character = |word: &str| !word.is_ascii() && word.chars().count() == 1;
    let spoken = words(text);
    let pairs = spoken
        .windows(2)
        .filter(|pair| pair.iter().all(|word| is_character(word)))
        .map(|pair| format!("\"{} {}\"", pair[0], pair[1]));
    let terms: Vec<String> = sought
        .iter()
        .filter(|word| !is_character(word))
        .map(|word| format!("\"{word}\""))
        .chain(pairs)
        .take(24)
        .collect();
    let named: Vec<String> = words(persona);
    (!terms.is_empty())
        .then(|| format!("persona : \"{}\" AND {{heading text}} : ({})", named.join(" "), terms.join(" OR ")))
}

pub(super) async fn put_retrieval(connection: &mut SqliteConnection, row: &RetrievalRow) -> Result<Kept, sqlx::Error> {
    for (n, retrieved) in (1_i64..).zip(&row.retrieved) {
        let passage = &retrieved.passage;
        // The chunk may have gone meanwhile, with its file.
        sqlx::query(
            "INSERT INTO retrievals (call, turn, caller_turn, at_ms, words, took_ms, n, origin, chunk_id, source, heading, line,
                 page, rank, cited)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, (SELECT id FROM knowledge_chunks WHERE id = ?9), ?10, ?11, ?12, ?13, ?14,
                 ?15)
             ON CONFLICT DO NOTHING",
        )
        .bind(&row.call)
        .bind(row.turn)
        .bind(row.caller_turn)
        .bind(whole(row.at_ms))
        .bind(&row.words)
        .bind(f64::from(row.took_ms))
        .bind(n)
        .bind(match passage.origin {
            Origin::File => "file",
            Origin::Web => "web",
        })
        .bind(passage.chunk)
        .bind(&passage.source)
        .bind(&passage.heading)
        .bind(passage.line)
        .bind(passage.page)
        .bind(f64::from(passage.rank))
        .bind(retrieved.cited)
        .execute(&mut *connection)
        .await?;
    }
    Ok(Kept::Yes)
}

pub(super) async fn put_search(connection: &mut SqliteConnection, row: &SearchRow) -> Result<Kept, sqlx::Error> {
    sqlx::query(
        "INSERT INTO searches (call, turn, caller_turn, at_ms, query, provider, took_ms, results, outcome, detail)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )
    .bind(&row.call)
    .bind(row.turn)
    .bind(row.caller_turn)
    .bind(whole(row.at_ms))
    .bind(&row.query)
    .bind(row.provider)
    .bind(row.took_ms)
    .bind(row.results)
    .bind(row.outcome)
    .bind(&row.detail)
    .execute(connection)
    .await?;
    Ok(Kept::Yes)
}

pub(super) async fn put_topic(
    connection: &mut SqliteConnection,
    call: &CallId,
    turn: u32,
    at_ms: u64,
    asked_by: &str,
) -> Result<Kept, sqlx::Error> {
    sqlx::query("INSERT INTO topics (call, turn, at_ms, asked_by) VALUES (?1, ?2, ?3, ?4)")
        .bind(call)
        .bind(turn)
        .bind(whole(at_ms))
        .bind(asked_by)
        .execute(connection)
        .await?;
    Ok(Kept::Yes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_caller_are_no_query_language() {
        let asked = |text: &str| question("night-porter", text, &content_words(text));
        assert_eq!(asked("What is the?"), None, "nothing that could be found");
        assert_eq!(
            asked("\" OR persona : ^NEAR + certificate"),
            Some("persona : \"night porter\" AND {heading text} : (\"persona\" OR \"near\" OR \"certificate\")".into())
        );
        assert_eq!(
            asked("\u{5f00}\u{95e8}\u{65f6}"),
            Some(
                "persona : \"night porter\" AND {heading text} : (\"\u{5f00} \u{95e8}\" OR \"\u{95e8} \u{65f6}\")"
                    .into()
            )
        );
    }
}
