//! How the caller's sound arrives, told now and then: for the call page and for the row of events.

use std::time::Duration;

use duologue_signaling::event::Event;

use super::receiver::Receiver;
use crate::audio::{HEAR_FRAME, HEAR_RATE};
use crate::time::CallTime;

/// Told at most so often, and only when it has changed ...
const SOONEST: Duration = Duration::from_secs(1);
/// ... otherwise so often.
const LATEST: Duration = Duration::from_secs(5);
/// What counts as a change: this much of a share, half a per cent ...
const CHANGED_SHARE: f32 = 0.005;
/// ... or so many milliseconds of delay.
const CHANGED_MS: u32 = 10;

/// What was counted up to a moment.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    received: u64,
    lost: u64,
    late: u64,
    heard: u64,
    concealed: u64,
    recovered: u64,
    waited: Duration,
    waits: u64,
}

impl Sums {
    fn of(receiver: &Receiver) -> Self {
        let (packets, sound, waits) = (receiver.jitter().stats(), receiver.counts(), receiver.jitter().waits());
        Self {
            received: packets.received,
            lost: packets.lost,
            late: packets.late,
            heard: sound.heard,
            concealed: sound.concealed,
            recovered: sound.recovered,
            waited: waits.sum(),
            waits: waits.count(),
        }
    }
}

/// The line to the caller over one stretch of time.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Quality {
    delay_ms: u32,
    loss: f32,
    late: f32,
    concealed: f32,
    recovered: f32,
}

impl Quality {
    fn between(before: &Sums, now: &Sums) -> Self {
        // In thousandths: finer figures would change with every packet.
        let share =
            |part: u64, all: u64| if all == 0 { 0.0 } else { (part as f32 / all as f32 * 1_000.0).round() / 1_000.0 };
        let (lost, received) = (now.lost.saturating_sub(before.lost), now.received - before.received);
        let heard = now.heard - before.heard;
        Self {
            delay_ms: ((now.waited - before.waited).as_millis() as u64)
                .checked_div(now.waits - before.waits)
                .unwrap_or(0) as u32,
            loss: share(lost, lost + received),
            late: share(now.late - before.late, lost + received),
            concealed: share(now.concealed - before.concealed, heard),
            recovered: share(now.recovered - before.recovered, heard),
        }
    }

    fn differs(&self, other: &Self) -> bool {
        let pairs = [
            (self.loss, other.loss),
            (self.late, other.late),
            (self.concealed, other.concealed),
            (self.recovered, other.recovered),
        ];
        self.delay_ms.abs_diff(other.delay_ms) >= CHANGED_MS
            || pairs.iter().any(|(a, b)| (a - b).abs() >= CHANGED_SHARE)
    }
}

/// Knows what was told last.
#[derive(Clone, Copy, Debug, Default)]
pub struct QualityWatch {
    looked: CallTime,
    told: Option<(CallTime, Quality)>,
    before: Sums,
}

impl QualityWatch {
    /// Asked every tick; an event where one is due. The first comes with the first second of sound.
    pub fn due(&mut self, at: CallTime, receiver: &Receiver) -> Option<Event> {
        if at.since(self.looked) < SOONEST {
            return None;
        }
        self.looked = at;
        let now = Sums::of(receiver);
        if now.received == 0 || now.heard < self.before.heard + (HEAR_RATE as u64).saturating_sub(HEAR_FRAME as u64) {
            return None;
        }
        let quality = Quality::between(&self.before, &now);
        if self.told.is_some_and(|(when, told)| at.since(when) < LATEST && !quality.differs(&told)) {
            return None;
        }
        self.told = Some((at, quality));
        self.before = now;
        let Quality { delay_ms, loss, late, concealed, recovered } = quality;
        Some(Event::Quality { delay_ms, loss, late, concealed, recovered, drift_ppm: receiver.jitter().drift_ppm() })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::media::receiver::ReceiverSettings;
    use crate::media::rtp::RtpPacket;

    /// The events of so many seconds, of which the packets that `lost` names never come.
    fn told(seconds: u64, lost: impl Fn(u64) -> bool) -> Vec<(u64, Event)> {
        let mut receiver = Receiver::new(ReceiverSettings::default()).unwrap();
        let mut watch = QualityWatch::default();
        let mut events = Vec::new();
        for n in 0..seconds * 50 {
            let at = CallTime::from_ms(n * 20);
            let payload = Bytes::from_static(&[0x48, 0, 0, 0]);
            let (sequence, timestamp) = (n as u16, n as u32 * 960);
            if !lost(n) {
                receiver
                    .packet(at, RtpPacket { payload_type: 111, sequence, timestamp, ssrc: 1, marker: false, payload });
            }
            receiver.frame(at, &mut [0.0; HEAR_FRAME]);
            events.extend(watch.due(at, &receiver).map(|event| (at.ms(), event)));
        }
        events
    }

    #[test]
    fn an_even_line_is_told_every_five_seconds() {
        let events = told(21, |_| false);
        let times: Vec<u64> = events.iter().map(|(at, _)| *at).collect();
        assert!(times.len() <= 6 && times.windows(2).skip(1).all(|two| two[1] - two[0] == 5_000), "{times:?}");
        let Event::Quality { loss, concealed, delay_ms, .. } = events.last().unwrap().1 else { panic!() };
        assert_eq!((loss, concealed), (0.0, 0.0));
        assert!((10..60).contains(&delay_ms), "{delay_ms}");
    }

    #[test]
    fn a_change_is_told_soon_and_at_most_every_second() {
        let events = told(20, |n| (500..600).contains(&n) && n % 5 == 0);
        let times: Vec<u64> = events.iter().map(|(at, _)| *at).collect();
        assert!(times.windows(2).all(|two| two[1] - two[0] >= 1_000), "{times:?}");
        let lossy: Vec<u64> = events
            .iter()
            .filter(|(_, event)| matches!(event, Event::Quality { loss, .. } if *loss > 0.1))
            .map(|(at, _)| *at)
            .collect();
        // What the first second of loss adds to the time since the last event is little; the second is told as it is.
        assert!(lossy.first().is_some_and(|at| (10_000..=12_000).contains(at)), "{times:?}, lossy {lossy:?}");
    }

    #[test]
    fn before_anything_came_nothing_is_told() {
        assert_eq!(told(10, |_| true), []);
    }
}
