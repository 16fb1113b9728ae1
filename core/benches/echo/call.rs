//! One call in virtual time: the real conversation, ear, mouth's coder and canceller on one side; a loudspeaker, a room, a
//! microphone and a caller who interrupts now and then on the other. Two Opus coders lie in between, as on the line.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use duologue_core::audio::opus::{OpusDecoder, OpusEncoder, OpusSettings};
use duologue_core::audio::resample::Resampler;
use duologue_core::audio::vad::{SileroVad, SileroWeights};
use duologue_core::audio::{HEAR_FRAME, HEAR_RATE, LINE_FRAME, LINE_RATE};
use duologue_core::backend::{Speech, WordMark};
use duologue_core::dialogue::conversation::{Conversation, ConversationSettings, Effect, Input};
use duologue_core::dialogue::judge::{Judge, RulesJudge};
use duologue_core::dialogue::persona::Persona;
use duologue_core::media::ear::{Ear, EarSettings};
use duologue_core::media::rtp::RtpPacket;
use duologue_core::time::CallTime;
use duologue_signaling::event::{Event, FloorState, TurnOutcome};

use crate::material::{Clauses, Clip};
use crate::room::{Dice, Path, Room};

const OPUS: u8 = 111;
/// A recognition of a short utterance on a busy machine, and the pace of speech.
const RECOGNISING_MS: u64 = 150;
const WORD_MS: u64 = 300;
/// The microphone's own noise.
const NOISE_DBFS: f32 = -65.0;
/// A stop so long after an onset still belongs to it, and sound so long after a clip is still its end.
const LATEST_STOP_MS: u64 = 3_000;
const AFTERMATH_MS: u64 = 1_500;
/// One interruption in so much speech of the agent, at random.
const INTERRUPTION_EVERY_S: f32 = 20.0;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mode {
    pub name: &'static str,
    pub canceller: bool,
    pub self_voice: bool,
}

/// What is counted.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub agent_ms: u64,
    pub call_ms: u64,
    pub false_stops: u64,
    /// Turns that the caller is said to have begun, with nobody speaking.
    pub ghost_turns: u64,
    pub doubts: u64,
    pub interruptions: u64,
    pub missed: u64,
    pub stop_ms: Vec<u64>,
    /// What the ear's part of each tick took, microseconds: packet, decoder, canceller, self-voice, detector.
    pub ear_us: Vec<f32>,
}

impl Counts {
    pub fn add(&mut self, other: Self) {
        self.agent_ms += other.agent_ms;
        self.call_ms += other.call_ms;
        self.false_stops += other.false_stops;
        self.ghost_turns += other.ghost_turns;
        self.doubts += other.doubts;
        self.interruptions += other.interruptions;
        self.missed += other.missed;
        self.stop_ms.extend(other.stop_ms);
        self.ear_us.extend(other.ear_us);
    }
}

/// The caller's end.
struct FarEnd<'a> {
    decoder: OpusDecoder,
    room: Room,
    up: Resampler,
    encoder: OpusEncoder,
    dice: Dice,
    sequence: u16,
    playing: Option<(&'a Clip, usize)>,
    near: f32,
}

impl<'a> FarEnd<'a> {
    fn new(path: Path, mut dice: Dice) -> Self {
        Self {
            decoder: OpusDecoder::new(HEAR_RATE).expect("a decoder"),
            room: Room::new(path, &mut dice),
            up: Resampler::live(HEAR_RATE, LINE_RATE).expect("usual rates"),
            encoder: OpusEncoder::new(OpusSettings::default()).expect("an encoder"),
            dice,
            sequence: 0,
            playing: None,
            near: -100.0,
        }
    }

    /// Plays a packet, gives the one that the microphone makes of it and of the caller.
    fn tick(&mut self, packet: &Bytes) -> RtpPacket {
        let mut played = Vec::with_capacity(HEAR_FRAME);
        self.decoder.decode(packet, &mut played);
        let mut frame = [0.0; HEAR_FRAME];
        self.room.hear(&played, &mut frame);
        let noise = 10.0_f32.powf(NOISE_DBFS / 20.0);
        for sample in &mut frame {
            *sample += (self.dice.roll() * 2.0 - 1.0) * 1.73 * noise;
        }
        self.near = -100.0;
        if let Some((clip, next)) = &mut self.playing {
            let end = (*next + HEAR_FRAME).min(clip.sound.len());
            self.near = duologue_core::audio::level::level_dbfs(&clip.sound[*next..end]);
            for (sample, voice) in frame.iter_mut().zip(&clip.sound[*next..]) {
                *sample += voice;
            }
            *next += HEAR_FRAME;
            if *next >= clip.sound.len() {
                self.playing = None;
            }
        }
        let mut line = Vec::with_capacity(LINE_FRAME);
        self.up.push(&frame, &mut line);
        let payload = self.encoder.encode(line.first_chunk().expect("20 ms")).expect("a packet");
        self.sequence = self.sequence.wrapping_add(1);
        let timestamp = u32::from(self.sequence) * LINE_FRAME as u32;
        RtpPacket { payload_type: OPUS, sequence: self.sequence, timestamp, ssrc: 1, marker: false, payload }
    }
}

pub struct Call<'a> {
    talk: Conversation,
    ear: Ear,
    mouth: OpusEncoder,
    far: FarEnd<'a>,
    clauses: &'a Clauses,
    clips: &'a [Clip],
    next_clause: usize,
    dice: Dice,
    /// Answers of the back ends, and when they arrive; in order.
    due: Vec<(u64, Input)>,
    now_ms: u64,
    floor: FloorState,
    idle_ms: u64,
    spoken_ms: u64,
    next_interruption_ms: u64,
    /// Moment of the labelled onset, and when the clip is over.
    interruption: Option<(u64, u64, bool)>,
    counts: Counts,
    trace: bool,
}

pub struct Plan<'a> {
    pub clauses: &'a Clauses,
    pub clips: &'a [Clip],
    pub weights: &'a Arc<SileroWeights>,
    pub mode: Mode,
    pub path: Path,
    pub seed: u64,
    pub trace: bool,
    /// The first interruption comes within the first two seconds.
    pub early: bool,
}

fn persona() -> Persona {
    let mut persona = Persona::blank("porter");
    persona.prompt = "You are a porter.".into();
    persona.opening = "Hello. ".repeat(8).trim_end().into();
    persona
}

impl<'a> Call<'a> {
    pub fn new(plan: &Plan<'a>) -> Self {
        let settings = EarSettings {
            jitter_min_ms: 20,
            jitter_max_ms: 240,
            stretch_speech: true,
            vad_threshold: 0.5,
            onset_ms: 90,
            pre_roll_ms: 300,
            part_ms: 3_000,
            part_pause_ms: 140,
            echo_likelihood: if plan.mode.self_voice {
                ConversationSettings::default().floor.echo_likelihood
            } else {
                1.0
            },
        };
        let vad = SileroVad::new(plan.weights.clone());
        let mut ear = Ear::new(settings, Box::new(vad), OPUS).expect("an ear");
        ear.cancel_echo(plan.mode.canceller);
        let mut dice = Dice(plan.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..10 {
            dice.roll();
        }
        let mut conversation = ConversationSettings::default();
        conversation.floor.echo_likelihood = settings.echo_likelihood;
        Self {
            talk: Conversation::new("bench".into(), Arc::new(persona()), conversation),
            ear,
            mouth: OpusEncoder::new(OpusSettings::default()).expect("an encoder"),
            far: FarEnd::new(plan.path, Dice(dice.0 ^ 0xabcd_ef01)),
            clauses: plan.clauses,
            clips: plan.clips,
            next_clause: dice.below(plan.clauses.len()),
            due: Vec::new(),
            now_ms: 0,
            floor: FloorState::Idle,
            idle_ms: 0,
            spoken_ms: 0,
            next_interruption_ms: if plan.early { 300 + dice.below(1_500) as u64 } else { 8_000 },
            interruption: None,
            counts: Counts::default(),
            trace: plan.trace,
            dice,
        }
    }

    /// Until the agent has spoken for so long.
    pub fn run(mut self, agent_ms: u64) -> Counts {
        self.talk.start(CallTime::ZERO);
        self.execute();
        let mut waiting: Option<RtpPacket> = None;
        let mut nears = VecDeque::from([-100.0f32; 4]);
        while self.spoken_ms < agent_ms && self.now_ms < agent_ms * 3 {
            let at = CallTime::from_ms(self.now_ms);
            let began = Instant::now();
            if let Some(packet) = waiting.take() {
                self.ear.packet(at - Duration::from_millis(10), packet);
            }
            let heard = self.ear.listen(at);
            let (heard, probability) = (heard.hearing(), heard.probability);
            let _ = nears.pop_front();
            nears.push_back(self.far.near);
            let listening = began.elapsed();
            while let Some(next) = self.due.iter().position(|(when, _)| *when <= self.now_ms) {
                let (_, input) = self.due.remove(next);
                self.talk.on(at, input);
                self.execute();
            }
            self.talk.tick(at, heard);
            self.execute();
            let mut frame = [0.0; LINE_FRAME];
            let speech = self.talk.frame(at, &mut frame);
            self.execute();
            let began = Instant::now();
            self.ear.played(&frame);
            self.counts.ear_us.push((listening + began.elapsed()).as_nanos() as f32 / 1e3);
            if speech {
                self.spoken_ms += 20;
            }
            if self.trace {
                let level = |f: &[f32]| duologue_core::audio::level::level_dbfs(f);
                println!(
                    "{:7} {:8} said {:6.1} heard {:6.1} speech {:4} silence {:5} echo {:.2} delay {:?} p {:.2} near {:6.1}",
                    self.now_ms,
                    format!("{:?}", self.talk.floor()),
                    level(&frame),
                    level(self.ear.frame()),
                    heard.speech_ms,
                    heard.silence_ms.min(99999),
                    heard.echo_likelihood,
                    self.ear.echo().self_voice().delay(),
                    probability,
                    nears[1]
                );
            }
            let packet = self.mouth.encode(&frame).expect("a packet");
            waiting = Some(self.far.tick(&packet));
            self.stage();
            self.now_ms += 20;
        }
        self.counts.agent_ms = self.spoken_ms;
        self.counts.call_ms = self.now_ms;
        self.counts
    }

    /// Gives the agent something to say when nobody speaks, and the caller a moment to interrupt.
    fn stage(&mut self) {
        self.idle_ms = if self.talk.floor() == FloorState::Idle { self.idle_ms + 20 } else { 0 };
        if self.idle_ms >= 1_200 && self.far.playing.is_none() {
            self.idle_ms = 0;
            self.later(0, Input::Typed("Please go on.".into()));
        }
        if let Some((onset, _, stopped)) = self.interruption
            && !stopped
            && self.now_ms > onset + LATEST_STOP_MS
        {
            self.counts.interruptions += 1;
            self.counts.missed += 1;
            if self.trace {
                println!("{:7} MISSED", self.now_ms);
            }
            self.interruption = None;
        }
        if let Some((_, end, true)) = self.interruption
            && self.now_ms > end + AFTERMATH_MS
        {
            self.interruption = None;
        }
        let free = self.interruption.is_none() && self.talk.floor() == FloorState::Agent;
        if free && self.spoken_ms >= self.next_interruption_ms {
            let clip = &self.clips[self.dice.below(self.clips.len())];
            let ms = |samples: usize| (samples * 1_000 / HEAR_RATE as usize) as u64;
            let now = self.now_ms + 20;
            self.interruption = Some((now + ms(clip.onset), now + ms(clip.sound.len()), false));
            self.far.playing = Some((clip, 0));
            let gap = INTERRUPTION_EVERY_S * 1_000.0 * (0.5 + self.dice.roll());
            self.next_interruption_ms = self.spoken_ms + gap as u64;
        }
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
        match effect {
            Effect::Transcribe { turn, revision, purpose } => {
                let text = Ok(self.words());
                self.later(RECOGNISING_MS, Input::Transcribed { turn, revision, purpose, text });
            }
            Effect::AskTurnModel { turn, revision } => {
                self.later(0, Input::Complete { turn, revision, probability: 0.9 });
            }
            Effect::Judge { turn, revision, situation } => {
                let verdict = RulesJudge.judge(&situation);
                self.later(0, Input::Judged { turn, revision, judge: "rules", verdict, took_ms: 0.0 });
            }
            Effect::Generate { turn, .. } => {
                self.later(0, Input::Token { turn, text: persona().opening });
                self.later(0, Input::Generated { turn, result: Ok(()) });
            }
            Effect::Speak { turn, clause, what } => {
                let pcm = self.clauses[self.next_clause % self.clauses.len()].clone();
                self.next_clause += 1;
                let samples = pcm.len() as u64;
                let words = vec![WordMark { text: 0..what.text.len(), end: samples }];
                self.later(0, Input::Speech { turn, clause, speech: Speech::Plan { samples, words } });
                self.later(0, Input::Speech { turn, clause, speech: Speech::Pcm(pcm) });
                self.later(0, Input::Spoken { turn, clause, result: Ok(()) });
            }
            Effect::CloseUtterance => self.ear.close_utterance(),
            Effect::Emit(event) => self.told(&event.event),
            Effect::Prime(_) | Effect::DropTurn { .. } | Effect::Keep(_) | Effect::End { .. } => {}
        }
    }

    fn later(&mut self, ms: u64, input: Input) {
        self.due.push((self.now_ms + ms, input));
    }

    /// What the recogniser makes of the sound so far, at three words a second. An echo is the worst it can be: taken for
    /// words that nobody said, and not for the agent's own.
    fn words(&self) -> String {
        let told = |words: &str, ms: u64| words.split(' ').take((ms / WORD_MS) as usize).collect::<Vec<_>>().join(" ");
        match self.interruption {
            Some((onset, ..)) if onset < self.now_ms => told("Tell me more about that please", self.now_ms - onset),
            _ => {
                let ms = self.ear.utterance().len() as u64 * 1_000 / u64::from(HEAR_RATE);
                told("Oranges grow on the hills", ms.saturating_sub(300))
            }
        }
    }

    fn told(&mut self, event: &Event) {
        let now = self.now_ms;
        match event {
            Event::TurnEnded { outcome: TurnOutcome::Interrupted, .. } => match &mut self.interruption {
                // The last frame before this tick was the last with sound; the ear hears it for 20 ms.
                Some((onset, _, stopped)) if !*stopped && now >= *onset => {
                    *stopped = true;
                    self.counts.interruptions += 1;
                    self.counts.stop_ms.push(now - *onset);
                }
                Some((_, _, true)) => {}
                _ => {
                    self.counts.false_stops += 1;
                    if self.trace {
                        println!("{now:7} FALSE STOP");
                    }
                }
            },
            Event::TurnEnded { outcome: TurnOutcome::Completed, .. } => {
                // It ended by itself: no interruption after all.
                if let Some((_, _, stopped)) = &mut self.interruption {
                    *stopped = true;
                }
            }
            Event::Floor { state } => {
                if *state == FloorState::Suspect && self.interruption.is_none() {
                    self.counts.doubts += 1;
                }
                let from_quiet = matches!(self.floor, FloorState::Idle | FloorState::Thinking);
                if *state == FloorState::Caller && from_quiet && self.interruption.is_none() {
                    self.counts.ghost_turns += 1;
                    if self.trace {
                        println!("{now:7} GHOST");
                    }
                }
                self.floor = *state;
            }
            _ => {}
        }
    }
}
