//! Takes our own voice out of what the microphone hears: the echo canceller of WebRTC (AEC3), in the Rust port
//! `sonora-aec3`.
//!
//! Of its two outputs the ear gets the first: what its **linear filter** leaves, in which the caller is untouched. The
//! second is the first behind a suppressor that is made for people, to whom an echo is worse than a swallowed word: it takes
//! a caller who is not louder than the echo for one, and costs an interruption 160 to 480 ms. What the filter leaves of our
//! voice is no caller either, and [`SelfVoice`](crate::media::self_voice::SelfVoice) says so.

use sonora_aec3::block::Block;
use sonora_aec3::block_processor::BlockProcessor;
use sonora_aec3::config::EchoCanceller3Config;

use super::{HEAR_FRAME, HEAR_RATE};

/// The canceller works on 4 ms, five times a tick, so that nothing is delayed.
const BLOCK: usize = sonora_aec3::common::BLOCK_SIZE;
/// Its numbers are those of 16-bit samples.
const FULL_SCALE: f32 = 32_768.0;
/// A microphone at the end of its range: its filter learns nothing from that.
const CLIPPED: f32 = 0.998;

/// One call's canceller, at 16 kHz.
///
/// It finds the delay between our voice and its echo by itself, up to 500 ms, within a second or two. What it has not
/// learned yet it lets through.
pub struct EchoCanceller {
    aec3: BlockProcessor,
    played: Block,
    /// The suppressor works in place; nobody listens to it.
    suppressed: Block,
    linear: Block,
}

impl EchoCanceller {
    /// One that knows no echo yet.
    pub fn new() -> Self {
        let mut config = EchoCanceller3Config::default();
        config.filter.export_linear_aec_output = true;
        let block = || Block::new(1, 1);
        Self {
            aec3: BlockProcessor::new(&config, HEAR_RATE as usize, 1, 1),
            played: block(),
            suppressed: block(),
            linear: block(),
        }
    }

    /// What went out to the caller: every tick's frame, silence included, before the microphone's frame of a moment in
    /// which it can have come back.
    pub fn played(&mut self, frame: &[f32; HEAR_FRAME]) {
        for block in frame.as_chunks::<BLOCK>().0 {
            fill(&mut self.played, block);
            self.aec3.buffer_render(&self.played);
        }
    }

    /// Takes the echo out of what the microphone heard.
    ///
    /// A filter that has learned nothing yet, or has nothing to learn since no echo comes back, adds a ghost of our voice instead
    /// (at some -57 dBFS, enough for a voice detector): then what came in stands.
    pub fn clean(&mut self, frame: &mut [f32; HEAR_FRAME]) {
        let heard = *frame;
        self.filter(frame);
        if energy(frame) > energy(&heard) {
            *frame = heard;
        }
    }

    fn filter(&mut self, frame: &mut [f32; HEAR_FRAME]) {
        for block in frame.as_chunks_mut::<BLOCK>().0 {
            fill(&mut self.suppressed, block);
            // Before our first word it gives nothing back: then what it was given stands.
            fill(&mut self.linear, block);
            let clipped = block.iter().any(|sample| sample.abs() > CLIPPED);
            self.aec3.process_capture(false, clipped, Some(&mut self.linear), &mut self.suppressed);
            for (sample, linear) in block.iter_mut().zip(self.linear.view(0, 0)) {
                *sample = if linear.is_finite() { linear / FULL_SCALE } else { 0.0 };
            }
        }
    }
}

impl Default for EchoCanceller {
    fn default() -> Self {
        Self::new()
    }
}

/// What is no number counts as silence.
fn energy(frame: &[f32; HEAR_FRAME]) -> f32 {
    frame.iter().filter(|sample| sample.is_finite()).map(|sample| sample * sample).sum()
}

/// Whatever is no number is silence.
fn fill(block: &mut Block, samples: &[f32; BLOCK]) {
    for (to, sample) in block.view_mut(0, 0).iter_mut().zip(samples) {
        *to = if sample.is_finite() { sample.clamp(-1.0, 1.0) * FULL_SCALE } else { 0.0 };
    }
}
