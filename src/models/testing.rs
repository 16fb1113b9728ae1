//! Small files for the tests of this module.

use std::io::{Cursor, Write};

use super::digest::Digester;
use super::manifest::{Manifest, Model};

/// A CTranslate2 file with these variables: name, dimensions, element type, data.
pub(crate) fn ct2_file(variables: &[(&str, &[u32], u8, &[u8])]) -> Vec<u8> {
    let mut file = Vec::new();
    let string = |file: &mut Vec<u8>, text: &str| {
        file.extend((text.len() as u16 + 1).to_le_bytes());
        file.extend(text.as_bytes());
        file.push(0);
    };
    file.extend(6u32.to_le_bytes());
    string(&mut file, "WhisperSpec");
    file.extend(3u32.to_le_bytes());
    file.extend((variables.len() as u32).to_le_bytes());
    for (name, dims, element, data) in variables {
        string(&mut file, name);
        file.push(dims.len() as u8);
        for dim in *dims {
            file.extend(dim.to_le_bytes());
        }
        file.push(*element);
        file.extend((data.len() as u32).to_le_bytes());
        file.extend(*data);
    }
    file.extend(0u32.to_le_bytes());
    file
}

/// A manifest of one model whose file `one.bin` is the member `a/one.bin`, three bytes `abc`, of the package `a.zip`.
pub(crate) const MANIFEST: &str = r#"
[[model]]
id = "one"
title = "Model One"
used_by = "tests"
licence = "MIT"
licence_note = ""
needed = "always"
registry = "pip"
packages = [
  { name = "a", version = "1.0", archive = "a.zip", bytes = 110, sha256 = "0000000000000000000000000000000000000000000000000000000000000000" },
]
steps = [
  { how = "copy", from = "a/one.bin", to = "one.bin" },
]
files = [
  { name = "one.bin", bytes = 3, sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", sha1 = "a9993e364706816aba3e25717850c26c9cd0d89d" },
]
"#;

/// A zip archive of these members.
pub(crate) fn zip_file(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).expect("started");
        zip.write_all(content).expect("written");
    }
    zip.finish().expect("finished").into_inner()
}

/// A gzipped tar archive of these members.
pub(crate) fn tar_file(members: &[(&str, &[u8])]) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, *content).expect("appended");
    }
    tar.into_inner().expect("finished").finish().expect("compressed")
}

/// The model of [`MANIFEST`], with `package` as its package.
pub(crate) fn one_model(package: &[u8]) -> Model {
    let mut model = Manifest::parse(MANIFEST).expect("sound").models.remove(0);
    let mut digester = Digester::new(false);
    digester.update(package);
    let digests = digester.finish();
    model.packages[0].bytes = digests.bytes;
    model.packages[0].sha256 = digests.sha256;
    model
}
