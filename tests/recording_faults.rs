//! A recording survives what its server does not: a kill in the middle of a call, and a disk that is full for a while.

mod house;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use duologue::audio::{HEAR_FRAME, LINE_FRAME};
use duologue::recording::{Consent, RecordingHouse, RecordingShelf, SealKey, SealKeys, file_of, length_of, read};
use duologue::replay::{journal_of, open};
use duologue::store::{Reader, RecordingView};
use duologue::time::{CallTime, TICK};
use duologue_core::replay::again::again;
use house::process::{limit_files, serving, serving_past_limits, until};
use house::typed::TypedCall;

/// Settings of a server that records into this folder, sealed where there is a key.
fn settings(folder: &Path, key: Option<&str>) -> PathBuf {
    let key = key.map_or_else(String::new, |secret| {
        let file = folder.join("key");
        std::fs::write(&file, secret).expect("written");
        format!("key_file = {file:?}\n")
    });
    let text = format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n[store]\npath = {:?}\n[recording]\ndir = {:?}\n{key}[media]\nudp_port = 0\n[judge]\nkind = \"rules\"\n\
         [asr]\nbackend = \"scripted\"\n[llm]\nbackend = \"scripted\"\n[tts]\nbackend = \"scripted\"\n[personas]\ndir = {:?}\n",
        folder.join("calls.db"),
        folder.join("recordings"),
        Path::new(env!("CARGO_MANIFEST_DIR")).join("personas"),
    );
    let config = folder.join("duologue.toml");
    std::fs::write(&config, text).expect("written");
    config
}

/// The recording's row, once it is whole.
async fn sealed(rows: &Reader, call: &str) -> RecordingView {
    for _ in 0..2_000 {
        let row = rows.recording(call).await.expect("readable").expect("a row");
        if row.sha256.is_some() {
            return row;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the recording of {call} was never whole");
}

/// Kills a server in the middle of a call; the next one plays what there is of it. `keys` open it.
async fn killed_and_heard(folder: &Path, config: &Path, keys: SealKeys) -> RecordingView {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let shelf = RecordingShelf { folder: folder.join("recordings"), keys, objects: None };
    let (server, http) = serving(config, &[]);
    let call = TypedCall::open_at(http, "").await;
    // The call's journal lies there, too.
    let name = |path: PathBuf| {
        path.extension().is_some_and(|kind| kind == "ogg").then(|| path.file_stem()?.to_str().map(str::to_owned))?
    };
    let there = || std::fs::read_dir(&shelf.folder).ok()?.flatten().find_map(|file| name(file.path()));
    let id = until("the recording", there).await;
    let file = file_of(&id);
    until("the third second", || shelf.length_of(&file).ok().filter(|(ms, ..)| *ms >= 2_900)).await;
    drop(server);
    drop(call);
    let (left_ms, ..) = shelf.length_of(&file).expect("every whole page of it");

    let (_server, http) = serving(config, &[]);
    let rows = Reader::of(&folder.join("calls.db"));
    let row = sealed(&rows, &id).await;
    let answer = reqwest::get(format!("http://{http}/v1/calls/{id}/recording")).await.expect("an answer");
    assert_eq!(answer.status(), reqwest::StatusCode::OK);
    let heard = folder.join("heard.ogg");
    std::fs::write(&heard, answer.bytes().await.expect("a body")).expect("written");
    let [caller, agent] = read(&heard).expect("playable");
    assert!(caller.len() >= 2 * 48_000 && caller.len() == agent.len(), "{} samples", caller.len());
    let (duration_ms, bytes, sha256) = length_of(&heard).expect("readable");
    assert_eq!(duration_ms, left_ms, "all that was on the disk is heard");
    assert_eq!(
        (row.duration_ms, row.bytes, row.sha256.as_ref()),
        (Some(duration_ms as i64), Some(bytes as i64), Some(&sha256)),
        "the next server has found out what the file holds"
    );
    // What the machine was told is there up to the end, too.
    let journal = open(&shelf.folder.join(journal_of(&id)), &shelf.keys).expect("a journal");
    let found = again(&journal.journal).expect("a machine");
    assert!(found.difference.is_none() && !found.whole && !found.live.is_empty(), "{:?}", found.difference);
    row
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_leaves_a_file_that_plays_up_to_the_last_second() {
    let folder = tempfile::tempdir().expect("a folder");
    let row = killed_and_heard(folder.path(), &settings(folder.path(), None), SealKeys::default()).await;
    assert_eq!(row.key_id, None);
    let [caller, _] = read(&folder.path().join("recordings").join(row.file)).expect("any player opens it");
    assert!(caller.len() >= 2 * 48_000, "{} samples", caller.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_recording_plays_up_to_the_last_second_after_a_kill() {
    const SECRET: &str = "6f1ed002ab5595859014ebf0951522d9";
    let folder = tempfile::tempdir().expect("a folder");
    let key = Arc::new(SealKey::new(SECRET.as_bytes()).expect("long enough"));
    let id = key.id();
    let keys = SealKeys { new: Some(key), old: Vec::new() };
    let row = killed_and_heard(folder.path(), &settings(folder.path(), Some(SECRET)), keys).await;
    assert_eq!(row.key_id, Some(id));
    let bytes = std::fs::read(folder.path().join("recordings").join(row.file)).expect("readable");
    assert!(bytes.starts_with(b"DUOSEAL1") && !bytes.windows(4).any(|window| window == b"OggS"), "nothing lies open");
}

/// Where the process that is to run out of disk records.
const FOLDER: &str = "DUOLOGUE_TEST_RECORDINGS";

/// Something that takes as much room as speech: white noise, both sides.
fn noise(state: &mut u32) -> f32 {
    *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    (*state >> 8) as f32 / (1 << 23) as f32 - 1.0
}

/// Records for a minute onto a disk that takes 64 KiB, and another one onto one that takes all.
async fn record_past_the_end(folder: &Path) {
    let house = RecordingHouse::open(folder, Consent::Silent).expect("a house");
    let mut tape = house.begin(&"full".to_owned(), "porter", 0);
    let (mut state, mut n) = (1, 0);
    let mut minute = |tape: &mut duologue::recording::Tape| {
        for _ in 0..3_000 {
            let heard: [f32; HEAR_FRAME] = std::array::from_fn(|_| 0.3 * noise(&mut state));
            let mut sent: [f32; LINE_FRAME] = std::array::from_fn(|_| 0.3 * noise(&mut state));
            tape.tick(CallTime::ZERO + TICK * n, &heard, &mut sent);
            n += 1;
        }
    };
    minute(&mut tape);
    let path = folder.join(file_of(&"full".to_owned()));
    until("the end of the disk", || std::fs::metadata(&path).ok().filter(|file| file.len() > 56 << 10)).await;
    // Everything is in the file or lost by now: another recording has begun and ended behind it.
    let mut other = house.begin(&"other".to_owned(), "porter", 0);
    other.tick(CallTime::ZERO, &[0.0; HEAR_FRAME], &mut [0.0; LINE_FRAME]);
    other.finish().await.expect("a file");
    println!("\nfull {}", std::process::id());
    std::io::stdin().lock().read_line(&mut String::new()).expect("a parent that goes on");
    minute(&mut tape);
    let kept = tape.finish().await.expect("a file");
    println!("\nkept {} {} {}", kept.duration_ms, kept.lost_ms, kept.sha256);
}

/// A limit on the size of files stands for the full disk.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_for_a_while_costs_what_it_did_not_take_and_is_told() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return record_past_the_end(Path::new(&folder)).await;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let this = std::env::current_exe().expect("this program");
    let mut child = Command::new("bash")
        .args(["-c", "trap '' XFSZ; ulimit -S -f 64; exec \"$0\" --exact --nocapture --test-threads 1 \"$1\""])
        .arg(this)
        .arg("a_disk_that_is_full_for_a_while_costs_what_it_did_not_take_and_is_told")
        .env(FOLDER, folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines().map_while(Result::ok);
    let process = lines.find_map(|line| Some(line.strip_prefix("full ")?.to_owned())).expect("a disk that is full");
    let raised = Command::new("prlimit").args(["--fsize=unlimited", "--pid", &process]).status().expect("prlimit");
    assert!(raised.success());
    writeln!(child.stdin.take().expect("its input"), "go on").expect("a child that listens");
    let kept = lines.find_map(|line| Some(line.strip_prefix("kept ")?.to_owned())).expect("a recording");
    assert!(child.wait().expect("an end").success());
    let told: Vec<&str> = kept.split(' ').collect();
    let (duration_ms, lost_ms): (u64, u64) = (told[0].parse().expect("ms"), told[1].parse().expect("ms"));
    assert_eq!(duration_ms, 120_000, "time went on");
    assert!((20_000..60_000).contains(&lost_ms), "{lost_ms} ms of the first minute are lost, and none of the second");
    let path = folder.path().join("full.ogg");
    let (length_ms, _, sha256) = length_of(&path).expect("readable");
    assert_eq!((length_ms, sha256.as_str()), (120_000, told[2]), "the hash is that of what is there");
    let [caller, _] = read(&path).expect("playable");
    assert_eq!(caller.len(), 120 * 48_000, "what was lost is silence");
    // What followed lies where it was: the second minute is loud from its first moment on, and before it nothing is to be heard.
    let loud = |from_ms: usize, to_ms: usize| {
        let of = &caller[from_ms * 48..to_ms * 48];
        (of.iter().map(|sample| sample * sample).sum::<f32>() / of.len() as f32).sqrt()
    };
    let hole_ms = 60_000 - lost_ms as usize;
    assert!(loud(hole_ms + 1_000, 60_000) < 0.01, "{}", loud(hole_ms + 1_000, 60_000));
    assert!(loud(60_040, 120_000) > 0.1 && loud(60_040, 60_200) > 0.1 && loud(1_000, hole_ms) > 0.1);
}

async fn told(http: std::net::SocketAddr, path: &str) -> (u16, String) {
    let answer = reqwest::get(format!("http://{http}/{path}")).await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a body"))
}

/// Nothing at all can be written for a while, neither rows nor sound nor journal: the call goes on, whoever watches is told, and of the
/// rows none is missing behind it.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_on_over_a_disk_that_is_full_for_a_while() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().expect("a folder");
    let (server, http) = serving_past_limits(&settings(folder.path(), None));
    let mut call = TypedCall::open_at(http, "").await;
    call.types("Is breakfast included?");
    assert!(!call.answer().await.is_empty());
    assert_eq!(told(http, "readyz").await.0, 200);

    limit_files(server.0.id(), "0");
    for text in ["What time do you close?", "And on Sundays?"] {
        call.types(text);
        assert!(!call.answer().await.is_empty(), "{text}: the agent answers all the same");
    }
    let (status, problem) = told(http, "readyz").await;
    assert!(
        status == 503 && problem.contains("store-unwritable") && problem.contains("calls.db"),
        "{status} {problem}"
    );
    assert_eq!(told(http, "healthz").await, (200, "ok\n".to_owned()));

    limit_files(server.0.id(), "unlimited");
    while told(http, "readyz").await.0 != 200 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    call.types("Thank you.");
    assert!(!call.answer().await.is_empty());
    let rows = Reader::of(&folder.path().join("calls.db"));
    let id = rows.calls(1).await.expect("readable").pop().expect("the call").call;
    let ended = reqwest::Client::new().delete(format!("http://{http}/v1/calls/{id}")).send().await;
    assert!(ended.expect("an answer").status().is_success());
    let row = sealed(&rows, &id).await;
    let told_call = rows.call(&id).await.expect("readable").expect("the call");
    let said = told_call.turns.iter().filter(|turn| turn.speaker == "caller").map(|turn| turn.text.as_str());
    let typed = ["Is breakfast included?", "What time do you close?", "And on Sundays?", "Thank you."];
    assert_eq!(said.collect::<Vec<_>>(), typed);
    assert!(told(http, "metrics").await.1.contains("duologue_rows_lost_total 0"));
    let file = folder.path().join("recordings").join(&row.file);
    let (duration_ms, bytes, sha256) = length_of(&file).expect("readable");
    assert_eq!((row.duration_ms, row.bytes, row.sha256), (Some(duration_ms as i64), Some(bytes as i64), Some(sha256)));
    let [caller, agent] = read(&file).expect("playable");
    assert!(caller.len() == agent.len() && caller.len() as u64 / 48 >= duration_ms.saturating_sub(20), "{duration_ms}");
}
