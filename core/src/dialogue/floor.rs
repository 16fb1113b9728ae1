//! The floor: who is speaking. One value per call, five states, told what was heard once per tick.
//!
//! ```text
//!            caller onset                 end of turn               first audio
//!   Idle ------------------> Caller ------------------> Thinking ---------------> Agent
//!    ^                         ^  ^                        |  |                    |  ^
//!    |                         |  +---- caller resumes ----+  |       caller onset |  | not meant
//!    |                         |                              |                    v  |
//!    |<------------------------|---------- silence -----------+                  Suspect
//!    |                         +------------------ caller goes on -----------------+
//!    +<-------------------------------- end of playout ----------------- Agent
//! ```

use duologue_signaling::event::FloorState;

use super::suspicion::{Meant, NotMeant, Ruling};
use crate::time::CallTime;

/// How much sound, or lack of it, moves the floor.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct FloorSettings {
    /// Caller speech over a reply that is still unheard revokes it, milliseconds: 20..=1000. Shorter than a barge-in, since
    /// nothing audible is lost.
    pub resume_ms: u32,
    /// Sound over the agent's voice from which on it is softer, milliseconds: 20..=1000. It need not be confirmed as an onset: if
    /// it was a click, the agent was soft for so long.
    pub duck_ms: u32,
    /// Gain of the agent's voice from then on, decibels: -60.0..=0.0. Softly enough
    /// that the caller is not talked down, loudly enough that a cough leaves no hole.
    pub duck_db: f32,
    /// Caller sound after which the ducked agent is silent until it is decided, milliseconds: 60..=1000. With what the
    /// detector needs (about 150 ms) it makes the silence at the ear after an onset.
    pub hold_ms: u32,
    /// Caller sound before the recogniser is asked for its words, milliseconds: 60..=1000. Less has no word in it.
    pub words_ms: u32,
    /// Caller sound of unknown words that stops the agent at the end of the doubt, milliseconds: 60..=2000. Below some
    /// 250 ms every cough interrupts a server whose recogniser is late.
    pub barge_in_ms: u32,
    /// Quiet after a sound that was no turn that gives the floor back to the agent, milliseconds: 60..=2000.
    pub reject_ms: u32,
    /// Words of so much of the sound are believed while it goes on, milliseconds: 60..=2000; of less, when it is over. Of
    /// the first syllables of "Got it" a recogniser makes "God is".
    pub sure_ms: u32,
    /// A sound that begins so soon after the agent has is the caller going on: the agent is silent at once, and it is the same
    /// turn, milliseconds: 0..=1000. Nobody answers within the time that it takes to react.
    pub collide_ms: u32,
    /// The longest doubt, milliseconds: 200..=2000. Then it is decided by what is known.
    pub decide_ms: u32,
    /// After a rejection, so much more of the same sound is doubted anew, milliseconds: 100..=5000.
    pub again_ms: u32,
    /// Having cut in on a caller who talked too long, the agent keeps the floor for so long over him, milliseconds:
    /// 100..=5000.
    pub insist_ms: u32,
    /// A voice so far below the caller's usual level is somebody in the background, decibels: 3.0..=40.0.
    pub background_db: f32,
    /// A sound this likely to be our own voice is not the caller's: 0.0..=1.0.
    pub echo_likelihood: f32,
    /// Voiced sound of a doubt that was clearly somebody else's, after which it is no echo any more whatever follows,
    /// milliseconds: 20..=1000.
    pub others_ms: u32,
}

impl Default for FloorSettings {
    fn default() -> Self {
        Self {
            resume_ms: 120,
            duck_ms: 40,
            duck_db: -18.0,
            hold_ms: 100,
            words_ms: 160,
            barge_in_ms: 300,
            reject_ms: 200,
            sure_ms: 400,
            collide_ms: 300,
            decide_ms: 700,
            again_ms: 400,
            insist_ms: 700,
            background_db: 8.0,
            echo_likelihood: 0.6,
            others_ms: 140,
        }
    }
}

/// What one tick's worth of listening amounts to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Hearing {
    /// The caller is speaking: the detector's onset has been confirmed and its offset has not.
    pub speech: bool,
    /// Voiced milliseconds since that onset.
    pub speech_ms: u32,
    /// Likely sound in a row that is not confirmed as an onset yet, milliseconds.
    pub run_ms: u32,
    /// Milliseconds since the last voiced sound; 0 while there is one.
    pub silence_ms: u32,
    /// Mean level of the voiced sound of the utterance so far, dBFS: below 0.0; 0.0 where nobody measured it.
    pub level_dbfs: f32,
    /// How likely the sound is our own voice coming back: 0.0..=1.0. The conversation takes the mean of some ticks.
    pub echo_likelihood: f32,
}

/// What listening changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turnover {
    /// The caller began a turn.
    CallerStarts,
    /// The caller went on after what looked like the end: the unheard reply is revoked.
    CallerResumes,
    /// The caller's turn is over, or probably over.
    CallerEnds,
    /// Sound over the agent's voice: duck it.
    Doubt,
    /// It was meant: the agent yields, its turn is dropped.
    Yield(Meant),
    /// It was not: the agent goes on where it stopped.
    Reject(NotMeant),
}

/// Who is speaking, and since when.
#[derive(Clone, Debug)]
pub struct Floor {
    state: FloorState,
    since: CallTime,
    settings: FloorSettings,
    /// Sound that goes on after a rejection, or over an agent who insists, counts from so many voiced milliseconds on.
    spared_ms: u32,
}

impl Floor {
    /// A call begins with nobody speaking.
    pub fn new(settings: FloorSettings) -> Self {
        Self { state: FloorState::Idle, since: CallTime::ZERO, settings, spared_ms: 0 }
    }

    pub fn state(&self) -> FloorState {
        self.state
    }

    /// When the present state was entered.
    pub fn since(&self) -> CallTime {
        self.since
    }

    /// Once per tick. `wait_ms` is the silence after which the caller's turn counts as over ([`super::endpoint`]), `ruling`
    /// what is to be done about the sound over the agent's voice ([`super::suspicion`]), if there is one.
    pub fn hear(&mut self, at: CallTime, heard: Hearing, wait_ms: u32, ruling: Option<Ruling>) -> Option<Turnover> {
        use FloorState::{Agent, Caller, Idle, Suspect, Thinking};
        let voice = self.is_voice(heard);
        if !heard.speech {
            self.spared_ms = 0;
        }
        let (next, turnover) = match (self.state, ruling) {
            (Idle, _) if voice => (Caller, Turnover::CallerStarts),
            (Caller, _) if heard.silence_ms >= wait_ms => (Thinking, Turnover::CallerEnds),
            (Thinking, _) if voice && heard.speech_ms >= self.settings.resume_ms.max(self.spared_ms) => {
                (Caller, Turnover::CallerResumes)
            }
            (Agent, _) if voice && heard.speech_ms >= self.spared_ms => (Suspect, Turnover::Doubt),
            (Suspect, Some(Ruling::Yield(why))) => (Caller, Turnover::Yield(why)),
            (Suspect, Some(Ruling::Reject(why))) => (Agent, Turnover::Reject(why)),
            _ => return None,
        };
        match turnover {
            // Whether it is one is told anew every tick.
            Turnover::Reject(NotMeant::Echo) => self.spared_ms = 0,
            Turnover::Reject(_) => self.spare(heard, self.settings.again_ms),
            _ => {}
        }
        self.enter(at, next);
        Some(turnover)
    }

    /// Is this a voice, and not our own?
    pub fn is_voice(&self, heard: Hearing) -> bool {
        heard.speech && heard.echo_likelihood < self.settings.echo_likelihood
    }

    /// The sound that goes on now moves no floor before it has gone on for `ms` more.
    pub fn spare(&mut self, heard: Hearing, ms: u32) {
        self.spared_ms = if heard.speech { heard.speech_ms.saturating_add(ms) } else { 0 };
    }

    /// The first audio of a reply is about to be played. A caller who is speaking keeps the floor: `false`.
    pub fn agent_starts(&mut self, at: CallTime) -> bool {
        let free = matches!(self.state, FloorState::Idle | FloorState::Thinking);
        if free {
            self.enter(at, FloorState::Agent);
        }
        free
    }

    /// The agent's turn is over, was dropped, or came to nothing.
    pub fn agent_ends(&mut self, at: CallTime) {
        if self.state != FloorState::Caller {
            self.enter(at, FloorState::Idle);
        }
    }

    /// The agent finished while a sound over it was doubted: that sound has the floor.
    pub fn caller_takes(&mut self, at: CallTime) {
        self.enter(at, FloorState::Caller);
    }

    /// Somebody asked for a reply without a sound: typed text, or a timer.
    pub fn thinks(&mut self, at: CallTime) {
        self.enter(at, FloorState::Thinking);
    }

    fn enter(&mut self, at: CallTime, state: FloorState) {
        self.state = state;
        self.since = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT_MS: u32 = 400;

    fn speech(ms: u32) -> Hearing {
        Hearing { speech: true, speech_ms: ms, ..Hearing::default() }
    }

    fn quiet(ms: u32) -> Hearing {
        Hearing { silence_ms: ms, ..Hearing::default() }
    }

    fn floor_after(steps: &[Hearing]) -> Floor {
        let mut floor = Floor::new(FloorSettings::default());
        for (i, step) in steps.iter().enumerate() {
            floor.hear(CallTime::from_ms(i as u64 * 20), *step, WAIT_MS, None);
        }
        floor
    }

    fn agent_speaking() -> Floor {
        let mut floor = floor_after(&[speech(100), quiet(WAIT_MS)]);
        assert!(floor.agent_starts(CallTime::from_ms(100)));
        floor
    }

    #[test]
    fn a_caller_who_pauses_shortly_keeps_the_floor() {
        let floor = floor_after(&[speech(100), quiet(WAIT_MS - 20), speech(20)]);
        assert_eq!(floor.state(), FloorState::Caller);
    }

    #[test]
    fn a_turn_ends_after_the_silence_that_was_asked_for() {
        let mut floor = floor_after(&[speech(100)]);
        assert_eq!(floor.hear(CallTime::from_ms(900), quiet(WAIT_MS), WAIT_MS, None), Some(Turnover::CallerEnds));
        assert_eq!(floor.state(), FloorState::Thinking);
    }

    #[test]
    fn going_on_while_the_agent_thinks_revokes_the_reply() {
        let mut floor = floor_after(&[speech(100), quiet(WAIT_MS)]);
        assert_eq!(floor.hear(CallTime::from_ms(60), speech(60), WAIT_MS, None), None, "a click is not a word");
        assert_eq!(floor.hear(CallTime::from_ms(80), speech(120), WAIT_MS, None), Some(Turnover::CallerResumes));
    }

    #[test]
    fn what_is_rejected_gives_the_floor_back_and_is_spared_for_a_while() {
        let mut floor = agent_speaking();
        assert_eq!(floor.hear(CallTime::from_ms(200), speech(60), WAIT_MS, None), Some(Turnover::Doubt));
        assert_eq!(floor.hear(CallTime::from_ms(220), speech(80), WAIT_MS, Some(Ruling::Duck)), None);
        let reject = Ruling::Reject(NotMeant::Backchannel);
        let rejected = floor.hear(CallTime::from_ms(300), speech(160), WAIT_MS, Some(reject));
        assert_eq!(rejected, Some(Turnover::Reject(NotMeant::Backchannel)));
        assert_eq!(floor.hear(CallTime::from_ms(320), speech(180), WAIT_MS, None), None);
        assert_eq!(floor.hear(CallTime::from_ms(700), speech(560), WAIT_MS, None), Some(Turnover::Doubt));
    }

    #[test]
    fn a_new_sound_is_doubted_at_once_after_a_rejection() {
        let mut floor = agent_speaking();
        floor.hear(CallTime::from_ms(200), speech(60), WAIT_MS, None);
        floor.hear(CallTime::from_ms(300), speech(160), WAIT_MS, Some(Ruling::Reject(NotMeant::Noise)));
        floor.hear(CallTime::from_ms(400), quiet(100), WAIT_MS, None);
        assert_eq!(floor.hear(CallTime::from_ms(500), speech(60), WAIT_MS, None), Some(Turnover::Doubt));
    }

    #[test]
    fn what_is_meant_takes_the_floor_from_the_agent() {
        let mut floor = agent_speaking();
        floor.hear(CallTime::from_ms(200), speech(60), WAIT_MS, None);
        let meant = Ruling::Yield(Meant::Words);
        assert_eq!(
            floor.hear(CallTime::from_ms(400), speech(240), WAIT_MS, Some(meant)),
            Some(Turnover::Yield(Meant::Words))
        );
        assert_eq!(floor.state(), FloorState::Caller);
    }

    #[test]
    fn our_own_voice_moves_no_floor() {
        let echo = Hearing { echo_likelihood: 0.9, ..speech(400) };
        let mut floor = agent_speaking();
        assert_eq!(floor.hear(CallTime::from_ms(200), echo, WAIT_MS, None), None);
        assert_eq!(floor_after(&[echo]).state(), FloorState::Idle);
        assert_eq!(floor_after(&[speech(100), quiet(WAIT_MS), echo]).state(), FloorState::Thinking);
    }

    #[test]
    fn the_agent_does_not_start_over_a_speaking_caller() {
        let mut floor = floor_after(&[speech(100)]);
        assert!(!floor.agent_starts(CallTime::from_ms(40)));
        assert_eq!(floor.state(), FloorState::Caller);
    }
}
