//! A situation cut into segments, each read by the lower layers on its own (and so cached), joined in the upper layers.

use crate::evidence;
use crate::fault::{Fault, Result};
use crate::situation::{Said, Situation, Speaker};
use std::path::Path;
use tokenizers::Tokenizer;

/// What a token belongs to; the upper layers are told by a learned vector for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    Text,
    AskedBefore,
    Role,
    Stance,
    NewestMemory,
    Memory,
    CallerTurn,
    AgentTurn,
}

pub const PARTS: usize = 8;

/// Tokens of one segment, with the part of each.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Segment {
    pub tokens: Vec<u32>,
    pub parts: Vec<u8>,
    /// For a memory row: which.
    pub row: Option<usize>,
}

/// What the network reads.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The caller's text first; it is never left out.
    pub segments: Vec<Segment>,
    pub numbers: Vec<f32>,
    pub groups: Vec<u32>,
}

/// Most tokens of each part. Text and memory rows come first; only the history gives way to length.
const TEXT: usize = 64;
const ASKED: usize = 36;
const ROLE: usize = 36;
const STANCE: usize = 48;
const ROW: usize = 32;
const ROWS: usize = 6;
const TURN: usize = 28;
const TURNS: usize = 4;
const ALL: usize = 288;

/// What is left out, to learn what it is worth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Without {
    pub memory: bool,
    pub persona: bool,
    pub history: bool,
}

impl Without {
    #[must_use]
    pub fn apply(self, mut situation: Situation) -> Situation {
        if self.memory {
            situation.memory.clear();
        }
        if self.persona {
            situation.persona.role.clear();
            situation.persona.stance.clear();
        }
        if self.history {
            situation.history.clear();
        }
        situation
    }
}

pub struct Segmenter {
    tokenizer: Tokenizer,
    start: u32,
    end: u32,
}

impl Segmenter {
    pub fn load(path: &Path) -> Result<Self> {
        let mut tokenizer = Tokenizer::from_file(path).map_err(|e| Fault::content(path, e.to_string()))?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|e| Fault::content(path, e.to_string()))?;
        let id = |mark: &str| {
            tokenizer.token_to_id(mark).ok_or_else(|| Fault::content(path, format!("has no token {mark}")))
        };
        let (start, end) = (id("[CLS]")?, id("[SEP]")?);
        Ok(Self { tokenizer, start, end })
    }

    /// Tokens of a text; of a long one the beginning and, longer, the end.
    fn tokens(&self, text: &str, most: usize) -> Vec<u32> {
        let Ok(encoding) = self.tokenizer.encode(text, false) else { return Vec::new() };
        let ids = encoding.get_ids();
        if ids.len() <= most {
            return ids.to_vec();
        }
        let head = most / 3;
        ids[..head].iter().chain(&ids[ids.len() - (most - head)..]).copied().collect()
    }

    fn segment(&self, text: &str, most: usize, part: Part, row: Option<usize>) -> Segment {
        let mut tokens = vec![self.start];
        tokens.extend(self.tokens(text, most));
        tokens.push(self.end);
        Segment { parts: vec![part as u8; tokens.len()], tokens, row }
    }

    /// The text with the agent's words that it answers.
    fn text(&self, situation: &Situation, asked: Option<&Said>) -> Segment {
        let mut tokens = vec![self.start];
        tokens.extend(asked.map_or_else(Vec::new, |said| self.tokens(&said.heard_text(), ASKED)));
        tokens.push(self.end);
        let mut parts = vec![Part::AskedBefore as u8; tokens.len()];
        tokens.extend(self.tokens(&situation.text, TEXT));
        tokens.push(self.end);
        parts.resize(tokens.len(), Part::Text as u8);
        Segment { tokens, parts, row: None }
    }

    #[must_use]
    pub fn read(&self, situation: &Situation) -> Reading {
        let (asked, before) = match situation.history.split_last() {
            Some((said, before)) if said.who == Speaker::Agent => (Some(said), before),
            _ => (None, &situation.history[..]),
        };
        let mut segments = vec![self.text(situation, asked)];
        for (text, most, part) in
            [(&situation.persona.role, ROLE, Part::Role), (&situation.persona.stance, STANCE, Part::Stance)]
        {
            if !text.trim().is_empty() {
                segments.push(self.segment(text, most, part, None));
            }
        }
        for (at, row) in situation.memory.iter().enumerate().rev().take(ROWS) {
            let part = if at + 1 == situation.memory.len() { Part::NewestMemory } else { Part::Memory };
            segments.push(self.segment(row, ROW, part, Some(at)));
        }
        let mut length: usize = segments.iter().map(|s| s.tokens.len()).sum();
        for said in before.iter().rev().take(TURNS) {
            let part = if said.who == Speaker::Caller { Part::CallerTurn } else { Part::AgentTurn };
            let turn = self.segment(&said.heard_text(), TURN, part, None);
            length += turn.tokens.len();
            if length > ALL {
                break;
            }
            segments.push(turn);
        }
        Reading {
            segments,
            numbers: evidence::numbers(situation),
            groups: evidence::word_groups(situation),
        }
    }
}
