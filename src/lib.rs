//! **duologue** — a telephone-grade media server that talks back.
//!
//! Four rings; a module uses its own ring and the ones below it. This list is the reading order.
//!
//! | ring | what | modules |
//! |---|---|---|
//! | 0 | values and signal processing | [`time`], [`audio`] |
//! | 1 | state machines that are told the time | [`media`], [`dialogue`], [`memory`], [`journal`], [`machine`] |
//! | 2 | seams to the models | [`backend`] |
//! | 3 | the IO shell | [`call`], [`peer`], [`store`], [`recording`], [`replay`], [`review`], [`export`], [`redaction`], [`traces`], [`meters`], [`models`], [`config`], [`assembly`], [`doors`], [`web`], [`serve`], [`check`], [`say`], [`call_client`], [`caller`], [`block`], [`judging`], [`knowledge`], [`search`], [`persona`], [`relay`], [`sip`], [`webhook`] |
//!
//! Rings 0 and 1 are the crate `duologue-core` in `core/`, which has no IO crate among its dependencies; `make core` builds
//! and tests it in seconds. They stand here under the names that the rest of the server uses.
#![forbid(unsafe_code)]

// rings 0 and 1
pub use duologue_core::{audio, dialogue, journal, machine, media, memory, time};

// ring 2
pub mod backend;

// ring 3
pub mod assembly;
pub mod block;
pub mod bridge;
pub mod call;
pub mod call_client;
pub mod caller;
pub mod check;
pub mod config;
pub mod dial;
pub mod doors;
pub mod export;
pub mod handing;
pub mod import;
pub mod judging;
pub mod knowledge;
pub mod meters;
pub mod models;
pub mod peer;
pub mod persona;
pub mod phones;
pub mod recording;
pub mod recovery;
pub mod redaction;
pub mod relay;
pub mod replay;
pub mod review;
pub mod say;
pub mod search;
pub mod serve;
pub mod sip;
pub mod store;
pub mod telemetry;
pub mod traces;
pub mod web;
pub mod webhook;
