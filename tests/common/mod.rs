//! Entries as calls make them, and a file to keep them in.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod morning;

use std::path::PathBuf;

use duologue::journal::{EndReason, Entry, JudgementRow, MediaTotals, Speaker, TurnRow, WordFate};
use duologue::media::far_ear::Evidence;
use duologue::memory::{CALLER, Fact, Gleanings, Predicate};
use duologue::time::CallTime;
use duologue_signaling::event::{Event, LatencyParts, Stamped, TurnOutcome};

/// 2026-01-05T10:00:00Z, a Monday.
pub const MONDAY_UTC_MS: i64 = 1_767_607_200_000;

/// A folder that goes away with the test, and the database's path in it.
pub fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let path = folder.path().join("duologue.db");
    (folder, path)
}

pub fn opened(call: &str, caller: Option<&str>) -> Entry {
    Entry::CallOpened {
        call: call.into(),
        started_utc_ms: MONDAY_UTC_MS,
        caller: caller.map(Into::into),
        persona: "default".into(),
        transport: "webrtc".into(),
        asr: "whisper base".into(),
        llm: "embedded qwen2.5-0.5b".into(),
        tts: "piper joe".into(),
    }
}

pub fn closed(call: &str, duration_ms: u64) -> Entry {
    Entry::CallClosed {
        call: call.into(),
        ended_utc_ms: MONDAY_UTC_MS + i64::try_from(duration_ms).expect("a short call"),
        duration_ms,
        reason: EndReason::CallerHangup,
        detail: "the caller pressed the button".into(),
        media: MediaTotals {
            packets_received: 990,
            packets_lost: 10,
            packets_sent: 1_000,
            frames_concealed: 10,
            frames_recovered: 5,
            jitter_delay_ms: 45,
            jitter_delay_p95_ms: 60,
            jitter_delay_max_ms: 82,
            heard_ms: 20_000,
            comfort_ms: 1_000,
            shortened_ms: 30,
            lengthened_ms: 10,
            drift_ppm: Some(-40),
            ..MediaTotals::default()
        },
    }
}

pub fn caller_turn(call: &str, turn: u32, started_ms: u64, text: &str) -> TurnRow {
    TurnRow {
        call: call.into(),
        turn,
        speaker: Speaker::Caller,
        started_ms,
        ended_ms: started_ms + 900,
        text: text.into(),
        heard: None,
        typed: false,
        outcome: None,
        action: None,
        reason: None,
        latency: LatencyParts::default(),
    }
}

/// An agent turn that answers speech which ended at `speech_end_ms`.
pub fn agent_turn(call: &str, turn: u32, speech_end_ms: u64, text: &str, heard: &str) -> TurnRow {
    let at = |after: u64| Some(speech_end_ms + after);
    TurnRow {
        speaker: Speaker::Agent,
        started_ms: speech_end_ms + 900,
        ended_ms: speech_end_ms + 900 + 60 * heard.len() as u64,
        heard: Some(heard.into()),
        outcome: Some(if heard == text { TurnOutcome::Completed } else { TurnOutcome::Interrupted }),
        action: Some("respond".into()),
        reason: Some("end of turn".into()),
        latency: LatencyParts {
            speech_end_ms: at(0),
            turn_end_ms: at(240),
            asr_ms: at(410),
            judge_ms: at(411),
            first_token_ms: at(630),
            first_clause_ms: at(760),
            first_audio_ms: at(880),
            first_packet_ms: at(900),
        },
        ..caller_turn(call, turn, 0, text)
    }
}

/// The words of an agent turn, 200 ms each from `from_ms` on: so many left, so many of those were heard, 100 ms later.
pub fn words(call: &str, turn: u32, text: &str, from_ms: u64, sent: usize, heard: usize) -> Entry {
    let ms = CallTime::from_ms;
    let mut start = 0;
    let mut fates = Vec::new();
    for (n, word) in text.split_whitespace().enumerate() {
        start += text[start..].find(word).expect("a word of the text");
        let ends = from_ms + 200 * (n as u64 + 1);
        fates.push(WordFate {
            text: start..start + word.len(),
            generated: ms(from_ms),
            synthesised: Some(ms(from_ms)),
            sent: (n < sent).then(|| ms(ends)),
            heard: (n < heard).then(|| (ms(ends + 100), Evidence::Estimate)),
        });
        start += word.len();
    }
    let end = fates.iter().filter(|word| word.heard.is_some()).last().map_or(0, |word| word.text.end);
    Entry::Words { call: call.into(), turn, text: text.into(), heard: text[..end].into(), words: fates }
}

/// A judgement at the end of a turn: proposed, and done.
pub fn judgement(
    call: &str,
    turn: u32,
    at_ms: u64,
    text: &str,
    (proposed, action): (&'static str, &'static str),
    overruled_by: Option<&'static str>,
) -> JudgementRow {
    JudgementRow {
        call: call.into(),
        turn,
        at_ms,
        moment: "end_of_turn",
        judge: "tuned-1",
        text: text.into(),
        proposed,
        action,
        overruled_by,
        reason: "refuse.against_fact",
        rests_on: Some("The house is closed on Sundays.".into()),
        probabilities: vec![("respond", 0.25), (action, 0.75)],
        took_ms: 21.0,
        shown: None,
    }
}

/// What is said of the caller.
pub fn fact(predicate: Predicate, value: &str) -> Fact {
    Fact { subject: CALLER.into(), predicate, value: value.into(), day: None, confidence: 0.9 }
}

/// A turn of the call gave these facts to remember.
pub fn remembered(call: &str, turn: u32, facts: Vec<Fact>) -> Entry {
    let gleanings = Gleanings { facts, ..Gleanings::default() };
    Entry::Remembered { call: call.into(), turn, gleanings, at_utc_ms: MONDAY_UTC_MS + i64::from(turn) }
}

pub fn event(call: &str, at_ms: u64, event: Event) -> Entry {
    Entry::Event { call: call.into(), event: Stamped { at_ms, event } }
}

pub fn partial(call: &str, at_ms: u64, text: &str) -> Entry {
    event(call, at_ms, Event::Partial { turn: 1, text: text.into(), stable: 0 })
}
