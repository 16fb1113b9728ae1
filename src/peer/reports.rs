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
/// Opus counts time in 48 kHz whatever it carries (RFC 7587, section 4.1).
const CLOCK_HZ: f64 = 48_000.0;

/// Sender reports that have left, by the middle 32 bits of their NTP time.
#[derive(Debug, Default)]
struct Sent(VecDeque<(u32, Instant)>);

impl Sent {
    fn remember(&mut self, ntp_time: u64, at: Instant) {
        self.0.push_back(((ntp_time >> 16) as u32, at));
        if self.0.len() > REMEMBERED {
            self.0.pop_front();
        }
    }

    /// What a reception report that arrives `now` says in units.
    fn read(&self, report: &ReceptionReport, now: Instant) -> LinkReport {
        let answered = |(middle, at): &(u32, Instant)| {
            // Units of 1/65536 s.
            let held = Duration::from_secs_f64(f64::from(report.delay) / 65_536.0);
            (*middle == report.last_sender_report && report.last_sender_report != 0)
                .then(|| now.saturating_duration_since(*at).saturating_sub(held))
        };
        LinkReport {
            loss: f32::from(report.fraction_lost) / 256.0,
            jitter: Duration::from_secs_f64(f64::from(report.jitter) / CLOCK_HZ),
            rtt: self.0.iter().rev().find_map(answered),
        }
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
                    // Full means that nobody looks; the next report is a second away.
                    let _ = self.out.try_send(Signal::Report(self.sent.read(report, packet.now)));
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
            Packet::Rtp(rtp) if rtp.header.ssrc == self.ssrc => self.departures.left(rtp.header.sequence_number),
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

    #[test]
    fn the_round_trip_is_what_is_left_after_the_delay_that_the_other_side_declares() {
        let begun = Instant::now();
        let mut sent = Sent::default();
        sent.remember(0x1111_2222_3333_4444, begun);
        let report = ReceptionReport {
            last_sender_report: 0x2222_3333,
            delay: 65_536 / 2,
            fraction_lost: 64,
            jitter: 480,
            ..ReceptionReport::default()
        };
        let read = sent.read(&report, begun + Duration::from_millis(580));
        assert_eq!(read.rtt, Some(Duration::from_millis(80)));
        assert_eq!(read.jitter, Duration::from_millis(10));
        assert!((read.loss - 0.25).abs() < 1e-6);
    }

    #[test]
    fn a_report_that_answers_no_report_of_ours_tells_no_round_trip() {
        let begun = Instant::now();
        let mut sent = Sent::default();
        sent.remember(0, begun);
        assert_eq!(sent.read(&ReceptionReport::default(), begun).rtt, None, "zero means: none received yet");
        for n in 1..=40_u64 {
            sent.remember(n << 16, begun);
        }
        let forgotten = ReceptionReport { last_sender_report: 1, ..ReceptionReport::default() };
        assert_eq!(sent.read(&forgotten, begun).rtt, None);
        assert!(sent.0.len() <= REMEMBERED);
    }
}
