//! What it takes to look something up, on the disk under `TMPDIR`: `make bench-knowledge`. Figures are printed, not asserted.
//!
//! Three shelves in one file: one of 200 chunks (a surgery's folder), one of 2,000 (a handbook), one of 20,000 (a library). Every
//! question is put as a call puts it, connection included. The bytes of the texts come from a seed.

use std::time::{Duration, Instant};

use duologue::knowledge::Chunk;
use duologue::store::{KnowledgeFiles, Reader, Store};

const QUESTIONS: u32 = 400;
const SHELVES: [(&str, u32); 3] = [("surgery", 200), ("handbook", 2_000), ("library", 20_000)];

const THINGS: [&str; 24] = [
    "certificate",
    "appointment",
    "prescription",
    "vaccination",
    "parking",
    "wheelchair",
    "passport",
    "invoice",
    "deposit",
    "breakfast",
    "towel",
    "bicycle",
    "locker",
    "membership",
    "refund",
    "delivery",
    "warranty",
    "battery",
    "garden",
    "harbour",
    "library",
    "museum",
    "ticket",
    "allergy",
];
const MADE: [&str; 16] = [
    "collected",
    "paid",
    "ordered",
    "returned",
    "renewed",
    "booked",
    "cancelled",
    "insured",
    "repaired",
    "measured",
    "printed",
    "translated",
    "stored",
    "washed",
    "opened",
    "closed",
];

/// xorshift: the same words every time.
struct Dice(u64);

impl Dice {
    fn roll<'a>(&mut self, of: &[&'a str]) -> &'a str {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        of[(self.0 % of.len() as u64) as usize]
    }
}

fn chunk(dice: &mut Dice, n: u32) -> Chunk {
    let sentence = |dice: &mut Dice| {
        let (a, b, c) = (dice.roll(&THINGS), dice.roll(&MADE), dice.roll(&THINGS));
        format!("A {a} is {b} at the desk with the {c}, between nine and noon, by whoever has asked for it. ")
    };
    let text = (0..4).map(|_| sentence(dice)).collect::<String>();
    Chunk { heading: format!("{} > number {n}", dice.roll(&THINGS)), line: Some(n + 1), page: None, text }
}

fn line(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)].as_secs_f64() * 1_000.0;
    println!("{what}: p50 {:.2} ms, p95 {:.2} ms, worst {:.2} ms ({} times)", at(50), at(95), at(100), times.len());
}

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("duologue.db");
    Store::open(&path).await.expect("a database").close().await;
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut files = KnowledgeFiles::open(&path).await.expect("its tables");
    let began = Instant::now();
    for (persona, chunks) in SHELVES {
        for file in 0..chunks / 100 {
            let chunks: Vec<Chunk> = (0..100).map(|n| chunk(&mut dice, file * 100 + n)).collect();
            files.put(persona, &format!("{persona}/{file}.md"), &"0".repeat(64), Ok(&chunks)).await.expect("written");
        }
    }
    files.close().await.expect("closed");
    println!(
        "{} chunks written in {:.1} s",
        SHELVES.iter().map(|(_, n)| n).sum::<u32>(),
        began.elapsed().as_secs_f64()
    );
    let reader = Reader::of(&path);
    for (persona, chunks) in SHELVES {
        let mut times = Vec::new();
        for _ in 0..QUESTIONS {
            let question =
                format!("Where is my {} {} with a {}?", dice.roll(&THINGS), dice.roll(&MADE), dice.roll(&THINGS));
            let asked = Instant::now();
            let found = reader.passages(persona, &question).await.expect("readable");
            times.push(asked.elapsed());
            assert!(!found.is_empty(), "{question}");
        }
        line(&format!("{persona}, {chunks} chunks"), times);
    }
}
