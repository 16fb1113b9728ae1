//! The page in a real browser at a real server, with the scripted back ends: what goes wrong is said, and a tab that is closed
//! leaves nothing behind. One start of Chromium plays all of it (tests/browser/scenes.mjs, `evening`).

mod house;
mod shared;

use std::path::Path;
use std::time::Duration;

use house::typed::typed_call;
use house::{House, browser_scenes, play};
use serde_json::Value;
use tokio::process::Command;

async fn rows(database: &Path, query: &str) -> Vec<String> {
    let out = Command::new("sqlite3").arg(database).arg(query).output().await.expect("sqlite3 is installed");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evening_of_what_goes_wrong_ends_with_a_call() {
    let Some(scenes) = browser_scenes() else { return };
    let house = House::scripted_with("[calls]\nmax = 1\n").await;
    let mic = house.folder.path().join("buzz.wav");
    // The recogniser knows the words, whatever is said.
    shared::voice_wav(&mic, 2);
    let mic = mic.display().to_string();
    let evening = [
        "--scene",
        "evening",
        "--persona",
        "porter",
        "--lead-ms",
        "6000",
        "--text",
        "Are dogs welcome?",
        "--mic",
        &mic,
    ];
    let seen = play(&house, &scenes, &evening).await;
    assert!(seen["microphone"].as_str().is_some_and(|words| words.contains("typing")), "{seen}");
    assert_eq!((&seen["nobody"]["status"], &seen["full"]["status"]), (&404.into(), &503.into()));
    assert_eq!(seen["closed"]["end_reason"], "caller-hangup");
    assert!(seen["closed"]["noticed_ms"].as_u64().is_some_and(|ms| ms < 5_000), "{}", seen["closed"]);
    assert_eq!(seen["ending"], "You hung up.");

    nothing_is_left(&house).await;
    let database = house.database();
    house.server.stop().await;
    assert_eq!(rows(&database, "SELECT end_reason FROM calls").await, ["caller-hangup", "caller-hangup"]);
    assert_eq!(rows(&database, "SELECT text FROM turns WHERE typed = 1").await, ["Are dogs welcome?"]);
    // The browser told what it played: the ledger of the last answer rests on it.
    let words =
        "SELECT count(*) > 0, min(heard_by), max(heard_by) FROM words WHERE turn = (SELECT max(turn) FROM words)
                 AND call = (SELECT max(id) FROM calls)";
    assert_eq!(rows(&database, words).await, ["1|report|report"]);
    let refused =
        "SELECT taken > 10, stale + absurd + future < taken / 4 FROM playout_reports ORDER BY call DESC LIMIT 1";
    assert_eq!(rows(&database, refused).await, ["1|1"]);
}

/// What a caller who is known sees of the judge and of memory, and has in hand.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_sees_what_is_remembered_and_puts_it_right() {
    const SCRIPT: &str =
        "rules:\n  - hears: [room is mine]\n    recites: is in room\n    says: I do not know.\notherwise: I see.\n";
    let Some(scenes) = browser_scenes() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("script.yaml");
    std::fs::write(&script, SCRIPT).expect("a script");
    let llm = format!("[llm]\nbackend = \"scripted\"\nmodel = {:?}\n", script.display().to_string());
    let house = House::open(&format!(
        "[asr]\nbackend = \"scripted\"\n[tts]\nbackend = \"scripted\"\n[judge]\nkind = \"rules\"\n{llm}"
    ))
    .await;
    let seen = play(&house, &scenes, &["--scene", "remembered", "--wait-ms", "30000"]).await;
    assert!(seen["judged"].as_str().is_some_and(|words| words.starts_with("respond")), "{seen}");
    assert_eq!((&seen["name"], &seen["left"]), (&"Ruth".into(), &Value::Array(Vec::new())), "{seen}");
    nothing_is_left(&house).await;
    let database = house.database();
    house.server.stop().await;
    assert_eq!(rows(&database, "SELECT count(*) FROM facts").await, ["0"], "what was before it is gone too");
    assert_eq!(rows(&database, "SELECT asked_by, facts FROM erasures").await, ["http|2"]);
}

/// The morning after, in the browser: two calls, one of them with words that would like to be markup.
#[tokio::test(flavor = "multi_thread")]
async fn a_reviewer_finds_a_call_hears_it_and_asks_about_it() {
    let Some(scenes) = browser_scenes() else { return };
    let recordings = tempfile::tempdir().expect("a folder");
    let dir = recordings.path().display().to_string();
    let house = House::scripted_with(&format!("[judge]\nkind = \"rules\"\n[recording]\ndir = {dir:?}\n")).await;
    typed_call(&house.server, "?caller=Ada", &["Is breakfast included?"]).await;
    typed_call(&house.server, "", &["Say <b>bold</b> <img src=x onerror=alert(1)>."]).await;
    let seen = play(&house, &scenes, &["--scene", "review", "--wait-ms", "30000"]).await;
    assert_eq!(seen["all"], "2 calls");
    assert!(seen["script"].as_str().is_some_and(|words| words.contains("<img src=x onerror=alert(1)>")), "{seen}");
    assert!(seen["now"].as_str().is_some_and(|words| words.contains("Good evening")), "{seen}");
    assert!(seen["answer"].as_str().is_some_and(|words| words.contains("agent") && words.contains("caller")), "{seen}");
    let database = house.database();
    assert_eq!(
        rows(&database, "SELECT label, labelled_by FROM reviewed WHERE label IS NOT NULL").await,
        ["silence|Ada"]
    );
    assert_eq!(seen["note"], "<i>Slow</i> here. Ada");
    assert_eq!(
        rows(&database, "SELECT text, by, at_ms BETWEEN 0 AND 60000 FROM notes").await,
        ["<i>Slow</i> here.|Ada|1"],
        "the other was taken away"
    );
    assert!(seen["refusal"].as_str().is_some_and(|words| words.contains("DELETE")), "{seen}");
    house.server.stop().await;
}

/// No call, no peer and none of its tasks: at once, or as soon as the last of them has said goodbye.
async fn nothing_is_left(house: &House) {
    // The goodbye of a closed tab goes through a real network stack: it is looked for, five seconds at most.
    for _ in 0..50 {
        let counts = house.server.registry.port_counts();
        if house.server.registry.count() == 0 && counts.peers == 0 && counts.tasks == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{} calls, {:?}", house.server.registry.count(), house.server.registry.port_counts());
}
