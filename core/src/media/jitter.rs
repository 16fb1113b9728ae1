//! The jitter buffer: packets come in as the network has them, and go out in order, one for each stretch of time.
//!
//! Delay is the price: as little as the network of late allows. It grows at once when a packet was late, and shrinks
//! only where nobody speaks. A packet that is merely slow is waited for (concealed meanwhile), so that no word is lost.

use std::collections::BTreeMap;
use std::time::Duration;

use super::rtp::RtpPacket;
use crate::audio::{LINE_RATE, opus};
use crate::journal::MediaTotals;
use crate::time::{CallTime, TICK};

mod delay;
mod seen;

use delay::Delay;
use seen::Seen;

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
    /// Nothing is to be played in this tick, and nothing is lost: 20 ms of silence.
    Wait,
}

/// What happened to a call's packets so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JitterStats {
    pub received: u64,
    pub played: u64,
    /// Left out in a silence to shorten the delay.
    pub skipped: u64,
    /// Given up: more than the longest delay, or what was left of an old stream.
    pub dropped: u64,
    pub late: u64,
    pub duplicate: u64,
    pub foreign: u64,
    /// Passed over without ever arriving; a late one counts as late instead.
    pub lost: u64,
    /// Made up for missing packets, for lost and for slow ones.
    pub concealed: Duration,
    /// Restored from redundancy.
    pub recovered: Duration,
    /// Made up to lengthen the delay.
    pub inserted: Duration,
    /// Time that the played packets have waited, all together.
    pub waited: Duration,
}

impl JitterStats {
    /// The receiving side of a call's totals.
    pub fn totals(&self) -> MediaTotals {
        let frames = |length: Duration| (length.as_micros() / TICK.as_micros()) as u64;
        MediaTotals {
            packets_received: self.received,
            packets_lost: self.lost,
            packets_late: self.late,
            packets_duplicate: self.duplicate,
            frames_concealed: frames(self.concealed),
            frames_recovered: frames(self.recovered),
            packets_sent: 0,
            jitter_delay_ms: (self.waited.as_millis() as u64).checked_div(self.played).unwrap_or(0) as u32,
        }
    }
}

/// More packets than this are never held: 200 of 2.5 ms are half a second.
const MOST_PACKETS: usize = 200;
/// A sequence number further off than this (8 s of usual packets) belongs to another stream.
const STREAM_JUMP: i64 = 400;
/// While nothing comes, concealment past this says nothing; then it is silence.
const CONCEAL_MOST: Duration = Duration::from_millis(60);
/// A hole with packets behind it is bridged up to this: the end of it is known.
const HOLE_MOST: Duration = Duration::from_millis(120);
/// 60 ms, the longest Opus frame: a longer time between two packets is a silence of the sender.
const LONGEST_PACKET: i64 = 2_880;
/// The delay is shortened when it is this much above its target: a packet, and a little so that it does not swing.
const SHRINK_ABOVE_US: i64 = 25_000;
/// So much too much is taken back as fast as the silence allows.
const SHRINK_FAST_US: i64 = 100_000;
/// Otherwise one packet in this time; likewise an insertion while somebody speaks.
const ADJUST_EVERY: Duration = Duration::from_millis(200);
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
    arrived: CallTime,
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
    newest: Arrival,
    seen: Seen,
    held: BTreeMap<i64, Held>,
    delay: Delay,
    /// The first sequence number that was played and the next to be; `None` before anything was.
    first: Option<i64>,
    next: i64,
    /// Where the playing of the next packet begins, by the sender's clock.
    position: i64,
    /// True: nothing is being played; the next packet waits until it has the target delay.
    filling: bool,
    /// Concealed since the buffer ran empty, while the next packet may still come.
    stalled: Duration,
    /// Concealed since the last packet was played.
    bridged: Duration,
    /// A packet has come too late since the delay was lengthened last.
    was_late: bool,
    adjusted: CallTime,
    /// The last packet said that silence follows.
    silent: bool,
}

/// See the module's words. Told the time of every packet and of every pull; `at` never goes back.
#[derive(Clone, Debug)]
pub struct JitterBuffer {
    settings: JitterSettings,
    stream: Option<Stream>,
    /// A packet of another stream, until a second one proves it.
    candidate: Option<(CallTime, RtpPacket)>,
    stats: JitterStats,
}

impl JitterBuffer {
    /// An empty buffer; the first packet of any stream starts it.
    pub fn new(settings: JitterSettings) -> Self {
        let max_ms = settings.max_ms.min(2_000);
        let settings =
            JitterSettings { min_ms: settings.min_ms.min(max_ms), max_ms, packet_ms: settings.packet_ms.clamp(5, 120) };
        Self { settings, stream: None, candidate: None, stats: JitterStats::default() }
    }

    /// Takes in a packet that arrived at `at`.
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
        let length = length_of(&packet, self.settings);
        let outcome = stream.accept(at, sequence, packet, length, &mut self.stats);
        stream.drop_excess(self.settings, &mut self.stats);
        outcome
    }

    /// What to play from `at` on. Call it whenever less than a tick's worth of sound is left: once a tick with the usual
    /// packets of 20 ms, twice with 10 ms, in every third with 60 ms. `quiet`: nobody is heard just now, so that 20 ms
    /// more or less of it will not be missed.
    pub fn pull(&mut self, at: CallTime, quiet: bool) -> Pull {
        let Some(stream) = &mut self.stream else { return Pull::Wait };
        if stream.filling {
            return stream.pull_filling(at, &mut self.stats);
        }
        let max_us = i64::from(self.settings.max_ms) * 1_000;
        if stream.wants_to_grow(at, quiet, max_us) {
            stream.adjusted = at;
            self.stats.inserted += TICK;
            return Pull::Conceal { length: TICK };
        }
        if stream.wants_to_shrink(at, quiet) {
            stream.adjusted = at;
            stream.pass_head(&mut self.stats);
            self.stats.skipped += 1;
        }
        stream.pull_playing(at, &mut self.stats)
    }

    /// Counts since the call began, over all its streams.
    pub const fn stats(&self) -> JitterStats {
        self.stats
    }

    /// Packets held just now: never more than 200.
    pub fn held(&self) -> usize {
        self.stream.as_ref().map_or(0, |stream| stream.held.len())
    }

    /// The delay that the buffer aims at.
    pub fn target_delay(&self, at: CallTime) -> Duration {
        let target = self.stream.as_ref().map_or(0, |stream| stream.delay.target_us(at));
        Duration::from_micros(target.unsigned_abs())
    }

    fn start(&mut self, at: CallTime, packet: RtpPacket) {
        let delay = Delay::new(self.settings.min_ms, self.settings.max_ms);
        let length = length_of(&packet, self.settings);
        self.stream = Some(Stream::begin(at, packet, length, delay));
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

/// A packet's duration in RTP ticks.
fn length_of(packet: &RtpPacket, settings: JitterSettings) -> i64 {
    let usual = settings.packet_ms * (LINE_RATE / 1_000);
    i64::from(opus::packet_samples(&packet.payload).unwrap_or(usual))
}

mod stream;

#[cfg(test)]
mod line;
#[cfg(test)]
mod tests;
