//! `duologue block`: which callers are refused, and taking it back. The agent blocks after repeated abuse; a person may lift it
//! at any time, and both are rows.

use crate::config::Config;
use crate::store::{Reader, StoreError, lift_block};

/// What to do about blocked callers.
#[derive(clap::Subcommand, Debug)]
pub enum BlockCommand {
    /// All blocks, the newest first
    List,
    /// Take a caller's calls again, from now on
    Lift {
        /// As the client named the caller
        caller: String,
    },
}

/// Prints what there is, or lifts.
///
/// # Errors
/// When the database cannot be read or written, or the caller is not blocked.
pub async fn run(config: &Config, command: BlockCommand) -> anyhow::Result<()> {
    match command {
        BlockCommand::List => {
            let blocks = Reader::of_file(&config.store.path).blocks().await?;
            if blocks.is_empty() {
                println!("nobody is or was blocked");
            }
            for block in blocks {
                let state = if block.active { "blocked" } else { "over" };
                println!(
                    "{state} {} from {} until {} ({}), call {}",
                    block.caller, block.from_utc, block.until_utc, block.reason, block.call
                );
            }
        }
        BlockCommand::Lift { caller } => {
            let lifted: Result<u64, StoreError> = lift_block(&config.store.path, &caller).await;
            if lifted? == 0 {
                anyhow::bail!("{caller} is not blocked; `duologue block list` shows who is");
            }
            println!("{caller} is taken again");
        }
    }
    Ok(())
}
