//! Reading a recorded conversation: who made a sound when, and how long the caller waited. Pure; everything is counted
//! in samples at 48 kHz from the beginning of the call.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::audio::LINE_RATE;
use crate::audio::level::level_dbfs;

/// Levels are taken over 10 ms.
pub const STEP: usize = LINE_RATE as usize / 100;
/// Above this a recorded caller speaks, unless labels say otherwise.
pub const SPEECH_DBFS: f32 = -50.0;
/// Above this the agent can be heard.
pub const AUDIBLE_DBFS: f32 = -45.0;
/// Speech that pauses for less is one turn.
pub const TURN_PAUSE: Duration = Duration::from_millis(700);

/// A stretch of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stretch {
    pub start: u64,
    pub end: u64,
}

/// A stretch as people write it, in seconds from the beginning of their WAV.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    pub start_s: f64,
    pub end_s: f64,
}

impl From<Label> for Stretch {
    fn from(label: Label) -> Self {
        let samples = |seconds: f64| (seconds.max(0.0) * f64::from(LINE_RATE)).round() as u64;
        Self { start: samples(label.start_s), end: samples(label.end_s) }
    }
}

/// Finds the stretches louder than `above_dbfs`; those less than `pause` apart are one.
pub fn stretches(sound: &[f32], above_dbfs: f32, pause: Duration) -> Vec<Stretch> {
    let pause = (pause.as_secs_f64() * f64::from(LINE_RATE)) as u64;
    let mut found: Vec<Stretch> = Vec::new();
    for (n, step) in sound.chunks(STEP).enumerate() {
        if level_dbfs(step) <= above_dbfs {
            continue;
        }
        let start = (n * STEP) as u64;
        let end = start + step.len() as u64;
        match found.last_mut() {
            Some(last) if start - last.end < pause => last.end = end,
            _ => found.push(Stretch { start, end }),
        }
    }
    found
}

/// How one turn of the caller was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Response {
    /// Counts the caller's turns, from 1.
    pub turn: usize,
    pub speech_start_ms: u64,
    pub speech_end_ms: u64,
    /// The first sound of the agent that began in this turn or after it and before the next one.
    pub first_sound_ms: Option<u64>,
    /// From the end of speech to the first sound; negative when the agent cut in.
    pub response_ms: Option<i64>,
}

/// Pairs each turn of the caller with the first sound of the agent that began after the turn did. What the agent was
/// already saying is no answer.
pub fn responses(caller: &[Stretch], agent: &[f32]) -> Vec<Response> {
    // The agent's own pauses within a reply must not count as the beginning of another.
    let replies = stretches(agent, AUDIBLE_DBFS, Duration::from_millis(300));
    let ms = |samples: u64| samples * 1000 / u64::from(LINE_RATE);
    let answer = |(n, turn): (usize, &Stretch)| {
        let next = caller.get(n + 1).map_or(u64::MAX, |next| next.start);
        let first = replies.iter().map(|reply| reply.start).find(|start| (turn.start..next).contains(start));
        Response {
            turn: n + 1,
            speech_start_ms: ms(turn.start),
            speech_end_ms: ms(turn.end),
            first_sound_ms: first.map(ms),
            response_ms: first.map(|first| ms(first) as i64 - ms(turn.end) as i64),
        }
    };
    caller.iter().enumerate().map(answer).collect()
}

/// A table of responses in figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    pub turns: usize,
    pub answered: usize,
    /// Answers that began before the caller's speech had ended.
    pub cut_ins: usize,
    pub p50_ms: Option<i64>,
    pub p95_ms: Option<i64>,
    pub worst_ms: Option<i64>,
}

/// Sums up; percentiles by nearest rank, over the answered turns.
pub fn summary(responses: &[Response]) -> Summary {
    let mut times: Vec<i64> = responses.iter().filter_map(|response| response.response_ms).collect();
    times.sort_unstable();
    let rank = |share: f64| {
        let n = (share * times.len() as f64).ceil() as usize;
        times.get(n.saturating_sub(1)).copied()
    };
    Summary {
        turns: responses.len(),
        answered: times.len(),
        cut_ins: times.iter().filter(|time| **time < 0).count(),
        p50_ms: rank(0.50),
        p95_ms: rank(0.95),
        worst_ms: times.last().copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sound that is loud in the given stretches of milliseconds.
    fn loud(total_ms: usize, stretches_ms: &[(usize, usize)]) -> Vec<f32> {
        let mut sound = vec![0.0; total_ms * 48];
        for (from, to) in stretches_ms {
            for (n, sample) in sound[from * 48..to * 48].iter_mut().enumerate() {
                *sample = 0.1 * (n as f32 * 0.05).sin();
            }
        }
        sound
    }

    fn stretch_ms(from: u64, to: u64) -> Stretch {
        Stretch { start: from * 48, end: to * 48 }
    }

    #[test]
    fn a_pause_for_breath_does_not_end_a_turn() {
        let sound = loud(6_000, &[(500, 1_500), (2_000, 2_500), (3_500, 4_000)]);
        assert_eq!(stretches(&sound, SPEECH_DBFS, TURN_PAUSE), [stretch_ms(500, 2_500), stretch_ms(3_500, 4_000)]);
        assert_eq!(stretches(&loud(1_000, &[]), SPEECH_DBFS, TURN_PAUSE), []);
    }

    #[test]
    fn a_response_is_timed_from_the_last_word_to_the_first_sound() {
        let responses = responses(&[stretch_ms(500, 2_000)], &loud(6_000, &[(2_800, 4_000)]));
        assert_eq!(responses[0].first_sound_ms, Some(2_800));
        assert_eq!(responses[0].response_ms, Some(800));
    }

    #[test]
    fn cutting_in_is_a_negative_response() {
        let responses = responses(&[stretch_ms(500, 2_000)], &loud(6_000, &[(1_700, 3_000)]));
        assert_eq!(responses[0].response_ms, Some(-300));
        assert_eq!(summary(&responses).cut_ins, 1);
    }

    #[test]
    fn what_the_agent_was_already_saying_is_no_answer() {
        let agent = loud(8_000, &[(0, 700), (3_000, 3_400), (3_500, 5_000)]);
        let responses = responses(&[stretch_ms(500, 2_000), stretch_ms(5_500, 6_000)], &agent);
        assert_eq!(responses[0].response_ms, Some(1_000));
        assert_eq!(responses[1].response_ms, None, "the second turn was not answered");
        assert_eq!(summary(&responses).answered, 1);
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let response = |n: i64| Response {
            turn: n as usize,
            speech_start_ms: 0,
            speech_end_ms: 0,
            first_sound_ms: None,
            response_ms: Some(n * 10),
        };
        let table: Vec<_> = (1..=20).rev().map(response).collect();
        let summary = summary(&table);
        assert_eq!((summary.p50_ms, summary.p95_ms, summary.worst_ms), (Some(100), Some(190), Some(200)));
        assert_eq!(super::summary(&[]), Summary::default());
    }

    #[test]
    fn labels_are_read_in_seconds() {
        let label: Label = serde_json::from_str(r#"{"start_s":0.5,"end_s":2.0}"#).expect("a label");
        assert_eq!(Stretch::from(label), stretch_ms(500, 2_000));
    }
}
