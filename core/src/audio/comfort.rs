//! Comfort noise: what the line sounds like when nobody speaks, made up while nothing arrives.
//!
//! A sender that falls silent (discontinuous transmission), or whose packets are gone, leaves a hole. Digital silence in it
//! is a sound that no room has: detectors and recognisers hear a cut. The noise has the level and the spectrum of the
//! quietest sound of late, by linear prediction.

use super::HEAR_FRAME;

/// Poles of the spectrum: enough for the slope of a room and a hum of a fan or car.
const ORDER: usize = 8;
/// The level follows a quieter frame at once and a louder one slowly (half a second): a breath is not the room.
const DOWN: f64 = 0.5;
const UP: f64 = 0.04;
/// Each frame's share in the spectrum.
const SPECTRUM: f64 = 0.08;
/// A frame this much above the floor, 6 dB in power, says nothing about its spectrum.
const NEAR_FLOOR: f64 = 4.0;
/// The loudest noise that is made, as power: -36 dBFS. What is louder while "nobody speaks" was no background.
const LOUDEST: f64 = 2.5e-4;
/// The loudest noise that a sender may ask for: -20 dBov, a noisy street. Its voice would be lost in anything louder.
const LOUDEST_TOLD: f64 = 1e-2;
/// A floor of white noise under the spectrum, so that the filter stays stable on pure tones: -30 dB.
const WHITE: f64 = 1e-3;

/// See the module's words. Silent until it has learned something.
#[derive(Clone, Debug)]
pub struct ComfortNoise {
    /// Mean square of the floor; `None` before the first frame.
    power: Option<f64>,
    /// The sender has said so, and nothing was heard since.
    told: bool,
    /// Normalised autocorrelation of the floor.
    correlation: [f64; ORDER + 1],
    filter: [f32; ORDER],
    /// Amplitude of the white noise that the filter makes into noise of the floor's power, over that power's root.
    excitation: f32,
    stale: bool,
    past: [f32; ORDER],
    draw: u32,
}

impl Default for ComfortNoise {
    fn default() -> Self {
        let mut correlation = [0.0; ORDER + 1];
        correlation[0] = 1.0;
        Self {
            power: None,
            told: false,
            correlation,
            filter: [0.0; ORDER],
            excitation: 1.0,
            stale: false,
            past: [0.0; ORDER],
            // Any number but zero; the same noise in every call, so that tests hear what calls hear.
            draw: 0x2545_f491,
        }
    }
}

impl ComfortNoise {
    /// Takes in 20 ms in which nobody spoke.
    pub fn learn(&mut self, frame: &[f32; HEAR_FRAME]) {
        let lagged = |lag: usize| -> f64 {
            frame[lag..].iter().zip(frame).map(|(a, b)| f64::from(a * b)).sum::<f64>() / HEAR_FRAME as f64
        };
        let heard = lagged(0);
        if !heard.is_finite() {
            return;
        }
        self.told = false;
        let power = *self.power.get_or_insert(heard);
        let follow = if heard < power { DOWN } else { UP };
        self.power = Some(power + follow * (heard - power));
        if heard > 0.0 && heard < NEAR_FLOOR * power.max(1e-12) {
            for (lag, kept) in self.correlation.iter_mut().enumerate() {
                *kept += SPECTRUM * (lagged(lag) / heard - *kept);
            }
            self.stale = true;
        }
    }

    /// The sender says how loud its room is (RFC 3389, section 3): so many decibels below full scale, 0 to 127. The spectrum stays that
    /// of what was heard of the room.
    pub fn told(&mut self, below_db: u8) {
        self.power = Some(10_f64.powf(f64::from(below_db) / -10.0));
        self.told = true;
    }

    /// The level of the noise, 0.0..=1.0.
    pub fn rms(&self) -> f32 {
        let loudest = if self.told { LOUDEST_TOLD } else { LOUDEST };
        self.power.unwrap_or(0.0).clamp(0.0, loudest).sqrt() as f32
    }

    /// The next sample.
    pub fn sample(&mut self) -> f32 {
        if self.stale {
            self.stale = false;
            self.model();
        }
        // Marsaglia's xorshift, 2003.
        self.draw ^= self.draw << 13;
        self.draw ^= self.draw >> 17;
        self.draw ^= self.draw << 5;
        // Even noise in -1..1 has a third of the power.
        let white = (self.draw as f32 / u32::MAX as f32 - 0.5) * 2.0 * 3.0_f32.sqrt();
        let shaped = white * self.excitation + self.past.iter().zip(&self.filter).map(|(y, a)| y * a).sum::<f32>();
        self.past.rotate_right(1);
        self.past[0] = shaped;
        shaped * self.rms()
    }

    /// Levinson and Durbin's recursion: from the autocorrelation to the filter.
    fn model(&mut self) {
        let r = &mut self.correlation.clone();
        r[0] += WHITE;
        let mut error = r[0];
        let mut filter = [0.0; ORDER];
        for order in 0..ORDER {
            let reach: f64 = (0..order).map(|n| filter[n] * r[order - n]).sum();
            let reflection = (r[order + 1] - reach) / error;
            let before = filter;
            filter[order] = reflection;
            for n in 0..order {
                filter[n] = before[n] - reflection * before[order - 1 - n];
            }
            error *= 1.0 - reflection * reflection;
            if error < WHITE * 1e-3 {
                break;
            }
        }
        self.filter = filter.map(|a| a as f32);
        self.excitation = (error / r[0]).max(0.0).sqrt() as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::level::{level_dbfs, rms};

    fn noise(frames: usize, amplitude: f32, smooth: f32) -> Vec<[f32; HEAR_FRAME]> {
        let mut draw = 99_u32;
        let mut last = 0.0;
        let sample = |_| {
            draw = draw.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            last = smooth * last + amplitude * (draw as f32 / u32::MAX as f32 - 0.5);
            last
        };
        let all: Vec<f32> = (0..frames * HEAR_FRAME).map(sample).collect();
        all.as_chunks::<HEAR_FRAME>().0.to_vec()
    }

    fn made(comfort: &mut ComfortNoise, frames: usize) -> Vec<f32> {
        (0..frames * HEAR_FRAME).map(|_| comfort.sample()).collect()
    }

    /// Correlation of neighbouring samples: near one for a dull sound, zero for white noise.
    fn dullness(sound: &[f32]) -> f32 {
        let both: f32 = sound.windows(2).map(|two| two[0] * two[1]).sum();
        both / sound.iter().map(|x| x * x).sum::<f32>()
    }

    #[test]
    fn nothing_is_made_before_anything_was_heard() {
        assert!(made(&mut ComfortNoise::default(), 5).iter().all(|x| *x == 0.0));
    }

    #[test]
    fn digital_silence_stays_digital_silence() {
        let mut comfort = ComfortNoise::default();
        (0..50).for_each(|_| comfort.learn(&[0.0; HEAR_FRAME]));
        assert!(made(&mut comfort, 5).iter().all(|x| *x == 0.0));
    }

    #[test]
    fn the_noise_has_the_level_and_the_colour_of_the_room() {
        for (smooth, amplitude) in [(0.0, 0.01), (0.9, 0.002), (0.97, 0.0004)] {
            let room = noise(100, amplitude, smooth);
            let mut comfort = ComfortNoise::default();
            room.iter().for_each(|frame| comfort.learn(frame));
            let (room, made) = (room.concat(), made(&mut comfort, 100));
            let off_db = level_dbfs(&made) - level_dbfs(&room);
            // The floor lies a little below the mean: it follows the quieter frames.
            assert!((-2.5..0.5).contains(&off_db), "{smooth}: {off_db:.1} dB off");
            let (wanted, got) = (dullness(&room), dullness(&made));
            assert!((wanted - got).abs() < 0.1, "{smooth}: {wanted} and {got}");
        }
    }

    #[test]
    fn a_breath_does_not_become_the_room() {
        let mut comfort = ComfortNoise::default();
        noise(50, 0.002, 0.5).iter().for_each(|frame| comfort.learn(frame));
        let before = comfort.rms();
        noise(5, 0.05, 0.5).iter().for_each(|frame| comfort.learn(frame));
        noise(3, 0.002, 0.5).iter().for_each(|frame| comfort.learn(frame));
        let grown_db = 20.0 * (comfort.rms() / before).log10();
        assert!(grown_db < 16.0, "a breath 28 dB above the room, three frames after it: {grown_db:.1} dB");
        noise(10, 0.002, 0.5).iter().for_each(|frame| comfort.learn(frame));
        assert!(20.0 * (comfort.rms() / before).log10() < 1.0);
    }

    #[test]
    fn a_level_that_is_told_is_made_until_another_is_heard() {
        let room = noise(100, 0.002, 0.9);
        for (below_db, made_db) in [(50, -50.0), (30, -30.0), (70, -70.0), (0, -20.0)] {
            let mut comfort = ComfortNoise::default();
            room.iter().for_each(|frame| comfort.learn(frame));
            comfort.told(below_db);
            let sound = made(&mut comfort, 100);
            let off_db = level_dbfs(&sound) - made_db;
            assert!(off_db.abs() < 1.0, "{below_db}: {off_db:.1} dB off");
            assert!((dullness(&room.concat()) - dullness(&sound)).abs() < 0.1, "its colour stays");
        }
        let mut comfort = ComfortNoise::default();
        comfort.told(60);
        assert!((level_dbfs(&made(&mut comfort, 100)) + 60.0).abs() < 1.0, "before anything was heard");
        (0..50).for_each(|_| comfort.learn(&[0.0; HEAR_FRAME]));
        assert!(level_dbfs(&made(&mut comfort, 5)) < -90.0);
    }

    #[test]
    fn no_sound_makes_it_loud_or_unstable() {
        let tone: [f32; HEAR_FRAME] = std::array::from_fn(|n| (n as f32 * 0.3).sin());
        for frame in [[1.0; HEAR_FRAME], [f32::NAN; HEAR_FRAME], tone, [f32::MAX; HEAR_FRAME]] {
            let mut comfort = ComfortNoise::default();
            (0..100).for_each(|_| comfort.learn(&frame));
            let sound = made(&mut comfort, 200);
            assert!(sound.iter().all(|x| x.is_finite() && x.abs() < 0.3), "{}", rms(&sound));
        }
    }
}
