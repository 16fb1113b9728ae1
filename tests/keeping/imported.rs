//! A call that was held elsewhere becomes one that is found, read and heard here.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use duologue::audio::wav;
use duologue::memory::calendar::Day;
use duologue::recording::read;
use duologue::review::{Limits, ask_with};
use duologue::store::{Reader, Store};
use serde_json::{Value, json};

use crate::{a_call, duologue, said, served};

/// A folder in which another server was started once.
async fn another_server() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    Store::open(&folder.path().join("duologue.db")).await.expect("a database").close().await;
    folder
}

async fn asked(folder: &std::path::Path, database: &str, question: &str, call: &str) -> Vec<Vec<Value>> {
    let asked = ask_with(&folder.join(database), question, &[call.into()], Limits::default()).await;
    asked.unwrap_or_else(|why| panic!("{why}")).rows
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_ours_has_the_same_turns_words_and_sound_elsewhere() {
    let here = tempfile::tempdir().expect("a folder");
    let made = duologue(here.path(), &["export", "key", "signing.pem", "--host", "duologue.example.org"]);
    assert!(made.status.success(), "{}", said(&made));
    let server = served(here.path(), "").await;
    let id = a_call(here.path(), &server, "?caller=Ada").await;
    server.stop().await;
    let (dir, path) = (here.path().join("recordings"), here.path().join("calls.db"));
    let settings =
        format!("[store]\npath = {path:?}\n[recording]\ndir = {dir:?}\n[export]\nkey_file = \"signing.pem\"\n");
    std::fs::write(here.path().join("duologue.toml"), settings).expect("written");
    let exported = duologue(here.path(), &["export", &id, "--out", "call.vcon.json"]);
    assert!(exported.status.success(), "{}", said(&exported));

    let there = another_server().await;
    let bytes = std::fs::read(here.path().join("call.vcon.json")).expect("readable");
    std::fs::write(there.path().join("call.vcon.json"), &bytes).expect("sent");
    std::fs::copy(here.path().join("signing.pem"), there.path().join("signing.pem")).expect("sent");
    // Somebody changed a letter on the way.
    let mut vcon: Value = serde_json::from_slice(&bytes).expect("JSON");
    let payload = vcon["payload"].as_str().expect("signed").to_owned();
    let words = String::from_utf8(URL_SAFE_NO_PAD.decode(payload).expect("base64")).expect("text");
    vcon["payload"] = URL_SAFE_NO_PAD.encode(words.replacen("Hello", "Jello", 1)).into();
    std::fs::write(there.path().join("changed.json"), vcon.to_string()).expect("written");
    let refused = duologue(there.path(), &["import", "changed.json"]);
    assert!(!refused.status.success() && said(&refused).contains("signature"), "{}", said(&refused));

    let done = duologue(there.path(), &["import", "call.vcon.json", "--by", "signing.pem"]);
    assert!(done.status.success() && said(&done).contains("duologue.example.org"), "{}", said(&done));
    let again = duologue(there.path(), &["import", "call.vcon.json"]);
    assert!(!again.status.success() && said(&again).contains("here already"), "{}", said(&again));
    for question in [
        "SELECT turn, speaker, started_ms, ended_ms, text, heard, typed, outcome, first_packet_ms FROM turns WHERE call = ?1 ORDER BY turn",
        "SELECT turn, n, text, state, sent_ms, heard_ms, heard_by FROM words WHERE call = ?1 ORDER BY turn, n",
        "SELECT turn, at_ms, text, action, reason, round(probabilities ->> action, 9) FROM judgements WHERE call = ?1 ORDER BY at_ms, id",
        "SELECT events.at_ms, events.type, part.fullkey, CASE part.type WHEN 'real' THEN round(part.atom, 9) ELSE part.atom END
         FROM events, json_tree(events.json) AS part WHERE call = ?1 ORDER BY events.at_ms, events.id, part.id",
        "SELECT call, started_utc, caller, persona, transport, duration_s, end_reason, caller_turns, agent_turns FROM call_overview WHERE call = ?1",
        "SELECT file, started_ms, duration_ms, bytes, sha256 FROM recordings WHERE call = ?1",
    ] {
        let (was, is) = (
            asked(here.path(), "calls.db", question, &id).await,
            asked(there.path(), "duologue.db", question, &id).await,
        );
        assert!(!was.is_empty(), "{question}");
        assert_eq!(was, is, "{question}");
    }
    let sound = format!("recordings/{id}.ogg");
    assert_eq!(std::fs::read(there.path().join(&sound)).ok(), std::fs::read(here.path().join(&sound)).ok());
    let marked =
        asked(there.path(), "duologue.db", "SELECT length(signed_by), vcon <> '' FROM imports WHERE call = ?1", &id)
            .await;
    assert_eq!(marked, [[json!(64), json!(1)]], "it is marked as one that came in");
    let facts = asked(there.path(), "duologue.db", "SELECT count(*) FROM facts WHERE ?1 IS NOT NULL", &id).await;
    assert_eq!(facts, [[json!(0)]], "nothing is remembered of a caller because of a file");

    // An import that was killed leaves the sound and no row: the next one takes it in. Another sound of that name is not touched.
    let whole = std::fs::read(here.path().join(&sound)).expect("readable");
    for (left, taken) in [(whole.as_slice(), true), (&whole[..whole.len() / 2], false)] {
        let third = another_server().await;
        std::fs::write(third.path().join("call.vcon.json"), &bytes).expect("sent");
        std::fs::create_dir(third.path().join("recordings")).expect("a folder");
        std::fs::write(third.path().join(&sound), left).expect("written");
        std::fs::write(third.path().join(format!("{sound}.incoming")), &whole[..99]).expect("written");
        let done = duologue(third.path(), &["import", "call.vcon.json"]);
        assert!(done.status.success() && said(&done).contains("left out") != taken, "{}", said(&done));
        assert_eq!(std::fs::read(third.path().join(&sound)).expect("readable"), left);
        let row = Reader::of(&third.path().join("duologue.db")).recording(&id).await.expect("readable");
        assert_eq!(row.is_some(), taken);
        assert_eq!(std::fs::read_dir(third.path().join("recordings")).expect("a folder").count(), 1);
    }
}

/// With a WAV, as telephone systems write them: both sides, 8 kHz.
#[tokio::test]
async fn one_of_somebody_elses_is_read_and_heard() {
    let there = another_server().await;
    let tone = |hz: f32| -> Vec<f32> {
        (0..16_000).map(|n| 0.4 * (n as f32 * hz * std::f32::consts::TAU / 8_000.0).sin()).collect()
    };
    let mut sound = std::io::Cursor::new(Vec::new());
    wav::write_stereo(&mut sound, 8_000, &tone(440.0), &tone(880.0)).expect("a WAV");
    let vcon = json!({
        "vcon": "0.0.1", "uuid": "018e3f72-c3a8-8b8e-b468-6ebf29e2d5c1", "created_at": "2026-01-05T10:01:00Z",
        "parties": [{"tel": "+12025550123"}, {"name": "Sales"}],
        "dialog": [{
            "type": "recording", "start": "2026-01-05T10:00:00Z", "duration": 2.0, "parties": [0, 1], "mediatype": "audio/x-wav",
            "encoding": "base64url", "body": URL_SAFE_NO_PAD.encode(sound.into_inner()),
        }],
        "analysis": [{"type": "transcript", "dialog": 0, "vendor": "elsewhere", "body": [
            {"speaker": 0, "start": 0.2, "end": 0.9, "text": "Do you have lanterns?"},
            {"speaker": 1, "start": 1.0, "end": 1.8, "text": "We have forty."},
        ]}],
    });
    std::fs::write(there.path().join("theirs.json"), vcon.to_string()).expect("written");
    let done = duologue(there.path(), &["import", "theirs.json"]);
    assert!(done.status.success() && said(&done).contains("nobody has signed it"), "{}", said(&done));
    let id = "018e3f72-c3a8-8b8e-b468-6ebf29e2d5c1";
    let call = Reader::of(&there.path().join("duologue.db")).call(id).await.expect("readable").expect("the call");
    assert_eq!(
        call.turns.iter().map(|turn| turn.text.as_str()).collect::<Vec<_>>(),
        ["Do you have lanterns?", "We have forty."]
    );
    assert_eq!(call.summary.end_reason.as_deref(), Some("imported"));
    let [caller, agent] = read(&there.path().join(format!("recordings/{id}.ogg"))).expect("playable");
    assert!((95_000..=97_000).contains(&caller.len()), "{}", caller.len());
    let crossings =
        |side: &[f32]| side[24_000..72_000].windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
    assert!(crossings(&caller).abs_diff(440) < 5 && crossings(&agent).abs_diff(880) < 5, "each side on its own");
    let found = duologue(there.path(), &["review", "search", "lanterns"]);
    assert!(found.status.success() && said(&found).contains(id), "{}", said(&found));
    let nothing = json!({"uuid": "018e3f72-c3a8-8b8e-b468-6ebf29e2d5c2", "parties": [], "dialog": [], "analysis": []});
    std::fs::write(there.path().join("nothing.json"), nothing.to_string()).expect("written");
    let refused = duologue(there.path(), &["import", "nothing.json"]);
    assert!(!refused.status.success() && said(&refused).contains("neither sound nor words"), "{}", said(&refused));
}

/// Anybody may write a file with anybody's name in it.
#[tokio::test]
async fn what_came_in_as_a_file_comes_to_nobodys_mind() {
    let there = another_server().await;
    let vcon = json!({
        "vcon": "0.0.1", "uuid": "018e3f72-c3a8-8b8e-b468-6ebf29e2d5c3", "created_at": "2026-01-05T10:01:00Z",
        "subject": "asked for blue lanterns", "parties": [{"name": "Ada"}, {"name": "Sales"}],
        "dialog": [{"type": "text", "start": "2026-01-05T10:00:00Z", "parties": 0, "body": "My blue lanterns are broken.", "encoding": "none"}],
        "analysis": [],
    });
    std::fs::write(there.path().join("ada.json"), vcon.to_string()).expect("written");
    let done = duologue(there.path(), &["import", "ada.json"]);
    assert!(done.status.success(), "{}", said(&done));
    let reader = Reader::of(&there.path().join("duologue.db"));
    let today = Day::of(2026, 1, 6).expect("a day");
    let known = reader.recollection("Ada", today).await.expect("readable");
    assert_eq!((known.last_call, known.relation), (None, duologue::dialogue::judge::Relation::Stranger));
    let recalled =
        reader.recalled("Ada", "a call", "Where are my blue lanterns?", today, 8, &[]).await.expect("readable");
    assert!(recalled.is_empty(), "{recalled:?}");
    let found = duologue(there.path(), &["review", "search", "lanterns"]);
    assert!(
        said(&found).contains("018e3f72-c3a8-8b8e-b468-6ebf29e2d5c3"),
        "whoever reviews finds it: {}",
        said(&found)
    );
}
