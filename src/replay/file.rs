//! A journal on disk: a line that says what it is, then blocks of a second, each compressed and with two checksums, so that a file that
//! was broken off is told from one that was damaged.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

use duologue_core::replay::again::Journal;
use duologue_core::replay::record::{self, RecordFault};
use duologue_core::replay::{FORM, Head};

use crate::recording::{SealKey, SealKeys, Sealer};

/// The first line of every journal.
const MAGIC: &[u8] = b"duologue journal\n";
/// Length of the block, its checksum, and that of these two; each four bytes, the lowest first.
const FRAME: usize = 12;
/// A block is of a second or 64 kB; one that unpacks to more is none of ours.
const BLOCK_MOST: u64 = 16 * 1_024 * 1_024;

/// Why a file cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayFault {
    #[error("cannot read {}: {why}", .path.display())]
    Unreadable { path: PathBuf, why: std::io::Error },
    #[error("{} is no journal of a call", .path.display())]
    Foreign { path: PathBuf },
    #[error("{} is damaged {at} bytes into it: {why}", .path.display())]
    Damaged { path: PathBuf, at: usize, why: String },
    #[error("{} breaks off before its first block is over: nothing of the call is in it", .path.display())]
    Empty { path: PathBuf },
    #[error("{} is written in form {found}, by duologue {version}; this program reads form {FORM}", .path.display())]
    OtherForm { path: PathBuf, found: u64, version: String },
}

/// A journal that was read.
#[derive(Clone, Debug)]
pub struct Opened {
    pub journal: Journal,
    /// The file breaks off in a block: what is before it is here.
    pub cut: bool,
    pub bytes: usize,
}

/// What a finished journal holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    pub bytes: u64,
    pub records: u64,
    /// Records that the disk did not take in time.
    pub lost: u64,
}

/// Reads a file, sealed or not.
///
/// # Errors
/// When it is no journal, damaged, of another form, or sealed with a key that is not among these.
pub fn open(path: &Path, keys: &SealKeys) -> Result<Opened, ReplayFault> {
    read(path, &contents(path, keys)?)
}

/// What is in the file, as it was before it was sealed.
///
/// # Errors
/// When it cannot be read, or is sealed with a key that is not among these.
pub(super) fn contents(path: &Path, keys: &SealKeys) -> Result<Vec<u8>, ReplayFault> {
    let bytes = std::fs::read(path).and_then(|bytes| keys.opened(bytes));
    bytes.map_err(|why| ReplayFault::Unreadable { path: path.to_path_buf(), why })
}

/// Reads what is in a file; `path` is for the faults.
///
/// # Errors
/// As [`open`].
pub fn read(path: &Path, bytes: &[u8]) -> Result<Opened, ReplayFault> {
    let path = path.to_path_buf();
    let begun = bytes.len().min(MAGIC.len());
    if bytes[..begun] != MAGIC[..begun] {
        return Err(ReplayFault::Foreign { path });
    }
    let mut at = MAGIC.len();
    let mut head: Option<Head> = None;
    let mut records = Vec::new();
    let mut cut = bytes.len() < MAGIC.len();
    while at < bytes.len() {
        let damaged = |why: String| ReplayFault::Damaged { path: path.clone(), at, why };
        let block = match unframe(&bytes[at..]).map_err(|why| damaged(why.into()))? {
            Some(block) => block,
            None => {
                cut = true;
                break;
            }
        };
        let mut plain = Vec::new();
        let unpacked = ZlibDecoder::new(block).take(BLOCK_MOST).read_to_end(&mut plain);
        unpacked.map_err(|why| damaged(why.to_string()))?;
        if head.is_none() {
            head = Some(head_of(&path, &plain).map_err(|fault| fault.unwrap_or_else(damaged))?);
        } else {
            records.extend(record::read(&plain).map_err(|fault: RecordFault| damaged(fault.to_string()))?);
        }
        at += FRAME + block.len();
    }
    let head = head.ok_or(ReplayFault::Empty { path })?;
    Ok(Opened { journal: Journal { head, records }, cut, bytes: bytes.len() })
}

/// Another form is told before what it has inside is looked at.
fn head_of(path: &Path, plain: &[u8]) -> Result<Head, Result<ReplayFault, String>> {
    let value: serde_json::Value = serde_json::from_slice(plain).map_err(|why| Err(why.to_string()))?;
    let found = value.get("form").and_then(serde_json::Value::as_u64).unwrap_or(0);
    if found != u64::from(FORM) {
        let version = value.get("version").and_then(serde_json::Value::as_str).unwrap_or("?").into();
        return Err(Ok(ReplayFault::OtherForm { path: path.to_path_buf(), found, version }));
    }
    serde_json::from_value(value).map_err(|why| Err(why.to_string()))
}

/// The block that these bytes begin with; `None` where they end in it.
fn unframe(bytes: &[u8]) -> Result<Option<&[u8]>, &'static str> {
    let Some((frame, rest)) = bytes.split_first_chunk::<FRAME>() else { return Ok(None) };
    let word = |n: usize| u32::from_le_bytes([frame[n], frame[n + 1], frame[n + 2], frame[n + 3]]);
    if word(8) != checksum(&frame[..8]) {
        return Err("the head of a block has another checksum");
    }
    let Some(block) = rest.get(..word(0) as usize) else { return Ok(None) };
    if word(4) != checksum(block) {
        return Err("a block has another checksum");
    }
    Ok(Some(block))
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// A block as it stands in a file.
fn framed(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packer = ZlibEncoder::new(vec![0; FRAME], Compression::new(6));
    packer.write_all(plain)?;
    let mut block = packer.finish()?;
    let length = u32::try_from(block.len() - FRAME).unwrap_or(u32::MAX).to_le_bytes();
    let sum = checksum(&block[FRAME..]).to_le_bytes();
    block[..4].copy_from_slice(&length);
    block[4..8].copy_from_slice(&sum);
    let sum = checksum(&block[..8]).to_le_bytes();
    block[8..FRAME].copy_from_slice(&sum);
    Ok(block)
}

/// A journal in the making.
pub(super) struct JournalFile {
    path: PathBuf,
    file: File,
    seal: Option<Sealer>,
    /// Bytes that lie on the disk; `kept` counts them as they were before they were sealed.
    whole: u64,
    kept: Kept,
    /// Records of blocks that could not be written since the last that could.
    unwritten: u64,
}

impl JournalFile {
    pub fn create(path: &Path, head: &[u8], key: Option<&SealKey>) -> std::io::Result<Self> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
        let (seal, sealed_head) = key.map(Sealer::begin).transpose()?.unzip();
        let sealed_head = sealed_head.unwrap_or_default();
        file.write_all(&sealed_head)?;
        let whole = sealed_head.len() as u64;
        let mut made = Self { path: path.to_path_buf(), file, seal, whole, kept: Kept::default(), unwritten: 0 };
        made.put(MAGIC)?;
        made.put(&framed(head)?)?;
        Ok(made)
    }

    /// Writes a block of so many records; what the disk does not take is counted, and told before the next that it takes.
    pub fn block(&mut self, plain: &[u8], records: u64) {
        if self.write(plain).is_ok() {
            self.kept.records += records;
            return;
        }
        if self.unwritten == 0 {
            tracing::error!(file = %self.path.display(), "the disk does not take a call's journal; the call goes on, and cannot be replayed from here on");
        }
        self.unwritten += records;
        self.kept.lost += records;
    }

    fn write(&mut self, plain: &[u8]) -> std::io::Result<()> {
        if self.kept.bytes > super::FILE_BYTES_MOST {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        if self.unwritten > 0 {
            let mut lost = record::Writer::default();
            lost.lost(self.unwritten);
            self.put(&framed(&lost.take().0)?)?;
            self.unwritten = 0;
        }
        self.put(&framed(plain)?)
    }

    /// All of it or nothing: half a block would be damage.
    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let sealed = self.seal.as_mut().map(|seal| seal.page(bytes)).transpose()?;
        let kept = sealed.as_deref().unwrap_or(bytes);
        if let Err(why) = self.file.write_all(kept) {
            self.file.set_len(self.whole)?;
            self.file.seek(SeekFrom::End(0))?;
            return Err(why);
        }
        self.whole += kept.len() as u64;
        self.kept.bytes += bytes.len() as u64;
        Ok(())
    }

    pub fn finish(self) -> Kept {
        // Durable: a row is about to say that it is there.
        let _ = self.file.sync_all();
        self.kept
    }

    pub fn discard(self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
