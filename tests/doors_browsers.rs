//! The doors as programs in browsers and clouds come to them: OpenAI's JavaScript SDK with a key that holds for a while, and requests
//! that Twilio has signed.

mod house;

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use house::House;
use serde_json::{Value, json};
use sha1::Sha1;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

const KEY: &str = "a-key-for-the-doors";
const TOKEN: &str = "the token of an account";

/// A server with the doors open for those with the key; Twilio's for who has signed with the token.
async fn open_house() -> (House, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let (key, token) = (file("key", KEY), file("token", TOKEN));
    let doors = format!("[doors]\ntwilio = true\nkey_file = {key:?}\ntwilio_token_file = {token:?}\n");
    (House::scripted_with(&doors).await, folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn openai_s_javascript_sdk_holds_a_conversation_with_a_key_for_a_while_and_in_a_telephone_s_format() {
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    if !clients.join("node_modules/openai").exists() {
        let hint = "the doors' clients are missing: `make clients` installs them";
        assert!(std::env::var_os("DUOLOGUE_REQUIRE_MODELS").is_none(), "{hint}");
        return println!("not tried: {hint}");
    }
    let (house, _folder) = open_house().await;
    let out = Command::new("node")
        .arg(clients.join("realtime.mjs"))
        .args([house.url.as_str(), KEY])
        .kill_on_drop(true)
        .output()
        .await
        .expect("node starts");
    let (said, why) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{said}{why}");
    println!("{said}");
    let seen: Value = serde_json::from_str(&said).expect("JSON");
    let secret = &seen["secret"];
    assert_eq!((&secret[0], &secret[2]), (&"ek_".into(), &"realtime".into()), "{secret}");
    assert!(secret[1].as_i64().is_some_and(|left| (50..=61).contains(&left)), "{secret}");
    // Another key; a pass, which makes no passes; what would not hold; too short a while.
    assert_eq!(seen["refused"], json!([401, 401, 400, 400]));
    // The scripted recogniser hears one line after the other, whoever calls.
    for (format, heard, answers) in [
        ("pcm", "What time does the kitchen close?", "The kitchen closes at ten"),
        ("pcmu", "Are dogs welcome?", "Dogs are welcome"),
    ] {
        let talk = &seen[format];
        assert_eq!(talk["created"], "realtime");
        assert_eq!(talk["errors"], json!([]), "{talk}");
        assert_eq!(talk["heard"], heard, "{talk}");
        let answer = talk["answer"]["transcript"].as_str().unwrap_or("");
        assert!(answer.starts_with(answers), "{talk}");
        for part in ["greeting", "answer"] {
            assert_eq!(talk[part]["status"], "completed", "{talk}");
            assert!(talk[part]["seconds"].as_f64().is_some_and(|seconds| seconds > 1.0), "{talk}");
            assert!(talk[part]["loudness"].as_f64().is_some_and(|loud| (0.01..0.9).contains(&loud)), "{talk}");
        }
    }
    assert_eq!(seen["pcmu"]["formats"], json!(["audio/pcmu", "audio/pcmu"]));
    house.server.stop().await;
}

/// The status line and the body of an upgrade that shows this signature.
async fn upgrade(house: &House, signature: Option<&str>) -> String {
    let host = house.server.http;
    let signature = signature.map_or(String::new(), |signature| format!("X-Twilio-Signature: {signature}\r\n"));
    let mut socket = TcpStream::connect(host).await.expect("a connection");
    let request = format!(
        "GET /v1/twilio HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{signature}\r\n"
    );
    socket.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = vec![0; 4_096];
    let length = socket.read(&mut answer).await.expect("an answer");
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

fn signed(token: &str, address: &str) -> String {
    let mac = Hmac::<Sha1>::new_from_slice(token.as_bytes()).expect("a key");
    STANDARD.encode(mac.chain_update(address).finalize().into_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_twilio_has_signed_becomes_a_stream() {
    let (house, _folder) = open_house().await;
    let address = format!("wss://{}/v1/twilio", house.server.http);
    let taken = upgrade(&house, Some(&signed(TOKEN, &address))).await;
    assert!(taken.starts_with("HTTP/1.1 101 "), "{taken}");
    let wrong = [
        None,
        Some(signed("another token", &address)),
        Some(signed(TOKEN, "wss://another.example.org/v1/twilio")),
        Some("no base64".to_owned()),
    ];
    for signature in wrong {
        let refused = upgrade(&house, signature.as_deref()).await;
        assert!(refused.starts_with("HTTP/1.1 403 "), "{signature:?}: {refused}");
        assert!(refused.contains("/problems/bad-twilio-signature") && refused.contains(&address), "{refused}");
    }
    assert_eq!(house.server.registry.count(), 0);
    house.server.stop().await;
}
