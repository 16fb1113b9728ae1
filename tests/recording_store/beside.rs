//! Commands beside a running server, whose recordings are on the store: a span is taken out, a call comes in from elsewhere.

use duologue::export::{Recording, verify};
use reqwest::{Client, StatusCode};

use crate::house::process::serving;
use crate::store::{ENV, Store};
use crate::{a_call, all_taken_away, duologue, get, hash, here, number, row_now, stored, unremoved};

#[tokio::test(flavor = "multi_thread")]
async fn a_span_is_taken_out_of_the_object_and_what_was_signed_vouches_for_the_rest() {
    let Some(mut store) = Store::open().await else { return };
    store.connect().await;
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path();
    let (key, vcon, after) = (folder.join("key.pem"), folder.join("before.vcon.json"), folder.join("after.vcon.json"));
    let config = store.settings(folder, "");
    let shown = |path: &std::path::Path| path.display().to_string();
    let (done, text) = duologue(&config, &["export", "key", &shown(&key)]);
    assert!(done, "{text}");
    let signed = std::fs::read_to_string(&config).expect("readable") + &format!("[export]\nkey_file = {key:?}\n");
    std::fs::write(&config, signed).expect("written");
    let (_server, http) = serving(&config, &ENV);
    let id = a_call(http).await;
    let url = format!("http://{http}/v1/calls/{id}/recording");
    let first = stored(folder, &id).await;
    let name = first.object.clone().expect("a name");
    let (done, text) = duologue(&config, &["export", &id, "--out", &shown(&vcon)]);
    assert!(done, "{text}");

    // The sound cannot be had: then the words stay, too.
    store.cut().await;
    let redact = ["redact", &id, "--from", "0", "--to", "800", "--why", "a test"];
    let (done, text) = duologue(&config, &redact);
    assert!(!done && text.contains("nothing was") && text.contains(&name) && text.contains("store_endpoint"), "{text}");
    assert_eq!(number(folder, "SELECT count(*) FROM redactions").await, Some(0));
    assert_eq!(row_now(folder, &id).await, first);
    store.connect().await;

    let (done, text) = duologue(&config, &redact);
    assert!(done && text.starts_with("redacted:"), "{text}");
    let second = stored(folder, &id).await;
    all_taken_away(folder).await;
    assert_eq!(store.object(&name).await, None, "what was taken out is not on the store any more");
    assert!(second.object != first.object && second.sha256 != first.sha256 && here(folder).is_empty(), "{second:?}");
    let object = store.object(second.object.as_deref().expect("a name")).await.expect("the object");
    assert_eq!((Some(hash(&object)), Some(object.len() as i64)), (second.sha256.clone(), second.bytes));
    assert_eq!(get(&url, "").await, (StatusCode::OK, object.clone()));
    let told = format!(
        "SELECT sha256_before = '{}' AND sha256_after = '{}' FROM redactions",
        first.sha256.as_deref().unwrap_or_default(),
        second.sha256.as_deref().unwrap_or_default()
    );
    assert_eq!(number(folder, &told).await, Some(1), "the row tells both");

    let was = verify(&std::fs::read(&vcon).expect("readable")).expect("as it was signed");
    assert_eq!(was.holds(&object).expect("its recording"), Recording::Redacted(vec![2]), "the first second alone");
    let (done, text) = duologue(&config, &["export", &id, "--out", &shown(&after)]);
    assert!(done, "{text}");
    let is = verify(&std::fs::read(&after).expect("readable")).expect("as it was signed");
    assert_eq!((is.carried, is.holds(&object).expect("its recording")), (1, Recording::Same));
    std::fs::write(folder.join("heard.ogg"), &object).expect("written");
    let heard = shown(&folder.join("heard.ogg"));
    let (done, text) = duologue(&config, &["export", "verify", &shown(&vcon), "--recording", &heard]);
    assert!(done && text.contains("the rest is as it was"), "{text}");
}

/// Two servers share a bucket; the same call is on both of them, and each has its own object of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_comes_in_goes_to_the_store_and_leaves_anothers_object_alone() {
    let Some(mut store) = Store::open().await else { return };
    store.connect().await;
    let (from, to) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let config = store.settings(from.path(), "");
    let (server, http) = serving(&config, &ENV);
    let id = a_call(http).await;
    let was = stored(from.path(), &id).await;
    let vcon = from.path().join("call.vcon.json").display().to_string();
    let (done, text) = duologue(&config, &["export", &id, "--out", &vcon]);
    assert!(done, "{text}");
    drop(server);

    let config = store.settings(to.path(), "");
    let (_server, http) = serving(&config, &ENV);
    let (done, text) = duologue(&config, &["import", &vcon]);
    assert!(done && text.contains(&format!("call {id}")) && !text.contains("left out"), "{text}");
    let is = stored(to.path(), &id).await;
    assert_eq!((&is.sha256, is.bytes, is.duration_ms), (&was.sha256, was.bytes, was.duration_ms));
    assert!(is.object != was.object && here(to.path()).is_empty() && store.keys().await.len() == 2, "{is:?}");
    let url = format!("http://{http}/v1/calls/{id}/recording");
    let (status, heard) = get(&url, "").await;
    assert_eq!((status, Some(hash(&heard))), (StatusCode::OK, is.sha256));

    let gone = Client::new().delete(&url).send().await.expect("an answer");
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    let key = was.object.as_deref().and_then(|name| name.strip_prefix("s3://calls/")).expect("a name");
    assert_eq!((store.keys().await, unremoved(to.path()).await), (vec![key.to_owned()], Vec::new()));
}
