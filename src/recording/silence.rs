//! A span of a recording made silent: its packets are replaced, and every page without one of them stays as it was, byte for byte.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::pages::{HEADER_PAGES, hex, page_with, pages};
use super::shelf::RecordingShelf;
use crate::audio::LINE_FRAME;
use crate::audio::opus::StereoEncoder;

/// A packet, milliseconds.
const PACKET_MS: u64 = 20;
/// Packets that are replaced before and after the span: a codec's frame reaches over into its neighbours.
const MARGIN_PACKETS: u64 = 1;
/// Packets of silence until an encoder has forgotten how it began.
const SETTLING: usize = 8;

/// A recording after a span was made silent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silenced {
    /// The file as it is now.
    pub file: Vec<u8>,
    /// The pages that are others now: numbers from 0, two headers first.
    pub first_page: u64,
    pub last_page: u64,
    /// SHA-256 in hex: of the file before and now, and of all pages that stayed, one after the other.
    pub sha256_before: String,
    pub sha256_after: String,
    pub rest_sha256: String,
}

/// Makes `from_ms..to_ms` of a recording silent, to the packet, and one packet more on both sides. `None` where the recording has no
/// sound there.
///
/// # Errors
/// When it is no file of ours.
pub fn silenced(file: &[u8], from_ms: u64, to_ms: u64) -> io::Result<Option<Silenced>> {
    let first = (from_ms / PACKET_MS).saturating_sub(MARGIN_PACKETS);
    // What is decoded lags behind what went in by less than a packet.
    let last = to_ms.div_ceil(PACKET_MS) + MARGIN_PACKETS;
    let silence = silent_packet()?;
    let (mut changed, mut made) = (Vec::new(), Vec::with_capacity(file.len()));
    let mut rest = Sha256::new();
    for (n, page) in pages(file)?.iter().enumerate() {
        let from = page.first_packet;
        let behind = from.saturating_add(page.packets.len() as u64);
        let as_it_was = &file[page.bytes.clone()];
        if n < HEADER_PAGES || from > last || behind <= first {
            rest.update(as_it_was);
            made.extend_from_slice(as_it_was);
            continue;
        }
        let inside = |number: u64| (first..=last).contains(&number);
        let packets: Vec<&[u8]> = (from..)
            .zip(&page.packets)
            .map(|(number, packet)| if inside(number) { &silence[..] } else { &file[packet.clone()] })
            .collect();
        made.extend(page_with(as_it_was, &packets)?);
        changed.push(n as u64);
    }
    let (Some(first_page), Some(last_page)) = (changed.first().copied(), changed.last().copied()) else {
        return Ok(None);
    };
    Ok(Some(Silenced {
        first_page,
        last_page,
        sha256_before: hex(&Sha256::digest(file)),
        sha256_after: hex(&Sha256::digest(&made)),
        rest_sha256: hex(&rest.finalize()),
        file: made,
    }))
}

/// What an encoder that has heard nothing but silence says of it.
pub(super) fn silent_packet() -> io::Result<Vec<u8>> {
    let mut encoder = StereoEncoder::new().map_err(io::Error::other)?;
    let mut packet = Vec::new();
    for _ in 0..SETTLING {
        packet = encoder.encode(&[0.0; LINE_FRAME], &[0.0; LINE_FRAME]).map_err(io::Error::other)?.to_vec();
    }
    Ok(packet)
}

/// The end of the name of a file that is to take a recording's place.
const WAITING: &str = ".redacted";

fn waiting(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(WAITING);
    name.into()
}

/// The recordings of a folder whose place a file waits to take: call and path.
pub(super) fn waiting_in(folder: &Path) -> Vec<(String, PathBuf)> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let of = |file: std::fs::DirEntry| {
        let name = file.file_name().into_string().ok()?;
        let recording = name.strip_suffix(WAITING)?;
        Some((recording.strip_suffix(".ogg")?.to_owned(), folder.join(recording)))
    };
    files.filter_map(of).collect()
}

/// Puts a file beside the recording, to take its place; gives the id of the key that it is sealed with. `was`: that of the recording
/// until now.
///
/// # Errors
/// When the disk does not take it.
pub fn put_beside(shelf: &RecordingShelf, path: &Path, file: &[u8], was: Option<&str>) -> io::Result<Option<String>> {
    let (bytes, key_id) = shelf.to_keep(file, was)?;
    let mut beside = File::create(waiting(path))?;
    beside.write_all(&bytes)?;
    beside.sync_all()?;
    Ok(key_id)
}

/// Has it take the recording's place: the sound that was taken out is gone.
///
/// # Errors
/// When the folder cannot be written.
pub fn take_place(path: &Path) -> io::Result<()> {
    std::fs::rename(waiting(path), path)?;
    // The name is durable when its folder is.
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// A server that stopped between the two: the file takes the recording's place where the row says that it is to have (`sha256`),
/// and goes otherwise. True where it took it.
pub fn settle_place(shelf: &RecordingShelf, path: &Path, sha256: Option<&str>) -> bool {
    let beside = waiting(path);
    let Ok(file) = std::fs::read(&beside).and_then(|file| shelf.keys.opened(file)) else { return false };
    if sha256 == Some(hex(&Sha256::digest(&file)).as_str()) {
        return take_place(path).is_ok();
    }
    let _ = std::fs::remove_file(beside);
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::LINE_RATE;
    use crate::recording::{OggFile, page_hashes, read};

    /// Six seconds of a tone on both sides, as the recorder writes them.
    fn six_seconds(path: &Path) {
        let mut encoder = StereoEncoder::new().expect("an encoder");
        let mut file = OggFile::create(path, encoder.pre_skip(), &[]).expect("a file");
        for n in 0..300 {
            let tone = |hz: f32| -> [f32; LINE_FRAME] {
                std::array::from_fn(|k| {
                    0.4 * (std::f32::consts::TAU * hz * (n * LINE_FRAME + k) as f32 / LINE_RATE as f32).sin()
                })
            };
            file.packet(encoder.encode(&tone(440.0), &tone(1_000.0)).expect("a packet").to_vec());
        }
        file.finish(encoder.encode(&[0.0; LINE_FRAME], &[0.0; LINE_FRAME]).expect("a packet").to_vec());
    }

    fn loudest(side: &[f32], from_ms: usize, to_ms: usize) -> f32 {
        let at = |ms: usize| ms * LINE_RATE as usize / 1_000;
        side[at(from_ms)..at(to_ms)].iter().fold(0.0, |most, sample| most.max(sample.abs()))
    }

    #[test]
    fn the_span_is_silent_and_every_other_page_is_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("call.ogg");
        six_seconds(&path);
        let before = std::fs::read(&path).expect("readable");
        let silenced = silenced(&before, 2_300, 3_400).expect("a file of ours").expect("sound there");
        put_beside(&RecordingShelf::default(), &path, &silenced.file, None).expect("written");
        take_place(&path).expect("renamed");
        for side in read(&path).expect("playable") {
            assert_eq!(side.len(), 300 * LINE_FRAME, "no sample is gone");
            assert!(loudest(&side, 2_300, 3_400) < 0.001, "{}", loudest(&side, 2_300, 3_400));
            assert!(loudest(&side, 500, 2_200) > 0.3 && loudest(&side, 3_600, 5_900) > 0.3);
            assert!(loudest(&side, 3_400, 3_700) < 0.8, "no bang after it");
        }
        let (was, is) = (page_hashes(&before).expect("pages"), page_hashes(&silenced.file).expect("pages"));
        let changed: Vec<usize> = (0..was.len()).filter(|n| was[*n] != is[*n]).collect();
        assert_eq!(changed, [4, 5], "two headers, then a page a second");
        assert_eq!((silenced.first_page, silenced.last_page), (4, 5));
    }

    #[test]
    fn a_span_behind_the_end_changes_nothing_and_a_long_one_leaves_the_headers() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("call.ogg");
        six_seconds(&path);
        let file = std::fs::read(&path).expect("readable");
        assert_eq!(silenced(&file, 60_000, 61_000).expect("a file of ours"), None);
        let all = silenced(&file, 0, u64::MAX / 2).expect("a file of ours").expect("sound there");
        assert_eq!(all.first_page, 2);
        assert!(silenced(b"no such file", 0, 1_000).is_err());
    }

    /// A file of before, without packets for what a full disk did not take: the third and fourth second are not in it.
    #[test]
    fn behind_a_hole_the_span_lies_where_the_call_had_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("call.ogg");
        six_seconds(&path);
        let whole = std::fs::read(&path).expect("readable");
        let found = pages(&whole).expect("pages");
        let holed = [&whole[..found[4].bytes.start], &whole[found[6].bytes.start..]].concat();
        std::fs::write(&path, &holed).expect("written");
        let heard = read(&path).expect("playable");
        assert_eq!(heard[0].len(), 300 * LINE_FRAME);
        assert!(loudest(&heard[0], 2_100, 3_900) < 0.001 && loudest(&heard[1], 4_100, 5_900) > 0.3);
        let silenced = silenced(&holed, 4_300, 4_700).expect("a file of ours").expect("sound there");
        std::fs::write(&path, &silenced.file).expect("written");
        for side in read(&path).expect("playable") {
            assert!(loudest(&side, 4_300, 4_700) < 0.001, "{}", loudest(&side, 4_300, 4_700));
            assert!(loudest(&side, 4_100, 4_250) > 0.3 && loudest(&side, 5_000, 5_900) > 0.3);
        }
        assert_eq!(
            (silenced.first_page, silenced.last_page),
            (4, 4),
            "the fifth second is the fifth page of this file"
        );
    }

    #[test]
    fn a_server_that_stopped_in_between_ends_what_its_row_says() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("call.ogg");
        for (row, after) in [(Some(hex(&Sha256::digest(b"new"))), "new"), (Some("0".repeat(64)), "old"), (None, "old")]
        {
            std::fs::write(&path, "old").expect("written");
            put_beside(&RecordingShelf::default(), &path, b"new", None).expect("written");
            assert_eq!(settle_place(&RecordingShelf::default(), &path, row.as_deref()), after == "new");
            assert_eq!(std::fs::read_to_string(&path).expect("readable"), after);
            assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
        }
    }
}
