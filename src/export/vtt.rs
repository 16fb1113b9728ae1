//! A call as WebVTT (<https://www.w3.org/TR/webvtt1/>): one cue a turn, with its voice; the agent's words each with the moment at
//! which they begin. Moments are those of the recording.

use serde_json::Value;

use super::gathered::{Gathered, Row};
use super::moment::cue_time;

/// A cue before it is written.
struct Cue {
    from_ms: i64,
    to_ms: i64,
    text: String,
}

/// The file. What was never heard is not in it, nor what was typed: there is nothing to read along.
pub fn vtt(call: &Gathered) -> String {
    let mut out = format!("WEBVTT\n\nNOTE\nCall {}\n", call.call());
    if let Some(day) = call.number("started_utc_ms") {
        out.push_str(&format!("Began {}\n", super::moment::rfc3339(day)));
    }
    let mut cues: Vec<Cue> = call.rows("turns").iter().filter_map(|turn| cue(call, turn)).collect();
    cues.sort_by_key(|cue| cue.from_ms);
    for (n, cue) in cues.iter().enumerate() {
        let (from, to) = (cue_time(cue.from_ms), cue_time(cue.to_ms));
        out.push_str(&format!("\n{}\n{from} --> {to}\n{}\n", n + 1, cue.text));
    }
    out
}

fn cue(call: &Gathered, turn: &Row) -> Option<Cue> {
    let number = |name: &str| turn.get(name).and_then(Value::as_i64);
    let began = call.recording_began_ms();
    let agent = turn.get("speaker").and_then(Value::as_str) == Some("agent");
    let said = turn.get(if agent { "heard" } else { "text" }).and_then(Value::as_str)?;
    if said.trim().is_empty() || number("typed") == Some(1) {
        return None;
    }
    let from_ms = (number("started_ms")? - began).max(0);
    let to_ms = (number("ended_ms")? - began).max(from_ms + 1);
    let words = if agent { timed(call, number("turn")?, said, began, from_ms, to_ms) } else { None };
    let voice = if agent { "Agent" } else { "Caller" };
    Some(Cue { from_ms, to_ms, text: format!("<v {voice}>{}", words.unwrap_or_else(|| escaped(said))) })
}

/// The agent's words, each after the moment at which the word before it was over. A moment stands only where it lies within the cue
/// and after the one before: a player takes no other.
fn timed(call: &Gathered, turn: i64, said: &str, began: i64, from_ms: i64, to_ms: i64) -> Option<String> {
    let words = call.rows("words").iter().filter(|word| word.get("turn").and_then(Value::as_i64) == Some(turn));
    let mut out = String::new();
    let (mut left, mut last_ms, mut over_ms) = (said.trim_start(), from_ms, None);
    for word in words {
        let text = word.get("text").and_then(Value::as_str)?;
        let Some(rest) = left.strip_prefix(text) else { break };
        if let Some(at) = over_ms.filter(|at| *at > last_ms && *at < to_ms) {
            out.push_str(&format!("<{}>", cue_time(at)));
            last_ms = at;
        }
        out.push_str(&escaped(text));
        left = rest.trim_start();
        if left.is_empty() {
            break;
        }
        out.push(' ');
        over_ms = word.get("sent_ms").and_then(Value::as_i64).map(|at| at - began);
    }
    out.push_str(&escaped(left));
    (!out.is_empty()).then_some(out)
}

/// No text of a caller's is a tag, a moment or the end of a cue.
fn escaped(text: &str) -> String {
    let text: Vec<&str> = text.split_whitespace().collect();
    text.join(" ").replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
