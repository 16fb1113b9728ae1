//! The models that calls share, loaded and warm before the first call is taken.

use std::sync::Arc;
use std::time::Duration;

use crate::audio::vad::{EnergyVad, SileroVad, SileroWeights, Vad};
use crate::backend::{Asr, Embedder, Judge, Llm, Tts, TurnModel};

/// One of each; calls hold clones.
#[derive(Clone)]
pub struct Engines {
    pub asr: Arc<dyn Asr>,
    /// None: turns end by silence and words alone.
    pub turn_model: Option<Arc<dyn TurnModel>>,
    pub llm: Arc<dyn Llm>,
    /// None: the rules alone, which are instant.
    pub judge: Option<Arc<dyn Judge>>,
    /// None: facts are found by their words alone.
    pub embedder: Option<Arc<dyn Embedder>>,
    /// How long a turn waits for the judge.
    pub judge_limit: Duration,
    pub tts: Arc<dyn Tts>,
    /// None: the energy detector, for machines without the model file.
    pub vad: Option<Arc<SileroWeights>>,
}

impl Engines {
    /// A voice detector for one call: the weights are shared, the state is not.
    pub fn voice_detector(&self) -> Box<dyn Vad + Send> {
        match &self.vad {
            Some(weights) => Box::new(SileroVad::new(weights.clone())),
            None => Box::new(EnergyVad::default()),
        }
    }
}
