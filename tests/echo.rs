//! A telephone that sends the agent's voice back, over real sockets: the agent neither interrupts itself nor answers itself.

mod house;

use std::path::{Path, PathBuf};

use duologue::audio::LINE_RATE;
use duologue::audio::wav;
use duologue::call_client::feedback::Feedback;
use duologue::call_client::{CallArguments, run};
use house::House;
use sqlx::{Connection, Row};

/// Some ten seconds.
const OPENING: &str = "Good evening, this is the house at the harbour, and I am the porter of the night. The kitchen is open \
    until ten, and the bar until midnight, but for Sundays. What can I do for you?";

/// A server whose agent has a lot to say. Its voice is scripted, and a voice to its detector.
async fn house(media: &str, more: &str) -> House {
    let folder = tempfile::tempdir().expect("a folder");
    let personas = folder.path();
    let page = format!("---\nname: porter\ntitle: Porter\nopening: {OPENING}\n---\nYou are a porter.\n");
    std::fs::write(personas.join("porter.md"), page).expect("a persona");
    let house = House::open(&format!(
        "{media}[asr]\nbackend = \"scripted\"\n[llm]\nbackend = \"scripted\"\n[tts]\nbackend = \"scripted\"\n\
         [judge]\nkind = \"rules\"\n[personas]\ndir = {personas:?}\n{more}"
    ))
    .await;
    // Personas are read once.
    drop(folder);
    house
}

/// A caller who lets the agent finish and then asks something, once; how many answers he got.
async fn call(house: &House, echo: &str, patience_s: f64) -> usize {
    let args = CallArguments {
        wavs: vec![question(house.folder.path())],
        url: house.url.clone(),
        caller: None,
        persona: None,
        out: None,
        json: true,
        labels: None,
        speech_dbfs: -45.0,
        turn_gap_ms: 1_600,
        wait_for_agent: true,
        patience_s,
        hangup_after: Some(2.0 * patience_s + 20.0),
        playout_delay_ms: 0,
        echo: Some(echo.parse::<Feedback>().expect("a way back")),
        impair: None,
        impair_seed: 1,
    };
    let (_, summary) = run(args).await.expect("a call");
    summary.answered
}

fn question(folder: &Path) -> PathBuf {
    let path = folder.join("question.wav");
    let sound: Vec<f32> = (0..LINE_RATE * 3 / 2).map(|n| buzz(n as f32 / LINE_RATE as f32)).collect();
    let file = std::fs::File::create(&path).expect("a file");
    wav::write_mono(std::io::BufWriter::new(file), LINE_RATE, &sound).expect("a WAV");
    path
}

/// A buzz of syllables: enough of a voice for the detector that needs no model.
fn buzz(t: f32) -> f32 {
    let turns = |hz: f32| (std::f32::consts::TAU * hz * t).sin();
    let harmonics: f32 = (1..=20).map(|k| turns(130.0 * k as f32) / (k as f32).sqrt()).sum();
    0.05 * harmonics * turns(1.6).abs()
}

/// How each side's turns came out, in order: `agent completed`, `caller`.
async fn turns(house: House) -> Vec<String> {
    let database = house.database();
    house.server.stop().await;
    let mut file = sqlx::SqliteConnection::connect(&format!("sqlite://{}", database.display())).await.expect("a file");
    let rows =
        sqlx::query("SELECT speaker, outcome FROM turns ORDER BY turn").fetch_all(&mut file).await.expect("rows");
    rows.iter()
        .map(|row| match row.get::<Option<String>, _>("outcome") {
            Some(outcome) => format!("{} {outcome}", row.get::<String, _>("speaker")),
            None => row.get("speaker"),
        })
        .collect()
}

/// The scripted voice is made of tones, its detector goes by energy, and its recogniser hears a question in any sound: the first
/// syllables may stop the agent, before it is known how late its voice comes back. Never more than that.
fn assert_undisturbed(turns: &[String]) {
    let stopped = turns.iter().filter(|turn| *turn == "agent interrupted").count();
    assert!(stopped <= 1, "{turns:?}");
    assert_eq!(turns.last().map(String::as_str), Some("agent completed"), "{turns:?}");
}

#[tokio::test]
async fn an_agent_whose_voice_comes_back_finishes_what_it_says_and_hears_the_caller() {
    let house = house("", "").await;
    assert!(call(&house, "10,120", 20.0).await >= 1);
    assert_undisturbed(&turns(house).await);
}

#[tokio::test]
async fn it_does_so_with_an_echo_that_is_late() {
    let house = house("echo_canceller = \"on\"\n", "").await;
    assert!(call(&house, "10,300", 20.0).await >= 1);
    assert_undisturbed(&turns(house).await);
}

/// What the two tests above are worth: this is what becomes of an agent that takes its own voice for the caller's.
#[tokio::test]
async fn where_nothing_is_done_about_it_it_interrupts_itself() {
    let house = house("echo_canceller = \"off\"\n", "").await;
    call(&house, "10,300", 4.0).await;
    let turns = turns(house).await;
    assert_eq!(turns.first().map(String::as_str), Some("agent interrupted"), "{turns:?}");
}
