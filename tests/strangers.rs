//! What strangers send to the SIP port: messages out of order, too many of them, too many connections. After each the server still answers who
//! asks it properly.

#[path = "strangers/digest.rs"]
mod digest;
mod house;
#[path = "strangers/torture.rs"]
mod torture;

use std::net::SocketAddr;
use std::time::Duration;

use house::House;
use reqwest::Client;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use torture::Case;

const SIP: &str = "[sip]\nlisten = \"127.0.0.1:0\"\nrtp_first = 30000\nrtp_last = 31999\n";
/// Nothing on loopback takes so long.
const PATIENCE: Duration = Duration::from_secs(10);

async fn house(more: &str) -> House {
    House::scripted_with(&format!("{SIP}{more}")).await
}

fn address(house: &House) -> SocketAddr {
    house.server.telephones.as_ref().expect("telephones").address
}

async fn metric(house: &House, name: &str) -> u64 {
    let text = Client::new().get(format!("{}/metrics", house.url)).send().await.expect("an answer");
    let text = text.text().await.expect("a body");
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or(0)
}

/// Somebody with a socket.
struct Stranger {
    socket: UdpSocket,
    asked: u32,
}

impl Stranger {
    async fn of(house: &House) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        socket.connect(address(house)).await.expect("an address");
        Self { socket, asked: 0 }
    }

    async fn hear(&self) -> String {
        let mut buffer = vec![0; 65_536];
        let heard = tokio::time::timeout(PATIENCE, self.socket.recv(&mut buffer)).await.expect("an answer in time");
        buffer.truncate(heard.expect("a datagram"));
        String::from_utf8(buffer).expect("text")
    }

    /// Asks properly; gives what else came before the answer.
    async fn asks(&mut self) -> Vec<String> {
        self.asked += 1;
        let name = format!("proper-{}.", self.asked);
        self.socket.send(options(&name, "UDP").as_bytes()).await.expect("sent");
        let mut before = Vec::new();
        loop {
            let heard = self.hear().await;
            if heard.contains(&name) {
                assert!(heard.starts_with("SIP/2.0 200 "), "{heard}");
                return before;
            }
            before.push(heard);
        }
    }

    /// The status that came back, or none.
    async fn tries(&mut self, case: &Case) -> Option<(u16, String)> {
        self.socket.send(&case.bytes).await.expect("sent");
        let of_it = |heard: &String| heard.contains(case.name) && !heard.starts_with("SIP/2.0 100 ");
        let status = |heard: String| (heard[8..11].parse().expect("a status"), heard);
        // What is answered at once comes before; where nothing may come, two answers have gone by without it.
        let mut heard = self.asks().await;
        heard.extend(self.asks().await);
        if let Some(heard) = heard.into_iter().find(of_it) {
            return Some(status(heard));
        }
        if case.answers.is_empty() {
            return None;
        }
        let answer = async {
            loop {
                let heard = self.hear().await;
                if of_it(&heard) {
                    return status(heard);
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(3), answer).await.ok()
    }
}

fn options(name: &str, transport: &str) -> String {
    format!(
        "OPTIONS sip:porter@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{transport} 192.0.2.9:5060;branch=z9hG4bK-{name};rport\r\n\
         From: <sip:proper@example.net>;tag=1\r\nTo: <sip:porter@127.0.0.1>\r\nCall-ID: {name}@192.0.2.9\r\nCSeq: 1 OPTIONS\r\n\
         Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn tortured_the_server_answers_as_the_standard_has_it_and_goes_on() {
    let house = house("").await;
    let mut stranger = Stranger::of(&house).await;
    let mut wrong = Vec::new();
    for cases in [torture::valid(), torture::invalid(), torture::applied(), torture::ipv6()] {
        for case in cases {
            // A source hears so many refusals a second, and no more.
            tokio::time::sleep(Duration::from_millis(120)).await;
            let answer = stranger.tries(&case).await;
            println!("{} {}: {:?}", case.section, case.name, answer.as_ref().map(|(status, _)| status));
            let right = match &answer {
                None => case.answers.is_empty(),
                Some((status, _)) => case.answers.contains(status),
            };
            if !right {
                wrong.push(format!("RFC {} {}: {answer:?} and not {:?}", case.section, case.name, case.answers));
            }
            if case.name == "bext01" {
                let told = answer.expect("an answer").1;
                assert!(told.contains("Unsupported: nothingSupportsThis, nothingSupportsThisEither\r\n"), "{told}");
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(metric(&house, "duologue_sip_rejected_total{reason=\"header-bad\"}").await >= 5);
    assert_eq!(metric(&house, "duologue_sip_rejected_total{reason=\"version\"}").await, 1);
    // Not one was left to the stack that it could not read.
    assert_eq!(metric(&house, "duologue_sip_rejected_total{reason=\"unreadable\"}").await, 0);
    assert_eq!(house.server.registry.count(), 0);
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_nonsense_without_end_is_told_a_few_times() {
    let house = house("messages_a_second = 100\n").await;
    let (mut stranger, bad) =
        (Stranger::of(&house).await, options("flood.", "UDP").replace("CSeq: 1 OPTIONS", "CSeq: none"));
    let started = std::time::Instant::now();
    for _ in 0..60 {
        stranger.socket.send(bad.as_bytes()).await.expect("sent");
    }
    let answered = stranger.asks().await.len();
    // Ten each second that it took, however slow the machine.
    let seconds = usize::try_from(started.elapsed().as_secs()).expect("seconds") + 2;
    assert!((1..=10 * seconds).contains(&answered), "{answered} in {seconds} s");
    assert_eq!(metric(&house, "duologue_sip_rejected_total{reason=\"header-bad\"}").await, 60);
    // And then there are too many of them.
    let mut sent = 0_u64;
    while metric(&house, "duologue_sip_rejected_total{reason=\"flood\"}").await == 0 {
        assert!(sent < 100_000, "nothing is too much");
        for _ in 0..300 {
            stranger.socket.send(bad.as_bytes()).await.expect("sent");
        }
        sent += 300;
    }
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    stranger.asks().await;
    house.server.stop().await;
}

/// Connected, and whether the server left it so.
async fn connected(house: &House) -> (TcpStream, bool) {
    let mut stream = TcpStream::connect(address(house)).await.expect("a connection");
    let name = "tcp.";
    let kept = async {
        stream.write_all(options(name, "TCP").as_bytes()).await.ok()?;
        let mut buffer = vec![0; 4_096];
        let heard = stream.read(&mut buffer).await.ok()?;
        (heard > 0)
            .then(|| assert!(buffer.starts_with(b"SIP/2.0 200 "), "{}", String::from_utf8_lossy(&buffer[..heard])))
    };
    let kept = tokio::time::timeout(PATIENCE, kept).await.expect("an answer, or an end").is_some();
    (stream, kept)
}

/// Waits until so many connections are open.
async fn open(house: &House, wanted: u64) {
    let patience = std::time::Instant::now() + PATIENCE;
    while metric(house, "duologue_sip_connections").await != wanted {
        assert!(std::time::Instant::now() < patience, "there are not {wanted} connections");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_bounded_and_who_is_there_stays() {
    for limit in ["tcp_most = 3\n", "tcp_most_per_address = 3\n"] {
        let house = house(limit).await;
        let mut there = Vec::new();
        for _ in 0..3 {
            let (stream, kept) = connected(&house).await;
            assert!(kept, "{limit}");
            there.push(stream);
        }
        open(&house, 3).await;
        for n in 1..=5 {
            assert!(!connected(&house).await.1, "{limit}");
            assert_eq!(metric(&house, "duologue_sip_rejected_total{reason=\"connection\"}").await, n);
        }
        // Who was there first is served as ever, and so is who comes over UDP.
        there[0].write_all(options("again.", "TCP").as_bytes()).await.expect("sent");
        let mut buffer = vec![0; 4_096];
        let heard = tokio::time::timeout(PATIENCE, there[0].read(&mut buffer)).await.expect("in time").expect("bytes");
        assert!(String::from_utf8_lossy(&buffer[..heard]).contains("again."));
        Stranger::of(&house).await.asks().await;
        // Who leaves makes room.
        there.truncate(1);
        open(&house, 1).await;
        assert!(connected(&house).await.1);
        drop(there);
        open(&house, 0).await;
        house.server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_connects_and_says_nothing_makes_room_after_a_time() {
    let house = house("tcp_idle_s = 5\ntcp_most = 1\n").await;
    let mut silent = TcpStream::connect(address(&house)).await.expect("a connection");
    open(&house, 1).await;
    let heard = tokio::time::timeout(Duration::from_secs(20), silent.read(&mut [0; 16])).await.expect("an end");
    assert!(matches!(heard, Ok(0) | Err(_)), "{heard:?}");
    open(&house, 0).await;
    house.server.stop().await;
}
