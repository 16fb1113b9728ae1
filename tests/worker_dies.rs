//! The embedded language model's process is killed in the middle of a live call: the call says so, the worker is started again
//! and the question is answered all the same.
#![cfg(target_os = "linux")]

mod house;

use std::path::{Path, PathBuf};
use std::time::Duration;

use duologue::peer::client::Caller;
use duologue::peer::{Peer, PeerEvent, Port, PortConfig};
use house::{House, models_are_here};
use reqwest::{Client, header};
use serde_json::Value;

const EMBEDDED: &str = "[asr]\nbackend = \"scripted\"\n[tts]\nbackend = \"scripted\"\n[llm]\nmodel = \"smollm2-135m\"\n[judge]\nkind = \"rules\"\n";

/// The worker of this test's own server: a child of this process.
fn worker() -> Option<u32> {
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let id: u32 = entry.file_name().to_str()?.parse().ok()?;
        let status = std::fs::read_to_string(entry.path().join("status")).ok()?;
        let of =
            |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).map(|value| value.trim().to_owned());
        (of("PPid:") == Some(std::process::id().to_string()) && of("Name:").as_deref() == Some("duologue-llm"))
            .then_some(id)
    })
}

/// The next event of the call; whatever else arrives is passed over.
async fn event(peer: &mut Peer) -> Value {
    loop {
        let next = tokio::time::timeout(Duration::from_secs(60), peer.events.recv()).await.expect("the call lives");
        match next.expect("the call lives") {
            PeerEvent::Message(text) => return serde_json::from_str(&text).expect("an event"),
            PeerEvent::Gone(why) => panic!("the call ended: {why}"),
            _ => {}
        }
    }
}

async fn call(house: &House) -> (Peer, Port) {
    let port = Port::bind(PortConfig::local("127.0.0.1:0".parse().expect("an address"))).await.expect("a port");
    let caller = Caller::new(&port).await.expect("an offer");
    let request = Client::new().post(format!("{}/v1/calls", house.url)).header(header::CONTENT_TYPE, "application/sdp");
    let response = request.body(caller.offer().to_owned()).send().await.expect("an answer");
    let answer = response.text().await.expect("an answer");
    (caller.answered(&answer).await.expect("usable"), port)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_in_a_call_is_started_again_and_the_call_goes_on() {
    let executable: PathBuf = Path::new(env!("CARGO_BIN_EXE_duologue")).with_file_name("duologue-llm");
    if !executable.is_file() || !models_are_here(&["smollm2-135m"]) {
        assert!(
            std::env::var_os("DUOLOGUE_REQUIRE_MODELS").is_none(),
            "build it: cargo build --release -p duologue-llm"
        );
        println!("not tried: the worker or its model is not here");
        return;
    }
    let house = House::open(EMBEDDED).await;
    let (mut peer, _port) = call(&house).await;
    while event(&mut peer).await["type"] != "call-started" {}
    assert!(peer.line.send_message(r#"{"type":"text","text":"Tell me about the harbour."}"#.into()));
    // The model is asked in the moment of the judgement, and needs some tenths of a second at the least.
    while event(&mut peer).await["type"] != "judgement" {}
    let before = worker().expect("a worker");
    let killed = std::process::Command::new("kill").arg("-KILL").arg(before.to_string()).status().expect("kill runs");
    assert!(killed.success());

    let mut troubles = Vec::new();
    let ended = loop {
        let event = event(&mut peer).await;
        match event["type"].as_str() {
            Some("trouble") => troubles.push(format!("{}: {}", event["code"], event["detail"])),
            // The greeting may have been cut off by the typed question.
            Some("turn-ended") if !troubles.is_empty() => break event,
            _ => {}
        }
    };
    assert!(troubles.iter().all(|code| code.starts_with("\"llm-")), "{troubles:?}");
    assert_eq!(ended["outcome"], "completed", "{ended} after {troubles:?}");
    assert!(ended["heard"].as_str().is_some_and(|heard| !heard.is_empty()), "{ended}");
    assert!(worker().is_some_and(|after| after != before), "another worker is there");

    let database = house.database();
    assert!(peer.line.send_message(r#"{"type":"hangup"}"#.into()));
    // The last event may be overtaken by the goodbye.
    while !matches!(peer.events.recv().await, Some(PeerEvent::Gone(_)) | None) {}
    peer.close().await;
    house.server.stop().await;
    let out = std::process::Command::new("sqlite3")
        .arg(database)
        .arg("SELECT c.end_reason, count(*) FROM calls c JOIN turns t ON t.call = c.id WHERE t.speaker = 'agent' AND t.outcome = 'completed'")
        .output()
        .expect("sqlite3 is installed");
    let row = String::from_utf8_lossy(&out.stdout);
    assert!(row.starts_with("caller-hangup|"), "{row}{}", String::from_utf8_lossy(&out.stderr));
    assert!(!row.trim().ends_with("|0"), "{row}");
}
