//! What is known at each pause of a caller's turn, for fitting the weights of [`duologue::dialogue::endpoint`]: the words, what
//! the turn model says as the pause grows, and whether the caller goes on.

use std::io::Write;

use duologue::audio::{LINE_FRAME, level};
use duologue::backend::AsrPurpose;
use duologue::dialogue::endpoint::Shape;
use duologue::dialogue::parts::{Cut, Parts};
use duologue::dialogue::question::asked;
use duologue::media::ear::Ear;
use duologue::media::segment::Heard;
use duologue::time::CallTime;
use serde::Serialize;

use super::models::Models;
use super::play::Agent;
use super::recipe::Scene;
use super::render::Labels;

/// The turn model is asked after so much of the pause, milliseconds.
const ASK_AT_MS: [u32; 5] = [140, 300, 500, 800, 1_100];
/// The words are asked for.
const WORDS_AT_MS: u32 = 100;

#[derive(Clone, Debug, Serialize)]
struct Pause {
    /// By the detector's clock.
    from_ms: u64,
    /// `None`: nobody went on.
    length_ms: Option<u64>,
    speaking_ms: u32,
    text: String,
    complete: Vec<f32>,
}

/// Somebody who only listens.
#[derive(Default)]
pub struct Listener {
    parts: Parts,
    pauses: Vec<Pause>,
    open: Option<Pause>,
    speaking_ms: u32,
    /// Of each tick: how likely it is speech, and its level.
    ticks: Vec<(f32, f32)>,
}

impl Listener {
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, scene: &Scene, question: &str, labels: &Labels, out: &mut impl Write) -> anyhow::Result<()> {
        let ms = |sample: usize| sample as u64 / 16;
        let (kind, half, ask) = (scene.kind.name(), scene.half, scene.ask.as_deref());
        if let Some(event) = &labels.event {
            let tick = |ms: u64| (ms / 20) as usize;
            let ticks = self.ticks.get(tick(ms(event.from))..).unwrap_or_default();
            let ticks = &ticks[..ticks.len().min(tick(ms(event.to - event.from)) + 25)];
            let line = serde_json::json!({
                "scene": scene.name, "kind": kind, "half": half, "synthetic": labels.synthetic, "db": scene.db,
                "length_ms": ms(event.to - event.from), "ticks": ticks,
            });
            writeln!(out, "{line}")?;
            return Ok(());
        }
        let asked = asked(question);
        for pause in self.pauses.iter().chain(&self.open) {
            let shape = format!("{:?}", Shape::of(&pause.text, asked));
            let line = serde_json::json!({
                "scene": scene.name, "kind": kind, "half": half, "synthetic": labels.synthetic, "ask": ask,
                "shape": shape, "over": pause.length_ms.is_none(), "turn_end_ms": ms(labels.turn_end), "pause": pause,
            });
            writeln!(out, "{line}")?;
        }
        Ok(())
    }

    fn part(&mut self, ear: &mut Ear, models: &mut Models) -> anyhow::Result<()> {
        let Some(part) = ear.take_part() else { return Ok(()) };
        let end = part.first_sample + part.audio.len() as u64;
        if let Cut::Ask(ask) = self.parts.cut(1, part.voiced_until, end, ear.heard()) {
            let (text, _) = models.transcribe(&part.audio, AsrPurpose::Final)?;
            self.parts.answer(ask, Ok(text));
        }
        Ok(())
    }

    fn words(&mut self, ear: &Ear, models: &mut Models) -> anyhow::Result<String> {
        let ask = self.parts.ask(1, 0, AsrPurpose::Final, ear.heard());
        let (text, _) = models.transcribe(&ear.utterance(), AsrPurpose::Final)?;
        let told = self.parts.answer(ask, Ok(text));
        Ok(told
            .into_iter()
            .find_map(|input| match input {
                duologue::dialogue::conversation::Input::Transcribed { text: Ok(text), .. } => Some(text),
                _ => None,
            })
            .unwrap_or_default())
    }
}

impl Agent for Listener {
    fn tick(&mut self, at: CallTime, heard: Heard, ear: &mut Ear, models: &mut Models) -> anyhow::Result<()> {
        self.ticks.push((heard.probability, level::level_dbfs(ear.frame())));
        self.part(ear, models)?;
        if heard.speech && heard.silence_ms == 0 {
            self.speaking_ms += 20;
            if let Some(mut pause) = self.open.take() {
                let began = at.ms().saturating_sub(u64::from(heard.speech_ms));
                pause.length_ms = Some(began.saturating_sub(pause.from_ms));
                self.pauses.push(pause);
            }
            return Ok(());
        }
        if self.speaking_ms == 0 || heard.silence_ms < WORDS_AT_MS {
            return Ok(());
        }
        if self.open.is_none() {
            let text = self.words(ear, models)?;
            let from_ms = at.ms().saturating_sub(u64::from(heard.silence_ms));
            let speaking_ms = self.speaking_ms;
            self.open = Some(Pause { from_ms, length_ms: None, speaking_ms, text, complete: Vec::new() });
        }
        if let Some(pause) = &mut self.open
            && let Some(ask_at) = ASK_AT_MS.get(pause.complete.len())
            && heard.silence_ms >= *ask_at
        {
            pause.complete.push(models.complete(&ear.turn_audio())?.0);
        }
        Ok(())
    }

    fn frame(
        &mut self,
        _: CallTime,
        _: &mut [f32; LINE_FRAME],
        _: &mut Ear,
        _: &mut Models,
    ) -> anyhow::Result<Option<u32>> {
        Ok(None)
    }

    fn stopped(&self) -> &[u32] {
        &[]
    }

    fn judged(&self) -> &[f32] {
        &[]
    }

    fn trace(&self) -> String {
        String::new()
    }
}
