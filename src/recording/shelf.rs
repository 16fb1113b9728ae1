//! Where recordings lie, and what opens them.

use std::io::{self, Cursor, Read, Seek, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Peaks;
use super::objects::ObjectShelf;
use super::ogg_file::{length_in, peaks_in};
use super::pages::pages;
use super::sealed::{MARK, SealKeys, sealed};

/// What is read of a recording.
pub(super) trait Sound: Read + Seek {}
impl<T: Read + Seek> Sound for T {}

/// Where a recording lies: in the folder, on the store, or on its way from one to the other, when it is in both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whereabouts {
    /// Its name in the folder.
    pub file: String,
    /// What it is called on the store, `s3://bucket/...`.
    pub object: Option<String>,
}

impl<T: AsRef<str> + ?Sized> From<&T> for Whereabouts {
    fn from(file: &T) -> Self {
        Self { file: file.as_ref().to_owned(), object: None }
    }
}

/// The folder of recordings and journals, the store that finished ones move to, and the keys of those that are sealed.
#[derive(Clone, Debug, Default)]
pub struct RecordingShelf {
    pub folder: PathBuf,
    pub keys: SealKeys,
    /// `None` keeps all of them in the folder.
    pub objects: Option<Arc<ObjectShelf>>,
}

impl From<&Path> for RecordingShelf {
    fn from(folder: &Path) -> Self {
        Self { folder: folder.to_path_buf(), ..Self::default() }
    }
}

impl From<&PathBuf> for RecordingShelf {
    fn from(folder: &PathBuf) -> Self {
        Self::from(folder.as_path())
    }
}

impl RecordingShelf {
    /// Where a file lies.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// A recording as Ogg/Opus, whether it is sealed or not.
    ///
    /// # Errors
    /// When it cannot be read, or is sealed and its key is not here; the text names the file. One on the store is fetched, for which the
    /// thread must be one of a runtime that may wait (`spawn_blocking`).
    pub fn contents(&self, at: impl Into<Whereabouts>) -> io::Result<Vec<u8>> {
        let at = at.into();
        let named = |why: io::Error| io::Error::new(why.kind(), format!("{}: {why}", at.file));
        let bytes = match std::fs::read(self.path(&at.file)) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => self.fetched(&at, None),
            read => read,
        };
        bytes.and_then(|bytes| self.keys.opened(bytes)).map_err(named)
    }

    /// Some bytes of one that is not sealed, without the rest of it.
    ///
    /// # Errors
    /// As [`Self::contents`], and where it has no such bytes.
    pub fn part(&self, at: &Whereabouts, range: Range<u64>) -> io::Result<Vec<u8>> {
        let here = std::fs::File::open(self.path(&at.file)).and_then(|mut file| {
            file.seek(io::SeekFrom::Start(range.start))?;
            let mut part = Vec::new();
            file.take(range.end - range.start).read_to_end(&mut part).map(|_| part)
        });
        match here {
            Err(why) if why.kind() == io::ErrorKind::NotFound => self.fetched(at, Some(range)),
            read => read,
        }
    }

    /// What is not in the folder, from the store.
    fn fetched(&self, at: &Whereabouts, range: Option<Range<u64>>) -> io::Result<Vec<u8>> {
        match (&at.object, &self.objects) {
            (None, _) => Err(io::Error::new(io::ErrorKind::NotFound, "the file is not in its folder")),
            (Some(object), None) => {
                Err(io::Error::other(format!("it lies at {object}, and recording.store is not set: set it again")))
            }
            (Some(object), Some(objects)) => objects.fetch_here(object, range),
        }
    }

    /// True where it is in the folder.
    pub fn is_here(&self, file: &str) -> bool {
        self.path(file).exists()
    }

    /// True where its file in the folder is sealed.
    pub fn is_sealed(&self, file: &str) -> bool {
        let mut mark = [0; MARK.len()];
        std::fs::File::open(self.path(file)).and_then(|mut file| file.read_exact(&mut mark)).is_ok() && mark == *MARK
    }

    /// A recording to be read from; one that is here and not sealed is not taken into memory.
    fn sound(&self, at: &Whereabouts) -> io::Result<Box<dyn Sound>> {
        if self.is_sealed(&at.file) {
            return Ok(Box::new(Cursor::new(self.contents(at.clone())?)));
        }
        match std::fs::File::open(self.path(&at.file)) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(Box::new(Cursor::new(self.contents(at.clone())?))),
            file => Ok(Box::new(io::BufReader::new(file?))),
        }
    }

    /// How loud both sides were.
    ///
    /// # Errors
    /// As [`Self::contents`], or when it is no recording of ours.
    pub fn peaks(&self, at: impl Into<Whereabouts>) -> io::Result<Peaks> {
        peaks_in(self.sound(&at.into())?)
    }

    /// How long it plays (milliseconds), its size and its hash, as if it were not sealed.
    ///
    /// # Errors
    /// As [`Self::contents`], or when no page of it is whole.
    pub fn length_of(&self, at: impl Into<Whereabouts>) -> io::Result<(u64, u64, String)> {
        length_in(&mut *self.sound(&at.into())?)
    }

    /// Puts a recording of ours here, sealed where there is a key; gives what [`Self::length_of`] would, and the id of the key. It is here
    /// whole or not at all. The same sound may be here already: whoever put it there was stopped before its row was written.
    ///
    /// # Errors
    /// When it is none of ours, another one is here under that name, or the disk does not take it.
    pub fn put(&self, file: &str, bytes: &[u8]) -> io::Result<((u64, u64, String), Option<String>)> {
        pages(bytes)?;
        let length = length_in(&mut Cursor::new(bytes))?;
        let (kept, key_id) = self.to_keep(bytes, None)?;
        let (there, beside) = (self.path(file), self.path(&format!("{file}.incoming")));
        let whole = std::fs::File::create(&beside).and_then(|mut to| to.write_all(&kept).and_then(|()| to.sync_all()));
        let placed = whole.and_then(|()| match std::fs::hard_link(&beside, &there) {
            Err(why) if why.kind() == io::ErrorKind::AlreadyExists => match self.length_of(file) {
                Ok(same) if same == length => std::fs::rename(&beside, &there),
                _ => Err(why),
            },
            linked => linked,
        });
        // Half a recording is none.
        let _ = std::fs::remove_file(&beside);
        placed.and_then(|()| std::fs::File::open(&self.folder)?.sync_all())?;
        Ok((length, key_id))
    }

    /// A recording's bytes as they are to lie here, and the id of the key that they are sealed with: today's, or, where there is none
    /// today, the one that it had (`was`): what was sealed once never lies open.
    ///
    /// # Errors
    /// When it is no recording of ours, or its key is not here any more.
    pub(super) fn to_keep(&self, file: &[u8], was: Option<&str>) -> io::Result<(Vec<u8>, Option<String>)> {
        let missing = |id: &str| io::Error::other(format!("the key {id} is not here to seal it with again"));
        let key = match (&self.keys.new, was) {
            (Some(key), _) => key,
            (None, Some(id)) => self.keys.of(id).ok_or_else(|| missing(id))?,
            (None, None) => return Ok((file.to_vec(), None)),
        };
        Ok((sealed(file, pages(file)?.into_iter().map(|page| page.bytes), key)?, Some(key.id())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::{OggFile, SealKey, length_of};
    use std::sync::Arc;

    fn keys(secret: &str) -> SealKeys {
        SealKeys { new: Some(Arc::new(SealKey::new(secret.as_bytes()).expect("long enough"))), old: Vec::new() }
    }

    fn shelf(folder: &Path, secret: &str) -> RecordingShelf {
        RecordingShelf { keys: keys(secret), ..RecordingShelf::from(folder) }
    }

    fn written(shelf: &RecordingShelf, name: &str, packets: usize) -> (u64, String, u64) {
        let key = shelf.keys.new.as_deref();
        let mut file = OggFile::create_sealed(&shelf.path(name), 312, &[("CALL", "one")], key).expect("a file");
        for n in 0..packets {
            file.packet(vec![n as u8; 80]);
        }
        file.finish(vec![1; 3])
    }

    const SECRET: &str = "6f1ed002ab5595859014ebf0951522d9";

    #[test]
    fn a_sealed_recording_is_the_same_one_to_whoever_has_the_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let (sealed, open) = (shelf(folder.path(), SECRET), RecordingShelf::from(folder.path()));
        let told = written(&sealed, "sealed.ogg", 230);
        assert_eq!(told, written(&open, "open.ogg", 230), "size and hash are those of the sound");
        let plain = std::fs::read(open.path("open.ogg")).expect("readable");
        assert_eq!(sealed.contents("sealed.ogg").expect("opened"), plain);
        assert_eq!(
            sealed.length_of("sealed.ogg").expect("opened"),
            length_of(&open.path("open.ogg")).expect("readable")
        );
        assert_eq!(sealed.contents("open.ogg").expect("one of before"), plain);
        let bytes = std::fs::read(sealed.path("sealed.ogg")).expect("readable");
        assert!(!bytes.windows(4).any(|window| window == b"OggS" || window == b"CALL" || window == [7; 4]));
        let refused = open.contents("sealed.ogg").expect_err("no key").to_string();
        assert!(refused.contains("sealed.ogg") && refused.contains("recording.key_file"), "{refused}");
    }

    #[test]
    fn what_is_kept_anew_is_sealed_with_todays_key_and_never_lies_open() {
        let folder = tempfile::tempdir().expect("a folder");
        let (first, open) = (shelf(folder.path(), SECRET), RecordingShelf::from(folder.path()));
        written(&open, "open.ogg", 60);
        let plain = open.contents("open.ogg").expect("readable");
        let id = |keys: &SealKeys| keys.new.as_ref().map(|key| key.id());
        let (kept, with) = first.to_keep(&plain, None).expect("sealed");
        assert_eq!(
            (first.keys.opened(kept).expect("opened"), with.as_ref()),
            (plain.clone(), id(&first.keys).as_ref())
        );
        // The key was rotated: it moves to the new one.
        let mut second = shelf(folder.path(), "another key, and a long one as well");
        second.keys.old.extend(first.keys.new.clone());
        assert_eq!(second.to_keep(&plain, with.as_deref()).expect("sealed").1, id(&second.keys));
        // Sealing was turned off: it keeps the one that it had.
        let off = RecordingShelf { keys: SealKeys { new: None, old: second.keys.old.clone() }, ..open.clone() };
        assert_eq!(off.to_keep(&plain, with.as_deref()).expect("sealed").1, with);
        assert!(open.to_keep(&plain, with.as_deref()).is_err_and(|why| why.to_string().contains("is not here")));
        assert_eq!(open.to_keep(&plain, None).expect("as it is"), (plain, None));
    }
}
