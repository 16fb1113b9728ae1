//! A call as a vCon: who took part, how it sounded, and what was found in it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use sha1::{Digest as _, Sha1};
use sha2::Sha512;
use uuid::Uuid;

use super::gathered::{Gathered, Row};
use super::moment::rfc3339;
use crate::store::{EVENTS, JUDGEMENTS, TURNS, WORDS, utc_ms};

/// What these files follow: <https://datatracker.ietf.org/doc/html/draft-ietf-vcon-vcon-core-04>. A draft may change; this names the
/// text that was read.
pub const DRAFT: &str = "draft-ietf-vcon-vcon-core-04";
/// The value that it gives to `vcon` (section 4.1.1).
pub const VCON_VERSION: &str = "0.4.0";

const VENDOR: &str = "duologue";
const PRODUCT: &str = concat!("duologue ", env!("CARGO_PKG_VERSION"));

/// A call's recording, for a vCon.
#[derive(Clone, Debug)]
pub struct Sound {
    pub bytes: Vec<u8>,
    /// Carried in the file.
    pub inline: bool,
    /// Where it is to be had.
    pub url: Option<String>,
    /// SHA-256 of each page of the file.
    pub pages: Vec<String>,
}

impl Sound {
    /// As section 2.2 writes a hash.
    fn content_hash(&self) -> String {
        content_hash(&self.bytes)
    }
}

/// `sha512-` and the digest in base64url.
pub(super) fn content_hash(bytes: &[u8]) -> String {
    format!("sha512-{}", URL_SAFE_NO_PAD.encode(Sha512::digest(bytes)))
}

/// The vCon, unsigned. `host` is whose uuids it is among (section 4.1.2).
pub fn vcon(call: &Gathered, sound: Option<&Sound>, host: &str) -> Value {
    let mut vcon = json!({
        "vcon": VCON_VERSION,
        "uuid": uuid8(host).to_string(),
        "created_at": rfc3339(utc_ms()),
        "parties": parties(call),
        "dialog": dialog(call, sound),
        "analysis": analysis(call, sound),
    });
    if let Some(text) = call.rows("call_summaries").first().and_then(|row| row.get("text")) {
        vcon["subject"] = text.clone();
    }
    if !call.rows("redactions").is_empty() {
        // Without a uuid: what it was before is not to be had any more (section 4.1.8.1).
        vcon["redacted"] = json!({"type": "spans of sound, and the words and facts in them"});
    }
    vcon
}

/// Version 8, made like one of version 7, with the host in the place of chance (section 4.1.2).
fn uuid8(host: &str) -> Uuid {
    let mut bytes = *Uuid::now_v7().as_bytes();
    let mut high = [0; 8];
    high.copy_from_slice(&Sha1::digest(host.as_bytes())[..8]);
    bytes[8..].copy_from_slice(&(u64::from_be_bytes(high) >> 2 | 0b10 << 62).to_be_bytes());
    bytes[6] = 0x80 | bytes[6] & 0x0f;
    Uuid::from_bytes(bytes)
}

const CALLER: usize = 0;
const AGENT: usize = 1;

fn parties(call: &Gathered) -> Value {
    let caller = match call.text("caller") {
        // The name came with the call, and nobody has checked it.
        Some(name) => json!({"name": name, "validation": "none"}),
        None => json!({"name": "caller", "validation": "none"}),
    };
    json!([caller, {"name": call.text("persona"), "validation": "none"}])
}

/// The call first, then what was typed.
fn dialog(call: &Gathered, sound: Option<&Sound>) -> Value {
    let started = call.number("started_utc_ms").unwrap_or(0);
    let duration_s = |ms: Option<i64>| ms.unwrap_or(0).max(0) as f64 / 1_000.0;
    let mut spoken = json!({
        "type": "recording",
        "start": rfc3339(started + call.recording_began_ms()),
        "duration": duration_s(call.number("duration_ms")),
        // Two channels: the caller left, the agent right.
        "parties": [CALLER, AGENT],
        "application": PRODUCT,
    });
    if call.text("end_reason") == Some("never-connected") && sound.is_none() {
        spoken["type"] = json!("incomplete");
        spoken["disposition"] = json!("failed");
    }
    if let Some(sound) = sound {
        let recording = call.recording();
        let column = |name: &str| recording.and_then(|row| row.get(name)).cloned();
        spoken["duration"] = json!(duration_s(column("duration_ms").and_then(|ms| ms.as_i64())));
        spoken["mediatype"] = json!("audio/ogg");
        spoken["filename"] = column("file").unwrap_or_default();
        spoken["content_hash"] = json!(sound.content_hash());
        if let Some(url) = &sound.url {
            spoken["url"] = json!(url);
        } else if sound.inline {
            spoken["encoding"] = json!("base64url");
            spoken["body"] = json!(URL_SAFE_NO_PAD.encode(&sound.bytes));
        }
    }
    let typed = call.rows("turns").iter().filter(|row| row.get("typed") == Some(&json!(1)));
    let typed = typed.map(|row| {
        let at = row.get("started_ms").and_then(Value::as_i64).unwrap_or(0);
        json!({
            "type": "text", "start": rfc3339(started + at), "parties": [CALLER, AGENT],
            "mediatype": "text/plain", "encoding": "none", "body": row.get("text"),
        })
    });
    std::iter::once(spoken).chain(typed).collect()
}

fn found(kind: &str, schema: &str, body: Value) -> Value {
    json!({
        "type": kind, "dialog": 0, "mediatype": "application/json", "vendor": VENDOR, "product": PRODUCT,
        "schema": schema, "encoding": "json", "body": body,
    })
}

fn analysis(call: &Gathered, sound: Option<&Sound>) -> Value {
    let engines = json!({"asr": call.text("asr"), "llm": call.text("llm"), "tts": call.text("tts")});
    let made = json!({
        "follows": DRAFT, "call": call.call(), "engines": engines, "end_reason": call.text("end_reason"),
        "recording_began_ms": call.recording_began_ms(), "duration_ms": call.number("duration_ms"),
        "transport": call.text("transport"), "end_detail": call.text("end_detail"),
    });
    let mut found_all = vec![
        found("report", "duologue-call-1", made),
        found("transcript", "duologue-transcript-1", transcript(call)),
        found("report", "duologue-judgements-1", opened(call.rows("judgements"), JUDGEMENTS, "probabilities")),
        found("report", "duologue-events-1", opened(call.rows("events"), EVENTS, "json")),
    ];
    let facts = call.rows("facts");
    if !facts.is_empty() {
        let kept = ["kind", "subject", "predicate", "value", "text", "day", "confidence"];
        found_all.push(found("report", "duologue-facts-1", facts.iter().map(|row| only(row, &kept)).collect()));
    }
    if let Some(text) = call.rows("call_summaries").first().and_then(|row| row.get("text")) {
        found_all.push(json!({
            "type": "summary", "dialog": 0, "mediatype": "text/plain", "vendor": VENDOR, "product": PRODUCT,
            "encoding": "none", "body": text,
        }));
    }
    if let Some(sound) = sound {
        // With these, whoever has this file can tell that a recording from which a second was taken out is the same otherwise.
        let pages = json!({"algorithm": "sha256", "pages": sound.pages});
        found_all.push(found("report", "duologue-recording-pages-1", pages));
    }
    let redactions = call.rows("redactions");
    if !redactions.is_empty() {
        let rows = redactions.iter().map(|row| row.iter().filter(|(name, _)| *name != "call" && *name != "id"));
        let rows = rows.map(|row| row.map(|(name, value)| (name.clone(), value.clone())).collect::<Row>());
        found_all.push(found("report", "duologue-redactions-1", rows.map(Value::Object).collect()));
    }
    Value::Array(found_all)
}

/// Moments are milliseconds since the call began.
fn transcript(call: &Gathered) -> Value {
    let turn_of = |row: &Row| row.get("turn").and_then(Value::as_i64);
    let turns = call.rows("turns").iter().map(|row| {
        let agent = row.get("speaker").and_then(Value::as_str) == Some("agent");
        let mut turn = only(row, TURNS);
        turn["party"] = json!(if agent { AGENT } else { CALLER });
        let words: Vec<Value> = call
            .rows("words")
            .iter()
            .filter(|word| turn_of(word) == turn_of(row))
            .map(|word| only(word, WORDS))
            .collect();
        if !words.is_empty() {
            turn["words"] = Value::Array(words);
        }
        turn
    });
    json!({"turns": turns.collect::<Vec<_>>()})
}

/// Rows of which one column is JSON, as what it holds.
fn opened(rows: &[Row], columns: &[&str], held: &str) -> Value {
    let rows = rows.iter().map(|row| {
        let mut told = only(row, columns);
        let value = row.get(held).and_then(Value::as_str).and_then(|text| serde_json::from_str(text).ok());
        told[held] = value.unwrap_or(Value::Null);
        told
    });
    rows.collect()
}

/// These columns, where they have a value.
fn only(row: &Row, columns: &[&str]) -> Value {
    let kept = columns.iter().filter_map(|name| Some(((*name).to_owned(), row.get(*name)?.clone())));
    Value::Object(kept.filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>())
}
