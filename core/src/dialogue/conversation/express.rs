//! Pictures in the agent's text: shown to the caller when the clause they stand in is played, and never spoken.

use duologue_signaling::event::Event;

use super::Conversation;
use crate::dialogue::sentence::emoji;
use crate::time::CallTime;

/// Pictures that one turn may show; a model that repeats itself would fill the page with them.
const MOST: usize = 4;

/// The pictures of one agent turn.
#[derive(Debug, Default)]
pub(super) struct Expressions {
    seen: Vec<String>,
    shown: usize,
}

impl Expressions {
    /// A clause goes to the voice: each picture in it counts once a turn.
    pub fn find(&mut self, clause: &str) {
        for picture in emoji(clause) {
            if self.seen.len() < MOST && !self.seen.iter().any(|seen| seen == picture) {
                self.seen.push(picture.into());
            }
        }
    }
}

impl Conversation {
    /// Shows what has not been shown. Called once the turn is heard: a reply that is revoked has no face.
    pub(super) fn express(&mut self, at: CallTime) {
        let Some(reply) = &mut self.reply else { return };
        let (turn, from) = (reply.turn, reply.expressions.shown);
        reply.expressions.shown = reply.expressions.seen.len();
        for emoji in reply.expressions.seen[from..].to_vec() {
            self.emit(at, Event::Express { turn, emoji });
        }
    }
}
