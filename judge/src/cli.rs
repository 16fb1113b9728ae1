//! The commands: `duologue-judge`, and `duologue judge`.

use crate::evaluate::evaluate;
use crate::situation::read_items;
use crate::train::{Plan, train};
use crate::{Fault, Judge, Result, Without, base_folder, build};
use clap::Subcommand;
use std::path::{Path, PathBuf};

/// What can be done with data and a judge.
#[derive(Subcommand)]
pub enum Command {
    /// Compile DATA/scenarios/*.yaml to DATA/{train,dev,test}.jsonl
    Build {
        #[arg(default_value = "judge/data")]
        data: PathBuf,
    },
    /// Judge every item of a file: macro-F1, confusion, calibration, latency
    Eval {
        file: PathBuf,
        #[command(flatten)]
        place: Place,
        /// Only items of this language
        #[arg(long)]
        lang: Option<String>,
        /// Leave a part of each situation out: memory, persona, history
        #[arg(long)]
        without: Vec<Part>,
        /// Print each item that is judged wrong
        #[arg(long)]
        wrong: bool,
    },
    /// Fine-tune on DIR/train.jsonl, calibrate on DIR/dev.jsonl
    Train {
        #[arg(default_value = "judge/data")]
        dir: PathBuf,
        #[command(flatten)]
        place: Place,
        /// Go on from the head in this folder
        #[arg(long)]
        from: Option<PathBuf>,
        #[arg(long, default_value_t = 6)]
        epochs: usize,
        #[arg(long, default_value_t = 24)]
        batch: usize,
        #[arg(long, default_value_t = 1e-4)]
        rate: f64,
        #[arg(long, default_value_t = 1.5e-3)]
        head_rate: f64,
        #[arg(long, default_value_t = 0.1)]
        dropout: f32,
        #[arg(long, default_value_t = 0.05)]
        smoothing: f32,
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
}

#[derive(clap::Args)]
pub struct Place {
    /// Folder of the base encoder (model.safetensors and tokenizer.json of all-MiniLM-L6-v2), if not where
    /// `duologue models fetch minilm` puts it
    #[arg(long)]
    base: Option<PathBuf>,
    /// Folder of the trained part
    #[arg(long, default_value = "judge/model")]
    head: PathBuf,
    /// Threads that compute at once
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

impl Place {
    fn base(&self) -> Result<PathBuf> {
        let missing =
            || Fault::content(Path::new("minilm"), "not here: run `duologue models fetch minilm` or give --base");
        self.base.clone().or_else(base_folder).ok_or_else(missing)
    }
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Part {
    Memory,
    Persona,
    History,
}

/// Runs one of them; what comes of it is printed.
///
/// # Errors
/// When a file is not there, or is not what it should be.
pub fn run(command: Command) -> Result<()> {
    match command {
        Command::Build { data } => {
            for (split, count) in build::build(&data)? {
                println!("{}: {count} items", data.join(split.file()).display());
            }
        }
        Command::Eval { file, place, lang, without, wrong } => eval(&file, &place, lang, &without, wrong)?,
        Command::Train { dir, place, from, epochs, batch, rate, head_rate, dropout, smoothing, seed } => {
            let (base, out) = (place.base()?, place.head);
            let plan = Plan { data: dir, base, out, from, epochs, batch, rate, head_rate, dropout, smoothing, seed };
            let pool = rayon::ThreadPoolBuilder::new().num_threads(place.threads).build();
            let pool = pool.map_err(|e| Fault::content(&plan.base, e.to_string()))?;
            println!("{}", pool.install(|| train(&plan, |line| println!("{line}")))?);
        }
    }
    Ok(())
}

fn eval(file: &Path, place: &Place, lang: Option<String>, without: &[Part], wrong: bool) -> Result<()> {
    let mut items = read_items(file)?;
    items.retain(|item| lang.as_ref().is_none_or(|lang| item.lang.starts_with(lang.as_str())));
    let mut left_out = Without::default();
    for part in without {
        match part {
            Part::Memory => left_out.memory = true,
            Part::Persona => left_out.persona = true,
            Part::History => left_out.history = true,
        }
    }
    let judge = Judge::load(&place.base()?, &place.head, place.threads)?;
    let report = evaluate(&judge, &items, left_out, |item, outcome| {
        if wrong && !outcome.right {
            let asked = item.history.last().map_or("", |said| said.text.as_str());
            println!("{} {} -> {} {:.2} | {asked} | {}", item.id, item.gold, outcome.chosen, outcome.sure, item.text);
            println!("    {} | {:?} | {} | {}", item.persona.stance, item.memory, item.silence_s, item.why);
        }
    })?;
    println!("{report}");
    Ok(())
}
