//! What a turn gave to remember becomes rows: a fact, a second time of saying it, a value that supersedes another, a promise,
//! or the end of what the caller wants forgotten.

use sqlx::SqliteConnection;

use super::rows::{Kept, whole};
use super::search::find_all;
use crate::journal::{CallId, Entry};
use crate::memory::keeping::Closing;
use crate::memory::meaning::Meaning;
use crate::memory::{Commitment, Fact, Gleanings, Party, Wish, content_words};

/// Whose call it is; `None` for calls without a caller, and where the caller has been erased meanwhile.
async fn caller_of(connection: &mut SqliteConnection, call: &CallId) -> Result<Option<i64>, sqlx::Error> {
    let caller: Option<Option<i64>> =
        sqlx::query_scalar("SELECT caller_id FROM calls WHERE id = ?1").bind(call).fetch_optional(connection).await?;
    Ok(caller.flatten())
}

/// Keeps what a turn gave. A call without a caller leaves nothing, and not even a word of it among the incidents: nobody
/// has asked to be remembered.
pub(super) async fn remember(
    connection: &mut SqliteConnection,
    call: &CallId,
    turn: u32,
    gleanings: &Gleanings,
    at_utc_ms: i64,
) -> Result<Kept, sqlx::Error> {
    let Some(caller) = caller_of(connection, call).await? else { return Ok(Kept::Yes) };
    let source: Option<i64> = sqlx::query_scalar("SELECT id FROM turns WHERE call = ?1 AND turn = ?2")
        .bind(call)
        .bind(turn)
        .fetch_optional(&mut *connection)
        .await?;
    for wish in &gleanings.wishes {
        forget(connection, caller, wish, at_utc_ms).await?;
    }
    for ended in &gleanings.ended {
        sqlx::query(
            "UPDATE facts SET valid_to_utc_ms = max(valid_from_utc_ms, ?5)
             WHERE caller_id = ?1 AND subject = ?2 AND predicate = ?3 AND value = ?4 COLLATE NOCASE
               AND valid_to_utc_ms IS NULL",
        )
        .bind(caller)
        .bind(&ended.subject)
        .bind(ended.predicate.as_str())
        .bind(&ended.value)
        .bind(at_utc_ms)
        .execute(&mut *connection)
        .await?;
    }
    for fact in &gleanings.facts {
        learn(connection, caller, source, fact, at_utc_ms).await?;
    }
    for commitment in &gleanings.commitments {
        promise(connection, caller, source, commitment, at_utc_ms).await?;
    }
    for closing in &gleanings.closed {
        close(connection, caller, source, closing, at_utc_ms).await?;
    }
    Ok(Kept::Yes)
}

/// A promise has been kept or dropped.
async fn close(
    connection: &mut SqliteConnection,
    caller: i64,
    source: Option<i64>,
    closing: &Closing,
    at_utc_ms: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE commitments SET state = ?4, closed_by = ?5, closed_utc_ms = ?6, closed_turn_id = ?7
         WHERE caller_id = ?1 AND who = ?2 AND what = ?3 AND state = 'open'",
    )
    .bind(caller)
    .bind(closing.who.as_str())
    .bind(&closing.what)
    .bind(closing.end.as_str())
    .bind(closing.why)
    .bind(at_utc_ms)
    .bind(source)
    .execute(connection)
    .await?;
    Ok(())
}

/// The agent has brought a promise up.
pub(super) async fn raised(
    connection: &mut SqliteConnection,
    call: &CallId,
    at_ms: u64,
    who: Party,
    what: &str,
) -> Result<Kept, sqlx::Error> {
    sqlx::query(
        "UPDATE commitments SET raised_utc_ms = (SELECT started_utc_ms FROM calls WHERE id = ?1) + ?2
         WHERE caller_id = (SELECT caller_id FROM calls WHERE id = ?1) AND who = ?3 AND what = ?4",
    )
    .bind(call)
    .bind(whole(at_ms))
    .bind(who.as_str())
    .bind(what)
    .execute(connection)
    .await?;
    Ok(Kept::Yes)
}

async fn learn(
    connection: &mut SqliteConnection,
    caller: i64,
    source: Option<i64>,
    fact: &Fact,
    at_utc_ms: i64,
) -> Result<(), sqlx::Error> {
    let day = fact.day.map(|day| day.to_string());
    let again = sqlx::query(
        "UPDATE facts SET said_times = said_times + 1, last_said_utc_ms = max(last_said_utc_ms, ?6)
         WHERE caller_id = ?1 AND subject = ?2 AND predicate = ?3 AND value = ?4 COLLATE NOCASE AND day IS ?5
           AND valid_to_utc_ms IS NULL",
    )
    .bind(caller)
    .bind(&fact.subject)
    .bind(fact.predicate.as_str())
    .bind(&fact.value)
    .bind(&day)
    .bind(at_utc_ms)
    .execute(&mut *connection)
    .await?;
    if again.rows_affected() > 0 {
        return Ok(());
    }
    let before: Option<i64> = if fact.predicate.is_slot() {
        sqlx::query_scalar(
            "UPDATE facts SET valid_to_utc_ms = max(valid_from_utc_ms, ?4)
             WHERE caller_id = ?1 AND subject = ?2 AND predicate = ?3 AND slot = 1 AND valid_to_utc_ms IS NULL
             RETURNING id",
        )
        .bind(caller)
        .bind(&fact.subject)
        .bind(fact.predicate.as_str())
        .bind(at_utc_ms)
        .fetch_optional(&mut *connection)
        .await?
    } else {
        None
    };
    let now = sqlx::query(
        "INSERT INTO facts (caller_id, kind, subject, predicate, value, slot, text, day, confidence, source_turn_id,
                            last_said_utc_ms, valid_from_utc_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11)",
    )
    .bind(caller)
    .bind(fact.predicate.kind().as_str())
    .bind(&fact.subject)
    .bind(fact.predicate.as_str())
    .bind(&fact.value)
    .bind(fact.predicate.is_slot())
    .bind(fact.line())
    .bind(&day)
    .bind(f64::from(fact.confidence))
    .bind(source)
    .bind(at_utc_ms)
    .execute(&mut *connection)
    .await?
    .last_insert_rowid();
    if let Some(before) = before {
        sqlx::query("UPDATE facts SET superseded_by = ?2 WHERE id = ?1")
            .bind(before)
            .bind(now)
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// The same promise twice is one.
async fn promise(
    connection: &mut SqliteConnection,
    caller: i64,
    source: Option<i64>,
    commitment: &Commitment,
    at_utc_ms: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO commitments (caller_id, who, what, due, source_turn_id, made_utc_ms)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6
         WHERE NOT EXISTS (SELECT 1 FROM commitments
                           WHERE caller_id = ?1 AND who = ?2 AND what = ?3 AND due IS ?4 AND state = 'open')",
    )
    .bind(caller)
    .bind(commitment.who.as_str())
    .bind(&commitment.what)
    .bind(commitment.due.map(|day| day.to_string()))
    .bind(source)
    .bind(at_utc_ms)
    .execute(connection)
    .await?;
    Ok(())
}

/// What came of asking the language model; calls without a caller are not asked about.
pub(super) async fn extracted(connection: &mut SqliteConnection, entry: &Entry) -> Result<Kept, sqlx::Error> {
    let Entry::Extracted { call, turn, at_utc_ms, outcome, facts, refused, took_ms } = entry else {
        return Ok(Kept::Refused("not an extraction".into()));
    };
    sqlx::query(
        "INSERT INTO extractions (call, turn, at_utc_ms, outcome, facts, refused, took_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )
    .bind(call)
    .bind(turn)
    .bind(at_utc_ms)
    .bind(*outcome)
    .bind(facts)
    .bind(refused)
    .bind(whole(*took_ms))
    .execute(connection)
    .await?;
    Ok(Kept::Yes)
}

/// What a fact means; a fact that has been forgotten meanwhile has no meaning.
pub(super) async fn mean(
    connection: &mut SqliteConnection,
    call: &CallId,
    line: &str,
    model: &str,
    meaning: &Meaning,
) -> Result<Kept, sqlx::Error> {
    sqlx::query(
        "INSERT INTO fact_vectors (fact_id, model, vector)
         SELECT facts.id, ?3, ?4 FROM facts JOIN calls ON calls.caller_id = facts.caller_id
         WHERE calls.id = ?1 AND facts.text = ?2 AND valid_to_utc_ms IS NULL
         ON CONFLICT (fact_id) DO UPDATE SET model = excluded.model, vector = excluded.vector",
    )
    .bind(call)
    .bind(line)
    .bind(model)
    .bind(meaning.bytes())
    .execute(connection)
    .await?;
    Ok(Kept::Yes)
}

/// What a call was about.
pub(super) async fn sum_up(connection: &mut SqliteConnection, call: &CallId, text: &str) -> Result<Kept, sqlx::Error> {
    if caller_of(connection, call).await?.is_some() {
        sqlx::query(
            "INSERT INTO call_summaries (call, text) VALUES (?1, ?2) ON CONFLICT (call) DO UPDATE SET text = excluded.text",
        )
        .bind(call)
        .bind(text)
        .execute(connection)
        .await?;
    }
    Ok(Kept::Yes)
}

/// Facts go for good, the values before them too. What was said stays with its call until the caller is erased, but is
/// not found any more. That it happened is a row, without a word of it.
async fn forget(
    connection: &mut SqliteConnection,
    caller: i64,
    wish: &Wish,
    at_utc_ms: i64,
) -> Result<(), sqlx::Error> {
    let (facts, turns) = match wish {
        Wish::ForgetEverything => forget_all(connection, caller).await?,
        Wish::ForgetAbout(about) => forget_about(connection, caller, about).await?,
    };
    // What judges were shown of it goes too: it is for training, and would outlive the wish there.
    sqlx::query(
        "UPDATE judgements SET rests_on = NULL, situation = json_set(situation, '$.memory', json('[]'))
         WHERE call IN (SELECT id FROM calls WHERE caller_id = ?1) AND situation IS NOT NULL",
    )
    .bind(caller)
    .execute(&mut *connection)
    .await?;
    sqlx::query("INSERT INTO erasures (at_utc_ms, asked_by, facts, turns, calls) VALUES (?1, 'caller', ?2, ?3, 0)")
        .bind(at_utc_ms)
        .bind(facts)
        .bind(turns)
        .execute(connection)
        .await?;
    Ok(())
}

/// How many facts went, and how many turns are not found any more.
async fn forget_all(connection: &mut SqliteConnection, caller: i64) -> Result<(i64, i64), sqlx::Error> {
    let mut gone = [0; 2];
    for (n, statement) in [
        "DELETE FROM facts WHERE caller_id = ?1",
        "DELETE FROM turns_fts WHERE rowid IN (SELECT turns.id FROM turns JOIN calls ON calls.id = call WHERE caller_id = ?1)",
        "DELETE FROM commitments WHERE caller_id = ?1",
        "DELETE FROM call_summaries WHERE call IN (SELECT id FROM calls WHERE caller_id = ?1)",
    ]
    .into_iter()
    .enumerate()
    {
        let done = sqlx::query(statement).bind(caller).execute(&mut *connection).await?.rows_affected();
        if let Some(gone) = gone.get_mut(n) {
            *gone = i64::try_from(done).unwrap_or(i64::MAX);
        }
    }
    Ok((gone[0], gone[1]))
}

async fn forget_about(connection: &mut SqliteConnection, caller: i64, about: &str) -> Result<(i64, i64), sqlx::Error> {
    let words = content_words(about);
    let Some(found) = find_all(caller, &words) else { return Ok((0, 0)) };
    let gone: Vec<(i64, String, Option<i64>)> = sqlx::query_as(
        "SELECT id, text, source_turn_id FROM facts WHERE caller_id = ?1
         AND (predicate IN (SELECT value FROM json_each(?3)) OR id IN (SELECT rowid FROM facts_fts WHERE facts_fts MATCH ?2))",
    )
    .bind(caller)
    .bind(&found)
    .bind(serde_json::json!(words).to_string())
    .fetch_all(&mut *connection)
    .await?;
    let ids: Vec<i64> = gone.iter().map(|(id, _, _)| *id).collect();
    let facts = sqlx::query("DELETE FROM facts WHERE id IN (SELECT value FROM json_each(?1))")
        .bind(serde_json::json!(ids).to_string())
        .execute(&mut *connection)
        .await?
        .rows_affected();
    // "My allergy" is in no word of "I can't have nuts": the turns that the facts rest on go with them.
    let sources: Vec<i64> = gone.iter().filter_map(|(_, _, source)| *source).collect();
    let turns = sqlx::query(
        "DELETE FROM turns_fts WHERE rowid IN (SELECT rowid FROM turns_fts AS found WHERE found.turns_fts MATCH ?1)
         OR rowid IN (SELECT value FROM json_each(?2))",
    )
    .bind(&found)
    .bind(serde_json::json!(sources).to_string())
    .execute(&mut *connection)
    .await?
    .rows_affected();
    for sought in words.into_iter().chain(gone.into_iter().map(|(_, text, _)| text)) {
        for statement in [
            "DELETE FROM commitments WHERE caller_id = ?1 AND instr(lower(what), lower(?2)) > 0",
            "DELETE FROM call_summaries
             WHERE call IN (SELECT id FROM calls WHERE caller_id = ?1) AND instr(lower(text), lower(?2)) > 0",
        ] {
            sqlx::query(statement).bind(caller).bind(&sought).execute(&mut *connection).await?;
        }
    }
    Ok((i64::try_from(facts).unwrap_or(i64::MAX), i64::try_from(turns).unwrap_or(i64::MAX)))
}
