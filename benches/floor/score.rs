//! What one policy made of one scene, read from the sound at the caller's ear and the labels alone.

use duologue::audio::LINE_FRAME;
use duologue::audio::level;

use super::play::{AUDIBLE, Played};
use super::recipe::{Kind, Scene};
use super::render::{Labels, Span};

/// A cut-in shorter than this is a revoked one: a breath of the agent rather than a word.
const BRIEF_MS: f32 = 200.0;
/// Sound that begins so soon after a pause ends was begun in it, as far as the caller can tell.
const COLLISION_MS: f32 = 200.0;
/// Half the amplitude, 6 dB, is a duck.
const DUCKED: f32 = 0.5;
/// Holes are counted until so long after what happened.
const AFTERMATH_MS: f32 = 2_000.0;

/// One line of the CSV.
#[derive(Clone, Debug)]
pub struct Row {
    pub scene: String,
    pub half: char,
    pub kind: Kind,
    pub synthetic: bool,
    pub policy: &'static str,
    /// From the end of the last word to the first audible sample; negative where the agent cut in.
    pub latency_ms: Option<f32>,
    /// From the end of the last word until the turn was judged over, for that answer.
    pub endpoint_ms: Option<f32>,
    pub pauses: usize,
    pub cut_heard: usize,
    pub cut_brief: usize,
    /// `None` for a turn, and where the agent was silent at the onset.
    pub over: Option<Over>,
    pub trace: String,
}

/// What became of the agent's voice when something happened over it.
#[derive(Clone, Copy, Debug)]
pub struct Over {
    pub stopped: bool,
    /// Replies of the call that were stopped.
    pub stops: usize,
    /// Onset to the last audible sample of the stopped reply.
    pub stop_ms: Option<f32>,
    /// The same from the onset of the voice.
    pub voice_ms: Option<f32>,
    /// Onset to the first 20 ms that are softer by 6 dB than without the event.
    pub duck_ms: Option<f32>,
    /// Sound that is missing, compared with the call without the event, until 2 s after it.
    pub hole_ms: f32,
    /// Of the agent, for rates by the hour.
    pub sounding_ms: f32,
}

fn ms(sample: usize) -> f32 {
    sample as f32 / 16.0
}

pub fn score(scene: &Scene, labels: &Labels, policy: &'static str, run: &Played, undisturbed: Option<&Played>) -> Row {
    let kind = scene.kind;
    let mut row = Row {
        scene: labels.scene.clone(),
        half: scene.half,
        kind,
        synthetic: labels.synthetic,
        policy,
        latency_ms: None,
        endpoint_ms: None,
        pauses: 0,
        cut_heard: 0,
        cut_brief: 0,
        over: None,
        trace: run.trace.clone(),
    };
    if kind == Kind::Echo {
        let sounding_ms = run.replies.values().map(|reply| reply.sounding_ms).sum();
        let stopped = !run.stopped.is_empty();
        row.over = Some(Over {
            stopped,
            stops: run.stopped.len(),
            stop_ms: None,
            voice_ms: None,
            duck_ms: None,
            hole_ms: 0.0,
            sounding_ms,
        });
    } else if let (Some(event), Some(undisturbed)) = (&labels.event, undisturbed) {
        row.over = over(event, labels.voice.map_or(0.0, ms), run, undisturbed);
    } else {
        turn(&mut row, labels, run);
    }
    row
}

fn turn(row: &mut Row, labels: &Labels, run: &Played) {
    let replies = || run.replies.values().filter(|reply| reply.first_ms > ms(labels.turn_start));
    row.pauses = labels.pauses.len();
    for pause in &labels.pauses {
        let within = ms(pause.from)..ms(pause.to) + COLLISION_MS;
        let longest = replies().filter(|reply| within.contains(&reply.first_ms)).map(|reply| reply.sounding_ms);
        match longest.reduce(f32::max) {
            Some(sounding) if sounding >= BRIEF_MS => row.cut_heard += 1,
            Some(_) => row.cut_brief += 1,
            None => {}
        }
    }
    let resumed = labels.pauses.last().map_or(0.0, |pause| ms(pause.to) + COLLISION_MS);
    let answer = replies().map(|reply| reply.first_ms).filter(|first| *first >= resumed).reduce(f32::min);
    row.latency_ms = answer.map(|first| first - ms(labels.turn_end));
    let judged = |first: f32| run.judged.iter().rfind(|at| **at < first);
    row.endpoint_ms = answer.and_then(judged).map(|at| at - ms(labels.turn_end));
}

/// `None` when the agent was not speaking at the onset: there was nothing to stop.
fn over(event: &Span, voice: f32, run: &Played, undisturbed: &Played) -> Option<Over> {
    let (onset, end) = (ms(event.from), ms(event.to));
    let (number, reply) = run.replies.iter().rfind(|(_, reply)| reply.first_ms < onset)?;
    let would = undisturbed.replies.get(number)?;
    if would.last_ms < onset + 1_000.0 {
        return None;
    }
    let stopped = run.stopped.contains(number);
    let frame = |played: &Played, n: usize| {
        let from = n * LINE_FRAME;
        played.heard.get(from..from + LINE_FRAME).map_or(0.0, level::rms)
    };
    let number_of = |ms: f32| (ms / 20.0) as usize;
    let duck = (number_of(onset)..number_of(end + AFTERMATH_MS)).find(|n| {
        let whole = frame(undisturbed, *n);
        whole > AUDIBLE && frame(run, *n) <= whole * DUCKED
    });
    let audible = |played: &Played| {
        (number_of(onset)..number_of(end + AFTERMATH_MS)).filter(|n| frame(played, *n) > AUDIBLE).count() as f32
    };
    Some(Over {
        stopped,
        stops: run.stopped.len(),
        stop_ms: stopped.then_some(reply.last_ms - onset),
        voice_ms: stopped.then_some(reply.last_ms - voice),
        duck_ms: duck.map(|n| (n as f32 * 20.0 - onset).max(0.0)),
        hole_ms: (audible(undisturbed) - audible(run)).max(0.0) * 20.0,
        sounding_ms: reply.sounding_ms,
    })
}
