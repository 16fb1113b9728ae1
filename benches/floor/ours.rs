//! The real conversation, with real answers of recogniser and turn model and a scripted language model.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

use duologue::audio::LINE_FRAME;
use duologue::backend::{AsrPurpose, Speech, WordMark};
use duologue::dialogue::conversation::{Conversation, ConversationSettings, Effect, Input};
use duologue::dialogue::judge::{Judge, RulesJudge};
use duologue::dialogue::persona::Persona;
use duologue::media::ear::Ear;
use duologue::media::segment::Heard;
use duologue::time::CallTime;
use duologue_signaling::event::{Event, FloorState, TurnOutcome};

use super::models::Models;
use super::play::{Agent, Lines};

pub struct Ours {
    talk: Conversation,
    lines: Lines,
    /// Answers under way by the microsecond at which they arrive; the number keeps those of one moment in order.
    due: BTreeMap<(u64, u64), Input>,
    count: u64,
    /// Which reply is sounding.
    sounding: Option<u32>,
    /// An answer has been heard, the opening not counted.
    answered: bool,
    openings: u32,
    stopped: Vec<u32>,
    trace: String,
    texts: HashMap<u32, String>,
}

impl Ours {
    pub fn new(lines: Lines, settings: ConversationSettings) -> Self {
        let mut persona = Persona::blank("porter");
        persona.prompt = "You are a porter.".into();
        persona.opening.clone_from(&lines.opening);
        Self {
            talk: Conversation::new("rig".into(), Arc::new(persona), settings),
            openings: u32::from(!lines.opening.is_empty()),
            lines,
            due: BTreeMap::new(),
            count: 0,
            sounding: None,
            answered: false,
            stopped: Vec::new(),
            trace: String::new(),
            texts: HashMap::new(),
        }
    }

    fn later(&mut self, at: CallTime, ms: f32, input: Input) {
        self.count += 1;
        self.due.insert((at.us() + (ms.max(0.0) * 1_000.0) as u64, self.count), input);
    }

    fn execute(&mut self, at: CallTime, ear: &mut Ear, models: &mut Models) -> anyhow::Result<()> {
        loop {
            let effects: Vec<Effect> = self.talk.effects().collect();
            if effects.is_empty() {
                return Ok(());
            }
            for effect in effects {
                self.perform(at, effect, ear, models)?;
            }
        }
    }

    fn perform(&mut self, at: CallTime, effect: Effect, ear: &mut Ear, models: &mut Models) -> anyhow::Result<()> {
        match effect {
            Effect::Transcribe { turn, revision, purpose } => {
                // As in a call: the newest request overtakes a partial.
                self.due.retain(|_, due| !matches!(due, Input::Transcribed { purpose: AsrPurpose::Partial, .. }));
                let (text, ms) = models.transcribe(&ear.utterance(), purpose)?;
                let _ = write!(self.trace, " {}:{}'{text}'", at.ms(), short(purpose));
                self.later(at, ms, Input::Transcribed { turn, revision, purpose, text: Ok(text) });
            }
            Effect::AskTurnModel { turn, revision } => {
                let (probability, ms) = models.complete(&ear.utterance())?;
                let _ = write!(self.trace, " {}:p={probability:.2}", at.ms());
                self.later(at, ms, Input::Complete { turn, revision, probability });
            }
            Effect::Judge { turn, revision, situation } => {
                let verdict = RulesJudge.judge(&situation);
                let judge = RulesJudge.name();
                self.talk
                    .on(at, Input::Judged { turn, revision, moment: situation.moment, judge, verdict, took_ms: 0.0 });
            }
            Effect::VoiceAttention { .. } => {}
            Effect::CloseUtterance => ear.close_utterance(),
            Effect::Generate { turn, .. } => self.generate(at, turn),
            Effect::Speak { turn, clause, what } => self.speak(at, (turn, clause), &what.text, models)?,
            Effect::Emit(event) => self.follow(at, &event.event),
            _ => {}
        }
        Ok(())
    }

    fn generate(&mut self, at: CallTime, turn: u32) {
        let text = if self.answered { &self.lines.later } else { &self.lines.first }.clone();
        self.texts.insert(turn, text.clone());
        let mut ms = self.lines.first_token_ms;
        for piece in text.split_inclusive(' ') {
            self.later(at, ms, Input::Token { turn, text: piece.into() });
            ms += self.lines.word_ms;
        }
        self.later(at, ms, Input::Generated { turn, result: Ok(()) });
    }

    fn speak(
        &mut self,
        at: CallTime,
        (turn, clause): (u32, u32),
        text: &str,
        models: &mut Models,
    ) -> anyhow::Result<()> {
        let pcm = models.speak(text)?;
        let mut words = Vec::new();
        let mut offset = 0;
        for word in text.split_whitespace() {
            let start = offset + text[offset..].find(word).unwrap_or(0);
            offset = start + word.len();
            // Words take as long as they are written: nearly.
            let end = pcm.len() as u64 * offset as u64 / text.len().max(1) as u64;
            words.push(WordMark { text: start..offset, end });
        }
        let ms = self.lines.voice_ms;
        self.later(at, ms, Input::Speech { turn, clause, speech: Speech::Plan { samples: pcm.len() as u64, words } });
        self.later(at, ms, Input::Speech { turn, clause, speech: Speech::Pcm(pcm.to_vec()) });
        self.later(at, ms, Input::Spoken { turn, clause, result: Ok(()) });
        Ok(())
    }

    fn follow(&mut self, at: CallTime, event: &Event) {
        match event {
            Event::Floor { state } => {
                let _ = write!(self.trace, " {}:{}", at.ms(), floor(*state));
            }
            Event::TurnStarted { turn, .. } => {
                self.sounding = Some(*turn);
                if self.openings > 0 {
                    self.openings -= 1;
                } else {
                    self.answered = true;
                }
            }
            Event::TurnEnded { turn, outcome, .. } => {
                if *outcome == TurnOutcome::Interrupted {
                    self.stopped.push(*turn);
                }
                if self.sounding == Some(*turn) {
                    self.sounding = None;
                }
                let _ = write!(self.trace, " {}:{outcome:?}", at.ms());
            }
            Event::Backchannel { text, .. } => {
                let _ = write!(self.trace, " {}:backchannel'{text}'", at.ms());
            }
            Event::Draft { adopted, .. } => {
                let _ = write!(self.trace, " {}:draft {}", at.ms(), if *adopted { "adopted" } else { "dropped" });
            }
            _ => {}
        }
    }
}

impl Agent for Ours {
    fn tick(&mut self, at: CallTime, heard: Heard, ear: &mut Ear, models: &mut Models) -> anyhow::Result<()> {
        if at == CallTime::ZERO {
            self.talk.start(at);
            self.execute(at, ear, models)?;
        }
        while let Some((&(when, n), _)) = self.due.first_key_value()
            && when <= at.us()
        {
            if let Some(input) = self.due.remove(&(when, n)) {
                let when = CallTime::from_us(when);
                self.talk.on(when, input);
                self.execute(when, ear, models)?;
            }
        }
        self.talk.tick(at, heard.hearing());
        self.execute(at, ear, models)
    }

    fn frame(
        &mut self,
        at: CallTime,
        out: &mut [f32; LINE_FRAME],
        ear: &mut Ear,
        models: &mut Models,
    ) -> anyhow::Result<Option<u32>> {
        let before = self.sounding;
        self.talk.frame(at, out);
        self.execute(at, ear, models)?;
        Ok(self.sounding.or(before))
    }

    fn stopped(&self) -> &[u32] {
        &self.stopped
    }

    fn trace(&self) -> String {
        self.trace.trim().to_owned()
    }
}

fn short(purpose: AsrPurpose) -> &'static str {
    if purpose == AsrPurpose::Final { "final" } else { "partial" }
}

fn floor(state: FloorState) -> &'static str {
    match state {
        FloorState::Idle => "idle",
        FloorState::Caller => "caller",
        FloorState::Thinking => "thinking",
        FloorState::Agent => "agent",
        FloorState::Suspect => "suspect",
    }
}
