//! Courses of a call as rows of the usual tables, so that SQL compares them.

use std::path::Path;

use duologue_core::replay::Head;
use duologue_core::replay::again::Course;
use duologue_signaling::event::Event;

use crate::journal::{EndReason, Entry, MediaTotals};
use crate::store::Store;

/// Writes the call as it was, and as it would have been where that is known.
///
/// # Errors
/// When the file cannot be written.
pub async fn write(path: &Path, head: &Head, live: &Course, other: Option<&Course>) -> anyhow::Result<()> {
    let store = Store::open(path).await?;
    keep(&store, head, &head.call, live);
    if let Some(other) = other {
        keep(&store, head, &format!("{}/otherwise", head.call), other);
    }
    let counts = store.close().await;
    anyhow::ensure!(counts.lost == 0, "{} rows could not be written to {}", counts.lost, path.display());
    Ok(())
}

fn keep(store: &Store, head: &Head, call: &str, course: &Course) {
    let recorder = store.recorder();
    recorder.record(Entry::CallOpened {
        call: call.into(),
        started_utc_ms: head.settings.began_utc_ms,
        caller: None,
        persona: head.persona.name.clone(),
        transport: "replay".into(),
        asr: head.asr.clone(),
        llm: head.llm.clone(),
        tts: head.tts.clone(),
    });
    for entry in &course.entries {
        // Without a caller there is nobody to remember anything of.
        if !matches!(
            entry,
            Entry::Remembered { .. }
                | Entry::Blocked { .. }
                | Entry::Raised { .. }
                | Entry::Extracted { .. }
                | Entry::Summed { .. }
        ) {
            recorder.record(entry.clone());
        }
    }
    for event in course.stamped.iter().filter(|stamped| !matches!(stamped.event, Event::Words { .. })) {
        recorder.record(Entry::Event { call: call.into(), event: event.clone() });
    }
    let (until, reason) = course.ended.unwrap_or((course.until, EndReason::Crash));
    recorder.record(Entry::CallClosed {
        call: call.into(),
        ended_utc_ms: head.settings.began_utc_ms + i64::try_from(until.ms()).unwrap_or(0),
        duration_ms: until.ms(),
        reason,
        detail: "Replayed.".into(),
        media: MediaTotals::default(),
    });
}
