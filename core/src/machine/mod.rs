//! Everything of a call that decides, as one state machine: ear, conversation, parts, memory, the way out. It is told what happens
//! ([`CallMachine::on`]) and when a tick is due ([`CallMachine::beat`]), and says what to do ([`Output`]). It never waits, knows no
//! clock and no chance: the call task drives it live, and replay drives it again from what the task has noted.

mod asked;
mod bridge;
mod happening;
mod line;
mod memory;
mod output;
mod telephone;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use duologue_signaling::event::{Event, Stamped};
use serde::{Deserialize, Serialize};

pub use bridge::Briefing;
pub use happening::{Extracted, Happening};
pub use memory::MemorySettings;
pub use output::Output;

use crate::audio::LINE_FRAME;
use crate::audio::codec::LineCodec;
use crate::audio::resample::UnsupportedRates;
use crate::audio::tone::RecordingTone;
use crate::audio::vad::Vad;
use crate::backend::{AsrPurpose, Speech};
use crate::dialogue::conversation::{Conversation, ConversationSettings, Effect, Input};
use crate::dialogue::judge::{Judge as _, RulesJudge, Situation};
use crate::dialogue::parts::{Ask, Cut, Parts};
use crate::dialogue::persona::Persona;
use crate::journal::{CallId, EndReason, Entry, MediaTotals};
use crate::media::downlink::{Downlink, DownlinkSettings, Plan};
use crate::media::ear::{Ear, EarError, EarSettings, Sensed};
use crate::media::echo::EchoMeans;
use crate::media::parrot::Parrot;
use crate::media::quality::QualityWatch;
use crate::media::recording::Recording;
use crate::memory::calendar::Day;
use crate::memory::notebook::Notebook;
use crate::time::CallTime;
use memory::CallMemory;
use telephone::Keys;

/// Clauses whose sound is kept for when it is needed at once: a persona has a few dozen of fixed phrases.
const PHRASES_MOST: usize = 48;

/// What a call is set up with: by the configuration, by what was agreed with the peer, and by chance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MachineSettings {
    pub conversation: ConversationSettings,
    pub ear: EarSettings,
    pub downlink: DownlinkSettings,
    /// What was agreed on: the codec, its payload type, and that of redundant audio (RFC 2198) where there is one.
    pub codec: LineCodec,
    pub payload_type: u8,
    pub red: Option<u8>,
    /// What is done about our echo from the beginning; and whether the client's word changes it.
    pub echo: EchoMeans,
    pub echo_by_client: bool,
    /// A judge works beside the call; otherwise the rules decide.
    pub judged: bool,
    /// The longest call.
    pub limit: Duration,
    /// The RTP timestamp of our first packet.
    pub first_timestamp: u32,
    /// The call's zero, milliseconds since the Unix epoch.
    pub began_utc_ms: i64,
    /// The call is recorded; and says so with a tone.
    pub taped: bool,
    pub tone: bool,
    /// Present where the caller is remembered.
    pub memory: Option<MemorySettings>,
    /// The agent only listens from the beginning: somebody is called who is to be connected with a caller.
    #[serde(default)]
    pub listens: bool,
}

/// Why there is no machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MachineError {
    #[error(transparent)]
    Ear(#[from] EarError),
    #[error(transparent)]
    Rates(#[from] UnsupportedRates),
}

/// Where the call's recording stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taping {
    Off,
    Armed,
    On,
}

/// See the module's words.
pub struct CallMachine {
    call: CallId,
    settings: MachineSettings,
    ear: Ear,
    conversation: Conversation,
    /// The persona holds a conversation: it is neither an echo nor a recording.
    talks: bool,
    parrot: Option<Parrot>,
    recording: Option<Recording>,
    hotwords: Option<Arc<str>>,
    /// The words of the open turn, part by part.
    parts: Parts,
    /// The sound of clauses that may be needed at once.
    phrases: HashMap<String, Arc<[Speech]>>,
    downlink: Downlink,
    plan: Plan,
    /// The last event about the line, and when it was sent.
    line_told: Option<CallTime>,
    quality: QualityWatch,
    taping: Taping,
    tone: Option<RecordingTone>,
    /// What the call has told so far, whoever calls; and what becomes of it where the caller is remembered.
    notebook: Notebook,
    memory: Option<CallMemory>,
    keys: Keys,
    /// What the other side of a bridge says in the next tick.
    beside: Option<Box<[f32; LINE_FRAME]>>,
    /// In the last tick the agent, or the tone of the recording, was to be heard.
    speaks: bool,
    connected: bool,
    ended: Option<(EndReason, String)>,
    out: VecDeque<Output>,
    digest: output::Digest,
}

impl CallMachine {
    /// A call that has not begun; `vad` is not asked where the call is replayed.
    ///
    /// # Errors
    /// When there is no ear or no resampler.
    pub fn new(
        call: CallId,
        persona: Arc<Persona>,
        settings: MachineSettings,
        vad: Box<dyn Vad>,
    ) -> Result<Self, MachineError> {
        let mut ear = Ear::new(settings.ear, vad, settings.payload_type)?.with_redundancy(settings.red);
        if settings.codec != LineCodec::Opus {
            ear.speak(settings.codec, settings.payload_type)?;
        }
        ear.mind_echo(settings.echo);
        let downlink = Downlink::new(settings.downlink);
        let mut conversation = Conversation::new(call.clone(), persona.clone(), settings.conversation.clone());
        conversation.listen_only(CallTime::ZERO, settings.listens);
        conversation.began_at(u64::try_from(settings.began_utc_ms).unwrap_or(0) / 1_000);
        let memory = settings.memory.clone().filter(|_| persona.talks());
        let today = Day::of_utc_ms(settings.began_utc_ms);
        conversation.give_memory(today, memory.map_or(0, |memory| memory.digest_chars));
        Ok(Self {
            call,
            ear,
            conversation,
            talks: persona.talks(),
            parrot: if persona.echo { Some(Parrot::new()?) } else { None },
            recording: persona.recording.clone().and_then(Recording::new),
            hotwords: persona.recogniser_prompt().map(Into::into),
            parts: Parts::default(),
            phrases: HashMap::new(),
            plan: downlink.plan(),
            downlink,
            line_told: None,
            quality: QualityWatch::default(),
            taping: if settings.taped { Taping::Armed } else { Taping::Off },
            tone: (settings.taped && settings.tone).then(RecordingTone::default),
            notebook: Notebook::new(today),
            memory: memory.map(CallMemory::new),
            keys: Keys::default(),
            beside: None,
            speaks: false,
            connected: false,
            ended: None,
            out: VecDeque::new(),
            digest: output::Digest::default(),
            settings,
        })
    }

    /// Something has happened.
    pub fn on(&mut self, at: CallTime, happening: Happening) {
        match happening {
            Happening::Rtp { arrived, packet } => self.ear.packet(arrived, packet),
            Happening::Connected => self.connect(at),
            Happening::Key { key, held } => self.on_key(at, key, held),
            Happening::Hold { on } => self.emit(at, Event::Hold { on }),
            Happening::Transfer { to, state, detail } => self.emit(at, Event::Transfer { to, state, detail }),
            Happening::Bridge { with, state, detail } => self.on_bridge(at, with, state, detail),
            Happening::TakenOver { by } => self.emit(at, Event::TakenOver { by }),
            Happening::KeysSent { keys } => self.emit(at, Event::KeysSent { keys }),
            Happening::Speaks { codec, payload_type } => self.speak(at, codec, payload_type),
            Happening::Report(report) => self.on_report(at, report),
            Happening::Message(text) => self.on_message(at, &text),
            Happening::Persona(persona) => self.switch_persona(at, persona),
            Happening::NoPersona(detail) => self.trouble(at, "no-such-persona", detail),
            Happening::Errand { errand, after } => self.on_errand(at, errand, after),
            Happening::Recollect => self.put(at, Output::Recollect),
            Happening::Input(input) => {
                self.know(at, &input);
                self.conversation.on(at, input);
            }
            Happening::Words(ask, text) => self.on_words(at, ask, text),
            Happening::Phrase(text, sound) => self.keep_phrase(text, sound),
            Happening::Extracted(found) => self.keep_extracted(at, found),
            Happening::End { reason, detail } => self.end(reason, &detail),
            Happening::Finish => self.finish(at),
        }
        self.execute(at);
    }

    /// One tick, due at `due`: hear -> decide -> gate. The frame is to be sent at once; `true`: there is speech in it. `None`: the
    /// call is not connected, or over. `told` is what was made of the tick's sound when it was heard before.
    pub fn beat(
        &mut self,
        at: CallTime,
        due: CallTime,
        told: Option<Sensed>,
        frame: &mut [f32; LINE_FRAME],
    ) -> Option<bool> {
        if !self.connected {
            return None;
        }
        self.mind_keys(at);
        if at.since(CallTime::ZERO) >= self.settings.limit {
            self.end(EndReason::TimeLimit, "The longest allowed call is over.");
            return None;
        }
        // The sound's clock is the even one: a tick that comes late is no change of the network.
        let heard = match told {
            None => self.ear.tick(due),
            Some(sensed) => self.ear.tick_as(due, sensed),
        };
        self.transcribe_part(at);
        self.watch_extraction(at);
        let speech = if let Some(parrot) = &mut self.parrot {
            // Nobody will ask for the utterance: it need not be kept.
            self.ear.close_utterance();
            parrot.frame(self.ear.frame(), frame)
        } else if let Some(recording) = &mut self.recording {
            self.ear.close_utterance();
            recording.frame(frame)
        } else {
            self.conversation.tick(at, heard);
            self.execute(at);
            if let Some(event) = self.quality.due(at, self.ear.receiver()) {
                self.emit(at, event);
            }
            self.conversation.frame(at, frame)
        };
        self.speaks = speech || self.tone.is_some();
        let speech = self.mix_beside(frame) | speech;
        self.tell_taping(due, frame);
        // Nobody minds the parrot's own voice.
        if self.parrot.is_none() {
            self.ear.played(frame);
        }
        self.watch_line(at);
        self.execute(at);
        Some(speech)
    }

    /// What is to be done next, in order.
    pub fn next(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Media flows.
    pub const fn is_connected(&self) -> bool {
        self.connected
    }

    /// Why the call is to end, once it is.
    pub const fn ended(&self) -> Option<&(EndReason, String)> {
        self.ended.as_ref()
    }

    /// What was heard in the last tick: 320 samples.
    pub fn heard(&self) -> &[f32] {
        self.ear.frame()
    }

    /// What was made of it.
    pub const fn sensed(&self) -> Sensed {
        self.ear.sensed()
    }

    /// The receiving side of the call's totals.
    pub fn totals(&self) -> MediaTotals {
        self.ear.totals()
    }

    /// Everything that was to be done so far, in one number: two calls with the same are the same.
    pub const fn digest(&self) -> u64 {
        self.digest.value()
    }

    fn connect(&mut self, at: CallTime) {
        if !std::mem::replace(&mut self.connected, true) && self.talks {
            self.conversation.start(at);
        }
    }

    /// The first tick of a recorded call says so.
    fn tell_taping(&mut self, due: CallTime, frame: &mut [f32; LINE_FRAME]) {
        if self.tone.as_mut().is_some_and(|tone| !tone.mix(frame)) {
            self.tone = None;
        }
        if self.taping == Taping::Armed {
            self.taping = Taping::On;
            self.emit(due, Event::Recording { on: true });
        }
    }

    fn end(&mut self, reason: EndReason, detail: &str) {
        self.ended.get_or_insert_with(|| (reason, detail.to_owned()));
    }

    /// Closes what is open, so that every turn that was opened is kept.
    fn finish(&mut self, at: CallTime) {
        let (reason, detail) = self.ended.clone().unwrap_or((EndReason::Bug, String::new()));
        self.conversation.finish(at, reason, &detail);
        self.execute(at);
        self.sum_up(at);
        self.digest.add(at, &format!("{:?}", self.ear.totals()));
    }

    /// Does what the conversation wants, as far as it is done here; the rest is told. In order; nothing waits.
    fn execute(&mut self, at: CallTime) {
        loop {
            let effects: Vec<Effect> = self.conversation.effects().collect();
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                self.perform(at, effect);
            }
        }
    }

    fn perform(&mut self, at: CallTime, effect: Effect) {
        let output = match effect {
            Effect::CloseUtterance => return self.ear.close_utterance(),
            Effect::Keep(entry) => return self.keep(at, entry),
            Effect::End { reason, detail } => return self.end(reason, &detail),
            Effect::Judge { turn, revision, situation } if !self.settings.judged => {
                return self.conversation.on(at, by_the_rules(turn, revision, &situation));
            }
            Effect::Speak { turn, clause, what } => {
                if self.say_at_once(at, turn, clause, &what.text) {
                    return;
                }
                Output::Speak { turn, clause, what }
            }
            Effect::Transcribe { turn, revision, purpose } => self.transcribe(turn, revision, purpose),
            Effect::AskTurnModel { turn, revision } => {
                Output::AskTurnModel { turn, revision, audio: self.ear.turn_audio() }
            }
            Effect::Judge { turn, revision, situation } => Output::Judge { turn, revision, situation },
            Effect::Consult { persona, words } => Output::Consult { persona, words },
            Effect::Search { turn, query } => Output::Search { turn, query },
            Effect::VoicePhrase { text } if self.phrases.len() < PHRASES_MOST => Output::VoicePhrase { text },
            Effect::VoicePhrase { .. } => return,
            Effect::FollowUps { turn, request } => Output::FollowUps { turn, request },
            Effect::DropFollowUps => Output::DropFollowUps,
            Effect::VoiceAttention { text } => Output::VoiceAttention { text },
            Effect::Prime(request) => Output::Prime(request),
            Effect::Generate { turn, request } => Output::Generate { turn, request },
            Effect::DropTurn { turn } => Output::DropTurn { turn },
            Effect::Emit(event) => Output::Emit(event),
        };
        self.put(at, output);
    }

    fn transcribe(&mut self, turn: u32, revision: u32, purpose: AsrPurpose) -> Output {
        let until = self.ear.heard();
        let ask = self.parts.ask(turn, revision, purpose, until);
        Output::Transcribe { ask, audio: self.ear.utterance(), until, hotwords: self.hotwords.clone() }
    }

    /// What lies before a pause is heard once, and so is the beginning of what outgrows the recogniser's window.
    fn transcribe_part(&mut self, at: CallTime) {
        let Some(part) = self.ear.take_part() else { return };
        let Some(turn) = self.conversation.caller_turn() else { return };
        let end = part.first_sample + part.audio.len() as u64;
        if let Cut::Ask(ask) = self.parts.cut(turn, part.voiced_until, end, self.ear.heard()) {
            self.put(at, Output::Transcribe { ask, audio: part.audio, until: end, hotwords: self.hotwords.clone() });
        }
    }

    fn on_words(&mut self, at: CallTime, ask: Ask, text: Result<String, String>) {
        for input in self.parts.answer(ask, text) {
            if let Input::Transcribed { text: Ok(words), .. } = &input {
                self.recall(at, words);
            }
            self.conversation.on(at, input);
        }
    }

    fn keep_phrase(&mut self, text: String, sound: Vec<Speech>) {
        if !sound.is_empty() && self.phrases.len() < PHRASES_MOST {
            self.phrases.insert(text, sound.into());
        }
    }

    /// Delivers the sound of a clause that is there already; `false` where it has to be made.
    fn say_at_once(&mut self, at: CallTime, turn: u32, clause: u32, text: &str) -> bool {
        let Some(sound) = self.phrases.get(text).cloned() else { return false };
        for speech in sound.iter().cloned() {
            self.conversation.on(at, Input::Speech { turn, clause, speech });
        }
        self.conversation.on(at, Input::Spoken { turn, clause, result: Ok(()) });
        true
    }

    fn emit(&mut self, at: CallTime, event: Event) {
        self.put(at, Output::Emit(Stamped { at_ms: at.ms(), event }));
    }

    fn trouble(&mut self, at: CallTime, code: &str, detail: String) {
        self.emit(at, Event::Trouble { code: code.into(), detail });
    }

    fn put(&mut self, at: CallTime, output: Output) {
        self.digest.add(at, &output.line());
        self.out.push_back(output);
    }

    /// A moment of the call on the clock of the wall, milliseconds since the Unix epoch.
    fn utc_ms(&self, at: CallTime) -> i64 {
        self.settings.began_utc_ms.saturating_add(i64::try_from(at.ms()).unwrap_or(i64::MAX))
    }

    fn keep_row(&mut self, at: CallTime, entry: Entry) {
        self.put(at, Output::Keep(entry));
    }
}

/// The verdict that is always there. It takes microseconds, which are told as none: the same call gives the same rows.
pub fn by_the_rules(turn: u32, revision: u32, situation: &Situation) -> Input {
    let verdict = RulesJudge.judge(situation);
    Input::Judged { turn, revision, moment: situation.moment, judge: RulesJudge.name(), verdict, took_ms: 0.0 }
}
