//! A whole server's media port: on IPv6 and sparing itself ICE's checks (`media.ice_lite`), every call on the one port, and ICE restarts; and
//! behind somebody on the way who writes reports of his own.

mod house;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use duologue::peer::client::Caller;
use duologue::peer::{Peer, PeerEvent, Port, PortConfig};
use duologue_signaling::detour;
use house::House;
use house::rows::rows;
use reqwest::{Client, header};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

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

/// A network between a caller and the server: to each the other is at this one address, and whoever has the network can write from it.
struct Network {
    socket: Arc<UdpSocket>,
    server: SocketAddr,
    /// The source and the number of the server's last packet, as anybody on the way can read them.
    last: Arc<AtomicU64>,
    carrying: JoinHandle<()>,
}

impl Network {
    async fn to(server: SocketAddr) -> Self {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.expect("a port"));
        let last = Arc::<AtomicU64>::default();
        let carrying = tokio::spawn(carry(socket.clone(), server, last.clone()));
        Self { socket, server, last, carrying }
    }

    fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("an address")
    }

    /// Who speaks, and the number of his last packet.
    fn last(&self) -> (u32, u32) {
        let last = self.last.load(Ordering::Relaxed);
        ((last >> 16) as u32, last as u32 & 0xffff)
    }

    /// Writes to the server, as if it came from the caller.
    async fn forge(&self, report: &[u8]) {
        self.socket.send_to(report, self.server).await.expect("sent");
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

async fn carry(socket: Arc<UdpSocket>, server: SocketAddr, last: Arc<AtomicU64>) {
    let (mut buffer, mut caller) = ([0; 2_048], None);
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        let datagram = &buffer[..length];
        if from != server {
            caller = Some(from);
        } else if let [first, kind, high, low, _, _, _, _, a, b, c, d, ..] = *datagram
            && first >= 0x80
            && !(192..=223).contains(&kind)
        {
            let read = u64::from(u32::from_be_bytes([a, b, c, d])) << 16 | u64::from(u16::from_be_bytes([high, low]));
            last.store(read, Ordering::Relaxed);
        }
        if let Some(to) = if from == server { caller } else { Some(server) } {
            let _ = socket.send_to(datagram, to).await;
        }
    }
}

/// A receiver report (RFC 3550, section 6.4.2): of all packets from then on none has come. It says of itself that it is in the clear
/// (RFC 3711, section 3.4), where a protected one has its number, and has nothing where the proof would be.
fn all_is_lost((source, number): (u32, u32), from_then_on: u32) -> Vec<u8> {
    let lost = [100, 0, (from_then_on >> 8) as u8, from_then_on as u8];
    let (source, highest) = (source.to_be_bytes(), (number + from_then_on).to_be_bytes());
    [&[0x81, 201, 0, 7, 0, 0, 0, 9][..], &source, &lost, &highest, &[0; 12], &[0; 14]].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_is_forged_in_the_clear_is_counted_and_not_believed() {
    let house = House::scripted().await;
    let network = Network::to(house.server.media).await;
    let port = Port::bind(PortConfig::local("127.0.0.1:0".parse().expect("an address"))).await.expect("a port");
    let caller = Caller::new(&port).await.expect("an offer");
    let (_, answer) = posts(&house, "/v1/calls", &detour::without_candidates(caller.offer())).await;
    let mut peer = caller.answered(&detour::through(&answer, network.address())).await.expect("usable");
    hears(&mut peer, 50).await;
    // Of some minutes, so that it cannot be taken for what a network might lose; and a goodbye (section 6.6), and what is too short for either.
    network.forge(&all_is_lost(network.last(), 20_000)).await;
    let goodbye = [&[0x81, 203, 0, 1, 0, 0, 0, 9][..], &[0; 14]].concat();
    network.forge(&goodbye).await;
    network.forge(&goodbye[..21]).await;
    let patience = Instant::now() + Duration::from_secs(10);
    for told in ["{reason=\"clear\"} 2", "{reason=\"short\"} 1"] {
        let told = format!("duologue_srtp_rejected_total{told}");
        while !reqwest::get(format!("{}/metrics", house.url))
            .await
            .expect("an answer")
            .text()
            .await
            .expect("text")
            .contains(&told)
        {
            assert!(Instant::now() < patience, "what was forged is counted: {told}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    // Two seconds more, in which the caller's own reports come.
    hears(&mut peer, 100).await;
    peer.close().await;
    while house.server.registry.count() > 0 {
        assert!(Instant::now() < patience, "the call goes on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let told: Vec<(i64, i64, i64)> = rows(&house, "SELECT reports, packets_expected, packets_lost FROM downlink").await;
    assert!(told[0].0 >= 1 && told[0].1 < 1_000, "the caller's reports are believed: {told:?}");
    assert!(told[0].2 < 100, "and not that everything was lost: {told:?}");
    house.server.stop().await;
}
