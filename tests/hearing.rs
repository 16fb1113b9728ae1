//! What the real models hear, each test where its model is present, and the contract that every recogniser keeps.

mod shared;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use duologue::backend::contract::{Finding, check_asr};
use duologue::backend::scripted_asr::{Lines, ScriptedAsr};
use duologue::backend::smart_turn::SmartTurn;
use duologue::backend::whisper::{Whisper, WhisperConfig, WhisperFault};
use duologue::backend::{Asr, AsrJob, AsrPurpose, Transcript, TurnModel};

const TINY: (&str, &str) = ("ggml-tiny.en.bin", "whisper-tiny.en");
const BASE: (&str, &str) = ("ggml-base.bin", "whisper-base");
const SECOND: usize = 16_000;

#[tokio::test]
async fn a_recording_is_transcribed_by_partials_and_finals() {
    let Some(jfk) = shared::recording("misc/jfk.wav") else { return };
    for model in [TINY, BASE] {
        let Some(whisper) = whisper(model) else { continue };
        for purpose in [AsrPurpose::Partial, AsrPurpose::Final] {
            let heard = hear(&whisper, jfk.clone(), purpose).await;
            let text = heard.text.to_lowercase();
            assert!(text.contains("ask not what your country can do for you"), "{}: {text}", whisper.name());
            assert!(heard.confidence > 0.6 && heard.no_speech < 0.5 && heard.took > Duration::ZERO, "{heard:?}");
        }
    }
}

#[tokio::test]
async fn noise_gives_no_words() {
    for model in [TINY, BASE] {
        let Some(whisper) = whisper(model) else { continue };
        for level in [0.0, 0.003, 0.01, 0.1] {
            let mut noise = shared::Noise(11);
            let audio = (0..2 * SECOND).map(|_| level * noise.next() as f32).collect();
            let heard = hear(&whisper, audio, AsrPurpose::Final).await;
            assert_eq!(heard.text, "", "{} in noise at {level}", whisper.name());
        }
    }
}

#[tokio::test]
async fn noise_does_not_give_back_the_hotwords() {
    let Some(whisper) = whisper(TINY) else { return };
    for level in [0.0, 0.003, 0.01, 0.1] {
        let mut noise = shared::Noise(11);
        let audio: Vec<f32> = (0..2 * SECOND).map(|_| level * noise.next() as f32).collect();
        let prompt = Some(Arc::from("Harbour House, Arthur."));
        let job = AsrJob { audio: audio.into(), purpose: AsrPurpose::Final, prompt };
        assert_eq!(whisper.transcribe(job).await.expect("a transcript").text, "", "in noise at {level}");
    }
}

#[tokio::test]
async fn whisper_keeps_the_contract() {
    let Some(whisper) = whisper(TINY) else { return };
    assert_kept(&whisper.name(), &check_asr(&whisper).await);
}

#[tokio::test]
async fn the_scripted_recogniser_keeps_the_contract() {
    let lines = ["A table for two, please.", "At eight.", "Thank you."].map(String::from).to_vec();
    let by_length = lines.iter().cloned().enumerate().map(|(i, line)| (Duration::from_secs(i as u64), line));
    for lines in [Lines::InOrder(lines.clone()), Lines::ByLength(by_length.collect()), Lines::InOrder(Vec::new())] {
        let scripted = ScriptedAsr::new(lines);
        assert_kept(&scripted.name(), &check_asr(&scripted).await);
    }
}

#[tokio::test]
async fn a_script_is_spoken_word_by_word_and_line_by_line() {
    let scripted = ScriptedAsr::new(Lines::InOrder(vec!["A table for two, please.".into(), "At eight.".into()]));
    let voice = |seconds: usize| shared::synthetic_voice(seconds * SECOND);
    assert_eq!(hear(&scripted, voice(1), AsrPurpose::Partial).await.text, "A table");
    assert_eq!(hear(&scripted, voice(2), AsrPurpose::Final).await.text, "A table for two, please.");
    assert_eq!(hear(&scripted, voice(1), AsrPurpose::Final).await.text, "At eight.");
    assert_eq!(hear(&scripted, voice(2), AsrPurpose::Final).await.text, "A table for two, please.");
}

#[tokio::test]
async fn a_script_by_length_gives_a_recording_the_same_line_every_time() {
    let scripted = ScriptedAsr::new(Lines::ByLength(vec![
        (Duration::from_millis(900), "Yes.".into()),
        (Duration::from_millis(2_500), "A table for two, please.".into()),
    ]));
    for _ in 0..2 {
        assert_eq!(hear(&scripted, shared::synthetic_voice(SECOND), AsrPurpose::Final).await.text, "Yes.");
        let longer = hear(&scripted, shared::synthetic_voice(2 * SECOND), AsrPurpose::Final).await;
        assert_eq!(longer.text, "A table for two, please.");
    }
}

#[test]
fn a_missing_model_is_named_with_the_command_that_fetches_it() {
    let absent = PathBuf::from("/nowhere/ggml-tiny.en.bin");
    let fault = Whisper::load(&WhisperConfig::new(&absent, &absent)).err().expect("refused");
    assert_eq!(fault, WhisperFault::Missing { path: absent });
    assert!(fault.to_string().contains("`duologue models fetch whisper-tiny.en`"), "{fault}");
}

#[test]
fn a_model_cut_anywhere_is_named_as_truncated_and_never_loaded() {
    let Some(file) = shared::model(TINY.0, TINY.1) else { return };
    let whole = std::fs::read(file).expect("readable");
    let directory = tempfile::tempdir().expect("a directory");
    let cut = directory.path().join(TINY.0);
    for bytes in [0, 3, 30, 60_000, 1_000_000, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&cut, &whole[..bytes]).expect("written");
        let fault = Whisper::load(&WhisperConfig::new(&cut, &cut)).err().expect("refused");
        assert_eq!(fault, WhisperFault::Truncated { path: cut.clone(), bytes: bytes as u64 });
        assert!(fault.to_string().contains("`duologue models fetch whisper-tiny.en`"), "{fault}");
    }
}

#[test]
fn a_file_of_another_kind_is_refused_by_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let other = directory.path().join("ggml-tiny.en.bin");
    std::fs::write(&other, b"RIFF....WAVEfmt ".repeat(1_000)).expect("written");
    let fault = Whisper::load(&WhisperConfig::new(&other, &other)).err().expect("refused");
    assert_eq!(fault, WhisperFault::Foreign { path: other });
}

#[tokio::test]
async fn a_finished_sentence_is_told_from_one_cut_short() {
    let (Some(turn), Some(jfk)) = (smart_turn(), shared::recording("misc/jfk.wav")) else { return };
    // The probabilities beside are those of the Python code over the same audio.
    for (audio, python) in [(&jfk[..], 0.8548), (&jfk[..6 * SECOND], 0.0554), (&jfk[..2 * SECOND + 3_200], 0.8111)] {
        let found = turn.complete(audio.into()).await.expect("an answer");
        println!("complete {found:.4}, in Python {python}");
        assert!((found - python).abs() < 0.01, "{found} instead of {python}");
    }
}

#[tokio::test]
async fn the_turn_model_takes_any_audio() {
    let Some(turn) = smart_turn() else { return };
    for audio in [vec![], vec![0.0; 9 * SECOND], vec![f32::NAN; SECOND], vec![f32::MAX; SECOND]] {
        let found = turn.complete(audio.into()).await.expect("an answer");
        assert!((0.0..=1.0).contains(&found), "{found}");
    }
}

#[test]
fn a_damaged_turn_model_is_named() {
    let (Some(whole), Some(runtime)) = (shared::model(TURN.0, TURN.1), shared::model(RUNTIME.0, RUNTIME.1)) else {
        return;
    };
    let directory = tempfile::tempdir().expect("a directory");
    let cut = directory.path().join(TURN.0);
    let fault = SmartTurn::load(&cut, &runtime).err().expect("refused").to_string();
    assert!(fault.contains(TURN.0) && fault.contains("`duologue models fetch smart-turn`"), "{fault}");
    let whole = std::fs::read(whole).expect("readable");
    std::fs::write(&cut, &whole[..whole.len() / 2]).expect("written");
    let fault = SmartTurn::load(&cut, &runtime).err().expect("refused").to_string();
    assert!(fault.contains(TURN.0) && fault.contains("`duologue models fetch smart-turn`"), "{fault}");
}

const TURN: (&str, &str) = ("smart-turn-v3.2-cpu.onnx", "smart-turn");
const RUNTIME: (&str, &str) = ("libonnxruntime.so.1.31.1", "onnxruntime");

fn smart_turn() -> Option<SmartTurn> {
    let (model, runtime) = (shared::model(TURN.0, TURN.1)?, shared::model(RUNTIME.0, RUNTIME.1)?);
    Some(SmartTurn::load(&model, &runtime).expect("the model loads"))
}

fn whisper((file, id): (&str, &str)) -> Option<Whisper> {
    let model = shared::model(file, id)?;
    Some(Whisper::load(&WhisperConfig::new(&model, &model)).expect("the model loads"))
}

async fn hear(asr: &dyn Asr, audio: Vec<f32>, purpose: AsrPurpose) -> Transcript {
    let job = AsrJob { audio: Arc::from(audio), purpose, prompt: None };
    asr.transcribe(job).await.expect("a transcript")
}

fn assert_kept(name: &str, findings: &[Finding]) {
    for finding in findings {
        assert!(finding.kept(), "{name}: {finding:?}");
    }
    assert!(!findings.is_empty());
}
