//! Programs of others, written in Python, that only tests use.

use std::path::{Path, PathBuf};

/// The folder, below that of `make test-system`, in which a package lies. Without it a test says so and tries nothing; `make test`
/// insists on it.
pub fn installed(folder: &str, package: &str) -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/duologue/python"));
    let home = std::env::var_os("PYTHON_HOME").map(PathBuf::from).or(home)?.join(folder);
    if home.join(package).is_dir() {
        return Some(home);
    }
    let hint = format!("install {package} (make test-system)");
    assert!(std::env::var_os("DUOLOGUE_REQUIRE_MODELS").is_none(), "{hint}");
    println!("not tried: {hint}");
    None
}
