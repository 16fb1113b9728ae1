//! A scene of the recipe as sound with sample-exact labels.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use duologue::audio::resample::Resampler;
use duologue::audio::{HEAR_RATE, LINE_RATE, wav};
use serde::Serialize;

use super::models::Models;
use super::recipe::{Kind, Recipe, Scene, Source};
use super::sound::{Clip, Noise, RATE, USUAL_DBFS, at_speed, formula};

/// Before the first sound.
const LEAD: usize = RATE * 6 / 10;
/// After the end of a turn: the slowest policy has answered by then.
const AFTER_TURN: usize = RATE * 9 / 2;
/// From the end of the question to what happens over the answer: the slowest policy is speaking by then.
const BEFORE_EVENT: usize = RATE * 5;
/// After the event: the slowest policy has stopped by then.
const AFTER_EVENT: usize = RATE * 7 / 2;
/// An echo is listened to for so long after the question.
const ECHO: usize = RATE * 14;
/// A silence inside of a turn counts as a pause from here on: shorter ones lie between any two words.
const PAUSE: usize = RATE / 5;
/// Of the room.
const ROOM_DBFS: f32 = -65.0;

#[derive(Clone, Debug, Serialize)]
pub struct Span {
    pub from: usize,
    pub to: usize,
}

/// What is where in a scene's sound; positions in samples at 16 kHz.
#[derive(Clone, Debug, Serialize)]
pub struct Labels {
    pub scene: String,
    pub kind: &'static str,
    /// Nobody real speaks in it.
    pub synthetic: bool,
    pub rate_hz: usize,
    pub samples: usize,
    /// Silences inside of the turn that goes on.
    pub pauses: Vec<Span>,
    /// The beginning of the caller's first word.
    pub turn_start: usize,
    /// The end of his last word before the agent's turn.
    pub turn_end: usize,
    /// What happens over the agent's voice.
    pub event: Option<Span>,
    /// Where the voice in it begins: after a breath and the room.
    pub voice: Option<usize>,
    pub db: f32,
    pub echo_delay_ms: Option<u32>,
}

pub struct Track {
    pub samples: Vec<f32>,
    pub labels: Labels,
}

pub struct Renderer<'a> {
    pub recipe: &'a Recipe,
    pub testdata: PathBuf,
    recordings: HashMap<String, Vec<f32>>,
}

impl<'a> Renderer<'a> {
    pub fn new(recipe: &'a Recipe, testdata: PathBuf) -> Self {
        Self { recipe, testdata, recordings: HashMap::new() }
    }

    /// # Errors
    /// When a recording or a model is absent, or a noise unknown.
    pub fn render(&mut self, scene: &Scene, models: &mut Models) -> anyhow::Result<Track> {
        let mut track = Desk::new();
        if let Some(ask) = &scene.ask {
            let asked = models.speak(self.recipe.says(ask))?.len() / 3;
            track.silence((asked + RATE * 8 / 10).saturating_sub(track.end));
        }
        let (mut event, mut voice) = (None, None);
        let turn_start = track.end;
        let first = if scene.kind.is_over_agent() { self.question(scene.number) } else { scene };
        self.speak(first, 0.0, &mut track, models)?;
        let turn_end = track.end;
        if scene.kind == Kind::Echo {
            track.silence(ECHO);
        } else if scene.kind.is_over_agent() {
            track.silence(BEFORE_EVENT);
            let from = track.end;
            self.speak(scene, scene.db, &mut track, models)?;
            event = Some(Span { from, to: track.end });
            // What was made begins with a voice: "Ex-" of "Excuse me" is none by its length.
            voice = Some(if scene.is_synthetic() { from } else { track.voice.max(from) });
            track.pauses.clear();
            track.silence(AFTER_EVENT);
        } else {
            track.silence(AFTER_TURN);
        }
        let mut samples = track.samples;
        room_tone(&mut samples);
        let labels = Labels {
            scene: scene.name.clone(),
            kind: scene.kind.name(),
            synthetic: scene.is_synthetic(),
            rate_hz: RATE,
            samples: samples.len(),
            pauses: track.pauses,
            turn_start,
            turn_end,
            event,
            voice,
            db: scene.db,
            echo_delay_ms: (scene.kind == Kind::Echo).then_some(scene.delay_ms),
        };
        Ok(Track { samples, labels })
    }

    /// The same call without what happens over the agent's voice.
    ///
    /// # Errors
    /// As [`Self::render`].
    pub fn render_undisturbed(&mut self, scene: &Scene, models: &mut Models) -> anyhow::Result<Vec<f32>> {
        let mut track = Desk::new();
        let question = self.question(scene.number);
        self.speak(question, 0.0, &mut track, models)?;
        track.silence(BEFORE_EVENT + AFTER_EVENT + ECHO);
        room_tone(&mut track.samples);
        Ok(track.samples)
    }

    pub fn question(&self, number: usize) -> &'a Scene {
        &self.recipe.questions[number % self.recipe.questions.len()]
    }

    /// Puts a scene's sounds one after another, its pauses between them.
    fn speak(&mut self, scene: &Scene, db: f32, track: &mut Desk, models: &mut Models) -> anyhow::Result<()> {
        for (n, source) in scene.sounds.iter().enumerate() {
            let sound = at_speed(&self.sound(source, models)?, scene.speed);
            let mut clip = Clip::new(&sound, USUAL_DBFS + db);
            if scene.split {
                clip.draw_out(scene.pauses_ms[0] as usize * RATE / 1_000);
            }
            if let Some(pause) = n.checked_sub(1).and_then(|before| scene.pauses_ms.get(before)) {
                let from = track.end;
                track.silence(*pause as usize * RATE / 1_000);
                if track.end - from >= PAUSE {
                    track.pauses.push(Span { from, to: track.end });
                }
            }
            track.place(&clip);
        }
        Ok(())
    }

    fn sound(&mut self, source: &Source, models: &mut Models) -> anyhow::Result<Vec<f32>> {
        Ok(match source {
            Source::Words(text) => {
                let spoken = models.speak(text)?;
                let mut out = Vec::new();
                let mut resampler = Resampler::new(LINE_RATE, HEAR_RATE)?;
                resampler.push(&spoken, &mut out);
                resampler.flush(&mut out);
                out
            }
            Source::Formula { kind, seed } if kind == "babble" => self.babble(*seed)?,
            Source::Formula { kind, seed } => {
                formula(kind, *seed).with_context(|| format!("no noise called {kind}"))?
            }
            Source::Recording { path, part } => {
                let sound = self.recording(path)?;
                let place = |seconds: f32| ((seconds * RATE as f32) as usize).min(sound.len());
                part.map_or(sound.clone(), |(from, to)| sound[place(from)..place(to)].to_vec())
            }
        })
    }

    fn recording(&mut self, path: &str) -> anyhow::Result<Vec<f32>> {
        if let Some(known) = self.recordings.get(path) {
            return Ok(known.clone());
        }
        let file = self.testdata.join(path);
        let file = std::fs::File::open(&file).with_context(|| format!("{} is absent", file.display()))?;
        let sound = wav::read(file)?;
        let rate_hz = sound.rate_hz;
        let mut out = Vec::new();
        let mut resampler = Resampler::new(rate_hz, HEAR_RATE)?;
        resampler.push(&sound.into_mono(), &mut out);
        resampler.flush(&mut out);
        self.recordings.insert(path.to_owned(), out.clone());
        Ok(out)
    }

    /// Two seconds of four people at once.
    fn babble(&mut self, seed: u32) -> anyhow::Result<Vec<f32>> {
        let paths: Vec<String> = readers(&self.testdata)?;
        let mut noise = Noise::new(seed);
        let mut out = vec![0.0; RATE * 2];
        for _ in 0..4 {
            let pick = ((noise.next() + 1.0) / 2.0 * paths.len() as f32) as usize;
            let voice = self.recording(&paths[pick.min(paths.len() - 1)])?;
            let from = voice.len().saturating_sub(out.len()) / 2;
            for (sum, sample) in out.iter_mut().zip(&voice[from..]) {
                *sum += sample;
            }
        }
        Ok(out)
    }
}

fn readers(testdata: &Path) -> anyhow::Result<Vec<String>> {
    let files = std::fs::read_dir(testdata.join("librispeech")).context("no recordings for babble")?;
    let mut names: Vec<String> =
        files.flatten().map(|file| format!("librispeech/{}", file.file_name().to_string_lossy())).collect();
    names.sort();
    anyhow::ensure!(!names.is_empty(), "no recordings for babble");
    Ok(names)
}

/// A track in the making. What a clip has after its sound is mixed under what follows.
struct Desk {
    samples: Vec<f32>,
    /// The end of the last sound or silence.
    end: usize,
    /// Where the voice of the last clip begins.
    voice: usize,
    pauses: Vec<Span>,
}

impl Desk {
    fn new() -> Self {
        Self { samples: vec![0.0; LEAD], end: LEAD, voice: 0, pauses: Vec::new() }
    }

    fn silence(&mut self, samples: usize) {
        self.end += samples;
        self.samples.resize(self.samples.len().max(self.end), 0.0);
    }

    /// The sound of the clip begins at the end of the track.
    fn place(&mut self, clip: &Clip) {
        let origin = self.end - clip.from.min(self.end);
        let needed = origin + clip.samples.len();
        self.samples.resize(self.samples.len().max(needed), 0.0);
        for (slot, sample) in self.samples[origin..].iter_mut().zip(&clip.samples) {
            *slot += sample;
        }
        self.end = origin + clip.to;
        self.voice = origin + clip.voice;
        let inner = clip.pauses.iter().filter(|(from, to)| to - from >= PAUSE);
        self.pauses.extend(inner.map(|(from, to)| Span { from: origin + from, to: origin + to }));
    }
}

/// Hiss under everything: the same for all scenes, so that their beginnings are the same sound.
fn room_tone(samples: &mut [f32]) {
    let mut noise = Noise::new(1);
    let gain = 10f32.powf(ROOM_DBFS / 20.0) * 3f32.sqrt();
    for sample in samples {
        *sample = (*sample + gain * noise.next()).clamp(-1.0, 1.0);
    }
}
