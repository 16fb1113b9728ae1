//! Whatever a client says, and whatever a call does.

use proptest::prelude::*;

use super::{frame, happens, session, told};
use crate::event::{Event, FloorState, LatencyParts, TurnOutcome};
use crate::realtime::ask;

fn some_event() -> impl Strategy<Value = Event> {
    let turn = 1..5_u32;
    let words = "[a-c ]{0,12}";
    prop_oneof![
        prop::sample::select(vec![
            FloorState::Idle,
            FloorState::Caller,
            FloorState::Thinking,
            FloorState::Agent,
            FloorState::Suspect
        ])
        .prop_map(|state| Event::Floor { state }),
        (turn.clone(), words, 0..6_u32).prop_map(|(turn, text, stable)| Event::Partial { turn, text, stable }),
        (turn.clone(), words, any::<bool>()).prop_map(|(turn, text, typed)| Event::Transcript { turn, text, typed }),
        (turn.clone()).prop_map(|turn| Event::TurnStarted { turn, latency: LatencyParts::default() }),
        (turn.clone(), words).prop_map(|(turn, heard)| Event::Words { turn, heard }),
        (turn, words).prop_map(|(turn, heard)| Event::TurnEnded {
            turn,
            outcome: TurnOutcome::Completed,
            generated: heard.clone(),
            heard,
            latency: LatencyParts::default()
        }),
    ]
}

proptest! {
    #[test]
    fn any_text_is_understood_or_refused(text in ".{0,200}", kind in "[a-z_.]{0,40}", body in "[\\[\\]{}\",:a-z0-9]{0,60}") {
        let _ = ask::read(&text);
        let mut session = session();
        session.ask(&format!("{{\"type\":\"{kind}\",\"item\":{body}}}"));
        session.ask(&text);
        prop_assert!(told(&mut session).iter().all(|event| event["type"] == "error"));
    }

    /// Whatever a call says: what is begun is ended once, and no event goes out after the end of its response.
    #[test]
    fn every_response_that_is_created_is_done_once(events in prop::collection::vec(some_event(), 0..40), loud in any::<u64>()) {
        let mut session = session();
        for (n, event) in events.into_iter().enumerate() {
            session.sound(&frame(if loud >> (n % 64) & 1 == 1 { 800 } else { 0 }));
            happens(&mut session, 20 * n as u64, event);
        }
        happens(&mut session, 9_000, Event::CallEnded { reason: "caller-hangup".into(), detail: String::new() });
        let events = told(&mut session);
        let mut open: Option<String> = None;
        let mut speaking = false;
        for event in &events {
            match event["type"].as_str().unwrap_or("") {
                "response.created" => {
                    prop_assert_eq!(&open, &None);
                    open = event["response"]["id"].as_str().map(str::to_owned);
                }
                "response.done" => {
                    let id = event["response"]["id"].as_str().map(str::to_owned);
                    prop_assert_eq!(open.take(), id);
                }
                "input_audio_buffer.speech_started" => prop_assert!(!std::mem::replace(&mut speaking, true)),
                "input_audio_buffer.speech_stopped" => prop_assert!(std::mem::replace(&mut speaking, false)),
                _ => {
                    if let Some(id) = event["response_id"].as_str() {
                        prop_assert_eq!(open.as_deref(), Some(id));
                    }
                }
            }
        }
        prop_assert_eq!(open, None);
        prop_assert!(!speaking);
    }
}
