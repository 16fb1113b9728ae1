//! Whisper's picture of sound: 80 mel bands, a frame every 10 ms, on a logarithmic scale.
//!
//! The numbers are those of `WhisperFeatureExtractor` with `do_normalize` (the one that the end-of-turn model was
//! trained with): the waveform brought to mean 0 and variance 1, a Hann window of 400 samples every 160, power,
//! Slaney's mel filters, log10, all below the maximum by more than 8 cut off, then (x + 4) / 4.

use std::f64::consts::TAU;
use std::ops::Range;
use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use super::HEAR_RATE;

/// Mel bands.
pub const BANDS: usize = 80;
/// Samples from one frame to the next: 10 ms.
pub const HOP: usize = 160;
/// Samples of a frame: 25 ms.
const WINDOW: usize = 400;
const BINS: usize = WINDOW / 2 + 1;

/// Computes the picture; holds the tables and the working memory of the transform.
pub struct LogMel {
    window: Vec<f64>,
    /// For each band the bins that it covers, and their weights.
    filters: Vec<(Range<usize>, Vec<f64>)>,
    transform: Arc<dyn RealToComplex<f64>>,
    frame: Vec<f64>,
    spectrum: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
}

impl LogMel {
    /// Builds the tables.
    pub fn new() -> Self {
        let transform = RealFftPlanner::new().plan_fft_forward(WINDOW);
        Self {
            window: (0..WINDOW).map(|i| 0.5 - 0.5 * (TAU * i as f64 / WINDOW as f64).cos()).collect(),
            filters: filters(),
            frame: transform.make_input_vec(),
            spectrum: transform.make_output_vec(),
            scratch: transform.make_scratch_vec(),
            transform,
        }
    }

    /// The picture of 16 kHz audio: `audio.len() / HOP` frames for each band, band by band. Audio shorter than a
    /// frame has none.
    pub fn picture(&mut self, audio: &[f32]) -> Vec<f32> {
        let frames = if audio.len() < WINDOW { 0 } else { audio.len() / HOP };
        let normal = normalised(audio);
        let mut picture = vec![0.0f64; BANDS * frames];
        let mut highest = f64::MIN;
        for at in 0..frames {
            self.power_at(&normal, at);
            for (band, (bins, weights)) in self.filters.iter().enumerate() {
                let energy: f64 = self.spectrum[bins.clone()].iter().zip(weights).map(|(bin, w)| bin.re * w).sum();
                let log = energy.max(1e-10).log10();
                highest = highest.max(log);
                picture[band * frames + at] = log;
            }
        }
        picture.into_iter().map(|log| ((log.max(highest - 8.0) + 4.0) / 4.0) as f32).collect()
    }

    /// The power spectrum of the frame centred on sample `at * HOP`, left in the real parts of `spectrum`.
    fn power_at(&mut self, audio: &[f64], at: usize) {
        let first = (at * HOP) as isize - (WINDOW / 2) as isize;
        for (i, (sample, weight)) in self.frame.iter_mut().zip(&self.window).enumerate() {
            *sample = audio[reflected(first + i as isize, audio.len())] * weight;
        }
        // The lengths are the transform's own, so it cannot refuse them.
        let done = self.transform.process_with_scratch(&mut self.frame, &mut self.spectrum, &mut self.scratch);
        debug_assert!(done.is_ok());
        for bin in &mut self.spectrum {
            bin.re = bin.norm_sqr();
        }
    }
}

impl Default for LogMel {
    fn default() -> Self {
        Self::new()
    }
}

/// Mean 0 and variance 1; silence stays silence.
fn normalised(audio: &[f32]) -> Vec<f64> {
    let count = audio.len().max(1) as f64;
    let mean = audio.iter().copied().map(f64::from).sum::<f64>() / count;
    let variance = audio.iter().map(|s| (f64::from(*s) - mean).powi(2)).sum::<f64>() / count;
    let scale = (variance + 1e-7).sqrt();
    audio.iter().map(|s| (f64::from(*s) - mean) / scale).collect()
}

/// The index that stands for one before the beginning or after the end: the audio mirrored at its first and last
/// sample, for at least a frame of audio.
fn reflected(at: isize, length: usize) -> usize {
    let last = length as isize - 1;
    let at = at.abs();
    (if at > last { 2 * last - at } else { at }) as usize
}

/// Triangles on Slaney's mel scale (linear to 1 kHz, then logarithmic; Auditory Toolbox, 1998), each of area one.
fn filters() -> Vec<(Range<usize>, Vec<f64>)> {
    let top_hz = f64::from(HEAR_RATE) / 2.0;
    let edges: Vec<f64> = (0..BANDS + 2).map(|i| hz_of(mel_of(top_hz) * i as f64 / (BANDS + 1) as f64)).collect();
    edges
        .windows(3)
        .map(|edge| {
            let weight = |bin: usize| {
                let hz = bin as f64 * top_hz / (BINS - 1) as f64;
                let up = (hz - edge[0]) / (edge[1] - edge[0]);
                let down = (edge[2] - hz) / (edge[2] - edge[1]);
                up.min(down).max(0.0) * 2.0 / (edge[2] - edge[0])
            };
            let covered = |bin: &usize| weight(*bin) > 0.0;
            let first = (0..BINS).find(covered).unwrap_or(0);
            let end = (first..BINS).find(|bin| !covered(bin)).unwrap_or(BINS);
            (first..end, (first..end).map(weight).collect())
        })
        .collect()
}

const LINEAR_TO_HZ: f64 = 1_000.0;
const LINEAR_TO_MEL: f64 = 15.0;

fn mel_of(hz: f64) -> f64 {
    if hz < LINEAR_TO_HZ {
        hz * LINEAR_TO_MEL / LINEAR_TO_HZ
    } else {
        LINEAR_TO_MEL + (hz / LINEAR_TO_HZ).ln() * 27.0 / 6.4f64.ln()
    }
}

fn hz_of(mel: f64) -> f64 {
    if mel < LINEAR_TO_MEL {
        mel * LINEAR_TO_HZ / LINEAR_TO_MEL
    } else {
        LINEAR_TO_HZ * ((mel - LINEAR_TO_MEL) * 6.4f64.ln() / 27.0).exp()
    }
}
