//! RTCP with telephones (RFC 3550, section 6): what we say of the packets that came and of ours that left, and what is said of ours. What
//! comes is read by [`crate::media::rtcp`]; what leaves is written by `rtc`, as in browsers' calls, and when it does is decided here.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use rtc::rtcp::goodbye::Goodbye;
use rtc::rtcp::packet::Packet;
use rtc::rtcp::receiver_report::ReceiverReport;
use rtc::rtcp::reception_report::ReceptionReport;
use rtc::rtcp::sender_report::SenderReport;
use rtc::rtcp::source_description::{SdesType, SourceDescription, SourceDescriptionChunk, SourceDescriptionItem};
use tokio::time::Instant;

use super::line::Departed;
use crate::media::downlink::LinkReport;
use crate::media::reception::Reception;
use crate::media::rtcp;
use crate::peer::reports::Sent;

/// The least time between two reports; the first comes after half of it (RFC 3550, section 6.2).
const EVERY: Duration = Duration::from_secs(5);
/// What the random times are divided by, for they would come out too long (section 6.3.1).
const COMPENSATION: f64 = 1.218_28;
/// From 1900, where NTP begins, to 1970, seconds.
const NTP_BEFORE_UNIX: u64 = 2_208_988_800;
/// Sources whose sender reports are kept: one report can name as many.
const SOURCES: usize = 4;

/// One call's reports.
pub(super) struct Rtcp {
    /// The same for the whole call and nobody's name (RFC 7022, section 4.2).
    cname: String,
    due: Instant,
    /// Of the packets that come.
    pub(super) reception: Reception,
    /// Of ours.
    sent: Sent,
    /// By source: the last sender report that came, as it is named, and when that was.
    last: HashMap<u32, (u32, Instant)>,
    /// Where the other side's came from, where they have a port of their own.
    pub(super) from: Option<SocketAddr>,
}

/// Seconds since 1900, of 2^-32 each.
fn ntp_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let fraction = (u64::from(now.subsec_nanos()) << 32) / 1_000_000_000;
    (now.as_secs() + NTP_BEFORE_UNIX) << 32 | fraction
}

/// As a report names a time: the middle 32 bits.
const fn middle(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}

impl Rtcp {
    pub(super) fn new() -> Self {
        Self {
            cname: format!("{:024x}", rand::random::<u128>() >> 32),
            due: Instant::now() + EVERY.mul_f64(0.5 * Self::spread()),
            reception: Reception::default(),
            sent: Sent::default(),
            last: HashMap::new(),
            from: None,
        }
    }

    /// Not all at once: from half to one and a half, shortened.
    fn spread() -> f64 {
        (0.5 + rand::random::<f64>()) / COMPENSATION
    }

    /// Whether a report is due; the next one then is in its time.
    pub(super) fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let due = now >= self.due;
        if due {
            self.due = now + EVERY.mul_f64(Self::spread());
        }
        due
    }

    /// Reads what came, as one compound. Empty where it says nothing of our packets; `None` for what is no RTCP.
    pub(super) fn read(&mut self, compound: Bytes, ssrc: u32, clock_hz: u32) -> Option<Vec<LinkReport>> {
        let now = Instant::now();
        let mut links = Vec::new();
        for report in rtcp::read(&compound)? {
            if let Some(ntp_time) = report.ntp_time
                && (self.last.len() < SOURCES || self.last.contains_key(&report.source))
            {
                self.last.insert(report.source, (middle(ntp_time), now));
            }
            let about_us = report.blocks.iter().filter(|block| block.about == ssrc);
            let said = about_us.map(|block| ReceptionReport {
                ssrc,
                fraction_lost: block.fraction_lost,
                total_lost: block.lost,
                last_sequence_number: block.highest,
                jitter: block.jitter,
                last_sender_report: block.last_sender_report,
                delay: block.delay,
            });
            links.extend(said.filter_map(|said| self.sent.read(&said, now.into_std(), f64::from(clock_hz))));
        }
        Some(links)
    }

    /// What is said now: a sender report where something has left, who says it, and at the end that it is the end.
    pub(super) fn write(&mut self, ssrc: u32, departed: &Departed, clock_hz: u32, goodbye: bool) -> Option<Bytes> {
        let now = Instant::now();
        let reports: Vec<ReceptionReport> = self
            .reception
            .report()
            .into_iter()
            .map(|counted| {
                let last = self.last.get(&counted.ssrc);
                ReceptionReport {
                    ssrc: counted.ssrc,
                    fraction_lost: counted.fraction_lost,
                    // 24 bits with a sign.
                    total_lost: counted.total_lost as u32 & 0x00ff_ffff,
                    last_sequence_number: counted.highest,
                    jitter: counted.jitter,
                    last_sender_report: last.map_or(0, |(middle, _)| *middle),
                    // Units of 1/65536 s.
                    delay: last.map_or(0, |(_, at)| (now.duration_since(*at).as_secs_f64() * 65_536.0) as u32),
                }
            })
            .collect();
        let first: Box<dyn Packet> = match (departed.last, departed.first) {
            (Some((timestamp, at)), Some(sequence)) => {
                let ntp_time = ntp_now();
                self.sent.leaves(sequence);
                self.sent.remember(ntp_time, now.into_std());
                let since = now.duration_since(at).as_secs_f64() * f64::from(clock_hz);
                Box::new(SenderReport {
                    ssrc,
                    ntp_time,
                    rtp_time: timestamp.wrapping_add(since as u32),
                    packet_count: departed.packets,
                    octet_count: departed.octets,
                    reports,
                    ..SenderReport::default()
                })
            }
            _ => Box::new(ReceiverReport { ssrc, reports, ..ReceiverReport::default() }),
        };
        let items = vec![SourceDescriptionItem { sdes_type: SdesType::SdesCname, text: self.cname.clone().into() }];
        let chunks = vec![SourceDescriptionChunk { source: ssrc, items }];
        let mut parts = vec![first, Box::new(SourceDescription { chunks })];
        if goodbye {
            parts.push(Box::new(Goodbye { sources: vec![ssrc], reason: Bytes::new() }));
        }
        rtc::rtcp::packet::marshal(&parts).ok().map(Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn departed() -> Departed {
        Departed { first: Some(10), last: Some((8_000, Instant::now())), packets: 50, octets: 8_000 }
    }

    #[test]
    fn what_one_says_the_other_reads() {
        let (mut ours, mut theirs) = (Rtcp::new(), Rtcp::new());
        // Ours have left, 10 to 59; theirs are told of, and the ninth of ours was lost.
        let said = ours.write(1, &departed(), 8_000, false).expect("a compound");
        assert_eq!(theirs.read(said, 2, 8_000), Some(Vec::new()), "nothing of the other's packets yet");
        for n in (10..60_u16).filter(|n| *n != 18) {
            theirs.reception.came(1, n, u32::from(n) * 160, 8_000, Duration::from_millis(u64::from(n) * 20));
        }
        let said = theirs.write(2, &Departed::default(), 8_000, true).expect("a compound");
        let read = ours.read(said, 1, 8_000).expect("RTCP");
        assert_eq!(read.len(), 1);
        assert_eq!((read[0].expected, read[0].lost), (50, 1));
        assert!(read[0].rtt.is_some_and(|rtt| rtt < Duration::from_secs(1)), "{read:?}");
    }

    #[test]
    fn who_says_it_stands_in_every_report_and_is_the_same_for_the_call() {
        let mut ours = Rtcp::new();
        let [first, second] = [(); 2].map(|()| ours.write(1, &departed(), 8_000, false).expect("a compound"));
        let named = |said: &Bytes| said.windows(24).any(|name| name == ours.cname.as_bytes());
        assert!(named(&first) && named(&second));
        let quiet = Rtcp::new().write(1, &Departed::default(), 8_000, false).expect("a compound");
        assert_eq!((first[1], quiet[1]), (200, 201), "a sender report, and where nothing has left a receiver report");
    }

    #[test]
    fn what_is_no_rtcp_is_none() {
        let mut ours = Rtcp::new();
        let said = ours.write(1, &departed(), 8_000, true).expect("a compound");
        for cut in 0..said.len() {
            let _ = ours.read(said.slice(..cut), 1, 8_000);
        }
        assert_eq!(ours.read(Bytes::from_static(b"nonsense"), 1, 8_000), None);
        for source in 0..100 {
            let report = SenderReport { ssrc: source, ..SenderReport::default() };
            let bytes = rtc::rtcp::packet::marshal(&[Box::new(report)]).expect("bytes").freeze();
            assert!(ours.read(bytes, 1, 8_000).is_some());
        }
        assert_eq!(ours.last.len(), SOURCES);
    }
}
