//! `/v1/calls/{id}/recording`: how a call sounded, and the end of it.

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tower_http::services::ServeFile;

use super::Web;
use super::calls::unreadable;
use super::refusal::Refusal;
use crate::journal::RecordingGone;
use crate::recording;
use crate::store::{RecordingView, utc_ms};

/// The file, in parts where they are asked for (RFC 9110, section 14), so that a player can jump.
pub async fn play(State(web): State<Web>, Path(id): Path<String>, request: Request) -> Result<Response, Refusal> {
    let recording = kept(&web, &id).await?;
    let mut response = match ServeFile::new(web.recordings.join(&recording.file)).try_call(request).await {
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

/// How loud both sides were over the call, for a picture of it.
pub async fn peaks(State(web): State<Web>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let recording = kept(&web, &id).await?;
    let path = web.recordings.join(&recording.file);
    let peaks = tokio::task::spawn_blocking(move || recording::peaks(&path)).await;
    match peaks {
        Ok(Ok(peaks)) => Ok(Json(peaks).into_response()),
        Ok(Err(fault)) => Err(lost(&fault.to_string())),
        Err(fault) => Err(lost(&fault.to_string())),
    }
}

/// Takes the recording away; the call's rows stay.
pub async fn remove(State(web): State<Web>, Path(id): Path<String>) -> Result<StatusCode, Refusal> {
    let recording = kept(&web, &id).await?;
    recording::remove(&web.recordings, &recording.file, id, RecordingGone::Operator, web.registry.recorder(), utc_ms())
        .map_err(|fault| lost(&fault.to_string()))?;
    web.registry.settle().await;
    Ok(StatusCode::NO_CONTENT)
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
    let fix = "Look into the folder of recording.dir.";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "recording-unreadable", why, fix)
}
