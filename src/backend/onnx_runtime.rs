//! ONNX Runtime, loaded once in a process from the library file that is fetched with the models.
//!
//! The `ort` crate keeps one runtime for the whole process; whoever opens a session first calls [`ensure`].

use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Why there is no ONNX Runtime.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OnnxRuntimeFault {
    #[error("there is no ONNX Runtime at {}; `duologue models fetch onnxruntime` fetches it", .path.display())]
    Missing { path: PathBuf },
    #[error(
        "the ONNX Runtime at {} cannot be used: {why}; `duologue models fetch onnxruntime` fetches the right one",
        .path.display()
    )]
    Unusable { path: PathBuf, why: String },
}

/// The library that this process uses. A failure is not kept: once the file has been fetched, the next call succeeds.
static LOADED: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Loads ONNX Runtime from the shared library at `path`, unless this process has loaded one already: then that one
/// stays and `path` is not looked at.
///
/// # Errors
/// When the file is absent or is no ONNX Runtime of a version that `ort` can use (1.24 or later).
pub fn ensure(path: &Path) -> Result<(), OnnxRuntimeFault> {
    // A panic in here would leave `None` behind, which is a sound state.
    let mut loaded = LOADED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if loaded.is_some() {
        return Ok(());
    }
    if !path.is_file() {
        return Err(OnnxRuntimeFault::Missing { path: path.to_owned() });
    }
    // `ort` looks for a relative path beside the executable first, which is not what a configuration file means.
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let environment = ort::init_from(&absolute)
        .map_err(|fault| OnnxRuntimeFault::Unusable { path: absolute.clone(), why: fault.to_string() })?;
    environment.with_name("duologue").with_telemetry(false).commit();
    *loaded = Some(absolute);
    Ok(())
}
