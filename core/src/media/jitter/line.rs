//! For tests: a buffer with a network before it and a clock behind it, in virtual time. The sound is only a length; it is
//! stretched as a voice of 125 Hz lets itself be: by 8 ms at a time.

use bytes::Bytes;

use super::*;
use crate::audio::opus;

/// Tables of contents of SILK wideband, mono, one frame a packet, by duration (RFC 6716, section 3.1).
pub(super) const TOC: [(u32, u8); 4] = [(10, 0x40), (20, 0x48), (40, 0x50), (60, 0x58)];

fn toc(packet_ms: u32) -> u8 {
    TOC.iter().find(|(ms, _)| *ms == packet_ms).unwrap().1
}

/// The `n`th packet of a stream that sends one every `packet_ms`.
pub(super) fn packet_of(packet_ms: u32, n: u64) -> RtpPacket {
    RtpPacket {
        payload_type: 111,
        // Both numbers wrap early in every test.
        sequence: 65_530_u16.wrapping_add(n as u16),
        timestamp: (u32::MAX - 5_000).wrapping_add(n as u32 * packet_ms * 48),
        ssrc: 7,
        marker: false,
        payload: Bytes::from(vec![toc(packet_ms), 1, 2, 3]),
    }
}

pub(super) fn packet(n: u64) -> RtpPacket {
    packet_of(20, n)
}

/// A buffer with a network before it and a clock behind it.
pub(super) struct Line {
    pub buffer: JitterBuffer,
    /// Arrival in microseconds, and the packet.
    pub network: Vec<(u64, RtpPacket)>,
    arrived: usize,
    pub pulls: Vec<(CallTime, Pull)>,
    pub outcomes: Vec<PushOutcome>,
    now_us: u64,
    stretches: bool,
    /// Time that the decoded sound still lasts.
    decoded_us: u64,
    /// By how much the sound was made shorter and longer, microseconds.
    pub shortened_us: u64,
    pub lengthened_us: u64,
}

const PERIOD_US: u64 = 8_000;

impl Line {
    pub fn new(settings: JitterSettings) -> Self {
        Self {
            buffer: JitterBuffer::new(settings),
            network: Vec::new(),
            arrived: 0,
            pulls: Vec::new(),
            outcomes: Vec::new(),
            now_us: 0,
            stretches: true,
            decoded_us: 0,
            shortened_us: 0,
            lengthened_us: 0,
        }
    }

    /// Sends `packets`; the `n`th leaves at 20 ms times `n` and takes `delay_ms(n)`, or is lost.
    pub fn send(mut self, packets: std::ops::Range<u64>, delay_ms: impl Fn(u64) -> Option<u64>) -> Self {
        for n in packets {
            if let Some(delay) = delay_ms(n) {
                self.network.push(((n * 20 + delay) * 1_000, packet(n)));
            }
        }
        self.network.sort_by_key(|(at, _)| *at);
        self
    }

    /// Runs the clock, 20 ms a tick.
    pub fn run(mut self, seconds: f64) -> Self {
        let until = self.now_us + (seconds * 1e6) as u64;
        while self.now_us < until {
            while let Some((at, packet)) = self.network.get(self.arrived).filter(|(at, _)| *at <= self.now_us) {
                self.outcomes.push(self.buffer.push(CallTime::from_us(*at), packet.clone()));
                self.arrived += 1;
            }
            self.pull();
            self.stretch();
            self.pull();
            self.decoded_us -= 20_000;
            self.now_us += 20_000;
        }
        self
    }

    fn pull(&mut self) {
        let at = CallTime::from_us(self.now_us);
        while self.decoded_us < 20_000 {
            let pull = self.buffer.pull(at, Duration::from_micros(self.decoded_us));
            self.decoded_us +=
                if matches!(pull, Pull::Wait | Pull::Gone) { 20_000 - self.decoded_us } else { length_us(&pull) };
            self.pulls.push((at, pull));
        }
    }

    fn stretch(&mut self) {
        match self.buffer.wish(CallTime::from_us(self.now_us), Duration::from_micros(self.decoded_us)) {
            Wish::Shorter { by, .. } if self.stretches && by.as_micros() as u64 >= PERIOD_US => {
                self.decoded_us -= PERIOD_US;
                self.shortened_us += PERIOD_US;
            }
            Wish::Longer { .. } if self.stretches => {
                self.decoded_us += PERIOD_US;
                self.lengthened_us += PERIOD_US;
            }
            _ => {}
        }
    }

    /// As from a sender that expects loss: each packet carries a copy of the one before it.
    pub fn with_copies(mut self) -> Self {
        for (_, packet) in &mut self.network {
            let mut payload = packet.payload.to_vec();
            // Voice activity and the copy's flag, for one frame of SILK.
            payload[1] = 0b1100_0000;
            packet.payload = payload.into();
        }
        self
    }

    /// A voice that cannot be stretched.
    pub fn stiff(mut self) -> Self {
        self.stretches = false;
        self
    }

    /// One letter a pull: P packet, R recover, C conceal, w wait, g gone.
    pub fn picture(&self) -> String {
        self.stream().iter().map(|(_, pull)| letter(pull)).collect()
    }

    /// Full numbers of the packets played, 0 being the first one sent.
    pub fn played(&self) -> Vec<u16> {
        let number = |packet: &RtpPacket| packet.sequence.wrapping_sub(65_530);
        self.pulls
            .iter()
            .filter_map(|(_, pull)| if let Pull::Packet(p) = pull { Some(number(p)) } else { None })
            .collect()
    }

    pub fn stats(&self) -> JitterStats {
        self.buffer.stats()
    }

    /// The pulls up to the last packet: what follows is the end of the stream.
    pub fn stream(&self) -> &[(CallTime, Pull)] {
        let end = self.pulls.iter().rposition(|(_, pull)| matches!(pull, Pull::Packet(_)));
        &self.pulls[..end.map_or(0, |end| end + 1)]
    }

    /// Sound that was not in any packet.
    pub fn made_up(&self) -> Duration {
        let made_up = |pull: &Pull| matches!(pull, Pull::Recover { .. } | Pull::Conceal { .. });
        Duration::from_micros(self.stream().iter().filter(|(_, p)| made_up(p)).map(|(_, p)| length_us(p)).sum())
    }
}

pub(super) fn length_us(pull: &Pull) -> u64 {
    match pull {
        Pull::Packet(packet) => u64::from(opus::packet_samples(&packet.payload).unwrap_or(960)) * 125 / 6,
        Pull::Recover { length, .. } | Pull::Conceal { length } => length.as_micros() as u64,
        Pull::Wait | Pull::Gone => 20_000,
    }
}

fn letter(pull: &Pull) -> char {
    match pull {
        Pull::Packet(_) => 'P',
        Pull::Recover { .. } => 'R',
        Pull::Conceal { .. } => 'C',
        Pull::Wait => 'w',
        Pull::Gone => 'g',
    }
}
