//! What the conversation knows of its caller. The digest stands in the system prompt and stays as it was for the whole call,
//! so that the model's prefix cache stays warm; what comes to mind about a turn stands right before the caller's words.

use super::{Conversation, Errand};
use crate::backend::{ChatMessage, Role};
use crate::memory::answering::answer;
use crate::memory::calendar::Day;
use crate::memory::keeping::is_due;
use crate::memory::promises::wishes;
use crate::memory::recollection::{Open, Recollection};
use crate::memory::words;
use crate::time::CallTime;

/// Facts that a judge reads beside what comes to mind: each is a line that it reads anew with the turn.
const JUDGED_FACTS: usize = 8;

/// Promises that are raised in one call; more would be a lecture.
const PROMISES_RAISED: usize = 2;

/// What is known of the caller, and how it is told to the model.
#[derive(Clone, Debug, Default)]
pub(super) struct Mind {
    pub recollection: Recollection,
    today: Option<Day>,
    digest: String,
    budget_chars: usize,
    answers: bool,
}

/// Why a turn was answered as it was, where a fact was the answer: `turns.reason` in SQL.
const REMEMBERED: &str = "remembered";
/// ... and where he wished something forgotten. A model says that it cannot do that, when it is done.
const FORGOTTEN: &str = "forgotten";
/// A longer turn wants more than to be forgotten.
const WISH_WORDS: usize = 14;

impl Conversation {
    /// Callers have a past: what is told of it may take so many characters of the prompt; `answers`: what a fact answers by
    /// itself is answered with it.
    pub fn give_memory(&mut self, today: Day, budget_chars: usize, answers: bool) {
        self.mind.today = Some(today);
        self.mind.budget_chars = budget_chars;
        self.mind.answers = answers;
    }

    /// What is known of the caller.
    pub fn recollection(&self) -> &Recollection {
        &self.mind.recollection
    }

    /// What a judge reads of it: who the caller is and what holds, then what the words of the turn brought to mind.
    pub(super) fn judged_memory(&self) -> Vec<String> {
        let mut lines = self.mind.recollection.judged(JUDGED_FACTS);
        for line in &self.mind.recollection.recalled {
            if !lines.contains(line) {
                lines.push(line.clone());
            }
        }
        lines
    }

    /// The caller is known: the model reads it at once, so that no turn waits for that.
    pub(super) fn remember(&mut self, at: CallTime, recollection: Recollection) {
        let Some(today) = self.mind.today else { return };
        self.mind.digest = recollection.digest(today, &self.persona.name, self.mind.budget_chars);
        self.mind.recollection = recollection;
        self.raise_promises(at, today);
        if self.reply.is_none() {
            self.prime();
        }
    }

    /// Promises whose time has come wait for the first free moment, the most overdue first.
    fn raise_promises(&mut self, at: CallTime, today: Day) {
        let due: Vec<Open> = self
            .mind
            .recollection
            .open
            .iter()
            .filter(|open| is_due(open, today) && open.is_of(&self.persona.name))
            .take(PROMISES_RAISED)
            .cloned()
            .collect();
        for open in due {
            self.await_floor(at, Errand::promise(open, today));
        }
    }

    /// The persona's prompt, and what is known of the caller and the day, where anything is.
    pub(super) fn system_prompt(&self) -> String {
        let prompt = self.persona.instructions();
        match self.mind.today {
            Some(today) if !self.mind.digest.is_empty() => {
                format!(
                    "{prompt}\n\nWhat you know of this caller, from earlier calls (today is {}):\n{}",
                    today.told(today).trim_start_matches("today, "),
                    self.mind.digest
                )
            }
            _ => prompt,
        }
    }

    /// A question that a remembered fact answers by itself needs no model. `false`: the model is to be asked.
    pub(super) fn answer_from_memory(&mut self, at: CallTime) -> bool {
        let Some(today) = self.mind.today.filter(|_| self.mind.answers) else { return false };
        let Some(reply) = self.reply.as_ref().filter(|reply| reply.is_plain_answer()) else { return false };
        let asked = reply.draft.as_deref().or_else(|| self.caller_words()).unwrap_or_default();
        if words(asked).len() <= WISH_WORDS && !wishes(asked).is_empty() {
            self.answer_by_rule(at, Some(FORGOTTEN), "All right. That is forgotten.");
            return true;
        }
        let Some(words) = answer(asked, &self.mind.recollection.facts, today) else { return false };
        self.answer_by_rule(at, Some(REMEMBERED), &words);
        true
    }

    /// Puts what came to mind before the caller's last words.
    pub(super) fn put_to_mind(&self, messages: &mut Vec<ChatMessage>) {
        let note = self.mind.today.and_then(|today| self.mind.recollection.note(today, &self.mind.digest));
        let last = messages.last().is_some_and(|message| message.role == Role::User);
        if let Some(note) = note.filter(|_| last) {
            let content = format!("From earlier calls with this caller:\n- {note}");
            messages.insert(messages.len() - 1, ChatMessage { role: Role::System, content });
        }
    }
}
