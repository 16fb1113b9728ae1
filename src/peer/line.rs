//! The way out of a peer: packets and messages, sent now or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;

use super::{Agreed, OfferRefused, PACKETS_WAITING};
use crate::media::lateness::{self, BUCKETS_MS, Lateness};

/// What has been dropped on this line since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// Packets for the other side: not connected, or too many on their way to the wire.
    pub packets_unsent: u64,
    /// Packets from the other side that the call did not take in time.
    pub packets_untaken: u64,
    /// Messages for the other side: no data channel, or too many waiting.
    pub messages_unsent: u64,
    /// Messages from the other side: too many waiting, or not text.
    pub messages_untaken: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) packets_unsent: AtomicU64,
    pub(super) packets_untaken: AtomicU64,
    pub(super) messages_unsent: AtomicU64,
    pub(super) messages_untaken: AtomicU64,
}

/// Which packets have been handed to the stack and which have left it.
#[derive(Debug)]
pub(super) struct Departures {
    begun: Instant,
    handed: AtomicU32,
    left: AtomicU32,
    handed_at_ms: AtomicU64,
    /// When the last packets were due, by sequence number: microseconds since `begun` and one more; 0 is none.
    due_us: [AtomicU64; DUE],
    /// Packets by how late they left: [`BUCKETS_MS`].
    late: [AtomicU64; BUCKETS_MS.len()],
    worst_us: AtomicU64,
}

/// More than can wait.
const DUE: usize = 64;
const _: () = assert!(DUE as u32 > PACKETS_WAITING);

/// A stack that has let no packet go for so long is asked again with one packet: whatever it has swallowed must not
/// silence the line for ever.
const ASK_AGAIN_MS: u64 = 100;

impl Departures {
    pub(super) fn new() -> Self {
        let (handed, left, handed_at_ms) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU64::new(0));
        let (due_us, late) = (std::array::from_fn(|_| AtomicU64::new(0)), std::array::from_fn(|_| AtomicU64::new(0)));
        Self { begun: Instant::now(), handed, left, handed_at_ms, due_us, late, worst_us: AtomicU64::new(0) }
    }

    /// The packet that is about to be handed over was due then.
    fn due(&self, sequence: u16, due: Instant) {
        let due_us = due.saturating_duration_since(self.begun).as_micros() as u64;
        self.due_us[usize::from(sequence) % DUE].store(due_us + 1, Ordering::Release);
    }

    /// Whether one more packet may be handed over; counts it if so.
    fn admit(&self, sequence: u16) -> bool {
        let now_ms = self.begun.elapsed().as_millis() as u64;
        let behind =
            (self.handed.load(Ordering::Acquire) as u16).wrapping_sub(self.left.load(Ordering::Acquire) as u16);
        let patient = now_ms < self.handed_at_ms.load(Ordering::Acquire) + ASK_AGAIN_MS;
        // More than half the ring behind is not behind but before the first departure.
        if (u32::from(behind) >= PACKETS_WAITING && behind < 0x8000) && patient {
            return false;
        }
        if self.handed_at_ms.load(Ordering::Acquire) == 0 {
            self.left.store(u32::from(sequence.wrapping_sub(1)), Ordering::Release);
        }
        self.handed.store(u32::from(sequence), Ordering::Release);
        self.handed_at_ms.store(now_ms.max(1), Ordering::Release);
        true
    }

    pub(super) fn left(&self, sequence: u16) {
        self.left.store(u32::from(sequence), Ordering::Release);
        let due_us = self.due_us[usize::from(sequence) % DUE].swap(0, Ordering::AcqRel);
        if let Some(due_us) = due_us.checked_sub(1) {
            let late = self.begun.elapsed().saturating_sub(Duration::from_micros(due_us));
            self.late[lateness::bucket_of(late)].fetch_add(1, Ordering::Relaxed);
            self.worst_us.fetch_max(late.as_micros() as u64, Ordering::Relaxed);
        }
    }

    fn lateness(&self) -> Lateness {
        let frames = std::array::from_fn(|bucket| self.late[bucket].load(Ordering::Relaxed));
        Lateness::of(frames, Duration::from_micros(self.worst_us.load(Ordering::Relaxed)))
    }
}

/// A further negotiation with a peer that is already set up.
pub(super) enum Again {
    /// Their offer, for our answer.
    Answer { offer: String, answer: Reply<String> },
    /// For our offer, with new ICE credentials.
    Offer { offer: Reply<String> },
    /// Their answer to it.
    Answered { answer: String, done: Reply<()> },
    /// Where else they may be.
    Candidates { candidates: Vec<String>, done: Reply<()> },
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, OfferRefused>>;

/// The way out of a peer. Clones are the same line; none of them keeps the peer alive.
#[derive(Clone)]
pub struct PeerLine {
    pub(super) agreed: Agreed,
    pub(super) track: Arc<TrackLocalStaticRTP>,
    pub(super) shared: Arc<Shared>,
    pub(super) messages: mpsc::Sender<String>,
    pub(super) again: mpsc::Sender<Again>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) connected: AtomicBool,
    pub(super) departures: Arc<Departures>,
    pub(super) counters: Counters,
}

impl std::fmt::Debug for PeerLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PeerLine").field("agreed", &self.agreed).field("counts", &self.counts()).finish_non_exhaustive()
    }
}

impl PeerLine {
    /// Sends one Opus packet now. `timestamp` counts 48 kHz samples. False when it was dropped: the peer is not
    /// connected, or [`PACKETS_WAITING`] packets have not left yet.
    pub fn send_rtp(&self, sequence: u16, timestamp: u32, marker: bool, payload: Bytes) -> bool {
        self.send_as(self.agreed.opus, (sequence, timestamp), marker, payload, None)
    }

    /// As [`Self::send_rtp`], of any payload type that was agreed. Where it is told when the packet is `due`, it counts how
    /// late it leaves.
    pub fn send_as(
        &self,
        payload_type: u8,
        (sequence, timestamp): (u16, u32),
        marker: bool,
        payload: Bytes,
        due: Option<Instant>,
    ) -> bool {
        if let Some(due) = due {
            self.shared.departures.due(sequence, due);
        }
        let header = rtc::rtp::Header {
            version: 2,
            marker,
            payload_type,
            sequence_number: sequence,
            timestamp,
            ssrc: self.agreed.ssrc,
            ..rtc::rtp::Header::default()
        };
        let sent = self.shared.connected.load(Ordering::Acquire)
            && self.shared.departures.admit(sequence)
            // Waits only when 256 packets stand in the stack's queue, which `admit` does not let happen.
            && self
                .track
                .write_rtp(rtc::rtp::Packet { header, payload })
                .now_or_never()
                .is_some_and(|written| written.is_ok());
        if !sent {
            self.shared.counters.packets_unsent.fetch_add(1, Ordering::Relaxed);
        }
        sent
    }

    /// Sends one text message on the data channel, after those before it. False when it was dropped: too many wait, or
    /// the peer is gone.
    pub fn send_message(&self, text: String) -> bool {
        let taken = self.messages.try_send(text).is_ok();
        if !taken {
            self.shared.counters.messages_unsent.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    /// Answers a further offer for the same connection: an ICE restart after a change of network.
    ///
    /// # Errors
    /// When the offer is at fault, or the peer is gone.
    pub async fn reoffer(&self, offer: String) -> Result<String, OfferRefused> {
        self.ask(|answer| Again::Answer { offer, answer }).await
    }

    /// Makes a further offer that restarts ICE; its answer goes to [`PeerLine::restarted`].
    ///
    /// # Errors
    /// When no offer can be made now, or the peer is gone.
    pub async fn restart(&self) -> Result<String, OfferRefused> {
        self.ask(|offer| Again::Offer { offer }).await
    }

    /// Takes the answer to the offer of [`PeerLine::restart`].
    ///
    /// # Errors
    /// When the answer cannot be used, or the peer is gone.
    pub async fn restarted(&self, answer: String) -> Result<(), OfferRefused> {
        self.ask(|done| Again::Answered { answer, done }).await
    }

    /// Further candidates of the other side's (RFC 8838): it is looked for there as well. Each is the value of an `a=candidate:` line.
    /// Those that are no UDP address, or too many, are passed over.
    ///
    /// # Errors
    /// When the peer is gone.
    pub async fn trickle(&self, candidates: Vec<String>) -> Result<(), OfferRefused> {
        self.ask(|done| Again::Candidates { candidates, done }).await
    }

    async fn ask<T>(&self, question: impl FnOnce(Reply<T>) -> Again) -> Result<T, OfferRefused> {
        let (reply, replied) = oneshot::channel();
        self.again.send(question(reply)).await.map_err(|_| OfferRefused::Closed)?;
        replied.await.unwrap_or(Err(OfferRefused::Closed))
    }

    /// Media flows.
    pub fn is_connected(&self) -> bool {
        self.shared.connected.load(Ordering::Acquire)
    }

    /// The peer is gone for good.
    pub fn is_gone(&self) -> bool {
        self.again.is_closed()
    }

    /// What was negotiated.
    pub fn agreed(&self) -> Agreed {
        self.agreed
    }

    /// How late packets have left so far, of those that were said to be due.
    pub fn lateness(&self) -> Lateness {
        self.shared.departures.lateness()
    }

    /// What has been dropped so far.
    pub fn counts(&self) -> LineCounts {
        let counters = &self.shared.counters;
        LineCounts {
            packets_unsent: counters.packets_unsent.load(Ordering::Relaxed),
            packets_untaken: counters.packets_untaken.load(Ordering::Relaxed),
            messages_unsent: counters.messages_unsent.load(Ordering::Relaxed),
            messages_untaken: counters.messages_untaken.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_packet_is_as_late_as_it_leaves_after_it_was_due() {
        let departures = Departures::new();
        for (sequence, late_ms) in [(65_535, 0), (0, 6), (1, 40)] {
            let due = Instant::now();
            departures.due(sequence, due);
            assert!(departures.admit(sequence));
            tokio::time::advance(Duration::from_millis(late_ms)).await;
            departures.left(sequence);
        }
        // One that was never said to be due.
        departures.admit(2);
        departures.left(2);
        assert_eq!(departures.lateness().buckets(), [(1, 1), (7, 1), (40, 1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_few_packets_wait_for_a_stack_that_does_not_send() {
        let departures = Departures::new();
        let admitted = (65_530..=65_535_u16).chain(0..100).filter(|sequence| departures.admit(*sequence)).count();
        assert_eq!(admitted as u32, PACKETS_WAITING);
        departures.left(65_534);
        assert!(departures.admit(101), "what has left makes room");
    }

    #[tokio::test(start_paused = true)]
    async fn a_swallowed_packet_does_not_silence_the_line_for_ever() {
        let departures = Departures::new();
        (0..100).for_each(|sequence| {
            departures.admit(sequence);
        });
        assert!(!departures.admit(100));
        tokio::time::advance(Duration::from_millis(ASK_AGAIN_MS + 1)).await;
        assert!(departures.admit(101));
        departures.left(101);
        assert!(departures.admit(102));
    }
}
