//! Calls as they sounded: on the call's clock, told to the caller, kept no longer than wanted.

mod common;
mod house;

use std::time::Duration;

use common::{MONDAY_UTC_MS, opened, place};
use duologue::audio::LINE_RATE;
use duologue::backend::scripted_voice::{WordCode, heard};
use duologue::journal::{CallId, Entry};
use duologue::recording::{Consent, Housekeeping, OggFile, file_of, read};
use duologue::store::{RecordingView, Store};
use duologue_signaling::event::Event;
use house::config;
use house::stage::{Phone, Stage, recorded_stage};
use house::typed::typed_call;
use reqwest::{Client, StatusCode, header};

const QUESTION: &str = "What time do you close?";
const ANSWER: &str = "The kitchen closes at ten. The bar closes at midnight, every day of the week.";

async fn recording(stage: &Stage, call: &str) -> Option<RecordingView> {
    stage.registry.settle().await;
    stage.store.reader().recording(call).await.expect("readable")
}

/// The first and the last moment at which a side is louder than -40 dBFS, milliseconds.
fn loud(side: &[f32]) -> (u64, u64) {
    let ms = |n: usize| n as u64 * 1_000 / u64::from(LINE_RATE);
    let is_loud = |sample: &f32| sample.abs() > 0.01;
    (ms(side.iter().position(is_loud).expect("sound")), ms(side.iter().rposition(is_loud).expect("sound")))
}

#[tokio::test(start_paused = true)]
async fn both_sides_lie_on_the_calls_clock() {
    let stage = recorded_stage("Good evening.", &[QUESTION], Consent::Silent).await;
    let mut phone = Phone::call(&stage, "porter").await;
    phone.wait(2_000).await;
    phone.speak(1_500).await;
    phone.wait(8_000).await;
    assert!(phone.events.iter().any(|stamped| stamped.event == Event::Recording { on: true }), "the client is told");
    phone.peer.close().await;
    stage.registry.shut_down().await;
    let row = recording(&stage, &phone.call).await.expect("a row");
    let [caller, agent] = read(&stage.folder.path().join(&row.file)).expect("a file");
    assert_eq!(row.duration_ms, Some(caller.len() as i64 / 48));
    assert_eq!(heard(&agent, LINE_RATE), WordCode::of_text(&format!("Good evening. {ANSWER}")));
    let call = stage.store.reader().call(&phone.call).await.expect("readable").expect("kept");
    let at = |ms: i64| u64::try_from(ms - row.started_ms).expect("after the beginning");
    let (first, last) = (loud(&agent).0, loud(&caller));
    assert!(
        first.abs_diff(at(call.turns[0].started_ms)) <= 20,
        "the greeting: {first} in the file, {:?}",
        call.turns[0]
    );
    let (spoken, row) = ((at(call.turns[1].started_ms), at(call.turns[1].ended_ms)), call.turns[1].clone());
    assert!(last.0.abs_diff(spoken.0) <= 60 && last.1.abs_diff(spoken.1) <= 60, "the caller: {last:?}, {row:?}");
}

#[tokio::test(start_paused = true)]
async fn a_tone_or_words_tell_the_caller_before_the_greeting() {
    let stage = recorded_stage("Good evening.", &[], Consent::Announced("This call is recorded.".into())).await;
    let mut phone = Phone::call(&stage, "porter").await;
    phone.wait(6_000).await;
    assert_eq!(phone.ended_turns()[0].1, "This call is recorded. Good evening.");
    phone.peer.close().await;
    stage.registry.shut_down().await;

    let stage = recorded_stage("", &[], Consent::Tone).await;
    let mut phone = Phone::call(&stage, "porter").await;
    phone.wait(2_000).await;
    let (first, last) = loud(&phone.sound);
    assert!((250..=320).contains(&(last - first)), "{first} to {last} ms");
    phone.peer.close().await;
    stage.registry.shut_down().await;
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_want_it_is_not_recorded() {
    let stage = recorded_stage("Good evening.", &[], Consent::Silent).await;
    let mut phone = Phone::call(&stage, "porter").await;
    phone.wait(1_000).await;
    phone.peer.line.send_message(r#"{"type":"record","on":false}"#.into());
    phone.wait(1_000).await;
    assert!(phone.events.iter().any(|stamped| stamped.event == Event::Recording { on: false }));
    phone.peer.close().await;
    stage.registry.shut_down().await;
    let row = recording(&stage, &phone.call).await.expect("a row");
    assert_eq!((row.removed_why.as_deref(), row.sha256), (Some("opt-out"), None));
    // The thread that writes takes it away by itself: nothing of it is written after that.
    for _ in 0..200 {
        if !stage.folder.path().join(&row.file).exists() {
            return;
        }
        tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(10))).await.expect("a pause");
    }
    panic!("{} is still there", row.file);
}

/// What a server that died left behind.
fn broken_off(folder: &std::path::Path, call: &CallId) {
    let mut file = OggFile::create(&folder.join(file_of(call)), 312, &[]).expect("a file");
    for _ in 0..125 {
        file.packet(vec![0xfc, 0xff, 0xfe]);
    }
    std::mem::forget(file);
}

#[tokio::test]
async fn after_a_crash_the_rows_say_what_the_files_hold_and_old_ones_go() {
    let (folder, path) = place();
    let store = Store::open(&path).await.expect("a database");
    let day_ms = 86_400_000;
    for (call, days) in [("old", 40), ("new", 3)] {
        let mut entry = opened(call, Some("Ada"));
        if let Entry::CallOpened { started_utc_ms, .. } = &mut entry {
            *started_utc_ms = MONDAY_UTC_MS - days * day_ms;
        }
        store.recorder().record(entry);
        let file = file_of(&call.to_owned());
        store.recorder().record(Entry::RecordingBegan { call: call.into(), file, started_ms: 140, key_id: None });
        broken_off(folder.path(), &call.to_owned());
    }
    store.close().await;
    // Opening closes the calls that a dead server left open.
    let store = Store::open(&path).await.expect("a database");
    let keep = Some(Duration::from_secs(30 * 86_400));
    let keeping = Housekeeping { shelf: folder.path().into(), store: store.reader(), recorder: store.recorder(), keep };
    keeping.mend().await;
    keeping.sweep(MONDAY_UTC_MS).await;
    store.recorder().flush().await.expect("written");
    let row = store.reader().recording("new").await.expect("readable").expect("a row");
    assert_eq!((row.duration_ms, row.removed_why), (Some(1_993), None), "two whole seconds less the pre-skip");
    assert!(row.sha256.is_some_and(|hash| hash.len() == 64) && folder.path().join("new.ogg").exists());
    let row = store.reader().recording("old").await.expect("readable").expect("a row");
    assert_eq!((row.removed_why.as_deref(), folder.path().join("old.ogg").exists()), (Some("retention"), false));

    // An erased caller's recordings go with the rest.
    let erased = duologue::store::erase(&path, folder.path(), "Ada", duologue::store::AskedBy::Operator).await;
    assert!(erased.expect("erased").is_some());
    let row = store.reader().recording("new").await.expect("readable").expect("a row");
    assert_eq!((row.removed_why.as_deref(), folder.path().join("new.ogg").exists()), (Some("erased"), false));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_played_in_parts_and_taken_away_over_http() {
    let folder = tempfile::tempdir().expect("a folder");
    let recordings = folder.path().join("recordings");
    let more = format!(
        "[asr]\nbackend = \"scripted\"\n[llm]\nbackend = \"scripted\"\n[tts]\nbackend = \"scripted\"\n[recording]\ndir = {:?}\n",
        recordings.display().to_string()
    );
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = duologue::serve::Server::start(&config(folder.path(), &more)).await.expect("the server starts");
    typed_call(&server, "", &["Hello."]).await;
    typed_call(&server, "?record=false", &["Hello."]).await;
    let client = Client::new();
    let base = format!("http://{}/v1/calls", server.http);
    let calls: Vec<serde_json::Value> = client.get(&base).send().await.expect("an answer").json().await.expect("JSON");
    let id = |n: usize| calls[n]["call"].as_str().expect("an id").to_owned();
    let refused = client.get(format!("{base}/{}/recording", id(0))).send().await.expect("an answer");
    assert_eq!(refused.status(), StatusCode::NOT_FOUND, "it was not to be recorded");

    let url = format!("{base}/{}/recording", id(1));
    let whole = client.get(&url).send().await.expect("an answer");
    assert_eq!(whole.headers()[header::CONTENT_TYPE], "audio/ogg; codecs=opus");
    let whole = whole.bytes().await.expect("a body");
    assert!(whole.starts_with(b"OggS") && whole.len() > 1_000, "{} bytes", whole.len());
    let part = client.get(&url).header(header::RANGE, "bytes=0-3").send().await.expect("an answer");
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.bytes().await.expect("a body"), "OggS");
    assert_eq!(client.delete(&url).send().await.expect("an answer").status(), StatusCode::NO_CONTENT);
    assert_eq!(client.get(&url).send().await.expect("an answer").status(), StatusCode::GONE);
    assert_eq!(std::fs::read_dir(&recordings).expect("a folder").count(), 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_had_is_named_before_anything_is_served() {
    let folder = tempfile::tempdir().expect("a folder");
    let more = "[asr]\nbackend = \"scripted\"\n[llm]\nbackend = \"scripted\"\n[tts]\nbackend = \"scripted\"\n[recording]\ndir = \"/proc/none\"\n";
    let _ = rustls::crypto::ring::default_provider().install_default();
    let fault = duologue::serve::Server::start(&config(folder.path(), more)).await.err().expect("refused").to_string();
    assert!(fault.contains("/proc/none") && fault.contains("recording.dir"), "{fault}");
}
