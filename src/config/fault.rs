//! What is wrong with a configuration: all of it, so that one look mends the file.

use std::fmt;
use std::path::Path;

/// One fault of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The key, as in `floor.endpoint_ms`; empty where the file itself is at fault.
    pub path: String,
    /// Its line, from 1.
    pub line: Option<usize>,
    /// What stands there, as it stands there; empty where nothing does.
    pub value: String,
    /// What may stand there, with its unit.
    pub allowed: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(out, "line {line}: ")?;
        }
        match (self.path.is_empty(), self.value.is_empty()) {
            (true, _) => write!(out, "{}", self.allowed),
            (false, true) => write!(out, "{}: {}", self.path, self.allowed),
            (false, false) => write!(out, "{} = {}: must be {}", self.path, self.value, self.allowed),
        }
    }
}

/// Every fault of one configuration; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFaults {
    /// The file's name.
    pub origin: String,
    pub faults: Vec<Fault>,
}

impl ConfigFaults {
    pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        let allowed =
            format!("cannot be read ({error}); name another file with --config, or run without one for the defaults");
        Self {
            origin: path.display().to_string(),
            faults: vec![Fault { path: String::new(), line: None, value: String::new(), allowed }],
        }
    }
}

impl fmt::Display for ConfigFaults {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.faults.len();
        write!(out, "{} has {count} fault{}:", self.origin, if count == 1 { "" } else { "s" })?;
        self.faults.iter().try_for_each(|fault| write!(out, "\n  {fault}"))
    }
}

impl std::error::Error for ConfigFaults {}
