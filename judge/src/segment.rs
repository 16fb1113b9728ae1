//! A situation cut into segments, each read by the lower layers on its own (and so cached), joined in the upper layers.

use crate::augment::seed;
use crate::evidence;
use crate::fault::{Fault, Result};
use crate::situation::{Said, Situation, Speaker};
use std::collections::{HashMap, HashSet};
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

/// What a word of the text and one of the memory or persona have to do with each other. The lower layers read each segment
/// alone; these marks tell the upper ones where to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    Nothing,
    /// The same telling word is in the text and in the persona.
    InPersona,
    /// The same telling word is in the text and in the memory.
    InMemory,
    /// The same number, day or month is.
    SameValue,
    /// The other side has values of this kind, but not this one.
    OtherValue,
}

pub const MARKS: usize = 5;

/// Tokens of one segment, with the part of each.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Segment {
    pub tokens: Vec<u32>,
    pub parts: Vec<u8>,
    /// How each token stands to the other side, see `Mark`.
    pub marks: Vec<u8>,
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
/// Unused tokens of the vocabulary that lie side by side.
const SPARE: u64 = 890;

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
    unknown: u32,
    first_spare: u32,
    /// Kind of the tokens that are values: day, month, number.
    kinds: HashMap<u32, u8>,
    /// Tokens that say too little to be marked.
    common: HashSet<u32>,
}

impl Segmenter {
    pub fn load(path: &Path) -> Result<Self> {
        let mut tokenizer = Tokenizer::from_file(path).map_err(|e| Fault::content(path, e.to_string()))?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|e| Fault::content(path, e.to_string()))?;
        let id = |mark: &str| {
            tokenizer.token_to_id(mark).ok_or_else(|| Fault::content(path, format!("has no token {mark}")))
        };
        let (start, end, unknown) = (id("[CLS]")?, id("[SEP]")?, id("[UNK]")?);
        let first_spare = id("[unused99]")?;
        let mut kinds = HashMap::new();
        let mut common = HashSet::new();
        for (word, id) in tokenizer.get_vocab(false) {
            if let Some(kind) = evidence::kind(&word) {
                kinds.insert(id, kind);
            } else if evidence::is_common(&word) {
                common.insert(id);
            }
        }
        Ok(Self { tokenizer, start, end, unknown, first_spare, kinds, common })
    }

    /// Three of four Chinese characters are not in the vocabulary. Each gets one of the tokens that its makers left unused,
    /// so that the upper layers can at least tell one from another and see that two are the same.
    fn spare(&self, word: &str) -> u32 {
        self.first_spare + (seed(word) % SPARE) as u32
    }

    /// Tokens of a text; of a long one the beginning and, longer, the end.
    fn tokens(&self, text: &str, most: usize) -> Vec<u32> {
        let Ok(encoding) = self.tokenizer.encode(text, false) else { return Vec::new() };
        let ids: Vec<u32> = encoding
            .get_ids()
            .iter()
            .zip(encoding.get_offsets())
            .map(|(id, (from, to))| if *id == self.unknown { self.spare(&text[*from..*to]) } else { *id })
            .collect();
        if ids.len() <= most {
            return ids;
        }
        let head = most / 3;
        ids[..head].iter().chain(&ids[ids.len() - (most - head)..]).copied().collect()
    }

    fn segment(&self, text: &str, most: usize, part: Part, row: Option<usize>) -> Segment {
        let mut tokens = vec![self.start];
        tokens.extend(self.tokens(text, most));
        tokens.push(self.end);
        Segment { parts: vec![part as u8; tokens.len()], marks: vec![0; tokens.len()], tokens, row }
    }

    /// A line by itself.
    pub(crate) fn line(&self, text: &str) -> Segment {
        self.segment(text, TEXT, Part::Memory, None)
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
        Segment { marks: vec![0; tokens.len()], tokens, parts, row: None }
    }

    /// Marks the words of the text and of the memory and persona that have to do with each other.
    fn mark(&self, segments: &mut [Segment]) {
        let tokens_of = |wanted: &[Part]| -> HashSet<u32> {
            let wanted: Vec<u8> = wanted.iter().map(|p| *p as u8).collect();
            let all = segments.iter().flat_map(|s| s.tokens.iter().zip(&s.parts));
            all.filter(|(_, part)| wanted.contains(part)).map(|(token, _)| *token).collect()
        };
        let text = tokens_of(&[Part::Text]);
        let memory = tokens_of(&[Part::NewestMemory, Part::Memory]);
        let persona = tokens_of(&[Part::Role, Part::Stance]);
        for segment in segments {
            for ((token, part), mark) in segment.tokens.iter().zip(&segment.parts).zip(&mut segment.marks) {
                let found = match *part {
                    part if part == Part::Text as u8 => self
                        .mark_against(*token, &memory, Mark::InMemory)
                        .max(self.mark_against(*token, &persona, Mark::InPersona)),
                    part if part == Part::NewestMemory as u8 || part == Part::Memory as u8 => {
                        self.mark_against(*token, &text, Mark::InMemory)
                    }
                    part if part == Part::Role as u8 || part == Part::Stance as u8 => {
                        self.mark_against(*token, &text, Mark::InPersona)
                    }
                    _ => Mark::Nothing,
                };
                *mark = found as u8;
            }
        }
    }

    fn mark_against(&self, token: u32, others: &HashSet<u32>, shared: Mark) -> Mark {
        let known = others.contains(&token);
        match self.kinds.get(&token) {
            Some(_) if shared == Mark::InPersona => {
                if known {
                    shared
                } else {
                    Mark::Nothing
                }
            }
            Some(_) if known => Mark::SameValue,
            Some(kind) if others.iter().any(|other| self.kinds.get(other) == Some(kind)) => Mark::OtherValue,
            Some(_) => Mark::Nothing,
            None if known && !self.common.contains(&token) && token != self.start && token != self.end => shared,
            None => Mark::Nothing,
        }
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
        self.mark(&mut segments);
        Reading { segments, numbers: evidence::numbers(situation), groups: evidence::word_groups(situation) }
    }
}
