//! The far end: a loudspeaker, a room, a microphone, and two clocks that do not quite agree. Shared by the tests of the echo
//! and its benchmark.
#![allow(dead_code)] // each program uses its own part of it

pub mod voice;

use std::collections::VecDeque;

use duologue_core::audio::{HEAR_FRAME, HEAR_RATE};

/// Numerical Recipes' linear congruential generator.
#[derive(Clone)]
pub struct Dice(pub u64);

impl Dice {
    /// Uniform in 0.0..1.0.
    pub fn roll(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u64 << 24) as f32
    }

    /// About normal: variance 1.
    pub fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.roll()).sum::<f32>() - 6.0
    }

    pub fn below(&mut self, n: usize) -> usize {
        ((self.roll() * n as f32) as usize).min(n - 1)
    }
}

/// How the echo comes about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Path {
    /// Echo return loss: how far the echo lies below what was played.
    pub loss_db: f32,
    pub delay_ms: u32,
    /// How much faster the microphone's clock runs than the loudspeaker's.
    pub drift_ppm: f32,
    /// The room's answer is cut off after so long.
    pub room_ms: u32,
}

/// Reverberation time, to -60 dB: a furnished room.
const RT60_S: f32 = 0.25;

pub struct Room {
    path: Path,
    /// Newest last, for the convolution.
    response: Vec<f32>,
    dry: Vec<f32>,
    /// What the microphone picks up, before the delay of devices and network.
    wet: VecDeque<f32>,
    delay: f64,
}

impl Room {
    /// A room of its own: another seed, another impulse response.
    pub fn new(path: Path, dice: &mut Dice) -> Self {
        let taps = (path.room_ms * HEAR_RATE / 1_000) as usize;
        let mut response: Vec<f32> =
            (0..taps).map(|n| dice.normal() * 10.0_f32.powf(-3.0 * n as f32 / (RT60_S * HEAR_RATE as f32))).collect();
        // The direct sound is as strong as all of the room's answer.
        let reverberant: f32 = response.iter().map(|tap| tap * tap).sum();
        response[0] = reverberant.sqrt();
        let energy: f32 = response.iter().map(|tap| tap * tap).sum();
        let gain = 10.0_f32.powf(-path.loss_db / 20.0) / energy.sqrt();
        response.iter_mut().for_each(|tap| *tap *= gain);
        response.reverse();
        let delay = f64::from(path.delay_ms) * f64::from(HEAR_RATE) / 1_000.0;
        let most = delay as usize + HEAR_RATE as usize / 4 + HEAR_FRAME;
        Self { path, response, dry: vec![0.0; taps + HEAR_FRAME], wet: VecDeque::from(vec![0.0; most]), delay }
    }

    /// 20 ms through loudspeaker and room.
    pub fn hear(&mut self, played: &[f32], out: &mut [f32; HEAR_FRAME]) {
        let taps = self.response.len();
        self.dry.drain(..HEAR_FRAME);
        // A small loudspeaker at the end of its travel.
        self.dry.extend(played.iter().map(|sample| (1.5 * sample).tanh() / 1.5));
        for n in 0..HEAR_FRAME {
            let window = &self.dry[n + 1 + self.dry.len() - HEAR_FRAME - taps..][..taps];
            self.wet.pop_front();
            self.wet.push_back(dot(window, &self.response));
        }
        for (n, sample) in out.iter_mut().enumerate() {
            let place = (self.wet.len() - HEAR_FRAME + n) as f64 - self.delay;
            self.delay += f64::from(self.path.drift_ppm) * 1e-6;
            *sample = between(&self.wet, place);
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0f32; LANES];
    for (a, b) in a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum()
}

/// The sample between samples: Lagrange's cubic.
fn between(sound: &VecDeque<f32>, place: f64) -> f32 {
    let (whole, t) = (place.floor() as usize, place.fract() as f32);
    let at = |n: usize| sound.get(whole.saturating_add(n).saturating_sub(1)).copied().unwrap_or(0.0);
    let (a, b, c, d) = (at(0), at(1), at(2), at(3));
    -a * t * (t - 1.0) * (t - 2.0) / 6.0 + b * (t + 1.0) * (t - 1.0) * (t - 2.0) / 2.0
        - c * (t + 1.0) * t * (t - 2.0) / 2.0
        + d * (t + 1.0) * t * (t - 1.0) / 6.0
}
