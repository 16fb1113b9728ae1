//! One call in virtual time: the real conversation, ear, mouth's coder and canceller on one side, the far end on the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use duologue_core::audio::level::level_dbfs;
use duologue_core::audio::opus::{OpusEncoder, OpusSettings};
use duologue_core::audio::vad::{SileroVad, SileroWeights};
use duologue_core::audio::{HEAR_RATE, LINE_FRAME};
use duologue_core::backend::{Speech, WordMark};
use duologue_core::dialogue::conversation::{Conversation, ConversationSettings, Effect, Input};
use duologue_core::dialogue::judge::{Judge, Moment, RulesJudge};
use duologue_core::dialogue::persona::Persona;
use duologue_core::media::ear::{Ear, EarSettings};
use duologue_core::media::echo::EchoMeans;
use duologue_core::media::rtp::RtpPacket;
use duologue_core::media::segment::Heard;
use duologue_core::time::CallTime;
use duologue_signaling::event::{Event, FloorState, TurnOutcome};

use crate::counts::Counts;
use crate::far_end::{FarEnd, OPUS};
use crate::material::{Clauses, Clip};
use crate::room::{Dice, Path};

/// A recognition of a short utterance on a busy machine, and the pace of speech.
const RECOGNISING_MS: u64 = 150;
const WORD_MS: u64 = 300;
/// A stop so long after an onset still belongs to it, and sound so long after a clip is still its end.
const LATEST_STOP_MS: u64 = 3_000;
const AFTERMATH_MS: u64 = 1_500;
/// An agent who finishes so long after the onset has had time enough to stop.
const IN_TIME_MS: u64 = 1_500;
/// A breath before the first word is the caller's, too.
const BREATH_MS: u64 = 300;
/// A short answer, and the longest that it may take to be noticed.
const ANSWER_MS: u64 = 1_000;
const LATEST_NOTICE_MS: u64 = 1_200;
/// One interruption in so much speech of the agent, at random.
const INTERRUPTION_EVERY_S: f32 = 10.0;

/// What the caller is doing, and when its first word begins and its last ends.
#[derive(Clone, Copy, Debug)]
struct Act {
    kind: Kind,
    onset_ms: u64,
    end_ms: u64,
    /// The agent did what it should.
    noticed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Interruption,
    /// Right after the agent's last word.
    Answer,
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
    /// The moment of an answer that the caller has in mind.
    answer_at_ms: Option<u64>,
    act: Option<Act>,
    counts: Counts,
    trace: bool,
}

pub struct Plan<'a> {
    pub clauses: &'a Clauses,
    pub clips: &'a [Clip],
    pub weights: &'a Arc<SileroWeights>,
    pub means: EchoMeans,
    pub path: Path,
    pub seed: u64,
    pub trace: bool,
    /// The first interruption comes within the agent's first two seconds.
    pub early: bool,
    /// `floor.echo_likelihood`.
    pub threshold: f32,
}

fn persona() -> Persona {
    let mut persona = Persona::blank("porter");
    persona.prompt = "You are a porter.".into();
    persona.opening = "Hello. ".repeat(2).trim_end().into();
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
        };
        let vad = SileroVad::new(plan.weights.clone());
        let mut ear = Ear::new(settings, Box::new(vad), OPUS).expect("an ear");
        ear.mind_echo(plan.means);
        let mut dice = Dice(plan.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..10 {
            dice.roll();
        }
        let mut conversation = ConversationSettings::default();
        conversation.floor.echo_likelihood = plan.threshold;
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
            answer_at_ms: None,
            act: None,
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
        while self.spoken_ms < agent_ms && self.now_ms < agent_ms * 3 {
            let at = CallTime::from_ms(self.now_ms);
            let began = Instant::now();
            if let Some(packet) = waiting.take() {
                self.ear.packet(at - Duration::from_millis(10), packet);
            }
            let heard = self.ear.listen(at);
            let listening = began.elapsed();
            while let Some(next) = self.due.iter().position(|(when, _)| *when <= self.now_ms) {
                let (_, input) = self.due.remove(next);
                self.talk.on(at, input);
                self.execute();
            }
            self.talk.tick(at, heard.hearing());
            self.execute();
            let mut frame = [0.0; LINE_FRAME];
            let speech = self.talk.frame(at, &mut frame);
            self.execute();
            let began = Instant::now();
            self.ear.played(&frame);
            self.counts.ear_us.push((listening + began.elapsed()).as_nanos() as f32 / 1e3);
            self.spoken_ms += if speech { 20 } else { 0 };
            if self.trace {
                self.show(&frame, &heard);
            }
            let packet = self.mouth.encode(&frame).expect("a packet");
            waiting = Some(self.far.tick(&packet));
            self.stage();
            self.now_ms += 20;
        }
        self.counts.agent_ms = self.spoken_ms;
        self.counts
    }

    fn show(&self, frame: &[f32], heard: &Heard) {
        println!(
            "{:7} {:8} said {:6.1} heard {:6.1} speech {:4} silence {:5} echo {:.2} p {:.2} near {:6.1}",
            self.now_ms,
            format!("{:?}", self.talk.floor()),
            level_dbfs(frame),
            level_dbfs(self.ear.frame()),
            heard.speech_ms,
            heard.silence_ms.min(99_999),
            heard.echo_likelihood,
            heard.probability,
            self.far.near_dbfs,
        );
    }

    fn note(&self, what: &str) {
        if self.trace {
            println!("{:7} {what}", self.now_ms);
        }
    }

    /// Gives the agent something to say when nobody speaks, and the caller a moment to interrupt or to answer.
    fn stage(&mut self) {
        self.settle();
        self.idle_ms = if self.talk.floor() == FloorState::Idle { self.idle_ms + 20 } else { 0 };
        let quiet = self.far.is_silent() && self.act.is_none();
        if self.idle_ms >= 1_200 && quiet && self.answer_at_ms.is_none() {
            self.idle_ms = 0;
            self.later(0, Input::Typed("Please go on.".into()));
        }
        if quiet && self.answer_at_ms.is_some_and(|at| self.now_ms >= at) {
            self.answer_at_ms = None;
            if self.talk.floor() == FloorState::Idle {
                self.act(Kind::Answer, ANSWER_MS);
            }
        }
        if quiet && self.talk.floor() == FloorState::Agent && self.spoken_ms >= self.next_interruption_ms {
            self.act(Kind::Interruption, u64::MAX);
            let gap = INTERRUPTION_EVERY_S * 1_000.0 * (0.5 + self.dice.roll());
            self.next_interruption_ms = self.spoken_ms + gap as u64;
        }
    }

    fn act(&mut self, kind: Kind, longest_ms: u64) {
        let clip = &self.clips[self.dice.below(self.clips.len())];
        let ms = |samples: usize| (samples * 1_000 / HEAR_RATE as usize) as u64;
        let now = self.now_ms + 20;
        let (onset_ms, end_ms) =
            (now + ms(clip.onset), now + ms(clip.sound.len()).min(ms(clip.onset).saturating_add(longest_ms)));
        self.act = Some(Act { kind, onset_ms, end_ms, noticed: false });
        let samples = (end_ms - now) as usize * (HEAR_RATE as usize / 1_000);
        self.far.say(&clip.sound[..samples.min(clip.sound.len())]);
    }

    /// Counts what was not noticed in time, and forgets what is over.
    fn settle(&mut self) {
        let Some(act) = self.act else { return };
        let latest_ms = if act.kind == Kind::Interruption { LATEST_STOP_MS } else { LATEST_NOTICE_MS };
        if !act.noticed && self.now_ms > act.onset_ms + latest_ms {
            self.miss(act);
        } else if act.noticed && self.now_ms > act.end_ms + AFTERMATH_MS {
            self.act = None;
        }
    }

    fn miss(&mut self, act: Act) {
        match act.kind {
            Kind::Interruption => {
                self.counts.interruptions += 1;
                self.counts.missed += 1;
                self.note("MISSED");
            }
            Kind::Answer => {
                self.counts.answers += 1;
                self.counts.unheard += 1;
                self.note("UNHEARD");
            }
        }
        // What is left of it is nobody's fault any more.
        self.act = Some(Act { noticed: true, ..act });
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
                self.later(
                    0,
                    Input::Judged { turn, revision, moment: Moment::EndOfTurn, judge: "rules", verdict, took_ms: 0.0 },
                );
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
            Effect::Prime(_)
            | Effect::VoiceAttention { .. }
            | Effect::DropTurn { .. }
            | Effect::Keep(_)
            | Effect::End { .. } => {}
        }
    }

    fn later(&mut self, ms: u64, input: Input) {
        self.due.push((self.now_ms + ms, input));
    }

    /// What the recogniser makes of the sound so far, at three words a second. An echo is the worst it can be: taken for
    /// words that nobody said, and not for the agent's own.
    fn words(&self) -> String {
        let told = |words: &str, ms: u64| words.split(' ').take((ms / WORD_MS) as usize).collect::<Vec<_>>().join(" ");
        match self.act {
            Some(act) if act.onset_ms < self.now_ms => {
                told("Tell me more about that please", self.now_ms - act.onset_ms)
            }
            _ => {
                let ms = self.ear.utterance().len() as u64 * 1_000 / u64::from(HEAR_RATE);
                told("Oranges grow on the hills", ms.saturating_sub(300))
            }
        }
    }

    fn told(&mut self, event: &Event) {
        match event {
            Event::TurnEnded { outcome: TurnOutcome::Interrupted, .. } => self.stopped(),
            Event::TurnEnded { outcome: TurnOutcome::Completed, .. } => self.finished(),
            Event::Floor { state } => {
                self.moved(*state);
                self.floor = *state;
            }
            _ => {}
        }
    }

    fn stopped(&mut self) {
        match &mut self.act {
            // The last frame before this tick was the last with sound; the ear hears it for 20 ms.
            Some(act) if act.kind == Kind::Interruption && !act.noticed && self.now_ms + BREATH_MS >= act.onset_ms => {
                act.noticed = true;
                self.counts.interruptions += 1;
                self.counts.stop_ms.push(self.now_ms.saturating_sub(act.onset_ms));
            }
            Some(act) if act.noticed => {}
            _ => {
                self.counts.false_stops += 1;
                self.note("FALSE STOP");
            }
        }
    }

    fn finished(&mut self) {
        match self.act {
            Some(act) if act.noticed => {}
            Some(act) if self.now_ms > act.onset_ms + IN_TIME_MS => self.miss(act),
            // It was about to end anyway: no interruption after all.
            Some(act) => self.act = Some(Act { noticed: true, ..act }),
            None if self.dice.roll() < 0.5 => self.answer_at_ms = Some(self.now_ms + 100 + self.dice.below(500) as u64),
            None => {}
        }
    }

    fn moved(&mut self, state: FloorState) {
        if state == FloorState::Suspect && self.act.is_none() {
            self.counts.doubts += 1;
        }
        let from_quiet = matches!(self.floor, FloorState::Idle | FloorState::Thinking);
        if state != FloorState::Caller || !from_quiet {
            return;
        }
        match &mut self.act {
            Some(act) if act.kind == Kind::Answer && !act.noticed && self.now_ms + BREATH_MS >= act.onset_ms => {
                act.noticed = true;
                self.counts.answers += 1;
            }
            Some(_) => {}
            None => {
                self.counts.ghost_turns += 1;
                self.note("GHOST");
            }
        }
    }
}
