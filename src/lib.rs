//! **duologue** — a telephone-grade media server that talks back.
//!
//! Four rings; a module uses its own ring and the ones below it. This list is the reading order.
//!
//! | ring | what | modules |
//! |---|---|---|
//! | 0 | values and signal processing | [`time`], [`audio`] |
//! | 1 | state machines that are told the time | [`media`], [`dialogue`], [`journal`] |
//! | 2 | seams to the models | [`backend`] |
//! | 3 | the IO shell (feature `server`) | `call`, `peer`, `store`, `models`, `config`, `assembly`, `web`, `serve`, `check`, `say`, `call_client` |
//!
//! Rings 0 and 1 and the traits of ring 2 build without the `server` feature and without any IO crate; `make core`
//! tests them in seconds.
#![forbid(unsafe_code)]

// ring 0
pub mod audio;
pub mod time;

// ring 1
pub mod dialogue;
pub mod journal;
pub mod media;

// ring 2
pub mod backend;

// ring 3
#[cfg(feature = "server")]
pub mod assembly;
#[cfg(feature = "server")]
pub mod call;
#[cfg(feature = "server")]
pub mod call_client;
#[cfg(feature = "server")]
pub mod check;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "server")]
pub mod models;
#[cfg(feature = "server")]
pub mod peer;
#[cfg(feature = "server")]
pub mod say;
#[cfg(feature = "server")]
pub mod serve;
#[cfg(feature = "server")]
pub mod store;
#[cfg(feature = "server")]
pub mod telemetry;
#[cfg(feature = "server")]
pub mod web;
