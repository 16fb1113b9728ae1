//! Recordings at rest, sealed: each page of the file is encrypted on its own (ChaCha20-Poly1305, RFC 8439), so that a kill costs the
//! last second of a sealed recording, too, and no more.
//!
//! ```text
//! DUOSEAL1, a salt of 16 bytes; then for each page: its sealed length (4 bytes), its number (8 bytes), the sealed page
//! ```
//!
//! Numbers are little endian. The key of a file is derived (HKDF-SHA256, RFC 5869) from the operator's and the salt, so that a page's number is
//! a nonce that no other page has; a page that the disk refused has used its number up. Somebody who takes pages off the end is not
//! found out by this, but by the hash in the row.

use std::io::{self, Cursor, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::rand::{SecureRandom as _, SystemRandom};

const MARK: &[u8; 8] = b"DUOSEAL1";
const SALT_BYTES: usize = 16;
const HEAD_BYTES: usize = MARK.len() + SALT_BYTES;
const FRAME_HEAD_BYTES: usize = 4 + 8;

/// What recordings are sealed with.
pub struct SealKey(Vec<u8>);

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey")
    }
}

impl SealKey {
    /// A key of these bytes; they should be as good as chance.
    pub fn new(secret: &[u8]) -> Self {
        Self(secret.to_vec())
    }

    fn of_file(&self, salt: &[u8]) -> io::Result<LessSafeKey> {
        let derived = Salt::new(HKDF_SHA256, salt).extract(&self.0);
        let key = derived.expand(&[b"duologue recording"], &CHACHA20_POLY1305).map_err(|_| no("derived"))?;
        Ok(LessSafeKey::new(UnboundKey::from(key)))
    }
}

fn no(what: &str) -> io::Error {
    io::Error::other(format!("a sealed recording could not be {what}"))
}

fn nonce(number: u64) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}

/// Seals the pages of one file.
pub(super) struct Sealer {
    key: LessSafeKey,
    next: u64,
}

impl Sealer {
    /// Begins a file; gives its head.
    pub(super) fn begin(key: &SealKey) -> io::Result<(Self, Vec<u8>)> {
        let mut salt = [0; SALT_BYTES];
        SystemRandom::new().fill(&mut salt).map_err(|_| no("begun: there is no chance to be had"))?;
        Ok((Self { key: key.of_file(&salt)?, next: 0 }, [&MARK[..], &salt].concat()))
    }

    /// A page as it goes onto the disk.
    pub(super) fn page(&mut self, page: &[u8]) -> io::Result<Vec<u8>> {
        let number = self.next;
        self.next += 1;
        let mut sealed = page.to_vec();
        self.key.seal_in_place_append_tag(nonce(number), Aad::empty(), &mut sealed).map_err(|_| no("sealed"))?;
        let length = u32::try_from(sealed.len()).map_err(|_| no("sealed: a page is too long"))?;
        Ok([&length.to_le_bytes()[..], &number.to_le_bytes(), &sealed].concat())
    }
}

/// A whole file, sealed.
pub(super) fn sealed(
    file: &[u8],
    pages: impl Iterator<Item = std::ops::Range<usize>>,
    key: &SealKey,
) -> io::Result<Vec<u8>> {
    let (mut sealer, mut out) = Sealer::begin(key)?;
    for page in pages {
        out.extend(sealer.page(&file[page])?);
    }
    Ok(out)
}

fn opened(file: &[u8], key: &SealKey) -> io::Result<Vec<u8>> {
    let key = key.of_file(&file[MARK.len()..HEAD_BYTES])?;
    let (mut out, mut at) = (Vec::with_capacity(file.len()), HEAD_BYTES);
    while let Some(head) = file.get(at..at + FRAME_HEAD_BYTES) {
        let (length, number) = head.split_at(4);
        let length = length.try_into().map_or(0, u32::from_le_bytes) as usize;
        let number = number.try_into().map_or(0, u64::from_le_bytes);
        let from = at + FRAME_HEAD_BYTES;
        // What a crash has broken off.
        let Some(page) = file.get(from..from.saturating_add(length)) else { break };
        at = from + length;
        let mut page = page.to_vec();
        let plain = key.open_in_place(nonce(number), Aad::empty(), &mut page);
        out.extend_from_slice(plain.map_err(|_| no("opened: the key is another one, or somebody changed it"))?);
    }
    Ok(out)
}

/// What is read of a recording.
pub(super) trait Sound: Read + Seek {}
impl<T: Read + Seek> Sound for T {}

/// Where recordings lie, and what opens them.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    pub folder: PathBuf,
    /// New recordings are sealed with it; those of before are read all the same.
    pub key: Option<Arc<SealKey>>,
}

impl From<&Path> for Shelf {
    fn from(folder: &Path) -> Self {
        Self { folder: folder.to_path_buf(), key: None }
    }
}

impl From<&PathBuf> for Shelf {
    fn from(folder: &PathBuf) -> Self {
        Self::from(folder.as_path())
    }
}

impl Shelf {
    /// Where a file lies.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// A recording as Ogg/Opus, whether it is sealed or not.
    ///
    /// # Errors
    /// When it cannot be read, or is sealed and the key is missing or another one.
    pub fn contents(&self, file: &str) -> io::Result<Vec<u8>> {
        self.opened(std::fs::read(self.path(file))?)
    }

    pub(super) fn opened(&self, file: Vec<u8>) -> io::Result<Vec<u8>> {
        match (is_sealed(&file), &self.key) {
            (false, _) => Ok(file),
            (true, Some(key)) => opened(&file, key),
            (true, None) => Err(no("opened: set recording.key_env or recording.key_file")),
        }
    }

    /// True where it is sealed.
    pub fn is_sealed(&self, file: &str) -> bool {
        let mut head = [0; MARK.len()];
        std::fs::File::open(self.path(file)).and_then(|mut file| file.read_exact(&mut head)).is_ok() && head == *MARK
    }

    /// A recording to be read from; one that is not sealed is not taken into memory.
    pub(super) fn sound(&self, file: &str) -> io::Result<Box<dyn Sound>> {
        if self.is_sealed(file) {
            return Ok(Box::new(Cursor::new(self.contents(file)?)));
        }
        Ok(Box::new(io::BufReader::new(std::fs::File::open(self.path(file))?)))
    }

    /// How loud both sides were.
    ///
    /// # Errors
    /// As [`Self::contents`], or when it is no recording of ours.
    pub fn peaks(&self, file: &str) -> io::Result<super::Peaks> {
        super::ogg_file::peaks_in(self.sound(file)?)
    }

    /// How long it plays (milliseconds), its size and its hash, as if it were not sealed.
    ///
    /// # Errors
    /// As [`Self::contents`], or when no page of it is whole.
    pub fn length_of(&self, file: &str) -> io::Result<(u64, u64, String)> {
        super::ogg_file::length_in(&mut *self.sound(file)?)
    }

    /// A recording's bytes as they are to lie here.
    pub(super) fn to_keep(&self, file: &[u8]) -> io::Result<Vec<u8>> {
        match &self.key {
            Some(key) => sealed(file, super::pages::pages(file)?.into_iter().map(|page| page.bytes), key),
            None => Ok(file.to_vec()),
        }
    }
}

fn is_sealed(file: &[u8]) -> bool {
    file.len() >= HEAD_BYTES && file.starts_with(MARK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::{OggFile, length_of};
    use proptest::prelude::*;

    fn shelf(folder: &Path, key: &[u8]) -> Shelf {
        Shelf { key: Some(Arc::new(SealKey::new(key))), ..Shelf::from(folder) }
    }

    fn written(shelf: &Shelf, name: &str, packets: usize) -> (u64, String, u64) {
        let key = shelf.key.as_deref();
        let mut file = OggFile::create_sealed(&shelf.path(name), 312, &[("CALL", "one")], key).expect("a file");
        for n in 0..packets {
            file.packet(vec![n as u8; 80]);
        }
        file.finish(vec![1; 3])
    }

    #[test]
    fn a_sealed_recording_is_the_same_one_to_whoever_has_the_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let (sealed, open) = (shelf(folder.path(), b"a key"), Shelf::from(folder.path()));
        let told = written(&sealed, "sealed.ogg", 230);
        assert_eq!(told, written(&open, "open.ogg", 230), "size and hash are those of the sound");
        assert_eq!(
            sealed.contents("sealed.ogg").expect("opened"),
            std::fs::read(open.path("open.ogg")).expect("readable")
        );
        assert_eq!(
            sealed.length_of("sealed.ogg").expect("opened"),
            length_of(&open.path("open.ogg")).expect("readable")
        );
        assert_eq!(sealed.contents("open.ogg").expect("one of before"), open.contents("open.ogg").expect("readable"));
        let bytes = std::fs::read(sealed.path("sealed.ogg")).expect("readable");
        assert!(!bytes.windows(4).any(|window| window == b"OggS" || window == b"CALL" || window == [7; 4]));
        let refused = open.contents("sealed.ogg").expect_err("no key").to_string();
        assert!(refused.contains("recording.key_env"), "{refused}");
        assert!(shelf(folder.path(), b"another").contents("sealed.ogg").is_err());
        let again = sealed.to_keep(&open.contents("open.ogg").expect("readable")).expect("sealed");
        assert_ne!(again, bytes, "another salt");
        assert_eq!(sealed.opened(again).expect("opened"), open.contents("open.ogg").expect("readable"));
    }

    #[test]
    fn what_was_sealed_before_a_crash_is_whole_to_the_last_second_and_a_changed_byte_is_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let shelf = shelf(folder.path(), b"a key");
        written(&shelf, "one.ogg", 230);
        let bytes = std::fs::read(shelf.path("one.ogg")).expect("readable");
        let whole = shelf.opened(bytes.clone()).expect("opened");
        let cut = shelf.opened(bytes[..bytes.len() - 1].to_vec()).expect("opened");
        assert!(whole.starts_with(&cut) && cut.len() > 200 * 80, "{} of {}", cut.len(), whole.len());
        let mut changed = bytes;
        let at = changed.len() / 2;
        changed[at] ^= 1;
        assert!(shelf.opened(changed).is_err());
    }

    proptest! {
        #[test]
        fn bytes_of_any_kind_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let shelf = shelf(Path::new("."), b"a key");
            let _ = shelf.opened(bytes.clone());
            let _ = shelf.opened([&MARK[..], &bytes].concat());
        }
    }
}
