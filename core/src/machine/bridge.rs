//! A call that is connected with another one: the other side's sound goes out with the agent's, and the agent only listens.

use duologue_signaling::event::{BridgeState, Event};

use super::CallMachine;
use crate::audio::LINE_FRAME;
use crate::audio::level::rms;
use crate::journal::CallId;
use crate::memory::calendar::Day;
use crate::time::CallTime;

/// Softer than this is no talk that begins: -60 dBFS, the room of a quiet telephone.
const TALK_RMS: f32 = 0.001;

/// What whoever takes a call over is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Briefing {
    /// Who answers the call.
    pub persona: String,
    pub words: String,
}

impl CallMachine {
    pub(super) fn on_bridge(&mut self, at: CallTime, with: CallId, state: BridgeState, detail: String) {
        match state {
            BridgeState::Joined => self.conversation.listen_only(at, true),
            BridgeState::Parted => self.conversation.listen_only(at, false),
            BridgeState::Asked | BridgeState::Failed => {}
        }
        self.emit(at, Event::Bridge { with, state, detail });
    }

    /// What the other side of a bridge says in the next tick. Nothing that is decided rests on it but what the ear makes of its echo,
    /// and that the journal has: it need not be told again.
    pub fn put_beside(&mut self, sound: Box<[f32; LINE_FRAME]>) {
        self.beside = Some(sound);
    }

    /// The other side is heard beside the agent. `true`: it speaks.
    pub(super) fn mix_beside(&mut self, frame: &mut [f32; LINE_FRAME]) -> bool {
        let Some(beside) = self.beside.take() else { return false };
        let speaks = rms(&*beside) > TALK_RMS;
        for (sample, other) in frame.iter_mut().zip(beside.iter()) {
            *sample = (*sample + other).clamp(-1.0, 1.0);
        }
        speaks
    }

    /// Whether our side had something to be heard in the last tick.
    pub const fn speaks(&self) -> bool {
        self.speaks
    }

    /// Whether an echo is taken out of what is heard.
    pub const fn cancels_echo(&self) -> bool {
        self.ear.cancels_echo()
    }

    /// What is to be told to somebody who takes this call over, as things stand now.
    pub fn briefing(&self) -> Briefing {
        let today = Day::of_utc_ms(self.settings.began_utc_ms);
        Briefing { persona: self.conversation.persona_name().to_owned(), words: self.conversation.briefing(today) }
    }
}
