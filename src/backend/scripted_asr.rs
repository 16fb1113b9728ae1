//! A recogniser that knows beforehand what will be said: for load tests and demonstrations, where the sound counts
//! and the words are given. It needs no model and takes no time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::{Asr, AsrError, AsrJob, AsrPurpose, Transcript};
use crate::audio::HEAR_RATE;

/// Speech is about this quick; a partial holds as many words as the audio so far has room for.
const WORDS_PER_SECOND: f32 = 2.5;
/// Below this (mean square; -50 dBFS) nothing was said.
const SILENCE: f32 = 1e-5;

/// Which line an utterance gets.
#[derive(Clone, Debug, PartialEq)]
pub enum Lines {
    /// One after the other, each finished utterance taking the next, from the beginning again after the last. Calls
    /// that run at once take turns.
    InOrder(Vec<String>),
    /// The line whose length in time is nearest to the utterance's: the same for every call that plays the same
    /// recordings.
    ByLength(Vec<(Duration, String)>),
}

/// The scripted recogniser.
pub struct ScriptedAsr {
    lines: Lines,
    next: AtomicUsize,
}

impl ScriptedAsr {
    /// A recogniser with these lines; without any it hears nothing.
    pub fn new(lines: Lines) -> Self {
        Self { lines, next: AtomicUsize::new(0) }
    }

    fn line(&self, length: Duration, purpose: AsrPurpose) -> &str {
        match &self.lines {
            Lines::InOrder(lines) => {
                let at = match purpose {
                    AsrPurpose::Partial | AsrPurpose::Doubt => self.next.load(Ordering::Relaxed),
                    AsrPurpose::Final => self.next.fetch_add(1, Ordering::Relaxed),
                };
                lines.get(at % lines.len().max(1)).map_or("", String::as_str)
            }
            Lines::ByLength(lines) => {
                lines.iter().min_by_key(|(wanted, _)| wanted.abs_diff(length)).map_or("", |(_, line)| line)
            }
        }
    }
}

#[async_trait]
impl Asr for ScriptedAsr {
    async fn transcribe(&self, job: AsrJob) -> Result<Transcript, AsrError> {
        let began = Instant::now();
        let energy: f32 = job.audio.iter().filter(|sample| sample.is_finite()).map(|s| s * s).sum();
        if energy <= SILENCE * job.audio.len() as f32 {
            return Ok(Transcript { no_speech: 1.0, took: began.elapsed(), ..Transcript::default() });
        }
        let seconds = job.audio.len() as f32 / HEAR_RATE as f32;
        let words = self.line(Duration::from_secs_f32(seconds), job.purpose).split_whitespace();
        let spoken = match job.purpose {
            AsrPurpose::Partial | AsrPurpose::Doubt => (seconds * WORDS_PER_SECOND) as usize,
            AsrPurpose::Final => usize::MAX,
        };
        let text = words.take(spoken).collect::<Vec<_>>().join(" ");
        let heard = if text.is_empty() { 0.0 } else { 1.0 };
        Ok(Transcript { text, confidence: heard, no_speech: 1.0 - heard, took: began.elapsed() })
    }

    async fn warm(&self) -> Result<(), AsrError> {
        Ok(())
    }

    fn name(&self) -> String {
        match &self.lines {
            Lines::InOrder(lines) => format!("scripted, {} lines in order", lines.len()),
            Lines::ByLength(lines) => format!("scripted, {} lines by length", lines.len()),
        }
    }
}
