//! Is a vCon as it was when it was signed, and by whom was it? And does a recording belong to it?

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::read::GzDecoder;
use serde_json::Value;

use super::jws::{self, JwsFault, Signer};
use super::vcon::content_hash;
use crate::recording;

/// What a packed vCon may unpack to.
const UNPACKED_MOST: u64 = 1 << 30;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// What is known of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    /// Everybody who signed; nobody where it is in the unsigned form.
    pub signers: Vec<Signer>,
    pub vcon: Value,
    /// Files that it carries and that fit their hashes.
    pub carried: usize,
}

/// Why it is not as it was.
#[derive(Debug, thiserror::Error)]
pub enum VerifyFault {
    #[error("it is no vCon: {0}")]
    NoVcon(String),
    #[error(transparent)]
    Jws(#[from] JwsFault),
    #[error("dialog {0} carries a file that does not fit its hash")]
    OtherFile(usize),
    #[error("it says nothing of the recording's pages")]
    NoPages,
    #[error("this is not its recording: {0}")]
    OtherRecording(String),
}

/// A recording beside a vCon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recording {
    /// As it was when the vCon was made.
    Same,
    /// Some pages are others, and all the rest is as it was. Numbers from 0; the first two are headers, each of the others a second.
    Redacted(Vec<usize>),
}

/// Looks at a vCon in its signed or unsigned form.
///
/// # Errors
/// The first thing that is not as it should be.
pub fn verify(file: &[u8]) -> Result<Verified, VerifyFault> {
    let no_vcon = |why: &dyn std::fmt::Display| VerifyFault::NoVcon(why.to_string());
    let outer: Value = serde_json::from_slice(&unpacked(file)?).map_err(|why| no_vcon(&why))?;
    let (vcon, signers) = if outer.get("payload").is_some() {
        let (words, signers) = jws::opened(&outer)?;
        (serde_json::from_slice(&unpacked(&words)?).map_err(|why| no_vcon(&why))?, signers)
    } else {
        (outer.clone(), Vec::new())
    };
    if vcon["uuid"].as_str().is_none() || !vcon["parties"].is_array() {
        return Err(no_vcon(&"there is no uuid, or no parties"));
    }
    for one in outer["signatures"].as_array().into_iter().flatten() {
        let (header, inside) = (one["header"]["uuid"].as_str(), vcon["uuid"].as_str().unwrap_or_default());
        if let Some(header) = header.filter(|header| *header != inside) {
            return Err(JwsFault::OtherUuid { header: header.into(), inside: inside.into() }.into());
        }
    }
    let mut carried = 0;
    for (n, dialog) in vcon["dialog"].as_array().into_iter().flatten().enumerate() {
        let (Some(hash), Some(body)) = (dialog["content_hash"].as_str(), dialog["body"].as_str()) else { continue };
        let bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| VerifyFault::OtherFile(n))?;
        if content_hash(&bytes) != hash {
            return Err(VerifyFault::OtherFile(n));
        }
        carried += 1;
    }
    Ok(Verified { signers, vcon, carried })
}

fn unpacked(bytes: &[u8]) -> Result<Vec<u8>, VerifyFault> {
    if !bytes.starts_with(&GZIP) {
        return Ok(bytes.to_vec());
    }
    let mut out = Vec::new();
    let read = GzDecoder::new(bytes).take(UNPACKED_MOST).read_to_end(&mut out);
    read.map(|_| out).map_err(|why| VerifyFault::NoVcon(why.to_string()))
}

impl Verified {
    /// Holds a recording against what was signed: page by page, so that one from which something was taken out since is told from
    /// another one.
    ///
    /// # Errors
    /// When it is another recording, or the vCon does not know.
    pub fn holds(&self, file: &[u8]) -> Result<Recording, VerifyFault> {
        let signed = self.vcon["analysis"].as_array().into_iter().flatten();
        let signed = signed.into_iter().find(|found| found["schema"] == "duologue-recording-pages-1");
        let signed = signed.and_then(|found| found["body"]["pages"].as_array()).ok_or(VerifyFault::NoPages)?;
        let other = |why: String| VerifyFault::OtherRecording(why);
        let pages = recording::page_hashes(file).map_err(|why| other(why.to_string()))?;
        if pages.len() != signed.len() {
            return Err(other(format!("it has {} pages, and {} were signed", pages.len(), signed.len())));
        }
        let changed: Vec<usize> =
            (0..pages.len()).filter(|n| signed[*n].as_str() != pages.get(*n).map(String::as_str)).collect();
        match changed.first() {
            None => Ok(Recording::Same),
            Some(first) if *first < 2 || changed.len() == pages.len() - 2 => Err(other("its pages are others".into())),
            Some(_) => Ok(Recording::Redacted(changed)),
        }
    }
}
