//! A telephone that takes the place of another one in a call (RFC 3891): baresip talks with the agent, sipp takes over.

use std::time::{Duration, Instant};

use tokio::net::UdpSocket;

use super::baresip::{Baresip, More};
use super::house::House;
use super::house::rows::rows;
use super::sipp::sipp;
use super::{SIP, over, quiet};

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
    let body =
        format!("v=0\r\no=- 1 1 IN IP4 {from}\r\ns=-\r\nc=IN IP4 {from}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n");
    let id = uuid::Uuid::new_v4().simple().to_string();
    let invite = format!(
        "INVITE sip:porter@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{id}\r\nMax-Forwards: 70\r\n\
         From: <sip:desk@{here}>;tag={id}\r\nTo: <sip:porter@127.0.0.1>\r\nCall-ID: {id}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:desk@{here}>\r\n{headers}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.send_to(invite.as_bytes(), ("127.0.0.1", port(house))).await.expect("sent");
    let mut answer = vec![0; 4_096];
    loop {
        let read = tokio::time::timeout(Duration::from_secs(10), socket.recv(&mut answer)).await;
        let text = String::from_utf8_lossy(&answer[..read.expect("an answer").expect("readable")]).into_owned();
        let status = text.split(' ').nth(1).expect("a status").to_owned();
        if !status.starts_with('1') {
            return status;
        }
    }
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
    let (status, told) = super::ask(&house, &call, "say", serde_json::json!({"text": "Hello desk."})).await;
    assert_eq!(status, reqwest::StatusCode::ACCEPTED, "{told}");
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
