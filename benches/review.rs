//! How long the questions of a morning after take on ten thousand calls, on the disk under `TMPDIR`: `make bench-review`. Each must be
//! answered in 100 ms. Processor time stands beside the clock's, so that a machine with other work shows. Figures are printed, not
//! asserted. `DATABASE=file` takes one that `duologue review generate` has made.

use std::path::PathBuf;
use std::time::Instant;

use duologue::review::{Limits, QUERIES, SAID, ask_with, generate, match_all};
use serde_json::Value;

const CALLS: u32 = 10_000;
/// Times that each question is put.
const TIMES: usize = 21;
/// What a question may take.
const WITHIN_MS: f64 = 100.0;

/// What the review page asks when it is opened, when somebody searches, and when a call is opened.
const PAGE: &[(&str, &str, &[&str])] = &[
    (
        "page: the first hundred calls",
        "SELECT call_overview.* FROM (SELECT id FROM calls ORDER BY started_utc_ms DESC, id DESC LIMIT 100 OFFSET 0) AS chosen
         JOIN call_overview ON call_overview.call = chosen.id ORDER BY started_utc DESC, call DESC",
        &[],
    ),
    ("page: how many there are", "SELECT count(*) AS calls FROM calls", &[]),
    (
        "page: calls with a rare word",
        "SELECT call_overview.* FROM (SELECT id FROM calls
            WHERE id IN (SELECT call FROM turns WHERE id IN (SELECT rowid FROM said_fts WHERE said_fts MATCH ?1))
            ORDER BY started_utc_ms DESC, id DESC LIMIT 100 OFFSET 0) AS chosen
         JOIN call_overview ON call_overview.call = chosen.id ORDER BY started_utc DESC, call DESC",
        &["\"observatory\"*"],
    ),
    (
        "page: how many have a frequent word",
        "SELECT count(*) AS calls FROM calls
         WHERE id IN (SELECT call FROM turns WHERE id IN (SELECT rowid FROM said_fts WHERE said_fts MATCH ?1))",
        &["\"the\"*"],
    ),
    (
        "page: how many were cut in on",
        "SELECT count(*) AS calls FROM calls WHERE EXISTS (SELECT 1 FROM call_totals WHERE call = calls.id AND interruptions > 0)",
        &[],
    ),
];

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = match std::env::var_os("DATABASE") {
        Some(path) => PathBuf::from(path),
        None => {
            let (path, began) = (folder.path().join("duologue.db"), Instant::now());
            generate(&path, CALLS, 1).await.expect("a database");
            println!("{CALLS} calls written in {:.1} s", began.elapsed().as_secs_f64());
            path
        }
    };
    println!("{:.0} MB", std::fs::metadata(&path).expect("a file").len() as f64 / 1e6);
    // The first time reads from the disk what the others find in the kernel's memory.
    println!("{:<44} {:>7} {:>9} {:>9} {:>9} {:>9}", "question", "rows", "first, ms", "p50, ms", "most, ms", "CPU, ms");
    let searched = match_all("harbour view").expect("words");
    let named = QUERIES.iter().map(|query| (query.name, query.sql(), Vec::new()));
    let asked =
        PAGE.iter().map(|(name, sql, words)| (*name, *sql, words.iter().map(|word| Value::from(*word)).collect()));
    let mut missed = 0;
    for (name, sql, parameters) in
        named.chain(asked).chain([("review search harbour view", SAID, vec![searched.into()])])
    {
        let mut took = Vec::new();
        let mut rows = 0;
        let before = processor_ms();
        for _ in 0..TIMES {
            let began = Instant::now();
            let table = ask_with(&path, sql, &parameters, Limits::default()).await;
            took.push(began.elapsed().as_secs_f64() * 1_000.0);
            rows = table.unwrap_or_else(|fault| panic!("{name}: {fault}")).rows.len();
        }
        let computed = processor_ms().zip(before).map(|(after, before)| (after - before) / TIMES as f64);
        let computed = computed.map_or_else(|| "?".to_owned(), |ms| format!("{ms:.1}"));
        let first = took.remove(0);
        took.sort_by(f64::total_cmp);
        let (half, most) = (took[took.len() / 2], took[took.len() - 1]);
        missed += usize::from(most > WITHIN_MS);
        let mark = if most > WITHIN_MS { "  more than 100 ms" } else { "" };
        println!("{name:<44} {rows:>7} {first:>9.1} {half:>9.1} {most:>9.1} {computed:>9}{mark}");
    }
    println!("{missed} took more than {WITHIN_MS} ms");
}

/// What this process has computed so far, with threads that are over: each question has one of its own. The kernel counts in hundredths
/// of a second (`utime` and `stime` of `proc_pid_stat(5)`). `None` where it does not tell.
fn processor_ms() -> Option<f64> {
    const TICK_MS: f64 = 10.0;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name stands in parentheses and may hold blanks; behind it `utime` is the 12th value.
    let ticks: Vec<f64> =
        stat.rsplit_once(')')?.1.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse().ok()).collect();
    Some(ticks.iter().sum::<f64>() * TICK_MS)
}
