//! Entries end in the right rows, in whatever order calls hand them over.

mod common;

use std::collections::BTreeMap;

use common::{MONDAY_UTC_MS, agent_turn, caller_turn, closed, event, fact, opened, partial, place, remembered, words};
use duologue::journal::{EndReason, Entry, MediaTotals};
use duologue::memory::Predicate;
use duologue::store::{Counts, Reader, Store};
use duologue_signaling::event::{Event, TurnOutcome};
use proptest::prelude::*;
use sqlx::{ConnectOptions as _, FromRow, sqlite::SqliteConnectOptions, sqlite::SqliteRow};

/// A store that has kept `entries`, closed again, and the rows that `question` then gives.
async fn rows_after<T>(entries: Vec<Entry>, question: &'static str) -> (Counts, Vec<T>)
where
    T: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
{
    let (_folder, path) = place();
    let store = Store::open(&path).await.expect("a database");
    let recorder = store.recorder();
    entries.into_iter().for_each(|entry| recorder.record(entry));
    let counts = store.close().await;
    let mut connection = SqliteConnectOptions::new().filename(&path).connect().await.expect("a database");
    let rows = sqlx::query_as(question).fetch_all(&mut connection).await.expect("an answer");
    (counts, rows)
}

async fn kept(entries: Vec<Entry>) -> (tempfile::TempDir, Store, Reader) {
    let (folder, path) = place();
    let store = Store::open(&path).await.expect("a database");
    entries.into_iter().for_each(|entry| store.recorder().record(entry));
    store.recorder().flush().await.expect("written");
    let reader = store.reader();
    (folder, store, reader)
}

#[tokio::test]
async fn a_call_reads_back_as_it_was() {
    let mut interrupted = agent_turn("c", 2, 900, "Good morning. How can I help?", "Good morning.");
    interrupted.ended_ms = 2_600;
    let (_folder, _store, reader) = kept(vec![
        opened("c", Some("Ada")),
        Entry::Turn(caller_turn("c", 1, 0, "Hello?")),
        Entry::Turn(interrupted),
        Entry::Turn(caller_turn("c", 3, 2_400, "Just the time.")),
        closed("c", 9_000),
    ])
    .await;
    let call = reader.call("c").await.expect("readable").expect("the call");
    let json = serde_json::to_value(&call).expect("JSON");
    assert_eq!(json["call"], "c");
    assert_eq!(json["started_utc"], "2026-01-05T10:00:00.000Z");
    assert_eq!(json["caller"], "Ada");
    assert_eq!(json["duration_s"], 9.0);
    assert_eq!(json["end_reason"], "caller-hangup");
    assert_eq!(
        (&json["caller_turns"], &json["agent_turns"], &json["interruptions"]),
        (&2.into(), &1.into(), &1.into())
    );
    assert_eq!((&json["response_median_ms"], &json["loss_percent"]), (&900.into(), &1.0.into()));
    assert_eq!(json["media"]["packets_received"], 990);
    assert_eq!((&json["media"]["jitter_delay_max_ms"], &json["media"]["drift_ppm"]), (&82.into(), &(-40).into()));
    assert_eq!(json["turns"][1]["heard"], "Good morning.");
    assert_eq!(json["turns"][1]["outcome"], "interrupted");
    assert_eq!(json["turns"][1]["first_packet_ms"], 1_800);
    assert_eq!(json["turns"][2]["heard"], serde_json::Value::Null);
    assert_eq!(reader.calls(10).await.expect("readable"), vec![call.summary]);
    assert_eq!(reader.call("nobody").await.expect("readable"), None);
}

#[tokio::test]
async fn every_word_for_an_end_or_an_outcome_is_known_to_the_schema() {
    use EndReason::{AgentHangup, Bug, CallerHangup, Crash, NetworkGone, NeverConnected, Shutdown, TimeLimit};
    use EndReason::{Busy, Declined, NoAnswer, Unreachable};
    let reasons = [
        CallerHangup,
        AgentHangup,
        NetworkGone,
        NeverConnected,
        Shutdown,
        TimeLimit,
        Crash,
        Bug,
        Busy,
        Declined,
        NoAnswer,
        Unreachable,
    ];
    let outcomes = [TurnOutcome::Completed, TurnOutcome::Interrupted, TurnOutcome::Revoked, TurnOutcome::Failed];
    let mut entries = Vec::new();
    for (n, reason) in reasons.into_iter().enumerate() {
        let call = format!("c{n:02}");
        entries.push(opened(&call, None));
        let (ended_utc_ms, detail) = (MONDAY_UTC_MS, String::new());
        entries.push(Entry::CallClosed {
            call,
            ended_utc_ms,
            duration_ms: 0,
            reason,
            detail,
            media: MediaTotals::default(),
        });
    }
    for (turn, outcome) in (1..).zip(outcomes) {
        let mut row = agent_turn("c00", turn, 0, "Yes.", "Yes.");
        row.outcome = Some(outcome);
        entries.push(Entry::Turn(row));
    }
    let (counts, ended) = rows_after::<(String, String)>(entries, "SELECT id, end_reason FROM calls ORDER BY id").await;
    assert_eq!(counts.refused, 0);
    assert_eq!(
        ended.into_iter().map(|(_, reason)| reason).collect::<Vec<_>>(),
        reasons.map(|reason| reason.as_str().to_owned())
    );
}

#[tokio::test]
async fn every_word_of_the_agent_is_kept_with_how_far_it_came() {
    let text = "We open at nine. On Sundays at ten.";
    let entries = vec![
        opened("c", None),
        Entry::Turn(agent_turn("c", 2, 900, text, "We open at nine. On Sundays")),
        // The call ended while two words were on their way: they were promised as heard, and are told again.
        words("c", 2, text, 2_000, 6, 4),
        words("c", 3, "of no turn", 2_000, 0, 0),
    ];
    let question =
        "SELECT n, words.text, state, sent_ms, heard_ms, heard_by, heard FROM words JOIN turns USING (call, turn)
                    ORDER BY n";
    type Row = (i64, String, String, Option<i64>, Option<i64>, Option<String>, String);
    let (counts, rows) = rows_after::<Row>(entries, question).await;
    assert_eq!(counts, Counts { kept: 3, lost: 0, refused: 1 });
    let states: Vec<&str> = rows.iter().map(|row| row.2.as_str()).collect();
    assert_eq!(states, ["heard", "heard", "heard", "heard", "sent", "sent", "synthesised", "synthesised"]);
    assert!(rows.iter().all(|row| row.6 == "We open at nine."), "{rows:?}");
    assert_eq!(
        rows[3],
        (
            4,
            "nine.".into(),
            "heard".into(),
            Some(2_800),
            Some(2_900),
            Some("estimate".into()),
            "We open at nine.".into()
        )
    );
}

#[tokio::test]
async fn what_breaks_a_rule_is_told_and_the_rest_goes_on() {
    let mut unheard = agent_turn("c", 2, 900, "Good morning.", "Good morning.");
    unheard.heard = Some("Good evening.".into());
    let mut backwards = caller_turn("c", 3, 500, "hm");
    backwards.ended_ms = 400;
    let entries = vec![
        Entry::Turn(caller_turn("unknown", 1, 0, "who is there?")),
        partial("unknown", 5, "who"),
        closed("unknown", 5),
        opened("c", None),
        opened("c", None),
        Entry::Turn(unheard),
        Entry::Turn(backwards),
        // Nobody asked to be remembered: no row, and no word among the incidents.
        remembered("c", 1, vec![fact(Predicate::Likes, "tea")]),
        Entry::Turn(caller_turn("c", 1, 0, "hello")),
        closed("c", 700),
        closed("c", 900),
    ];
    let question = "SELECT type, call, detail FROM incidents ORDER BY id";
    let (counts, told) = rows_after::<(String, String, String)>(entries, question).await;
    assert_eq!(counts, Counts { kept: 4, lost: 0, refused: 7 });
    let whys =
        ["not opened: unknown", "not opened: unknown", "not open: unknown", "UNIQUE", "CHECK", "CHECK", "not open: c"];
    assert_eq!(told.len(), whys.len());
    for ((kind, call, detail), why) in told.iter().zip(whys) {
        assert_eq!(kind, "entry-refused");
        assert!(detail.contains(why) && detail.contains(call.as_str()), "{why:?} is not in {detail:?}");
    }
    assert!(told[4].2.contains("Good evening."), "the refused turn's words are kept: {}", told[4].2);
}

#[tokio::test]
async fn an_event_keeps_its_body_as_json_and_its_type_and_time_as_columns() {
    let entries = vec![
        opened("c", None),
        event("c", 1_240, Event::Transcript { turn: 1, text: "don't \"quote\" me\0".into(), typed: false }),
        event("c", 1_300, Event::CallEnded { reason: "shutdown".into(), detail: String::new() }),
    ];
    let question = "SELECT at_ms, type, json FROM events ORDER BY id";
    let (_, rows) = rows_after::<(i64, String, String)>(entries, question).await;
    assert_eq!((rows[0].0, rows[0].1.as_str()), (1_240, "transcript"));
    let body: serde_json::Value = serde_json::from_str(&rows[0].2).expect("JSON");
    assert_eq!(body, serde_json::json!({"turn": 1, "text": "don't \"quote\" me\0", "typed": false}));
    assert_eq!((rows[1].0, rows[1].1.as_str()), (1_300, "call-ended"));
}

#[tokio::test]
async fn what_is_remembered_of_a_caller_is_there_in_the_next_call_and_for_nobody_else() {
    let (_folder, _store, reader) = kept(vec![
        opened("one", Some("Ada")),
        opened("two", Some("Grace")),
        Entry::Turn(caller_turn("one", 1, 0, "I moved to Turin.")),
        remembered("one", 1, vec![fact(Predicate::Home, "Turin")]),
        remembered("two", 1, vec![fact(Predicate::Has, "a boat")]),
        closed("one", 2_000),
        opened("three", Some("Ada")),
    ])
    .await;
    let memory = reader.memory("Ada", 10).await.expect("readable");
    let told: Vec<_> = memory.iter().map(|row| (row.text.as_str(), row.call.as_deref(), row.turn)).collect();
    assert_eq!(told, [("lives in Turin", Some("one"), Some(1))]);
    assert_eq!(reader.memory("Ada", 0).await.expect("readable"), []);
}

/// One thing that happens in one of three calls, the last of which nobody opened.
fn anything() -> impl Strategy<Value = (usize, u32, bool, String)> {
    (0usize..3, 1u32..6, any::<bool>(), "[a-zé ]{0,12}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn turns_and_events_in_any_order_end_in_the_right_rows(happened in prop::collection::vec(anything(), 0..60)) {
        let calls = ["a", "b", "unknown"];
        let mut entries = vec![opened("a", None), opened("b", None)];
        let mut turns = BTreeMap::new();
        let (mut events, mut refused) = (0, 0);
        for (which, turn, is_turn, text) in happened {
            let call = calls[which];
            entries.push(if is_turn { Entry::Turn(caller_turn(call, turn, 7, &text)) } else { partial(call, 1, &text) });
            match (call, is_turn) {
                ("unknown", _) => refused += 1,
                (_, true) => drop(turns.insert((call.to_owned(), i64::from(turn)), text)),
                (_, false) => events += 1,
            }
        }
        let all = entries.len() as u64;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let question = "SELECT call, turn, text, (SELECT count(*) FROM events) FROM turns ORDER BY call, turn";
        let (counts, rows) = runtime.block_on(rows_after::<(String, i64, String, i64)>(entries, question));
        prop_assert_eq!(counts, Counts { kept: all - refused, lost: 0, refused });
        prop_assert!(rows.iter().all(|row| row.3 == events));
        let found: Vec<_> = rows.into_iter().map(|(call, turn, text, _)| ((call, turn), text)).collect();
        prop_assert_eq!(found, turns.into_iter().collect::<Vec<_>>());
    }
}
