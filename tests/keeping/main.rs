//! What calls leave behind, under hard conditions: sealed at rest, replayed elsewhere, saved out of a damaged database.

#[path = "../common/mod.rs"]
mod common;
#[path = "../house/mod.rs"]
mod house;

mod damaged;
mod imported;
mod replayed;
mod sealed;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use duologue::serve::Server;
use house::config;
use house::typed::typed_call;

/// A server of scripted back ends with these lines in its `[recording]`.
async fn served(folder: &Path, recording: &str) -> Server {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let more = format!(
        "[asr]\nbackend = \"scripted\"\n[llm]\nbackend = \"scripted\"\n[tts]\nbackend = \"scripted\"\n[recording]\ndir = {:?}\n{recording}",
        folder.join("recordings").display().to_string(),
    );
    Server::start(&config(folder, &more)).await.expect("the server starts")
}

/// The only file with this ending that the server's recordings are.
fn kept(folder: &Path, ending: &str) -> PathBuf {
    let files = std::fs::read_dir(folder.join("recordings")).expect("a folder").flatten().map(|file| file.path());
    files.into_iter().find(|path| path.extension().is_some_and(|kind| kind == ending)).expect("such a file")
}

/// A call in which something is typed; its name.
async fn a_call(folder: &Path, server: &Server, query: &str) -> String {
    typed_call(server, query, &["Hello.", "What time do you close?"]).await;
    server.registry.settle().await;
    kept(folder, "ogg").file_stem().and_then(|name| name.to_str()).expect("the call's name").to_owned()
}

/// The program itself, in a folder.
fn duologue(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_duologue")).current_dir(folder).args(arguments).output().expect("the program runs")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
