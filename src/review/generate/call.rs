//! One scripted call, and the entries that it leaves behind.

use std::sync::Arc;
use std::time::Duration;

use duologue_signaling::event::{Event, LatencyParts, Stamped, TurnOutcome};
use rand::Rng as _;
use rand::rngs::StdRng;

use super::script::{EXCHANGES, Exchange};
use crate::dialogue::history::History;
use crate::dialogue::judge::{Moment, Relation, Situation};
use crate::dialogue::persona::Persona;
use crate::journal::{
    CallId, DownlinkRow, EndReason, Entry, JudgementRow, MediaTotals, RetrievalRow, Retrieved, SearchRow, Speaker,
    TurnRow, WordFate,
};
use crate::knowledge::Passage;
use crate::media::downlink::LinkReport;
use crate::media::far_ear::{Evidence, ReportCounts};
use crate::media::lateness::{BUCKETS_MS, Lateness, bucket_of};
use crate::memory::calendar::Day;
use crate::memory::notebook::Notebook;
use crate::time::CallTime;

/// How long a letter takes to say: some 15 of them a second.
const LETTER_MS: u64 = 65;
/// Turns of the caller in a call.
const TURNS: std::ops::Range<u32> = 3..14;
/// From the agent's loudspeaker to the caller's ear.
const WAY_MS: u64 = 120;
/// So long before the caller's end the agent cuts in.
const CUT_IN_MS: u64 = 400;
/// Lines of before that the judge is shown.
const SHOWN: usize = 6;

/// A call in the making.
pub(super) struct Scripted<'a> {
    call: CallId,
    started_utc_ms: i64,
    caller: Option<String>,
    persona: Arc<Persona>,
    dice: &'a mut StdRng,
    entries: Vec<Entry>,
    notebook: Notebook,
    history: History,
    at_ms: u64,
    turn: u32,
}

impl<'a> Scripted<'a> {
    pub(super) fn new(
        n: u32,
        started_utc_ms: i64,
        caller: Option<String>,
        persona: Arc<Persona>,
        dice: &'a mut StdRng,
    ) -> Self {
        let ms = started_utc_ms.unsigned_abs();
        let call = format!("{:08x}-{:04x}-7000-8000-{n:012x}", ms >> 16, ms & 0xffff);
        let notebook = Notebook::new(Day::of_utc_ms(started_utc_ms));
        let (entries, history) = (Vec::new(), History::default());
        Self { call, started_utc_ms, caller, persona, dice, entries, notebook, history, at_ms: 180, turn: 0 }
    }

    /// True so many times of a thousand.
    fn happens(&mut self, per_mille: u32) -> bool {
        self.dice.random_range(0..1_000) < per_mille
    }

    fn event(&mut self, at_ms: u64, event: Event) {
        self.entries.push(Entry::Event { call: self.call.clone(), event: Stamped { at_ms, event } });
    }

    /// Everything that the call leaves behind, in the order in which it would.
    pub(super) fn entries(mut self) -> Vec<Entry> {
        self.open();
        for _ in 0..self.dice.random_range(TURNS) {
            let exchange = &EXCHANGES[self.dice.random_range(0..EXCHANGES.len())];
            self.caller_says(exchange);
            if exchange.action != "silence" {
                self.agent_says(exchange);
            }
        }
        self.close();
        self.entries
    }

    fn open(&mut self) {
        let text = |text: &str| text.to_owned();
        self.entries.push(Entry::CallOpened {
            call: self.call.clone(),
            started_utc_ms: self.started_utc_ms,
            caller: self.caller.clone(),
            persona: self.persona.name.clone(),
            transport: text("webrtc"),
            asr: text("whisper tiny.en"),
            llm: text("embedded qwen2.5-0.5b"),
            tts: text("piper joe"),
        });
        let (call, file) = (self.call.clone(), format!("{}.ogg", self.call));
        self.entries.push(Entry::RecordingBegan { call, file, started_ms: 140, key_id: None });
        self.event(140, Event::CallStarted { call: self.call.clone(), persona: self.persona.name.clone() });
        self.event(140, Event::Recording { on: true });
    }

    fn row(&mut self, speaker: Speaker, started_ms: u64, ended_ms: u64, text: &str) -> TurnRow {
        self.turn += 1;
        TurnRow {
            call: self.call.clone(),
            turn: self.turn,
            speaker,
            started_ms,
            ended_ms,
            text: text.into(),
            heard: None,
            typed: false,
            outcome: None,
            action: None,
            reason: None,
            latency: LatencyParts::default(),
        }
    }

    fn caller_says(&mut self, exchange: &Exchange) {
        let started = self.at_ms + self.dice.random_range(200..2_500);
        let ended = started + LETTER_MS * exchange.caller.len() as u64;
        let mut row = self.row(Speaker::Caller, started, ended, exchange.caller);
        row.typed = self.happens(30);
        let turn = row.turn;
        let words: Vec<&str> = exchange.caller.split(' ').collect();
        for n in 1..=2 {
            let text = words[..words.len() * n / 2].join(" ");
            let at = started + (ended - started) * n as u64 / 2;
            self.event(at, Event::Partial { turn, text, stable: 0 });
        }
        self.event(ended + 300, Event::Transcript { turn, text: exchange.caller.into(), typed: row.typed });
        self.remember(&row);
        self.judge(exchange, turn, ended + 330);
        self.at_ms = ended;
    }

    /// What the rules of real calls find in a turn.
    fn remember(&mut self, row: &TurnRow) {
        let gleanings = self.notebook.read(row);
        self.entries.push(Entry::Turn(row.clone()));
        if self.caller.is_some() && !gleanings.is_empty() {
            let at_utc_ms = self.started_utc_ms + i64::try_from(row.ended_ms).unwrap_or(0);
            self.entries.push(Entry::Remembered { call: self.call.clone(), turn: row.turn, gleanings, at_utc_ms });
        }
    }

    fn judge(&mut self, exchange: &Exchange, turn: u32, at_ms: u64) {
        let overruled = exchange.action == "refuse" && self.happens(40);
        let action = if overruled { "respond" } else { exchange.action };
        let sure = self.dice.random_range(0.45..0.99_f32);
        let probabilities = vec![
            (exchange.action, sure),
            (if exchange.action == "respond" { "refuse" } else { "respond" }, 1.0 - sure),
        ];
        let took_ms = self.dice.random_range(9.0..40.0_f32);
        let shown = Situation {
            moment: Moment::EndOfTurn,
            persona: Arc::clone(&self.persona),
            relation: Relation::Acquaintance,
            memory: vec!["is in room 14".into(), "is allergic to nuts".into()],
            history: self.history.last(SHOWN),
            text: exchange.caller.into(),
            speaking_s: exchange.caller.len() as f32 * LETTER_MS as f32 / 1_000.0,
            silence_s: 0.3,
            typed: false,
        };
        self.event(
            at_ms,
            Event::Judgement {
                turn,
                moment: "end_of_turn".into(),
                judge: "tuned".into(),
                action: action.into(),
                proposed: overruled.then(|| exchange.action.into()),
                overruled_by: overruled.then(|| "refusal-budget".into()),
                rests_on: exchange.rests_on.map(Into::into),
                reason: exchange.reason.into(),
                probabilities: probabilities.iter().map(|(action, p)| ((*action).to_owned(), *p)).collect(),
                took_ms,
            },
        );
        self.entries.push(Entry::Judgement(JudgementRow {
            call: self.call.clone(),
            turn,
            at_ms,
            moment: "end_of_turn",
            judge: "tuned",
            text: exchange.caller.into(),
            proposed: exchange.action,
            action,
            overruled_by: overruled.then_some("refusal-budget"),
            reason: exchange.reason,
            rests_on: exchange.rests_on.map(Into::into),
            probabilities,
            took_ms,
            shown: Some(Arc::new(shown)),
        }));
        self.history.caller(exchange.caller);
    }

    /// The steps of an answer to speech that ended at `from`.
    fn latency(&mut self, from: u64) -> LatencyParts {
        let mut at = from;
        let mut step = |least: u64, most: u64| {
            at += self.dice.random_range(least..most);
            Some(at)
        };
        LatencyParts {
            speech_end_ms: Some(from),
            turn_end_ms: step(240, 700),
            asr_ms: step(10, 260),
            judge_ms: step(5, 40),
            first_token_ms: step(60, 600),
            first_clause_ms: step(30, 260),
            first_audio_ms: step(60, 200),
            first_packet_ms: step(5, 25),
        }
    }

    fn agent_says(&mut self, exchange: &Exchange) {
        // Now and then the agent cuts in, which is no answer and has no steps of one.
        let cuts_in = self.happens(15);
        let latency = if cuts_in { LatencyParts::default() } else { self.latency(self.at_ms) };
        let started = latency.first_packet_ms.unwrap_or(self.at_ms - CUT_IN_MS);
        let (words, all) = (exchange.agent.split_inclusive(' ').count(), exchange.agent.len() as u64);
        let (outcome, heard) = match self.dice.random_range(0..1_000) {
            0..80 => (TurnOutcome::Interrupted, self.dice.random_range(0..words)),
            80..100 => (TurnOutcome::Revoked, 0),
            100..104 => (TurnOutcome::Failed, 0),
            _ => (TurnOutcome::Completed, words),
        };
        let heard_text: String = exchange.agent.split_inclusive(' ').take(heard).collect();
        let heard_text = heard_text.trim_end().to_owned();
        let ended = started + LETTER_MS * (heard_text.len() as u64).max(1);
        let mut row = self.row(Speaker::Agent, started, ended, exchange.agent);
        row.heard = Some(heard_text.clone());
        row.outcome = Some(outcome);
        let (action, reason) =
            if cuts_in { ("interrupt", "interrupt.drifting") } else { (exchange.action, exchange.reason) };
        row.action = Some(action.into());
        row.reason = Some(reason.into());
        row.latency = latency;
        let turn = row.turn;
        self.around(turn, started, all);
        self.event(started, Event::TurnStarted { turn, latency });
        self.event(ended, Event::Words { turn, heard: heard_text.clone() });
        let generated = exchange.agent.to_owned();
        self.event(ended, Event::TurnEnded { turn, outcome, heard: heard_text.clone(), generated, latency });
        self.remember(&row);
        self.words(turn, exchange.agent, &heard_text, started, heard);
        self.history.agent(turn, &heard_text, &heard_text, outcome == TurnOutcome::Interrupted);
        // Who cuts in begins to speak before the agent stops.
        self.at_ms = if outcome == TurnOutcome::Interrupted { ended.saturating_sub(2_400).max(started) } else { ended };
    }

    /// What happens beside an answer now and then.
    fn around(&mut self, turn: u32, at_ms: u64, all: u64) {
        let caller_turn = turn - 1;
        if self.happens(400) {
            let adopted = self.happens(600);
            self.event(at_ms - 200, Event::Draft { turn, caller_turn, adopted, tokens: 12, spent_ms: 240 });
        }
        if self.happens(60) {
            self.event(at_ms + all * 30, Event::Backchannel { turn, text: "Mm-hm.".into() });
        }
        if self.happens(20) {
            let detail = "asking again".into();
            self.event(at_ms, Event::Trouble { code: "llm-unreachable".into(), detail });
        }
        if self.happens(50) {
            let passage = Passage {
                source: "desk/hours.md".into(),
                heading: "Opening hours".into(),
                line: Some(3),
                text: "Open from nine, on Sundays from ten.".into(),
                ..Passage::default()
            };
            self.entries.push(Entry::Retrieval(RetrievalRow {
                call: self.call.clone(),
                turn,
                caller_turn,
                at_ms,
                words: "opening hours".into(),
                took_ms: 1.5,
                retrieved: vec![Retrieved { passage, cited: true }],
            }));
        }
        if self.happens(10) {
            self.entries.push(Entry::Search(SearchRow {
                call: self.call.clone(),
                turn,
                caller_turn,
                at_ms,
                took_ms: 900,
                query: "ferry times".into(),
                provider: "searxng",
                results: 4,
                outcome: "found",
                detail: String::new(),
            }));
        }
    }

    fn words(&mut self, turn: u32, text: &str, heard_text: &str, started: u64, heard: usize) {
        let ms = CallTime::from_ms;
        let mut from = 0;
        let mut words = Vec::new();
        for (n, word) in text.split_inclusive(' ').enumerate() {
            let range = from..from + word.trim_end().len();
            from += word.len();
            let sent = started + LETTER_MS * range.end as u64;
            words.push(WordFate {
                text: range,
                generated: ms(started.saturating_sub(300)),
                synthesised: Some(ms(started.saturating_sub(50))),
                sent: (n < heard + 1).then(|| ms(sent)),
                heard: (n < heard).then(|| (ms(sent + WAY_MS), Evidence::Estimate)),
            });
        }
        let (text, heard) = (text.to_owned(), heard_text.to_owned());
        self.entries.push(Entry::Words { call: self.call.clone(), turn, text, heard, words });
    }

    fn close(&mut self) {
        let duration_ms = self.at_ms + 700;
        self.line(duration_ms);
        let call = self.call.clone();
        if let (Some(text), true) = (self.notebook.summary(), self.caller.is_some()) {
            self.entries.push(Entry::Summed { call: call.clone(), text });
        }
        if self.caller.is_some() && self.happens(3) {
            let reason = "block.abuse_goes_on";
            self.entries.push(Entry::Blocked { call: call.clone(), at_ms: duration_ms, ttl_s: 3_600, reason });
        }
        let sha256 = format!("{:064x}", self.started_utc_ms);
        let (bytes, lost_ms) = (duration_ms * 6, 0);
        self.entries.push(Entry::RecordingKept { call: call.clone(), duration_ms, bytes, sha256, lost_ms });
        let reason = match self.dice.random_range(0..100) {
            0..80 => EndReason::CallerHangup,
            80..90 => EndReason::AgentHangup,
            90..97 => EndReason::NetworkGone,
            _ => EndReason::NeverConnected,
        };
        self.event(duration_ms, Event::CallEnded { reason: reason.as_str().into(), detail: String::new() });
        let lost = if self.happens(100) { duration_ms / 400 } else { duration_ms / 20_000 };
        let media = MediaTotals {
            packets_received: duration_ms / 20 - lost,
            packets_lost: lost,
            packets_sent: duration_ms / 20,
            frames_concealed: lost,
            jitter_delay_ms: 45,
            jitter_delay_p95_ms: 60,
            jitter_delay_max_ms: 82,
            heard_ms: duration_ms,
            drift_ppm: Some(-40),
            ..MediaTotals::default()
        };
        let ended_utc_ms = self.started_utc_ms + i64::try_from(duration_ms).unwrap_or(0);
        self.entries.push(Entry::CallClosed { call, ended_utc_ms, duration_ms, reason, detail: String::new(), media });
    }

    /// How the line was, and how late frames left.
    fn line(&mut self, duration_ms: u64) {
        for at_ms in (5_000..duration_ms).step_by(5_000) {
            let lost = if self.happens(100) { self.dice.random_range(1..60) } else { 0 };
            let report = LinkReport {
                expected: 250,
                lost,
                jitter: Duration::from_millis(3),
                rtt: Some(Duration::from_millis(40)),
            };
            self.entries.push(Entry::Downlink(DownlinkRow {
                call: self.call.clone(),
                at_ms,
                report: Some(report),
                packets_sent: 250,
                copies_sent: 0,
                payload_bytes: 15_000,
                copies: 0,
                fec_percent: 0,
                bitrate_bps: 24_000,
            }));
            let loss = lost as f32 / 250.0;
            self.event(
                at_ms,
                Event::Quality { delay_ms: 45, loss, late: 0.0, concealed: loss, recovered: 0.0, drift_ppm: None },
            );
        }
        let reports = ReportCounts { taken: 21, ..ReportCounts::default() };
        self.entries.push(Entry::Playout { call: self.call.clone(), reports, way_ms: WAY_MS });
        let mut frames = [0; BUCKETS_MS.len()];
        let worst = self.dice.random_range(5..60);
        for (late_ms, count) in [(0, duration_ms / 22), (4, 20), (worst, 2)] {
            frames[bucket_of(Duration::from_millis(late_ms))] += count;
        }
        let lateness = Lateness::of(frames, Duration::from_millis(worst));
        self.entries.push(Entry::Lateness { call: self.call.clone(), lateness });
    }
}
