//! `duologue say`: one sentence in the configured voice, into a WAV file. For trying a voice, and for making callers' lines
//! for measurements.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use anyhow::Context;

use crate::assembly;
use crate::audio::{LINE_RATE, wav};
use crate::backend::{Clause, Speech, Urgency};
use crate::call::wire;
use crate::config::Config;
use crate::dialogue::sentence::{ClauseCutter, speakable};

/// What to say and where to put it.
#[derive(clap::Args, Debug)]
pub struct SayArguments {
    /// The words
    text: String,
    /// The WAV file: 48 kHz, mono, 16 bits
    #[arg(long, value_name = "WAV", default_value = "say.wav")]
    out: PathBuf,
}

/// Speaks the text clause by clause, as a call would.
///
/// # Errors
/// When the voice cannot be had or the file cannot be written.
pub async fn run(config: &Config, arguments: SayArguments) -> anyhow::Result<()> {
    let voice = assembly::voice_alone(config).await?;
    let mut cutter = ClauseCutter::default();
    let mut clauses = cutter.push(&arguments.text);
    clauses.extend(cutter.finish());
    let mut sound = Vec::new();
    for clause in clauses {
        let (out, mut made) = wire::speech();
        let what = Clause { text: speakable(&clause.text), urgency: Urgency::Speech };
        let gather = async {
            while let Some(speech) = made.recv().await {
                if let Speech::Pcm(pcm) = speech {
                    sound.extend(pcm);
                }
            }
        };
        let (spoken, ()) = tokio::join!(voice.speak(what, out), gather);
        spoken?;
    }
    let file = File::create(&arguments.out).with_context(|| format!("cannot write {}", arguments.out.display()))?;
    wav::write_mono(BufWriter::new(file), LINE_RATE, &sound)?;
    println!("{}: {:.2} s", arguments.out.display(), sound.len() as f32 / LINE_RATE as f32);
    Ok(())
}
