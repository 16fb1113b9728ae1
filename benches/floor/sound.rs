//! Sounds as the renderer needs them: cut out, levelled, played faster or slower, or made by formula. 16 kHz mono.

use std::f32::consts::TAU;

use duologue::audio::level;

pub const RATE: usize = 16_000;
/// The caller's usual level while he speaks, dBFS: what a headset gives after a browser's gain control.
pub const USUAL_DBFS: f32 = -26.0;
/// Kept around what was found to be sound.
const MARGIN: usize = RATE / 20;
/// 10 ms.
const STEP: usize = RATE / 100;

/// A sound and where in it something is to be heard.
#[derive(Clone, Debug)]
pub struct Clip {
    pub samples: Vec<f32>,
    pub from: usize,
    pub to: usize,
    /// Where its voice begins: see [`voice`].
    pub voice: usize,
    /// Silences inside, from 200 ms on: sample to sample.
    pub pauses: Vec<(usize, usize)>,
}

impl Clip {
    /// Finds the sound, cuts off what is silent around it, and brings it to `dbfs` while it sounds.
    pub fn new(samples: &[f32], dbfs: f32) -> Self {
        let loud = active(samples);
        let first = loud.iter().position(|on| *on).unwrap_or(0) * STEP;
        let last = loud.iter().rposition(|on| *on).map_or(samples.len(), |n| ((n + 1) * STEP).min(samples.len()));
        let (start, end) = (first.saturating_sub(MARGIN), (last + MARGIN).min(samples.len()));
        let sounding: Vec<f32> = loud
            .iter()
            .enumerate()
            .filter(|(_, on)| **on)
            .flat_map(|(n, _)| samples[n * STEP..((n + 1) * STEP).min(samples.len())].iter().copied())
            .collect();
        let gain = 10f32.powf((dbfs - level::level_dbfs(&sounding)) / 20.0);
        let gain = gain.min(0.95 / level::peak(samples).max(1e-6));
        let mut cut: Vec<f32> = samples[start..end].iter().map(|sample| sample * gain).collect();
        fade(&mut cut);
        let pauses = silences(&loud[first / STEP..last.div_ceil(STEP)], 20)
            .into_iter()
            .map(|(from, to)| (first - start + from * STEP, first - start + to * STEP))
            .collect();
        let voice = voice(&cut[first - start..last - start], dbfs) + first - start;
        Self { samples: cut, from: first - start, to: last - start, voice, pauses }
    }

    /// Draws out the longest silence of its middle by so many samples, and says where the silence lies then.
    pub fn draw_out(&mut self, by: usize) {
        let length = self.to - self.from;
        let (low, high) = (self.from + length / 5, self.to - length / 5);
        let loud = active(&self.samples);
        let longest = silences(&loud, 3)
            .into_iter()
            .map(|(from, to)| (from * STEP, to * STEP))
            .filter(|(from, to)| *from >= low && *to <= high)
            .max_by_key(|(from, to)| to - from);
        let (from, to) = longest.unwrap_or_else(|| {
            let quietest = (low / STEP..high / STEP)
                .min_by(|a, b| {
                    let at = |n: usize| level::rms(&self.samples[n * STEP..(n + 1) * STEP]);
                    at(*a).total_cmp(&at(*b))
                })
                .unwrap_or(low / STEP);
            (quietest * STEP, (quietest + 1) * STEP)
        });
        let middle = (from + to) / 2;
        let wanted = by.saturating_sub(to - from);
        self.samples.splice(middle..middle, std::iter::repeat_n(0.0, wanted));
        self.to += wanted;
        self.pauses.retain(|pause| pause.0 != from);
        for pause in &mut self.pauses {
            if pause.0 >= middle {
                *pause = (pause.0 + wanted, pause.1 + wanted);
            }
        }
        self.pauses.push((from, to + wanted));
        self.pauses.sort_unstable();
    }
}

/// Which steps of 10 ms are sound: at most 32 dB below the loudest, and 8 dB above the quietest tenth.
fn active(samples: &[f32]) -> Vec<bool> {
    let levels: Vec<f32> = samples.chunks(STEP).map(level::level_dbfs).collect();
    let mut sorted = levels.clone();
    sorted.sort_by(f32::total_cmp);
    let top = sorted.last().copied().unwrap_or(0.0);
    let bottom = sorted.get(sorted.len() / 10).copied().unwrap_or(0.0);
    let threshold = (top - 32.0).max((bottom + 8.0).min(top - 15.0));
    levels.into_iter().map(|level| level > threshold).collect()
}

/// Where a clip is as loud as a voice: the first 10 ms that are within 15 dB of its level, as are most of the next 200 ms, which is a
/// syllable. Before it are breaths, the room, and the end of a word that the clip was cut off in, which count as sound.
fn voice(samples: &[f32], dbfs: f32) -> usize {
    const SYLLABLE: usize = 20;
    let loud: Vec<bool> = samples.chunks(STEP).map(|step| level::level_dbfs(step) > dbfs - 15.0).collect();
    let begins =
        |n: &usize| loud[*n] && loud[*n..].iter().take(SYLLABLE).filter(|on| **on).count() >= SYLLABLE * 7 / 10;
    (0..loud.len()).find(begins).unwrap_or(0) * STEP
}

/// Runs of at least so many silent steps between sounding ones.
fn silences(loud: &[bool], least: usize) -> Vec<(usize, usize)> {
    let mut out = Vec::new();
    let mut last = None;
    for (n, _) in loud.iter().enumerate().filter(|(_, on)| **on) {
        if let Some(last) = last
            && n - last > least
        {
            out.push((last + 1, n));
        }
        last = Some(n);
    }
    out
}

/// 5 ms at both ends, against clicks.
fn fade(samples: &mut [f32]) {
    let n = (RATE / 200).min(samples.len() / 2);
    let end = samples.len();
    for i in 0..n {
        let gain = i as f32 / n as f32;
        samples[i] *= gain;
        samples[end - 1 - i] *= gain;
    }
}

/// Plays faster (above 1) or slower, pitch and tempo together, by a cubic through four samples.
pub fn at_speed(samples: &[f32], speed: f32) -> Vec<f32> {
    if (speed - 1.0).abs() < 1e-3 {
        return samples.to_vec();
    }
    let at = |n: isize| samples.get(n.max(0) as usize).copied().unwrap_or(0.0);
    (0..(samples.len() as f32 / speed) as usize)
        .map(|i| {
            let x = i as f64 * f64::from(speed);
            let (n, t) = (x as isize, x.fract() as f32);
            let (a, b, c, d) = (at(n - 1), at(n), at(n + 1), at(n + 2));
            b + 0.5 * t * (c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * (3.0 * (b - c) + d - a)))
        })
        .collect()
}

/// Uniform in -1.0..1.0.
pub struct Noise(u32);

impl Noise {
    pub fn new(seed: u32) -> Self {
        Self(seed.wrapping_mul(2_654_435_761).wrapping_add(12_345))
    }

    pub fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as f32 / (1 << 23) as f32 - 1.0
    }

    fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * (self.next() + 1.0) / 2.0
    }
}

/// A resonance: two poles.
struct Formant {
    a: f32,
    b: f32,
    last: [f32; 2],
}

impl Formant {
    fn new(hz: f32, width_hz: f32) -> Self {
        let r = (-std::f32::consts::PI * width_hz / RATE as f32).exp();
        Self { a: 2.0 * r * (TAU * hz / RATE as f32).cos(), b: -r * r, last: [0.0; 2] }
    }

    fn feed(&mut self, x: f32) -> f32 {
        let y = x + self.a * self.last[0] + self.b * self.last[1];
        self.last = [y, self.last[0]];
        y
    }
}

/// A noise by its name; `None` for one that nobody knows.
pub fn formula(kind: &str, seed: u32) -> Option<Vec<f32>> {
    let mut noise = Noise::new(seed);
    Some(match kind {
        "cough" => cough(&mut noise),
        "keyboard" => keyboard(&mut noise),
        "hum" => hum(&mut noise),
        "door" => door(&mut noise),
        "breath" => breath(&mut noise),
        _ => return None,
    })
}

/// Two or three bursts: a hard onset, a noisy throat with two resonances, a voiced end.
fn cough(noise: &mut Noise) -> Vec<f32> {
    let mut out = Vec::new();
    let (first, second) = (noise.between(450.0, 750.0), noise.between(1_200.0, 1_900.0));
    let bursts = if noise.next() > 0.0 { 2 } else { 3 };
    for _ in 0..bursts {
        let (mut low, mut high) = (Formant::new(first, 180.0), Formant::new(second, 300.0));
        let length = noise.between(0.14, 0.28) * RATE as f32;
        let (pitch, gain) = (noise.between(90.0, 160.0), noise.between(0.6, 1.0));
        for i in 0..length as usize {
            let t = i as f32 / length;
            let envelope = (t * 25.0).min(1.0) * (-4.0 * t).exp();
            let buzz = if t > 0.5 { 0.5 * ((i as f32 * pitch / RATE as f32).fract() - 0.5) } else { 0.0 };
            let x = noise.next() * 0.5 + buzz;
            out.push(gain * envelope * (low.feed(x) + 0.7 * high.feed(x)));
        }
        out.extend(std::iter::repeat_n(0.0, (noise.between(0.05, 0.18) * RATE as f32) as usize));
    }
    out
}

/// A second and a half of typing: clicks of a plate with its own resonance.
fn keyboard(noise: &mut Noise) -> Vec<f32> {
    let mut out = vec![0.0; RATE * 3 / 2];
    let mut at = 0;
    while at + RATE / 20 < out.len() {
        let (mut plate, gain) = (Formant::new(noise.between(1_800.0, 3_500.0), 500.0), noise.between(0.3, 1.0));
        for i in 0..RATE / 25 {
            let envelope = (-(i as f32) / (RATE as f32 * 0.006)).exp();
            out[at + i] += gain * plate.feed(noise.next() * envelope);
        }
        at += (noise.between(0.07, 0.22) * RATE as f32) as usize;
    }
    out
}

/// Two seconds of a machine on the mains.
fn hum(noise: &mut Noise) -> Vec<f32> {
    let base = if noise.next() > 0.0 { 50.0 } else { 60.0 };
    (0..RATE * 2)
        .map(|i| {
            let t = i as f32 / RATE as f32;
            let edge = (t * 5.0).min((2.0 - t) * 5.0).clamp(0.0, 1.0);
            let tone: f32 = [2.0, 4.0, 6.0, 10.0].iter().map(|k| (TAU * base * k * t).sin() / k).sum();
            edge * (tone + 0.05 * noise.next())
        })
        .collect()
}

/// A door: a blow and its room.
fn door(noise: &mut Noise) -> Vec<f32> {
    let (mut low, mut mid) = (Formant::new(noise.between(60.0, 140.0), 40.0), Formant::new(400.0, 300.0));
    (0..RATE / 2)
        .map(|i| {
            let x = noise.next() * (-(i as f32) / (RATE as f32 * 0.02)).exp();
            let room = (-(i as f32) / (RATE as f32 * 0.12)).exp();
            room * (low.feed(x) + 0.5 * mid.feed(x))
        })
        .collect()
}

/// A breath into the microphone.
fn breath(noise: &mut Noise) -> Vec<f32> {
    let length = noise.between(0.5, 1.1) * RATE as f32;
    let mut throat = Formant::new(noise.between(700.0, 1_400.0), 900.0);
    (0..length as usize)
        .map(|i| (i as f32 / length * std::f32::consts::PI).sin().powi(2) * throat.feed(noise.next()))
        .collect()
}
