//! What has left and has not been heard yet. An agent turn that is over is followed to the caller's ear: some 100 ms after its
//! last packet its ledger is complete, goes into the journal, and the history holds what was heard of it.

use std::time::Duration;

use super::{Conversation, Effect};
use crate::dialogue::ledger::Ledger;
use crate::journal::{EndReason, Entry};
use crate::media::far_ear::ReportCounts;
use crate::time::CallTime;

/// An agent turn that is over, and may still sound at the other end.
#[derive(Debug)]
pub(super) struct Arriving {
    pub turn: u32,
    pub ended: CallTime,
    pub ledger: Ledger,
    /// It was stopped: the client may say yet that it played less of it.
    pub cut: bool,
}

/// Longest way to the ear that is waited for. A client that has not played it by then has lost it.
const ARRIVES_WITHIN: Duration = Duration::from_secs(4);

/// So long after a turn was stopped the client may still say how much of it was played: a round trip, and what its own detector of
/// an interruption takes.
const TRUNCATED_WITHIN: Duration = Duration::from_millis(500);

/// Turns on their way at once. Each must have sent something within the last seconds, so more than two are rare.
const ARRIVING_MOST: usize = 8;

impl Conversation {
    /// One more frame has left: follows everything that is under way to the far ear.
    pub(super) fn follow(&mut self, at: CallTime) {
        self.show_words(at);
        for arriving in &mut self.arriving {
            if arriving.ledger.hear(at, &self.far_ear) {
                self.history.heard(arriving.turn, arriving.ledger.heard());
            }
        }
        while let Some(first) = self.arriving.front()
            && (first.ledger.has_arrived() && (!first.cut || at.since(first.ended) >= TRUNCATED_WITHIN)
                || at.since(first.ended) > ARRIVES_WITHIN
                || self.arriving.len() > ARRIVING_MOST)
        {
            self.settle();
        }
        if self.closing && self.arriving.is_empty() && !self.over {
            self.over = true;
            let detail = "The agent said goodbye after a long silence.".into();
            self.effects.push(Effect::End { reason: EndReason::AgentHangup, detail });
        }
    }

    /// The call ends now: what is on its way is not heard any more.
    pub(super) fn settle_all(&mut self) {
        while !self.arriving.is_empty() {
            self.settle();
        }
        let reports = self.far_ear.counts();
        if reports != ReportCounts::default() {
            let way_ms = self.far_ear.way().as_millis() as u64;
            self.effects.push(Effect::Keep(Entry::Playout { call: self.call.clone(), reports, way_ms }));
        }
    }

    /// The oldest turn under way is complete.
    fn settle(&mut self) {
        let Some(Arriving { turn, ledger, .. }) = self.arriving.pop_front() else { return };
        let (heard, words) = (ledger.heard().to_owned(), ledger.words());
        let text = ledger.text().to_owned();
        self.effects.push(Effect::Keep(Entry::Words { call: self.call.clone(), turn, text, heard, words }));
    }
}
