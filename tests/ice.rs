//! A whole server on IPv6 that spares itself ICE's checks (`media.ice_lite`): every call on the one UDP port, and ICE restarts.

mod house;

use duologue::peer::client::Caller;
use duologue::peer::{Peer, PeerEvent, Port, PortConfig};
use house::House;
use reqwest::{Client, header};

/// Waits until so many packets of the agent's have come.
async fn hears(peer: &mut Peer, mut packets: u32) {
    while packets > 0 {
        match peer.events.recv().await.expect("the call lives") {
            PeerEvent::Rtp { .. } => packets -= 1,
            PeerEvent::Gone(why) => panic!("{why}"),
            _ => {}
        }
    }
}

async fn posts(house: &House, path: &str, offer: &str) -> (String, String) {
    let asked = Client::new().post(format!("{}{path}", house.url)).header(header::CONTENT_TYPE, "application/sdp");
    let answer = asked.body(offer.to_owned()).send().await.expect("an answer");
    assert!(answer.status().is_success(), "{}", answer.status());
    let place = answer.headers().get(header::LOCATION).map_or("", |place| place.to_str().expect("text")).to_owned();
    (place, answer.text().await.expect("text"))
}

#[tokio::test(flavor = "multi_thread")]
async fn over_ipv6_and_without_checks_of_its_own_the_server_holds_calls_and_restarts_them() {
    let house = House::open_at(
        "[::1]:0",
        "[asr]\nbackend = \"scripted\"\n[llm]\nbackend = \"scripted\"\n[tts]\nbackend = \"scripted\"\n[judge]\nkind = \"rules\"\n",
        "ice_lite = true\n",
    )
    .await;
    let mut peers = Vec::new();
    for _ in 0..2 {
        let port = Port::bind(PortConfig::local("[::1]:0".parse().expect("an address"))).await.expect("a port");
        let caller = Caller::new(&port).await.expect("an offer");
        let (place, answer) = posts(&house, "/v1/calls", caller.offer()).await;
        assert!(answer.contains("a=ice-lite\r\n"), "{answer}");
        let candidates: Vec<&str> = answer.lines().filter(|line| line.starts_with("a=candidate:")).collect();
        let ours = format!(" ::1 {} typ host", house.server.media.port());
        assert!(!candidates.is_empty() && candidates.iter().all(|line| line.contains(&ours)), "{candidates:?}");
        let mut peer = caller.answered(&answer).await.expect("usable");
        hears(&mut peer, 25).await;
        peers.push((port, place, peer));
    }
    assert_eq!(house.server.registry.count(), 2, "both on one port");
    for (_, place, peer) in &mut peers {
        let offer = peer.line.restart().await.expect("a further offer");
        let (_, answer) = posts(&house, place, &offer).await;
        assert!(answer.contains("a=ice-lite\r\n"), "{answer}");
        peer.line.restarted(answer).await.expect("usable");
        hears(peer, 100).await;
    }
    for (_, _, peer) in peers {
        peer.close().await;
    }
    house.server.stop().await;
}
