//! Reads members out of packages: wheels (zip) and source or npm archives (gzipped tar). Nothing is unpacked by the
//! archive's own names, so no archive can write outside.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use flate2::read::GzDecoder;

use super::error::ModelError;

/// Writes the member called `member` to `out` and returns whether `archive` has it.
///
/// # Errors
/// The archive cannot be read (cut off, damaged), or `out` cannot be written.
pub fn extract(archive: &Path, member: &str, out: &mut dyn Write) -> Result<bool, ModelError> {
    let file = File::open(archive).map_err(ModelError::io(archive))?;
    let found = match archive.extension().and_then(|extension| extension.to_str()) {
        Some("whl" | "zip") => from_zip(file, member, out),
        Some("gz" | "tgz") => from_tar(file, member, out),
        _ => Err("neither a zip nor a gzipped tar archive".to_owned()),
    };
    found.map_err(|fault| ModelError::format(&archive.to_string_lossy(), "package", fault))
}

fn from_zip(file: File, member: &str, out: &mut dyn Write) -> Result<bool, String> {
    let mut archive = zip::ZipArchive::new(io::BufReader::new(file)).map_err(|fault| fault.to_string())?;
    let mut entry = match archive.by_name(member) {
        Ok(entry) => entry,
        Err(zip::result::ZipError::FileNotFound) => return Ok(false),
        Err(fault) => return Err(fault.to_string()),
    };
    copy(&mut entry, out)?;
    Ok(true)
}

fn from_tar(file: File, member: &str, out: &mut dyn Write) -> Result<bool, String> {
    let mut archive = tar::Archive::new(GzDecoder::new(io::BufReader::new(file)));
    for entry in archive.entries().map_err(|fault| fault.to_string())? {
        let mut entry = entry.map_err(|fault| fault.to_string())?;
        if entry.path().is_ok_and(|path| path == Path::new(member)) {
            copy(&mut entry, out)?;
            return Ok(true);
        }
    }
    Ok(false)
}

fn copy(from: &mut dyn Read, out: &mut dyn Write) -> Result<(), String> {
    io::copy(from, out).map(drop).map_err(|fault| fault.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::testing::{tar_file, zip_file};

    #[test]
    fn a_member_is_found_in_both_kinds_of_archive() {
        let directory = tempfile::tempdir().expect("a directory");
        let members: &[(&str, &[u8])] = &[("a/other", b"no"), ("a/one.bin", b"abc")];
        for (name, bytes) in [("a.whl", zip_file(members)), ("a.tgz", tar_file(members))] {
            let path = directory.path().join(name);
            std::fs::write(&path, bytes).expect("written");
            let mut out = Vec::new();
            assert!(extract(&path, "a/one.bin", &mut out).expect("readable"), "{name}");
            assert_eq!(out, b"abc");
            assert!(!extract(&path, "a/two.bin", &mut out).expect("readable"), "{name}");
        }
    }

    #[test]
    fn an_archive_cut_anywhere_is_refused_by_name_and_never_a_panic() {
        let directory = tempfile::tempdir().expect("a directory");
        let whole = zip_file(&[("a/one.bin", b"abc")]);
        let path = directory.path().join("cut.whl");
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).expect("written");
            let fault = extract(&path, "a/one.bin", &mut Vec::new()).expect_err("cut");
            assert!(fault.to_string().contains("cut.whl"), "{fault}");
        }
    }
}
