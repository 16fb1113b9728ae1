//! The agent's end of the line: one Opus packet per tick, silence included, never ahead of real time; alone or with copies
//! of earlier ones, as the line needs it.

use tokio::time::Instant;

use crate::audio::LINE_FRAME;
use crate::audio::opus::{OpusEncoder, OpusError};
use crate::journal::DownlinkRow;
use crate::media::downlink::{Downlink, DownlinkSettings, Plan};
use crate::media::red::Repeats;
use crate::peer::PeerLine;

/// Sequence, timestamp and encoder of one outgoing stream.
pub struct Mouth {
    encoder: OpusEncoder,
    plan: Plan,
    repeats: Repeats,
    sequence: u16,
    /// RTP clock of Opus: 48 kHz. Advances every tick, silence included, so that the receiver never sees a gap.
    timestamp: u32,
    /// The next packet begins a talk spurt (RFC 3551, section 4.1).
    quiet: bool,
    sent: u64,
    /// What was sent since the last row about it.
    unwritten: DownlinkRow,
}

impl Mouth {
    /// `sequence` and `timestamp` should be random (RFC 3550, section 5.1).
    ///
    /// # Errors
    /// When libopus cannot make an encoder.
    pub fn new(sequence: u16, timestamp: u32, settings: DownlinkSettings) -> Result<Self, OpusError> {
        let plan = Downlink::new(settings).plan();
        Ok(Self {
            encoder: OpusEncoder::new(plan.opus)?,
            plan,
            repeats: Repeats::default(),
            sequence,
            timestamp,
            quiet: true,
            sent: 0,
            unwritten: DownlinkRow::default(),
        })
    }

    /// Sends one frame, which was to leave at `due`.
    pub fn send(&mut self, frame: &[f32; LINE_FRAME], speech: bool, due: Instant, line: &PeerLine) {
        let marker = speech && self.quiet;
        self.quiet = !speech;
        if let Ok(payload) = self.encoder.encode(frame) {
            let agreed = line.agreed();
            let (payload_type, payload, copies) = match agreed.red.filter(|_| !self.plan.copies.is_empty()) {
                Some(red) => {
                    let (packed, copies) = self.repeats.pack(agreed.opus, self.timestamp, &payload, self.plan.copies);
                    (red, packed, copies)
                }
                None => {
                    self.repeats.remember(self.timestamp, payload.clone());
                    (agreed.opus, payload, 0)
                }
            };
            self.unwritten.packets_sent += 1;
            self.unwritten.copies_sent += u64::from(copies);
            self.unwritten.payload_bytes += payload.len() as u64;
            line.send_as(payload_type, (self.sequence, self.timestamp), marker, payload, Some(due));
            self.sent += 1;
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(LINE_FRAME as u32);
    }

    /// Sends like this from now on.
    pub fn follow(&mut self, plan: Plan) {
        self.plan = plan;
        if let Err(why) = self.encoder.tune(plan.opus) {
            // libopus takes every plan's settings (core/src/media/downlink/tests.rs); should it not, the old ones stand.
            tracing::warn!(%why, "the voice is encoded as before");
        }
    }

    /// What was sent since the last time this was asked, and how it is sent from here on. The call, the moment and the
    /// report are the asker's to fill in.
    pub fn take_row(&mut self) -> DownlinkRow {
        let row = std::mem::take(&mut self.unwritten);
        DownlinkRow {
            copies: self.plan.copies.len() as u8,
            fec_percent: self.plan.opus.expected_loss_percent,
            bitrate_bps: self.plan.opus.bitrate_bps,
            ..row
        }
    }

    /// Packets sent so far.
    pub fn sent(&self) -> u64 {
        self.sent
    }
}
