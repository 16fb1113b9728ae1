//! The section about traces.

use super::values::HttpUrl;

section! {
    /// Answers as traces, for a collector of OpenTelemetry (docs/OBSERVABILITY.md).
    pub struct Traces in "traces" {
        /// The collector's address for OTLP over HTTP; without it no traces are made.
        endpoint: Option<HttpUrl> = None, Optional { each: (), example: "\"http://127.0.0.1:4318\"" }, "";
        /// What was said, and the caller's name, go along, in attributes whose names begin with "pii.".
        content: bool = false, (), "";
    }
}
