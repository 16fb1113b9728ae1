//! The agent's end of the line: one packet per tick, silence included, never ahead of real time; alone or with copies
//! of earlier ones, as the line needs it.

use bytes::Bytes;
use tokio::time::Instant;

use super::keying::{KeyPacket, Keying};
use super::leg::{Line, Outgoing};
use super::relaying::Relay;
use crate::audio::LINE_FRAME;
use crate::audio::codec::{CodecError, LineEncoder};
use crate::journal::DownlinkRow;
use crate::media::downlink::{Downlink, DownlinkSettings, Level, Plan};
use crate::media::red::Repeats;
use crate::media::rtp::RtpPacket;
use crate::peer::Spoken;

/// Sequence, timestamp and encoder of one outgoing stream.
pub struct Mouth {
    spoken: Spoken,
    encoder: LineEncoder,
    plan: Plan,
    repeats: Repeats,
    sequence: u16,
    /// Of the codec's RTP clock. Advances every tick, silence included, so that the receiver never sees a gap.
    timestamp: u32,
    /// The next packet begins a talk spurt (RFC 3551, section 4.1).
    quiet: bool,
    keying: Keying,
    relay: Relay,
    /// Where the stream stands that was passed on last: a packet of our own comes after it.
    relayed_until: Option<u32>,
    sent: u64,
    /// What was sent since the last row about it.
    unwritten: DownlinkRow,
}

impl Mouth {
    /// `sequence` and `timestamp` should be random (RFC 3550, section 5.1).
    ///
    /// # Errors
    /// When libopus cannot make an encoder.
    pub fn new(sequence: u16, timestamp: u32, spoken: Spoken, most: Level) -> Result<Self, CodecError> {
        let plan = Downlink::new(DownlinkSettings { red: spoken.red.is_some(), most }).plan();
        Ok(Self {
            spoken,
            encoder: LineEncoder::new(spoken.codec, plan.opus)?,
            plan,
            repeats: Repeats::default(),
            sequence,
            timestamp,
            quiet: true,
            keying: Keying::default(),
            relay: Relay::default(),
            relayed_until: None,
            sent: 0,
            unwritten: DownlinkRow::default(),
        })
    }

    /// From here on this is spoken. The stream goes on: its numbers count up, in the new codec's clock.
    ///
    /// # Errors
    /// When there is no encoder for it; the old one goes on then.
    pub fn speak(&mut self, spoken: Spoken) -> Result<(), CodecError> {
        if spoken.codec != self.spoken.codec {
            self.encoder = LineEncoder::new(spoken.codec, self.plan.opus)?;
            self.repeats = Repeats::default();
        }
        // Whether copies are read was agreed on with the first offer.
        self.spoken = Spoken { red: None, ..spoken };
        Ok(())
    }

    /// Sends one frame, which was to leave at `due`.
    pub fn send(&mut self, frame: &[f32; LINE_FRAME], speech: bool, due: Instant, line: &dyn Line) {
        self.speak_ourselves();
        if let Some(key) = self.keying.tick(line.key_packets(), self.timestamp) {
            return self.send_key(key, due, line);
        }
        let marker = speech && self.quiet;
        self.quiet = !speech;
        if let Ok(payload) = self.encoder.encode(frame) {
            self.send_payload(payload, (self.sequence, self.timestamp), marker, due, line);
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.pass();
    }

    /// Passes packets of another call on, in this tick; silence of their sender's is silence here. False: nothing is passed on, and a
    /// frame of our own is to be sent.
    pub fn relay(&mut self, packets: &[RtpPacket], due: Instant, line: &dyn Line) -> bool {
        if self.keying.is_pressing() || packets.is_empty() && !self.relay.waits() {
            return false;
        }
        for packet in packets {
            let (sequence, timestamp) = self.relay.number(packet, (self.sequence, self.timestamp));
            self.send_payload(packet.payload.clone(), (sequence, timestamp), packet.marker, due, line);
            let next = sequence.wrapping_add(1);
            if next.wrapping_sub(self.sequence) < u16::MAX / 2 {
                self.sequence = next;
                self.relayed_until = Some(timestamp.wrapping_add(self.spoken.codec.tick_clocks()));
            }
        }
        self.quiet = true;
        self.pass();
        true
    }

    /// From here on packets are our own again; their stamps go on after those that were passed on.
    fn speak_ourselves(&mut self) {
        self.relay.stop();
        if let Some(until) = self.relayed_until.take()
            && until.wrapping_sub(self.timestamp) < u32::MAX / 2
        {
            self.timestamp = until;
        }
    }

    /// What is spoken.
    pub const fn spoken(&self) -> Spoken {
        self.spoken
    }

    fn send_payload(&mut self, payload: Bytes, numbers: (u16, u32), marker: bool, due: Instant, line: &dyn Line) {
        let (spoken, (sequence, timestamp)) = (self.spoken, numbers);
        let (payload_type, payload, copies) = match spoken.red.filter(|_| !self.plan.copies.is_empty()) {
            Some(red) => {
                let (packed, copies) = self.repeats.pack(spoken.payload_type, timestamp, &payload, self.plan.copies);
                (red, packed, copies)
            }
            None => {
                self.repeats.remember(timestamp, payload.clone());
                (spoken.payload_type, payload, 0)
            }
        };
        self.unwritten.packets_sent += 1;
        self.unwritten.copies_sent += u64::from(copies);
        self.unwritten.payload_bytes += payload.len() as u64;
        line.send(Outgoing { payload_type, sequence, timestamp, marker, payload, due });
        self.sent += 1;
    }

    /// Presses these keys, one after the other; meanwhile the voice is not sent.
    pub fn press(&mut self, keys: &str) {
        self.keying.press(keys);
    }

    /// What the voice says in this tick is not sent, and what comes after it begins anew.
    fn send_key(&mut self, key: KeyPacket, due: Instant, line: &dyn Line) {
        let KeyPacket { payload_type, timestamp, marker, payload } = key;
        self.unwritten.packets_sent += 1;
        self.unwritten.payload_bytes += payload.len() as u64;
        line.send(Outgoing { payload_type, sequence: self.sequence, timestamp, marker, payload, due });
        self.sent += 1;
        self.quiet = true;
        self.sequence = self.sequence.wrapping_add(1);
        self.pass();
    }

    /// A tick in which nothing is sent: time passes, and no packet is missing.
    pub fn pass(&mut self) {
        self.timestamp = self.timestamp.wrapping_add(self.spoken.codec.tick_clocks());
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
        match self.spoken.codec.bitrate_bps() {
            // No copies, no redundancy, and always the same rate.
            Some(bitrate_bps) => DownlinkRow { copies: 0, fec_percent: 0, bitrate_bps, ..row },
            None => DownlinkRow {
                copies: self.plan.copies.len() as u8,
                fec_percent: self.plan.opus.expected_loss_percent,
                bitrate_bps: self.plan.opus.bitrate_bps,
                ..row
            },
        }
    }

    /// Packets sent so far.
    pub fn sent(&self) -> u64 {
        self.sent
    }
}
