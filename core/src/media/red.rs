//! Redundant audio data (RFC 2198): each packet carries the packets before it once more, whole, so that a lost one is back
//! with the next that arrives. Packing, parsing, and what each side keeps for it.
//!
//! A copy costs its bits again and no quality; a copy that is k packets old helps whoever waits k packets. That is the
//! receiver's affair: a browser's jitter buffer takes what is there in time and conceals the rest.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};

use super::rtp::RtpPacket;
use crate::audio::opus;

/// Copies that are sent with a packet at most: with them a voice of 32 kb/s takes 200 kb/s.
pub const MOST_COPIES: usize = 4;
/// The oldest packet that can be sent again, in packets.
pub const OLDEST: u8 = 8;
/// The timestamp offset has 14 bits: 341 ms of Opus's clock.
pub const MOST_OFFSET: u32 = (1 << 14) - 1;
/// The length of a block has 10 bits; the primary's has no limit.
pub const MOST_BLOCK_BYTES: usize = (1 << 10) - 1;
/// Blocks in one packet that are read: as many as there are 10 ms packets in the longest offset.
const MOST_BLOCKS: usize = 35;
/// A packet may not outgrow what every path carries whole: an IPv6 minimum MTU of 1,280 less IP, UDP, RTP, SRTP and an
/// extension or two.
const MOST_PACKET_BYTES: usize = 1_150;
/// Packets whose arrival is remembered, 1.3 s: more than the longest offset.
const REMEMBERED: usize = 64;

/// One block of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub payload_type: u8,
    /// How much older than the packet's timestamp, in its units; 0 is the primary.
    pub offset: u32,
    pub payload: Bytes,
}

/// Why a payload is no RFC 2198.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedFault {
    #[error("the payload ends within its headers")]
    Headers,
    #[error("the payload ends within a block")]
    Blocks,
    #[error("more than {MOST_BLOCKS} blocks")]
    TooMany,
}

/// Packs `redundant`, oldest first, and the primary. Blocks that the format cannot carry (too old, too long, an offset of
/// nothing) are left out, and the oldest are where the packet would become too long; gives back how many are in it.
pub fn pack(payload_type: u8, primary: &[u8], redundant: &[(u32, Bytes)]) -> (Bytes, u8) {
    let fits = |(offset, block): &&(u32, Bytes)| {
        (1..=MOST_OFFSET).contains(offset) && (1..=MOST_BLOCK_BYTES).contains(&block.len())
    };
    let mut bytes = 1 + primary.len();
    // The youngest first: they help soonest.
    let mut taken: Vec<&(u32, Bytes)> = Vec::with_capacity(redundant.len());
    for block in redundant.iter().rev().filter(fits).take(MOST_BLOCKS - 1) {
        bytes += 4 + block.1.len();
        if bytes > MOST_PACKET_BYTES {
            break;
        }
        taken.push(block);
    }
    taken.reverse();
    let mut out = BytesMut::with_capacity(bytes);
    for (offset, block) in &taken {
        out.put_u8(0x80 | payload_type);
        out.put_uint(u64::from(*offset) << 10 | block.len() as u64, 3);
    }
    out.put_u8(payload_type & 0x7f);
    taken.iter().for_each(|(_, block)| out.extend_from_slice(block));
    out.extend_from_slice(primary);
    (out.freeze(), taken.len() as u8)
}

/// Reads a payload: the blocks as they stand in it, the primary last. Total over any bytes.
///
/// # Errors
/// When it breaks the format; nothing of it can be trusted then.
pub fn parse(payload: &Bytes) -> Result<Vec<Block>, RedFault> {
    let mut heads = Vec::new();
    let mut at = 0;
    loop {
        let first = *payload.get(at).ok_or(RedFault::Headers)?;
        let payload_type = first & 0x7f;
        if first & 0x80 == 0 {
            at += 1;
            heads.push((payload_type, 0, None));
            break;
        }
        let rest = payload.get(at + 1..at + 4).ok_or(RedFault::Headers)?;
        let bits = u32::from(rest[0]) << 16 | u32::from(rest[1]) << 8 | u32::from(rest[2]);
        heads.push((payload_type, bits >> 10, Some((bits & 0x3ff) as usize)));
        at += 4;
        if heads.len() >= MOST_BLOCKS {
            return Err(RedFault::TooMany);
        }
    }
    let mut blocks = Vec::with_capacity(heads.len());
    for (payload_type, offset, length) in heads {
        let end = length.map_or(payload.len(), |length| at + length);
        if end > payload.len() {
            return Err(RedFault::Blocks);
        }
        blocks.push(Block { payload_type, offset, payload: payload.slice(at..end) });
        at = end;
    }
    Ok(blocks)
}

/// The sender's memory: the last payloads, to be sent again.
#[derive(Clone, Debug, Default)]
pub struct Repeats {
    past: VecDeque<(u32, Bytes)>,
}

impl Repeats {
    /// The payload of `timestamp` with those that are so many packets older (1..=[`OLDEST`], nearest first), and how many
    /// of them are in it.
    pub fn pack(&mut self, payload_type: u8, timestamp: u32, primary: &Bytes, copies: &[u8]) -> (Bytes, u8) {
        let older = |distance: &u8| {
            let (at, payload) = self.past.get(self.past.len().checked_sub(usize::from(*distance))?)?;
            Some((timestamp.wrapping_sub(*at), payload.clone()))
        };
        let older: Vec<(u32, Bytes)> = copies.iter().take(MOST_COPIES).rev().filter_map(older).collect();
        let packed = pack(payload_type, primary, &older);
        self.remember(timestamp, primary.clone());
        packed
    }

    /// A payload has left by itself; later ones may carry it.
    pub fn remember(&mut self, timestamp: u32, payload: Bytes) {
        self.past.push_back((timestamp, payload));
        if self.past.len() > usize::from(OLDEST) {
            self.past.pop_front();
        }
    }
}

/// What redundancy has done for a receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RedCounts {
    /// Packets that came in another packet before, or instead of, their own.
    pub recovered: u64,
    /// Payloads and blocks that make no sense.
    pub malformed: u64,
}

/// The receiver's side: makes ordinary packets of redundant ones, each once.
#[derive(Clone, Debug, Default)]
pub struct Unpacker {
    ssrc: u32,
    seen: VecDeque<u16>,
    counts: RedCounts,
}

impl Unpacker {
    /// A packet that came by itself.
    pub fn saw(&mut self, packet: &RtpPacket) {
        if packet.ssrc != self.ssrc {
            self.seen.clear();
            self.ssrc = packet.ssrc;
        }
        if !self.seen.contains(&packet.sequence) {
            self.seen.push_back(packet.sequence);
            if self.seen.len() > REMEMBERED {
                self.seen.pop_front();
            }
        }
    }

    /// What a redundant packet holds, oldest first: the packets of payload type `opus` that have not come yet, and its
    /// primary in any case. Empty when it makes no sense.
    pub fn open(&mut self, packet: &RtpPacket, opus: u8) -> Vec<RtpPacket> {
        let Ok(mut blocks) = parse(&packet.payload) else {
            self.counts.malformed += 1;
            return Vec::new();
        };
        let primary = blocks.pop().filter(|block| block.payload_type == opus);
        let Some(primary) = primary else {
            self.counts.malformed += 1;
            return Vec::new();
        };
        let mut packets = Vec::with_capacity(blocks.len() + 1);
        // One packet does not prove another sender (RFC 3550, appendix A.1); two out of one datagram would.
        if packet.ssrc == self.ssrc || self.seen.is_empty() {
            self.ssrc = packet.ssrc;
            blocks.sort_by_key(|block| std::cmp::Reverse(block.offset));
            for block in blocks {
                packets.extend(self.older(packet, block, opus));
            }
        }
        let primary = RtpPacket { payload_type: opus, payload: primary.payload, ..packet.clone() };
        self.saw(&primary);
        packets.push(primary);
        packets
    }

    /// What has been made of redundancy so far.
    pub const fn counts(&self) -> RedCounts {
        self.counts
    }

    /// The packet that a block is a copy of, if it has not come yet. A block tells its age and not its number; that is
    /// its age in packets of its own length.
    fn older(&mut self, packet: &RtpPacket, block: Block, opus: u8) -> Option<RtpPacket> {
        let length = opus::packet_samples(&block.payload)
            .filter(|length| block.payload_type == opus && block.offset > 0 && block.offset.is_multiple_of(*length));
        let Some(length) = length else {
            self.counts.malformed += 1;
            return None;
        };
        let sequence = packet.sequence.wrapping_sub((block.offset / length) as u16);
        if self.seen.contains(&sequence) {
            return None;
        }
        self.counts.recovered += 1;
        let older = RtpPacket {
            payload_type: opus,
            sequence,
            timestamp: packet.timestamp.wrapping_sub(block.offset),
            ssrc: packet.ssrc,
            marker: false,
            payload: block.payload,
        };
        self.saw(&older);
        Some(older)
    }
}

#[cfg(test)]
mod tests;
