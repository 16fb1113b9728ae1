//! Is it our own voice that the microphone hears?
//!
//! Loudspeakers, telephone lines and hands-free sets send the agent's voice back, up to half a second late, coloured by a
//! room, and a canceller, theirs or ours, leaves some of it. A voice detector takes that for a caller, since it is a
//! voice. So what was just played is held against what is heard, in 18 bands, tick by tick:
//!
//! 1. **When** does it come back? The delay at which the pictures of both resemble each other ([`delay`]).
//! 2. **How strongly?** The gain of each band and how much it varies, learned while nothing else is heard ([`leak`]).
//! 3. **What is left over?** Bands that are stronger than our voice can have made them belong to somebody else. Few of
//!    them: it is our voice. Many: somebody speaks, over our voice or without it.
//!
//! No time is left out: a caller who speaks in the first second of the agent's first sentence is heard in it. Until a
//! delay is known, the resemblance alone decides.

pub mod bands;
mod delay;
mod leak;

use std::collections::VecDeque;
use std::time::Duration;

use bands::{BANDS, BandMeter, Bands};
use delay::Delay;
use leak::Leak;

use crate::audio::HEAR_FRAME;
use crate::time::TICK;

/// What a room makes of a sound: the shares of its power that arrive so many ticks later, for a reverberation time of
/// some 0.3 s. The first one is for a delay that lies between two ticks.
const ROOM: [f32; 7] = [0.5, 1.0, 0.6, 0.36, 0.2, 0.12, 0.07];
/// Played ticks that can still be heard: the longest delay, and the room.
const AUDIBLE: usize = delay::LAGS + ROOM.len();
/// Ticks from which the strength of a new echo is learned: half a second.
const LEARNED: usize = 25;
/// While too little has been heard to tell: neither our voice, so that nobody is ignored, nor clearly somebody else's.
const UNKNOWN: f32 = 0.45;
/// Never quite sure, so that a threshold of 1.0 is never reached.
const SUREST: f32 = 0.99;

/// One call's estimate. About 30 kB.
pub struct SelfVoice {
    played_meter: BandMeter,
    microphone_meter: BandMeter,
    clean_meter: BandMeter,
    /// The newest first.
    played: VecDeque<Bands>,
    microphone: VecDeque<Bands>,
    /// Ticks since something was played.
    silent_ticks: usize,
    delay: Delay,
    /// How our voice is heard by the microphone, and after a canceller.
    leak: Leak,
    clean_leak: Option<Leak>,
    likelihood: f32,
}

impl SelfVoice {
    /// One that has played and heard nothing.
    pub fn new() -> Self {
        let past = |ticks: usize| VecDeque::from(vec![[0.0; BANDS]; ticks]);
        Self {
            played_meter: BandMeter::new(),
            microphone_meter: BandMeter::new(),
            clean_meter: BandMeter::new(),
            played: past(AUDIBLE + LEARNED),
            microphone: past(LEARNED),
            silent_ticks: AUDIBLE,
            delay: Delay::new(),
            leak: Leak::new(),
            clean_leak: None,
            likelihood: 0.0,
        }
    }

    /// What went out in this tick, after [`Self::hear`]: none of it can have come back yet.
    pub fn played(&mut self, frame: &[f32; HEAR_FRAME]) {
        let played = self.played_meter.feed(frame);
        self.silent_ticks = if bands::is_loud(&played) { 0 } else { self.silent_ticks.saturating_add(1) };
        self.delay.played(&played);
        push(&mut self.played, played);
    }

    /// The probability, 0.0..=0.99, that what is heard is our own voice; 0.0 when nothing of it can be heard any more.
    ///
    /// `microphone` is what came over the line, `clean` what a canceller left of it, where there is one: then the answer
    /// is about that.
    pub fn hear(&mut self, microphone: &[f32; HEAR_FRAME], clean: Option<&[f32; HEAR_FRAME]>) -> f32 {
        let heard = self.microphone_meter.feed(microphone);
        push(&mut self.microphone, heard);
        self.leak.listen(&heard);
        if self.delay.heard(&heard, &self.leak) {
            self.learn();
        }
        let echo = self.delay.ticks().map(|ticks| self.echo(ticks));
        let resembles = self.delay.resemblance();
        let alike = resembles.unwrap_or(0.0);
        let mut level = echo.and_then(|echo| self.leak.explains(&heard, &echo, alike));
        let mut sound = self.leak.hears_sound();
        if let Some(clean) = clean {
            let clean = self.clean_meter.feed(clean);
            // While it learns, a canceller adds now and then what was not there.
            let clean = std::array::from_fn(|band| clean[band].min(heard[band]));
            let leak = self.clean_leak.get_or_insert_with(|| self.leak.behind_a_canceller());
            leak.listen(&clean);
            leak.trust(&self.leak);
            level = echo.and_then(|echo| leak.explains(&clean, &echo, alike));
            sound = leak.hears_sound();
        } else {
            self.clean_leak = None;
        }
        self.likelihood = match level {
            _ if self.silent_ticks >= AUDIBLE => 0.0,
            // A voice detector goes on about a sound that is over: it is still that sound.
            _ if !sound => self.likelihood,
            Some(likelihood) if self.delay.is_sure() => likelihood,
            // A delay that may be chance explains a caller as well as an echo.
            Some(likelihood) => likelihood.min(UNKNOWN),
            None => resembles.map_or(UNKNOWN, delay::by_resemblance),
        };
        self.likelihood = self.likelihood.min(SUREST);
        self.likelihood
    }

    /// How long our voice takes to come back, where that is known: in whole ticks, from mouth to ear.
    pub fn delay(&self) -> Option<Duration> {
        self.delay.ticks().map(|ticks| TICK * (ticks as u32 + 1))
    }

    /// What the room makes of what was played so many ticks ago, but for its strength.
    fn echo(&self, ago: usize) -> Bands {
        let mut echo = [0.0; BANDS];
        for (later, share) in ROOM.iter().enumerate() {
            let Some(played) = (ago + later).checked_sub(1).and_then(|at| self.played.get(at)) else { continue };
            for (echo, played) in echo.iter_mut().zip(played) {
                *echo += share * played;
            }
        }
        echo
    }

    /// Another delay: the strength is that of the last half second.
    fn learn(&mut self) {
        let Some(ticks) = self.delay.ticks() else { return };
        let pairs: Vec<(Bands, Bands)> =
            self.microphone.iter().enumerate().map(|(ago, heard)| (self.echo(ticks + ago), *heard)).collect();
        self.leak.learn(&pairs);
        self.clean_leak = None;
    }
}

impl Default for SelfVoice {
    fn default() -> Self {
        Self::new()
    }
}

fn push(past: &mut VecDeque<Bands>, newest: Bands) {
    past.pop_back();
    past.push_front(newest);
}

/// From 0.0 to 1.0, one half at zero.
fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}
