//! The section about files for others.

use std::path::PathBuf;

use super::values::HttpUrl;

section! {
    /// Calls as files for others: `duologue export CALL`, `GET /v1/calls/{id}/export`.
    pub struct Export in "export" {
        /// The key that vCons are signed with, and its certificate, in one PEM file (`duologue export key FILE` makes one). Without it
        /// they are not signed, and nobody can tell whether they were changed.
        key_file: Option<PathBuf> = None, Optional { each: (), example: "\"/etc/duologue/export-key.pem\"" }, "";
        /// The address under which others reach this server, for vCons that have a link to the recording in them. Over HTTPS, as the
        /// draft wants it.
        address: Option<HttpUrl> = None, Optional { each: (), example: "\"https://calls.example.org\"" }, "";
    }
}
