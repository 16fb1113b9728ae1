//! Passwords with SHA-256 (RFC 8760), from both ends. sipp's scenarios have MD5.

use reqwest::{Client, StatusCode};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::net::UdpSocket;

use super::house::rows::rows;
use super::{PATIENCE, Stranger, address, house};

/// RFC 7616, section 3.4.1, with `qop=auth` and the password "duologue".
fn response(user: &str, realm: &str, uri: &str, nonce: &str, cnonce: &str) -> String {
    let hash = |text: String| -> String { Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect() };
    let (who, what) = (hash(format!("{user}:{realm}:duologue")), hash(format!("INVITE:{uri}")));
    hash(format!("{who}:{nonce}:00000001:{cnonce}:auth:{what}"))
}

/// A parameter of a challenge or an answer to one.
fn parameter<'a>(message: &'a str, name: &str) -> &'a str {
    let (_, rest) = message.split_once(&format!("{name}=")).unwrap_or_else(|| panic!("no {name} in {message}"));
    rest.trim_start_matches('"').split(['"', ',', '\r']).next().expect("a value")
}

/// A header's line.
fn line<'a>(message: &'a str, name: &str) -> &'a str {
    message.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {message}"))
}

/// A variable that cargo sets for every test, with the value "duologue".
#[tokio::test(flavor = "multi_thread")]
async fn a_telephone_is_let_in_with_sha_256() {
    let house = house("users = [\"anna=CARGO_PKG_NAME\"]\n").await;
    let phone = Stranger::of(&house).await;
    let uri = format!("sip:nobody@{}", address(&house));
    let invite = |seq: u32, authorization: &str| {
        format!(
            "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK-{seq};rport\r\nFrom: <sip:x@example.net>;tag=1\r\n\
             To: <{uri}>\r\nCall-ID: digest@192.0.2.9\r\nCSeq: {seq} INVITE\r\nContact: <sip:x@192.0.2.9>\r\n{authorization}\
             Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        )
    };
    let mut seq = 0;
    let mut status = async |authorization: String| {
        seq += 1;
        phone.socket.send(invite(seq, &authorization).as_bytes()).await.expect("sent");
        loop {
            let heard = phone.hear().await;
            if heard.contains(&format!("CSeq: {seq} INVITE")) && !heard.starts_with("SIP/2.0 100 ") {
                return heard;
            }
        }
    };
    let challenged = status(String::new()).await;
    let challenges: Vec<&str> =
        challenged.lines().filter(|line| line.to_ascii_lowercase().starts_with("www-authenticate:")).collect();
    assert_eq!(challenges.len(), 2, "{challenged}");
    assert_eq!([parameter(challenges[0], "algorithm"), parameter(challenges[1], "algorithm")], ["SHA-256", "MD5"]);
    let (realm, nonce) = (parameter(challenges[0], "realm"), parameter(challenges[0], "nonce"));
    let answer = |response: &str| {
        format!(
            "Authorization: Digest username=\"anna\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
             response=\"{response}\", algorithm=SHA-256, qop=auth, nc=00000001, cnonce=\"c\"\r\n"
        )
    };
    let right = response("anna", realm, &uri, nonce, "c");
    let wrong: String = right.chars().rev().collect();
    let refused = status(answer(&wrong)).await;
    assert!(refused.starts_with("SIP/2.0 401 "), "{refused}");
    let let_in = status(answer(&right)).await;
    assert!(let_in.starts_with("SIP/2.0 404 "), "nobody of that name, which strangers are not told: {let_in}");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_that_wants_sha_256_gets_it() {
    let exchange = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let port = exchange.local_addr().expect("an address").port();
    let house = house(&format!(
        "outbound = [\"+49*@pbx.example via office\"]\ntrunks = [\"office=sip:4711@127.0.0.1:{port} CARGO_PKG_NAME\"]\n\
         [review]\nkey_env = \"CARGO_PKG_NAME\"\n"
    ))
    .await;
    let asked = Client::new().post(format!("{}/v1/calls", house.url)).bearer_auth("duologue");
    let asked = asked.json(&json!({"to": "sip:+4930123@pbx.example", "persona": "porter"})).send().await;
    assert_eq!(asked.expect("an answer").status(), StatusCode::ACCEPTED);
    let answered = async {
        let mut buffer = vec![0; 65_536];
        loop {
            let (length, from) = exchange.recv_from(&mut buffer).await.expect("a datagram");
            let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if !request.starts_with("INVITE ") {
                continue;
            }
            let shown = request.lines().find(|line| line.starts_with("Authorization:")).map(str::to_owned);
            let (status, challenges) = match &shown {
                None => (
                    "401 Unauthorized",
                    "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n1\", algorithm=MD5, qop=\"auth\"\r\n\
                     WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n2\", algorithm=SHA-512-256, qop=\"auth\"\r\n\
                     WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n3\", algorithm=SHA-256, qop=\"auth,auth-int\"\r\n",
                ),
                Some(_) => ("486 Busy Here", ""),
            };
            let kept = ["Via:", "From:", "Call-ID:", "CSeq:"].map(|name| line(&request, name)).join("\r\n");
            let answer = format!(
                "SIP/2.0 {status}\r\n{kept}\r\n{};tag=9\r\n{challenges}Content-Length: 0\r\n\r\n",
                line(&request, "To:")
            );
            exchange.send_to(answer.as_bytes(), from).await.expect("sent");
            if let Some(shown) = shown {
                return shown;
            }
        }
    };
    let shown = tokio::time::timeout(PATIENCE, answered).await.expect("an answer to the challenge");
    assert_eq!([parameter(&shown, "algorithm"), parameter(&shown, "nonce")], ["SHA-256", "n3"], "{shown}");
    let right = response("4711", "pbx", parameter(&shown, "uri"), "n3", parameter(&shown, "cnonce"));
    assert_eq!(parameter(&shown, "response"), right, "{shown}");
    let patience = std::time::Instant::now() + PATIENCE;
    while house.server.registry.count() > 0 {
        assert!(std::time::Instant::now() < patience, "the call goes on");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(rows::<(String,)>(&house, "SELECT end_reason FROM calls").await, [("busy".to_owned(),)]);
    house.server.stop().await;
}
