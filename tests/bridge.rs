//! Two calls that are connected: the sound of each at the other, agents that only listen, and a caller who is handed over. Browsers are
//! our own peers (ICE, DTLS, SRTP, Opus), in virtual time among themselves and in real time with telephones: baresip and sipp, on
//! loopback. `make test` installs both (scripts/system-packages.sh --test).

#[path = "sip/baresip.rs"]
mod baresip;
#[path = "bridge/browser.rs"]
mod browser;
mod common;
mod house;
#[path = "bridge/kept.rs"]
mod kept;
#[path = "sip/sipp.rs"]
mod sipp;
#[path = "bridge/taking_over.rs"]
mod taking_over;

use std::time::{Duration, Instant};

use baresip::{Baresip, Sounds, share};
use browser::{Browser, words};
use duologue::audio::resample::Resampler;
use duologue::audio::{LINE_FRAME, LINE_RATE};
use duologue::backend::scripted_voice::{WordCode, heard};
use duologue::bridge::{Bridges, Manners};
use duologue::call::bridging::NotBridged;
use duologue::config::Handover;
use duologue::recording::{Consent, SealKeys, file_of, read};
use duologue::replay::{journal_of, open};
use duologue::time::TICK;
use duologue_core::replay::again::again;
use duologue_signaling::event::{BridgeState, Event};
use house::House;
use house::rows::rows;
use house::stage::{Phone, Stage, recorded_stage};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use sipp::Called;

const BACK: &str = "You are back with me.";
const ADA: &str = "Hello this is Ada, I have lost my key";
const BEN: &str = "Good morning Ada, which room is it";

fn bridges(stage: &Stage) -> Bridges {
    Bridges::new(stage.registry.clone(), None, Manners::from(&Handover::default()))
}

/// Says this, tick by tick, and hears meanwhile.
async fn says(phone: &mut Phone, text: &str) {
    let sound = words(text).await;
    let mut tick = tokio::time::interval(TICK);
    for part in sound.chunks(LINE_FRAME) {
        tick.tick().await;
        let mut frame = [0.0; LINE_FRAME];
        frame[..part.len()].copy_from_slice(part);
        let payload = phone.encoder.encode(&frame).expect("a packet");
        let timestamp = u32::from(phone.sequence).wrapping_mul(LINE_FRAME as u32);
        phone.peer.line.send_rtp(phone.sequence, timestamp, false, payload);
        phone.sequence = phone.sequence.wrapping_add(1);
        phone.listen();
    }
}

fn told(phone: &Phone) -> Vec<BridgeState> {
    let states = phone.events.iter().filter_map(|stamped| match &stamped.event {
        Event::Bridge { state, .. } => Some(*state),
        _ => None,
    });
    states.collect()
}

fn judged(phone: &Phone) -> usize {
    phone.events.iter().filter(|stamped| matches!(stamped.event, Event::Judgement { .. })).count()
}

fn ms(text: &str) -> u64 {
    text.split_whitespace().count() as u64 * 300
}

#[tokio::test(start_paused = true)]
async fn two_who_are_connected_hear_each_other_and_their_agents_only_listen() {
    let stage = recorded_stage("Good evening.", &["I have lost my key.", "Which room is it?"], Consent::Silent).await;
    let mut ada = Phone::call(&stage, "porter").await;
    let mut ben = Phone::call(&stage, "porter").await;
    tokio::join!(ada.wait(2_500), ben.wait(2_500));
    let bridges = bridges(&stage);
    bridges.bridge(&ada.call, &ben.call).expect("connected");
    assert_eq!(bridges.bridge(&ben.call, &ada.call), Err(NotBridged::Already(ben.call.clone())));
    assert_eq!(bridges.bridge(&ben.call, &ben.call), Err(NotBridged::Itself));
    assert_eq!(bridges.bridge(&ben.call, "nobody"), Err(NotBridged::Already(ben.call.clone())));
    tokio::join!(ada.wait(500), ben.wait(500));
    assert_eq!((told(&ada), told(&ben)), (vec![BridgeState::Joined], vec![BridgeState::Joined]));
    let before = (ada.sound.len(), ben.sound.len());
    tokio::join!(says(&mut ada, ADA), ben.wait(ms(ADA)));
    tokio::join!(ada.wait(2_000), ben.wait(2_000));
    tokio::join!(ada.wait(ms(BEN)), says(&mut ben, BEN));
    tokio::join!(ada.wait(2_500), ben.wait(2_500));
    assert_eq!(heard(&ben.sound[before.1..], LINE_RATE), WordCode::of_text(ADA));
    assert_eq!(heard(&ada.sound[before.0..], LINE_RATE), WordCode::of_text(BEN));
    assert_eq!((judged(&ada), judged(&ben)), (0, 0), "nobody judges what people say to each other");
    // Parted, each is with the agent again, which says so and answers.
    assert_eq!(bridges.part(&ada.call), Some(true));
    tokio::join!(ada.wait(4_000), ben.wait(4_000));
    assert_eq!(told(&ben), [BridgeState::Joined, BridgeState::Parted]);
    assert_eq!(bridges.part(&ada.call), Some(false));
    let last = |phone: &Phone| phone.ended_turns().last().map(|(_, heard)| heard.clone());
    assert_eq!((last(&ada).as_deref(), last(&ben).as_deref()), (Some(BACK), Some(BACK)));
    let silence = ben.sound.len();
    tokio::join!(says(&mut ada, ADA), ben.wait(ms(ADA)));
    tokio::join!(ada.wait(4_000), ben.wait(4_000));
    assert_eq!(heard(&ben.sound[silence..], LINE_RATE), [], "they do not hear each other any more");
    assert!(judged(&ada) > 0 && ada.ended_turns().len() > 2, "the agent answers: {:?}", ada.ended_turns());
    // Two browsers speak one codec: their packets went across as they came, and the stream has no gap where they began or ended.
    let numbers: Vec<u16> = ben.packets.iter().map(|packet| packet.sequence).collect();
    assert!(
        numbers.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)),
        "no packet is missing, and none comes twice"
    );
    let clocks = ben.packets.windows(2).map(|pair| pair[1].timestamp.wrapping_sub(pair[0].timestamp));
    assert!(
        clocks.clone().all(|clocks| (960..=2_880).contains(&clocks)),
        "{:?}",
        clocks.filter(|c| *c != 960).collect::<Vec<_>>()
    );
    let calls = (ada.call.clone(), ben.call.clone());
    stage.registry.shut_down().await;
    stage.registry.settle().await;
    assert!(relayed(&stage).await > 400, "{} packets were passed on", relayed(&stage).await);
    are_rows_and_files_right(&stage, &calls.0, &calls.1).await;
}

/// Packets that went across as they came.
async fn relayed(stage: &Stage) -> i64 {
    use sqlx::ConnectOptions as _;
    let options =
        sqlx::sqlite::SqliteConnectOptions::new().filename(stage.folder.path().join("calls.db")).read_only(true);
    let mut database = options.connect().await.expect("a database");
    sqlx::query_scalar("SELECT relayed FROM bridges").fetch_one(&mut database).await.expect("a row")
}

/// What each said stands with his own call; what he heard is the other side of its recording; and either call is the same again.
async fn are_rows_and_files_right(stage: &Stage, ada: &str, ben: &str) {
    let reader = stage.store.reader();
    for (call, said, other) in [(ada, "I have lost my key.", BEN), (ben, "Which room is it?", ADA)] {
        let shown = reader.call(call).await.expect("readable").expect("kept");
        let caller: Vec<&str> =
            shown.turns.iter().filter(|turn| turn.speaker == "caller").map(|turn| turn.text.as_str()).collect();
        assert_eq!(caller.first(), Some(&said));
        let [_, right] = read(&stage.folder.path().join(file_of(&call.to_owned()))).expect("a recording");
        let heard = heard(&right, LINE_RATE);
        assert!(share(&heard, other) > 0.99, "{call} was recorded as it was sent");
        let journal = open(&stage.folder.path().join(journal_of(&call.to_owned())), &SealKeys::default());
        let found = again(&journal.expect("a journal").journal).expect("a machine");
        assert_eq!((found.difference, found.whole), (None, true), "{call} is the same again");
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_left_alone_is_with_the_agent_again() {
    let stage = recorded_stage("", &["Are you there?"], Consent::Silent).await;
    let mut ada = Phone::call(&stage, "porter").await;
    let mut ben = Phone::call(&stage, "porter").await;
    tokio::join!(ada.wait(500), ben.wait(500));
    bridges(&stage).bridge(&ada.call, &ben.call).expect("connected");
    tokio::join!(ada.wait(1_000), ben.wait(1_000));
    ben.peer.close().await;
    ada.wait(4_000).await;
    assert_eq!(told(&ada), [BridgeState::Joined, BridgeState::Parted]);
    assert_eq!(ada.ended_turns().last().map(|(_, heard)| heard.as_str()), Some(BACK));
    assert!(!ada.over, "the call goes on");
    stage.registry.shut_down().await;
}

#[tokio::test(start_paused = true)]
async fn who_does_not_want_to_be_recorded_is_not_in_the_other_recording_either() {
    let stage = recorded_stage("", &[], Consent::Silent).await;
    let mut ada = Phone::call(&stage, "porter").await;
    let mut ben = Phone::call(&stage, "porter").await;
    ada.peer.line.send_message(r#"{"type":"record","on":false}"#.into());
    tokio::join!(ada.wait(500), ben.wait(500));
    bridges(&stage).bridge(&ada.call, &ben.call).expect("connected");
    tokio::join!(ada.wait(500), ben.wait(500));
    tokio::join!(says(&mut ada, ADA), ben.wait(ms(ADA)));
    tokio::join!(ada.wait(500), ben.wait(500));
    assert_eq!(heard(&ben.sound, LINE_RATE), WordCode::of_text(ADA));
    let call = ben.call.clone();
    stage.registry.shut_down().await;
    let [_, right] = read(&stage.folder.path().join(file_of(&call))).expect("a recording");
    assert_eq!(heard(&right, LINE_RATE), []);
}

#[tokio::test(start_paused = true)]
async fn an_echo_is_nobody_to_be_connected_with() {
    let stage = recorded_stage("", &[], Consent::Silent).await;
    let ada = Phone::call(&stage, "porter").await;
    let echo = Phone::call(&stage, "echo").await;
    let refused = bridges(&stage).bridge(&ada.call, &echo.call);
    assert_eq!(refused, Err(NotBridged::NobodyTalks(echo.call.clone())));
    assert_eq!(bridges(&stage).part(&ada.call), Some(false), "what was refused has taken nobody");
    stage.registry.shut_down().await;
}

/// The key is in a variable that cargo sets for every test, with the value "duologue". Whoever is on this machine may be called.
const SIP: &str = "[review]\nkey_env = \"CARGO_PKG_NAME\"\n[sip]\nlisten = \"127.0.0.1:0\"\nrtp_first = 28000\nrtp_last = 29999\n\
    outbound = [\"*@127.0.0.1:*\"]\noutbound_most = 9\noutbound_a_minute = 100\n";

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

/// A telephone that is quiet.
fn quiet() -> Sounds<'static> {
    Sounds { codec: "PCMA/8000", rate_hz: 8_000, channels: 1, voice_from_ms: 0, voice_ms: 0, all_ms: 60_000 }
}

/// A telephone that answers, and says this when it has been listening for so long.
async fn desk(words_at_ms: u32) -> Baresip {
    let phone = Baresip::start(0, quiet());
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
    while share(&caller.heard()[before..], DESK) < 0.99 {
        assert!(Instant::now() < patience, "the desk was not heard: {}", phone.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(share(&caller.heard()[before..], ASKING) > 0.99, "the caller was told that he is put through");
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
    assert!(share(&at_the_desk, &format!("{BRIEFING} {ADA}")) > 0.9, "at the desk: {at_the_desk:?}\n{}", phone.log());
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
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(share(&caller.heard()[before..], &format!("{ASKING} {NOBODY}")) > 0.99, "{scenario}");
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
    assert!(share(&caller.heard(), BACK) > 0.99);
    let turns = caller.events().len();
    caller.says("What time does the kitchen close").await;
    caller.until_turns(5).await;
    assert!(caller.events().len() > turns);
    caller.hang_up();
    over(&house).await;
    assert_eq!(outcome(&house).await, "other-ended");
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
