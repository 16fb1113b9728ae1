//! The caller's words as a call hears them: `make bench-asr`, or `cargo bench --bench asr -- tax narrow names`, or some of
//! them; `tiny.en` or `base` for the model, `parts=3000,30000` for several lengths at which a turn is heard in parts (30000:
//! never), `pause=140` for the pause between two. `HEARING_EVERY=4` takes every fourth recording.
//!
//! * `tax`: recordings go through Opus, the ear, the conversation and the recogniser in virtual time. Printed: word error rate
//!   beside that of the same model over the whole recording at once, in the same run; CPU after the end of speech; how
//!   late partials are; how often a stable word changes.
//! * `narrow`: the same recordings over an 8 kHz line, brought to 16 kHz with a sinc and along straight lines.
//! * `names`: names with and without the persona's hotwords, and what hotwords do to noise.
//!
//! Virtual time takes the recogniser's CPU time for the time it works, one piece after the other: a machine with one free core.

mod scoring;
#[path = "../tests/shared/mod.rs"]
mod shared;
mod virtual_call;

use std::sync::Arc;

use duologue::audio::HEAR_RATE;
use duologue::audio::resample::Resampler;
use duologue::audio::vad::SileroWeights;
use duologue::backend::whisper::{AudioContext, Whisper, WhisperConfig};
use duologue::backend::{Asr, AsrJob, AsrPurpose, Transcript};
use scoring::{distance, noises, normal, spoken};
use virtual_call::{Parted, Told, VirtualCall};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let kinds = ["tax", "narrow", "names"];
    let any = asked.iter().any(|argument| kinds.contains(&argument.as_str()));
    let wanted = |name: &str| !any || asked.iter().any(|argument| argument == name);
    let model = if asked.iter().any(|argument| argument == "base") { "base" } else { "tiny.en" };
    let numbers = |key: &str, usual: u32| -> Vec<u32> {
        let given = asked.iter().find_map(|argument| argument.strip_prefix(key));
        given.map_or(vec![usual], |list| list.split(',').filter_map(|n| n.parse().ok()).collect())
    };
    if wanted("tax") {
        tax(model, &numbers("parts=", 3_000), &numbers("pause=", 140)).await;
    }
    if wanted("narrow") {
        narrow(model).await;
    }
    if wanted("names") {
        names(model).await;
    }
}

/// Errors and words of one recording.
type Score = (usize, usize);

async fn tax(model: &str, parts: &[u32], pauses: &[u32]) {
    let (Some(detector), Some(whisper), Some(whole)) = (
        shared::model("silero_vad_16k_op15.onnx", "silero-vad"),
        load(model, None).await,
        load(model, Some(AudioContext::Full)).await,
    ) else {
        return;
    };
    let detector = std::fs::read(detector).expect("readable");
    let detector = Arc::new(SileroWeights::parse(&detector).expect("the Silero VAD"));
    let settings: Vec<Parted> = parts
        .iter()
        .flat_map(|part_ms| pauses.iter().map(|pause_ms| Parted { part_ms: *part_ms, pause_ms: *pause_ms }))
        .collect();
    let mut offline: Vec<Score> = Vec::new();
    let mut online: Vec<Vec<Score>> = vec![Vec::new(); settings.len()];
    let mut told: Vec<Told> = vec![Told::default(); settings.len()];
    for (name, text) in spoken() {
        let Some(audio) = shared::recording(&name) else { continue };
        let said = normal(&text);
        for (n, parted) in settings.iter().enumerate() {
            let mut call = VirtualCall::new(&whisper, detector.clone(), *parted);
            call.play(&audio).await;
            if n == 0 {
                let heard = hear(&whole, &call.heard, None).await;
                offline.push((distance(&said, &normal(&heard.text)), said.len()));
            }
            online[n].push((distance(&said, &normal(&call.told.text)), said.len()));
            let (here, there) = (online[n].last().expect("pushed"), offline.last().expect("pushed"));
            if std::env::var_os("VERBOSE").is_some() && here.0 > there.0 + 1 {
                println!("    {name}, {parted:?}: {} against {} wrong: {}", here.0, there.0, call.told.text);
            }
            told[n].add(call.told);
        }
    }
    println!("tax: {model}, offline, whole window: {:.2} % of {} words wrong", rate(&offline), words(&offline));
    for ((parted, online), told) in settings.iter().zip(&online).zip(&mut told) {
        let (low, high) = bootstrap(online, &offline);
        println!(
            "tax: {model}, {parted:?}: {:.2} %, tax {:+.2} % (95 %: {low:+.2} to {high:+.2})",
            rate(online),
            rate(online) - rate(&offline)
        );
        told.print();
    }
}

/// The 8 kHz line: half the samples, and back.
async fn narrow(model: &str) {
    let Some(whisper) = load(model, None).await else { return };
    let (mut wide, mut sinc, mut lines) = (Vec::new(), Vec::new(), Vec::new());
    for (name, text) in spoken() {
        let Some(audio) = shared::recording(&name) else { continue };
        let said = normal(&text);
        let telephone = resampled(&audio, HEAR_RATE, 8_000);
        let straight: Vec<f32> =
            telephone.windows(2).flat_map(|pair| [pair[0], f32::midpoint(pair[0], pair[1])]).collect();
        for (scores, audio) in
            [(&mut wide, audio), (&mut sinc, resampled(&telephone, 8_000, HEAR_RATE)), (&mut lines, straight)]
        {
            let heard = hear(&whisper, &audio, None).await;
            scores.push((distance(&said, &normal(&heard.text)), said.len()));
        }
    }
    println!(
        "narrow: {model}: 16 kHz {:.2} %, 8 kHz with a sinc {:.2} %, along straight lines {:.2} % of {} words wrong",
        rate(&wide),
        rate(&sinc),
        rate(&lines),
        words(&wide)
    );
}

/// Names of one novel, read by one voice.
async fn names(model: &str) {
    const NAMES: [&str; 8] = ["margaret", "hale", "thornton", "higgins", "boucher", "milton", "bessy", "nicholas"];
    const PROMPT: &str = "Margaret, Mr. Hale, Mr. Thornton, Higgins, Boucher, Milton, Bessy, Nicholas.";
    let Some(whisper) = load(model, None).await else { return };
    let (mut all, mut plain, mut told) = (0, 0, 0);
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for (name, text) in spoken() {
        let said = normal(&text);
        let named: Vec<&String> = said.iter().filter(|word| NAMES.contains(&word.as_str())).collect();
        let Some(audio) = shared::recording(&name).filter(|_| !named.is_empty()) else { continue };
        all += named.len();
        for (prompt, right, scores) in [(None, &mut plain, &mut without), (Some(PROMPT), &mut told, &mut with)] {
            let heard = normal(&hear(&whisper, &audio, prompt).await.text);
            *right += named.iter().filter(|name| heard.contains(name)).count();
            scores.push((distance(&said, &heard), said.len()));
        }
    }
    println!(
        "names: {model}: {plain} of {all} right, with hotwords {told}; {:.2} % of {} words wrong, with hotwords {:.2} %",
        rate(&without),
        words(&without),
        rate(&with)
    );
    let mut invented = 0;
    let noises = noises();
    for (name, audio) in &noises {
        let heard = hear(&whisper, audio, Some(PROMPT)).await;
        if !heard.text.is_empty() {
            invented += 1;
            println!(
                "    {name}: {:?}, confidence {:.2}, no speech {:.2}",
                heard.text, heard.confidence, heard.no_speech
            );
        }
    }
    println!("names: {model}: words in {invented} of {} kinds of noise with hotwords", noises.len());
}

async fn load(model: &str, window: Option<AudioContext>) -> Option<Whisper> {
    let file = shared::model(&format!("ggml-{model}.bin"), &format!("whisper-{model}"))?;
    let config = WhisperConfig { final_context: window, ..WhisperConfig::new(&file, &file) };
    let whisper = Whisper::load(&config).expect("the model loads");
    whisper.warm().await.expect("the engine runs");
    Some(whisper)
}

async fn hear(whisper: &Whisper, audio: &[f32], prompt: Option<&str>) -> Transcript {
    let job = AsrJob { audio: audio.into(), purpose: AsrPurpose::Final, prompt: prompt.map(Into::into) };
    whisper.transcribe(job).await.expect("a transcript")
}

fn resampled(audio: &[f32], from_hz: u32, to_hz: u32) -> Vec<f32> {
    let mut resampler = Resampler::new(from_hz, to_hz).expect("usual rates");
    let mut out = Vec::new();
    resampler.push(audio, &mut out);
    resampler.flush(&mut out);
    out
}

fn words(scores: &[Score]) -> usize {
    scores.iter().map(|(_, words)| words).sum()
}

/// Per cent.
fn rate(scores: &[Score]) -> f64 {
    100.0 * scores.iter().map(|(errors, _)| errors).sum::<usize>() as f64 / words(scores).max(1) as f64
}

/// The middle 95 % of the difference when recordings are drawn anew 2,000 times.
fn bootstrap(online: &[Score], offline: &[Score]) -> (f64, f64) {
    if online.is_empty() {
        return (0.0, 0.0);
    }
    let mut noise = shared::Noise(5);
    let mut differences: Vec<f64> = (0..2_000)
        .map(|_| {
            let drawn = |noise: &mut shared::Noise| ((noise.next() + 1.0) / 2.0 * online.len() as f64) as usize;
            let drawn: Vec<usize> = online.iter().map(|_| drawn(&mut noise).min(online.len() - 1)).collect();
            let pick = |scores: &[Score]| drawn.iter().map(|n| scores[*n]).collect::<Vec<_>>();
            rate(&pick(online)) - rate(&pick(offline))
        })
        .collect();
    differences.sort_by(f64::total_cmp);
    (differences[50], differences[1_949])
}
