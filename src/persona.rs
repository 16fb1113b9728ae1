//! `duologue persona`: who can answer, and what is wrong with a file before anybody calls it.

use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::dialogue::persona::Persona;
use crate::knowledge::missing_folders;
use crate::serve::load_personas;

/// What to do about personas.
#[derive(clap::Subcommand, Debug)]
pub enum PersonaCommand {
    /// Who can answer: name, title and description
    List,
    /// Read persona files and name every fault with its line
    Check {
        /// Markdown files with a YAML head
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

/// Prints what there is, or what is wrong with it.
///
/// # Errors
/// When a file cannot be read or has faults; those are printed by then.
pub fn run(config: &Config, command: PersonaCommand) -> anyhow::Result<()> {
    match command {
        PersonaCommand::List => {
            for persona in load_personas(&config.personas.dir, &config.personas.default)? {
                let usual = if persona.name == config.personas.default { " (default)" } else { "" };
                println!("{}{usual}: {}. {}", persona.name, persona.title, persona.description);
            }
        }
        PersonaCommand::Check { files } => {
            let mut faulty = 0;
            for file in &files {
                let text = std::fs::read_to_string(file)
                    .map_err(|why| anyhow::anyhow!("cannot read {}: {why}", file.display()))?;
                let home = file.parent().unwrap_or(Path::new("."));
                let sound = Persona::parse(&text).and_then(|persona| {
                    let missing = missing_folders(home, &persona);
                    if missing.is_empty() { Ok(persona) } else { Err(missing) }
                });
                match sound {
                    Ok(persona) => println!("{}: '{}' is sound", file.display(), persona.name),
                    Err(faults) => {
                        faulty += 1;
                        faults.iter().for_each(|fault| println!("{}: {fault}", file.display()));
                    }
                }
            }
            anyhow::ensure!(faulty == 0, "{faulty} of {} files have faults", files.len());
        }
    }
    Ok(())
}
