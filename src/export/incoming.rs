//! A vCon of ours or of somebody else as a call with rows.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use uuid::Uuid;

use super::moment::utc_ms_of;
use super::verify::Verified;
use crate::store::{ImportRow, ImportedCall, utc_ms};

/// A text of somebody else's is no longer than this.
const TEXT_MOST: usize = 100_000;
/// Turns of a call of hours.
const TURNS_MOST: usize = 20_000;
/// The length that a turn is given whose end nobody tells: a second.
const UNTOLD_MS: i64 = 1_000;

/// Why a vCon becomes no call.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum IncomingFault {
    #[error("dialog 0 does not say when it began (start, RFC 3339)")]
    NoStart,
    #[error("it has neither sound nor words that could be shown")]
    Nothing,
    #[error("it has more than {TURNS_MOST} turns")]
    TooLong,
}

/// A call and what its sound is in.
#[derive(Clone, Debug, PartialEq)]
pub struct Incoming {
    pub call: ImportedCall,
    pub sound: Option<IncomingSound>,
    /// What was remembered because of the call, which is told and not taken: a file proves nothing of who called.
    pub facts: usize,
}

/// A file that the vCon carries.
#[derive(Clone, Debug, PartialEq)]
pub struct IncomingSound {
    pub media_type: String,
    pub bytes: Vec<u8>,
    /// Of the call, its first sample.
    pub started_ms: i64,
}

/// Reads a vCon that was verified.
///
/// # Errors
/// When it has nothing that could be shown.
pub fn incoming(found: &Verified) -> Result<Incoming, IncomingFault> {
    let vcon = &found.vcon;
    let made = analysis(vcon, "duologue-call-1").cloned();
    let spoken = dialogs(vcon).find(|one| one["type"] == "recording");
    let first = spoken.or_else(|| dialogs(vcon).next()).ok_or(IncomingFault::Nothing)?;
    let began_ms = made.as_ref().and_then(|made| made["recording_began_ms"].as_i64()).unwrap_or(0).clamp(0, 86_400_000);
    let start = first["start"].as_str().and_then(utc_ms_of).ok_or(IncomingFault::NoStart)?;
    let started_utc_ms = start - if spoken.is_some() { began_ms } else { 0 };
    let mut call = ImportedCall { call: name_of(vcon, made.as_ref()), ..ImportedCall::default() };
    call.caller = name(vcon, 0).filter(|name| name != "caller");
    match analysis(vcon, "duologue-transcript-1") {
        Some(transcript) => ours(&mut call, transcript, vcon),
        None => theirs(&mut call, vcon, started_utc_ms),
    }
    if call.turns.len() > TURNS_MOST {
        return Err(IncomingFault::TooLong);
    }
    let summary = vcon["analysis"].as_array().into_iter().flatten().find(|one| one["type"] == "summary");
    call.summary = summary.and_then(|one| one["body"].as_str()).or(vcon["subject"].as_str()).map(cut);
    let sound = spoken.and_then(|one| sound_of(one, began_ms));
    if call.turns.is_empty() && sound.is_none() {
        return Err(IncomingFault::Nothing);
    }
    call.columns = columns(vcon, made.as_ref(), started_utc_ms, &call.turns, spoken);
    call.origin = row(json!({
        "at_utc_ms": utc_ms(),
        "vcon": vcon["uuid"],
        "made_by": first["application"].as_str().or(vcon["created_by"].as_str()).map_or_else(String::new, cut),
        "signed_by": found.signers.first().map(|signer| signer.fingerprint.clone()),
    }));
    let facts = analysis(vcon, "duologue-facts-1").and_then(Value::as_array).map_or(0, Vec::len);
    Ok(Incoming { call, sound, facts })
}

fn row(value: Value) -> ImportRow {
    match value {
        Value::Object(row) => row,
        _ => ImportRow::new(),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_MOST).collect()
}

fn dialogs(vcon: &Value) -> impl Iterator<Item = &Value> {
    vcon["dialog"].as_array().into_iter().flatten()
}

/// What we have found in a call, by its schema.
fn analysis<'a>(vcon: &'a Value, schema: &str) -> Option<&'a Value> {
    vcon["analysis"].as_array().into_iter().flatten().find(|one| one["schema"] == schema).map(|one| &one["body"])
}

fn name(vcon: &Value, party: usize) -> Option<String> {
    let party = &vcon["parties"][party];
    let named = ["name", "tel", "sip", "mailto", "uuid"].iter().find_map(|key| party[*key].as_str());
    named.map(cut).filter(|name| !name.trim().is_empty())
}

/// Our calls keep their names; the name becomes that of a file, so that it must look like one of ours.
fn name_of(vcon: &Value, made: Option<&Value>) -> String {
    let ours = made.and_then(|made| made["call"].as_str());
    let plain = |name: &&str| {
        (1..=64).contains(&name.len()) && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-')
    };
    let theirs = || vcon["uuid"].as_str().and_then(|uuid| Uuid::try_parse(uuid).ok()).unwrap_or_else(Uuid::now_v7);
    ours.filter(plain).map_or_else(|| theirs().to_string(), ToOwned::to_owned)
}

fn columns(
    vcon: &Value,
    made: Option<&Value>,
    started_utc_ms: i64,
    turns: &[ImportRow],
    spoken: Option<&Value>,
) -> ImportRow {
    let told = spoken.and_then(|one| one["duration"].as_f64()).map_or(0, |seconds| (seconds * 1_000.0) as i64);
    let ended = turns.iter().filter_map(|turn| turn.get("ended_ms")?.as_i64()).max().unwrap_or(0);
    let duration_ms = made.and_then(|made| made["duration_ms"].as_i64()).unwrap_or(told.max(ended)).max(0);
    let of = |key: &str| made.and_then(|made| made[key].as_str());
    let engine = |key: &str| made.and_then(|made| made["engines"][key].as_str()).unwrap_or("unknown").to_owned();
    row(json!({
        "persona": name(vcon, 1).unwrap_or_else(|| "unknown".into()),
        "transport": of("transport").unwrap_or("import"),
        "asr": engine("asr"), "llm": engine("llm"), "tts": engine("tts"),
        "started_utc_ms": started_utc_ms,
        "ended_utc_ms": started_utc_ms.saturating_add(duration_ms),
        "duration_ms": duration_ms,
        "end_reason": of("end_reason").unwrap_or("imported"),
        "end_detail": of("end_detail"),
    }))
}

/// Rows as they were written by [`super::vcon`].
fn ours(call: &mut ImportedCall, transcript: &Value, vcon: &Value) {
    for turn in transcript["turns"].as_array().into_iter().flatten() {
        for (n, word) in turn["words"].as_array().into_iter().flatten().enumerate() {
            let mut word = row(word.clone());
            // vCons of before say nothing of when it was generated, which no row can be without.
            if word.contains_key("generated_ms") {
                word.insert("turn".into(), turn["turn"].clone());
                word.insert("n".into(), (n + 1).into());
                call.words.push(word);
            }
        }
        call.turns.push(row(turn.clone()));
    }
    let judged = analysis(vcon, "duologue-judgements-1").and_then(Value::as_array);
    for judgement in judged.into_iter().flatten().filter(|one| one["text"].is_string()) {
        call.judgements.push(row(judgement.clone()));
    }
    // vCons of before have none.
    let told = analysis(vcon, "duologue-events-1").and_then(Value::as_array);
    call.events.extend(told.into_iter().flatten().map(|event| row(event.clone())));
}

/// What others write: dialogs of text, and a transcript in one of the usual shapes: an array, or an object with one, of pieces that have
/// a text, a speaker or party, and moments in seconds.
fn theirs(call: &mut ImportedCall, vcon: &Value, started_utc_ms: i64) {
    let mut turns = Vec::new();
    for one in dialogs(vcon).filter(|one| one["type"] == "text") {
        let at = one["start"].as_str().and_then(utc_ms_of).map_or(0, |at| (at - started_utc_ms).max(0));
        let party = one["originator"].as_u64().or(one["parties"].as_u64()).or(one["parties"][0].as_u64()).unwrap_or(0);
        let text = one["body"].as_str().filter(|_| matches!(one["encoding"].as_str(), None | Some("none")));
        if let Some(text) = text {
            turns.push((at, at + UNTOLD_MS, party, cut(text), true));
        }
    }
    let transcript = vcon["analysis"].as_array().into_iter().flatten().find(|one| one["type"] == "transcript");
    if let Some(found) = transcript {
        spoken(&found["body"], &mut turns);
    }
    turns.sort_by_key(|turn| turn.0);
    call.turns = (1..)
        .zip(turns)
        .map(|(n, (from, to, party, text, typed)): (i64, _)| {
            // The first party is taken for the caller: those who answer join later.
            let caller = party == 0;
            row(json!({
                "turn": n, "speaker": if caller { "caller" } else { "agent" }, "started_ms": from, "ended_ms": to.max(from),
                "heard": (!caller).then(|| text.clone()), "text": text, "typed": i64::from(typed && caller),
            }))
        })
        .collect();
}

fn spoken(body: &Value, turns: &mut Vec<(i64, i64, u64, String, bool)>) {
    let parsed =
        body.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok()).filter(|body| !body.is_number());
    if let (Some(text), None) = (body.as_str(), &parsed) {
        return turns.push((0, UNTOLD_MS, 0, cut(text), false));
    }
    let body = parsed.as_ref().unwrap_or(body);
    let inside = ["segments", "turns", "utterances", "messages", "transcript"];
    let pieces = body.as_array().or_else(|| inside.iter().find_map(|key| body[*key].as_array()));
    let mut speakers: Vec<String> = Vec::new();
    for piece in pieces.into_iter().flatten().take(TURNS_MOST + 1) {
        let text = ["text", "transcript", "message", "content"].iter().find_map(|key| piece[*key].as_str());
        let Some(text) = text.filter(|text| !text.trim().is_empty()) else { continue };
        let seconds = |keys: &[&str]| {
            let told = keys.iter().find_map(|key| piece[*key].as_f64())?;
            Some((told.clamp(0.0, 1e6) * 1_000.0) as i64)
        };
        let last = turns.last().map_or(0, |turn| turn.1);
        let from = seconds(&["start", "start_time", "begin"]).unwrap_or(last);
        let to = seconds(&["end", "end_time"]).unwrap_or(from + UNTOLD_MS);
        let speaker = &piece["speaker"];
        let party = piece["party"].as_u64().or(speaker.as_u64()).or(piece["channel"].as_u64()).unwrap_or_else(|| {
            // By name, in the order in which they speak.
            let name = speaker.as_str().unwrap_or_default().to_owned();
            let place = speakers.iter().position(|known| *known == name).unwrap_or_else(|| {
                speakers.push(name);
                speakers.len() - 1
            });
            place as u64
        });
        turns.push((from, to, party, cut(text), false));
    }
}

fn sound_of(dialog: &Value, started_ms: i64) -> Option<IncomingSound> {
    let body = dialog["body"].as_str()?;
    let bytes = match dialog["encoding"].as_str() {
        Some("base64url") => URL_SAFE_NO_PAD.decode(body.trim_end_matches('=')).ok()?,
        _ => return None,
    };
    let media_type = dialog["mediatype"].as_str().or(dialog["mimetype"].as_str()).unwrap_or_default().to_owned();
    Some(IncomingSound { media_type, bytes, started_ms })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(vcon: Value) -> Verified {
        Verified { signers: Vec::new(), vcon, carried: 0 }
    }

    #[test]
    fn a_transcript_of_somebody_else_becomes_turns() {
        let vcon = json!({
            "vcon": "0.0.1", "uuid": "018e3f72-c3a8-8b8e-b468-6ebf29e2d5c1",
            "parties": [{"tel": "+12025550123"}, {"name": "Sales"}],
            "dialog": [
                {"type": "recording", "start": "2026-01-05T12:00:00.5+02:00", "duration": 9.5, "parties": [0, 1]},
                {"type": "text", "start": "2026-01-05T10:00:08Z", "parties": [1, 0], "body": "See you.", "encoding": "none"},
            ],
            "analysis": [{"type": "transcript", "dialog": 0, "vendor": "x", "body": {"segments": [
                {"speaker": "A", "start": 0.2, "end": 1.5, "text": "Hello?"},
                {"speaker": "B", "start": 1.9, "end": 3.0, "text": "Sales, good morning."},
                {"speaker": "A", "text": "  "},
            ]}}],
        });
        let Incoming { call, sound, .. } = incoming(&found(vcon)).expect("a call");
        assert_eq!(
            (call.call.as_str(), call.caller.as_deref(), sound),
            ("018e3f72-c3a8-8b8e-b468-6ebf29e2d5c1", Some("+12025550123"), None)
        );
        let turns: Vec<_> = call
            .turns
            .iter()
            .map(|turn| (turn["speaker"].as_str(), turn["started_ms"].as_i64(), turn["text"].as_str()))
            .collect();
        assert_eq!(
            turns,
            [
                (Some("caller"), Some(200), Some("Hello?")),
                (Some("agent"), Some(1_900), Some("Sales, good morning.")),
                (Some("agent"), Some(7_500), Some("See you.")),
            ]
        );
        assert_eq!(call.columns["started_utc_ms"], json!(1_767_607_200_500_i64));
        assert_eq!((&call.columns["duration_ms"], &call.columns["end_reason"]), (&json!(9_500), &json!("imported")));
    }

    #[test]
    fn a_name_that_is_no_name_of_a_file_is_not_taken() {
        for call in ["../../etc/passwd", "", "a/b", "x\0y"] {
            let vcon = json!({"uuid": "018e3f72-c3a8-8b8e-b468-6ebf29e2d5c1"});
            assert_eq!(name_of(&vcon, Some(&json!({"call": call}))), "018e3f72-c3a8-8b8e-b468-6ebf29e2d5c1");
        }
        assert!(Uuid::try_parse(&name_of(&json!({"uuid": "../x"}), None)).is_ok());
    }

    proptest! {
        #[test]
        fn whatever_stands_in_it_is_no_panic(start in ".{0,30}", body in ".{0,60}", at in any::<f64>(), party in any::<i64>()) {
            for body in [json!(body), json!([{"text": body, "start": at, "end": at, "party": party, "speaker": party}])] {
                let dialog = json!([{"type": "recording", "start": start, "duration": at}, {"type": "text", "start": "2026-01-05T10:00:08Z", "body": body, "parties": party}]);
                let vcon = json!({"uuid": "x", "parties": [], "dialog": dialog, "analysis": [{"type": "transcript", "body": body}]});
                let _ = incoming(&found(vcon));
            }
        }
    }
}
