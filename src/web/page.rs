//! The call page: the files that `npm run build` put into `client/dist`.

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use tower_http::services::ServeDir;

use super::Web;
use super::refusal::Refusal;

/// Everything that is no API path.
pub async fn serve(State(web): State<Web>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    if path.starts_with("/v1/") {
        let detail = format!("There is nothing at {}.", path.chars().take(100).collect::<String>());
        return Refusal::new(StatusCode::NOT_FOUND, "no-such-path", detail, "PROTOCOL.md lists the requests.")
            .into_response();
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return super::refusal::method(request.method().clone()).await.into_response();
    }
    if !web.page.join("index.html").exists() {
        let detail = format!("The call page is not built: {} is missing.", web.page.join("index.html").display());
        let fix = "Run `make client` (or `make run`), and start the server in the project's folder.";
        return Refusal::new(StatusCode::NOT_FOUND, "no-page", detail, fix).into_response();
    }
    match ServeDir::new(&web.page).try_call(request).await {
        Ok(response) => response.into_response(),
        Err(fault) => Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "page-unreadable",
            fault.to_string(),
            "See the server's log.",
        )
        .into_response(),
    }
}
