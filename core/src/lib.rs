//! The pure core of duologue: rings 0 and 1, and what ring 2 is asked and answers.
//!
//! | ring | what | modules |
//! |---|---|---|
//! | 0 | values and signal processing | [`time`], [`audio`] |
//! | 1 | state machines that are told the time | [`media`], [`dialogue`], [`memory`], [`knowledge`], [`journal`], [`machine`], [`replay`] |
//! | 2 | what the models are asked and answer, as values | [`backend`] |
//!
//! No socket, no file, no clock, no thread: purity is kept by this crate's list of dependencies, and by `core/tests/tidy.rs`.
#![forbid(unsafe_code)]

// ring 0
pub mod audio;
pub mod time;

// ring 1
pub mod dialogue;
pub mod journal;
pub mod knowledge;
pub mod machine;
pub mod media;
pub mod memory;
pub mod replay;

// ring 2, its values
pub mod backend;
