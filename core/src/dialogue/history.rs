//! What has been said and heard: the one list from which the language model's messages are made. An agent line holds what
//! the caller heard of it, never what was merely generated.

use super::question::{Asked, asked};
use crate::backend::{ChatMessage, Role};
use crate::journal::Speaker;

/// One finished turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub who: Speaker,
    /// Caller: what was recognised or typed. Agent: what was heard.
    pub text: String,
    /// Agent only: the caller cut in before the end.
    pub cut: bool,
}

/// The lines of a call.
#[derive(Clone, Debug, Default)]
pub struct History {
    lines: Vec<Line>,
}

/// Characters of history that a request carries. About 1,500 tokens: it fits a context of 2,048 with prompt and reply.
const BUDGET_CHARS: usize = 6_000;

/// Lines are dropped from the front in blocks, not one by one: every drop costs the model its prefix cache.
const DROP_BLOCK: usize = 8;

/// What stands in the model's view where the caller cut in. Telling it is what keeps it from resuming in the middle.
const CUT_MARK: &str = " — [interrupted by the caller here]";

impl History {
    /// The caller said this. A caller who goes on before anything was answered continues the same line.
    pub fn caller(&mut self, text: &str) {
        if let Some(last) = self.lines.last_mut()
            && last.who == Speaker::Caller
        {
            last.text.push(' ');
            last.text.push_str(text);
            return;
        }
        self.lines.push(Line { who: Speaker::Caller, text: text.into(), cut: false });
    }

    /// The caller heard this of the agent.
    pub fn agent(&mut self, heard: &str, cut: bool) {
        if !heard.trim().is_empty() {
            self.lines.push(Line { who: Speaker::Agent, text: heard.trim().into(), cut });
        }
    }

    /// What the agent asked when it was last heard, if it asked something.
    pub fn asked(&self) -> Option<Asked> {
        let agent = self.lines.iter().rev().find(|line| line.who == Speaker::Agent)?;
        asked(&agent.text)
    }

    /// The last `n` lines, oldest first.
    pub fn last(&self, n: usize) -> Vec<Line> {
        self.lines[self.lines.len().saturating_sub(n)..].to_vec()
    }

    /// The model's view: the system prompt, then the lines that fit.
    pub fn messages(&self, system: &str) -> Vec<ChatMessage> {
        let mut first = 0;
        while self.chars_from(first) > BUDGET_CHARS && first + DROP_BLOCK < self.lines.len() {
            first += DROP_BLOCK;
        }
        let mut messages = vec![ChatMessage { role: Role::System, content: system.into() }];
        messages.extend(self.lines[first..].iter().map(|line| {
            let role = match line.who {
                Speaker::Caller => Role::User,
                Speaker::Agent => Role::Assistant,
            };
            let mark = if line.cut { CUT_MARK } else { "" };
            ChatMessage { role, content: format!("{}{mark}", line.text) }
        }));
        messages
    }

    fn chars_from(&self, first: usize) -> usize {
        self.lines[first..].iter().map(|line| line.text.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unheard_speech_leaves_no_trace() {
        let mut history = History::default();
        history.caller("Hello?");
        history.agent("  ", true);
        history.caller("Anybody there?");
        let messages = history.messages("You are a porter.");
        assert_eq!(messages.len(), 2);
        assert_eq!(messages[1].content, "Hello? Anybody there?");
    }

    #[test]
    fn the_model_is_told_where_it_was_cut_off() {
        let mut history = History::default();
        history.caller("Tell me about the rooms.");
        history.agent("We have twelve", true);
        let messages = history.messages("You are a porter.");
        assert!(messages[2].content.starts_with("We have twelve"));
        assert!(messages[2].content.contains("interrupted"));
    }

    #[test]
    fn a_long_history_is_shortened_from_the_front_in_blocks() {
        let mut history = History::default();
        for i in 0..40 {
            history.caller(&format!("question {i} {}", "x".repeat(200)));
            history.agent(&format!("answer {i} {}", "y".repeat(200)), false);
        }
        let before = history.messages("s");
        history.caller("one more");
        let after = history.messages("s");
        assert!(before.len() < 45);
        assert_eq!(before[1], after[1], "the front stays where it is from turn to turn");
    }
}
