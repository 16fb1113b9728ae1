//! Calls that the server makes, to telephones from Debian on loopback: baresip answers and talks, sipp is busy, declines, lets it ring,
//! asks for a password. `make test` installs both (scripts/system-packages.sh --test).

#[path = "sip/baresip.rs"]
mod baresip;
mod house;
#[path = "sip/sipp.rs"]
mod sipp;

use std::time::{Duration, Instant};

use baresip::{Baresip, Sounds};
use duologue::backend::scripted_voice::WordCode;
use house::House;
use house::rows::rows;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use sipp::Called;

const SIP: &str = "[sip]\nlisten = \"127.0.0.1:0\"\nrtp_first = 28000\nrtp_last = 29999\n";

/// The key of every server here that has one: a variable that cargo sets for every test, with the value "duologue".
const KEY: &str = "[review]\nkey_env = \"CARGO_PKG_NAME\"\n";

/// With telephones and a key; `more` are further lines of `[sip]`.
async fn house(more: &str) -> House {
    House::scripted_with(&format!("{SIP}{more}{KEY}")).await
}

/// Whoever is called on this machine may be.
const LOCAL: &str = "outbound = [\"*@127.0.0.1:*\"]\noutbound_a_minute = 100\n";

async fn ask(house: &House, body: Value) -> (StatusCode, Value) {
    ask_with(house, "duologue", body).await
}

async fn ask_with(house: &House, key: &str, body: Value) -> (StatusCode, Value) {
    let asked = Client::new().post(format!("{}/v1/calls", house.url)).bearer_auth(key).json(&body);
    let answer = asked.send().await.expect("an answer");
    (answer.status(), answer.json().await.expect("JSON"))
}

/// Calls, and gives the call's number.
async fn dial(house: &House, to: &str) -> String {
    let (status, told) = ask(house, json!({"to": to, "persona": "porter"})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{told}");
    told["call"].as_str().expect("a call").to_owned()
}

/// Waits until every call is over, and its rows are written.
async fn over(house: &House) {
    let patience = Instant::now() + Duration::from_secs(40);
    while house.server.registry.count() > 0 {
        assert!(Instant::now() < patience, "a call goes on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// How the only call ended.
async fn ending(house: &House) -> (String, String) {
    over(house).await;
    let ends = rows::<(String, String)>(house, "SELECT end_reason, end_detail FROM calls").await;
    assert_eq!(ends.len(), 1, "{ends:?}");
    ends[0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_telephone_that_is_called_is_greeted_and_talked_with() {
    let house = house(LOCAL).await;
    let sounds = Sounds {
        codec: "PCMA/8000",
        rate_hz: 8_000,
        channels: 1,
        voice_from_ms: 6_500,
        voice_ms: 1_500,
        all_ms: 40_000,
    };
    let mut phone = Baresip::start(0, sounds);
    let call = dial(&house, &format!("sip:anna@127.0.0.1:{}", phone.sip)).await;
    let patience = Instant::now() + Duration::from_secs(35);
    while rows::<(String,)>(&house, "SELECT type FROM events WHERE type = 'turn-ended'").await.len() < 2 {
        assert!(Instant::now() < patience, "no answer within 35 s:\n{}", phone.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    phone.hang_up();
    over(&house).await;
    let calls: Vec<(String, String, String, String, String)> = rows(
        &house,
        "SELECT c.id, c.transport, c.persona, c.end_reason, k.name FROM calls c JOIN callers k ON k.id = c.caller_id",
    )
    .await;
    let wanted = [call.as_str(), "sip-out", "porter", "caller-hangup", "anna@127.0.0.1"].map(str::to_owned);
    assert_eq!(calls, [wanted.into()], "\n{}", phone.log());
    let turns: Vec<(String, String)> =
        rows(&house, "SELECT speaker, coalesce(heard, text) FROM turns ORDER BY turn LIMIT 3").await;
    assert_eq!(turns[0].0, "agent", "who is called is greeted: {turns:?}");
    assert_eq!(turns[1], ("caller".to_owned(), "What time does the kitchen close?".to_owned()), "{turns:?}");
    let heard = phone.heard();
    let said = WordCode::of_text(&format!("{} {}", turns[0].1, turns[2].1));
    let known = said.iter().filter(|word| heard.contains(word)).count();
    println!("{known} of {} words came out of the telephone", said.len());
    assert!(known * 10 >= said.len() * 7, "{known} of {said:?}\n{}", phone.log());
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_instead_of_an_answer_has_a_name() {
    for (scenario, transport, reason, code) in [
        ("busy.xml", "u1", "busy", "486"),
        ("declines.xml", "u1", "declined", "603"),
        ("declines.xml", "t1", "declined", "603"),
        ("unknown.xml", "u1", "unreachable", "404"),
        ("elsewhere.xml", "u1", "unreachable", "302"),
    ] {
        let house = house(LOCAL).await;
        let phone = Called::waiting(scenario, transport);
        let over = if transport == "t1" { ";transport=tcp" } else { "" };
        phone.listens().await;
        dial(&house, &format!("sip:anna@127.0.0.1:{}{over}", phone.port)).await;
        let (ended, detail) = ending(&house).await;
        assert_eq!(ended, reason, "{detail}");
        assert!(detail.contains(code), "{detail}");
        phone.is_content().await;
        assert_eq!(rows::<(i64,)>(&house, "SELECT count(*) FROM turns").await, [(0,)], "nobody was spoken to");
        house.server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_answers_it_is_given_up() {
    let house = house(&format!("{LOCAL}answer_s = 2\n")).await;
    let phone = Called::waiting("rings.xml", "u1");
    dial(&house, &format!("sip:anna@127.0.0.1:{}", phone.port)).await;
    assert_eq!(ending(&house).await.0, "no-answer");
    phone.is_content().await;
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hanging_up_while_it_rings_stops_the_ringing() {
    let house = house(&format!("{LOCAL}outbound_most = 1\n")).await;
    let phone = Called::waiting("rings.xml", "u1");
    let to = format!("sip:anna@127.0.0.1:{}", phone.port);
    let call = dial(&house, &to).await;
    let (status, refused) = ask(&house, json!({"to": to})).await;
    assert_eq!((status, &refused["type"]), (StatusCode::TOO_MANY_REQUESTS, &"/problems/too-many-calls".into()));
    assert!(refused["detail"].as_str().is_some_and(|why| why.contains("sip.outbound_most")), "{refused}");
    let answer = Client::new().delete(format!("{}/v1/calls/{call}", house.url)).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(ending(&house).await.0, "caller-hangup");
    phone.is_content().await;
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_that_asks_for_a_password_gets_it() {
    let exchange = Called::waiting("trunk.xml", "u1");
    // A variable that cargo sets for every test, with the value "duologue".
    let more = format!(
        "outbound = [\"+49*@pbx.example via office\"]\ntrunks = [\"office=sip:4711@127.0.0.1:{} CARGO_PKG_NAME\"]\n",
        exchange.port
    );
    let house = house(&more).await;
    let call = dial(&house, "sip:+4930123@pbx.example").await;
    let patience = Instant::now() + Duration::from_secs(20);
    while rows::<(i64,)>(&house, "SELECT count(*) FROM events WHERE type = 'turn-started'").await[0].0 == 0 {
        assert!(
            Instant::now() < patience,
            "nobody was greeted: {:?}",
            rows::<(String,)>(&house, "SELECT end_detail FROM calls WHERE end_detail IS NOT NULL").await
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Client::new().delete(format!("{}/v1/calls/{call}", house.url)).send().await.expect("an answer");
    assert_eq!(ending(&house).await.0, "caller-hangup");
    exchange.is_content().await;
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_called_whom_the_configuration_does_not_name() {
    let house = house("outbound = [\"+4930*@pbx.example\"]\noutbound_a_minute = 1\n").await;
    for (to, status, kind, named) in [
        ("sip:+882161234@pbx.example", StatusCode::FORBIDDEN, "/problems/not-allowed", "sip.outbound"),
        ("sip:+4930@127.0.0.1", StatusCode::FORBIDDEN, "/problems/not-allowed", "sip.outbound"),
        ("sip:+4930@pbx.example?Replaces=1", StatusCode::BAD_REQUEST, "/problems/bad-address", "sip:user@host"),
    ] {
        let (answered, told) = ask(&house, json!({"to": to})).await;
        assert_eq!((answered, &told["type"]), (status, &kind.into()), "{to}: {told}");
        assert!(told.to_string().contains(named), "{told}");
    }
    let (answered, told) = ask(&house, json!({"to": "sip:+4930@pbx.example", "via": "me"})).await;
    assert_eq!((answered, &told["type"]), (StatusCode::BAD_REQUEST, &"/problems/bad-request".into()));
    assert_eq!(rows::<(i64,)>(&house, "SELECT count(*) FROM calls").await, [(0,)], "no call began");
    let counts = house.server.telephones.as_ref().expect("telephones").counts();
    assert_eq!(counts.dialled, 0);
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_key_makes_no_call() {
    let to = json!({"to": "sip:anna@127.0.0.1:9"});
    let keyless = House::scripted_with(&format!("{SIP}{LOCAL}")).await;
    let (status, told) = ask(&keyless, to.clone()).await;
    assert_eq!((status, &told["type"]), (StatusCode::FORBIDDEN, &"/problems/no-key-set".into()), "{told}");
    let locked = house(LOCAL).await;
    let (status, told) = ask_with(&locked, "guess", to).await;
    assert_eq!((status, &told["type"]), (StatusCode::UNAUTHORIZED, &"/problems/bad-key".into()));
    for house in [keyless, locked] {
        assert_eq!(rows::<(i64,)>(&house, "SELECT count(*) FROM calls").await, [(0,)]);
        house.server.stop().await;
    }
}
