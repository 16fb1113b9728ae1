//! What is refused, and how it is named.

use serde_json::{Value, json};

use super::{ask, given, kinds, refused, session, told, turn_ended, turn_started};
use crate::event::TurnOutcome;
use crate::realtime::session::{Order, Session, Step};

#[test]
fn an_update_says_what_holds_and_names_what_cannot_be_had() {
    let mut session = session();
    let update = json!({"type": "session.update", "session": {
        "type": "realtime", "instructions": "Be brief.", "output_modalities": ["text"], "tools": [{"type": "function", "name": "f"}],
        "audio": {
            "input": {"format": {"type": "audio/opus"}, "turn_detection": null, "transcription": {"model": "whisper-1"}},
            "output": {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "marin"},
        },
        "input_audio_format": "pcm16",
    }});
    let steps = ask(&mut session, &update);
    assert!(steps.contains(&Step::Order(Order::Become("Be brief.".into()))));
    let events: Vec<&Value> = steps
        .iter()
        .filter_map(|step| match step {
            Step::Tell(event) => Some(event),
            _ => None,
        })
        .collect();
    let params: Vec<&str> = events.iter().filter_map(|event| event["error"]["param"].as_str()).collect();
    assert_eq!(
        std::collections::BTreeSet::from_iter(params),
        std::collections::BTreeSet::from([
            "session.output_modalities",
            "session.tools",
            "session.audio.input.format",
            "session.audio.input.turn_detection",
            "session.input_audio_format",
        ])
    );
    let updated = events.last().expect("a last one");
    assert_eq!(
        (updated["type"].as_str(), updated["session"]["instructions"].as_str()),
        (Some("session.updated"), Some("Be brief."))
    );
    assert_eq!(updated["session"]["audio"]["output"]["voice"], "a-voice", "what holds, not what was wished");
    let other = json!({"type": "session.update", "session": {"type": "transcription"}});
    assert_eq!(refused(&mut session, &other)["param"], "session.type");
}

#[test]
fn what_is_not_there_is_refused_by_its_name() {
    let mut session = session();
    for (message, code, named) in [
        (json!({"type": "conversation.item.delete", "item_id": "x"}), "unsupported", "conversation.item.delete"),
        (json!({"type": "output_audio_buffer.clear"}), "unsupported", "output_audio_buffer.clear"),
        (json!({"type": "response.dance"}), "unknown_event", "response.dance"),
        (
            json!({"type": "response.create", "response": {"conversation": "none"}}),
            "unsupported",
            "response.conversation",
        ),
        (json!({"no": "type"}), "missing_required_parameter", "type"),
        (
            json!({"type": "conversation.item.truncate", "item_id": "x", "content_index": 0}),
            "missing_required_parameter",
            "audio_end_ms",
        ),
        (
            json!({"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": "c", "output": ""}}),
            "unsupported",
            "function_call_output",
        ),
    ] {
        let error = refused(&mut session, &message);
        assert_eq!(error["code"], code, "{error}");
        assert!(error.to_string().contains(named), "{error}");
    }
    session.ask("[]");
    assert_eq!(told(&mut session)[0]["error"]["code"], "invalid_json");
}

#[test]
fn where_the_sound_is_a_track_it_is_no_message() {
    let mut session = Session::new("s", given(), true);
    session.steps();
    let append = json!({"type": "input_audio_buffer.append", "audio": "AAA="});
    assert_eq!(refused(&mut session, &append)["code"], "unsupported");
    turn_started(&mut session, 1_000, 1);
    assert!(kinds(&told(&mut session)).contains(&"output_audio_buffer.started"));
    assert_eq!(ask(&mut session, &json!({"type": "output_audio_buffer.clear"})), [Step::Order(Order::Stop)]);
    turn_ended(&mut session, 1_500, 1, TurnOutcome::Interrupted, "Good");
    assert!(kinds(&told(&mut session)).contains(&"output_audio_buffer.cleared"));
}
