//! A real server in the test's own process: configuration from text, ports of the system's choice, a folder of its own.

#![allow(dead_code)] // each test program uses its own part of it

pub mod process;
pub mod rows;
pub mod stage;
pub mod typed;

use std::path::{Path, PathBuf};

use duologue::config::Config;
use duologue::models::Library;
use duologue::serve::Server;

/// A server and its folder.
pub struct House {
    pub server: Server,
    pub url: String,
    pub folder: tempfile::TempDir,
}

impl House {
    /// Opens with the scripted back ends: no models needed.
    pub async fn scripted() -> Self {
        Self::scripted_with("").await
    }

    /// The same with `more` settings. The rules judge, unless they name another one.
    pub async fn scripted_with(more: &str) -> Self {
        let scripted = "[asr]\nbackend = \"scripted\"\n[llm]\nbackend = \"scripted\"\n[tts]\nbackend = \"scripted\"\n";
        let judge = if more.contains("[judge]") { "" } else { "[judge]\nkind = \"rules\"\n" };
        Self::open(&format!("{scripted}{judge}{more}")).await
    }

    /// Opens with `more` settings than ports and database; see [`config`].
    pub async fn open(more: &str) -> Self {
        Self::start(|folder| config(folder, more)).await
    }

    /// The same, where `more` begins with keys of `[http]`.
    pub async fn open_with(more: &str) -> Self {
        Self::open_at("127.0.0.1:0", more, "").await
    }

    /// The same at another address. `media` are keys of `[media]`.
    pub async fn open_at(listen: &str, more: &str, media: &str) -> Self {
        let text = |folder: &Path| {
            let database = folder.join("calls.db");
            format!(
                "[store]\npath = {:?}\n[recording]\ncalls = \"off\"\n[media]\nudp_port = 0\n{media}[http]\nlisten = {listen:?}\n{more}",
                database.display().to_string()
            )
        };
        Self::start(|folder| parsed(&text(folder))).await
    }

    async fn start(config: impl FnOnce(&Path) -> Config) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().expect("a folder");
        let server = Server::start(&config(folder.path())).await.expect("the server starts");
        let url = format!("http://{}", server.http);
        Self { server, url, folder }
    }

    pub fn database(&self) -> PathBuf {
        self.folder.path().join("calls.db")
    }
}

/// The folder with the browser's scenes, where a browser can be started. `make test` installs it first and then insists on
/// it.
pub fn browser_scenes() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("client/dist/index.html");
    if Path::new("/usr/bin/chromium").exists() && folder.join("node_modules").exists() && page.exists() {
        return Some(folder);
    }
    let hint = "install Chromium, run npm ci in tests/browser, and build the page (make client)";
    assert!(std::env::var_os("DUOLOGUE_REQUIRE_MODELS").is_none(), "{hint}");
    println!("not tried: {hint}; `make test` does all of it");
    None
}

/// Keeps a scene's pictures where `DUOLOGUE_SCREENSHOTS` says.
pub fn keep_screenshots(out: &Path) {
    let Some(folder) = std::env::var_os("DUOLOGUE_SCREENSHOTS") else { return };
    for shot in std::fs::read_dir(out).into_iter().flatten().flatten() {
        if shot.path().extension().is_some_and(|kind| kind == "png") {
            std::fs::copy(shot.path(), Path::new(&folder).join(shot.file_name())).expect("a writable folder");
        }
    }
}

/// Plays a scene of the browser's at this house; gives what it saw.
pub async fn play(house: &House, scenes: &Path, arguments: &[&str]) -> serde_json::Value {
    let out = house.folder.path().join("browser");
    let run = tokio::process::Command::new("node")
        .current_dir(scenes)
        .args(["call.mjs", "--url", &house.url])
        .args(arguments)
        .arg("--out")
        .arg(&out)
        .output()
        .await
        .expect("node runs");
    let told = String::from_utf8_lossy(&run.stdout).into_owned();
    keep_screenshots(&out);
    assert!(run.status.success(), "{told}\n{}", String::from_utf8_lossy(&run.stderr));
    serde_json::from_str(&told).expect("JSON")
}

/// Ports of the system's choice, the database in `folder`. `more` may begin with keys of `[media]`.
pub fn config(folder: &Path, more: &str) -> Config {
    let database = folder.join("calls.db");
    // Nothing but the greeting is to be heard, unless a test is about recordings.
    let recording = if more.contains("[recording]") { "" } else { "[recording]\ncalls = \"off\"\n" };
    let text = format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n[store]\npath = {:?}\n{recording}[media]\nudp_port = 0\n{more}",
        database.display().to_string()
    );
    parsed(&text)
}

fn parsed(text: &str) -> Config {
    Config::parse(text, "the test's configuration").unwrap_or_else(|faults| panic!("{faults}"))
}

/// Are the default configuration's models here? `make test` fetches them first and then insists on them.
pub fn models_are_here(needed: &[&str]) -> bool {
    let library = Library::open(None).expect("a models folder");
    let missing: Vec<&&str> = needed
        .iter()
        .filter(|id| {
            let model = library.manifest().model(id).expect("a known model");
            model.files.iter().any(|file| library.path(id, &file.name).is_err())
        })
        .collect();
    if missing.is_empty() {
        return true;
    }
    let hint = format!("models missing: {missing:?}; `duologue models fetch --for-default` fetches them");
    assert!(std::env::var_os("DUOLOGUE_REQUIRE_MODELS").is_none(), "{hint}");
    println!("not tried: {hint}");
    false
}
