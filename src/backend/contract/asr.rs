//! What every recogniser must do.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::{Finding, Outcome};
use crate::audio::HEAR_RATE;
use crate::backend::{Asr, AsrError, AsrJob, AsrPurpose, Transcript};

/// A check that takes longer has hung, on any machine that can hold a conversation.
const HANG: Duration = Duration::from_secs(120);
const SECOND: usize = HEAR_RATE as usize;

/// Runs all checks; takes from milliseconds (scripted) to some ten seconds (a real engine on a small CPU).
pub async fn check_asr(asr: &dyn Asr) -> Vec<Finding> {
    vec![
        finding("runs once before it is needed", warms_up(asr)).await,
        finding("says what it is", named(asr)).await,
        finding("hears no words in silence", nothing_in(asr, vec![0.0; SECOND])).await,
        finding("hears no words in a faint hiss", nothing_in(asr, hiss(2 * SECOND, 0.000_5))).await,
        finding("hears no words in no audio at all", nothing_in(asr, Vec::new())).await,
        finding("takes the shortest utterance", takes(asr, hum(SECOND / 20))).await,
        finding("takes more audio than its window", takes(asr, hum(31 * SECOND))).await,
        finding("gives probabilities between 0 and 1", takes(asr, hum(2 * SECOND))).await,
        finding("survives samples that are no numbers", takes(asr, spoilt())).await,
        finding("takes any prompt", takes_any_prompt(asr)).await,
        finding("goes on after an utterance was given up", goes_on(asr)).await,
        finding("answers everybody who asks at once", answers_all(asr)).await,
    ]
}

async fn finding(name: &'static str, check: impl Future<Output = Result<(), String>>) -> Finding {
    let outcome = match timeout(HANG, check).await {
        Ok(Ok(())) => Outcome::Holds,
        Ok(Err(why)) => Outcome::Broken(why),
        Err(_) => Outcome::Broken(format!("nothing for {} s", HANG.as_secs())),
    };
    Finding { name, outcome }
}

async fn warms_up(asr: &dyn Asr) -> Result<(), String> {
    asr.warm().await.map_err(|fault| fault.to_string())
}

async fn named(asr: &dyn Asr) -> Result<(), String> {
    if asr.name().trim().is_empty() { Err("its name is empty".into()) } else { Ok(()) }
}

async fn nothing_in(asr: &dyn Asr, audio: Vec<f32>) -> Result<(), String> {
    let audio: Arc<[f32]> = audio.into();
    for purpose in [AsrPurpose::Partial, AsrPurpose::Doubt, AsrPurpose::Final] {
        let heard = hear(asr, &audio, purpose, None).await?;
        if !heard.text.is_empty() {
            return Err(format!("heard {:?} for a {purpose:?}", heard.text));
        }
    }
    Ok(())
}

async fn takes(asr: &dyn Asr, audio: Vec<f32>) -> Result<(), String> {
    hear(asr, &audio.into(), AsrPurpose::Final, None).await.map(drop)
}

async fn takes_any_prompt(asr: &dyn Asr) -> Result<(), String> {
    let audio = hum(SECOND).into();
    for prompt in ["", "\0", "Zo\u{eb}, \u{5f20}\u{4f1f}, \u{1f642}", &"Krzysztof ".repeat(60)] {
        hear(asr, &audio, AsrPurpose::Final, Some(prompt)).await?;
    }
    Ok(())
}

/// Gives up one utterance before it was begun and one (most likely) while it is worked on.
async fn goes_on(asr: &dyn Asr) -> Result<(), String> {
    let audio: Arc<[f32]> = hum(4 * SECOND).into();
    drop(asr.transcribe(job(&audio, AsrPurpose::Final, None)));
    for patience in [Duration::ZERO, Duration::from_millis(30)] {
        // Whether the answer came before the patience ended does not matter; that the next one comes does.
        let _ = timeout(patience, asr.transcribe(job(&audio, AsrPurpose::Final, None))).await;
    }
    takes(asr, hum(SECOND)).await
}

/// A partial may be given up for a final: that is an answer, too, which a busy machine gives more often than an idle one.
async fn answers_all(asr: &dyn Asr) -> Result<(), String> {
    let audio: Arc<[f32]> = hum(SECOND).into();
    let ask = async |purpose| match asr.transcribe(job(&audio, purpose, None)).await {
        Err(AsrError::MadeWay) if purpose == AsrPurpose::Partial => Ok(()),
        Err(fault) => Err(fault.to_string()),
        Ok(heard) => sound(&heard),
    };
    let (a, b, c, d) = tokio::join!(
        ask(AsrPurpose::Partial),
        ask(AsrPurpose::Final),
        ask(AsrPurpose::Partial),
        ask(AsrPurpose::Final)
    );
    [a, b, c, d].into_iter().collect()
}

async fn hear(
    asr: &dyn Asr,
    audio: &Arc<[f32]>,
    purpose: AsrPurpose,
    prompt: Option<&str>,
) -> Result<Transcript, String> {
    let heard = asr.transcribe(job(audio, purpose, prompt)).await.map_err(|fault| fault.to_string())?;
    sound(&heard).map(|()| heard)
}

/// Whether a transcript has the form that is promised.
fn sound(heard: &Transcript) -> Result<(), String> {
    if heard.text.trim() != heard.text {
        return Err(format!("{:?} is not trimmed", heard.text));
    }
    for (name, value) in [("confidence", heard.confidence), ("no_speech", heard.no_speech)] {
        if !(0.0..=1.0).contains(&value) {
            return Err(format!("{name} is {value}"));
        }
    }
    Ok(())
}

fn job(audio: &Arc<[f32]>, purpose: AsrPurpose, prompt: Option<&str>) -> AsrJob {
    AsrJob { audio: audio.clone(), purpose, prompt: prompt.map(Arc::from) }
}

/// A voiced sound without words.
fn hum(samples: usize) -> Vec<f32> {
    (0..samples).map(|i| 0.1 * (i as f32 * 0.05).sin() + 0.05 * (i as f32 * 0.15).sin()).collect()
}

fn hiss(samples: usize, level: f32) -> Vec<f32> {
    let mut seed = 1u32;
    let mut noise = move || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..samples).map(|_| level * noise()).collect()
}

fn spoilt() -> Vec<f32> {
    let mut audio = hum(SECOND);
    audio[100] = f32::NAN;
    audio[200] = f32::INFINITY;
    audio[300] = f32::MAX;
    audio
}
