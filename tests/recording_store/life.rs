//! A recording's life on the store, and what `duologue check` says of the store.

use std::path::Path;
use std::process::Command;

use duologue::recording::page_hashes;
use reqwest::{Client, StatusCode};
use serde_json::json;

use crate::house::process::serving;
use crate::store::{ENV, KEY_ID, SECRET, Store};
use crate::{a_call, get, hash, here, row, unremoved};

/// From the end of the call to the erasure of its caller.
async fn a_life_on_the_store(sealed: bool) {
    let Some(mut store) = Store::open().await else { return };
    store.connect().await;
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path();
    std::fs::write(folder.join("key"), "6f1ed002ab5595859014ebf0951522d9").expect("written");
    let more = if sealed { format!("key_file = {:?}\n", folder.join("key")) } else { String::new() };
    let (_server, http) = serving(&store.settings(folder, &more), &ENV);
    let id = a_call(http).await;
    let url = format!("http://{http}/v1/calls/{id}");

    let first = row(folder, &id, |row| row.stored_utc_ms.is_some()).await;
    assert_eq!(here(folder), Vec::<String>::new(), "it has left the folder");
    let name = first.object.clone().expect("a name");
    assert!(name.starts_with(&format!("s3://calls/of/mine/{id}-")), "{name}");
    let object = store.object(&name).await.expect("the object");
    let (status, whole) = get(&format!("{url}/recording"), "").await;
    assert_eq!((status, Some(hash(&whole))), (StatusCode::OK, first.sha256.clone()), "it is heard as it was");
    assert_eq!(object == whole, !sealed, "what lies there is what lay in the folder");
    assert_eq!(object.starts_with(b"DUOSEAL1"), sealed);
    let part = |from: usize, to: usize| (StatusCode::PARTIAL_CONTENT, whole[from..=to].to_vec());
    assert_eq!(get(&format!("{url}/recording"), "bytes=0-3").await, part(0, 3));
    assert_eq!(get(&format!("{url}/recording"), "bytes=100-").await, part(100, whole.len() - 1));
    assert_eq!(get(&format!("{url}/recording"), "bytes=-5").await, part(whole.len() - 5, whole.len() - 1));
    let (status, peaks) = get(&format!("{url}/recording/peaks"), "").await;
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&peaks));
    let (status, vcon) = get(&format!("{url}/export?as=vcon"), "").await;
    assert_eq!((status, duologue::export::verify(&vcon).expect("a vCon").carried), (StatusCode::OK, 1));

    let cut = json!({"from_ms": 0, "to_ms": 800, "why": "a test"});
    let redacted = Client::new().post(format!("{url}/redactions")).json(&cut).send().await.expect("an answer");
    assert_eq!(redacted.status(), StatusCode::OK);
    assert_eq!(store.object(&name).await, None, "what was taken out is not on the store any more");
    let second = row(folder, &id, |row| row.stored_utc_ms.is_some()).await;
    assert!(second.object != first.object && second.sha256 != first.sha256 && here(folder).is_empty());
    let (_, now) = get(&format!("{url}/recording"), "").await;
    assert_eq!(Some(hash(&now)), second.sha256);
    let (before, after) = (page_hashes(&whole).expect("pages"), page_hashes(&now).expect("pages"));
    assert!(before.len() == after.len() && before.last() == after.last() && before != after, "the rest is as it was");
    let object = store.object(&second.object.expect("a name")).await.expect("the object");
    assert_eq!(object.starts_with(b"DUOSEAL1"), sealed, "it stays sealed");

    let erased = Client::new().delete(format!("http://{http}/v1/callers/Ada/memory")).send().await.expect("an answer");
    assert_eq!(erased.status(), StatusCode::NO_CONTENT);
    assert_eq!((store.keys().await, unremoved(folder).await), (Vec::new(), Vec::new()), "nothing is left");
    assert_eq!(get(&format!("{url}/recording"), "").await.0, StatusCode::GONE);
    let (_, metrics) = get(&format!("http://{http}/metrics"), "").await;
    let metrics = String::from_utf8(metrics).expect("text");
    assert!(metrics.contains("duologue_recordings_stored_total 2"), "{metrics}");
    let database = std::fs::read(folder.join("calls.db")).expect("readable");
    assert!(!database.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()), "no credential is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_on_its_store_is_heard_exported_redacted_and_erased() {
    a_life_on_the_store(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_is_a_sealed_one() {
    a_life_on_the_store(true).await;
}

/// The server is killed before the store is there, and the recording moves after the next start; what is erased while the store is
/// away again is not called erased until it is.
#[tokio::test(flavor = "multi_thread")]
async fn while_the_store_is_away_nothing_is_lost_and_nothing_is_called_gone() {
    let Some(mut store) = Store::open().await else { return };
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path();
    let config = store.settings(folder, "");
    let (server, http) = serving(&config, &ENV);
    let id = a_call(http).await;
    let waiting = row(folder, &id, |row| row.sha256.is_some() && row.object.is_some()).await;
    let metrics = format!("http://{http}/metrics");
    let told = "duologue_recordings_waiting 1";
    while !String::from_utf8_lossy(&get(&metrics, "").await.1).contains(told) {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!((waiting.stored_utc_ms, here(folder)), (None, vec![format!("{id}.ogg")]), "it stays in the folder");
    let (status, whole) = get(&format!("http://{http}/v1/calls/{id}/recording"), "").await;
    assert_eq!((status, Some(hash(&whole))), (StatusCode::OK, waiting.sha256), "and is heard from there");
    drop(server);

    store.connect().await;
    let (_server, http) = serving(&config, &ENV);
    let moved = row(folder, &id, |row| row.stored_utc_ms.is_some()).await;
    assert_eq!(moved.object, waiting.object, "under the name that the row had before anything was sent");
    let name = moved.object.expect("a name");
    assert_eq!((store.object(&name).await, here(folder)), (Some(whole), Vec::new()));

    store.cut().await;
    let unheard = get(&format!("http://{http}/v1/calls/{id}/recording"), "bytes=0-3").await;
    let text = String::from_utf8_lossy(&unheard.1).into_owned();
    assert_eq!(unheard.0, StatusCode::SERVICE_UNAVAILABLE);
    assert!(text.contains(&name) && text.contains("store_endpoint") && !text.contains(SECRET), "{text}");
    let removed = Client::new().delete(format!("http://{http}/v1/callers/Ada/memory")).send().await.expect("an answer");
    let (status, text) = (removed.status(), removed.text().await.expect("a body"));
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{text}");
    assert!(text.contains("recording-still-stored") && text.contains(&name), "{text}");
    assert_eq!(unremoved(folder).await, vec![name.clone()]);
    assert_eq!(get(&format!("http://{http}/v1/calls/{id}/recording"), "").await.0, StatusCode::GONE);
    assert!(store.object(&name).await.is_some(), "it is still there, and nobody said otherwise");

    store.connect().await;
    for _ in 0..3_000 {
        if unremoved(folder).await.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!((unremoved(folder).await, store.keys().await), (Vec::new(), Vec::new()));
}

/// What `duologue check` says of the store.
fn checked(config: &Path, env: &[(&str, &str)]) -> String {
    let mut check = Command::new(env!("CARGO_BIN_EXE_duologue"));
    for (name, _) in ENV {
        check.env_remove(name);
    }
    let out = check.arg("--config").arg(config).arg("check").envs(env.iter().copied()).output().expect("the program");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(!text.contains(SECRET) && !text.contains(KEY_ID), "{text}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tries_the_store_and_names_the_fault_and_the_way_out() {
    let Some(mut store) = Store::open().await else { return };
    let place = tempfile::tempdir().expect("a folder");
    let config = store.settings(place.path(), "");
    let without = checked(&config, &[]);
    assert!(
        without.contains("FAIL  secrets: recording.store_key_env") && without.contains("AWS_ACCESS_KEY_ID"),
        "{without}"
    );
    let away = checked(&config, &ENV);
    assert!(
        away.contains("FAIL  recordings: the store s3://calls") && away.contains("recording.store_endpoint"),
        "{away}"
    );
    store.connect().await;
    let fine = checked(&config, &ENV);
    assert!(fine.contains("ok    recordings: the store s3://calls takes, gives and removes"), "{fine}");
    assert!(fine.contains("without TLS"), "{fine}");
    assert_eq!(store.keys().await, Vec::<String>::new(), "it leaves nothing");
    let versions = "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>Enabled</Status></VersioningConfiguration>";
    assert!(store.ask(reqwest::Method::PUT, "?versioning", versions).await.0.is_success());
    let versioned = checked(&config, &ENV);
    assert!(versioned.contains("warn  recordings: the store") && versioned.contains("versioning off"), "{versioned}");
    let text = std::fs::read_to_string(&config).expect("readable").replace("s3://calls", "s3://nobody");
    std::fs::write(&config, text).expect("written");
    let nowhere = checked(&config, &ENV);
    assert!(
        nowhere.contains("FAIL  recordings: the store s3://nobody") && nowhere.contains("recording.store"),
        "{nowhere}"
    );
}
