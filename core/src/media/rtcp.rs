//! RTCP as it comes from a telephone (RFC 3550, section 6): who has sent what, and what was received of it. Total over any bytes: one
//! compound is read as a whole or not at all.

/// A sender report or a receiver report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Who says it.
    pub source: u32,
    /// When a sender report was written, by its own clock: seconds since 1900, of 2^-32 each. `None`: a receiver report.
    pub ntp_time: Option<u64>,
    pub blocks: Vec<Block>,
}

/// What was received of one source (section 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    pub about: u32,
    pub fraction_lost: u8,
    /// 24 bits, with a sign.
    pub lost: u32,
    pub highest: u32,
    /// In units of the RTP clock.
    pub jitter: u32,
    /// The middle 32 bits of its NTP time; 0: none has come.
    pub last_sender_report: u32,
    /// Since then, in units of 1/65536 s.
    pub delay: u32,
}

const SENDER: u8 = 200;
const RECEIVER: u8 = 201;
/// RTCP's own, so that it can be told from RTP (RFC 5761, section 4): 192 to 223.
const TYPES: std::ops::RangeInclusive<u8> = 192..=223;
const HEAD: usize = 4;
const SENDER_INFO: usize = 20;
const BLOCK: usize = 24;

/// The reports in a compound; other packets in it (names, goodbyes, feedback) are passed over. `None` for what is no RTCP.
pub fn read(compound: &[u8]) -> Option<Vec<Report>> {
    let (mut rest, mut reports) = (compound, Vec::new());
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let head: [u8; HEAD] = rest.get(..HEAD)?.try_into().ok()?;
        let (version, count, kind) = (head[0] >> 6, usize::from(head[0] & 0x1f), head[1]);
        // In words of four bytes, the head not counted.
        let length = HEAD + 4 * usize::from(u16::from_be_bytes([head[2], head[3]]));
        if version != 2 || !TYPES.contains(&kind) {
            return None;
        }
        let (packet, after) = rest.split_at_checked(length)?;
        rest = after;
        let body = &packet[HEAD..];
        match kind {
            SENDER => reports.push(report(body, true, count)?),
            RECEIVER => reports.push(report(body, false, count)?),
            _ => {}
        }
    }
    Some(reports)
}

/// What stands behind the blocks is an extension of somebody's (section 6.4.3), or padding.
fn report(body: &[u8], sends: bool, count: usize) -> Option<Report> {
    let source = word(body, 0)?;
    let ntp_time = if sends { Some(u64::from(word(body, 4)?) << 32 | u64::from(word(body, 8)?)) } else { None };
    let begin = 4 + if sends { SENDER_INFO } else { 0 };
    let blocks = body.get(begin..begin + count * BLOCK)?.chunks_exact(BLOCK).map(block).collect::<Option<_>>()?;
    Some(Report { source, ntp_time, blocks })
}

fn block(bytes: &[u8]) -> Option<Block> {
    let loss = word(bytes, 4)?;
    Some(Block {
        about: word(bytes, 0)?,
        fraction_lost: (loss >> 24) as u8,
        lost: loss & 0x00ff_ffff,
        highest: word(bytes, 8)?,
        jitter: word(bytes, 12)?,
        last_sender_report: word(bytes, 16)?,
        delay: word(bytes, 20)?,
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    /// A sender report with one block, a name ("a", and its end), and a goodbye.
    fn compound() -> Vec<u8> {
        let sender =
            [0x81c8_000c, 7, 0x1234_5678, 0x9abc_def0, 8_000, 50, 8_000, 9, 0x40ff_ffff, 59, 3, 0x5678_9abc, 65_536];
        let name = [0x81ca_0002, 7, 0x0101_6100];
        words(&[&sender[..], &name, &[0x81cb_0001, 7]].concat())
    }

    #[test]
    fn a_compound_says_who_sent_and_what_was_received_of_whom() {
        let block = Block {
            about: 9,
            fraction_lost: 0x40,
            lost: 0x00ff_ffff,
            highest: 59,
            jitter: 3,
            last_sender_report: 0x5678_9abc,
            delay: 65_536,
        };
        let sent = Report { source: 7, ntp_time: Some(0x1234_5678_9abc_def0), blocks: vec![block] };
        assert_eq!(read(&compound()), Some(vec![sent]));
        let quiet = words(&[0x80c9_0001, 7]);
        assert_eq!(read(&quiet), Some(vec![Report { source: 7, ntp_time: None, blocks: Vec::new() }]));
        // What somebody has put behind the blocks does not matter.
        let extended = words(&[0x80c9_0002, 7, 1]);
        assert_eq!(read(&extended), read(&quiet));
    }

    #[test]
    fn what_is_cut_off_or_none_of_it_is_not_read_in_parts() {
        let whole = compound();
        let ends: Vec<usize> = (0..=whole.len()).filter(|end| read(&whole[..*end]).is_some()).collect();
        assert_eq!(ends, [52, 64, 72], "where a packet ends");
        for (at, value) in [(0, 0x41), (0, 0x9f), (1, 100), (1, 224), (3, 5)] {
            let mut broken = whole.clone();
            broken[at] = value;
            assert_eq!(read(&broken), None, "{at}: {value:#x}");
        }
        assert_eq!(read(b"nonsense"), None);
    }
}
