//! Time-stretch: makes a stretch of sound a few milliseconds shorter or longer and keeps its pitch.
//!
//! Voiced speech repeats itself every 2.5 to 12.5 ms. One such period left out, or played twice, is not heard where the two
//! places that are joined look alike: waveform similarity overlap-add (Verhelst and Roelands, ICASSP 1993). What does not
//! look alike, such as a plosive or the beginning of a word, is left as it is.

use super::HEAR_RATE;

/// The shortest period that is looked for: 2.5 ms, a voice of 400 Hz.
pub const SHORTEST: usize = HEAR_RATE as usize / 400;
/// The longest: 12.5 ms, a voice of 80 Hz.
pub const LONGEST: usize = HEAR_RATE as usize / 80;
/// So much of two places is compared: 7.5 ms, the longest that leaves room for the longest period in 20 ms.
const COMPARED: usize = HEAR_RATE as usize * 3 / 400;
/// Below this mean power (-80 dBFS) there is nothing to hear, and any two places are alike.
const NOTHING: f32 = 1e-8;
/// Of two periods that are nearly as good, the longer is taken: fewer joints for the same time. A period of full length is
/// worth as much as this in likeness.
const FOR_LENGTH: f32 = 0.03;

/// A period and how alike the sound is at its two ends: the normalised cross-correlation, -1.0..=1.0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Period {
    /// In samples at 16 kHz.
    pub samples: usize,
    pub likeness: f32,
}

/// The period by which the beginning of `sound` (16 kHz) is most like what follows it, of at most `most` samples. `None`
/// when there is too little sound: less than 10 ms.
pub fn period(sound: &[f32], most: usize) -> Option<Period> {
    let most = most.min(LONGEST).min(sound.len().saturating_sub(COMPARED));
    if most < SHORTEST {
        return None;
    }
    // At half the rate first: a quarter of the work finds the place, and three lags at the full rate find it exactly.
    let mut half = [0.0; (COMPARED + LONGEST) / 2];
    let pairs = sound[..COMPARED + most].as_chunks::<2>().0;
    for (half, [a, b]) in half.iter_mut().zip(pairs) {
        *half = 0.5 * (a + b);
    }
    let half = &half[..pairs.len()];
    let coarse = best(half, SHORTEST / 2..=most / 2, COMPARED / 2)?.samples * 2;
    best(sound, (coarse - 1).max(SHORTEST)..=(coarse + 1).min(most), COMPARED)
}

/// Shortens `sound` behind `from` by one period of at most `most` samples, if the places that are joined are at least as
/// alike as `likeness`. Gives the samples removed: 0, or [`SHORTEST`]..=[`LONGEST`].
pub fn shorten(sound: &mut Vec<f32>, from: usize, most: usize, likeness: f32) -> usize {
    let from = from.min(sound.len());
    let Some(found) = period(&sound[from..], most).filter(|found| found.likeness >= likeness) else { return 0 };
    let lag = found.samples;
    let length = lag.min(sound.len() - from - lag);
    // What lies between the two places is dropped unseen; a burst must not be.
    let (before, between, after) =
        (&sound[from..from + length], &sound[from + length..from + lag], &sound[from + lag..from + lag + length]);
    if power(between) > 2.0 * power(before).max(power(after)).max(NOTHING) {
        return 0;
    }
    for n in 0..length {
        let joined = cross(sound[from + n], sound[from + lag + n], place(n, length), found.likeness);
        sound[from + lag + n] = joined;
    }
    sound.drain(from..from + lag);
    lag
}

/// Lengthens `sound` behind `from` by one period of at most `most` samples, on the same condition. Gives the samples
/// added.
pub fn lengthen(sound: &mut Vec<f32>, from: usize, most: usize, likeness: f32) -> usize {
    let from = from.min(sound.len());
    let Some(found) = period(&sound[from..], most).filter(|found| found.likeness >= likeness) else { return 0 };
    let lag = found.samples;
    let length = lag.min(sound.len() - from - lag);
    // From the second period back into the first.
    let mut added: Vec<f32> = sound[from..from + lag].to_vec();
    added.extend((0..length).map(|n| {
        let (out, into) = (sound[from + lag + n], sound[from + n]);
        cross(out, into, place(n, length), found.likeness)
    }));
    sound.splice(from..from + length, added);
    lag
}

/// The most alike of these lags.
fn best(sound: &[f32], lags: std::ops::RangeInclusive<usize>, compared: usize) -> Option<Period> {
    let first = &sound[..compared];
    let first_power = power(first);
    let likeness = |lag: usize| {
        let other = &sound[lag..lag + compared];
        let other_power = power(other);
        if first_power < NOTHING && other_power < NOTHING {
            return 1.0;
        }
        let both: f32 = first.iter().zip(other).map(|(a, b)| a * b).sum::<f32>() / compared as f32;
        both / (first_power * other_power).sqrt().max(NOTHING)
    };
    let worth = |found: &Period| found.likeness + FOR_LENGTH * found.samples as f32 / LONGEST as f32;
    lags.map(|samples| Period { samples, likeness: likeness(samples) })
        .filter(|found| found.likeness.is_finite())
        .max_by(|a, b| worth(a).total_cmp(&worth(b)))
}

fn power(sound: &[f32]) -> f32 {
    if sound.is_empty() { 0.0 } else { sound.iter().map(|x| x * x).sum::<f32>() / sound.len() as f32 }
}

/// Where sample `n` lies in a cross-fade of this length: within 0.0..1.0, both ends left out.
fn place(n: usize, length: usize) -> f32 {
    (n + 1) as f32 / (length + 1) as f32
}

/// A cross-fade that keeps the power whatever the two have in common: linear for equals, a quarter circle for strangers.
fn cross(out: f32, into: f32, place: f32, likeness: f32) -> f32 {
    let rest = 1.0 - place;
    let power = place * place + rest * rest + 2.0 * place * rest * likeness.clamp(0.0, 1.0);
    (out * rest + into * place) / power.sqrt()
}

#[cfg(test)]
mod tests;
