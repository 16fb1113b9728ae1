//! Two real peers, ICE, DTLS, SRTP and SCTP included: on a network in memory in virtual time, and over UDP.

use std::time::Duration;

use bytes::Bytes;
use duologue::peer::client::Caller;
use duologue::peer::net::{Memory, Weather};
use duologue::peer::{GoneWhy, MESSAGES_WAITING, OfferRefused, Peer, PeerEvent, Port, PortConfig, PortError};
use tokio::time::Instant;

const TICK: Duration = Duration::from_millis(20);

fn any_port() -> PortConfig {
    PortConfig::local("127.0.0.1:0".parse().expect("an address"))
}

async fn in_memory(network: &Memory) -> Port {
    Port::bind_in(any_port(), network).await.expect("a free port")
}

/// A call from one port to another: the server's peer and the caller's.
async fn call(server: &Port, callers: &Port) -> (Peer, Peer) {
    let caller = Caller::new(callers).await.expect("an offer");
    let (answering, answer) = server.accept(caller.offer()).await.expect("an answer");
    let calling = caller.answered(&answer).await.expect("a usable answer");
    (answering, calling)
}

/// A call on a network in memory, connected on both sides; the ports live as long as they are held.
async fn call_in_memory(network: &Memory) -> ([Port; 2], Peer, Peer) {
    let (server, callers) = (in_memory(network).await, in_memory(network).await);
    let (mut answering, mut calling) = call(&server, &callers).await;
    connected(&mut answering).await;
    connected(&mut calling).await;
    ([server, callers], answering, calling)
}

/// Waits for an event that satisfies; what comes before it is passed over.
async fn until(peer: &mut Peer, wanted: impl Fn(&PeerEvent) -> bool) -> PeerEvent {
    loop {
        let event = peer.events.recv().await.expect("the peer lives");
        if wanted(&event) {
            return event;
        }
        assert!(!matches!(event, PeerEvent::Gone(_)), "gone while waiting: {event:?}");
    }
}

async fn connected(peer: &mut Peer) {
    until(peer, |event| *event == PeerEvent::Connected).await;
}

async fn until_gone(peer: &mut Peer) -> GoneWhy {
    loop {
        if let PeerEvent::Gone(why) = peer.events.recv().await.expect("an end is told") {
            return why;
        }
    }
}

/// Sends packet `n` of a steady stream.
fn send(line: &duologue::peer::PeerLine, n: u32) -> bool {
    line.send_rtp(n as u16, n.wrapping_mul(960), n == 0, Bytes::from(n.to_be_bytes().to_vec()))
}

/// Collects the numbers and arrival times of `count` packets, or of those that come before `deadline`.
async fn hear(peer: &mut Peer, count: usize, deadline: Instant) -> Vec<(u32, Instant)> {
    let mut heard = Vec::new();
    while heard.len() < count {
        match tokio::time::timeout_at(deadline, peer.events.recv()).await {
            Ok(Some(PeerEvent::Rtp { packet, at })) => {
                let payload = packet.payload[..].try_into().expect("four bytes");
                heard.push((u32::from_be_bytes(payload), at));
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => break,
        }
    }
    heard
}

#[tokio::test(start_paused = true)]
async fn in_virtual_time_every_packet_of_a_call_arrives_20_ms_after_the_one_before() {
    const PACKETS: u32 = 500;
    let (_ports, mut answering, mut calling) = call_in_memory(&Memory::default()).await;
    let deadline = Instant::now() + Duration::from_secs(30);
    let (out, back) = (answering.line.clone(), calling.line.clone());
    let sending = async {
        let mut tick = tokio::time::interval(TICK);
        for n in 0..PACKETS {
            tick.tick().await;
            assert!(send(&out, n) && send(&back, n), "packet {n} is taken on both lines");
        }
    };
    let (at_server, at_caller, ()) =
        tokio::join!(hear(&mut answering, 500, deadline), hear(&mut calling, 500, deadline), sending);
    for heard in [at_server, at_caller] {
        assert_eq!(heard.iter().map(|(n, _)| *n).collect::<Vec<_>>(), (0..PACKETS).collect::<Vec<_>>());
        for pair in heard.windows(2) {
            assert_eq!(pair[1].1 - pair[0].1, TICK, "between {} and {}", pair[0].0, pair[1].0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_is_connected_within_a_few_ways_there_and_back() {
    let network = Memory::new(Weather { delay: Duration::from_millis(2), ..Weather::default() });
    let (server, callers) = (in_memory(&network).await, in_memory(&network).await);
    let asked = Instant::now();
    let (mut answering, mut calling) = call(&server, &callers).await;
    connected(&mut answering).await;
    connected(&mut calling).await;
    // Two for ICE, two for DTLS, and no timer of the stack's in between.
    assert!(asked.elapsed() <= Duration::from_millis(40), "{:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn messages_go_both_ways_in_order_and_those_sent_early_wait_for_the_channel() {
    let network = Memory::default();
    let (server, callers) = (in_memory(&network).await, in_memory(&network).await);
    let (mut answering, mut calling) = call(&server, &callers).await;
    for n in 0..10 {
        assert!(answering.line.send_message(format!("out {n}")) && calling.line.send_message(format!("back {n}")));
    }
    for n in 0..10 {
        let got = until(&mut calling, |event| matches!(event, PeerEvent::Message(_))).await;
        assert_eq!(got, PeerEvent::Message(format!("out {n}")));
        let got = until(&mut answering, |event| matches!(event, PeerEvent::Message(_))).await;
        assert_eq!(got, PeerEvent::Message(format!("back {n}")));
    }
}

/// Round trips of a tenth of a second and packets that overtake each other: what was said last is heard before the line closes.
#[tokio::test(start_paused = true)]
async fn what_is_said_last_arrives_before_the_line_is_closed() {
    let network = Memory::default();
    let (_ports, answering, mut calling) = call_in_memory(&network).await;
    until(&mut calling, |event| *event == PeerEvent::MessagesOpen).await;
    let (delay, jitter) = (Duration::from_millis(50), Duration::from_millis(30));
    network.set(Weather { delay, jitter, seed: 7, ..Weather::default() });
    for n in 0..20 {
        assert!(answering.line.send_message(format!("{n}")));
    }
    answering.close().await;
    let mut heard = Vec::new();
    loop {
        match calling.events.recv().await.expect("an end is told") {
            PeerEvent::Message(text) => heard.push(text),
            PeerEvent::Gone(why) => break assert_eq!(why, GoneWhy::ClosedByPeer),
            _ => {}
        }
    }
    assert_eq!(heard, (0..20).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn messages_that_do_not_fit_are_dropped_and_counted() {
    let network = Memory::default();
    let (server, callers) = (in_memory(&network).await, in_memory(&network).await);
    let (answering, _calling) = call(&server, &callers).await;
    let taken = (0..MESSAGES_WAITING + 20).filter(|n| answering.line.send_message(format!("{n}"))).count();
    assert_eq!(taken, MESSAGES_WAITING);
    assert_eq!(answering.line.counts().messages_unsent, 20);
}

#[tokio::test(start_paused = true)]
async fn a_call_task_that_does_not_look_loses_packets_but_not_the_end() {
    let (_ports, mut answering, calling) = call_in_memory(&Memory::default()).await;
    for n in 0..1000 {
        // On the paused clock, as all waiting here.
        tokio::time::sleep(TICK).await;
        send(&calling.line, n);
    }
    calling.close().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(answering.line.counts().packets_untaken > 700, "{:?}", answering.line.counts());
    assert_eq!(until_gone(&mut answering).await, GoneWhy::ClosedByPeer);
}

#[tokio::test(start_paused = true)]
async fn when_one_side_hangs_up_the_other_knows_at_once() {
    let (_ports, mut answering, calling) = call_in_memory(&Memory::default()).await;
    let hung_up = Instant::now();
    calling.close().await;
    assert_eq!(until_gone(&mut answering).await, GoneWhy::ClosedByPeer);
    assert!(hung_up.elapsed() < Duration::from_secs(1), "it took {:?}", hung_up.elapsed());
    assert_eq!(answering.events.recv().await, None, "nothing comes after the end");
    assert!(!send(&answering.line, 0), "and nothing is sent");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_vanishes_without_a_word_is_gone_within_a_quarter_minute() {
    for ice_lite in [false, true] {
        let network = Memory::default();
        let server = Port::bind_in(PortConfig { ice_lite, ..any_port() }, &network).await.expect("a free port");
        let callers = in_memory(&network).await;
        let (mut answering, mut calling) = call(&server, &callers).await;
        connected(&mut answering).await;
        connected(&mut calling).await;
        network.set(Weather { loss: 1.0, ..Weather::default() });
        let vanished = Instant::now();
        until(&mut answering, |event| *event == PeerEvent::Disconnected).await;
        assert_eq!(until_gone(&mut answering).await, GoneWhy::Silent);
        let took = vanished.elapsed();
        assert!((Duration::from_secs(10)..=Duration::from_secs(17)).contains(&took), "lite {ice_lite}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silence_of_some_seconds_is_got_over() {
    let network = Memory::default();
    let (_ports, mut answering, mut calling) = call_in_memory(&network).await;
    network.set(Weather { loss: 1.0, ..Weather::default() });
    until(&mut answering, |event| *event == PeerEvent::Disconnected).await;
    network.set(Weather::default());
    connected(&mut answering).await;
    assert!(send(&answering.line, 0), "the line works again");
    assert_eq!(hear(&mut calling, 1, Instant::now() + Duration::from_secs(1)).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_takes_up_ends_by_itself() {
    let network = Memory::default();
    let (server, callers) = (in_memory(&network).await, in_memory(&network).await);
    let caller = Caller::new(&callers).await.expect("an offer");
    let (mut answering, _) = server.accept(caller.offer()).await.expect("an answer");
    assert!(!send(&answering.line, 0), "nothing is sent before it is connected");
    assert_eq!(until_gone(&mut answering).await, GoneWhy::NeverConnected);
    assert_eq!(server.counts().tasks, 0);
}

#[tokio::test(start_paused = true)]
async fn after_many_calls_nothing_is_left_of_them() {
    let network = Memory::default();
    let (server, callers) = (in_memory(&network).await, in_memory(&network).await);
    for n in 0..30 {
        let (mut answering, mut calling) = call(&server, &callers).await;
        if n % 3 != 0 {
            connected(&mut answering).await;
            connected(&mut calling).await;
        }
        assert!(server.counts().peers == 1 && server.counts().tasks > 0);
        match n % 2 {
            0 => answering.close().await,
            // Dropped, not closed: it ends in the background.
            _ => drop(answering),
        }
        calling.close().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let counts = [server.counts(), callers.counts()].map(|counts| (counts.peers, counts.tasks));
        assert_eq!(counts, [(0, 0); 2], "after call {n}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_round_trip_is_measured_from_the_reports_of_the_other_side() {
    let network = Memory::new(Weather { delay: Duration::from_millis(40), ..Weather::default() });
    let (_ports, mut answering, _calling) = call_in_memory(&network).await;
    let line = answering.line.clone();
    let sending = async {
        let mut tick = tokio::time::interval(TICK);
        for n in 0..1000 {
            tick.tick().await;
            send(&line, n);
        }
    };
    let reported = async {
        loop {
            if let PeerEvent::Report(report) = answering.events.recv().await.expect("the peer lives")
                && let Some(rtt) = report.rtt
            {
                return rtt;
            }
        }
    };
    tokio::select! {
        rtt = reported => assert!((79..=82).contains(&rtt.as_millis()), "{rtt:?}"),
        () = sending => panic!("no report in 20 s"),
    }
}

#[tokio::test(start_paused = true)]
async fn in_bad_weather_lost_packets_are_lost_and_the_others_arrive_in_another_order() {
    let network = Memory::default();
    let (_ports, mut answering, calling) = call_in_memory(&network).await;
    network.set(Weather { loss: 0.2, jitter: Duration::from_millis(60), seed: 7, ..Weather::default() });
    let sending = async {
        for n in 0..500 {
            tokio::time::sleep(TICK).await;
            send(&calling.line, n);
        }
    };
    let deadline = Instant::now() + Duration::from_secs(12);
    let (heard, ()) = tokio::join!(hear(&mut answering, 500, deadline), sending);
    assert!((350..=450).contains(&heard.len()), "{} of 500 at 20 % loss", heard.len());
    assert!(heard.windows(2).any(|pair| pair[1].0 < pair[0].0), "60 ms of jitter reorders");
}

#[tokio::test(start_paused = true)]
async fn an_offer_with_a_fault_leaves_nothing_behind() {
    let network = Memory::default();
    let (server, callers) = (in_memory(&network).await, in_memory(&network).await);
    assert!(matches!(server.accept("hello").await, Err(OfferRefused::Fault(_))));
    let caller = Caller::new(&callers).await.expect("an offer");
    // Passes the first check and fails in the stack.
    let odd = caller.offer().replace("a=candidate:1 1 udp", "a=candidate:1 x udp");
    assert!(matches!(server.accept(&odd).await, Err(OfferRefused::NotAnswerable(_))));
    assert_eq!((server.counts().peers, server.counts().tasks), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn after_an_ice_restart_the_call_goes_on() {
    let (_ports, mut answering, calling) = call_in_memory(&Memory::default()).await;
    let offer = calling.line.restart().await.expect("a further offer");
    let answer = answering.line.reoffer(offer).await.expect("an answer");
    calling.line.restarted(answer).await.expect("a usable answer");
    // Longer than the first credentials could carry it.
    tokio::time::sleep(Duration::from_secs(30)).await;
    for n in 0..50 {
        tokio::time::sleep(TICK).await;
        assert!(send(&calling.line, n));
    }
    assert_eq!(hear(&mut answering, 50, Instant::now() + Duration::from_secs(1)).await.len(), 50);
}

#[tokio::test]
async fn three_calls_share_one_udp_port() {
    let server = Port::bind(any_port()).await.expect("a free port");
    let mut calls = Vec::new();
    for _ in 0..3 {
        let callers = Port::bind(any_port()).await.expect("a free port");
        let (answering, calling) = call(&server, &callers).await;
        calls.push((answering, calling, callers));
    }
    for (answering, calling, _) in &mut calls {
        connected(answering).await;
        connected(calling).await;
    }
    assert_eq!(server.counts().peers, 3);
    for n in 0..50 {
        for (who, (answering, calling, _)) in (0..).zip(&calls) {
            send(&calling.line, n * 10 + who);
            send(&answering.line, n * 10 + who);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for (who, (answering, calling, _)) in (0..).zip(&mut calls) {
        for peer in [answering, calling] {
            let heard = hear(peer, 50, Instant::now() + Duration::from_secs(5)).await;
            assert_eq!(heard.len(), 50, "call {who}");
            assert!(heard.iter().all(|(mark, _)| mark % 10 == who), "call {who} hears itself only");
        }
    }
    for (answering, calling, _) in calls {
        calling.close().await;
        answering.close().await;
    }
    assert_eq!((server.counts().peers, server.counts().tasks), (0, 0));
}

#[tokio::test]
async fn a_caller_over_ipv6_and_one_over_ipv4_share_a_dual_stack_port() {
    let Ok(server) = Port::bind(PortConfig::local("[::]:0".parse().expect("an address"))).await else {
        println!("no IPv6 on this machine: not tried");
        return;
    };
    for listen in ["127.0.0.1:0", "[::1]:0"] {
        let callers = Port::bind(PortConfig::local(listen.parse().expect("an address"))).await.expect("a free port");
        let (mut answering, mut calling) = call(&server, &callers).await;
        connected(&mut answering).await;
        connected(&mut calling).await;
        assert!(send(&calling.line, 0), "over {listen}");
        assert_eq!(hear(&mut answering, 1, Instant::now() + Duration::from_secs(5)).await.len(), 1, "over {listen}");
        calling.close().await;
    }
}

#[tokio::test]
async fn garbage_on_the_port_is_counted_and_disturbs_no_call() {
    let server = Port::bind(any_port()).await.expect("a free port");
    let callers = Port::bind(any_port()).await.expect("a free port");
    let (mut answering, mut calling) = call(&server, &callers).await;
    connected(&mut answering).await;
    connected(&mut calling).await;
    let stranger = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    for n in 0..200_u32 {
        let garbage: Vec<u8> = (0..n * 7 % 1400).map(|i| (i * 31 + n * 17) as u8).collect();
        stranger.send_to(&garbage, server.local_addr()).await.expect("sent");
    }
    assert!(send(&calling.line, 0));
    assert_eq!(hear(&mut answering, 1, Instant::now() + Duration::from_secs(5)).await.len(), 1);
    assert!(server.counts().strangers >= 150, "{:?}", server.counts());
}

#[tokio::test]
async fn a_port_in_use_is_named_with_the_way_out() {
    let first = Port::bind(any_port()).await.expect("a free port");
    let fault = Port::bind(PortConfig::local(first.local_addr())).await.expect_err("it is taken");
    assert!(matches!(fault, PortError::InUse(_)));
    assert!(
        fault.to_string().contains(&first.local_addr().port().to_string()) && fault.to_string().contains("ss -ulpn")
    );
    let elsewhere = PortConfig::local("203.0.113.200:0".parse().expect("an address"));
    assert!(matches!(Port::bind(elsewhere).await, Err(PortError::NoSuchAddress(_))));
}
