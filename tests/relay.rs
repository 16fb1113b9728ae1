//! A caller whose network lets no datagram through to the server: the call page takes a name and a password from `GET /v1/ice`, and its
//! sound goes both ways through a real relay (coturn) that shares a secret with us.

mod house;
mod shared;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use house::{House, browser_scenes, play};
use tokio::process::{Child, Command};

const SECRET: &str = "north-by-north-west";

/// A relay on this machine: the process and its port. It ends with the test.
async fn relay(folder: &Path) -> (Child, u16) {
    // Free for TCP as well, on which it is found out that the relay listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a port").port();
    let log = std::fs::File::create(folder.join("turn.log")).expect("a log");
    let child = Command::new("turnserver")
        .args(["-n", "--listening-ip", "127.0.0.1", "--relay-ip", "127.0.0.1", "--listening-port", &port.to_string()])
        .args(["--use-auth-secret", "--static-auth-secret", SECRET, "--realm", "example.org", "--allow-loopback-peers"])
        .args(["--no-cli", "--no-tls", "--no-dtls", "--log-file", "stdout", "--verbose"])
        .args(["--pidfile", &folder.join("turn.pid").display().to_string()])
        .args(["--userdb", &folder.join("turn.db").display().to_string()])
        .stdout(log.try_clone().map_or_else(|_| Stdio::null(), Stdio::from))
        .stderr(Stdio::from(log))
        .kill_on_drop(true)
        .spawn()
        .expect("coturn starts");
    // Ten seconds at most.
    for _ in 0..200 {
        if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return (child, port);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("coturn does not listen: {}", std::fs::read_to_string(folder.join("turn.log")).unwrap_or_default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_behind_a_wall_calls_through_a_relay() {
    let Some(scenes) = browser_scenes() else { return };
    if !Path::new("/usr/bin/turnserver").exists() {
        let hint = "coturn is missing: scripts/system-packages.sh --test installs it";
        assert!(std::env::var_os("DUOLOGUE_REQUIRE_MODELS").is_none(), "{hint}");
        return println!("not tried: {hint}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (_relay, port) = relay(folder.path()).await;
    let file = folder.path().join("secret");
    std::fs::write(&file, SECRET).expect("written");
    let house = House::scripted_with(&format!(
        "[turn_servers]\nurls = [\"turn:127.0.0.1:{port}?transport=udp\"]\nsecret_file = {:?}\n",
        file.display().to_string()
    ))
    .await;
    let mic = folder.path().join("buzz.wav");
    // The recogniser knows the words, whatever is said.
    shared::voice_wav(&mic, 2);
    let mic = mic.display().to_string();
    let asks = ["--scene", "relay", "--persona", "porter", "--lead-ms", "6000", "--mic", &mic];
    let seen = play(&house, &scenes, &asks).await;
    let log = std::fs::read_to_string(folder.path().join("turn.log")).unwrap_or_default();
    assert_eq!(seen["way"]["used"], "relay", "{seen}\n{log}");
    assert!(seen["way"]["offered"].as_array().is_some_and(|all| all.iter().all(|kind| kind == "relay")), "{seen}");
    assert!(seen["media"]["inbound-rtp"]["packetsReceived"].as_u64().is_some_and(|packets| packets > 50), "{seen}");
    assert!(seen["media"]["outbound-rtp"]["packetsSent"].as_u64().is_some_and(|packets| packets > 50), "{seen}");
    assert_eq!(seen["faults"], serde_json::json!([]), "{seen}");
    assert!(log.contains(":duologue>") && log.contains("ALLOCATE processed, success"), "by the name of /v1/ice: {log}");
    house.server.stop().await;
}
