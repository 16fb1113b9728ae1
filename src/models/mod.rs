//! Ring 3: the models. What they are and where they come from (`models/manifest.toml`), fetching, converting, verifying.
//!
//! Everybody else asks [`Library::path`] for a file and gets its path or an error that says what to run.

mod assemble;
pub mod cli;
mod ct2;
mod digest;
mod error;
mod library;
pub mod manifest;
mod mel;
mod onnx;
pub mod piper_split;
mod progress;
mod registry;
#[cfg(test)]
mod testing;
mod unpack;
mod url;
pub mod whisper_convert;

pub use cli::ModelsCommand;
pub use error::ModelError;
pub use library::{Fetched, Library, Presence, Source};
pub use url::fetch_url;
