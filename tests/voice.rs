//! The Piper voice with its real model: the contract, the pauses between sentences, and what it costs.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use duologue::backend::contract::check_tts;
use duologue::backend::piper::{OpenError, Piper, PiperConfig};
use duologue::backend::{Clause, Speech, Tts, Urgency, WordMark};
use tokio::sync::mpsc;

const RATE_HZ: f64 = 48_000.0;

/// The voice's files, if they are there.
fn config() -> Option<PiperConfig> {
    let folder = std::env::var_os("DUOLOGUE_MODELS").map(PathBuf::from).or_else(|| {
        let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
        let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/share"));
        Some(data.or_else(home)?.join("duologue/models"))
    })?;
    let config = PiperConfig::in_folder(&folder, "en_US-joe-medium", folder.join("libonnxruntime.so.1.31.1"));
    let files = [&config.frontend, &config.flow, &config.vocoder, &config.voice_json, &config.onnx_runtime];
    if let Some(path) = files.into_iter().find(|path| !path.is_file()) {
        println!("not tested: {} is absent; `duologue models fetch piper-joe onnxruntime` fetches it", path.display());
        return None;
    }
    Some(config)
}

/// A clause, spoken, with the times at which its first sound and its end came.
#[derive(Default)]
struct Spoken {
    planned: u64,
    words: Vec<WordMark>,
    pcm: Vec<f32>,
    first: Duration,
    all: Duration,
}

async fn speak(voice: &Piper, text: &str, urgency: Urgency) -> Spoken {
    let (out, mut speech) = mpsc::channel(4);
    let start = Instant::now();
    let listen = async {
        let mut spoken = Spoken::default();
        while let Some(piece) = speech.recv().await {
            match piece {
                Speech::Plan { samples, words } => (spoken.planned, spoken.words) = (samples, words),
                Speech::Pcm(pcm) => {
                    if spoken.pcm.is_empty() {
                        spoken.first = start.elapsed();
                    }
                    spoken.pcm.extend(pcm);
                }
            }
        }
        spoken.all = start.elapsed();
        spoken
    };
    let (outcome, spoken) = tokio::join!(voice.speak(Clause { text: text.to_owned(), urgency }, out), listen);
    outcome.expect("the voice speaks");
    spoken
}

/// Stretches of at least 100 ms below -50 dBFS, in seconds: from, to.
fn silences(pcm: &[f32]) -> Vec<(f64, f64)> {
    let window = 240;
    let mut silences = Vec::new();
    let mut from = None;
    for (at, part) in pcm.chunks(window).chain(std::iter::once(&[1.0_f32][..])).enumerate() {
        let power = part.iter().map(|x| x * x).sum::<f32>() / part.len() as f32;
        match (power.sqrt() < 0.003, from) {
            (true, None) => from = Some(at),
            (false, Some(begun)) => {
                silences.push(((begun * window) as f64 / RATE_HZ, (at * window) as f64 / RATE_HZ));
                from = None;
            }
            _ => {}
        }
    }
    silences.retain(|(from, to)| to - from >= 0.1);
    silences
}

#[tokio::test]
async fn the_real_voice_keeps_the_contract() {
    let Some(config) = config() else { return };
    let voice = Piper::open(config).expect("the voice opens");
    for finding in check_tts(&voice).await {
        assert!(finding.kept(), "{finding:?}");
    }
}

#[tokio::test]
async fn two_sentences_have_a_pause_between_them_where_the_words_say() {
    let Some(config) = config() else { return };
    let voice = Piper::open(config).expect("the voice opens");
    let text = "hello there. how are you";
    let spoken = speak(&voice, text, Urgency::FirstAudio).await;
    let words: Vec<&str> = spoken.words.iter().map(|word| &text[word.text.clone()]).collect();
    assert_eq!(words, ["hello", "there.", "how", "are", "you"]);
    let there = spoken.words[1].end as f64 / RATE_HZ;
    let silences = silences(&spoken.pcm);
    let pause = silences.iter().find(|(from, to)| *from <= there + 0.05 && there < *to);
    let (from, to) = pause.unwrap_or_else(|| panic!("no pause at {there:.2} s among {silences:.2?}"));
    assert!((0.2..0.5).contains(&(to - from)), "the pause lasts {:.2} s", to - from);
    assert!(silences.iter().all(|(from, _)| *from > 0.06), "speech begins late: {silences:.2?}");
}

#[tokio::test]
async fn a_clause_spoken_before_sounds_the_same_again() {
    let Some(config) = config() else { return };
    let voice = Piper::open(config).expect("the voice opens");
    let once = speak(&voice, "One moment, please.", Urgency::FirstAudio).await;
    let again = speak(&voice, "One moment, please.", Urgency::FirstAudio).await;
    assert!(once.pcm == again.pcm && once.words == again.words);
}

#[tokio::test]
async fn a_listener_that_takes_nothing_does_not_hold_up_the_others() {
    let Some(config) = config() else { return };
    let voice = Piper::open(config).expect("the voice opens");
    let (out, deaf) = mpsc::channel(1);
    let text = "nobody takes this sound, so it can only wait until somebody does".to_owned();
    let held_up = voice.speak(Clause { text, urgency: Urgency::FirstAudio }, out);
    let other = async {
        let spoken = speak(&voice, "This is another call.", Urgency::Memory).await;
        drop(deaf);
        spoken
    };
    let (outcome, spoken) = tokio::join!(held_up, other);
    assert_eq!(outcome, Ok(()));
    assert_eq!(spoken.pcm.len() as u64, spoken.planned);
}

#[test]
fn a_missing_file_is_named() {
    let nowhere = Path::new("/nonexistent/models");
    let config = PiperConfig::in_folder(nowhere, "en_US-joe-medium", nowhere.join("libonnxruntime.so"));
    let refusal = Piper::open(config).err().expect("refused");
    assert!(matches!(&refusal, OpenError::Missing { path, .. } if path.ends_with("en_US-joe-medium.frontend.onnx")));
    assert!(refusal.to_string().contains("duologue models fetch piper-joe"), "{refusal}");
}

#[test]
fn a_broken_file_is_named() {
    let Some(config) = config() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let cut = folder.path().join("cut.onnx");
    let whole = std::fs::read(&config.vocoder).expect("readable");
    std::fs::write(&cut, &whole[..whole.len() / 2]).expect("writable");
    let refusal = Piper::open(PiperConfig { vocoder: cut.clone(), ..config.clone() }).err().expect("refused");
    assert!(matches!(&refusal, OpenError::Unusable { path, .. } if *path == cut), "{refusal}");
    let swapped = Piper::open(PiperConfig { vocoder: config.flow.clone(), ..config }).err().expect("refused");
    assert!(swapped.to_string().contains("flow.onnx"), "{swapped}");
}

/// CPU time of this process in ms, where the system tells (Linux: clock ticks of 10 ms, fields 14 and 15 of proc(5) stat).
fn cpu_ms() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some((fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?) * 10)
}

/// Figures to read, not to pass or fail by: what the voice costs on this machine now.
#[tokio::test]
async fn what_it_costs_is_printed() {
    let Some(config) = config() else { return };
    for threads in [1, 2] {
        let voice = Piper::open(PiperConfig { threads, ..config.clone() }).expect("the voice opens");
        voice.warm().await.expect("warm");
        for text in [
            "Yes, of course.",
            "We are open every day from nine to five, and on Saturdays.",
            "The board will meet at nine on Friday, and the meeting will last for an hour and a half in the big room upstairs.",
        ] {
            let mut runs = Vec::new();
            let cpu_before = cpu_ms();
            for run in 0..5 {
                // Not the same text again, which would come from the cache.
                runs.push(speak(&voice, &format!("{text}{}", " ".repeat(run)), Urgency::FirstAudio).await);
            }
            let cpu_ms = cpu_ms().zip(cpu_before).map_or(0, |(after, before)| after - before) / runs.len() as u64;
            runs.sort_by_key(|run| run.first);
            let first = runs[2].first;
            runs.sort_by_key(|run| run.all);
            let median = &runs[2];
            let audio_s = median.pcm.len() as f64 / RATE_HZ;
            println!(
                "{threads} thread(s), {:2} words, {audio_s:.2} s: first sound after {:3.0} ms, all after {:4.0} ms, RTF {:.3}, CPU {cpu_ms} ms",
                median.words.len(),
                first.as_secs_f64() * 1e3,
                median.all.as_secs_f64() * 1e3,
                median.all.as_secs_f64() / audio_s,
            );
            assert_eq!(median.planned, median.pcm.len() as u64);
        }
    }
}
