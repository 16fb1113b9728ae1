//! The program as a process of its own, which can be killed.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Waits for something on the disk, at most some twenty seconds.
pub async fn until<T>(what: &str, mut there: impl FnMut() -> Option<T>) -> T {
    for _ in 0..2_000 {
        if let Some(found) = there() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not come");
}

/// A process that gets SIGKILL when it is dropped, also where a test fails before.
pub struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().expect("SIGKILL");
        self.0.wait().expect("an end");
    }
}

/// The program itself, serving with these variables besides ours, and where.
pub fn serving(config: &Path, env: &[(&str, &str)]) -> (Killed, SocketAddr) {
    served(&mut Command::new(env!("CARGO_BIN_EXE_duologue")), config, env)
}

/// The same for a limit on the size of files that is to stand for a full disk: writes fail, and no signal ends the program, as with a
/// real one.
pub fn serving_past_limits(config: &Path) -> (Killed, SocketAddr) {
    let mut shell = Command::new("bash");
    shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_duologue")]);
    served(&mut shell, config, &[])
}

/// Sets that limit for a process, in bytes as `prlimit` takes them.
pub fn limit_files(process: u32, soft: &str) {
    let limit = [format!("--fsize={soft}:unlimited"), "--pid".into(), process.to_string()];
    assert!(Command::new("prlimit").args(limit).status().expect("prlimit of util-linux").success());
}

fn served(program: &mut Command, config: &Path, env: &[(&str, &str)]) -> (Killed, SocketAddr) {
    let mut server = program
        .arg("--config")
        .arg(config)
        .arg("serve")
        .envs(env.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map(Killed)
        .expect("the server");
    // Nobody reads what it says after that, and it goes on all the same.
    let mut lines = BufReader::new(server.0.stdout.take().expect("its output")).lines().map_while(Result::ok);
    let ready = lines.find_map(|line| Some(line.split("http://").nth(1)?.split(' ').next()?.to_owned()));
    (server, ready.expect("the server is ready").parse().expect("an address"))
}
