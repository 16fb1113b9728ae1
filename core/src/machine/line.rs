//! The way out: how packets arrive at the caller, and how they are sent therefore.

use std::time::Duration;

use duologue_signaling::event::Event;

use super::{CallMachine, Output};
use crate::dialogue::conversation::Input;
use crate::media::downlink::LinkReport;
use crate::time::CallTime;

/// A line that changes nothing is told of so often.
const LINE_EVERY: Duration = Duration::from_secs(5);

impl CallMachine {
    /// How our packets arrive: a row, and an event where something changes or has not been told for a while.
    pub(super) fn on_report(&mut self, at: CallTime, report: LinkReport) {
        if let Some(rtt) = report.rtt {
            self.conversation.on(at, Input::RoundTrip(rtt));
        }
        self.downlink.report(at, &report);
        let changed = self.follow_line(at);
        self.put(at, Output::KeepDownlink(report));
        if changed || self.line_told.is_none_or(|told| at.since(told) >= LINE_EVERY) {
            self.tell_line(at, Some(report));
        }
    }

    /// Once a tick: time passes without a report.
    pub(super) fn watch_line(&mut self, at: CallTime) {
        self.downlink.tick(at);
        if self.follow_line(at) {
            self.tell_line(at, None);
        }
    }

    fn follow_line(&mut self, at: CallTime) -> bool {
        let plan = self.downlink.plan();
        let changed = plan != std::mem::replace(&mut self.plan, plan);
        if changed {
            self.put(at, Output::Plan(plan));
        }
        changed
    }

    fn tell_line(&mut self, at: CallTime, report: Option<LinkReport>) {
        let ms = |time: Duration| (time.as_secs_f32() * 10_000.0).round() / 10.0;
        self.line_told = Some(at);
        let event = Event::Line {
            loss: (self.downlink.window_loss() * 1_000.0).round() / 1_000.0,
            jitter_ms: ms(report.map_or(Duration::ZERO, |report| report.jitter)),
            rtt_ms: report.and_then(|report| report.rtt).map(ms),
            copies: self.plan.copies.len() as u8,
            hold_ms: self.plan.hold().as_millis() as u32,
        };
        self.emit(at, event);
    }
}
