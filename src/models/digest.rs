//! Digests of files, and the memory of digests already taken, so that a start does not read 600 MB again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::error::ModelError;
use super::manifest::ModelFile;

/// Counts and digests what goes through it.
#[derive(Default)]
pub struct Digester {
    bytes: u64,
    sha256: Sha256,
    sha1: Sha1,
    with_sha1: bool,
}

/// What a file turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digests {
    pub bytes: u64,
    pub sha256: String,
    /// Only where asked for: it is known to be weak and serves to compare with what a publisher printed.
    pub sha1: Option<String>,
}

impl Digester {
    pub fn new(with_sha1: bool) -> Self {
        Digester { with_sha1, ..Digester::default() }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.sha256.update(bytes);
        if self.with_sha1 {
            self.sha1.update(bytes);
        }
    }

    pub fn finish(self) -> Digests {
        Digests {
            bytes: self.bytes,
            sha256: hex(&self.sha256.finalize()),
            sha1: self.with_sha1.then(|| hex(&self.sha1.finalize())),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Digests {
    /// Reads a whole file.
    pub fn of(path: &Path, with_sha1: bool) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let mut digester = Digester::new(with_sha1);
        let mut buffer = vec![0; 1 << 20];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(digester.finish()),
                count => digester.update(&buffer[..count]),
            }
        }
    }

    /// Whether this is the file that the manifest lists for the model `id`.
    ///
    /// # Errors
    /// Names the file, what was expected and what it is.
    pub fn check(&self, id: &str, entry: &ModelFile) -> Result<(), ModelError> {
        let sha1 = self.sha1.as_deref().zip(entry.sha1.as_deref());
        let wrong = if self.sha256 != entry.sha256 {
            Some(("sha256", entry.sha256.as_str(), self.sha256.as_str()))
        } else {
            sha1.filter(|(got, expected)| got != expected).map(|(got, expected)| ("sha1", expected, got))
        };
        match wrong {
            None => Ok(()),
            Some((digest, expected, got)) => Err(ModelError::WrongDigest {
                id: id.to_owned(),
                file: entry.name.clone(),
                digest,
                expected: expected.to_owned(),
                got: got.to_owned(),
            }),
        }
    }
}

/// A file under construction: written beside its final name, digested on the way, put in place only when it is sound.
pub struct Part {
    file: io::BufWriter<File>,
    path: PathBuf,
    digester: Digester,
    installed: bool,
}

impl Part {
    /// Starts `target` as `target.part`, directories included.
    pub fn create(target: &Path, with_sha1: bool) -> Result<Self, ModelError> {
        if let Some(directory) = target.parent() {
            fs::create_dir_all(directory).map_err(ModelError::io(directory))?;
        }
        let mut path = target.as_os_str().to_owned();
        path.push(".part");
        let path = PathBuf::from(path);
        let file = File::create(&path).map_err(ModelError::io(&path))?;
        Ok(Part {
            file: io::BufWriter::with_capacity(1 << 18, file),
            path,
            digester: Digester::new(with_sha1),
            installed: false,
        })
    }

    /// Closes the file, asks `sound` about its digests and renames it to `target`; a refused file is removed.
    pub fn install(
        mut self,
        target: &Path,
        sound: impl FnOnce(&Digests) -> Result<(), ModelError>,
    ) -> Result<Digests, ModelError> {
        self.file.flush().map_err(ModelError::io(&self.path))?;
        self.file.get_ref().sync_all().map_err(ModelError::io(&self.path))?;
        let digests = std::mem::take(&mut self.digester).finish();
        sound(&digests)?;
        fs::rename(&self.path, target).map_err(ModelError::io(target))?;
        self.installed = true;
        Ok(digests)
    }
}

impl Write for Part {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.digester.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.installed {
            // Nothing more can be done about a leftover; the next fetch overwrites it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Digests that were taken before, trusted while size and time of change stay the same.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Ledger {
    files: BTreeMap<String, Known>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    bytes: u64,
    modified_ns: u128,
    sha256: String,
}

const LEDGER: &str = ".verified.json";

impl Ledger {
    /// Reads the ledger of a models directory. A missing or damaged one is an empty one: it is only a cache.
    pub fn load(directory: &Path) -> Self {
        let text = fs::read(directory.join(LEDGER)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Writes it back. A directory that cannot be written (models shared read-only) is no fault: the next start reads
    /// the files again.
    pub fn save(&self, directory: &Path) {
        let text = serde_json::to_vec_pretty(self).unwrap_or_default();
        let part = directory.join(".verified.json.part");
        if fs::write(&part, text).is_ok() {
            let _ = fs::rename(part, directory.join(LEDGER));
        }
    }

    /// The sha256 of `name`, if it was taken and the file has not changed since.
    pub fn recall(&self, directory: &Path, name: &str) -> Option<&str> {
        let known = self.files.get(name)?;
        let (bytes, modified_ns) = stamp(&directory.join(name))?;
        (known.bytes == bytes && known.modified_ns == modified_ns).then_some(known.sha256.as_str())
    }

    /// Notes the digest of the file as it is now.
    pub fn note(&mut self, directory: &Path, name: &str, sha256: &str) {
        if let Some((bytes, modified_ns)) = stamp(&directory.join(name)) {
            let sha256 = sha256.to_owned();
            self.files.insert(name.to_owned(), Known { bytes, modified_ns, sha256 });
        }
    }
}

fn stamp(path: &Path) -> Option<(u64, u128)> {
    let metadata = fs::metadata(path).ok()?;
    let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some((metadata.len(), modified.as_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::manifest::Manifest;
    use crate::models::testing::MANIFEST;

    fn entry() -> ModelFile {
        let manifest = Manifest::parse(MANIFEST).expect("sound");
        manifest.models[0].files[0].clone()
    }

    #[test]
    fn a_sound_file_is_put_in_place_and_a_wrong_one_is_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let target = directory.path().join("one.bin");
        for (content, sound) in [("abd", false), ("abc", true)] {
            let mut part = Part::create(&target, true).expect("writable");
            part.write_all(content.as_bytes()).expect("written");
            let result = part.install(&target, |digests| digests.check("one", &entry()));
            assert_eq!(result.is_ok(), sound);
            assert_eq!(target.exists(), sound);
            if let Err(fault) = result {
                let text = fault.to_string();
                for word in ["one.bin", "ba7816bf", "a52d159f", "duologue models fetch one"] {
                    assert!(text.contains(word), "{text}");
                }
            }
        }
        assert_eq!(fs::read_dir(directory.path()).expect("readable").count(), 1);
    }

    #[test]
    fn a_matching_sha256_with_another_sha1_is_refused() {
        let mut digester = Digester::new(true);
        digester.update(b"abc");
        let mut other = entry();
        other.sha1 = Some("0".repeat(40));
        let digests = digester.finish();
        assert!(digests.check("one", &entry()).is_ok());
        assert!(digests.check("one", &other).expect_err("wrong").to_string().contains("sha1"));
    }

    #[test]
    fn the_ledger_forgets_a_file_that_changed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("one.bin");
        fs::write(&path, "abc").expect("written");
        let mut ledger = Ledger::default();
        ledger.note(directory.path(), "one.bin", "digest");
        ledger.save(directory.path());
        let ledger = Ledger::load(directory.path());
        assert_eq!(ledger.recall(directory.path(), "one.bin"), Some("digest"));
        fs::write(&path, "abcd").expect("written");
        assert_eq!(ledger.recall(directory.path(), "one.bin"), None);
    }

    #[test]
    fn a_damaged_ledger_is_an_empty_one() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join(LEDGER), "{ cut").expect("written");
        assert!(Ledger::load(directory.path()).files.is_empty());
    }
}
