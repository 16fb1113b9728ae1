//! A voice without a model: every word is a chord sequence of its own, so that a demonstration or a test can read back from
//! the sound which words were played, after Opus, loss and resampling too.
//!
//! A word lasts 300 ms: four tones of 60 ms, each one of sixteen frequencies, then 60 ms of silence. The four tones
//! spell the word's [`WordCode`].

use std::f32::consts::TAU;
use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::{Clause, Speech, Tts, TtsError, WordMark};
use crate::audio::{LINE_FRAME, LINE_RATE};

/// Tones of one word; four bits each.
const TONES: usize = 4;
const TONE_MS: usize = 60;
const GAP_MS: usize = 60;
/// 600, 750, ... 2850 Hz: within telephone bandwidth, and 150 Hz is nine times what a 60 ms window tells apart.
const LOWEST_HZ: f32 = 600.0;
const STEP_HZ: f32 = 150.0;
const LEVEL: f32 = 0.25;
/// Tones rise and fall within 5 ms, so that they do not click into each other's bands.
const EDGE_MS: usize = 5;

const WORD_SAMPLES: usize = (TONES * TONE_MS + GAP_MS) * LINE_RATE as usize / 1_000;
/// 100 ms at a time, as a real voice gives chunks.
const CHUNK: usize = 5 * LINE_FRAME;

/// What a word sounds like: 16 bits of a hash over its letters and digits, case ignored. Two words of a script that share
/// one would be mistaken for each other; of 100 different words some 7 % of scripts have such a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WordCode(u16);

impl WordCode {
    /// The code of a word; marks around and in it do not count.
    pub fn of(word: &str) -> Self {
        // FNV-1a, folded: the same on every machine and in every version.
        let letters = word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase);
        let hash = letters.fold(0x811c_9dc5_u32, |hash, c| (hash ^ c as u32).wrapping_mul(0x0100_0193));
        Self((hash ^ (hash >> 16)) as u16)
    }

    /// The codes of the words of a text, in order.
    pub fn of_text(text: &str) -> Vec<Self> {
        words(text).into_iter().map(|word| Self::of(&text[word])).collect()
    }

    fn tones_hz(self) -> [f32; TONES] {
        std::array::from_fn(|at| tone_hz((self.0 >> (4 * at)) as usize & 15))
    }
}

fn tone_hz(index: usize) -> f32 {
    LOWEST_HZ + STEP_HZ * index as f32
}

/// The words that sound whole in a recording at `rate_hz` (8 to 48 kHz), in order. A word that was cut off is not among them.
pub fn heard(samples: &[f32], rate_hz: u32) -> Vec<WordCode> {
    let ms = |ms: usize| ms * rate_hz as usize / 1_000;
    // Sound and silence in steps of 5 ms; a tenth of a tone's level is the border.
    let step = ms(EDGE_MS).max(1);
    let loud: Vec<bool> = samples.chunks(step).map(|part| rms(part) > LEVEL * 0.07).collect();
    let mut codes = Vec::new();
    let mut at = 0;
    while at < loud.len() {
        let length = loud[at..].iter().take_while(|loud| **loud).count();
        let wanted = TONES * TONE_MS / EDGE_MS;
        // The edges may be swallowed or smeared by a step or two each.
        if length.abs_diff(wanted) <= 4 {
            let middle = at * step + length * step / 2;
            let start = middle.saturating_sub(ms(TONES * TONE_MS) / 2);
            codes.extend(code_at(samples, start, ms(TONE_MS), rate_hz));
        }
        at += length.max(1);
    }
    codes
}

fn code_at(samples: &[f32], start: usize, tone: usize, rate_hz: u32) -> Option<WordCode> {
    let mut code = 0;
    for at in 0..TONES {
        // The middle two thirds, clear of the edges.
        let window = samples.get(start + at * tone + tone / 6..start + (at + 1) * tone - tone / 6)?;
        let power = |index: &usize| goertzel(window, tone_hz(*index), rate_hz);
        let best = (0..16).max_by(|a, b| power(a).total_cmp(&power(b)))?;
        code |= (best as u16) << (4 * at);
    }
    Some(WordCode(code))
}

/// Power of one frequency in a window (Goertzel 1958).
fn goertzel(window: &[f32], hz: f32, rate_hz: u32) -> f32 {
    let turn = 2.0 * (TAU * hz / rate_hz as f32).cos();
    let (mut last, mut before) = (0.0_f32, 0.0_f32);
    for sample in window {
        (last, before) = (sample + turn * last - before, last);
    }
    last * last + before * before - turn * last * before
}

fn rms(samples: &[f32]) -> f32 {
    (samples.iter().map(|x| x * x).sum::<f32>() / samples.len().max(1) as f32).sqrt()
}

/// Bytes of each word of a text; what has no letter or digit belongs to the word before it, or to the first.
fn words(text: &str) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = Vec::new();
    let mut waiting: Option<usize> = None;
    for token in text.split_whitespace() {
        let start = token.as_ptr() as usize - text.as_ptr() as usize;
        let end = start + token.len();
        match (token.chars().any(char::is_alphanumeric), words.last_mut()) {
            (true, _) => words.push(waiting.take().unwrap_or(start)..end),
            (false, Some(word)) => word.end = end,
            (false, None) => waiting = waiting.or(Some(start)),
        }
    }
    words
}

/// A word's 300 ms at 48 kHz.
fn sound(code: WordCode) -> Vec<f32> {
    let tone = TONE_MS * LINE_RATE as usize / 1_000;
    let edge = EDGE_MS * LINE_RATE as usize / 1_000;
    let mut samples = Vec::with_capacity(WORD_SAMPLES);
    for hz in code.tones_hz() {
        samples.extend((0..tone).map(|n| {
            let envelope = (n.min(tone - 1 - n) as f32 / edge as f32).min(1.0);
            // Never quite silent within a word: the gap between words is what parts them.
            LEVEL * envelope.max(0.5) * (TAU * hz * n as f32 / LINE_RATE as f32).sin()
        }));
    }
    samples.resize(WORD_SAMPLES, 0.0);
    samples
}

/// The voice.
#[derive(Clone, Debug, Default)]
pub struct ScriptedVoice {
    first_audio: Duration,
}

impl ScriptedVoice {
    /// A voice that takes so long before each clause, as a model would.
    pub const fn with_delay(first_audio: Duration) -> Self {
        Self { first_audio }
    }
}

#[async_trait]
impl Tts for ScriptedVoice {
    async fn speak(&self, clause: Clause, out: mpsc::Sender<Speech>) -> Result<(), TtsError> {
        if !self.first_audio.is_zero() {
            tokio::time::sleep(self.first_audio).await;
        }
        let words = words(&clause.text);
        let codes: Vec<WordCode> = words.iter().map(|word| WordCode::of(&clause.text[word.clone()])).collect();
        let ends = (1..).map(|count: u64| count * WORD_SAMPLES as u64);
        let marks = words.into_iter().zip(ends).map(|(text, end)| WordMark { text, end }).collect();
        let samples = (codes.len() * WORD_SAMPLES) as u64;
        // A closed channel means that nobody listens any more.
        if out.send(Speech::Plan { samples, words: marks }).await.is_err() {
            return Ok(());
        }
        for code in codes {
            for chunk in sound(code).chunks(CHUNK) {
                if out.send(Speech::Pcm(chunk.to_vec())).await.is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn warm(&self) -> Result<(), TtsError> {
        Ok(())
    }

    fn name(&self) -> String {
        "scripted voice".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::resample::Resampler;
    use crate::backend::Urgency;
    use crate::backend::contract::check_tts;

    async fn pcm(text: &str) -> Vec<f32> {
        let (out, mut speech) = mpsc::channel(4);
        let clause = Clause { text: text.to_owned(), urgency: Urgency::Speech };
        let voice = ScriptedVoice::default();
        let listen = async {
            let mut pcm = Vec::new();
            while let Some(piece) = speech.recv().await {
                if let Speech::Pcm(samples) = piece {
                    pcm.extend(samples);
                }
            }
            pcm
        };
        let (outcome, pcm) = tokio::join!(voice.speak(clause, out), listen);
        outcome.unwrap();
        pcm
    }

    const TEXT: &str = "The quick brown fox jumps over the lazy dog, twice!";

    #[tokio::test]
    async fn its_words_can_be_read_back_from_the_sound() {
        assert_eq!(heard(&pcm(TEXT).await, LINE_RATE), WordCode::of_text(TEXT));
    }

    #[tokio::test]
    async fn its_words_survive_resampling_noise_and_a_shift() {
        let mut shifted = vec![0.0; 12_345];
        shifted.extend(pcm(TEXT).await);
        let mut resampler = Resampler::new(LINE_RATE, 16_000).unwrap();
        let mut low = Vec::new();
        resampler.push(&shifted, &mut low);
        resampler.flush(&mut low);
        for (n, sample) in low.iter_mut().enumerate() {
            *sample += 0.01 * ((n * 7_919 % 1_000) as f32 / 500.0 - 1.0);
        }
        assert_eq!(heard(&low, 16_000), WordCode::of_text(TEXT));
    }

    #[tokio::test]
    async fn a_word_that_is_cut_off_is_not_heard() {
        let sound = pcm("one two three").await;
        let cut = &sound[..WORD_SAMPLES * 2 + WORD_SAMPLES / 2];
        assert_eq!(heard(cut, LINE_RATE), WordCode::of_text("one two"));
    }

    #[test]
    fn case_and_marks_do_not_change_a_word() {
        assert_eq!(WordCode::of("\"Hello,\""), WordCode::of("hello"));
        assert_ne!(WordCode::of("hello"), WordCode::of("hullo"));
    }

    #[tokio::test]
    async fn it_keeps_the_contract_of_a_voice() {
        for finding in check_tts(&ScriptedVoice::default()).await {
            assert!(finding.kept(), "{finding:?}");
        }
    }
}
