//! The real conversation, with real answers of recogniser and turn model and a scripted language model.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

use duologue::audio::LINE_FRAME;
use duologue::backend::{AsrPurpose, Speech, WordMark};
use duologue::dialogue::conversation::{Conversation, ConversationSettings, Effect, Input};
use duologue::dialogue::judge::{Judge, RulesJudge};
use duologue::dialogue::parts::{Ask, Cut, Parts};
use duologue::dialogue::persona::Persona;
use duologue::media::ear::Ear;
use duologue::media::segment::Heard;
use duologue::time::CallTime;
use duologue_signaling::event::{Event, FloorState, TurnOutcome};

use super::models::Models;
use super::play::{Agent, Lines};

/// What a back end has answered.
enum Due {
    Words(Ask, String),
    Other(Input),
}

pub struct Ours {
    talk: Conversation,
    lines: Lines,
    /// Answers under way by the microsecond at which they arrive; the number keeps those of one moment in order.
    due: BTreeMap<(u64, u64), Due>,
    count: u64,
    /// As in a call: what lies before a pause is recognised once.
    parts: Parts,
    /// Which reply is sounding.
    sounding: Option<u32>,
    /// An answer has been heard, the opening not counted.
    answered: bool,
    openings: u32,
    stopped: Vec<u32>,
    judged: Vec<f32>,
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
            parts: Parts::default(),
            sounding: None,
            answered: false,
            stopped: Vec::new(),
            judged: Vec::new(),
            trace: String::new(),
            texts: HashMap::new(),
        }
    }

    fn later(&mut self, at: CallTime, ms: f32, input: Input) {
        self.come(at, ms, Due::Other(input));
    }

    fn come(&mut self, at: CallTime, ms: f32, due: Due) {
        self.count += 1;
        self.due.insert((at.us() + (ms.max(0.0) * 1_000.0) as u64, self.count), due);
    }

    fn recognise(&mut self, at: CallTime, ask: Ask, audio: &Arc<[f32]>, models: &mut Models) -> anyhow::Result<()> {
        let (text, ms) = models.transcribe(audio, ask.purpose)?;
        let _ = write!(self.trace, " {}:{}'{text}'", at.ms(), short(ask.purpose));
        self.come(at, ms, Due::Words(ask, text));
        Ok(())
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
                // As in a call: the newest passing request overtakes the one before it.
                if purpose.is_passing() {
                    self.due.retain(|_, due| !matches!(due, Due::Words(ask, _) if ask.purpose.is_passing()));
                }
                let ask = self.parts.ask(turn, revision, purpose, ear.heard());
                self.recognise(at, ask, &ear.utterance(), models)?;
            }
            Effect::AskTurnModel { turn, revision } => {
                let (probability, ms) = models.complete(&ear.turn_audio())?;
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

    fn hear_part(&mut self, at: CallTime, ear: &mut Ear, models: &mut Models) -> anyhow::Result<()> {
        let Some(part) = ear.take_part() else { return Ok(()) };
        let Some(turn) = self.talk.caller_turn() else { return Ok(()) };
        let end = part.first_sample + part.audio.len() as u64;
        match self.parts.cut(turn, part.voiced_until, end, ear.heard()) {
            Cut::Ask(ask) => self.recognise(at, ask, &part.audio, models),
            Cut::Asked => Ok(()),
        }
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
                if *state == FloorState::Thinking {
                    self.judged.push(at.ms() as f32);
                }
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
            let when = CallTime::from_us(when);
            let inputs = match self.due.remove(&(when.us(), n)) {
                Some(Due::Words(ask, text)) => self.parts.answer(ask, Ok(text)),
                Some(Due::Other(input)) => vec![input],
                None => Vec::new(),
            };
            for input in inputs {
                self.talk.on(when, input);
                self.execute(when, ear, models)?;
            }
        }
        self.hear_part(at, ear, models)?;
        if self.talk.floor() == FloorState::Suspect && at.ms() % 200 == 0 {
            let _ = write!(self.trace, " {}:{:.0}dB", at.ms(), heard.level_dbfs);
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

    fn judged(&self) -> &[f32] {
        &self.judged
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
