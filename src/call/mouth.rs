//! The agent's end of the line: one Opus packet per tick, silence included, never ahead of real time.

use crate::audio::LINE_FRAME;
use crate::audio::opus::{OpusEncoder, OpusError, OpusSettings};
use crate::peer::PeerLine;

/// Sequence, timestamp and encoder of one outgoing stream.
pub struct Mouth {
    encoder: OpusEncoder,
    sequence: u16,
    /// RTP clock of Opus: 48 kHz. Advances every tick, silence included, so that the receiver never sees a gap.
    timestamp: u32,
    /// Of the first packet.
    first_timestamp: u32,
    /// The next packet begins a talk spurt (RFC 3551, section 4.1).
    quiet: bool,
    sent: u64,
}

impl Mouth {
    /// `sequence` and `timestamp` should be random (RFC 3550, section 5.1).
    ///
    /// # Errors
    /// When libopus cannot make an encoder.
    pub fn new(sequence: u16, timestamp: u32) -> Result<Self, OpusError> {
        Ok(Self {
            encoder: OpusEncoder::new(OpusSettings::default())?,
            sequence,
            timestamp,
            first_timestamp: timestamp,
            quiet: true,
            sent: 0,
        })
    }

    /// Sends one frame.
    pub fn send(&mut self, frame: &[f32; LINE_FRAME], speech: bool, line: &PeerLine) {
        let marker = speech && self.quiet;
        self.quiet = !speech;
        if let Ok(payload) = self.encoder.encode(frame) {
            line.send_rtp(self.sequence, self.timestamp, marker, payload);
            self.sent += 1;
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(LINE_FRAME as u32);
    }

    /// Where on the line an RTP timestamp of ours lies: samples since the first packet, modulo 2^32.
    pub fn line(&self, timestamp: u32) -> u32 {
        timestamp.wrapping_sub(self.first_timestamp)
    }

    /// Packets sent so far.
    pub fn sent(&self) -> u64 {
        self.sent
    }
}
