//! Protected sound where the server calls registered telephones and plain addresses, and keys that come in the clear within a call.

use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};

use super::baresip::{Baresip, More};
use super::by_hand::Dialog;
use super::certificates::Certificates;
use super::house::House;
use super::house::rows::rows;
use super::{KEY, PATIENCE, PROTECTED, conversation, dial, house, over, plain, reported, secure, sounds};

const PHONES: &str = "phones = [\"101=CARGO_PKG_NAME\"]\ndigests = [\"MD5\"]\n";
const KEYED: More<'_> = More { config: "module dtls_srtp.so\n", account: ";mediaenc=dtls_srtp" };

/// Waits until the telephone has registered.
async fn is_there(house: &House, phone: &mut Baresip) {
    let patience = Instant::now() + PATIENCE;
    loop {
        let shown = Client::new().get(format!("{}/v1/phones", house.url)).bearer_auth("duologue").send().await;
        let shown: Value = shown.expect("an answer").json().await.expect("JSON");
        if shown[0]["contacts"].as_array().is_some_and(|contacts| !contacts.is_empty()) {
            return;
        }
        assert!(Instant::now() < patience, "it has not registered: {shown}\n{}", phone.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// How the only call ended.
async fn ending(house: &House) -> (String, String) {
    over(house).await;
    rows::<(String, String)>(house, "SELECT end_reason, end_detail FROM calls").await[0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registered_telephone_agrees_on_keys_over_dtls_and_one_that_cannot_gets_no_call() {
    for (more, protects) in [(KEYED, true), (More::default(), false)] {
        let house = house(&format!("{PHONES}srtp = [\"phone:*=dtls\"]\n{KEY}")).await;
        let mut phone = Baresip::registering_over(plain(&house).port(), "101", "", sounds(), more);
        is_there(&house, &mut phone).await;
        dial(&house, "phone:101").await;
        if protects {
            let share = conversation(&house, &mut phone).await;
            assert!(share >= 0.7, "{share:.2}\n{}", phone.log());
            assert!(reported(&house).await.0 > 0, "{}", phone.log());
        } else {
            assert_eq!(ending(&house).await.0, "unreachable", "{}", phone.log());
        }
        house.server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registered_telephone_is_offered_keys_in_the_sdp_over_tls_alone() {
    let files = Certificates::new();
    files.issue("server", "127.0.0.1");
    let house = house(&format!("{PHONES}srtp = [\"phone:101\"]\n{}{KEY}", files.lines("server"))).await;
    let mut phone = Baresip::registering_over(plain(&house).port(), "101", "", sounds(), PROTECTED);
    is_there(&house, &mut phone).await;
    let asked = Client::new().post(format!("{}/v1/calls", house.url)).bearer_auth("duologue");
    let answer = asked.json(&json!({"to": "phone:101"})).send().await.expect("an answer");
    let (status, told) = (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"));
    assert_eq!((status, &told["type"]), (409, &"/problems/keys-in-clear".into()), "{told}");
    assert_eq!(rows::<(i64,)>(&house, "SELECT count(*) FROM calls").await, [(0,)]);
    drop(phone);
    let config = format!("{}sip_cafile {}\n", PROTECTED.config, files.path("ca.pem").display());
    let more = More { config: &config, ..PROTECTED };
    let mut phone = Baresip::registering_over(secure(&house).port(), "101", ";transport=tls", sounds(), more);
    let patience = Instant::now() + PATIENCE;
    // The one before is there for as long as it was granted; who came last is called.
    while !phone.is_told("200 OK", Duration::from_secs(1)) {
        assert!(Instant::now() < patience, "{}", phone.log());
    }
    dial(&house, "phone:101").await;
    let share = conversation(&house, &mut phone).await;
    assert!(share >= 0.7, "{share:.2}\n{}", phone.log());
    assert!(reported(&house).await.0 > 0, "{}", phone.log());
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_without_a_trunk_is_called_as_the_line_says_that_fits_it() {
    let lines = "outbound = [\"*@127.0.0.1:*\"]\nsrtp = [\"anna@127.0.0.1:*=dtls\", \"ben@127.0.0.1:*=sdes\"]\n";
    let house = house(&format!("{lines}{KEY}")).await;
    let mut phone = Baresip::start_with(0, sounds(), KEYED);
    dial(&house, &format!("sip:anna@127.0.0.1:{}", phone.sip)).await;
    let share = conversation(&house, &mut phone).await;
    assert!(share >= 0.7, "{share:.2}\n{}", phone.log());
    let asked = Client::new().post(format!("{}/v1/calls", house.url)).bearer_auth("duologue");
    let answer = asked.json(&json!({"to": "sip:ben@127.0.0.1:9"})).send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 409, "keys in the SDP go over TLS alone");
    house.server.stop().await;
}

/// An offer of sound in A-law, in the clear or with a key.
fn offer(version: u8, protected: bool) -> String {
    let key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\n";
    let (transport, key) = if protected { ("RTP/SAVP", key) } else { ("RTP/AVP", "") };
    format!(
        "v=0\r\no=- 1 {version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 {transport} 8\r\n{key}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_began_in_the_clear_is_brought_no_keys_in_the_clear() {
    for (line, status, transport) in [("", "488", "RTP/AVP"), ("srtp_in_clear = true\n", "200", "RTP/SAVP")] {
        let house = house(line).await;
        let mut dialog = Dialog::with(plain(&house)).await;
        let answer = dialog.offers(&offer(1, false)).await;
        assert!(answer.starts_with("SIP/2.0 200 ") && answer.contains("RTP/AVP"), "{answer}");
        // The stack takes a further offer that comes in the same moment as the ACK for the first one.
        let patience = Instant::now() + PATIENCE;
        while rows::<(i64,)>(&house, "SELECT count(*) FROM events WHERE type = 'call-started'").await == [(0,)] {
            assert!(Instant::now() < patience, "the call has not begun");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let answer = dialog.offers(&offer(2, true)).await;
        assert!(answer.starts_with(&format!("SIP/2.0 {status} ")), "{answer}");
        // What is refused leaves everything as it was.
        let answer = dialog.offers(&offer(3, transport == "RTP/SAVP")).await;
        assert!(answer.starts_with("SIP/2.0 200 ") && answer.contains(&format!("{transport} 8")), "{answer}");
        dialog.hang_up().await;
        over(&house).await;
        house.server.stop().await;
    }
}
