//! Ten thousand barge-ins against a listener who writes down what came out of the loudspeaker. The voice hides in its sound
//! which word it is saying; the listener reads that back from the frames that left, each as late as the network makes it.
//! What the word ledger says must be what the listener got, to one word and to 40 ms.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use duologue_core::audio::LINE_FRAME;
use duologue_core::backend::{Clause, Speech, WordMark};
use duologue_core::dialogue::conversation::{Conversation, ConversationSettings, Effect, Input};
use duologue_core::dialogue::floor::Hearing;
use duologue_core::dialogue::persona::Persona;
use duologue_core::journal::{EndReason, Entry, WordFate};
use duologue_core::media::far_ear::PlayoutReport;
use duologue_core::time::CallTime;

const BARGE_INS: u64 = 10_000;
const TOLERANCE_MS: u64 = 40;
/// The line is silent for so long before the agent speaks: a client has told what it plays by then.
const LEAD_MS: u64 = 1_400;

/// Marsaglia's xorshift: one seed, one story.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        let mut dice = Self((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        dice.below(2);
        dice
    }

    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % most
    }

    fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.below(range.end - range.start)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// How a word is hidden: samples come in pairs whose ratio is the word's number, and its last pairs carry a flag. A fade or
/// a duck changes the level and not the ratio.
const SCALE: f32 = 512.0;
const END_SAMPLES: usize = 96;

fn sound(word: usize, samples: usize) -> Vec<f32> {
    let pairs = |code: usize, samples: usize| [0.5, 0.5 * code as f32 / SCALE].repeat(samples / 2);
    let mut sound = pairs(2 * word + 1, samples - END_SAMPLES);
    sound.extend(pairs(2 * word + 2, END_SAMPLES));
    sound
}

/// The listener: which words ended on the loudspeaker, and when, milliseconds of the call.
#[derive(Default)]
struct Notes {
    ended: Vec<Option<f64>>,
}

impl Notes {
    /// A frame whose first sample sounds at `at_ms`; nothing after `until_ms` is listened to.
    fn frame(&mut self, frame: &[f32; LINE_FRAME], at_ms: f64, until_ms: f64) {
        if frame[0] == 0.0 {
            return;
        }
        let code = |at: usize| match frame[at] {
            0.0 => 0,
            level => (frame[at + 1] / level * SCALE).round() as usize,
        };
        // A frame that is fading away belongs to a hold: what it says is said again if the turn goes on.
        let sounding = frame.iter().rposition(|sample| *sample != 0.0).unwrap_or(0) & !1;
        // (Where it is only ducked, an eighth of the level is left, and the way there takes the whole frame.)
        if frame[sounding] < 0.06 * frame[0] || frame[2] < 0.996 * frame[0] {
            return;
        }
        // The flag at a word's end is as long as the step: every one is met, and then followed to its last pair.
        for step in (0..LINE_FRAME).step_by(END_SAMPLES) {
            let flag = code(step);
            if flag == 0 || flag % 2 == 1 {
                continue;
            }
            let last = (step..LINE_FRAME).step_by(2).take_while(|at| code(*at) == flag).last().unwrap_or(step);
            let sounds_ms = at_ms + (last + 2) as f64 / 48.0;
            if sounds_ms <= until_ms {
                let word = flag / 2 - 1;
                self.ended.resize(self.ended.len().max(word + 1), None);
                self.ended[word] = Some(sounds_ms);
            }
        }
    }
}

/// One call: the agent greets, the caller may cough, then cuts in or hangs up.
struct Story {
    dice: Dice,
    talk: Conversation,
    word_samples: Vec<usize>,
    clauses: VecDeque<(u64, Input)>,
    next_word: usize,
    /// One way, and what the receiver buffers, milliseconds.
    network_ms: u64,
    buffer_ms: f64,
    /// Reports on their way to us, by arrival.
    reports: VecDeque<(u64, PlayoutReport)>,
    reporting: bool,
    client_zero_ms: u64,
    cough: Range<u64>,
    barge_in_ms: u64,
    hang_up_ms: u64,
    notes: Notes,
    frames: u64,
    ledger: Option<(String, Vec<WordFate>)>,
}

impl Story {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let words = dice.within(3..9) as usize;
        let mut persona = Persona::blank("porter");
        let mark = |n: usize, dice: &mut Dice| if n % 4 == 3 && dice.chance(50) { "." } else { "" };
        let text: Vec<String> = (0..words).map(|n| format!("Word{n}{}", mark(n, &mut dice))).collect();
        persona.opening = text.join(" ");
        let reporting = dice.chance(60);
        let network_ms = dice.within(1..100);
        // A client that says nothing about its buffer is taken for one of 100 ms.
        let buffer_ms = if reporting { dice.within(10..400) } else { dice.within(72..128) } as f64;
        let mut talk = Conversation::new("call".into(), Arc::new(persona), ConversationSettings::default());
        talk.on(CallTime::ZERO, Input::RoundTrip(Duration::from_millis(2 * network_ms)));
        let word_samples = (0..words).map(|_| 2 * dice.within(2_880..7_200) as usize).collect::<Vec<_>>();
        let length_ms = word_samples.iter().sum::<usize>() as u64 / 48;
        let barge_in_ms = LEAD_MS + dice.within(80..length_ms + 200);
        let cough_ms = dice.within(LEAD_MS..barge_in_ms);
        let cough = if dice.chance(40) { cough_ms..cough_ms + dice.within(60..180) } else { 0..0 };
        let hang_up_ms = if dice.chance(20) { barge_in_ms } else { LEAD_MS + length_ms + 3_000 };
        Self {
            talk,
            word_samples,
            clauses: VecDeque::new(),
            next_word: 0,
            network_ms,
            buffer_ms,
            reports: VecDeque::new(),
            reporting,
            client_zero_ms: dice.below(1_000_000),
            cough,
            barge_in_ms,
            hang_up_ms,
            notes: Notes::default(),
            frames: 0,
            ledger: None,
            dice,
        }
    }

    fn play(mut self) -> (Notes, Vec<WordFate>) {
        let mut now_ms = 0;
        while self.ledger.is_none() && now_ms < self.hang_up_ms {
            if now_ms == LEAD_MS {
                self.talk.start(CallTime::from_ms(now_ms));
                self.execute(now_ms);
            }
            self.tick(now_ms);
            now_ms += 20;
        }
        // The caller put the receiver down a moment before we learned of it; what came out of it later, nobody heard.
        self.talk.finish(CallTime::from_ms(now_ms), EndReason::CallerHangup, "");
        self.execute(now_ms);
        let (_, words) = self.ledger.expect("a ledger of the greeting");
        (self.notes, words)
    }

    fn tick(&mut self, now_ms: u64) {
        let at = CallTime::from_ms(now_ms);
        while let Some((due, input)) = self.clauses.pop_front_if(|(due, _)| *due <= now_ms) {
            self.talk.on(CallTime::from_ms(due), input);
            self.execute(now_ms);
        }
        while let Some((due, report)) = self.reports.pop_front_if(|(due, _)| *due <= now_ms) {
            self.talk.on(CallTime::from_ms(due), Input::Playout(report));
        }
        self.talk.tick(at, self.hearing(now_ms));
        self.execute(now_ms);
        let mut frame = [0.0; LINE_FRAME];
        self.talk.frame(at, &mut frame);
        self.execute(now_ms);
        // The receiver's buffer breathes by a few milliseconds.
        self.buffer_ms += if self.dice.chance(50) { 0.3 } else { -0.3 };
        let way_ms = self.network_ms as f64 + self.buffer_ms;
        self.notes.frame(&frame, now_ms as f64 + way_ms, self.hang_up_ms as f64);
        if self.reporting && self.frames % 10 == 0 {
            self.report(now_ms, way_ms);
        }
        self.frames += 1;
    }

    /// What plays now, rounded as browsers do: to the packet, and to a grain of the sound card's clock.
    fn report(&mut self, now_ms: u64, way_ms: f64) {
        let Some(line_ms) = now_ms.checked_sub(way_ms as u64) else { return };
        let line = (line_ms / 20 * 20 * 48) as u32;
        let at_ms = self.client_zero_ms + now_ms - (line_ms % 20) + self.dice.below(11);
        let queued = if self.dice.chance(10) { self.dice.below(400) } else { 0 };
        let arrives = (now_ms + self.network_ms + queued).max(self.reports.back().map_or(0, |(due, _)| *due));
        self.reports.push_back((arrives, PlayoutReport { line, at_ms }));
    }

    /// 60 ms make an onset, 100 ms of silence an offset, as in the segmenter.
    fn hearing(&self, now_ms: u64) -> Hearing {
        let sounds = [self.cough.clone(), self.barge_in_ms..self.barge_in_ms + 2_000];
        let Some(last) = sounds.into_iter().rev().find(|sound| !sound.is_empty() && sound.start <= now_ms) else {
            return Hearing { silence_ms: now_ms as u32, ..Hearing::default() };
        };
        let (voiced, silence) = (now_ms.min(last.end) - last.start, now_ms.saturating_sub(last.end));
        let speech = voiced >= 60 && silence < 100;
        let speech_ms = if speech { voiced as u32 } else { 0 };
        Hearing { speech, speech_ms, silence_ms: silence as u32, ..Hearing::default() }
    }

    fn execute(&mut self, now_ms: u64) {
        loop {
            let effects: Vec<Effect> = self.talk.effects().collect();
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                match effect {
                    Effect::Speak { turn, clause, what } => self.speak(now_ms, turn, clause, &what),
                    Effect::Keep(Entry::Words { text, words, .. }) => drop(self.ledger.get_or_insert((text, words))),
                    _ => {}
                }
            }
        }
    }

    /// The voice: the plan at once, the sound in pieces that may come slower than they are played.
    fn speak(&mut self, now_ms: u64, turn: u32, clause: u32, what: &Clause) {
        let mut due = now_ms + self.dice.below(60);
        let mut marks = Vec::new();
        let mut pcm = Vec::new();
        let mut from = 0;
        for word in what.text.split_whitespace() {
            let start = from + what.text[from..].find(word).unwrap_or(0);
            from = start + word.len();
            pcm.extend(sound(self.next_word, self.word_samples[self.next_word]));
            self.next_word += 1;
            marks.push(WordMark { text: start..from, end: pcm.len() as u64 });
        }
        let plan = Speech::Plan { samples: pcm.len() as u64, words: marks };
        self.clauses.push_back((due, Input::Speech { turn, clause, speech: plan }));
        // One voice in ten does not keep up.
        let pause_ms = if self.dice.chance(10) { self.dice.within(100..160) } else { self.dice.below(60) };
        for piece in pcm.chunks(4_800) {
            self.clauses.push_back((due, Input::Speech { turn, clause, speech: Speech::Pcm(piece.to_vec()) }));
            due += pause_ms;
        }
        self.clauses.push_back((due, Input::Spoken { turn, clause, result: Ok(()) }));
    }
}

/// How the ledger and the listener's notes differ.
struct Verdict {
    words_apart: usize,
    worst_ms: f64,
    heard: usize,
}

fn judge(seed: u64) -> Verdict {
    let (notes, words) = Story::new(seed).play();
    let told = words.iter().take_while(|word| word.heard.is_some()).count();
    let got = notes.ended.iter().take_while(|ended| ended.is_some()).count();
    let both = words.iter().zip(&notes.ended).filter_map(|(word, ended)| Some((word.heard?.0, (*ended)?)));
    let worst_ms = both.map(|(told, got)| (told.us() as f64 / 1_000.0 - got).abs()).fold(0.0, f64::max);
    Verdict { words_apart: told.abs_diff(got), worst_ms, heard: got }
}

#[test]
fn the_ledger_says_what_the_listener_got() {
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get() as u64).min(8);
    let part =
        |first: u64| (first..BARGE_INS).step_by(threads as usize).map(|seed| (seed, judge(seed))).collect::<Vec<_>>();
    let verdicts: Vec<(u64, Verdict)> = std::thread::scope(|scope| {
        let parts: Vec<_> = (0..threads).map(|first| scope.spawn(move || part(first))).collect();
        parts.into_iter().flat_map(|part| part.join().expect("no panic")).collect()
    });
    assert_eq!(verdicts.len() as u64, BARGE_INS);
    let exact = verdicts.iter().filter(|(_, verdict)| verdict.words_apart == 0).count();
    let worst_ms = verdicts.iter().map(|(_, verdict)| verdict.worst_ms).fold(0.0, f64::max);
    let heard: usize = verdicts.iter().map(|(_, verdict)| verdict.heard).sum();
    println!(
        "{BARGE_INS} barge-ins, {heard} words heard; the same words in {exact}; the worst moment {worst_ms:.1} ms off"
    );
    let wrong: Vec<u64> = verdicts
        .iter()
        .filter(|(_, verdict)| verdict.words_apart > 1 || verdict.worst_ms > TOLERANCE_MS as f64)
        .map(|(seed, _)| *seed)
        .collect();
    assert!(
        wrong.is_empty(),
        "{} stories are wrong, the first with the seeds {:?}",
        wrong.len(),
        &wrong[..wrong.len().min(8)]
    );
    // What is counted must be there to be miscounted.
    assert!(heard as u64 > BARGE_INS, "{heard} words in all");
}
