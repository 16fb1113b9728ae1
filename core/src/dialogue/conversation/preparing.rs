//! What is made before it is needed: the model's prefix cache is warmed, and fixed phrases get their sound.

use super::{Conversation, Effect};

impl Conversation {
    /// What is to be there before it is needed; who only listens needs none of it.
    pub(super) fn prepare(&mut self) {
        self.prime();
        if !self.listens {
            self.prepare_attention();
            self.prepare_phrases();
        }
    }

    /// Nobody asks the model anything while people talk.
    pub(super) fn prime(&mut self) {
        if self.listens {
            return;
        }
        let request = self.request(None);
        self.effects.push(Effect::Prime(request));
    }

    /// The model reads the caller's open turn along, and what was found for it: the end of the turn finds its prompt in the cache but
    /// for a few words.
    pub(super) fn read_along(&mut self) {
        if let Some(words) = self.caller_words() {
            let request = self.request(Some(words));
            self.effects.push(Effect::Prime(request));
        }
    }
}
