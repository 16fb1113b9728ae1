//! The text of a PDF, page by page. Files from anywhere make readers panic, run for ever or eat memory, so a file is read by a
//! process of its own (`duologue knowledge pdf-text FILE`), which may do any of it and takes nothing along.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::time::timeout;

/// A book of a thousand pages takes a few seconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// Text of one file, bytes: a book has a million.
const TEXT_MOST: u64 = 16 * 1024 * 1024;
/// What the reader says before its result is talk.
const MARK: &str = "pages: ";

/// Prints the pages of a file as one line of JSON: what the process of its own does.
///
/// # Errors
/// When the file is no PDF that can be read.
pub fn print_pages(path: &Path) -> anyhow::Result<()> {
    let pages = pdf_extract::extract_text_by_pages(path)?;
    println!("\n{MARK}{}", serde_json::to_string(&pages)?);
    Ok(())
}

/// The pages of a file.
///
/// # Errors
/// Why there are none, in words.
pub async fn pages(path: &Path) -> Result<Vec<String>, String> {
    let program = program().ok_or("the program `duologue` was not found beside this one to read it")?;
    let mut reader = Command::new(program);
    reader.args(["knowledge", "pdf-text"]).arg(path);
    reader.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut reader = reader.spawn().map_err(|why| format!("its reader does not start: {why}"))?;
    let (out, err) = (reader.stdout.take(), reader.stderr.take());
    let read = async {
        let (mut told, mut complaint) = (Vec::new(), Vec::new());
        let out = async { read_most(out, &mut told).await };
        let err = async { read_most(err, &mut complaint).await };
        tokio::join!(out, err);
        // A reader that still writes has written too much.
        let _killed = reader.start_kill();
        let ended = reader.wait().await.is_ok();
        (told, complaint, ended)
    };
    let (told, complaint, _) =
        timeout(PATIENCE, read).await.map_err(|_| format!("it is not read within {} s", PATIENCE.as_secs()))?;
    let told = String::from_utf8_lossy(&told);
    let pages = told.lines().rev().find_map(|line| line.strip_prefix(MARK));
    pages.and_then(|pages| serde_json::from_str(pages).ok()).ok_or_else(|| complaint_in(&complaint))
}

async fn read_most(from: Option<impl tokio::io::AsyncRead + Unpin>, into: &mut Vec<u8>) {
    if let Some(from) = from {
        // What was read by then is what there is.
        let _short = from.take(TEXT_MOST).read_to_end(into).await;
    }
}

/// The line that says what was wrong, of whatever the reader complained about.
fn complaint_in(stderr: &[u8]) -> String {
    const MOST: usize = 160;
    let text = String::from_utf8_lossy(stderr);
    let line = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("note:")).next_back();
    let line: String = line.unwrap_or("its reader said nothing").chars().take(MOST).collect();
    format!("no text can be read from it ({})", line.trim_start_matches("duologue: "))
}

/// This program, or the one beside it where this one is a test.
fn program() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let name = format!("duologue{}", std::env::consts::EXE_SUFFIX);
    if own.file_name().is_some_and(|own| own == name.as_str()) {
        return Some(own);
    }
    own.ancestors().skip(1).take(2).map(|folder| folder.join(&name)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_complaint_is_told_in_one_line() {
        assert_eq!(
            complaint_in(b"thread main panicked at x.rs\nunknown encoding\nnote: run with RUST_BACKTRACE\n\n"),
            "no text can be read from it (unknown encoding)"
        );
        assert!(complaint_in(b"").contains("said nothing"));
    }
}
