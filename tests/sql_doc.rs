//! docs/SQL.md is true: its queries run and find something, and it names every table, view and column that there is.

mod common;

use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{
    MONDAY_UTC_MS, agent_turn, caller_turn, closed, event, fact, judgement, opened, place, remembered, words,
};
use duologue::journal::{DownlinkRow, EndReason, Entry, JudgementRow, MediaTotals, TurnRow};
use duologue::media::downlink::LinkReport;
use duologue::media::far_ear::ReportCounts;
use duologue::memory::calendar::Day;
use duologue::memory::keeping::{Closing, End};
use duologue::memory::{Commitment, Fact, Gleanings, Party, Predicate, Wish};
use duologue::store::{Label, Store, label};
use duologue_signaling::event::{Event, LatencyParts, TurnOutcome};
use sqlx::{AssertSqlSafe, ConnectOptions as _, SqliteConnection, sqlite::SqliteConnectOptions};

fn page() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/SQL.md")).expect("docs/SQL.md")
}

/// The blocks that are marked as SQL.
fn queries(page: &str) -> Vec<&str> {
    page.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// What call "a" was told of its line, and did.
fn downlink(at_ms: u64, expected: u32, lost: u32) -> DownlinkRow {
    let report = LinkReport { expected, lost, jitter: Duration::from_millis(3), rtt: Some(Duration::from_millis(40)) };
    DownlinkRow {
        call: "a".into(),
        at_ms,
        report: Some(report),
        packets_sent: 250,
        copies_sent: 500,
        payload_bytes: 60_000,
        copies: 4,
        fec_percent: 0,
        bitrate_bps: 24_000,
    }
}

/// On the day before.
fn went(at_utc_ms: i64) -> Fact {
    let day = Some(Day::of_utc_ms(at_utc_ms).plus(-1));
    Fact { day, ..fact(Predicate::Did, "went to the lighthouse") }
}

/// The agent cuts in, and the caller gives way.
fn cutting_in() -> TurnRow {
    let mut turn = agent_turn("a", 6, 9_500, "We are closed on Sundays.", "We are closed on Sundays.");
    turn.action = Some("interrupt".into());
    turn.reason = Some("interrupt.wrong_fact".into());
    turn
}

/// Ada asks for the wrong room, and is told so.
fn contradicted() -> JudgementRow {
    let mut row = judgement("c", 1, 1_200, "I'm in twelve, aren't I?", ("refuse", "refuse"), None);
    row.rests_on = Some("is in room 14".into());
    row
}

/// The cook has been asked; the agent brings the bill up, and it stays open.
fn kept_and_raised() -> Vec<Entry> {
    let bill = Commitment { who: Party::Agent, what: "send the bill".into(), due: promised().due };
    let closed = Closing { who: Party::Agent, what: "ask the cook".into(), end: End::Kept, why: "told" };
    let gleanings = Gleanings { commitments: vec![bill], closed: vec![closed], ..Gleanings::default() };
    vec![
        Entry::Remembered { call: "a".into(), turn: 3, gleanings, at_utc_ms: MONDAY_UTC_MS + 5_000 },
        Entry::Extracted {
            call: "a".into(),
            turn: 3,
            at_utc_ms: MONDAY_UTC_MS,
            outcome: "facts",
            facts: 1,
            refused: 2,
            took_ms: 900,
        },
        Entry::Raised { call: "a".into(), at_ms: 6_000, who: Party::Agent, what: "send the bill".into() },
    ]
}

fn promised() -> Commitment {
    let due = Some(Day::of_utc_ms(MONDAY_UTC_MS).plus(1));
    Commitment { who: Party::Agent, what: "ask the cook".into(), due }
}

/// A good morning: one call as it should be, one on a bad line that the caller left unanswered, one that failed.
fn a_morning() -> Vec<Entry> {
    let mut unheard = agent_turn("b", 2, 900, "We open at nine.", "");
    unheard.outcome = Some(TurnOutcome::Revoked);
    unheard.latency.first_packet_ms = None;
    let mut typed = agent_turn("a", 5, 9_000, "Yes.", "Yes.");
    typed.latency = LatencyParts { speech_end_ms: None, ..typed.latency };
    let mut written = caller_turn("a", 4, 8_700, "Really?");
    written.typed = true;
    let mut failed = agent_turn("c", 2, 900, "", "");
    failed.outcome = Some(TurnOutcome::Failed);
    let bad_line = Entry::CallClosed {
        call: "c".into(),
        ended_utc_ms: MONDAY_UTC_MS + 7_000,
        duration_ms: 7_000,
        reason: EndReason::NetworkGone,
        detail: "no packets for 5 s".into(),
        media: MediaTotals { packets_received: 80, packets_lost: 20, ..MediaTotals::default() },
    };
    let reports = ReportCounts { taken: 21, stale: 1, ..ReportCounts::default() };
    vec![
        opened("a", Some("Ada")),
        Entry::Turn(caller_turn("a", 1, 0, "When do you open?")),
        event("a", 880, Event::Draft { turn: 2, caller_turn: 1, adopted: true, tokens: 3, spent_ms: 240 }),
        Entry::Turn(agent_turn("a", 2, 900, "We open at nine. On Sundays at ten.", "We open at nine.")),
        words("a", 2, "We open at nine. On Sundays at ten.", 1_900, 6, 4),
        event("a", 1_900, Event::Backchannel { turn: 2, text: "Mm-hm.".into() }),
        Entry::Turn(caller_turn("a", 3, 2_600, "And on Sundays?")),
        Entry::Judgement(judgement("a", 1, 880, "When do you open?", ("respond", "respond"), None)),
        Entry::Judgement(judgement("a", 3, 2_900, "And on Sundays?", ("silence", "refuse"), Some("silence-budget"))),
        Entry::Blocked { call: "a".into(), at_ms: 11_000, ttl_s: 3_600, reason: "block.abuse_goes_on" },
        Entry::Turn(written),
        Entry::Turn(typed),
        remembered("a", 3, vec![fact(Predicate::Name, "Ada"), fact(Predicate::Room, "12"), went(MONDAY_UTC_MS)]),
        Entry::Remembered {
            call: "a".into(),
            turn: 2,
            gleanings: Gleanings { commitments: vec![promised()], ..Gleanings::default() },
            at_utc_ms: MONDAY_UTC_MS,
        },
        Entry::Summed { call: "a".into(), text: "asked about Sundays".into() },
        Entry::Turn(cutting_in()),
        Entry::Playout { call: "a".into(), reports, way_ms: 64 },
        Entry::Downlink(downlink(5_000, 250, 50)),
        Entry::Downlink(DownlinkRow { report: None, ..downlink(12_000, 0, 0) }),
        event(
            "a",
            10_000,
            Event::Quality { delay_ms: 70, loss: 0.1, late: 0.0, concealed: 0.02, recovered: 0.08, drift_ppm: None },
        ),
        closed("a", 12_000),
        opened("b", None),
        Entry::Turn(caller_turn("b", 1, 0, "Hello, are you... no, wait.")),
        Entry::Turn(unheard),
        words("b", 2, "We open at nine.", 1_900, 0, 0),
        closed("b", 3_000),
        opened("c", Some("Ada")),
        Entry::Turn(caller_turn("c", 1, 0, "I'm in room fourteen. Forget my phone number.")),
        remembered("c", 1, vec![fact(Predicate::Room, "14")]),
        Entry::Judgement(contradicted()),
        Entry::Remembered {
            call: "c".into(),
            turn: 1,
            gleanings: Gleanings { wishes: vec![Wish::ForgetAbout("phone number".into())], ..Gleanings::default() },
            at_utc_ms: MONDAY_UTC_MS,
        },
        event("c", 1_500, Event::Trouble { code: "llm-unreachable".into(), detail: "asking again".into() }),
        Entry::Turn(failed),
        bad_line,
        Entry::Turn(caller_turn("nobody", 1, 0, "lost words")),
    ]
}

async fn filled() -> (tempfile::TempDir, SqliteConnection) {
    let (folder, path): (_, PathBuf) = place();
    let store = Store::open(&path).await.expect("a database");
    a_morning().into_iter().chain(kept_and_raised()).for_each(|entry| store.recorder().record(entry));
    store.close().await;
    let reviewed =
        Label { judgement: 2, action: "respond".into(), also: Vec::new(), reason: "Honest.".into(), by: "me".into() };
    label(&path, &reviewed).await.expect("a label");
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
