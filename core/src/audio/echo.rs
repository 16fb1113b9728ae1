use sonora_aec3::block::Block;
use sonora_aec3::block_processor::BlockProcessor;
use sonora_aec3::config::EchoCanceller3Config;

use super::{HEAR_FRAME, HEAR_RATE};

/// The canceller works on 4 ms, five times a tick.
const BLOCK: usize = sonora_aec3::common::BLOCK_SIZE;
/// Its numbers are those of 16-bit samples.
const FULL_SCALE: f32 = 32_768.0;

pub struct EchoCanceller {
    aec3: BlockProcessor,
    played: Block,
    heard: Block,
    linear: Block,
    pub share: f32,
    pub suppressed: [f32; HEAR_FRAME],
}

impl EchoCanceller {
    /// One that knows no echo yet.
    pub fn new() -> Self {
        let mut config = EchoCanceller3Config::default();
        config.filter.export_linear_aec_output = true;
        if let Some(n) = std::env::var("BLOCKS").ok().and_then(|n| n.parse().ok()) {
            config.filter.refined.length_blocks = n;
            config.filter.coarse.length_blocks = n;
        }
        Self {
            aec3: BlockProcessor::new(&config, HEAR_RATE as usize, 1, 1),
            played: Block::new(1, 1),
            heard: Block::new(1, 1),
            linear: Block::new(1, 1),
            share: 0.0,
            suppressed: [0.0; HEAR_FRAME],
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
    pub fn clean(&mut self, frame: &mut [f32; HEAR_FRAME]) {
        let (mut left, mut passed) = (1e-3, 1e-3);
        for (n, block) in frame.as_chunks_mut::<BLOCK>().0.iter_mut().enumerate() {
            fill(&mut self.heard, block);
            fill(&mut self.linear, block);
            let saturated = block.iter().any(|sample| sample.abs() > 0.998);
            self.aec3.process_capture(false, saturated, Some(&mut self.linear), &mut self.heard);
            for (k, sample) in block.iter_mut().enumerate() {
                let (linear, out) = (self.linear.view(0, 0)[k], self.heard.view(0, 0)[k]);
                left += linear * linear;
                passed += out * out;
                *sample = linear / FULL_SCALE;
                self.suppressed[n * BLOCK + k] = out / FULL_SCALE;
            }
        }
        self.share = 10.0 * (passed / left).log10();
    }
}

fn fill(block: &mut Block, samples: &[f32; BLOCK]) {
    for (to, sample) in block.view_mut(0, 0).iter_mut().zip(samples) {
        *to = if sample.is_finite() { sample * FULL_SCALE } else { 0.0 };
    }
}

impl Default for EchoCanceller {
    fn default() -> Self {
        Self::new()
    }
}
