//! The pages of a recording as they lie in its file (RFC 3533, section 6): what is hashed one by one, and what a redaction changes.

use std::io;
use std::ops::Range;

use sha2::{Digest as _, Sha256};

use super::ogg_file::{GRANULE_AT, first_packet_of};

/// A page's head without its table of segments.
const HEAD_BYTES: usize = 27;
/// Where the checksum and the number of segments lie.
const CHECKSUM_AT: usize = 22;
const SEGMENTS_AT: usize = 26;
/// The flag of a page that begins with the rest of a packet.
const CONTINUED: u8 = 1;
/// The first two pages are headers (RFC 7845, section 3).
pub(super) const HEADER_PAGES: usize = 2;

/// A page and the packets in it, as places in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub bytes: Range<usize>,
    /// The number of its first packet on the call's clock, headers not counted: a page before it may be missing.
    pub first_packet: u64,
    pub packets: Vec<Range<usize>>,
}

/// All whole pages, in their order. What a crash has broken off at the end is no page.
///
/// # Errors
/// When it is no file of ours: it begins with something else, or a packet goes on over the end of a page.
pub(super) fn pages(file: &[u8]) -> io::Result<Vec<Page>> {
    let mut pages = Vec::new();
    let mut at = 0;
    while let Some(page) = page_at(file, at)? {
        at = page.bytes.end;
        pages.push(page);
    }
    if pages.len() < HEADER_PAGES {
        return Err(io::Error::other("no headers of Ogg/Opus at its beginning"));
    }
    Ok(pages)
}

fn page_at(file: &[u8], at: usize) -> io::Result<Option<Page>> {
    let Some(head) = file.get(at..at + HEAD_BYTES) else { return Ok(None) };
    if !head.starts_with(b"OggS") || head[5] & CONTINUED != 0 {
        return Err(io::Error::other(format!("no page of ours at byte {at}")));
    }
    let table = at + HEAD_BYTES..at + HEAD_BYTES + usize::from(head[SEGMENTS_AT]);
    let Some(segments) = file.get(table.clone()) else { return Ok(None) };
    let (mut packets, mut from, mut to) = (Vec::new(), table.end, table.end);
    for length in segments {
        to += usize::from(*length);
        // A segment of 255 bytes goes on in the next one.
        if *length < 255 {
            packets.push(from..to);
            from = to;
        }
    }
    if to > file.len() {
        return Ok(None);
    }
    if from != to {
        return Err(io::Error::other(format!("a packet goes on over the end of the page at byte {at}")));
    }
    let granule = head[GRANULE_AT..GRANULE_AT + 8].try_into().map_or(0, u64::from_le_bytes);
    let first_packet = first_packet_of(granule, packets.len() as u64);
    Ok(Some(Page { bytes: at..to, first_packet, packets }))
}

/// A page with the head of `page` and other packets: its granule position, number and flags stay.
pub(super) fn page_with(page: &[u8], packets: &[&[u8]]) -> io::Result<Vec<u8>> {
    let mut segments = Vec::new();
    for packet in packets {
        segments.extend(std::iter::repeat_n(255, packet.len() / 255));
        segments.push((packet.len() % 255) as u8);
    }
    let count = u8::try_from(segments.len()).map_err(|_| io::Error::other("too many segments for one page"))?;
    let mut made = page[..HEAD_BYTES].to_vec();
    made[SEGMENTS_AT] = count;
    made[CHECKSUM_AT..CHECKSUM_AT + 4].fill(0);
    made.extend(segments);
    packets.iter().for_each(|packet| made.extend_from_slice(packet));
    let checksum = checksum(&made);
    made[CHECKSUM_AT..CHECKSUM_AT + 4].copy_from_slice(&checksum.to_le_bytes());
    Ok(made)
}

/// CRC-32 with the polynomial 0x04c11db7, not reflected, from zero (RFC 3533, section 6).
fn checksum(page: &[u8]) -> u32 {
    page.iter().fold(0, |sum: u32, byte| {
        (0..8).fold(sum ^ u32::from(*byte) << 24, |sum, _| sum << 1 ^ if sum >> 31 == 1 { 0x04c1_1db7 } else { 0 })
    })
}

/// SHA-256 of each whole page of a recording, in hex.
///
/// # Errors
/// When it is no file of ours.
pub fn page_hashes(file: &[u8]) -> io::Result<Vec<String>> {
    Ok(pages(file)?.into_iter().map(|page| hex(&Sha256::digest(&file[page.bytes]))).collect())
}

/// In hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::OggFile;
    use proptest::prelude::*;

    fn written(packets: &[Vec<u8>]) -> Vec<u8> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("call.ogg");
        let mut file = OggFile::create(&path, 312, &[("CALL", "one")]).expect("a file");
        for packet in packets {
            file.packet(packet.clone());
        }
        file.finish(vec![1; 3]);
        std::fs::read(&path).expect("readable")
    }

    #[test]
    fn every_page_and_packet_is_found_where_it_lies() {
        let packets: Vec<Vec<u8>> = (0..120_usize).map(|n| vec![n as u8; 40 + n * 3]).collect();
        let file = written(&packets);
        let found = pages(&file).expect("pages");
        assert_eq!(found.last().map(|page| page.bytes.end), Some(file.len()));
        let inside: Vec<&[u8]> =
            found.iter().flat_map(|page| &page.packets).map(|packet| &file[packet.clone()]).collect();
        assert_eq!(inside.len(), 2 + 121);
        assert!(inside[2..122].iter().zip(&packets).all(|(found, written)| found == written));
        // A page that is made of its own packets is the page itself, its checksum included.
        for page in &found {
            let own: Vec<&[u8]> = page.packets.iter().map(|packet| &file[packet.clone()]).collect();
            assert_eq!(page_with(&file[page.bytes.clone()], &own).expect("a page"), &file[page.bytes.clone()]);
        }
        assert_eq!(page_hashes(&file).expect("hashes").len(), found.len());
    }

    #[test]
    fn what_a_crash_broke_off_is_no_page() {
        let file = written(&vec![vec![9; 100]; 120]);
        let all = pages(&file).expect("pages");
        let cut = pages(&file[..file.len() - 10]).expect("pages");
        assert_eq!(cut, all[..all.len() - 1]);
    }

    proptest! {
        #[test]
        fn bytes_of_any_kind_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), cut in 0_usize..6_000) {
            let _ = pages(&bytes);
            let mut file = written(&vec![vec![9; 100]; 60]);
            for (n, byte) in bytes.iter().enumerate() {
                let at = (cut + n * 37) % file.len();
                file[at] = *byte;
            }
            let _ = page_hashes(&file);
        }
    }
}
