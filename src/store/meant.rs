//! What the pieces of the personas' files mean: kept beside them, and read into memory by whoever looks things up.

use sqlx::{Connection as _, FromRow};

use super::error::StoreError;
use super::knowledge::{Found, KnowledgeFiles};
use super::read::Reader;
use crate::knowledge::Passage;
use crate::memory::meaning::Meaning;

/// A piece of which nobody has said what it means.
#[derive(Clone, Debug, FromRow)]
pub struct Unmeant {
    pub chunk: i64,
    pub persona: String,
    /// The headings above it, and its text.
    pub text: String,
}

impl KnowledgeFiles {
    /// Keeps what pieces mean; a piece that is gone meanwhile has no meaning.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn mean(&mut self, model: &str, meant: &[(i64, Meaning)]) -> Result<(), StoreError> {
        let connection = &mut self.connection;
        let done = async {
            let mut all = connection.begin_with("BEGIN IMMEDIATE").await?;
            for (chunk, meaning) in meant {
                sqlx::query(
                    "INSERT INTO knowledge_vectors (chunk_id, model, vector) SELECT id, ?2, ?3 FROM knowledge_chunks WHERE id = ?1
                     ON CONFLICT (chunk_id) DO UPDATE SET model = excluded.model, vector = excluded.vector",
                )
                .bind(chunk)
                .bind(model)
                .bind(meaning.bytes())
                .execute(&mut *all)
                .await?;
            }
            all.commit().await
        };
        let done: Result<(), sqlx::Error> = done.await;
        done.map_err(|error| StoreError::of(&self.path, &error))
    }
}

impl Reader {
    /// What the pieces of all personas mean to this model, as far as that is known: persona, piece, meaning.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn passage_meanings(&self, model: &str) -> Result<Vec<(String, i64, Meaning)>, StoreError> {
        let mut connection = self.connect().await?;
        let rows: Result<Vec<(String, i64, Vec<u8>)>, sqlx::Error> = sqlx::query_as(
            "SELECT files.persona, chunk_id, vector FROM knowledge_vectors
             JOIN knowledge_chunks AS chunks ON chunks.id = chunk_id JOIN knowledge_files AS files ON files.id = chunks.file_id
             WHERE model = ?1",
        )
        .bind(model)
        .fetch_all(&mut connection)
        .await;
        let rows = self.done(connection, rows).await?;
        Ok(rows
            .into_iter()
            .filter_map(|(who, chunk, bytes)| Some((who, chunk, Meaning::from_bytes(&bytes)?)))
            .collect())
    }

    /// Pieces of which this model has not said what they mean, at most `most`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn unmeant_passages(&self, model: &str, most: u32) -> Result<Vec<Unmeant>, StoreError> {
        let mut connection = self.connect().await?;
        let rows: Result<Vec<Unmeant>, sqlx::Error> = sqlx::query_as(
            "SELECT chunks.id AS chunk, files.persona, chunks.heading || ': ' || chunks.text AS text
             FROM knowledge_chunks AS chunks JOIN knowledge_files AS files ON files.id = chunks.file_id
             WHERE NOT EXISTS (SELECT 1 FROM knowledge_vectors WHERE chunk_id = chunks.id AND model = ?1)
             ORDER BY chunks.id LIMIT ?2",
        )
        .bind(model)
        .bind(most)
        .fetch_all(&mut connection)
        .await;
        self.done(connection, rows).await
    }

    /// One piece; `None` where it has gone meanwhile.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn passage(&self, chunk: i64) -> Result<Option<Passage>, StoreError> {
        let mut connection = self.connect().await?;
        let found: Result<Option<Found>, sqlx::Error> = sqlx::query_as(
            "SELECT chunks.id, files.source, chunks.heading, chunks.line, chunks.page, chunks.text, 0.0 AS rank
             FROM knowledge_chunks AS chunks JOIN knowledge_files AS files ON files.id = chunks.file_id WHERE chunks.id = ?1",
        )
        .bind(chunk)
        .fetch_optional(&mut connection)
        .await;
        Ok(self.done(connection, found).await?.map(Found::passage))
    }
}
