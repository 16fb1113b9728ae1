//! What happens within a telephone's call: it is handed on, keys are pressed, its session is kept alive. The telephones are sipp and
//! baresip, on loopback. `make test` installs both (scripts/system-packages.sh --test).

#[path = "sip/baresip.rs"]
mod baresip;
mod house;
#[path = "sip/sipp.rs"]
mod sipp;

use std::time::{Duration, Instant};

use baresip::{Baresip, Sounds};
use house::House;
use house::rows::rows;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use sipp::{Called, sipp};

/// The key is in a variable that cargo sets for every test, with the value "duologue". Whoever is on this machine may be called.
const SIP: &str = "[review]\nkey_env = \"CARGO_PKG_NAME\"\n[sip]\nlisten = \"127.0.0.1:0\"\nrtp_first = 28000\nrtp_last = 29999\n\
    outbound = [\"*@127.0.0.1:*\"]\noutbound_most = 9\noutbound_a_minute = 100\n";

/// With telephones and a key; `more` are further lines of `[sip]`.
async fn house(more: &str) -> House {
    House::scripted_with(&format!("{SIP}{more}")).await
}

fn port(house: &House) -> u16 {
    house.server.telephones.as_ref().expect("telephones").address.port()
}

async fn post(house: &House, path: &str, body: Value) -> (StatusCode, Value) {
    let asked = Client::new().post(format!("{}{path}", house.url)).bearer_auth("duologue").json(&body);
    let answer = asked.send().await.expect("an answer");
    (answer.status(), answer.json().await.unwrap_or_default())
}

/// Calls, and gives the call's number when it was answered.
async fn dial(house: &House, port: u16) -> String {
    let (status, told) = post(house, "/v1/calls", json!({"to": format!("sip:anna@127.0.0.1:{port}")})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{told}");
    let call = told["call"].as_str().expect("a call").to_owned();
    happens(house, "SELECT json FROM events WHERE type = 'call-started'", 1).await;
    call
}

/// Waits until there are so many of these rows.
async fn happens(house: &House, sql: &'static str, count: usize) -> Vec<(String,)> {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        house.server.registry.settle().await;
        let found = rows::<(String,)>(house, sql).await;
        if found.len() >= count {
            return found;
        }
        assert!(Instant::now() < patience, "{sql}: {found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// How the only call ended, and what its detail is.
async fn ending(house: &House) -> (String, String) {
    let patience = Instant::now() + Duration::from_secs(40);
    while house.server.registry.count() > 0 {
        assert!(Instant::now() < patience, "a call goes on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let ends = rows::<(String, String)>(house, "SELECT end_reason, end_detail FROM calls").await;
    assert_eq!(ends.len(), 1, "{ends:?}");
    ends[0].clone()
}

const TRANSFERS: &str =
    "SELECT json ->> 'state' || ' ' || (json ->> 'detail') FROM events WHERE type = 'transfer' ORDER BY id";

fn quiet(codec: &str) -> Sounds<'_> {
    Sounds { codec, rate_hz: 8_000, channels: 1, voice_from_ms: 0, voice_ms: 0, all_ms: 60_000 }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_handed_on_ends_when_they_are_connected() {
    let house = house("").await;
    let phone = Called::waiting_with("transfer.xml", "u1", &["-key", "status", "200", "-key", "words", "OK"]);
    phone.listens().await;
    let call = dial(&house, phone.port).await;
    let path = format!("/v1/calls/{call}/transfer");
    let (status, told) = post(&house, &path, json!({"to": "sip:desk@127.0.0.1:9"})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{told}");
    let (reason, detail) = ending(&house).await;
    assert_eq!(reason, "transferred", "{detail}");
    assert!(detail.contains("sip:desk@127.0.0.1:9"), "{detail}");
    let told = happens(&house, TRANSFERS, 3).await;
    let states: Vec<&str> = told.iter().filter_map(|(told,)| told.split(' ').next()).collect();
    assert_eq!(states, ["asked", "ringing", "done"]);
    phone.is_content().await;
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_nobody_takes_over_goes_on() {
    let house = house("").await;
    let phone = Called::waiting_with("transfer.xml", "u1", &["-key", "status", "486", "-key", "words", "Busy Here"]);
    phone.listens().await;
    let call = dial(&house, phone.port).await;
    let path = format!("/v1/calls/{call}/transfer");
    let (status, told) = post(&house, &path, json!({"to": "sip:desk@127.0.0.1:9"})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{told}");
    let told = happens(&house, TRANSFERS, 3).await;
    assert_eq!(told[2].0, "failed The other side was told 486 Busy Here.");
    assert_eq!(house.server.registry.count(), 1, "the call goes on");
    Client::new().delete(format!("{}/v1/calls/{call}", house.url)).send().await.expect("an answer");
    assert_eq!(ending(&house).await.0, "caller-hangup");
    phone.is_content().await;
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_handed_on_only_where_the_server_might_call() {
    let house = House::scripted_with(&SIP.replace("*@127.0.0.1:*", "anna@127.0.0.1:*")).await;
    let mut phone = Baresip::start(0, quiet("PCMA/8000"));
    let call = dial(&house, phone.sip).await;
    let path = format!("/v1/calls/{call}/transfer");
    for (body, status, kind) in [
        (json!({"to": "sip:+882161234@127.0.0.1"}), StatusCode::FORBIDDEN, "/problems/not-allowed"),
        (json!({"to": "anna"}), StatusCode::BAD_REQUEST, "/problems/bad-address"),
        (json!({}), StatusCode::BAD_REQUEST, "/problems/bad-request"),
        (json!({"call": call}), StatusCode::CONFLICT, "/problems/not-transferable"),
        (json!({"call": "nobody's"}), StatusCode::NOT_FOUND, "/problems/no-such-call"),
    ] {
        let (answered, told) = post(&house, &path, body).await;
        assert_eq!((answered, &told["type"]), (status, &kind.into()), "{told}");
    }
    let keyless = Client::new().post(format!("{}{path}", house.url)).json(&json!({"to": "sip:anna@127.0.0.1"}));
    assert_eq!(keyless.send().await.expect("an answer").status(), StatusCode::UNAUTHORIZED);
    assert!(rows::<(String,)>(&house, TRANSFERS).await.is_empty(), "nobody was asked");
    phone.hang_up();
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn baresip_calls_the_desk_in_our_place() {
    let house = house("").await;
    let mut phone = Baresip::start(port(&house), quiet("PCMA/8000"));
    let mut desk = Baresip::start(0, quiet("PCMA/8000"));
    phone.dial("porter");
    let call = happens(&house, "SELECT json ->> 'call' FROM events WHERE type = 'call-started'", 1).await[0].0.clone();
    let to = format!("sip:anna@127.0.0.1:{}", desk.sip);
    let (status, told) = post(&house, &format!("/v1/calls/{call}/transfer"), json!({"to": to})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{told}");
    let (reason, detail) = ending(&house).await;
    let logs = format!("{}\n{}", phone.log(), desk.log());
    assert_eq!(reason, "transferred", "{detail} {:?}\n{logs}", rows::<(String,)>(&house, TRANSFERS).await);
    assert!(desk.is_told("Call established", Duration::from_secs(5)), "{logs}");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_pressed_here_are_read_there() {
    let house = house("").await;
    let mut phone = Baresip::start(0, quiet("PCMA/8000"));
    let call = dial(&house, phone.sip).await;
    let path = format!("/v1/calls/{call}/dtmf");
    let (status, told) = post(&house, &path, json!({"digits": "12x"})).await;
    assert_eq!((status, &told["type"]), (StatusCode::BAD_REQUEST, &"/problems/bad-digits".into()));
    let (status, told) = post(&house, &path, json!({"digits": "159*#"})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{told}");
    assert!(phone.is_told("received event: '#' (end=1)", Duration::from_secs(10)), "{}", phone.log());
    let log = phone.log();
    let read: String = log
        .split("received event: '")
        .skip(1)
        .filter(|told| told[1..].starts_with("' (end=1)"))
        .map(|told| &told[..1])
        .collect();
    assert_eq!(read, "159*#", "{log}");
    let sent = rows::<(String,)>(&house, "SELECT json ->> 'keys' FROM events WHERE type = 'keys-sent'").await;
    assert_eq!(sent, [("159*#".to_owned(),)]);
    phone.hang_up();
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_too_brief_is_refused_and_a_longer_one_kept() {
    let house = house("").await;
    sipp(port(&house), "porter", "session_brief.xml", &[]).await;
    assert_eq!(ending(&house).await.0, "caller-hangup");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_knows_nothing_of_sessions_is_asked_whether_he_is_there() {
    let house = house("session_s = 4\nsession_least_s = 1\n").await;
    sipp(port(&house), "porter", "session_kept.xml", &[]).await;
    assert_eq!(ending(&house).await.0, "caller-hangup");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_other_side_does_not_say_that_it_is_there_ends() {
    let house = house("session_least_s = 1\n").await;
    sipp(port(&house), "porter", "session_out.xml", &[]).await;
    let (reason, detail) = ending(&house).await;
    assert_eq!(reason, "network-gone", "{detail}");
    assert!(detail.contains("still there"), "{detail}");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_is_asked_as_often_as_it_wants_until_it_knows_of_no_call() {
    let house = house("session_s = 2\nsession_least_s = 1\n").await;
    let exchange = Called::waiting("session.xml", "u1");
    exchange.listens().await;
    let (status, told) =
        post(&house, "/v1/calls", json!({"to": format!("sip:anna@127.0.0.1:{}", exchange.port)})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{told}");
    let (reason, detail) = ending(&house).await;
    assert_eq!(reason, "network-gone", "{detail}");
    exchange.is_content().await;
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ringing_that_has_to_be_acknowledged_is_and_its_answer_holds() {
    let house = house("").await;
    let exchange = Called::waiting("reliable.xml", "u1");
    exchange.listens().await;
    let call = dial(&house, exchange.port).await;
    let told = happens(&house, "SELECT json FROM events WHERE type = 'turn-started'", 1).await;
    assert_eq!(told.len(), 1, "the agent greets");
    Client::new().delete(format!("{}/v1/calls/{call}", house.url)).send().await.expect("an answer");
    assert_eq!(ending(&house).await.0, "caller-hangup");
    exchange.is_content().await;
    house.server.stop().await;
}
