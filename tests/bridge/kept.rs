//! What is kept of calls that were connected, and what goes with a caller who is erased.

use duologue::journal::{BridgeEnd, BridgeRow, Entry};
use duologue::redaction::{RedactFault, take_out};
use duologue::store::{AskedBy, REDACTED, Redacted, Span, Store, erase};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, SqliteConnection};

use super::common::{MONDAY_UTC_MS, agent_turn, caller_turn, closed, opened, place};

fn bridge(id: &str, other: &str, kind: &'static str, end: Option<BridgeEnd>) -> Entry {
    let (asked_utc_ms, joined_utc_ms) = (MONDAY_UTC_MS, Some(MONDAY_UTC_MS + 9_000));
    let (id, call, other) = (id.to_owned(), "a".to_owned(), other.to_owned());
    Entry::Bridge(BridgeRow { id, call, other, kind, asked_utc_ms, joined_utc_ms, end })
}

fn recorded(call: &str) -> Entry {
    Entry::RecordingBegan { call: call.into(), file: format!("{call}.ogg"), started_ms: 0, key_id: None }
}

async fn file(path: &std::path::Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).read_only(true).connect().await.expect("a database")
}

#[tokio::test]
async fn who_is_erased_goes_from_the_calls_that_were_connected_with_theirs() {
    let (folder, path) = place();
    let store = Store::open(&path).await.expect("a database");
    for (call, caller, text) in [("a", "ada", "I am Ada."), ("b", "desk", "Hello Ada."), ("c", "ben", "I am Ben.")] {
        for entry in [opened(call, Some(caller)), Entry::Turn(caller_turn(call, 1, 100, text)), recorded(call)] {
            store.recorder().record(entry);
        }
    }
    let end = BridgeEnd {
        at_utc_ms: MONDAY_UTC_MS + 60_000,
        outcome: "other-ended",
        passed: 5_000,
        missing: 3,
        dropped: 1,
        relayed: 0,
    };
    store.recorder().record(bridge("1", "b", "handover", None));
    store.recorder().record(bridge("1", "b", "handover", Some(end)));
    store.recorder().record(bridge("2", "c", "bridge", None));
    for call in ["a", "b", "c"] {
        store.recorder().record(closed(call, 60_000));
    }
    store.close().await;
    // What was left open by a server that stopped is closed by the next.
    Store::open(&path).await.expect("a database").close().await;
    let ends: Vec<(String, String, i64, i64)> =
        sqlx::query_as("SELECT id, outcome, passed, ended_utc_ms - asked_utc_ms FROM bridges ORDER BY id")
            .fetch_all(&mut file(&path).await)
            .await
            .expect("rows");
    assert_eq!(ends, [("1".into(), "other-ended".into(), 5_000, 60_000), ("2".into(), "crash".into(), 0, 60_000)]);
    erase(&path, folder.path(), "ada", AskedBy::Operator).await.expect("erased").expect("a caller");
    let left: Vec<(String, String, Option<String>)> = sqlx::query_as(
        "SELECT turns.call, text, removed_why FROM turns JOIN recordings ON recordings.call = turns.call ORDER BY turns.call",
    )
    .fetch_all(&mut file(&path).await)
    .await
    .expect("rows");
    let erased = Some("erased".to_owned());
    assert_eq!(left[0], ("a".into(), String::new(), erased.clone()));
    assert_eq!(left[1], ("b".into(), String::new(), erased.clone()), "whoever took her over spoke of her");
    assert_eq!(left[2], ("c".into(), "I am Ben.".into(), erased), "his words are his, and his recording has her voice");
}

fn ended(outcome: &'static str) -> Option<BridgeEnd> {
    Some(BridgeEnd { at_utc_ms: MONDAY_UTC_MS + 30_000, outcome, passed: 1_000, missing: 0, dropped: 0, relayed: 0 })
}

/// All that was said, by call and turn.
async fn said(path: &std::path::Path) -> Vec<(String, i64, String)> {
    sqlx::query_as("SELECT call, turn, text FROM turns ORDER BY call, turn")
        .fetch_all(&mut file(path).await)
        .await
        .expect("rows")
}

#[tokio::test]
async fn what_is_taken_out_of_a_call_is_taken_out_of_the_one_that_it_was_connected_with() {
    let (folder, path) = place();
    let store = Store::open(&path).await.expect("a database");
    let told = "I have a caller on the line. He said: my number is four two.";
    for entry in [
        opened("a", Some("ada")),
        opened("b", None),
        opened("c", None),
        Entry::Turn(caller_turn("a", 1, 1_000, "My number is four two.")),
        // Before they are connected, nine seconds after both began.
        Entry::Turn(agent_turn("b", 1, 3_000, told, told)),
        Entry::Turn(caller_turn("b", 2, 12_000, "Four two, thank you.")),
        Entry::Turn(caller_turn("a", 2, 20_000, "Is it in order?")),
        Entry::Turn(caller_turn("b", 3, 40_000, "This was after it.")),
        Entry::Turn(caller_turn("c", 1, 1_000, "I know nothing of it.")),
        bridge("1", "b", "handover", ended("parted")),
        closed("a", 60_000),
        closed("c", 60_000),
    ] {
        store.recorder().record(entry);
    }
    store.recorder().flush().await.expect("written");
    let take = async |from_ms, to_ms| {
        let span = Span { call: "a".into(), from_ms, to_ms, why: "a number".into(), asked_by: AskedBy::Operator };
        take_out(&path, folder.path(), &span).await
    };
    let before = said(&path).await;
    assert!(matches!(take(11_000, 14_000).await, Err(RedactFault::StillOpen(call)) if call == "b"));
    assert_eq!(said(&path).await, before, "nothing goes before all of it can");
    store.recorder().record(closed("b", 60_000));
    store.recorder().flush().await.expect("written");
    // What the other side repeated.
    assert_eq!(take(11_000, 14_000).await.expect("taken out"), Redacted { turns: 1, words: 4, facts: 0 });
    // What was said, and what the other side was told of it.
    assert_eq!(take(500, 3_000).await.expect("taken out").turns, 2);
    let left = said(&path).await;
    let kept: Vec<&str> = left.iter().map(|(_, _, text)| text.as_str()).filter(|text| *text != REDACTED).collect();
    assert_eq!(kept, ["Is it in order?", "This was after it.", "I know nothing of it."]);
    let rows: Vec<(String, i64, i64)> = sqlx::query_as("SELECT call, from_ms, to_ms FROM redactions ORDER BY id")
        .fetch_all(&mut file(&path).await)
        .await
        .expect("rows");
    let row = |call: &str, from, to| (call.to_owned(), from, to);
    let both = [row("a", 11_000, 14_000), row("b", 10_750, 14_250), row("a", 500, 3_000), row("b", 0, 9_000)];
    assert_eq!(rows, both);
    store.close().await;
}
