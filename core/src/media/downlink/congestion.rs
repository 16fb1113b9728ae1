//! Is the line slow rather than noisy? Then copies make it worse.

use std::time::Duration;

use super::{Level, LinkReport};
use crate::time::CallTime;

/// A round trip this much above the shortest of late is a queue that fills: an extra that a conversation feels ...
const QUEUE: Duration = Duration::from_millis(150);
/// ... and so many times the reported jitter more: on a line that jitters one round trip is as long as the next is short,
/// and no queue. (The reported jitter is a mean of differences; even on both ways, four of them are hardly ever passed.)
const QUEUE_JITTERS: u32 = 4;
/// Below this the queue has drained.
const DRAINED: Duration = Duration::from_millis(60);
/// Loss of this share right after more was sent: either the line became that bad by itself just then, or the copies
/// overflow it. Fewer copies for one report tell which.
const SUSPICIOUS_LOSS: f32 = 0.30;
/// The loss must have grown by this factor with the copies to be suspicious.
const GREW: f32 = 1.5;
/// Fewer copies have helped when the loss has fallen to this part.
const HELPED: f32 = 0.6;
/// The shortest round trip is forgotten after this: routes change.
const FORGET: Duration = Duration::from_secs(60);
/// The first time of holding back; doubled each time that it was needed again soon, up to the last.
const HOLD_BACK: Duration = Duration::from_secs(10);
const HOLD_BACK_MOST: Duration = Duration::from_secs(80);
/// Without suspicion for so long after copies were found innocent.
const TRUSTED: Duration = Duration::from_secs(60);
/// What is still sent on a slow line.
const CAP: Level = 1;

/// See the module's words.
#[derive(Clone, Debug, Default)]
pub(super) struct Congestion {
    /// The shortest round trip, and when it was seen.
    shortest: Option<(CallTime, Duration)>,
    /// The last report: level at which its packets were sent, loss.
    before: Option<(Level, f32)>,
    state: State,
    trusted_until: CallTime,
    hold_back: Duration,
    last_capped: Option<CallTime>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum State {
    #[default]
    Free,
    /// Sending less for one report, to see whether the loss of so much falls.
    Probing { loss: f32 },
    /// Sending less until then.
    Capped { until: CallTime },
}

impl Congestion {
    /// The level may be no higher.
    pub(super) fn cap(&self) -> Option<Level> {
        (self.state != State::Free).then_some(CAP)
    }

    /// `level`: what was being sent, before any cap, when the report came.
    pub(super) fn report(&mut self, at: CallTime, report: &LinkReport, level: Level) {
        let queue = self.queue(at, report.rtt);
        let loss = report.loss();
        let sent = self.cap().map_or(level, |cap| level.min(cap));
        let before = self.before.replace((sent, loss));
        match self.state {
            _ if queue >= QUEUE + report.jitter * QUEUE_JITTERS => self.hold_back(at),
            State::Free => {
                let grew = before.is_some_and(|(then, was)| sent > then && loss > was * GREW);
                if grew && loss >= SUSPICIOUS_LOSS && at >= self.trusted_until {
                    self.state = State::Probing { loss };
                }
            }
            State::Probing { loss: was } if loss <= was * HELPED => self.hold_back(at),
            State::Probing { .. } => {
                self.state = State::Free;
                self.trusted_until = at + TRUSTED;
            }
            State::Capped { until } => {
                if at >= until && queue < DRAINED {
                    self.state = State::Free;
                }
            }
        }
    }

    /// How much longer than the shortest a round trip is.
    fn queue(&mut self, at: CallTime, rtt: Option<Duration>) -> Duration {
        let Some(rtt) = rtt else { return Duration::ZERO };
        match self.shortest {
            Some((seen, shortest)) if shortest < rtt && at.since(seen) < FORGET => rtt - shortest,
            _ => {
                self.shortest = Some((at, rtt));
                Duration::ZERO
            }
        }
    }

    fn hold_back(&mut self, at: CallTime) {
        if let State::Capped { until } = self.state {
            // It goes on: the time begins anew, at the same length.
            self.state = State::Capped { until: until.max(at + HOLD_BACK) };
            return;
        }
        let soon = self.last_capped.is_some_and(|then| at.since(then) < self.hold_back * 4);
        self.hold_back = if soon { (self.hold_back * 2).min(HOLD_BACK_MOST) } else { HOLD_BACK };
        self.last_capped = Some(at);
        self.state = State::Capped { until: at + self.hold_back };
    }
}
