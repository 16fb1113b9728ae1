//! The judge of a voice agent: which action it takes, on what a caller says.
//!
//! Reading order: `action`, `situation`, `scenario`, `beginnings`, `evidence`, `segment`, `encoder`, `network`, `calibration`, `judge`,
//! `evaluate`, `train`. A server needs `Judge`, `Situation` and `Decision`.
#![forbid(unsafe_code)]

pub mod action;
mod augment;
pub mod beginnings;
pub mod build;
pub mod calibration;
pub mod card;
pub mod cli;
mod encoder;
pub mod evaluate;
mod evidence;
pub mod fault;
mod fit;
mod judge;
mod network;
mod ops;
mod place;
pub mod reason;
pub mod scenario;
mod segment;
pub mod situation;
pub mod train;
#[rustfmt::skip] // word lists, many to a line
mod words;

pub use action::{Action, Floor};
pub use fault::{Fault, Result};
pub use judge::{Decision, Judge};
pub use place::base_folder;
pub use reason::Reason;
pub use segment::Without;
pub use situation::{Item, Persona, Relation, Said, Situation, Speaker};

// Named for its feature alone, see Cargo.toml.
use gemm as _;
