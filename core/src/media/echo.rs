//! What becomes of our own voice when it comes back: a canceller takes it out where the line wants one, and what it leaves,
//! or all of it, is told from a caller by [`SelfVoice`].

use super::self_voice::SelfVoice;
use crate::audio::echo::EchoCanceller;
use crate::audio::resample::{Resampler, UnsupportedRates};
use crate::audio::{HEAR_FRAME, HEAR_RATE, LINE_FRAME, LINE_RATE};

/// One call's echo.
pub struct Echo {
    /// From the line's rate to the ear's, for what we say.
    down: Resampler,
    said: Vec<f32>,
    /// Present on a line whose other end does not cancel.
    canceller: Option<Box<EchoCanceller>>,
    self_voice: Box<SelfVoice>,
}

impl Echo {
    /// Without a canceller.
    ///
    /// # Errors
    /// Never for the two rates that are compiled in.
    pub fn new() -> Result<Self, UnsupportedRates> {
        let down = Resampler::live(LINE_RATE, HEAR_RATE)?;
        Ok(Self { down, said: Vec::new(), canceller: None, self_voice: Box::default() })
    }

    /// Begins to cancel, or stops. A canceller that begins has everything to learn, which takes it a second or two.
    pub fn cancel(&mut self, on: bool) {
        if on != self.canceller.is_some() {
            self.canceller = on.then(Box::default);
        }
    }

    /// Is it being cancelled?
    pub fn is_cancelled(&self) -> bool {
        self.canceller.is_some()
    }

    /// What went out in this tick, after [`Self::hear`] in the same tick.
    pub fn played(&mut self, frame: &[f32; LINE_FRAME]) {
        self.said.clear();
        self.down.push(frame, &mut self.said);
        let Some(said) = self.said.first_chunk::<HEAR_FRAME>() else { return };
        if let Some(canceller) = &mut self.canceller {
            canceller.played(said);
        }
        self.self_voice.played(said);
    }

    /// Takes the echo out of what is heard, where it is cancelled, and gives the probability, 0.0..=0.99, that what is left
    /// is our own voice.
    pub fn hear(&mut self, frame: &mut [f32; HEAR_FRAME]) -> f32 {
        let Some(canceller) = &mut self.canceller else { return self.self_voice.hear(frame, None) };
        let microphone = *frame;
        canceller.clean(frame);
        self.self_voice.hear(&microphone, Some(frame))
    }

    /// What is known of our own voice.
    pub fn self_voice(&self) -> &SelfVoice {
        &self.self_voice
    }
}
