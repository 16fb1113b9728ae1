//! `duologue-judge`: builds the data, trains and evaluates the judge.
#![forbid(unsafe_code)]

use clap::Parser;
use duologue_judge::cli::{Command, run};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "duologue-judge", about = "Which action a voice agent takes: data, training, evaluation")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("duologue-judge: {fault}");
            ExitCode::FAILURE
        }
    }
}
