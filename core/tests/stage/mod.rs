//! A stage: one conversation in virtual time, with a caller who follows a script and back ends of set pace. Shared by the
//! scenarios and the invariants. Nothing here sleeps; an hour of talk takes milliseconds.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use duologue_core::audio::LINE_FRAME;
use duologue_core::backend::{AsrPurpose, Speech, WordMark};
use duologue_core::dialogue::conversation::{Conversation, ConversationSettings, Effect, Input};
use duologue_core::dialogue::floor::Hearing;
use duologue_core::dialogue::judge::{Action, Judge, Moment, RulesJudge, Situation, Verdict};
use duologue_core::dialogue::persona::Persona;
use duologue_core::journal::{EndReason, Entry};
use duologue_core::knowledge::Passage;
use duologue_core::memory::calendar::Day;
use duologue_core::memory::notebook::Notebook;
use duologue_core::time::{CallTime, TICK};
use duologue_signaling::event::Stamped;

/// A stretch of caller sound.
#[derive(Clone, Debug)]
pub struct Sound {
    pub from_ms: u64,
    pub to_ms: u64,
    /// What the recogniser makes of it; empty for a cough.
    pub words: String,
    /// What the turn model thinks at its end.
    pub complete: Option<f32>,
    /// Its level, dBFS; 0.0 as if nobody measured it.
    pub level_dbfs: f32,
    /// How likely it is the agent's own voice.
    pub echo_likelihood: f32,
    /// The same in every third tick, where it differs.
    pub flicker: Option<f32>,
}

impl Sound {
    /// Somebody says `words`.
    pub fn new(from_ms: u64, to_ms: u64, words: &str, complete: Option<f32>) -> Self {
        Self { from_ms, to_ms, words: words.into(), complete, level_dbfs: 0.0, echo_likelihood: 0.0, flicker: None }
    }
}

/// How the back ends behave.
#[derive(Clone, Debug)]
pub struct Pace {
    pub asr_ms: u64,
    pub turn_model_ms: u64,
    pub first_token_ms: u64,
    pub token_ms: u64,
    pub voice_ms: u64,
    pub word_ms: u64,
    pub judge_ms: u64,
    pub consult_ms: u64,
    pub search_ms: u64,
    pub follow_ups_ms: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            asr_ms: 120,
            turn_model_ms: 40,
            first_token_ms: 150,
            token_ms: 50,
            voice_ms: 60,
            word_ms: 300,
            judge_ms: 20,
            consult_ms: 4,
            search_ms: 400,
            follow_ups_ms: 1_500,
        }
    }
}

/// What the judge says about a turn in which these words stand.
#[derive(Clone, Debug)]
pub struct Told {
    pub moment: Moment,
    pub words: String,
    pub action: Action,
    pub reason: &'static str,
    pub rests_on: Option<String>,
}

impl Told {
    fn is_for(&self, situation: &Situation) -> bool {
        // Nobody speaks: what is due stands last in memory, if it is a promise.
        let shown = if situation.moment == Moment::Idle { situation.memory.last() } else { Some(&situation.text) };
        self.moment == situation.moment && shown.map_or("", String::as_str).contains(self.words.trim_matches('-'))
    }

    fn verdict(&self) -> Verdict {
        Verdict { rests_on: self.rests_on.clone(), ..Verdict::certain(self.action, self.reason) }
    }
}

/// What a reply of the language model is.
#[derive(Clone, Debug)]
pub enum Line {
    Says(String),
    Fails(String),
    /// Says so much, then breaks off.
    BreaksOff(String, String),
}

/// Everything that is set before the curtain.
#[derive(Clone, Debug)]
pub struct Script {
    pub persona: Persona,
    pub settings: ConversationSettings,
    pub pace: Pace,
    pub sounds: Vec<Sound>,
    pub inputs: Vec<(u64, Input)>,
    pub replies: VecDeque<Line>,
    /// What the judge says; where nothing is said, the rules do.
    pub verdicts: Vec<Told>,
    /// What the persona's files have: a passage is found for words that it has in it.
    pub knows: Vec<(String, Passage)>,
    /// What the web has, in the same way; or why it has nothing.
    pub web: Vec<(String, Passage)>,
    pub search_fails: Option<String>,
    /// What the model proposes as follow-up questions.
    pub follow_ups: Vec<String>,
    /// The voice fails from this clause of the call on.
    pub mute_voice_from: Option<usize>,
    pub end_ms: u64,
    /// What the clock on the wall says as the call begins, seconds since 1970.
    pub began_unix_s: Option<u64>,
}

impl Script {
    pub fn new(persona: Persona) -> Self {
        Self {
            persona,
            settings: ConversationSettings::default(),
            pace: Pace::default(),
            sounds: Vec::new(),
            inputs: Vec::new(),
            replies: VecDeque::new(),
            verdicts: Vec::new(),
            knows: Vec::new(),
            web: Vec::new(),
            search_fails: None,
            follow_ups: Vec::new(),
            mute_voice_from: None,
            end_ms: 10_000,
            began_unix_s: None,
        }
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Record {
    pub events: Vec<Stamped>,
    pub entries: Vec<Entry>,
    /// When agent sound went on the line, tick by tick, with the turns that were open then.
    pub sound_ticks: Vec<u64>,
    /// When that sound was softer than the voice makes it.
    pub ducked_ticks: Vec<u64>,
    pub dropped: Vec<(u64, u32)>,
    pub opened: Vec<(u64, u32)>,
    /// What the model was shown, to answer or to read ahead, and when.
    pub requests: Vec<(u64, duologue_core::backend::ChatRequest)>,
    /// Samples that the voice made, by turn.
    pub spoken: BTreeMap<u32, u64>,
    /// Final transcripts as they came back, and what the judge was shown of spoken turns: turn, revision, words.
    pub finals: Vec<(u32, u32, String)>,
    pub judged: Vec<(u32, u32, String)>,
    pub follow_ups_dropped: Vec<u64>,
    pub ended: Option<(u64, EndReason)>,
    /// Ticks at which nobody spoke, nothing ran and no timer was armed.
    pub dead_ticks: Vec<u64>,
    pub frames: u64,
}

/// A running play.
struct Stage {
    script: Script,
    talk: Conversation,
    /// Where the caller is known.
    notebook: Option<Notebook>,
    /// Back-end answers under way, by the moment they arrive; the number keeps those of one moment in order.
    due: BTreeMap<(u64, u64), Input>,
    count: u64,
    utterance_from_ms: u64,
    clauses: usize,
    /// Clauses whose sound is there already.
    phrases: BTreeSet<String>,
    record: Record,
    now_ms: u64,
}

/// Plays a script to its end.
pub fn play(mut script: Script) -> Record {
    let remembers = script.inputs.iter().any(|(_, input)| matches!(input, Input::Remembered(_)));
    script.settings.answers = remembers;
    let talk = Conversation::new("call".into(), Arc::new(script.persona.clone()), script.settings.clone());
    let mut stage = Stage {
        talk,
        notebook: None,
        due: BTreeMap::new(),
        count: 0,
        utterance_from_ms: 0,
        clauses: 0,
        phrases: BTreeSet::new(),
        record: Record::default(),
        now_ms: 0,
        script,
    };
    let inputs = std::mem::take(&mut stage.script.inputs);
    if remembers {
        let today = Day::of(2026, 11, 25).expect("a day");
        stage.talk.give_memory(today, 600);
        stage.notebook = Some(Notebook::new(today));
    }
    stage.talk.on(CallTime::ZERO, Input::ShowsFollowUps(5));
    for (at, input) in inputs {
        stage.later(at, input);
    }
    if let Some(unix_s) = stage.script.began_unix_s {
        stage.talk.began_at(unix_s);
    }
    stage.talk.start(CallTime::ZERO);
    stage.execute();
    while stage.now_ms < stage.script.end_ms && stage.record.ended.is_none() {
        stage.tick();
        stage.now_ms += TICK.as_millis() as u64;
    }
    let reason = stage.record.ended.map_or(EndReason::CallerHangup, |(_, reason)| reason);
    stage.talk.finish(CallTime::from_ms(stage.now_ms), reason, "The play is over.");
    stage.execute();
    stage.record
}

impl Stage {
    fn tick(&mut self) {
        let at = CallTime::from_ms(self.now_ms);
        while let Some((&(when, n), _)) = self.due.first_key_value()
            && when <= self.now_ms
        {
            if let Some(input) = self.due.remove(&(when, n)) {
                if let Input::Transcribed { turn, revision, purpose: AsrPurpose::Final, text: Ok(text) } = &input {
                    self.record.finals.push((*turn, *revision, text.clone()));
                }
                // What follows from it follows in the same moment: a call's clock never goes back.
                let tick_ms = std::mem::replace(&mut self.now_ms, when);
                self.talk.on(CallTime::from_ms(when), input);
                self.execute();
                self.now_ms = tick_ms;
            }
        }
        let heard = self.hearing();
        self.talk.tick(at, heard);
        self.execute();
        let mut frame = [0.0; LINE_FRAME];
        if self.talk.frame(at, &mut frame) {
            self.record.sound_ticks.push(self.now_ms);
            let loudest = frame.iter().fold(0.0f32, |most, sample| most.max(*sample));
            if loudest < 0.09 {
                self.record.ducked_ticks.push(self.now_ms);
            }
        }
        self.record.frames += 1;
        self.execute();
        if !self.talk.is_live() {
            self.record.dead_ticks.push(self.now_ms);
        }
    }

    /// The detector: 60 ms to be sure of an onset, 100 ms to be sure of an offset.
    fn hearing(&self) -> Hearing {
        let now = self.now_ms;
        let Some(last) = self.script.sounds.iter().rev().find(|sound| sound.from_ms <= now) else {
            return Hearing { silence_ms: now as u32, ..Hearing::default() };
        };
        let voiced = now.min(last.to_ms) - last.from_ms;
        let silence = now.saturating_sub(last.to_ms);
        let speech = voiced >= 60 && silence < 100;
        Hearing {
            speech,
            speech_ms: if speech { voiced as u32 } else { 0 },
            run_ms: if voiced < 60 && silence == 0 { voiced as u32 } else { 0 },
            silence_ms: silence as u32,
            level_dbfs: if speech { last.level_dbfs } else { 0.0 },
            echo_likelihood: last.flicker.filter(|_| now / 20 % 3 == 0).unwrap_or(last.echo_likelihood),
        }
    }

    /// What a recogniser hears of the open utterance by now: the words in proportion to the time.
    fn words(&self) -> String {
        let now = self.now_ms;
        let heard =
            self.script.sounds.iter().filter(|s| s.to_ms > self.utterance_from_ms && s.from_ms < now).map(|sound| {
                let words: Vec<&str> = sound.words.split_whitespace().collect();
                let said = |by_ms: u64| {
                    let share = (by_ms.clamp(sound.from_ms, sound.to_ms) - sound.from_ms) as f64
                        / (sound.to_ms - sound.from_ms) as f64;
                    (words.len() as f64 * share) as usize
                };
                words[said(self.utterance_from_ms)..said(now)].join(" ")
            });
        heard.filter(|words| !words.is_empty()).collect::<Vec<_>>().join(" ")
    }

    fn later(&mut self, at_ms: u64, input: Input) {
        self.count += 1;
        self.due.insert((at_ms, self.count), input);
    }

    fn execute(&mut self) {
        loop {
            let effects: Vec<Effect> = self.talk.effects().collect();
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                self.perform(effect);
            }
        }
    }

    fn perform(&mut self, effect: Effect) {
        let now = self.now_ms;
        match effect {
            Effect::Transcribe { turn, revision, purpose } => {
                // Whoever runs the recogniser lets the newest partial overtake the one before it.
                let passing = |due: &Input| matches!(due, Input::Transcribed { purpose, .. } if purpose.is_passing());
                self.due.retain(|_, due| !purpose.is_passing() || !passing(due));
                let text = Ok(self.words());
                let late =
                    if purpose == AsrPurpose::Final { self.script.pace.asr_ms } else { self.script.pace.asr_ms / 2 };
                self.later(now + late, Input::Transcribed { turn, revision, purpose, text });
            }
            Effect::AskTurnModel { turn, revision } => {
                let last = self.script.sounds.iter().rev().find(|sound| sound.from_ms <= now);
                if let Some(probability) = last.and_then(|sound| sound.complete) {
                    self.later(now + self.script.pace.turn_model_ms, Input::Complete { turn, revision, probability });
                }
            }
            Effect::Judge { turn, revision, situation } => {
                if !situation.typed && situation.moment == Moment::EndOfTurn {
                    self.record.judged.push((turn, revision, situation.text.clone()));
                }
                let moment = situation.moment;
                let told = self.script.verdicts.iter().find(|told| told.is_for(&situation));
                let verdict = told.map_or_else(|| RulesJudge.judge(&situation), Told::verdict);
                let judge = if told.is_some() { "script" } else { RulesJudge.name() };
                let input = Input::Judged { turn, revision, moment, judge, verdict, took_ms: 0.0 };
                if self.script.settings.judging.beside {
                    self.later(now + self.script.pace.judge_ms, input);
                } else {
                    self.talk.on(CallTime::from_ms(now), input);
                }
            }
            Effect::VoiceAttention { text } => {
                let pcm: Arc<[f32]> = vec![0.1; 48 * 300].into();
                self.later(now + self.script.pace.voice_ms, Input::Attention { text, pcm });
            }
            Effect::Consult { words, .. } => {
                let passages = about(&self.script.knows, &words);
                self.later(now + self.script.pace.consult_ms, Input::Consulted { words, passages, took_ms: 0.0 });
            }
            Effect::Search { turn, query } => {
                let found = about(&self.script.web, &query);
                let result = self.script.search_fails.clone().map_or(Ok(found), Err);
                self.later(now + self.script.pace.search_ms, Input::Searched { turn, result });
            }
            Effect::VoicePhrase { text } => drop(self.phrases.insert(text)),
            Effect::FollowUps { turn, request } => {
                self.record.requests.push((now, *request));
                let text = format!("{{\"questions\": {:?}}}", self.script.follow_ups);
                self.later(now + self.script.pace.follow_ups_ms, Input::FollowUps { turn, text });
            }
            Effect::DropFollowUps => self.record.follow_ups_dropped.push(now),
            Effect::CloseUtterance => self.utterance_from_ms = now,
            Effect::Prime(request) => self.record.requests.push((now, request)),
            Effect::Generate { turn, request } => self.generate(turn, request),
            Effect::Speak { turn, clause, what } => self.speak(turn, clause, &what.text),
            Effect::DropTurn { turn } => self.record.dropped.push((now, turn)),
            Effect::Emit(event) => self.record.events.push(event),
            Effect::Keep(entry) => {
                if let (Entry::Turn(row), Some(notebook)) = (&entry, &mut self.notebook) {
                    self.talk.learn(&notebook.read(row));
                }
                self.record.entries.push(entry);
            }
            Effect::End { reason, .. } => self.record.ended = Some((now, reason)),
        }
    }

    fn generate(&mut self, turn: u32, request: duologue_core::backend::ChatRequest) {
        self.record.opened.push((self.now_ms, turn));
        self.record.requests.push((self.now_ms, request));
        let line = self.script.replies.pop_front().unwrap_or_else(|| Line::Says("I see.".into()));
        let (text, result) = match line {
            Line::Says(text) => (text, Ok(())),
            Line::Fails(why) => (String::new(), Err(why)),
            Line::BreaksOff(text, why) => (text, Err(why)),
        };
        let mut at = self.now_ms + self.script.pace.first_token_ms;
        for piece in text.split_inclusive(' ') {
            self.later(at, Input::Token { turn, text: piece.into() });
            at += self.script.pace.token_ms;
        }
        self.later(at, Input::Generated { turn, result });
    }

    fn speak(&mut self, turn: u32, clause: u32, text: &str) {
        let ready = self.phrases.contains(text);
        let at = self.now_ms + if ready { 0 } else { self.script.pace.voice_ms };
        self.clauses += 1;
        if self.script.mute_voice_from.is_some_and(|n| self.clauses > n) {
            self.later(at, Input::Spoken { turn, clause, result: Err("the voice failed".into()) });
            return;
        }
        let word_samples = self.script.pace.word_ms * 48;
        let mut words = Vec::new();
        let mut offset = 0;
        for (i, word) in text.split_whitespace().enumerate() {
            let start = offset + text[offset..].find(word).unwrap_or(0);
            offset = start + word.len();
            words.push(WordMark { text: start..offset, end: (i as u64 + 1) * word_samples });
        }
        let samples = words.len() as u64 * word_samples;
        *self.record.spoken.entry(turn).or_default() += samples;
        self.later(at, Input::Speech { turn, clause, speech: Speech::Plan { samples, words } });
        self.later(at, Input::Speech { turn, clause, speech: Speech::Pcm(vec![0.1; samples as usize]) });
        self.later(at, Input::Spoken { turn, clause, result: Ok(()) });
    }
}

/// The passages whose word stands in `text`.
fn about(known: &[(String, Passage)], text: &str) -> Vec<Passage> {
    let fits = |(word, _): &&(String, Passage)| text.to_lowercase().contains(word.as_str());
    known.iter().filter(fits).map(|(_, passage)| passage.clone()).collect()
}

/// Stretches of agent sound, from the ticks that had some; gaps of a tick or two between clauses do not count.
pub fn stretches(ticks: &[u64]) -> Vec<(u64, u64)> {
    let mut out: Vec<(u64, u64)> = Vec::new();
    for &tick in ticks {
        match out.last_mut() {
            Some((_, to)) if tick <= *to + 40 => *to = tick + 20,
            _ => out.push((tick, tick + 20)),
        }
    }
    out
}
