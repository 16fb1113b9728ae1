//! The records of a journal: packets and ticks in a few bytes, everything else as JSON. A block of them is read by itself: the
//! differences that it is made of begin anew with each.

use bytes::Bytes;
use duologue_signaling::event::Stamped;

use crate::machine::Happening;
use crate::media::ear::Sensed;
use crate::media::rtp::RtpPacket;
use crate::time::{CallTime, TICK};

/// One line of a journal.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A tick came, which was due at `due`, and this was made of its sound.
    Beat { at: CallTime, due: CallTime, sensed: Sensed },
    /// Something happened.
    Happened { at: CallTime, what: Happening },
    /// The client was told this.
    Said(String),
    /// Everything that was done so far, in one number.
    Done(u64),
    /// So many records were lost here: the disk was behind.
    Lost(u64),
}

/// Why a block cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    #[error("a record ends before it should")]
    Short,
    #[error("no record begins with {0}")]
    Unknown(u8),
    #[error("a number is too large")]
    Number,
    #[error("a happening cannot be read: {0}")]
    Happening(String),
}

const BEAT: u8 = 0;
const RTP: u8 = 1;
const OTHER: u8 = 2;
const SAID: u8 = 3;
const DONE: u8 = 4;
const LOST: u8 = 5;

/// What is different from the record before; one bit each.
mod beat {
    pub const PROBABILITY: u8 = 1;
    pub const ECHO: u8 = 2;
    pub const LEVEL: u8 = 4;
    pub const STRETCHED: u8 = 8;
    pub const DUE: u8 = 16;
}
mod rtp {
    pub const MARKER: u8 = 1;
    pub const SEQUENCE: u8 = 2;
    pub const TIMESTAMP: u8 = 4;
    pub const SOURCE: u8 = 8;
}

/// What differences are taken from.
#[derive(Clone, Debug, Default)]
struct Before {
    at: u64,
    due: u64,
    sensed: Sensed,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
}

impl Before {
    fn next_due(&self) -> u64 {
        self.due.wrapping_add(TICK.as_micros() as u64)
    }
}

/// Writes a block.
#[derive(Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
    before: Before,
    records: u64,
}

impl Writer {
    pub fn beat(&mut self, at: CallTime, due: CallTime, sensed: Sensed) {
        let before = self.before.sensed;
        let differs = |flag: u8, a: f32, b: f32| if a.to_bits() == b.to_bits() { 0 } else { flag };
        let mut flags = differs(beat::PROBABILITY, sensed.probability, before.probability)
            | differs(beat::ECHO, sensed.echo_likelihood, before.echo_likelihood)
            | differs(beat::LEVEL, sensed.level_dbfs, before.level_dbfs);
        if sensed.stretched != 0 {
            flags |= beat::STRETCHED;
        }
        let due = due.us();
        if due != self.before.next_due() {
            flags |= beat::DUE;
        }
        self.begin(BEAT, at);
        self.out.push(flags);
        for (flag, value) in [
            (beat::PROBABILITY, sensed.probability),
            (beat::ECHO, sensed.echo_likelihood),
            (beat::LEVEL, sensed.level_dbfs),
        ] {
            if flags & flag != 0 {
                self.out.extend_from_slice(&value.to_le_bytes());
            }
        }
        if flags & beat::STRETCHED != 0 {
            self.signed(i64::from(sensed.stretched));
        }
        if flags & beat::DUE != 0 {
            self.signed(due.wrapping_sub(self.before.next_due()) as i64);
        }
        self.before.sensed = Sensed { stretched: 0, ..sensed };
        self.before.due = due;
    }

    pub fn happened(&mut self, at: CallTime, what: &Happening) {
        if let Happening::Rtp { arrived, packet } = what {
            return self.packet(at, *arrived, packet);
        }
        // What cannot be written is told when it is read: a number that is none.
        let json = serde_json::to_vec(what).unwrap_or_default();
        self.begin(OTHER, at);
        self.bytes(&json);
    }

    fn packet(&mut self, at: CallTime, arrived: CallTime, packet: &RtpPacket) {
        let before = &self.before;
        let mut flags = if packet.marker { rtp::MARKER } else { 0 };
        if packet.sequence != before.sequence.wrapping_add(1) {
            flags |= rtp::SEQUENCE;
        }
        if packet.timestamp != before.timestamp.wrapping_add(960) {
            flags |= rtp::TIMESTAMP;
        }
        if packet.ssrc != before.ssrc {
            flags |= rtp::SOURCE;
        }
        self.begin(RTP, at);
        self.signed(at.us().wrapping_sub(arrived.us()) as i64);
        self.out.extend([flags, packet.payload_type]);
        if flags & rtp::SEQUENCE != 0 {
            self.out.extend_from_slice(&packet.sequence.to_le_bytes());
        }
        if flags & rtp::TIMESTAMP != 0 {
            self.out.extend_from_slice(&packet.timestamp.to_le_bytes());
        }
        if flags & rtp::SOURCE != 0 {
            self.out.extend_from_slice(&packet.ssrc.to_le_bytes());
        }
        self.bytes(&packet.payload);
        (self.before.sequence, self.before.timestamp, self.before.ssrc) =
            (packet.sequence, packet.timestamp, packet.ssrc);
    }

    /// An event as it was sent to the client.
    pub fn said(&mut self, event: &Stamped) {
        let json = serde_json::to_vec(event).unwrap_or_default();
        self.tag(SAID);
        self.bytes(&json);
    }

    pub fn done(&mut self, digest: u64) {
        self.tag(DONE);
        self.out.extend_from_slice(&digest.to_le_bytes());
    }

    pub fn lost(&mut self, records: u64) {
        self.tag(LOST);
        self.number(records);
    }

    /// Bytes so far.
    pub const fn len(&self) -> usize {
        self.out.len()
    }

    pub const fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// The block, and how many records are in it; another one begins.
    pub fn take(&mut self) -> (Vec<u8>, u64) {
        let Self { out, records, .. } = std::mem::take(self);
        (out, records)
    }

    fn tag(&mut self, tag: u8) {
        self.out.push(tag);
        self.records += 1;
    }

    fn begin(&mut self, tag: u8, at: CallTime) {
        self.tag(tag);
        // A call's clock never goes back; should it, the difference still comes round.
        self.signed(at.us().wrapping_sub(self.before.at) as i64);
        self.before.at = at.us();
    }

    /// Seven bits a byte, the lowest first.
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.out.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.out.push(number as u8);
    }

    fn signed(&mut self, number: i64) {
        self.number(((number << 1) ^ (number >> 63)) as u64);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }
}

/// The records of a block.
///
/// # Errors
/// At the first that cannot be read.
pub fn read(block: &[u8]) -> Result<Vec<Record>, RecordFault> {
    let mut reader = Reader { rest: block, before: Before::default() };
    let mut records = Vec::new();
    while !reader.rest.is_empty() {
        records.push(reader.record()?);
    }
    Ok(records)
}

struct Reader<'a> {
    rest: &'a [u8],
    before: Before,
}

impl Reader<'_> {
    fn record(&mut self) -> Result<Record, RecordFault> {
        match self.byte()? {
            BEAT => self.beat(),
            RTP => self.packet(),
            OTHER => {
                let at = self.at()?;
                let what =
                    serde_json::from_slice(self.bytes()?).map_err(|why| RecordFault::Happening(why.to_string()))?;
                Ok(Record::Happened { at, what })
            }
            SAID => Ok(Record::Said(String::from_utf8_lossy(self.bytes()?).into_owned())),
            DONE => Ok(Record::Done(u64::from_le_bytes(self.fixed()?))),
            LOST => Ok(Record::Lost(self.number()?)),
            other => Err(RecordFault::Unknown(other)),
        }
    }

    fn beat(&mut self) -> Result<Record, RecordFault> {
        let at = self.at()?;
        let flags = self.byte()?;
        let mut sensed = self.before.sensed;
        for (flag, value) in [
            (beat::PROBABILITY, &mut sensed.probability),
            (beat::ECHO, &mut sensed.echo_likelihood),
            (beat::LEVEL, &mut sensed.level_dbfs),
        ] {
            if flags & flag != 0 {
                *value = f32::from_le_bytes(self.fixed()?);
            }
        }
        self.before.sensed = sensed;
        if flags & beat::STRETCHED != 0 {
            sensed.stretched = i32::try_from(self.signed()?).map_err(|_| RecordFault::Number)?;
        }
        self.before.due = self.before.next_due();
        if flags & beat::DUE != 0 {
            self.before.due = self.before.due.wrapping_add(self.signed()? as u64);
        }
        Ok(Record::Beat { at, due: CallTime::from_us(self.before.due), sensed })
    }

    fn packet(&mut self) -> Result<Record, RecordFault> {
        let at = self.at()?;
        let arrived = CallTime::from_us(at.us().wrapping_sub(self.signed()? as u64));
        let (flags, payload_type) = (self.byte()?, self.byte()?);
        let before = &self.before;
        let (mut sequence, mut timestamp, mut ssrc) =
            (before.sequence.wrapping_add(1), before.timestamp.wrapping_add(960), before.ssrc);
        if flags & rtp::SEQUENCE != 0 {
            sequence = u16::from_le_bytes(self.fixed()?);
        }
        if flags & rtp::TIMESTAMP != 0 {
            timestamp = u32::from_le_bytes(self.fixed()?);
        }
        if flags & rtp::SOURCE != 0 {
            ssrc = u32::from_le_bytes(self.fixed()?);
        }
        let payload = Bytes::copy_from_slice(self.bytes()?);
        (self.before.sequence, self.before.timestamp, self.before.ssrc) = (sequence, timestamp, ssrc);
        let marker = flags & rtp::MARKER != 0;
        let packet = RtpPacket { payload_type, sequence, timestamp, ssrc, marker, payload };
        Ok(Record::Happened { at, what: Happening::Rtp { arrived, packet } })
    }

    fn at(&mut self) -> Result<CallTime, RecordFault> {
        self.before.at = self.before.at.wrapping_add(self.signed()? as u64);
        Ok(CallTime::from_us(self.before.at))
    }

    fn byte(&mut self) -> Result<u8, RecordFault> {
        let (first, rest) = self.rest.split_first().ok_or(RecordFault::Short)?;
        self.rest = rest;
        Ok(*first)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], RecordFault> {
        let (first, rest) = self.rest.split_first_chunk().ok_or(RecordFault::Short)?;
        self.rest = rest;
        Ok(*first)
    }

    fn number(&mut self) -> Result<u64, RecordFault> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(RecordFault::Number)
    }

    fn signed(&mut self) -> Result<i64, RecordFault> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    fn bytes(&mut self) -> Result<&[u8], RecordFault> {
        let length = usize::try_from(self.number()?).map_err(|_| RecordFault::Number)?;
        let (first, rest) = self.rest.split_at_checked(length).ok_or(RecordFault::Short)?;
        self.rest = rest;
        Ok(first)
    }
}
