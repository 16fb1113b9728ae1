//! The jitter buffer: packets come in as the network has them, and go out in order, one for each stretch of time.
//!
//! Delay is the price: as little as the network of late allows. The buffer says how much longer or shorter it should be
//! ([`Wish`]); whoever has the sound stretches it. A packet that is merely slow is waited for (concealed meanwhile), so that
//! no word is lost.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::rtp::RtpPacket;
use crate::audio::LINE_RATE;
use crate::audio::codec::LineCodec;
use crate::time::{CallTime, TICK};

mod delay;
mod drift;
mod seen;
mod waits;

use delay::Delay;
use seen::Seen;
pub use waits::Waits;

/// Bounds of the delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JitterSettings {
    /// Least delay, 0..=`max_ms`.
    pub min_ms: u32,
    /// Most delay, up to 2,000 ms: what would have to wait longer is given up.
    pub max_ms: u32,
    /// The duration of a packet that does not tell its own.
    pub packet_ms: u32,
}

impl Default for JitterSettings {
    fn default() -> Self {
        Self { min_ms: 10, max_ms: 320, packet_ms: 20 }
    }
}

/// What became of a packet on arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PushOutcome {
    Accepted,
    /// It was here before.
    Duplicate,
    /// Its turn is over: the packet after it was played already.
    Late,
    /// Not of this stream; if the next packet follows on from it, the stream has changed.
    Foreign,
    /// The first packets of another stream: what was left of the old one is gone. The decoder should be reset.
    NewStream,
}

/// What to play next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pull {
    /// Decode this.
    Packet(RtpPacket),
    /// A packet of this length is lost, but the one after it is here: restore it from the redundancy in `next`, which
    /// comes by itself in the next pull.
    Recover { next: RtpPacket, length: Duration },
    /// Nothing is known of this stretch: let the decoder conceal it.
    Conceal { length: Duration },
    /// Nothing is to be played for the rest of the tick, and nothing is lost.
    Wait,
    /// Nothing can be played for the rest of the tick, though something should be: packets are gone or slow, and enough was
    /// made up for them.
    Gone,
}

/// How the delay of what is being played should change. Sound is stretched for it where that is not heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    Keep,
    /// By at most so much. `soon`: by so much too much that a hasty joint is better than the delay.
    Shorter {
        by: Duration,
        soon: bool,
    },
    /// By about so much. `soon`: packets are coming too late.
    Longer {
        by: Duration,
        soon: bool,
    },
}

/// What happened to a call's packets so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JitterStats {
    pub received: u64,
    pub played: u64,
    /// Given up: more than the longest delay, or what was left of an old stream.
    pub dropped: u64,
    pub late: u64,
    pub duplicate: u64,
    pub foreign: u64,
    /// Passed over without ever arriving; a late one counts as late instead.
    pub lost: u64,
}

/// More packets than this are never held: 200 of 2.5 ms are half a second.
const MOST_PACKETS: usize = 200;
/// Numbers of packets that are no sound which are remembered: a key of the telephone held for 3 s.
const OTHERS_MOST: usize = 64;
/// A sequence number further off than this (8 s of usual packets) belongs to another stream.
const STREAM_JUMP: i64 = 400;
/// While nothing comes, concealment past this says nothing; then it is silence.
const CONCEAL_MOST: Duration = Duration::from_millis(60);
/// A hole with packets behind it is bridged up to this: the end of it is known.
const HOLE_MOST: Duration = Duration::from_millis(120);
/// 60 ms, the longest Opus frame: a longer time between two packets is a silence of the sender.
const LONGEST_PACKET: i64 = 2_880;
/// A tick less of delay is wished for only where the delay is then still this much above its target, so that it does not
/// swing with every step of the target.
const SWING_US: i64 = 5_000;
/// So much too much is taken back in haste.
const FAR_ABOVE_US: i64 = 100_000;
/// Loss from which on the next packet, with its copy of the lost one, is waited for, and below which no longer. Less is not
/// worth the 20 ms.
const ROOM_FROM: f32 = 0.02;
const ROOM_BELOW: f32 = 0.01;
/// Packets over which the loss is averaged (6 s), and those over which the share of them with copies is (2 s).
const LOSS_OVER: f32 = 300.0;
const COPIES_OVER: f32 = 100.0;
/// Fewer packets with copies than this, and there is nothing to wait for.
const COPIES_LEAST: f32 = 0.1;
/// After no packet for so long, or when a timestamp jumps by so much, old arrival times say nothing about new ones.
const NEW_TIMING: Duration = Duration::from_secs(1);
/// The step of Opus concealment, 2.5 ms, in RTP ticks.
const STEP_TICKS: i64 = 120;

/// Ticks of the 48 kHz RTP clock as microseconds; unwrapped, so it cannot overflow within a call.
const fn ticks_us(ticks: i64) -> i64 {
    ticks * 125 / 6
}

const fn ticks_duration(ticks: i64) -> Duration {
    Duration::from_micros(ticks_us(ticks).unsigned_abs())
}

/// A packet in the buffer.
#[derive(Clone, Debug)]
struct Held {
    packet: RtpPacket,
    /// Unwrapped.
    timestamp: i64,
    /// In RTP ticks.
    length: i64,
    /// It carries a copy of the packet before it.
    copy: bool,
    arrived: CallTime,
}

/// What a packet's payload says of itself.
#[derive(Clone, Copy, Debug)]
struct Shape {
    /// In RTP ticks.
    length: i64,
    copy: bool,
}

impl Held {
    fn transit_us(&self) -> i64 {
        self.arrived.us() as i64 - ticks_us(self.timestamp)
    }
}

/// The last arrival: what unwrapping and the timing are relative to.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    at: CallTime,
    sequence: i64,
    timestamp: i64,
}

/// One sender's stream. It is gone when the sender changes.
#[derive(Clone, Debug)]
struct Stream {
    ssrc: u32,
    codec: LineCodec,
    newest: Arrival,
    seen: Seen,
    held: BTreeMap<i64, Held>,
    delay: Delay,
    /// The first sequence number that was played and the next to be; `None` before anything was.
    first: Option<i64>,
    next: i64,
    /// Where the playing of the next packet begins, by the sender's clock.
    position: i64,
    /// Nothing is being played, for this reason; the next packet waits until it has the target delay.
    resting: Option<Rest>,
    /// Concealed since the buffer ran empty, while the next packet may still come.
    stalled: Duration,
    /// Concealed since the last packet was played.
    bridged: Duration,
    /// A packet has come too late since the delay was lengthened last.
    was_late: bool,
    /// The last packet said that silence follows.
    silent: bool,
    copies: Copies,
    /// The last numbers that were not sound's.
    others: VecDeque<i64>,
    /// The last of them that says that silence follows.
    hush: Option<i64>,
}

/// Why nothing is being played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// The sender has not begun, or is silent.
    Pause,
    /// Packets are missing, and enough was made up for them.
    Gone,
}

impl Rest {
    const fn pull(self) -> Pull {
        match self {
            Self::Pause => Pull::Wait,
            Self::Gone => Pull::Gone,
        }
    }
}

/// Whether waiting for the copies in later packets is worth its delay.
#[derive(Clone, Copy, Debug, Default)]
struct Copies {
    /// Share of the packets that never came, of late.
    loss: f32,
    /// Share of the packets that carry a copy of the one before them.
    share: f32,
    waited_for: bool,
}

/// See the module's words. Told the time of every packet and of every pull; `at` never goes back.
#[derive(Clone, Debug)]
pub struct JitterBuffer {
    settings: JitterSettings,
    codec: LineCodec,
    stream: Option<Stream>,
    /// A packet of another stream, until a second one proves it.
    candidate: Option<(CallTime, RtpPacket)>,
    stats: JitterStats,
    waits: Waits,
}

impl JitterBuffer {
    /// An empty buffer; the first packet of any stream starts it.
    pub fn new(settings: JitterSettings) -> Self {
        let max_ms = settings.max_ms.min(2_000);
        let settings =
            JitterSettings { min_ms: settings.min_ms.min(max_ms), max_ms, packet_ms: settings.packet_ms.clamp(5, 120) };
        let codec = LineCodec::default();
        Self { settings, codec, stream: None, candidate: None, stats: JitterStats::default(), waits: Waits::default() }
    }

    /// From here on packets are of this codec. What is held was of another and is gone, with its stream.
    pub fn speak(&mut self, codec: LineCodec) {
        if self.codec != codec {
            self.stats.dropped += self.held() as u64;
            (self.codec, self.stream, self.candidate) = (codec, None, None);
        }
    }

    /// Takes in a packet that arrived at `at`. Its timestamp counts ticks of 48 kHz, whatever its codec's clock.
    pub fn push(&mut self, at: CallTime, packet: RtpPacket) -> PushOutcome {
        self.stats.received += 1;
        let Some(stream) = &mut self.stream else {
            self.start(at, packet);
            return PushOutcome::Accepted;
        };
        let sequence = stream.unwrap_sequence(packet.sequence);
        if packet.ssrc != stream.ssrc || (sequence - stream.newest.sequence).abs() > STREAM_JUMP {
            return self.push_foreign(at, packet);
        }
        self.candidate = None;
        let shape = shape_of(&packet, self.codec, self.settings);
        let outcome = stream.accept(at, sequence, packet, shape, &mut self.stats);
        stream.drop_excess(self.settings, &mut self.stats);
        outcome
    }

    /// A packet of the same sender that is no sound, a key of the telephone say (RFC 4733), has taken this number: nothing is
    /// missing there.
    pub fn other(&mut self, ssrc: u32, sequence: u16) {
        if let Some(stream) = self.stream.as_mut().filter(|stream| stream.ssrc == ssrc) {
            stream.other(sequence);
        }
    }

    /// A packet has come from this sender which says that silence follows, and is no sound itself.
    pub fn silence(&mut self, ssrc: u32, sequence: u16) {
        if let Some(stream) = self.stream.as_mut().filter(|stream| stream.ssrc == ssrc) {
            stream.silence(sequence);
        }
    }

    /// What to play when the `left` of sound that is at hand at `at` is over. Call it whenever that is less than a tick:
    /// once a tick with the usual packets of 20 ms, twice with 10 ms, in every third with 60 ms.
    pub fn pull(&mut self, at: CallTime, left: Duration) -> Pull {
        let Some(stream) = &mut self.stream else { return Pull::Wait };
        let max_us = i64::from(self.settings.max_ms) * 1_000;
        let played = stream.pull(at, max_us, &mut self.stats);
        if let Some(arrived) = played.arrived {
            self.waits.add((at + left).since(arrived));
        }
        played.pull
    }

    /// How the delay should change; `left` of sound is at hand at `at`, what was pulled for this tick included.
    pub fn wish(&mut self, at: CallTime, left: Duration) -> Wish {
        let max_us = i64::from(self.settings.max_ms) * 1_000;
        self.stream.as_mut().map_or(Wish::Keep, |stream| stream.wish(at, left, max_us))
    }

    /// Counts since the call began, over all its streams.
    pub const fn stats(&self) -> JitterStats {
        self.stats
    }

    /// How long the played packets have waited, from their arrival until they were heard.
    pub const fn waits(&self) -> &Waits {
        &self.waits
    }

    /// How much faster than ours the sender's clock runs, in parts per million; `None` while that cannot be told.
    pub fn drift_ppm(&self) -> Option<i32> {
        self.stream.as_ref().and_then(|stream| stream.delay.drift_ppm())
    }

    /// Packets held just now: never more than 200.
    pub fn held(&self) -> usize {
        self.stream.as_ref().map_or(0, |stream| stream.held.len())
    }

    /// The delay that the buffer aims at.
    pub fn target_delay(&self, at: CallTime) -> Duration {
        let max_us = i64::from(self.settings.max_ms) * 1_000;
        let target_us = self.stream.as_ref().map_or(0, |stream| stream.target_us(at, max_us));
        Duration::from_micros(target_us.unsigned_abs())
    }

    fn start(&mut self, at: CallTime, packet: RtpPacket) {
        let delay = Delay::new(self.settings.min_ms, self.settings.max_ms);
        let shape = shape_of(&packet, self.codec, self.settings);
        self.stream = Some(Stream::begin(at, packet, shape, self.codec, delay));
    }

    /// RFC 3550, appendix A.1: another source counts once two packets in sequence came from it. One stray packet, or one
    /// with a wrong number, must not throw the buffer over.
    fn push_foreign(&mut self, at: CallTime, packet: RtpPacket) -> PushOutcome {
        self.stats.foreign += 1;
        match self.candidate.take() {
            Some((before, first)) if first.ssrc == packet.ssrc && first.sequence.wrapping_add(1) == packet.sequence => {
                let left = self.stream.as_ref().map_or(0, |stream| stream.held.len());
                self.stats.dropped += left as u64;
                self.stats.foreign -= 2;
                self.start(before, first);
                // Counted as received on its arrival.
                self.stats.received -= 1;
                self.push(at, packet);
                PushOutcome::NewStream
            }
            _ => {
                self.candidate = Some((at, packet));
                PushOutcome::Foreign
            }
        }
    }
}

fn shape_of(packet: &RtpPacket, codec: LineCodec, settings: JitterSettings) -> Shape {
    let usual = settings.packet_ms * (LINE_RATE / 1_000);
    let length = i64::from(codec.packet_ticks(&packet.payload).unwrap_or(usual));
    Shape { length, copy: codec.has_redundancy(&packet.payload) }
}

mod stream;

#[cfg(test)]
mod line;
#[cfg(test)]
mod tests;
