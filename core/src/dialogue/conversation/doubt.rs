//! Sound over the agent's voice, as the conversation handles it: duck, hold, ask for its words, then yield or go on.

use duologue_signaling::event::{Event, FloorState};

use super::{Conversation, Effect};
use crate::backend::AsrPurpose;
use crate::dialogue::floor::Hearing;
use crate::dialogue::question::{Asked, near};
use crate::dialogue::suspicion::{Meant, NotMeant, Ruling, Suspicion};
use crate::time::CallTime;

/// How quickly the usual level follows the caller's turns: three of them are most of it.
const LEVEL_FOLLOWS: f32 = 0.4;

impl Conversation {
    /// One tick's opinion about an echo neither opens a turn nor hides one: it moves the mean of the sound so far.
    pub(super) fn steadied(&self, heard: Hearing) -> Hearing {
        const FOLLOWS: f32 = 0.3;
        let before = if self.heard.speech { self.heard.echo_likelihood } else { heard.echo_likelihood };
        Hearing { echo_likelihood: before + (heard.echo_likelihood - before) * FOLLOWS, ..heard }
    }

    /// What a switched-off microphone hears is nothing, however the line rustles.
    pub(super) fn unmuted(&self, at: CallTime, heard: Hearing) -> Hearing {
        let Some(since) = self.muted_at else { return heard };
        let muted_ms = u32::try_from(at.since(since).as_millis()).unwrap_or(u32::MAX);
        Hearing { silence_ms: heard.silence_ms.max(muted_ms), ..Hearing::default() }
    }

    /// Something sounds that may become an onset over the agent's voice: softer while it lasts.
    pub(super) fn heed(&mut self, heard: Hearing) {
        let (duck_ms, duck_db) = (self.settings.floor.duck_ms, self.settings.floor.duck_db);
        let Some(reply) = self.reply.as_mut().filter(|_| self.floor.state() == FloorState::Agent) else { return };
        // Speech that goes on is what was doubted before and found not to be meant.
        let begins =
            !heard.speech && heard.run_ms >= duck_ms && heard.echo_likelihood < self.settings.floor.echo_likelihood;
        reply.playout.duck(if begins { duck_db } else { 0.0 });
    }

    /// A sound over the agent's voice: softer in this tick, and find out what it is.
    pub(super) fn doubt(&mut self, at: CallTime, heard: Hearing) {
        self.suspicions += 1;
        let mut suspicion = Suspicion::new(self.suspicions, at, heard);
        suspicion.usual_dbfs = self.usual_dbfs;
        suspicion.collides = self.caller.as_ref().is_some_and(|caller| !caller.typed);
        let duck_db = self.settings.floor.duck_db;
        if let Some(reply) = &mut self.reply {
            suspicion.answerable = near(reply.ledger.text(), reply.ledger.sent().len()) == Some(Asked::YesOrNo);
            reply.playout.duck(duck_db);
        }
        self.suspicion = Some(suspicion);
        self.suspect(at, heard);
    }

    /// One more tick of it: asks for words, holds the agent, says what follows.
    pub(super) fn suspect(&mut self, at: CallTime, heard: Hearing) -> Option<Ruling> {
        if self.floor.state() != FloorState::Suspect {
            return None;
        }
        let floor = &self.settings.floor;
        let suspicion = self.suspicion.as_mut()?;
        suspicion.hear(heard);
        let ruling = floor.rule(at, suspicion);
        if suspicion.wants_words(floor) && matches!(ruling, Ruling::Duck | Ruling::Hold) {
            suspicion.asked_at_ms = Some(suspicion.voiced_ms);
            if let Some(reply) = &self.reply {
                let (turn, revision) = (reply.turn, suspicion.number);
                self.effects.push(Effect::Transcribe { turn, revision, purpose: AsrPurpose::Doubt });
            }
        }
        if ruling == Ruling::Hold
            && let Some(reply) = &mut self.reply
        {
            reply.playout.hold();
        }
        Some(ruling)
    }

    /// Words of a sound over the agent's voice: they come under the agent's turn and the suspicion's number.
    pub(super) fn on_suspect_words(&mut self, turn: u32, revision: u32, text: &Result<String, String>) -> bool {
        let Some(reply) = self.reply.as_ref().filter(|reply| reply.turn == turn) else { return false };
        let Some(suspicion) = self.suspicion.as_mut().filter(|doubt| doubt.number == revision) else { return true };
        match text {
            Ok(text) => suspicion.understood(text, &self.names, reply.ledger.text(), &self.settings.floor),
            Err(_) => suspicion.not_understood(),
        }
        true
    }

    /// It was not meant for the agent.
    pub(super) fn resume_reply(&mut self, at: CallTime, why: NotMeant) {
        let said = self.suspicion.take().and_then(|doubt| doubt.partial);
        let Some(reply) = &mut self.reply else { return };
        reply.playout.resume();
        let turn = reply.turn;
        if let Some(partial) = said.filter(|_| why == NotMeant::Backchannel) {
            self.emit(at, Event::Backchannel { turn, text: partial.text });
        }
        if !self.heard.speech {
            self.effects.push(Effect::CloseUtterance);
        }
    }

    /// The caller took the floor from the speaking agent.
    pub(super) fn yield_floor(&mut self, at: CallTime, heard: Hearing, why: Meant) {
        if why == Meant::GoesOn {
            // What he hears of the agent is the beginning of a word.
            return self.caller_resumes(at, heard);
        }
        self.commit_caller(at);
        let suspicion = self.suspicion.take();
        let began = self.reply.as_ref().and_then(|reply| reply.started);
        self.drop_reply(at);
        self.prime();
        match suspicion {
            Some(mut doubt) => {
                // Sound that was there before the agent began belongs to the turn before.
                doubt.onset = doubt.onset.max(began.unwrap_or_default());
                self.caller_took_over(at, heard, &doubt);
            }
            None => self.caller_starts(at, heard),
        }
        if let Some(caller) = &mut self.caller {
            caller.after_barge_in = true;
        }
    }

    /// What was doubted is over with the agent's turn. A sound that still goes on may become a turn of its own.
    pub(super) fn forget_suspicion(&mut self) {
        if self.suspicion.take().is_some() && !self.heard.speech {
            self.effects.push(Effect::CloseUtterance);
        }
    }

    /// A turn of the caller's had this level: the usual one follows.
    pub(super) fn get_used_to(&mut self, level_dbfs: f32) {
        if level_dbfs < 0.0 {
            let usual = self.usual_dbfs.unwrap_or(level_dbfs);
            self.usual_dbfs = Some(usual + (level_dbfs - usual) * LEVEL_FOLLOWS);
        }
    }
}
