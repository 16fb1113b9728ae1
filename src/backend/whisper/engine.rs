//! One Whisper model and its working memory, driven by the thread that owns it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use whisper_rs::{FullParams, SamplingStrategy, WhisperContext, WhisperError, WhisperState};

use super::context::{AudioContext, FULL_WINDOW, token_cap};
use super::queue::Asker;
use super::text;
use crate::audio::HEAR_RATE;
use crate::backend::Transcript;

/// Below this nothing can be understood; Whisper makes up words for it. The loudest tenth of a second counts.
const SILENCE_DBFS: f32 = -60.0;
/// Positions of the second attempt: this many never looped in 124 utterances, and cost half of the whole window. The caller
/// is waiting meanwhile.
const SAFE_POSITIONS: u32 = 768;
/// Together these mean that there was no word: in 36 kinds of noise the model's own doubt was 0.74 to 0.96 and its
/// confidence at most 0.57; in 60 spoken digits its doubt was at most 0.58.
const NO_SPEECH: f32 = 0.65;
const UNSURE: f32 = 0.65;
/// Words with less confidence than this are guesses, whatever the model's doubt: breath gave 0.02 and 0.15, the least
/// confident digits that were right 0.16 to 0.2.
const GUESS: f32 = 0.16;
/// A sentence of so many tokens is hardly ever given less confidence than this when it was understood. A single word
/// often is, and a second attempt does not help it.
const SENTENCE_TOKENS: u32 = 12;
const STAMMER: f32 = 0.5;
/// Whisper's window. What is longer is heard in several passes.
const WINDOW_SAMPLES: usize = 30 * HEAR_RATE as usize;
/// Whisper keeps at most half its text window (224 tokens) for a prompt, and each costs time.
const PROMPT_TOKENS: usize = 128;

/// How a pass is run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    pub(super) threads: u32,
    pub(super) context: AudioContext,
    /// Whether a second attempt with a wider window is worth its time; a partial is soon followed by the next.
    pub(super) insists: bool,
}

/// Who waits for what is being worked on. The engine looks here whether anybody still does.
/// whisper.cpp asks on the thread that called it, so that both never meet.
pub(super) type Waiting = Rc<RefCell<Option<Asker>>>;

pub(super) struct Engine {
    context: Arc<WhisperContext>,
    state: WhisperState,
    /// Everything that stays the same from pass to pass. `whisper-rs` never frees the language and the callback that
    /// are set on parameters, so they are set once here and the parameters copied.
    parameters: FullParams<'static, 'static>,
}

/// What one pass of the model gave.
struct Pass {
    text: String,
    confidence: f32,
    no_speech: f32,
    /// Tokens of text.
    spoken: u32,
    /// The decoder was stopped by the cap.
    capped: bool,
}

impl Engine {
    /// Takes the working memory: some 100 MB for tiny, 200 MB for base.
    pub(super) fn new(
        context: Arc<WhisperContext>,
        language: &'static str,
        waiting: Waiting,
    ) -> Result<Self, WhisperError> {
        let state = context.create_state()?;
        let mut parameters = FullParams::new(SamplingStrategy::Greedy { best_of: 1 });
        parameters.set_language(Some(if context.is_multilingual() { language } else { "en" }));
        // Each utterance stands alone: text of other calls must not leak into it.
        parameters.set_no_context(true);
        // Without time stamps tiny.en repeats sentences up to the cap.
        parameters.set_no_timestamps(false);
        // No second decoding at a higher temperature: it costs seconds; loops are dealt with here.
        parameters.set_temperature(0.0);
        parameters.set_temperature_inc(0.0);
        // Its own test for silence is off, see `no_speech`.
        parameters.set_no_speech_thold(f32::INFINITY);
        parameters.set_suppress_blank(true);
        parameters.set_suppress_nst(true);
        parameters.set_print_special(false);
        parameters.set_print_progress(false);
        parameters.set_print_realtime(false);
        parameters.set_print_timestamps(false);
        // The closure must be boxed here: `set_abort_callback_safe` reads whatever it was given as such a box.
        let abandoned: Box<dyn FnMut() -> bool> = Box::new(move || is_abandoned(&waiting));
        parameters.set_abort_callback_safe::<_, Box<dyn FnMut() -> bool>>(abandoned);
        Ok(Self { context, state, parameters })
    }

    /// Transcribes one utterance of 16 kHz audio.
    pub(super) fn hear(
        &mut self,
        audio: &[f32],
        prompt: Option<&str>,
        effort: Effort,
    ) -> Result<Transcript, WhisperError> {
        let began = Instant::now();
        if loudest_dbfs(audio) < SILENCE_DBFS {
            return Ok(Transcript { no_speech: 1.0, took: began.elapsed(), ..Transcript::default() });
        }
        let audio = &presentable(audio);
        let prompt = prompt.map(|hint| self.tokens(hint)).unwrap_or_default();
        let positions = effort.context.positions(audio.len());
        let mut pass = self.pass(audio, &prompt, positions, effort.threads)?;
        if effort.insists && pass.is_astray() && positions < FULL_WINDOW {
            let wider = if positions < SAFE_POSITIONS { SAFE_POSITIONS } else { FULL_WINDOW };
            let second = self.pass(audio, &[], wider, effort.threads)?;
            if second.is_better_than(&pass) {
                pass = second;
            }
        }
        Ok(pass.transcript(began))
    }

    fn pass(&mut self, audio: &[f32], prompt: &[i32], positions: u32, threads: u32) -> Result<Pass, WhisperError> {
        let mut parameters = self.parameters.clone();
        let cap = token_cap(audio.len());
        let long = audio.len() > WINDOW_SAMPLES;
        parameters.set_n_threads(threads as i32);
        parameters.set_single_segment(!long);
        parameters.set_audio_ctx(if long { FULL_WINDOW } else { positions } as i32);
        parameters.set_max_tokens(if long { 0 } else { cap as i32 });
        if !prompt.is_empty() {
            parameters.set_tokens(prompt);
        }
        self.state.full(parameters, audio)?;
        let mut pass = self.read(if long { u32::MAX } else { cap });
        if !pass.text.is_empty() {
            pass.no_speech = self.no_speech(threads)?;
        }
        Ok(pass)
    }

    /// The probability of the no-speech token right after the first token, where OpenAI's code takes it. whisper.cpp's
    /// own number (1.8.3) is of use only when the prompt is that one token: otherwise it reads, at the place where
    /// the first token's numbers would be, whatever the pass before left there.
    fn no_speech(&mut self, threads: u32) -> Result<f32, WhisperError> {
        self.state.decode(&[self.context.token_sot()], 0, threads as usize)?;
        let logits = self.state.get_logits()?;
        let highest = logits.iter().copied().fold(f32::MIN, f32::max);
        let sum: f32 = logits.iter().map(|logit| (logit - highest).exp()).sum();
        let silence = logits.get(self.context.token_nosp() as usize).copied().unwrap_or(f32::MIN);
        Ok(((silence - highest).exp() / sum).clamp(0.0, 1.0))
    }

    fn read(&self, cap: u32) -> Pass {
        let mut bytes = Vec::new();
        let (mut sum, mut spoken, mut all) = (0.0f32, 0u32, 0u32);
        let end_of_text = self.context.token_eot();
        for segment in self.state.as_iter() {
            bytes.extend_from_slice(segment.to_bytes().unwrap_or_default());
            for token in (0..segment.n_tokens()).filter_map(|at| segment.get_token(at)) {
                all += 1;
                if token.token_id() < end_of_text {
                    sum += token.token_probability();
                    spoken += 1;
                }
            }
        }
        Pass {
            text: text::tidy(&String::from_utf8_lossy(&bytes)),
            confidence: if spoken == 0 { 0.0 } else { sum / spoken as f32 },
            no_speech: 1.0,
            spoken,
            capped: all > cap,
        }
    }

    fn tokens(&self, prompt: &str) -> Vec<i32> {
        // whisper.cpp takes a C string; a prompt that it cannot tokenise is only a hint lost.
        let clean: String = prompt.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.context.tokenize(&clean, PROMPT_TOKENS).unwrap_or_default()
    }
}

impl Pass {
    fn is_noise(&self) -> bool {
        self.text.is_empty() || self.confidence < GUESS || (self.no_speech > NO_SPEECH && self.confidence < UNSURE)
    }

    /// The decoder ran on, went round in circles or stammered: a narrow window may be the cause.
    fn is_astray(&self) -> bool {
        let stammers = self.spoken >= SENTENCE_TOKENS && self.confidence < STAMMER;
        !self.is_noise() && (self.capped || stammers || text::loop_at_end(&self.text).is_some())
    }

    fn is_better_than(&self, other: &Self) -> bool {
        // A loop is sure of itself, so that confidence decides last.
        let rank = |pass: &Self| (!pass.is_astray(), !pass.capped, pass.confidence);
        rank(self) > rank(other)
    }

    fn transcript(self, began: Instant) -> Transcript {
        let text = match text::loop_at_end(&self.text).filter(|_| self.capped) {
            _ if self.is_noise() => String::new(),
            Some(found) => text::once(&self.text, found),
            None => self.text,
        };
        Transcript { text, confidence: self.confidence, no_speech: self.no_speech, took: began.elapsed() }
    }
}

fn is_abandoned(waiting: &RefCell<Option<Asker>>) -> bool {
    waiting.try_borrow().is_ok_and(|waiting| waiting.as_ref().is_some_and(Asker::is_gone))
}

/// What whisper.cpp takes without trouble: at least a second (it does nothing for less than a tenth and makes up words
/// for little more), and every sample a number within range.
fn presentable(audio: &[f32]) -> Vec<f32> {
    let mut audio: Vec<f32> =
        audio.iter().map(|sample| if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 }).collect();
    audio.resize(audio.len().max(HEAR_RATE as usize), 0.0);
    audio
}

/// The level of the loudest tenth of a second.
fn loudest_dbfs(audio: &[f32]) -> f32 {
    let loudest = audio
        .chunks(HEAR_RATE as usize / 10)
        .map(|part| part.iter().filter(|s| s.is_finite()).map(|s| s * s).sum::<f32>() / part.len() as f32)
        .fold(0.0f32, f32::max);
    10.0 * loudest.max(1e-12).log10()
}
