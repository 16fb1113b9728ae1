//! searx as a process of its own, with one engine: an index of pages in the test itself, which stands for the web.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::house::process::{Killed, until};
use super::python::installed;

/// What the pages of the web are like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pages {
    Many,
    None,
    /// The engine is out of order.
    Broken,
    /// The engine takes the question and says nothing, and searx waits for it.
    Hang,
}

pub struct Searx {
    _process: Killed,
    _settings: tempfile::TempDir,
    index: JoinHandle<()>,
    at: SocketAddr,
}

impl Drop for Searx {
    fn drop(&mut self) {
        self.index.abort();
    }
}

async fn find(State(pages): State<Pages>, Query(asked): Query<Vec<(String, String)>>) -> Response {
    let query = &asked.iter().find(|(name, _)| name == "q").expect("a question").1;
    let page = |n: u32| {
        json!({"address": format!("https://sky.example/{n}"), "heading": "Eclipses",
               "text": format!("The next solar eclipse is on the second of August ({query}, page {n}).")})
    };
    match pages {
        Pages::Many => axum::Json(json!({"pages": (0..20).map(page).collect::<Vec<_>>()})).into_response(),
        Pages::None => axum::Json(json!({"pages": []})).into_response(),
        Pages::Broken => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Pages::Hang => std::future::pending().await,
    }
}

impl Searx {
    pub async fn open(pages: Pages) -> Option<Self> {
        let home = installed("searx", "searx")?;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let web = listener.local_addr().expect("an address");
        let router = Router::new().route("/find", get(find)).with_state(pages);
        let index = tokio::spawn(async move { axum::serve(listener, router).await.expect("served") });
        let at = std::net::TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a port");
        let folder = tempfile::tempdir().expect("a folder");
        let settings = json!({
            "general": {"debug": false, "instance_name": "test"},
            "search": {"safe_search": 0, "autocomplete": "", "default_lang": "en", "ban_time_on_fail": 0, "max_ban_time_on_fail": 0},
            "server": {"port": at.port(), "bind_address": "127.0.0.1", "secret_key": "of the test", "base_url": false,
                       "image_proxy": false, "http_protocol_version": "1.1"},
            "ui": {"static_path": "", "templates_path": "", "default_theme": "oscar", "default_locale": "en", "theme_args": {"oscar_style": "logicodev"}},
            "outgoing": {"request_timeout": 20.0, "useragent_suffix": "", "pool_connections": 10, "pool_maxsize": 10},
            "engines": [{"name": "index", "engine": "json_engine", "shortcut": "ix", "categories": "general", "timeout": 20.0, "paging": false,
                         "search_url": format!("http://{web}/find?q={{query}}"), "results_query": "pages", "url_query": "address",
                         "title_query": "heading", "content_query": "text"}],
            "locales": {"en": "English"},
            "doi_resolvers": {"oadoi.org": "https://oadoi.org/"},
            "default_doi_resolver": "oadoi.org",
        });
        // JSON is YAML.
        let path = folder.path().join("settings.yml");
        std::fs::write(&path, settings.to_string()).expect("settings");
        let process = Command::new("python3")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/searx/launch.py"))
            .env("PYTHONPATH", home)
            .env("SEARX_SETTINGS_PATH", &path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map(Killed)
            .expect("Python");
        until("searx", || std::net::TcpStream::connect(at).ok()).await;
        Some(Self { _process: process, _settings: folder, index, at })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.at)
    }
}
