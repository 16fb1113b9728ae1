//! `duologue knowledge`: what personas know from files. Works beside a running server.

use std::path::PathBuf;

use clap::Subcommand;

use super::{KnowledgeHouse, Meanings, Shelf, What, index, meanings, pdf, shelves};
use crate::assembly::embedder_alone;
use crate::config::Config;
use crate::serve::load_personas;
use crate::store::{Reader, Store, StoreError};

/// What personas know from files
#[derive(Subcommand, Debug)]
pub enum KnowledgeCommand {
    /// Read in what has changed in the personas' folders; the server does so at its start
    Index {
        /// This persona's alone
        #[arg(long, value_name = "NAME")]
        persona: Option<String>,
    },
    /// The files that were read in, and what was wrong with the others
    List {
        /// This persona's alone
        #[arg(long, value_name = "NAME")]
        persona: Option<String>,
    },
    /// What would be quoted to the model for these words of a caller
    Search {
        /// As a caller would say it
        #[arg(required = true)]
        words: Vec<String>,
        /// Who is asked; the default persona if nobody is named
        #[arg(long, value_name = "NAME")]
        persona: Option<String>,
    },
    /// The text of a PDF, page by page: in a process of its own
    #[command(hide = true)]
    PdfText { file: PathBuf },
}

/// Runs a command on the configuration's database and personas.
///
/// # Errors
/// When the database or the personas cannot be read, or there is no such persona.
pub async fn run(config: &Config, command: KnowledgeCommand) -> anyhow::Result<()> {
    match command {
        KnowledgeCommand::PdfText { file } => pdf::print_pages(&file),
        KnowledgeCommand::Index { persona } => {
            let shelves = asked_for(config, persona.as_deref())?;
            make_tables(config).await?;
            let mut counts = (0, 0, 0, 0);
            index(&config.store.path, &shelves, |report| {
                let what = match report.what {
                    What::Unchanged => {
                        counts.0 += 1;
                        return;
                    }
                    What::Indexed { chunks } => {
                        counts.1 += 1;
                        format!("{chunks} pieces")
                    }
                    What::Removed => {
                        counts.2 += 1;
                        "is gone".into()
                    }
                    What::Faulty(why) => {
                        counts.3 += 1;
                        format!("SKIPPED: {why}")
                    }
                };
                println!("{}: {}: {what}", report.persona, report.source);
            })
            .await?;
            println!("{} files read in, {} as before, {} gone, {} skipped", counts.1, counts.0, counts.2, counts.3);
            Ok(())
        }
        KnowledgeCommand::List { persona } => {
            let shelves = asked_for(config, persona.as_deref())?;
            for file in reader(config)?.knowledge_files().await? {
                if shelves.iter().any(|shelf| shelf.persona == file.persona) {
                    let state = file.fault.map_or(format!("{} pieces", file.chunks), |why| format!("SKIPPED: {why}"));
                    println!("{}: {}: {state} (read in {})", file.persona, file.source, file.indexed_utc);
                }
            }
            Ok(())
        }
        KnowledgeCommand::Search { words, persona } => search(config, &words.join(" "), persona).await,
    }
}

async fn search(config: &Config, words: &str, persona: Option<String>) -> anyhow::Result<()> {
    let persona = persona.unwrap_or_else(|| config.personas.default.clone());
    asked_for(config, Some(&persona))?;
    let store = reader(config)?;
    let meanings = known(config, &store).await?;
    let house = KnowledgeHouse { store, meanings, passages: config.knowledge.passages };
    let found = house.find(&persona, words).await?;
    for passage in &found {
        let line = passage.line.map(|line| format!(":{line}"));
        let place = line.or_else(|| passage.page.map(|page| format!(", page {page}"))).unwrap_or_default();
        println!("{}{place}  {}\n    {}", passage.source, passage.heading, passage.text);
    }
    if found.is_empty() {
        println!("nothing that {persona} knows fits; `duologue knowledge list` names the files");
    }
    Ok(())
}

/// What a server has learnt of the pieces' meaning; nothing where this configuration has no embedding model.
async fn known(config: &Config, store: &Reader) -> anyhow::Result<Option<Meanings>> {
    let Some(embedder) = embedder_alone(config).await? else { return Ok(None) };
    let (meanings, learner) = meanings(embedder);
    learner.remember(store).await?;
    Ok(Some(meanings))
}

fn asked_for(config: &Config, persona: Option<&str>) -> anyhow::Result<Vec<Shelf>> {
    let personas = load_personas(&config.personas.dir, &config.personas.default)?;
    let mut shelves = shelves(&config.personas.dir, personas.iter().map(AsRef::as_ref));
    if let Some(name) = persona {
        anyhow::ensure!(personas.iter().any(|persona| persona.name == name), "there is no persona '{name}'");
        shelves.retain(|shelf| shelf.persona == name);
    }
    anyhow::ensure!(!shelves.is_empty(), "no such persona has `knowledge:` in its head: name folders there");
    Ok(shelves)
}

fn reader(config: &Config) -> anyhow::Result<Reader> {
    let path = &config.store.path;
    anyhow::ensure!(path.exists(), "there is no database {}: run `duologue knowledge index`", path.display());
    Ok(Reader::of(path))
}

/// A file that no server has open may be missing or of an older schema.
async fn make_tables(config: &Config) -> anyhow::Result<()> {
    match Store::open(&config.store.path).await {
        Ok(store) => drop(store.close().await),
        // Then its server has made them.
        Err(StoreError::InUse { .. }) => {}
        Err(fault) => return Err(fault.into()),
    }
    Ok(())
}
