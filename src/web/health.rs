//! What watches the server: is it ready, and what does it count?

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Web;
use super::refusal::Refusal;

/// Calls can be taken, and kept.
pub async fn ready(State(web): State<Web>) -> Result<&'static str, Refusal> {
    if let Err(why) = web.registry.recorder().flush().await {
        let fix = "Calls go on, and what they leave behind waits in memory: make the database writable.";
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "store-unwritable", why.to_string(), fix));
    }
    if web.registry.is_leaving() {
        let fix = "Send calls elsewhere: this server stops when those that it has are over.";
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "shutting-down", "No more calls are taken.", fix));
    }
    if web.registry.count() >= web.registry.lines() {
        let detail = format!("All {} lines are taken.", web.registry.lines());
        return Err(Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "all-lines-taken",
            detail,
            "Send calls elsewhere, or raise calls.max.",
        ));
    }
    Ok("ready\n")
}

/// For Prometheus.
pub async fn metrics(State(web): State<Web>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], web.registry.recorder().meters().text()).into_response()
}
