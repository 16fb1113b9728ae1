//! What is kept of calls that were connected, and what goes with a caller who is erased.

use duologue::journal::{BridgeEnd, BridgeRow, Entry};
use duologue::store::{AskedBy, Store, erase};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, SqliteConnection};

use super::common::{MONDAY_UTC_MS, caller_turn, closed, opened, place};

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
