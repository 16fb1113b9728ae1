//! What the call database costs, on the disk under `TMPDIR`: `cargo bench --bench store`. Figures are printed, not asserted.

use std::time::{Duration, Instant};

use duologue::journal::{Entry, Speaker, TurnRow};
use duologue::store::{Recorder, Store};
use duologue_signaling::event::{Event, LatencyParts, Stamped};

const ROWS: u32 = 100_000;
const FLUSHES: u32 = 500;
const QUESTIONS: u32 = 200;

fn opened(call: &str) -> Entry {
    let text = |text: &str| text.to_owned();
    Entry::CallOpened {
        call: text(call),
        started_utc_ms: 1_767_607_200_000,
        caller: Some(text("Ada")),
        persona: text("default"),
        transport: text("webrtc"),
        asr: text("none"),
        llm: text("none"),
        tts: text("none"),
    }
}

fn turn(call: &str, turn: u32) -> Entry {
    Entry::Turn(TurnRow {
        call: call.into(),
        turn,
        speaker: Speaker::Caller,
        started_ms: u64::from(turn) * 1_000,
        ended_ms: u64::from(turn) * 1_000 + 900,
        text: "What time do you open on Sundays, and is there a place to park?".into(),
        heard: None,
        typed: false,
        outcome: None,
        action: None,
        reason: None,
        latency: LatencyParts::default(),
    })
}

fn partial(call: &str, at_ms: u64) -> Entry {
    let event = Event::Partial { turn: 1, text: "What time do you open on".into(), stable: 4 };
    Entry::Event { call: call.into(), event: Stamped { at_ms, event } }
}

/// Sorted, for the percentiles.
fn line(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    println!("{what}: p50 {:.2?}, p95 {:.2?}, worst {:.2?} ({} times)", at(50), at(95), at(100), times.len());
}

/// As many rows as the disk takes: never more in flight than the queue holds.
async fn group_commit(recorder: &Recorder) {
    let started = Instant::now();
    let mut recording = Duration::ZERO;
    for chunk in (0..ROWS).collect::<Vec<_>>().chunks(1_000) {
        let begun = Instant::now();
        for n in chunk {
            recorder.record(partial("bulk", u64::from(*n)));
        }
        recording += begun.elapsed();
        recorder.flush().await.expect("a disk that writes");
    }
    let took = started.elapsed();
    println!("group commit: {:.0} rows/s in transactions of 1,000 rows", f64::from(ROWS) / took.as_secs_f64());
    println!("record(): {:.0} ns a row, making it included", recording.as_nanos() as f64 / f64::from(ROWS));
}

async fn flushes(recorder: &Recorder) {
    let mut times = Vec::new();
    for n in 1..=FLUSHES {
        recorder.record(turn("flushed", n));
        let asked = Instant::now();
        recorder.flush().await.expect("a disk that writes");
        times.push(asked.elapsed());
    }
    line("one turn durable", times);
}

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("duologue.db");
    let store = Store::open(&path).await.expect("a database");
    let recorder = store.recorder();
    recorder.record(opened("bulk"));
    recorder.record(opened("flushed"));
    flushes(&recorder).await;
    group_commit(&recorder).await;
    recorder.record(opened("small"));
    (1..=10).for_each(|n| recorder.record(turn("small", n)));
    recorder.flush().await.expect("a disk that writes");
    let reader = store.reader();
    let mut times = Vec::new();
    for _ in 0..QUESTIONS {
        let asked = Instant::now();
        reader.call("small").await.expect("readable").expect("the call");
        times.push(asked.elapsed());
    }
    line("a call of 10 turns read", times);
    let counts = store.close().await;
    println!("kept {}, lost {}, refused {}", counts.kept, counts.lost, counts.refused);
}
