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
/// A few ticks resemble by chance what many do not: at the first look the correlation must be this high, and so on down to
/// [`KNOWN`] when there are many.
const KNOWN_AT_ONCE: f32 = 0.75;
const SETTLED_TICKS: f32 = 30.0;
/// Ticks of our voice before a correlation counts.
const EVIDENCE_TICKS: f32 = 8.0;
/// A known delay at which so little is left of the correlation was none, or is no more: a caller has spoken for a second,
/// or two voices rose together by chance. It is forgotten: to know nothing mutes nobody.
const LOST: f32 = 0.35;
/// Ticks before a resemblance of the last moments counts, of the seven at most that it remembers. Of fewer, any two
/// beginnings look alike.
const RESEMBLANCE_TICKS: f32 = 5.0;
/// So much better, and for so many ticks on end, another delay must be to replace a known one: a path does not change
/// while a caller talks over it.
const BETTER: f32 = 0.1;
const RIVAL_TICKS: u32 = 10;
/// Resemblance at which a sound of unknown delay is as likely our voice as not, and the width of the transition.
const RESEMBLES: f32 = 0.75;
const SLOPE: f32 = 0.06;
/// Power of a band that counts as silence: -70 dBFS.
const SILENCE: f32 = 1e-7;
/// Logarithms of power this far from what was before say no more than nearer ones: 17 dB.
const FARTHEST: f32 = 4.0;
/// How fast the own level of a band follows, per tick.
const PACE: f32 = 0.25;

/// Finds the delay, and loses it only to a better one.
pub struct Delay {
    /// The newest first.
    played: VecDeque<Played>,
    played_moves: Moves,
    heard_moves: Moves,
    long: [Moments; LAGS],
    short: [Moments; LAGS],
    known: Option<usize>,
    rival_ticks: u32,
}

#[derive(Clone, Copy)]
struct Played {
    moves: Bands,
    loud: bool,
}

impl Delay {
    pub fn new() -> Self {
        Self {
            played: VecDeque::from(vec![Played { moves: [0.0; BANDS], loud: false }; LAGS]),
            played_moves: Moves::from(SILENCE),
            heard_moves: Moves::from(SILENCE),
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
        self.played.pop_back();
        self.played.push_front(Played { moves: self.played_moves.next(&log), loud });
    }

    /// Takes in what is heard; true when the delay is another from here on.
    pub fn heard(&mut self, bands: &Bands, leak: &Leak) -> bool {
        // Noise is no picture: what lies below three times of it counts as that.
        let log: Bands = std::array::from_fn(|band| (bands[band] + 3.0 * leak.noise(band)).ln());
        let heard = self.heard_moves.next(&log);
        for ((played, long), short) in self.played.iter().zip(&mut self.long).zip(&mut self.short) {
            // What is heard while nothing was played says nothing about the echo.
            if played.loud {
                let moments = Moments::of(&played.moves, &heard);
                long.add(LONG, moments);
                short.add(SHORT, moments);
            }
        }
        self.choose()
    }

    fn choose(&mut self) -> bool {
        let score = |lag: usize| self.long[lag].correlation();
        let told = (0..LAGS).filter(|lag| self.long[*lag].ticks >= EVIDENCE_TICKS);
        let Some(best) = told.max_by(|a, b| score(*a).total_cmp(&score(*b))) else { return false };
        let grown = ((self.long[best].ticks - EVIDENCE_TICKS) / (SETTLED_TICKS - EVIDENCE_TICKS)).min(1.0);
        let least = KNOWN_AT_ONCE + (KNOWN - KNOWN_AT_ONCE) * grown;
        let lost = |known: usize| self.long[known].ticks >= SETTLED_TICKS && score(known) < LOST;
        if self.known.is_some_and(lost) {
            self.known = None;
        }
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

    /// Is the delay one beyond doubt? Over an echo alone the correlation is nearly always this high.
    pub fn is_sure(&self) -> bool {
        const SURE: f32 = 0.4;
        self.known.is_some_and(|lag| self.long[lag].correlation() >= SURE)
    }

    /// How much the last moments resemble what was played, -1.0..=1.0: at the known delay, or at the best; `None` while
    /// there are too few of them to tell.
    pub fn resemblance(&self) -> Option<f32> {
        let told = |moments: &&Moments| moments.ticks >= RESEMBLANCE_TICKS;
        match self.known {
            Some(lag) => Some(self.short[lag].correlation()),
            None => self.short.iter().filter(told).map(Moments::correlation).reduce(f32::max),
        }
    }
}

/// The likelihood of our voice while its delay is not known.
pub fn by_resemblance(resemblance: f32) -> f32 {
    logistic((resemblance - RESEMBLES) / SLOPE)
}

/// What moves in a sound: each band's logarithmic power less its own of the last 80 ms, less what all bands have in
/// common. Two voices rise and fall at the same pace and have the same long-term spectrum; which band rises when is what
/// tells them apart.
struct Moves {
    slow: Bands,
}

impl Moves {
    fn from(silence: f32) -> Self {
        Self { slow: [silence.ln(); BANDS] }
    }

    fn next(&mut self, log: &Bands) -> Bands {
        let mut moves: Bands = std::array::from_fn(|band| (log[band] - self.slow[band]).clamp(-FARTHEST, FARTHEST));
        for (slow, log) in self.slow.iter_mut().zip(log) {
            *slow += PACE * (log - *slow);
        }
        let common = moves.iter().sum::<f32>() / BANDS as f32;
        moves.iter_mut().for_each(|band| *band -= common);
        moves
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
