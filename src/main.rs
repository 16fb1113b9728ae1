//! The command line. Each command is one call into the library.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use duologue::config::Config;
use duologue::models::ModelsCommand;
use duologue::serve::Server;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A telephone-grade media server that talks back.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The configuration file; ./duologue.toml if it exists, else the defaults
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Take calls
    Serve,
    /// Check configuration, models, database, ports and back ends; each with a verdict and the way out
    Check,
    /// The models: what is here, what is fetched, what is intact
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Play WAV files into a call, record both sides, print the response latency of each turn at the ear
    Call(duologue::call_client::CallArguments),
    /// Have a running server call a telephone, and tell what came of it
    Dial(duologue::dial::DialArguments),
    /// Telephones that register with a running server: who is there, and until when
    Phones(duologue::phones::PhonesArguments),
    /// Have a telephone's call handed on: its telephone calls somebody else in our place
    Transfer(duologue::handing::TransferArguments),
    /// Have a call handed over: somebody is called, told of the caller, and connected with him
    Handover(duologue::handing::HandoverArguments),
    /// Have keys pressed in a telephone's call
    Dtmf(duologue::handing::DtmfArguments),
    /// The judge: build its data, train it, evaluate it; label and export the decisions of calls
    #[command(subcommand)]
    Judge(duologue::judging::JudgeCommand),
    /// Callers that are refused: who, why and until when; and taking it back
    #[command(subcommand)]
    Block(duologue::block::BlockCommand),
    /// Callers: who is remembered, what is remembered of them, and how to erase it
    #[command(subcommand)]
    Caller(duologue::caller::CallerCommand),
    /// Knowledge: what personas know from files
    #[command(subcommand)]
    Knowledge(duologue::knowledge::cli::KnowledgeCommand),
    /// Personas: who can answer, and what is wrong with a file
    #[command(subcommand)]
    Persona(duologue::persona::PersonaCommand),
    /// Ask the call database: one statement that reads
    Sql(duologue::review::SqlArguments),
    /// The questions of a morning after, by name
    #[command(subcommand)]
    Review(duologue::review::ReviewCommand),
    /// A call as a file for others (vCon, WebVTT, CSV, JSON), signed; and a look at such a file
    Export(duologue::export::ExportArguments),
    /// A call that was held elsewhere, from its vCon, as rows and a recording
    Import(duologue::import::ImportArguments),
    /// Take a span out of a call: its sound, its words, what was remembered of it
    Redact(duologue::redaction::RedactArguments),
    /// Save what can be read of a damaged database into a new one
    Recover(duologue::recovery::RecoverArguments),
    /// A call again, in virtual time, from its input journal; and as it would have been with other settings
    Replay(duologue::replay::ReplayArguments),
    /// Put a bad network between two programs on this machine: a seeded UDP relay
    Relay(duologue::relay::RelayArguments),
    /// Speak a text into a WAV file, in the configured voice
    Say(duologue::say::SayArguments),
}

/// As with every program in a pipe: `duologue judge eval FILE | head` ends when `head` has read enough, without a word. `println!`
/// would panic, and the standard library has no other way out without `unsafe`.
fn end_where_nobody_reads_on() {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let what = panic.payload_as_str().unwrap_or_default();
        if what.starts_with("failed printing to stdout") && what.contains("Broken pipe") {
            // 128 and SIGPIPE, as shells have it.
            std::process::exit(141);
        }
        told(panic);
    }));
}

fn main() -> ExitCode {
    end_where_nobody_reads_on();
    // Two crates want a TLS provider; the first one set is everybody's. A second call is harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments = Arguments::parse();
    let config = match Config::load(arguments.config.as_deref()) {
        Ok(config) => config,
        Err(faults) => {
            eprintln!("{faults}");
            return ExitCode::from(2);
        }
    };
    if let Err(fault) = duologue::telemetry::start(&config.log) {
        eprintln!("{fault}");
        return ExitCode::from(2);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(run(arguments.command, &config)),
        Err(fault) => Err(fault.into()),
    };
    match outcome {
        Ok(code) => code,
        Err(fault) => {
            eprintln!("duologue: {fault}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command, config: &Config) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve => serve(config).await,
        Command::Check => Ok(duologue::check::run(config).await),
        Command::Models(command) => {
            command.run(Some(config.models.folder())).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Say(arguments) => duologue::say::run(config, arguments).await.map(|()| ExitCode::SUCCESS),
        Command::Dial(arguments) => duologue::dial::run(config, arguments).await,
        Command::Phones(arguments) => duologue::phones::run(config, arguments).await,
        Command::Transfer(arguments) => duologue::handing::transfer(config, arguments).await,
        Command::Handover(arguments) => duologue::handing::handover(config, arguments).await,
        Command::Dtmf(arguments) => duologue::handing::dtmf(config, arguments).await,
        Command::Judge(command) => {
            duologue::judging::run(config, command).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Block(command) => {
            duologue::block::run(config, command).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Caller(command) => {
            duologue::caller::run(config, command).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Knowledge(command) => {
            duologue::knowledge::cli::run(config, command).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Persona(command) => {
            duologue::persona::run(config, command)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Sql(arguments) => {
            duologue::review::sql(config, arguments).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Review(command) => {
            duologue::review::review(config, command).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Export(arguments) => {
            duologue::export::run(config, arguments).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Import(arguments) => {
            duologue::import::run(config, arguments).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Redact(arguments) => {
            duologue::redaction::run(config, arguments).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Recover(arguments) => {
            duologue::recovery::run(arguments).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Replay(arguments) => duologue::replay::run(config, arguments).await,
        Command::Relay(arguments) => {
            duologue::relay::run(arguments).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Call(arguments) => {
            duologue::call_client::run(arguments).await?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn serve(config: &Config) -> anyhow::Result<ExitCode> {
    let server = Server::start(config).await?;
    let mut stop_asked = StopAsked::listen()?;
    // Nobody may listen any more (`duologue serve | head -1`), which is no reason to hang up on callers: `println!` would.
    let mut out = std::io::stdout();
    let _unheard = writeln!(out, "duologue is ready: open http://{} and talk (Ctrl-C stops)", server.http);
    let _unheard = writeln!(out, "media on UDP {}, calls in {}", server.media, config.store.path.display());
    if let Some(telephones) = &server.telephones {
        let _unheard = writeln!(out, "telephones: SIP on {}, UDP and TCP", telephones.address);
    }
    stop_asked.next().await;
    let drain = Duration::from_secs(u64::from(config.calls.drain_s));
    if !drain.is_zero() {
        let (calls, within_s) = (server.registry.count(), config.calls.drain_s);
        let _unheard = writeln!(std::io::stderr(), "no more calls are taken; {calls} may go on for {within_s} s ...");
        tokio::select! {
            _over = tokio::time::timeout(drain, server.drain()) => {}
            () = stop_asked.next() => {}
        }
    }
    let _unheard = writeln!(std::io::stderr(), "ending calls ...");
    server.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// Ctrl-C, or SIGTERM from whoever supervises the server. Listened for from the first to the last, so that none is lost between two.
struct StopAsked {
    term: Signal,
    interrupt: Signal,
}

impl StopAsked {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { term: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
