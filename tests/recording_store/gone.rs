//! What is to be gone is gone from the store and the folder, and nothing is called gone before: retention and erasure.

use reqwest::StatusCode;

use crate::house::process::serving;
use crate::store::{ENV, Store};
use crate::{a_call, all_taken_away, duologue, get, here, number, row, row_now, said, stored, unremoved};

/// Two are older than they may be, one of them on the store and one still in the folder; the third is of today. The store is away when
/// the server looks.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_it_may_be_goes_from_the_folder_and_from_the_store() {
    let Some(mut store) = Store::open().await else { return };
    store.connect().await;
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path();
    let config = store.settings(folder, "keep_days = 1\n");
    let (server, http) = serving(&config, &ENV);
    let old = a_call(http).await;
    let young = a_call(http).await;
    let on_the_store = stored(folder, &old).await.object.expect("a name");
    let todays = stored(folder, &young).await;
    store.cut().await;
    let unsent = a_call(http).await;
    let waiting = row(folder, &unsent, |row| row.object.is_some()).await.object.expect("a name");
    drop(server);
    assert_eq!(here(folder), [format!("{unsent}.ogg")]);
    let two_days = format!(
        "UPDATE calls SET started_utc_ms = started_utc_ms - 172800000 WHERE id IN ('{old}', '{unsent}') RETURNING 1"
    );
    number(folder, &two_days).await.expect("a call");

    let (_server, http) = serving(&config, &ENV);
    for call in [&old, &unsent] {
        let gone = row(folder, call, |row| row.removed_utc_ms.is_some()).await;
        assert_eq!(gone.removed_why.as_deref(), Some("retention"));
        assert_eq!(get(&format!("http://{http}/v1/calls/{call}/recording"), "").await.0, StatusCode::GONE);
        let left = std::fs::read_dir(folder.join("recordings")).expect("a folder").flatten();
        let left: Vec<_> = left.filter(|file| file.file_name().to_string_lossy().contains(call)).collect();
        assert!(left.is_empty(), "neither sound nor journal: {left:?}");
    }
    let mut left = unremoved(folder).await;
    left.sort();
    let mut named = vec![on_the_store.clone(), waiting];
    named.sort();
    assert_eq!(left, named, "what is, or may be, on the store is not forgotten");
    assert!(store.object(&on_the_store).await.is_some(), "it is there while the store is away, and the table says so");

    store.connect().await;
    all_taken_away(folder).await;
    let key = todays.object.as_deref().and_then(|name| name.strip_prefix("s3://calls/")).expect("a name");
    assert_eq!(store.keys().await, [key], "the one of today is there, and no other");
    assert_eq!(row_now(folder, &young).await, todays);
    assert_eq!(get(&format!("http://{http}/v1/calls/{young}/recording"), "").await.0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn erasing_a_caller_takes_the_objects_along_or_says_which_are_left() {
    let Some(mut store) = Store::open().await else { return };
    store.connect().await;
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path();
    let config = store.settings(folder, "");
    let (server, http) = serving(&config, &ENV);
    let first = a_call(http).await;
    stored(folder, &first).await;
    drop(server);

    // Without the key to the store nothing is begun.
    let mut keyless = std::process::Command::new(env!("CARGO_BIN_EXE_duologue"));
    for (name, _) in ENV {
        keyless.env_remove(name);
    }
    let (done, text) = said(keyless.arg("--config").arg(&config).args(["caller", "erase", "Ada"]));
    assert!(!done && text.contains("AWS_ACCESS_KEY_ID"), "{text}");
    assert_eq!(number(folder, "SELECT count(*) FROM callers").await, Some(1));

    let (done, text) = duologue(&config, &["caller", "erase", "Ada"]);
    assert!(done && text.contains("erased:"), "{text}");
    assert_eq!((store.keys().await, unremoved(folder).await), (Vec::new(), Vec::new()), "nothing is left");
    assert_eq!(row_now(folder, &first).await.removed_why.as_deref(), Some("erased"));

    let (server, http) = serving(&config, &ENV);
    let second = a_call(http).await;
    let name = stored(folder, &second).await.object.expect("a name");
    drop(server);
    store.cut().await;
    let (done, text) = duologue(&config, &["caller", "erase", "Ada"]);
    assert!(!done && text.contains("not all recordings are erased yet") && text.contains(&name), "{text}");
    assert!(text.contains("store_endpoint") && text.contains("unremoved"), "what to look at: {text}");
    assert_eq!(number(folder, "SELECT count(*) FROM callers").await, Some(0), "the rows are gone all the same");
    assert_eq!((unremoved(folder).await, store.keys().await.len()), (vec![name], 1));

    store.connect().await;
    let (_server, http) = serving(&config, &ENV);
    all_taken_away(folder).await;
    assert_eq!(store.keys().await, Vec::<String>::new());
    assert_eq!(get(&format!("http://{http}/v1/calls/{second}/recording"), "").await.0, StatusCode::GONE);
}
