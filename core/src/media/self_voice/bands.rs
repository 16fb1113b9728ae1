//! How strong a sound is in each of a few bands, tick by tick: coarse enough that a room does not change the picture, fine
//! enough that two voices do not look alike.

use std::f32::consts::TAU;
use std::ops::Range;
use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use crate::audio::{HEAR_FRAME, HEAR_RATE};

/// Bands, each about as wide as the ear's own (1.5 of Moore and Glasberg's ERB).
pub const BANDS: usize = 18;
/// A frame and some of the one before it: 32 ms.
const WINDOW: usize = 512;
/// Below is hum, above there is little left after a coder.
const LOWEST_HZ: f32 = 150.0;
const HIGHEST_HZ: f32 = 7_000.0;

/// The mean power of each band; 1.0 is a full-scale square wave spread over the band.
pub type Bands = [f32; BANDS];

/// Does somebody speak in it? From -60 dBFS on: the pauses of a synthetic voice are digital silence, and those of a
/// recorded one are not much above.
pub fn is_loud(bands: &Bands) -> bool {
    bands.iter().sum::<f32>() > 1e-6
}

/// Computes them for one stream.
pub struct BandMeter {
    hann: Vec<f32>,
    bins: [Range<usize>; BANDS],
    transform: Arc<dyn RealToComplex<f32>>,
    recent: [f32; WINDOW],
    windowed: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
}

impl BandMeter {
    /// One that has heard silence.
    pub fn new() -> Self {
        let transform = RealFftPlanner::new().plan_fft_forward(WINDOW);
        Self {
            hann: (0..WINDOW).map(|n| 0.5 - 0.5 * (TAU * n as f32 / WINDOW as f32).cos()).collect(),
            bins: bins(),
            recent: [0.0; WINDOW],
            windowed: transform.make_input_vec(),
            spectrum: transform.make_output_vec(),
            scratch: transform.make_scratch_vec(),
            transform,
        }
    }

    /// The bands of the last 32 ms, this frame's 20 ms included.
    pub fn feed(&mut self, frame: &[f32; HEAR_FRAME]) -> Bands {
        self.recent.copy_within(HEAR_FRAME.., 0);
        for (recent, sample) in self.recent[WINDOW - HEAR_FRAME..].iter_mut().zip(frame) {
            *recent = if sample.is_finite() { *sample } else { 0.0 };
        }
        for ((windowed, recent), weight) in self.windowed.iter_mut().zip(&self.recent).zip(&self.hann) {
            *windowed = recent * weight;
        }
        // The lengths are the transform's own, so it cannot refuse them.
        let done = self.transform.process_with_scratch(&mut self.windowed, &mut self.spectrum, &mut self.scratch);
        debug_assert!(done.is_ok());
        // Hann's window passes 3/8 of the power; each of the two halves of the spectrum has one half of it.
        let scale = 2.0 / (WINDOW as f32 * WINDOW as f32 * 0.375);
        std::array::from_fn(|band| {
            let bins = self.bins[band].clone();
            self.spectrum[bins].iter().map(Complex::norm_sqr).sum::<f32>() * scale
        })
    }
}

impl Default for BandMeter {
    fn default() -> Self {
        Self::new()
    }
}

/// Equal steps on the scale of equivalent rectangular bandwidths (Moore and Glasberg, 1990).
fn bins() -> [Range<usize>; BANDS] {
    let erb_of = |hz: f32| 21.4 * (1.0 + 0.004_37 * hz).log10();
    let hz_of = |erb: f32| (10.0_f32.powf(erb / 21.4) - 1.0) / 0.004_37;
    let (low, high) = (erb_of(LOWEST_HZ), erb_of(HIGHEST_HZ));
    let bin = |edge: usize| {
        let hz = hz_of(low + (high - low) * edge as f32 / BANDS as f32);
        (hz * WINDOW as f32 / HEAR_RATE as f32).round() as usize
    };
    std::array::from_fn(|band| bin(band)..bin(band + 1).max(bin(band) + 1))
}
