//! A detector without a model: how far the frame stands above the noise around it.

use super::{VAD_FRAME, Vad};

/// Below this no speech is expected whatever the noise: the level of a very quiet caller is about -50 dBFS.
const QUIETEST_DBFS: f32 = -58.0;
/// The floor before anything was heard: a quiet room through a headset.
const FIRST_FLOOR_DBFS: f32 = -60.0;
/// The margin above the floor at which speech is as likely as not, and the width of the transition.
const MARGIN_DB: f32 = 9.0;
const SLOPE_DB: f32 = 2.0;
/// The floor follows a rising noise this fast (about 3 dB a second), slowly enough to sit out a long word ...
const RISE_DB: f32 = 0.1;
/// ... and a falling one within a few frames.
const FALL: f32 = 0.3;

/// Speech as energy above an adaptive noise floor. For boxes too small for the neural detector and for runs without
/// model files: it takes a door or a cough for speech, which [`super::SileroVad`] does not.
#[derive(Clone, Debug)]
pub struct EnergyVad {
    floor_dbfs: f32,
    /// The sample before, for the pre-emphasis.
    last: f32,
}

impl EnergyVad {
    /// A detector that has heard nothing yet.
    pub fn new() -> Self {
        Self { floor_dbfs: FIRST_FLOOR_DBFS, last: 0.0 }
    }
}

impl Default for EnergyVad {
    fn default() -> Self {
        Self::new()
    }
}

impl Vad for EnergyVad {
    fn probability(&mut self, frame: &[f32; VAD_FRAME]) -> f32 {
        // First difference: hum and rumble, the strongest part of most rooms, weigh little.
        let mut energy = 0.0f32;
        for sample in frame {
            let rise = sample - self.last;
            energy += rise * rise;
            self.last = *sample;
        }
        if !energy.is_finite() {
            self.reset();
            return 0.0;
        }
        let level_dbfs = 10.0 * (energy / VAD_FRAME as f32).max(1e-12).log10();
        self.floor_dbfs = if level_dbfs < self.floor_dbfs {
            self.floor_dbfs + FALL * (level_dbfs - self.floor_dbfs)
        } else {
            (self.floor_dbfs + RISE_DB).min(level_dbfs)
        };
        let threshold_dbfs = (self.floor_dbfs + MARGIN_DB).max(QUIETEST_DBFS);
        1.0 / (1.0 + ((threshold_dbfs - level_dbfs) / SLOPE_DB).exp())
    }

    fn reset(&mut self) {
        *self = Self::new();
    }
}
