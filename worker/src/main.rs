//! The embedded language model: one GGUF file behind Ollama's API on loopback, in a process of its own so that a
//! crash of the model takes no call down and llama.cpp's ggml never meets whisper.cpp's in one link.
//!
//! Prints one line of JSON on stdout when it is ready, and ends when its stdin closes, so that it never outlives the
//! server that started it.
#![forbid(unsafe_code)]

mod api;
mod chat;
mod engine;
mod sampling;
mod slots;
mod text;
mod transcript;
mod wire;

use std::io::{IsTerminal, Read, Write};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use axum::serve::ListenerExt;
use clap::Parser;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::engine::{Engine, Settings};

/// Serves one GGUF model over Ollama's API on 127.0.0.1. Ends when stdin closes.
#[derive(Parser, Debug)]
#[command(version)]
struct Args {
    /// The GGUF file.
    #[arg(long)]
    model: PathBuf,
    /// The model's name in the API; the file's name without `.gguf` by default.
    #[arg(long)]
    name: Option<String>,
    /// TCP port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Threads that make replies; half of the processors by default, so that the voice has the other half.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=64))]
    threads: Option<u32>,
    /// Threads that read prompts; as many as `--threads` by default.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=64))]
    prefill_threads: Option<u32>,
    /// The longest prompt and reply of one chat, in tokens.
    #[arg(long, default_value_t = 4096, value_parser = clap::value_parser!(u32).range(256..=131_072))]
    ctx: u32,
    /// Chats that keep their prefix in the cache and reply at once.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    slots: u32,
    /// Beginnings of chats (requests with `"keep": true` and no token to make) that stay in the cache, whatever comes.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=32))]
    keeps: u32,
    /// Tokens of all chats that the cache holds together; by default twice `--ctx`, and 1,024 for each of `--keeps`.
    #[arg(long)]
    cells: Option<u32>,
    /// Requests that may wait for a slot; about as many again may be on their way, others are turned away.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1024))]
    queue: u32,
    /// How a chat is put to the model; requests with a format are always put as a chat.
    #[arg(long, value_enum, default_value_t)]
    layout: chat::Layout,
    /// How far to step back behind other processes, 0 to 19.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=19))]
    nice: u8,
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        // one line without a backtrace: the server shows it as the reason of the failure
        Err(fault) => {
            eprintln!("Error: {fault:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,llama-cpp-2=error")),
        )
        .init();
    llama_cpp_2::send_logs_to_tracing(llama_cpp_2::LogOptions::default());
    step_back(args.nice);
    let parent_gone = watch_stdin()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(args, parent_gone))
}

/// Before any thread is made: on Linux each thread inherits its maker's priority.
fn step_back(nice: u8) {
    #[cfg(unix)]
    if nice > 0
        && let Err(fault) = rustix::process::nice(i32::from(nice))
    {
        tracing::warn!(%fault, nice, "the priority stays as it is");
    }
    #[cfg(not(unix))]
    let _ = nice;
}

/// Resolves when stdin is closed; what is written there is ignored.
fn watch_stdin() -> std::io::Result<oneshot::Receiver<()>> {
    let (closed, gone) = oneshot::channel();
    std::thread::Builder::new().name("stdin".into()).spawn(move || {
        let mut scrap = [0; 256];
        let mut stdin = std::io::stdin().lock();
        while matches!(stdin.read(&mut scrap), Ok(1..)) {}
        let _ = closed.send(());
    })?;
    Ok(gone)
}

async fn serve(args: Args, parent_gone: oneshot::Receiver<()>) -> anyhow::Result<()> {
    let name = match args.name {
        Some(name) => name,
        None => args.model.file_stem().map_or_else(|| "model".into(), |stem| stem.to_string_lossy().into_owned()),
    };
    let threads = args.threads.unwrap_or_else(half_of_the_processors);
    let settings = Settings {
        model: args.model,
        threads,
        prefill_threads: args.prefill_threads.unwrap_or(threads),
        ctx: args.ctx,
        keeps: args.keeps as usize,
        cells: args.cells.unwrap_or(args.ctx * 2 + args.keeps * 1_024).max(args.ctx),
        slots: args.slots as usize,
        queue: args.queue as usize,
        layout: args.layout,
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port))
        .await
        .with_context(|| format!("port {} on 127.0.0.1 cannot be used; --port 0 takes a free one", args.port))?;
    let port = listener.local_addr()?.port();
    let mut parent_gone = parent_gone;
    let mut engine = tokio::select! {
        engine = tokio::task::spawn_blocking(move || Engine::start(settings)) => engine??,
        // the parent gave up while the model was loading
        _ = &mut parent_gone => std::process::exit(0),
    };
    let served = api::Served::new(name.clone(), args.ctx as usize, &engine);
    announce(port, &name)?;
    // Without TCP_NODELAY each small line waits for the acknowledgement of the one before: 42 ms instead of 0.2.
    let listener = listener.tap_io(|socket| {
        if let Err(fault) = socket.set_nodelay(true) {
            tracing::warn!(%fault, "TCP_NODELAY was refused; replies come late");
        }
    });
    tokio::select! {
        served = axum::serve(listener, api::router(served)).into_future() => served.context("the API stopped"),
        _ = &mut engine.ended => anyhow::bail!("the model's thread ended"),
        // nobody is left to read a reply: do not finish it first
        _ = &mut parent_gone => std::process::exit(0),
    }
}

fn half_of_the_processors() -> u32 {
    let all = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (all / 2).clamp(1, 8) as u32
}

fn announce(port: u16, model: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::json!({ "ready": true, "port": port, "model": model }))?;
    out.flush()
}
