//! The commands: `duologue-judge`, and `duologue judge`.

use crate::beginnings::{cut_in, turned_away};
use crate::evaluate::evaluate;
use crate::situation::read_items;
use crate::train::{Plan, recalibrate, train};
use crate::{Fault, Judge, Result, Without, base_folder, build, card};
use clap::Subcommand;
use std::path::{Path, PathBuf};

/// What can be done with data and a judge.
#[derive(Subcommand)]
pub enum Command {
    /// Compile DATA/scenarios/*.yaml to DATA/{train,dev,test,contrast}.jsonl
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
        /// More items to train on, such as `duologue judge export` writes; may be given more than once
        #[arg(long)]
        with: Vec<PathBuf>,
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
    /// Fit the calibration of a trained head anew on DIR/dev.jsonl
    Calibrate {
        #[arg(default_value = "judge/data")]
        dir: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// The figures of the card, measured anew: the held-out splits, what each part is worth, how long it takes
    Card {
        #[arg(default_value = "judge/data")]
        data: PathBuf,
        /// Whose figures are replaced
        #[arg(long, default_value = "judge/CARD.md")]
        card: PathBuf,
        #[command(flatten)]
        place: Place,
        /// Write them into the card
        #[arg(long)]
        write: bool,
    },
}

#[derive(clap::Args)]
pub struct Place {
    /// Folder of the base encoder (model.safetensors and tokenizer.json of all-MiniLM-L6-v2), if not where
    /// `duologue models fetch minilm` puts it
    #[arg(long)]
    base: Option<PathBuf>,
    /// Folder of the trained part: `eval` takes the shipped one otherwise, all else judge/model
    #[arg(long)]
    head: Option<PathBuf>,
    /// Threads that compute at once; `eval` takes a list of them, as in 1,2
    #[arg(long, value_delimiter = ',', default_value = "1")]
    threads: Vec<usize>,
}

impl Place {
    fn first_threads(&self) -> usize {
        self.threads.first().copied().unwrap_or(1).max(1)
    }

    fn head(&self) -> PathBuf {
        self.head.clone().unwrap_or_else(|| "judge/model".into())
    }

    fn judge(&self, threads: usize) -> Result<Judge> {
        match &self.head {
            Some(head) => Judge::load(&self.base()?, head, threads),
            None => Judge::shipped(&self.base()?, threads),
        }
    }

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
        Command::Train { dir, place, from, with, epochs, batch, rate, head_rate, dropout, smoothing, seed } => {
            let threads = place.first_threads();
            let (base, out) = (place.base()?, place.head());
            let plan =
                Plan { data: dir, base, out, from, with, epochs, batch, rate, head_rate, dropout, smoothing, seed };
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let pool = pool.map_err(|e| Fault::content(&plan.base, e.to_string()))?;
            println!("{}", pool.install(|| train(&plan, |line| println!("{line}")))?);
        }
        Command::Calibrate { dir, place } => println!("{}", recalibrate(&dir, &place.base()?, &place.head())?),
        Command::Card { data, card, place, write } => {
            let figures = card::figures(&data, &place.base()?, &place.head())?;
            if write {
                card::write(&card, &figures)?;
            }
            println!("{figures}");
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
    let mut judge = place.judge(place.first_threads())?;
    let report = evaluate(&judge, &items, left_out, |item, outcome| {
        if wrong && !outcome.right {
            let asked = item.history.last().map_or("", |said| said.text.as_str());
            println!("{} {} -> {} {:.2} | {asked} | {}", item.id, item.gold, outcome.chosen, outcome.sure, item.text);
            println!("    {} | {:?} | {} | {}", item.persona.stance, item.memory, item.silence_s, item.why);
        }
    })?;
    println!("{report}");
    let (begun, cut) = cut_in(&judge, &items)?;
    println!("beginnings of honest questions cut in on {:.1} % of {begun}", cut * 100.0);
    let (told, away) = turned_away(&judge, &items)?;
    println!("tellings turned away at their end {:.1} % of {told}", away * 100.0);
    for threads in place.threads.iter().skip(1) {
        judge = place.judge(*threads)?;
        println!("{threads} threads:\n{}", evaluate(&judge, &items, left_out, |_, _| {})?.times());
    }
    Ok(())
}
