//! `duologue caller`: who is remembered, what is remembered of them, and the end of it. Works beside a running server.

use std::path::Path;

use clap::Subcommand;

use crate::config::Config;
use crate::recording::take_away_left;
use crate::store::{AskedBy, CallerMemory, Reader, erase};

/// What is remembered of callers
#[derive(Subcommand)]
pub enum CallerCommand {
    /// Every caller with a name, the latest first
    List,
    /// What is remembered of a caller, in words
    Show {
        /// The name that the calls were opened with
        name: String,
    },
    /// All of it as JSON, values of before and sources included
    Export {
        /// The name that the calls were opened with
        name: String,
    },
    /// Take a caller out of the database: facts, promises, summaries and the words of every call
    Erase {
        /// The name that the calls were opened with
        name: String,
    },
}

/// Callers in a list.
const LISTED: u32 = 1_000;

/// Runs a command on the configuration's database.
///
/// # Errors
/// When the database cannot be read or written, or there is no such caller.
pub async fn run(config: &Config, command: CallerCommand) -> anyhow::Result<()> {
    let path: &Path = &config.store.path;
    anyhow::ensure!(path.exists(), "there is no database {}: nobody has called yet, or set store.path", path.display());
    let reader = Reader::of(path);
    match command {
        CallerCommand::List => {
            println!("{:<40} {:>6} {:>6} {:>6}  last call", "caller", "calls", "days", "facts");
            for caller in reader.callers(LISTED).await? {
                let last = crate::memory::calendar::Day::of_utc_ms(caller.last_call_utc_ms);
                println!("{:<40} {:>6} {:>6} {:>6}  {last}", caller.caller, caller.calls, caller.days, caller.facts);
            }
        }
        CallerCommand::Show { name } => print!("{}", in_words(&known(&reader, &name).await?)),
        CallerCommand::Export { name } => println!("{}", serde_json::to_string_pretty(&known(&reader, &name).await?)?),
        CallerCommand::Erase { name } => {
            let shelf = config.recording.shelf()?;
            let erased = erase(path, &shelf.folder, &name, AskedBy::Operator).await?;
            let erased = erased.ok_or_else(|| anyhow::anyhow!("there is no caller '{name}'"))?;
            println!("erased: {} facts, {} turns of {} calls", erased.facts, erased.turns, erased.calls);
            let left = take_away_left(path, &shelf, None).await;
            left.map_err(|why| anyhow::anyhow!("not all recordings are erased yet: {why}"))?;
        }
    }
    Ok(())
}

async fn known(reader: &Reader, name: &str) -> anyhow::Result<CallerMemory> {
    let memory = reader.caller(name).await?;
    memory.ok_or_else(|| anyhow::anyhow!("there is no caller '{name}'; `duologue caller list` names them"))
}

fn count(many: i64, what: &str) -> String {
    format!("{many} {what}{}", if many == 1 { "" } else { "s" })
}

/// One line a thing, what held before last.
fn in_words(memory: &CallerMemory) -> String {
    let (calls, days) = (count(memory.calls, "call"), count(memory.days, "day"));
    let mut out = format!("{}: {}, {calls} on {days}\n", memory.caller, memory.relation);
    for fact in memory.facts.iter().filter(|fact| fact.valid_to_utc_ms.is_none()) {
        out.push_str(&format!("  {} (said {})\n", fact.text, count(fact.said_times, "time")));
    }
    for promise in memory.commitments.iter().filter(|promise| promise.state == "open") {
        let due = promise.due.as_ref().map_or(String::new(), |due| format!(", due {due}"));
        out.push_str(&format!("  the {} promised to {}{due}\n", promise.who, promise.what));
    }
    for fact in memory.facts.iter().filter(|fact| fact.valid_to_utc_ms.is_some()) {
        out.push_str(&format!("  no longer: {}\n", fact.text));
    }
    for summary in &memory.summaries {
        let day = crate::memory::calendar::Day::of_utc_ms(summary.started_utc_ms);
        out.push_str(&format!("  call of {day}: {}\n", summary.text));
    }
    out
}
