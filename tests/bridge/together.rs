//! Two browsers that are connected, in virtual time: real ICE, DTLS, SRTP, Opus and SQLite, over a network in memory.

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

use super::baresip::share;
use super::browser::words;
use super::house::stage::{Phone, Stage, recorded_stage};
use super::{ADA, BACK};

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
    println!("a packet that is passed on takes {} ms", crossed_ms(&ben, before.1));
    assert!(crossed_ms(&ben, before.1) <= 60, "two ticks, and Opus's own 7 ms: {}", crossed_ms(&ben, before.1));
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

/// How long after it was said the first sound of what is heard from `from` on came, the network's way (none) included.
fn crossed_ms(listener: &Phone, from: usize) -> usize {
    let first = listener.sound[from..].iter().position(|sample| sample.abs() > 0.02).expect("a sound");
    first * 1_000 / LINE_RATE as usize
}

#[tokio::test(start_paused = true)]
async fn a_side_whose_echo_is_taken_out_here_is_heard_through_the_canceller() {
    let stage = recorded_stage("", &["I have lost my key."], Consent::Silent).await;
    let mut ada = Phone::call(&stage, "porter").await;
    let mut ben = Phone::call(&stage, "porter").await;
    ada.peer.line.send_message(r#"{"type":"microphone","echo_cancelled":false}"#.into());
    tokio::join!(ada.wait(1_000), ben.wait(1_000));
    bridges(&stage).bridge(&ada.call, &ben.call).expect("connected");
    tokio::join!(ada.wait(1_000), ben.wait(1_000));
    let before = ben.sound.len();
    tokio::join!(says(&mut ada, ADA), ben.wait(ms(ADA)));
    tokio::join!(ada.wait(1_000), ben.wait(1_000));
    assert!(share(&heard(&ben.sound[before..], LINE_RATE), ADA) > 0.99);
    println!("a frame that is decoded and encoded takes {} ms", crossed_ms(&ben, before));
    assert!(crossed_ms(&ben, before) <= 150, "{}", crossed_ms(&ben, before));
    stage.registry.shut_down().await;
    stage.registry.settle().await;
    let ben_to_ada = (ms(ADA) + 2_000) as i64 / 20;
    assert!((ben_to_ada - 20..=ben_to_ada + 20).contains(&relayed(&stage).await), "only Ben's packets were passed on");
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
