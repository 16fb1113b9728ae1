//! Reading calls back, for the HTTP API. Every question opens the file anew (a fraction of a millisecond): no pool that
//! could time out, and no reader that could hold the write-ahead log.

use std::path::{Path, PathBuf};

use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{ConnectOptions as _, Connection as _, FromRow, Row as _, SqliteConnection};

use super::error::StoreError;
use super::opening::reading;

/// Reads from the file. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reader {
    path: PathBuf,
}

/// A call in a list: a row of the view `call_overview`.
#[derive(Clone, Debug, PartialEq, Serialize, FromRow)]
pub struct CallSummary {
    pub call: String,
    /// RFC 3339, UTC.
    pub started_utc: String,
    pub caller: Option<String>,
    pub persona: String,
    pub transport: String,
    /// Absent while the call is open.
    pub duration_s: Option<f64>,
    /// Absent while the call is open.
    pub end_reason: Option<String>,
    pub caller_turns: i64,
    pub agent_turns: i64,
    pub interruptions: i64,
    pub failures: i64,
    /// From the end of the caller's speech to the first packet of the answer.
    pub response_median_ms: Option<i64>,
    pub response_slowest_ms: Option<i64>,
    pub loss_percent: Option<f64>,
}

/// A call with its turns.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallView {
    #[serde(flatten)]
    pub summary: CallSummary,
    pub asr: String,
    pub llm: String,
    pub tts: String,
    pub started_utc_ms: i64,
    pub ended_utc_ms: Option<i64>,
    pub end_detail: Option<String>,
    /// Absent while the call is open, and after a crash.
    pub media: Option<MediaView>,
    pub turns: Vec<TurnView>,
}

/// A call's packets; see [`crate::journal::MediaTotals`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow)]
pub struct MediaView {
    pub packets_received: i64,
    pub packets_lost: i64,
    pub packets_late: i64,
    pub packets_duplicate: i64,
    pub packets_sent: i64,
    pub frames_concealed: i64,
    pub frames_recovered: i64,
    pub jitter_delay_ms: i64,
    /// The fields from here on are absent in calls of servers that did not count them yet.
    pub jitter_delay_p95_ms: Option<i64>,
    pub jitter_delay_max_ms: Option<i64>,
    pub heard_ms: Option<i64>,
    pub comfort_ms: Option<i64>,
    pub shortened_ms: Option<i64>,
    pub lengthened_ms: Option<i64>,
    pub drift_ppm: Option<i64>,
}

/// A turn; times are milliseconds since the call began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow)]
pub struct TurnView {
    pub turn: i64,
    /// `caller` or `agent`.
    pub speaker: String,
    pub started_ms: i64,
    pub ended_ms: i64,
    /// What was recognised or typed; of the agent, what was generated.
    pub text: String,
    pub heard: Option<String>,
    pub typed: bool,
    pub outcome: Option<String>,
    pub action: Option<String>,
    pub reason: Option<String>,
    pub speech_end_ms: Option<i64>,
    pub turn_end_ms: Option<i64>,
    pub asr_ms: Option<i64>,
    pub judge_ms: Option<i64>,
    pub first_token_ms: Option<i64>,
    pub first_clause_ms: Option<i64>,
    pub first_audio_ms: Option<i64>,
    pub first_packet_ms: Option<i64>,
    /// What the answer rests on; empty for most turns.
    #[sqlx(skip)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub citations: Vec<CitationView>,
}

/// A place that an answer took something from; see [`duologue_signaling::event::Citation`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow)]
pub struct CitationView {
    /// The agent turn.
    #[serde(skip)]
    pub turn: i64,
    /// `file` or `web`.
    pub origin: String,
    pub source: String,
    pub heading: String,
    pub line: Option<i64>,
    pub page: Option<i64>,
}

/// A call that was connected with another one, in the milliseconds of the latter.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Connected {
    pub call: String,
    /// Its side was told of the other's caller before.
    pub told: bool,
    #[sqlx(try_from = "i64")]
    pub joined_ms: u64,
    #[sqlx(try_from = "i64")]
    pub ended_ms: u64,
    /// Of its own clock, at any moment.
    pub ahead_ms: i64,
}

/// Something known about a caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow)]
pub struct MemoryView {
    pub text: String,
    /// The call and turn that it rests on, where they are still there.
    pub call: Option<String>,
    pub turn: Option<i64>,
    pub created_utc_ms: i64,
}

impl Reader {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_path_buf() }
    }

    /// A way to read a file that another process may be writing.
    pub fn of(path: &Path) -> Self {
        Self::new(path)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A call with its turns in order; `None` where there is no such call.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn call(&self, id: &str) -> Result<Option<CallView>, StoreError> {
        let mut connection = self.connect().await?;
        let view = read_call(&mut connection, id).await;
        self.done(connection, view).await
    }

    /// The latest calls, the newest first, at most `limit`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn calls(&self, limit: u32) -> Result<Vec<CallSummary>, StoreError> {
        let mut connection = self.connect().await?;
        let calls = sqlx::query_as("SELECT * FROM call_overview ORDER BY started_utc DESC, call DESC LIMIT ?1")
            .bind(limit)
            .fetch_all(&mut connection)
            .await;
        self.done(connection, calls).await
    }

    /// What is known about a caller, the newest first, at most `limit`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn memory(&self, caller: &str, limit: u32) -> Result<Vec<MemoryView>, StoreError> {
        let mut connection = self.connect().await?;
        let memory = sqlx::query_as(
            "SELECT memory.text, turns.call, turns.turn, memory.created_utc_ms
             FROM memory
             JOIN callers ON callers.id = memory.caller_id
             LEFT JOIN turns ON turns.id = memory.source_turn_id
             WHERE callers.name = ?1 ORDER BY memory.created_utc_ms DESC, memory.id DESC LIMIT ?2",
        )
        .bind(caller)
        .bind(limit)
        .fetch_all(&mut connection)
        .await;
        self.done(connection, memory).await
    }

    /// The calls that this one was connected with, or was to be handed over to. A bridge that goes on ends in the year 2106.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn connected(&self, call: &str) -> Result<Vec<Connected>, StoreError> {
        let mut connection = self.connect().await?;
        let connected = sqlx::query_as(
            "SELECT there.id AS call, told, max(ends - here.started_utc_ms, 0) AS ended_ms,
                    max(coalesce(joined, ends) - here.started_utc_ms, 0) AS joined_ms,
                    here.started_utc_ms - there.started_utc_ms AS ahead_ms
             FROM (SELECT call AS ours, other AS theirs, kind = 'handover' AS told, joined_utc_ms AS joined,
                          coalesce(ended_utc_ms, ?2) AS ends FROM bridges WHERE call = ?1
                   UNION ALL
                   SELECT other, call, 0, joined_utc_ms, coalesce(ended_utc_ms, ?2) FROM bridges WHERE other = ?1)
             JOIN calls AS here ON here.id = ours JOIN calls AS there ON there.id = theirs
             WHERE told OR joined IS NOT NULL ORDER BY joined",
        )
        .bind(call)
        .bind(i64::from(u32::MAX) * 1_000)
        .fetch_all(&mut connection)
        .await;
        self.done(connection, connected).await
    }

    pub(super) async fn connect(&self) -> Result<SqliteConnection, StoreError> {
        reading(&self.path).connect().await.map_err(|error| StoreError::of(&self.path, &error))
    }

    pub(super) async fn done<T>(
        &self,
        connection: SqliteConnection,
        answer: Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        // Nothing was written: a close that fails takes nothing back.
        let _closed = connection.close().await;
        answer.map_err(|error| StoreError::of(&self.path, &error))
    }
}

async fn read_call(connection: &mut SqliteConnection, id: &str) -> Result<Option<CallView>, sqlx::Error> {
    // One transaction, so that the turns are those of the same moment as the call.
    let mut moment = connection.begin().await?;
    let Some(summary) = sqlx::query_as::<_, CallSummary>("SELECT * FROM call_overview WHERE call = ?1")
        .bind(id)
        .fetch_optional(&mut *moment)
        .await?
    else {
        return Ok(None);
    };
    let row: SqliteRow = sqlx::query("SELECT * FROM calls WHERE id = ?1").bind(id).fetch_one(&mut *moment).await?;
    let mut turns: Vec<TurnView> =
        sqlx::query_as("SELECT * FROM turns WHERE call = ?1 ORDER BY turn").bind(id).fetch_all(&mut *moment).await?;
    let cited: Vec<CitationView> = sqlx::query_as(
        "SELECT turn, origin, source, heading, line, page FROM retrievals WHERE call = ?1 AND cited = 1 ORDER BY turn, n",
    )
    .bind(id)
    .fetch_all(&mut *moment)
    .await?;
    for citation in cited {
        if let Some(turn) = turns.iter_mut().find(|turn| turn.turn == citation.turn) {
            turn.citations.push(citation);
        }
    }
    let counted = row.try_get::<Option<i64>, _>("packets_received")?.is_some();
    Ok(Some(CallView {
        summary,
        asr: row.try_get("asr")?,
        llm: row.try_get("llm")?,
        tts: row.try_get("tts")?,
        started_utc_ms: row.try_get("started_utc_ms")?,
        ended_utc_ms: row.try_get("ended_utc_ms")?,
        end_detail: row.try_get("end_detail")?,
        media: if counted { Some(MediaView::from_row(&row)?) } else { None },
        turns,
    }))
}
