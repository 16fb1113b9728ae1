//! Telephones that register with the server, and are called by it: baresip, on loopback. `make test` installs it
//! (scripts/system-packages.sh --test).

#[path = "sip/baresip.rs"]
mod baresip;
#[path = "phones/by_hand.rs"]
mod by_hand;
mod house;

use std::time::{Duration, Instant};

use baresip::{Baresip, Sounds};
use by_hand::ByHand;
use house::House;
use house::rows::rows;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

/// The passwords and the key are in a variable that cargo sets for every test, with the value "duologue". No line of `outbound` is
/// there: nobody but a telephone may be called. baresip 1.0.0 knows MD5 alone.
const SIP: &str = "[review]\nkey_env = \"CARGO_PKG_NAME\"\n[sip]\nlisten = \"127.0.0.1:0\"\nrtp_first = 28000\nrtp_last = 29999\n\
    phones = [\"101=CARGO_PKG_NAME\", \"102=CARGO_PKG_NAME\"]\ndigests = [\"MD5\"]\n";

const QUIET: Sounds<'_> =
    Sounds { codec: "PCMA/8000", rate_hz: 8_000, channels: 1, voice_from_ms: 0, voice_ms: 0, all_ms: 60_000 };

fn port(house: &House) -> u16 {
    house.server.telephones.as_ref().expect("telephones").address.port()
}

async fn phones(house: &House) -> Value {
    let asked = Client::new().get(format!("{}/v1/phones", house.url)).bearer_auth("duologue");
    asked.send().await.expect("an answer").json().await.expect("JSON")
}

async fn dial(house: &House, to: &str) -> (StatusCode, Value) {
    let asked = Client::new().post(format!("{}/v1/calls", house.url)).bearer_auth("duologue");
    let answer = asked.json(&json!({"to": to, "persona": "porter"})).send().await.expect("an answer");
    (answer.status(), answer.json().await.expect("JSON"))
}

/// Waits until the first telephone has so many contacts.
async fn has(house: &House, contacts: usize, log: &mut Baresip) {
    let patience = Instant::now() + Duration::from_secs(20);
    loop {
        let shown = phones(house).await;
        if shown[0]["contacts"].as_array().is_some_and(|found| found.len() == contacts) {
            return;
        }
        assert!(Instant::now() < patience, "no {contacts} contacts: {shown}\n{}", log.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_telephone_that_has_registered_is_called_by_its_name_and_nobody_else_is() {
    let house = House::scripted_with(SIP).await;
    let mut phone = Baresip::registering(port(&house), "101", "duologue", QUIET);
    has(&house, 1, &mut phone).await;
    let shown = phones(&house).await;
    let contact = &shown[0]["contacts"][0];
    assert_eq!((&shown[0]["name"], &shown[1]), (&json!("101"), &json!({"name": "102", "contacts": []})));
    assert_eq!(contact["from"], format!("127.0.0.1:{}", phone.sip), "{shown}");
    assert_eq!(contact["transport"], "udp");
    assert!(contact["expires_s"].as_u64().is_some_and(|left| (1..=60).contains(&left)), "{shown}");
    assert!(contact["user_agent"].as_str().is_some_and(|agent| agent.contains("baresip")), "{shown}");
    for (to, status, kind) in [
        ("phone:102".to_owned(), StatusCode::CONFLICT, "/problems/not-registered"),
        ("phone:103".to_owned(), StatusCode::NOT_FOUND, "/problems/no-such-phone"),
        (format!("sip:101@127.0.0.1:{}", phone.sip), StatusCode::FORBIDDEN, "/problems/not-allowed"),
        (format!("sip:103@127.0.0.1:{}", port(&house)), StatusCode::FORBIDDEN, "/problems/not-allowed"),
    ] {
        let (answered, told) = dial(&house, &to).await;
        assert_eq!((answered, &told["type"]), (status, &kind.into()), "{to}: {told}");
    }
    for to in ["phone:101".to_owned(), format!("sip:101@127.0.0.1:{}", port(&house))] {
        let (status, told) = dial(&house, &to).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{told}");
        let call = told["call"].as_str().expect("a call").to_owned();
        let patience = Instant::now() + Duration::from_secs(20);
        let begun = "SELECT call FROM events WHERE type = 'turn-started'";
        while !rows::<(String,)>(&house, begun).await.contains(&(call.clone(),)) {
            assert!(Instant::now() < patience, "nobody was greeted: {}", phone.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        phone.hang_up();
        while house.server.registry.count() > 0 {
            assert!(Instant::now() < patience, "the call goes on: {}", phone.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let calls: Vec<(String, String, String)> =
        rows(&house, "SELECT c.transport, c.end_reason, k.name FROM calls c JOIN callers k ON k.id = c.caller_id")
            .await;
    let wanted = ["sip-out", "caller-hangup", "101"].map(str::to_owned);
    assert_eq!(calls, [wanted.clone().into(), wanted.into()]);
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_know_the_password_is_nowhere_and_counted() {
    let house = House::scripted_with(SIP).await;
    let mut phone = Baresip::registering(port(&house), "101", "guess", QUIET);
    let patience = Instant::now() + Duration::from_secs(20);
    loop {
        let metrics = Client::new().get(format!("{}/metrics", house.url)).send().await.expect("an answer");
        let metrics = metrics.text().await.expect("text");
        let line = metrics.lines().find(|line| line.contains("sip_rejected_total{reason=\"password\"}"));
        if line.is_some_and(|line| !line.ends_with(" 0")) {
            break;
        }
        assert!(Instant::now() < patience, "not counted: {line:?}\n{}", phone.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(phones(&house).await[0]["contacts"], json!([]));
    let keyless = reqwest::get(format!("{}/v1/phones", house.url)).await.expect("an answer");
    assert_eq!(keyless.status(), StatusCode::UNAUTHORIZED);
    house.server.stop().await;
}

/// RFC 3261, section 10.3, steps 6 and 7.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_overtaken_or_asks_for_too_little_changes_nothing() {
    let house = House::scripted_with(&SIP.replace("digests = [\"MD5\"]\n", "phones_least_s = 60\n")).await;
    let mut phone = ByHand::challenged(house.server.telephones.as_ref().expect("telephones").address).await;
    let status = |answer: &str| answer.get(8..11).unwrap_or_default().to_owned();
    let answer = phone.registers(10, "Contact: <sip:101@192.0.2.1>\r\nExpires: 60\r\n").await;
    assert!(answer.starts_with("SIP/2.0 200 ") && answer.contains("<sip:101@192.0.2.1>;expires=60"), "{answer}");
    for (cseq, contact, refused) in [
        (9, "Contact: <sip:101@192.0.2.1>\r\nExpires: 90\r\n", "500"),
        (10, "Contact: <sip:101@192.0.2.1>\r\nExpires: 0\r\n", "500"),
        (9, "Contact: *\r\nExpires: 0\r\n", "500"),
        (11, "Contact: <sip:101@192.0.2.1>\r\nExpires: 59\r\n", "423"),
        (11, "Contact: <sip:101@192.0.2.1>;expires=1\r\nExpires: 60\r\n", "423"),
        // All of a request's contacts, or none (section 10.3, step 7).
        (11, "Contact: <sip:101@192.0.2.3>;expires=60, <sip:101@192.0.2.4>;expires=5\r\n", "423"),
    ] {
        let answer = phone.registers(cseq, contact).await;
        assert_eq!(status(&answer), refused, "{contact}: {answer}");
        assert_eq!(answer.contains("Min-Expires: 60\r\n"), refused == "423", "{answer}");
        let shown = phones(&house).await;
        let contacts = shown[0]["contacts"].as_array().expect("contacts");
        assert_eq!((contacts.len(), &contacts[0]["uri"]), (1, &json!("sip:101@192.0.2.1")), "{contact}");
    }
    let answer = phone.registers(12, "Contact: <sip:101@192.0.2.1>\r\nExpires: 0\r\n").await;
    assert!(answer.starts_with("SIP/2.0 200 "), "whoever leaves may ask for nothing: {answer}");
    assert_eq!(phones(&house).await[0]["contacts"], json!([]));
    house.server.stop().await;
}
