//! When does our voice come back? The delay at which the picture of what is heard, band by band and tick by tick, resembles
//! that of what was played: the highest normalised correlation of logarithmic powers, each band less its own mean.

use std::collections::VecDeque;

use super::bands::{BANDS, Bands, is_loud};
use super::leak::Leak;
use super::logistic;

/// Delays that are looked at, in ticks: up to 700 ms, an echo of 500 ms behind a jitter buffer that has grown.
pub const LAGS: usize = 36;

/// What is remembered per tick: by the correlation that finds the delay (a second) and by the one that tells how much the
/// last moments resemble each other (130 ms).
const LONG: f32 = 0.98;
const SHORT: f32 = 0.85;
/// A correlation that makes a delay known. Two voices that have nothing to do with each other reach 0.3 at the best of 36
/// delays; an echo has 0.6 to 0.95.
const KNOWN: f32 = 0.5;
/// Ticks of our voice before a correlation counts.
const EVIDENCE_TICKS: f32 = 8.0;
/// So much better, and for so many ticks on end, another delay must be to replace a known one: a path does not change
/// while a caller talks over it.
const BETTER: f32 = 0.1;
const RIVAL_TICKS: u32 = 10;
/// Resemblance at which a sound of unknown delay is as likely our voice as not, and the width of the transition.
const RESEMBLES: f32 = 0.65;
const SLOPE: f32 = 0.06;
/// Power of a band that counts as silence: -70 dBFS.
const SILENCE: f32 = 1e-7;
/// Logarithms of power this far from their mean say no more than nearer ones: 17 dB.
const FARTHEST: f32 = 4.0;

/// Finds the delay, and loses it only to a better one.
pub struct Delay {
    /// Logarithmic powers less their mean, the newest first.
    played: VecDeque<Played>,
    mean_played: Mean,
    mean_heard: Mean,
    long: [Moments; LAGS],
    short: [Moments; LAGS],
    known: Option<usize>,
    rival_ticks: u32,
}

#[derive(Clone, Copy)]
struct Played {
    bands: Bands,
    loud: bool,
}

impl Delay {
    pub fn new() -> Self {
        Self {
            played: VecDeque::from(vec![Played { bands: [0.0; BANDS], loud: false }; LAGS]),
            // Where speech usually lies, for the first words: 22 and 13 dB above silence.
            mean_played: Mean::new(SILENCE.ln() + 5.0),
            mean_heard: Mean::new(SILENCE.ln() + 3.0),
            long: [Moments::default(); LAGS],
            short: [Moments::default(); LAGS],
            known: None,
            rival_ticks: 0,
        }
    }

    /// Ticks between playing and hearing, less one: what was played in the tick before this one has 0.
    pub fn ticks(&self) -> Option<usize> {
        self.known
    }

    pub fn played(&mut self, bands: &Bands) {
        let log = bands.map(|power| (power + SILENCE).ln());
        let loud = is_loud(bands);
        if loud {
            self.mean_played.add(&log);
        }
        self.played.pop_back();
        self.played.push_front(Played { bands: self.mean_played.centred(&log), loud });
    }

    /// Takes in what is heard; true when the delay is another from here on.
    pub fn heard(&mut self, bands: &Bands, leak: &Leak) -> bool {
        // Noise is no picture: what lies below three times of it counts as that.
        let log: Bands = std::array::from_fn(|band| (bands[band] + 3.0 * leak.noise(band)).ln());
        if leak.hears_sound() {
            self.mean_heard.add(&log);
        }
        let heard = self.mean_heard.centred(&log);
        for ((played, long), short) in self.played.iter().zip(&mut self.long).zip(&mut self.short) {
            // What is heard while nothing was played says nothing about the echo.
            if played.loud {
                let moments = Moments::of(&played.bands, &heard);
                long.add(LONG, moments);
                short.add(SHORT, moments);
            }
        }
        self.choose()
    }

    pub fn score(&self) -> f32 { self.long.iter().filter(|m| m.ticks >= EVIDENCE_TICKS).map(Moments::correlation).fold(0.0, f32::max) }
    fn choose(&mut self) -> bool {
        let score = |lag: usize| self.long[lag].correlation();
        let told = (0..LAGS).filter(|lag| self.long[*lag].ticks >= EVIDENCE_TICKS);
        let Some(best) = told.max_by(|a, b| score(*a).total_cmp(&score(*b))) else { return false };
        let e = |n: &str, d: f32| std::env::var(n).ok().and_then(|v| v.parse().ok()).unwrap_or(d);
        let ticks = self.long[best].ticks;
        let least = e("K", 0.5) + e("KE", 0.25) * (1.0 - (ticks - 8.0) / e("KT", 22.0)).max(0.0);
        let least = self.known.map_or(least, |known| least.max(score(known) + BETTER));
        if self.known == Some(best) || score(best) < least {
            self.rival_ticks = 0;
            return false;
        }
        self.rival_ticks += 1;
        let changed = self.known.is_none() || self.rival_ticks >= RIVAL_TICKS;
        if changed {
            self.known = Some(best);
            self.rival_ticks = 0;
        }
        changed
    }

    /// How much the last moments resemble what was played, -1.0..=1.0: at the known delay, or at the best.
    pub fn resemblance(&self) -> f32 {
        match self.known {
            Some(lag) => self.short[lag].correlation(),
            None => {
                let told = self.short.iter().filter(|moments| moments.ticks > 2.5);
                told.map(Moments::correlation).fold(-1.0, f32::max)
            }
        }
    }
}

/// The likelihood of our voice while its delay is not known.
pub fn by_resemblance(resemblance: f32) -> f32 {
    logistic((resemblance - RESEMBLES) / SLOPE)
}

/// The mean of logarithmic powers over speech, of two seconds.
struct Mean {
    slow: Bands,
    mean: Bands,
    ticks: f32,
}

impl Mean {
    /// A guess that the first 15 ticks outweigh.
    fn new(guess: f32) -> Self {
        Self { slow: [0.0; BANDS], mean: [guess; BANDS], ticks: 15.0 }
    }

    fn add(&mut self, log: &Bands) {
        self.ticks = (self.ticks + 1.0).min(100.0);
        for (mean, log) in self.mean.iter_mut().zip(log) {
            *mean += (log - *mean) / self.ticks;
        }
    }

    fn centred(&mut self, log: &Bands) -> Bands {
        let v = std::env::var("V").unwrap_or_default();
        let mut out: Bands = std::array::from_fn(|band| (log[band] - self.mean[band]).clamp(-FARTHEST, FARTHEST));
        if v.contains('B') {
            let m = out.iter().sum::<f32>() / BANDS as f32;
            let k = if v.contains('h') { 0.5 } else { 1.0 };
            out.iter_mut().for_each(|x| *x -= k * m);
        }
        if v.contains('C') {
            let a = if v.contains('s') { 0.12 } else { 0.25 };
            for b in 0..BANDS {
                let x = out[b];
                out[b] = x - self.slow[b];
                self.slow[b] += a * (x - self.slow[b]);
            }
        }
        out
    }
}

/// Sums of products, fading.
#[derive(Clone, Copy, Default)]
struct Moments {
    both: f32,
    played: f32,
    heard: f32,
    ticks: f32,
}

impl Moments {
    fn of(played: &Bands, heard: &Bands) -> Self {
        let product = |a: &Bands, b: &Bands| a.iter().zip(b).map(|(a, b)| a * b).sum();
        Self { both: product(played, heard), played: product(played, played), heard: product(heard, heard), ticks: 1.0 }
    }

    fn add(&mut self, keep: f32, newest: Self) {
        self.both = self.both * keep + newest.both;
        self.played = self.played * keep + newest.played;
        self.heard = self.heard * keep + newest.heard;
        self.ticks = self.ticks * keep + newest.ticks;
    }

    fn correlation(&self) -> f32 {
        self.both / (self.played * self.heard).sqrt().max(1e-3)
    }
}
