//! What becomes of our own voice when it comes back: a canceller takes it out where the line wants one, and what it leaves,
//! or all of it, is told from a caller by [`SelfVoice`].

use super::self_voice::SelfVoice;
use crate::audio::echo::EchoCanceller;
use crate::audio::resample::{Resampler, UnsupportedRates};
use crate::audio::{HEAR_FRAME, HEAR_RATE, LINE_FRAME, LINE_RATE};

/// What is done about an echo on one line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EchoMeans {
    /// Take it out of what is heard.
    pub canceller: bool,
    /// Say how likely what is heard, or left, is our own voice.
    pub self_voice: bool,
}

impl EchoMeans {
    /// A line whose other end cancels: nothing is computed.
    pub const NONE: Self = Self { canceller: false, self_voice: false };
    pub const BOTH: Self = Self { canceller: true, self_voice: true };
}

/// One call's echo.
pub struct Echo {
    /// From the line's rate to the ear's, for what we say.
    down: Resampler,
    said: Vec<f32>,
    canceller: Option<Box<EchoCanceller>>,
    self_voice: Option<Box<SelfVoice>>,
}

impl Echo {
    /// On a line that wants nothing done.
    ///
    /// # Errors
    /// Never for the two rates that are compiled in.
    pub fn new() -> Result<Self, UnsupportedRates> {
        let down = Resampler::live(LINE_RATE, HEAR_RATE)?;
        Ok(Self { down, said: Vec::new(), canceller: None, self_voice: None })
    }

    /// From here on this is done. What begins has everything to learn, which takes a canceller a second or two.
    pub fn mind(&mut self, means: EchoMeans) {
        if means.canceller != self.canceller.is_some() {
            self.canceller = means.canceller.then(Box::default);
        }
        if means.self_voice != self.self_voice.is_some() {
            self.self_voice = means.self_voice.then(Box::default);
        }
    }

    /// What is being done.
    pub const fn means(&self) -> EchoMeans {
        EchoMeans { canceller: self.canceller.is_some(), self_voice: self.self_voice.is_some() }
    }

    /// What went out in this tick, after [`Self::hear`] in the same tick.
    pub fn played(&mut self, frame: &[f32; LINE_FRAME]) {
        if self.means() == EchoMeans::NONE {
            return;
        }
        self.said.clear();
        self.down.push(frame, &mut self.said);
        let Some(said) = self.said.first_chunk::<HEAR_FRAME>() else { return };
        if let Some(canceller) = &mut self.canceller {
            canceller.played(said);
        }
        if let Some(own) = &mut self.self_voice {
            own.played(said);
        }
    }

    /// Takes the echo out of what is heard, where it is cancelled, and gives the probability, 0.0..=0.99, that what is left
    /// is our own voice: 0.0 where nobody asks for it.
    pub fn hear(&mut self, frame: &mut [f32; HEAR_FRAME]) -> f32 {
        let microphone = *frame;
        if let Some(canceller) = &mut self.canceller {
            canceller.clean(frame);
        }
        let clean = self.canceller.is_some().then_some(&*frame);
        self.self_voice.as_mut().map_or(0.0, |own| own.hear(&microphone, clean))
    }
}
