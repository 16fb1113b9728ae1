//! Between two people the agent listens: what is said is written down and nothing is done about it, until the two are parted.

mod line;

use duologue_core::dialogue::ladder::Rung;
use duologue_core::replay::again::again;
use duologue_signaling::event::{Event, FloorState, Stamped, TurnOutcome};
use line::{Script, play};

fn events(script: Script) -> Vec<Stamped> {
    let played = play(script);
    let found = again(&played.journal).expect("a machine");
    assert_eq!((found.difference, &found.course.events), (None, &played.events));
    found.course.stamped
}

fn count(events: &[Stamped], within: std::ops::Range<u64>, wanted: impl Fn(&Event) -> bool) -> usize {
    events.iter().filter(|stamped| within.contains(&stamped.at_ms) && wanted(&stamped.event)).count()
}

const fn answers(event: &Event) -> bool {
    matches!(event, Event::Judgement { .. } | Event::TurnStarted { .. } | Event::Draft { .. } | Event::Attention { .. })
}

const fn is_transcript(event: &Event) -> bool {
    matches!(event, Event::Transcript { .. })
}

#[test]
fn what_people_say_is_written_down_and_not_answered_until_they_are_parted() {
    for judged in [false, true] {
        let mut script = Script::new();
        script.voiced = vec![(6_000, 7_400), (9_500, 10_900), (16_000, 17_400)];
        script.messages = vec![(12_500, r#"{"type":"text","text":"Are dogs welcome?"}"#.into())];
        script.bridged = vec![(5_000, true), (14_000, false)];
        script.ends_ms = 24_000;
        script.settings.judged = judged;
        script.settings.conversation.judging.beside = judged;
        let events = events(script);
        assert_eq!(count(&events, 5_000..14_000, answers), 0, "{events:#?}");
        assert_eq!(count(&events, 5_000..14_000, is_transcript), 3, "two that were spoken, one that was typed");
        assert!(count(&events, 14_000..24_000, answers) > 1, "the agent answers again");
    }
}

#[test]
fn an_agent_who_is_speaking_falls_silent_when_two_are_connected_whatever_it_was_doing() {
    // In its greeting, while it thinks, in its answer, and while the caller speaks.
    for joined_ms in [500, 1_500, 5_600, 6_000, 6_400, 7_000, 7_600, 8_500] {
        let mut script = Script::new();
        script.voiced = vec![(4_500, 5_900), (12_000, 13_000)];
        script.bridged = vec![(joined_ms, true)];
        script.ends_ms = 16_000;
        let events = events(script);
        let after = joined_ms + 20;
        assert_eq!(count(&events, after..15_900, answers), 0, "joined at {joined_ms}: {events:#?}");
        let completed = |event: &Event| matches!(event, Event::TurnEnded { outcome: TurnOutcome::Completed, .. });
        assert_eq!(count(&events, after..15_900, completed), 0, "joined at {joined_ms}");
        let thinks = |event: &Event| matches!(event, Event::Floor { state: FloorState::Agent | FloorState::Suspect });
        assert_eq!(count(&events, after..15_900, thinks), 0, "joined at {joined_ms}");
        assert!(count(&events, after..15_900, is_transcript) >= 1, "joined at {joined_ms}: the talk is written down");
    }
}

#[test]
fn a_silence_between_people_is_theirs() {
    let mut script = Script::new();
    script.persona.ladder = vec![Rung { after_ms: 8_000, say: "Are you still there?".into(), hang_up: false }];
    script.bridged = vec![(3_000, true), (60_000, false)];
    script.ends_ms = 120_000;
    let events = events(script);
    assert_eq!(count(&events, 3_000..60_000, answers), 0, "nobody asks whether they are still there");
    assert!(count(&events, 60_000..120_000, answers) > 0, "the agent does so again");
}
