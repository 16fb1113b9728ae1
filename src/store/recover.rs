//! What can be read of a damaged file, into a new one of today's schema. The damaged file and its log are copied first and never
//! written.
//!
//! Tables are read row by row: from their beginning up to what cannot be read, from their end back to it, and what lies between in
//! halves. SQLite keeps no checksums: bytes that were changed inside a row and still make a row of the table are not noticed.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use futures_util::TryStreamExt as _;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{
    Arguments as _, AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _, TypeInfo as _, ValueRef as _,
};

use super::error::StoreError;
use super::opening::{MIGRATIONS, migration_error, options};
use super::{Store, orphans, utc_ms};

/// What every SQLite file begins with, and how long its head is (<https://www.sqlite.org/fileformat.html>).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const HEAD_BYTES: usize = 100;
/// Rows are numbered from 1; more than these no file of ours has.
const LAST_ROW: i64 = 1 << 40;
/// Reads of one table that may find nothing, one after the other, before the rest of it is given up.
const VAIN_READS: u32 = 4_000;

/// What became of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveredTable {
    pub table: String,
    /// Rows in the new file.
    pub saved: u64,
    /// Rows that the damaged file has by its own count, and that are not in the new one; `None` where they could not be counted.
    pub lost: Option<u64>,
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    pub into: PathBuf,
    /// The schema that the damaged file had; the new one has today's.
    pub schema: i64,
    pub tables: Vec<RecoveredTable>,
    /// Calls whose own row was lost, and who have a row again because other rows speak of them.
    pub calls_named: u64,
    /// Rows that went, or lost what they pointed at, because that was lost.
    pub loose: u64,
}

/// Why nothing was saved.
#[derive(Debug, thiserror::Error)]
pub enum RecoverFault {
    #[error("{} is there already: name another file with --into", .0.display())]
    There(PathBuf),
    #[error("cannot copy {}: {why}", .path.display())]
    Copy { path: PathBuf, why: std::io::Error },
    #[error(
        "the list of tables in {} cannot be read ({why}), so that no row can be told from another: put back a copy of before",
        .path.display()
    )]
    NoSchema { path: PathBuf, why: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Saves what can be read of `from` into `into`.
///
/// # Errors
/// When `into` is there, one of the files cannot be written, or nothing can be told of the damaged one.
pub async fn recover(from: &Path, into: &Path) -> Result<Recovered, RecoverFault> {
    if into.exists() {
        return Err(RecoverFault::There(into.to_path_buf()));
    }
    let copy = Copied::of(from, into)?;
    let done = fill(from, &copy, into).await;
    if done.is_err() {
        // Half a database would be taken for a whole one.
        [into.to_path_buf(), beside(into, "-wal"), beside(into, "-shm"), beside(into, ".lock")]
            .iter()
            .for_each(|file| drop(std::fs::remove_file(file)));
    }
    done
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// The damaged file as it is looked at: beside the new one, gone when it is dropped.
struct Copied(PathBuf);

impl Copied {
    fn of(from: &Path, into: &Path) -> Result<Self, RecoverFault> {
        let fault = |path: &Path| {
            let path = path.to_path_buf();
            move |why: std::io::Error| RecoverFault::Copy { path, why }
        };
        let copied = Self(beside(into, ".reading"));
        std::fs::copy(from, &copied.0).map_err(fault(from))?;
        // What a server had not yet written into the file itself.
        let wal = beside(from, "-wal");
        if wal.exists() {
            std::fs::copy(&wal, beside(&copied.0, "-wal")).map_err(fault(&wal))?;
        }
        copied.mend_head().map_err(fault(from))?;
        Ok(copied)
    }

    /// A file whose first bytes were overwritten gets those that every file of ours has: it has pages of 4 kB, and the rest says
    /// how to read it and nothing of what is in it.
    fn mend_head(&self) -> std::io::Result<()> {
        let mut file = File::options().read(true).write(true).open(&self.0)?;
        let bytes = file.metadata()?.len();
        let mut head = [0; HEAD_BYTES];
        if bytes < HEAD_BYTES as u64 || file.read_exact(&mut head).is_err() || head.starts_with(MAGIC) {
            return Ok(());
        }
        let mut made = [0; HEAD_BYTES];
        made[..16].copy_from_slice(MAGIC);
        // Page size 4096, written in WAL mode, the fractions that are fixed, schema format 4, UTF-8.
        made[16..24].copy_from_slice(&[16, 0, 2, 2, 0, 64, 32, 32]);
        made[28..32].copy_from_slice(&u32::try_from(bytes / 4_096).unwrap_or(u32::MAX).to_be_bytes());
        made[47] = 4;
        made[59] = 1;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&made)
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        ["", "-wal", "-shm", "-journal"].iter().for_each(|ending| drop(std::fs::remove_file(beside(&self.0, ending))));
    }
}

async fn fill(from: &Path, copy: &Copied, into: &Path) -> Result<Recovered, RecoverFault> {
    let no_schema = |why: sqlx::Error| RecoverFault::NoSchema { path: from.to_path_buf(), why: why.to_string() };
    let new = |error: sqlx::Error| StoreError::of(into, &error);
    // A file that was cut off is opened with this pragma alone: SQLite compares the length with the head's otherwise.
    let reading = SqliteConnectOptions::new().filename(&copy.0).foreign_keys(false).pragma("writable_schema", "ON");
    let mut source = reading.connect().await.map_err(no_schema)?;
    let newest = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE type = 'table'")
        .fetch_one(&mut source)
        .await
        .map_err(no_schema)?;
    if tables == 0 {
        return Err(no_schema(sqlx::Error::RowNotFound));
    }
    let schema = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(&mut source).await;
    let schema: i64 = schema.unwrap_or(newest);
    if schema > newest {
        return Err(StoreError::Newer { path: from.to_path_buf(), found: schema, known: newest }.into());
    }
    // As the damaged file was: what has changed since is changed by the migrations, as with a whole one.
    let writing = options(into).create_if_missing(true).foreign_keys(false);
    let mut target = writing.connect().await.map_err(new)?;
    let made = MIGRATIONS.run_direct(Some(schema), &mut target, false).await;
    made.map_err(|error| migration_error(into, error))?;
    let (tables, calls_named, loose) = rows(&mut source, &mut target).await.map_err(new)?;
    target.close().await.map_err(new)?;
    // It is closed as a copy that nobody needs: a fault of it is none of the new file.
    let _ = source.close().await;
    Store::open(into).await?.close().await;
    let mut target = options(into).connect().await.map_err(new)?;
    tell(&mut target, from, &tables).await.map_err(new)?;
    let verdict: String = sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(&mut target).await.map_err(new)?;
    target.close().await.map_err(new)?;
    if verdict != "ok" {
        return Err(StoreError::Damaged { path: into.to_path_buf(), why: verdict }.into());
    }
    Ok(Recovered { into: into.to_path_buf(), schema, tables, calls_named, loose })
}

/// What this file does not have, where everybody looks for that.
async fn tell(target: &mut SqliteConnection, from: &Path, tables: &[RecoveredTable]) -> Result<(), sqlx::Error> {
    let lost: u64 = tables.iter().filter_map(|table| table.lost).sum();
    let uncounted = tables.iter().any(|table| table.lost.is_none());
    if lost == 0 && !uncounted {
        return Ok(());
    }
    let more = if uncounted { ", and more that could not be counted" } else { "" };
    sqlx::query("INSERT INTO incidents (at_utc_ms, type, entries, detail) VALUES (?1, 'entries-lost', ?2, ?3)")
        .bind(utc_ms())
        .bind(i64::try_from(lost.max(1)).unwrap_or(i64::MAX))
        .bind(format!("recovered from {}, which is damaged: {lost} rows were lost{more}", from.display()))
        .execute(target)
        .await
        .map(drop)
}

/// Everything that can be read. `call_totals` and the words for `MATCH` come of the rest by their triggers.
async fn rows(
    source: &mut SqliteConnection,
    target: &mut SqliteConnection,
) -> Result<(Vec<RecoveredTable>, u64, u64), sqlx::Error> {
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%'
         AND name NOT IN ('_sqlx_migrations', 'call_totals')
         -- Triggers look at a turn's call, and that at its caller.
         ORDER BY CASE name WHEN 'callers' THEN 0 WHEN 'calls' THEN 1 WHEN 'turns' THEN 2 ELSE 3 END, name",
    )
    .fetch_all(&mut *target)
    .await?;
    let spoken_of = calls_spoken_of(source).await;
    let mut tables = Vec::new();
    for name in names {
        let Some(table) = Table::of(source, target, &name).await? else { continue };
        let garbled = table.save(source, target, &spoken_of).await?;
        let saved = counted(target, &name).await.unwrap_or(0);
        let lost = counted(source, &name).await.map(|there| there.saturating_sub(saved).max(garbled));
        tables.push(RecoveredTable { table: name, saved, lost });
    }
    // A schema of before knows nothing of it.
    let _ = sqlx::raw_sql(
        "INSERT INTO knowledge_fts (rowid, persona, heading, text)
         SELECT chunks.id, files.persona, chunks.heading, chunks.text
         FROM knowledge_chunks AS chunks JOIN knowledge_files AS files ON files.id = file_id",
    )
    .execute(&mut *target)
    .await;
    let calls_named = orphans::name_calls(target).await?;
    let loose = orphans::settle(target).await?;
    Ok((tables, calls_named, loose))
}

/// `None` where it cannot be counted.
async fn counted(connection: &mut SqliteConnection, table: &str) -> Option<u64> {
    let question = format!("SELECT count(*) FROM \"{table}\"");
    let count: i64 = sqlx::query_scalar(AssertSqlSafe(question)).fetch_one(connection).await.ok()?;
    u64::try_from(count).ok()
}

/// The calls that rows of the damaged file speak of: where the table of calls is broken in the middle they are looked up one by one.
async fn calls_spoken_of(source: &mut SqliteConnection) -> Vec<String> {
    let mut calls = std::collections::BTreeSet::new();
    for (table, column) in
        [("calls", "id"), ("turns", "call"), ("events", "call"), ("recordings", "call"), ("journals", "call")]
    {
        for order in ["ASC", "DESC"] {
            let question = format!("SELECT DISTINCT {column} FROM {table} ORDER BY {column} {order}");
            let mut rows = sqlx::query_scalar::<_, String>(AssertSqlSafe(question)).fetch(&mut *source);
            while let Ok(Some(call)) = rows.try_next().await {
                calls.insert(call);
            }
        }
    }
    calls.into_iter().collect()
}

/// A table as it stands in both files.
struct Table {
    name: String,
    /// In both of them.
    columns: Vec<String>,
    /// The first column of its key, where that is not a number.
    key: Option<String>,
}

impl Table {
    async fn of(
        source: &mut SqliteConnection,
        target: &mut SqliteConnection,
        name: &str,
    ) -> Result<Option<Self>, sqlx::Error> {
        let columns = "SELECT name FROM pragma_table_info(?1)";
        let ours: Vec<String> = sqlx::query_scalar(columns).bind(name).fetch_all(&mut *target).await?;
        // A table whose description is broken has no rows to read.
        let theirs: Vec<String> = sqlx::query_scalar(columns).bind(name).fetch_all(source).await.unwrap_or_default();
        let key = "SELECT (SELECT name FROM pragma_table_info(?1) WHERE pk = 1) FROM pragma_table_list WHERE name = ?1 AND wr = 1";
        let key: Option<String> = sqlx::query_scalar(key).bind(name).fetch_optional(target).await?.flatten();
        let columns: Vec<String> = ours.into_iter().filter(|column| theirs.contains(column)).collect();
        Ok((!columns.is_empty()).then(|| Self { name: name.to_owned(), columns, key }))
    }

    fn listed(&self) -> String {
        self.columns.iter().map(|column| format!("\"{column}\"")).collect::<Vec<_>>().join(", ")
    }

    /// Gives how many rows were there and could not be taken.
    async fn save(
        &self,
        source: &mut SqliteConnection,
        target: &mut SqliteConnection,
        spoken_of: &[String],
    ) -> Result<u64, sqlx::Error> {
        let mut together = target.begin().await?;
        let mut garbled = 0;
        match &self.key {
            None => garbled += self.by_number(source, &mut together).await?,
            Some(key) => {
                let mut broken = true;
                for order in ["ASC", "DESC"] {
                    let question =
                        format!("SELECT 0, {} FROM \"{}\" ORDER BY \"{key}\" {order}", self.listed(), self.name);
                    let read = self.take(source, &mut together, &question, &[]).await?;
                    (broken, garbled) = (read.broken, garbled.max(read.garbled));
                    if !broken {
                        break;
                    }
                }
                let question = format!("SELECT 0, {} FROM \"{}\" WHERE \"{key}\" = ?1", self.listed(), self.name);
                for call in spoken_of.iter().filter(|_| broken && (key == "call" || self.name == "calls")) {
                    self.take(source, &mut together, &question, &[Cell::Text(call.clone())]).await?;
                }
            }
        }
        together.commit().await?;
        Ok(garbled)
    }

    /// By the rows' numbers: what cannot be read is closed in upon from both sides, in ever smaller spans.
    async fn by_number(
        &self,
        source: &mut SqliteConnection,
        target: &mut SqliteConnection,
    ) -> Result<u64, sqlx::Error> {
        let question = |order: &str| {
            format!(
                "SELECT rowid, {} FROM \"{}\" NOT INDEXED WHERE rowid BETWEEN ?1 AND ?2 ORDER BY rowid {order}",
                self.listed(),
                self.name
            )
        };
        let (up, down) = (question("ASC"), question("DESC"));
        let (mut spans, mut garbled, mut vain) = (VecDeque::from([(1, LAST_ROW)]), 0, 0);
        while let Some((from, to)) = spans.pop_front().filter(|_| vain < VAIN_READS) {
            let read = self.take(source, target, &up, &[Cell::Integer(from), Cell::Integer(to)]).await?;
            garbled += read.garbled;
            if !read.broken {
                vain = 0;
                continue;
            }
            let from = read.last.map_or(from, |last| last + 1);
            let back = self.take(source, target, &down, &[Cell::Integer(from), Cell::Integer(to)]).await?;
            garbled += back.garbled;
            vain = if read.last.is_some() || back.last.is_some() { 0 } else { vain + 1 };
            let to = back.last.map_or(to, |last| last - 1);
            if back.broken && from < to {
                let middle = from + (to - from) / 2;
                spans.extend([(from, middle), (middle + 1, to)]);
            }
        }
        Ok(garbled)
    }

    /// Puts what a question gives into the new file, until it is over or SQLite cannot read on. The first column is the row's number.
    async fn take(
        &self,
        source: &mut SqliteConnection,
        target: &mut SqliteConnection,
        question: &str,
        parameters: &[Cell],
    ) -> Result<Taken, sqlx::Error> {
        let places: Vec<String> = (1..=self.columns.len()).map(|n| format!("?{n}")).collect();
        let insert =
            format!("INSERT OR IGNORE INTO \"{}\" ({}) VALUES ({})", self.name, self.listed(), places.join(", "));
        let mut taken = Taken::default();
        let mut rows = sqlx::query_with(AssertSqlSafe(question), arguments(parameters)?).fetch(source);
        loop {
            let row = match rows.try_next().await {
                Ok(Some(row)) => row,
                Ok(None) => return Ok(taken),
                Err(_) => {
                    taken.broken = true;
                    return Ok(taken);
                }
            };
            taken.last = row.try_get_unchecked(0).ok();
            let cells: Result<Vec<Cell>, sqlx::Error> = (1..row.len()).map(|n| Cell::of(&row, n)).collect();
            let kept = match cells {
                Ok(cells) => {
                    let done =
                        sqlx::query_with(AssertSqlSafe(insert.as_str()), arguments(&cells)?).execute(&mut *target);
                    done.await.map(drop)
                }
                Err(why) => Err(why),
            };
            match kept {
                Ok(()) => {}
                // Text that is none, a number where text should be: the row is read, and is none of this table.
                Err(sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. }) => taken.garbled += 1,
                Err(why) if of_the_row(&why) => taken.garbled += 1,
                Err(why) => return Err(why),
            }
        }
    }
}

/// SQLITE_CONSTRAINT, SQLITE_MISMATCH, SQLITE_ERROR (what a trigger says to it): not of the disk.
fn of_the_row(error: &sqlx::Error) -> bool {
    super::error::code(error).is_some_and(|code| matches!(code & 0xff, 1 | 19 | 20))
}

#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    last: Option<i64>,
    /// There is more, and it cannot be read.
    broken: bool,
    /// Rows that were read and not taken.
    garbled: u64,
}

/// A value of SQLite's, whatever its column says.
#[derive(Clone, Debug, PartialEq)]
enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

impl Cell {
    fn of(row: &SqliteRow, n: usize) -> Result<Self, sqlx::Error> {
        let raw = row.try_get_raw(n)?;
        if raw.is_null() {
            return Ok(Self::Null);
        }
        Ok(match raw.type_info().name() {
            "INTEGER" | "BOOLEAN" => Self::Integer(row.try_get_unchecked(n)?),
            "REAL" => Self::Real(row.try_get_unchecked(n)?),
            "BLOB" => Self::Blob(row.try_get_unchecked(n)?),
            _ => Self::Text(row.try_get_unchecked(n)?),
        })
    }
}

fn arguments(cells: &[Cell]) -> Result<SqliteArguments, sqlx::Error> {
    let mut arguments = SqliteArguments::default();
    for cell in cells {
        match cell {
            Cell::Null => arguments.add(None::<i64>),
            Cell::Integer(number) => arguments.add(*number),
            Cell::Real(number) => arguments.add(*number),
            Cell::Text(text) => arguments.add(text.clone()),
            Cell::Blob(bytes) => arguments.add(bytes.clone()),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}
