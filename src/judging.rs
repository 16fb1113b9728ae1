//! `duologue judge`: the judge's own training loop, and what connects it with the calls: labels and the export of decisions.

use std::path::PathBuf;

use clap::Subcommand;
use duologue_judge::situation::write_items;

use crate::config::Config;
use crate::store::{Label, Reader, label};

/// The judge: what it decided, what it should have, and its training
#[derive(Subcommand)]
pub enum JudgeCommand {
    #[command(flatten)]
    Training(duologue_judge::cli::Command),
    /// Say what a judge should have done: ID as in `SELECT judgement, caller_said, action FROM reviewed`
    Label {
        id: i64,
        /// The best action
        action: String,
        /// Another one that is acceptable; may be given more than once
        #[arg(long)]
        also: Vec<String>,
        /// Why, in one sentence
        #[arg(long, default_value = "")]
        reason: String,
        /// Who says so
        #[arg(long)]
        by: Option<String>,
    },
    /// Write labelled decisions of the calls as judgement data, for `judge train --from judge/model --with FILE`
    Export {
        file: PathBuf,
        /// Unlabelled ones too, with what was done as the best action
        #[arg(long)]
        all: bool,
    },
}

/// Runs one of them.
///
/// # Errors
/// When a file or the database cannot be read or written, or is not what it should be.
pub async fn run(config: &Config, command: JudgeCommand) -> anyhow::Result<()> {
    let path = &config.store.path;
    let called = || {
        anyhow::ensure!(
            path.exists(),
            "there is no database {}: nobody has called yet, or set store.path",
            path.display()
        );
        Ok(())
    };
    match command {
        JudgeCommand::Training(command) => tokio::task::block_in_place(|| duologue_judge::cli::run(command))?,
        JudgeCommand::Label { id, action, also, reason, by } => {
            called()?;
            let by = by.or_else(|| std::env::var("USER").ok()).filter(|by| !by.is_empty());
            let by = by.unwrap_or_else(|| "operator".into());
            label(path, &Label { judgement: id, action, also, reason, by }).await?;
        }
        JudgeCommand::Export { file, all } => {
            called()?;
            let (decided, left) = Reader::of_file(path).decided(all).await?;
            let items: Vec<_> = decided.into_iter().map(|decided| decided.item).collect();
            write_items(&file, &items)?;
            println!(
                "{}: {} items; {left} rows left out, without words or from before situations were kept",
                file.display(),
                items.len()
            );
        }
    }
    Ok(())
}
