//! How well and how fast the caller is heard: `cargo bench --bench hearing -- vad turn latency words digits silence`, or
//! some of them, and `tiny.en` or `base` for one model only.
//!
//! * `vad`: microseconds a frame.
//! * `turn`: milliseconds of the end-of-turn model.
//! * `latency`: milliseconds of recognition for cuts of a recording.
//! * `words`: word error rate over the test recordings for several windows.
//! * `digits`: the shortest utterances.
//! * `silence`: what is made of noise.
//!
//! Beside wall time stands the process's CPU time, because a busy machine stretches the former.

mod scoring;
#[path = "../tests/shared/mod.rs"]
mod shared;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use duologue::audio::HEAR_RATE;
use duologue::audio::log_mel::LogMel;
use duologue::audio::resample::Resampler;
use duologue::audio::vad::{SileroVad, SileroWeights, VAD_FRAME, Vad};
use duologue::backend::smart_turn::SmartTurn;
use duologue::backend::whisper::{AudioContext, Whisper, WhisperConfig};
use duologue::backend::{Asr, AsrJob, AsrPurpose, Transcript, TurnModel};
use scoring::{cpu_time, distance, noises, normal, spoken};

const MODELS: [&str; 2] = ["tiny.en", "base"];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |name: &str| asked.is_empty() || asked.iter().any(|argument| argument == name);
    let named = |model: &&str| asked.iter().any(|argument| argument == model);
    let models: Vec<&str> =
        if MODELS.iter().any(named) { MODELS.into_iter().filter(named).collect() } else { MODELS.to_vec() };
    if wanted("vad") {
        vad();
    }
    if wanted("turn") {
        turn().await;
    }
    if wanted("latency") {
        latency(&models).await;
    }
    if wanted("words") {
        words(&models).await;
    }
    if wanted("digits") {
        digits(&models).await;
    }
    if wanted("silence") {
        silence(&models).await;
    }
}

fn vad() {
    let (Some(file), Some(jfk)) =
        (shared::model("silero_vad_16k_op15.onnx", "silero-vad"), shared::recording("misc/jfk.wav"))
    else {
        return;
    };
    let weights = SileroWeights::parse(&std::fs::read(file).expect("readable")).expect("the Silero VAD");
    let mut vad = SileroVad::new(Arc::new(weights));
    let (frames, _) = jfk.as_chunks::<VAD_FRAME>();
    let mut took: Vec<Duration> = frames
        .iter()
        .chain(frames)
        .map(|frame| {
            let began = Instant::now();
            std::hint::black_box(vad.probability(frame));
            began.elapsed()
        })
        .collect();
    took.sort();
    let at = |part: usize| took[(took.len() - 1) * part / 100].as_micros();
    println!("vad: us a frame of 32 ms: best {}, median {}, p95 {}", at(0), at(50), at(95));
}

async fn turn() {
    let (Some(model), Some(runtime), Some(jfk)) = (
        shared::model("smart-turn-v3.2-cpu.onnx", "smart-turn"),
        shared::model("libonnxruntime.so.1.31.1", "onnxruntime"),
        shared::recording("misc/jfk.wav"),
    ) else {
        return;
    };
    let mut mel = LogMel::new();
    let began = Instant::now();
    for _ in 0..10 {
        std::hint::black_box(mel.picture(&jfk[..128_000]));
    }
    println!("turn: the picture alone: {} us", began.elapsed().as_micros() / 10);
    let turn = SmartTurn::load(&model, &runtime).expect("the model loads");
    let audio: Arc<[f32]> = jfk.into();
    let (mut best, mut best_cpu) = (Duration::MAX, Duration::MAX);
    for _ in 0..10 {
        let (began, cpu) = (Instant::now(), cpu_time());
        turn.complete(audio.clone()).await.expect("an answer");
        best = best.min(began.elapsed());
        best_cpu = best_cpu.min(cpu_time() - cpu);
    }
    println!("turn: {} ms at best, CPU {} ms", best.as_millis(), best_cpu.as_millis());
}

async fn latency(models: &[&str]) {
    let Some(jfk) = shared::recording("misc/jfk.wav") else { return };
    for &model in models {
        for threads in [1, 2] {
            let Some(whisper) = load(model, None, threads).await else { continue };
            for seconds in [1.2, 3.0, 6.0, 11.0] {
                let cut: Arc<[f32]> = jfk[..jfk.len().min((seconds * 16_000.0) as usize)].into();
                let (mut best, mut best_cpu) = (Duration::MAX, Duration::MAX);
                for _ in 0..4 {
                    let cpu = cpu_time();
                    best = best.min(hear(&whisper, &cut).await.took);
                    best_cpu = best_cpu.min(cpu_time() - cpu);
                }
                println!(
                    "latency: {model}, {threads} threads, {seconds} s: {} ms at best, CPU {} ms",
                    best.as_millis(),
                    best_cpu.as_millis()
                );
            }
        }
    }
}

/// Word error rate over the recordings whose text is known.
async fn words(models: &[&str]) {
    let texts = spoken();
    for &model in models {
        let own = if model == "base" { 300 } else { 180 };
        let windows = [
            AudioContext::Fitted { margin: own, at_least: 0 },
            AudioContext::Fitted { margin: own, at_least: 768 },
            AudioContext::Full,
        ];
        for window in windows {
            let Some(whisper) = load(model, Some(window), 1).await else { continue };
            let (mut errors, mut all, mut worst) = (0, 0, Vec::new());
            let (began, cpu) = (Instant::now(), cpu_time());
            for (name, text) in &texts {
                let Some(audio) = shared::recording(name) else { continue };
                let heard = hear(&whisper, &audio.into()).await;
                let (said, found) = (normal(text), normal(&heard.text));
                let wrong = distance(&said, &found);
                errors += wrong;
                all += said.len();
                if heard.confidence < 0.6 || heard.no_speech > 0.4 {
                    println!(
                        "    unsure: confidence {:.2}, no speech {:.2}: {}",
                        heard.confidence, heard.no_speech, heard.text
                    );
                }
                worst.push((wrong, heard.confidence, name, heard.text));
            }
            let mut sure: Vec<f32> = worst.iter().map(|(_, confidence, ..)| *confidence).collect();
            sure.sort_by(f32::total_cmp);
            println!("words: least confident {:.2?}", &sure[..sure.len().min(6)]);
            worst.sort_by_key(|(wrong, ..)| std::cmp::Reverse(*wrong));
            println!(
                "words: {model}, {window:?}: {:.2} % of {all} words wrong; {:.0} s, CPU {:.0} s",
                100.0 * errors as f64 / all.max(1) as f64,
                began.elapsed().as_secs_f64(),
                (cpu_time() - cpu).as_secs_f64()
            );
            for (wrong, confidence, name, text) in worst.iter().take(4) {
                println!("    {wrong} wrong, confidence {confidence:.2}, {name}: {text}");
            }
        }
    }
}

/// Single digits over the telephone: the shortest of utterances.
async fn digits(models: &[&str]) {
    const WORDS: [&str; 10] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/testdata/digits8k");
    let Ok(files) = std::fs::read_dir(folder) else { return };
    let mut files: Vec<_> = files.flatten().map(|file| file.path()).collect();
    files.sort();
    for &model in models {
        let Some(whisper) = load(model, None, 1).await else { continue };
        let (mut right, mut empty, mut sure) = (0, 0, Vec::new());
        for file in &files {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let digit = name.chars().next().and_then(|c| c.to_digit(10)).expect("a digit first") as usize;
            let mut wav = hound::WavReader::open(file).expect("a WAV file");
            let samples: Vec<f32> =
                wav.samples::<i16>().map(|sample| f32::from(sample.expect("readable")) / 32_768.0).collect();
            // With 0.3 s of room before and after.
            let mut audio = vec![0.0; 4_800];
            let mut upward = Resampler::new(8_000, HEAR_RATE).expect("usual rates");
            upward.push(&samples, &mut audio);
            upward.flush(&mut audio);
            audio.extend([0.0; 4_800]);
            let heard = hear(&whisper, &audio.into()).await;
            let found = normal(&heard.text);
            right += usize::from(found == [WORDS[digit]]);
            empty += usize::from(found.is_empty());
            if heard.confidence < 0.6 || heard.no_speech > 0.4 {
                println!(
                    "    {name}: {:?}, confidence {:.2}, no speech {:.2}",
                    heard.text, heard.confidence, heard.no_speech
                );
            }
            sure.push(heard.confidence);
        }
        sure.sort_by(f32::total_cmp);
        println!(
            "digits: {model}: {right} of {} right, {empty} empty; least confident {:.2?}",
            files.len(),
            &sure[..sure.len().min(12)]
        );
    }
}

/// Sounds without words must give no words.
async fn silence(models: &[&str]) {
    for &model in models {
        let Some(whisper) = load(model, None, 1).await else { continue };
        for (name, audio) in noises() {
            let heard = hear(&whisper, &audio.into()).await;
            println!(
                "silence: {model}, {name}: {:?}, no speech {:.2}, confidence {:.2}, {} ms",
                heard.text,
                heard.no_speech,
                heard.confidence,
                heard.took.as_millis()
            );
        }
    }
}

async fn load(model: &str, window: Option<AudioContext>, threads: u32) -> Option<Whisper> {
    let file = shared::model(&format!("ggml-{model}.bin"), &format!("whisper-{model}"))?;
    let config = WhisperConfig {
        threads_partial: threads,
        threads_final: threads,
        final_context: window,
        ..WhisperConfig::new(&file, &file)
    };
    let whisper = Whisper::load(&config).expect("the model loads");
    whisper.warm().await.expect("the engine runs");
    Some(whisper)
}

async fn hear(whisper: &Whisper, audio: &Arc<[f32]>) -> Transcript {
    let job = AsrJob { audio: audio.clone(), purpose: AsrPurpose::Final, prompt: None };
    whisper.transcribe(job).await.expect("a transcript")
}
