//! Telephones that have themselves replaced in a call (REFER): from the transfer key of baresip, and by hand what baresip 1.0.0 does not know: with
//! `Replaces`, badly, and in another order. A caller's own call, and that of a human whom a caller was handed over to. `make test` installs
//! baresip (scripts/system-packages.sh --test).

#[path = "sip/baresip.rs"]
mod baresip;
#[path = "bridge/browser.rs"]
mod browser;
#[path = "referral/by_hand.rs"]
mod by_hand;
mod house;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use baresip::{Baresip, More, Sounds, share};
use browser::{Browser, words};
use by_hand::{ByHand, value};
use duologue::audio::LINE_RATE;
use duologue::audio::resample::Resampler;
use duologue_signaling::event::BridgeState;
use house::House;
use house::rows::rows;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

/// The key and the passwords are in a variable that cargo sets for every test, with the value "duologue". Whoever is on this machine may be called,
/// anna alone may have herself replaced.
const SIP: &str = "[review]\nkey_env = \"CARGO_PKG_NAME\"\n[sip]\nlisten = \"127.0.0.1:0\"\nrtp_first = 34000\nrtp_last = 35999\n\
    outbound = [\"*@127.0.0.1:*\"]\noutbound_most = 9\noutbound_a_minute = 100\n";
const FROM_ANNA: &str = "refer_from = [\"anna@127.0.0.1:*\"]\n";
/// Of words that cross in real time so many are read back, also on a machine that is busy with others: a gap of 20 ms costs a word.
const ENOUGH: f32 = 0.7;
const ADA: &str = "Hello this is Ada, I have lost my key";
const DESK: &str = "Desk speaking, how can I help you today";
const HELLO: &str = "Hello desk, this is the agent speaking to you from here on";
const BACK: &str = "You are back with me.";

fn server(house: &House) -> SocketAddr {
    house.server.telephones.as_ref().expect("telephones").address
}

async fn ask(house: &House, path: &str, body: Value) -> Value {
    let asked = Client::new().post(format!("{}/v1/calls{path}", house.url)).bearer_auth("duologue").json(&body);
    let answer = asked.send().await.expect("an answer");
    let (status, told) = (answer.status(), answer.json().await.unwrap_or_default());
    assert_eq!(status, StatusCode::ACCEPTED, "{path}: {told}");
    told
}

/// Waits until there are so many of these rows.
async fn happens(house: &House, sql: &'static str, count: usize) -> Vec<(String,)> {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        house.server.registry.settle().await;
        let found = rows::<(String,)>(house, sql).await;
        if found.len() >= count {
            return found;
        }
        assert!(Instant::now() < patience, "{sql}: {found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until every call is over.
async fn over(house: &House) {
    let patience = Instant::now() + Duration::from_secs(30);
    while house.server.registry.count() > 0 {
        assert!(Instant::now() < patience, "a call goes on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// How the only call ended.
async fn ending(house: &House) -> (String, String) {
    over(house).await;
    let ends = rows::<(String, String)>(house, "SELECT end_reason, end_detail FROM calls").await;
    assert_eq!(ends.len(), 1, "{ends:?}");
    ends[0].clone()
}

async fn refused(house: &House) -> u64 {
    let text = Client::new().get(format!("{}/metrics", house.url)).send().await.expect("an answer");
    let text = text.text().await.expect("a body");
    let name = "duologue_sip_rejected_total{reason=\"refer\"}";
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).expect("a count")
}

/// How it stood with those who were to replace a telephone.
const TRANSFERS: &str = "SELECT json ->> 'state' FROM events WHERE type = 'transfer' ORDER BY id";
const TAKEN: &str = "SELECT json ->> 'by' FROM events WHERE type = 'taken-over'";
const GREETED: &str = "SELECT call FROM events WHERE type = 'turn-started'";

/// A telephone by hand in a call with the agent: it is called by this name.
async fn in_a_call(house: &House, name: &str) -> (ByHand, String) {
    let mut phone = ByHand::of(server(house)).await;
    let told = ask(house, "", json!({"to": phone.address(name), "persona": "porter"})).await;
    let invite = phone.rings().await;
    phone.picks_up(&invite).await;
    let call = told["call"].as_str().expect("a call").to_owned();
    let patience = Instant::now() + Duration::from_secs(20);
    while !happens(house, GREETED, 1).await.contains(&(call.clone(),)) {
        assert!(Instant::now() < patience, "nobody was greeted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    (phone, call)
}

/// What the agent says is said to somebody.
async fn still_talks(house: &House, call: &str) {
    ask(house, &format!("/{call}/say"), json!({"text": HELLO})).await;
    happens(house, "SELECT heard FROM turns WHERE heard LIKE 'Hello desk%' AND outcome = 'completed'", 1).await;
}

/// A telephone that registers, answers, and says this when it has been listening for so long.
async fn registered(house: &House, name: &str, words_at_ms: u32) -> Baresip {
    let quiet =
        Sounds { codec: "PCMA/8000", rate_hz: 8_000, channels: 1, voice_from_ms: 0, voice_ms: 0, all_ms: 60_000 };
    let mut phone = Baresip::registering(server(house).port(), name, "duologue", quiet);
    let mut down = Resampler::new(LINE_RATE, 8_000).expect("two known rates");
    let mut sound = vec![0.0; words_at_ms as usize * 8];
    down.push(&words(DESK).await, &mut sound);
    down.flush(&mut sound);
    sound.resize(60 * 8_000, 0.0);
    phone.plays(&sound, 8_000);
    let patience = Instant::now() + Duration::from_secs(20);
    loop {
        let shown = Client::new().get(format!("{}/v1/phones", house.url)).bearer_auth("duologue").send().await;
        let shown: Value = shown.expect("an answer").json().await.expect("JSON");
        let found = shown.as_array().expect("telephones").iter().find(|phone| phone["name"] == name);
        if found.is_some_and(|phone| phone["contacts"].as_array().is_some_and(|found| !found.is_empty())) {
            return phone;
        }
        assert!(Instant::now() < patience, "{name} is not there: {shown}\n{}", phone.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn baresip_hands_its_call_on_and_whoever_answers_holds_it() {
    let users = "users = [\"anna=CARGO_PKG_NAME\"]\ndigests = [\"MD5\"]\nrefer_from = [\"user:anna\"]\n";
    let house = House::scripted_with(&format!("{SIP}{users}")).await;
    let quiet =
        Sounds { codec: "PCMA/8000", rate_hz: 8_000, channels: 1, voice_from_ms: 0, voice_ms: 0, all_ms: 60_000 };
    let more = More { account: ";auth_user=anna;auth_pass=duologue", ..More::default() };
    let mut phone = Baresip::start_with(server(&house).port(), quiet, more);
    let quiet =
        Sounds { codec: "PCMA/8000", rate_hz: 8_000, channels: 1, voice_from_ms: 0, voice_ms: 0, all_ms: 60_000 };
    let mut desk = Baresip::start(0, quiet);
    phone.dial("porter");
    let call = happens(&house, GREETED, 1).await[0].0.clone();
    phone.transfers(&format!("sip:anna@127.0.0.1:{}", desk.sip));
    let by = happens(&house, TAKEN, 1).await;
    assert_eq!(by, [("anna@127.0.0.1".to_owned(),)]);
    assert!(phone.is_told("Call transfered", Duration::from_secs(10)), "{}", phone.log());
    assert!(desk.is_told("Call established", Duration::from_secs(10)), "{}", desk.log());
    happens(&house, "SELECT call FROM events WHERE type = 'transfer' AND json ->> 'state' = 'done'", 1).await;
    let states: Vec<String> = happens(&house, TRANSFERS, 2).await.into_iter().map(|(state,)| state).collect();
    // It answers as soon as it rings; then nobody hears of the ringing.
    assert!(["askedringingdone", "askeddone"].contains(&states.concat().as_str()), "{states:?}");
    still_talks(&house, &call).await;
    // It is a moment on its way.
    tokio::time::sleep(Duration::from_secs(1)).await;
    desk.hang_up();
    assert_eq!(ending(&house).await.0, "caller-hangup");
    let heard = desk.heard();
    assert!(share(&heard, HELLO) >= ENOUGH, "{heard:?}\n{}", desk.log());
    let callers = rows::<(String,)>(&house, "SELECT name FROM callers JOIN calls ON callers.id = caller_id").await;
    assert_eq!(callers, [("anna".to_owned(),)], "it is her call to the end");
    assert_eq!(refused(&house).await, 0);
    house.server.stop().await;
}

/// The caller is in a browser, the human and his colleague have telephones that are registered.
#[tokio::test(flavor = "multi_thread")]
async fn a_human_whom_a_caller_was_handed_over_to_hands_him_on_to_a_colleague() {
    let phones = "phones = [\"101=CARGO_PKG_NAME\", \"102=CARGO_PKG_NAME\"]\ndigests = [\"MD5\"]\nrefer_from = [\"phone:101\"]\n";
    let house = House::scripted_with(&format!("{SIP}{phones}")).await;
    let (mut human, mut colleague) = tokio::join!(registered(&house, "101", 59_000), registered(&house, "102", 6_000));
    let caller = Browser::call(&house.url, "?persona=porter").await;
    caller.until_turns(1).await;
    ask(&house, &format!("/{}/handover", caller.call), json!({"to": "phone:101", "announce": false})).await;
    caller.until_bridge(BridgeState::Joined).await;
    let before = caller.heard().len();
    human.transfers(&format!("sip:102@{}", server(&house)));
    assert_eq!(happens(&house, TAKEN, 1).await, [("102".to_owned(),)]);
    assert!(human.is_told("Call transfered", Duration::from_secs(10)), "{}", human.log());
    caller.says(ADA).await;
    let patience = Instant::now() + Duration::from_secs(25);
    while share(&caller.heard()[before..], DESK) < ENOUGH {
        assert!(Instant::now() < patience, "the colleague was not heard: {}", colleague.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(house.server.registry.count(), 2, "the two calls that there were");
    colleague.hang_up();
    caller.until_over().await;
    over(&house).await;
    let bridges = rows::<(String, String)>(&house, "SELECT kind, outcome FROM bridges").await;
    assert_eq!(bridges, [("handover".to_owned(), "other-ended".to_owned())], "it is one bridge to the end");
    let heard = colleague.heard();
    assert!(share(&heard, ADA) >= ENOUGH, "{heard:?}\n{}", colleague.log());
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_talk_that_the_telephone_has_had_before_is_taken_over_there() {
    let house = House::scripted_with(&format!("{SIP}{FROM_ANNA}")).await;
    let (mut phone, call) = in_a_call(&house, "anna").await;
    let mut desk = ByHand::of(server(&house)).await;
    let dialog = "consult%40192.0.2.1%3Bto-tag%3Ddesk1%3Bfrom-tag%3Danna1";
    let to = desk.address("desk");
    assert_eq!(phone.refers(&format!("<{to}?Replaces={dialog}&Subject=free>")).await, "202");
    let invite = desk.rings().await;
    assert_eq!(value(&invite, "Replaces"), "consult@192.0.2.1;to-tag=desk1;from-tag=anna1");
    assert!(!invite.contains("Subject") && value(&invite, "Allow").contains("REFER"), "{invite}");
    phone.is_told(&[("100 Trying", "active"), ("180 Ringing", "active")]).await;
    assert_eq!(house.server.registry.count(), 1);
    desk.picks_up(&invite).await;
    phone.is_told(&[("200 OK", "terminated")]).await;
    phone.is_hung_up().await;
    assert_eq!(happens(&house, TAKEN, 1).await[0].0, "desk@127.0.0.1");
    still_talks(&house, &call).await;
    // Who holds the call now is not among those who may hand it on.
    assert_eq!(desk.refers("<sip:anna@127.0.0.1:9>").await, "603");
    assert_eq!(refused(&house).await, 1);
    desk.hangs_up().await;
    assert_eq!(ending(&house).await.0, "caller-hangup");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_human_hands_a_caller_on_to_whom_he_has_asked_first() {
    let house = House::scripted_with(&format!("{SIP}{FROM_ANNA}")).await;
    let mut caller = Browser::call(&house.url, "?persona=porter").await;
    caller.until_turns(1).await;
    let mut phone = ByHand::of(server(&house)).await;
    let asked = json!({"to": phone.address("anna"), "announce": false});
    ask(&house, &format!("/{}/handover", caller.call), asked).await;
    let invite = phone.rings().await;
    phone.picks_up(&invite).await;
    caller.until_bridge(BridgeState::Joined).await;
    let mut desk = ByHand::of(server(&house)).await;
    let to = desk.address("desk");
    assert_eq!(phone.refers(&format!("<{to}?Replaces=1%3Bto-tag%3D2%3Bfrom-tag%3D3>")).await, "202");
    let invite = desk.rings().await;
    assert_eq!(value(&invite, "Replaces"), "1;to-tag=2;from-tag=3");
    desk.picks_up(&invite).await;
    phone.is_hung_up().await;
    assert_eq!(happens(&house, TAKEN, 1).await[0].0, "desk@127.0.0.1");
    assert_eq!(house.server.registry.count(), 2);
    caller.hang_up();
    desk.is_hung_up().await;
    over(&house).await;
    assert_eq!(rows::<(String,)>(&house, "SELECT outcome FROM bridges").await, [("call-ended".to_owned(),)]);
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_asked_or_is_asked_badly_is_refused_and_counted_and_calls_nobody() {
    let rules = "outbound = [\"anna@127.0.0.1:*\", \"porter@127.0.0.1:*\"]";
    let house =
        House::scripted_with(&format!("{SIP}{FROM_ANNA}").replace("outbound = [\"*@127.0.0.1:*\"]", rules)).await;
    let (mut phone, _) = in_a_call(&house, "anna").await;
    let itself = server(&house);
    for (to, status) in [
        ("<sip:+882161234@127.0.0.1>".to_owned(), "603"),
        ("<sip:anna@192.0.2.1>".to_owned(), "603"),
        (format!("<sip:porter@{itself}>"), "603"),
        ("<tel:+4930123>".to_owned(), "416"),
        ("<https://example.org>".to_owned(), "416"),
        ("<sip:127.0.0.1>".to_owned(), "400"),
        ("<sip:a%40b@127.0.0.1>".to_owned(), "400"),
        ("desk".to_owned(), "400"),
        ("<sip:anna@127.0.0.1:9>, <sip:anna@127.0.0.1:9>".to_owned(), "400"),
        ("<sip:anna@127.0.0.1:9>\r\nRefer-To: <sip:anna@127.0.0.1:9>".to_owned(), "400"),
        ("<sip:anna@127.0.0.1:9;method=BYE>".to_owned(), "400"),
        ("<sip:anna@127.0.0.1:9?Replaces=1>".to_owned(), "400"),
    ] {
        assert_eq!(phone.refers(&to).await, status, "{to}");
    }
    let answer = phone.asked("REFER", "").await;
    assert!(answer.starts_with("SIP/2.0 400 ") && value(&answer, "Warning").contains("Refer-To"), "{answer}");
    assert_eq!(refused(&house).await, 13);
    assert_eq!(phone.refers_out_of_nowhere().await, "405");
    assert_eq!(rows::<(i64,)>(&house, "SELECT count(*) FROM events WHERE type = 'transfer'").await, [(0,)]);
    assert_eq!(house.server.telephones.as_ref().expect("telephones").counts().dialled, 1, "that was our own call");
    phone.hangs_up().await;
    assert_eq!(ending(&house).await.0, "caller-hangup");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_no_line_names_is_declined_as_everybody_is_where_there_is_none() {
    for line in ["", "refer_from = [\"ben@127.0.0.1:*\"]\n"] {
        let house = House::scripted_with(&format!("{SIP}{line}")).await;
        let (mut phone, _) = in_a_call(&house, "anna").await;
        assert_eq!(phone.refers("<sip:anna@127.0.0.1:9>").await, "603", "{line}");
        assert_eq!(refused(&house).await, 1);
        phone.hangs_up().await;
        assert_eq!(ending(&house).await.0, "caller-hangup");
        house.server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_comes_the_telephone_is_told_so_and_the_call_goes_on() {
    let most = "outbound_most = 2\n";
    let house = House::scripted_with(&format!("{SIP}{FROM_ANNA}").replace("outbound_most = 9\n", most)).await;
    let (mut phone, call) = in_a_call(&house, "anna").await;
    let (mut desk, mut other) = (ByHand::of(server(&house)).await, ByHand::of(server(&house)).await);
    for (answer, told) in [
        ("486 Busy Here", "486 Busy Here"),
        ("603 Decline", "603 Decline"),
        ("404 Not Found", "503 Service Unavailable"),
    ] {
        assert_eq!(phone.refers(&format!("<{}>", desk.address("desk"))).await, "202");
        let invite = desk.rings().await;
        phone.is_told(&[("100 Trying", "active"), ("180 Ringing", "active")]).await;
        // One at a time.
        assert_eq!(phone.refers(&format!("<{}>", other.address("desk"))).await, "491");
        desk.answers(&invite, answer, "").await;
        desk.hears("ACK ", value(&invite, "Call-ID")).await;
        phone.is_told(&[(told, "terminated")]).await;
    }
    assert!(!other.has_heard("INVITE ", Duration::ZERO).await);
    still_talks(&house, &call).await;
    // Nobody is told of it who does not want to be (RFC 4488).
    let quiet = format!("Refer-To: <{}>\r\nRefer-Sub: false\r\n", desk.address("desk"));
    let answer = phone.asked("REFER", &quiet).await;
    assert!(answer.starts_with("SIP/2.0 202 ") && value(&answer, "Refer-Sub") == "false", "{answer}");
    let invite = desk.rings().await;
    desk.picks_up(&invite).await;
    phone.is_hung_up().await;
    assert!(!phone.has_heard("NOTIFY ", Duration::ZERO).await);
    let states: Vec<String> = happens(&house, TRANSFERS, 12).await.into_iter().map(|(state,)| state).collect();
    assert_eq!(states[..9].concat(), "askedringingfailed".repeat(3));
    assert_eq!(states[9..].concat(), "askedringingdone");
    desk.hangs_up().await;
    assert_eq!(ending(&house).await.0, "caller-hangup");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_telephone_has_no_more_calls_made_than_the_server_itself_may_make() {
    let most = "outbound_most = 1\n";
    let house = House::scripted_with(&format!("{SIP}{FROM_ANNA}").replace("outbound_most = 9\n", most)).await;
    let (mut phone, _) = in_a_call(&house, "anna").await;
    let answer = phone.asked("REFER", "Refer-To: <sip:desk@127.0.0.1:9>\r\n").await;
    assert!(answer.starts_with("SIP/2.0 603 ") && value(&answer, "Warning").contains("sip.outbound_most"), "{answer}");
    phone.hangs_up().await;
    assert_eq!(ending(&house).await.0, "caller-hangup");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_telephone_hangs_up_waits_for_whom_it_has_named() {
    let house = House::scripted_with(&format!("{SIP}{FROM_ANNA}")).await;
    let (mut phone, call) = in_a_call(&house, "anna").await;
    let mut desk = ByHand::of(server(&house)).await;
    assert_eq!(phone.refers(&format!("<{}>", desk.address("desk"))).await, "202");
    let invite = desk.rings().await;
    phone.hangs_up().await;
    let held = "SELECT json ->> 'on' || '' FROM events WHERE type = 'hold' ORDER BY id";
    assert_eq!(happens(&house, held, 1).await, [("1".to_owned(),)]);
    desk.picks_up(&invite).await;
    assert_eq!(happens(&house, TAKEN, 1).await[0].0, "desk@127.0.0.1");
    still_talks(&house, &call).await;
    desk.hangs_up().await;
    assert_eq!(ending(&house).await.0, "caller-hangup");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_telephone_has_hung_up_ends_where_nobody_comes_or_the_agent_ends_it() {
    let house = House::scripted_with(&format!("{SIP}{FROM_ANNA}")).await;
    for declined in [true, false] {
        let (mut phone, call) = in_a_call(&house, "anna").await;
        let mut desk = ByHand::of(server(&house)).await;
        assert_eq!(phone.refers(&format!("<{}>", desk.address("desk"))).await, "202");
        let invite = desk.rings().await;
        phone.hangs_up().await;
        if declined {
            desk.answers(&invite, "603 Decline", "").await;
        } else {
            Client::new().delete(format!("{}/v1/calls/{call}", house.url)).send().await.expect("an answer");
            let cancel = desk.hears("CANCEL ", "").await;
            desk.answers(&cancel, "200 OK", "").await;
            desk.answers(&invite, "487 Request Terminated", "").await;
        }
        over(&house).await;
    }
    let ends =
        rows::<(String, String)>(&house, "SELECT end_reason, end_detail FROM calls ORDER BY started_utc_ms").await;
    let reasons: Vec<&str> = ends.iter().map(|(reason, _)| reason.as_str()).collect();
    assert_eq!(reasons, ["declined", "caller-hangup"], "{ends:?}");
    assert!(ends[0].1.contains("sip:desk@127.0.0.1") && ends[0].1.contains("603"), "{ends:?}");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_whose_human_has_hung_up_is_the_agents_again_where_the_colleague_does_not_come() {
    let house = House::scripted_with(&format!("{SIP}{FROM_ANNA}")).await;
    let mut caller = Browser::call(&house.url, "?persona=porter").await;
    caller.until_turns(1).await;
    let mut phone = ByHand::of(server(&house)).await;
    let asked = json!({"to": phone.address("anna"), "announce": false});
    ask(&house, &format!("/{}/handover", caller.call), asked).await;
    let invite = phone.rings().await;
    phone.picks_up(&invite).await;
    caller.until_bridge(BridgeState::Joined).await;
    let before = caller.heard().len();
    let mut desk = ByHand::of(server(&house)).await;
    assert_eq!(phone.refers(&format!("<{}>", desk.address("desk"))).await, "202");
    let invite = desk.rings().await;
    phone.hangs_up().await;
    desk.answers(&invite, "486 Busy Here", "").await;
    caller.until_bridge(BridgeState::Parted).await;
    let patience = Instant::now() + Duration::from_secs(10);
    while share(&caller.heard()[before..], BACK) < ENOUGH {
        assert!(Instant::now() < patience, "he was not told so: {:?}", caller.heard());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    caller.hang_up();
    over(&house).await;
    let ends = rows::<(String,)>(&house, "SELECT end_reason FROM calls WHERE transport = 'sip-out'").await;
    assert_eq!(ends, [("busy".to_owned(),)]);
    house.server.stop().await;
}
