//! When the caller speaks next: a pure state machine, told the time and when the agent was last heard.

use std::time::Duration;

/// How the turns of a call follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The next turn begins when the agent has answered and then been silent for so long.
    pub turn_gap: Duration,
    /// The first turn waits for the agent's greeting too.
    pub wait_for_agent: bool,
    /// An agent that says nothing for so long is not waited for.
    pub patience: Duration,
    /// The whole call lasts no longer.
    pub hang_up_after: Option<Duration>,
}

/// Silence before the first turn of a caller who does not wait, so that its onset is not the first packet of the call.
const LEAD_IN: Duration = Duration::from_millis(300);

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cue {
    /// Send silence, or go on with what is being played.
    GoOn,
    /// Begin the turn with this number, from 0.
    Play(usize),
    HangUp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scene {
    /// Nobody has spoken; since the beginning.
    Opening,
    /// Turn `n` is being played.
    Playing(usize),
    /// Turn `n` has been played; an answer counts from `spoken`, the end of its speech.
    Listening { turn: usize, spoken: Duration },
}

/// One caller's course through its turns.
#[derive(Clone, Debug)]
pub struct Conductor {
    pace: Pace,
    turns: usize,
    scene: Scene,
}

impl Conductor {
    /// A caller with so many turns.
    pub fn new(turns: usize, pace: Pace) -> Self {
        Self { pace, turns, scene: Scene::Opening }
    }

    /// The turn that was being played has been played to its end; its last word was at `spoken`.
    pub fn played(&mut self, spoken: Duration) {
        if let Scene::Playing(turn) = self.scene {
            self.scene = Scene::Listening { turn, spoken };
        }
    }

    /// The cue at `now`, every 20 ms; `heard` is when the agent was last audible.
    pub fn cue(&mut self, now: Duration, heard: Option<Duration>) -> Cue {
        if self.pace.hang_up_after.is_some_and(|limit| now >= limit) {
            return Cue::HangUp;
        }
        let answered = |since: Duration| match heard.filter(|heard| *heard > since) {
            Some(heard) => now.saturating_sub(heard) >= self.pace.turn_gap,
            None => now.saturating_sub(since) >= self.pace.patience,
        };
        let next = match self.scene {
            Scene::Playing(_) => return Cue::GoOn,
            Scene::Opening if self.pace.wait_for_agent => answered(Duration::ZERO).then_some(0),
            Scene::Opening => (now >= LEAD_IN).then_some(0),
            Scene::Listening { turn, spoken } => answered(spoken).then_some(turn + 1),
        };
        match next {
            None => Cue::GoOn,
            Some(turn) if turn >= self.turns => Cue::HangUp,
            Some(turn) => {
                self.scene = Scene::Playing(turn);
                Cue::Play(turn)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        turn_gap: Duration::from_millis(1_600),
        wait_for_agent: false,
        patience: Duration::from_secs(15),
        hang_up_after: None,
    };

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn turns_follow_the_agent_s_silence() {
        let mut conductor = Conductor::new(2, PACE);
        assert_eq!(conductor.cue(ms(0), None), Cue::GoOn);
        assert_eq!(conductor.cue(ms(300), None), Cue::Play(0));
        assert_eq!(conductor.cue(ms(3_000), None), Cue::GoOn, "it is being played");
        conductor.played(ms(2_500));
        assert_eq!(conductor.cue(ms(4_200), Some(ms(2_000))), Cue::GoOn, "heard before the end is no answer");
        assert_eq!(conductor.cue(ms(5_000), Some(ms(4_900))), Cue::GoOn, "the agent speaks");
        assert_eq!(conductor.cue(ms(6_500), Some(ms(4_900))), Cue::Play(1), "it has been silent for 1.6 s");
        conductor.played(ms(8_000));
        assert_eq!(conductor.cue(ms(11_000), Some(ms(9_000))), Cue::HangUp);
    }

    #[test]
    fn a_caller_who_waits_lets_the_agent_greet_first() {
        let mut conductor = Conductor::new(1, Pace { wait_for_agent: true, ..PACE });
        assert_eq!(conductor.cue(ms(1_000), None), Cue::GoOn);
        assert_eq!(conductor.cue(ms(3_000), Some(ms(2_900))), Cue::GoOn);
        assert_eq!(conductor.cue(ms(4_500), Some(ms(2_900))), Cue::Play(0));
    }

    #[test]
    fn an_agent_that_says_nothing_is_not_waited_for_for_ever() {
        let mut conductor = Conductor::new(1, Pace { wait_for_agent: true, ..PACE });
        assert_eq!(conductor.cue(ms(14_999), None), Cue::GoOn);
        assert_eq!(conductor.cue(ms(15_000), None), Cue::Play(0));
        conductor.played(ms(17_000));
        assert_eq!(conductor.cue(ms(31_000), None), Cue::GoOn);
        assert_eq!(conductor.cue(ms(32_000), None), Cue::HangUp);
    }

    #[test]
    fn the_limit_ends_a_call_in_the_middle_of_a_turn() {
        let mut conductor = Conductor::new(1, Pace { hang_up_after: Some(ms(1_000)), ..PACE });
        assert_eq!(conductor.cue(ms(400), None), Cue::Play(0));
        assert_eq!(conductor.cue(ms(1_000), None), Cue::HangUp);
    }
}
