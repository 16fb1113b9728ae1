//! RTCP as the call sees it: an interceptor next to the wire that reads the other side's reports about our stream.
//!
//! The stack's own statistics leave round trip and remote loss at zero, so they are computed here (RFC 3550, section
//! 6.4.1). The round trip is measured against our own clock: each sender report that leaves is remembered with its
//! instant, and a report that names it, less the delay it declares, is the way there and back.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtc::interceptor::{Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp::receiver_report::ReceiverReport;
use rtc::rtcp::reception_report::ReceptionReport;
use rtc::rtcp::sender_report::SenderReport;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;
use tokio::sync::mpsc;

use super::LinkReport;
use super::line::Departures;
use super::session::Signal;

/// Sender reports remembered; one a second leaves, and an answer comes within seconds.
const REMEMBERED: usize = 16;
/// A browser's: Opus counts time in 48 kHz whatever it carries (RFC 7587, section 4.1).
const CLOCK_HZ: f64 = 48_000.0;

/// More packets than this between two reports (twenty minutes' worth) are a counter that began anew, or a false one.
const MOST_EXPECTED: u32 = 60_000;

/// Our stream as it left, and as it was last reported.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// Sender reports, by the middle 32 bits of their NTP time.
    reports: VecDeque<(u32, Instant)>,
    /// Up to where the other side has counted: the packet before our first, then what its last report says.
    counted: Option<Counted>,
}

/// The counters of a reception report: they go on from report to report, so that one which is lost takes nothing with it.
#[derive(Clone, Copy, Debug)]
struct Counted {
    highest: u32,
    lost: i32,
}

impl Sent {
    pub(crate) fn remember(&mut self, ntp_time: u64, at: Instant) {
        self.reports.push_back(((ntp_time >> 16) as u32, at));
        if self.reports.len() > REMEMBERED {
            self.reports.pop_front();
        }
    }

    /// A packet of ours leaves.
    pub(crate) fn leaves(&mut self, sequence: u16) {
        self.counted.get_or_insert(Counted { highest: u32::from(sequence).wrapping_sub(1), lost: 0 });
    }

    /// What a reception report that arrives `now` says in units; `None` where it counts nothing new. Its jitter is of this clock.
    pub(crate) fn read(&mut self, report: &ReceptionReport, now: Instant, clock_hz: f64) -> Option<LinkReport> {
        let answered = |(middle, at): &(u32, Instant)| {
            // Units of 1/65536 s.
            let held = Duration::from_secs_f64(f64::from(report.delay) / 65_536.0);
            (*middle == report.last_sender_report && report.last_sender_report != 0)
                .then(|| now.saturating_duration_since(*at).saturating_sub(held))
        };
        let rtt = self.reports.iter().rev().find_map(answered);
        // 24 bits with a sign: duplicates count against losses (RFC 3550, section 6.4.1).
        let counted = Counted { highest: report.last_sequence_number, lost: (report.total_lost << 8) as i32 >> 8 };
        let before = self.counted.replace(counted)?;
        let expected = counted.highest.wrapping_sub(before.highest);
        if expected == 0 || expected > MOST_EXPECTED {
            // Told twice, out of order, or another count: what was counted further stands.
            if expected > u32::MAX / 2 {
                self.counted = Some(before);
            }
            return None;
        }
        let lost = counted.lost.saturating_sub(before.lost).clamp(0, expected as i32) as u32;
        Some(LinkReport { expected, lost, jitter: Duration::from_secs_f64(f64::from(report.jitter) / clock_hz), rtt })
    }
}

/// The interceptor. It changes nothing that passes.
pub(super) struct Tap {
    ssrc: u32,
    sent: Sent,
    departures: Arc<Departures>,
    out: mpsc::Sender<Signal>,
    inward: VecDeque<TaggedPacket>,
    outward: VecDeque<TaggedPacket>,
}

impl Tap {
    pub(super) fn new(ssrc: u32, departures: Arc<Departures>, out: mpsc::Sender<Signal>) -> Self {
        Self { ssrc, sent: Sent::default(), departures, out, inward: VecDeque::new(), outward: VecDeque::new() }
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for Tap {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtcp(compound) = &packet.message.packet {
            for part in compound {
                let part = part.as_any();
                let reports = part
                    .downcast_ref::<ReceiverReport>()
                    .map(|receiver| &receiver.reports)
                    // A side that also sends puts its reports into its sender reports.
                    .or_else(|| part.downcast_ref::<SenderReport>().map(|sender| &sender.reports));
                let about_us = reports.into_iter().flatten().filter(|report| report.ssrc == self.ssrc);
                for report in about_us {
                    if let Some(report) = self.sent.read(report, packet.now, CLOCK_HZ) {
                        // Full means that nobody looks; the next report is a second away.
                        let _ = self.out.try_send(Signal::Report(report));
                    }
                }
            }
        }
        self.inward.push_back(packet);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.inward.pop_front()
    }

    fn handle_write(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        match &packet.message.packet {
            Packet::Rtp(rtp) if rtp.header.ssrc == self.ssrc => {
                self.sent.leaves(rtp.header.sequence_number);
                self.departures.left(rtp.header.sequence_number);
            }
            Packet::Rtcp(compound) => {
                for part in compound {
                    if let Some(report) = part.as_any().downcast_ref::<SenderReport>()
                        && report.ssrc == self.ssrc
                    {
                        self.sent.remember(report.ntp_time, packet.now);
                    }
                }
            }
            _ => {}
        }
        self.outward.push_back(packet);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.outward.pop_front()
    }
}

impl Interceptor for Tap {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(highest: u32, total_lost: u32) -> ReceptionReport {
        ReceptionReport { last_sequence_number: highest, total_lost, ..ReceptionReport::default() }
    }

    #[test]
    fn the_round_trip_is_what_is_left_after_the_delay_that_the_other_side_declares() {
        let begun = Instant::now();
        let mut sent = Sent::default();
        sent.leaves(1_000);
        sent.remember(0x1111_2222_3333_4444, begun);
        let report =
            ReceptionReport { last_sender_report: 0x2222_3333, delay: 65_536 / 2, jitter: 480, ..counts(1_099, 25) };
        let read = sent.read(&report, begun + Duration::from_millis(580), CLOCK_HZ).expect("a report");
        assert_eq!(read.rtt, Some(Duration::from_millis(80)));
        assert_eq!(read.jitter, Duration::from_millis(10));
        assert_eq!((read.expected, read.lost), (100, 25));
    }

    #[test]
    fn a_report_that_answers_no_report_of_ours_tells_no_round_trip() {
        let begun = Instant::now();
        let mut sent = Sent::default();
        sent.leaves(0);
        sent.remember(0, begun);
        let rtt = |sent: &mut Sent, report: &ReceptionReport| sent.read(report, begun, CLOCK_HZ).expect("a report").rtt;
        assert_eq!(rtt(&mut sent, &counts(10, 0)), None, "zero means: none received yet");
        for n in 1..=40_u64 {
            sent.remember(n << 16, begun);
        }
        let forgotten = ReceptionReport { last_sender_report: 1, ..counts(20, 0) };
        assert_eq!(rtt(&mut sent, &forgotten), None);
        assert!(sent.reports.len() <= REMEMBERED);
    }

    #[test]
    fn a_lost_report_takes_no_lost_packet_with_it() {
        let mut sent = Sent::default();
        sent.leaves(65_500);
        // The report at 65,549 is lost; its five losses are in the next one's count.
        let read = sent.read(&counts(65_599, 20), Instant::now(), CLOCK_HZ).expect("a report");
        assert_eq!((read.expected, read.lost), (100, 20));
    }

    #[test]
    fn told_twice_or_in_another_order_counts_once() {
        let (mut sent, now) = (Sent::default(), Instant::now());
        sent.leaves(0);
        assert!(sent.read(&counts(99, 10), now, CLOCK_HZ).is_some());
        assert_eq!(sent.read(&counts(99, 10), now, CLOCK_HZ), None);
        assert_eq!(sent.read(&counts(49, 5), now, CLOCK_HZ), None, "an older one");
        let read = sent.read(&counts(199, 8), now, CLOCK_HZ).expect("a report");
        assert_eq!((read.expected, read.lost), (100, 0), "duplicates: fewer lost than before");
        assert_eq!(sent.read(&counts(4_000_000, 9), now, CLOCK_HZ), None, "a count that cannot be");
        let negative = sent.read(&counts(4_000_100, 0x00ff_ffff), now, CLOCK_HZ).expect("a report");
        assert_eq!(negative.lost, 0, "minus one of 24 bits");
    }
}
