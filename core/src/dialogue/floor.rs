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

use crate::time::CallTime;

/// How much sound, or lack of it, moves the floor. Milliseconds throughout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FloorSettings {
    /// Caller speech over a reply that is still unheard revokes it: 20..=1000. Shorter than a barge-in, since nothing
    /// audible is lost.
    pub resume_ms: u32,
    /// Caller speech over the agent's voice that stops it: 60..=2000. Below some 200 ms every cough interrupts.
    pub barge_in_ms: u32,
    /// Quiet after a suspected barge-in that gives the floor back to the agent: 60..=2000.
    pub reject_ms: u32,
}

impl Default for FloorSettings {
    fn default() -> Self {
        Self { resume_ms: 120, barge_in_ms: 240, reject_ms: 200 }
    }
}

/// What one tick's worth of listening amounts to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Hearing {
    /// The caller is speaking: the detector's onset has been confirmed and its offset has not.
    pub speech: bool,
    /// Voiced milliseconds since that onset.
    pub speech_ms: u32,
    /// Milliseconds since the last voiced sound; 0 while there is one.
    pub silence_ms: u32,
    /// The probability, 0.0..=1.0, that what is heard is our own voice coming back.
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
    /// Sound over the agent's voice: hold the playout, keep its tail.
    Doubt,
    /// It was meant: the agent yields, its turn is dropped.
    Yield,
    /// It was not: the agent goes on where it stopped.
    Reject,
}

/// Who is speaking, and since when.
#[derive(Clone, Debug)]
pub struct Floor {
    state: FloorState,
    since: CallTime,
    settings: FloorSettings,
}

impl Floor {
    /// A call begins with nobody speaking.
    pub fn new(settings: FloorSettings) -> Self {
        Self { state: FloorState::Idle, since: CallTime::ZERO, settings }
    }

    pub fn state(&self) -> FloorState {
        self.state
    }

    /// When the present state was entered.
    pub fn since(&self) -> CallTime {
        self.since
    }

    /// Once per tick. `wait_ms` is the silence after which the caller's turn counts as over ([`super::endpoint`]).
    pub fn hear(&mut self, at: CallTime, heard: Hearing, wait_ms: u32) -> Option<Turnover> {
        use FloorState::{Agent, Caller, Idle, Suspect, Thinking};
        let (next, turnover) = match self.state {
            Idle if heard.speech => (Caller, Turnover::CallerStarts),
            Caller if heard.silence_ms >= wait_ms => (Thinking, Turnover::CallerEnds),
            Thinking if heard.speech && heard.speech_ms >= self.settings.resume_ms => (Caller, Turnover::CallerResumes),
            Agent if heard.speech => (Suspect, Turnover::Doubt),
            Suspect if heard.speech && heard.speech_ms >= self.settings.barge_in_ms => (Caller, Turnover::Yield),
            Suspect if heard.silence_ms >= self.settings.reject_ms => (Agent, Turnover::Reject),
            _ => return None,
        };
        self.enter(at, next);
        Some(turnover)
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
            floor.hear(CallTime::from_ms(i as u64 * 20), *step, WAIT_MS);
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
        assert_eq!(floor.hear(CallTime::from_ms(900), quiet(WAIT_MS), WAIT_MS), Some(Turnover::CallerEnds));
        assert_eq!(floor.state(), FloorState::Thinking);
    }

    #[test]
    fn going_on_while_the_agent_thinks_revokes_the_reply() {
        let mut floor = floor_after(&[speech(100), quiet(WAIT_MS)]);
        assert_eq!(floor.hear(CallTime::from_ms(60), speech(60), WAIT_MS), None, "a click is not a word");
        assert_eq!(floor.hear(CallTime::from_ms(80), speech(120), WAIT_MS), Some(Turnover::CallerResumes));
    }

    #[test]
    fn a_cough_holds_the_agent_and_gives_the_floor_back() {
        let mut floor = agent_speaking();
        assert_eq!(floor.hear(CallTime::from_ms(200), speech(60), WAIT_MS), Some(Turnover::Doubt));
        assert_eq!(floor.hear(CallTime::from_ms(220), quiet(100), WAIT_MS), None);
        assert_eq!(floor.hear(CallTime::from_ms(320), quiet(200), WAIT_MS), Some(Turnover::Reject));
        assert_eq!(floor.state(), FloorState::Agent);
    }

    #[test]
    fn talking_on_takes_the_floor_from_the_agent() {
        let mut floor = agent_speaking();
        floor.hear(CallTime::from_ms(200), speech(60), WAIT_MS);
        assert_eq!(floor.hear(CallTime::from_ms(400), speech(240), WAIT_MS), Some(Turnover::Yield));
        assert_eq!(floor.state(), FloorState::Caller);
    }

    #[test]
    fn the_agent_does_not_start_over_a_speaking_caller() {
        let mut floor = floor_after(&[speech(100)]);
        assert!(!floor.agent_starts(CallTime::from_ms(40)));
        assert_eq!(floor.state(), FloorState::Caller);
    }
}
