//! Voices by formula: syllables of a buzz through two formants, no two alike, with pauses. Not speech, but as varied.

use std::f32::consts::TAU;

use duologue_core::audio::HEAR_RATE;

use super::Dice;

/// Who speaks.
#[derive(Clone, Copy, Debug)]
pub struct Speaker {
    pub seed: u64,
    pub pitch_hz: f32,
    /// Mean level of what is spoken, dBFS.
    pub level_dbfs: f32,
}

pub const AGENT: Speaker = Speaker { seed: 1, pitch_hz: 110.0, level_dbfs: -20.0 };
pub const CALLER: Speaker = Speaker { seed: 2, pitch_hz: 190.0, level_dbfs: -26.0 };

/// So many seconds of it, 16 kHz.
pub fn speech(speaker: Speaker, seconds: f32) -> Vec<f32> {
    let mut dice = Dice(speaker.seed);
    let wanted = (seconds * HEAR_RATE as f32) as usize;
    let mut sound = Vec::with_capacity(wanted + HEAR_RATE as usize);
    let mut phase = 0.0;
    while sound.len() < wanted {
        for _ in 0..2 + dice.below(5) {
            syllable(speaker, &mut dice, &mut phase, &mut sound);
        }
        sound.resize(sound.len() + HEAR_RATE as usize / 10 * (1 + dice.below(3)), 0.0);
    }
    sound.truncate(wanted);
    let energy: f32 = sound.iter().map(|sample| sample * sample).sum();
    let voiced = sound.iter().filter(|sample| **sample != 0.0).count().max(1);
    let gain = 10.0_f32.powf(speaker.level_dbfs / 20.0) / (energy / voiced as f32).sqrt();
    sound.iter_mut().for_each(|sample| *sample = (*sample * gain).clamp(-1.0, 1.0));
    sound
}

/// A consonant of noise, then a vowel that glides.
fn syllable(speaker: Speaker, dice: &mut Dice, phase: &mut f32, sound: &mut Vec<f32>) {
    let length = HEAR_RATE as usize / 1_000 * (120 + dice.below(140));
    let (first, second) = (250.0 + 600.0 * dice.roll(), 900.0 + 1_600.0 * dice.roll());
    let glide = (dice.roll() - 0.5) * 300.0;
    let pitch = speaker.pitch_hz * (0.85 + 0.3 * dice.roll());
    let hiss = dice.roll() * 0.3;
    let consonant = length / 4;
    let mut last = 0.0;
    for n in 0..length {
        let along = n as f32 / length as f32;
        let envelope = (along * TAU / 2.0).sin().max(0.02);
        if n < consonant {
            // High-passed noise.
            let noise = dice.roll() * 2.0 - 1.0;
            sound.push(envelope * hiss * (noise - last));
            last = noise;
            continue;
        }
        *phase = (*phase + pitch / HEAR_RATE as f32).fract();
        let buzz = (1..24).map(|k| {
            let hz = pitch * k as f32;
            let near = |formant: f32, width: f32| 1.0 / (1.0 + ((hz - formant) / width).powi(2));
            let weight = near(first + glide * along, 90.0) + 0.5 * near(second + 2.0 * glide * along, 140.0) + 0.01;
            weight * (TAU * *phase * k as f32).sin()
        });
        sound.push(envelope * buzz.sum::<f32>());
    }
}
