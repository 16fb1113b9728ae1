//! What it takes to recollect a caller, on the disk under `TMPDIR`: `make bench-memory`. Figures are printed, not asserted.
//!
//! 100,000 facts in one file: a thousand callers with 90 each and one with 10,000, which is more than any telephone line will
//! see of anybody. Every question is put as a call puts it, connection included.

use std::time::{Duration, Instant};

use duologue::journal::Entry;
use duologue::memory::calendar::Day;
use duologue::memory::meaning::{Meaning, WIDTH, nearest};
use duologue::memory::{CALLER, Fact, Gleanings, Predicate};
use duologue::store::{Reader, Recorder, Store};

const CALLERS: u32 = 1_000;
const FACTS: u32 = 90;
/// Of the one who has talked for years.
const MANY: u32 = 10_000;
const QUESTIONS: u32 = 500;
const START_UTC_MS: i64 = 1_767_607_200_000;
const DAY_MS: i64 = 24 * 3_600_000;

const WHO: [&str; 10] =
    ["sister", "brother", "dog", "boat", "garden", "daughter", "neighbour", "bicycle", "roof", "piano"];
const DID: [&str; 10] =
    ["visited", "repaired", "painted", "sold", "lost", "photographed", "washed", "borrowed", "measured", "described"];
const WHERE: [&str; 10] =
    ["lighthouse", "harbour", "market", "chapel", "station", "orchard", "library", "quarry", "bakery", "island"];

fn opened(call: &str, caller: &str) -> Entry {
    let text = |text: &str| text.to_owned();
    Entry::CallOpened {
        call: text(call),
        started_utc_ms: START_UTC_MS,
        caller: Some(text(caller)),
        persona: text("porter"),
        transport: text("webrtc"),
        asr: text("none"),
        llm: text("none"),
        tts: text("none"),
    }
}

/// Words repeat, as they do in a caller's life; the number keeps the facts apart.
fn fact(n: u32) -> Fact {
    let word = |of: &[&'static str; 10], n: u32| of[n as usize % 10];
    let value = format!("{} the {} at the {}, number {n}", word(&DID, n), word(&WHO, n / 10), word(&WHERE, n / 7));
    let day = Day::of_utc_ms(START_UTC_MS - i64::from(n % 700) * DAY_MS);
    Fact { subject: CALLER.into(), predicate: Predicate::Did, value, day: Some(day), confidence: 0.9 }
}

/// A direction of its own for each; some are near each other, as facts are.
fn meaning(n: u32) -> Meaning {
    let mut state = u64::from(n / 3 + 1);
    let embedding: Vec<f32> = (0..WIDTH)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
        })
        .collect();
    Meaning::of(&embedding).expect("an embedding")
}

async fn fill(recorder: &Recorder, caller: u32, facts: u32) {
    let call = format!("call-{caller}");
    recorder.record(opened(&call, &format!("caller-{caller}")));
    for n in 0..facts {
        let line = fact(n).line();
        let gleanings = Gleanings { facts: vec![fact(n)], ..Gleanings::default() };
        recorder.record(Entry::Remembered {
            call: call.clone(),
            turn: 1,
            gleanings,
            at_utc_ms: START_UTC_MS + i64::from(n),
        });
        let meaning = Box::new(meaning(n));
        recorder.record(Entry::Meant { call: call.clone(), line, model: "bench", meaning });
        if n % 1_000 == 999 {
            recorder.flush().await.expect("a disk that writes");
        }
    }
    recorder.flush().await.expect("a disk that writes");
}

fn line(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)].as_secs_f64() * 1_000.0;
    println!("{what}: p50 {:.2} ms, p95 {:.2} ms, worst {:.2} ms ({} times)", at(50), at(95), at(100), times.len());
}

async fn ask(reader: &Reader, whose: &str, questions: u32, caller: impl Fn(u32) -> u32) {
    let today = Day::of_utc_ms(START_UTC_MS);
    let (mut known, mut by_words, mut by_day) = (Vec::new(), Vec::new(), Vec::new());
    let (mut loaded, mut by_meaning) = (Vec::new(), Vec::new());
    for n in 0..questions {
        let name = format!("caller-{}", caller(n));
        let asked = Instant::now();
        let recollection = reader.recollection(&name, today).await.expect("readable");
        known.push(asked.elapsed());
        assert!(!recollection.facts.is_empty(), "{name} is known");
        let asked = Instant::now();
        let meanings = reader.meanings(&name).await.expect("readable");
        loaded.push(asked.elapsed());
        assert!(!meanings.is_empty(), "{name} has facts with a meaning");
        let question = format!("Do you remember when I {} the {}?", DID[n as usize % 10], WHERE[n as usize / 10 % 10]);
        let asked = Instant::now();
        let near = nearest(&meaning(n * 31), &meanings, 4);
        by_meaning.push(asked.elapsed());
        let asked = Instant::now();
        let lines = reader.recalled(&name, "now", &question, today, 4, &near).await.expect("readable");
        by_words.push(asked.elapsed());
        assert!(!lines.is_empty(), "{question}");
        let asked = Instant::now();
        reader.recalled(&name, "now", "What did I do yesterday?", today, 4, &near).await.expect("readable");
        by_day.push(asked.elapsed());
    }
    line(&format!("{whose}, what is known as a call begins"), known);
    line(&format!("{whose}, what the facts mean, once a call"), loaded);
    line(&format!("{whose}, facts near in meaning, among them"), by_meaning);
    line(&format!("{whose}, what words and meaning bring to mind"), by_words);
    line(&format!("{whose}, what a day brings to mind"), by_day);
}

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("duologue.db");
    let store = Store::open(&path).await.expect("a database");
    let began = Instant::now();
    for caller in 0..CALLERS {
        fill(&store.recorder(), caller, FACTS).await;
    }
    fill(&store.recorder(), CALLERS, MANY).await;
    let facts = CALLERS * FACTS + MANY;
    println!(
        "{facts} facts written in {:.1} s, {} lost",
        began.elapsed().as_secs_f64(),
        store.recorder().counts().lost
    );
    ask(&store.reader(), "a caller of 90 facts", QUESTIONS, |n| n * 7 % CALLERS).await;
    ask(&store.reader(), "a caller of 10,000 facts", QUESTIONS / 10, |_| CALLERS).await;
    store.close().await;
}
