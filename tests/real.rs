//! Calls with the real models: one over UDP by `duologue call`, one from headless Chromium with a WAV as the microphone. What
//! the agent said is read back by Whisper, and the rows are read from SQLite.

mod house;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use duologue::audio::resample::Resampler;
use duologue::audio::{HEAR_RATE, wav};
use duologue::backend::whisper::{Whisper, WhisperConfig};
use duologue::backend::{Asr, AsrJob, AsrPurpose};
use duologue::models::Library;
use house::{House, browser_scenes, keep_screenshots, models_are_here};
use serde_json::Value;
use tokio::process::Command;

const NEEDED: &[&str] = &["whisper-tiny.en", "silero-vad", "smart-turn", "piper-joe", "qwen2.5-0.5b", "onnxruntime"];

/// The embedded language model is an executable of its own, beside the server's.
fn worker() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_duologue")).with_file_name("duologue-llm")
}

fn can_run() -> bool {
    let built = worker().is_file();
    if !built {
        assert!(
            std::env::var_os("DUOLOGUE_REQUIRE_MODELS").is_none(),
            "build it: cargo build --release -p duologue-llm"
        );
        println!("not tried: {} is not built", worker().display());
    }
    built && models_are_here(NEEDED)
}

async fn open() -> House {
    House::open("").await
}

/// A caller's line, in the agent's own voice.
async fn line(text: &str, to: &Path) {
    let said =
        Command::new(env!("CARGO_BIN_EXE_duologue")).args(["say", text, "--out"]).arg(to).output().await.expect("runs");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}

/// What Whisper reads in one channel of a WAV, lower case and without marks.
async fn read_back(sound: Vec<f32>, rate_hz: u32) -> Vec<String> {
    let library = Library::open(None).expect("a models folder");
    let model = library.path("whisper-tiny.en", "ggml-tiny.en.bin").expect("fetched");
    let whisper = Whisper::load(&WhisperConfig::new(&model, &model)).expect("loads");
    let mut heard = Vec::new();
    let mut resampler = Resampler::new(rate_hz, HEAR_RATE).expect("usual rates");
    resampler.push(&sound, &mut heard);
    resampler.flush(&mut heard);
    let mut words = Vec::new();
    for window in heard.chunks(20 * HEAR_RATE as usize) {
        let job = AsrJob { audio: window.into(), purpose: AsrPurpose::Final, prompt: None };
        words.extend(plain(&whisper.transcribe(job).await.expect("a transcript").text));
    }
    words
}

fn plain(text: &str) -> Vec<String> {
    let spaced: String = text.chars().map(|c| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { ' ' }).collect();
    spaced.split_whitespace().map(str::to_owned).collect()
}

/// The share of `said` that was read back.
fn recalled(said: &str, read: &[String]) -> f32 {
    let read: HashSet<&String> = read.iter().collect();
    let said = plain(said);
    said.iter().filter(|word| read.contains(word)).count() as f32 / said.len().max(1) as f32
}

fn agent_text(events: &[Value]) -> String {
    let ended = events.iter().filter(|event| event["type"] == "turn-ended");
    ended.filter_map(|event| event["heard"].as_str()).collect::<Vec<_>>().join(" ")
}

async fn rows(database: &Path, query: &str) -> Vec<String> {
    let out = Command::new("sqlite3").arg(database).arg(query).output().await.expect("sqlite3 is installed");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).lines().map(str::to_owned).collect()
}

/// Two calls with every model at once are more than two cores carry in real time: a caller whose own clock stumbles is heard with
/// holes in his sentences.
static ONE_CALL: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn a_spoken_question_over_udp_is_answered_aloud_and_kept() {
    if !can_run() {
        return;
    }
    let _alone = ONE_CALL.lock().await;
    let recordings = tempfile::tempdir().expect("a folder");
    let house = House::open(&format!("[recording]\ncalls = \"silent\"\ndir = {:?}\n", recordings.path())).await;
    let question = house.folder.path().join("question.wav");
    line("What time does the kitchen close tonight?", &question).await;
    let both = house.folder.path().join("both.wav");
    let call = Command::new(env!("CARGO_BIN_EXE_duologue"))
        .arg("call")
        .arg(&question)
        .args(["--url", &house.url, "--wait-for-agent", "--json", "--patience-s", "60", "--out"])
        .arg(&both)
        .stderr(Stdio::inherit())
        .output()
        .await
        .expect("runs");
    assert!(call.status.success());
    let printed: Vec<Value> =
        String::from_utf8_lossy(&call.stdout).lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let events: Vec<Value> = printed.iter().filter_map(|line| line.get("event").cloned()).collect();
    let said = agent_text(&events);
    let sound = wav::read(std::fs::File::open(&both).expect("recorded")).expect("a WAV");
    let read = read_back(sound.right.clone().expect("the agent is on the right"), sound.rate_hz).await;
    assert!(recalled(&said, &read) >= 0.6, "said {said:?}, read back {read:?}");
    let understood = read_back(sound.left, sound.rate_hz).await;
    assert!(understood.contains(&"kitchen".to_owned()), "the caller is on the left: {understood:?}");
    let database = house.database();
    house.server.stop().await;
    let kept = rows(&database, "SELECT text FROM turns WHERE speaker = 'caller'").await;
    assert!(kept.iter().any(|text| text.to_lowercase().contains("kitchen")), "{kept:?}");
    assert_eq!(rows(&database, "SELECT end_reason FROM calls").await, ["caller-hangup"]);
    replayed_as_it_was(recordings.path(), &database).await;
}

/// The call again, from its journal, without any model: the same events, and the same rows.
async fn replayed_as_it_was(recordings: &Path, database: &Path) {
    let [call] = &rows(database, "SELECT id FROM calls").await[..] else { panic!("one call") };
    let again = recordings.join("again.sqlite");
    let replay = Command::new(env!("CARGO_BIN_EXE_duologue"))
        .current_dir(recordings)
        .args(["replay", &format!("{call}.journal"), "--into"])
        .arg(&again)
        .output()
        .await
        .expect("runs");
    let told = String::from_utf8_lossy(&replay.stdout).into_owned();
    assert!(replay.status.success(), "{told}\n{}", String::from_utf8_lossy(&replay.stderr));
    assert!(told.contains("the same, byte for byte") && !told.contains("end is not in it"), "{told}");
    for question in [
        "SELECT turn, speaker, started_ms, ended_ms, text, heard, outcome FROM turns ORDER BY turn",
        "SELECT turn, n, text, state, generated_ms, sent_ms FROM words ORDER BY turn, n",
        "SELECT at_ms, type, json FROM events ORDER BY at_ms, id",
    ] {
        let was = rows(database, question).await;
        assert!(!was.is_empty(), "{question}");
        assert_eq!(was, rows(&again, question).await, "{question}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_calls_speaks_types_and_hangs_up() {
    if !can_run() {
        return;
    }
    let _alone = ONE_CALL.lock().await;
    let Some(script) = browser_scenes() else { return };
    let house = open().await;
    let question = house.folder.path().join("question.wav");
    line("What time does the kitchen close tonight?", &question).await;
    let out = house.folder.path().join("browser");
    let run = Command::new("node")
        .current_dir(&script)
        .arg("call.mjs")
        .args([
            "--url",
            &house.url,
            "--lead-ms",
            "8000",
            "--transcript",
            "[Kk]itchen",
            "--text",
            "Are dogs welcome?",
            "--persona",
            "porter",
            "--mic",
        ])
        .arg(&question)
        .arg("--out")
        .arg(&out)
        .output()
        .await
        .expect("node runs");
    let told = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(run.status.success(), "{told}\n{}", String::from_utf8_lossy(&run.stderr));
    let events: Vec<Value> = std::fs::read_to_string(out.join("events.jsonl"))
        .expect("events")
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    assert!(events.iter().any(|event| event["type"] == "partial"), "partials came while the caller spoke");
    let said = agent_text(&events);
    let sound = wav::read(std::fs::File::open(out.join("agent.wav")).expect("recorded")).expect("a WAV");
    let rate_hz = sound.rate_hz;
    let read = read_back(sound.into_mono(), rate_hz).await;
    assert!(recalled(&said, &read) >= 0.5, "said {said:?}, read back {read:?}");
    let database = house.database();
    house.server.stop().await;
    let typed = rows(&database, "SELECT text FROM turns WHERE typed = 1").await;
    assert_eq!(typed, ["Are dogs welcome?"]);
    assert_eq!(rows(&database, "SELECT end_reason FROM calls").await, ["caller-hangup"]);
    keep_screenshots(&out);
}
