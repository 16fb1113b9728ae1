//! The server registers with an exchange (Kamailio, on loopback), is called through it, and takes itself out at the end. `make test`
//! installs it (scripts/system-packages.sh --test).

#[path = "sip/baresip.rs"]
mod baresip;
mod house;
#[path = "sip/kamailio.rs"]
mod kamailio;

use std::time::{Duration, Instant};

use baresip::{Baresip, Sounds};
use house::House;
use house::rows::rows;
use kamailio::Kamailio;

/// The password is in a variable that cargo sets for every test, with the value "duologue". Whoever else calls needs one as well.
async fn house(exchange: u16) -> House {
    let sip = format!(
        "[sip]\nlisten = \"127.0.0.1:0\"\nrtp_first = 28000\nrtp_last = 29999\nnumbers = [\"4711=porter\"]\n\
         users = [\"nobody=CARGO_PKG_NAME\"]\nregister = [\"office\"]\n\
         trunks = [\"office=sip:4711@127.0.0.1:{exchange} CARGO_PKG_NAME\"]\n"
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
    let patience = Instant::now() + Duration::from_secs(20);
    while house.server.registry.count() > 0 {
        assert!(Instant::now() < patience, "the call goes on: {}", phone.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
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
