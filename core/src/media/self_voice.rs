//! Is it our own voice that the microphone hears?
mod bands;
mod leak;

use std::collections::VecDeque;

use bands::{BANDS, BandMeter, Bands};
use leak::Leak;

use crate::audio::HEAR_FRAME;

/// Ticks that our voice may take to come back: 700 ms, a slow network and a loudspeaker with a long cable included.
const LAGS: usize = 36;
/// How long a room goes on after a sound, in the shares of its power that arrive so many ticks later. The first is for a
/// delay that lies between two ticks.
const ROOM: [f32; 7] = [0.5, 1.0, 0.6, 0.36, 0.2, 0.12, 0.07];
const PAST: usize = LAGS + ROOM.len() + 32;
const SILENT: f32 = 1e-7;

#[derive(Clone, Copy, Debug, Default)]
pub struct Trace {
    pub lag: Option<usize>,
    pub score: f32,
    pub patch: f32,
    pub unexplained: f32,
    pub active: u32,
    pub likelihood: f32,
}

pub struct SelfVoice {
    played_meter: BandMeter,
    microphone_meter: BandMeter,
    clean_meter: BandMeter,
    /// Newest first.
    played: VecDeque<Bands>,
    log_played: VecDeque<Bands>,
    microphone: VecDeque<Bands>,
    mean_played: Mean,
    mean_heard: Mean,
    long: [Moments; LAGS],
    short: [Moments; LAGS],
    lag: Option<usize>,
    rival_ticks: u32,
    leak: Leak,
    clean_leak: Leak,
    likelihood: f32,
    pub trace: Trace,
}

/// The mean of logarithmic band powers over speech.
struct Mean {
    mean: Bands,
    ticks: f32,
}

impl Mean {
    fn new(prior: f32) -> Self {
        Self { mean: [prior; BANDS], ticks: 15.0 }
    }

    fn add(&mut self, log: &Bands) {
        self.ticks = (self.ticks + 1.0).min(100.0);
        for (mean, log) in self.mean.iter_mut().zip(log) {
            *mean += (log - *mean) / self.ticks;
        }
    }

    fn centre(&self, log: &Bands) -> Bands {
        std::array::from_fn(|b| (log[b] - self.mean[b]).clamp(-4.0, 4.0))
    }
}

#[derive(Clone, Copy, Default)]
struct Moments {
    xy: f32,
    xx: f32,
    yy: f32,
    ticks: f32,
}

impl Moments {
    fn add(&mut self, keep: f32, x: &Bands, y: &Bands) {
        self.xy *= keep;
        self.xx *= keep;
        self.yy *= keep;
        self.ticks = self.ticks * keep + 1.0;
        for (x, y) in x.iter().zip(y) {
            self.xy += x * y;
            self.xx += x * x;
            self.yy += y * y;
        }
    }
    fn correlation(&self) -> f32 {
        self.xy / (self.xx * self.yy).sqrt().max(1e-3)
    }
}

impl SelfVoice {
    pub fn new() -> Self {
        let past = |value: f32| VecDeque::from(vec![[value; BANDS]; PAST]);
        Self {
            played_meter: BandMeter::new(),
            microphone_meter: BandMeter::new(),
            clean_meter: BandMeter::new(),
            played: past(0.0),
            log_played: past(0.0),
            microphone: past(0.0),
            mean_played: Mean::new(SILENT.ln() + 5.0),
            mean_heard: Mean::new(SILENT.ln() + 3.0),
            long: [Moments::default(); LAGS],
            short: [Moments::default(); LAGS],
            lag: None,
            rival_ticks: 0,
            leak: Leak::new(),
            clean_leak: Leak::new(),
            likelihood: 0.0,
            trace: Trace::default(),
        }
    }

    /// What went out, every tick.
    pub fn played(&mut self, frame: &[f32; HEAR_FRAME]) {
        let bands = self.played_meter.feed(frame);
        let log: Bands = bands.map(|power| (power + SILENT).ln());
        if is_loud(&bands) {
            self.mean_played.add(&log);
        }
        push(&mut self.log_played, self.mean_played.centre(&log));
        push(&mut self.played, bands);
    }

    /// The probability that what is heard is our own voice.
    pub fn hear(&mut self, microphone: &[f32; HEAR_FRAME], clean: Option<&[f32; HEAR_FRAME]>) -> f32 {
        let bands = self.microphone_meter.feed(microphone);
        self.leak.listen(&bands);
        push(&mut self.microphone, bands);
        self.align(&bands);
        let echo = self.lag.map(|lag| self.echo_shape(lag));
        let patch = self.patch();
        let path_changed = patch > 0.8;
        let raw = self.leak.likelihood(&bands, echo.as_ref(), path_changed, None);
        let mut heard = raw;
        let mut un = self.leak.unexplained;
        if let Some(clean) = clean {
            let bands = self.clean_meter.feed(clean);
            self.clean_leak.listen(&bands);
            heard = self.clean_leak.likelihood(&bands, echo.as_ref(), path_changed, Some(&self.leak.gain));
            un = self.clean_leak.unexplained;
        }
        let audible = self.played.iter().take(LAGS + ROOM.len()).any(is_loud);
        self.likelihood = match (heard, self.lag) {
            (_, _) if !audible => 0.0,
            // Nothing is heard. The detector's memory of what was is as long.
            (None, _) => self.likelihood * 0.9,
            (Some(by_level), Some(_)) => by_level,
            (Some(_), None) => logistic((patch - 0.65) / 0.06),
        };
        let score = self.lag.map_or(0.0, |l| self.long[l].correlation());
        self.trace = Trace { lag: self.lag, score, patch, unexplained: un, active: self.leak.active, likelihood: self.likelihood };
        self.likelihood
    }

    fn patch(&self) -> f32 {
        match self.lag {
            Some(lag) => self.short[lag].correlation(),
            None => self.short.iter().filter(|m| m.ticks > 2.5).map(Moments::correlation).fold(-1.0, f32::max),
        }
    }

    fn align(&mut self, bands: &Bands) {
        let log: Bands = std::array::from_fn(|b| (bands[b] + 3.0 * self.leak.noise[b]).ln());
        if self.leak.active >= 3 {
            self.mean_heard.add(&log);
        }
        let centred = self.mean_heard.centre(&log);
        for lag in 0..LAGS {
            // What is heard while nothing was played says nothing about the echo.
            if is_loud(&self.played[lag]) {
                self.long[lag].add(0.98, &self.log_played[lag], &centred);
                self.short[lag].add(0.85, &self.log_played[lag], &centred);
            }
        }
        let score = |lag: usize| self.long[lag].correlation();
        let known = (0..LAGS).filter(|lag| self.long[*lag].ticks > 8.0);
        let Some(best) = known.max_by(|a, b| score(*a).total_cmp(&score(*b))) else { return };
        let present = self.lag.map_or(0.0, score);
        if Some(best) == self.lag || score(best) < 0.5 || score(best) < present + 0.1 {
            self.rival_ticks = 0;
            return;
        }
        self.rival_ticks += 1;
        if self.lag.is_none() || self.rival_ticks >= 10 {
            self.lag = Some(best);
            self.rival_ticks = 0;
            self.learn(best);
        }
    }

    /// What the room makes of what was played so many ticks ago, but for the strength of the echo.
    fn echo_shape(&self, ago: usize) -> Bands {
        let mut echo = [0.0; BANDS];
        for (k, share) in ROOM.iter().enumerate() {
            let Some(played) = (ago + k).checked_sub(1).and_then(|at| self.played.get(at)) else { continue };
            for (echo, played) in echo.iter_mut().zip(played) {
                *echo += share * played;
            }
        }
        echo
    }

    /// The strength of the echo, from the last half second.
    fn learn(&mut self, lag: usize) {
        let pairs: Vec<(Bands, Bands)> =
            (0..25).map(|ago| (self.echo_shape(lag + ago), self.microphone[ago])).collect();
        self.leak.learn(&pairs);
        self.clean_leak.gain = self.leak.gain;
    }
}

fn is_loud(bands: &Bands) -> bool {
    bands.iter().sum::<f32>() > 1e-6
}

fn push(past: &mut VecDeque<Bands>, newest: Bands) {
    past.pop_back();
    past.push_front(newest);
}

fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}
