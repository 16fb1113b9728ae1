//! A telephone that takes the place of another one in a call (RFC 3891): baresip talks with the agent, sipp takes over.

use std::time::{Duration, Instant};

use duologue_signaling::event::BridgeState;
use reqwest::StatusCode;
use serde_json::json;
use tokio::net::UdpSocket;

use super::baresip::{Baresip, More};
use super::browser::Browser;
use super::by_hand::{ByHand, answer, invite};
use super::house::House;
use super::house::rows::rows;
use super::sipp::sipp;
use super::{ADA, BACK, DESK, SIP, ask, hears, outcome, over, quiet};

fn port(house: &House) -> u16 {
    house.server.telephones.as_ref().expect("telephones").address.port()
}

/// A call of baresip's that has begun, and the dialog as it is named to the server.
async fn talking(house: &House, phone: &mut Baresip) -> (String, String) {
    phone.dial("porter");
    let patience = Instant::now() + Duration::from_secs(20);
    loop {
        let begun = "SELECT call FROM events WHERE type = 'turn-started'";
        if let Some((call,)) = rows::<(String,)>(house, begun).await.into_iter().next()
            && let Some(Some(onto)) = house.server.registry.taken_over_by(&call)
        {
            return (call, named(&onto.refer_to));
        }
        assert!(Instant::now() < patience, "no call: {}", phone.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What the telephone would be told of its own dialog, seen from the other side: the two tags change places.
fn named(refer_to: &str) -> String {
    let replaces = refer_to.split("Replaces=").nth(1).expect("a dialog").trim_end_matches('>');
    let plain = replaces.replace("%40", "@").replace("%3B", ";").replace("%3D", "=");
    plain.replace(";to-tag=", ";x-tag=").replace(";from-tag=", ";to-tag=").replace(";x-tag=", ";from-tag=")
}

/// How an INVITE from there with these headers is answered.
async fn invited(house: &House, from: &str, headers: &str) -> String {
    let socket = UdpSocket::bind(format!("{from}:0")).await.expect("a socket");
    let here = socket.local_addr().expect("an address");
    let invite = invite(here, 40_000, &uuid::Uuid::new_v4().simple().to_string(), headers);
    socket.send_to(invite.as_bytes(), ("127.0.0.1", port(house))).await.expect("sent");
    answer(&socket).await.split(' ').nth(1).expect("a status").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_telephone_takes_the_place_of_another_and_the_call_goes_on() {
    let house = House::scripted_with(SIP).await;
    let mut phone = Baresip::start(port(&house), quiet());
    let (call, dialog) = talking(&house, &mut phone).await;
    for (from, headers, wanted) in [
        ("127.0.0.1", "Replaces: nobody;to-tag=1;from-tag=2\r\n".to_owned(), "481"),
        ("127.0.0.1", format!("Replaces: {dialog};early-only\r\n"), "486"),
        ("127.0.0.1", format!("Replaces: {dialog}\r\nReplaces: {dialog}\r\n"), "400"),
        ("127.0.0.1", "Replaces: without tags\r\n".to_owned(), "400"),
        ("127.0.0.2", format!("Replaces: {dialog}\r\n"), "403"),
    ] {
        assert_eq!(invited(&house, from, &headers).await, wanted, "{from}: {headers}");
    }
    assert_eq!(house.server.registry.count(), 1, "who was refused has begun no call");
    let at = port(&house);
    let taking = tokio::spawn(async move { sipp(at, "porter", "replaces.xml", &["-key", "replaces", &dialog]).await });
    let patience = Instant::now() + Duration::from_secs(20);
    let told = "SELECT json ->> 'by' FROM events WHERE type = 'taken-over'";
    while rows::<(String,)>(&house, told).await.is_empty() {
        assert!(Instant::now() < patience, "nobody has taken the call over");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(rows::<(String,)>(&house, told).await, [("desk@127.0.0.1".to_owned(),)]);
    assert!(phone.is_told("session closed", Duration::from_secs(10)), "the first one was hung up: {}", phone.log());
    // What the agent says from here on goes to the new telephone.
    let (status, told) = ask(&house, &call, "say", json!({"text": "Hello desk."})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{told}");
    let said = "SELECT heard FROM turns WHERE heard = 'Hello desk.' AND outcome = 'completed'";
    while rows::<(String,)>(&house, said).await.is_empty() {
        assert!(Instant::now() < patience, "nothing was said to the new telephone");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(house.server.registry.count(), 1, "it is one call");
    let path = format!("{}/v1/calls/{call}", house.url);
    reqwest::Client::new().delete(path).send().await.expect("an answer");
    // It gets the BYE.
    taking.await.expect("sipp is content");
    over(&house).await;
    let calls: Vec<(String, String)> = rows(&house, "SELECT id, end_reason FROM calls").await;
    assert_eq!(calls, [(call, "caller-hangup".to_owned())]);
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_of_somebody_else_takes_nobodys_call() {
    let users = "users = [\"anna=CARGO_PKG_NAME\", \"ben=CARGO_PKG_NAME\"]\ndigests = [\"MD5\"]\n";
    let house = House::scripted_with(&format!("{SIP}{users}")).await;
    let more = More { account: ";auth_user=anna;auth_pass=duologue", ..More::default() };
    let mut phone = Baresip::start_with(port(&house), quiet(), more);
    let (_, dialog) = talking(&house, &mut phone).await;
    sipp(port(&house), "porter", "replaces_password.xml", &["-key", "replaces", &dialog]).await;
    assert_eq!(house.server.registry.count(), 1, "the call is still hers");
    phone.hang_up();
    over(&house).await;
    let ends =
        rows::<(String, String)>(&house, "SELECT k.name, end_reason FROM calls c JOIN callers k ON k.id = c.caller_id");
    assert_eq!(ends.await, [("anna".to_owned(), "caller-hangup".to_owned())]);
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_a_telephones_place_is_heard_and_hears_through_the_bridge_and_after_it() {
    let house = House::scripted_with(SIP).await;
    let mut phone = Baresip::start(port(&house), quiet());
    let (call, dialog) = talking(&house, &mut phone).await;
    let mut ada = Browser::call(&house.url, "?persona=porter").await;
    ada.until_turns(1).await;
    let (status, told) = ask(&house, &ada.call, "bridge", json!({"call": call})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{told}");
    ada.until_bridge(BridgeState::Joined).await;
    let desk = ByHand::takes_over(port(&house), &dialog).await;
    assert!(phone.is_told("session closed", Duration::from_secs(10)), "the first one was hung up: {}", phone.log());
    let before = ada.heard().len();
    ada.says(ADA).await;
    desk.hears(ADA).await;
    desk.says(DESK).await;
    hears(&ada, before, DESK).await;
    // Parted, it is with the agent, and the two understand each other.
    let parted = reqwest::Client::new().delete(format!("{}/v1/calls/{call}/bridge", house.url)).bearer_auth("duologue");
    assert_eq!(parted.send().await.expect("an answer").status(), StatusCode::ACCEPTED);
    desk.hears(BACK).await;
    let said = || {
        rows::<(String,)>(
            &house,
            "SELECT text FROM turns JOIN calls ON calls.id = call WHERE transport = 'sip' AND speaker = 'caller' AND text <> ''",
        )
    };
    let turns = said().await.len();
    desk.says("What time does the kitchen close").await;
    let patience = Instant::now() + Duration::from_secs(20);
    while said().await.len() == turns {
        assert!(Instant::now() < patience, "the agent did not hear the new telephone");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    desk.hang_up().await;
    ada.hang_up();
    over(&house).await;
    assert_eq!(outcome(&house).await, "parted");
    house.server.stop().await;
}
