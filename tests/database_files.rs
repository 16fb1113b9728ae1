//! Files that the store cannot or will not take, each a real one, and files of every released version.

mod common;

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use common::{opened, place};
use duologue::store::{Probe, Store, StoreError, probe};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

/// What is opened by a child process without the rights of root, which no permission stops.
const DATABASE: &str = "DUOLOGUE_TEST_DATABASE";

async fn connect(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.expect("a database")
}

/// Opening and probing must give the same verdict.
async fn refused(path: &Path) -> StoreError {
    let error = Store::open(path).await.map(|_| ()).expect_err("a file that cannot be used");
    assert_eq!(probe(path).await.map(|_| ()), Err(error.clone()), "duologue check says the same");
    let text = error.to_string();
    let named = match path.exists() {
        true => path.to_path_buf(),
        false => path.parent().expect("a folder").to_path_buf(),
    };
    assert!(text.contains(&named.display().to_string()), "the text names the file: {text}");
    error
}

async fn made(path: &Path) {
    Store::open(path).await.expect("a fresh database").close().await;
}

#[tokio::test]
async fn a_fresh_file_is_made_with_its_tables() {
    let (_folder, path) = place();
    assert_eq!(probe(&path).await, Ok(Probe::Absent));
    assert!(!path.exists(), "the check made a file");
    made(&path).await;
    let migrations = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations")).expect("a folder");
    let number = |name: String| name.split('_').next().and_then(|number| number.parse::<i64>().ok());
    let newest = migrations.flatten().filter_map(|file| number(file.file_name().to_string_lossy().into_owned())).max();
    assert_eq!(probe(&path).await, Ok(Probe::Ready { schema: newest.expect("migrations"), calls: 0 }));
}

#[tokio::test]
async fn a_missing_folder_is_named() {
    let (folder, _) = place();
    let path = folder.path().join("nowhere/duologue.db");
    let error = Store::open(&path).await.map(|_| ()).expect_err("no folder");
    assert_eq!(error, StoreError::NoFolder { folder: folder.path().join("nowhere") });
    assert_eq!(probe(&path).await, Err(error));
}

#[tokio::test]
async fn a_folder_in_the_place_of_the_file_is_named() {
    let (_folder, path) = place();
    std::fs::create_dir(&path).expect("a folder");
    assert!(matches!(refused(&path).await, StoreError::Unreadable { .. }));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_as_it_is() {
    let (_folder, path) = place();
    let text = "minutes of the meeting, which are no database\n".repeat(100);
    std::fs::write(&path, &text).expect("written");
    assert_eq!(refused(&path).await, StoreError::NotADatabase { path: path.clone() });
    assert_eq!(std::fs::read_to_string(&path).expect("readable"), text);
}

#[tokio::test]
async fn another_programs_database_is_refused_and_left_as_it_is() {
    let (_folder, path) = place();
    let mut other = connect(&path).await;
    sqlx::raw_sql("CREATE TABLE recipes (name TEXT)").execute(&mut other).await.expect("a table");
    other.close().await.expect("closed");
    let before = std::fs::read(&path).expect("readable");
    assert_eq!(refused(&path).await, StoreError::NotOurs { path: path.clone() });
    assert_eq!(std::fs::read(&path).expect("readable"), before);
}

#[tokio::test]
async fn a_truncated_file_is_called_damaged() {
    let (_folder, path) = place();
    made(&path).await;
    let whole = std::fs::read(&path).expect("readable");
    std::fs::write(&path, &whole[..whole.len() / 3]).expect("written");
    let error = refused(&path).await;
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("duologue recover"), "{error}");
}

#[tokio::test]
async fn a_second_server_on_the_same_file_is_refused() {
    let (_folder, path) = place();
    let first = Store::open(&path).await.expect("a database");
    first.recorder().record(opened("live", None));
    first.recorder().flush().await.expect("written");
    assert_eq!(refused(&path).await, StoreError::InUse { path: path.clone() });
    let live = first.reader().call("live").await.expect("readable").expect("the call");
    assert_eq!(live.summary.end_reason, None, "the live call was taken for a crashed one");
    first.close().await;
    made(&path).await;
}

#[tokio::test]
async fn a_file_that_another_program_has_locked_is_refused_with_how_to_find_it() {
    let (_folder, path) = place();
    made(&path).await;
    let mut other = connect(&path).await;
    let holding = other.begin_with("BEGIN EXCLUSIVE").await.expect("the lock");
    let error = refused(&path).await;
    assert_eq!(error, StoreError::Locked { path: path.clone() });
    assert!(error.to_string().contains("fuser"), "{error}");
    holding.rollback().await.expect("the lock given back");
    made(&path).await;
}

#[tokio::test]
async fn a_newer_schema_is_refused_with_both_versions() {
    let (_folder, path) = place();
    made(&path).await;
    let mut future = connect(&path).await;
    sqlx::raw_sql("INSERT INTO _sqlx_migrations VALUES (900, 'much later', '2030-01-01', true, x'00', 1)")
        .execute(&mut future)
        .await
        .expect("a migration from the future");
    future.close().await.expect("closed");
    let error = refused(&path).await;
    assert!(matches!(error, StoreError::Newer { found: 900, .. }), "{error}");
    assert!(error.to_string().contains("made by a newer duologue"), "{error}");
    assert!(error.to_string().contains("use that version or another file"), "{error}");
}

/// Runs `test` of this binary without root's rights on `path`, and gives what it printed after `verdict `
/// (the test harness may have begun the line).
fn verdict_of_nobody(test: &str, path: &Path) -> String {
    let nobody = 65_534;
    // The binary may lie where only root can look; a process can always run itself once more.
    let mut child = Command::new("/proc/self/exe");
    child.args([test, "--exact", "--nocapture", "--test-threads", "1"]).env(DATABASE, path).current_dir("/");
    if std::fs::metadata("/proc/self").map(|own| std::os::unix::fs::MetadataExt::uid(&own)).is_ok_and(|uid| uid == 0) {
        child.uid(nobody).gid(nobody);
    }
    let output = child.output().expect("a child process");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().find_map(|line| line.split_once("verdict ").map(|(_, said)| said.to_owned())).unwrap_or_else(|| {
        panic!("no verdict: {text}{}", String::from_utf8_lossy(&output.stderr));
    })
}

fn permit(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("permissions");
}

async fn say_verdict(path: &str) {
    let error = Store::open(Path::new(path)).await.map(|_| ()).expect_err("a file that cannot be written");
    let probed = probe(Path::new(path)).await.expect_err("the same");
    println!("verdict {}", if probed == error { error.to_string() } else { format!("{error} but {probed}") });
}

#[tokio::test]
async fn a_read_only_file_is_named_with_the_way_out() {
    if let Ok(path) = std::env::var(DATABASE) {
        return say_verdict(&path).await;
    }
    let (folder, path) = place();
    made(&path).await;
    permit(folder.path(), 0o777);
    permit(&path, 0o444);
    permit(&path.with_extension("db.lock"), 0o666);
    let verdict = verdict_of_nobody("a_read_only_file_is_named_with_the_way_out", &path);
    assert_eq!(verdict, StoreError::FileReadOnly { path }.to_string());
}

#[tokio::test]
async fn a_read_only_folder_is_named_with_the_way_out() {
    if let Ok(path) = std::env::var(DATABASE) {
        return say_verdict(&path).await;
    }
    let (folder, path) = place();
    permit(folder.path(), 0o555);
    let verdict = verdict_of_nobody("a_read_only_folder_is_named_with_the_way_out", &path);
    permit(folder.path(), 0o755);
    assert_eq!(verdict, StoreError::FolderReadOnly { folder: folder.path().to_path_buf() }.to_string());
}

async fn schema(path: &Path) -> Vec<(String, Option<String>)> {
    sqlx::query_as("SELECT name, sql FROM sqlite_schema ORDER BY name")
        .fetch_all(&mut connect(path).await)
        .await
        .expect("a schema")
}

/// Every file in tests/schema/ is the dump of a database of a released schema with rows in it. They are never changed.
#[tokio::test]
async fn files_of_every_released_schema_open_with_their_rows() {
    let (_fresh_folder, fresh) = place();
    made(&fresh).await;
    let dumps = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schema")).expect("tests/schema");
    let dumps: Vec<_> = dumps
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "sql"))
        .collect();
    assert!(!dumps.is_empty());
    for dump in dumps {
        let (_folder, path) = place();
        let text = std::fs::read_to_string(&dump).expect("a dump");
        let mut old = connect(&path).await;
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut old).await.expect("a dump that SQLite takes");
        old.close().await.expect("closed");

        let store = Store::open(&path).await.unwrap_or_else(|error| panic!("{}: {error}", dump.display()));
        let call = store.reader().call("0197-snapshot").await.expect("readable").expect("the snapshot's call");
        assert_eq!(call.summary.caller.as_deref(), Some("Ada"), "{}", dump.display());
        assert_eq!(call.turns.len(), 3, "{}", dump.display());
        assert_eq!(call.summary.interruptions, 1, "{}", dump.display());
        assert_eq!(store.reader().memory("Ada", 9).await.expect("readable").len(), 1, "{}", dump.display());
        store.close().await;
        assert_eq!(schema(&path).await, schema(&fresh).await, "{}: migrated, it is as a fresh one", dump.display());
    }
}
