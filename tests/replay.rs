//! Real calls (ICE, DTLS, SRTP, Opus, SQLite; scripted back ends; virtual time) replayed from what they left on disk.

mod common;
mod house;

use std::path::Path;

use duologue::call::registry::Asked;
use duologue::config::Config;
use duologue::recording::Consent;
use duologue::recording::SealKeys;
use duologue::replay::{Opened, ReplayFault, apply, config_of, journal_of, open, read};
use duologue_core::replay::again::again;
use duologue_core::replay::otherwise::otherwise;
use duologue_core::replay::record::Record;
use duologue_signaling::event::{Event, Stamped};
use house::stage::{Phone, Stage, recorded_stage};
use sqlx::{ConnectOptions as _, sqlite::SqliteConnectOptions};

const QUESTION: &str = "What time do you close?";

/// A greeting, a question, a barge-in, a message that is none; the caller hangs up.
async fn call() -> (Stage, Phone) {
    let stage = recorded_stage("Good evening.", &[QUESTION, "Never mind."], Consent::Tone).await;
    let mut phone = Phone::call(&stage, "porter").await;
    phone.wait(2_000).await;
    phone.speak(1_500).await;
    phone.wait(3_000).await;
    phone.speak(1_000).await;
    phone.peer.line.send_message("nonsense".into());
    phone.peer.line.send_message(r#"{"type":"persona","name":"nobody"}"#.into());
    phone.wait(4_000).await;
    phone.peer.line.send_message(r#"{"type":"hangup"}"#.into());
    phone.wait(400).await;
    stage.registry.shut_down().await;
    stage.registry.settle().await;
    (stage, phone)
}

fn journal(stage: &Stage, call: &str) -> Opened {
    open(&stage.folder.path().join(journal_of(&call.to_owned())), &SealKeys::default()).expect("a journal")
}

#[tokio::test(start_paused = true)]
async fn a_call_is_replayed_byte_for_byte() {
    let (stage, phone) = call().await;
    let opened = journal(&stage, &phone.call);
    let found = again(&opened.journal).expect("a machine");
    assert_eq!(found.difference, None);
    assert!(found.whole && !opened.cut);
    // As the caller's own client had it, and as the rows have it.
    let heard: Vec<String> = phone.events.iter().map(|event| serde_json::to_string(event).expect("JSON")).collect();
    assert!(found.course.events.ends_with(&heard), "the client was told {heard:#?}");
    let path = stage.folder.path().join("calls.db");
    let mut rows = SqliteConnectOptions::new().filename(&path).read_only(true).connect().await.expect("a database");
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM events").fetch_one(&mut rows).await.expect("a count");
    let told = found.course.stamped.iter().filter(|stamped| !matches!(stamped.event, Event::Words { .. })).count();
    assert_eq!(kept as usize, told);
    let row = stage.store.reader().journal(&phone.call).await.expect("readable").expect("a row");
    assert_eq!((row.bytes, row.lost), (Some(opened.bytes as i64), 0));
    assert_eq!(row.records, Some(opened.journal.records.len() as i64));
    let minutes = found.course.until.ms() as f64 / 60_000.0;
    println!("{:.0} kB a minute", opened.bytes as f64 / 1_000.0 / minutes);
    let other = otherwise(&opened.journal, opened.journal.head.clone()).expect("a machine");
    assert_eq!((other.guesses, other.course.events), ([0; 6], found.course.events));
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_breaks_off_anywhere_replays_up_to_there_and_a_damaged_one_is_refused() {
    let (stage, phone) = call().await;
    let path = stage.folder.path().join(journal_of(&phone.call));
    let bytes = std::fs::read(&path).expect("a journal");
    let whole = again(&open(&path, &SealKeys::default()).expect("a journal").journal).expect("a machine");
    let mut before = 0;
    for length in (0..bytes.len()).step_by(bytes.len() / 90) {
        match read(&path, &bytes[..length]) {
            Err(ReplayFault::Empty { .. }) => assert!(before == 0, "{length} bytes"),
            Err(fault) => panic!("{length} bytes: {fault}"),
            Ok(cut) => {
                let found = again(&cut.journal).expect("a machine");
                assert!(found.difference.is_none() && !found.whole, "{length} bytes: {:?}", found.difference);
                assert!(whole.live.starts_with(&found.live), "{length} bytes");
                assert!(found.live.len() >= before, "more of the file is more of the call");
                before = found.live.len();
            }
        }
    }
    assert!(before > 20, "{before} events");
    for at in (20..bytes.len()).step_by(bytes.len() / 40) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x20;
        let fault = read(&path, &damaged).expect_err("a byte is another").to_string();
        assert!(fault.contains("is damaged") && fault.contains(&phone.call), "{fault}");
    }
    let fault = read(&path, b"RIFF....WAVE").expect_err("a WAV").to_string();
    assert!(fault.contains("is no journal of a call"), "{fault}");
}

#[tokio::test(start_paused = true)]
async fn what_is_set_moves_the_call_and_what_has_to_be_guessed_is_told() {
    let (stage, phone) = call().await;
    let journal = journal(&stage, &phone.call).journal;
    let mut head = journal.head.clone();
    head.settings = apply(&head.settings, &head.config, "floor.endpoint_ms=1400").expect("a setting");
    assert_eq!(head.settings.conversation.endpoint.endpoint_ms, 1_400);
    let other = otherwise(&journal, head.clone()).expect("a machine");
    let answered = |events: &[Stamped]| {
        let answers = events.iter().filter(|stamped| matches!(stamped.event, Event::TurnStarted { .. }));
        answers.map(|stamped| stamped.at_ms).nth(1).expect("an answer")
    };
    let (before, after) =
        (answered(&again(&journal).expect("a machine").course.stamped), answered(&other.course.stamped));
    assert!((450..=900).contains(&(after - before)), "{before} and {after} ms: some 600 ms more of silence");
    head.settings = apply(&head.settings, &head.config, "floor.vad_threshold=0.95").expect("a setting");
    otherwise(&journal, head).expect("a machine");
    let refused = |what: &str| apply(&journal.head.settings, "", what).expect_err("refused").to_string();
    assert!(refused("endpoint").contains("section.key=value"));
    assert!(refused("floor.endpoint_ms=5").contains("80 to 2000 ms"), "{}", refused("floor.endpoint_ms=5"));
    assert!(refused("floor.endpint_ms=500").contains("unknown"));
    assert!(refused("http.listen=127.0.0.1:1").contains("changes nothing"));
}

#[tokio::test(start_paused = true)]
async fn a_journal_goes_with_the_callers_wish_and_is_not_begun_without_a_recording() {
    let stage = recorded_stage("Good evening.", &[], Consent::Silent).await;
    let mut phone = Phone::call(&stage, "porter").await;
    phone.wait(2_500).await;
    let path = stage.folder.path().join(journal_of(&phone.call));
    phone.peer.line.send_message(r#"{"type":"record","on":false}"#.into());
    phone.wait(1_000).await;
    phone.peer.close().await;
    stage.registry.shut_down().await;
    stage.registry.settle().await;
    let row = stage.store.reader().journal(&phone.call).await.expect("readable").expect("a row");
    assert_eq!((row.removed_why.as_deref(), row.bytes), (Some("opt-out"), None));
    gone(&path).await;
    assert!(asked_for(&stage, &phone.call).contains("taken away with its recording (opt-out"));
    assert!(asked_for(&stage, "nothing-of-ours").contains("there is no call nothing-of-ours"));

    let stage = recorded_stage("Good evening.", &[], Consent::Silent).await;
    let unrecorded = Asked { recorded: false, persona: Some("porter"), ..Asked::default() };
    let mut phone = Phone::call_as(&stage, unrecorded).await;
    phone.wait(2_500).await;
    phone.peer.close().await;
    stage.registry.shut_down().await;
    assert!(!stage.folder.path().join(journal_of(&phone.call)).exists());
    assert_eq!(stage.store.reader().journal(&phone.call).await.expect("readable"), None);
    assert!(asked_for(&stage, &phone.call).contains("no input journal was kept"));
}

/// What `duologue replay` says where it cannot.
fn asked_for(stage: &Stage, call: &str) -> String {
    let folder = stage.folder.path().display();
    let config = format!("[store]\npath = \"{folder}/calls.db\"\n[recording]\ndir = \"{folder}\"\n");
    let file = stage.folder.path().join("replay.toml");
    std::fs::write(&file, config).expect("written");
    let replay = std::process::Command::new(env!("CARGO_BIN_EXE_duologue"))
        .args(["replay", call, "--config"])
        .arg(&file)
        .output()
        .expect("runs");
    assert!(!replay.status.success());
    String::from_utf8(replay.stderr).expect("UTF-8")
}

/// The thread that writes takes it away by itself.
async fn gone(path: &Path) {
    for _ in 0..200 {
        if !path.exists() {
            return;
        }
        tokio::task::spawn_blocking(|| std::thread::sleep(std::time::Duration::from_millis(10)))
            .await
            .expect("a pause");
    }
    panic!("{} is still there", path.display());
}

#[test]
fn heads_say_what_is_set_otherwise_and_nothing_of_the_house() {
    let config = "[http]\nlisten = \"127.0.0.1:9\"\n[media]\npublic_addresses = [\"192.0.2.1\"]\njitter_max_ms = 300\n[floor]\nendpoint_ms = 400\n";
    let config = Config::parse(config, "a test").unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(config_of(&config), "[media]\njitter_max_ms = 300\n[floor]\nendpoint_ms = 400\n");
}

/// What a peer sends is all there: nothing is lost to a busy disk in a call like this.
#[tokio::test(start_paused = true)]
async fn every_packet_and_every_tick_is_in_it() {
    let (stage, phone) = call().await;
    let records = journal(&stage, &phone.call).journal.records;
    let beats: Vec<u64> = records
        .iter()
        .filter_map(|record| if let Record::Beat { due, .. } = record { Some(due.us()) } else { None })
        .collect();
    assert!(beats.len() > 550 && beats.windows(2).all(|pair| pair[1] - pair[0] == 20_000), "{} beats", beats.len());
    assert!(!records.iter().any(|record| matches!(record, Record::Lost(_))));
}
