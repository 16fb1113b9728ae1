//! What a call becomes: one trace, in it a span for each answer, and in that one for each step. Names of attributes follow the
//! semantic conventions for generative AI (<https://opentelemetry.io/docs/specs/semconv/gen-ai/>) where there is one; what may say who
//! somebody is begins with `pii.`, so that a collector can strip it by name.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::journal::{CallId, Entry, JudgementRow, Speaker, TurnRow};

/// The names of spans, as docs/OBSERVABILITY.md has them.
pub const SPANS: [&str; 7] = ["call", "turn", "endpoint", "transcribe", "judge", "chat", "speak"];

/// The names of attributes.
pub const ATTRIBUTES: [&str; 17] = [
    "gen_ai.conversation.id",
    "gen_ai.operation.name",
    "gen_ai.request.model",
    "gen_ai.output.type",
    "duologue.persona",
    "duologue.transport",
    "duologue.end_reason",
    "duologue.turn",
    "duologue.outcome",
    "duologue.action",
    "duologue.reason",
    "duologue.response_ms",
    "duologue.first_token_ms",
    "duologue.judge",
    "pii.caller",
    "pii.caller_said",
    "pii.agent_heard",
];

/// Calls that are followed at once; the oldest is let go for another.
const CALLS_MOST: usize = 4_096;

/// What is known of a call that goes on.
#[derive(Clone, Debug, Default)]
struct Open {
    started_utc_ms: i64,
    caller: Option<String>,
    persona: String,
    transport: String,
    llm: String,
    said: String,
    judged: Option<JudgementRow>,
}

/// Makes spans of entries.
#[derive(Default)]
pub(super) struct Spans {
    open: BTreeMap<CallId, Open>,
    /// What was said goes along.
    content: bool,
}

/// Sixteen bytes in hex; a call's name is a UUID, and one that is none is hashed.
fn trace_id(call: &str) -> String {
    let hex: String = call.chars().filter(char::is_ascii_hexdigit).collect();
    if hex.len() == 32 { hex.to_lowercase() } else { hash(call, 16) }
}

fn hash(text: &str, bytes: usize) -> String {
    Sha256::digest(text).iter().take(bytes).map(|byte| format!("{byte:02x}")).collect()
}

/// A span's own name within its trace, eight bytes: the same wherever it is made.
fn span_id(call: &str, turn: u32, name: &str) -> String {
    hash(&format!("{call}/{turn}/{name}"), 8)
}

fn attribute(name: &'static str, value: impl Into<Value>) -> Value {
    let value = match value.into() {
        Value::Number(number) if number.is_f64() => json!({"doubleValue": number}),
        // Whole numbers are texts in JSON: they have 64 bits.
        Value::Number(number) => json!({"intValue": number.to_string()}),
        other => json!({"stringValue": other.as_str().unwrap_or_default()}),
    };
    json!({"key": name, "value": value})
}

impl Spans {
    pub(super) fn new(content: bool) -> Self {
        Self { content, ..Self::default() }
    }

    /// The spans that an entry ends.
    pub(super) fn take(&mut self, entry: Entry) -> Vec<Value> {
        match entry {
            Entry::CallOpened { call, started_utc_ms, caller, persona, transport, llm, .. } => {
                if self.open.len() >= CALLS_MOST {
                    self.open.pop_first();
                }
                let open = Open { started_utc_ms, caller, persona, transport, llm, ..Open::default() };
                self.open.insert(call, open);
                Vec::new()
            }
            Entry::Judgement(row) => {
                if let Some(open) = self.open.get_mut(&row.call).filter(|_| row.moment == "end_of_turn") {
                    open.judged = Some(row);
                }
                Vec::new()
            }
            Entry::Turn(row) => self.turn(&row),
            Entry::CallClosed { call, duration_ms, reason, .. } => {
                let Some(open) = self.open.remove(&call) else { return Vec::new() };
                let mut attributes = vec![
                    attribute("gen_ai.conversation.id", call.as_str()),
                    attribute("duologue.persona", open.persona.as_str()),
                    attribute("duologue.transport", open.transport.as_str()),
                    attribute("duologue.end_reason", reason.as_str()),
                ];
                if let Some(name) = open.caller.as_deref().filter(|_| self.content) {
                    attributes.push(attribute("pii.caller", name));
                }
                vec![span(&open, &call, 0, "call", None, (0, duration_ms), attributes)]
            }
            _ => Vec::new(),
        }
    }

    fn turn(&mut self, row: &TurnRow) -> Vec<Value> {
        let Some(open) = self.open.get_mut(&row.call) else { return Vec::new() };
        if row.speaker == Speaker::Caller {
            open.said.clone_from(&row.text);
            return Vec::new();
        }
        let parts = &row.latency;
        let Some(from) = parts.speech_end_ms.or(parts.turn_end_ms) else { return Vec::new() };
        let open = open.clone();
        let mut about = vec![
            attribute("gen_ai.conversation.id", row.call.as_str()),
            attribute("duologue.turn", row.turn),
            attribute("duologue.outcome", row.outcome.and_then(|o| serde_json::to_value(o).ok()).unwrap_or_default()),
            attribute("duologue.action", row.action.as_deref().unwrap_or_default()),
            attribute("duologue.reason", row.reason.as_deref().unwrap_or_default()),
        ];
        if let Some(first) = parts.first_packet_ms {
            about.push(attribute("duologue.response_ms", first.saturating_sub(from)));
        }
        if self.content {
            about.push(attribute("pii.caller_said", open.said.as_str()));
            about.push(attribute("pii.agent_heard", row.heard.as_deref().unwrap_or_default()));
        }
        let parent = span_id(&row.call, row.turn, "turn");
        let whole = (from, row.ended_ms.max(from));
        let mut spans =
            vec![span(&open, &row.call, row.turn, "turn", Some(span_id(&row.call, 0, "call")), whole, about)];
        for (name, begins, ends, about) in steps(row, &open, from) {
            // A step that was begun ahead of the one before it is as long as it was waited for.
            let during = (begins.min(ends), ends);
            spans.push(span(&open, &row.call, row.turn, name, Some(parent.clone()), during, about));
        }
        spans
    }
}

type Step = (&'static str, u64, u64, Vec<Value>);

/// The steps of an answer that were done.
fn steps(row: &TurnRow, open: &Open, from: u64) -> Vec<Step> {
    let parts = &row.latency;
    let over = parts.turn_end_ms.unwrap_or(from);
    let judged = parts.judge_ms.or(parts.asr_ms).unwrap_or(over);
    let mut steps: Vec<Step> = Vec::new();
    if let (Some(spoken), Some(over)) = (parts.speech_end_ms, parts.turn_end_ms) {
        steps.push(("endpoint", spoken, over, Vec::new()));
    }
    if let Some(heard) = parts.asr_ms {
        steps.push(("transcribe", from, heard, Vec::new()));
    }
    if let Some(done) = parts.judge_ms {
        let judge = open.judged.as_ref().map(|row| attribute("duologue.judge", row.judge));
        steps.push(("judge", parts.asr_ms.unwrap_or(over), done, judge.into_iter().collect()));
    }
    if let Some(clause) = parts.first_clause_ms {
        let mut about = vec![
            attribute("gen_ai.operation.name", "chat"),
            attribute("gen_ai.request.model", open.llm.as_str()),
            attribute("gen_ai.output.type", "speech"),
        ];
        if let Some(token) = parts.first_token_ms {
            about.push(attribute("duologue.first_token_ms", token.saturating_sub(judged)));
        }
        steps.push(("chat", judged, clause, about));
        if let Some(packet) = parts.first_packet_ms {
            steps.push(("speak", clause, packet, Vec::new()));
        }
    }
    steps
}

/// `SPAN_KIND_INTERNAL` and `SPAN_KIND_CLIENT`.
const INTERNAL: u8 = 1;
const CLIENT: u8 = 3;
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;

fn span(
    open: &Open,
    call: &str,
    turn: u32,
    name: &'static str,
    parent: Option<String>,
    (from, to): (u64, u64),
    attributes: Vec<Value>,
) -> Value {
    let nanos = |ms: u64| {
        let utc_ms = open.started_utc_ms.max(0).unsigned_abs() + ms;
        (u128::from(utc_ms) * 1_000_000).to_string()
    };
    let failed = attributes.contains(&attribute("duologue.outcome", "failed"));
    // The conventions want the model behind the operation.
    let shown = if name == "chat" { format!("chat {}", open.llm) } else { name.to_owned() };
    let mut span = json!({
        "traceId": trace_id(call), "spanId": span_id(call, turn, name), "name": shown,
        "kind": if name == "chat" { CLIENT } else { INTERNAL },
        "startTimeUnixNano": nanos(from), "endTimeUnixNano": nanos(to), "attributes": attributes,
    });
    if let Some(parent) = parent {
        span["parentSpanId"] = json!(parent);
    }
    if failed {
        span["status"] = json!({"code": ERROR});
    }
    span
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{EndReason, MediaTotals};
    use duologue_signaling::event::{LatencyParts, TurnOutcome};

    fn row(speaker: Speaker, text: &str) -> TurnRow {
        TurnRow {
            call: "019f15a6-a752-726f-b9a2-279e0d16bc46".into(),
            turn: 2,
            speaker,
            started_ms: 2_000,
            ended_ms: 3_000,
            text: text.into(),
            heard: Some(text.into()),
            typed: false,
            outcome: Some(TurnOutcome::Failed),
            action: Some("respond".into()),
            reason: None,
            latency: LatencyParts {
                speech_end_ms: Some(1_000),
                turn_end_ms: Some(1_300),
                asr_ms: Some(1_250),
                judge_ms: Some(1_310),
                first_token_ms: Some(1_600),
                first_clause_ms: Some(1_700),
                first_audio_ms: Some(1_900),
                first_packet_ms: Some(2_000),
            },
        }
    }

    fn taken(content: bool) -> Vec<Value> {
        let call = row(Speaker::Agent, "").call;
        let mut spans = Spans::new(content);
        let text = |text: &str| text.to_owned();
        let opened = Entry::CallOpened {
            call: call.clone(),
            started_utc_ms: 1_000_000,
            caller: Some(text("Ada")),
            persona: text("porter"),
            transport: text("webrtc"),
            asr: text("a"),
            llm: text("qwen"),
            tts: text("t"),
        };
        let closed = Entry::CallClosed {
            call,
            ended_utc_ms: 0,
            duration_ms: 9_000,
            reason: EndReason::CallerHangup,
            detail: String::new(),
            media: MediaTotals::default(),
        };
        let caller = TurnRow { heard: None, outcome: None, ..row(Speaker::Caller, "When?") };
        [opened, Entry::Turn(caller), Entry::Turn(row(Speaker::Agent, "At nine.")), closed]
            .into_iter()
            .flat_map(|entry| spans.take(entry))
            .collect()
    }

    #[test]
    fn an_answer_is_a_span_with_its_steps_in_the_trace_of_its_call() {
        let spans = taken(false);
        let names: Vec<&str> = spans.iter().filter_map(|span| span["name"].as_str()).collect();
        assert_eq!(names, ["turn", "endpoint", "transcribe", "judge", "chat qwen", "speak", "call"]);
        assert!(spans.iter().all(|span| span["traceId"] == "019f15a6a752726fb9a2279e0d16bc46"));
        let (turn, chat, call) = (&spans[0], &spans[4], &spans[6]);
        assert_eq!((&turn["parentSpanId"], &chat["parentSpanId"]), (&call["spanId"], &turn["spanId"]));
        assert_eq!(
            (&chat["startTimeUnixNano"], &chat["endTimeUnixNano"]),
            (&json!("1001310000000"), &json!("1001700000000"))
        );
        assert_eq!((&turn["status"]["code"], &chat["status"]), (&json!(2), &Value::Null));
        assert!(
            turn["attributes"].as_array().is_some_and(|all| all.contains(&attribute("duologue.response_ms", 1_000)))
        );
    }

    #[test]
    fn every_name_is_listed_and_what_was_said_goes_only_where_it_is_wanted() {
        let names = |spans: &[Value]| -> Vec<String> {
            let all = spans.iter().flat_map(|span| span["attributes"].as_array().cloned().unwrap_or_default());
            all.filter_map(|attribute| attribute["key"].as_str().map(str::to_owned)).collect()
        };
        let with = names(&taken(true));
        assert!(with.iter().all(|name| ATTRIBUTES.contains(&name.as_str())), "{with:?}");
        assert!(with.contains(&"pii.caller_said".to_owned()) && with.contains(&"pii.caller".to_owned()));
        let without = taken(false);
        assert!(names(&without).iter().all(|name| !name.starts_with("pii.")));
        assert!(!json!(without).to_string().contains("nine") && !json!(without).to_string().contains("Ada"));
        for span in taken(true) {
            let name = span["name"].as_str().unwrap_or_default();
            assert!(SPANS.iter().any(|known| name.split(' ').next() == Some(known)), "{name}");
        }
    }
}
