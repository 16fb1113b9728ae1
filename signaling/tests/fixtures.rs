//! The wire contract, held against the examples that the browser client's tests read as well.

use std::collections::BTreeSet;

use duologue_signaling::event::{ClientMessage, Event, FloorState, Stamped, TurnOutcome};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

const EVENTS: &str = include_str!("../fixtures/events.jsonl");
const CLIENT_MESSAGES: &str = include_str!("../fixtures/client-messages.jsonl");

/// Reads each line and writes it back; returns what was read.
fn read_and_write_back<T: Serialize + DeserializeOwned>(lines: &str) -> Vec<T> {
    lines
        .lines()
        .enumerate()
        .map(|(index, line)| {
            let number = index + 1;
            let value: T = serde_json::from_str(line).unwrap_or_else(|e| panic!("line {number}: {e}: {line}"));
            // By way of text, as on the wire: `to_value` would widen an f32 to its nearest f64.
            let written = serde_json::to_string(&value).unwrap_or_else(|e| panic!("line {number}: {e}"));
            assert_eq!(json(&written), json(line), "line {number}");
            value
        })
        .collect()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn every_event_has_an_example_that_survives_the_way_there_and_back() {
    let events: Vec<Stamped> = read_and_write_back(EVENTS);
    let seen: BTreeSet<&str> = events.iter().map(|stamped| stamped.event.name()).collect();
    assert_eq!(seen, BTreeSet::from(Event::NAMES));
}

#[test]
fn every_event_is_called_on_the_wire_as_the_protocol_says() {
    for line in EVENTS.lines() {
        let stamped: Stamped = serde_json::from_str(line).expect("an event");
        assert_eq!(json(line)["type"], stamped.event.name());
    }
}

#[test]
fn every_floor_state_and_every_outcome_has_an_example() {
    let events: Vec<Stamped> = read_and_write_back(EVENTS);
    for state in [FloorState::Idle, FloorState::Caller, FloorState::Thinking, FloorState::Agent, FloorState::Suspect] {
        assert!(events.iter().any(|e| e.event == Event::Floor { state }), "no floor event with {state:?}");
    }
    for wanted in [TurnOutcome::Completed, TurnOutcome::Interrupted, TurnOutcome::Revoked, TurnOutcome::Failed] {
        let found = events.iter().any(|e| matches!(e.event, Event::TurnEnded { outcome, .. } if outcome == wanted));
        assert!(found, "no turn-ended event with {wanted:?}");
    }
}

#[test]
fn the_example_call_keeps_the_order_that_the_protocol_promises() {
    let events: Vec<Stamped> = read_and_write_back(EVENTS);
    assert!(events.is_sorted_by_key(|stamped| stamped.at_ms), "moments go forward");
    assert!(matches!(events.first().map(|e| &e.event), Some(Event::CallStarted { .. })));
    assert!(matches!(events.last().map(|e| &e.event), Some(Event::CallEnded { .. })));
    for stamped in &events {
        if let Event::TurnEnded { heard, generated, turn, .. } = &stamped.event {
            assert!(generated.starts_with(heard.as_str()), "turn {turn}: heard is a prefix of generated");
        }
    }
}

#[test]
fn every_client_message_has_an_example_that_survives_the_way_there_and_back() {
    let messages: Vec<ClientMessage> = read_and_write_back(CLIENT_MESSAGES);
    let seen: BTreeSet<&str> = messages
        .iter()
        .map(|message| match message {
            ClientMessage::Text { .. } => "text",
            ClientMessage::Mute { .. } => "mute",
            ClientMessage::Playout { .. } => "playout",
            ClientMessage::NewTopic => "new-topic",
            ClientMessage::Persona { .. } => "persona",
            ClientMessage::Microphone { .. } => "microphone",
            ClientMessage::FollowUps { .. } => "follow-ups",
            ClientMessage::Record { .. } => "record",
            ClientMessage::Hangup => "hangup",
        })
        .collect();
    assert_eq!(
        seen,
        BTreeSet::from([
            "follow-ups",
            "hangup",
            "microphone",
            "mute",
            "new-topic",
            "persona",
            "playout",
            "record",
            "text"
        ])
    );
}

#[test]
fn every_example_on_the_protocol_page_is_what_it_says() {
    let page = include_str!("../PROTOCOL.md");
    let starting = |start: &str| page.lines().filter(|line| line.starts_with(start)).collect::<Vec<_>>().join("\n");
    let events: Vec<Stamped> = read_and_write_back(&starting("{\"at_ms\":"));
    let described: Vec<&str> = events.iter().map(|stamped| stamped.event.name()).collect();
    assert_eq!(BTreeSet::from_iter(described), BTreeSet::from(Event::NAMES));
    let messages: Vec<ClientMessage> = read_and_write_back(&starting("{\"type\":"));
    assert_eq!(messages.len(), 9, "text, mute, playout, new-topic, persona, microphone, follow-ups, record, hangup");
    for event in &events {
        assert!(page.contains(&format!("### `{}`", event.event.name())), "{event:?} has its heading");
    }
}
