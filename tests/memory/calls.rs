//! What a server's calls know of their callers.

use std::path::Path;

use duologue::serve::Server;
use reqwest::{Client, StatusCode};
use serde_json::Value;
use sqlx::{Connection as _, SqliteConnection};

use crate::house::config;
use crate::house::typed::typed_call;

const SCRIPT: &str = "
rules:
  - hears: [did I do yesterday]
    recites: lighthouse
    says: I do not know.
  - hears: [is it bad]
    recites: allergic to
    says: I do not know.
  - hears: [puppy]
    recites: dogs
    says: I do not know.
  - hears: [eggs]
    says: I'll ask the cook about the eggs.
  - hears: [remind me]
    says: I'll remind you of your train in two seconds.
  - hears: [raised us]
    says: A fine town.
    answers: {facts: [{subject: caller, predicate: origin, value: Bergen}, {subject: caller, predicate: home, value: Oslo}]}
  - hears: [no form]
    says: I see.
    answers: sorry
otherwise: I see.
";

/// A server with the scripted back ends on the database of this folder.
async fn serve(folder: &Path) -> Server {
    serve_with(folder, "[judge]\nkind = \"rules\"\n").await
}

async fn serve_with(folder: &Path, judge: &str) -> Server {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let script = folder.join("script.yaml");
    std::fs::write(&script, SCRIPT).expect("a script");
    let more = format!(
        "[asr]\nbackend = \"scripted\"\n[llm]\nbackend = \"scripted\"\nmodel = {:?}\n[tts]\nbackend = \"scripted\"\n{judge}",
        script.display().to_string()
    );
    Server::start(&config(folder, &more)).await.expect("the server starts")
}

/// A call in which one thing is typed; gives what the agent answered.
async fn call(server: &Server, caller: Option<&str>, text: &str) -> String {
    let asked = caller.map_or(String::new(), |name| format!("?caller={name}"));
    typed_call(server, &asked, &[text]).await.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_i_did_yesterday_is_known_after_a_restart_and_to_nobody_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = serve(folder.path()).await;
    let told = "Yesterday I went to the lighthouse with my sister.";
    assert_eq!(call(&server, Some("ada"), told).await, "I see.");
    assert_eq!(call(&server, None, "Yesterday I went to the lighthouse too.").await, "I see.");
    let known = call(&server, Some("ada"), "What did I do yesterday?").await;
    assert_eq!(known, "Yesterday you went to the lighthouse with your sister.", "in the very next call");
    // More than that is the model's to answer, which has the fact in its prompt.
    let known = call(&server, Some("ada"), "So what did I do yesterday, and was it nice?").await;
    assert!(known.contains("went to the lighthouse with their sister"), "by the model: {known}");
    server.stop().await;

    let server = serve(folder.path()).await;
    let known = call(&server, Some("ada"), "What did I do yesterday?").await;
    assert_eq!(known, "Yesterday you went to the lighthouse with your sister.", "after a restart");
    assert_eq!(call(&server, Some("grace"), "What did I do yesterday?").await, "I do not know.");
    assert_eq!(call(&server, None, "What did I do yesterday?").await, "I do not know.");

    let client = Client::new();
    let url = format!("http://{}/v1/callers/ada/memory", server.http);
    let shown: Value = client.get(&url).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!((&shown["caller"], &shown["relation"]), (&"ada".into(), &"acquaintance".into()), "{shown}");
    assert_eq!(shown["facts"][0]["predicate"], "did", "{shown}");
    assert_eq!(client.delete(&url).send().await.expect("an answer").status(), StatusCode::NO_CONTENT);
    for request in [client.get(&url), client.delete(&url)] {
        let refused = request.send().await.expect("an answer");
        assert_eq!(refused.status(), StatusCode::NOT_FOUND);
        assert!(!refused.text().await.expect("a problem").contains("ada"), "a refusal names nobody");
    }
    let known = call(&server, Some("ada"), "What did I do yesterday?").await;
    assert_eq!(known, "I do not know.", "after she was erased");
    server.stop().await;
}

/// The first row that the query finds, tried for ten seconds: what is done beside calls takes its time.
async fn found(path: &Path, query: &'static str) -> Option<(String, String)> {
    let url = format!("sqlite://{}?mode=ro", path.join("calls.db").display());
    for _ in 0..200 {
        let mut connection = SqliteConnection::connect(&url).await.expect("a database");
        let row = sqlx::query_as(query).fetch_optional(&mut connection).await.expect("a query");
        connection.close().await.expect("closed");
        if row.is_some() {
            return row;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_and_what_is_forgotten_holds_in_the_very_call() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = serve(folder.path()).await;
    let said =
        typed_call(&server, "?caller=ada", &["My name is Ada, I'm allergic to nuts.", "Do you know my name?"]).await;
    assert_eq!(said, ["I see.", "Your name is Ada."], "of this call");
    let said = typed_call(&server, "", &["My name is Grace.", "Do you know my name?"]).await;
    assert_eq!(
        said,
        ["I see.", "Your name is Grace."],
        "of a caller without a name as well, for as long as the call lasts"
    );
    let asked = "What am I allergic to, and is it bad?";
    let texts = [asked, "Please forget my allergy.", asked, "Do you know my name?"];
    let said = typed_call(&server, "?caller=ada", &texts).await;
    assert!(said[0].contains("allergic to nuts"), "the model has it from the call before: {said:?}");
    assert_eq!(
        said[1..],
        ["All right. That is forgotten.", "I do not know.", "Your name is Ada."],
        "in the prompt neither"
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promise_comes_up_in_the_next_call_and_closes_on_a_word() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = serve(folder.path()).await;
    let answer = call(&server, Some("ada"), "Do you have eggs?").await;
    assert_eq!(answer, "I'll ask the cook about the eggs.");
    let said = typed_call(&server, "?caller=ada", &["", "Oh, forget about it."]).await;
    assert_eq!(said[0], "By the way, I promised to ask the cook about the eggs. That is still open.");
    let query =
        "SELECT state || ' ' || closed_by, closed_text FROM promises WHERE raised_utc IS NOT NULL AND state <> 'open'";
    let closed = found(folder.path(), query).await.expect("a promise that came up and closed");
    assert_eq!(closed, ("dropped dropped".into(), "Oh, forget about it.".into()));
    let asked = "SELECT action, reason FROM judgements WHERE moment = 'idle'";
    assert_eq!(found(folder.path(), asked).await, Some(("initiate".into(), "due".into())), "the judge was asked first");
    // It is over: in the next call nothing comes up before the caller's own word.
    assert_eq!(call(&server, Some("ada"), "Hello again.").await, "I see.");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reminder_comes_in_the_same_call_when_its_time_has_come() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = serve(folder.path()).await;
    let said = typed_call(&server, "?caller=ada", &["Please remind me of my train.", ""]).await;
    assert_eq!(said, ["I'll remind you of your train in two seconds.", "You asked me for a reminder: your train."]);
    let asked = "SELECT action, reason FROM judgements WHERE moment = 'idle'";
    assert_eq!(found(folder.path(), asked).await, Some(("initiate".into(), "due".into())), "the judge was asked first");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_language_model_finds_what_the_rules_miss_and_only_what_was_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = serve_with(folder.path(), "[judge]\nkind = \"rules\"\n[memory]\nextractor = \"llm\"\n").await;
    let said = ["Well, Bergen raised us all as children.", "That is no form of speech for me."];
    let texts = [said[0], said[1], ""];
    let talk = typed_call(&server, "?caller=ada", &texts);
    let watch = async {
        let query = "SELECT facts || ' ' || refused, outcome FROM extractions WHERE outcome = 'facts'";
        let found_facts = found(folder.path(), query).await;
        (
            found_facts,
            found(folder.path(), "SELECT outcome, turn || '' FROM extractions WHERE outcome = 'no-json'").await,
        )
    };
    // The call's third word is a rung of the ladder: until then the floor is free.
    let (_, (facts, no_json)) = tokio::join!(talk, watch);
    assert_eq!(facts, Some(("1 1".into(), "facts".into())), "Oslo was not said");
    assert!(no_json.is_some(), "an answer that is no form is a row, and the call went on");
    let known = server.registry.count();
    assert_eq!(known, 0);
    server.stop().await;
    let origin = found(folder.path(), "SELECT text, predicate FROM facts").await;
    assert_eq!(origin, Some(("comes from Bergen".into(), "origin".into())));
}
