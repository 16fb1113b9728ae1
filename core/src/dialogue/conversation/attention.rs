//! Signs of attention: a short "mm-hm" of the agent's while the caller speaks. It is made before it is needed, is softer than
//! talk, takes no floor and is nobody's turn.

use std::sync::Arc;

use duologue_signaling::event::{Event, FloorState};

use super::{Conversation, Effect};
use crate::audio::LINE_FRAME;
use crate::time::CallTime;

/// How much softer than talk it is: half the amplitude, 6 dB.
const GAIN: f32 = 0.5;

/// The sounds, and the one that is being played.
#[derive(Debug, Default)]
pub(super) struct Attention {
    known: Vec<(String, Arc<[f32]>)>,
    given: usize,
    playing: Option<(Arc<[f32]>, usize)>,
}

impl Attention {
    pub fn learn(&mut self, text: String, pcm: Arc<[f32]>) {
        if !pcm.is_empty() && self.known.len() < MOST {
            self.known.push((text, pcm));
        }
    }

    /// The next one begins; `None` while none is known.
    fn begin(&mut self) -> Option<&str> {
        let (text, pcm) = self.known.get(self.given % self.known.len().max(1))?;
        self.given += 1;
        self.playing = Some((pcm.clone(), 0));
        Some(text)
    }

    /// The next 20 ms of it; `false` when there is none.
    fn frame(&mut self, out: &mut [f32; LINE_FRAME]) -> bool {
        let Some((pcm, from)) = &mut self.playing else { return false };
        let rest = &pcm[*from..];
        for (out, sample) in out.iter_mut().zip(rest) {
            *out = sample * GAIN;
        }
        *from += rest.len().min(LINE_FRAME);
        if *from == pcm.len() {
            self.playing = None;
        }
        true
    }
}

/// A persona has a handful of them; a call keeps no more.
const MOST: usize = 8;

impl Conversation {
    /// Has them spoken ahead of time, where the judge may choose one.
    pub(super) fn prepare_attention(&mut self) {
        if self.settings.judging.beside {
            let texts = self.persona.backchannels.iter().take(MOST).cloned();
            self.effects.extend(texts.map(|text| Effect::VoiceAttention { text }));
        }
    }

    pub(super) fn give_attention(&mut self, at: CallTime, turn: u32) {
        if let Some(text) = self.attention.begin() {
            let text = text.to_owned();
            self.emit(at, Event::Attention { turn, text });
        }
    }

    /// Plays it, while the floor is the caller's.
    pub(super) fn play_attention(&mut self, out: &mut [f32; LINE_FRAME]) -> bool {
        if self.floor.state() != FloorState::Caller {
            self.attention.playing = None;
        }
        self.attention.frame(out)
    }
}
