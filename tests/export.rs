//! A call leaves as a file that others read, and whoever has it can tell whether it is as it was.

mod common;
mod house;

use std::path::Path;
use std::process::Command;

use common::morning::a_morning;
use common::{agent_turn, caller_turn, closed, opened, place, words};
use duologue::audio::LINE_FRAME;
use duologue::audio::opus::StereoEncoder;
use duologue::export::{As, Carried, DRAFT, ExportFault, ExportHouse, Gathered, Recording, SigningKey, verify, vtt};
use duologue::journal::Entry;
use duologue::recording::{OggFile, file_of, length_of};
use duologue::redaction::take_out;
use duologue::store::{AskedBy, Span, Store};
use house::House;
use house::typed::typed_call;
use reqwest::{Client, StatusCode, header};
use serde_json::{Value, json};

const HOSTILE: &str = "<b>fish</b> & --> chips";

/// A call with a recording of twelve seconds: sound on both sides all through.
fn spoken(folder: &Path) -> Vec<Entry> {
    let call = "spoken".to_owned();
    let path = folder.join(file_of(&call));
    let mut encoder = StereoEncoder::new().expect("an encoder");
    let mut file = OggFile::create(&path, encoder.pre_skip(), &[("CALL", "spoken")]).expect("a file");
    for n in 0..600 {
        let tone = |hz: f32| -> [f32; LINE_FRAME] {
            std::array::from_fn(|k| 0.4 * (std::f32::consts::TAU * hz * (n * LINE_FRAME + k) as f32 / 48_000.0).sin())
        };
        file.packet(encoder.encode(&tone(440.0), &tone(1_000.0)).expect("a packet").to_vec());
    }
    file.finish(encoder.encode(&[0.0; LINE_FRAME], &[0.0; LINE_FRAME]).expect("a packet").to_vec());
    let (duration_ms, bytes, sha256) = length_of(&path).expect("a file");
    let answer = "It closes at ten. On Sundays at nine.";
    let mut agent = agent_turn("spoken", 2, 2_000, answer, "It closes at ten. On Sundays");
    agent.ended_ms = 4_500;
    vec![
        opened("spoken", Some("Ada")),
        Entry::RecordingBegan { call: call.clone(), file: file_of(&call), started_ms: 140, key_id: None },
        Entry::Turn(caller_turn("spoken", 1, 1_000, HOSTILE)),
        Entry::Turn(agent),
        words("spoken", 2, answer, 2_900, 6, 6),
        Entry::RecordingKept { call, duration_ms, bytes, sha256, lost_ms: 0 },
        closed("spoken", 12_000),
    ]
}

async fn kept(more: Vec<Entry>) -> (tempfile::TempDir, ExportHouse) {
    let (folder, path) = place();
    let store = Store::open(&path).await.expect("a database");
    a_morning().into_iter().chain(more).chain(spoken(folder.path())).for_each(|entry| store.recorder().record(entry));
    store.close().await;
    let house = ExportHouse { database: path, recordings: folder.path().into(), key: None, address: None };
    (folder, house)
}

async fn exported(house: &ExportHouse, form: As, carried: Carried) -> Vec<u8> {
    house.export("spoken", form, carried).await.expect("a file").bytes
}

#[tokio::test]
async fn a_signed_vcon_says_who_signed_it_and_a_changed_one_is_found_out() {
    let (folder, mut house) = kept(Vec::new()).await;
    let pem = folder.path().join("key.pem");
    let key = SigningKey::make(&pem, "calls.example.org").expect("a key");
    assert!(SigningKey::make(&pem, "calls.example.org").is_err(), "a key is never overwritten");
    house.key = Some(SigningKey::read(&pem).expect("the same key").into());
    let file = exported(&house, As::Vcon, Carried::Inline).await;
    let found = verify(&file).expect("as it was");
    assert_eq!(found.signers.len(), 1);
    assert_eq!(
        (found.signers[0].name.as_str(), &found.signers[0].fingerprint),
        ("calls.example.org", &key.fingerprint())
    );
    assert_eq!(found.carried, 1, "the recording fits its hash");
    let jws: Value = serde_json::from_slice(&file).expect("JSON");
    assert_eq!(jws["signatures"][0]["header"]["uuid"], found.vcon["uuid"]);

    // OpenSSL, which had no part in it, says the same.
    let (public, signed, signature) = ("public.pem", "signed", "signature").into_paths(folder.path());
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let one = &jws["signatures"][0];
    std::fs::write(&signed, format!("{}.{}", text(&one["protected"]), text(&jws["payload"]))).expect("written");
    let decoded = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, text(&one["signature"]));
    std::fs::write(&signature, decoded.expect("base64url")).expect("written");
    let run = |arguments: &[&std::ffi::OsStr]| Command::new("openssl").args(arguments).output().expect("openssl");
    let made = run(&["x509".as_ref(), "-in".as_ref(), pem.as_ref(), "-pubkey".as_ref(), "-noout".as_ref()]);
    std::fs::write(&public, made.stdout).expect("written");
    let said = run(&[
        "dgst".as_ref(),
        "-sha256".as_ref(),
        "-verify".as_ref(),
        public.as_ref(),
        "-signature".as_ref(),
        signature.as_ref(),
        signed.as_ref(),
    ]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));

    // One letter of the words, of the signature, of the head; another name; nobody at all.
    for field in ["payload", "protected", "signature"] {
        let mut other = jws.clone();
        let place = if field == "payload" { &mut other[field] } else { &mut other["signatures"][0][field] };
        let mut letters = place.as_str().expect("a text").to_owned().into_bytes();
        let at = letters.len() / 2;
        letters[at] = if letters[at] == b'A' { b'B' } else { b'A' };
        *place = json!(String::from_utf8(letters).expect("letters"));
        assert!(verify(other.to_string().as_bytes()).is_err(), "{field} was changed");
    }
    let mut other = jws.clone();
    other["signatures"][0]["header"]["uuid"] = json!("019f15a6-a752-826f-b9a2-279e0d16bc46");
    assert!(verify(other.to_string().as_bytes()).is_err());
    other["signatures"] = json!([]);
    assert!(verify(other.to_string().as_bytes()).is_err());
    assert!(verify(b"{}").is_err() && verify(b"no JSON").is_err());
}

/// Three names in a folder.
trait IntoPaths {
    fn into_paths(self, folder: &Path) -> (std::path::PathBuf, std::path::PathBuf, std::path::PathBuf);
}

impl IntoPaths for (&str, &str, &str) {
    fn into_paths(self, folder: &Path) -> (std::path::PathBuf, std::path::PathBuf, std::path::PathBuf) {
        (folder.join(self.0), folder.join(self.1), folder.join(self.2))
    }
}

#[tokio::test]
async fn a_vcon_has_the_parties_the_recording_the_transcript_and_the_judgements() {
    let (folder, mut house) = kept(Vec::new()).await;
    let vcon: Value = serde_json::from_slice(&exported(&house, As::Vcon, Carried::Inline).await).expect("JSON");
    assert_eq!((&vcon["vcon"], &vcon["parties"][0]["name"]), (&json!("0.4.0"), &json!("Ada")));
    let uuid = uuid::Uuid::parse_str(vcon["uuid"].as_str().expect("a uuid")).expect("a uuid");
    assert_eq!(uuid.get_version_num(), 8);
    let spoken = &vcon["dialog"][0];
    assert_eq!(
        (&spoken["type"], &spoken["parties"], &spoken["mediatype"]),
        (&json!("recording"), &json!([0, 1]), &json!("audio/ogg"))
    );
    assert_eq!((&spoken["start"], &spoken["duration"]), (&json!("2026-01-05T10:00:00.140Z"), &json!(12.0)));
    let body = spoken["body"].as_str().expect("the sound");
    let body = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, body).expect("base64url");
    assert_eq!(body, std::fs::read(folder.path().join("spoken.ogg")).expect("readable"));
    let of = |schema: &str| {
        vcon["analysis"].as_array().expect("a list").iter().find(|found| found["schema"] == schema).cloned()
    };
    assert_eq!(of("duologue-call-1").expect("a report")["body"]["follows"], DRAFT);
    let transcript = of("duologue-transcript-1").expect("a transcript");
    assert_eq!(
        (&transcript["type"], &transcript["encoding"], &transcript["dialog"]),
        (&json!("transcript"), &json!("json"), &json!(0))
    );
    let turns = &transcript["body"]["turns"];
    assert_eq!((&turns[0]["text"], &turns[0]["party"], &turns[1]["party"]), (&json!(HOSTILE), &json!(0), &json!(1)));
    let word = json!({
        "text": "ten.", "state": "heard", "generated_ms": 2_900, "synthesised_ms": 2_900, "sent_ms": 3_700, "heard_ms": 3_800,
        "heard_by": "estimate",
    });
    assert_eq!(turns[1]["words"][3], word);

    // The call "a" was judged, and something was typed in it; its recording's file is not there.
    let told = house.export("a", As::Vcon, Carried::Inline).await.expect_err("no file");
    assert!(matches!(told, ExportFault::Recording(_)), "{told}");
    let store = Store::open(&house.database).await.expect("a database");
    let gone =
        Entry::RecordingGone { call: "a".into(), why: duologue::journal::RecordingGone::Retention, at_utc_ms: 1 };
    store.recorder().record(gone);
    store.close().await;
    let vcon: Value =
        serde_json::from_slice(&house.export("a", As::Vcon, Carried::Inline).await.expect("a file").bytes)
            .expect("JSON");
    assert_eq!(vcon["dialog"][1]["body"], "Really?");
    let judged =
        vcon["analysis"].as_array().expect("a list").iter().find(|found| found["schema"] == "duologue-judgements-1");
    assert_eq!(judged.expect("judgements")["body"][1]["overruled_by"], "silence-budget");

    // A link needs an address; with one, the file has the hash and not the sound.
    let told = house.export("spoken", As::Vcon, Carried::Link).await.expect_err("no address");
    assert!(told.to_string().contains("export.address"), "{told}");
    house.address = Some("https://calls.example.org".into());
    let vcon: Value = serde_json::from_slice(&exported(&house, As::Vcon, Carried::Link).await).expect("JSON");
    assert_eq!(vcon["dialog"][0]["url"], "https://calls.example.org/v1/calls/spoken/recording");
    assert!(vcon["dialog"][0]["content_hash"].as_str().is_some_and(|hash| hash.starts_with("sha512-")));
    assert!(vcon["dialog"][0]["body"].is_null());
    let unsigned = verify(vcon.to_string().as_bytes()).expect("a vCon");
    assert!(unsigned.signers.is_empty(), "nobody signed it");
}

#[tokio::test]
async fn subtitles_have_voices_and_the_agents_words_in_time_and_no_text_is_a_tag() {
    let (_folder, house) = kept(Vec::new()).await;
    let call = Gathered::of(&house.database, "spoken").await.expect("readable").expect("the call");
    let text = vtt(&call);
    let cues: Vec<&str> = text.split("\n\n").skip(2).collect();
    // Moments are the recording's, which began at 140 ms.
    assert_eq!(cues[0], "1\n00:00:00.860 --> 00:00:01.760\n<v Caller>&lt;b&gt;fish&lt;/b&gt; &amp; --&gt; chips");
    let agent = "2\n00:00:02.760 --> 00:00:04.360\n<v Agent>It <00:00:02.960>closes <00:00:03.160>at <00:00:03.360>ten. \
                 <00:00:03.560>On <00:00:03.760>Sundays\n";
    assert_eq!(cues[1], agent);
    assert!(text.starts_with("WEBVTT\n\n") && cues.len() == 2, "{text}");
}

#[tokio::test]
async fn turns_become_a_table_and_every_row_json() {
    let (_folder, house) = kept(Vec::new()).await;
    let csv = String::from_utf8(exported(&house, As::Csv, Carried::None).await).expect("text");
    let lines: Vec<&str> = csv.split("\r\n").collect();
    assert_eq!(lines.len(), 4, "a head, two turns, and the end of the last line");
    assert!(lines[0].starts_with("turn,speaker,started_ms") && lines[1].starts_with("1,caller,1000,1900,<b>fish"));
    let all: Value = serde_json::from_slice(&exported(&house, As::Json, Carried::None).await).expect("JSON");
    assert_eq!((&all["calls"][0]["caller"], &all["words"][0]["text"]), (&json!("Ada"), &json!("It")));
    let of_a: Value =
        serde_json::from_slice(&house.export("a", As::Json, Carried::None).await.expect("a file").bytes).expect("JSON");
    assert_eq!(of_a["judgements"][0]["probabilities"].is_object(), true, "JSON in columns is JSON");
    assert!(of_a["facts"].as_array().is_some_and(|facts| !facts.is_empty()));
    assert!(matches!(house.export("nobody", As::Json, Carried::None).await, Err(ExportFault::NoCall(_))));
}

#[tokio::test]
async fn after_a_redaction_the_rest_is_shown_to_be_as_it_was_signed() {
    let (folder, mut house) = kept(Vec::new()).await;
    house.key = Some(SigningKey::make(&folder.path().join("key.pem"), "localhost").expect("a key").into());
    let before = exported(&house, As::Vcon, Carried::None).await;
    let span = Span {
        call: "spoken".into(),
        from_ms: 3_200,
        to_ms: 3_600,
        why: "a number".into(),
        asked_by: AskedBy::Operator,
    };
    take_out(&house.database, house.recordings.clone(), &span).await.expect("taken out");
    let sound = std::fs::read(folder.path().join("spoken.ogg")).expect("readable");
    // The second that begins at 3 s of the file, behind two headers.
    assert_eq!(verify(&before).expect("as it was").holds(&sound).expect("its recording"), Recording::Redacted(vec![5]));
    let now = verify(&exported(&house, As::Vcon, Carried::Inline).await).expect("as it was");
    assert_eq!(now.holds(&sound).expect("its recording"), Recording::Same);
    assert!(now.vcon["redacted"]["type"].is_string());
    let told = now.vcon["analysis"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|found| found["schema"] == "duologue-redactions-1");
    assert_eq!(told.expect("told")["body"][0]["why"], "a number");
    let mut other = sound.clone();
    let at = other.len() / 2;
    other[at] ^= 1;
    assert_ne!(now.holds(&other).ok(), Some(Recording::Same));
    assert!(now.holds(b"another file").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_exported_and_redacted_over_http() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("key.pem");
    SigningKey::make(&key, "localhost").expect("a key");
    let recordings = folder.path().join("recordings").display().to_string();
    let more = format!("[recording]\ndir = {recordings:?}\n[export]\nkey_file = {:?}\n", key.display().to_string());
    let house = House::scripted_with(&more).await;
    typed_call(&house.server, "?caller=Ada", &["My card is 4421."]).await;
    let client = Client::new();
    let calls: Vec<Value> =
        client.get(format!("{}/v1/calls", house.url)).send().await.expect("an answer").json().await.expect("JSON");
    let url = format!("{}/v1/calls/{}", house.url, calls[0]["call"].as_str().expect("an id"));
    let made = client.get(format!("{url}/export?as=vcon")).send().await.expect("an answer");
    assert_eq!(
        (made.status(), made.headers()[header::CONTENT_TYPE].as_bytes()),
        (StatusCode::OK, &b"application/vcon"[..])
    );
    let found = verify(&made.bytes().await.expect("a body")).expect("as it was");
    assert_eq!((found.signers.len(), found.carried), (1, 1));
    for (query, status) in [
        ("/export?as=vtt", StatusCode::OK),
        ("/export?as=csv", StatusCode::OK),
        ("/export?as=json", StatusCode::OK),
        ("/export?as=doc", StatusCode::BAD_REQUEST),
        ("/export", StatusCode::BAD_REQUEST),
        ("/export?as=vcon&recording=link", StatusCode::BAD_REQUEST),
    ] {
        let got = client.get(format!("{url}{query}")).send().await.expect("an answer");
        assert_eq!(got.status(), status, "{query}: {}", got.text().await.expect("a body"));
    }
    let post = |body: Value| client.post(format!("{url}/redactions")).json(&body).send();
    let refused = post(json!({"from_ms": 5, "to_ms": 5, "why": "x"})).await.expect("an answer");
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    let taken = post(json!({"from_ms": 0, "to_ms": 600_000, "why": "a card"})).await.expect("an answer");
    assert_eq!(taken.status(), StatusCode::OK);
    let after =
        client.get(format!("{url}/export?as=json")).send().await.expect("an answer").text().await.expect("a body");
    assert!(!after.contains("4421") && after.contains("a card"), "{after}");
    let nobody = client.get(format!("{}/v1/calls/nobody/export?as=csv", house.url)).send().await.expect("an answer");
    assert_eq!(nobody.status(), StatusCode::NOT_FOUND);
    house.server.stop().await;
}
