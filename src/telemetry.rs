//! The log: one line per thing worth knowing, on the standard error, quiet about the libraries below us.

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Log, LogFormat};

/// Libraries whose own chatter says nothing about a call. A filter that names one of them wins over this.
/// `rtc_sctp` and `rtc_dtls` warn about every ordinary hang-up; `sqlx` prints each statement that waits for the disk;
/// `whisper_rs` prints an error for every recognition that was cancelled, and real failures come back as values.
const QUIET: &[(&str, &str)] = &[
    ("h2", "warn"),
    ("hyper", "warn"),
    ("hyper_util", "warn"),
    ("ort", "warn"),
    ("reqwest", "warn"),
    ("rsipstack", "error"),
    ("rtc", "error"),
    ("rtc_dtls", "error"),
    ("rtc_ice", "error"),
    ("rtc_mdns", "error"),
    ("rtc_sctp", "error"),
    ("rustls", "warn"),
    ("sqlx", "warn"),
    ("tower_http", "warn"),
    ("tungstenite", "warn"),
    ("webrtc", "error"),
    ("whisper_rs", "off"),
];

/// A filter that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("{source_name} = {filter:?} is no log filter ({why}); an example is \"info,duologue::call=debug\"")]
    Filter { source_name: &'static str, filter: String, why: String },
    #[error("the log is already set up: {0}")]
    Twice(String),
}

/// Starts the log for this process: as `RUST_LOG` says, else as the configuration says.
///
/// # Errors
/// When the filter cannot be read, or the process has a log already.
pub fn start(log: &Log) -> Result<(), LogError> {
    let environment = std::env::var("RUST_LOG").ok().filter(|filter| !filter.trim().is_empty());
    let filter = match &environment {
        Some(filter) => filter_of("RUST_LOG", filter)?,
        None => filter_of("log.filter", &log.filter)?,
    };
    subscriber(log.format, filter, std::io::stderr).try_init().map_err(|error| LogError::Twice(error.to_string()))
}

/// The filter as written, with the quiet defaults for the libraries that it does not name.
fn filter_of(source_name: &'static str, filter: &str) -> Result<EnvFilter, LogError> {
    let refuse = |why: String| LogError::Filter { source_name, filter: filter.to_owned(), why };
    let named = |library: &str| {
        filter.split(',').any(|part| part.split(['=', '[', ':']).next().map(str::trim) == Some(library))
    };
    let mut read = EnvFilter::try_new(filter).map_err(|error| refuse(error.to_string()))?;
    for (library, level) in QUIET.iter().filter(|(library, _)| !named(library)) {
        let directive = format!("{library}={level}").parse().map_err(|error| refuse(format!("{error}")))?;
        read = read.add_directive(directive);
    }
    Ok(read)
}

/// What takes the events, whatever its format.
type Subscriber = Box<dyn tracing::Subscriber + Send + Sync>;

fn subscriber<W>(format: LogFormat, filter: EnvFilter, writer: W) -> Subscriber
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let base = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    match format {
        LogFormat::Text => Box::new(base.compact().finish().with(filter_fn(tells_no_password))),
        LogFormat::Json => Box::new(base.json().flatten_event(true).finish().with(filter_fn(tells_no_password))),
    }
}

/// Below a warning `rsipstack` writes whole messages, answers to passwords included; no filter of an operator's opens that.
fn tells_no_password(event: &Metadata<'_>) -> bool {
    !event.target().starts_with("rsipstack") || *event.level() <= Level::WARN
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::mpsc;

    use super::*;

    /// Hands lines to the test that reads them.
    #[derive(Clone)]
    struct Page(mpsc::Sender<Vec<u8>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(std::io::Error::other)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, filter: &str) -> String {
        let (page, lines) = mpsc::channel();
        let log = subscriber(format, filter_of("log.filter", filter).expect("a filter"), move || Page(page.clone()));
        tracing::subscriber::with_default(log, || {
            tracing::info!(target: "duologue::call", call = "c1", "opened");
            tracing::debug!(target: "duologue::call", "detail");
            tracing::warn!(target: "rtc_sctp::association", "chatter");
            tracing::info!(target: "sqlx::query", "statement");
            tracing::info!(target: "rsipstack::transport", raw_message = "Authorization: Digest", "received");
            tracing::warn!(target: "rsipstack::transport", "gone");
        });
        String::from_utf8(lines.iter().flatten().collect()).expect("UTF-8")
    }

    #[test]
    fn libraries_are_quiet_unless_the_filter_names_them() {
        let quiet = logged(LogFormat::Text, "info");
        assert!(quiet.contains("opened") && !quiet.contains("detail"), "{quiet}");
        assert!(!quiet.contains("chatter") && !quiet.contains("statement"), "{quiet}");
        let named = logged(LogFormat::Text, "debug,rtc_sctp=warn,sqlx=info");
        assert!(named.contains("chatter") && named.contains("statement") && named.contains("detail"), "{named}");
    }

    #[test]
    fn no_filter_opens_what_has_passwords_in_it() {
        for filter in ["trace", "trace,rsipstack=trace", "rsipstack::transport=info"] {
            assert!(!logged(LogFormat::Text, filter).contains("Authorization"), "{filter}");
        }
        assert!(logged(LogFormat::Text, "rsipstack=debug").contains("gone"), "what it warns of is told");
    }

    #[test]
    fn json_lines_carry_the_fields_of_the_event() {
        let line = logged(LogFormat::Json, "info");
        let value: serde_json::Value = serde_json::from_str(line.trim()).expect("one JSON line");
        assert_eq!((&value["call"], &value["message"]), (&"c1".into(), &"opened".into()));
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_named_with_an_example() {
        let error = filter_of("RUST_LOG", "info,duologue=loud").expect_err("no level called loud").to_string();
        assert!(
            error.contains("RUST_LOG") && error.contains("loud") && error.contains("duologue::call=debug"),
            "{error}"
        );
    }
}
