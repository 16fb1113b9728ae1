//! A call's input journal, and what is done with it: the same machine is driven again, in virtual time, and must do the same.
//!
//! [`record`] is how a journal is written and read, [`again`] drives the machine through one, [`otherwise`] drives it with other
//! settings and says what it had to guess for that.

pub mod again;
pub mod kept;
pub mod otherwise;
mod question;
pub mod record;
mod shelf;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::dialogue::persona::Persona;
use crate::journal::CallId;
use crate::machine::MachineSettings;

/// The form of what follows. A program reads the one form that it writes.
pub const FORM: u32 = 1;

/// What a journal begins with: everything that the machine is made from, and what people want to know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    pub form: u32,
    /// Of the program that wrote it.
    pub version: String,
    pub call: CallId,
    #[serde(with = "kept::shared")]
    pub persona: Arc<Persona>,
    pub settings: MachineSettings,
    /// What did the work.
    pub asr: String,
    pub llm: String,
    pub tts: String,
    /// The configuration, where it is not the usual one: TOML.
    pub config: String,
}
