//! Ring 3: HTTP. Routes for calls, personas and health, and the call page. Errors are problem documents (RFC 9457).

mod bridges;
mod callers;
mod calls;
mod doors;
mod errands;
mod events;
mod export;
mod health;
mod ice;
mod notes;
mod outward;
mod page;
mod passes;
mod recordings;
mod refusal;
mod review;
mod telephone;
mod whip;

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, Method, header};
use axum::routing::{delete, get, post, put};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::bridge::Bridges;
use crate::call::registry::Registry;
use crate::export::ExportHouse;
use crate::recording::RecordingShelf;
use crate::store::Reader;

pub use doors::Doors;
pub use ice::IceServers;
pub use passes::Passes;
pub use review::Reviewers;

/// Longest request body: a browser's offer with one audio line is 3 to 6 kB.
pub const BODY_LIMIT_BYTES: usize = 64 * 1024;

/// What the routes share.
#[derive(Clone)]
pub struct Web {
    pub registry: Arc<Registry>,
    pub store: Reader,
    /// Where the built call page lies.
    pub page: PathBuf,
    /// Where recordings lie.
    pub recordings: RecordingShelf,
    /// Where calls are exported from.
    pub export: ExportHouse,
    /// Who may read everything.
    pub reviewers: Reviewers,
    /// Which doors are open beside the server's own.
    pub doors: Doors,
    /// Who connects calls, and has telephones called where there are any.
    pub bridges: Bridges,
    /// What clients reach the server through where UDP does not.
    pub ice_servers: IceServers,
    /// Other sites whose pages may call this server; `*` is any.
    pub origins: Arc<[String]>,
}

/// All routes.
pub fn router(web: Web) -> Router {
    let headers = |name, value| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
    Router::new()
        .merge(reviewing(&web))
        .merge(doors::router(&web))
        .route("/v1/calls", post(calls::open).options(calls::preflight).fallback(refusal::method))
        .route(
            "/v1/calls/{id}",
            get(calls::show)
                .post(calls::reoffer)
                .delete(calls::end)
                .options(calls::preflight)
                .fallback(refusal::method),
        )
        .route("/v1/calls/{id}/say", post(errands::say).options(calls::preflight).fallback(refusal::method))
        .route("/v1/calls/{id}/event", post(errands::happened).options(calls::preflight).fallback(refusal::method))
        .route("/v1/calls/{id}/persona", post(errands::persona).options(calls::preflight).fallback(refusal::method))
        .route("/v1/calls/{id}/transfer", post(telephone::transfer).options(calls::preflight).fallback(refusal::method))
        .merge(bridging())
        .route("/v1/calls/{id}/dtmf", post(telephone::dtmf).options(calls::preflight).fallback(refusal::method))
        .route("/v1/calls/{id}/events", get(events::listen).fallback(refusal::method))
        .route(
            "/v1/callers/{name}/memory",
            get(callers::show).delete(callers::forget).options(calls::preflight).fallback(refusal::method),
        )
        .route(
            "/v1/callers/{name}/memory/facts/{fact}",
            put(callers::correct).delete(callers::drop_fact).options(calls::preflight).fallback(refusal::method),
        )
        .route("/v1/personas", get(calls::personas).fallback(refusal::method))
        .route("/v1/ice", get(ice::show).options(calls::preflight).fallback(refusal::method))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .fallback(page::serve)
        .layer(axum::middleware::from_fn_with_state(web.clone(), refusal::cross_origin))
        .layer(DefaultBodyLimit::max(BODY_LIMIT_BYTES))
        // The page loads nothing from elsewhere and runs no inline script: what a caller says can never become code.
        .layer(headers(
            header::CONTENT_SECURITY_POLICY,
            "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; media-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'",
        ))
        .layer(headers(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(headers(header::REFERRER_POLICY, "no-referrer"))
        .with_state(web)
}

/// What connects calls.
fn bridging() -> Router<Web> {
    let handover = post(bridges::hand_over).options(calls::preflight).fallback(refusal::method);
    let bridge = post(bridges::bridge).delete(bridges::part).options(calls::preflight).fallback(refusal::method);
    Router::new().route("/v1/calls/{id}/handover", handover).route("/v1/calls/{id}/bridge", bridge)
}

/// What shows everything that was said.
fn reviewing(web: &Web) -> Router<Web> {
    Router::new()
        .route("/v1/calls", get(calls::list))
        .route("/v1/calls/{id}/recording", get(recordings::play).delete(recordings::remove).fallback(refusal::method))
        .route("/v1/calls/{id}/recording/peaks", get(recordings::peaks).fallback(refusal::method))
        .route("/v1/calls/{id}/export", get(export::export).fallback(refusal::method))
        .route("/v1/calls/{id}/notes", post(notes::write).fallback(refusal::method))
        .route("/v1/calls/{id}/notes/{note}", delete(notes::remove).fallback(refusal::method))
        .route("/v1/calls/{id}/redactions", post(export::redact).fallback(refusal::method))
        .route("/v1/phones", get(telephone::phones).fallback(refusal::method))
        .route("/v1/sql", post(review::sql).fallback(refusal::method))
        .route("/v1/review", get(review::list).fallback(refusal::method))
        .route("/v1/judgements/{id}/label", post(review::label).fallback(refusal::method))
        .route("/v1/review/{name}", get(review::run).fallback(refusal::method))
        .route_layer(axum::middleware::from_fn_with_state(web.clone(), review::guard))
}

/// Verbs that other sites' pages may use here.
const ALLOWED: &[Method] = &[Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
