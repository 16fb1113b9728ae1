//! A real call over real sockets through a network that loses every tenth packet: it goes on to its end, and the rows say what
//! was lost and what was done about it.

mod house;
mod shared;

use std::process::Stdio;

use house::House;
use serde_json::Value;
use sqlx::{ConnectOptions as _, sqlite::SqliteConnectOptions};
use tokio::process::Command;

/// What `duologue call` printed under a name, the last such line.
fn printed(out: &[u8], name: &str) -> Value {
    let lines: Vec<Value> =
        String::from_utf8_lossy(out).lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    lines.iter().rev().find_map(|line| line.get(name).cloned()).unwrap_or_else(|| panic!("no {name} in {lines:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_over_a_network_that_loses_every_tenth_packet_goes_on_and_is_told_of() {
    let house = House::scripted().await;
    let voice = house.folder.path().join("voice.wav");
    shared::voice_wav(&voice, 10);
    let call = Command::new(env!("CARGO_BIN_EXE_duologue"))
        .arg("call")
        .arg(&voice)
        .args(["--url", &house.url, "--persona", "echo", "--json", "--hangup-after", "12"])
        .args(["--impair", "loss=0.1", "--impair-seed", "4"])
        .stderr(Stdio::inherit())
        .output()
        .await
        .expect("runs");
    assert!(call.status.success(), "{}", String::from_utf8_lossy(&call.stdout));

    let (relay, received) = (printed(&call.stdout, "relay"), printed(&call.stdout, "received"));
    let count = |value: &Value, name: &str| value[name].as_i64().unwrap_or_else(|| panic!("{name} in {value}"));
    let taken = count(&relay["rtp_back"], "lost");
    assert!(taken > 20, "the network was bad: {relay}");
    // Copies brought nearly all of it back: of ten percent, one in a thousand is lost with two copies.
    assert!(count(&received, "recovered") > taken / 2, "{received}, {taken} taken");
    assert!(count(&received, "lost") <= taken / 4, "{received}, {taken} taken");

    let database = house.database();
    house.server.stop().await;
    let mut rows = SqliteConnectOptions::new().filename(&database).connect().await.expect("a database");
    let (reports, expected, lost, copies): (i64, i64, i64, i64) =
        sqlx::query_as("SELECT reports, packets_expected, packets_lost, copies_sent FROM downlink")
            .fetch_one(&mut rows)
            .await
            .expect("one call");
    assert!(reports >= 3 && expected > 300 && copies > 300, "{reports} reports, {expected} expected, {copies} copies");
    // What was taken after the last report is not told; nothing is told that was not taken.
    assert!((taken / 2..=taken).contains(&lost), "{lost} told, {taken} taken");
    let ended: (String, i64) =
        sqlx::query_as("SELECT end_reason, packets_lost FROM calls").fetch_one(&mut rows).await.expect("one call");
    assert_eq!(ended.0, "caller-hangup");
    assert!(ended.1 > 0, "the way from the caller lost packets too");
}
