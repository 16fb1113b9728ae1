//! `/v1/calls/{id}/recording`: how a call sounded, and the end of it.

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tower_http::services::ServeFile;

use super::Web;
use super::calls::unreadable;
use super::refusal::Refusal;
use crate::journal::RecordingGone;
use crate::recording::{self, RecordingShelf, Whereabouts, take_away_left};
use crate::store::{RecordingView, utc_ms};

/// The file, in parts where they are asked for (RFC 9110, section 14), so that a player can jump.
pub async fn play(State(web): State<Web>, Path(id): Path<String>, request: Request) -> Result<Response, Refusal> {
    let recording = kept(&web, &id).await?;
    if web.recordings.is_sealed(&recording.file) || !web.recordings.is_here(&recording.file) {
        return in_parts(web.recordings, recording, request.headers()).await;
    }
    let mut response = match ServeFile::new(web.recordings.path(&recording.file)).try_call(request).await {
        Ok(response) => response.into_response(),
        Err(fault) => return Err(lost(&fault.to_string())),
    };
    if response.status() == StatusCode::NOT_FOUND {
        return Err(lost("the file is not in its folder"));
    }
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("audio/ogg; codecs=opus"));
    // It may be taken away at any time, and then it should be gone.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// One that is sealed or on the store, given as it is asked for. A sealed one is opened in memory, an hour of sound takes some 20 MB;
/// of another the store is asked for the part alone.
async fn in_parts(shelf: RecordingShelf, recording: RecordingView, headers: &HeaderMap) -> Result<Response, Refusal> {
    let asked = headers.get(header::RANGE).and_then(|range| range.to_str().ok()).map(str::to_owned);
    let read = tokio::task::spawn_blocking(move || {
        let at = Whereabouts::from(&recording);
        let (all, open) = (recording.bytes.and_then(|bytes| usize::try_from(bytes).ok()), recording.key_id.is_none());
        if let (Some(asked), Some(all), true) = (&asked, all, open)
            && let Some((from, to)) = part_of(asked, all)
        {
            return shelf.part(&at, from as u64..to as u64 + 1).map(|bytes| (bytes, Some((from, to, all))));
        }
        let bytes = shelf.contents(at)?;
        Ok(match asked.and_then(|asked| part_of(&asked, bytes.len())) {
            Some((from, to)) => (bytes[from..=to].to_vec(), Some((from, to, bytes.len()))),
            None => (bytes, None),
        })
    });
    let read = read.await.map_err(std::io::Error::other).flatten();
    let (bytes, part) = read.map_err(|fault| lost(&fault.to_string()))?;
    let said = [
        (header::CONTENT_TYPE, "audio/ogg; codecs=opus".to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
    ];
    Ok(match part {
        Some((from, to, all)) => {
            let range = [(header::CONTENT_RANGE, format!("bytes {from}-{to}/{all}"))];
            (StatusCode::PARTIAL_CONTENT, said, range, bytes).into_response()
        }
        None => (said, bytes).into_response(),
    })
}

/// The first and last byte of a range that is one (RFC 9110, section 14.1.2); any other request is answered with all of it, as the
/// RFC allows.
fn part_of(asked: &str, all: usize) -> Option<(usize, usize)> {
    let (from, to) = asked.strip_prefix("bytes=")?.split_once('-')?;
    let last = all.checked_sub(1)?;
    let (from, to) = match (from, to) {
        ("", to) => (all.saturating_sub(to.parse().ok()?), last),
        (from, "") => (from.parse().ok()?, last),
        (from, to) => (from.parse().ok()?, to.parse::<usize>().ok()?.min(last)),
    };
    (from <= to).then_some((from, to))
}

/// How loud both sides were over the call, for a picture of it.
pub async fn peaks(State(web): State<Web>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let recording = kept(&web, &id).await?;
    let peaks = tokio::task::spawn_blocking(move || web.recordings.peaks(&recording)).await;
    match peaks {
        Ok(Ok(peaks)) => Ok(Json(peaks).into_response()),
        Ok(Err(fault)) => Err(lost(&fault.to_string())),
        Err(fault) => Err(lost(&fault.to_string())),
    }
}

/// Takes the recording away; the call's rows stay.
pub async fn remove(State(web): State<Web>, Path(id): Path<String>) -> Result<StatusCode, Refusal> {
    let recording = kept(&web, &id).await?;
    recording::remove(
        &web.recordings.folder,
        &recording.file,
        id.clone(),
        RecordingGone::Operator,
        web.registry.recorder(),
        utc_ms(),
    )
    .map_err(|fault| lost(&fault.to_string()))?;
    web.registry.settle().await;
    let left = take_away_left(web.store.path(), &web.recordings, Some(&id)).await;
    left.map_err(|why| still_stored(format!("Nobody hears the recording any more, but {why}.")))?;
    Ok(StatusCode::NO_CONTENT)
}

/// What should be gone is still on the store.
pub fn still_stored(detail: String) -> Refusal {
    let fix = "Wait for the store to come back; `SELECT * FROM unremoved` says what is still there.";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "recording-still-stored", detail, fix)
}

async fn kept(web: &Web, id: &str) -> Result<RecordingView, Refusal> {
    web.registry.settle().await;
    match web.store.recording(id).await {
        Ok(Some(recording)) => match &recording.removed_why {
            None => Ok(recording),
            Some(why) => {
                let detail = format!("The recording of this call is gone ({why}).");
                let fix = "What was said is in the call's rows, unless the caller was erased.";
                Err(Refusal::new(StatusCode::GONE, "recording-gone", detail, fix))
            }
        },
        Ok(None) => {
            let fix = "Calls are recorded unless recording.calls is \"off\", or the caller did not want it.";
            Err(Refusal::new(StatusCode::NOT_FOUND, "no-recording", "There is no recording of such a call.", fix))
        }
        Err(fault) => Err(unreadable(&fault)),
    }
}

fn lost(why: &str) -> Refusal {
    let fix = "Look into the folder of recording.dir, and at the store of recording.store (`duologue check` tries it).";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "recording-unreadable", why, fix)
}
