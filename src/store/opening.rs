//! Getting hold of the file: ours alone, of our making, of a schema that we know.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

use super::bridges;
use super::error::{StoreError, folder_of};

pub(super) static MIGRATIONS: Migrator = sqlx::migrate!();

/// `application_id` of our files; migration 1 sets it.
const OURS: i64 = 0x6475_6f6c;

/// How long a statement waits for another program that has the file. A person's `sqlite3` shell that writes is done in
/// less; a program that stays longer is worth an error.
const PATIENCE: Duration = Duration::from_millis(1_000);

/// How long a file is looked through for damage when it is opened: some GB where the system has them in memory. What is found later
/// is told by whoever finds it.
const LOOK_FOR: Duration = Duration::from_secs(2);
/// SQLite's steps between two looks at the clock.
const STEPS: i32 = 1_000;

/// The file, open for writing.
pub(super) struct Opened {
    pub(super) connection: SqliteConnection,
    pub(super) lock: File,
    /// Calls that a crash had left open.
    pub(super) crashed: u64,
}

/// What [`probe`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// There is no file yet, and it can be made.
    Absent,
    /// A file that can be opened and written; an older `schema` than ours is migrated when the server opens it.
    Ready { schema: i64, calls: i64 },
}

/// How every connection of ours sees the file.
pub(super) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(PATIENCE)
        .synchronous(SqliteSynchronous::Full)
}

/// How a connection sees the file that only reads.
pub fn reading(path: &Path) -> SqliteConnectOptions {
    options(path).read_only(true)
}

/// Opens the file for writing, makes or migrates its tables and closes the calls that a crash left open.
pub(super) async fn open(path: &Path) -> Result<Opened, StoreError> {
    let of = |error: sqlx::Error| StoreError::of(path, &error);
    let lock = hold(path)?;
    let mut connection = options(path).create_if_missing(true).connect().await.map_err(of)?;
    examine(path, &mut connection).await?;
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode = WAL").fetch_one(&mut connection).await.map_err(of)?;
    if mode != "wal" {
        let why = "this file system cannot keep a write-ahead log; name a file on a local disk as store.path".into();
        return Err(StoreError::Failed { path: path.to_path_buf(), why });
    }
    MIGRATIONS.run_direct(None, &mut connection, false).await.map_err(|error| migration_error(path, error))?;
    let crashed = close_crashed(&mut connection).await.map_err(of)?;
    bridges::close_crashed(&mut connection).await.map_err(of)?;
    Ok(Opened { connection, lock, crashed })
}

/// Looks whether the file could be opened for writing, and changes nothing: for `duologue check`.
///
/// # Errors
/// As [`super::Store::open`].
pub async fn probe(path: &Path) -> Result<Probe, StoreError> {
    if !path.exists() {
        let folder = existing_folder(path)?;
        tempfile_in(&folder).map_err(|_| StoreError::FolderReadOnly { folder })?;
        return Ok(Probe::Absent);
    }
    let of = |error: sqlx::Error| StoreError::of(path, &error);
    let _lock = hold(path)?;
    let mut connection = options(path).create_if_missing(false).connect().await.map_err(of)?;
    let schema = examine(path, &mut connection).await?;
    let calls = if schema == 0 {
        0
    } else {
        sqlx::query_scalar("SELECT count(*) FROM calls").fetch_one(&mut connection).await.map_err(of)?
    };
    connection.close().await.map_err(of)?;
    Ok(Probe::Ready { schema, calls })
}

/// Makes a file and takes it away again.
fn tempfile_in(folder: &Path) -> std::io::Result<()> {
    let path = folder.join(format!(".duologue-check-{}", std::process::id()));
    OpenOptions::new().write(true).create_new(true).open(&path)?;
    std::fs::remove_file(path)
}

fn existing_folder(path: &Path) -> Result<PathBuf, StoreError> {
    let folder = folder_of(path);
    if folder.is_dir() { Ok(folder) } else { Err(StoreError::NoFolder { folder }) }
}

/// One server a file: a second one would take the calls of the first for crashed ones. The lock is on a file of its
/// own, because closing any handle on the database itself drops SQLite's own locks (POSIX).
fn hold(path: &Path) -> Result<File, StoreError> {
    let folder = existing_folder(path)?;
    if path.is_dir() {
        return Err(StoreError::Unreadable { path: path.to_path_buf(), why: "it is a folder".into() });
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock =
        OpenOptions::new().write(true).create(true).truncate(false).open(name).map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreError::FolderReadOnly { folder },
            _ => StoreError::Unreadable { path: path.to_path_buf(), why: error.to_string() },
        })?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: path.to_path_buf() }),
        Err(TryLockError::Error(error)) => {
            Err(StoreError::Unreadable { path: path.to_path_buf(), why: error.to_string() })
        }
    }
}

/// Whether the file is ours, not too new and writable; gives its schema's number, 0 for an empty file.
async fn examine(path: &Path, connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    let of = |error: sqlx::Error| StoreError::of(path, &error);
    let id: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *connection).await.map_err(of)?;
    let foreign: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE tbl_name <> '_sqlx_migrations'")
        .fetch_one(&mut *connection)
        .await
        .map_err(of)?;
    if id != OURS && (id != 0 || foreign > 0) {
        return Err(StoreError::NotOurs { path: path.to_path_buf() });
    }
    let migrated: bool = sqlx::query_scalar("SELECT count(*) > 0 FROM sqlite_schema WHERE name = '_sqlx_migrations'")
        .fetch_one(&mut *connection)
        .await
        .map_err(of)?;
    let found: i64 = if migrated {
        sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations")
            .fetch_one(&mut *connection)
            .await
            .map_err(of)?
    } else {
        0
    };
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
    if found > known {
        return Err(StoreError::Newer { path: path.to_path_buf(), found, known });
    }
    look_through(path, connection).await?;
    // SQLite opens a read-only file without a word, and even begins to write; only the writing itself is refused.
    let mut trial = connection.begin_with("BEGIN IMMEDIATE").await.map_err(of)?;
    sqlx::query("PRAGMA user_version = 0").execute(&mut *trial).await.map_err(of)?;
    trial.rollback().await.map_err(of)?;
    Ok(found)
}

/// Whether pages are damaged, as far as that is seen in [`LOOK_FOR`].
async fn look_through(path: &Path, connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let of = |error: sqlx::Error| StoreError::of(path, &error);
    let deadline = Instant::now() + LOOK_FOR;
    connection.lock_handle().await.map_err(of)?.set_progress_handler(STEPS, move || Instant::now() < deadline);
    let looked = sqlx::query_scalar::<_, String>("PRAGMA quick_check(1)").fetch_one(&mut *connection).await;
    connection.lock_handle().await.map_err(of)?.remove_progress_handler();
    match looked {
        Ok(verdict) if verdict == "ok" => Ok(()),
        Ok(why) => Err(StoreError::Damaged { path: path.to_path_buf(), why }),
        Err(_) if Instant::now() >= deadline => Ok(()),
        Err(error) => Err(of(error)),
    }
}

pub(super) fn migration_error(path: &Path, error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => StoreError::of(path, &error),
        MigrateError::VersionMismatch(version)
        | MigrateError::VersionMissing(version)
        | MigrateError::Dirty(version) => StoreError::Altered { path: path.to_path_buf(), version },
        other => StoreError::Failed { path: path.to_path_buf(), why: other.to_string() },
    }
}

/// Closes the calls that no server has any more, at the last moment that is known of each.
async fn close_crashed(connection: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let closed = sqlx::query(
        "UPDATE calls
         SET end_reason = 'crash', end_detail = 'the server stopped without ending this call',
             duration_ms = last.at_ms, ended_utc_ms = started_utc_ms + last.at_ms
         FROM (SELECT open.id,
                      max(coalesce((SELECT max(at_ms) FROM events WHERE call = open.id), 0),
                          coalesce((SELECT max(ended_ms) FROM turns WHERE call = open.id), 0)) AS at_ms
               FROM calls AS open WHERE open.end_reason IS NULL) AS last
         WHERE calls.id = last.id",
    )
    .execute(connection)
    .await?;
    Ok(closed.rows_affected())
}
