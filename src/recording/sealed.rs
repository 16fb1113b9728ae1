//! Files at rest, sealed: each page of a recording, and each block of a journal, is encrypted on its own (ChaCha20-Poly1305, RFC 8439),
//! so that a kill costs the last second of a sealed file, too, and no more.
//!
//! ```text
//! DUOSEAL1, the key's id (8 bytes), a salt (16 bytes); then for each page: its sealed length (4 bytes), its number (8 bytes), the
//! sealed page
//! ```
//!
//! Numbers are little endian. The key of a file is derived (HKDF-SHA256, RFC 5869) from the operator's and the salt, so that a page's number is
//! a nonce that no other page has; a page that the disk refused has used its number up. The head is authenticated with each page, and
//! numbers must rise: pages of another file, or in another order, are found out. Somebody who takes pages off the end is not, but
//! by the hash in the row.

use std::io;
use std::sync::Arc;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::rand::{SecureRandom as _, SystemRandom};

use super::pages::hex;

pub(super) const MARK: &[u8; 8] = b"DUOSEAL1";
const ID_BYTES: usize = 8;
const SALT_BYTES: usize = 16;
const HEAD_BYTES: usize = MARK.len() + ID_BYTES + SALT_BYTES;
const FRAME_HEAD_BYTES: usize = 4 + 8;
/// What derived keys are for: no two uses have one key.
const FOR_FILES: &[u8] = b"duologue recording";
const FOR_IDS: &[u8] = b"duologue recording key id";

/// A key has so many characters at least: 128 bits, written in hex.
pub const KEY_CHARS_LEAST: usize = 32;

/// What files are sealed with.
pub struct SealKey {
    secret: Vec<u8>,
    id: [u8; ID_BYTES],
}

/// Without the secret.
impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealKey({})", self.id())
    }
}

/// The length of a key's id, for its derivation.
#[derive(Clone, Copy, Debug)]
struct Id;

impl KeyType for Id {
    fn len(&self) -> usize {
        ID_BYTES
    }
}

impl SealKey {
    /// A key of these bytes; they should be as good as chance.
    ///
    /// # Errors
    /// When there are fewer than [`KEY_CHARS_LEAST`]; the number that there are.
    pub fn new(secret: &[u8]) -> Result<Self, usize> {
        if secret.len() < KEY_CHARS_LEAST {
            return Err(secret.len());
        }
        let mut id = [0; ID_BYTES];
        let derived = Salt::new(HKDF_SHA256, &[]).extract(secret);
        // It fails for lengths that are out of bounds, and this one is not.
        let _ = derived.expand(&[FOR_IDS], Id).and_then(|okm| okm.fill(&mut id));
        Ok(Self { secret: secret.to_vec(), id })
    }

    /// Its name in rows, files and faults, in hex. It says nothing about the key.
    pub fn id(&self) -> String {
        hex(&self.id)
    }

    fn of_file(&self, salt: &[u8]) -> io::Result<LessSafeKey> {
        let derived = Salt::new(HKDF_SHA256, salt).extract(&self.secret);
        let key = derived.expand(&[FOR_FILES], &CHACHA20_POLY1305).map_err(|_| no("no key can be derived"))?;
        Ok(LessSafeKey::new(UnboundKey::from(key)))
    }
}

/// The keys that a server has.
#[derive(Clone, Debug, Default)]
pub struct SealKeys {
    /// New files are sealed with it.
    pub new: Option<Arc<SealKey>>,
    /// Files of before are opened with these, too.
    pub old: Vec<Arc<SealKey>>,
}

impl SealKeys {
    fn all(&self) -> impl Iterator<Item = &Arc<SealKey>> {
        self.new.iter().chain(&self.old)
    }

    /// The key of this id.
    pub fn of(&self, id: &str) -> Option<&Arc<SealKey>> {
        self.all().find(|key| key.id() == id)
    }

    /// A file as it was before it was sealed; one that is not is given back.
    ///
    /// # Errors
    /// When its key is not here, or somebody changed it; the text says which.
    pub fn opened(&self, file: Vec<u8>) -> io::Result<Vec<u8>> {
        let Some(id) = key_id(&file) else { return Ok(file) };
        match self.of(&id) {
            Some(key) => opened(&file, key),
            None => {
                let here: Vec<String> = self.all().map(|key| key.id()).collect();
                let here =
                    if here.is_empty() { "there is none here".into() } else { format!("here is {}", here.join(", ")) };
                Err(no(&format!(
                    "it is sealed with the key {id}, and {here}: name that key as recording.key_file, or among recording.old_key_files"
                )))
            }
        }
    }
}

fn no(why: &str) -> io::Error {
    io::Error::other(why.to_owned())
}

/// The id of the key that a file is sealed with; `None` where it is not sealed.
pub fn key_id(file: &[u8]) -> Option<String> {
    let sealed = file.len() >= HEAD_BYTES && file.starts_with(MARK);
    sealed.then(|| hex(&file[MARK.len()..MARK.len() + ID_BYTES]))
}

fn nonce(number: u64) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}

/// Seals the pages of one file.
pub struct Sealer {
    key: LessSafeKey,
    head: Vec<u8>,
    next: u64,
}

impl Sealer {
    /// Begins a file; gives its head.
    ///
    /// # Errors
    /// When the system has no chance to give.
    pub fn begin(key: &SealKey) -> io::Result<(Self, Vec<u8>)> {
        let mut salt = [0; SALT_BYTES];
        SystemRandom::new().fill(&mut salt).map_err(|_| no("the system gives no chance to seal with"))?;
        let head = [&MARK[..], &key.id, &salt].concat();
        Ok((Self { key: key.of_file(&salt)?, head: head.clone(), next: 0 }, head))
    }

    /// A page as it goes onto the disk.
    ///
    /// # Errors
    /// When it has more than 4 GB.
    pub fn page(&mut self, page: &[u8]) -> io::Result<Vec<u8>> {
        let number = self.next;
        self.next += 1;
        let mut sealed = page.to_vec();
        let done = self.key.seal_in_place_append_tag(nonce(number), Aad::from(&self.head), &mut sealed);
        done.map_err(|_| no("a page cannot be sealed"))?;
        let length = u32::try_from(sealed.len()).map_err(|_| no("a page is too long to be sealed"))?;
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
    let head = &file[..HEAD_BYTES];
    let key = key.of_file(&head[MARK.len() + ID_BYTES..])?;
    let (mut out, mut at, mut least) = (Vec::with_capacity(file.len()), HEAD_BYTES, 0);
    while let Some(frame) = file.get(at..at + FRAME_HEAD_BYTES) {
        let (length, number) = frame.split_at(4);
        let length = length.try_into().map_or(0, u32::from_le_bytes) as usize;
        let number = number.try_into().map_or(0, u64::from_le_bytes);
        let from = at + FRAME_HEAD_BYTES;
        // What a crash has broken off.
        let Some(page) = file.get(from..from.saturating_add(length)) else { break };
        let changed = || no(&format!("it is damaged, or somebody changed it, {at} bytes into the sealed file"));
        if number < least {
            return Err(changed());
        }
        let mut page = page.to_vec();
        let plain = key.open_in_place(nonce(number), Aad::from(head), &mut page).map_err(|_| changed())?;
        out.extend_from_slice(plain);
        least = number.saturating_add(1);
        at = from + length;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(letter: char) -> Arc<SealKey> {
        Arc::new(SealKey::new(letter.to_string().repeat(KEY_CHARS_LEAST).as_bytes()).expect("long enough"))
    }

    fn keys(letter: char) -> SealKeys {
        SealKeys { new: Some(key(letter)), old: Vec::new() }
    }

    /// Three pages, and where they end.
    fn three(with: &SealKey) -> (Vec<u8>, Vec<usize>) {
        let (mut sealer, mut file) = Sealer::begin(with).expect("chance");
        let mut ends = Vec::new();
        for page in ["one ", "two ", "three"] {
            file.extend(sealer.page(page.as_bytes()).expect("sealed"));
            ends.push(file.len());
        }
        (file, ends)
    }

    #[test]
    fn whoever_has_the_key_reads_it_and_whoever_has_not_is_told_which_it_is() {
        let (file, _) = three(&key('a'));
        assert_eq!(keys('a').opened(file.clone()).expect("opened"), b"one two three");
        let later = SealKeys { new: Some(key('b')), old: vec![key('a')] };
        assert_eq!(later.opened(file.clone()).expect("an old key opens it"), b"one two three");
        assert_eq!(later.opened(b"never sealed".to_vec()).expect("as it is"), b"never sealed");
        for (keys, here) in [(keys('b'), key('b').id()), (SealKeys::default(), "there is none here".into())] {
            let refused = keys.opened(file.clone()).expect_err("another key").to_string();
            assert!(refused.contains(&key('a').id()) && refused.contains(&here), "{refused}");
            assert!(refused.contains("recording.old_key_files"), "{refused}");
        }
        assert!(!format!("{:?}", keys('a')).contains("aaaa"), "no secret is printed");
        assert_eq!(SealKey::new(b"short").map(|_| ()), Err(5));
    }

    #[test]
    fn a_page_that_was_changed_moved_repeated_or_is_of_another_file_is_found_out() {
        let (file, ends) = three(&key('a'));
        let (other, _) = three(&key('a'));
        let [first, second, third] = [HEAD_BYTES..ends[0], ends[0]..ends[1], ends[1]..ends[2]];
        let of = |parts: &[&[u8]]| keys('a').opened(parts.concat()).map_err(|why| why.to_string());
        let head = &file[..HEAD_BYTES];
        assert_eq!(
            of(&[head, &file[first.clone()], &file[third.clone()]]),
            Ok(b"one three".to_vec()),
            "the disk refused one"
        );
        for parts in [
            [head, &file[second.clone()], &file[first.clone()]],
            [head, &file[first.clone()], &file[first.clone()]],
            [head, &file[first.clone()], &other[second.clone()]],
        ] {
            assert!(of(&parts).is_err_and(|why| why.contains("bytes into")));
        }
        let mut changed = file.clone();
        changed[ends[1] - 1] ^= 1;
        assert!(of(&[&changed]).is_err());
        assert_eq!(of(&[&file[..ends[2] - 1]]), Ok(b"one two ".to_vec()), "what a crash broke off");
    }

    proptest! {
        #[test]
        fn bytes_of_any_kind_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = keys('a').opened(bytes.clone());
            let (file, _) = three(&key('a'));
            let _ = keys('a').opened([&file[..HEAD_BYTES], &bytes].concat());
        }
    }
}
