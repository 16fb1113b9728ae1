//! The judge's work for a call, beside the tick.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::wire;
use crate::backend::{Clause, Judge, Speech, Tts, Urgency};
use crate::dialogue::conversation::Input;
use crate::dialogue::judge::{Moment, Situation};
use crate::machine::by_the_rules;

/// Asks a judge, and the rules where it fails or is late.
pub async fn ask(
    judge: Arc<dyn Judge>,
    limit: Duration,
    turn: u32,
    revision: u32,
    situation: Arc<Situation>,
    inbox: &mpsc::Sender<Input>,
) {
    let asked = Instant::now();
    let moment = situation.moment;
    let why = match tokio::time::timeout(limit, judge.judge(Situation::clone(&situation))).await {
        Ok(Ok(verdict)) => {
            let took_ms = asked.elapsed().as_secs_f32() * 1_000.0;
            let _ = inbox.send(Input::Judged { turn, revision, moment, judge: judge.name(), verdict, took_ms }).await;
            return;
        }
        Ok(Err(fault)) => fault.to_string(),
        Err(_) => format!("no verdict within {} ms", limit.as_millis()),
    };
    // A partial that is not judged is nothing lost.
    if moment != Moment::Caller {
        let detail = format!("{}: {why}; the rules decide this turn.", judge.name());
        let _ = inbox.send(Input::Trouble { code: "judge", detail }).await;
    }
    let _ = inbox.send(by_the_rules(turn, revision, &situation)).await;
}

/// Has a sign of attention spoken; one that cannot be had is not given.
pub async fn voice_attention(tts: Arc<dyn Tts>, text: String, inbox: &mpsc::Sender<Input>) {
    let (out, mut made) = wire::speech();
    let gather = async {
        let mut pcm = Vec::new();
        while let Some(speech) = made.recv().await {
            if let Speech::Pcm(more) = speech {
                pcm.extend_from_slice(&more);
            }
        }
        pcm
    };
    let clause = Clause { text: text.clone(), urgency: Urgency::Memory };
    if let (Ok(()), pcm) = tokio::join!(tts.speak(clause, out), gather) {
        let _ = inbox.send(Input::Attention { text, pcm: pcm.into() }).await;
    }
}
