//! How loud a sound is.

/// What silence counts as: decibels below full scale where a 16-bit recording has nothing left to say.
pub const SILENCE_DBFS: f32 = -100.0;

/// Root mean square, 0.0..=1.0 for a signal in -1.0..=1.0; zero for no samples.
pub fn rms(samples: &[f32]) -> f32 {
    if samples.is_empty() {
        return 0.0;
    }
    (energy(samples) / samples.len() as f64).sqrt() as f32
}

/// The greatest distance from zero.
pub fn peak(samples: &[f32]) -> f32 {
    samples.iter().fold(0.0, |peak, sample| sample.abs().max(peak))
}

/// An amplitude in decibels relative to full scale: 1.0 is 0 dB, and nothing is below [`SILENCE_DBFS`].
pub fn dbfs(amplitude: f32) -> f32 {
    // `max` also takes care of a NaN: it returns the other one.
    (20.0 * amplitude.log10()).max(SILENCE_DBFS)
}

/// The level of frames in [`dbfs`].
pub fn level_dbfs(samples: &[f32]) -> f32 {
    dbfs(rms(samples))
}

fn energy(samples: &[f32]) -> f64 {
    samples.iter().map(|&sample| f64::from(sample) * f64::from(sample)).sum()
}

/// The level of everything fed to it since it was made or cleared.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Meter {
    /// Double precision: an hour at 16 kHz is 6e7 samples, which single precision cannot add up.
    energy: f64,
    samples: u64,
    peak: f32,
}

impl Meter {
    /// One that has heard nothing.
    pub const fn new() -> Self {
        Self { energy: 0.0, samples: 0, peak: 0.0 }
    }

    /// Takes in everything that another has heard.
    pub fn add(&mut self, other: &Self) {
        self.energy += other.energy;
        self.samples += other.samples;
        self.peak = self.peak.max(other.peak);
    }

    /// Takes in some more sound.
    pub fn feed(&mut self, samples: &[f32]) {
        self.energy += energy(samples);
        self.samples += samples.len() as u64;
        self.peak = self.peak.max(peak(samples));
    }

    /// The mean level in decibels relative to full scale; [`SILENCE_DBFS`] while nothing was fed.
    pub fn level_dbfs(&self) -> f32 {
        if self.samples == 0 { SILENCE_DBFS } else { dbfs((self.energy / self.samples as f64).sqrt() as f32) }
    }

    /// The highest peak in decibels relative to full scale.
    pub fn peak_dbfs(&self) -> f32 {
        dbfs(self.peak)
    }

    /// Samples fed.
    pub const fn samples(&self) -> u64 {
        self.samples
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_scale_sine_is_three_decibels_below_full_scale() {
        let sine: Vec<f32> = (0..1_600).map(|n| (n as f32 * std::f32::consts::TAU / 16.0).sin()).collect();
        assert!((level_dbfs(&sine) + 3.01).abs() < 0.01);
        assert!((peak(&sine) - 1.0).abs() < 1e-3);
    }

    #[test]
    fn silence_and_nothing_are_the_floor() {
        assert_eq!(level_dbfs(&[]), SILENCE_DBFS);
        assert_eq!(level_dbfs(&[0.0; 320]), SILENCE_DBFS);
        assert_eq!(dbfs(f32::NAN), SILENCE_DBFS);
        assert_eq!(Meter::default().level_dbfs(), SILENCE_DBFS);
        assert_eq!(Meter::default().peak_dbfs(), SILENCE_DBFS);
    }

    #[test]
    fn a_meter_fed_in_pieces_reads_as_if_fed_at_once() {
        let sound: Vec<f32> = (0..960).map(|n| (n as f32 * 0.37).sin() * 0.3).collect();
        let mut meter = Meter::default();
        sound.chunks(70).for_each(|piece| meter.feed(piece));
        assert!((meter.level_dbfs() - level_dbfs(&sound)).abs() < 1e-3);
        assert_eq!(meter.peak_dbfs(), dbfs(peak(&sound)));
        assert_eq!(meter.samples(), 960);
        let mut sum = Meter::new();
        sum.add(&meter);
        assert_eq!(sum, meter);
        meter.clear();
        assert_eq!(meter, Meter::default());
    }
}
