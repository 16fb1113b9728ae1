//! The call database is read by whoever may, with any statement that reads, and with questions that have names.

mod common;
mod house;

use std::path::Path;
use std::time::Duration;

use common::morning::a_morning;
use common::place;
use duologue::review::{AskFault, Limits, QUERIES, ask};
use duologue::store::Store;
use house::rows::rows;
use house::typed::typed_call;
use house::{House, config};
use reqwest::{Client, StatusCode, header};
use serde_json::{Value, json};

async fn filled() -> (tempfile::TempDir, std::path::PathBuf) {
    let (folder, path) = place();
    let store = Store::open(&path).await.expect("a database");
    a_morning().into_iter().for_each(|entry| store.recorder().record(entry));
    store.close().await;
    (folder, path)
}

#[tokio::test]
async fn every_question_with_a_name_is_answered() {
    let (_folder, path) = filled().await;
    assert!(QUERIES.len() >= 25, "{}", QUERIES.len());
    let files = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("review")).expect("a folder").count();
    assert_eq!(files, QUERIES.len(), "a file that nobody lists");
    let mut empty = Vec::new();
    for query in QUERIES {
        assert!(query.question().ends_with(['?', ')']), "{}: {}", query.name, query.question());
        let table = ask(&path, query.sql(), Limits::default()).await;
        let table = table.unwrap_or_else(|fault| panic!("{}: {fault}", query.name));
        assert!(table.columns.len() >= 2, "{}", query.name);
        if table.rows.is_empty() {
            empty.push(query.name);
        }
    }
    // What did not happen on that morning.
    assert_eq!(
        empty,
        ["talked-over-the-caller", "deflections", "apologies", "wanted-a-person", "redactions", "imports"]
    );
}

#[tokio::test]
async fn what_is_not_for_reading_is_refused_and_changes_nothing() {
    let (folder, path) = filled().await;
    let other = folder.path().join("other.db");
    for text in [
        "DELETE FROM calls".to_owned(),
        format!("ATTACH '{}' AS other", other.display()),
        format!("VACUUM INTO '{}'", other.display()),
        "PRAGMA query_only = OFF".into(),
        "SELECT 1; DELETE FROM calls".into(),
    ] {
        assert!(matches!(ask(&path, &text, Limits::default()).await, Err(AskFault::NotOne(_))), "{text}");
    }
    // These begin as reading does.
    for text in ["WITH gone AS (SELECT 1) DELETE FROM turns", "SELECT load_extension('x')", "SELECT nothing FROM calls"]
    {
        assert!(matches!(ask(&path, text, Limits::default()).await, Err(AskFault::Sql(_))), "{text}");
    }
    assert!(!other.exists());
    let left = ask(&path, "SELECT count(*) FROM turns", Limits::default()).await.expect("an answer");
    assert!(left.rows[0][0].as_i64().is_some_and(|turns| turns > 5), "{left:?}");
}

#[tokio::test]
async fn a_question_that_takes_too_long_or_gives_too_much_is_cut_off() {
    let (_folder, path) = filled().await;
    let endless = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) SELECT count(*) FROM n";
    let limits = Limits { time: Duration::from_millis(50), ..Limits::default() };
    assert!(matches!(ask(&path, endless, limits).await, Err(AskFault::TooLong(_))));
    let many =
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 5000) SELECT n, 'words' AS w FROM n";
    let rows = ask(&path, many, Limits { rows: 7, ..Limits::default() }).await.expect("an answer");
    assert_eq!((rows.rows.len(), rows.cut), (7, true));
    let bytes = ask(&path, many, Limits { bytes: 1_300, ..Limits::default() }).await.expect("an answer");
    assert_eq!((bytes.rows.len(), bytes.cut), (100, true));
}

#[tokio::test]
async fn an_answer_keeps_the_types_and_is_told_in_three_forms() {
    let (_folder, path) = filled().await;
    let text = "SELECT 1 AS whole, 0.5 AS part, 'a \"b\", c' AS words, NULL AS \"none\", x'00ff' AS bytes";
    let table = ask(&path, text, Limits::default()).await.expect("an answer");
    assert_eq!(Value::Array(table.rows[0].clone()), json!([1, 0.5, "a \"b\", c", null, "00ff"]));
    assert_eq!(table.csv(), "whole,part,words,none,bytes\r\n1,0.5,\"a \"\"b\"\", c\",,00ff\r\n");
    assert_eq!(table.objects()[0]["words"], "a \"b\", c");
    assert!(table.text().starts_with("whole  part  words"), "{}", table.text());
    let none = ask(&path, "SELECT call, turn FROM turns WHERE 0", Limits::default()).await.expect("an answer");
    assert_eq!((none.columns, none.rows.len()), (vec!["call".to_owned(), "turn".to_owned()], 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_on_this_machine_only_shows_everything() {
    let house = House::scripted().await;
    let client = Client::new();
    let asked = |sql: &str| client.post(format!("{}/v1/sql", house.url)).json(&json!({"sql": sql}));
    let table: Value =
        asked("SELECT count(*) AS calls FROM calls").send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(table, json!({"columns": ["calls"], "rows": [[0]], "cut": false}));
    let csv = asked("SELECT 1 AS one").header(header::ACCEPT, "text/csv").send().await.expect("an answer");
    assert_eq!(csv.text().await.expect("a body"), "one\r\n1\r\n");
    let refused = asked("DROP TABLE calls").send().await.expect("an answer");
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert!(refused.text().await.expect("a problem").contains("bad-sql"));
    let list: Vec<Value> =
        client.get(format!("{}/v1/review", house.url)).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(list.len(), QUERIES.len());
    let one: Value = client
        .get(format!("{}/v1/review/endings", house.url))
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    assert_eq!(one["columns"][0], "end_reason");
    let label = json!({"action": "respond", "by": "Ada"});
    let refused =
        client.post(format!("{}/v1/judgements/7/label", house.url)).json(&label).send().await.expect("an answer");
    assert_eq!(refused.status(), StatusCode::NOT_FOUND, "nobody has called yet");
    house.server.stop().await;
}

/// With a key, and, reached from outside, without one.
#[tokio::test(flavor = "multi_thread")]
async fn others_need_the_key() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("key");
    std::fs::write(&key, "open sesame\n").expect("a file");
    let scripted = "[asr]\nbackend = \"scripted\"\n[llm]\nbackend = \"scripted\"\n[tts]\nbackend = \"scripted\"\n";
    let mut wanted =
        config(folder.path(), &format!("{scripted}[review]\nkey_file = {:?}\n", key.display().to_string()));
    let server = duologue::serve::Server::start(&wanted).await.expect("the server starts");
    let client = Client::new();
    for (token, status) in [(None, 401), (Some("open"), 401), (Some("open sesamE"), 401), (Some("open sesame"), 200)] {
        for path in ["calls", "review", "review/endings"] {
            let mut request = client.get(format!("http://{}/v1/{path}", server.http));
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            assert_eq!(request.send().await.expect("an answer").status().as_u16(), status, "{path} with {token:?}");
        }
    }
    server.stop().await;

    wanted.review.key_file = None;
    wanted.http.listen = "0.0.0.0:0".parse().expect("an address");
    let server = duologue::serve::Server::start(&wanted).await.expect("the server starts");
    let url = format!("http://127.0.0.1:{}/v1", server.http.port());
    let refused = client.get(format!("{url}/calls")).send().await.expect("an answer");
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(refused.text().await.expect("a problem").contains("review.key_file"));
    assert_eq!(client.get(format!("{url}/personas")).send().await.expect("an answer").status(), StatusCode::OK);
    server.stop().await;
}

/// What is asked over HTTP has five seconds, and whoever else asks is answered meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_question_without_an_end_is_cut_off_and_holds_nobody_up() {
    let house = House::scripted().await;
    let client = Client::new();
    let ask = |sql: &str| client.post(format!("{}/v1/sql", house.url)).json(&json!({"sql": sql})).send();
    let endless =
        tokio::spawn(ask("WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) SELECT count(*) FROM n"));
    let mut answered = 0;
    while !endless.is_finished() {
        assert_eq!(ask("SELECT 1 AS one").await.expect("an answer").status(), StatusCode::OK);
        answered += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(answered > 3, "{answered} others were answered");
    let refused = endless.await.expect("a task").expect("an answer");
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let problem = refused.text().await.expect("a problem");
    assert!(problem.contains("sql-too-long") && problem.contains("LIMIT"), "{problem}");
    house.server.stop().await;
}

/// What a caller said would like to be a script or an address of somebody else's: the browser is told to run and load ours alone, also
/// where what was said is sent as it is.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_said_can_run_on_a_page_of_ours() {
    let house = House::scripted().await;
    let hostile = "<script src=//evil.example/x.js></script><img src=x onerror=alert(1)>";
    house::typed::typed_call(&house.server, "?caller=Eve", &[hostile]).await;
    let client = Client::new();
    let calls = client.get(format!("{}/v1/calls", house.url)).send().await.expect("an answer");
    let calls: Value = calls.json().await.expect("JSON");
    let id = calls["calls"][0]["call"].as_str().or(calls[0]["call"].as_str()).expect("a call").to_owned();
    for path in [
        "/review.html",
        "/",
        "/review.js",
        "/v1/calls",
        &format!("/v1/calls/{id}"),
        "/v1/review/last-calls",
        "/v1/nothing",
    ] {
        let answer = client.get(format!("{}{path}", house.url)).send().await.expect("an answer");
        let header = |name: header::HeaderName| {
            answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let policy = header(header::CONTENT_SECURITY_POLICY);
        let directives: Vec<&str> = policy.split(';').map(str::trim).collect();
        assert!(
            directives.contains(&"default-src 'self'") && directives.contains(&"frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        // No directive takes back what the default says of scripts.
        assert!(
            !policy.contains("script-src") && !policy.contains("unsafe") && !policy.contains('*'),
            "{path}: {policy}"
        );
        assert_eq!(header(header::X_CONTENT_TYPE_OPTIONS), "nosniff", "{path}");
        let kind = header(header::CONTENT_TYPE);
        let text = answer.text().await.expect("a body");
        if kind.starts_with("text/html") {
            assert!(!text.contains("evil.example") && !text.contains("onerror"), "{path}: what was said is in no page");
            let scripts = text.split("<script").skip(1);
            assert!(
                scripts.into_iter().all(|rest| rest.split('>').next().is_some_and(|tag| tag.contains("src=\""))),
                "{path}"
            );
        }
    }
    let shown = client.get(format!("{}/v1/calls/{id}", house.url)).send().await.expect("an answer");
    assert!(shown.headers()[header::CONTENT_TYPE].to_str().is_ok_and(|kind| kind.starts_with("application/json")));
    assert!(shown.text().await.expect("a body").contains("evil.example"), "it is told as it was said");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_stays_with_its_call_until_it_is_taken_away() {
    let house = House::scripted().await;
    typed_call(&house.server, "?caller=Ada", &["Is breakfast included?"]).await;
    let database = house.database();
    let (call,): (String,) = rows(&house, "SELECT id FROM calls").await.remove(0);
    let client = Client::new();
    let notes = format!("{}/v1/calls/{call}/notes", house.url);
    let written = |url: String, note: Value| client.post(url).json(&note).send();
    let kept =
        written(notes.clone(), json!({"text": " Slow here. ", "by": "Ada", "at_ms": 40})).await.expect("an answer");
    assert_eq!(kept.status(), StatusCode::CREATED);
    let number = kept.json::<Value>().await.expect("JSON")["id"].as_i64().expect("a number");
    for (url, note, problem) in [
        (notes.clone(), json!({"text": "Late.", "by": "Ada", "at_ms": 3_600_000}), "bad-moment"),
        (notes.clone(), json!({"text": "  ", "by": "Ada"}), "bad-text"),
        (notes.clone(), json!({"text": "Who?", "by": ""}), "bad-text"),
        (format!("{}/v1/calls/none/notes", house.url), json!({"text": "Late.", "by": "Ada"}), "no-such-call"),
    ] {
        let refused = written(url, note).await.expect("an answer").text().await.expect("a problem");
        assert!(refused.contains(problem), "{refused}");
    }
    let told = ask(&database, "SELECT at_ms, text, by FROM notes", Limits::default()).await.expect("rows").rows;
    assert_eq!(json!(told), json!([[40, "Slow here.", "Ada"]]));
    let away = || client.delete(format!("{notes}/{number}")).send();
    assert_eq!(away().await.expect("an answer").status(), StatusCode::NO_CONTENT);
    assert_eq!(away().await.expect("an answer").status(), StatusCode::NOT_FOUND);
    house.server.stop().await;
}
