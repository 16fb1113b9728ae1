//! With a key the disk holds nothing that plays, and whoever may listen hears no difference.

use duologue::recording::read;
use duologue::store::Reader;
use reqwest::{Client, StatusCode, header};

use crate::{a_call, duologue, kept, said, served};

const KEY: &str = "6f1ed002ab5595859014ebf0951522d9";
const ANOTHER: &str = "0b8e7c1d5a2f49639f1c8d7e6b5a4f30";

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_recording_is_played_looked_at_redacted_and_exported_like_any_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("key");
    std::fs::write(&key, KEY).expect("written");
    let server = served(folder.path(), &format!("key_file = {:?}\n", key.display().to_string())).await;
    let id = a_call(folder.path(), &server, "").await;
    let file = kept(folder.path(), "ogg");
    let sealed = std::fs::read(&file).expect("readable");
    assert!(sealed.starts_with(b"DUOSEAL1") && !sealed.windows(4).any(|window| window == b"OggS"));
    assert!(read(&file).is_err(), "no player opens it");
    let (client, url) = (Client::new(), format!("http://{}/v1/calls/{id}", server.http));
    let get = async |path: &str, range: Option<&str>| {
        let mut request = client.get(format!("{url}{path}"));
        if let Some(range) = range {
            request = request.header(header::RANGE, range);
        }
        let response = request.send().await.expect("an answer");
        (response.status(), response.bytes().await.expect("a body"))
    };
    let (status, whole) = get("/recording", None).await;
    assert!(status == StatusCode::OK && whole.starts_with(b"OggS"), "{status}");
    assert_eq!(get("/recording", Some("bytes=0-3")).await, (StatusCode::PARTIAL_CONTENT, "OggS".into()));
    assert_eq!(get("/recording", Some("bytes=-5")).await.1, whole.slice(whole.len() - 5..));
    assert_eq!(get("/recording", Some("bytes=100-")).await.1, whole.slice(100..));
    let rows = Reader::of(&folder.path().join("calls.db"));
    let row = rows.recording(&id).await.expect("readable").expect("a row");
    assert_eq!(row.bytes, Some(whole.len() as i64), "size and hash are those of the sound");
    assert_eq!(row.key_id.as_deref().map(str::len), Some(16));
    assert_eq!(rows.journal(&id).await.expect("readable").expect("a row").key_id, row.key_id);
    let (status, peaks) = get("/recording/peaks", None).await;
    let peaks: serde_json::Value = serde_json::from_slice(&peaks).expect("JSON");
    assert!(status == StatusCode::OK && peaks["agent"].as_array().is_some_and(|all| all.len() > 20), "{peaks}");
    let (status, vcon) = get("/export?as=vcon", None).await;
    assert_eq!((status, duologue::export::verify(&vcon).expect("a vCon").carried), (StatusCode::OK, 1));
    let body = serde_json::json!({"from_ms": 0, "to_ms": 800, "why": "a test"});
    let gone = client.post(format!("{url}/redactions")).json(&body).send().await.expect("an answer");
    assert_eq!(gone.status(), StatusCode::OK);
    let (_, now) = get("/recording", None).await;
    assert!(now.starts_with(b"OggS") && now != whole);
    assert!(std::fs::read(&file).expect("readable").starts_with(b"DUOSEAL1"), "it stays sealed");
    let removed = client.delete(format!("{url}/recording")).send().await.expect("an answer");
    assert!(removed.status().is_success() && !file.exists());
    server.stop().await;
}

/// The journal has the same sound, and is sealed as well; a key that was changed opens what it sealed, and a missing one is named.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_changed_and_a_missing_one_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let (key, another) = (folder.path().join("key"), folder.path().join("another"));
    std::fs::write(&key, KEY).expect("written");
    std::fs::write(&another, ANOTHER).expect("written");
    let server = served(folder.path(), &format!("key_file = {:?}\n", key.display().to_string())).await;
    let id = a_call(folder.path(), &server, "").await;
    server.stop().await;
    let journal = std::fs::read(kept(folder.path(), "journal")).expect("readable");
    assert!(journal.starts_with(b"DUOSEAL1"));
    let settings = |more: &str| {
        let (dir, path) = (folder.path().join("recordings"), folder.path().join("calls.db"));
        let text = format!("[store]\npath = {path:?}\n[recording]\ndir = {dir:?}\n{more}");
        std::fs::write(folder.path().join("duologue.toml"), text).expect("written");
    };
    settings("");
    let id_of_key = Reader::of(&folder.path().join("calls.db")).recording(&id).await.expect("readable");
    let id_of_key = id_of_key.and_then(|row| row.key_id).expect("a sealed one");
    for command in [vec!["replay", &id], vec!["export", &id, "--out", "call.vcon.json"]] {
        let refused = duologue(folder.path(), &command);
        let text = said(&refused);
        assert!(!refused.status.success() && text.contains(&id_of_key), "{text}");
        assert!(text.contains("recording.old_key_files") && text.contains("there is none here"), "{text}");
    }
    settings("key_file = \"another\"\nold_key_files = [\"key\"]\n");
    let replayed = duologue(folder.path(), &["replay", &id, "--export", "bug.journal"]);
    assert!(replayed.status.success() && said(&replayed).contains("byte for byte"), "{}", said(&replayed));
    let sent = std::fs::read(folder.path().join("bug.journal")).expect("readable");
    assert!(sent.starts_with(b"duologue journal"), "whoever gets it has no key");
    let taken = duologue(folder.path(), &["redact", &id, "--from", "0", "--to", "500", "--why", "a test"]);
    assert!(taken.status.success(), "{}", said(&taken));
    let row = Reader::of(&folder.path().join("calls.db")).recording(&id).await.expect("readable").expect("a row");
    assert!(row.key_id.is_some_and(|now| now != id_of_key), "what is written anew has the new key");
    settings("key_file = \"short\"\n");
    std::fs::write(folder.path().join("short"), "too short").expect("written");
    let refused = duologue(folder.path(), &["export", &id]);
    assert!(!refused.status.success() && said(&refused).contains("9 characters"), "{}", said(&refused));
}
