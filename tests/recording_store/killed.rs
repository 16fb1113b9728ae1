//! The server is killed on the way of a recording to its store: the next one ends what it began, and nothing is lost or there twice.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;

use duologue::store::RecordingView;
use reqwest::StatusCode;

use crate::house::process::{Killed, limit_files, serving, until};
use crate::store::{ENV, Store};
use crate::{a_call, all_taken_away, get, hash, here, row, row_now, said, stored, unremoved};

/// `SIGXFSZ` on Linux: a file grew past the limit of its process.
const TOO_LARGE: i32 = 25;

/// A server whose recording has reached the store, and that does not know it yet: its name, row and sound.
async fn arrived_unanswered(store: &Store, folder: &Path, config: &Path) -> (Killed, String, RecordingView, Vec<u8>) {
    store.hold(true);
    let (server, http) = serving(config, &ENV);
    let id = a_call(http).await;
    let row = row(folder, &id, |row| row.object.is_some()).await;
    let name = row.object.clone().expect("a name");
    for _ in 0..3_000 {
        if let Some(sound) = store.object(&name).await {
            return (server, id, row, sound);
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{name} did not arrive");
}

/// It is where its row says, once, and is heard as it was.
async fn it_is_there_once(store: &Store, folder: &Path, http: std::net::SocketAddr, id: &str, was: &RecordingView) {
    let row = stored(folder, id).await;
    assert_eq!((&row.object, &row.sha256, row.removed_utc_ms), (&was.object, &was.sha256, None));
    let key = was.object.as_deref().and_then(|name| name.strip_prefix("s3://calls/")).expect("a name").to_owned();
    assert_eq!((store.keys().await, here(folder)), (vec![key], Vec::new()), "one of it, on the store");
    assert_eq!(unremoved(folder).await, Vec::<String>::new());
    let (status, heard) = get(&format!("http://{http}/v1/calls/{id}/recording"), "").await;
    assert_eq!((status, Some(hash(&heard))), (StatusCode::OK, row.sha256));
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_behind_the_upload_and_before_the_row_it_is_there_once() {
    let Some(mut store) = Store::open().await else { return };
    store.connect().await;
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path();
    let config = store.settings(folder, "");
    let (server, id, was, _) = arrived_unanswered(&store, folder, &config).await;
    drop(server);
    assert_eq!((row_now(folder, &id).await.stored_utc_ms, here(folder)), (None, vec![format!("{id}.ogg")]));
    store.hold(false);
    let (_server, http) = serving(&config, &ENV);
    it_is_there_once(&store, folder, http, &id, &was).await;
}

/// A limit on the size of files kills it where it writes the row: the file is gone by then.
#[tokio::test(flavor = "multi_thread")]
async fn killed_behind_the_file_and_before_the_row_it_is_not_called_gone() {
    let Some(mut store) = Store::open().await else { return };
    store.connect().await;
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path();
    let config = store.settings(folder, "");
    let (mut server, id, was, sound) = arrived_unanswered(&store, folder, &config).await;
    limit_files(server.0.id(), "0");
    store.hold(false);
    let end = until("the end of the server", || server.0.try_wait().expect("a child")).await;
    assert_eq!(end.signal(), Some(TOO_LARGE), "{end}");
    assert_eq!(here(folder), Vec::<String>::new(), "the file went");
    let left = row_now(folder, &id).await;
    assert_eq!((left.stored_utc_ms, left.removed_utc_ms, &left.object), (None, None, &was.object), "nobody said so");
    let name = was.object.clone().expect("a name");
    assert_eq!(store.object(&name).await, Some(sound.clone()));

    // Nobody can look whether it is there.
    store.cut().await;
    let (_server, http) = serving(&config, &ENV);
    let url = format!("http://{http}/v1/calls/{id}/recording");
    let (status, why) = get(&url, "").await;
    let why = String::from_utf8_lossy(&why).into_owned();
    assert!(status == StatusCode::SERVICE_UNAVAILABLE && why.contains(&name), "{status} {why}");
    let failures = "duologue_recording_store_failures_total 1";
    while !String::from_utf8_lossy(&get(&format!("http://{http}/metrics"), "").await.1).contains(failures) {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(row_now(folder, &id).await, left);
    store.connect().await;
    it_is_there_once(&store, folder, http, &id, &was).await;
    assert_eq!(store.object(&name).await, Some(sound), "it is the one that was sent");
}

/// `duologue redact` is killed, or fails, where it tidies up: the rows say that the span is gone by then.
async fn redacted_on_a_full_disk(trap: &str) -> (bool, String) {
    let Some(mut store) = Store::open().await else { return (false, String::new()) };
    store.connect().await;
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path();
    let config = store.settings(folder, "");
    let (mut server, http) = serving(&config, &ENV);
    let id = a_call(http).await;
    let was = stored(folder, &id).await;
    let before = was.object.clone().expect("a name");
    // A proper end, so that the log is written back and the command begins a new one.
    let asked = Command::new("kill").args(["-TERM", &server.0.id().to_string()]).status().expect("kill");
    assert!(asked.success());
    until("the end of the server", || server.0.try_wait().expect("a child")).await;

    let size = std::fs::metadata(folder.join("calls.db")).expect("a database").len();
    let most = size * 3 / 4 / 1_024;
    let limited = format!("{trap} ulimit -S -f {most}; exec \"$0\" \"$@\"");
    let mut redact = Command::new("bash");
    redact.args(["-c", &limited, env!("CARGO_BIN_EXE_duologue"), "--config"]).arg(&config).envs(ENV);
    let told = said(redact.args(["redact", &id, "--from", "0", "--to", "800", "--why", "a test"]));
    assert!(!told.0, "{size} bytes are rewritten, and {most} KiB are to be had: {}", told.1);
    let now = row_now(folder, &id).await;
    assert!(now.sha256 != was.sha256 && now.removed_utc_ms.is_none() && now.stored_utc_ms.is_none(), "{now:?}");
    let left = here(folder);
    // A failure leaves it in its place, whoever looks first; a kill in its place or waiting for it.
    assert!(left.len() == 1 && (left[0] == now.file || trap.is_empty()), "{left:?}");
    let file = std::fs::read(folder.join("recordings").join(&left[0])).expect("readable");
    assert_eq!(Some(hash(&file)), now.sha256, "the sound is the one of the row");

    let (_server, http) = serving(&config, &ENV);
    let moved = stored(folder, &id).await;
    assert!(moved.object.is_some() && moved.object != was.object && moved.sha256 == now.sha256, "{moved:?}");
    all_taken_away(folder).await;
    assert_eq!(store.object(&before).await, None, "what was taken out is not on the store any more");
    it_is_there_once(&store, folder, http, &id, &moved).await;
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redaction_that_is_killed_behind_its_rows_has_its_sound() {
    redacted_on_a_full_disk("").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redaction_whose_disk_is_full_behind_its_rows_has_its_sound_and_says_what_is_left_to_do() {
    let (_, told) = redacted_on_a_full_disk("trap '' XFSZ;").await;
    let says = told.contains("the span is taken out") && told.contains("do it again");
    assert!(says || told.is_empty(), "{told}");
}
