//! `duologue sql` and `duologue review`.

use std::io::Read as _;

use super::ask::{Limits, Table, ask_with};
use super::generate::{self, GenerateArguments};
use super::queries::{QUERIES, find};
use super::said::{SAID, match_all};
use crate::config::Config;
use crate::store::{self, Note};

/// How an answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// Columns for people, long values cut
    Table,
    /// RFC 4180
    Csv,
    /// An array of objects
    Json,
}

/// Ask the call database: one statement that reads
#[derive(clap::Args, Debug)]
pub struct SqlArguments {
    /// The statement; standard input where it is left out
    statement: Option<String>,
    #[arg(long, value_enum, default_value = "table")]
    form: Form,
}

/// Questions with names
#[derive(clap::Subcommand, Debug)]
pub enum ReviewCommand {
    /// All of them
    List,
    /// Ask one
    Run {
        /// Its name, as `review list` shows it
        name: String,
        #[arg(long, value_enum, default_value = "table")]
        form: Form,
    },
    /// Print one as SQL, to go on from
    Show {
        /// Its name
        name: String,
    },
    /// Where something was said, by either side: turns with all of these words, or with words that begin like them
    Search {
        /// The words
        words: Vec<String>,
        #[arg(long, value_enum, default_value = "table")]
        form: Form,
    },
    /// Write down what there is to say about a call, for whoever looks at it next
    Note(NoteArguments),
    /// Make a database of scripted calls, to try questions on
    Generate(GenerateArguments),
}

#[derive(clap::Args, Debug)]
pub struct NoteArguments {
    /// The call's name, as `duologue review run last-calls` shows it
    call: String,
    /// The note
    text: String,
    /// Who says so
    #[arg(long, value_name = "NAME")]
    by: String,
    /// The moment that it is about: milliseconds of the call, as in the rows; the whole call where it is left out
    #[arg(long, value_name = "MS")]
    at: Option<u32>,
}

/// Asks and prints.
///
/// # Errors
/// As [`ask`].
pub async fn sql(config: &Config, arguments: SqlArguments) -> anyhow::Result<()> {
    let statement = match arguments.statement {
        Some(statement) => statement,
        None => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            text
        }
    };
    answer(config, &statement, &[], arguments.form).await
}

/// Lists or asks.
///
/// # Errors
/// When there is no such question, or as [`ask`].
pub async fn review(config: &Config, command: ReviewCommand) -> anyhow::Result<()> {
    let named = |name: &str| {
        find(name).ok_or_else(|| anyhow::anyhow!("there is no question '{name}'; `duologue review list` names them"))
    };
    match command {
        ReviewCommand::List => QUERIES.iter().for_each(|query| println!("{:<24} {}", query.name, query.question())),
        ReviewCommand::Show { name } => println!("{}", named(&name)?.sql()),
        ReviewCommand::Run { name, form } => answer(config, named(&name)?.sql(), &[], form).await?,
        ReviewCommand::Search { words, form } => {
            let words = words.join(" ");
            let wanted = match_all(&words).ok_or_else(|| anyhow::anyhow!("there is no word in '{words}'"))?;
            answer(config, SAID, &[wanted.into()], form).await?;
        }
        ReviewCommand::Note(arguments) => write_down(config, arguments).await?,
        ReviewCommand::Generate(arguments) => generate::run(&arguments).await?,
    }
    Ok(())
}

async fn write_down(config: &Config, NoteArguments { call, text, by, at }: NoteArguments) -> anyhow::Result<()> {
    there_is(config)?;
    let (text, by) = (text.trim().to_owned(), by.trim().to_owned());
    anyhow::ensure!(!text.is_empty() && !by.is_empty(), "a note needs words, and somebody who says them (--by NAME)");
    let id = store::note(&config.store.path, &Note { call, at_ms: at, text, by }).await?;
    println!("note {id}");
    Ok(())
}

fn there_is(config: &Config) -> anyhow::Result<()> {
    let path = &config.store.path;
    anyhow::ensure!(path.exists(), "there is no database {}: nobody has called yet, or set store.path", path.display());
    Ok(())
}

async fn answer(config: &Config, statement: &str, parameters: &[serde_json::Value], form: Form) -> anyhow::Result<()> {
    there_is(config)?;
    let path = &config.store.path;
    // Whoever sits at the machine may wait longer than a request over HTTP.
    let limits = Limits { time: std::time::Duration::from_secs(60), rows: 1_000_000, bytes: 1 << 30 };
    let table: Table = ask_with(path, statement, parameters, limits).await?;
    match form {
        Form::Table => print!("{}", table.text()),
        Form::Csv => print!("{}", table.csv()),
        Form::Json => println!("{}", serde_json::to_string_pretty(&table.objects())?),
    }
    if table.cut {
        eprintln!("there is more");
    }
    Ok(())
}
