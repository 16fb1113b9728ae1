//! Two other ways to take turns, on the same ear, models, language model and voice: silence alone, and CleanS2S's timing
//! rules. What is theirs here is when a turn ends and when the agent stops; both get this server's streaming reply.

use std::collections::VecDeque;
use std::fmt::Write as _;

use duologue::audio::LINE_FRAME;
use duologue::backend::AsrPurpose;
use duologue::dialogue::sentence::{ClauseCutter, speakable};
use duologue::media::ear::Ear;
use duologue::media::segment::Heard;
use duologue::time::CallTime;

use super::models::Models;
use super::play::{Agent, Lines};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// A turn ends after 700 ms of silence; 200 ms of any speech stop the agent.
    Silence,
    /// Speech from a probability of 0.30 on, until 1,200 ms below 0.15. An utterance has 400 ms or more without its silences.
    /// Only its end stops the agent.
    CleanS2s,
}

const SILENCE_MS: u32 = 700;
const STOP_MS: u32 = 200;
const CLEAN_SILENCE_MS: u32 = 1_200;
const CLEAN_LEAST_MS: u32 = 400;
const CLEAN_START: f32 = 0.30;
const CLEAN_END: f32 = 0.15;
const TICK_MS: u32 = 20;

/// A reply under way: clauses and the microsecond at which the voice has them.
struct Reply {
    number: u32,
    clauses: VecDeque<(u64, Vec<f32>)>,
    queue: VecDeque<f32>,
    started: bool,
}

pub struct Baseline {
    rules: Rules,
    lines: Lines,
    /// The caller's turn is open.
    open: bool,
    /// CleanS2S's own account of it.
    voiced_ms: u32,
    silent_ms: u32,
    /// Words that arrive at this microsecond.
    words: Option<(u64, String)>,
    reply: Option<Reply>,
    replies: u32,
    answered: bool,
    stopped: Vec<u32>,
    judged: Vec<f32>,
    trace: String,
}

impl Baseline {
    pub fn new(rules: Rules, lines: Lines) -> Self {
        Self {
            rules,
            lines,
            open: false,
            voiced_ms: 0,
            silent_ms: 0,
            words: None,
            reply: None,
            replies: 0,
            answered: false,
            stopped: Vec::new(),
            judged: Vec::new(),
            trace: String::new(),
        }
    }

    /// 700 ms of silence.
    fn by_silence(&mut self, heard: Heard) -> bool {
        if heard.speech && heard.speech_ms >= STOP_MS {
            self.open = true;
            self.drop_reply(heard.at);
        } else if heard.speech && self.reply.is_none() && self.words.is_none() {
            self.open = true;
        }
        self.open && !heard.speech && heard.silence_ms >= SILENCE_MS
    }

    fn by_clean_s2s(&mut self, heard: Heard) -> bool {
        if !self.open {
            // The triggering window is not counted.
            self.open = heard.probability >= CLEAN_START;
            (self.voiced_ms, self.silent_ms) = (0, 0);
            return false;
        }
        if heard.probability >= CLEAN_END {
            self.voiced_ms += TICK_MS;
            self.silent_ms = 0;
        } else {
            self.silent_ms += TICK_MS;
        }
        if self.silent_ms < CLEAN_SILENCE_MS {
            return false;
        }
        if self.voiced_ms < CLEAN_LEAST_MS {
            self.open = false;
            return false;
        }
        self.drop_reply(heard.at);
        true
    }

    fn drop_reply(&mut self, at: CallTime) {
        self.words = None;
        if let Some(reply) = self.reply.take()
            && reply.started
        {
            self.stopped.push(reply.number);
            let _ = write!(self.trace, " {}:stopped", at.ms());
        }
    }

    /// The whole reply is laid out at once: when each clause is cut, and when the voice has it.
    fn begin(&mut self, at_us: u64, text: &str, at_once: bool, models: &mut Models) -> anyhow::Result<()> {
        let mut cutter = ClauseCutter::default();
        let mut cuts: Vec<(f32, String)> = Vec::new();
        let mut ms = if at_once { 0.0 } else { self.lines.first_token_ms };
        for piece in text.split_inclusive(' ') {
            cuts.extend(cutter.push(piece).into_iter().map(|cut| (ms, cut.text)));
            ms += if at_once { 0.0 } else { self.lines.word_ms };
        }
        cuts.extend(cutter.finish().into_iter().map(|cut| (ms, cut.text)));
        let mut clauses = VecDeque::new();
        let mut free = at_us;
        for (cut_ms, clause) in cuts {
            free = free.max(at_us + (cut_ms * 1_000.0) as u64) + (self.lines.voice_ms * 1_000.0) as u64;
            clauses.push_back((free, models.speak(&speakable(&clause))?.to_vec()));
        }
        self.replies += 1;
        self.reply = Some(Reply { number: self.replies, clauses, queue: VecDeque::new(), started: false });
        Ok(())
    }
}

impl Agent for Baseline {
    fn tick(&mut self, at: CallTime, heard: Heard, ear: &mut Ear, models: &mut Models) -> anyhow::Result<()> {
        if at == CallTime::ZERO && !self.lines.opening.is_empty() {
            let opening = self.lines.opening.clone();
            self.begin(at.us(), &opening, true, models)?;
        }
        let over = match self.rules {
            Rules::Silence => self.by_silence(heard),
            Rules::CleanS2s => self.by_clean_s2s(heard),
        };
        if over {
            self.open = false;
            self.judged.push(at.ms() as f32);
            let audio = ear.utterance();
            // The first 0.1 s are the least that the recogniser takes.
            if audio.len() >= 1_600 {
                let (text, ms) = models.transcribe(&audio, AsrPurpose::Final)?;
                let _ = write!(self.trace, " {}:over'{text}'", at.ms());
                self.words = Some((at.us() + (ms * 1_000.0) as u64, text));
            }
            ear.close_utterance();
        } else if !self.open && !heard.speech && heard.silence_ms >= SILENCE_MS {
            // A sound that was no turn.
            ear.close_utterance();
        }
        if let Some((when, words)) = self.words.take_if(|(when, _)| *when <= at.us())
            && !words.is_empty()
        {
            let text = if self.answered { &self.lines.later } else { &self.lines.first }.clone();
            self.begin(when, &text, false, models)?;
        }
        Ok(())
    }

    fn frame(
        &mut self,
        at: CallTime,
        out: &mut [f32; LINE_FRAME],
        _: &mut Ear,
        _: &mut Models,
    ) -> anyhow::Result<Option<u32>> {
        let Some(reply) = &mut self.reply else { return Ok(None) };
        while reply.clauses.front().is_some_and(|(ready, _)| *ready <= at.us()) {
            let clause = reply.clauses.pop_front();
            reply.queue.extend(clause.into_iter().flat_map(|(_, pcm)| pcm));
        }
        if reply.queue.is_empty() {
            if reply.clauses.is_empty() {
                self.reply = None;
            }
            return Ok(None);
        }
        if !reply.started {
            reply.started = true;
            let _ = write!(self.trace, " {}:agent", at.ms());
            self.answered |= self.lines.opening.is_empty() || reply.number > 1;
        }
        for slot in out.iter_mut() {
            *slot = reply.queue.pop_front().unwrap_or(0.0);
        }
        Ok(Some(reply.number))
    }

    fn stopped(&self) -> &[u32] {
        &self.stopped
    }

    fn judged(&self) -> &[f32] {
        &self.judged
    }

    fn trace(&self) -> String {
        self.trace.trim().to_owned()
    }
}
