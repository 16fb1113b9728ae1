//! Recognition by the real models, each test where its model is present.
#![cfg(feature = "server")]

mod shared;

use duologue::backend::whisper::{Whisper, WhisperConfig};
use duologue::backend::{Asr, AsrJob, AsrPurpose};

#[tokio::test]
async fn a_recording_is_transcribed() {
    let (Some(whisper), Some(jfk)) = (tiny(), shared::recording("misc/jfk.wav")) else { return };
    for purpose in [AsrPurpose::Partial, AsrPurpose::Final] {
        let job = AsrJob { audio: jfk.clone().into(), purpose, prompt: None };
        let heard = whisper.transcribe(job).await.expect("a transcript");
        println!("{heard:?}");
        assert!(heard.text.to_lowercase().contains("ask not what your country can do for you"), "{}", heard.text);
    }
}

fn tiny() -> Option<Whisper> {
    let tiny = shared::model("ggml-tiny.en.bin", "whisper-tiny.en")?;
    Some(Whisper::load(&WhisperConfig::new(&tiny, &tiny)).expect("the model loads"))
}
