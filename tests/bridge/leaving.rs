//! How two are connected over HTTP, how somebody takes a call who is told nothing first, and what becomes of the caller when a line breaks.

use std::time::{Duration, Instant};

use duologue::audio::LINE_RATE;
use duologue::backend::scripted_voice::heard;
use duologue::recording::{file_of, read};
use duologue_signaling::event::BridgeState;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use super::baresip::share;
use super::browser::Browser;
use super::house::House;
use super::house::rows::rows;
use super::{ADA, BACK, DESK, ENOUGH, SIP, ask, caller, desk, goes_on_alone, hears, outcome, over};

#[tokio::test(flavor = "multi_thread")]
async fn two_calls_are_connected_and_parted_over_http_and_what_went_across_is_taken_out_of_both() {
    let folder = tempfile::tempdir().expect("a folder");
    let recording = format!("[recording]\ncalls = \"silent\"\ndir = {:?}\n", folder.path());
    let house = House::scripted_with(&format!("{SIP}{recording}")).await;
    let (mut ada, mut ben) =
        tokio::join!(Browser::call(&house.url, "?persona=porter"), Browser::call(&house.url, "?persona=porter"));
    tokio::join!(ada.until_turns(1), ben.until_turns(1));
    let (status, told) = ask(&house, &ada.call, "bridge", json!({"call": ben.call})).await;
    assert_eq!((status, told), (StatusCode::ACCEPTED, Value::Null));
    tokio::join!(ada.until_bridge(BridgeState::Joined), ben.until_bridge(BridgeState::Joined));
    let (status, told) = ask(&house, &ben.call, "bridge", json!({"call": ada.call})).await;
    assert_eq!((status, &told["type"]), (StatusCode::CONFLICT, &"/problems/bridge-under-way".into()), "{told}");
    let before = ben.heard().len();
    ada.says(ADA).await;
    hears(&ben, before, ADA).await;
    let parted = Client::new().delete(format!("{}/v1/calls/{}/bridge", house.url, ben.call)).bearer_auth("duologue");
    assert_eq!(parted.send().await.expect("an answer").status(), StatusCode::ACCEPTED);
    tokio::join!(ada.until_bridge(BridgeState::Parted), ben.until_bridge(BridgeState::Parted));
    tokio::join!(ada.until_turns(2), ben.until_turns(2));
    hears(&ben, before, BACK).await;
    // One of the two is over, and the other one is not: what is to go is in both.
    ada.hang_up();
    let ended = "SELECT ended_utc_ms FROM calls WHERE end_reason IS NOT NULL";
    let patience = Instant::now() + Duration::from_secs(10);
    while rows::<(i64,)>(&house, ended).await.is_empty() {
        assert!(Instant::now() < patience, "the call goes on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let out = json!({"from_ms": 0, "to_ms": 600_000, "why": "her key"});
    let (status, told) = ask(&house, &ada.call, "redactions", out.clone()).await;
    assert_eq!((status, &told["type"]), (StatusCode::CONFLICT, &"/problems/call-open".into()), "{told}");
    ben.hang_up();
    over(&house).await;
    let heard_by_ben = || {
        let [_, right] = read(&folder.path().join(file_of(&ben.call))).expect("a recording");
        heard(&right, LINE_RATE)
    };
    let patience = Instant::now() + Duration::from_secs(10);
    while rows::<(i64,)>(&house, "SELECT 1 FROM recordings WHERE sha256 IS NOT NULL").await.len() < 2 {
        assert!(Instant::now() < patience, "the recordings are not finished");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(share(&heard_by_ben(), ADA) >= ENOUGH);
    let (status, told) = ask(&house, &ada.call, "redactions", out).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    let left = heard_by_ben();
    assert!(share(&left, ADA) < 0.3, "her words are not in his recording: {left:?}");
    assert!(share(&left, BACK) >= ENOUGH, "what his agent said to him before and afterwards is: {left:?}");
    let redacted: Vec<(String,)> = rows(&house, "SELECT call FROM redactions ORDER BY id").await;
    assert_eq!(redacted, [(ada.call.clone(),), (ben.call.clone(),)]);
    assert_eq!(outcome(&house).await, "parted");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_is_to_be_told_nothing_is_connected_at_once() {
    let house = House::scripted_with(SIP).await;
    let mut phone = desk(2_500).await;
    let mut caller = caller(&house).await;
    let before = caller.heard().len();
    let to = json!({"to": format!("sip:anna@127.0.0.1:{}", phone.sip), "announce": false});
    let (status, told) = ask(&house, &caller.call, "handover", to).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{told}");
    caller.until_bridge(BridgeState::Joined).await;
    // Whoever picks up at once is there before the agent has said that it puts the caller through.
    caller.says(ADA).await;
    hears(&caller, before, DESK).await;
    caller.hang_up();
    over(&house).await;
    let agents: Vec<(String,)> = rows(
        &house,
        "SELECT text FROM turns JOIN calls ON calls.id = call WHERE speaker = 'agent' AND transport = 'sip-out' AND text <> ''",
    )
    .await;
    assert_eq!(agents, [], "nobody told the desk anything");
    let at_the_desk = phone.heard();
    assert!(share(&at_the_desk, ADA) >= ENOUGH, "{at_the_desk:?}\n{}", phone.log());
    assert_eq!(outcome(&house).await, "call-ended");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_whose_other_side_breaks_off_without_a_goodbye_is_with_the_agent_again() {
    let house = House::scripted_with(&SIP.replace("[sip]\n", "[sip]\nsilent_s = 2\n")).await;
    let phone = desk(60_000).await;
    let mut caller = caller(&house).await;
    let other = super::hand_over(&house, &caller.call, phone.sip).await;
    caller.until_bridge(BridgeState::Joined).await;
    let before = caller.heard().len();
    // It sends nothing any more, no BYE either.
    phone.freezes();
    caller.until_bridge(BridgeState::Parted).await;
    hears(&caller, before, BACK).await;
    goes_on_alone(&house, &mut caller).await;
    let ends: Vec<(String, String)> = rows(&house, "SELECT id, end_reason FROM calls ORDER BY started_utc_ms").await;
    assert_eq!(ends, [(caller.call.clone(), "caller-hangup".to_owned()), (other, "network-gone".to_owned())]);
    house.server.stop().await;
}
