//! What has been said and heard: the one list from which the language model's messages are made. It is a view over the word
//! ledgers: an agent line holds what the caller has heard by now, never what was merely generated, or is still on its way.

use super::question::{Asked, asked};
use crate::backend::{ChatMessage, Role};
use crate::journal::Speaker;
use crate::knowledge::quote::sealed;

/// One finished turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub who: Speaker,
    /// Caller: what was recognised or typed. Agent: what was heard.
    pub text: String,
    /// Agent only: the caller cut in before the end.
    pub cut: bool,
    /// News from outside, for the model alone.
    news: bool,
    /// Agent only: which turn it is, since more of it may still be heard, and what has left of it.
    turn: u32,
    sent: String,
}

impl Line {
    fn new(who: Speaker, text: &str) -> Self {
        Self { who, text: text.into(), cut: false, news: false, turn: 0, sent: String::new() }
    }
}

/// The lines of a call.
#[derive(Clone, Debug, Default)]
pub struct History {
    lines: Vec<Line>,
    /// The first line of the present topic: the model sees none before it.
    topic: usize,
}

/// Characters of history that a request carries. About 1,500 tokens: it fits a context of 2,048 with prompt and reply.
const BUDGET_CHARS: usize = 6_000;

/// Lines are dropped from the front in blocks, not one by one: every drop costs the model its prefix cache.
const DROP_BLOCK: usize = 8;

/// What stands in the model's view where the caller cut in. Telling it is what keeps it from resuming in the middle.
const CUT_MARK: &str = " — [interrupted by the caller here]";

impl History {
    /// The caller said this.
    pub fn caller(&mut self, text: &str) {
        self.lines.push(Line::new(Speaker::Caller, text));
    }

    /// Something has happened outside the call; nobody has said it.
    pub fn news(&mut self, name: &str, text: &str, speak: bool) {
        let wish = if speak { " Tell the caller in one short sentence." } else { "" };
        let text = format!("News ({name}): {text}{wish}");
        self.lines.push(Line { news: true, ..Line::new(Speaker::Agent, &text) });
    }

    /// The agent's turn is over; this much of it has been heard by now, and that much has left.
    pub fn agent(&mut self, turn: u32, heard: &str, sent: &str, cut: bool) {
        if !sent.trim().is_empty() {
            let sent = sent.trim().into();
            self.lines.push(Line { cut, turn, sent, ..Line::new(Speaker::Agent, heard.trim()) });
        }
    }

    /// The model sees what is said from here on.
    pub fn begin_anew(&mut self) {
        self.topic = self.lines.len();
    }

    /// Lines that are to be forgotten are, but the last that the caller has said: it is what is to be answered.
    pub fn forget(&mut self, is_about: impl Fn(&str) -> bool) {
        let last = self.lines.iter().rposition(|line| line.who == Speaker::Caller).unwrap_or(self.lines.len());
        let stays: Vec<bool> =
            self.lines.iter().enumerate().map(|(at, line)| at >= last || line.news || !is_about(&line.text)).collect();
        self.topic = stays[..self.topic].iter().filter(|stays| **stays).count();
        let mut stays = stays.into_iter();
        self.lines.retain(|_| stays.next().unwrap_or(true));
    }

    /// What the caller said last, in this topic.
    pub fn said_last(&self) -> Option<&str> {
        self.lines[self.topic..].iter().rfind(|line| line.who == Speaker::Caller).map(|line| line.text.as_str())
    }

    /// By now, this much of the turn has been heard.
    pub fn heard(&mut self, turn: u32, heard: &str) {
        if let Some(line) =
            self.lines.iter_mut().rev().find(|line| line.who == Speaker::Agent && !line.news && line.turn == turn)
        {
            line.text = heard.trim().into();
        }
    }

    /// What the agent asked last, if it asked something.
    pub fn asked(&self) -> Option<Asked> {
        let agent = self.lines.iter().rev().find(|line| line.who == Speaker::Agent && !line.news)?;
        asked(&agent.sent)
    }

    /// The last `n` lines that say something, oldest first.
    pub fn last(&self, n: usize) -> Vec<Line> {
        let mut lines = said(&self.lines);
        lines.retain(|line| !line.news);
        lines.split_off(lines.len().saturating_sub(n))
    }

    /// The model's view: the system prompt, then the lines that fit.
    pub fn messages(&self, system: &str) -> Vec<ChatMessage> {
        let lines = said(&self.lines[self.topic..]);
        let chars_from = |first: usize| lines[first..].iter().map(|line| line.text.len()).sum::<usize>();
        let mut first = 0;
        while chars_from(first) > BUDGET_CHARS && first + DROP_BLOCK < lines.len() {
            first += DROP_BLOCK;
        }
        let mut messages = vec![ChatMessage { role: Role::System, content: system.into() }];
        messages.extend(lines[first..].iter().map(|line| {
            let role = match line.who {
                _ if line.news => Role::System,
                Speaker::Caller => return ChatMessage { role: Role::User, content: sealed(&line.text) },
                Speaker::Agent => Role::Assistant,
            };
            let mark = if line.cut { CUT_MARK } else { "" };
            ChatMessage { role, content: format!("{}{mark}", line.text) }
        }));
        messages
    }
}

/// What was said and heard. A caller who goes on before anything was heard continues the same line.
fn said(all: &[Line]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::with_capacity(all.len());
    for line in all.iter().filter(|line| !line.text.is_empty()) {
        match lines.last_mut().filter(|last| last.who == Speaker::Caller && line.who == Speaker::Caller) {
            Some(last) => {
                last.text.push(' ');
                last.text.push_str(&line.text);
            }
            None => lines.push(line.clone()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_forgotten_is_no_longer_in_the_models_view() {
        let mut history = History::default();
        history.caller("Hello.");
        history.begin_anew();
        history.caller("I hurt my knee.");
        history.agent(2, "Your knee, I see.", "Your knee, I see.", false);
        history.caller("Is it raining?");
        history.agent(4, "It is.", "It is.", false);
        history.caller("Forget what I said about my knee.");
        history.forget(|line| line.contains("knee"));
        let told: Vec<String> = history.messages("").into_iter().skip(1).map(|message| message.content).collect();
        assert_eq!(told, ["Is it raining?", "It is.", "Forget what I said about my knee."]);
        history.forget(|_| true);
        assert_eq!(history.said_last(), Some("Forget what I said about my knee."), "it is still to be answered");
    }

    #[test]
    fn unheard_speech_leaves_no_trace() {
        let mut history = History::default();
        history.caller("Hello?");
        history.agent(2, "  ", "  ", true);
        history.caller("Anybody there?");
        let messages = history.messages("You are a porter.");
        assert_eq!(messages.len(), 2);
        assert_eq!(messages[1].content, "Hello? Anybody there?");
    }

    #[test]
    fn what_is_heard_later_is_seen_later() {
        let mut history = History::default();
        history.caller("Hello?");
        history.agent(2, "", "Good evening.", true);
        history.caller("Are you there?");
        assert_eq!(history.last(8).len(), 1, "nothing of the answer has been heard yet");
        history.heard(2, "Good evening.");
        let seen: Vec<String> = history.last(8).into_iter().map(|line| line.text).collect();
        assert_eq!(seen, ["Hello?", "Good evening.", "Are you there?"]);
    }

    #[test]
    fn a_new_topic_shows_the_model_nothing_of_before_and_the_judge_all_of_it() {
        let mut history = History::default();
        history.caller("Tell me about the rooms.");
        history.agent(2, "We have twelve.", "We have twelve.", false);
        history.caller("I see.");
        history.begin_anew();
        history.caller("Do you like rain?");
        let seen: Vec<String> = history.messages("s").into_iter().map(|message| message.content).collect();
        assert_eq!(seen, ["s", "Do you like rain?"]);
        assert!(history.last(8).len() > 2);
        assert_eq!(history.said_last(), Some("Do you like rain?"));
    }

    #[test]
    fn the_model_is_told_where_it_was_cut_off() {
        let mut history = History::default();
        history.caller("Tell me about the rooms.");
        history.agent(2, "We have twelve", "We have twelve", true);
        let messages = history.messages("You are a porter.");
        assert!(messages[2].content.starts_with("We have twelve"));
        assert!(messages[2].content.contains("interrupted"));
    }

    #[test]
    fn a_long_history_is_shortened_from_the_front_in_blocks() {
        let mut history = History::default();
        for i in 0..40 {
            history.caller(&format!("question {i} {}", "x".repeat(200)));
            let answer = format!("answer {i} {}", "y".repeat(200));
            history.agent(i, &answer, &answer, false);
        }
        let before = history.messages("s");
        history.caller("one more");
        let after = history.messages("s");
        assert!(before.len() < 45);
        assert_eq!(before[1], after[1], "the front stays where it is from turn to turn");
    }
}
