//! What can be wrong with the file, each with the way out.

use std::path::{Path, PathBuf};

/// Why the file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("the database's folder {} does not exist: create it, or name another file as store.path", folder.display())]
    NoFolder { folder: PathBuf },
    #[error("the folder {} is read-only, and SQLite keeps two more files beside the database: make it writable for this user, or name another file as store.path", folder.display())]
    FolderReadOnly { folder: PathBuf },
    #[error("the database {} is read-only: make it writable for this user (chmod u+w), or name another file as store.path", path.display())]
    FileReadOnly { path: PathBuf },
    #[error("the database {} cannot be opened ({why}): look at its owner and permissions, or name another file as store.path", path.display())]
    Unreadable { path: PathBuf, why: String },
    #[error("the database {} is in use by another duologue server: stop that one, or name another file as store.path", path.display())]
    InUse { path: PathBuf },
    #[error("the database {} is locked by another program: close it there (fuser {} tells which), or name another file as store.path", path.display(), path.display())]
    Locked { path: PathBuf },
    #[error("{} is not a database: move it away, or name another file as store.path", path.display())]
    NotADatabase { path: PathBuf },
    #[error("{} is a database of another program: name another file as store.path", path.display())]
    NotOurs { path: PathBuf },
    #[error("the database {} was made by a newer duologue (its schema is {found}, this one knows {known}): use that version or another file", path.display())]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("the schema {version} of the database {} is not the released one: use the duologue that made it, or another file", path.display())]
    Altered { path: PathBuf, version: i64 },
    #[error("the database {} is damaged ({why}): it can still be asked (`duologue sql`, `review`, `export`); `duologue recover {}` saves what can be read into a new file", path.display(), path.display())]
    Damaged { path: PathBuf, why: String },
    #[error("the disk is full and the database {} cannot grow: free some space", path.display())]
    Full { path: PathBuf },
    #[error("the database {} failed: {why}", path.display())]
    Failed { path: PathBuf, why: String },
}

/// Why entries are not (yet) durable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotKept {
    #[error("not written yet, kept in memory and tried again: {0}")]
    Failing(StoreError),
    #[error("the store is closed")]
    Closed,
}

/// SQLite's result code without its extension (<https://www.sqlite.org/rescode.html>); `None` where it is no error of
/// SQLite's.
pub(super) fn code(error: &sqlx::Error) -> Option<i32> {
    let text = error.as_database_error()?.code()?;
    text.parse().ok()
}

impl StoreError {
    /// The error that stands behind an error of SQLite's.
    pub(crate) fn of(path: &Path, error: &sqlx::Error) -> Self {
        /// SQLITE_READONLY_DIRECTORY, the one extended code with another way out.
        const READ_ONLY_FOLDER: i32 = 1_544;
        let path = path.to_path_buf();
        let why = error.to_string();
        match code(error) {
            Some(READ_ONLY_FOLDER) => Self::FolderReadOnly { folder: folder_of(&path) },
            Some(extended) => match extended & 0xff {
                5 | 6 => Self::Locked { path },
                8 => Self::FileReadOnly { path },
                11 => Self::Damaged { path, why },
                13 => Self::Full { path },
                14 => Self::Unreadable { path, why },
                26 => Self::NotADatabase { path },
                _ => Self::Failed { path, why },
            },
            None => Self::Failed { path, why },
        }
    }
}

/// The folder that a file lies in.
pub(super) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    }
}
