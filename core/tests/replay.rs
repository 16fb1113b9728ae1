//! Invariant 7: replaying a journal gives the same outputs.

mod line;

use duologue_core::media::downlink::LinkReport;
use duologue_core::media::echo::EchoMeans;
use duologue_core::replay::again::{Difference, again};
use duologue_core::replay::otherwise::otherwise;
use duologue_core::replay::record::Record;
use duologue_signaling::event::{Event, Stamped};
use line::{Script, play};
use proptest::prelude::*;
use std::time::Duration;

prop_compose! {
    fn script()(
        voiced in prop::collection::vec((100u64..3_000, 60u64..2_500), 0..5),
        network in prop::collection::vec((prop::bool::weighted(0.1), prop_oneof![3 => 0u64..10, 1 => 0u64..150]), 1..20),
        lateness in prop::collection::vec(prop_oneof![4 => 0u64..900, 1 => 0u64..30_000], 1..9),
        messages in prop::collection::vec((100u64..8_000, prop::sample::select(vec![
            r#"{"type":"text","text":"Are dogs welcome?"}"#,
            r#"{"type":"mute","on":true}"#,
            r#"{"type":"mute","on":false}"#,
            r#"{"type":"playout","rtp_timestamp":9677,"at_ms":1200}"#,
            r#"{"type":"new-topic"}"#,
            r#"{"type":"persona","name":"nobody"}"#,
            r#"{"type":"microphone","echo_cancelled":false}"#,
            r#"{"type":"record","on":false}"#,
            "nonsense",
            "joined",
            "parted",
        ])), 0..6),
        reports in prop::collection::vec((100u64..8_000, 0u32..250, 0u32..60, prop::option::of(1u64..300)), 0..4),
        asr_ms in 0u64..900,
        token_ms in 0u64..120,
        voice_ms in 0u64..500,
        complete in 0.0f32..1.0,
        judged in any::<bool>(),
        echo in any::<bool>(),
        ends_ms in 200u64..9_000,
    ) -> Script {
        let mut script = Script::new();
        let mut at = 300;
        for (gap, length) in voiced {
            script.voiced.push((at + gap, at + gap + length));
            at += gap + length;
        }
        script.network = network;
        // A tick cannot come after the one that follows it.
        script.lateness = lateness.into_iter().map(|late| late.min(19_000)).collect();
        for (at, text) in messages {
            match text {
                "joined" | "parted" => script.bridged.push((at, text == "joined")),
                text => script.messages.push((at, text.to_owned())),
            }
        }
        script.reports = reports.into_iter().map(|(at, expected, lost, rtt)| (at, LinkReport {
            expected,
            lost: lost.min(expected),
            jitter: Duration::from_millis(3),
            rtt: rtt.map(Duration::from_millis),
        })).collect();
        (script.asr_ms, script.token_ms, script.voice_ms, script.complete) = (asr_ms, token_ms, voice_ms, complete);
        script.settings.judged = judged;
        script.settings.conversation.judging.beside = judged;
        if echo {
            script.settings.echo = EchoMeans::BOTH;
        }
        script.ends_ms = ends_ms;
        script
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Events, rows, requests to back ends and the receiver's totals, with or without an echo canceller, whose reference the
    /// journal does not have; and a call that is played otherwise with nothing changed is that call.
    #[test]
    fn a_replayed_call_is_the_call(script in script()) {
        let played = play(script);
        let found = again(&played.journal).unwrap();
        prop_assert_eq!(&found.difference, &None);
        prop_assert!(found.whole);
        prop_assert_eq!(&found.course.events, &played.events);
        let other = otherwise(&played.journal, played.journal.head.clone()).unwrap();
        prop_assert_eq!(other.guesses, [0; 6]);
        prop_assert_eq!(&other.course.events, &played.events);
    }
}

/// A question and its answer.
fn question() -> Script {
    Script { voiced: vec![(4_500, 5_900)], ends_ms: 12_000, ..Script::new() }
}

fn moment(events: &[Stamped], wanted: impl Fn(&Event) -> bool) -> Option<u64> {
    events.iter().find(|stamped| wanted(&stamped.event)).map(|stamped| stamped.at_ms)
}

#[test]
fn another_setting_moves_what_it_moves_live() {
    let live = play(question());
    let mut patient = question();
    patient.settings.conversation.endpoint.endpoint_ms = 900;
    patient.settings.conversation.endpoint.tail_ms = 700;
    let expected = play(patient.clone());
    let mut head = live.journal.head.clone();
    head.settings = patient.settings;
    let found = otherwise(&live.journal, head).unwrap();
    let answer = |stamped: &[Stamped]| {
        moment(stamped, |event| matches!(event, Event::TurnStarted { turn, .. } if *turn > 1)).expect("an answer")
    };
    let told =
        |events: &[String]| events.iter().map(|json| serde_json::from_str(json).unwrap()).collect::<Vec<Stamped>>();
    let (before, after) = (answer(&told(&live.events)), answer(&told(&expected.events)));
    let would_be = answer(&found.course.stamped);
    assert!(after > before + 300, "the setting matters: {before} and {after} ms");
    assert!(would_be.abs_diff(after) <= 100, "live {after} ms, replayed {would_be} ms; guesses {:?}", found.guesses);
}

#[test]
fn what_was_done_differently_is_found_where_it_is() {
    let mut played = play(question());
    let turn = played
        .journal
        .records
        .iter()
        .position(|record| matches!(record, Record::Said(said) if said.contains("turn-started")));
    let Record::Said(said) = &mut played.journal.records[turn.expect("a turn")] else { panic!("an event") };
    *said = said.replace("turn-started", "turn-stalled");
    let found = again(&played.journal).unwrap();
    let Some(Difference::Event { live: was, again: is, .. }) = found.difference else {
        panic!("{:?}", found.difference)
    };
    assert!(was.is_some_and(|was| was.contains("stalled")) && is.is_some_and(|is| is.contains("started")));

    let mut played = play(question());
    let done = played.journal.records.iter_mut().find(|record| matches!(record, Record::Done(_)));
    *done.expect("a digest") = Record::Done(1);
    assert!(matches!(again(&played.journal).unwrap().difference, Some(Difference::Done { .. })));
}

#[test]
fn a_journal_ends_where_records_are_missing() {
    let mut played = play(question());
    let half = played.journal.records.len() / 2;
    played.journal.records.truncate(half);
    let found = again(&played.journal).unwrap();
    assert!(found.difference.is_none() && !found.whole, "{:?}", found.difference);
    played.journal.records.push(Record::Lost(7));
    played.journal.records.push(Record::Said("what came after the hole".into()));
    let found = again(&played.journal).unwrap();
    assert_eq!((found.lost, found.difference), (7, None));
}
