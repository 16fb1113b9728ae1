//! A bad network, made to order: given a packet and the time, when does it leave, or never.
//!
//! One seed is one trace. Every draw is made from the seed, the stream and the packet's number in it, and from nothing
//! else: the same stream meets the same losses and delays whatever the clock does, so that two versions of a server, or two
//! servers, can be compared on it. Only the rate limit depends on when packets come and how large they are, as it must.

use std::time::Duration;

use crate::time::CallTime;

mod spec;

pub use spec::SpecFault;

/// How a network treats the packets of one direction. The default passes all of them at once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Impairment {
    /// Share of packets lost, 0.0..=1.0.
    pub loss: f64,
    /// Mean number of packets lost in a row, 1.0..=100.0: a channel with a good and a bad state (Gilbert, "Capacity of a
    /// burst-noise channel", 1960; Elliott, 1963), which loses everything in the bad one. `None`: each packet is lost or
    /// not by itself, which makes bursts of 1 / (1 - loss) on the average.
    pub burst: Option<f64>,
    /// One way, 0..=10 s.
    pub delay: Duration,
    /// Added to the delay.
    pub jitter: Jitter,
    /// Share of packets held back by [`HELD_BACK`], so that the next one overtakes them, 0.0..=1.0.
    pub reorder: f64,
    /// Share of packets that come twice, 0.0..=1.0.
    pub duplicate: f64,
    /// Packets leave in the order they came in, however they are delayed.
    pub keep_order: bool,
    /// Bits a second that the path carries, IP and UDP headers included; 8,000 or more.
    pub rate_bps: Option<u32>,
    /// How long the queue before the rate limit may get; what would wait longer is lost.
    pub queue: Duration,
}

/// How unevenly packets are delayed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Jitter {
    #[default]
    None,
    /// Anything between the two, equally likely.
    Uniform { least: Duration, most: Duration },
    /// A bell, cut off at zero.
    Normal { mean: Duration, deviation: Duration },
    /// Mostly little, sometimes a lot: no more than ten times the mean.
    Exponential { mean: Duration },
}

/// What a packet that is reordered waits: longer than the 20 ms to the next one.
pub const HELD_BACK: Duration = Duration::from_millis(30);
/// The second copy of a packet comes so long after the first.
const COPY_AFTER: Duration = Duration::from_millis(1);
/// What IPv4 and UDP add to a datagram on the wire (RFC 791, RFC 768).
const HEADER_BYTES: usize = 28;
/// A queue that nobody gave a length: that of a home router's uplink under load, rather short.
pub const USUAL_QUEUE: Duration = Duration::from_millis(200);

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Lost,
    /// Lost before the rate limit: its queue was full.
    Overflowed,
    /// It leaves at `at`; a second time at `again`.
    Passes {
        at: CallTime,
        again: Option<CallTime>,
    },
}

/// What a path has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct PathCounts {
    pub offered: u64,
    pub lost: u64,
    pub overflowed: u64,
    pub duplicated: u64,
}

/// What a draw is for: draws for different purposes are independent of each other.
#[derive(Clone, Copy)]
enum Purpose {
    Loss,
    Jitter,
    Bell,
    Reorder,
    Duplicate,
}

/// One direction of a network. Told the time of each packet; `at` never goes back.
#[derive(Clone, Debug)]
pub struct Path {
    impairment: Impairment,
    key: u64,
    /// The bad state of the channel.
    bad: bool,
    /// When the last packet leaves.
    latest: CallTime,
    /// Until when the rate limit is busy.
    busy_until: CallTime,
    counts: PathCounts,
}

impl Path {
    /// `stream` tells the paths of one network from each other: the two directions, for instance.
    pub fn new(impairment: Impairment, seed: u64, stream: u64) -> Self {
        let key = mixed(seed ^ mixed(stream));
        Self {
            impairment,
            key,
            bad: false,
            latest: CallTime::ZERO,
            busy_until: CallTime::ZERO,
            counts: PathCounts::default(),
        }
    }

    /// Decides over a packet of so many bytes (without IP and UDP headers) that comes in at `at`.
    pub fn pass(&mut self, at: CallTime, bytes: usize) -> Fate {
        let number = self.counts.offered;
        self.counts.offered += 1;
        if self.loses(number) {
            self.counts.lost += 1;
            return Fate::Lost;
        }
        let Some(sent) = self.through_the_rate(at, bytes) else {
            self.counts.overflowed += 1;
            return Fate::Overflowed;
        };
        let mut leaves = sent + self.impairment.delay + self.jitter(number);
        if self.draw(number, Purpose::Reorder) < self.impairment.reorder {
            leaves = leaves + HELD_BACK;
        }
        if self.impairment.keep_order {
            leaves = leaves.max(self.latest);
        }
        self.latest = leaves;
        let doubled = self.draw(number, Purpose::Duplicate) < self.impairment.duplicate;
        self.counts.duplicated += u64::from(doubled);
        Fate::Passes { at: leaves, again: doubled.then(|| leaves + COPY_AFTER) }
    }

    /// What has happened so far.
    pub const fn counts(&self) -> PathCounts {
        self.counts
    }

    fn loses(&mut self, number: u64) -> bool {
        let drawn = self.draw(number, Purpose::Loss);
        let Some(burst) = self.impairment.burst else { return drawn < self.impairment.loss };
        let loss = self.impairment.loss;
        // A burst ends with 1/burst; it begins so often that the share of bad packets is the loss.
        let begins = if loss >= 1.0 { 1.0 } else { loss / (burst * (1.0 - loss)) };
        self.bad = match number {
            0 => drawn < loss,
            _ if self.bad => loss >= 1.0 || drawn >= 1.0 / burst,
            _ => drawn < begins,
        };
        self.bad
    }

    /// When the packet has passed the rate limit; `None`: its queue is full.
    fn through_the_rate(&mut self, at: CallTime, bytes: usize) -> Option<CallTime> {
        let Some(rate_bps) = self.impairment.rate_bps else { return Some(at) };
        let begins = self.busy_until.max(at);
        if begins.since(at) > self.impairment.queue {
            return None;
        }
        let bits = (bytes + HEADER_BYTES) as u64 * 8;
        self.busy_until = begins + Duration::from_micros(bits * 1_000_000 / u64::from(rate_bps.max(1)));
        Some(self.busy_until)
    }

    fn jitter(&self, number: u64) -> Duration {
        let drawn = self.draw(number, Purpose::Jitter);
        match self.impairment.jitter {
            Jitter::None => Duration::ZERO,
            Jitter::Uniform { least, most } => least + most.saturating_sub(least).mul_f64(drawn),
            Jitter::Normal { mean, deviation } => {
                // Box and Muller, "A note on the generation of random normal deviates", 1958.
                let angle = self.draw(number, Purpose::Bell) * std::f64::consts::TAU;
                let bell = (-2.0 * (1.0 - drawn).ln()).sqrt() * angle.cos();
                let seconds = mean.as_secs_f64() + deviation.as_secs_f64() * bell;
                Duration::from_secs_f64(seconds.max(0.0))
            }
            Jitter::Exponential { mean } => mean.mul_f64((-(1.0 - drawn).ln()).min(10.0)),
        }
    }

    /// Evenly in 0.0..1.0, the same for the same packet.
    fn draw(&self, number: u64, purpose: Purpose) -> f64 {
        let bits = mixed(self.key ^ mixed(number.wrapping_mul(8).wrapping_add(purpose as u64)));
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// SplitMix64's output function (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014): each
/// bit of the input changes half of the bits of the output.
const fn mixed(value: u64) -> u64 {
    let mut bits = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests;
