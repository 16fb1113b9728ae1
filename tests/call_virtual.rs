//! Whole calls in virtual time: real ICE, DTLS, SRTP, SCTP, Opus and SQLite, a network in memory, the scripted back ends, and
//! tokio's paused clock. A minute of call takes about a second.

mod house;

use house::stage::*;
use std::time::Duration;

use duologue::audio::{LINE_FRAME, LINE_RATE};
use duologue::backend::scripted_voice::{WordCode, heard};
use duologue::call::registry::Asked;
use duologue::call::wire::Control;
use duologue::call_client::conductor::Pace;
use duologue::call_client::conversation::{Handset, converse};
use duologue::journal::EndReason;
use duologue::peer::Port;
use duologue::peer::client::Caller;
use duologue::peer::net::{Memory, Weather};
use duologue_signaling::event::{Event, TurnOutcome};
use sqlx::{ConnectOptions as _, sqlite::SqliteConnectOptions};

/// What the caller's ears made of the agent's tones.
fn words_in(sound: &[f32]) -> Vec<WordCode> {
    heard(sound, LINE_RATE)
}

#[tokio::test(start_paused = true)]
async fn a_question_is_answered_on_the_same_track_and_the_rows_say_so() {
    let stage = stage("Good evening.", &["What time do you close?"]).await;
    let mut phone = Phone::call(&stage, "porter").await;
    phone.wait(2_000).await;
    phone.speak(1_500).await;
    phone.wait(8_000).await;
    let answer = "The kitchen closes at ten. The bar closes at midnight, every day of the week.";
    assert_eq!(
        phone.ended_turns(),
        [(TurnOutcome::Completed, "Good evening.".into()), (TurnOutcome::Completed, answer.into())]
    );
    let expected: Vec<WordCode> = WordCode::of_text(&format!("Good evening. {answer}"));
    assert_eq!(words_in(&phone.sound), expected, "the caller's ears agree with the ledger");

    phone.peer.close().await;
    stage.registry.shut_down().await;
    stage.registry.settle().await;
    let call = stage.store.reader().call(&phone.call).await.expect("readable").expect("kept");
    let turns: Vec<&str> = call.turns.iter().map(|turn| turn.text.as_str()).collect();
    assert_eq!(turns, ["Good evening.", "What time do you close?", answer]);
    assert_eq!(call.turns[2].heard.as_deref(), Some(answer));
}

/// Each word of the agent as the rows have it: from leaving to being heard, milliseconds, and how that is known.
async fn ways(stage: &Stage) -> Vec<(i64, String)> {
    stage.registry.settle().await;
    let path = stage.folder.path().join("calls.db");
    let mut rows = SqliteConnectOptions::new().filename(&path).read_only(true).connect().await.expect("a database");
    sqlx::query_as("SELECT heard_ms - sent_ms, heard_by FROM words WHERE state = 'heard' ORDER BY call, turn, n")
        .fetch_all(&mut rows)
        .await
        .expect("words")
}

/// `duologue call` plays what it hears with a delay of its own, behind a network of 60 ms, and says so.
#[tokio::test(start_paused = true)]
async fn a_caller_who_reports_what_it_plays_is_known_to_the_word() {
    let weather = Weather { delay: Duration::from_millis(60), ..Weather::default() };
    let greeting = "Good evening, this is the house at the harbour, and the kitchen is open until ten.";
    let stage = stage_in(greeting, &[], Memory::new(weather)).await;
    let port = Port::bind_in(any_port(), &stage.network).await.expect("a port");
    let caller = Caller::new(&port).await.expect("an offer");
    let opened = stage.registry.open(caller.offer(), Asked::default()).await.expect("a call");
    let mut peer = caller.answered(&opened.answer).await.expect("a usable answer");
    let pace = Pace {
        turn_gap: Duration::from_secs(1),
        wait_for_agent: true,
        patience: Duration::from_secs(9),
        hang_up_after: Some(Duration::from_secs(9)),
    };
    let set = Handset { playout_delay: Duration::from_millis(200), echo: None };
    converse(&mut peer, &[], pace, set, |_, _| {}).await.expect("a call");
    peer.close().await;
    stage.registry.shut_down().await;
    let ways = ways(&stage).await;
    assert_eq!(ways.len(), 16, "{ways:?}");
    // The first words are over before the first report is here.
    let (estimated, reported): (Vec<_>, Vec<_>) = ways.iter().partition(|(_, by)| by == "estimate");
    assert!(estimated.len() <= 4, "{ways:?}");
    // Until a report of the network's has come back, a report's own way here is not known and counts with the rest.
    assert!(reported.iter().all(|(way, _)| (220..=360).contains(way)), "200 and 60 ms, and 60 back: {ways:?}");
    let known = reported.iter().filter(|(way, _)| (220..=300).contains(way)).count();
    assert!(known >= 10, "200 and 60 ms, to 40: {ways:?}");
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_reports_nothing_is_taken_for_a_usual_one() {
    let stage = stage("Good evening.", &[]).await;
    let mut phone = Phone::call(&stage, "porter").await;
    phone.wait(3_000).await;
    phone.peer.close().await;
    stage.registry.shut_down().await;
    let ways = ways(&stage).await;
    assert_eq!(ways.len(), 2);
    assert!(ways.iter().all(|(way, by)| by == "estimate" && (100..=125).contains(way)), "{ways:?}");
}

/// Invariant 2.
#[tokio::test(start_paused = true)]
async fn every_tick_sends_one_packet_silence_included() {
    let stage = stage("Good evening.", &["What time do you close?"]).await;
    let mut phone = Phone::call(&stage, "porter").await;
    phone.wait(1_500).await;
    phone.speak(1_000).await;
    phone.wait(20_000).await;
    assert!((1_120..=1_126).contains(&phone.packets.len()), "{} packets in 22.5 s", phone.packets.len());
    for pair in phone.packets.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        assert_eq!(pair[1].timestamp, pair[0].timestamp.wrapping_add(LINE_FRAME as u32));
    }
}

#[tokio::test(start_paused = true)]
async fn talking_over_the_agent_stops_it_and_the_rows_keep_what_was_heard() {
    let stage = stage("", &["When do you close?", "Never mind."]).await;
    let mut phone = Phone::call(&stage, "porter").await;
    phone.wait(500).await;
    phone.speak(1_200).await;
    phone.wait(2_500).await;
    phone.speak(1_000).await;
    phone.wait(4_000).await;
    let turns = phone.ended_turns();
    assert_eq!(turns[0].0, TurnOutcome::Interrupted, "{turns:?}");
    assert!(turns[0].1.starts_with("The kitchen") && turns[0].1.len() < 60, "{turns:?}");
    assert_eq!(turns[1], (TurnOutcome::Completed, "I see.".into()));
    // One more word may have begun to sound when the agent stopped.
    let ears = words_in(&phone.sound);
    let ledger = WordCode::of_text(&format!("{} I see.", turns[0].1));
    assert!(
        ears.len() == ledger.len() || ears.len() == ledger.len() + 1,
        "{} heard, {} kept",
        ears.len(),
        ledger.len()
    );
}

#[tokio::test(start_paused = true)]
async fn a_cough_holds_the_agent_and_no_word_is_lost() {
    // The recogniser finds no words in the second sound.
    let stage = stage("", &["When do you close?", ""]).await;
    let mut phone = Phone::call(&stage, "porter").await;
    phone.wait(500).await;
    phone.speak(1_200).await;
    phone.wait(2_500).await;
    phone.speak(140).await;
    phone.wait(8_000).await;
    let turns = phone.ended_turns();
    assert_eq!(turns.len(), 1, "{turns:?}");
    assert_eq!(turns[0].0, TurnOutcome::Completed);
}

#[tokio::test(start_paused = true)]
async fn the_answer_comes_through_loss_and_jitter() {
    let weather = Weather { loss: 0.05, jitter: Duration::from_millis(30), ..Weather::default() };
    let stage = stage_in("", &["What time do you close?"], Memory::new(weather)).await;
    let mut phone = Phone::call(&stage, "porter").await;
    phone.wait(500).await;
    phone.speak(1_500).await;
    phone.wait(9_000).await;
    let completed = phone.ended_turns().iter().filter(|(outcome, _)| *outcome == TurnOutcome::Completed).count();
    assert_eq!(completed, 1, "{:?}", phone.ended_turns());
    // And the line is told to be what it is, while the call runs and afterwards.
    let lost: Vec<f32> = phone
        .events
        .iter()
        .filter_map(|stamped| match stamped.event {
            Event::Quality { loss, .. } => Some(loss),
            _ => None,
        })
        .collect();
    assert!((3..=11).contains(&lost.len()), "at most every second, in 11 s: {lost:?}");
    assert!(lost.iter().any(|loss| (0.01..0.2).contains(loss)), "{lost:?}");
    let end = Control::End { reason: EndReason::CallerHangup, detail: "Enough.".into() };
    assert_eq!(stage.registry.tell(&phone.call, end), Some(true));
    phone.wait(1_000).await;
    stage.registry.settle().await;
    let media = stage.store.reader().call(&phone.call).await.expect("readable").expect("kept").media.expect("counted");
    assert!(media.heard_ms.is_some_and(|ms| (10_500..12_500).contains(&ms)), "{media:?}");
    assert!(media.packets_lost > 5 && media.frames_concealed + media.frames_recovered > 5, "{media:?}");
    assert!(media.jitter_delay_p95_ms >= Some(media.jitter_delay_ms), "{media:?}");
}

/// Invariant 6, at several moments of a call: greeting, listening, thinking, answering.
#[tokio::test(start_paused = true)]
async fn hanging_up_at_any_moment_leaves_nothing_behind() {
    for after_ms in [0, 40, 900, 1_700, 2_400, 3_100, 4_500] {
        let stage = stage("Good evening to you.", &["What time do you close?"]).await;
        let mut phone = Phone::call(&stage, "porter").await;
        phone.wait(after_ms.min(1_000)).await;
        if after_ms > 1_000 {
            phone.speak((after_ms - 1_000).min(1_200)).await;
            phone.wait(after_ms.saturating_sub(2_200)).await;
        }
        let end = Control::End { reason: EndReason::CallerHangup, detail: "Enough.".into() };
        assert_eq!(stage.registry.tell(&phone.call, end), Some(true));
        phone.wait(1_000).await;
        assert_eq!(stage.registry.count(), 0, "after {after_ms} ms");
        // In the first moments the data channel is not open yet: then there is no way to say goodbye.
        let told = matches!(phone.events.last().map(|last| &last.event), Some(Event::CallEnded { .. }));
        assert!(told || phone.events.is_empty() && after_ms < 100, "after {after_ms} ms: {:?}", phone.events.last());
        stage.registry.settle().await;
        let call = stage.store.reader().call(&phone.call).await.expect("readable").expect("kept");
        assert_eq!(call.summary.end_reason.as_deref(), Some("caller-hangup"));
        let counts = stage.registry.port_counts();
        assert_eq!((counts.peers, counts.tasks), (0, 0), "after {after_ms} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_vanishes_without_a_word_is_noticed() {
    let stage = stage("Good evening.", &[]).await;
    let mut phone = Phone::call(&stage, "porter").await;
    phone.wait(1_000).await;
    stage.network.set(Weather { loss: 1.0, ..Weather::default() });
    // On the paused clock: longer than consent to send lasts, and no time at all.
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(stage.registry.count(), 0);
    stage.registry.settle().await;
    let call = stage.store.reader().call(&phone.call).await.expect("readable").expect("kept");
    assert_eq!(call.summary.end_reason.as_deref(), Some("network-gone"));
}

#[tokio::test(start_paused = true)]
async fn one_line_more_than_there_are_is_refused_and_the_others_go_on() {
    let stage = stage("", &[]).await;
    let mut phones = Vec::new();
    for _ in 0..4 {
        phones.push(Phone::call(&stage, "echo").await);
    }
    let port = Port::bind_in(any_port(), &stage.network).await.expect("a port");
    let caller = Caller::new(&port).await.expect("an offer");
    let refused = stage.registry.open(caller.offer(), Asked::default()).await.expect_err("no line is free");
    assert!(refused.to_string().contains("all 4 lines"), "{refused}");
    phones[0].speak(1_000).await;
    assert!(phones[0].packets.len() > 40);
}

/// Every frame that left is counted by how late it was, and the rows say so. In virtual time none is late.
#[tokio::test(start_paused = true)]
async fn how_late_frames_leave_is_kept_with_the_call() {
    let stage = stage("Good evening.", &[]).await;
    let mut phone = Phone::call(&stage, "porter").await;
    phone.wait(2_000).await;
    phone.peer.close().await;
    stage.registry.shut_down().await;
    stage.registry.settle().await;
    let path = stage.folder.path().join("calls.db");
    let mut rows = SqliteConnectOptions::new().filename(&path).read_only(true).connect().await.expect("a database");
    let (frames, sent, worst_ms): (i64, i64, i64) = sqlx::query_as(
        "SELECT frames, packets_sent, worst_ms FROM punctuality JOIN calls ON id = call WHERE frames > 0",
    )
    .fetch_one(&mut rows)
    .await
    .expect("a call");
    assert!((90..=sent).contains(&frames) && sent - frames < 15, "{frames} of {sent}");
    assert_eq!(worst_ms, 1);
}
