//! A file that grows by whole pages. What a full disk has cut off is taken back, so that the next page follows a whole one.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use ogg::PacketReader;
use ogg::writing::{PacketWriteEndInfo, PacketWriter};
use sha2::{Digest as _, Sha256};

use super::pages::hex;
use super::sealed::{SealKey, Sealer};
use super::silence::silent_packet;
use crate::audio::opus::StereoDecoder;

/// Packets in a page: a second.
const PAGE_PACKETS: u32 = 50;
/// Samples in a packet, at 48 kHz.
const PACKET_SAMPLES: u64 = 960;
/// Where a page's granule position lies (RFC 3533, section 6), and the mark that a page begins with.
pub(super) const GRANULE_AT: usize = 6;
const PAGE_MARK: &[u8] = b"OggS";
/// The end of a file that surely holds the beginning of its last page: a page has at most 65,307 bytes.
const TAIL_BYTES: u64 = 66_000;

/// An Ogg/Opus file being written.
pub struct OggFile {
    file: File,
    /// Pages of one second, kept until they are whole.
    page: PacketWriter<'static, Vec<u8>>,
    hash: Sha256,
    /// Bytes of the file that are whole pages; of the sound itself, before it was sealed.
    whole: u64,
    bytes: u64,
    seal: Option<Sealer>,
    packets: u64,
    in_page: u32,
    pre_skip: u64,
    /// Packets that the disk did not take.
    lost: u64,
    /// Of these, the ones since the last page that it did take: their time is put into the file as silence before the next one.
    missing: u64,
    /// What these packets are.
    silence: Option<Vec<u8>>,
}

/// A packet of no frame: fullband CELT, 20 ms, stereo. A decoder takes it for one that was lost and goes on with the noise that it has
/// heard (RFC 6716, sections 3.1 and 3.2.1): it is for when no encoder can be had.
const LOST_PACKET: [u8; 1] = [0xfc];

/// The stream's number in its file (RFC 3533); there is one.
const SERIAL: u32 = 1;

impl OggFile {
    /// Makes the file with its two headers (RFC 7845, section 5).
    ///
    /// # Errors
    /// When it cannot be made or written, or is there already.
    pub fn create(path: &Path, pre_skip: u16, comments: &[(&str, &str)]) -> io::Result<Self> {
        Self::create_sealed(path, pre_skip, comments, None)
    }

    /// The same, sealed where there is a key.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn create_sealed(
        path: &Path,
        pre_skip: u16,
        comments: &[(&str, &str)],
        key: Option<&SealKey>,
    ) -> io::Result<Self> {
        let mut file = OpenOptions::new().create_new(true).write(true).open(path)?;
        let (seal, sealed_head) = key.map(Sealer::begin).transpose()?.unzip();
        let sealed_head = sealed_head.unwrap_or_default();
        file.write_all(&sealed_head)?;
        let mut this = Self {
            file,
            bytes: 0,
            seal,
            page: PacketWriter::new(Vec::new()),
            hash: Sha256::new(),
            whole: sealed_head.len() as u64,
            packets: 0,
            in_page: 0,
            pre_skip: u64::from(pre_skip),
            lost: 0,
            missing: 0,
            silence: None,
        };
        this.page.write_packet(head(pre_skip), SERIAL, PacketWriteEndInfo::EndPage, 0)?;
        this.page.write_packet(tags(comments), SERIAL, PacketWriteEndInfo::EndPage, 0)?;
        this.put_page()?;
        Ok(this)
    }

    /// Takes the packet of the next 20 ms. False where a page was due and the disk did not take it: that second is lost, and its
    /// place in time is kept.
    pub fn packet(&mut self, packet: Vec<u8>) -> bool {
        self.fill();
        self.packets += 1;
        self.in_page += 1;
        let due = self.in_page == PAGE_PACKETS;
        let end = if due { PacketWriteEndInfo::EndPage } else { PacketWriteEndInfo::NormalPacket };
        // Into memory: nothing that could fail.
        let _ = self.page.write_packet(packet, SERIAL, end, self.granule());
        !due || self.page_is_kept()
    }

    /// What follows a hole must not move: at the beginning of a page the time that is missing before it becomes packets of their own,
    /// in whole pages, so that every player keeps the call's clock, those that count packets too. They go onto the disk with the page.
    fn fill(&mut self) {
        if self.in_page > 0 || !self.page.inner().is_empty() {
            return;
        }
        if self.missing > 0 && self.silence.is_none() {
            self.silence = Some(silent_packet().unwrap_or_else(|_| LOST_PACKET.to_vec()));
        }
        for n in 1..=self.missing {
            let due = n == self.missing || n.is_multiple_of(u64::from(PAGE_PACKETS));
            let end = if due { PacketWriteEndInfo::EndPage } else { PacketWriteEndInfo::NormalPacket };
            let granule = (self.packets - self.missing + n) * PACKET_SAMPLES;
            let _ = self.page.write_packet(self.silence.clone().unwrap_or_default(), SERIAL, end, granule);
        }
    }

    /// Samples of everything so far, the pre-skip included (RFC 7845, section 4).
    const fn granule(&self) -> u64 {
        self.packets * PACKET_SAMPLES
    }

    fn page_is_kept(&mut self) -> bool {
        let packets = u64::from(std::mem::take(&mut self.in_page));
        let kept = self.put_page();
        if kept.is_err() {
            self.lost += packets;
            self.missing += packets;
        } else {
            self.missing = 0;
        }
        kept.is_ok()
    }

    fn put_page(&mut self) -> io::Result<()> {
        let page = std::mem::take(self.page.inner_mut());
        let sealed = self.seal.as_mut().map(|seal| seal.page(&page)).transpose()?;
        let kept = sealed.as_deref().unwrap_or(&page);
        match self.file.write_all(kept) {
            Ok(()) => {
                self.hash.update(&page);
                self.whole += kept.len() as u64;
                self.bytes += page.len() as u64;
                Ok(())
            }
            Err(error) => {
                // A part of the page may be there; should this fail too, players skip to the next page's mark.
                let _ = self.file.set_len(self.whole).and_then(|()| self.file.seek(SeekFrom::Start(self.whole)));
                Err(error)
            }
        }
    }

    /// Writes what is left and gives what the file holds: bytes, SHA-256 in hex, packets lost. `last` carries what the codec still
    /// holds back of the sound; the rest of it is not played.
    pub fn finish(mut self, last: Vec<u8>) -> (u64, String, u64) {
        let end = self.granule() + self.pre_skip;
        self.fill();
        self.in_page += 1;
        let _ = self.page.write_packet(last, SERIAL, PacketWriteEndInfo::EndStream, end);
        self.page_is_kept();
        // What the system has not written yet survives this process, and that is what is promised.
        (self.bytes, hex(&self.hash.finalize()), self.lost)
    }
}

/// The identification header: version 1, two channels of one stereo stream.
fn head(pre_skip: u16) -> Vec<u8> {
    let mut head = b"OpusHead\x01\x02".to_vec();
    head.extend_from_slice(&pre_skip.to_le_bytes());
    head.extend_from_slice(&48_000_u32.to_le_bytes());
    // No gain, and channels as RTP has them.
    head.extend_from_slice(&[0, 0, 0]);
    head
}

/// A file of ours in memory: every packet is 20 ms, and with the last one come the sounds that the codec held back.
pub fn whole_file(pre_skip: u16, comments: &[(&str, &str)], packets: Vec<Vec<u8>>) -> Vec<u8> {
    let mut out = PacketWriter::new(Vec::new());
    let count = packets.len() as u64;
    // Into memory: nothing that could fail.
    let _ = out.write_packet(head(pre_skip), SERIAL, PacketWriteEndInfo::EndPage, 0);
    let _ = out.write_packet(tags(comments), SERIAL, PacketWriteEndInfo::EndPage, 0);
    for (n, packet) in (1..).zip(packets) {
        let (end, granule) = match n {
            last if last == count => {
                (PacketWriteEndInfo::EndStream, (count - 1) * PACKET_SAMPLES + u64::from(pre_skip))
            }
            n if n % u64::from(PAGE_PACKETS) == 0 => (PacketWriteEndInfo::EndPage, n * PACKET_SAMPLES),
            n => (PacketWriteEndInfo::NormalPacket, n * PACKET_SAMPLES),
        };
        let _ = out.write_packet(packet, SERIAL, end, granule);
    }
    out.into_inner()
}

fn tags(comments: &[(&str, &str)]) -> Vec<u8> {
    let mut tags = b"OpusTags".to_vec();
    let mut text = |text: &str| {
        tags.extend_from_slice(&(text.len() as u32).to_le_bytes());
        tags.extend_from_slice(text.as_bytes());
    };
    text(concat!("duologue ", env!("CARGO_PKG_VERSION")));
    tags.extend_from_slice(&(comments.len() as u32).to_le_bytes());
    for (key, value) in comments {
        let comment = format!("{key}={value}");
        tags.extend_from_slice(&(comment.len() as u32).to_le_bytes());
        tags.extend_from_slice(comment.as_bytes());
    }
    tags
}

/// How long a finished or broken-off file plays (milliseconds), its size and its hash.
///
/// # Errors
/// When it cannot be read, or no page of it is whole.
pub fn length_of(path: &Path) -> io::Result<(u64, u64, String)> {
    length_in(&mut File::open(path)?)
}

pub(super) fn length_in(file: &mut (impl io::Read + io::Seek + ?Sized)) -> io::Result<(u64, u64, String)> {
    let bytes = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(0))?;
    let mut first = [0; 64];
    let head = file.read(&mut first)?;
    let head = first[..head].windows(8).position(|window| window == b"OpusHead").map_or(&[][..], |at| &first[at..]);
    let pre_skip = pre_skip_of(head)? as u64;
    file.seek(SeekFrom::Start(0))?;
    let mut hash = Sha256::new();
    io::copy(file, &mut hash)?;
    file.seek(SeekFrom::Start(bytes.saturating_sub(TAIL_BYTES)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let last = tail.windows(PAGE_MARK.len()).rposition(|window| window == PAGE_MARK);
    let granule =
        last.and_then(|at| tail.get(at + GRANULE_AT..at + GRANULE_AT + 8)).and_then(|bytes| bytes.try_into().ok());
    let granule = granule.map(u64::from_le_bytes).ok_or_else(|| io::Error::other("no whole page of sound"))?;
    Ok((granule.saturating_sub(pre_skip) / 48, bytes, hex(&hash.finalize())))
}

/// How loud both sides were, stretch by stretch.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Peaks {
    /// Stretches in a second.
    pub per_second: u32,
    /// The loudest sample of each: 0 is silence, 255 full scale.
    pub caller: Vec<u8>,
    pub agent: Vec<u8>,
}

/// A packet is a stretch: 20 ms.
const PEAKS_PER_SECOND: u32 = 50;

/// Looks through a recording, a packet at a time: an hour takes little memory, and some seconds.
///
/// # Errors
/// As [`read`].
pub fn peaks(path: &Path) -> io::Result<Peaks> {
    peaks_in(io::BufReader::new(File::open(path)?))
}

pub(super) fn peaks_in(sound: impl io::Read + io::Seek) -> io::Result<Peaks> {
    let mut peaks = Peaks { per_second: PEAKS_PER_SECOND, ..Peaks::default() };
    let loudest = |side: &[f32]| (side.iter().fold(0.0_f32, |most, s| most.max(s.abs())).min(1.0) * 255.0) as u8;
    for_each_packet_in(sound, |left, right| {
        peaks.caller.push(loudest(left));
        peaks.agent.push(loudest(right));
    })?;
    Ok(peaks)
}

/// Both sides of a recording, the caller's and the agent's, at 48 kHz, and nothing before its first sample.
///
/// # Errors
/// When the file cannot be read or is none of ours. What a crash has cut off is not missed; a second that a full disk did not take is
/// silence.
pub fn read(path: &Path) -> io::Result<[Vec<f32>; 2]> {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    let (skip, end) = for_each_packet(path, |caller, agent| {
        left.extend_from_slice(caller);
        right.extend_from_slice(agent);
    })?;
    left.truncate(end);
    right.truncate(end);
    let skip = skip.min(left.len());
    Ok([left.split_off(skip), right.split_off(skip)])
}

/// Hands over the sound of each packet; gives the pre-skip and where the sound ends, in samples.
pub(super) fn for_each_packet(path: &Path, each: impl FnMut(&[f32], &[f32])) -> io::Result<(usize, usize)> {
    for_each_packet_in(io::BufReader::new(File::open(path)?), each)
}

fn for_each_packet_in(
    sound: impl io::Read + io::Seek,
    mut each: impl FnMut(&[f32], &[f32]),
) -> io::Result<(usize, usize)> {
    let mut packets = PacketReader::new(sound);
    let mut decoder = StereoDecoder::new().map_err(io::Error::other)?;
    let (mut left, mut right) = (Vec::new(), Vec::new());
    let (mut skip, mut end) = (None, 0);
    let (mut page, mut at) = (Vec::new(), 0);
    while let Some(packet) = packets.read_packet().map_err(io::Error::other)? {
        match skip {
            None => skip = Some(pre_skip_of(&packet.data)?),
            Some(_) if packet.data.starts_with(b"OpusTags") => {}
            Some(_) => {
                end = packet.absgp_page() as usize;
                let (granule, last) = (packet.absgp_page(), packet.last_in_page());
                page.push(packet.data);
                if !last {
                    continue;
                }
                let first = first_packet_of(granule, page.len() as u64);
                if first.saturating_sub(at) > LONGEST_HOLE_PACKETS {
                    return Err(io::Error::other(format!("a page lies {} s behind the one before", (first - at) / 50)));
                }
                // A second that a full disk did not take: its place in time is kept.
                (at..first).for_each(|_| each(&SILENCE, &SILENCE));
                at = first.max(at) + page.len() as u64;
                for packet in page.drain(..) {
                    left.clear();
                    right.clear();
                    match decoder.decode(&packet, &mut left, &mut right) {
                        true => each(&left, &right),
                        false => each(&SILENCE, &SILENCE),
                    }
                }
            }
        }
    }
    Ok((skip.unwrap_or(0), end))
}

/// The number of a page's first packet, from 0, by the moment at which it ends (RFC 7845, section 4). The last page ends with a part of
/// a packet.
pub(super) const fn first_packet_of(granule: u64, packets: u64) -> u64 {
    granule.div_ceil(PACKET_SAMPLES).saturating_sub(packets)
}

const SILENCE: [f32; PACKET_SAMPLES as usize] = [0.0; PACKET_SAMPLES as usize];
/// A hole of more than six hours is a fault of the file.
const LONGEST_HOLE_PACKETS: u64 = 6 * 60 * 60 * 50;

fn pre_skip_of(head: &[u8]) -> io::Result<usize> {
    match head {
        [b'O', b'p', b'u', b's', b'H', b'e', b'a', b'd', 1, 2, low, high, ..] => {
            Ok(usize::from(u16::from_le_bytes([*low, *high])))
        }
        _ => Err(io::Error::other("no stereo Opus at its beginning")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(packets: usize) -> (tempfile::TempDir, std::path::PathBuf, OggFile) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("call.ogg");
        let mut file = OggFile::create(&path, 312, &[("CALL", "one")]).expect("a file");
        for n in 0..packets {
            assert!(file.packet(vec![n as u8; 40]));
        }
        (folder, path, file)
    }

    #[test]
    fn every_packet_comes_back_with_its_moment() {
        let (_folder, path, file) = written(120);
        let (bytes, sha256, lost) = file.finish(vec![7; 3]);
        assert_eq!((bytes, lost), (std::fs::metadata(&path).expect("a file").len(), 0));
        let mut reader = PacketReader::new(File::open(&path).expect("a file"));
        let packets: Vec<_> = std::iter::from_fn(|| reader.read_packet().expect("whole pages")).collect();
        assert_eq!(packets.len(), 2 + 121);
        assert!(packets[0].data.starts_with(b"OpusHead") && packets[1].data.ends_with(b"CALL=one"));
        assert_eq!(packets.last().map(|packet| packet.absgp_page()), Some(312 + 120 * 960));
        assert_eq!(length_of(&path).expect("readable"), (120 * 20, bytes, sha256));
    }

    #[test]
    fn what_was_written_before_a_crash_is_whole_to_the_last_second() {
        let (_folder, path, file) = written(149);
        // Nothing more is written.
        std::mem::forget(file);
        let mut reader = PacketReader::new(File::open(&path).expect("a file"));
        let packets = std::iter::from_fn(|| reader.read_packet().expect("whole pages")).count();
        assert_eq!(packets, 2 + 100);
        assert_eq!(length_of(&path).expect("readable").0, (100 * 960 - 312) / 48);
    }

    #[test]
    fn a_file_that_is_there_is_never_overwritten() {
        let (_folder, path, _file) = written(0);
        let again = OggFile::create(&path, 312, &[]).err().expect("refused");
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    }
}
