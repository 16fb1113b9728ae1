//! Recordings on a store that speaks S3, against moto: they move there when they are finished, are as good there as in the folder, and
//! are gone from there when they are to be gone. The line to it can be cut.

mod house;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use duologue::recording::page_hashes;
use duologue::store::{Reader, RecordingView};
use house::process::{Killed, serving, until};
use house::typed::TypedCall;
use reqwest::{Client, StatusCode, header};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const KEY_ID: &str = "AKIDUOLOGUETESTS";
const SECRET: &str = "s3cr3t-of-the-tests";
const ENV: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", KEY_ID), ("AWS_SECRET_ACCESS_KEY", SECRET)];

/// Where `make test-system` puts it. `make test` insists on it.
fn installed() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/duologue/python"));
    let home = std::env::var_os("PYTHON_HOME").map(PathBuf::from).or(home)?.join("moto");
    if home.join("moto").is_dir() {
        return Some(home);
    }
    let hint = "install moto (make test-system)";
    assert!(std::env::var_os("DUOLOGUE_REQUIRE_MODELS").is_none(), "{hint}");
    println!("not tried: {hint}");
    None
}

/// moto, and the line to it.
struct Store {
    _moto: Killed,
    at: SocketAddr,
    /// Where the line begins.
    front: SocketAddr,
    line: Option<JoinHandle<()>>,
    client: Client,
}

impl Store {
    /// With an empty bucket `calls`; the line is not there yet.
    async fn open() -> Option<Self> {
        let home = installed()?;
        let _ = rustls::crypto::ring::default_provider().install_default();
        let free = || std::net::TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a port");
        let (at, front) = (free(), free());
        let moto = Command::new("python3")
            .args(["-c", "import sys; from moto.server import main; main(['-p', sys.argv[1]])", &at.port().to_string()])
            .env("PYTHONPATH", home)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Python");
        let store = Self { _moto: Killed(moto), at, front, line: None, client: Client::new() };
        until("moto", || std::net::TcpStream::connect(at).ok()).await;
        assert!(store.ask(reqwest::Method::PUT, "", "").await.0.is_success(), "a bucket");
        Some(store)
    }

    /// moto takes whoever names a key for its owner.
    async fn ask(&self, method: reqwest::Method, path: &str, body: &str) -> (StatusCode, Vec<u8>) {
        let who = "AWS4-HMAC-SHA256 Credential=me/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
        let request = self.client.request(method, format!("http://{}/calls{path}", self.at));
        let answer =
            request.header(header::AUTHORIZATION, who).body(body.to_owned()).send().await.expect("an answer of moto's");
        (answer.status(), answer.bytes().await.expect("a body").into())
    }

    /// The keys of all objects.
    async fn keys(&self) -> Vec<String> {
        let (_, list) = self.ask(reqwest::Method::GET, "?list-type=2", "").await;
        let list = String::from_utf8(list).expect("XML");
        list.split("<Key>").skip(1).filter_map(|rest| Some(rest.split("</Key>").next()?.to_owned())).collect()
    }

    async fn object(&self, name: &str) -> Option<Vec<u8>> {
        let key = name.strip_prefix("s3://calls").expect("an object of the bucket");
        let (status, bytes) = self.ask(reqwest::Method::GET, key, "").await;
        status.is_success().then_some(bytes)
    }

    /// Whoever asks at the line's beginning reaches moto.
    async fn connect(&mut self) {
        let (listener, at) = (TcpListener::bind(self.front).await.expect("the port"), self.at);
        self.line = Some(tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                open.spawn(async move {
                    let mut far = TcpStream::connect(at).await?;
                    tokio::io::copy_bidirectional(&mut near, &mut far).await
                });
            }
        }));
    }

    /// Nobody answers there any more.
    async fn cut(&mut self) {
        let line = self.line.take().expect("a line");
        line.abort();
        let _ = line.await;
    }

    /// Settings of a server that records into this folder and moves it here.
    fn settings(&self, folder: &Path, more: &str) -> PathBuf {
        let text = format!(
            "[http]\nlisten = \"127.0.0.1:0\"\n[store]\npath = {:?}\n[media]\nudp_port = 0\n[judge]\nkind = \"rules\"\n\
             [asr]\nbackend = \"scripted\"\n[llm]\nbackend = \"scripted\"\n[tts]\nbackend = \"scripted\"\n[personas]\ndir = {:?}\n\
             [recording]\ndir = {:?}\nstore = \"s3://calls/of/mine\"\nstore_endpoint = \"http://{}\"\n{more}",
            folder.join("calls.db"),
            Path::new(env!("CARGO_MANIFEST_DIR")).join("personas"),
            folder.join("recordings"),
            self.front,
        );
        let config = folder.join("duologue.toml");
        std::fs::write(&config, text).expect("written");
        config
    }
}

/// A call in which something is typed, and its end; its name.
async fn a_call(http: SocketAddr) -> String {
    let mut call = TypedCall::open_at(http, "?caller=Ada").await;
    call.types("What time do you close?");
    call.answer().await;
    let list: serde_json::Value =
        reqwest::get(format!("http://{http}/v1/calls")).await.expect("an answer").json().await.expect("JSON");
    let id = list["calls"][0]["call"].as_str().or(list[0]["call"].as_str()).expect("a call").to_owned();
    let ended = Client::new().delete(format!("http://{http}/v1/calls/{id}")).send().await.expect("an answer");
    assert!(ended.status().is_success(), "{}", ended.status());
    id
}

/// The row of a call's recording, once it is as it is wanted.
async fn row(folder: &Path, call: &str, wanted: impl Fn(&RecordingView) -> bool) -> RecordingView {
    let rows = Reader::of(&folder.join("calls.db"));
    for _ in 0..3_000 {
        if let Some(row) = rows.recording(call).await.expect("readable").filter(&wanted) {
            return row;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{:?}", rows.recording(call).await);
}

async fn unremoved(folder: &Path) -> Vec<String> {
    let left = Reader::of(&folder.join("calls.db")).unremoved().await.expect("readable");
    left.into_iter().map(|row| row.object).collect()
}

fn here(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder.join("recordings")).expect("a folder").flatten();
    files.filter_map(|file| file.file_name().into_string().ok()).filter(|name| name.contains(".ogg")).collect()
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn get(url: &str, range: &str) -> (StatusCode, Vec<u8>) {
    let request = Client::new().get(url);
    let request = if range.is_empty() { request } else { request.header(header::RANGE, range) };
    let answer = request.send().await.expect("an answer");
    (answer.status(), answer.bytes().await.expect("a body").into())
}

/// From the end of the call to the erasure of its caller.
async fn a_life_on_the_store(sealed: bool) {
    let Some(mut store) = Store::open().await else { return };
    store.connect().await;
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path();
    std::fs::write(folder.join("key"), "6f1ed002ab5595859014ebf0951522d9").expect("written");
    let more = if sealed { format!("key_file = {:?}\n", folder.join("key")) } else { String::new() };
    let (_server, http) = serving(&store.settings(folder, &more), &ENV);
    let id = a_call(http).await;
    let url = format!("http://{http}/v1/calls/{id}");

    let first = row(folder, &id, |row| row.stored_utc_ms.is_some()).await;
    assert_eq!(here(folder), Vec::<String>::new(), "it has left the folder");
    let name = first.object.clone().expect("a name");
    assert!(name.starts_with(&format!("s3://calls/of/mine/{id}-")), "{name}");
    let object = store.object(&name).await.expect("the object");
    let (status, whole) = get(&format!("{url}/recording"), "").await;
    assert_eq!((status, Some(hash(&whole))), (StatusCode::OK, first.sha256.clone()), "it is heard as it was");
    assert_eq!(object == whole, !sealed, "what lies there is what lay in the folder");
    assert_eq!(object.starts_with(b"DUOSEAL1"), sealed);
    let part = |from: usize, to: usize| (StatusCode::PARTIAL_CONTENT, whole[from..=to].to_vec());
    assert_eq!(get(&format!("{url}/recording"), "bytes=0-3").await, part(0, 3));
    assert_eq!(get(&format!("{url}/recording"), "bytes=100-").await, part(100, whole.len() - 1));
    assert_eq!(get(&format!("{url}/recording"), "bytes=-5").await, part(whole.len() - 5, whole.len() - 1));
    let (status, peaks) = get(&format!("{url}/recording/peaks"), "").await;
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&peaks));
    let (status, vcon) = get(&format!("{url}/export?as=vcon"), "").await;
    assert_eq!((status, duologue::export::verify(&vcon).expect("a vCon").carried), (StatusCode::OK, 1));

    let cut = json!({"from_ms": 0, "to_ms": 800, "why": "a test"});
    let redacted = Client::new().post(format!("{url}/redactions")).json(&cut).send().await.expect("an answer");
    assert_eq!(redacted.status(), StatusCode::OK);
    assert_eq!(store.object(&name).await, None, "what was taken out is not on the store any more");
    let second = row(folder, &id, |row| row.stored_utc_ms.is_some()).await;
    assert!(second.object != first.object && second.sha256 != first.sha256 && here(folder).is_empty());
    let (_, now) = get(&format!("{url}/recording"), "").await;
    assert_eq!(Some(hash(&now)), second.sha256);
    let (before, after) = (page_hashes(&whole).expect("pages"), page_hashes(&now).expect("pages"));
    assert!(before.len() == after.len() && before.last() == after.last() && before != after, "the rest is as it was");
    let object = store.object(&second.object.expect("a name")).await.expect("the object");
    assert_eq!(object.starts_with(b"DUOSEAL1"), sealed, "it stays sealed");

    let erased = Client::new().delete(format!("http://{http}/v1/callers/Ada/memory")).send().await.expect("an answer");
    assert_eq!(erased.status(), StatusCode::NO_CONTENT);
    assert_eq!((store.keys().await, unremoved(folder).await), (Vec::new(), Vec::new()), "nothing is left");
    assert_eq!(get(&format!("{url}/recording"), "").await.0, StatusCode::GONE);
    let (_, metrics) = get(&format!("http://{http}/metrics"), "").await;
    let metrics = String::from_utf8(metrics).expect("text");
    assert!(metrics.contains("duologue_recordings_stored_total 2"), "{metrics}");
    let database = std::fs::read(folder.join("calls.db")).expect("readable");
    assert!(!database.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()), "no credential is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_on_its_store_is_heard_exported_redacted_and_erased() {
    a_life_on_the_store(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_is_a_sealed_one() {
    a_life_on_the_store(true).await;
}

/// The server is killed before the store is there, and the recording moves after the next start; what is erased while the store is
/// away again is not called erased until it is.
#[tokio::test(flavor = "multi_thread")]
async fn while_the_store_is_away_nothing_is_lost_and_nothing_is_called_gone() {
    let Some(mut store) = Store::open().await else { return };
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path();
    let config = store.settings(folder, "");
    let (server, http) = serving(&config, &ENV);
    let id = a_call(http).await;
    let waiting = row(folder, &id, |row| row.sha256.is_some() && row.object.is_some()).await;
    let metrics = format!("http://{http}/metrics");
    let told = "duologue_recordings_waiting 1";
    while !String::from_utf8_lossy(&get(&metrics, "").await.1).contains(told) {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!((waiting.stored_utc_ms, here(folder)), (None, vec![format!("{id}.ogg")]), "it stays in the folder");
    let (status, whole) = get(&format!("http://{http}/v1/calls/{id}/recording"), "").await;
    assert_eq!((status, Some(hash(&whole))), (StatusCode::OK, waiting.sha256), "and is heard from there");
    drop(server);

    store.connect().await;
    let (_server, http) = serving(&config, &ENV);
    let moved = row(folder, &id, |row| row.stored_utc_ms.is_some()).await;
    assert_eq!(moved.object, waiting.object, "under the name that the row had before anything was sent");
    let name = moved.object.expect("a name");
    assert_eq!((store.object(&name).await, here(folder)), (Some(whole), Vec::new()));

    store.cut().await;
    let unheard = get(&format!("http://{http}/v1/calls/{id}/recording"), "bytes=0-3").await;
    let text = String::from_utf8_lossy(&unheard.1).into_owned();
    assert_eq!(unheard.0, StatusCode::SERVICE_UNAVAILABLE);
    assert!(text.contains(&name) && text.contains("store_endpoint") && !text.contains(SECRET), "{text}");
    let removed = Client::new().delete(format!("http://{http}/v1/callers/Ada/memory")).send().await.expect("an answer");
    let (status, text) = (removed.status(), removed.text().await.expect("a body"));
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{text}");
    assert!(text.contains("recording-still-stored") && text.contains(&name), "{text}");
    assert_eq!(unremoved(folder).await, vec![name.clone()]);
    assert_eq!(get(&format!("http://{http}/v1/calls/{id}/recording"), "").await.0, StatusCode::GONE);
    assert!(store.object(&name).await.is_some(), "it is still there, and nobody said otherwise");

    store.connect().await;
    for _ in 0..3_000 {
        if unremoved(folder).await.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!((unremoved(folder).await, store.keys().await), (Vec::new(), Vec::new()));
}

/// What `duologue check` says of the store.
fn checked(config: &Path, env: &[(&str, &str)]) -> String {
    let mut check = Command::new(env!("CARGO_BIN_EXE_duologue"));
    for (name, _) in ENV {
        check.env_remove(name);
    }
    let out = check.arg("--config").arg(config).arg("check").envs(env.iter().copied()).output().expect("the program");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(!text.contains(SECRET) && !text.contains(KEY_ID), "{text}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tries_the_store_and_names_the_fault_and_the_way_out() {
    let Some(mut store) = Store::open().await else { return };
    let place = tempfile::tempdir().expect("a folder");
    let config = store.settings(place.path(), "");
    let without = checked(&config, &[]);
    assert!(
        without.contains("FAIL  secrets: recording.store_key_env") && without.contains("AWS_ACCESS_KEY_ID"),
        "{without}"
    );
    let away = checked(&config, &ENV);
    assert!(
        away.contains("FAIL  recordings: the store s3://calls") && away.contains("recording.store_endpoint"),
        "{away}"
    );
    store.connect().await;
    let fine = checked(&config, &ENV);
    assert!(fine.contains("ok    recordings: the store s3://calls takes, gives and removes"), "{fine}");
    assert!(fine.contains("without TLS"), "{fine}");
    assert_eq!(store.keys().await, Vec::<String>::new(), "it leaves nothing");
    let versions = "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>Enabled</Status></VersioningConfiguration>";
    assert!(store.ask(reqwest::Method::PUT, "?versioning", versions).await.0.is_success());
    let versioned = checked(&config, &ENV);
    assert!(versioned.contains("warn  recordings: the store") && versioned.contains("versioning off"), "{versioned}");
    let text = std::fs::read_to_string(&config).expect("readable").replace("s3://calls", "s3://nobody");
    std::fs::write(&config, text).expect("written");
    let nowhere = checked(&config, &ENV);
    assert!(
        nowhere.contains("FAIL  recordings: the store s3://nobody") && nowhere.contains("recording.store"),
        "{nowhere}"
    );
}
