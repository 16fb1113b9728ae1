//! A candidate that comes after the offer is looked at: the server knocks there.

mod house;

use std::time::Duration;

use duologue::peer::client::Caller;
use duologue::peer::{Port, PortConfig};
use duologue_signaling::whip::Credentials;
use house::House;
use reqwest::{Client, StatusCode, header};
use tokio::net::UdpSocket;

/// What every STUN message has in its bytes 4 to 8 (RFC 8489, section 5).
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

#[tokio::test(flavor = "multi_thread")]
async fn a_trickled_candidate_is_knocked_at() {
    let house = House::scripted().await;
    let port = Port::bind(PortConfig::local("127.0.0.1:0".parse().expect("an address"))).await.expect("a port");
    let caller = Caller::new(&port).await.expect("an offer");
    // As one that trickles offers: without a single candidate.
    let offer: String = caller.offer().split_inclusive('\n').filter(|line| !line.contains("candidate")).collect();
    let web = Client::new();
    let published = web
        .post(format!("{}/v1/whip?persona=echo", house.url))
        .header(header::CONTENT_TYPE, "application/sdp")
        .body(offer.clone())
        .send()
        .await
        .expect("an answer");
    assert_eq!(published.status(), StatusCode::CREATED);
    let at = |name| published.headers()[name].to_str().expect("text").to_owned();
    let (session, tag) = (format!("{}{}", house.url, at(header::LOCATION)), at(header::ETAG));

    let door = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let strange = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let number = |socket: &UdpSocket| socket.local_addr().expect("an address").port();
    let Credentials { ufrag, pwd } = Credentials::of(&offer).expect("credentials");
    let fragment = format!(
        "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n\
         a=candidate:1 1 udp 2130706431 localhost {} typ host\r\na=candidate:2 1 udp 2130706431 127.0.0.1 {} typ host\r\n",
        number(&strange),
        number(&door)
    );
    let patched = web
        .patch(&session)
        .header(header::CONTENT_TYPE, "application/trickle-ice-sdpfrag")
        .header(header::IF_MATCH, tag)
        .body(fragment)
        .send()
        .await
        .expect("an answer");
    assert_eq!(patched.status(), StatusCode::NO_CONTENT);

    let mut knock = [0; 1_500];
    let knocked = tokio::time::timeout(Duration::from_secs(20), door.recv_from(&mut knock)).await;
    let (length, from) = knocked.expect("a knock in time").expect("a packet");
    assert!(length >= 20 && knock[4..8] == MAGIC_COOKIE, "{:?}", &knock[..length]);
    assert_eq!(from.port(), house.server.media.port(), "from the port that all calls share");
    assert!(strange.try_recv(&mut knock).is_err(), "names are not looked up");
    assert_eq!(web.delete(&session).send().await.expect("an answer").status(), StatusCode::OK);
    house.server.stop().await;
}
