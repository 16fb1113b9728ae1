//! Fetches packages with the registry's own client, so that whatever a machine has set up for it (an index of its own, a
//! proxy, credentials) holds here too.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use super::digest::Digests;
use super::error::ModelError;
use super::manifest::{Model, Package, Registry};

/// A cut or damaged package is fetched this many times before it is given up.
const ATTEMPTS: u32 = 3;
/// How often the growth of a download is looked at; the clients have no progress that a program could read.
const LOOK_EVERY: Duration = Duration::from_millis(150);

/// Where a client puts a package before it is checked.
const INCOMING: &str = "incoming";

/// Whether `archive` is the listed package, whole.
pub fn is_whole(archive: &Path, package: &Package) -> bool {
    fs::metadata(archive).is_ok_and(|metadata| metadata.len() == package.bytes)
        && Digests::of(archive, false).is_ok_and(|digests| digests.sha256 == package.sha256)
}

/// Puts `package` into `store` and returns its path. One that lies there whole is taken as it is; what `download` leaves in
/// the folder that it is given is believed only if size and sha256 are the listed ones.
///
/// # Errors
/// The last fault of `download`, or that what came was not the listed package.
pub fn obtain(
    model: &Model,
    package: &Package,
    store: &Path,
    download: &mut dyn FnMut(&Path) -> Result<(), ModelError>,
) -> Result<PathBuf, ModelError> {
    let kept = store.join(&package.archive);
    if is_whole(&kept, package) {
        return Ok(kept);
    }
    let mut attempt = 1;
    loop {
        match bring(model, package, &store.join(INCOMING), download) {
            Ok(arrived) => {
                fs::rename(&arrived, &kept).map_err(ModelError::io(&kept))?;
                return Ok(kept);
            }
            Err(fault @ (ModelError::NoClient { .. } | ModelError::Io { .. })) => return Err(fault),
            Err(fault) if attempt == ATTEMPTS => return Err(fault),
            Err(_) => attempt += 1,
        }
    }
}

/// Clears what no later fetch can use out of `store`; whole packages of models that were given up half-way stay.
pub fn tidy(store: &Path) {
    // All three may rightly fail: nothing there, or the store still in use.
    let _ = fs::remove_dir_all(store.join(INCOMING));
    let _ = fs::remove_file(store.join(INCOMING).with_extension("log"));
    let _ = fs::remove_dir(store);
}

/// One attempt, in an empty `folder`.
fn bring(
    model: &Model,
    package: &Package,
    folder: &Path,
    download: &mut dyn FnMut(&Path) -> Result<(), ModelError>,
) -> Result<PathBuf, ModelError> {
    empty(folder)?;
    download(folder)?;
    let arrived = folder.join(&package.archive);
    if is_whole(&arrived, package) { Ok(arrived) } else { Err(refusal(model, package, &arrived)) }
}

fn refusal(model: &Model, package: &Package, arrived: &Path) -> ModelError {
    match Digests::of(arrived, false) {
        Ok(got) => ModelError::WrongDigest {
            id: model.id.clone(),
            file: package.archive.clone(),
            digest: "sha256",
            expected: package.sha256.clone(),
            got: format!("{} ({} of {} bytes)", got.sha256, got.bytes, package.bytes),
        },
        Err(source) => ModelError::Download {
            id: model.id.clone(),
            package: package.requirement(model.registry),
            program: program(model.registry).to_owned(),
            said: format!("(nothing, but it left no {}: {source})", package.archive),
        },
    }
}

fn empty(folder: &Path) -> Result<(), ModelError> {
    match fs::remove_dir_all(folder) {
        Err(fault) if fault.kind() != io::ErrorKind::NotFound => return Err(ModelError::io(folder)(fault)),
        _ => {}
    }
    fs::create_dir_all(folder).map_err(ModelError::io(folder))
}

fn program(registry: Registry) -> &'static str {
    match registry {
        Registry::Pip => "python3 -m pip",
        Registry::Npm => "npm",
    }
}

/// Runs the client of `model.registry` for one package into `folder`, telling `grown` how many bytes have come.
///
/// # Errors
/// The client is not installed, or failed: with the end of what it said.
pub fn download(model: &Model, package: &Package, folder: &Path, grown: &mut dyn FnMut(u64)) -> Result<(), ModelError> {
    // Beside the folder, whose size is what tells how far the download is.
    let log = folder.with_extension("log");
    let said = File::create(&log).map_err(ModelError::io(&log))?;
    let mut command = client(model.registry, package, folder);
    // The client's own temporary files come under `folder`, where their growth can be seen and a cut run is cleaned up.
    command.env("TMPDIR", folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
    let child = command.spawn().map_err(|source| no_client(model.registry, source))?;
    let mut child = Reaped(child);
    let status = loop {
        match child.0.try_wait().map_err(ModelError::io(folder))? {
            Some(status) => break status,
            None => thread::sleep(LOOK_EVERY),
        }
        grown(size_of(folder).min(package.bytes));
    };
    if status.success() {
        return Ok(());
    }
    let said = fs::read_to_string(&log).unwrap_or_default();
    if said.contains("No module named pip") {
        return Err(no_client(model.registry, io::Error::other("python3 has no module pip")));
    }
    Err(ModelError::Download {
        id: model.id.clone(),
        package: package.requirement(model.registry),
        program: program(model.registry).to_owned(),
        said: gist(&said),
    })
}

/// The end of what a client said, its repeated warnings of one and the same trouble left out.
fn gist(said: &str) -> String {
    let told = |line: &&str| !line.trim().is_empty() && !line.starts_with("WARNING: Retrying");
    let lines: Vec<&str> = said.lines().filter(told).collect();
    let last_warning = said.lines().rfind(|line| line.starts_with("WARNING: Retrying"));
    let end = &lines[lines.len().saturating_sub(12)..];
    Vec::from_iter(last_warning.iter().chain(end).copied()).join("\n")
}

fn no_client(registry: Registry, source: io::Error) -> ModelError {
    ModelError::NoClient {
        program: program(registry).to_owned(),
        way_out: match registry {
            Registry::Pip => "on Debian and Ubuntu `apt-get install python3-pip`",
            Registry::Npm => "on Debian and Ubuntu `apt-get install npm`, or take Node.js from its site",
        },
        source,
    }
}

/// A child that does not outlive the call: dropped early, it is killed.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        // It may have ended by itself: then both have nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn client(registry: Registry, package: &Package, folder: &Path) -> Command {
    let wanted = package.requirement(registry);
    if registry == Registry::Npm {
        let mut npm = Command::new("npm");
        npm.args(["pack", "--silent", "--pack-destination"]).arg(folder).arg(wanted);
        return npm;
    }
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--no-input", "--no-cache-dir"]);
    pip.args(["--disable-pip-version-check", "--progress-bar", "off"]);
    // Nothing of the package is run here, so it does not matter which Python it is for.
    pip.arg("--ignore-requires-python");
    let only = if package.archive.ends_with(".whl") { "--only-binary" } else { "--no-binary" };
    pip.args([only, ":all:"]);
    if let Some(wheel) = &package.wheel {
        pip.args(["--implementation", "cp", "--python-version", &wheel.python]);
        pip.args(["--abi", &wheel.abi, "--platform", &wheel.platform]);
    }
    pip.arg("--dest").arg(folder).arg(wanted);
    pip
}

/// Bytes of all files below `folder`; what vanishes meanwhile counts as nothing.
fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size_of(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::testing::{one_model, zip_file};

    /// Tries to obtain the package of `one_model` from a download that leaves `arrivals` one after another.
    fn obtain_from(arrivals: &[&[u8]], store: &Path) -> (Result<PathBuf, ModelError>, usize) {
        let model = one_model(&zip_file(&[("a/one.bin", b"abc")]));
        let mut downloads = 0;
        let result = obtain(&model, &model.packages[0], store, &mut |folder| {
            let arrival = arrivals.get(downloads).or(arrivals.last()).expect("something arrives");
            downloads += 1;
            fs::write(folder.join("a.zip"), arrival).map_err(ModelError::io(folder))
        });
        (result, downloads)
    }

    #[test]
    fn a_cut_package_is_fetched_again() {
        let store = tempfile::tempdir().expect("a directory");
        let whole = zip_file(&[("a/one.bin", b"abc")]);
        let (result, downloads) = obtain_from(&[&whole[..20], &whole], store.path());
        assert_eq!(downloads, 2);
        assert_eq!(fs::read(result.expect("whole")).expect("readable"), whole);
    }

    #[test]
    fn a_whole_package_is_not_fetched_twice() {
        let store = tempfile::tempdir().expect("a directory");
        let whole = zip_file(&[("a/one.bin", b"abc")]);
        assert_eq!(obtain_from(&[&whole], store.path()).1, 1);
        assert_eq!(obtain_from(&[&whole], store.path()).1, 0);
    }

    #[test]
    fn a_package_that_stays_wrong_is_refused_by_name_after_three_attempts() {
        let store = tempfile::tempdir().expect("a directory");
        let other = zip_file(&[("a/one.bin", b"abd")]);
        let (result, downloads) = obtain_from(&[&other], store.path());
        assert_eq!(downloads, 3);
        let text = result.expect_err("refused").to_string();
        assert!(text.contains("a.zip") && text.contains("sha256"), "{text}");
        assert!(!store.path().join("a.zip").exists());
    }

    #[test]
    fn what_a_client_repeats_is_told_once() {
        let said = "WARNING: Retrying (4)\nWARNING: Retrying (3)\n\nERROR: no such package\n";
        assert_eq!(gist(said), "WARNING: Retrying (3)\nERROR: no such package");
    }

    #[test]
    fn a_kept_package_that_was_damaged_is_fetched_again() {
        let store = tempfile::tempdir().expect("a directory");
        let whole = zip_file(&[("a/one.bin", b"abc")]);
        fs::write(store.path().join("a.zip"), &whole[..10]).expect("written");
        let (result, downloads) = obtain_from(&[&whole], store.path());
        assert_eq!((result.is_ok(), downloads), (true, 1));
    }
}
