//! sipp, with the scenarios in tests/sip (it calls) and tests/trunk (it is called).

#![allow(dead_code)] // each test program uses its own part of it

use std::net::UdpSocket;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

/// Plays a scenario against 127.0.0.1 and fails where sipp does. What sipp thinks of a call is not the last word: it calls one
/// successful that never sent an ACK.
pub async fn sipp(port: u16, user: &str, scenario: &str, more: &[&str]) {
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sip").join(scenario);
    let folder = tempfile::tempdir().expect("a folder");
    // Its own choice is 5060, which may be somebody else's.
    let free = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
    let media = 26_000 + (free % 1_000) * 4;
    let mut command = Command::new("sipp");
    command.arg(format!("127.0.0.1:{port}")).arg("-sf").arg(&scenario);
    command.args(["-s", if user.is_empty() { "nobody" } else { user }]);
    command.args(["-i", "127.0.0.1", "-mi", "127.0.0.1", "-p", &free.to_string(), "-mp", &media.to_string()]);
    command.args(["-nostdin", "-skip_rlimit", "-trace_err", "-timeout", "60s", "-timeout_error"]);
    if !more.contains(&"-m") {
        command.args(["-m", "1"]);
    }
    command.args(more).current_dir(folder.path()).stdin(Stdio::null()).kill_on_drop(true);
    let out = command.output().await.expect("sipp: install it with scripts/system-packages.sh --test (sip-tester)");
    let mut errors = String::new();
    for entry in std::fs::read_dir(folder.path()).into_iter().flatten().flatten() {
        errors.push_str(&std::fs::read_to_string(entry.path()).unwrap_or_default());
    }
    let printed = String::from_utf8_lossy(&out.stdout);
    let tail: String =
        printed.lines().rev().take(40).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n");
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{}: {}\n{errors}\n{tail}\n{said}", scenario.display(), out.status);
}

/// A telephone, or an exchange, that is called.
pub struct Called {
    process: tokio::process::Child,
    pub port: u16,
    folder: tempfile::TempDir,
}

impl Called {
    /// Waits for one call on a port of its own.
    pub fn waiting(scenario: &str, transport: &str) -> Self {
        Self::waiting_with(scenario, transport, &[])
    }

    /// With more of sipp's arguments.
    pub fn waiting_with(scenario: &str, transport: &str, more: &[&str]) -> Self {
        let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trunk").join(scenario);
        let folder = tempfile::tempdir().expect("a folder");
        let port = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
        let media = 27_000 + (port % 1_000) * 4;
        let mut command = Command::new("sipp");
        command.arg("-sf").arg(&scenario).args(["-m", "1", "-i", "127.0.0.1", "-mi", "127.0.0.1"]);
        command.args([
            "-t",
            transport,
            "-p",
            &port.to_string(),
            "-mp",
            &media.to_string(),
            "-nostdin",
            "-skip_rlimit",
            "-trace_err",
        ]);
        command.args(["-timeout", "60s", "-timeout_error"]).current_dir(folder.path()).kill_on_drop(true);
        command.args(more).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("sipp: install it with scripts/system-packages.sh --test (sip-tester)");
        Self { process, port, folder }
    }

    /// Until it takes calls: over TCP nobody asks twice.
    pub async fn listens(&self) {
        let patience = std::time::Instant::now() + std::time::Duration::from_secs(20);
        let taken = || UdpSocket::bind(("127.0.0.1", self.port)).is_err();
        let accepts = || std::net::TcpListener::bind(("127.0.0.1", self.port)).is_err();
        while !taken() && !accepts() {
            assert!(std::time::Instant::now() < patience, "sipp does not listen");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// Everything came as its scenario has it.
    pub async fn is_content(mut self) {
        let status = self.process.wait().await.expect("sipp ends");
        let mut errors = String::new();
        for entry in std::fs::read_dir(self.folder.path()).into_iter().flatten().flatten() {
            errors.push_str(&std::fs::read_to_string(entry.path()).unwrap_or_default());
        }
        assert!(status.success(), "{status}\n{errors}");
    }
}
