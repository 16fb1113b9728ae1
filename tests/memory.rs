//! What callers said is known in the next call, after a restart too; to that caller only, and not after it was to be forgotten.

#[path = "memory/calls.rs"]
mod calls;
mod common;
mod house;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use common::{MONDAY_UTC_MS, caller_turn, closed, fact, judgement, opened, place, remembered};
use duologue::backend::Embedder;
use duologue::backend::judge::TunedJudge;
use duologue::journal::Entry;
use duologue::memory::calendar::Day;
use duologue::memory::meaning::nearest;
use duologue::memory::recollection::Relation;
use duologue::memory::{CALLER, Fact, Gleanings, Predicate, Wish, glean};
use duologue::store::{AskedBy, Note, Store, correct_fact, erase, forget_fact, note};
use duologue_signaling::event::Event;
use proptest::prelude::*;

fn monday() -> Day {
    Day::of_utc_ms(MONDAY_UTC_MS)
}

/// A store that has kept `entries`.
async fn kept(path: &Path, entries: Vec<Entry>) -> Store {
    let store = Store::open(path).await.expect("a database");
    entries.into_iter().for_each(|entry| store.recorder().record(entry));
    store.recorder().flush().await.expect("written");
    store
}

/// A caller's turn with what the rules glean from it.
fn said(call: &str, turn: u32, text: &str) -> [Entry; 2] {
    let gleanings = glean(text, None, monday());
    let at_utc_ms = MONDAY_UTC_MS + i64::from(turn) * 1_000;
    [
        Entry::Turn(caller_turn(call, turn, u64::from(turn) * 1_000, text)),
        Entry::Remembered { call: call.into(), turn, gleanings, at_utc_ms },
    ]
}

fn wish(call: &str, turn: u32, wish: Wish) -> Entry {
    let gleanings = Gleanings { wishes: vec![wish], ..Gleanings::default() };
    Entry::Remembered { call: call.into(), turn, gleanings, at_utc_ms: MONDAY_UTC_MS + 9_000 }
}

#[tokio::test]
async fn a_new_value_supersedes_the_old_one_and_both_keep_their_sources() {
    let (_folder, path) = place();
    let mut entries = vec![opened("one", Some("Ada")), opened("two", Some("Ada"))];
    entries.extend(said("one", 1, "I'm in room twelve and I'm allergic to nuts."));
    entries.extend(said("two", 3, "Actually, I'm in room fourteen. I'm allergic to milk."));
    entries.extend(said("two", 5, "I'm in room 14."));
    let store = kept(&path, entries).await;
    let memory = store.reader().caller("Ada").await.expect("readable").expect("Ada");
    let now: BTreeSet<&str> =
        memory.facts.iter().filter(|fact| fact.valid_to_utc_ms.is_none()).map(|fact| fact.text.as_str()).collect();
    assert_eq!(now, BTreeSet::from(["is in room 14", "allergic to nuts", "allergic to milk"]));
    let before = memory.facts.iter().find(|fact| fact.value == "12").expect("it is not overwritten");
    assert_eq!(
        (before.call.as_deref(), before.turn, before.valid_to_utc_ms),
        (Some("one"), Some(1), Some(MONDAY_UTC_MS + 3_000))
    );
    let after = memory.facts.iter().find(|fact| fact.value == "14").expect("the room now");
    assert_eq!((before.superseded_by, after.said_times), (Some(after.id), 2));
    let known = store.reader().recollection("Ada", monday()).await.expect("readable");
    assert_eq!((known.conflicts[0].before.as_str(), known.conflicts[0].now.as_str()), ("12", "14"));
    assert_eq!(known.relation, Relation::Acquaintance);
    store.close().await;
}

#[tokio::test]
async fn a_value_that_is_put_right_never_held_and_contradicts_nobody() {
    let (_folder, path) = place();
    let mut entries = vec![opened("one", Some("Ada")), opened("two", Some("Grace"))];
    entries.extend(said("one", 1, "I'm in room twelve and I'm allergic to nuts."));
    let store = kept(&path, entries).await;
    let fact = store.reader().caller("Ada").await.expect("readable").expect("Ada").facts;
    let fact = fact.iter().find(|fact| fact.predicate == "room").expect("a room").id;
    assert_eq!(correct_fact(&path, "Grace", fact, "14").await.expect("writable"), None, "it is not hers");
    assert!(!forget_fact(&path, "Grace", fact).await.expect("writable"), "nor hers to take out");
    let now = correct_fact(&path, "Ada", fact, "14").await.expect("writable").expect("hers");
    assert_eq!(correct_fact(&path, "Ada", fact, "15").await.expect("writable"), None, "it holds no more");
    let known = store.reader().recollection("Ada", monday()).await.expect("readable");
    assert!(known.conflicts.is_empty(), "{:?}", known.conflicts);
    let memory = store.reader().caller("Ada").await.expect("readable").expect("Ada");
    let room = memory.facts.iter().find(|fact| fact.id == now).expect("the fact");
    assert_eq!((room.text.as_str(), room.turn, room.confidence), ("is in room 14", None, 1.0));
    assert!(forget_fact(&path, "Ada", now).await.expect("writable"));
    let left = store.reader().caller("Ada").await.expect("readable").expect("Ada").facts;
    assert_eq!(left.iter().map(|fact| fact.text.as_str()).collect::<Vec<_>>(), ["allergic to nuts"]);
    store.close().await;
}

#[tokio::test]
async fn words_and_days_bring_back_what_was_said() {
    let (_folder, path) = place();
    let mut entries = vec![opened("one", Some("Ada")), opened("two", Some("Grace"))];
    entries.extend(said("one", 1, "Yesterday I went to the lighthouse with my sister."));
    entries.extend(said("one", 3, "My knee still hurts when I climb stairs."));
    entries.extend(said("two", 1, "Yesterday I went to the lighthouse on a bicycle."));
    let store = kept(&path, entries).await;
    let recalled = async |caller: &str, text: &str| {
        store.reader().recalled(caller, "three", text, monday(), 4, &[]).await.expect("readable")
    };
    let lighthouse = recalled("Ada", "What did I do yesterday?").await;
    assert_eq!(lighthouse[0], "2026-01-04: went to the lighthouse with their sister");
    assert!(recalled("Ada", "Have I been at a lighthouse?").await[0].contains("with their sister"));
    let knee = recalled("Ada", "How should I climb with this knee?").await;
    assert!(knee[0].contains("the caller said \"My knee still hurts"), "{knee:?}");
    assert!(recalled("Ada", "Was there a bicycle?").await.is_empty(), "that was somebody else");
    assert!(recalled("Nobody", "lighthouse").await.is_empty());
    assert!(recalled("Ada", "\" OR text : * NEAR(").await.is_empty(), "what callers say is no query");
    store.close().await;
}

#[tokio::test]
async fn what_is_to_be_forgotten_is_not_found_again() {
    let (_folder, path) = place();
    let mut entries = vec![opened("one", Some("Ada"))];
    entries.extend(said("one", 1, "My phone number is 0755 1234 and I'm afraid of geese."));
    entries.extend(said("one", 3, "I live in Leeds."));
    entries.push(wish("one", 5, Wish::ForgetAbout("my phone number".into())));
    let store = kept(&path, entries).await;
    let lines = async || -> Vec<String> {
        let known = store.reader().recollection("Ada", monday()).await.expect("readable");
        known.facts.into_iter().map(|fact| fact.line).collect()
    };
    assert_eq!(lines().await, ["lives in Leeds", "afraid of geese"]);
    store.recorder().record(wish("one", 7, Wish::ForgetEverything));
    store.recorder().flush().await.expect("written");
    assert!(lines().await.is_empty());
    let found = store.reader().recalled("Ada", "two", "geese in Leeds", monday(), 4, &[]).await.expect("readable");
    assert!(found.is_empty(), "{found:?}");
    store.close().await;
}

/// No byte of the file, nor of what lies beside it, says who the caller was or what was said.
#[tokio::test]
async fn an_erased_caller_leaves_a_count_and_no_word() {
    let (folder, path) = place();
    let mut entries = vec![opened("one", Some("ada-of-the-browser")), opened("two", Some("Grace"))];
    entries.extend(said("one", 1, "Yesterday I went to the zeppelin museum."));
    entries.push(Entry::Summed { call: "one".into(), text: "said: went to the zeppelin museum".into() });
    entries.push(common::event("one", 10, Event::Partial { turn: 1, text: "the zeppelin".into(), stable: 1 }));
    let about = "Which zeppelin was it?";
    entries.push(Entry::Judgement(judgement("one", 1, 900, about, ("block", "block"), None)));
    entries.push(Entry::Blocked { call: "one".into(), at_ms: 1_000, ttl_s: 60, reason: "block.abuse_goes_on" });
    entries.push(Entry::Turn(caller_turn("nobody", 1, 0, "not a word of it")));
    entries.extend(said("two", 1, "Yesterday I went to the harbour."));
    entries.push(closed("one", 5_000));
    let store = kept(&path, entries).await;
    let zeppelins = Note { call: "one".into(), at_ms: None, text: "Zeppelins again.".into(), by: "Grace".into() };
    note(&path, &zeppelins).await.expect("noted");
    let erased = erase(&path, folder.path(), "ada-of-the-browser", AskedBy::Operator)
        .await
        .expect("erased")
        .expect("she was known");
    assert_eq!((erased.facts, erased.turns, erased.calls), (1, 1, 1));
    assert_eq!(erase(&path, folder.path(), "ada-of-the-browser", AskedBy::Operator).await, Ok(None));
    // A live call of hers goes on, and leaves nothing any more.
    store.recorder().record(remembered("one", 1, vec![fact(Predicate::Likes, "zeppelins")]));
    store.recorder().flush().await.expect("written");
    let call = store.reader().call("one").await.expect("readable").expect("the call stays");
    assert_eq!((call.summary.caller.as_deref(), call.turns[0].text.as_str()), (None, ""));
    let grace = store.reader().recollection("Grace", monday()).await.expect("readable");
    assert_eq!(grace.facts[0].line, "2026-01-04: went to the harbour");
    for file in std::fs::read_dir(folder.path()).expect("the folder").flatten() {
        let bytes = std::fs::read(file.path()).expect("readable");
        for word in ["zeppelin", "ada-of-the"] {
            let left = bytes.windows(word.len()).filter(|window| window.eq_ignore_ascii_case(word.as_bytes())).count();
            assert_eq!(left, 0, "{word} in {}", file.path().display());
        }
    }
    store.close().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2))]

    /// 10,000 writes of 100 callers, interleaved: every caller gets back their own facts, all of them and no other.
    #[test]
    fn no_fact_crosses_from_one_caller_to_another(order in prop::collection::vec(0usize..100, 10_000)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (_folder, path) = place();
            let name = |caller: usize| format!("caller-{caller}");
            let store = Store::open(&path).await.expect("a database");
            for caller in 0..100 {
                store.recorder().record(opened(&format!("call-{caller}"), Some(&name(caller))));
            }
            let mut told: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
            for (n, caller) in order.iter().enumerate() {
                let value = format!("secret{caller} thing {n}");
                told.entry(*caller).or_default().insert(value.clone());
                let thing = Fact { subject: CALLER.into(), ..fact(Predicate::Has, &value) };
                store.recorder().record(remembered(&format!("call-{caller}"), 1, vec![thing]));
                if n % 500 == 0 {
                    store.recorder().flush().await.expect("written");
                }
            }
            store.recorder().flush().await.expect("written");
            assert_eq!(store.recorder().counts().lost, 0);
            for (caller, values) in told {
                let memory = store.reader().caller(&name(caller)).await.expect("readable").expect("known");
                let got: BTreeSet<String> = memory.facts.into_iter().map(|fact| fact.value).collect();
                assert_eq!(got, values, "{caller}");
                // Words that every caller has, and a word of the next one's.
                let asked = format!("secret{} thing", caller + 1);
                let found = store.reader().recalled(&name(caller), "x", &asked, monday(), 16, &[]).await.expect("readable");
                let own = format!("has secret{caller} ");
                assert!(found.iter().all(|line| line.starts_with(&own)), "{caller}: {found:?}");
            }
            store.close().await;
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_words_for_the_same_thing_bring_it_back() {
    let Some(encoder) = duologue_judge::base_folder() else {
        assert!(std::env::var_os("DUOLOGUE_REQUIRE_MODELS").is_none(), "duologue models fetch minilm");
        return;
    };
    let judge = TunedJudge::load(&encoder).expect("the encoder");
    let (_folder, path) = place();
    let mut entries = vec![opened("one", Some("Ada")), opened("two", Some("Grace"))];
    entries.extend(said("one", 1, "I'm afraid of dogs. My birthday is on the third of June."));
    entries.extend(said("two", 1, "I'm afraid of dogs."));
    let store = kept(&path, entries).await;
    let (call, model) = ("one".to_owned(), judge.model());
    for line in store.reader().unmeant("Ada", 9).await.expect("readable") {
        let meaning = Box::new(judge.embed(line.clone()).await.expect("a meaning"));
        store.recorder().record(Entry::Meant { call: call.clone(), line, model, meaning });
    }
    store.recorder().flush().await.expect("written");
    assert!(store.reader().unmeant("Ada", 9).await.expect("readable").is_empty());
    assert!(store.reader().meanings("Grace").await.expect("readable").is_empty(), "hers is hers");
    let asked = "Would it matter if there was a puppy here?";
    let recalled =
        async |near: &[i64]| store.reader().recalled("Ada", "three", asked, monday(), 4, near).await.expect("readable");
    assert!(recalled(&[]).await.is_empty(), "no word in common");
    let known = store.reader().meanings("Ada").await.expect("readable");
    let near = nearest(&judge.embed(asked.into()).await.expect("a meaning"), &known, 4);
    assert_eq!(recalled(&near).await[0], "afraid of dogs", "{near:?}");
    let foreign = store.reader().recalled("Grace", "three", asked, monday(), 4, &near).await.expect("readable");
    assert!(foreign.is_empty(), "another caller's facts are not found by their numbers: {foreign:?}");
    store.close().await;
}

/// The rules know English; what is said in another language is found by its words all the same.
#[tokio::test]
async fn another_language_teaches_no_fact_and_is_recalled_in_its_own_words() {
    let (_folder, path) = place();
    let mut entries = vec![opened("one", Some("Ada"))];
    entries.extend(said(
        "one",
        1,
        "Gestern war ich mit meiner Schwester am Leuchtturm, und ich bin allergisch gegen Nüsse.",
    ));
    entries.extend(said("one", 3, "我对花生过敏。"));
    let store = kept(&path, entries).await;
    let memory = store.reader().caller("Ada").await.expect("readable").expect("Ada");
    assert!(memory.facts.is_empty(), "{:?}", memory.facts);
    let found = store.reader().recalled("Ada", "two", "War ich schon am Leuchtturm?", monday(), 4, &[]).await;
    assert!(found.expect("readable")[0].contains("allergisch gegen Nüsse"));
    store.close().await;
}
