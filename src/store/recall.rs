//! What is known of a caller, read back: the recollection that a call begins with, what comes to mind about a turn, and all of
//! it for people. Every question names its caller, in the index and in the rows: nothing of another one can be found.
//!
//! `CROSS JOIN` is SQLite's way to fix the order: left to itself it goes through all of a caller's rows and asks the index about
//! each, which takes seconds with 10,000 of them.

use sqlx::SqliteConnection;

use super::error::StoreError;
use super::read::Reader;
use super::remembered::{CallerMemory, CallerSummary};
use super::search::find_any;
use crate::memory::calendar::{Day, Towards, find_day};
use crate::memory::meaning::{Meaning, fused};
use crate::memory::recollection::{Conflict, Known, Open, Recollection, Relation, ranked, shares};
use crate::memory::{Party, content_words, words};

/// Facts that a recollection holds; the digest takes what fits.
const FACTS_MOST: u32 = 40;
/// A promise without a day is told for so long, and one with a day so long past it: days.
const PROMISES_TOLD: i32 = 60;
/// A caller of fewer rows has all of them read, which takes a tenth of the time that the index takes: FTS5 walks the lists of
/// everybody's rows for each word.
const READ_THROUGH: u32 = 1_000;
/// Rows with a word in common that are weighed against each other where the index is asked, the newest.
const CANDIDATES: u32 = 256;
/// Facts of which a call knows the meaning: 4 MB of them.
const MEANINGS_MOST: u32 = 10_000;
/// Longest quotation of an earlier turn, characters.
const QUOTE_CHARS: usize = 160;

impl Reader {
    /// What is known of a caller when a call begins; nothing where the caller is not known.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn recollection(&self, caller: &str, today: Day) -> Result<Recollection, StoreError> {
        let mut connection = self.connect().await?;
        let answer = recollect(&mut connection, caller, today).await;
        self.done(connection, answer).await
    }

    /// What the facts of a caller mean, as far as that is known, the newest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn meanings(&self, caller: &str) -> Result<Vec<(i64, Meaning)>, StoreError> {
        let mut connection = self.connect().await?;
        let rows: Result<Vec<(i64, Vec<u8>)>, sqlx::Error> = sqlx::query_as(
            "SELECT fact_id, vector FROM fact_vectors JOIN facts ON facts.id = fact_id JOIN callers ON callers.id = caller_id
             WHERE callers.name = ?1 AND valid_to_utc_ms IS NULL ORDER BY last_said_utc_ms DESC LIMIT ?2",
        )
        .bind(caller)
        .bind(MEANINGS_MOST)
        .fetch_all(&mut connection)
        .await;
        let rows = self.done(connection, rows).await?;
        Ok(rows.into_iter().filter_map(|(fact, bytes)| Some((fact, Meaning::from_bytes(&bytes)?))).collect())
    }

    /// Lines of a caller's facts of which nobody has said what they mean, the newest first, at most `most`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn unmeant(&self, caller: &str, most: u32) -> Result<Vec<String>, StoreError> {
        let mut connection = self.connect().await?;
        let lines: Result<Vec<String>, sqlx::Error> = sqlx::query_scalar(
            "SELECT facts.text FROM facts JOIN callers ON callers.id = caller_id
             WHERE callers.name = ?1 AND valid_to_utc_ms IS NULL
               AND NOT EXISTS (SELECT 1 FROM fact_vectors WHERE fact_id = facts.id)
             ORDER BY last_said_utc_ms DESC LIMIT ?2",
        )
        .bind(caller)
        .bind(most)
        .fetch_all(&mut connection)
        .await;
        self.done(connection, lines).await
    }

    /// What comes to mind about `text`: facts and earlier words of this caller, the best first, at most `most`; `near` are facts
    /// that mean something like it, the nearest first. What was said in `call` itself is not among it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn recalled(
        &self,
        caller: &str,
        call: &str,
        text: &str,
        today: Day,
        most: u32,
        near: &[i64],
    ) -> Result<Vec<String>, StoreError> {
        let mut connection = self.connect().await?;
        let asked = Asked { call, text, today, most, near };
        let answer = recall(&mut connection, caller, &asked).await;
        self.done(connection, answer).await
    }

    /// Everything that is remembered of a caller; `None` where there is no such caller.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn caller(&self, caller: &str) -> Result<Option<CallerMemory>, StoreError> {
        let mut connection = self.connect().await?;
        let answer = all_of(&mut connection, caller).await;
        self.done(connection, answer).await
    }

    /// Every caller with a name, the latest first, at most `limit`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn callers(&self, limit: u32) -> Result<Vec<CallerSummary>, StoreError> {
        let mut connection = self.connect().await?;
        let answer = sqlx::query_as(
            "SELECT acquaintance.caller, acquaintance.calls, acquaintance.days, callers.last_call_utc_ms,
                    (SELECT count(*) FROM facts WHERE facts.caller_id = callers.id AND valid_to_utc_ms IS NULL) AS facts
             FROM acquaintance JOIN callers ON callers.id = acquaintance.caller_id
             ORDER BY callers.last_call_utc_ms DESC, callers.id DESC LIMIT ?1",
        )
        .bind(limit)
        .fetch_all(&mut connection)
        .await;
        self.done(connection, answer).await
    }
}

/// Of the calls in a question those that were held here: an imported file proves nothing of who called, and what stands in it would
/// be told to whoever has that name.
macro_rules! held_here {
    () => {
        "NOT EXISTS (SELECT 1 FROM imports WHERE imports.call = calls.id)"
    };
}

async fn id_of(connection: &mut SqliteConnection, caller: &str) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar("SELECT id FROM callers WHERE name = ?1").bind(caller).fetch_optional(connection).await
}

/// Calls in which the caller said something, and days with such calls.
async fn talks(connection: &mut SqliteConnection, caller: i64) -> Result<(i64, i64), sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT count(*), count(DISTINCT date(started_utc_ms / 1000.0, 'unixepoch')) FROM calls
         WHERE caller_id = ?1 AND ",
        held_here!(),
        " AND EXISTS (SELECT 1 FROM turns WHERE turns.call = calls.id AND speaker = 'caller' AND text <> '')",
    ))
    .bind(caller)
    .fetch_one(connection)
    .await
}

fn relation(calls: i64, days: i64) -> Relation {
    Relation::of(u32::try_from(calls).unwrap_or(u32::MAX), u32::try_from(days).unwrap_or(u32::MAX))
}

async fn recollect(connection: &mut SqliteConnection, name: &str, today: Day) -> Result<Recollection, sqlx::Error> {
    let Some(caller) = id_of(connection, name).await? else { return Ok(Recollection::default()) };
    let (calls, days) = talks(connection, caller).await?;
    // A plan of which the day is over is no plan; that it was one is still found by its words.
    let facts: Vec<(i64, String, bool)> = sqlx::query_as(
        "SELECT id, text, kind = 'identity' FROM facts
         WHERE caller_id = ?1 AND valid_to_utc_ms IS NULL AND NOT (kind = 'plan' AND day < ?2)
         ORDER BY (kind = 'identity') DESC, last_said_utc_ms DESC, id DESC LIMIT ?3",
    )
    .bind(caller)
    .bind(today.to_string())
    .bind(FACTS_MOST)
    .fetch_all(&mut *connection)
    .await?;
    let last_call: Option<(i64, String)> = sqlx::query_as(concat!(
        "SELECT started_utc_ms, text FROM call_summaries JOIN calls ON calls.id = call_summaries.call
         WHERE caller_id = ?1 AND ",
        held_here!(),
        " ORDER BY started_utc_ms DESC LIMIT 1",
    ))
    .bind(caller)
    .fetch_optional(&mut *connection)
    .await?;
    Ok(Recollection {
        relation: relation(calls, days),
        facts: facts.into_iter().map(|(id, line, identity)| Known { id, line, identity }).collect(),
        open: promises(connection, caller, today).await?,
        conflicts: conflicts(connection, caller).await?,
        last_call: last_call.map(|(started, text)| (Day::of_utc_ms(started), text)),
        recalled: Vec::new(),
    })
}

async fn promises(connection: &mut SqliteConnection, caller: i64, today: Day) -> Result<Vec<Open>, sqlx::Error> {
    // Somebody else may have answered when it was made than at the beginning of that call.
    let rows: Vec<(String, String, Option<String>, i64, Option<String>)> = sqlx::query_as(
        "SELECT who, what, due, made_utc_ms,
                coalesce((SELECT json ->> 'name' FROM events WHERE events.call = turns.call AND type = 'persona' AND at_ms <= turns.ended_ms
                          ORDER BY at_ms DESC LIMIT 1), calls.persona)
         FROM commitments LEFT JOIN turns ON turns.id = source_turn_id LEFT JOIN calls ON calls.id = turns.call
         WHERE commitments.caller_id = ?1 AND state = 'open' AND coalesce(due, date(made_utc_ms / 1000.0, 'unixepoch')) >= ?2
         ORDER BY due IS NULL, due, made_utc_ms DESC LIMIT 8",
    )
    .bind(caller)
    .bind(today.plus(-PROMISES_TOLD).to_string())
    .fetch_all(connection)
    .await?;
    let open = rows.into_iter().map(|(who, what, due, made, persona)| Open {
        who: if who == "agent" { Party::Agent } else { Party::Caller },
        what,
        due: due.as_deref().and_then(Day::parse),
        made: Day::of_utc_ms(made),
        persona,
    });
    Ok(open.collect())
}

async fn conflicts(connection: &mut SqliteConnection, caller: i64) -> Result<Vec<Conflict>, sqlx::Error> {
    let rows: Vec<(String, String, String, i64, i64)> = sqlx::query_as(
        "SELECT before.predicate, before.value, now.value, before.last_said_utc_ms, now.valid_from_utc_ms
         FROM facts AS before JOIN facts AS now ON now.id = before.superseded_by
         WHERE before.caller_id = ?1 AND before.valid_to_utc_ms > before.valid_from_utc_ms
         ORDER BY now.valid_from_utc_ms DESC LIMIT 8",
    )
    .bind(caller)
    .fetch_all(connection)
    .await?;
    let told = rows.into_iter().map(|(predicate, before, now, said, said_now)| Conflict {
        predicate,
        before,
        now,
        before_on: Day::of_utc_ms(said),
        now_on: Day::of_utc_ms(said_now),
    });
    Ok(told.collect())
}

/// What is asked of a caller's memory.
struct Asked<'a> {
    call: &'a str,
    text: &'a str,
    today: Day,
    most: u32,
    near: &'a [i64],
}

async fn recall(
    connection: &mut SqliteConnection,
    name: &str,
    Asked { call, text, today, most, near }: &Asked<'_>,
) -> Result<Vec<String>, sqlx::Error> {
    let most = *most;
    let Some(caller) = id_of(connection, name).await? else { return Ok(Vec::new()) };
    let mut lines = of_days(connection, caller, text, *today, most).await?;
    let words = content_words(text);
    let near = by_id(connection, caller, near).await?;
    if words.is_empty() {
        lines.extend(near.into_iter().take(most as usize));
        return Ok(lines);
    }
    let facts = facts_about(connection, caller, &words).await?;
    let texts: Vec<&str> = facts.iter().map(String::as_str).collect();
    let by_words: Vec<String> =
        ranked(&texts, &words).into_iter().take(most as usize).map(|best| facts[best].clone()).collect();
    lines.extend(fused(&by_words, &near).into_iter().take(most as usize));
    let said = said_about(connection, caller, call, &words).await?;
    let texts: Vec<&str> = said.iter().map(|(said, _)| said.as_str()).collect();
    lines.extend(ranked(&texts, &words).into_iter().take(most as usize).map(|best| {
        let (said, started) = &said[best];
        let quoted: String = said.chars().take(QUOTE_CHARS).collect();
        format!("{}: the caller said \"{quoted}\"", Day::of_utc_ms(*started))
    }));
    let mut once: Vec<String> = Vec::new();
    for line in lines {
        if !once.contains(&line) && once.len() < most as usize {
            once.push(line);
        }
    }
    Ok(once)
}

/// The lines of these facts, as far as they are this caller's and hold, in this order.
async fn by_id(connection: &mut SqliteConnection, caller: i64, ids: &[i64]) -> Result<Vec<String>, sqlx::Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_scalar(
        "SELECT facts.text FROM json_each(?2) AS wanted CROSS JOIN facts ON facts.id = wanted.value
         WHERE facts.caller_id = ?1 AND valid_to_utc_ms IS NULL ORDER BY wanted.key",
    )
    .bind(caller)
    .bind(serde_json::json!(ids).to_string())
    .fetch_all(connection)
    .await
}

/// Facts that have one of the words.
async fn facts_about(
    connection: &mut SqliteConnection,
    caller: i64,
    words: &[String],
) -> Result<Vec<String>, sqlx::Error> {
    let all: Vec<String> = sqlx::query_scalar(
        "SELECT text FROM facts WHERE caller_id = ?1 AND valid_to_utc_ms IS NULL ORDER BY last_said_utc_ms DESC LIMIT ?2",
    )
    .bind(caller)
    .bind(READ_THROUGH)
    .fetch_all(&mut *connection)
    .await?;
    if all.len() < READ_THROUGH as usize {
        return Ok(all.into_iter().filter(|fact| shares(fact, words) > 0).collect());
    }
    sqlx::query_scalar(
        "SELECT facts.text FROM facts_fts CROSS JOIN facts ON facts.id = facts_fts.rowid
         WHERE facts_fts MATCH ?1 AND facts.caller_id = ?2 AND facts.valid_to_utc_ms IS NULL
         ORDER BY facts_fts.rowid DESC LIMIT ?3",
    )
    .bind(find_any(caller, words))
    .bind(caller)
    .bind(CANDIDATES)
    .fetch_all(connection)
    .await
}

/// Turns of earlier calls that have two of the words, or the only one: one word in common is chance.
async fn said_about(
    connection: &mut SqliteConnection,
    caller: i64,
    call: &str,
    words: &[String],
) -> Result<Vec<(String, i64)>, sqlx::Error> {
    let all: Vec<(String, i64)> = sqlx::query_as(concat!(
        "SELECT turns.text, calls.started_utc_ms FROM calls JOIN turns ON turns.call = calls.id
         WHERE calls.caller_id = ?1 AND calls.id <> ?2 AND speaker = 'caller' AND text <> '' AND ",
        held_here!(),
        " ORDER BY calls.started_utc_ms DESC LIMIT ?3",
    ))
    .bind(caller)
    .bind(call)
    .bind(READ_THROUGH)
    .fetch_all(&mut *connection)
    .await?;
    let found = if all.len() < READ_THROUGH as usize {
        all
    } else {
        sqlx::query_as(concat!(
            "SELECT turns.text, calls.started_utc_ms FROM turns_fts
             CROSS JOIN turns ON turns.id = turns_fts.rowid CROSS JOIN calls ON calls.id = turns.call
             WHERE turns_fts MATCH ?1 AND calls.caller_id = ?2 AND calls.id <> ?3 AND ",
            held_here!(),
            " ORDER BY turns_fts.rowid DESC LIMIT ?4",
        ))
        .bind(find_any(caller, words))
        .bind(caller)
        .bind(call)
        .bind(CANDIDATES)
        .fetch_all(connection)
        .await?
    };
    Ok(found.into_iter().filter(|(said, _)| shares(said, words) >= words.len().min(2)).collect())
}

/// What is known of a day that `text` names.
async fn of_days(
    connection: &mut SqliteConnection,
    caller: i64,
    text: &str,
    today: Day,
    most: u32,
) -> Result<Vec<String>, sqlx::Error> {
    let spoken = words(text);
    let spoken: Vec<&str> = spoken.iter().map(String::as_str).collect();
    let day = |towards| find_day(&spoken, today, towards).map(|(day, _)| day.to_string());
    let (past, future) = (day(Towards::Past), day(Towards::Future));
    if past.is_none() && future.is_none() {
        return Ok(Vec::new());
    }
    sqlx::query_scalar(
        "SELECT text FROM facts WHERE caller_id = ?1 AND day IN (?2, ?3) AND valid_to_utc_ms IS NULL
         ORDER BY last_said_utc_ms DESC LIMIT ?4",
    )
    .bind(caller)
    .bind(past)
    .bind(future)
    .bind(most)
    .fetch_all(connection)
    .await
}

async fn all_of(connection: &mut SqliteConnection, name: &str) -> Result<Option<CallerMemory>, sqlx::Error> {
    let Some(id) = id_of(connection, name).await? else { return Ok(None) };
    let (calls, days) = talks(connection, id).await?;
    let facts = sqlx::query_as(
        "SELECT facts.*, turns.call, turns.turn FROM facts LEFT JOIN turns ON turns.id = facts.source_turn_id
         WHERE caller_id = ?1 ORDER BY facts.last_said_utc_ms DESC, facts.id DESC",
    )
    .bind(id)
    .fetch_all(&mut *connection)
    .await?;
    let commitments = sqlx::query_as(
        "SELECT commitments.*, turns.call, turns.turn
         FROM commitments LEFT JOIN turns ON turns.id = commitments.source_turn_id
         WHERE caller_id = ?1 ORDER BY made_utc_ms DESC, commitments.id DESC",
    )
    .bind(id)
    .fetch_all(&mut *connection)
    .await?;
    let summaries = sqlx::query_as(
        "SELECT call, started_utc_ms, text FROM call_summaries JOIN calls ON calls.id = call
         WHERE caller_id = ?1 ORDER BY started_utc_ms DESC",
    )
    .bind(id)
    .fetch_all(connection)
    .await?;
    let relation = relation(calls, days).as_str();
    Ok(Some(CallerMemory { caller: name.to_owned(), relation, calls, days, facts, commitments, summaries }))
}
