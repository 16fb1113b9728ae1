//! Makes a model's files out of its packages, step by step, each checked against the manifest before it is put in place.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::digest::{Digests, Part};
use super::error::ModelError;
use super::manifest::{Model, Step};
use super::piper_split;
use super::unpack::extract;
use super::whisper_convert::{self, ConvertError};

/// The place where a model's files are made.
pub struct Workshop<'a> {
    pub model: &'a Model,
    /// Archives, whole and verified.
    pub packages: Vec<PathBuf>,
    /// The models directory.
    pub directory: &'a Path,
}

impl Workshop<'_> {
    /// Runs one step and returns the files that it made, with their digests.
    ///
    /// # Errors
    /// A package without the listed member, a malformed input, a result that is not what the manifest lists; nothing is
    /// installed then.
    pub fn run(&self, step: &Step) -> Result<Vec<(String, Digests)>, ModelError> {
        match step {
            Step::Copy { from, to } => self.make(to, |out| self.member(from, out)),
            Step::Concatenate { parts, to } => {
                self.make(to, |out| parts.iter().try_for_each(|part| self.member(part, out)))
            }
            Step::ConvertWhisper { weights, tokenizer, to } => self.make(to, |out| {
                let mut bytes = Vec::new();
                weights.iter().try_for_each(|part| self.member(part, &mut bytes))?;
                let mut vocabulary = Vec::new();
                self.member(tokenizer, &mut vocabulary)?;
                whisper_convert::convert(&bytes, &vocabulary, out).map_err(|fault| match fault {
                    ConvertError::Input(fault) => ModelError::format(&weights.join(" + "), "CTranslate2", fault),
                    ConvertError::Write(source) => ModelError::Io { path: self.directory.join(to), source },
                })
            }),
            Step::SplitPiper { voice, frontend, flow, vocoder } => {
                let path = self.directory.join(voice);
                let bytes = fs::read(&path).map_err(ModelError::io(&path))?;
                let parts = piper_split::split(bytes.into());
                let parts = parts.map_err(|fault| ModelError::format(voice, "Piper voice", fault))?;
                let mut made = self.make(frontend, |out| self.write(out, frontend, &parts.frontend))?;
                made.extend(self.make(flow, |out| self.write(out, flow, &parts.flow))?);
                made.extend(self.make(vocoder, |out| self.write(out, vocoder, &parts.vocoder))?);
                Ok(made)
            }
        }
    }

    /// Writes `name` with `fill`, checks and installs it.
    fn make(
        &self,
        name: &str,
        fill: impl FnOnce(&mut dyn Write) -> Result<(), ModelError>,
    ) -> Result<Vec<(String, Digests)>, ModelError> {
        let entry = self.model.file(name)?;
        let target = self.directory.join(name);
        let mut part = Part::create(&target, entry.sha1.is_some())?;
        fill(&mut part)?;
        let digests = part.install(&target, |digests| digests.check(&self.model.id, entry))?;
        Ok(vec![(name.to_owned(), digests)])
    }

    fn write(&self, out: &mut dyn Write, name: &str, bytes: &[u8]) -> Result<(), ModelError> {
        out.write_all(bytes).map_err(ModelError::io(&self.directory.join(name)))
    }

    /// Writes a member of whichever package holds it.
    fn member(&self, member: &str, out: &mut dyn Write) -> Result<(), ModelError> {
        for package in &self.packages {
            if extract(package, member, out)? {
                return Ok(());
            }
        }
        let names = self.packages.iter().filter_map(|path| path.file_name());
        Err(ModelError::NoMember {
            package: Vec::from_iter(names.map(|name| name.to_string_lossy())).join(", "),
            member: member.to_owned(),
        })
    }
}
