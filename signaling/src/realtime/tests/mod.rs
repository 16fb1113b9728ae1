//! The translation, told as a client would see it.

mod any;
mod refusing;

use serde_json::{Value, json};

use super::format::Format;
use super::session::{Order, Session, Step};
use super::settings::Given;
use super::tell::base64;
use crate::event::{Event, FloorState, LatencyParts, Stamped, TurnOutcome};

fn given() -> Given {
    Given {
        model: "a-model".into(),
        recogniser: "a-recogniser".into(),
        voice: "a-voice".into(),
        instructions: "You are a porter.".into(),
    }
}

/// A session after its `session.created`.
fn session() -> Session {
    let mut session = Session::new("s", given(), false);
    session.steps();
    session
}

fn told(session: &mut Session) -> Vec<Value> {
    let tell = |step| match step {
        Step::Tell(event) => Some(event),
        _ => None,
    };
    session.steps().into_iter().filter_map(tell).collect()
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().expect("a type")).collect()
}

fn ask(session: &mut Session, message: &Value) -> Vec<Step> {
    session.ask(&message.to_string());
    session.steps()
}

/// The one error that a message brings.
fn refused(session: &mut Session, message: &Value) -> Value {
    match &ask(session, message)[..] {
        [Step::Tell(event)] if event["type"] == "error" => event["error"].clone(),
        other => panic!("{message} brought {other:?}"),
    }
}

fn happens(session: &mut Session, at_ms: u64, event: Event) {
    session.event(&Stamped { at_ms, event }, at_ms);
}

fn floor(session: &mut Session, at_ms: u64, state: FloorState) {
    happens(session, at_ms, Event::Floor { state });
}

fn turn_started(session: &mut Session, at_ms: u64, turn: u32) {
    happens(session, at_ms, Event::TurnStarted { turn, latency: LatencyParts::default() });
}

fn turn_ended(session: &mut Session, at_ms: u64, turn: u32, outcome: TurnOutcome, heard: &str) {
    let (heard, generated) = (heard.to_owned(), format!("{heard} and more"));
    happens(session, at_ms, Event::TurnEnded { turn, outcome, heard, generated, latency: LatencyParts::default() });
}

/// 20 ms.
fn frame(loudness: i16) -> Vec<u8> {
    loudness.to_le_bytes().repeat(480)
}

/// The caller speaks, is understood and answered by turn 2.
fn question_and_answer(session: &mut Session) {
    floor(session, 1_000, FloorState::Caller);
    happens(session, 1_500, Event::Partial { turn: 1, text: "When does it".into(), stable: 2 });
    floor(session, 2_000, FloorState::Thinking);
    happens(session, 2_100, Event::Transcript { turn: 1, text: "When does it close?".into(), typed: false });
    session.sound(&frame(900));
    turn_started(session, 2_500, 2);
}

#[test]
fn a_session_begins_by_saying_what_holds() {
    let mut session = Session::new("s", given(), false);
    let events = told(&mut session);
    assert_eq!(kinds(&events), ["session.created"]);
    let shown = &events[0]["session"];
    assert_eq!((shown["type"].as_str(), shown["model"].as_str()), (Some("realtime"), Some("a-model")));
    assert_eq!(shown["audio"]["output"]["format"], json!({"type": "audio/pcm", "rate": 24_000}));
    assert_eq!(shown["instructions"], "You are a porter.");
}

#[test]
fn a_spoken_turn_and_its_answer_are_items_and_a_response() {
    let mut session = session();
    question_and_answer(&mut session);
    session.sound(&frame(0));
    happens(&mut session, 2_800, Event::Words { turn: 2, heard: "At ten".into() });
    turn_ended(&mut session, 3_000, 2, TurnOutcome::Completed, "At ten.");
    let events = told(&mut session);
    assert_eq!(
        kinds(&events),
        [
            "input_audio_buffer.speech_started",
            "conversation.item.input_audio_transcription.delta",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "conversation.item.input_audio_transcription.completed",
            "response.created",
            "response.output_item.added",
            "conversation.item.added",
            "response.content_part.added",
            "response.output_audio.delta",
            "response.output_audio.delta",
            "response.output_audio_transcript.delta",
            "response.output_audio_transcript.delta",
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "response.output_item.done",
            "conversation.item.done",
            "response.done",
        ]
    );
    assert_eq!((events[0]["audio_start_ms"].as_u64(), events[2]["audio_end_ms"].as_u64()), (Some(610), Some(2_000)));
    assert_eq!(events[1]["delta"], "When does");
    assert_eq!(events[6]["transcript"], "When does it close?");
    let caller = &events[0]["item_id"];
    for event in [&events[2], &events[3], &events[6]] {
        assert_eq!(&event["item_id"], caller, "one item from its first sound to its words");
    }
    assert_eq!(&events[9]["previous_item_id"], caller);
    assert_eq!(events[11]["delta"], base64(&frame(900)), "the sound that came before the turn was told");
    assert_eq!((events[13]["delta"].as_str(), events[14]["delta"].as_str()), (Some("At ten"), Some(".")));
    let response = &events[20]["response"];
    assert_eq!(response["status"], "completed");
    assert_eq!(response["output"][0]["content"][0]["transcript"], "At ten.");
    let ids: std::collections::BTreeSet<_> = events.iter().map(|event| event["event_id"].to_string()).collect();
    assert_eq!(ids.len(), events.len(), "each event has an id of its own");
}

#[test]
fn a_barge_in_cancels_the_response_with_what_was_heard() {
    let mut session = session();
    question_and_answer(&mut session);
    session.steps();
    floor(&mut session, 3_000, FloorState::Suspect);
    floor(&mut session, 3_200, FloorState::Caller);
    turn_ended(&mut session, 3_200, 2, TurnOutcome::Interrupted, "At");
    let events = told(&mut session);
    assert_eq!(kinds(&events)[0], "input_audio_buffer.speech_started");
    let done = &events.last().expect("a last one")["response"];
    assert_eq!(
        (done["status"].as_str(), done["status_details"]["reason"].as_str()),
        (Some("cancelled"), Some("turn_detected"))
    );
    assert_eq!(done["output"][0]["status"], "incomplete");
    assert_eq!(done["output"][0]["content"][0]["transcript"], "At");
}

#[test]
fn a_reply_that_was_never_heard_was_none() {
    let mut session = session();
    turn_ended(&mut session, 900, 2, TurnOutcome::Revoked, "");
    assert_eq!(told(&mut session), Vec::<Value>::new());
}

#[test]
fn a_turn_that_goes_on_after_its_item_gives_another_item_with_the_rest() {
    let mut session = session();
    question_and_answer(&mut session);
    session.steps();
    floor(&mut session, 2_700, FloorState::Caller);
    turn_ended(&mut session, 2_700, 2, TurnOutcome::Interrupted, "");
    let more = "When does it close? On Sundays.";
    happens(&mut session, 3_500, Event::Transcript { turn: 1, text: more.into(), typed: false });
    turn_started(&mut session, 4_000, 3);
    // What is heard more exactly now comes too late for an item.
    happens(&mut session, 4_100, Event::Transcript { turn: 1, text: "Something else".into(), typed: false });
    let events = told(&mut session);
    let words: Vec<&str> = events.iter().filter_map(|event| event["transcript"].as_str()).collect();
    assert_eq!(words, ["", "On Sundays."], "of the agent nothing was heard, of the caller the rest");
}

#[test]
fn sound_of_nobody_s_turn_is_a_response_of_its_own() {
    let mut session = session();
    for loudness in [0, 0, 700, 0] {
        session.sound(&frame(loudness));
    }
    assert_eq!(told(&mut session), Vec::<Value>::new(), "20 ms are the rest of a filter");
    happens(&mut session, 100, Event::Attention { turn: 1, text: "Mm-hm.".into() });
    (0..5).for_each(|_| session.sound(&frame(700)));
    (0..10).for_each(|_| session.sound(&frame(0)));
    let events = told(&mut session);
    assert_eq!(kinds(&events)[0], "response.created");
    let done = &events.last().expect("a last one")["response"];
    assert_eq!(
        (done["status"].as_str(), done["output"][0]["content"][0]["transcript"].as_str()),
        (Some("completed"), Some("Mm-hm."))
    );
    session.sound(&frame(0));
    assert_eq!(told(&mut session), Vec::<Value>::new());
}

#[test]
fn sound_goes_in_as_it_was_spoken() {
    let mut session = session();
    let append = json!({"type": "input_audio_buffer.append", "audio": base64(&[1, 0, 254, 255, 44, 1])});
    assert_eq!(ask(&mut session, &append), [Step::Hear(vec![1, 0, 254, 255, 44, 1])]);
    assert_eq!(ask(&mut session, &json!({"type": "input_audio_buffer.commit"})), []);
    let again = refused(&mut session, &json!({"type": "input_audio_buffer.commit", "event_id": "mine"}));
    assert_eq!(
        (again["code"].as_str(), again["event_id"].as_str()),
        (Some("input_audio_buffer_commit_empty"), Some("mine"))
    );
    let steps = ask(&mut session, &json!({"type": "input_audio_buffer.clear"}));
    assert!(
        matches!(&steps[..], [Step::Forget, Step::Tell(cleared)] if cleared["type"] == "input_audio_buffer.cleared")
    );
    for (audio, code) in [("%", "invalid_value"), ("AA==", "invalid_value")] {
        let error = refused(&mut session, &json!({"type": "input_audio_buffer.append", "audio": audio}));
        assert_eq!((error["code"].as_str(), error["param"].as_str()), (Some(code), Some("audio")), "{error}");
    }
}

#[test]
fn a_telephone_s_format_is_spoken_on_both_sides() {
    let mut session = session();
    let format = json!({"type": "audio/pcmu"});
    let audio = json!({"input": {"format": format}, "output": {"format": format}});
    let update = json!({"type": "session.update", "session": {"audio": audio}});
    let steps = ask(&mut session, &update);
    let [Step::Speak(Format::Pcmu), Step::Tell(updated)] = &steps[..] else { panic!("{steps:?}") };
    assert_eq!(updated["session"]["audio"]["input"]["format"], format);
    assert_eq!(updated["session"]["audio"]["output"]["format"], format);
    let append = json!({"type": "input_audio_buffer.append", "audio": base64(&[1, 2, 3])});
    assert_eq!(ask(&mut session, &append), [Step::Hear(vec![1, 2, 3])], "a byte is a sample");
    // 20 ms each: silence is nobody's sound, and 60 ms of a voice are.
    session.sound(&[0xff; 160]);
    assert_eq!(told(&mut session), Vec::<Value>::new());
    (0..3).for_each(|_| session.sound(&[0x80; 160]));
    assert_eq!(kinds(&told(&mut session))[0], "response.created");
    assert!(matches!(&ask(&mut session, &update)[..], [Step::Tell(_)]), "it is so already");

    let one = json!({"type": "session.update", "session": {"audio": {"output": {"format": {"type": "audio/pcm", "rate": 24_000}}}}});
    let steps = ask(&mut session, &one);
    let [Step::Tell(error), Step::Tell(updated)] = &steps[..] else { panic!("{steps:?}") };
    assert_eq!(error["error"]["param"], "session.audio.output.format", "the call speaks one codec");
    assert_eq!(updated["session"]["audio"]["output"]["format"], format);
    let mut beside = Session::new("s", given(), true);
    beside.steps();
    let steps = ask(&mut beside, &update);
    assert!(matches!(&steps[..], [Step::Tell(error), Step::Tell(_)] if error["type"] == "error"), "{steps:?}");
}

#[test]
fn a_typed_item_is_answered_when_a_response_is_asked_for() {
    let mut session = session();
    let item = json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello?"}]});
    let steps = ask(&mut session, &json!({"type": "conversation.item.create", "item": item}));
    assert!(steps.iter().all(|step| matches!(step, Step::Tell(_))), "nothing is done yet: {steps:?}");
    assert_eq!(steps.len(), 2);
    let steps = ask(&mut session, &json!({"type": "response.create"}));
    assert_eq!(steps, [Step::Order(Order::Type("Hello?".into()))]);
    happens(&mut session, 10, Event::Transcript { turn: 1, text: "Hello?".into(), typed: true });
    assert_eq!(told(&mut session), Vec::<Value>::new(), "it is an item already");
    happens(&mut session, 20, Event::Transcript { turn: 3, text: "From a page.".into(), typed: true });
    assert_eq!(kinds(&told(&mut session)), ["conversation.item.added", "conversation.item.done"]);
}

#[test]
fn the_agent_may_be_asked_to_know_and_to_speak() {
    let mut session = session();
    let item = json!({"type": "message", "role": "system", "content": [{"type": "input_text", "text": "It rains."}]});
    let steps = ask(&mut session, &json!({"type": "conversation.item.create", "item": item}));
    assert_eq!(steps[0], Step::Order(Order::Know { text: "It rains.".into(), speak: false }));
    let respond = json!({"type": "response.create", "response": {"instructions": "Say goodbye."}});
    assert_eq!(ask(&mut session, &respond), [Step::Order(Order::Know { text: "Say goodbye.".into(), speak: true })]);
    floor(&mut session, 10, FloorState::Thinking);
    session.steps();
    assert_eq!(ask(&mut session, &json!({"type": "response.create"})), [], "it is being answered anyway");
    turn_started(&mut session, 20, 2);
    session.steps();
    let error = refused(&mut session, &json!({"type": "response.create"}));
    assert_eq!(error["code"], "conversation_already_has_active_response");
}

#[test]
fn a_response_can_be_cancelled_while_there_is_one() {
    let mut session = session();
    let cancel = json!({"type": "response.cancel"});
    assert_eq!(refused(&mut session, &cancel)["code"], "response_cancel_not_active");
    question_and_answer(&mut session);
    session.steps();
    let other = json!({"type": "response.cancel", "response_id": "resp_other"});
    assert_eq!(refused(&mut session, &other)["code"], "response_cancel_not_active");
    assert_eq!(ask(&mut session, &cancel), [Step::Order(Order::Stop)]);
    turn_ended(&mut session, 2_600, 2, TurnOutcome::Interrupted, "At");
    let done = told(&mut session).pop().expect("a last one");
    assert_eq!(done["response"]["status_details"]["reason"], "client_cancelled");
}

#[test]
fn an_item_is_truncated_to_what_was_sent_of_it_and_not_beyond() {
    let mut session = session();
    question_and_answer(&mut session);
    (0..9).for_each(|_| session.sound(&frame(500)));
    let events = told(&mut session);
    let created = events.iter().rfind(|event| event["type"] == "response.output_item.added").expect("an item");
    let id = created["item"]["id"].as_str().expect("an id").to_owned();
    let truncate = |id: &str, ms: u64| json!({"type": "conversation.item.truncate", "item_id": id, "content_index": 0, "audio_end_ms": ms});
    let error = refused(&mut session, &truncate(&id, 201));
    assert_eq!(error["code"], "audio_end_after_sent");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("200 ms were sent")), "{error}");
    assert_eq!(refused(&mut session, &truncate("item_none", 1))["code"], "item_not_found");
    let caller = events[0]["item_id"].as_str().expect("an id");
    assert_eq!(refused(&mut session, &truncate(caller, 1))["code"], "invalid_value");
    let steps = ask(&mut session, &truncate(&id, 120));
    assert_eq!(steps[..2], [Step::Order(Order::Stop), Step::Order(Order::Truncated { turn: 2, heard_ms: 120 })]);
    assert!(
        matches!(&steps[2], Step::Tell(event) if event["type"] == "conversation.item.truncated" && event["audio_end_ms"] == 120)
    );
}
