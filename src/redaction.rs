//! Ring 3: a span of a call taken out afterwards: its sound, its words, what was remembered of it. The rest stays as it was and can
//! be shown to be.

use std::path::Path;

use crate::config::Config;
use crate::recording::{RecordingShelf, Whereabouts, put_beside, silenced, take_away_left, take_place};
use crate::store::{
    AskedBy, Connected, Reader, RecordingView, Redacted, SoundGone, Span, StoreError, redact, tidy_redacted,
};

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

/// Two ticks and a resampling lie between what one call hears and what another says of it (docs/decisions/0037), and rows have whole milliseconds.
const CROSSING_MS: u64 = 250;

/// Takes it out, of the calls that were connected with this one as well. The new file lies beside the old one before the rows change, and takes
/// its place after them: a server that stops in between ends it at its next start.
///
/// # Errors
/// When there is no such call, one of the calls is not over, or one of the files cannot be written.
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
    let reader = Reader::of(database);
    let connected = reader.connected(&span.call).await?;
    let spans: Vec<Span> = [span.clone()].into_iter().chain(connected.iter().filter_map(|c| across(span, c))).collect();
    // Nothing goes before it is known that all of it can.
    for span in &spans {
        recording_of(&reader, &span.call).await?;
    }
    let mut gone = Redacted::default();
    let mut fault = None;
    for span in &spans {
        match take_out_of_one(&reader, &shelf, span).await {
            Ok(one) => {
                gone.turns += one.turns;
                gone.words += one.words;
                gone.facts += one.facts;
            }
            Err(why) => {
                fault = Some(why);
                break;
            }
        }
    }
    // After the files have taken their places: it may take long, or fail where the disk is full, and what is heard is to be what the rows say.
    let tidied = tidy_redacted(database).await;
    fault.map_or(Ok(()), Err)?;
    tidied?;
    Ok(gone)
}

/// The part of another call that has what was said in the span: what went across while the two were connected, and, where the other side was told of
/// the caller before, what it was told. `None`: it has nothing of it.
fn across(span: &Span, there: &Connected) -> Option<Span> {
    let shifted = |ms: u64| ms.saturating_add_signed(there.ahead_ms);
    let until = span.to_ms.min(there.ended_ms) + CROSSING_MS;
    let (from_ms, to_ms) = if there.told && span.from_ms < there.joined_ms {
        (0, shifted(until.max(there.joined_ms)))
    } else {
        (shifted(span.from_ms.saturating_sub(CROSSING_MS).max(there.joined_ms)), shifted(until))
    };
    let (call, why, asked_by) = (there.call.clone(), span.why.clone(), span.asked_by);
    (from_ms < to_ms).then_some(Span { call, from_ms, to_ms, why, asked_by })
}

/// The row of a call's recording, where there is one still.
async fn recording_of(reader: &Reader, call: &str) -> Result<Option<RecordingView>, RedactFault> {
    let view = reader.call(call).await?.ok_or_else(|| RedactFault::NoCall(call.to_owned()))?;
    if view.summary.end_reason.is_none() {
        return Err(RedactFault::StillOpen(call.to_owned()));
    }
    let recording = reader.recording(call).await?.filter(|row| row.removed_utc_ms.is_none());
    if recording.as_ref().is_some_and(|row| row.sha256.is_none()) {
        return Err(RedactFault::Unfinished(call.to_owned()));
    }
    Ok(recording)
}

async fn take_out_of_one(reader: &Reader, shelf: &RecordingShelf, span: &Span) -> Result<Redacted, RedactFault> {
    let database = reader.path();
    let (mut sound, mut path) = (None, None);
    if let Some(row) = &recording_of(reader, &span.call).await? {
        let began = row.started_ms.max(0).unsigned_abs();
        let (from, to) = (span.from_ms.saturating_sub(began), span.to_ms.saturating_sub(began));
        path = Some((shelf.path(&row.file), row.file.clone()));
        let (shelf_then, at, key_id) = (shelf.clone(), Whereabouts::from(row), row.key_id.clone());
        let made =
            tokio::task::spawn_blocking(move || silence_beside(&shelf_then, &at, key_id.as_deref(), from, to)).await;
        sound = made.map_err(std::io::Error::other).flatten().map_err(|why| RedactFault::Recording(why.to_string()))?;
    }
    let journal = reader.journal(&span.call).await?.filter(|row| row.removed_utc_ms.is_none());
    let no_call = || RedactFault::NoCall(span.call.clone());
    let redacted = redact(database, span, sound.as_ref()).await?.ok_or_else(no_call)?;
    if let Some(row) = journal {
        // A file that stays goes when the server starts next: its row says that it is gone.
        let _ = std::fs::remove_file(shelf.path(&row.file));
    }
    let placed = match (path, sound) {
        (Some((path, file)), Some(_)) => {
            take_place(&path).map_err(|why| RedactFault::NotInPlace { file, why: why.to_string() })
        }
        _ => Ok(()),
    };
    let left = take_away_left(database, shelf, Some(&span.call)).await;
    placed?;
    left.map_err(|why| RedactFault::StillStored(why.to_string()))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn there(told: bool) -> Connected {
        Connected { call: "there".into(), told, joined_ms: 10_000, ended_ms: 20_000, ahead_ms: -8_000 }
    }

    fn of(from_ms: u64, to_ms: u64) -> Span {
        Span { call: "here".into(), from_ms, to_ms, why: "a number".into(), asked_by: AskedBy::Operator }
    }

    fn gone(span: &Span, there: &Connected) -> Option<(u64, u64)> {
        across(span, there).map(|span| (span.from_ms, span.to_ms))
    }

    #[test]
    fn of_a_call_that_was_connected_goes_what_went_across() {
        assert_eq!(gone(&of(12_000, 13_000), &there(false)), Some((3_750, 5_250)));
        assert_eq!(gone(&of(9_000, 11_000), &there(false)), Some((2_000, 3_250)), "nothing of before");
        assert_eq!(gone(&of(19_000, 30_000), &there(false)), Some((10_750, 12_250)), "and nothing of afterwards");
        assert_eq!(gone(&of(1_000, 9_000), &there(false)), None);
        assert_eq!(gone(&of(21_000, 30_000), &there(false)), None);
    }

    #[test]
    fn who_was_told_of_the_caller_is_left_nothing_of_it() {
        assert_eq!(
            gone(&of(1_000, 9_000), &there(true)),
            Some((0, 2_000)),
            "all that was said before they were connected"
        );
        assert_eq!(gone(&of(1_000, 12_000), &there(true)), Some((0, 4_250)));
        assert_eq!(gone(&of(12_000, 13_000), &there(true)), Some((3_750, 5_250)), "of this nothing was told");
    }

    #[test]
    fn a_call_that_began_later_has_no_moments_of_before() {
        let later = Connected { ahead_ms: -12_000, ..there(false) };
        assert_eq!(gone(&of(10_500, 11_000), &later), None);
        assert_eq!(gone(&of(11_000, 13_000), &later), Some((0, 1_250)));
    }
}
