//! Who the agent is: one Markdown file with a YAML head. The head is data for the conversation, the body is the system
//! prompt.

mod budgets;
mod fault;
mod head;
mod limits;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use budgets::{Budgets, NeverRule, QuietHours};
pub use fault::{PersonaFault, What};

use super::judge::Action;
use super::ladder::{Patience, Rung};
use crate::backend::{ChatMessage, ChatRequest, Role};
use crate::knowledge::quote;

/// A persona, checked.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Persona {
    /// What the API calls it: lower case letters, digits and `-`.
    pub name: String,
    /// For people.
    pub title: String,
    pub description: String,
    /// Who the agent is, in one or two sentences, for the judge; the description where the file says nothing.
    pub role: String,
    /// What the agent will not do or agree to, for the judge; may be empty.
    pub stance: String,
    /// How much the agent leans to an action: 0.0..=1.0. An action that is not there is left to the judge.
    pub priors: BTreeMap<Action, f32>,
    /// How often the agent may do what a caller may mind.
    pub budgets: Budgets,
    /// What the agent never does, whatever the judge says.
    pub never: BTreeSet<NeverRule>,
    /// When the agent does not speak first.
    pub quiet_hours: Option<QuietHours>,
    /// The longest that it says nothing on purpose, milliseconds: 1,000..=600,000.
    pub silence_ttl_ms: u64,
    /// How long a blocked caller is refused, seconds: 60..=2,592,000.
    pub block_ttl_s: u64,
    /// The first words of a call; empty waits for the caller.
    pub opening: String,
    /// What is said when the language model fails.
    pub trouble: String,
    /// What is said to a caller who talks without end.
    pub long_turn: String,
    /// Said while a reply to somebody who is interrupted is being made.
    pub lead_ins: Vec<String>,
    /// Said back to a caller who greets, as his first words; none leaves it to the model.
    #[serde(default)]
    pub greetings: Vec<String>,
    /// Said back to a caller who takes his leave; none leaves it to the model.
    #[serde(default)]
    pub farewells: Vec<String>,
    /// Said to a caller who is to be blocked and has not been warned.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// A clear no, for when nothing better is known.
    pub refusals: Vec<String>,
    /// Says nothing much, for when nothing better is known.
    pub deflections: Vec<String>,
    /// Signs of attention while the caller speaks.
    pub backchannels: Vec<String>,
    /// What the agent does while nobody speaks.
    pub ladder: Vec<Rung>,
    /// What stretches the waits of the ladder.
    pub patience: Patience,
    /// Sampling temperature: 0.0..=2.0.
    pub temperature: f32,
    /// Longest reply in tokens: 8..=512.
    pub max_tokens: u32,
    /// Words that the recogniser may expect.
    pub hotwords: Vec<String>,
    /// May it ask the web?
    pub search: bool,
    /// Said while the web is being asked.
    pub looking_up: Vec<String>,
    /// Said where the answer to somebody who has stopped the agent is late.
    pub transitions: Vec<String>,
    /// How it talks: shown to the model as turns before the call's own. A small model follows these better than rules.
    #[serde(default)]
    pub examples: Vec<Exchange>,
    /// Folders with files that the agent may answer from.
    pub knowledge: Vec<KnowledgeFolder>,
    /// Sends the caller's own sound back instead of talking: the measuring rig's own floor.
    pub echo: bool,
    /// Plays this WAV file instead of talking, over and over: a path, relative to the persona's own file.
    pub plays: Option<String>,
    /// What is in that file, at the rate of the line; whoever read the file puts it here.
    #[serde(skip)]
    pub recording: Option<Arc<[f32]>>,
    /// The system prompt.
    pub prompt: String,
}

/// What some caller says, and what the agent answers.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Exchange {
    pub caller: String,
    pub agent: String,
}

impl Exchange {
    /// As the model sees it.
    pub fn turns(&self) -> [ChatMessage; 2] {
        [(Role::User, &self.caller), (Role::Assistant, &self.agent)]
            .map(|(role, said)| ChatMessage { role, content: said.clone() })
    }
}

/// A folder with what a persona knows.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KnowledgeFolder {
    /// As the file has it: relative to the persona's own file.
    pub path: String,
    /// Where the file has it, from 1.
    pub line: usize,
}

impl Persona {
    /// Reads a persona file.
    ///
    /// # Errors
    /// All faults of the file at once, each with its line.
    pub fn parse(file: &str) -> Result<Self, Vec<PersonaFault>> {
        head::read(file)
    }

    /// The prompt, and what is to be known of quotations where there may be some.
    pub fn instructions(&self) -> String {
        if self.knowledge.is_empty() && !self.search {
            return self.prompt.clone();
        }
        format!("{}\n\n{}", self.prompt, quote::ABOUT)
    }

    /// How each of this persona's chats with a language model begins, whoever calls.
    pub fn beginning(&self) -> ChatRequest {
        let system = ChatMessage { role: Role::System, content: self.instructions() };
        let messages = std::iter::once(system).chain(self.examples.iter().flat_map(Exchange::turns)).collect();
        ChatRequest { messages, max_tokens: self.max_tokens, temperature: self.temperature, schema: None }
    }

    /// A persona with nothing but a name: no opening, no ladder, an empty prompt.
    pub fn blank(name: &str) -> Self {
        Self {
            name: name.into(),
            title: name.into(),
            description: String::new(),
            role: String::new(),
            stance: String::new(),
            priors: BTreeMap::new(),
            budgets: Budgets::default(),
            never: NeverRule::ALL.into(),
            quiet_hours: None,
            silence_ttl_ms: limits::SILENCE_TTL_MS.usual,
            block_ttl_s: limits::BLOCK_TTL_S.usual,
            opening: String::new(),
            trouble: "Sorry, I lost my thread. Could you say that again?".into(),
            long_turn: "Let me stop you there for a moment. What can I do for you?".into(),
            lead_ins: sentences(&["Let me stop you there.", "One moment."]),
            greetings: Vec::new(),
            farewells: Vec::new(),
            warnings: sentences(&["I will not be spoken to like that. If it goes on, I will end this call."]),
            refusals: sentences(&["No, I'm sorry, I can't do that.", "No. I'd rather not."]),
            deflections: sentences(&["Well, that depends.", "Hard to say. What else is on your mind?"]),
            backchannels: sentences(&["Mm-hm.", "I see.", "Right."]),
            ladder: Vec::new(),
            patience: Patience::default(),
            temperature: limits::TEMPERATURE.usual,
            max_tokens: limits::MAX_TOKENS.usual,
            hotwords: Vec::new(),
            search: false,
            looking_up: sentences(&["Let me look.", "One moment, I'll look it up."]),
            transitions: sentences(&["Right.", "Okay, so.", "I see."]),
            examples: Vec::new(),
            knowledge: Vec::new(),
            echo: false,
            plays: None,
            recording: None,
            prompt: String::new(),
        }
    }

    /// What the recogniser is told to expect, if anything.
    pub fn recogniser_prompt(&self) -> Option<String> {
        (!self.hotwords.is_empty()).then(|| self.hotwords.join(", "))
    }

    /// It holds a conversation: it is neither an echo nor a recording.
    pub const fn talks(&self) -> bool {
        !self.echo && self.plays.is_none()
    }

    /// Does it never do this?
    pub fn never(&self, rule: NeverRule) -> bool {
        self.never.contains(&rule)
    }
}

fn sentences(known: &[&str]) -> Vec<String> {
    known.iter().map(|&sentence| sentence.into()).collect()
}
