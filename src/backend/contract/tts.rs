//! What every voice must do.

use tokio::sync::mpsc;

use super::{Finding, Outcome};
use crate::backend::{Clause, Speech, Tts, TtsError, Urgency, WordMark};

/// A clause's speech, taken in full.
struct Heard {
    text: String,
    planned: u64,
    words: Vec<WordMark>,
    /// Samples that came.
    samples: u64,
    loudest: f32,
}

/// Speaks a number of clauses and compares what comes with what a voice promises. Takes some seconds with a real voice.
pub async fn check_tts(tts: &dyn Tts) -> Vec<Finding> {
    vec![
        finding("warms up", warms_up(tts).await),
        finding("plans a clause before it speaks, and speaks as long as planned", plans_what_it_speaks(tts).await),
        finding("marks every word in order, within the clause", marks_words(tts).await),
        finding("says nothing where there is nothing to pronounce", is_silent_without_words(tts).await),
        finding("speaks a clause of 400 characters", speaks_long_clauses(tts).await),
        finding("stays up with any script and any sign", takes_any_text(tts).await),
        finding("stops when nobody listens any more", stops_when_dropped(tts).await),
        finding("stops when whoever asked gives up", stops_when_given_up(tts).await),
        finding("speaks two clauses at once", speaks_two_at_once(tts).await),
    ]
}

fn finding(name: &'static str, result: Result<(), String>) -> Finding {
    Finding { name, outcome: result.map_or_else(Outcome::Broken, |()| Outcome::Holds) }
}

async fn warms_up(tts: &dyn Tts) -> Result<(), String> {
    tts.warm().await.map_err(|fault| fault.to_string())
}

/// Speaks a clause to its end; says what was out of order.
async fn hear(tts: &dyn Tts, text: &str) -> Result<Heard, String> {
    let (out, mut speech) = mpsc::channel(4);
    let clause = Clause { text: text.to_owned(), urgency: Urgency::FirstAudio };
    let listen = async {
        let mut heard: Option<Heard> = None;
        while let Some(piece) = speech.recv().await {
            match (piece, &mut heard) {
                (Speech::Plan { samples, words }, None) => {
                    heard = Some(Heard { text: text.to_owned(), planned: samples, words, samples: 0, loudest: 0.0 });
                }
                (Speech::Plan { .. }, Some(_)) => return Err("a second plan came".to_owned()),
                (Speech::Pcm(_), None) => return Err("sound came before the plan".to_owned()),
                (Speech::Pcm(pcm), Some(heard)) => {
                    heard.samples += pcm.len() as u64;
                    if let Some(strange) = pcm.iter().find(|sample| !(-1.5..=1.5).contains(*sample)) {
                        return Err(format!("a sample of {strange} came"));
                    }
                    heard.loudest = pcm.iter().fold(heard.loudest, |most, sample| most.max(sample.abs()));
                }
            }
        }
        heard.ok_or_else(|| "no plan came".to_owned())
    };
    let (outcome, heard) = tokio::join!(tts.speak(clause, out), listen);
    let said = |fault: String| format!("{:?}: {fault}", text.chars().take(40).collect::<String>());
    outcome.map_err(|fault: TtsError| said(fault.to_string()))?;
    let heard = heard.map_err(said)?;
    if heard.samples == heard.planned {
        return Ok(heard);
    }
    Err(said(format!("{} samples were planned and {} came", heard.planned, heard.samples)))
}

/// The words cover the text but for blanks, in order, and their ends do not go back nor past the plan.
fn words_in_order(heard: &Heard) -> Result<(), String> {
    let (mut at, mut end) = (0, 0);
    for word in &heard.words {
        let gap = heard.text.get(at..word.text.start).ok_or_else(|| format!("{:?} overlaps", word.text))?;
        if !gap.trim().is_empty() {
            return Err(format!("{gap:?} belongs to no word"));
        }
        if heard.text.get(word.text.clone()).is_none_or(str::is_empty) {
            return Err(format!("{:?} is no part of the text", word.text));
        }
        if word.end < end || word.end > heard.planned {
            return Err(format!("a word ends at {} after {end}, of {}", word.end, heard.planned));
        }
        (at, end) = (word.text.end, word.end);
    }
    match heard.text.get(at..) {
        Some(rest) if rest.trim().is_empty() => Ok(()),
        rest => Err(format!("{rest:?} belongs to no word")),
    }
}

async fn plans_what_it_speaks(tts: &dyn Tts) -> Result<(), String> {
    let heard = hear(tts, "We are open from nine to five.").await?;
    if heard.planned < 24_000 {
        return Err(format!("seven words last only {} samples at 48 kHz", heard.planned));
    }
    if heard.loudest < 0.01 {
        return Err(format!("the loudest sample is {}", heard.loudest));
    }
    Ok(())
}

async fn marks_words(tts: &dyn Tts) -> Result<(), String> {
    for (text, count) in [
        ("Hello there, how are you?", 5),
        ("It costs $12.50 — or 21 of them, in the end.", 10),
        ("  \"Well\",  she said:\n«yes»!  ", 4),
        ("One", 1),
    ] {
        let heard = hear(tts, text).await?;
        words_in_order(&heard).map_err(|fault| format!("{text:?}: {fault}"))?;
        if heard.words.len() != count {
            return Err(format!("{text:?} has {count} words, and {} are marked", heard.words.len()));
        }
        let middle = heard.words.first().is_some_and(|word| word.end > 0);
        if !middle || heard.words.last().is_some_and(|word| word.end * 2 < heard.planned) {
            return Err(format!("{text:?}: the ends {:?} do not spread over {}", heard.words, heard.planned));
        }
    }
    Ok(())
}

async fn is_silent_without_words(tts: &dyn Tts) -> Result<(), String> {
    for text in ["", "   ", "🙂", "🎉 👍🏽", "...", "***"] {
        let heard = hear(tts, text).await?;
        if heard.planned != 0 || !heard.words.is_empty() {
            return Err(format!("{text:?} gives {} samples and {} words", heard.planned, heard.words.len()));
        }
    }
    Ok(())
}

async fn speaks_long_clauses(tts: &dyn Tts) -> Result<(), String> {
    let text = "and this sentence goes on without any mark at all ".repeat(8);
    let heard = hear(tts, &text).await?;
    words_in_order(&heard)?;
    // 80 words take at least eight seconds, however fast the voice.
    if heard.planned < 8 * 48_000 {
        return Err(format!("{} words last only {} samples", heard.words.len(), heard.planned));
    }
    Ok(())
}

async fn takes_any_text(tts: &dyn Tts) -> Result<(), String> {
    for text in [
        "你好，今天天气很好。",
        "Привет, как дела?",
        "مرحبا بك",
        "안녕하세요",
        "Straße, café, naïve, Ærøskøbing.",
        "a\u{0}b \u{200b}\u{feff} c\u{301}",
        "C++ & C#: x = 3 < 4 > 2 [[brackets]] <tag/> {}",
        "ａｂｃ ½ ² ℃ ™",
        "--- | --- \\ ~ ^",
    ] {
        hear(tts, text).await?;
    }
    Ok(())
}

/// Drops the receiver after the first sound of a long clause; the voice must end, and soon be free for another.
async fn stops_when_dropped(tts: &dyn Tts) -> Result<(), String> {
    let text = "this will be interrupted before it has come to its end ".repeat(7);
    let (out, mut speech) = mpsc::channel(1);
    let clause = Clause { text, urgency: Urgency::Speech };
    let listen = async {
        while let Some(piece) = speech.recv().await {
            if matches!(piece, Speech::Pcm(_)) {
                break;
            }
        }
        drop(speech);
    };
    let (outcome, ()) = tokio::join!(tts.speak(clause, out), listen);
    outcome.map_err(|fault| format!("a dropped receiver is reported as an error: {fault}"))?;
    hear(tts, "Still there.").await.map(|_| ())
}

/// Drops the future after the first sound, as a turn that is dropped does; the sound must break off although somebody listens.
async fn stops_when_given_up(tts: &dyn Tts) -> Result<(), String> {
    let text = "nobody waits for the end of this one any more by now ".repeat(7);
    let (out, mut speech) = mpsc::channel(1);
    let mut speaking = tts.speak(Clause { text, urgency: Urgency::Speech }, out);
    let (mut planned, mut came) = (0, 0);
    while came == 0 {
        tokio::select! {
            outcome = &mut speaking => return Err(format!("it was over before any sound was taken: {outcome:?}")),
            piece = speech.recv() => match piece {
                Some(Speech::Plan { samples, .. }) => planned = samples,
                Some(Speech::Pcm(pcm)) => came += pcm.len() as u64,
                None => return Err("the channel closed before any sound".to_owned()),
            },
        }
    }
    drop(speaking);
    while let Some(piece) = speech.recv().await {
        if let Speech::Pcm(pcm) = piece {
            came += pcm.len() as u64;
        }
    }
    if came < planned { Ok(()) } else { Err(format!("all {planned} samples came")) }
}

async fn speaks_two_at_once(tts: &dyn Tts) -> Result<(), String> {
    let (one, two) = tokio::join!(hear(tts, "This is the one caller."), hear(tts, "And this is the other one."));
    one.and(two).map(|_| ())
}
