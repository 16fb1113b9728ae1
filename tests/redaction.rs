//! A span of a call is taken out: no byte of it is left, and the rest is as it was.

mod common;

use std::path::Path;

use common::{agent_turn, caller_turn, closed, event, fact, judgement, opened, place, remembered, words};
use duologue::audio::LINE_FRAME;
use duologue::audio::opus::StereoEncoder;
use duologue::journal::Entry;
use duologue::memory::Predicate;
use duologue::recording::{OggFile, file_of, length_of, page_hashes, read};
use duologue::redaction::{RedactFault, take_out};
use duologue::review::{Limits, SAID, ask, ask_with, match_all};
use duologue::store::{AskedBy, Note, Redacted, Span, Store, note};
use duologue_signaling::event::Event;
use serde_json::json;

fn recorded(folder: &Path, call: &str) -> Vec<Entry> {
    let path = folder.join(file_of(&call.to_owned()));
    let mut encoder = StereoEncoder::new().expect("an encoder");
    let mut file = OggFile::create(&path, encoder.pre_skip(), &[]).expect("a file");
    for n in 0..500 {
        let tone: [f32; LINE_FRAME] = std::array::from_fn(|k| 0.4 * (0.06 * (n * LINE_FRAME + k) as f32).sin());
        file.packet(encoder.encode(&tone, &tone).expect("a packet").to_vec());
    }
    file.finish(encoder.encode(&[0.0; LINE_FRAME], &[0.0; LINE_FRAME]).expect("a packet").to_vec());
    let (duration_ms, bytes, sha256) = length_of(&path).expect("a file");
    let (call, file) = (call.to_owned(), file_of(&call.to_owned()));
    vec![
        Entry::RecordingBegan { call: call.clone(), file, started_ms: 0, key_id: None },
        Entry::RecordingKept { call, duration_ms, bytes, sha256, lost_ms: 0 },
    ]
}

/// The caller says a number between 2.0 and 2.9 s; the agent repeats it from 4.2 s on.
fn entries(folder: &Path) -> Vec<Entry> {
    let answer = "Fine: xylophone forty, is that right?";
    let mut agent = agent_turn("one", 4, 3_000, answer, answer);
    agent.ended_ms = 5_400;
    let mut all = vec![opened("one", Some("Ada")), opened("two", Some("Ada"))];
    all.extend(recorded(folder, "one"));
    let mut judged = judgement("one", 3, 3_100, "It is xylophone forty.", ("respond", "respond"), None);
    judged.rests_on = Some("likes xylophone music".into());
    let mut later = judgement("two", 1, 500, "Hello again.", ("respond", "respond"), None);
    later.rests_on = Some("likes xylophone music".into());
    all.extend([
        Entry::Turn(caller_turn("one", 1, 500, "Good morning to the lighthouse.")),
        Entry::Turn(caller_turn("one", 3, 2_000, "It is xylophone forty.")),
        remembered("one", 3, vec![fact(Predicate::Likes, "xylophone music")]),
        event("one", 2_500, Event::Partial { turn: 3, text: "it is xylophone".into(), stable: 2 }),
        event("one", 3_050, Event::Transcript { turn: 3, text: "It is xylophone forty.".into(), typed: false }),
        Entry::Judgement(judged),
        Entry::Turn(agent),
        words("one", 4, answer, 4_000, 6, 6),
        event("one", 5_400, Event::Words { turn: 4, heard: answer.into() }),
        Entry::Summed { call: "one".into(), text: "said: xylophone forty".into() },
        closed("one", 10_000),
        Entry::Turn(caller_turn("two", 1, 0, "Hello again.")),
        Entry::Judgement(later),
        closed("two", 1_000),
    ]);
    all
}

fn span(from_ms: u64, to_ms: u64) -> Span {
    Span { call: "one".into(), from_ms, to_ms, why: "a secret".into(), asked_by: AskedBy::Operator }
}

#[tokio::test]
async fn no_byte_of_the_span_is_left_and_the_rest_stays() {
    let (folder, path) = place();
    let store = Store::open(&path).await.expect("a database");
    entries(folder.path()).into_iter().for_each(|entry| store.recorder().record(entry));
    store.recorder().flush().await.expect("written");
    let file = folder.path().join("one.ogg");
    let pages = page_hashes(&std::fs::read(&file).expect("readable")).expect("pages");

    for (at_ms, text) in [(2_000, "He says forty xylophones."), (500, "A calm voice.")] {
        let about = Note { call: "one".into(), at_ms: Some(at_ms), text: text.into(), by: "Ada".into() };
        note(&path, &about).await.expect("noted");
    }

    let gone = take_out(&path, folder.path(), &span(1_900, 3_000)).await.expect("taken out");
    assert_eq!(gone, Redacted { turns: 1, words: 4, facts: 1 });
    // The agent's words "xylophone" and "forty," left at 4.4 and 4.6 s.
    let gone = take_out(&path, folder.path(), &span(4_250, 4_500)).await.expect("taken out");
    assert_eq!(gone, Redacted { turns: 1, words: 2, facts: 0 });

    for left in std::fs::read_dir(folder.path()).expect("the folder").flatten() {
        let bytes = std::fs::read(left.path()).expect("readable");
        for word in ["xylophone", "forty"] {
            let found = bytes.windows(word.len()).filter(|window| window.eq_ignore_ascii_case(word.as_bytes())).count();
            assert_eq!(found, 0, "{word} in {}", left.path().display());
        }
    }
    let call = store.reader().call("one").await.expect("readable").expect("the call");
    let texts: Vec<&str> = call.turns.iter().map(|turn| turn.text.as_str()).collect();
    let answer = "Fine: [redacted] [redacted] is that right?";
    assert_eq!(texts, ["Good morning to the lighthouse.", "[redacted]", answer]);
    assert_eq!(call.turns[2].heard.as_deref(), Some(answer));
    let rows = |sql: &'static str| ask(&path, sql, Limits::default());
    let noted = rows("SELECT text FROM notes ORDER BY at_ms").await.expect("rows").rows;
    assert_eq!(json!(noted), json!([["A calm voice."], ["[redacted]"]]));
    let kept =
        rows("SELECT type, json ->> 'turn', json ->> 'stable' FROM events WHERE type = 'partial'").await.expect("rows");
    assert_eq!(kept.rows[0], [json!("partial"), json!(3), json!(2)], "its numbers stay");
    let judged = rows("SELECT action, text, rests_on FROM judgements ORDER BY id").await.expect("rows");
    assert_eq!(judged.rows[0][..2], [json!("respond"), json!("[redacted]")]);
    assert!(judged.rows[1][2].is_null(), "nothing rests on a fact that is gone");
    let parameters: [serde_json::Value; 1] = [match_all("xylophone").expect("a word").into()];
    assert!(ask_with(&path, SAID, &parameters, Limits::default()).await.expect("rows").rows.is_empty());
    let parameters: [serde_json::Value; 1] = [match_all("lighthouse").expect("a word").into()];
    assert_eq!(ask_with(&path, SAID, &parameters, Limits::default()).await.expect("rows").rows.len(), 1);

    // The sound is silent there, and nowhere else; the rows tell which pages, and the hash of all others.
    let [caller, agent] = read(&file).expect("playable");
    let loudest = |side: &[f32], from: usize, to: usize| {
        side[from * 48..to * 48].iter().fold(0.0_f32, |most, s| most.max(s.abs()))
    };
    for side in [&caller, &agent] {
        assert!(loudest(side, 1_900, 3_000) < 0.001 && loudest(side, 4_250, 4_500) < 0.001);
        assert!(
            loudest(side, 200, 1_800) > 0.3 && loudest(side, 3_200, 4_150) > 0.3 && loudest(side, 4_800, 9_900) > 0.3
        );
    }
    let now = page_hashes(&std::fs::read(&file).expect("readable")).expect("pages");
    let changed: Vec<usize> = (0..pages.len()).filter(|n| pages[*n] != now[*n]).collect();
    assert_eq!(changed, [3, 4, 5, 6], "seconds 1, 2, 3 (the margin) and 4");
    let told = rows(
        "SELECT first_page, last_page, why, sha256_after = lead(sha256_before) OVER (ORDER BY id),
                sha256_after = (SELECT sha256 FROM recordings), length(rest_sha256) FROM redactions ORDER BY id",
    );
    let told = told.await.expect("rows").rows;
    assert_eq!(json!(told[0]), json!([3, 5, "a secret", 1, 0, 64]), "the next one began with it");
    assert_eq!((&told[1][0], &told[1][4]), (&json!(6), &json!(1)));
    store.close().await;
}

#[tokio::test]
async fn what_cannot_be_redacted_is_refused_by_name_and_nothing_changes() {
    let (folder, path) = place();
    let store = Store::open(&path).await.expect("a database");
    entries(folder.path()).into_iter().for_each(|entry| store.recorder().record(entry));
    store.recorder().record(opened("open", None));
    store.recorder().flush().await.expect("written");
    let ask_for = async |span: Span| take_out(&path, folder.path(), &span).await;
    assert!(matches!(ask_for(span(5, 5)).await, Err(RedactFault::Backwards)));
    assert!(matches!(ask_for(Span { why: " ".into(), ..span(0, 5) }).await, Err(RedactFault::NoReason)));
    assert!(matches!(ask_for(Span { call: "nobody".into(), ..span(0, 5) }).await, Err(RedactFault::NoCall(_))));
    assert!(matches!(ask_for(Span { call: "open".into(), ..span(0, 5) }).await, Err(RedactFault::StillOpen(_))));
    let file = folder.path().join("one.ogg");
    std::fs::write(&file, "no sound").expect("written");
    assert!(matches!(ask_for(span(2_000, 3_000)).await, Err(RedactFault::Recording(_))));
    let call = store.reader().call("one").await.expect("readable").expect("the call");
    assert_eq!(call.turns[1].text, "It is xylophone forty.", "where the sound stays, the words stay");
    // Without a recording, the words go all the same.
    std::fs::remove_file(&file).expect("gone");
    store.recorder().record(Entry::RecordingGone {
        call: "one".into(),
        why: duologue::journal::RecordingGone::Retention,
        at_utc_ms: 1,
    });
    store.recorder().flush().await.expect("written");
    assert_eq!(ask_for(span(2_000, 3_000)).await.expect("taken out").turns, 1);
    // A span in which nobody said anything changes the sound alone, and is told.
    assert_eq!(ask_for(span(9_000, 9_500)).await.expect("taken out"), Redacted::default());
    store.close().await;
}
