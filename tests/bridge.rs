//! Two calls that are connected: the sound of each at the other, agents that only listen, and a caller who is handed over. Browsers are
//! our own peers (ICE, DTLS, SRTP, Opus), in virtual time among themselves and in real time with telephones: baresip and sipp, on
//! loopback. `make test` installs both (scripts/system-packages.sh --test).

#[path = "sip/baresip.rs"]
mod baresip;
#[path = "bridge/browser.rs"]
mod browser;
#[path = "bridge/by_hand.rs"]
mod by_hand;
mod common;
mod house;
#[path = "bridge/kept.rs"]
mod kept;
#[path = "bridge/leaving.rs"]
mod leaving;
#[path = "sip/sipp.rs"]
mod sipp;
#[path = "bridge/taking_over.rs"]
mod taking_over;
#[path = "bridge/telephones.rs"]
mod telephones;
#[path = "bridge/together.rs"]
mod together;

use std::time::{Duration, Instant};

use baresip::{Baresip, More, Sounds, share};
use browser::{Browser, words};
use duologue::audio::LINE_RATE;
use duologue::audio::resample::Resampler;
use duologue_signaling::event::BridgeState;
use house::House;
use house::rows::rows;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use sipp::Called;

const BACK: &str = "You are back with me.";
const ADA: &str = "Hello this is Ada, I have lost my key";

/// The key is in a variable that cargo sets for every test, with the value "duologue". Whoever is on this machine may be called.
const SIP: &str = "[review]\nkey_env = \"CARGO_PKG_NAME\"\n[sip]\nlisten = \"127.0.0.1:0\"\nrtp_first = 28000\nrtp_last = 29999\n\
    outbound = [\"*@127.0.0.1:*\"]\noutbound_most = 9\noutbound_a_minute = 100\n";

/// Of words that cross in real time so many are read back, also on a machine that is busy with others: a gap of 20 ms costs a word.
const ENOUGH: f32 = 0.7;
const ASKING: &str = "One moment, I am putting you through.";
const NOBODY: &str = "I am sorry, nobody can take your call just now. I am still here.";
const BRIEFING: &str = "I have a caller on the line. The last question: What time does the kitchen close?";
const DESK: &str = "Desk speaking, how can I help you today";

async fn ask(house: &House, call: &str, what: &str, body: Value) -> (StatusCode, Value) {
    let asked = Client::new().post(format!("{}/v1/calls/{call}/{what}", house.url)).bearer_auth("duologue").json(&body);
    let answer = asked.send().await.expect("an answer");
    (answer.status(), answer.json().await.unwrap_or_default())
}

async fn hand_over(house: &House, call: &str, port: u16) -> String {
    let (status, told) = ask(house, call, "handover", json!({"to": format!("sip:anna@127.0.0.1:{port}")})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{told}");
    told["call"].as_str().expect("a call").to_owned()
}

/// Waits until this was heard, from that word on.
async fn hears(caller: &Browser, from: usize, said: &str) {
    let patience = Instant::now() + Duration::from_secs(10);
    while share(&caller.heard()[from..], said) < ENOUGH {
        assert!(Instant::now() < patience, "{said} was not heard: {:?}", caller.heard());
        tokio::time::sleep(Duration::from_millis(100)).await;
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

/// Until a bridge has ended, and how.
async fn outcome(house: &House) -> String {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        let found = rows::<(String,)>(house, "SELECT outcome FROM bridges WHERE outcome IS NOT NULL").await;
        if let Some((outcome,)) = found.into_iter().next() {
            return outcome;
        }
        assert!(Instant::now() < patience, "no bridge has ended");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The desk is gone: the caller asks the agent, is answered, and hangs up.
async fn goes_on_alone(house: &House, caller: &mut Browser) {
    let turns = caller.events().len();
    caller.says("What time does the kitchen close").await;
    caller.until_turns(5).await;
    assert!(caller.events().len() > turns);
    caller.hang_up();
    over(house).await;
    assert_eq!(outcome(house).await, "other-ended");
}

/// A telephone that is quiet.
fn quiet() -> Sounds<'static> {
    Sounds { codec: "PCMA/8000", rate_hz: 8_000, channels: 1, voice_from_ms: 0, voice_ms: 0, all_ms: 60_000 }
}

/// A telephone that answers, and says this when it has been listening for so long.
async fn desk(words_at_ms: u32) -> Baresip {
    desk_with(0, words_at_ms, More::default()).await
}

/// The same, which may call this server, and is told more.
async fn desk_with(server: u16, words_at_ms: u32, more: More<'_>) -> Baresip {
    let phone = Baresip::start_with(server, quiet(), more);
    let mut down = Resampler::new(LINE_RATE, 8_000).expect("two known rates");
    let mut sound = vec![0.0; words_at_ms as usize * 8];
    down.push(&words(DESK).await, &mut sound);
    down.flush(&mut sound);
    sound.resize(60 * 8_000, 0.0);
    phone.plays(&sound, 8_000);
    phone
}

/// A caller who has been greeted, has asked what the kitchen's hours are, and has been told.
async fn caller(house: &House) -> Browser {
    let caller = Browser::call(&house.url, "?persona=porter").await;
    caller.until_turns(1).await;
    caller.says("What time does the kitchen close").await;
    caller.until_turns(2).await;
    caller
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_handed_over_to_somebody_who_has_been_told_of_him() {
    let house = House::scripted_with(SIP).await;
    let mut phone = desk(12_000).await;
    let caller = caller(&house).await;
    let before = caller.heard().len();
    let other = hand_over(&house, &caller.call, phone.sip).await;
    let (status, told) = ask(&house, &caller.call, "handover", json!({"to": "sip:desk@127.0.0.1:9"})).await;
    assert_eq!((status, &told["type"]), (StatusCode::CONFLICT, &"/problems/bridge-under-way".into()), "{told}");
    caller.until_bridge(BridgeState::Joined).await;
    caller.says(ADA).await;
    let patience = Instant::now() + Duration::from_secs(25);
    while share(&caller.heard()[before..], DESK) < ENOUGH {
        assert!(Instant::now() < patience, "the desk was not heard: {}", phone.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(share(&caller.heard()[before..], ASKING) >= ENOUGH, "the caller was told that he is put through");
    // The desk goes on for some words after those that are asked for: they are to be in the rows as well.
    tokio::time::sleep(Duration::from_secs(2)).await;
    phone.hang_up();
    caller.until_over().await;
    over(&house).await;
    let calls: Vec<(String, String, String)> =
        rows(&house, "SELECT id, transport, end_reason || ': ' || end_detail FROM calls ORDER BY started_utc_ms").await;
    let ended = "agent-hangup: Whom the caller was connected with hung up.";
    assert_eq!(calls[0], (caller.call.clone(), "webrtc".into(), ended.into()));
    assert_eq!((&calls[1].0, calls[1].1.as_str()), (&other, "sip-out"));
    let bridge: Vec<(String, String, String, String, i64)> = rows(
        &house,
        "SELECT call, other, kind, outcome, passed FROM bridges WHERE joined_utc_ms > asked_utc_ms AND ended_utc_ms > joined_utc_ms",
    )
    .await;
    assert_eq!(bridge.len(), 1);
    assert_eq!((&bridge[0].0, &bridge[0].1), (&caller.call, &other));
    assert_eq!((bridge[0].2.as_str(), bridge[0].3.as_str()), ("handover", "other-ended"));
    let turns = |speaker: &str| {
        format!("SELECT call, coalesce(heard, text) FROM turns WHERE speaker = '{speaker}' ORDER BY id")
    };
    let agents: Vec<(String, String)> = rows_of(&house, &turns("agent")).await;
    let here: Vec<&str> = agents.iter().filter(|turn| turn.0 == caller.call).map(|turn| turn.1.as_str()).collect();
    assert_eq!((here.len(), here[2]), (3, ASKING), "greeting, answer, and nothing after that: {here:?}");
    let there: Vec<&str> = agents.iter().filter(|turn| turn.0 == other).map(|turn| turn.1.as_str()).collect();
    assert_eq!(there, [BRIEFING]);
    let callers: Vec<(String, String)> = rows_of(&house, &turns("caller")).await;
    let said = |call: &String| callers.iter().filter(|turn| turn.0 == *call && !turn.1.is_empty()).count();
    assert!(said(&caller.call) >= 2 && said(&other) >= 1, "what both said is written down: {callers:?}");
    let at_the_desk = phone.heard();
    for said in [BRIEFING, ADA] {
        let known = share(&at_the_desk, said);
        println!("{:.0} % of it came out of the telephone", known * 100.0);
        assert!(known >= ENOUGH, "{said}: {at_the_desk:?}\n{}", phone.log());
    }
    house.server.stop().await;
}

/// As [`rows`], of a statement that is put together.
async fn rows_of(house: &House, sql: &str) -> Vec<(String, String)> {
    use sqlx::ConnectOptions as _;
    house.server.registry.settle().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(house.database()).read_only(true);
    let mut database = options.connect().await.expect("a database");
    sqlx::query_as(sqlx::AssertSqlSafe(sql.to_owned())).fetch_all(&mut database).await.expect("rows")
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_takes_the_call_the_agent_says_so_and_goes_on() {
    for (scenario, wanted) in [("busy.xml", "busy"), ("declines.xml", "declined"), ("rings.xml", "no-answer")] {
        let house = House::scripted_with(&format!("{SIP}answer_s = 2\n")).await;
        let phone = Called::waiting(scenario, "u1");
        phone.listens().await;
        let mut caller = Browser::call(&house.url, "?persona=porter").await;
        caller.until_turns(1).await;
        let before = caller.heard().len();
        hand_over(&house, &caller.call, phone.port).await;
        caller.until_bridge(BridgeState::Failed).await;
        caller.until_turns(3).await;
        // A turn is over when its sound has left: the last of it is still on its way to the caller.
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(share(&caller.heard()[before..], &format!("{ASKING} {NOBODY}")) >= ENOUGH, "{scenario}");
        assert_eq!(outcome(&house).await, wanted);
        caller.says("What time does the kitchen close").await;
        caller.until_turns(4).await;
        phone.is_content().await;
        caller.hang_up();
        over(&house).await;
        house.server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_hangs_up_while_it_rings_stops_the_ringing() {
    let house = House::scripted_with(SIP).await;
    let phone = Called::waiting("rings.xml", "u1");
    phone.listens().await;
    let mut caller = Browser::call(&house.url, "?persona=porter").await;
    caller.until_turns(1).await;
    hand_over(&house, &caller.call, phone.port).await;
    // It is to ring: a telephone that has said nothing yet cannot be sent a CANCEL (RFC 3261, section 9.1).
    tokio::time::sleep(Duration::from_millis(500)).await;
    caller.hang_up();
    // It is told to stop, with a CANCEL.
    phone.is_content().await;
    assert_eq!(outcome(&house).await, "call-ended");
    over(&house).await;
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_whom_somebody_hangs_up_on_comes_back_to_the_agent_where_that_is_set() {
    let house = House::scripted_with(&format!("{SIP}[handover]\nhuman_leaves = \"agent\"\n")).await;
    let mut phone = desk(60_000).await;
    let mut caller = caller(&house).await;
    hand_over(&house, &caller.call, phone.sip).await;
    caller.until_bridge(BridgeState::Joined).await;
    phone.hang_up();
    caller.until_bridge(BridgeState::Parted).await;
    caller.until_turns(4).await;
    hears(&caller, 0, BACK).await;
    goes_on_alone(&house, &mut caller).await;
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handover_that_is_given_up_hangs_up_on_nobody_but_whom_it_called() {
    let house = House::scripted_with(SIP).await;
    let phone = Called::waiting("rings.xml", "u1");
    phone.listens().await;
    let mut caller = Browser::call(&house.url, "?persona=porter").await;
    caller.until_turns(1).await;
    hand_over(&house, &caller.call, phone.port).await;
    // It is to ring: a telephone that has said nothing yet cannot be sent a CANCEL (RFC 3261, section 9.1).
    tokio::time::sleep(Duration::from_millis(500)).await;
    let path = format!("{}/v1/calls/{}/bridge", house.url, caller.call);
    let parted = Client::new().delete(&path).bearer_auth("duologue").send().await.expect("an answer");
    assert_eq!(parted.status(), StatusCode::ACCEPTED);
    caller.until_bridge(BridgeState::Failed).await;
    phone.is_content().await;
    assert_eq!(outcome(&house).await, "parted");
    assert_eq!(house.server.registry.count(), 1, "the caller is still there");
    let again = Client::new().delete(&path).bearer_auth("duologue").send().await.expect("an answer");
    assert_eq!(again.status(), StatusCode::CONFLICT);
    caller.hang_up();
    over(&house).await;
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_handed_over_only_where_the_server_might_call() {
    let house = House::scripted_with(&SIP.replace("*@127.0.0.1:*", "+4930*@pbx.example")).await;
    let mut caller = Browser::call(&house.url, "?persona=porter").await;
    caller.until_turns(1).await;
    let (status, told) = ask(&house, &caller.call, "handover", json!({"to": "sip:desk@127.0.0.1:5070"})).await;
    assert_eq!((status, &told["type"]), (StatusCode::FORBIDDEN, &"/problems/not-allowed".into()), "{told}");
    assert!(told["fix"].as_str().is_some_and(|fix| fix.contains("sip.outbound")), "{told}");
    let (status, told) = ask(&house, &caller.call, "handover", json!({"to": "phone:101"})).await;
    assert_eq!((status, &told["type"]), (StatusCode::NOT_FOUND, &"/problems/no-such-phone".into()), "{told}");
    let (status, told) = ask(&house, "nobody", "handover", json!({"to": "sip:+4930@pbx.example"})).await;
    assert_eq!((status, &told["type"]), (StatusCode::NOT_FOUND, &"/problems/no-such-call".into()), "{told}");
    let (status, told) = ask(&house, &caller.call, "bridge", json!({"call": caller.call})).await;
    assert_eq!((status, &told["type"]), (StatusCode::CONFLICT, &"/problems/not-bridgeable".into()), "{told}");
    let path = format!("{}/v1/calls/{}/handover", house.url, caller.call);
    let keyless = Client::new().post(path).json(&json!({"to": "sip:+4930@pbx.example"})).send().await;
    assert_eq!(keyless.expect("an answer").status(), StatusCode::UNAUTHORIZED);
    assert_eq!(rows::<(i64,)>(&house, "SELECT count(*) FROM bridges").await, [(0,)]);
    assert_eq!(rows::<(i64,)>(&house, "SELECT count(*) FROM calls").await, [(1,)], "nobody was called");
    caller.hang_up();
    over(&house).await;
    house.server.stop().await;
}
