//! How strongly does our voice come back, and what does it leave unexplained of what is heard?

use super::bands::{BANDS, Bands};
use super::logistic;

/// No microphone is quieter: power of a band, -90 dBFS.
const FAINTEST: f32 = 1e-9;
/// A band holds a sound from 8 dB above the noise on; without one nothing is heard.
const ABOVE_NOISE: f32 = 6.0;
const SOUND_BANDS: u32 = 1;
/// The noise floor follows a falling sound within 100 ms and a rising one by 2 dB a second: it sits out a sentence.
const NOISE_FALLS: f32 = 0.2;
const NOISE_RISES: f32 = 1.01;
/// Power below which nothing was played in a band: -70 dBFS.
const UNPLAYED: f32 = 1e-7;

/// What two coders make of a sound lies 30 dB below all of it, in any band.
const CODED: f32 = 1e-3;

/// A band begins to be unexplained one spread above what is expected and is wholly so two further on.
const SPREADS: f32 = 2.0;
/// Spread of the logarithm of power before anything is known, and its range: 2 to 7 dB.
const FIRST_SPREAD: f32 = 0.9;
const LEAST_SPREAD: f32 = 0.5;
const MOST_SPREAD: f32 = 1.6;
/// How fast the mean share of unexplained bands moves: 50 ms.
const FOLLOWS: f32 = 0.4;
/// The share at which it is our voice as likely as not, and the width of the transition. Of our own voice, 97 % of ticks
/// have less than 0.1; of a caller at the usual level over our voice, 97 % have more than 0.4.
const UNEXPLAINED: f32 = 0.3;
const SLOPE: f32 = 0.05;

/// How fast gains move, per tick: over our voice alone; down over anything, since nothing makes an echo weaker but a
/// weaker echo; up over what resembles our voice and is too strong for it (somebody turned the volume up); and up over a
/// caller, hardly at all.
const ALONE: f32 = 0.04;
const DOWN: f32 = 0.02;
const LOUDER: f32 = 0.04;
const TALKED_OVER: f32 = 0.002;
const RESEMBLES: f32 = 0.8;
/// How fast the spread moves, over our voice alone.
const SPREADING: f32 = 0.01;
/// The farthest that one tick can pull, as logarithm of power: 9 dB.
const FARTHEST: f32 = 2.0;
/// The mean distance of a normal variable from its mean, in spreads.
const MEAN_DISTANCE: f32 = 0.8;

/// A canceller is trusted to take away 12 dB, once it has had five seconds of our voice to learn from: it takes more as a
/// rule, but a vowel that it has not met comes through.
const TRUST: f32 = 2.76;
const TRUSTED_TICKS: f32 = 250.0;

/// What is known about one way from loudspeaker to ear.
#[derive(Clone)]
pub struct Leak {
    noise: Bands,
    /// Natural logarithms of power: heard over played, and their spread.
    gain: Bands,
    spread: Bands,
    unexplained: f32,
    loud_bands: u32,
    /// Ticks in which our voice was heard.
    ticks: u32,
}

impl Leak {
    pub fn new() -> Self {
        Self {
            noise: [UNPLAYED; BANDS],
            gain: [0.0; BANDS],
            spread: [FIRST_SPREAD; BANDS],
            unexplained: 0.0,
            loud_bands: 0,
            ticks: 0,
        }
    }

    /// Follows the noise; once a tick.
    pub fn listen(&mut self, heard: &Bands) {
        self.loud_bands = 0;
        for (noise, power) in self.noise.iter_mut().zip(heard) {
            let next = if power < noise { *noise + NOISE_FALLS * (power - *noise) } else { *noise * NOISE_RISES };
            *noise = if power < noise { next } else { next.min(*power) }.max(FAINTEST);
            self.loud_bands += u32::from(*power > ABOVE_NOISE * *noise);
        }
    }

    pub fn noise(&self, band: usize) -> f32 {
        self.noise[band]
    }

    /// Is anything heard beside the noise?
    pub fn hears_sound(&self) -> bool {
        self.loud_bands >= SOUND_BANDS
    }

    /// The same way, before a canceller on it has learned anything.
    pub fn behind_a_canceller(&self) -> Self {
        Self { ticks: 0, ..self.clone() }
    }

    /// Behind a canceller: what is heard is at least what the microphone hears of our voice, less what a canceller is
    /// trusted with.
    pub fn trust(&mut self, microphone: &Self) {
        let trust = TRUST * (self.ticks as f32 / TRUSTED_TICKS).min(1.0);
        for (gain, microphone) in self.gain.iter_mut().zip(&microphone.gain) {
            *gain = gain.max(microphone - trust);
        }
    }

    /// The likelihood that what is heard is `echo` (what was played, but for its strength) and nothing else; `None` when
    /// nothing is heard. Learns from it.
    pub fn explains(&mut self, heard: &Bands, echo: &Bands, resemblance: f32) -> Option<f32> {
        if !self.hears_sound() {
            return None;
        }
        let expected: Bands = std::array::from_fn(|band| echo[band] * self.gain[band].exp());
        let coded = CODED * expected.iter().sum::<f32>();
        let mut over = 0.0;
        for band in (0..BANDS).filter(|band| heard[*band] > ABOVE_NOISE * self.noise[*band]) {
            let ours = expected[band] + coded + self.noise[band];
            let spreads = (heard[band] / ours).ln() / self.spread[band];
            over += ((spreads - 1.0) / SPREADS).clamp(0.0, 1.0);
        }
        self.unexplained += FOLLOWS * (over / self.loud_bands as f32 - self.unexplained);
        let likelihood = logistic((UNEXPLAINED - self.unexplained) / SLOPE);
        self.adapt(heard, echo, (likelihood > 0.5, resemblance > RESEMBLES));
        Some(likelihood)
    }

    fn adapt(&mut self, heard: &Bands, echo: &Bands, (alone, resembles): (bool, bool)) {
        self.ticks = self.ticks.saturating_add(u32::from(alone));
        // A band with less than that in it tells of the coders and not of the room.
        let least = UNPLAYED.max(CODED * echo.iter().sum::<f32>());
        for band in 0..BANDS {
            let expected = echo[band] * self.gain[band].exp();
            if echo[band] < least || heard[band].max(expected) < 4.0 * self.noise[band] {
                continue;
            }
            let error = (heard[band].max(self.noise[band]) / echo[band]).ln() - self.gain[band];
            let step = match (alone, resembles) {
                (true, _) => ALONE,
                _ if error < 0.0 => DOWN,
                (_, true) => LOUDER,
                _ => TALKED_OVER,
            };
            self.gain[band] += step * error.clamp(-FARTHEST, FARTHEST);
            if alone {
                let distance = error.abs().min(FARTHEST) / MEAN_DISTANCE;
                let spread = self.spread[band] + SPREADING * (distance - self.spread[band]);
                self.spread[band] = spread.clamp(LEAST_SPREAD, MOST_SPREAD);
            }
        }
    }

    /// The strength from pairs of `echo` and what was heard: the median of each band, and that of all bands where a band
    /// was hardly heard.
    pub fn learn(&mut self, pairs: &[(Bands, Bands)]) {
        const LEAST: usize = 3;
        /// -13 dB, where there is nothing to learn from at all.
        const USUAL: f32 = -3.0;
        let median = |mut ratios: Vec<f32>| {
            ratios.sort_by(f32::total_cmp);
            (ratios.len() >= LEAST).then(|| ratios[ratios.len() / 2])
        };
        let known: [Option<f32>; BANDS] = std::array::from_fn(|band| {
            let noise = self.noise[band];
            let told = pairs.iter().filter(|(echo, heard)| echo[band] > UNPLAYED && heard[band] > 4.0 * noise);
            median(told.map(|(echo, heard)| (heard[band] / echo[band]).ln()).collect())
        });
        let usual = median(known.iter().flatten().copied().collect()).unwrap_or(USUAL);
        self.gain = known.map(|gain| gain.unwrap_or(usual));
    }
}
