//! One side of a call in virtual time: Opus, ear, conversation and recogniser as they are; nobody answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use duologue::audio::opus::{OpusEncoder, OpusSettings};
use duologue::audio::resample::Resampler;
use duologue::audio::vad::{SileroVad, SileroWeights};
use duologue::audio::{HEAR_RATE, LINE_FRAME, LINE_RATE};
use duologue::backend::whisper::Whisper;
use duologue::backend::{Asr, AsrJob, AsrPurpose};
use duologue::dialogue::conversation::{Conversation, ConversationSettings, Effect, Input};
use duologue::dialogue::judge::{Action, Verdict};
use duologue::dialogue::parts::{Ask, Cut, Parts};
use duologue::dialogue::persona::Persona;
use duologue::dialogue::stable;
use duologue::media::ear::{Ear, EarSettings};
use duologue::media::rtp::RtpPacket;
use duologue::time::CallTime;
use duologue_signaling::event::Event;

use super::scoring::{cpu_time, normal};

const OPUS: u8 = 111;
/// Silence before and after a recording: the longest that ends a turn without a turn model is 1.2 s.
const BEFORE_TICKS: usize = 25;
const AFTER_TICKS: usize = 100;

/// When a turn is heard in parts.
#[derive(Clone, Copy, Debug)]
pub struct Parted {
    pub part_ms: u32,
    pub pause_ms: u32,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Told {
    pub text: String,
    /// Of each turn: CPU ms of the recogniser for the tail, and ms from the last word to its transcript.
    tail_cpu_ms: Vec<f64>,
    tail_late_ms: Vec<f64>,
    /// Of each partial that was told, from the end of its sound.
    partial_late_ms: Vec<f64>,
    stable: usize,
    changed: usize,
    cpu: Duration,
    seconds: f64,
}

impl Told {
    pub fn add(&mut self, other: Self) {
        self.tail_cpu_ms.extend(other.tail_cpu_ms);
        self.tail_late_ms.extend(other.tail_late_ms);
        self.partial_late_ms.extend(other.partial_late_ms);
        self.stable += other.stable;
        self.changed += other.changed;
        self.cpu += other.cpu;
        self.seconds += other.seconds;
    }

    pub fn print(&mut self) {
        let at = |what: &str, ms: &mut Vec<f64>| {
            ms.sort_by(f64::total_cmp);
            let at = |part: usize| ms.get(ms.len().saturating_sub(1) * part / 100).copied().unwrap_or_default();
            println!("    {what}: p50 {:.0} ms, p95 {:.0} ms, worst {:.0} ms of {}", at(50), at(95), at(100), ms.len());
        };
        at("tail, CPU", &mut self.tail_cpu_ms);
        at("tail known, after the last voiced frame", &mut self.tail_late_ms);
        at("partial told, after the end of its sound", &mut self.partial_late_ms);
        println!(
            "    {:.2} % of {} stable words changed later; {:.0} CPU ms a second of sound",
            100.0 * self.changed as f64 / self.stable.max(1) as f64,
            self.stable,
            self.cpu.as_secs_f64() * 1_000.0 / self.seconds.max(0.001)
        );
    }
}

pub struct VirtualCall<'a> {
    whisper: &'a Whisper,
    ear: Ear,
    talk: Conversation,
    parts: Parts,
    at: CallTime,
    /// Answers on their way, by the moment they come.
    due: BTreeMap<(u64, u64), Answer>,
    count: u64,
    /// The recogniser works until then.
    busy_until: CallTime,
    partial: Option<(u64, u64)>,
    last_voiced: CallTime,
    /// Of the newest tail.
    tail: (CallTime, f64),
    /// What was told of each turn last.
    turns: BTreeMap<u32, String>,
    /// Stable words of the open turn.
    agreed: Vec<String>,
    /// All that was heard: 16 kHz.
    pub heard: Vec<f32>,
    pub told: Told,
}

struct Answer {
    ask: Ask,
    asked: CallTime,
    cpu_ms: f64,
    text: String,
}

impl<'a> VirtualCall<'a> {
    pub fn new(whisper: &'a Whisper, detector: Arc<SileroWeights>, parted: Parted) -> Self {
        let settings = EarSettings {
            stretch_speech: true,
            jitter_min_ms: 20,
            jitter_max_ms: 240,
            vad_threshold: 0.5,
            onset_ms: 90,
            pre_roll_ms: 300,
            part_ms: parted.part_ms,
            part_pause_ms: parted.pause_ms,
        };
        let persona = Arc::new(Persona::blank("nobody"));
        Self {
            whisper,
            ear: Ear::new(settings, Box::new(SileroVad::new(detector)), OPUS).expect("an ear"),
            talk: Conversation::new("bench".into(), persona, ConversationSettings::default()),
            parts: Parts::default(),
            at: CallTime::ZERO,
            due: BTreeMap::new(),
            count: 0,
            busy_until: CallTime::ZERO,
            partial: None,
            last_voiced: CallTime::ZERO,
            tail: (CallTime::ZERO, 0.0),
            turns: BTreeMap::new(),
            agreed: Vec::new(),
            heard: Vec::new(),
            told: Told::default(),
        }
    }

    /// Plays a recording of 16 kHz into the call, and waits until the turn is over.
    pub async fn play(&mut self, recording: &[f32]) {
        let mut line = vec![0.0; BEFORE_TICKS * LINE_FRAME];
        let mut upward = Resampler::new(HEAR_RATE, LINE_RATE).expect("usual rates");
        upward.push(recording, &mut line);
        upward.flush(&mut line);
        line.resize(line.len().next_multiple_of(LINE_FRAME) + AFTER_TICKS * LINE_FRAME, 0.0);
        self.told.seconds += recording.len() as f64 / f64::from(HEAR_RATE);
        let mut encoder = OpusEncoder::new(OpusSettings::default()).expect("an encoder");
        self.talk.start(self.at);
        let (frames, _) = line.as_chunks::<LINE_FRAME>();
        for (n, frame) in frames.iter().enumerate() {
            let packet = RtpPacket {
                payload_type: OPUS,
                sequence: n as u16,
                timestamp: (n * LINE_FRAME) as u32,
                ssrc: 1,
                marker: false,
                payload: encoder.encode(frame).expect("a packet"),
            };
            self.ear.packet(CallTime::from_ms(n as u64 * 20 + 10), packet);
            self.tick(CallTime::from_ms(n as u64 * 20 + 20)).await;
        }
        // Whatever is still on its way comes within a few seconds.
        for _ in 0..250 {
            self.tick(self.at + Duration::from_millis(20)).await;
        }
    }

    async fn tick(&mut self, at: CallTime) {
        self.at = at;
        while let Some(entry) = self.due.first_entry().filter(|entry| entry.key().0 <= at.us()) {
            let answer = entry.remove();
            self.answer(answer).await;
        }
        let heard = self.ear.tick(at);
        self.heard.extend_from_slice(self.ear.frame());
        if heard.speech && heard.silence_ms == 0 {
            self.last_voiced = at;
        }
        if let Some(part) = self.ear.take_part()
            && let Some(turn) = self.talk.caller_turn()
        {
            let end = part.first_sample + part.audio.len() as u64;
            if let Cut::Ask(ask) = self.parts.cut(turn, part.voiced_until, end, self.ear.heard()) {
                self.recognise(ask, part.audio).await;
            }
        }
        self.talk.tick(at, heard);
        self.execute().await;
    }

    async fn answer(&mut self, answer: Answer) {
        if answer.ask.purpose == AsrPurpose::Partial {
            self.partial = None;
            self.told.partial_late_ms.push(self.at.since(answer.asked).as_secs_f64() * 1_000.0);
        } else {
            self.tail = (self.at, answer.cpu_ms);
        }
        for input in self.parts.answer(answer.ask, Ok(answer.text)) {
            self.talk.on(self.at, input);
        }
        Box::pin(self.execute()).await;
    }

    async fn execute(&mut self) {
        loop {
            let effects: Vec<Effect> = self.talk.effects().collect();
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                self.perform(effect).await;
            }
        }
    }

    async fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Transcribe { turn, revision, purpose } => {
                // The tail overtakes a partial, which is not told then.
                if let Some(partial) = self.partial.take() {
                    self.due.remove(&partial);
                }
                let ask = self.parts.ask(turn, revision, purpose, self.ear.heard());
                self.recognise(ask, self.ear.utterance()).await;
            }
            Effect::Judge { turn, revision, situation } => {
                // Asked for a draft too, and of a turn that goes on: what counts is the transcript that is told.
                let verdict = Verdict::certain(Action::Silence, "measuring");
                self.talk.on(
                    self.at,
                    Input::Judged { turn, revision, moment: situation.moment, judge: "nobody", verdict, took_ms: 0.0 },
                );
            }
            Effect::VoiceAttention { .. } => {}
            Effect::CloseUtterance => self.ear.close_utterance(),
            Effect::Emit(event) => match event.event {
                Event::Partial { text, stable, .. } => {
                    let words: Vec<String> = normal(stable::prefix(&text, stable));
                    self.agree(words);
                }
                Event::Transcript { turn, text, .. } => self.turn_is_known(turn, &text),
                _ => {}
            },
            _ => {}
        }
    }

    /// Stable words: those that are new are counted, and those that were and are no more.
    fn agree(&mut self, words: Vec<String>) {
        let kept = self.agreed.iter().zip(&words).take_while(|(a, b)| a == b).count();
        let before = self.agreed.len();
        if kept < before.min(words.len()) {
            self.told.changed += before - kept;
            self.agreed.truncate(kept);
        }
        if words.len() > self.agreed.len() {
            self.told.stable += words.len() - self.agreed.len();
            self.agreed = words;
        }
    }

    /// A turn that goes on is told again, with the words after it.
    fn turn_is_known(&mut self, turn: u32, text: &str) {
        let words = normal(text);
        let kept = self.agreed.iter().zip(&words).take_while(|(a, b)| a == b).count();
        self.told.changed += self.agreed.len() - kept;
        self.agreed.clear();
        self.turns.insert(turn, text.to_owned());
        self.told.text = self.turns.values().map(String::as_str).collect::<Vec<_>>().join(" ");
        self.told.tail_cpu_ms.push(self.tail.1);
        self.told.tail_late_ms.push(self.tail.0.since(self.last_voiced).as_secs_f64() * 1_000.0);
    }

    async fn recognise(&mut self, ask: Ask, audio: Arc<[f32]>) {
        let began = cpu_time();
        let job = AsrJob { audio, purpose: ask.purpose, prompt: None };
        let text = self.whisper.transcribe(job).await.expect("a transcript").text;
        let cpu = cpu_time() - began;
        self.told.cpu += cpu;
        self.busy_until = self.busy_until.max(self.at) + cpu;
        self.count += 1;
        let key = (self.busy_until.us(), self.count);
        if ask.purpose == AsrPurpose::Partial {
            self.partial = Some(key);
        }
        let cpu_ms = cpu.as_secs_f64() * 1_000.0;
        self.due.insert(key, Answer { ask, asked: self.at, cpu_ms, text });
    }
}
