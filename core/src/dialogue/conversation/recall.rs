//! What the conversation knows of its caller. The digest stands in the system prompt and stays as it was for the whole call,
//! so that the model's prefix cache stays warm; what comes to mind about a turn stands right before the caller's words.

use super::{Conversation, Errand};
use crate::backend::{ChatMessage, Role};
use crate::memory::answering::answer;
use crate::memory::calendar::Day;
use crate::memory::keeping::is_due;
use crate::memory::promises::wishes;
use crate::memory::recollection::{Known, Open, Recollection, told};
use crate::memory::{Fact, Gleanings, Wish, words};
use crate::time::CallTime;

/// Facts that a judge reads beside what comes to mind: each is a line that it reads anew with the turn.
const JUDGED_FACTS: usize = 8;

/// Promises that are raised in one call; more would be a lecture.
const PROMISES_RAISED: usize = 2;

/// Facts of this call that a question may be answered with, the newest.
const LEARNED_MOST: usize = 64;

/// What is known of the caller, and how it is told to the model.
#[derive(Clone, Debug, Default)]
pub(super) struct Mind {
    pub recollection: Recollection,
    /// What this very call has left to remember, the newest first.
    learned: Vec<Fact>,
    /// Promises that this call has raised, or means to: what is known may be told anew while it goes on.
    raised: Vec<Open>,
    today: Option<Day>,
    /// As it stands in the prompt; `None` until what is known was asked for.
    digest: Option<String>,
    budget_chars: usize,
}

impl Mind {
    /// What holds now, the newest first: what this call has told, then what was known before it.
    fn facts(&self) -> Vec<Known> {
        let mut facts: Vec<Known> = Vec::new();
        let learned = self.learned.iter().map(|fact| Known { id: 0, line: fact.line(), identity: false });
        for fact in learned.chain(self.recollection.facts.iter().cloned()) {
            if !facts.iter().any(|known| known.line == fact.line) {
                facts.push(fact);
            }
        }
        facts
    }
}

/// Why a turn was answered as it was, where a fact was the answer: `turns.reason` in SQL.
const REMEMBERED: &str = "remembered";
/// ... and where he wished something forgotten. A model says that it cannot do that, when it is done.
const FORGOTTEN: &str = "forgotten";
/// A longer turn wants more than to be forgotten.
const WISH_WORDS: usize = 14;

impl Conversation {
    /// The call is held on this day; what is told of the caller's past may take so many characters of the prompt.
    pub fn give_memory(&mut self, today: Day, budget_chars: usize) {
        self.mind.today = Some(today);
        self.mind.budget_chars = budget_chars;
    }

    /// What a finished turn has left to remember, and to forget.
    pub fn learn(&mut self, gleanings: &Gleanings) {
        for wish in &gleanings.wishes {
            let gone = self.mind.learned.extract_if(.., |fact| wish.is_about_fact(fact));
            // "Forget my allergy" is about the line in which the nuts were named, too.
            let about: Vec<Wish> =
                gone.map(|fact| Wish::ForgetAbout(fact.value)).chain(std::iter::once(wish.clone())).collect();
            let is_about = |line: &str| about.iter().any(|wish| wish.is_about(line));
            self.mind.recollection.recalled.retain(|line| !is_about(line));
            self.initiative.forget_promises(is_about);
            self.history.forget(is_about);
        }
        for ended in &gleanings.ended {
            self.mind.learned.retain(|fact| fact.line() != ended.line());
            self.mind.recollection.facts.retain(|fact| fact.line != ended.line());
        }
        self.mind.learned.splice(0..0, gleanings.facts.iter().rev().cloned());
        self.mind.learned.truncate(LEARNED_MOST);
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

    /// What is known of the caller: the model reads it at once, so that no turn waits for that. Told again, it is read again only where
    /// something in the prompt no longer holds, or something is new that was not said in this call: reading takes seconds.
    pub(super) fn remember(&mut self, at: CallTime, recollection: Recollection) {
        let Some(today) = self.mind.today else { return };
        let digest = recollection.digest(today, &self.persona.name, self.mind.budget_chars);
        let all = recollection.digest(today, &self.persona.name, usize::MAX);
        let is_read = self.mind.digest.as_ref().is_some_and(|read| {
            let heard: Vec<String> =
                self.mind.learned.iter().map(|fact| format!("- {}", told(&fact.line(), today))).collect();
            let has = |lines: &str, line: &str| lines.lines().any(|known| known == line);
            read.lines().all(|line| has(&all, line))
                && digest.lines().all(|line| has(read, line) || heard.iter().any(|heard| heard == line))
        });
        self.mind.recollection = recollection;
        // The store has what this call has told, as somebody may have put it right there.
        self.mind.learned.clear();
        self.raise_promises(at, today);
        if is_read {
            return;
        }
        let read = self.mind.digest.replace(digest);
        if self.reply.is_none() && read.unwrap_or_default() != self.digest() {
            self.prime();
        }
    }

    fn digest(&self) -> &str {
        self.mind.digest.as_deref().unwrap_or_default()
    }

    /// Promises whose time has come wait for the first free moment, the most overdue first.
    fn raise_promises(&mut self, at: CallTime, today: Day) {
        let due: Vec<Open> = self
            .mind
            .recollection
            .open
            .iter()
            .filter(|open| is_due(open, today) && open.is_of(&self.persona.name) && !self.mind.raised.contains(open))
            .take(PROMISES_RAISED.saturating_sub(self.mind.raised.len()))
            .cloned()
            .collect();
        self.mind.raised.extend(due.iter().cloned());
        for open in due {
            self.await_floor(at, Errand::promise(open, today));
        }
    }

    /// The persona's prompt, and what is known of the caller and the day, where anything is.
    pub(super) fn system_prompt(&self) -> String {
        let prompt = self.persona.instructions();
        match self.mind.today {
            Some(today) if !self.digest().is_empty() => {
                format!(
                    "{prompt}\n\nWhat you know of this caller, from earlier calls (today is {}):\n{}",
                    today.told(today).trim_start_matches("today, "),
                    self.digest()
                )
            }
            _ => prompt,
        }
    }

    /// A question that a remembered fact answers by itself needs no model. `false`: the model is to be asked.
    pub(super) fn answer_from_memory(&mut self, at: CallTime) -> bool {
        let Some(today) = self.mind.today.filter(|_| self.settings.answers) else { return false };
        let Some(reply) = self.reply.as_ref().filter(|reply| reply.is_plain_answer()) else { return false };
        let asked = reply.draft.as_deref().or_else(|| self.caller_words()).unwrap_or_default();
        if words(asked).len() <= WISH_WORDS && !wishes(asked).is_empty() {
            self.answer_by_rule(at, Some(FORGOTTEN), "All right. That is forgotten.");
            return true;
        }
        let Some(words) = answer(asked, &self.mind.facts(), today) else { return false };
        self.answer_by_rule(at, Some(REMEMBERED), &words);
        true
    }

    /// Puts what came to mind before the caller's last words.
    pub(super) fn put_to_mind(&self, messages: &mut Vec<ChatMessage>) {
        let note = self.mind.today.and_then(|today| self.mind.recollection.note(today, self.digest()));
        let last = messages.last().is_some_and(|message| message.role == Role::User);
        if let Some(note) = note.filter(|_| last) {
            let content = format!("From earlier calls with this caller:\n- {note}");
            messages.insert(messages.len() - 1, ChatMessage { role: Role::System, content });
        }
    }
}
