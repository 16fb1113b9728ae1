//! A morning's calls, as entries.

use std::time::Duration;

use super::{MONDAY_UTC_MS, agent_turn, caller_turn, closed, event, fact, judgement, opened, remembered, words};
use duologue::journal::{
    DownlinkRow, EndReason, Entry, JudgementRow, MediaTotals, RetrievalRow, Retrieved, SearchRow, TurnRow,
    UndeliveredRow,
};
use duologue::knowledge::Passage;
use duologue::media::downlink::LinkReport;
use duologue::media::far_ear::ReportCounts;
use duologue::media::lateness::{BUCKETS_MS, Lateness, bucket_of};
use duologue::memory::calendar::Day;
use duologue::memory::keeping::{Closing, End};
use duologue::memory::{Commitment, Fact, Gleanings, Party, Predicate, Wish};
use duologue_signaling::event::{Event, LatencyParts, TurnOutcome};

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
pub fn kept_and_raised() -> Vec<Entry> {
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

/// What stood before the model when it answered, what was searched for too late, and where another topic began.
pub fn found_and_searched() -> Vec<Entry> {
    let hours = Passage {
        source: "desk/hours.md".into(),
        heading: "Opening hours".into(),
        line: Some(3),
        text: "Open from nine, on Sundays from ten.".into(),
        ..Passage::default()
    };
    vec![
        Entry::Retrieval(RetrievalRow {
            call: "a".into(),
            turn: 2,
            caller_turn: 1,
            at_ms: 2_500,
            words: "When do you open?".into(),
            took_ms: 1.5,
            retrieved: vec![Retrieved { passage: hours, cited: true }],
        }),
        Entry::Search(SearchRow {
            call: "a".into(),
            turn: 5,
            caller_turn: 4,
            at_ms: 8_700,
            took_ms: 1_500,
            query: "opening hours".into(),
            provider: "searxng",
            results: 0,
            outcome: "late",
            detail: String::new(),
        }),
        Entry::Topic { call: "a".into(), turn: 3, at_ms: 2_600, asked_by: "words" },
        Entry::Undelivered(UndeliveredRow {
            call: Some("a".into()),
            at_utc_ms: MONDAY_UTC_MS + 20_000,
            kind: "call-ended",
            message: "msg_1".into(),
            messages: 1,
            attempts: 9,
            why: "it answers 503 Service Unavailable".into(),
        }),
    ]
}

fn promised() -> Commitment {
    let due = Some(Day::of_utc_ms(MONDAY_UTC_MS).plus(1));
    Commitment { who: Party::Agent, what: "ask the cook".into(), due }
}

/// A good morning: one call as it should be, one on a bad line that the caller left unanswered, one that failed.
pub fn a_morning() -> Vec<Entry> {
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
        Entry::Lateness { call: "a".into(), lateness: lateness() },
        Entry::Downlink(downlink(5_000, 250, 50)),
        Entry::Downlink(DownlinkRow { report: None, ..downlink(12_000, 0, 0) }),
        event(
            "a",
            10_000,
            Event::Quality { delay_ms: 70, loss: 0.1, late: 0.0, concealed: 0.02, recovered: 0.08, drift_ppm: None },
        ),
        Entry::RecordingBegan { call: "a".into(), file: "a.ogg".into(), started_ms: 140, key_id: None },
        Entry::RecordingKept {
            call: "a".into(),
            duration_ms: 11_860,
            bytes: 65_000,
            sha256: "0".repeat(64),
            lost_ms: 0,
        },
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
        Entry::JournalBegan { call: "c".into(), file: "c.journal".into(), key_id: None },
        Entry::JournalKept { call: "c".into(), bytes: 40_000, records: 1_400, lost: 0 },
        bad_line,
        Entry::Turn(caller_turn("nobody", 1, 0, "lost words")),
    ]
}

/// A thousand frames, most of them on time.
fn lateness() -> Lateness {
    let mut frames = [0; BUCKETS_MS.len()];
    for (late_ms, count) in [(0, 900), (4, 85), (12, 10), (44, 5)] {
        frames[bucket_of(Duration::from_millis(late_ms))] += count;
    }
    Lateness::of(frames, Duration::from_millis(44))
}
