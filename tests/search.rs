//! Asking the web: searx itself, a server that answers as Serper does, one that is in trouble, and whole calls over them.

mod house;
mod python;
mod searx;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use duologue::search::{SearchFault, SearchProvider, SearxNg, Serper};
use duologue_signaling::event::{Event, SearchState, Stamped};
use house::House;
use house::typed::TypedCall;
use searx::{Pages, Searx};
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(20);

/// How a server behaves that is not searx: Serper, and what may stand in front of either.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mood {
    Answers,
    /// Takes the request and says nothing, for as long as anybody waits.
    Hangs,
    Status(u16),
    Html,
}

struct Web {
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl Drop for Web {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Web {
    async fn open(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().route("/search", get(trouble)).route("/search", post(serper)).with_state(mood);
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("served") });
        Self { address, server }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn serper(State(mood): State<Mood>, headers: HeaderMap, body: String) -> Response {
    if headers.get("x-api-key").is_none_or(|key| key != "right") {
        return (StatusCode::FORBIDDEN, "{\"message\":\"Unauthorized.\",\"statusCode\":403}").into_response();
    }
    let asked: Value = serde_json::from_str(&body).expect("JSON");
    let query = asked["q"].as_str().expect("a question").to_owned();
    let organic = json!([{"title": "Eclipses", "link": "https://sky.example", "snippet": format!("About {query}."), "position": 1}]);
    let own = json!({"title": "Next eclipse", "answer": "2 August 2027"});
    behave(mood, json!({"searchParameters": asked, "answerBox": own, "organic": organic})).await
}

async fn trouble(State(mood): State<Mood>) -> Response {
    behave(mood, Value::Null).await
}

async fn behave(mood: Mood, answer: Value) -> Response {
    match mood {
        Mood::Answers => axum::Json(answer).into_response(),
        Mood::Hangs => std::future::pending().await,
        Mood::Status(status) => StatusCode::from_u16(status).expect("a status").into_response(),
        Mood::Html => ([(header::CONTENT_TYPE, "text/html")], "<html>Sorry</html>").into_response(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn searx_gives_pages_with_their_addresses_or_none() {
    let Some(searx) = Searx::open(Pages::Many).await else { return };
    let pages = SearxNg::new(&searx.url(), PATIENCE).expect("an address").search("next eclipse?", 4).await;
    let pages = pages.expect("pages");
    assert_eq!(
        (pages.len(), pages[0].source.as_str(), pages[0].heading.as_str()),
        (4, "https://sky.example/0", "Eclipses")
    );
    assert!(pages[0].text.contains("(next eclipse?, page 0)"), "{pages:?}");
    let Some(nothing) = Searx::open(Pages::None).await else { return };
    assert_eq!(SearxNg::new(&nothing.url(), PATIENCE).expect("an address").search("x", 4).await, Ok(Vec::new()));
    let Some(deaf) = Searx::open(Pages::Broken).await else { return };
    let fault = SearxNg::new(&deaf.url(), PATIENCE).expect("an address").search("x", 4).await.expect_err("a fault");
    assert!(fault.to_string().contains("from the engines that it asks: index ("), "{fault}");
}

#[tokio::test]
async fn serper_gives_its_own_answer_first() {
    let web = Web::open(Mood::Answers).await;
    let pages =
        Serper::new(&web.url(), "right", PATIENCE).expect("a key").search("next eclipse?", 4).await.expect("pages");
    let told: Vec<&str> = pages.iter().map(|page| page.text.as_str()).collect();
    assert_eq!(told, ["2 August 2027", "About next eclipse?."]);
}

#[tokio::test]
async fn every_fault_has_a_name_and_none_tells_the_key() {
    let fault = async |mood: Mood, patience: Duration| {
        let web = Web::open(mood).await;
        SearxNg::new(&web.url(), patience).expect("an address").search("x", 4).await.expect_err("a fault")
    };
    assert!(matches!(fault(Mood::Status(403), PATIENCE).await, SearchFault::Refused { status: 403, .. }));
    assert!(matches!(fault(Mood::Status(429), PATIENCE).await, SearchFault::Refused { status: 429, .. }));
    assert!(matches!(fault(Mood::Status(502), PATIENCE).await, SearchFault::OutOfOrder { status: 502, .. }));
    assert!(matches!(fault(Mood::Html, PATIENCE).await, SearchFault::NotUnderstood { .. }));
    let late = fault(Mood::Hangs, Duration::from_millis(50)).await;
    assert_eq!(late.to_string(), "searxng has not answered within 50 ms");
    let gone = SearxNg::new("http://127.0.0.1:9", PATIENCE).expect("an address").search("x", 4).await;
    assert!(matches!(gone, Err(SearchFault::Unreachable { .. })), "{gone:?}");
    let web = Web::open(Mood::Answers).await;
    let serper = Serper::new(&web.url(), "wrong-and-secret", PATIENCE).expect("a key");
    let refused = serper.search("x", 4).await.expect_err("refused");
    let told = format!("{refused} {refused:?} {serper:?}");
    assert!(told.contains("403") && told.contains("search.key_env") && !told.contains("secret"), "{told}");
}

/// A server whose porter may ask the web, and whose model says the line of its prompt that is about the eclipse.
async fn asking(web: &str) -> (House, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
    write(
        "porter.md",
        "---\nname: porter\nopening: Hello.\nsearch: true\nlooking_up: [Let me look.]\n---\nYou are a porter.\n",
    );
    write(
        "script.yaml",
        "rules:\n  - hears: [eclipse]\n    says: I could not find it.\n    recites: solar eclipse is on\notherwise: I see.\n",
    );
    let more = format!(
        "[asr]\nbackend = \"scripted\"\n[tts]\nbackend = \"scripted\"\n[llm]\nbackend = \"scripted\"\nmodel = {:?}\n[personas]\ndir = {:?}\n[search]\n{web}\n",
        folder.path().join("script.yaml").display().to_string(),
        folder.path().display().to_string()
    );
    (House::open(&more).await, folder)
}

/// The events of a call in which the eclipse is to be looked up, up to the end of the answer; and the search's row.
async fn looked_up(house: House) -> (Vec<Stamped>, (String, String, String, i64, String)) {
    let mut call = TypedCall::open(&house.server, "").await;
    call.types("Look up the next eclipse, please.");
    let events = call.until(|event| matches!(event, Event::TurnEnded { .. })).await;
    call.close(&house.server).await;
    let database = house.database();
    house.server.stop().await;
    (events, row(&database).await)
}

async fn row(database: &Path) -> (String, String, String, i64, String) {
    let url = format!("sqlite://{}?mode=ro", database.display());
    let mut connection = SqliteConnection::connect(&url).await.expect("a database");
    sqlx::query_as("SELECT query, provider, outcome, results, detail FROM searches")
        .fetch_one(&mut connection)
        .await
        .expect("one search")
}

fn said(events: &[Stamped]) -> &str {
    match events.last().map(|stamped| &stamped.event) {
        Some(Event::TurnEnded { generated, .. }) => generated,
        other => panic!("{other:?}"),
    }
}

/// Where among the events one stands.
fn place(events: &[Stamped], wanted: impl Fn(&Event) -> bool) -> usize {
    events.iter().position(|stamped| wanted(&stamped.event)).unwrap_or_else(|| panic!("{events:#?}"))
}

fn search(state: SearchState) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::Search { state: told, .. } if *told == state)
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_call_the_agent_looks_and_answers_from_what_it_found() {
    let Some(web) = Searx::open(Pages::Many).await else { return };
    let (house, _folder) = asking(&format!("provider = \"searxng\"\nurl = \"{}\"", web.url())).await;
    let (events, row) = looked_up(house).await;
    assert!(said(&events).starts_with("Let me look."), "{}", said(&events));
    assert!(said(&events).contains("second of August"), "{}", said(&events));
    let cited = place(
        &events,
        |event| matches!(event, Event::Citations { citations, .. } if citations[0].source == "https://sky.example/0"),
    );
    assert!(cited > place(&events, search(SearchState::Found)));
    assert_eq!(row, ("the next eclipse".into(), "searxng".into(), "found".into(), 4, String::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_without_end_keeps_nobody_waiting() {
    let Some(web) = Searx::open(Pages::Hang).await else { return };
    let (house, _folder) = asking(&format!("provider = \"searxng\"\nurl = \"{}\"\nbudget_ms = 600", web.url())).await;
    let (events, row) = looked_up(house).await;
    let begun = place(&events, |event| matches!(event, Event::TurnStarted { .. }));
    assert!(begun < place(&events, search(SearchState::Late)), "the agent is heard before the search is given up");
    let asked = events[place(&events, search(SearchState::Asked))].at_ms;
    println!("the agent was heard {} ms after the question", events[begun].at_ms - asked);
    assert_eq!(said(&events), "Let me look. I could not find it.");
    assert_eq!((row.2.as_str(), row.3), ("late", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_fails_is_named_and_the_answer_comes_all_the_same() {
    for (mood, wanted) in [(Mood::Status(403), "settings.yml"), (Mood::Html, "JSON"), (Mood::Status(500), "500")] {
        let web = Web::open(mood).await;
        let (house, _folder) = asking(&format!("provider = \"searxng\"\nurl = \"{}\"", web.url())).await;
        let (events, row) = looked_up(house).await;
        assert_eq!(said(&events), "Let me look. I could not find it.", "{mood:?}");
        place(
            &events,
            |event| matches!(event, Event::Trouble { code, detail } if code == "search" && detail.contains(wanted)),
        );
        assert_eq!(row.2, "failed", "{mood:?}");
        assert!(row.4.contains(wanted), "{row:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn follow_up_questions_come_after_the_answer_and_a_new_topic_on_request() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("script.yaml");
    let rules = "rules:\n  - hears: [close]\n    says: At ten.\n    answers: {questions: [\"And on Sundays?\", \"Is there parking?\"]}\notherwise: I see.\n";
    std::fs::write(&script, rules).expect("a script");
    let house = House::open(&format!(
        "[asr]\nbackend = \"scripted\"\n[tts]\nbackend = \"scripted\"\n[llm]\nbackend = \"scripted\"\nmodel = {:?}\n[follow_ups]\nmost = 2\nafter_ms = 0\n",
        script.display().to_string()
    ))
    .await;
    let mut call = TypedCall::open(&house.server, "").await;
    call.types("When do you close?");
    // Who shows none has none thought of: the next answer has some, and none came before.
    call.until(|event| matches!(event, Event::TurnEnded { .. })).await;
    call.send(&json!({"type": "follow-ups", "most": 3}));
    call.types("And when do you close on Mondays?");
    let events = call.until(|event| matches!(event, Event::FollowUps { .. })).await;
    let answered = place(&events, |event| matches!(event, Event::TurnEnded { .. }));
    let (Event::TurnEnded { turn, .. }, Some(Event::FollowUps { turn: of, questions })) =
        (&events[answered].event, events.last().map(|stamped| &stamped.event))
    else {
        panic!("{events:#?}");
    };
    assert_eq!((of, questions.len()), (turn, 2));
    call.send(&json!({"type": "new-topic"}));
    let events = call.until(|event| matches!(event, Event::Topic { .. })).await;
    assert!(matches!(&events.last().expect("it").event, Event::Topic { asked_by, .. } if asked_by == "message"));
    call.close(&house.server).await;
    let url = format!("sqlite://{}?mode=ro", house.database().display());
    house.server.stop().await;
    let mut connection = SqliteConnection::connect(&url).await.expect("a database");
    let topics: Vec<(i64, String)> =
        sqlx::query_as("SELECT turn, asked_by FROM topics").fetch_all(&mut connection).await.expect("rows");
    assert_eq!(topics.len(), 1, "{topics:?}");
}
