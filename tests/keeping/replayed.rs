//! `duologue replay` as it is used: the program, on files that a server left.

use crate::{a_call, duologue, kept, said, served};

#[tokio::test(flavor = "multi_thread")]
async fn one_file_is_a_bug_report_that_is_replayed_where_there_is_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = served(folder.path(), "").await;
    let call = a_call(folder.path(), &server, "").await;
    server.stop().await;
    let settings = format!("[recording]\ndir = {:?}\n", folder.path().join("recordings").display().to_string());
    std::fs::write(folder.path().join("duologue.toml"), settings).expect("written");
    let exported = duologue(folder.path(), &["replay", &call, "--export", "bug.journal"]);
    assert!(exported.status.success() && said(&exported).contains("the same, byte for byte"), "{}", said(&exported));

    // Another machine: no database, no settings, no recordings.
    let elsewhere = tempfile::tempdir().expect("a folder");
    std::fs::copy(folder.path().join("bug.journal"), elsewhere.path().join("bug.journal")).expect("sent");
    let again = duologue(elsewhere.path(), &["replay", "bug.journal", "--events"]);
    assert!(again.status.success() && said(&again).contains("the same, byte for byte"), "{}", said(&again));
    assert!(said(&again).contains("\"type\":\"call.started\"") || said(&again).contains("call"), "{}", said(&again));
    let otherwise = duologue(elsewhere.path(), &["replay", "bug.journal", "--set", "floor.endpoint_ms=600"]);
    assert!(otherwise.status.success() && said(&otherwise).contains("\notherwise: "), "{}", said(&otherwise));
    let persona = concat!(env!("CARGO_MANIFEST_DIR"), "/personas/clinic.md");
    let clinic = duologue(elsewhere.path(), &["replay", "bug.journal", "--persona", persona]);
    let lines = said(&clinic);
    assert!(clinic.status.success() && lines.lines().any(|line| line.starts_with('+')), "{lines}");
    let left: Vec<_> =
        std::fs::read_dir(elsewhere.path()).expect("a folder").flatten().map(|file| file.file_name()).collect();
    assert_eq!(left, ["bug.journal"], "a replay leaves nothing");
    let wrong = duologue(elsewhere.path(), &["replay", "bug.journal", "--set", "http.listen=1"]);
    assert!(!wrong.status.success() && said(&wrong).contains("http"), "{}", said(&wrong));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_is_erased_leaves_no_journal() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = served(folder.path(), "").await;
    a_call(folder.path(), &server, "?caller=Ada").await;
    let journal = kept(folder.path(), "journal");
    let erased = reqwest::Client::new().delete(format!("http://{}/v1/callers/Ada/memory", server.http)).send().await;
    let status = erased.expect("an answer").status();
    assert!(status.is_success(), "{status}");
    assert!(!journal.exists(), "the journal has the caller's words");
    server.stop().await;
}
