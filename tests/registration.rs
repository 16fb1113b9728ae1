//! The server registers with an exchange (Kamailio, on loopback) over UDP, TCP and TLS, is called through it, and takes itself out at the
//! end. `make test` installs it (scripts/system-packages.sh --test).

#[path = "sip/baresip.rs"]
mod baresip;
#[path = "tls/certificates.rs"]
mod certificates;
mod house;
#[path = "sip/kamailio.rs"]
mod kamailio;
#[path = "sip/sipp.rs"]
mod sipp;

use std::time::{Duration, Instant};

use baresip::{Baresip, Sounds};
use certificates::Certificates;
use house::House;
use house::rows::rows;
use kamailio::{Exchange, Kamailio};
use sipp::sipp;

/// The password is in a variable that cargo sets for every test, with the value "duologue". Whoever else calls needs one as well.
async fn house(exchange: u16) -> House {
    house_at(&format!("127.0.0.1:{exchange}"), "").await
}

/// `at`: host, port and parameters of the exchange. `more` are further lines of `[sip]`.
async fn house_at(at: &str, more: &str) -> House {
    let sip = format!(
        "[sip]\nlisten = \"127.0.0.1:0\"\nrtp_first = 28000\nrtp_last = 29999\nnumbers = [\"4711=porter\"]\n\
         users = [\"nobody=CARGO_PKG_NAME\"]\nregister = [\"office\"]\n\
         trunks = [\"office=sip:4711@{at} CARGO_PKG_NAME\"]\n{more}"
    );
    House::scripted_with(&sip).await
}

/// Waits until a meter has this value.
async fn reads(house: &House, meter: &str, value: u32, log: impl Fn() -> String) {
    let (patience, line) = (Instant::now() + Duration::from_secs(20), format!("{meter} {value}\n"));
    loop {
        let metrics =
            reqwest::get(format!("{}/metrics", house.url)).await.expect("an answer").text().await.expect("text");
        if metrics.contains(&line) {
            return;
        }
        assert!(Instant::now() < patience, "no {line}{metrics}\n{}", log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn over(house: &House, phone: &mut Baresip) {
    let patience = Instant::now() + Duration::from_secs(20);
    while house.server.registry.count() > 0 {
        assert!(Instant::now() < patience, "the call goes on: {}", phone.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

const QUIET: Sounds<'_> =
    Sounds { codec: "PCMA/8000", rate_hz: 8_000, channels: 1, voice_from_ms: 0, voice_ms: 0, all_ms: 60_000 };

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_calls_where_it_was_told_to() {
    let exchange = Kamailio::start("duologue");
    let house = house(exchange.port).await;
    reads(&house, "duologue_sip_registrations", 1, || exchange.log()).await;
    // It keeps it for four seconds: what it knows then it was told again.
    tokio::time::sleep(Duration::from_secs(9)).await;
    let mut phone = Baresip::start(exchange.port, QUIET);
    phone.dial("4711");
    assert!(phone.is_told("Call established", Duration::from_secs(10)), "{}\n{}", phone.log(), exchange.log());
    tokio::time::sleep(Duration::from_secs(1)).await;
    phone.hang_up();
    over(&house, &mut phone).await;
    let calls: Vec<(String, String)> = rows(&house, "SELECT persona, end_reason FROM calls").await;
    assert_eq!(calls, [("porter".to_owned(), "caller-hangup".to_owned())]);
    house.server.stop().await;
    phone.dial("4711");
    assert!(phone.is_told("404 Not Here", Duration::from_secs(5)), "it was taken out: {}", phone.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_let_in_tries_again_and_says_so() {
    let exchange = Kamailio::start("another");
    let house = house(exchange.port).await;
    reads(&house, "duologue_sip_registrations_missing", 1, || exchange.log()).await;
    house.server.stop().await;
}

/// What is called is what was registered, over the way on which it was.
#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_over_tcp_and_over_tls_calls_where_it_was_told_to() {
    let files = Certificates::new();
    for name in ["server", "exchange"] {
        files.issue(name, "127.0.0.1");
    }
    let (certificate, key) = (files.path("exchange.pem"), files.path("exchange-key.pem"));
    for way in ["tcp", "tls"] {
        let exchange = Kamailio::exchange(Exchange {
            password: "duologue",
            tcp: true,
            tls: (way == "tls").then_some((&certificate, &key)),
            ..Exchange::default()
        });
        let port = exchange.port + u16::from(way == "tls");
        let more = format!("tls_ca = \"{}\"\n{}", files.path("ca.pem").display(), files.lines("server"));
        let house = house_at(&format!("127.0.0.1:{port};transport={way}"), &more).await;
        reads(&house, "duologue_sip_registrations", 1, || exchange.log()).await;
        assert!(exchange.log().contains(&format!("registered over {way} for 3600")), "{}", exchange.log());
        let mut phone = Baresip::start(exchange.port, QUIET);
        phone.dial("4711");
        assert!(phone.is_told("Call established", Duration::from_secs(10)), "{}\n{}", phone.log(), exchange.log());
        let log = exchange.log().to_lowercase();
        let called = log.lines().find(|line| line.contains("calls sip:4711@127.0.0.1:")).expect("a call");
        assert!(called.contains(&format!(";transport={way};line=")), "{log}");
        phone.hang_up();
        over(&house, &mut phone).await;
        // sipp, which knows no TLS, calls through it: ten at a time.
        sipp(exchange.port, "4711", "dispatched.xml", &["-d", "500", "-m", "20", "-r", "10"]).await;
        over(&house, &mut phone).await;
        let calls: Vec<(String, i64)> = rows(&house, "SELECT end_reason, count(*) FROM calls GROUP BY 1").await;
        assert_eq!(calls, [("caller-hangup".to_owned(), 21)], "{way}");
        house.server.stop().await;
        assert!(exchange.log().contains(&format!("registered over {way} for 0")), "{}", exchange.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_that_wants_to_be_told_less_often_is() {
    let exchange = Kamailio::exchange(Exchange { password: "duologue", least_s: 120, ..Exchange::default() });
    let house = house_at(&format!("127.0.0.1:{}", exchange.port), "register_s = 60\n").await;
    reads(&house, "duologue_sip_registrations", 1, || exchange.log()).await;
    let (log, brief, enough) = (exchange.log(), "too brief: 60\n", "registered over udp for 120\n");
    assert!(log.find(brief).is_some_and(|at| log[at..].contains(enough)), "{log}");
    house.server.stop().await;
}

/// Over UDP anybody can write the exchange's address into a packet. Here it is everybody's: 127.0.0.1.
#[tokio::test(flavor = "multi_thread")]
async fn who_has_the_address_of_an_exchange_and_was_told_nothing_is_asked_for_a_password() {
    let exchange = Kamailio::start("duologue");
    let house = house(exchange.port).await;
    reads(&house, "duologue_sip_registrations", 1, || exchange.log()).await;
    let port = house.server.telephones.as_ref().expect("telephones").address.port();
    sipp(port, "4711", "no_password.xml", &[]).await;
    assert_eq!(rows::<(i64,)>(&house, "SELECT count(*) FROM calls").await, [(0,)]);
    // Whom the exchange puts through needs none.
    sipp(exchange.port, "4711", "dispatched.xml", &["-d", "300"]).await;
    let patience = Instant::now() + Duration::from_secs(20);
    while rows::<(i64,)>(&house, "SELECT count(*) FROM calls WHERE end_reason = 'caller-hangup'").await != [(1,)] {
        assert!(Instant::now() < patience, "no call came through: {}", exchange.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    house.server.stop().await;
}
