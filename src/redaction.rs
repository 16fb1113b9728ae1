//! Ring 3: a span of a call taken out afterwards: its sound, its words, what was remembered of it. The rest stays as it was and can
//! be shown to be.

use std::path::Path;

use crate::config::Config;
use crate::recording::{RecordingShelf, Whereabouts, put_beside, silenced, take_away_left, take_place};
use crate::store::{AskedBy, Reader, Redacted, SoundGone, Span, StoreError, redact, tidy_redacted};

/// Take a span out of a call: sound, words, facts
#[derive(clap::Args, Debug)]
pub struct RedactArguments {
    /// The call's name, as `duologue review run last-calls` shows it
    call: String,
    /// Where the span begins: milliseconds of the call, as in the rows
    #[arg(long = "from", value_name = "MS")]
    from_ms: u64,
    /// Where it ends
    #[arg(long = "to", value_name = "MS")]
    to_ms: u64,
    /// Why; it is kept, so do not say what was there
    #[arg(long)]
    why: String,
}

/// Why nothing was taken out.
#[derive(Debug, thiserror::Error)]
pub enum RedactFault {
    #[error("there is no call {0}; `duologue review run last-calls` names them")]
    NoCall(String),
    #[error("the call {0} is still going on: redact it when it is over")]
    StillOpen(String),
    #[error("the recording of {0} is not finished: start the server once, it does that")]
    Unfinished(String),
    #[error("a span ends after it begins")]
    Backwards,
    #[error("say why, in a sentence")]
    NoReason,
    #[error("the recording cannot be redacted, and nothing was: {0}")]
    Recording(String),
    #[error("the rows are redacted, and the recording {file} is not yet ({why}): the server does it at its next start")]
    NotInPlace { file: String, why: String },
    #[error("the span is taken out, but the recording of before is not gone yet: {0}")]
    StillStored(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes it out. The new file lies beside the old one before the rows change, and takes its place after them: a server that stops
/// in between ends it at its next start.
///
/// # Errors
/// When there is no such call, it is not over, or one of the files cannot be written.
pub async fn take_out(
    database: &Path,
    recordings: impl Into<RecordingShelf>,
    span: &Span,
) -> Result<Redacted, RedactFault> {
    let shelf = recordings.into();
    if span.to_ms <= span.from_ms {
        return Err(RedactFault::Backwards);
    }
    if span.why.trim().is_empty() {
        return Err(RedactFault::NoReason);
    }
    let no_call = || RedactFault::NoCall(span.call.clone());
    let reader = Reader::of(database);
    let call = reader.call(&span.call).await?.ok_or_else(no_call)?;
    if call.summary.end_reason.is_none() {
        return Err(RedactFault::StillOpen(span.call.clone()));
    }
    let recording = reader.recording(&span.call).await?.filter(|row| row.removed_utc_ms.is_none());
    let (mut sound, mut path) = (None, None);
    if let Some(row) = &recording {
        if row.sha256.is_none() {
            return Err(RedactFault::Unfinished(span.call.clone()));
        }
        let began = row.started_ms.max(0).unsigned_abs();
        let (from, to) = (span.from_ms.saturating_sub(began), span.to_ms.saturating_sub(began));
        path = Some((shelf.path(&row.file), row.file.clone()));
        let (shelf_then, at, key_id) = (shelf.clone(), Whereabouts::from(row), row.key_id.clone());
        let made =
            tokio::task::spawn_blocking(move || silence_beside(&shelf_then, &at, key_id.as_deref(), from, to)).await;
        sound = made.map_err(std::io::Error::other).flatten().map_err(|why| RedactFault::Recording(why.to_string()))?;
    }
    let journal = reader.journal(&span.call).await?.filter(|row| row.removed_utc_ms.is_none());
    let redacted = redact(database, span, sound.as_ref()).await?.ok_or_else(no_call)?;
    if let Some(row) = journal {
        // A file that stays goes when the server starts next: its row says that it is gone.
        let _ = std::fs::remove_file(shelf.path(&row.file));
    }
    // Before the tidying up, which may take long, or fail where the disk is full: what is heard is what the row says.
    let placed = match (path, sound) {
        (Some((path, file)), Some(_)) => {
            take_place(&path).map_err(|why| RedactFault::NotInPlace { file, why: why.to_string() })
        }
        _ => Ok(()),
    };
    let left = take_away_left(database, &shelf, Some(&span.call)).await;
    let tidied = tidy_redacted(database).await;
    placed?;
    left.map_err(|why| RedactFault::StillStored(why.to_string()))?;
    tidied?;
    Ok(redacted)
}

fn silence_beside(
    shelf: &RecordingShelf,
    at: &Whereabouts,
    was: Option<&str>,
    from_ms: u64,
    to_ms: u64,
) -> std::io::Result<Option<SoundGone>> {
    let Some(silenced) = silenced(&shelf.contents(at.clone())?, from_ms, to_ms)? else { return Ok(None) };
    let key_id = put_beside(shelf, &shelf.path(&at.file), &silenced.file, was)?;
    Ok(Some(SoundGone {
        first_page: silenced.first_page,
        last_page: silenced.last_page,
        bytes: silenced.file.len() as u64,
        sha256_before: silenced.sha256_before,
        sha256_after: silenced.sha256_after,
        rest_sha256: silenced.rest_sha256,
        key_id,
    }))
}

/// `duologue redact`.
///
/// # Errors
/// As [`take_out`].
pub async fn run(config: &Config, arguments: RedactArguments) -> anyhow::Result<()> {
    let path = &config.store.path;
    anyhow::ensure!(path.exists(), "there is no database {}: nobody has called yet, or set store.path", path.display());
    let RedactArguments { call, from_ms, to_ms, why } = arguments;
    let span = Span { call, from_ms, to_ms, why, asked_by: AskedBy::Operator };
    let gone = take_out(path, config.recording.shelf()?, &span).await?;
    println!("redacted: {} words in {} turns, {} facts", gone.words, gone.turns, gone.facts);
    Ok(())
}
