//! docs/SQL.md is true: its queries run and find something, and it names every table, view and column that there is.

mod common;

use std::path::{Path, PathBuf};

use common::morning::{a_morning, found_and_searched, kept_and_raised};
use common::place;
use duologue::knowledge::Chunk;
use duologue::store::{AskedBy, KnowledgeFiles, Label, Span, Store, label, redact};
use sqlx::{AssertSqlSafe, ConnectOptions as _, SqliteConnection, sqlite::SqliteConnectOptions};

fn page() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/SQL.md")).expect("docs/SQL.md")
}

/// The blocks that are marked as SQL.
fn queries(page: &str) -> Vec<&str> {
    page.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

async fn filled() -> (tempfile::TempDir, SqliteConnection) {
    let (folder, path): (_, PathBuf) = place();
    let store = Store::open(&path).await.expect("a database");
    let mut files = KnowledgeFiles::open(&path).await.expect("its tables");
    let hours = Chunk { text: "Open from nine.".into(), line: Some(3), ..Chunk::default() };
    files.put("default", "desk/hours.md", &"0".repeat(64), Ok(&[hours])).await.expect("written");
    files.close().await.expect("closed");
    a_morning()
        .into_iter()
        .chain(kept_and_raised())
        .chain(found_and_searched())
        .for_each(|entry| store.recorder().record(entry));
    store.close().await;
    let reviewed =
        Label { judgement: 2, action: "respond".into(), also: Vec::new(), reason: "Honest.".into(), by: "me".into() };
    label(&path, &reviewed).await.expect("a label");
    // Nobody said anything then: it is told, and every word stays.
    let (call, why) = ("a".into(), "a cough".into());
    let span = Span { call, from_ms: 11_900, to_ms: 11_950, why, asked_by: AskedBy::Operator };
    redact(&path, &span, None).await.expect("written").expect("the call");
    let connection = SqliteConnectOptions::new().filename(&path).read_only(true).connect().await.expect("a database");
    (folder, connection)
}

#[tokio::test]
async fn every_query_of_the_page_runs_and_finds_something() {
    let (_folder, mut connection) = filled().await;
    let page = page();
    let queries = queries(&page);
    assert!(queries.len() >= 10, "{} queries", queries.len());
    for query in queries {
        let rows = sqlx::query(AssertSqlSafe(query)).fetch_all(&mut connection).await;
        let rows = rows.unwrap_or_else(|error| panic!("{error}\n{query}"));
        assert!(!rows.is_empty(), "nothing found by\n{query}");
    }
}

#[tokio::test]
async fn the_page_names_every_table_view_and_column() {
    let (_folder, mut connection) = filled().await;
    let columns: Vec<(String, String)> = sqlx::query_as(
        "SELECT tables.name, columns.name FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns
         WHERE tables.type IN ('table', 'view') AND tables.name NOT GLOB '[_s]*ql*_*'
         AND tables.name NOT GLOB '*_fts_*'",
    )
    .fetch_all(&mut connection)
    .await
    .expect("a schema");
    assert!(columns.len() > 80, "{} columns", columns.len());
    let page = page();
    let missing: Vec<_> = columns
        .into_iter()
        .filter(|(table, column)| {
            // The part of the page about the table: its paragraph with what follows, or its line among the views.
            let about =
                page.split(&format!("`{table}`**")).nth(1).map(|rest| rest.split("\n**`").next().unwrap_or(rest));
            let line = page.lines().find(|line| line.starts_with(&format!("| `{table}` |")));
            !about.or(line).is_some_and(|text| text.contains(&format!("`{column}`")))
        })
        .collect();
    assert!(missing.is_empty(), "docs/SQL.md says nothing of {missing:?}");
}

#[tokio::test]
async fn moments_of_the_line_are_rows() {
    let (_folder, mut connection) = filled().await;
    let moment: (String, f64, f64, f64, i64, Option<f64>) = sqlx::query_as(
        "SELECT direction, loss_percent, concealed_percent, recovered_percent, delay_ms, rtt_ms FROM rtp_stats
         WHERE direction = 'from-caller'",
    )
    .fetch_one(&mut connection)
    .await
    .expect("a moment");
    assert_eq!(moment, ("from-caller".into(), 10.0, 2.0, 8.0, 70, None));
}

#[tokio::test]
async fn the_views_tell_what_happened() {
    let (_folder, mut connection) = filled().await;
    let barge_in: (String, i64, i64, i64, String, String, String) =
        sqlx::query_as("SELECT call, turn, caller_turn, stopped_after_ms, heard, unheard, caller_said FROM barge_ins")
            .fetch_one(&mut connection)
            .await
            .expect("one barge-in");
    let expected =
        ("a".into(), 2, 3, 160, "We open at nine.".into(), " On Sundays at ten.".into(), "And on Sundays?".into());
    assert_eq!(barge_in, expected);

    let cut_in: (String, i64, i64, i64) =
        sqlx::query_as("SELECT after_word, words_before, words_over, words_lost FROM cut_ins")
            .fetch_one(&mut connection)
            .await
            .expect("one cut-in");
    assert_eq!(cut_in, ("at".into(), 3, 1, 4));
    let unheard: (i64, i64, i64, f64) =
        sqlx::query_as("SELECT words, words_sent, words_heard, heard_share FROM heard_vs_generated WHERE call = 'b'")
            .fetch_one(&mut connection)
            .await
            .expect("the answer that nobody heard");
    assert_eq!(unheard, (4, 0, 0, 0.0));

    let steps: Vec<(String, i64, i64)> =
        sqlx::query_as("SELECT step, since_speech_end_ms, took_ms FROM latency_steps WHERE call = 'a' AND turn = 2")
            .fetch_all(&mut connection)
            .await
            .expect("steps");
    let told: Vec<_> = steps.iter().map(|(step, at, took)| (step.as_str(), *at, *took)).collect();
    assert_eq!(
        told,
        [
            ("endpoint", 240, 240),
            ("asr", 410, 170),
            ("judge", 411, 1),
            ("first token", 630, 219),
            ("first clause", 760, 130),
            ("first audio", 880, 120),
            ("first packet", 900, 20)
        ]
    );
    let typed: (i64, i64) = sqlx::query_as("SELECT typed, response_ms FROM turn_latency WHERE call = 'a' AND turn = 5")
        .fetch_one(&mut connection)
        .await
        .expect("the answer to typed text");
    assert_eq!(typed, (1, 660));

    let punctuality: (i64, i64, i64, i64, i64) = sqlx::query_as(
        "SELECT frames, half_within_ms, p99_within_ms, worst_ms, late_frames FROM punctuality WHERE call = 'a'",
    )
    .fetch_one(&mut connection)
    .await
    .expect("the frames of the first call");
    assert_eq!(punctuality, (1_000, 1, 15, 44, 5));

    let quality: (f64, f64, f64, f64, f64, f64, i64, i64) = sqlx::query_as(
        "SELECT heard_s, loss_percent, concealed_percent, recovered_percent, comfort_percent, stretched_percent,
                jitter_delay_p95_ms, drift_ppm
         FROM quality WHERE call = 'a'",
    )
    .fetch_one(&mut connection)
    .await
    .expect("the line of the first call");
    assert_eq!(quality, (20.0, 1.0, 1.0, 0.5, 5.0, 0.2, 60, -40));

    let seen: Vec<(String, String, i64)> =
        sqlx::query_as("SELECT role, content, cut_off FROM messages WHERE call IN ('a', 'b') ORDER BY call, turn")
            .fetch_all(&mut connection)
            .await
            .expect("messages");
    let seen: Vec<_> = seen.iter().map(|(role, content, cut)| (role.as_str(), content.as_str(), *cut)).collect();
    assert_eq!(
        seen,
        [
            ("user", "When do you open?", 0),
            ("assistant", "We open at nine.", 1),
            ("user", "And on Sundays?", 0),
            ("user", "Really?", 0),
            ("assistant", "Yes.", 0),
            ("assistant", "We are closed on Sundays.", 0),
            ("user", "Hello, are you... no, wait.", 0)
        ]
    );
}

#[tokio::test]
async fn the_way_to_the_caller_adds_up_over_a_call() {
    let (_folder, mut connection) = filled().await;
    let told: (i64, f64, f64, i64, f64) = sqlx::query_as(
        "SELECT packets_lost, loss_percent, rtt_ms, copies_sent, copies_per_packet FROM downlink WHERE call = 'a'",
    )
    .fetch_one(&mut connection)
    .await
    .expect("a call with reports");
    assert_eq!(told, (50, 20.0, 40.0, 1_000, 2.0));
}
