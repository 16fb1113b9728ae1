//! What was acknowledged is in the file, whatever happens to the process, the disk or the program beside it.

mod common;

use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::{agent_turn, caller_turn, closed, fact, opened, partial, place, remembered};
use duologue::journal::Entry;
use duologue::memory::Predicate;
use duologue::store::{NotKept, Store, StoreError};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

/// Names the database to a child process, which is this test binary with one test to run.
const DATABASE: &str = "DUOLOGUE_TEST_DATABASE";
const ROUND: &str = "DUOLOGUE_TEST_ROUND";

async fn connect(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).connect().await.expect("a database")
}

async fn number(path: &Path, question: &'static str) -> i64 {
    sqlx::query_scalar(question).fetch_one(&mut connect(path).await).await.expect("an answer")
}

/// A child that runs `test` of this binary; `shell` comes before it, as in `ulimit -f 100;`.
fn child(test: &str, path: &Path, round: u32, shell: &str) -> Child {
    let itself = std::env::current_exe().expect("a path");
    Command::new("sh")
        .args(["-c", &format!("{shell} exec \"$0\" {test} --exact --nocapture --test-threads 1")])
        .arg(itself)
        .env(DATABASE, path)
        .env(ROUND, round.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a child process")
}

fn say(line: &str) {
    println!("{line}");
    std::io::stdout().flush().expect("a parent that listens");
}

/// What a child said after `word`; the test harness may have begun the line.
fn said(line: &str, word: &str) -> Option<String> {
    line.split_once(word).map(|(_, said)| said.to_owned())
}

/// Writes turns and events for ever and prints the number of the last turn after each acknowledged flush.
async fn write_until_killed(path: &Path, round: u32) {
    let store = Store::open(path).await.expect("a database");
    let recorder = store.recorder();
    let call = format!("round-{round}");
    recorder.record(opened(&call, Some("Ada")));
    let mut turn = 0;
    for burst in (1..=17).cycle() {
        for _ in 0..burst {
            turn += 1;
            recorder.record(partial(&call, u64::from(turn), "so far"));
            recorder.record(Entry::Turn(caller_turn(&call, turn, u64::from(turn) * 10, "all of it")));
            recorder.record(remembered(&call, turn, vec![fact(Predicate::Did, &format!("{turn} of {round}"))]));
        }
        recorder.flush().await.expect("a disk that writes");
        assert_eq!(recorder.counts().lost, 0);
        say(&format!("acknowledged {turn}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_row_survives_sigkill() {
    if let (Ok(path), Ok(round)) = (std::env::var(DATABASE), std::env::var(ROUND)) {
        return write_until_killed(Path::new(&path), round.parse().expect("a number")).await;
    }
    let (_folder, path) = place();
    let mut acknowledged = Vec::new();
    for round in 0..6 {
        let mut child = child("every_acknowledged_row_survives_sigkill", &path, round, "");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let kill_after = rand::random_range(1..60);
        let mut last = 0;
        let turns = lines.map_while(Result::ok).filter_map(|line| said(&line, "acknowledged ")?.parse::<i64>().ok());
        for (seen, turn) in turns.enumerate() {
            last = turn;
            if seen + 1 == kill_after {
                child.kill().expect("SIGKILL");
            }
        }
        assert_eq!(child.wait().expect("an end").signal(), Some(9), "round {round}: the writer ended by itself");
        acknowledged.push(last);
    }
    let store = Store::open(&path).await.expect("a database");
    let known = store.reader().caller("Ada").await.expect("readable").expect("the caller").facts;
    for (round, last) in acknowledged.into_iter().enumerate() {
        let of_round = format!(" of {round}");
        let facts = known.iter().filter(|fact| fact.value.ends_with(&of_round)).count() as i64;
        assert!(facts >= last, "round {round}: {last} facts were acknowledged, {facts} are there");
        let call = store.reader().call(&format!("round-{round}")).await.expect("readable").expect("its call");
        let numbers: Vec<i64> = call.turns.iter().map(|turn| turn.turn).collect();
        assert!(
            numbers.len() as i64 >= last,
            "round {round}: turn {last} was acknowledged, {} are there",
            numbers.len()
        );
        assert_eq!(numbers, (1..=numbers.len() as i64).collect::<Vec<_>>(), "round {round}: no hole");
        assert_eq!(call.summary.end_reason.as_deref(), Some("crash"));
        assert_eq!(call.ended_utc_ms.map(|end| end - call.started_utc_ms), call.turns.last().map(|turn| turn.ended_ms));
    }
    assert_eq!(number(&path, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'").await, 0);
    assert_eq!(number(&path, "SELECT count(*) FROM callers").await, 1);
}

/// Writes until the disk refuses, says so, waits for a line on its input, and writes the rest.
async fn write_until_refused(path: &Path) {
    let store = Store::open(path).await.expect("a database");
    let recorder = store.recorder();
    recorder.record(opened("full", None));
    let mut turn = 0;
    let error = loop {
        turn += 1;
        recorder.record(Entry::Turn(caller_turn("full", turn, 0, &"word ".repeat(2_000))));
        match recorder.flush().await {
            Ok(()) => assert!(turn < 10_000, "the limit on the file's size has no effect"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, NotKept::Failing(_)), "{error}");
    recorder.record(closed("full", 5_000));
    say(&format!("refused {}", std::process::id()));
    std::io::stdin().lock().read_line(&mut String::new()).expect("a parent that goes on");
    recorder.flush().await.expect("a disk that writes again");
    assert_eq!(recorder.counts(), duologue::store::Counts { kept: u64::from(turn) + 2, lost: 0, refused: 0 });
    store.close().await;
    say(&format!("kept {turn}"));
}

/// A limit on the size of files stands for the full disk: the writes of this process fail, and later they do not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_loses_nothing_that_fits_the_backlog() {
    if let Ok(path) = std::env::var(DATABASE) {
        return write_until_refused(Path::new(&path)).await;
    }
    let (_folder, path) = place();
    // Blocks of 512 bytes: 2 MB. Making the tables takes 1 MB of the log, and it is written back into the file at 4 MB.
    let mut child =
        child("a_full_disk_loses_nothing_that_fits_the_backlog", &path, 0, "trap '' XFSZ; ulimit -S -f 4096;");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines().map_while(Result::ok);
    let process = lines.find_map(|line| said(&line, "refused ")).expect("a disk that refuses");
    let raised =
        Command::new("prlimit").args(["--fsize=unlimited", "--pid", &process]).status().expect("prlimit of util-linux");
    assert!(raised.success());
    writeln!(child.stdin.take().expect("its input"), "go on").expect("a child that listens");
    let turns = lines.find_map(|line| said(&line, "kept ")).expect("all of it kept");
    assert!(child.wait().expect("an end").success());
    assert_eq!(number(&path, "SELECT count(*) FROM turns").await.to_string(), turns);
    assert_eq!(number(&path, "SELECT count(*) FROM calls WHERE end_reason = 'caller-hangup'").await, 1);
}

#[tokio::test]
async fn a_program_that_locks_the_file_delays_the_rows_and_costs_none() {
    let (_folder, path) = place();
    let store = Store::open(&path).await.expect("a database");
    let recorder = store.recorder();
    recorder.record(opened("c", None));
    recorder.flush().await.expect("written");
    let mut other = connect(&path).await;
    let holding = other.begin_with("BEGIN IMMEDIATE").await.expect("the lock");
    recorder.record(Entry::Turn(caller_turn("c", 1, 0, "hello")));
    let refused = recorder.flush().await.expect_err("a locked file");
    assert_eq!(refused, NotKept::Failing(StoreError::Locked { path: path.clone() }));
    assert!(refused.to_string().contains("locked by another program"), "{refused}");
    recorder.record(Entry::Turn(agent_turn("c", 2, 900, "Hello.", "Hello.")));
    holding.rollback().await.expect("the lock given back");
    recorder.flush().await.expect("written");
    let call = store.reader().call("c").await.expect("readable").expect("the call");
    assert_eq!(call.turns.len(), 2);
    assert_eq!(store.close().await.lost, 0);
}

#[tokio::test]
async fn a_flood_of_events_costs_events_and_no_turn_and_the_file_tells_how_many() {
    let (_folder, path) = place();
    let store = Store::open(&path).await.expect("a database");
    let recorder = store.recorder();
    recorder.record(opened("c", None));
    // One thread and no await: the writer cannot run meanwhile.
    for n in 0..10_000 {
        recorder.record(partial("c", n, "so far"));
    }
    recorder.record(Entry::Turn(caller_turn("c", 1, 0, "hello")));
    recorder.record(closed("c", 1_000));
    let lost = i64::try_from(recorder.counts().lost).expect("few");
    assert!(lost > 0, "10,000 events fit into the queue");
    recorder.flush().await.expect("written");
    store.close().await;
    assert_eq!(number(&path, "SELECT count(*) FROM events").await, 10_000 - lost);
    assert_eq!(number(&path, "SELECT sum(entries) FROM incidents WHERE type = 'entries-lost'").await, lost);
    assert_eq!(
        number(&path, "SELECT count(*) FROM calls JOIN turns ON call = calls.id WHERE end_reason IS NOT NULL").await,
        1
    );
}

#[tokio::test]
async fn closing_the_store_writes_what_is_still_waiting() {
    let (_folder, path) = place();
    let store = Store::open(&path).await.expect("a database");
    let recorder = store.recorder();
    recorder.record(opened("c", None));
    for turn in 1..=3_000 {
        recorder.record(Entry::Turn(caller_turn("c", turn, 0, "hello")));
    }
    let counts = store.close().await;
    assert_eq!((counts.kept, counts.lost), (3_001, 0));
    assert_eq!(number(&path, "SELECT count(*) FROM turns").await, 3_000);
    recorder.record(closed("c", 1));
    assert_eq!(recorder.counts().lost, 1, "recorded after the end");
    assert_eq!(recorder.flush().await, Err(NotKept::Closed));
}
