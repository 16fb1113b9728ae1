//! Recordings on a store that speaks S3, against moto: they move there when they are finished, are as good there as in the folder, and
//! are gone from there when they are to be gone. The line to it can be cut, and the server killed on the way.

#[path = "../house/mod.rs"]
mod house;
#[path = "../python/mod.rs"]
mod python;

mod beside;
mod gone;
mod killed;
mod life;
mod store;

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use duologue::store::{Reader, RecordingView};
use house::typed::TypedCall;
use reqwest::{Client, StatusCode, header};
use sha2::{Digest as _, Sha256};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use store::{ENV, SECRET};

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

/// The same, but its row is as it is now.
async fn row_now(folder: &Path, call: &str) -> RecordingView {
    row(folder, call, |_| true).await
}

/// The row of one that has arrived on the store.
async fn stored(folder: &Path, call: &str) -> RecordingView {
    row(folder, call, |row| row.stored_utc_ms.is_some()).await
}

/// Waits until nothing is to be taken away from the store any more.
async fn all_taken_away(folder: &Path) {
    for _ in 0..3_000 {
        if unremoved(folder).await.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{:?} is still there", unremoved(folder).await);
}

/// A statement on the rows of a folder, and the first number that it gives.
async fn number(folder: &Path, statement: &str) -> Option<i64> {
    let mut rows = SqliteConnectOptions::new().filename(folder.join("calls.db")).connect().await.expect("a database");
    let given = sqlx::query_scalar(AssertSqlSafe(statement.to_owned())).fetch_optional(&mut rows).await;
    rows.close().await.expect("closed");
    given.expect("a statement that SQLite takes")
}

/// The program itself on a configuration, with the key to the store; success, and what it said.
fn duologue(config: &Path, arguments: &[&str]) -> (bool, String) {
    said(Command::new(env!("CARGO_BIN_EXE_duologue")).arg("--config").arg(config).args(arguments).envs(ENV))
}

fn said(command: &mut Command) -> (bool, String) {
    let Output { status, stdout, stderr } = command.output().expect("the program runs");
    let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(!text.contains(SECRET), "{text}");
    (status.success(), text)
}
