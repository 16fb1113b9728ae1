//! Cuts what is heard into utterances: from a little before the first sound, pauses included, until somebody takes it.
//!
//! Every sample that comes in ends up in exactly one place: in one utterance, or discarded as silence.

use std::sync::Arc;
use std::time::Duration;

use crate::audio::level::{self, Meter};
use crate::audio::vad::{VAD_FRAME, Vad};
use crate::audio::{HEAR_FRAME, HEAR_RATE};
use crate::dialogue::floor::Hearing;
use crate::time::{CallTime, TICK};

/// Where speech begins and ends. Probabilities are the voice detector's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SegmentSettings {
    /// A frame this likely begins speech: 0.0..=1.0.
    pub onset_probability: f32,
    /// Speech goes on while frames are this likely: at most `onset_probability`. Between words the probability sags.
    pub offset_probability: f32,
    /// So long a run of likely frames is speech; a shorter one is a click or a breath.
    pub onset_ms: u32,
    /// So long without a likely frame, and speech has stopped.
    pub offset_ms: u32,
    /// Audio kept from before the run, so that no first consonant is lost: 0..=2000.
    pub pre_roll_ms: u32,
    /// The longest utterance: 2,000..=30,000, the length of a recogniser's window.
    pub longest_ms: u32,
    /// An utterance that the caller goes on with after a pause is cut there once it is so long: 0..=30,000; the recogniser
    /// need not hear it all again at the end. Whisper errs more on shorter pieces.
    pub part_ms: u32,
    /// The shortest pause to cut at: 60..=2000.
    pub part_pause_ms: u32,
}

impl SegmentSettings {
    /// With the usual distance between the two thresholds, the detector's authors' 0.15.
    pub fn with_threshold(threshold: f32) -> Self {
        Self { onset_probability: threshold, offset_probability: threshold - 0.15, ..Self::default() }
    }
}

impl Default for SegmentSettings {
    fn default() -> Self {
        Self {
            onset_probability: 0.5,
            offset_probability: 0.35,
            onset_ms: 90,
            offset_ms: 100,
            pre_roll_ms: 300,
            longest_ms: 30_000,
            part_ms: 3_000,
            part_pause_ms: 140,
        }
    }
}

/// What one frame amounts to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heard {
    /// The end of the frame.
    pub at: CallTime,
    pub probability: f32,
    /// An onset has been confirmed and its offset has not.
    pub speech: bool,
    /// Confirmed in this frame.
    pub onset: bool,
    /// Confirmed in this frame.
    pub offset: bool,
    /// Voiced time since the onset; 0 when there is no speech.
    pub speech_ms: u32,
    /// Likely frames in a row that are not an onset yet.
    pub run_ms: u32,
    /// Since the last voiced frame of speech. It stands still while a run of likely frames may become an onset, so that
    /// no turn ends in a first syllable, and a click does not start it anew.
    pub silence_ms: u32,
    /// The estimated end of the last word: the end of the last frame that was as likely as an onset.
    pub speech_end: CallTime,
    /// Mean level of the open utterance's voiced frames; 0.0 when there is no speech.
    pub level_dbfs: f32,
    /// A part of the utterance has been cut off and waits in [`Segmenter::take_part`]: it has reached its longest, or goes on
    /// after a pause.
    pub part: bool,
    /// The probability, 0.0..=1.0, that the frame is our own voice coming back. The ear fills it in.
    pub echo_likelihood: f32,
}

impl Heard {
    /// What the floor needs of it.
    pub const fn hearing(&self) -> Hearing {
        Hearing {
            speech: self.speech,
            speech_ms: self.speech_ms,
            run_ms: self.run_ms,
            silence_ms: self.silence_ms,
            level_dbfs: self.level_dbfs,
            echo_likelihood: self.echo_likelihood,
        }
    }
}

/// A stretch of the caller's sound, complete.
#[derive(Clone, Debug, PartialEq)]
pub struct Utterance {
    /// 16 kHz mono.
    pub audio: Arc<[f32]>,
    /// Where it lies in everything heard, in samples from the first frame.
    pub first_sample: u64,
    /// Where its last likely frame ended, likewise.
    pub voiced_until: u64,
    /// When its first sample was heard.
    pub began: CallTime,
    /// See [`Heard::speech_end`].
    pub speech_end: CallTime,
    /// Voiced time in it.
    pub speech_ms: u32,
    /// Mean level of its voiced frames.
    pub level_dbfs: f32,
}

/// Silence kept after the last word when an utterance is taken: recognisers need to hear the end.
const TAIL_MS: u32 = 200;
/// An utterance that grows too long is cut within its last so much ...
const CUT_WITHIN_MS: u32 = 5_000;
/// ... in the middle of its quietest stretch of this length: the closure of a consonant at the least.
const QUIET_MS: u32 = 60;
/// Parts kept for whoever comes for them: two minutes.
const MOST_PARTS: usize = 4;
/// What a turn model looks at.
const TURN_MS: u32 = 8_000;
const FRAME_MS: u32 = TICK.as_millis() as u32;

const fn samples(ms: u32) -> usize {
    (ms * (HEAR_RATE / 1_000)) as usize
}

/// The utterance that is being collected.
#[derive(Clone, Debug)]
struct Open {
    audio: Vec<f32>,
    first_sample: u64,
    /// Sample after the last likely frame.
    speech_end_sample: u64,
    speech_ms: u32,
    meter: Meter,
}

impl Open {
    const fn at(first_sample: u64, audio: Vec<f32>) -> Self {
        let meter = Meter::new();
        Self { audio, first_sample, speech_end_sample: first_sample, speech_ms: 0, meter }
    }

    /// Takes what lies before the sample `end` of everything heard.
    fn split(mut self, end: u64) -> (Self, Self) {
        let rest = self.audio.split_off((end - self.first_sample) as usize);
        let next = Self::at(end, rest);
        let speech_end_sample = self.speech_end_sample.max(end);
        self.speech_end_sample = self.speech_end_sample.min(end);
        (self, Self { speech_end_sample, ..next })
    }
}

/// See the module's words. Fed one frame of 20 ms a tick, with the newest probability that it is speech.
#[derive(Clone, Debug)]
pub struct Segmenter {
    settings: SegmentSettings,
    /// The end of what was heard while no utterance is open: the pre-roll of the next.
    recent: Vec<f32>,
    open: Option<Open>,
    /// Cut off from the open utterance, the oldest first.
    parts: Vec<Utterance>,
    /// The last seconds of what was cut off, for whoever judges how the turn sounds.
    before: Vec<f32>,
    /// Samples heard so far, and the moment of the last.
    heard: u64,
    at: CallTime,
    /// Likely frames in a row, while there is no speech, and the level of them.
    run_ms: u32,
    run_meter: Meter,
    speech: bool,
    speech_ms: u32,
    silence_ms: u32,
    speech_end: CallTime,
}

impl Segmenter {
    /// Begins in silence that has lasted for ever. Settings out of their ranges are brought into them.
    pub fn new(settings: SegmentSettings) -> Self {
        let settings = SegmentSettings {
            offset_probability: settings.offset_probability.min(settings.onset_probability),
            pre_roll_ms: settings.pre_roll_ms.min(2_000),
            onset_ms: settings.onset_ms.min(2_000),
            longest_ms: settings.longest_ms.clamp(2_000, 30_000),
            part_pause_ms: settings.part_pause_ms.clamp(60, 2_000),
            ..settings
        };
        Self {
            settings,
            recent: Vec::new(),
            open: None,
            parts: Vec::new(),
            before: Vec::new(),
            heard: 0,
            at: CallTime::ZERO,
            run_ms: 0,
            run_meter: Meter::new(),
            speech: false,
            speech_ms: 0,
            silence_ms: u32::MAX,
            speech_end: CallTime::ZERO,
        }
    }

    /// Takes in the frame that ends at `at`.
    pub fn feed(&mut self, at: CallTime, frame: &[f32; HEAR_FRAME], probability: f32) -> Heard {
        self.at = at;
        self.heard += HEAR_FRAME as u64;
        match &mut self.open {
            Some(open) => open.audio.extend_from_slice(frame),
            None => self.recent.extend_from_slice(frame),
        }
        let (onset, offset) = if self.speech {
            (false, self.goes_on(frame, probability))
        } else {
            (self.begins(frame, probability), false)
        };
        self.forget_old();
        self.cut_longest();
        let part = !self.parts.is_empty();
        Heard {
            at,
            probability,
            speech: self.speech,
            onset,
            offset,
            speech_ms: self.speech_ms,
            run_ms: self.run_ms,
            silence_ms: self.silence_ms,
            speech_end: self.speech_end,
            level_dbfs: self.level_dbfs(),
            part,
            echo_likelihood: 0.0,
        }
    }

    /// The open utterance so far, for a transcript of it; empty when there is none.
    pub fn audio(&self) -> Arc<[f32]> {
        self.open.as_ref().map_or_else(|| Arc::from([]), |open| open.audio.as_slice().into())
    }

    /// The last 8 s of the open utterance, parts that were cut off included.
    pub fn turn_audio(&self) -> Arc<[f32]> {
        let open = self.open.as_ref().map_or(&[][..], |open| &open.audio);
        let open = &open[open.len().saturating_sub(samples(TURN_MS))..];
        let before = &self.before[self.before.len().saturating_sub(samples(TURN_MS) - open.len())..];
        if self.open.is_some() { [before, open].concat().into() } else { Arc::from([]) }
    }

    /// Samples heard so far, which is where the open utterance ends.
    pub const fn heard(&self) -> u64 {
        self.heard
    }

    /// Ends the open utterance and hands it over. Silence after its last word stays behind, as pre-roll of the next; if
    /// somebody is speaking, the next begins at once.
    pub fn take(&mut self) -> Option<Utterance> {
        let mut open = self.open.take()?;
        self.before.clear();
        let end = if self.speech {
            self.heard
        } else {
            let tail = open.speech_end_sample + samples(TAIL_MS) as u64;
            tail.max(self.heard.saturating_sub(self.keep() as u64)).min(self.heard)
        };
        let rest = open.audio.split_off((end - open.first_sample) as usize);
        if self.speech {
            self.open = Some(Open::at(end, rest));
        } else {
            self.recent = rest;
        }
        Some(self.close(open))
    }

    /// The beginning of an utterance that grew too long, cut off at a quiet place, or that was spoken on after a pause; the rest
    /// of it is still open. At most four wait, the latest.
    pub fn take_part(&mut self) -> Option<Utterance> {
        (!self.parts.is_empty()).then(|| self.parts.remove(0))
    }

    /// Nobody speaks. True when somebody has begun.
    fn begins(&mut self, frame: &[f32], probability: f32) -> bool {
        if probability < self.settings.onset_probability {
            // What seemed to begin was nothing: the silence has gone on all the while.
            self.silence_ms = self.silence_ms.saturating_add(self.run_ms).saturating_add(FRAME_MS);
            self.run_ms = 0;
            self.run_meter.clear();
            return false;
        }
        self.run_ms += FRAME_MS;
        self.run_meter.feed(frame);
        if self.run_ms < self.settings.onset_ms {
            return false;
        }
        self.speech = true;
        self.speech_ms = self.run_ms;
        self.silence_ms = 0;
        self.speech_end = self.at;
        let recent = std::mem::take(&mut self.recent);
        let first_sample = self.heard - recent.len() as u64;
        self.cut_at_pause(self.heard - samples(self.run_ms) as u64);
        let open = self.open.get_or_insert_with(|| Open::at(first_sample, recent));
        open.speech_end_sample = self.heard;
        open.speech_ms += self.run_ms;
        open.meter.add(&self.run_meter);
        self.run_ms = 0;
        self.run_meter.clear();
        true
    }

    /// Somebody speaks. True when that is over.
    fn goes_on(&mut self, frame: &[f32], probability: f32) -> bool {
        if probability >= self.settings.offset_probability {
            self.silence_ms = 0;
            self.cut_at_pause(self.heard - HEAR_FRAME as u64);
            self.speech_ms = self.speech_ms.saturating_add(FRAME_MS);
            if let Some(open) = &mut self.open {
                open.speech_end_sample = self.heard;
                open.speech_ms += FRAME_MS;
                open.meter.feed(frame);
            }
            if probability >= self.settings.onset_probability {
                self.speech_end = self.at;
            }
            return false;
        }
        self.silence_ms = self.silence_ms.saturating_add(FRAME_MS);
        if self.silence_ms < self.settings.offset_ms {
            return false;
        }
        self.speech = false;
        self.speech_ms = 0;
        true
    }

    fn level_dbfs(&self) -> f32 {
        let meter = self.open.as_ref().filter(|_| self.speech).map(|open| &open.meter);
        meter.filter(|meter| meter.samples() > 0).map_or(0.0, Meter::level_dbfs)
    }

    /// Samples of silence worth keeping: the pre-roll, and a run that may become an onset.
    const fn keep(&self) -> usize {
        samples(self.settings.pre_roll_ms) + samples(self.run_ms)
    }

    fn forget_old(&mut self) {
        let keep = self.keep();
        // A little more is held, so that not every frame moves all of it.
        if self.recent.len() > 2 * keep + HEAR_FRAME {
            self.recent.drain(..self.recent.len() - keep);
        }
    }

    /// Cuts the utterance when it has reached its longest.
    fn cut_longest(&mut self) {
        let longest = samples(self.settings.longest_ms);
        let Some(open) = self.open.take_if(|open| open.audio.len() >= longest) else { return };
        let from = open.audio.len() - samples(CUT_WITHIN_MS.min(self.settings.longest_ms / 2));
        let end = open.first_sample + (from + quietest(&open.audio[from..])) as u64;
        self.cut(open, end);
    }

    /// The caller speaks again, since sample `again`. If the pause before was long enough, and so is the utterance, what lies
    /// before the pause is a part.
    fn cut_at_pause(&mut self, again: u64) {
        let (shortest, pause) = (samples(self.settings.part_ms) as u64, samples(self.settings.part_pause_ms) as u64);
        let is_due = |open: &mut Open| {
            let voiced = open.speech_end_sample;
            again >= voiced + pause && voiced > open.first_sample && voiced - open.first_sample >= shortest
        };
        let Some(open) = self.open.take_if(is_due) else { return };
        // In the middle; in a long pause the rest begins like any utterance.
        let end = u64::midpoint(open.speech_end_sample, again)
            .max(again.saturating_sub(samples(self.settings.pre_roll_ms) as u64));
        self.cut(open, end);
    }

    fn cut(&mut self, open: Open, end: u64) {
        let (part, rest) = open.split(end);
        self.open = Some(rest);
        if self.parts.len() == MOST_PARTS {
            self.parts.remove(0);
        }
        self.before.extend_from_slice(&part.audio);
        self.before.drain(..self.before.len().saturating_sub(samples(TURN_MS)));
        let part = self.close(part);
        self.parts.push(part);
    }

    fn close(&self, open: Open) -> Utterance {
        let ago = |sample: u64| {
            Duration::from_micros((self.heard - sample.min(self.heard)) * 1_000_000 / u64::from(HEAR_RATE))
        };
        let end = open.first_sample + open.audio.len() as u64;
        Utterance {
            first_sample: open.first_sample,
            voiced_until: open.speech_end_sample,
            began: self.at - ago(open.first_sample),
            speech_end: self.speech_end.min(self.at - ago(end)),
            speech_ms: open.speech_ms,
            level_dbfs: open.meter.level_dbfs(),
            audio: open.audio.into(),
        }
    }
}

/// The middle of the quietest stretch; the latest of equals.
fn quietest(audio: &[f32]) -> usize {
    let (stretch, step) = (samples(QUIET_MS), samples(10));
    let starts = (0..=audio.len().saturating_sub(stretch)).step_by(step);
    let loudness = |start: usize| level::rms(&audio[start..(start + stretch).min(audio.len())]);
    let quietest = starts.map(|start| (start, loudness(start))).reduce(|a, b| if b.1 <= a.1 { b } else { a });
    quietest.map_or(0, |(start, _)| start + stretch / 2)
}

/// Cuts frames of any length into the windows that a voice detector works on, and keeps its newest answer.
pub struct VadWindow {
    vad: Box<dyn Vad>,
    window: [f32; VAD_FRAME],
    filled: usize,
    newest: f32,
}

impl VadWindow {
    pub fn new(vad: Box<dyn Vad>) -> Self {
        Self { vad, window: [0.0; VAD_FRAME], filled: 0, newest: 0.0 }
    }

    /// Takes in some more sound; the probability of the last window that is complete, 0.0 before the first. Windows are
    /// 32 ms, so that three ticks of 20 ms in eight have no new one.
    pub fn feed(&mut self, mut sound: &[f32]) -> f32 {
        while !sound.is_empty() {
            let (taken, rest) = sound.split_at(sound.len().min(VAD_FRAME - self.filled));
            self.window[self.filled..self.filled + taken.len()].copy_from_slice(taken);
            self.filled += taken.len();
            sound = rest;
            if self.filled == VAD_FRAME {
                self.filled = 0;
                let probability = self.vad.probability(&self.window);
                // A detector gone wrong must not open the floor, nor keep it.
                self.newest = if probability.is_finite() { probability.clamp(0.0, 1.0) } else { 0.0 };
            }
        }
        self.newest
    }

    /// Another stream begins.
    pub fn reset(&mut self) {
        self.vad.reset();
        self.filled = 0;
        self.newest = 0.0;
    }
}

#[cfg(test)]
mod tests;
