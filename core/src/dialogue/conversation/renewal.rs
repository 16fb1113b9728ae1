//! A new topic: from here on the model sees nothing that was said before. What is remembered of the caller stays.

use duologue_signaling::event::{Event, FloorState};

use super::{Conversation, Effect};
use crate::journal::Entry;
use crate::time::CallTime;

impl Conversation {
    /// The client asks for it: what is being said is over.
    pub(super) fn begin_anew(&mut self, at: CallTime) {
        if self.over || self.closing {
            return;
        }
        // Whoever asks for it is there: a goodbye to nobody is taken back, and the next silence begins at the lowest rung.
        self.ladder.reset();
        // An answer that is still being made is to a question of before; the caller waits for it all the same.
        if self.reply.as_ref().is_some_and(|reply| reply.started.is_some()) {
            // The question that it answers is settled, however little of the answer was heard.
            self.commit_caller(at);
            self.drop_reply(at);
            self.rest(at);
        } else if self.floor.state() == FloorState::Idle {
            self.ladder.arm(at, self.patience());
        }
        let first = self.caller_turn().unwrap_or(self.last_turn + 1);
        self.cut_history(at, first, "message");
        self.prime();
    }

    /// The caller's words ask for it: their turn is the first of the new topic.
    pub(super) fn cut_history(&mut self, at: CallTime, turn: u32, asked_by: &'static str) {
        self.history.begin_anew();
        self.emit(at, Event::Topic { turn, asked_by: asked_by.into() });
        self.effects.push(Effect::Keep(Entry::Topic { call: self.call.clone(), turn, at_ms: at.ms(), asked_by }));
    }
}
