//! `duologue check`: everything that can stand in a server's way, each with a line, a verdict and the way out.
//!
//! A new row is a [`Finding`] pushed in [`findings`].

mod engines;
mod ground;

use std::fmt;
use std::process::ExitCode;

use crate::config::Config;

pub use engines::contract_rows;

/// How it stands with one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Ok,
    /// Calls work, but something is worth knowing.
    Warn,
    /// The server would not start, or calls would fail.
    Fail,
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub verdict: Verdict,
    /// What was looked at and what was seen.
    pub what: String,
    /// What to do about it; empty where nothing is to be done or `what` says it.
    pub way_out: String,
}

impl Finding {
    /// As it should be.
    pub fn ok(what: impl Into<String>) -> Self {
        Self { verdict: Verdict::Ok, what: what.into(), way_out: String::new() }
    }

    /// Worth knowing.
    pub fn warn(what: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warn, what: what.into(), way_out: way_out.into() }
    }

    /// In the way of calls.
    pub fn fail(what: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fail, what: what.into(), way_out: way_out.into() }
    }

    /// In the way of calls, told by an error whose text has the way out in it.
    pub fn error(about: &str, error: impl fmt::Display) -> Self {
        Self::fail(format!("{about}: {error}"), "")
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = self.what.lines();
        write!(out, "{:<5} {}", self.verdict.word(), lines.next().unwrap_or_default())?;
        lines.try_for_each(|line| write!(out, "\n      {line}"))?;
        if self.way_out.is_empty() { Ok(()) } else { write!(out, "\n      -> {}", self.way_out) }
    }
}

/// Looks at everything that `config` names. The configuration itself has been read by then: its faults are told when it is
/// loaded. Takes as long as loading and trying the models does; `tell` gets each finding as soon as it is there.
pub async fn findings(config: &Config, mut tell: impl FnMut(&Finding)) -> Vec<Finding> {
    let mut all = Vec::new();
    let mut add = |found: Vec<Finding>| {
        found.iter().for_each(&mut tell);
        all.extend(found);
    };
    add(vec![Finding::ok("configuration: every value is within its range")]);
    add(ground::secrets(config));
    add(ground::personas(config));
    add(ground::object_store(config).await);
    let (database, served) = ground::database(config).await;
    add(vec![database]);
    add(ground::ports(config, served));
    let models = engines::models(config).await;
    let complete = models.iter().all(|finding| finding.verdict != Verdict::Fail);
    add(models);
    add(if complete { engines::back_ends(config).await } else { vec![engines::not_tried()] });
    all
}

/// Prints the report; the exit code is 1 where something fails.
pub async fn run(config: &Config) -> ExitCode {
    let all = findings(config, |finding| println!("{finding}")).await;
    let count = |verdict| all.iter().filter(|finding| finding.verdict == verdict).count();
    let (warnings, failures) = (count(Verdict::Warn), count(Verdict::Fail));
    println!("\n{} checks, {warnings} with a warning, {failures} failed", all.len());
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests;
