//! A clause on its way from text to sound: planned when its sentences have gone through the frontend, then decoded chunk by
//! chunk.

use std::collections::VecDeque;
use std::time::Duration;

use super::engine::{Engine, HOP, Latent};
use super::phoneme::{PhonemeIds, espeak};
use super::text;
use crate::audio::LINE_RATE;
use crate::audio::resample::{Resampler, samples_at};
use crate::backend::WordMark;

/// Frames of the first chunks: the first is short because somebody waits for it, the later ones are long because margins cost.
/// At 22.05 kHz 24 frames are 0.28 s, which lasts until the next chunk is through on a core with a quarter of its time free.
const CHUNK_FRAMES: [usize; 3] = [24, 48, 96];

/// Silent frames kept before the first sound (12 ms each; the voice makes up to six, and its first sound may come a frame or
/// two before the place that the durations give).
const LEAD_FRAMES: usize = 3;
/// Frames kept behind the end of the last sound, where it dies away: below -65 dBFS after two.
const TAIL_FRAMES: usize = 2;
/// Samples at the voice's rate over which a cut beginning or end is faded, so that it does not click (2 and 5 ms).
const FADE_IN: usize = 44;
const FADE_OUT: usize = 110;

/// What the voice needs beside its graphs.
pub(super) struct Voice {
    pub ids: PhonemeIds,
    /// espeak-ng's name of the language.
    pub language: String,
    pub rate_hz: u32,
}

/// A clause being spoken.
pub(super) struct Rendering {
    sentences: VecDeque<Stretch>,
    resampler: Resampler,
    chunks: usize,
    pub samples: u64,
    pub words: Vec<WordMark>,
}

/// The frames of one sentence that are heard, and the silence after them.
struct Stretch {
    latent: Latent,
    from: usize,
    next: usize,
    to: usize,
    pause: u64,
}

impl Rendering {
    /// Reads the clause and runs the frontend over its sentences.
    ///
    /// # Errors
    /// When the phonemiser or the runtime fails.
    pub fn plan(text: &str, voice: &Voice, engine: &mut Engine) -> Result<Self, String> {
        let resampler = Resampler::new(voice.rate_hz, LINE_RATE).map_err(|fault| fault.to_string())?;
        let mut plan = Self { sentences: VecDeque::new(), resampler, chunks: 0, samples: 0, words: Vec::new() };
        for sentence in text::read(text, &voice.language) {
            let utterance = voice.ids.utterance(&sentence, |words| espeak(words, &voice.language))?;
            if utterance.sounds == utterance.lead {
                continue;
            }
            let latent = engine.latent(&utterance.ids).map_err(|fault| fault.to_string())?;
            let from = latent.frames_of(utterance.lead).saturating_sub(LEAD_FRAMES);
            let sounds_end = latent.frames_of(utterance.sounds);
            let to = latent.frames_of(utterance.ids.len()).min(sounds_end + TAIL_FRAMES).max(from);
            let at_line_rate = |frames: usize| {
                samples_at((frames.saturating_sub(from) * HOP) as u64, voice.rate_hz.into(), LINE_RATE.into())
            };
            let words = sentence.iter().flat_map(|part| &part.words);
            mark_words(&mut plan.words, words, &utterance.word_ends, |ids| {
                plan.samples + at_line_rate(latent.frames_of(ids))
            });
            let mark = sentence.last().map_or(text::Mark::Open, |part| part.mark);
            let pause = line_samples(mark.pause()).saturating_sub(at_line_rate(to) - at_line_rate(sounds_end));
            plan.samples += at_line_rate(to) + pause;
            plan.sentences.push_back(Stretch { latent, from, next: from, to, pause });
        }
        Ok(plan)
    }

    /// The next chunk at 48 kHz; `None` when the clause is complete.
    ///
    /// # Errors
    /// When the runtime fails.
    pub fn next(&mut self, engine: &mut Engine) -> Result<Option<Vec<f32>>, String> {
        let Some(stretch) = self.sentences.front_mut() else { return Ok(None) };
        let frames = CHUNK_FRAMES[self.chunks.min(CHUNK_FRAMES.len() - 1)];
        let mut until = (stretch.next + frames).min(stretch.to);
        // A rest of a few frames would cost its margins all over again.
        if stretch.to - until < CHUNK_FRAMES[0] / 2 {
            until = stretch.to;
        }
        let mut samples = engine.decode(&mut stretch.latent, stretch.next..until).map_err(|fault| fault.to_string())?;
        if stretch.next == stretch.from && stretch.from > 0 {
            fade(samples.iter_mut().take(FADE_IN), FADE_IN);
        }
        let complete = until == stretch.to;
        if complete {
            fade(samples.iter_mut().rev().take(FADE_OUT), FADE_OUT);
        }
        stretch.next = until;
        self.chunks += 1;
        let mut pcm = Vec::with_capacity(samples.len() * 3);
        self.resampler.push(&samples, &mut pcm);
        if complete {
            self.resampler.flush(&mut pcm);
            pcm.resize(pcm.len() + stretch.pause as usize, 0.0);
            self.sentences.pop_front();
        }
        Ok(Some(pcm))
    }
}

/// Appends the marks of a sentence's words; `end_of` tells the end of so many ids in samples.
fn mark_words<'w>(
    marks: &mut Vec<WordMark>,
    words: impl Iterator<Item = &'w text::Word>,
    ends: &[usize],
    end_of: impl Fn(usize) -> u64,
) {
    for (word, &ids) in words.zip(ends) {
        let before = marks.last().map_or(0, |mark| mark.end);
        marks.push(WordMark { text: word.bytes.clone(), end: end_of(ids).max(before) });
    }
}

fn line_samples(time: Duration) -> u64 {
    time.as_millis() as u64 * u64::from(LINE_RATE) / 1_000
}

/// Raises samples from silence to their own level over `length`.
fn fade<'s>(samples: impl Iterator<Item = &'s mut f32>, length: usize) {
    for (at, sample) in samples.enumerate() {
        *sample *= at as f32 / length as f32;
    }
}
