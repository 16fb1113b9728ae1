//! An entry becomes rows.

use sqlx::SqliteConnection;

use duologue_signaling::event::{Stamped, TurnOutcome};

use super::{bridges, error, facts, journals, judging, knowledge, recordings, undelivered};
use crate::journal::{CallId, DownlinkRow, EndReason, Entry, MediaTotals, Speaker, TurnRow, WordFate};
use crate::media::far_ear::{Evidence, ReportCounts};
use crate::media::lateness::Lateness;
use crate::time::CallTime;

/// What became of an entry.
pub(super) enum Kept {
    Yes,
    /// It breaks a rule of the schema, or belongs to nothing that is known; the other entries go on.
    Refused(String),
}

/// SQLite's codes for an entry at fault, not a file at fault: CONSTRAINT, MISMATCH, TOOBIG.
const AT_FAULT: [i32; 3] = [19, 20, 18];

/// Writes an entry; an error is the file's.
pub(super) async fn put(connection: &mut SqliteConnection, entry: &Entry) -> Result<Kept, sqlx::Error> {
    let done = match entry {
        Entry::CallOpened { .. } => open_call(connection, entry).await,
        Entry::CallClosed { call, ended_utc_ms, duration_ms, reason, detail, media } => {
            close_call(connection, call, *ended_utc_ms, *duration_ms, *reason, detail, media).await
        }
        Entry::Turn(turn) => put_turn(connection, turn).await,
        Entry::Words { call, turn, text, heard, words } => put_words(connection, call, *turn, text, heard, words).await,
        Entry::Playout { call, reports, way_ms } => put_playout(connection, call, reports, *way_ms).await,
        Entry::Lateness { call, lateness } => put_lateness(connection, call, lateness).await,
        Entry::Downlink(row) => put_downlink(connection, row).await,
        Entry::Judgement(row) => judging::put_judgement(connection, row).await,
        Entry::Blocked { call, at_ms, ttl_s, reason } => {
            judging::put_block(connection, call, *at_ms, *ttl_s, reason).await
        }
        Entry::Retrieval(row) => knowledge::put_retrieval(connection, row).await,
        Entry::Search(row) => knowledge::put_search(connection, row).await,
        Entry::Topic { call, turn, at_ms, asked_by } => {
            knowledge::put_topic(connection, call, *turn, *at_ms, asked_by).await
        }
        Entry::Event { call, event } => put_event(connection, call, event).await,
        Entry::Remembered { call, turn, gleanings, at_utc_ms } => {
            facts::remember(connection, call, *turn, gleanings, *at_utc_ms).await
        }
        Entry::Raised { call, at_ms, who, what } => facts::raised(connection, call, *at_ms, *who, what).await,
        Entry::Extracted { .. } => facts::extracted(connection, entry).await,
        Entry::Meant { call, line, model, meaning } => facts::mean(connection, call, line, model, meaning).await,
        Entry::Summed { call, text } => facts::sum_up(connection, call, text).await,
        Entry::RecordingBegan { call, file, started_ms, key_id } => {
            recordings::began(connection, call, file, *started_ms, key_id.as_deref()).await
        }
        Entry::RecordingKept { .. } => recordings::kept(connection, entry).await,
        Entry::RecordingGone { call, why, at_utc_ms } => recordings::gone(connection, call, *why, *at_utc_ms).await,
        Entry::JournalBegan { .. } | Entry::JournalKept { .. } | Entry::JournalGone { .. } => {
            journals::put(connection, entry).await
        }
        Entry::Bridge(row) => bridges::put(connection, row).await,
        Entry::Undelivered(row) => undelivered::put(connection, row).await,
    };
    match done {
        Err(error) if error::code(&error).is_some_and(|code| AT_FAULT.contains(&(code & 0xff))) => {
            Ok(Kept::Refused(why(entry, &error)))
        }
        other => other,
    }
}

/// In words: a foreign key error of SQLite's says neither which key nor which value.
fn why(entry: &Entry, error: &sqlx::Error) -> String {
    let call = call_of(entry).map_or("", String::as_str);
    match error.as_database_error() {
        Some(database) if database.is_foreign_key_violation() => {
            format!("{} of a call that was not opened: {call}", kind(entry))
        }
        Some(database) => format!("{} of call {call}: {}", kind(entry), database.message()),
        None => error.to_string(),
    }
}

fn kind(entry: &Entry) -> &'static str {
    match entry {
        Entry::CallOpened { .. } => "the opening",
        Entry::CallClosed { .. } => "the end",
        Entry::Turn(_) => "a turn",
        Entry::Words { .. } => "the words of a turn",
        Entry::Playout { .. } => "the playout reports",
        Entry::Lateness { .. } => "the lateness of frames",
        Entry::Downlink(_) => "a report on the line",
        Entry::Judgement(_) => "a judgement",
        Entry::Blocked { .. } => "a block",
        Entry::Retrieval(_) => "a retrieval",
        Entry::Search(_) => "a search",
        Entry::Topic { .. } => "a new topic",
        Entry::Event { .. } => "an event",
        Entry::Remembered { .. } => "a memory",
        Entry::Raised { .. } => "a promise",
        Entry::Extracted { .. } => "an extraction",
        Entry::Meant { .. } => "the meaning of a fact",
        Entry::Summed { .. } => "the summary",
        Entry::RecordingBegan { .. } | Entry::RecordingKept { .. } | Entry::RecordingGone { .. } => "the recording",
        Entry::JournalBegan { .. } | Entry::JournalKept { .. } | Entry::JournalGone { .. } => "the journal",
        Entry::Bridge(_) => "a bridge",
        Entry::Undelivered(_) => "a webhook",
    }
}

/// `None`: of no call in particular.
fn call_of(entry: &Entry) -> Option<&CallId> {
    Some(match entry {
        Entry::CallOpened { call, .. }
        | Entry::CallClosed { call, .. }
        | Entry::Words { call, .. }
        | Entry::Playout { call, .. }
        | Entry::Lateness { call, .. }
        | Entry::Blocked { call, .. }
        | Entry::Topic { call, .. }
        | Entry::Event { call, .. }
        | Entry::Remembered { call, .. }
        | Entry::RecordingBegan { call, .. }
        | Entry::RecordingKept { call, .. }
        | Entry::RecordingGone { call, .. }
        | Entry::JournalBegan { call, .. }
        | Entry::JournalKept { call, .. }
        | Entry::JournalGone { call, .. }
        | Entry::Raised { call, .. }
        | Entry::Extracted { call, .. }
        | Entry::Meant { call, .. }
        | Entry::Summed { call, .. } => call,
        Entry::Bridge(row) => &row.call,
        Entry::Turn(turn) => &turn.call,
        Entry::Downlink(row) => &row.call,
        Entry::Judgement(row) => &row.call,
        Entry::Retrieval(row) => &row.call,
        Entry::Search(row) => &row.call,
        Entry::Undelivered(row) => return row.call.as_ref(),
    })
}

async fn open_call(connection: &mut SqliteConnection, entry: &Entry) -> Result<Kept, sqlx::Error> {
    let Entry::CallOpened { call, started_utc_ms, caller, persona, transport, asr, llm, tts } = entry else {
        return Ok(Kept::Refused("not an opening".into()));
    };
    if let Some(name) = caller {
        sqlx::query(
            "INSERT INTO callers (name, first_call_utc_ms, last_call_utc_ms) VALUES (?1, ?2, ?2)
             ON CONFLICT (name) DO UPDATE SET last_call_utc_ms = max(last_call_utc_ms, ?2)",
        )
        .bind(name)
        .bind(started_utc_ms)
        .execute(&mut *connection)
        .await?;
    }
    sqlx::query(
        "INSERT INTO calls (id, caller_id, persona, transport, asr, llm, tts, started_utc_ms)
         VALUES (?1, (SELECT id FROM callers WHERE name = ?2), ?3, ?4, ?5, ?6, ?7, ?8)",
    )
    .bind(call)
    .bind(caller)
    .bind(persona)
    .bind(transport)
    .bind(asr)
    .bind(llm)
    .bind(tts)
    .bind(started_utc_ms)
    .execute(connection)
    .await?;
    Ok(Kept::Yes)
}

async fn close_call(
    connection: &mut SqliteConnection,
    call: &CallId,
    ended_utc_ms: i64,
    duration_ms: u64,
    reason: EndReason,
    detail: &str,
    media: &MediaTotals,
) -> Result<Kept, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE calls
         SET ended_utc_ms = ?2, duration_ms = ?3, end_reason = ?4, end_detail = ?5, packets_received = ?6,
             packets_lost = ?7, packets_late = ?8, packets_duplicate = ?9, packets_sent = ?10, frames_concealed = ?11,
             frames_recovered = ?12, jitter_delay_ms = ?13, jitter_delay_p95_ms = ?14, jitter_delay_max_ms = ?15,
             heard_ms = ?16, comfort_ms = ?17, shortened_ms = ?18, lengthened_ms = ?19, drift_ppm = ?20
         WHERE id = ?1 AND end_reason IS NULL",
    )
    .bind(call)
    .bind(ended_utc_ms)
    .bind(whole(duration_ms))
    .bind(reason.as_str())
    .bind(detail)
    .bind(whole(media.packets_received))
    .bind(whole(media.packets_lost))
    .bind(whole(media.packets_late))
    .bind(whole(media.packets_duplicate))
    .bind(whole(media.packets_sent))
    .bind(whole(media.frames_concealed))
    .bind(whole(media.frames_recovered))
    .bind(media.jitter_delay_ms)
    .bind(media.jitter_delay_p95_ms)
    .bind(media.jitter_delay_max_ms)
    .bind(whole(media.heard_ms))
    .bind(whole(media.comfort_ms))
    .bind(whole(media.shortened_ms))
    .bind(whole(media.lengthened_ms))
    .bind(media.drift_ppm)
    .execute(connection)
    .await?;
    Ok(one_row(done.rows_affected(), || format!("the end of a call that is not open: {call}")))
}

/// The last row that is written of a turn stands: a turn may be told again when more is known.
async fn put_turn(connection: &mut SqliteConnection, row: &TurnRow) -> Result<Kept, sqlx::Error> {
    let part = |ms: Option<u64>| ms.map(whole);
    let latency = &row.latency;
    sqlx::query(
        "INSERT INTO turns (call, turn, speaker, started_ms, ended_ms, text, heard, typed, outcome, action, reason,
             speech_end_ms, turn_end_ms, asr_ms, judge_ms, first_token_ms, first_clause_ms, first_audio_ms, first_packet_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)
         ON CONFLICT (call, turn) DO UPDATE SET
             speaker = excluded.speaker, started_ms = excluded.started_ms, ended_ms = excluded.ended_ms,
             text = excluded.text, heard = excluded.heard, typed = excluded.typed, outcome = excluded.outcome,
             action = excluded.action, reason = excluded.reason, speech_end_ms = excluded.speech_end_ms,
             turn_end_ms = excluded.turn_end_ms, asr_ms = excluded.asr_ms, judge_ms = excluded.judge_ms,
             first_token_ms = excluded.first_token_ms, first_clause_ms = excluded.first_clause_ms,
             first_audio_ms = excluded.first_audio_ms, first_packet_ms = excluded.first_packet_ms",
    )
    .bind(&row.call)
    .bind(row.turn)
    .bind(match row.speaker {
        Speaker::Caller => "caller",
        Speaker::Agent => "agent",
    })
    .bind(whole(row.started_ms))
    .bind(whole(row.ended_ms))
    .bind(&row.text)
    .bind(&row.heard)
    .bind(row.typed)
    .bind(row.outcome.map(outcome_word))
    .bind(&row.action)
    .bind(&row.reason)
    .bind(part(latency.speech_end_ms))
    .bind(part(latency.turn_end_ms))
    .bind(part(latency.asr_ms))
    .bind(part(latency.judge_ms))
    .bind(part(latency.first_token_ms))
    .bind(part(latency.first_clause_ms))
    .bind(part(latency.first_audio_ms))
    .bind(part(latency.first_packet_ms))
    .execute(connection)
    .await?;
    Ok(Kept::Yes)
}

/// The turn's own row is told again what was heard of it: less, where words were on their way when the call ended.
async fn put_words(
    connection: &mut SqliteConnection,
    call: &CallId,
    turn: u32,
    text: &str,
    heard: &str,
    words: &[WordFate],
) -> Result<Kept, sqlx::Error> {
    let done = sqlx::query("UPDATE turns SET heard = ?3 WHERE call = ?1 AND turn = ?2 AND speaker = 'agent'")
        .bind(call)
        .bind(turn)
        .bind(heard)
        .execute(&mut *connection)
        .await?;
    if done.rows_affected() == 0 {
        return Ok(Kept::Refused(format!("the words of a turn that is not there: {turn} of {call}")));
    }
    let ms = |at: Option<CallTime>| at.map(|at| whole(at.ms()));
    for (n, word) in (1_i64..).zip(words) {
        let heard_by = word.heard.map(|(_, evidence)| match evidence {
            Evidence::Report => "report",
            Evidence::Estimate => "estimate",
        });
        sqlx::query(
            "INSERT INTO words (call, turn, n, text, state, generated_ms, synthesised_ms, sent_ms, heard_ms, heard_by)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING",
        )
        .bind(call)
        .bind(turn)
        .bind(n)
        .bind(text.get(word.text.clone()).unwrap_or("?"))
        .bind(word.state().as_str())
        .bind(whole(word.generated.ms()))
        .bind(ms(word.synthesised))
        .bind(ms(word.sent))
        .bind(ms(word.heard.map(|(at, _)| at)))
        .bind(heard_by)
        .execute(&mut *connection)
        .await?;
    }
    Ok(Kept::Yes)
}

async fn put_playout(
    connection: &mut SqliteConnection,
    call: &CallId,
    reports: &ReportCounts,
    way_ms: u64,
) -> Result<Kept, sqlx::Error> {
    sqlx::query(
        "INSERT INTO playout_reports (call, taken, stale, absurd, future, way_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )
    .bind(call)
    .bind(reports.taken)
    .bind(reports.stale)
    .bind(reports.absurd)
    .bind(reports.future)
    .bind(whole(way_ms))
    .execute(connection)
    .await?;
    Ok(Kept::Yes)
}

async fn put_lateness(
    connection: &mut SqliteConnection,
    call: &CallId,
    lateness: &Lateness,
) -> Result<Kept, sqlx::Error> {
    for (most_ms, frames) in lateness.buckets() {
        sqlx::query("INSERT INTO lateness (call, most_ms, frames) VALUES (?1, ?2, ?3)")
            .bind(call)
            .bind(most_ms)
            .bind(whole(frames))
            .execute(&mut *connection)
            .await?;
    }
    Ok(Kept::Yes)
}

async fn put_downlink(connection: &mut SqliteConnection, row: &DownlinkRow) -> Result<Kept, sqlx::Error> {
    let ms = |time: std::time::Duration| time.as_secs_f64() * 1_000.0;
    let report = row.report.as_ref();
    sqlx::query(
        "INSERT INTO downlink_stats (call, at_ms, packets_expected, packets_lost, jitter_ms, rtt_ms, packets_sent,
             copies_sent, payload_bytes, copies, fec_percent, bitrate_bps)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )
    .bind(&row.call)
    .bind(whole(row.at_ms))
    .bind(report.map(|report| report.expected))
    .bind(report.map(|report| report.lost))
    .bind(report.map(|report| ms(report.jitter)))
    .bind(report.and_then(|report| report.rtt).map(ms))
    .bind(whole(row.packets_sent))
    .bind(whole(row.copies_sent))
    .bind(whole(row.payload_bytes))
    .bind(row.copies)
    .bind(row.fec_percent)
    .bind(row.bitrate_bps)
    .execute(connection)
    .await?;
    Ok(Kept::Yes)
}

/// `type` has a column of its own; `json` is the rest of the event as it went over the wire.
async fn put_event(connection: &mut SqliteConnection, call: &CallId, event: &Stamped) -> Result<Kept, sqlx::Error> {
    let mut body = match serde_json::to_value(&event.event) {
        Ok(serde_json::Value::Object(body)) => body,
        Ok(other) => return Ok(Kept::Refused(format!("an event of call {call} that is no object: {other}"))),
        Err(error) => return Ok(Kept::Refused(format!("an event of call {call} that is no JSON: {error}"))),
    };
    let kind = body.remove("type");
    sqlx::query("INSERT INTO events (call, at_ms, type, json) VALUES (?1, ?2, ?3, ?4)")
        .bind(call)
        .bind(whole(event.at_ms))
        .bind(kind.as_ref().and_then(serde_json::Value::as_str))
        .bind(serde_json::Value::Object(body).to_string())
        .execute(connection)
        .await?;
    Ok(Kept::Yes)
}

/// Puts down that entries are missing.
pub(super) async fn tell_lost(
    connection: &mut SqliteConnection,
    at_utc_ms: i64,
    entries: u64,
) -> Result<(), sqlx::Error> {
    let detail = "the disk was behind or refused for so long that the queue was full";
    tell(connection, at_utc_ms, "entries-lost", entries, None, detail).await
}

/// Puts down what could not be kept, with its content: it may be all that is left of a turn.
pub(super) async fn tell_refused(
    connection: &mut SqliteConnection,
    at_utc_ms: i64,
    entry: &Entry,
    why: &str,
) -> Result<(), sqlx::Error> {
    tell(connection, at_utc_ms, "entry-refused", 1, call_of(entry), &format!("{why}; {entry:?}")).await
}

async fn tell(
    connection: &mut SqliteConnection,
    at_utc_ms: i64,
    kind: &'static str,
    entries: u64,
    call: Option<&CallId>,
    detail: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO incidents (at_utc_ms, type, entries, call, detail) VALUES (?1, ?2, ?3, ?4, ?5)")
        .bind(at_utc_ms)
        .bind(kind)
        .bind(whole(entries))
        .bind(call)
        .bind(detail)
        .execute(connection)
        .await?;
    Ok(())
}

fn one_row(rows: u64, otherwise: impl Fn() -> String) -> Kept {
    if rows == 1 { Kept::Yes } else { Kept::Refused(otherwise()) }
}

/// SQLite's integers are signed.
pub(super) fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn outcome_word(outcome: TurnOutcome) -> &'static str {
    match outcome {
        TurnOutcome::Completed => "completed",
        TurnOutcome::Interrupted => "interrupted",
        TurnOutcome::Revoked => "revoked",
        TurnOutcome::Failed => "failed",
    }
}
