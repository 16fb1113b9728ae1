//! How much of what was played is heard, band by band, and how much of what is heard that leaves unexplained.
use super::bands::{BANDS, Bands};
use super::logistic;

const FAINTEST: f32 = 1e-9;
/// The canceller is not trusted with more than 12 dB.
const TRUST: f32 = 2.76;

pub struct Leak {
    pub noise: Bands,
    /// Natural logarithm of power.
    pub gain: Bands,
    spread: Bands,
    pub unexplained: f32,
    pub active: u32,
    /// Ticks in which an echo was heard.
    ticks: u32,
}

impl Leak {
    pub fn new() -> Self {
        Self { noise: [1e-7; BANDS], gain: [0.0; BANDS], spread: [0.9; BANDS], unexplained: 0.0, active: 0, ticks: 0 }
    }

    pub fn listen(&mut self, bands: &Bands) {
        self.active = 0;
        for (noise, power) in self.noise.iter_mut().zip(bands) {
            *noise = if power < noise { *noise + 0.2 * (power - *noise) } else { (*noise * 1.01).min(*power) };
            *noise = noise.max(FAINTEST);
            self.active += u32::from(*power > 6.0 * *noise);
        }
    }

    /// None when nothing is heard.
    pub fn likelihood(&mut self, bands: &Bands, shape: Option<&Bands>, path_changed: bool, least: Option<&Bands>) -> Option<f32> {
        if self.active < 3 {
            return None;
        }
        let Some(shape) = shape else { return Some(0.0) };
        if let Some(least) = least {
            let trust = TRUST * (self.ticks as f32 / 250.0).min(1.0);
            for (gain, least) in self.gain.iter_mut().zip(least) {
                *gain = gain.max(*least - trust);
            }
        }
        let mut over = 0.0;
        for b in 0..BANDS {
            if bands[b] > 6.0 * self.noise[b] {
                let z = (bands[b] / (shape[b] * self.gain[b].exp() + self.noise[b])).ln() / self.spread[b];
                over += ((z - 1.0) / 2.0).clamp(0.0, 1.0);
            }
        }
        let now = over / self.active as f32;
        self.unexplained += 0.4 * (now - self.unexplained);
        let likelihood = logistic((0.3 - self.unexplained) / 0.05);
        self.ticks += u32::from(likelihood > 0.5);
        self.adapt(bands, shape, likelihood, path_changed);
        Some(likelihood)
    }

    fn adapt(&mut self, bands: &Bands, shape: &Bands, likelihood: f32, path_changed: bool) {
        for b in 0..BANDS {
            let expected = shape[b] * self.gain[b].exp();
            if shape[b] < 1e-7 || bands[b].max(expected) < 4.0 * self.noise[b] {
                continue;
            }
            let error = (bands[b].max(self.noise[b]) / shape[b]).ln() - self.gain[b];
            let step = match likelihood > 0.5 {
                true => 0.04,
                false if error < 0.0 => 0.02,
                false if path_changed => 0.04,
                false => 0.002,
            };
            self.gain[b] += step * error.clamp(-2.0, 2.0);
            if likelihood > 0.5 {
                // The mean distance of a normal variable is 0.8 of its spread.
                self.spread[b] += 0.01 * ((error.abs() * 1.25).min(2.5) - self.spread[b]);
                self.spread[b] = self.spread[b].clamp(0.5, 1.6);
            }
        }
    }

    pub fn learn(&mut self, pairs: &[(Bands, Bands)]) {
        let middle = |mut ratios: Vec<f32>| {
            ratios.sort_by(f32::total_cmp);
            (ratios.len() >= 3).then(|| ratios[ratios.len() / 2])
        };
        let known: [Option<f32>; BANDS] = std::array::from_fn(|b| {
            let ratios = pairs.iter().filter(|(shape, heard)| shape[b] > 1e-7 && heard[b] > 4.0 * self.noise[b]);
            middle(ratios.map(|(shape, heard)| (heard[b] / shape[b]).ln()).collect())
        });
        let usual = middle(known.iter().flatten().copied().collect()).unwrap_or(-3.0);
        self.gain = known.map(|gain| gain.unwrap_or(usual));
    }
}
