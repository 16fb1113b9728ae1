//! The agent only listens: the two sides of a bridge are people. What is said is recognised and written down; nobody judges it, nothing
//! answers it, and nothing is said but what somebody outside has the agent say.

use duologue_signaling::event::{Event, FloorState};

use super::Conversation;
use super::idle::Due;
use crate::dialogue::floor::Hearing;
use crate::journal::Speaker;
use crate::memory::briefing::{Said, briefing};
use crate::memory::calendar::Day;
use crate::time::CallTime;

impl Conversation {
    /// Whether the agent only listens from here on. What it was saying is over at once, and so is what it was thinking of.
    pub fn listen_only(&mut self, at: CallTime, on: bool) {
        if self.listens == on || self.over {
            return;
        }
        self.listens = on;
        if on {
            self.fall_silent(at);
            return self.show_floor(at);
        }
        self.prime();
        if self.floor.state() == FloorState::Idle {
            // Whoever comes back to the agent has just heard a voice: the first silence begins at the lowest rung.
            self.ladder.reset();
            self.rest(at);
        }
        self.show_floor(at);
    }

    fn fall_silent(&mut self, at: CallTime) {
        self.drop_reply(at);
        self.drop_follow_ups();
        self.owed = None;
        self.initiative.forget_told();
        self.deferred = None;
        if let Some(pending) = self.pending.take()
            && let Due::Errand(waiting) = pending.into_due()
        {
            self.initiative.put_back(waiting);
        }
        match self.floor.state() {
            FloorState::Caller => {}
            // Its words are still on their way, or the judge has them: they are written down.
            FloorState::Thinking if self.caller.as_ref().is_some_and(|caller| !caller.is_final) => {}
            FloorState::Thinking => self.note_heard(at),
            FloorState::Idle | FloorState::Agent | FloorState::Suspect => {
                self.commit_caller(at);
                self.rest(at);
            }
        }
        self.ladder.disarm();
    }

    /// Who answers.
    pub fn persona_name(&self) -> &str {
        &self.persona.name
    }

    /// What somebody is told who takes the call over: by rule, out of what was said and is known.
    pub fn briefing(&self, today: Day) -> String {
        let lines = self.history.last(usize::MAX);
        let mut said: Vec<Said<'_>> =
            lines.iter().map(|line| Said { by_caller: line.who == Speaker::Caller, text: &line.text }).collect();
        said.extend(self.caller_words().map(|text| Said { by_caller: true, text }));
        briefing(&said, &self.mind.recollection.facts, today)
    }

    /// Nobody waits for an answer to it.
    pub(super) const fn is_heard_out(&self) -> bool {
        self.listens && self.reply.is_none()
    }

    /// The turn is over, and that is all that is done about it.
    pub(super) fn note_heard(&mut self, at: CallTime) {
        if let Some(caller) = self.caller.as_ref().filter(|caller| !caller.words.is_empty()) {
            let (turn, text, typed) = (caller.turn, caller.words.clone(), caller.typed);
            self.emit(at, Event::Transcript { turn, text, typed });
        }
        self.keep_quiet(at, 1.0);
        self.ladder.disarm();
    }

    /// What an agent that only listens has been told to say it says to its end: who is put through to somebody wants to know all of it,
    /// and greets into the middle of it.
    pub(super) fn unless_said_out(&self, heard: Hearing) -> Hearing {
        let speaks = self.listens && self.reply.as_ref().is_some_and(|reply| reply.started.is_some());
        if speaks { Hearing { silence_ms: heard.silence_ms, ..Hearing::default() } } else { heard }
    }
}
