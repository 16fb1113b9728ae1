//! moto, a store that speaks S3, and the line to it: it can be cut, and what moto answers can be held back.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use reqwest::{Client, StatusCode, header};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::house::process::{Killed, until};
use crate::python::installed;

pub const KEY_ID: &str = "AKIDUOLOGUETESTS";
pub const SECRET: &str = "s3cr3t-of-the-tests";
pub const ENV: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", KEY_ID), ("AWS_SECRET_ACCESS_KEY", SECRET)];

/// moto, and the line to it.
pub struct Store {
    _moto: Killed,
    at: SocketAddr,
    /// Where the line begins.
    front: SocketAddr,
    line: Option<JoinHandle<()>>,
    /// What moto answers stays on the line.
    held: watch::Sender<bool>,
    client: Client,
}

impl Store {
    /// With an empty bucket `calls`; the line is not there yet.
    pub async fn open() -> Option<Self> {
        let home = installed("moto", "moto")?;
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
        let store =
            Self { _moto: Killed(moto), at, front, line: None, held: watch::Sender::new(false), client: Client::new() };
        until("moto", || std::net::TcpStream::connect(at).ok()).await;
        assert!(store.ask(reqwest::Method::PUT, "", "").await.0.is_success(), "a bucket");
        Some(store)
    }

    /// moto takes whoever names a key for its owner.
    pub async fn ask(&self, method: reqwest::Method, path: &str, body: &str) -> (StatusCode, Vec<u8>) {
        let who = "AWS4-HMAC-SHA256 Credential=me/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
        let request = self.client.request(method, format!("http://{}/calls{path}", self.at));
        let answer =
            request.header(header::AUTHORIZATION, who).body(body.to_owned()).send().await.expect("an answer of moto's");
        (answer.status(), answer.bytes().await.expect("a body").into())
    }

    /// The keys of all objects.
    pub async fn keys(&self) -> Vec<String> {
        let (_, list) = self.ask(reqwest::Method::GET, "?list-type=2", "").await;
        let list = String::from_utf8(list).expect("XML");
        list.split("<Key>").skip(1).filter_map(|rest| Some(rest.split("</Key>").next()?.to_owned())).collect()
    }

    pub async fn object(&self, name: &str) -> Option<Vec<u8>> {
        let key = name.strip_prefix("s3://calls").expect("an object of the bucket");
        let (status, bytes) = self.ask(reqwest::Method::GET, key, "").await;
        status.is_success().then_some(bytes)
    }

    /// Whoever asks at the line's beginning reaches moto.
    pub async fn connect(&mut self) {
        let (listener, at) = (TcpListener::bind(self.front).await.expect("the port"), self.at);
        let held = self.held.clone();
        self.line = Some(tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                open.spawn(carried(near, at, held.subscribe()));
            }
        }));
    }

    /// While it is held, what is asked reaches moto, and nothing that moto answers comes back.
    pub fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }

    /// Nobody answers there any more.
    pub async fn cut(&mut self) {
        let line = self.line.take().expect("a line");
        line.abort();
        let _ = line.await;
    }

    /// Settings of a server that records into this folder and moves it here.
    pub fn settings(&self, folder: &Path, more: &str) -> PathBuf {
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

async fn carried(near: TcpStream, at: SocketAddr, mut held: watch::Receiver<bool>) -> std::io::Result<()> {
    let (mut asks, mut hears) = near.into_split();
    let (mut answers, mut takes) = TcpStream::connect(at).await?.into_split();
    let back = async {
        let mut part = vec![0; 16 << 10];
        loop {
            let read = answers.read(&mut part).await?;
            if read == 0 {
                return Ok(());
            }
            held.wait_for(|held| !held).await.map_err(std::io::Error::other)?;
            hears.write_all(&part[..read]).await?;
        }
    };
    tokio::select! {
        asked = tokio::io::copy(&mut asks, &mut takes) => asked.map(drop),
        told = back => told,
    }
}
