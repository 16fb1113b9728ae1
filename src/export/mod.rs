//! Ring 3: a call as a file for others: vCon (signed where there is a key), WebVTT, CSV, JSON. And a look at such a file: who signed
//! it, and is it as it was?

mod cli;
mod gathered;
mod incoming;
mod jws;
mod key;
mod moment;
mod vcon;
mod verify;
mod vtt;

use std::path::PathBuf;
use std::sync::Arc;

pub use cli::{ExportArguments, house, run};
pub use gathered::Gathered;
pub use incoming::{Incoming, IncomingFault, IncomingSound, incoming};
pub use jws::{JwsFault, Signer, sign};
pub use key::{KeyFault, SigningKey, fingerprint_of_file};
pub use moment::rfc3339;
pub use vcon::{DRAFT, Sound, VCON_VERSION, vcon};
pub use verify::{Recording, Verified, VerifyFault, verify};
pub use vtt::vtt;

use crate::recording::{self, RecordingShelf};
use crate::review::{AskFault, Table};
use crate::store::StoreError;

/// What a call becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum As {
    /// draft-ietf-vcon-vcon-core: who, the recording, the transcript, the judgements; signed where there is a key
    Vcon,
    /// Subtitles for the recording, with the agent's words as they came
    Vtt,
    /// The turns, one a line (RFC 4180)
    Csv,
    /// Every row of the call
    Json,
}

/// How a vCon has the recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Carried {
    /// In the file itself
    #[default]
    Inline,
    /// By its address at this server and its hash
    Link,
    /// By its hash alone
    None,
}

/// Where calls are exported from.
#[derive(Clone, Debug)]
pub struct ExportHouse {
    pub database: PathBuf,
    pub recordings: RecordingShelf,
    /// What vCons are signed with.
    pub key: Option<Arc<SigningKey>>,
    /// Where others reach this server, for links: `https://...`.
    pub address: Option<String>,
}

/// A file for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    pub media_type: &'static str,
    /// The end of its name.
    pub ending: &'static str,
    pub bytes: Vec<u8>,
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum ExportFault {
    #[error("there is no call {0}; `duologue review run last-calls` names them")]
    NoCall(String),
    #[error("the call {0} is still going on: export it when it is over")]
    StillOpen(String),
    #[error(
        "a link needs the address under which others reach this server: set export.address, or carry the recording inline"
    )]
    NoAddress,
    #[error("the recording cannot be read: {0}")]
    Recording(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Asked(String),
    #[error(transparent)]
    Jws(#[from] JwsFault),
}

impl From<AskFault> for ExportFault {
    fn from(fault: AskFault) -> Self {
        match fault {
            AskFault::Store(fault) => Self::Store(fault),
            other => Self::Asked(other.to_string()),
        }
    }
}

impl ExportHouse {
    /// Makes the file.
    ///
    /// # Errors
    /// When there is no such call, it is not over, or what it takes cannot be read.
    pub async fn export(&self, call: &str, form: As, carried: Carried) -> Result<Exported, ExportFault> {
        let gathered = Gathered::of(&self.database, call).await?.ok_or_else(|| ExportFault::NoCall(call.into()))?;
        if gathered.text("end_reason").is_none() {
            return Err(ExportFault::StillOpen(call.into()));
        }
        let (media_type, ending, bytes) = match form {
            As::Json => ("application/json", "json", pretty(&gathered.json())),
            As::Csv => ("text/csv; charset=utf-8; header=present", "csv", turns(&gathered).csv().into_bytes()),
            As::Vtt => ("text/vtt; charset=utf-8", "vtt", vtt(&gathered).into_bytes()),
            As::Vcon => ("application/vcon", "vcon", self.vcon(&gathered, carried).await?),
        };
        Ok(Exported { media_type, ending, bytes })
    }

    async fn vcon(&self, gathered: &Gathered, carried: Carried) -> Result<Vec<u8>, ExportFault> {
        let sound = match gathered.recording_at() {
            None => None,
            Some(at) => {
                let shelf = self.recordings.clone();
                let read = tokio::task::spawn_blocking(move || shelf.contents(at)).await;
                let bytes = read.map_err(std::io::Error::other).flatten();
                let bytes = bytes.map_err(|why| ExportFault::Recording(why.to_string()))?;
                let pages = recording::page_hashes(&bytes).map_err(|why| ExportFault::Recording(why.to_string()))?;
                let url = match (carried, &self.address) {
                    (Carried::Link, None) => return Err(ExportFault::NoAddress),
                    (Carried::Link, Some(address)) => {
                        Some(format!("{}/v1/calls/{}/recording", address.trim_end_matches('/'), gathered.call()))
                    }
                    _ => None,
                };
                Some(Sound { bytes, inline: carried == Carried::Inline, url, pages })
            }
        };
        let host = self.key.as_ref().map_or("localhost", |key| key.host());
        let made = vcon(gathered, sound.as_ref(), host);
        match &self.key {
            Some(key) => Ok(pretty(&sign(&made, key)?)),
            None => Ok(pretty(&made)),
        }
    }
}

/// The columns of a turn that a spreadsheet is for.
const TURN_COLUMNS: [&str; 14] = [
    "turn",
    "speaker",
    "started_ms",
    "ended_ms",
    "text",
    "heard",
    "typed",
    "outcome",
    "action",
    "reason",
    "speech_end_ms",
    "turn_end_ms",
    "first_token_ms",
    "first_packet_ms",
];

fn turns(gathered: &Gathered) -> Table {
    let cell =
        |row: &serde_json::Map<String, serde_json::Value>, name: &str| row.get(name).cloned().unwrap_or_default();
    let rows = gathered.rows("turns").iter().map(|row| TURN_COLUMNS.iter().map(|name| cell(row, name)).collect());
    Table { columns: TURN_COLUMNS.map(Into::into).to_vec(), rows: rows.collect(), cut: false }
}

fn pretty(value: &serde_json::Value) -> Vec<u8> {
    let mut text = format!("{value:#}").into_bytes();
    text.push(b'\n');
    text
}
