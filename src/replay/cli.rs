//! `duologue replay`: a call again, from its journal; and what it would have been with other settings.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use duologue_core::replay::again::{Again, Difference, Journal, again};
use duologue_core::replay::otherwise::{Guess, Otherwise, otherwise};

use super::file::{Opened, contents, open};
use super::settings::apply;
use super::{into, journal_of};
use crate::config::Config;
use crate::dialogue::persona::Persona;
use crate::store::{JournalView, Reader};

/// A call again, in virtual time, from its journal
#[derive(clap::Args, Debug)]
pub struct ReplayArguments {
    /// A call's id, or the file of a journal
    call: String,
    /// With this setting instead, as in floor.endpoint_ms=600: tells what would have differed
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
    /// With the persona of this file instead
    #[arg(long, value_name = "FILE")]
    persona: Option<PathBuf>,
    /// Both courses as rows: a database of the usual tables, in which the other one is the call `CALL/otherwise`
    #[arg(long, value_name = "FILE.sqlite")]
    into: Option<PathBuf>,
    /// Writes the journal to a file, for a bug report. It holds what the caller said, as sound and as words
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// Prints the events
    #[arg(long)]
    events: bool,
}

/// Replays.
///
/// # Errors
/// When there is no such journal, it is damaged, or something cannot be set.
pub async fn run(config: &Config, arguments: ReplayArguments) -> anyhow::Result<ExitCode> {
    let path = place(config, &arguments.call);
    if !path.is_file() {
        anyhow::bail!(why_missing(config, &arguments.call).await);
    }
    let keys = config.recording.shelf()?.keys;
    let opened = open(&path, &keys)?;
    let journal = opened.journal.clone();
    let live = tokio::task::spawn_blocking(move || again(&journal)).await??;
    tell(&opened, &live);
    if let Some(out) = &arguments.export {
        // A sealed one is opened: whoever gets it has no key.
        std::fs::write(out, contents(&path, &keys)?)?;
        println!(
            "written to {}: it holds what the caller said; `duologue replay {}` replays it",
            out.display(),
            out.display()
        );
    }
    if arguments.events {
        live.course.events.iter().for_each(|event| println!("{event}"));
    }
    let mut other = None;
    if !arguments.set.is_empty() || arguments.persona.is_some() {
        let changed = changed(&opened.journal, &arguments)?;
        let journal = opened.journal.clone();
        let found = tokio::task::spawn_blocking(move || otherwise(&journal, changed)).await??;
        compare(&live, &found);
        other = Some(found);
    }
    if let Some(out) = &arguments.into {
        into::write(out, &opened.journal.head, &live.course, other.as_ref().map(|other| &other.course)).await?;
        println!("rows in {}", out.display());
    }
    Ok(if live.difference.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A file of that name, or the journal of that call.
fn place(config: &Config, call: &str) -> PathBuf {
    let file = Path::new(call);
    if file.is_file() { file.to_path_buf() } else { config.recording.dir.join(journal_of(&call.to_owned())) }
}

/// What the database knows of a journal that is not there.
async fn why_missing(config: &Config, call: &str) -> String {
    let database = config.store.path.display();
    let reader = Reader::of(&config.store.path);
    match (reader.journal(call).await, reader.call(call).await) {
        (Ok(Some(JournalView { removed_why: Some(why), .. })), _) => format!(
            "the input journal of call {call} was taken away with its recording ({why}; tables journals, recordings, redactions in \
             {database}): what is gone cannot be replayed"
        ),
        (Ok(Some(journal)), _) => format!(
            "the input journal of call {call} is not in {}: it should be {}; set recording.dir to where it is",
            config.recording.dir.display(),
            journal.file
        ),
        (Ok(None), Ok(Some(_))) => format!(
            "of call {call} no input journal was kept: it was not recorded, came by import, or journal.calls was \"off\""
        ),
        (Ok(None), Ok(None)) => {
            format!(
                "there is no call {call} in {database} and no such file; `duologue review run last-calls` shows the calls"
            )
        }
        (Err(fault), _) | (_, Err(fault)) => {
            format!("there is no file {call}, and what it could be is not known: {fault}")
        }
    }
}

fn changed(journal: &Journal, arguments: &ReplayArguments) -> anyhow::Result<duologue_core::replay::Head> {
    let mut head = journal.head.clone();
    for what in &arguments.set {
        head.settings = apply(&head.settings, &head.config, what)?;
    }
    if let Some(file) = &arguments.persona {
        let text =
            std::fs::read_to_string(file).map_err(|why| anyhow::anyhow!("cannot read {}: {why}", file.display()))?;
        let persona = Persona::parse(&text).map_err(|faults| {
            let faults: Vec<String> = faults.iter().map(|fault| format!("{}: {fault}", file.display())).collect();
            anyhow::anyhow!(faults.join("\n"))
        })?;
        head.persona = Arc::new(persona);
    }
    head.call = format!("{}/otherwise", head.call);
    Ok(head)
}

/// How the replay went.
fn tell(opened: &Opened, live: &Again) {
    let head = &opened.journal.head;
    let seconds = live.course.until.us() as f64 / 1e6;
    let per_minute = opened.bytes as f64 / 1_000.0 / (seconds / 60.0).max(1.0 / 60.0);
    println!(
        "call {} with {}: {seconds:.1} s, {} records, {} events",
        head.call,
        head.persona.name,
        opened.journal.records.len(),
        live.live.len()
    );
    println!(
        "journal: {:.0} kB, {per_minute:.0} kB a minute, by duologue {}",
        opened.bytes as f64 / 1_000.0,
        head.version
    );
    if head.version != env!("CARGO_PKG_VERSION") {
        println!("this is duologue {}: it may do something else", env!("CARGO_PKG_VERSION"));
    }
    if opened.cut {
        println!("the file breaks off in the middle of a block; replayed up to there");
    }
    if !live.whole {
        println!("the call's end is not in it");
    }
    if live.lost > 0 {
        println!("{} records are missing, the disk was behind: not replayable from there on", live.lost);
    }
    match &live.difference {
        None => println!("replayed: the same, byte for byte"),
        Some(Difference::Event { number, live, again }) => {
            println!("DIFFERENT from event {number} on:");
            println!("  live  {}", live.as_deref().unwrap_or("(no more)"));
            println!("  again {}", again.as_deref().unwrap_or("(no more)"));
        }
        Some(Difference::Done { at }) => {
            println!(
                "DIFFERENT: the events are the same, but what else was done is not, about {} ms into the call",
                at.ms()
            );
        }
    }
}

/// What would have differed, line by line, and what had to be guessed for it.
fn compare(live: &Again, other: &Otherwise) {
    let (before, after) = (super::diff::lines(&live.course.stamped), super::diff::lines(&other.course.stamped));
    let diff = super::diff::diff(&before, &after);
    let changes = diff.iter().filter(|line| !line.starts_with(' ')).count();
    println!(
        "\notherwise: {changes} lines differ (- as it was, + as it would have been; milliseconds since the call began)"
    );
    diff.iter().for_each(|line| println!("{line}"));
    let guesses: Vec<String> = Guess::ALL
        .iter()
        .zip(other.guesses)
        .filter(|(_, count)| *count > 0)
        .map(|(guess, count)| format!("{count} {}", guess.told()))
        .collect();
    if guesses.is_empty() {
        println!("\nEverything that was asked of back ends had been asked in the call: nothing is guessed.");
    } else {
        println!("\nThe call has no answer to some of what was asked; in its place stands: {}.", guesses.join("; "));
    }
}
