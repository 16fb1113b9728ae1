//! Several servers behind a dispatcher (Kamailio, on loopback) that asks each with OPTIONS whether it is there: one is killed, comes back,
//! and another is asked to stop; and one that is asked twice. `make test` installs Kamailio and sipp (scripts/system-packages.sh --test).

mod house;
#[path = "sip/kamailio.rs"]
mod kamailio;
#[path = "sip/sipp.rs"]
mod sipp;

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use house::process::{Killed, serving};
use house::typed::TypedCall;
use kamailio::Kamailio;
use sipp::sipp;
use sqlx::{ConnectOptions as _, sqlite::SqliteConnectOptions};

/// Nothing on loopback takes so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server as a process of its own, on a port that stays the same when it comes back.
struct Node {
    process: Option<Killed>,
    http: SocketAddr,
    sip: u16,
    folder: tempfile::TempDir,
}

impl Node {
    fn start(rtp_first: u16) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let sip = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
        let text = format!(
            "[http]\nlisten = \"127.0.0.1:0\"\n[store]\npath = {:?}\n[recording]\ncalls = \"off\"\n[media]\nudp_port = 0\n\
             [asr]\nbackend = \"scripted\"\n[llm]\nbackend = \"scripted\"\n[tts]\nbackend = \"scripted\"\n[judge]\nkind = \"rules\"\n\
             [calls]\nmax = 50\ndrain_s = 60\n\
             [sip]\nlisten = \"127.0.0.1:{sip}\"\nrtp_first = {rtp_first}\nrtp_last = {}\n",
            folder.path().join("calls.db").display().to_string(),
            rtp_first + 399
        );
        std::fs::write(folder.path().join("duologue.toml"), text).expect("a file");
        let (process, http) = serving(&config(&folder), &[]);
        Self { process: Some(process), http, sip, folder }
    }

    fn kill(&mut self) {
        drop(self.process.take().expect("it was running"));
    }

    fn again(&mut self) {
        let (process, http) = serving(&config(&self.folder), &[]);
        (self.process, self.http) = (Some(process), http);
    }

    /// As a supervisor does.
    fn asked_to_stop(&self) {
        let process = self.process.as_ref().expect("it is running").0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &process]).status().expect("kill of util-linux").success());
    }

    /// Waits until it has stopped by itself.
    async fn stopped(&mut self) {
        let patience = Instant::now() + PATIENCE;
        let process = &mut self.process.as_mut().expect("it was running").0;
        loop {
            if let Some(status) = process.try_wait().expect("a process of ours") {
                assert!(status.success(), "{status}");
                return;
            }
            assert!(Instant::now() < patience, "it goes on");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Its calls: how many have begun, and how many go on.
    async fn calls(&self) -> (u64, u64) {
        let metrics = reqwest::get(format!("http://{}/metrics", self.http)).await.expect("an answer");
        let metrics = metrics.text().await.expect("text");
        let read = |name: &str| {
            let line = metrics.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|value| value.trim().parse().ok()).unwrap_or_else(|| panic!("no {name} in\n{metrics}"))
        };
        (read("duologue_calls_started_total"), read("duologue_calls_active"))
    }

    async fn is_ready(&self) -> bool {
        reqwest::get(format!("http://{}/readyz", self.http)).await.expect("an answer").status().is_success()
    }
}

fn config(folder: &tempfile::TempDir) -> PathBuf {
    Path::new(folder.path()).join("duologue.toml")
}

/// Waits until the dispatcher has noticed that a node is `gone`, or `back`.
async fn notices(dispatcher: &Kamailio, node: &Node, what: &str) {
    let (patience, place) = (Instant::now() + PATIENCE, format!("sip:127.0.0.1:{}\n", node.sip));
    // The last word is of the request, where it was a call by which it noticed: its address stands before that then.
    let place_before = place.replace('\n', " ");
    let said = |line: &str| line.contains(&place) || line.contains(&place_before);
    while !dispatcher.log().split_inclusive('\n').any(|line| line.contains(what) && said(line)) {
        assert!(Instant::now() < patience, "no {what}: {place}{}", dispatcher.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_go_on_where_one_of_two_servers_is_killed_and_where_one_is_asked_to_stop() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (mut a, mut b) = (Node::start(34_000), Node::start(34_400));
    let dispatcher = Kamailio::dispatching(&[a.sip, b.sip]);
    let brief = ["-d", "300", "-r", "10"];
    let calls = |most: &'static str| [&brief[..], &["-m", most]].concat();
    sipp(dispatcher.port, "porter", "dispatched.xml", &calls("10")).await;
    assert_eq!((a.calls().await.0, b.calls().await.0), (5, 5), "by turns\n{}", dispatcher.log());

    a.kill();
    // Nobody has noticed yet: whoever calls now is called on to the other one, after the time that an answer may take.
    sipp(dispatcher.port, "porter", "dispatched.xml", &calls("10")).await;
    assert_eq!(b.calls().await.0, 15);
    notices(&dispatcher, &a, "gone: ").await;
    sipp(dispatcher.port, "porter", "dispatched.xml", &calls("10")).await;
    assert_eq!(b.calls().await.0, 25, "none is lost");

    a.again();
    notices(&dispatcher, &a, "back: ").await;
    sipp(dispatcher.port, "porter", "dispatched.xml", &calls("10")).await;
    assert_eq!((a.calls().await.0, b.calls().await.0), (5, 30), "by turns again");

    // Asked to stop while it has a call.
    let held = sipp(b.sip, "porter", "dispatched.xml", &["-d", "8000"]);
    let (held_out, ()) = tokio::join!(held, async {
        let patience = Instant::now() + PATIENCE;
        while b.calls().await.1 == 0 {
            assert!(Instant::now() < patience, "no call");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        b.asked_to_stop();
        notices(&dispatcher, &b, "gone: ").await;
        assert!(!b.is_ready().await, "whoever asks over HTTP is told so, too");
        sipp(dispatcher.port, "porter", "dispatched.xml", &calls("10")).await;
        assert_eq!((a.calls().await.0, b.calls().await), (15, (31, 1)), "the other one has them; its call goes on");
        assert!(a.is_ready().await);
    });
    let () = held_out;
    b.stopped().await;
    assert_eq!(dispatcher.log().matches("gone: ").count(), 2, "{}", dispatcher.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_asked_again_to_stop_ends_its_calls_at_once_and_writes_them_down() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut node = Node::start(34_800);
    let mut call = TypedCall::open_at(node.http, "?persona=porter").await;
    call.types("What time does the kitchen close?");
    let said = call.answer().await;
    assert!(!said.is_empty(), "the call has begun");
    node.asked_to_stop();
    let patience = Instant::now() + PATIENCE;
    while node.is_ready().await {
        assert!(Instant::now() < patience, "nobody is told that it is to stop");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(node.calls().await, (1, 1), "asked once, it lets its calls end by themselves");
    node.asked_to_stop();
    // Its calls might go on for a minute (`drain_s`).
    node.stopped().await;
    let database = SqliteConnectOptions::new().filename(node.folder.path().join("calls.db")).read_only(true);
    let written: Vec<(String, String)> = sqlx::query_as(
        "SELECT end_reason, text FROM calls JOIN turns ON call = calls.id WHERE speaker = 'agent' ORDER BY turn DESC LIMIT 1",
    )
    .fetch_all(&mut database.connect().await.expect("a database"))
    .await
    .expect("rows");
    assert_eq!(written, [("shutdown".to_owned(), said)]);
}
