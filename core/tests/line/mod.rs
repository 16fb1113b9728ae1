//! A call's machine in virtual time, with a caller who sends real Opus packets over a network of set badness, and back ends of set pace.
//! Everything that the machine is told is noted as a live call notes it.
#![allow(dead_code, reason = "each test uses its own part")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use duologue_core::audio::codec::LineCodec;
use duologue_core::audio::opus::{OpusEncoder, OpusSettings};
use duologue_core::audio::vad::EnergyVad;
use duologue_core::audio::{LINE_FRAME, LINE_RATE};
use duologue_core::backend::{Speech, WordMark};
use duologue_core::dialogue::conversation::{ConversationSettings, Input};
use duologue_core::dialogue::persona::Persona;
use duologue_core::journal::EndReason;
use duologue_core::machine::{CallMachine, Happening, MachineSettings, Output, by_the_rules};
use duologue_core::media::downlink::{DownlinkSettings, LinkReport};
use duologue_core::media::ear::EarSettings;
use duologue_core::media::echo::EchoMeans;
use duologue_core::media::rtp::RtpPacket;
use duologue_core::replay::again::Journal;
use duologue_core::replay::record::{self, Writer};
use duologue_core::replay::{FORM, Head};
use duologue_core::time::CallTime;
use duologue_signaling::event::BridgeState;

/// What happens in a call, from outside.
#[derive(Clone, Debug)]
pub struct Script {
    pub persona: Persona,
    pub settings: MachineSettings,
    /// Stretches in which the caller is voiced: from, to, milliseconds.
    pub voiced: Vec<(u64, u64)>,
    /// Of each packet in turn: is it lost, and how late is it, milliseconds? Over and over.
    pub network: Vec<(bool, u64)>,
    /// How late each tick is in turn, microseconds.
    pub lateness: Vec<u64>,
    pub messages: Vec<(u64, String)>,
    /// When the call is connected with another one (true), and when the two are parted.
    pub bridged: Vec<(u64, bool)>,
    pub reports: Vec<(u64, LinkReport)>,
    pub asr_ms: u64,
    pub token_ms: u64,
    pub voice_ms: u64,
    pub judge_ms: u64,
    pub complete: f32,
    pub ends_ms: u64,
}

pub fn settings() -> MachineSettings {
    MachineSettings {
        conversation: ConversationSettings::default(),
        ear: EarSettings {
            jitter_min_ms: 20,
            jitter_max_ms: 240,
            stretch_speech: true,
            vad_threshold: 0.5,
            onset_ms: 90,
            pre_roll_ms: 300,
            part_ms: 3_000,
            part_pause_ms: 140,
        },
        downlink: DownlinkSettings { red: true, most: 4 },
        codec: LineCodec::Opus,
        payload_type: 111,
        red: None,
        echo: EchoMeans::NONE,
        echo_by_client: true,
        judged: false,
        limit: Duration::from_secs(3_600),
        first_timestamp: 77,
        began_utc_ms: 1_767_607_200_000,
        taped: true,
        tone: true,
        memory: None,
        listens: false,
    }
}

impl Script {
    pub fn new() -> Self {
        let mut persona = Persona::blank("porter");
        persona.opening = "Good evening, this is the house at the harbour.".into();
        persona.prompt = "You are a porter.".into();
        Self {
            persona,
            settings: settings(),
            voiced: Vec::new(),
            network: vec![(false, 0)],
            lateness: vec![0],
            messages: Vec::new(),
            bridged: Vec::new(),
            reports: Vec::new(),
            asr_ms: 120,
            token_ms: 40,
            voice_ms: 80,
            judge_ms: 30,
            complete: 0.8,
            ends_ms: 8_000,
        }
    }

    fn head(&self) -> Head {
        Head {
            form: FORM,
            version: "test".into(),
            call: "call".into(),
            persona: Arc::new(self.persona.clone()),
            settings: self.settings.clone(),
            asr: "script".into(),
            llm: "script".into(),
            tts: "script".into(),
            config: String::new(),
        }
    }
}

/// A call that was played.
pub struct Played {
    pub journal: Journal,
    /// What the client was told, as JSON.
    pub events: Vec<String>,
    pub digest: u64,
    pub bytes: usize,
}

struct Line {
    script: Script,
    machine: CallMachine,
    writer: Writer,
    due: BTreeMap<(u64, u64), Happening>,
    count: u64,
    words: usize,
    events: Vec<String>,
}

/// Plays a script to its end.
pub fn play(script: Script) -> Played {
    let head = script.head();
    let vad = Box::new(EnergyVad::default());
    let machine =
        CallMachine::new(head.call.clone(), head.persona.clone(), head.settings.clone(), vad).expect("a machine");
    let mut line = Line {
        machine,
        writer: Writer::default(),
        due: BTreeMap::new(),
        count: 0,
        words: 0,
        events: Vec::new(),
        script,
    };
    line.prepare();
    for n in 0..line.script.ends_ms / 20 {
        let due = CallTime::from_ms(n * 20);
        let late = line.script.lateness[n as usize % line.script.lateness.len()];
        let at = CallTime::from_us(due.us() + late);
        line.deliver(at.us());
        if line.machine.ended().is_some() {
            break;
        }
        let mut frame = [0.0; LINE_FRAME];
        if line.machine.beat(at, due, None, &mut frame).is_some() || line.machine.ended().is_some() {
            line.writer.beat(at, due, line.machine.sensed());
        }
        if n % 50 == 49 {
            line.writer.done(line.machine.digest());
        }
        line.execute(at);
    }
    let at = line.script.ends_ms * 1_000 + 30_000;
    if line.machine.ended().is_none() {
        line.on(CallTime::from_us(at), Happening::End { reason: EndReason::CallerHangup, detail: "Enough.".into() });
    }
    line.on(CallTime::from_us(at), Happening::Finish);
    let digest = line.machine.digest();
    line.writer.done(digest);
    let (block, _) = line.writer.take();
    let records = record::read(&block).expect("what was written");
    Played { journal: Journal { head, records }, events: line.events, digest, bytes: block.len() }
}

impl Line {
    /// Everything that comes from outside, by its moment.
    fn prepare(&mut self) {
        let script = self.script.clone();
        self.later(15_000, Happening::Connected);
        let mut encoder = OpusEncoder::new(OpusSettings::default()).expect("an encoder");
        for n in 0..script.ends_ms / 20 {
            let voiced = script.voiced.iter().any(|(from, to)| (*from..*to).contains(&(n * 20)));
            let frame: [f32; LINE_FRAME] = std::array::from_fn(|k| {
                let t = (n as usize * LINE_FRAME + k) as f32 / LINE_RATE as f32 * std::f32::consts::TAU;
                let voice: f32 = (1..=10).map(|h| (t * 140.0 * h as f32).sin() / h as f32).sum();
                if voiced { 0.2 * voice * (0.7 + 0.3 * (t * 4.0).sin()) } else { 1e-4 * (t * 50.0).sin() }
            });
            let payload = encoder.encode(&frame).expect("a packet");
            let (lost, late_ms) = script.network[n as usize % script.network.len()];
            if lost {
                continue;
            }
            let packet = RtpPacket {
                payload_type: 111,
                sequence: (n as u16).wrapping_add(65_500),
                timestamp: n as u32 * LINE_FRAME as u32,
                ssrc: 9,
                marker: n == 0,
                payload,
            };
            let arrived = CallTime::from_us(n * 20_000 + 7_000 + late_ms * 1_000);
            self.later(arrived.us() + 130, Happening::Rtp { arrived, packet });
        }
        for (at_ms, joined) in script.bridged {
            let state = if joined { BridgeState::Joined } else { BridgeState::Parted };
            let (with, detail) = ("other".to_owned(), String::new());
            self.later(at_ms * 1_000, Happening::Bridge { with, state, detail });
        }
        for (at_ms, text) in script.messages {
            self.later(at_ms * 1_000 + 333, Happening::Message(text));
        }
        for (at_ms, report) in script.reports {
            self.later(at_ms * 1_000 + 444, Happening::Report(report));
        }
    }

    fn later(&mut self, at_us: u64, what: Happening) {
        self.count += 1;
        self.due.insert((at_us, self.count), what);
    }

    fn deliver(&mut self, until_us: u64) {
        while let Some(entry) = self.due.first_entry()
            && entry.key().0 <= until_us
            && self.machine.ended().is_none()
        {
            let ((at, _), what) = entry.remove_entry();
            self.on(CallTime::from_us(at), what);
        }
    }

    fn on(&mut self, at: CallTime, what: Happening) {
        self.writer.happened(at, &what);
        self.machine.on(at, what);
        self.execute(at);
    }

    fn execute(&mut self, at: CallTime) {
        while let Some(output) = self.machine.next() {
            self.perform(at, output);
        }
    }

    fn perform(&mut self, at: CallTime, output: Output) {
        let after = |ms: u64| at.us() + ms * 1_000;
        let (asr_ms, voice_ms, judge_ms) = (self.script.asr_ms, self.script.voice_ms, self.script.judge_ms);
        match output {
            Output::Transcribe { ask, audio, .. } => {
                self.due.retain(|_, due| {
                    !matches!(due, Happening::Words(of, _) if of.purpose.is_passing() && ask.purpose.is_passing())
                });
                self.words += 1;
                let words = ["stop", "what time do you close", "mm-hm", "", "and on Sundays"][self.words % 5];
                let words = format!("{words} {}", audio.len() / 16_000);
                self.later(after(asr_ms), Happening::Words(ask, Ok(words)));
            }
            Output::AskTurnModel { turn, revision, .. } => {
                let probability = self.script.complete;
                self.later(after(40), Happening::Input(Input::Complete { turn, revision, probability }));
            }
            Output::Judge { turn, revision, situation } => {
                self.later(after(judge_ms), Happening::Input(by_the_rules(turn, revision, &situation)));
            }
            Output::VoicePhrase { text } => {
                let sound = sound(&text);
                self.later(after(voice_ms), Happening::Phrase(text, sound));
            }
            Output::VoiceAttention { text } => {
                let pcm = vec![0.1; 48 * 300].into();
                self.later(after(voice_ms), Happening::Input(Input::Attention { text, pcm }));
            }
            Output::FindPersona { name } => self.later(after(0), Happening::NoPersona(format!("no {name}"))),
            Output::Generate { turn, .. } => {
                let text = "We close at ten. On Sundays we close at nine, and the bar at midnight.";
                let mut at_us = after(150);
                for piece in text.split_inclusive(' ') {
                    self.later(at_us, Happening::Input(Input::Token { turn, text: piece.into() }));
                    at_us += self.script.token_ms * 1_000;
                }
                self.later(at_us, Happening::Input(Input::Generated { turn, result: Ok(()) }));
            }
            Output::Speak { turn, clause, what } => {
                for speech in sound(&what.text) {
                    self.later(after(voice_ms), Happening::Input(Input::Speech { turn, clause, speech }));
                }
                self.later(after(voice_ms), Happening::Input(Input::Spoken { turn, clause, result: Ok(()) }));
            }
            Output::DropTurn { turn } => self.due.retain(|_, due| {
                !matches!(due, Happening::Input(
                    Input::Token { turn: of, .. } | Input::Generated { turn: of, .. } | Input::Speech { turn: of, .. }
                    | Input::Spoken { turn: of, .. }) if *of == turn)
            }),
            Output::Emit(event) => {
                self.writer.said(&event);
                self.events.push(serde_json::to_string(&event).expect("JSON"));
            }
            _ => {}
        }
    }
}

/// Words of 300 ms each, in a hum.
fn sound(text: &str) -> Vec<Speech> {
    let mut words = Vec::new();
    let mut offset = 0;
    for (n, word) in text.split_whitespace().enumerate() {
        let start = offset + text[offset..].find(word).unwrap_or(0);
        offset = start + word.len();
        words.push(WordMark { text: start..offset, end: (n as u64 + 1) * 14_400 });
    }
    let samples = words.len() * 14_400;
    let hum = (0..samples).map(|n| 0.2 * (n as f32 * 0.02).sin()).collect();
    vec![Speech::Plan { samples: samples as u64, words }, Speech::Pcm(hum)]
}
