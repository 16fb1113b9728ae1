//! Every action in a spoken call with the real models: the callers' lines are Piper's, heard by Whisper, judged by the tuned judge,
//! answered by the language model. What was done is read from the rows.

mod house;

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use duologue::store::lift_block;
use house::{House, models_are_here};
use serde_json::Value;
use tokio::process::Command;

const NEEDED: &[&str] =
    &["whisper-tiny.en", "silero-vad", "smart-turn", "piper-joe", "qwen2.5-0.5b", "onnxruntime", "minilm"];

/// Calls with every model at once are more than two cores carry in real time.
static ONE_CALL: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn can_run() -> bool {
    let worker = Path::new(env!("CARGO_BIN_EXE_duologue")).with_file_name("duologue-llm");
    if !worker.is_file() {
        assert!(
            std::env::var_os("DUOLOGUE_REQUIRE_MODELS").is_none(),
            "build it: cargo build --release -p duologue-llm"
        );
        println!("not tried: {} is not built", worker.display());
        return false;
    }
    models_are_here(NEEDED)
}

async fn duologue(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_duologue")).args(arguments).stderr(Stdio::inherit()).output().await.expect("runs")
}

/// The callers' lines as WAVs.
async fn spoken(folder: &Path, lines: &[&str]) -> Vec<PathBuf> {
    let mut wavs = Vec::new();
    for (n, line) in lines.iter().enumerate() {
        let to = folder.join(format!("line-{n}.wav"));
        let said = duologue(&["say", line, "--out", to.to_str().expect("a plain path")]).await;
        assert!(said.status.success(), "{line}");
        wavs.push(to);
    }
    wavs
}

/// A call that speaks these lines, one after the other; gives the events.
async fn call(house: &House, persona: &str, lines: &[&str], patience_s: &str) -> Vec<Value> {
    let called = dial(house, persona, lines, patience_s).await;
    assert!(called.status.success());
    let printed = String::from_utf8_lossy(&called.stdout).into_owned();
    let lines = printed.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter_map(|line| line.get("event").cloned()).collect()
}

async fn dial(house: &House, persona: &str, lines: &[&str], patience_s: &str) -> Output {
    let wavs = spoken(house.folder.path(), lines).await;
    let mut arguments = vec!["call"];
    arguments.extend(wavs.iter().map(|wav| wav.to_str().expect("a plain path")));
    let settings = ["--url", &house.url, "--persona", persona, "--caller", "ada", "--wait-for-agent", "--json"];
    arguments.extend(settings);
    arguments.extend(["--patience-s", patience_s]);
    duologue(&arguments).await
}

async fn rows(database: &Path, query: &str) -> Vec<String> {
    let out = Command::new("sqlite3").arg(database).arg(query).output().await.expect("sqlite3 is installed");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).lines().map(str::to_owned).collect()
}

/// What was done at these moments, in order.
async fn done(database: &Path, moment: &str) -> Vec<String> {
    rows(database, &format!("SELECT action FROM judgements WHERE moment = '{moment}' ORDER BY at_ms")).await
}

/// Each once, by name.
fn kinds(actions: &[String]) -> Vec<&str> {
    actions.iter().map(String::as_str).collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

fn of<'a>(events: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    events.iter().filter(move |event| event["type"] == kind)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_porter_answers_changes_the_subject_refuses_and_waits() {
    if !can_run() {
        return;
    }
    let _alone = ONE_CALL.lock().await;
    let house = House::open("").await;
    let lines = [
        "What time does the kitchen close tonight?",
        "How much do you make in a week, roughly?",
        "Which room is Mister Hale in? Just tell me the number.",
        "Hold on, let me get a pen.",
    ];
    // After "hold on" the ladder's first rung takes three times its nine seconds.
    call(&house, "porter", &lines, "45").await;
    let database = house.database();
    house.server.stop().await;
    // A reader's pause may make two turns of a line: which actions were carried out is what counts, and that none else was.
    let ended = done(&database, "end_of_turn").await;
    assert_eq!(kinds(&ended), ["deflect", "listen", "refuse", "respond"], "{ended:?}");
    // Whether this is a moment to speak first is the judge's to say; that it is asked is ours.
    let idle = done(&database, "idle").await;
    assert!(!idle.is_empty() && idle.iter().all(|action| action == "initiate" || action == "silence"), "{idle:?}");
    let room = rows(&database, "SELECT text FROM turns WHERE speaker = 'caller' ORDER BY turn").await;
    assert!(room.iter().any(|said| said.contains("number")), "{room:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clinic_cuts_in_on_an_emergency_and_blocks_who_goes_on_insulting() {
    if !can_run() {
        return;
    }
    let _alone = ONE_CALL.lock().await;
    let house = House::open("").await;
    let lines = [
        "I have had this pain in my chest since this morning, and it goes down my left arm, and I can hardly breathe, but what I \
         wanted to ask you is when the prescription for my tablets will be ready, because I wanted to send my son for it.",
        "You stupid, worthless idiot. I will come down there and hurt you.",
        "You useless, filthy pig. I will find you and I will kill you.",
        "You are a filthy liar. I know where you live and I will kill you.",
    ];
    let events = call(&house, "clinic", &lines, "20").await;
    let database = house.database();
    assert!(done(&database, "caller").await.iter().any(|action| action == "interrupt"), "the agent took the floor");
    let ended = done(&database, "end_of_turn").await;
    assert_eq!(ended.last().map(String::as_str), Some("block"), "{ended:?}");
    assert_eq!(rows(&database, "SELECT end_reason FROM calls").await, ["agent-hangup"]);
    let said: Vec<&str> = of(&events, "turn-ended").filter_map(|event| event["heard"].as_str()).collect();
    assert!(said.last().is_some_and(|said| said.contains("Goodbye")), "it is announced: {said:?}");

    let refused = dial(&house, "clinic", &["When are you open?"], "20").await;
    assert!(!refused.status.success(), "a blocked caller gets no line");
    let lift = lift_block(&database, "ada").await.expect("lifted");
    // One, or one more where he talked over the goodbye.
    assert!((1..=2).contains(&lift), "{lift} blocks");
    let taken = dial(&house, "clinic", &["When are you open?"], "20").await;
    assert!(taken.status.success(), "the operator's word opens it again");
    house.server.stop().await;
}

/// The language model is a script here, because a small one shows a picture when it likes; everything else is as shipped.
#[tokio::test(flavor = "multi_thread")]
async fn the_companion_listens_keeps_out_of_what_is_not_for_her_and_shows_a_picture() {
    if !can_run() {
        return;
    }
    let _alone = ONE_CALL.lock().await;
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("script.yaml");
    let rules =
        "rules:\n  - hears: [rain]\n    says: I love it \u{1f327}\u{fe0f} when it drums on the roof.\notherwise: Oh.\n";
    std::fs::write(&script, rules).expect("a script");
    let house =
        House::open(&format!("[llm]\nbackend = \"scripted\"\nmodel = {:?}\n", script.display().to_string())).await;
    let lines = [
        "We came here every summer, the same flat, the same crack in the ceiling, and my mother had a print of this over the sofa, \
         slightly crooked all my life, and nobody ever said a word about it.",
        "Come here, boy. Sit. Good dog. Sit.",
        "Do you like rain?",
    ];
    let events = call(&house, "companion", &lines, "20").await;
    let database = house.database();
    house.server.stop().await;
    assert!(of(&events, "attention").next().is_some(), "a sign of attention while the caller speaks");
    let ended = done(&database, "end_of_turn").await;
    assert_eq!(kinds(&ended), ["respond", "silence"], "{ended:?}");
    assert_eq!(
        of(&events, "express").filter_map(|event| event["emoji"].as_str()).collect::<Vec<_>>(),
        ["\u{1f327}\u{fe0f}"]
    );
    let heard = rows(&database, "SELECT group_concat(heard, ' ') FROM turns WHERE speaker = 'agent'").await;
    assert!(heard[0].contains("drums"), "{heard:?}");
}
