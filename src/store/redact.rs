//! Taking a span of a call out of the file: what was said in it, what was remembered and decided because of it, and the row that
//! tells that this was done. Works beside a running server.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

use super::erase::{AskedBy, leave_nothing};
use super::error::StoreError;
use super::opening::options;
use super::rows::whole;
use super::utc_ms;

/// A server beside this one writes in batches of milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// What stands where words were.
pub const REDACTED: &str = "[redacted]";

/// What is to be taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub call: String,
    /// Milliseconds of the call.
    pub from_ms: u64,
    pub to_ms: u64,
    /// For people: a sentence.
    pub why: String,
    pub asked_by: AskedBy,
}

/// What became of the recording's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoundGone {
    pub first_page: u64,
    pub last_page: u64,
    pub bytes: u64,
    pub sha256_before: String,
    pub sha256_after: String,
    pub rest_sha256: String,
    /// The key that the new file is sealed with.
    pub key_id: Option<String>,
}

/// What went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Redacted {
    pub turns: i64,
    pub words: i64,
    /// Facts and promises.
    pub facts: i64,
}

/// A turn that the span touches.
#[derive(sqlx::FromRow)]
struct Touched {
    turn: i64,
    speaker: String,
    started_ms: i64,
    text: String,
    heard: Option<String>,
}

/// A word of the agent's: its place in the turn's text, and when its last sound left.
struct Word {
    n: i64,
    place: Range<usize>,
    sent_ms: Option<i64>,
}

/// What is deleted or emptied once the turns are known; `?1` is the call, `?2` the turns as JSON, `?3` and `?4` the span. Of an
/// event its numbers and the words of closed lists stay. A judgement was shown what was said before it, so that no situation from
/// the span on stays. Where no turn was touched (`[]`), a summary says nothing of it.
const STEPS: &[&str] = &[
    "UPDATE judgements SET rests_on = CASE WHEN rests_on IN (SELECT text FROM redacted_facts) THEN NULL ELSE rests_on END,
            situation = NULL
     WHERE (rests_on IN (SELECT text FROM redacted_facts)
            OR EXISTS (SELECT 1 FROM redacted_facts WHERE instr(situation, redacted_facts.text) > 0))
       AND call IN (SELECT id FROM calls WHERE caller_id = (SELECT caller_id FROM calls WHERE id = ?1))",
    "DELETE FROM facts WHERE source_turn_id IN
         (SELECT id FROM turns WHERE call = ?1 AND turn IN (SELECT value FROM json_each(?2)))",
    "DELETE FROM commitments WHERE source_turn_id IN
         (SELECT id FROM turns WHERE call = ?1 AND turn IN (SELECT value FROM json_each(?2)))",
    "UPDATE judgements SET text = CASE WHEN turn IN (SELECT value FROM json_each(?2)) OR at_ms BETWEEN ?3 AND ?4
                                       THEN '[redacted]' ELSE text END,
            rests_on = CASE WHEN turn IN (SELECT value FROM json_each(?2)) THEN NULL ELSE rests_on END, situation = NULL
     WHERE call = ?1 AND (turn IN (SELECT value FROM json_each(?2)) OR at_ms BETWEEN ?3 AND ?4
                          OR at_ms >= ?3 AND ?2 <> '[]')",
    "UPDATE labels SET reason = '' WHERE judgement_id IN
         (SELECT id FROM judgements WHERE call = ?1 AND turn IN (SELECT value FROM json_each(?2)))",
    "UPDATE notes SET text = '[redacted]' WHERE call = ?1 AND at_ms BETWEEN ?3 AND ?4",
    "DELETE FROM retrievals WHERE call = ?1
         AND (turn IN (SELECT value FROM json_each(?2)) OR caller_turn IN (SELECT value FROM json_each(?2)))",
    "DELETE FROM searches WHERE call = ?1
         AND (turn IN (SELECT value FROM json_each(?2)) OR caller_turn IN (SELECT value FROM json_each(?2)))",
    "DELETE FROM call_summaries WHERE call = ?1 AND ?2 <> '[]'",
    "UPDATE incidents SET detail = 'redacted' WHERE call = ?1 AND ?2 <> '[]'",
    // The input journal has the sound and the words once more, and cannot be replayed without them.
    "UPDATE journals SET removed_utc_ms = coalesce(removed_utc_ms, unixepoch() * 1000),
            removed_why = coalesce(removed_why, 'operator') WHERE call = ?1",
    "UPDATE events SET json = (
         SELECT json_group_object(key, atom) FROM (
             SELECT key, atom FROM json_each(events.json)
             WHERE type IN ('integer', 'real')
                OR key IN ('outcome', 'action', 'proposed', 'overruled_by', 'judge', 'moment', 'reason', 'state', 'code', 'asked_by')
             UNION ALL SELECT 'redacted', 1))
     WHERE call = ?1
       AND (at_ms BETWEEN ?3 AND ?4 OR json ->> 'turn' IN (SELECT value FROM json_each(?2))
            OR json ->> 'caller_turn' IN (SELECT value FROM json_each(?2))
            OR json ->> 'rests_on' IN (SELECT text FROM redacted_facts))",
];

/// Takes the span out of the rows; `None` where there is no such call. The recording's file is not touched: `sound` is what is to become
/// of it. [`tidy_redacted`] is to follow, once the file is in its place.
///
/// # Errors
/// When the file cannot be written. Nothing is taken out then.
pub async fn redact(path: &Path, span: &Span, sound: Option<&SoundGone>) -> Result<Option<Redacted>, StoreError> {
    let of = |error: sqlx::Error| StoreError::of(path, &error);
    let mut connection = secretly(path).connect().await.map_err(of)?;
    let redacted = redact_rows(&mut connection, span, sound).await.map_err(of)?;
    connection.close().await.map_err(of)?;
    Ok(redacted)
}

/// What was taken out leaves the index and the pages of the file, too. All of it is written anew, which takes seconds where it is
/// large.
///
/// # Errors
/// When the file cannot be written; the text says what is so all the same.
pub async fn tidy_redacted(path: &Path) -> Result<(), StoreError> {
    let of = |error: sqlx::Error| StoreError::of(path, &error);
    let mut connection = secretly(path).connect().await.map_err(of)?;
    leave_nothing(&mut connection, path, "the span is taken out", "do it again").await?;
    connection.close().await.map_err(of)
}

/// Freed pages are overwritten at once.
fn secretly(path: &Path) -> SqliteConnectOptions {
    options(path).busy_timeout(PATIENCE).pragma("secure_delete", "ON")
}

async fn redact_rows(
    connection: &mut SqliteConnection,
    span: &Span,
    sound: Option<&SoundGone>,
) -> Result<Option<Redacted>, sqlx::Error> {
    let (from, to) = (whole(span.from_ms), whole(span.to_ms));
    sqlx::query("CREATE TEMP TABLE IF NOT EXISTS redacted_facts (text TEXT NOT NULL)")
        .execute(&mut *connection)
        .await?;
    let mut all_or_nothing = connection.begin_with("BEGIN IMMEDIATE").await?;
    let there: bool = sqlx::query_scalar("SELECT count(*) > 0 FROM calls WHERE id = ?1")
        .bind(&span.call)
        .fetch_one(&mut *all_or_nothing)
        .await?;
    if !there {
        return Ok(None);
    }
    let touched: Vec<Touched> = sqlx::query_as(
        "SELECT turn, speaker, started_ms, text, heard FROM turns
         WHERE call = ?1 AND started_ms < ?3 AND ended_ms > ?2 ORDER BY turn",
    )
    .bind(&span.call)
    .bind(from)
    .bind(to)
    .fetch_all(&mut *all_or_nothing)
    .await?;
    let (mut turns, mut words) = (Vec::new(), 0);
    for turn in &touched {
        let gone = redact_turn(&mut all_or_nothing, &span.call, turn, from..to).await?;
        words += gone;
        if gone > 0 {
            turns.push(turn.turn);
        }
    }
    let numbers = serde_json::to_string(&turns).unwrap_or_default();
    let facts = gather_facts(&mut all_or_nothing, &span.call, &numbers).await?;
    for step in STEPS {
        let step = sqlx::query(*step).bind(&span.call).bind(&numbers).bind(from).bind(to);
        step.execute(&mut *all_or_nothing).await?;
    }
    sqlx::query("DELETE FROM redacted_facts").execute(&mut *all_or_nothing).await?;
    let redacted = Redacted { turns: turns.len() as i64, words, facts };
    tell(&mut all_or_nothing, span, redacted, sound).await?;
    all_or_nothing.commit().await?;
    Ok(Some(redacted))
}

/// The facts that go, for the rows that quote them; how many they are, promises included.
async fn gather_facts(connection: &mut SqliteConnection, call: &str, turns: &str) -> Result<i64, sqlx::Error> {
    sqlx::query("DELETE FROM redacted_facts").execute(&mut *connection).await?;
    let facts = sqlx::query(
        "INSERT INTO redacted_facts SELECT facts.text FROM facts JOIN turns ON turns.id = source_turn_id
         WHERE call = ?1 AND turn IN (SELECT value FROM json_each(?2))",
    )
    .bind(call)
    .bind(turns)
    .execute(&mut *connection)
    .await?
    .rows_affected();
    let promises: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM commitments JOIN turns ON turns.id = source_turn_id
         WHERE call = ?1 AND turn IN (SELECT value FROM json_each(?2))",
    )
    .bind(call)
    .bind(turns)
    .fetch_one(connection)
    .await?;
    Ok(whole(facts) + promises)
}

/// Takes out what a turn says in the span; gives how many words went. A caller's words have no moments of their own: all of them go.
/// Of the agent's words those go whose sound left in the span; where one went, so do those that never left.
async fn redact_turn(
    connection: &mut SqliteConnection,
    call: &str,
    turn: &Touched,
    span: Range<i64>,
) -> Result<i64, sqlx::Error> {
    let words = if turn.speaker == "agent" { words_of(connection, call, turn).await? } else { Vec::new() };
    let gone = within(&words, turn.started_ms, &span);
    let (text, heard, count) = if words.is_empty() {
        let emptied = |text: &String| if text.is_empty() { String::new() } else { REDACTED.to_owned() };
        (emptied(&turn.text), turn.heard.as_ref().map(emptied), turn.text.split_whitespace().count())
    } else {
        let (text, heard) = without(&turn.text, turn.heard.as_deref(), &words, &gone);
        (text, heard, gone.len())
    };
    if count == 0 {
        return Ok(0);
    }
    sqlx::query("UPDATE turns SET text = ?3, heard = ?4 WHERE call = ?1 AND turn = ?2")
        .bind(call)
        .bind(turn.turn)
        .bind(text)
        .bind(heard)
        .execute(&mut *connection)
        .await?;
    for n in gone {
        sqlx::query("UPDATE words SET text = ?4 WHERE call = ?1 AND turn = ?2 AND n = ?3")
            .bind(call)
            .bind(turn.turn)
            .bind(n)
            .bind(REDACTED)
            .execute(&mut *connection)
            .await?;
    }
    Ok(count as i64)
}

async fn words_of(connection: &mut SqliteConnection, call: &str, turn: &Touched) -> Result<Vec<Word>, sqlx::Error> {
    let rows: Vec<(i64, String, Option<i64>)> =
        sqlx::query_as("SELECT n, text, sent_ms FROM words WHERE call = ?1 AND turn = ?2 ORDER BY n")
            .bind(call)
            .bind(turn.turn)
            .fetch_all(connection)
            .await?;
    let (mut words, mut from) = (Vec::new(), 0);
    for (n, text, sent_ms) in rows {
        let Some(at) = turn.text.get(from..).and_then(|rest| rest.find(&text)) else { break };
        let place = from + at..from + at + text.len();
        from = place.end;
        words.push(Word { n, place, sent_ms });
    }
    Ok(words)
}

/// The numbers of the words that go.
fn within(words: &[Word], started_ms: i64, span: &Range<i64>) -> Vec<i64> {
    let (mut gone, mut begins_ms) = (Vec::new(), started_ms);
    for word in words {
        match word.sent_ms {
            Some(sent_ms) => {
                if begins_ms < span.end && sent_ms > span.start {
                    gone.push(word.n);
                }
                begins_ms = sent_ms;
            }
            None if !gone.is_empty() => gone.push(word.n),
            None => {}
        }
    }
    gone
}

/// The turn's text and what was heard of it, without those words: the latter stays the beginning of the former.
fn without(text: &str, heard: Option<&str>, words: &[Word], gone: &[i64]) -> (String, Option<String>) {
    let heard_to = heard.map_or(0, str::len);
    let (mut out, mut at, mut heard_out) = (String::new(), 0, None);
    for word in words.iter().filter(|word| gone.contains(&word.n)) {
        let between = &text[at..word.place.start];
        if heard_out.is_none() && heard_to < word.place.end {
            // It ends before this word, or within it: then before it, for what was heard of it goes.
            let kept = heard_to.clamp(at, word.place.start) - at;
            heard_out = Some(out.len() + kept);
        }
        out.push_str(between);
        out.push_str(REDACTED);
        at = word.place.end;
    }
    let heard_out = heard_out.unwrap_or(out.len() + heard_to.saturating_sub(at));
    out.push_str(&text[at..]);
    let heard = heard.map(|_| out.get(..heard_out).unwrap_or_default().to_owned());
    (out, heard)
}

async fn tell(
    connection: &mut SqliteConnection,
    span: &Span,
    redacted: Redacted,
    sound: Option<&SoundGone>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO redactions (call, from_ms, to_ms, why, asked_by, at_utc_ms, turns, words, facts, first_page, last_page,
                                 sha256_before, sha256_after, rest_sha256)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )
    .bind(&span.call)
    .bind(whole(span.from_ms))
    .bind(whole(span.to_ms))
    .bind(&span.why)
    .bind(span.asked_by.as_str())
    .bind(utc_ms())
    .bind(redacted.turns)
    .bind(redacted.words)
    .bind(redacted.facts)
    .bind(sound.map(|sound| whole(sound.first_page)))
    .bind(sound.map(|sound| whole(sound.last_page)))
    .bind(sound.map(|sound| &sound.sha256_before))
    .bind(sound.map(|sound| &sound.sha256_after))
    .bind(sound.map(|sound| &sound.rest_sha256))
    .execute(&mut *connection)
    .await?;
    if let Some(sound) = sound {
        // It is in the folder again, and on the store there is still the one of before (`unremoved`).
        sqlx::query("UPDATE recordings SET sha256 = ?2, bytes = ?3, key_id = ?4, object = NULL, stored_utc_ms = NULL WHERE call = ?1")
            .bind(&span.call)
            .bind(&sound.sha256_after)
            .bind(whole(sound.bytes))
            .bind(&sound.key_id)
            .execute(connection)
            .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str, sent_ms: &[i64]) -> Vec<Word> {
        let mut from = 0;
        let place = |word: &str| {
            let at = from + text[from..].find(word).expect("a word of it");
            from = at + word.len();
            at..from
        };
        let places: Vec<Range<usize>> = text.split_whitespace().map(place).collect();
        (1..).zip(places).map(|(n, place)| Word { n, place, sent_ms: sent_ms.get(n as usize - 1).copied() }).collect()
    }

    #[test]
    fn words_go_by_the_moment_of_their_sound_and_the_rest_stays_a_prefix() {
        let text = "Your number is four two, as you said.";
        let ledger = words(text, &[1_200, 1_600, 1_800, 2_100, 2_400, 2_700]);
        let gone = within(&ledger, 1_000, &(1_900..2_200));
        // What never left goes with it.
        assert_eq!(gone, [4, 5, 7, 8]);
        let told = without(text, Some("Your number is four two, as"), &ledger, &gone);
        let kept = "Your number is [redacted] [redacted] as";
        assert_eq!(told, (format!("{kept} [redacted] [redacted]"), Some(kept.into())));
        assert_eq!(within(&ledger, 1_000, &(2_700..9_000)), Vec::<i64>::new(), "the span begins where the sound ends");
        let told = without(text, Some("Your num"), &ledger, &[2, 3]);
        assert_eq!(told.1.as_deref(), Some("Your "), "a word that goes was heard as a whole, or not");
        assert_eq!(without(text, None, &ledger, &[1]).1, None);
    }
}
