//! The course of one bridge: the two calls as their events tell of them, and the row about it.

use std::sync::Arc;
use std::time::Duration;

use duologue_signaling::event::{BridgeState, Event, Stamped, TurnOutcome};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::call::bridging::{Claim, Counts, Joint};
use crate::call::registry::Registry;
use crate::call::wire::Control;
use crate::dialogue::conversation::Errand;
use crate::journal::{BridgeEnd, BridgeRow, CallId, EndReason, Entry};
use crate::store::utc_ms;

/// A call, as its events tell of it.
pub(super) struct Side {
    pub call: CallId,
    events: broadcast::Receiver<Arc<str>>,
    /// Nobody else connects it meanwhile.
    _claim: Claim,
}

/// What a call tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// The other side is there.
    Started,
    /// The agent has said this, or its voice has failed it.
    Said(String),
    /// It is over, for this reason where that was heard.
    Ended(Option<String>),
}

impl Side {
    /// Waits for the next thing; nothing is lost where it is not waited for to the end.
    pub async fn told(&mut self) -> Told {
        loop {
            match self.events.recv().await {
                Ok(json) => {
                    if let Some(told) = read(&json) {
                        return told;
                    }
                }
                // Its end is told by the channel's end as well.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Told::Ended(None),
            }
        }
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> Option<String> {
        loop {
            if let Told::Ended(reason) = self.told().await {
                return reason;
            }
        }
    }
}

fn read(json: &str) -> Option<Told> {
    let Stamped { event, .. } = serde_json::from_str(json).ok()?;
    match event {
        Event::CallStarted { .. } => Some(Told::Started),
        // What was taken back unheard is said again.
        Event::TurnEnded { outcome: TurnOutcome::Completed | TurnOutcome::Failed, generated, .. } => {
            Some(Told::Said(generated))
        }
        Event::CallEnded { reason, .. } => Some(Told::Ended(Some(reason))),
        _ => None,
    }
}

/// Who has left first.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Left {
    Call(Option<String>),
    Other(Option<String>),
    /// Both are there, and were parted from outside.
    Parted,
}

/// See the module's words.
pub(super) struct Course {
    pub registry: Arc<Registry>,
    pub call: Side,
    pub other: Side,
    pub parting: CancellationToken,
    row: BridgeRow,
    counts: Arc<Counts>,
}

impl Course {
    /// Two calls that are to be connected.
    pub fn new(
        registry: Arc<Registry>,
        kind: &'static str,
        (call, events, claim): (&str, broadcast::Receiver<Arc<str>>, Claim),
        (other, events_there, claim_there): (&str, broadcast::Receiver<Arc<str>>, Claim),
        parting: CancellationToken,
    ) -> Self {
        let row = BridgeRow {
            id: uuid::Uuid::now_v7().to_string(),
            call: call.to_owned(),
            other: other.to_owned(),
            kind,
            asked_utc_ms: utc_ms(),
            joined_utc_ms: None,
            end: None,
        };
        let call = Side { call: call.to_owned(), events, _claim: claim };
        let other = Side { call: other.to_owned(), events: events_there, _claim: claim_there };
        let course = Self { registry, call, other, parting, row, counts: Arc::default() };
        course.keep();
        course
    }

    /// They hear each other from here on. False: one of them is gone, and the other one is told so.
    pub async fn join(&mut self) -> bool {
        let Ok((ours, theirs, counts)) = Joint::pair() else { return false };
        self.counts = counts;
        let detail = String::from("The two sides hear each other, and the agent listens.");
        let (call, other) = (self.call.call.clone(), self.other.call.clone());
        let ours = Control::Join { with: other.clone(), joint: ours, detail: detail.clone() };
        let theirs = Control::Join { with: call.clone(), joint: theirs, detail };
        // One that is gone by now has told its end, which is read next.
        self.registry.tell_surely(&call, ours).await;
        self.registry.tell_surely(&other, theirs).await;
        self.row.joined_utc_ms = Some(utc_ms());
        self.keep();
        true
    }

    /// Until one of them leaves, or they are parted.
    pub async fn until_left(&mut self) -> Left {
        tokio::select! {
            biased;
            reason = self.call.ended() => Left::Call(reason),
            reason = self.other.ended() => Left::Other(reason),
            () = self.parting.cancelled() => Left::Parted,
        }
    }

    /// The caller is with his agent again, and is told so.
    pub async fn part_call(&self, detail: &str, words: &str) {
        self.tell_call(BridgeState::Parted, detail).await;
        self.say(&self.call.call, words, Duration::ZERO).await;
    }

    /// The other one likewise.
    pub async fn part_other(&self, detail: &str, words: &str) {
        let with = self.call.call.clone();
        let control = Control::Bridge { with, state: BridgeState::Parted, detail: detail.to_owned() };
        self.registry.tell_surely(&self.other.call, control).await;
        self.say(&self.other.call, words, Duration::ZERO).await;
    }

    /// How it stands, for the call that it is about.
    pub async fn tell_call(&self, state: BridgeState, detail: &str) {
        let control = Control::Bridge { with: self.other.call.clone(), state, detail: detail.to_owned() };
        self.registry.tell_surely(&self.call.call, control).await;
    }

    /// The agent of one of them says this, when the floor is free.
    pub async fn say(&self, call: &str, words: &str, after: Duration) {
        let errand = Errand::Say { words: words.to_owned(), interrupt: false, hang_up: false };
        self.registry.tell_surely(call, Control::Errand { errand, after }).await;
    }

    /// One of them is hung up.
    pub async fn hang_up(&self, call: &str, detail: &str) {
        let control = Control::End { reason: EndReason::AgentHangup, detail: detail.to_owned() };
        self.registry.tell_surely(call, control).await;
    }

    /// It is over.
    pub fn end(&mut self, outcome: &'static str) {
        let crossed = self.counts.read();
        let (at_utc_ms, earliest) = (utc_ms(), self.row.joined_utc_ms.unwrap_or(self.row.asked_utc_ms));
        let (passed, missing, dropped) = (crossed.passed, crossed.missing, crossed.dropped);
        let (at_utc_ms, relayed) = (at_utc_ms.max(earliest), self.counts.relayed());
        self.row.end = Some(BridgeEnd { at_utc_ms, outcome, passed, missing, dropped, relayed });
        self.keep();
        tracing::info!(
            call = self.row.call,
            other = self.row.other,
            outcome,
            passed,
            missing,
            dropped,
            "a bridge is over"
        );
    }

    fn keep(&self) {
        self.registry.recorder().record(Entry::Bridge(self.row.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_call_tells_is_read_from_its_events() {
        let ended = r#"{"at_ms":5,"type":"call-ended","reason":"busy","detail":"It is busy."}"#;
        assert_eq!(read(ended), Some(Told::Ended(Some("busy".into()))));
        assert_eq!(read(r#"{"at_ms":5,"type":"call-started","call":"a","persona":"porter"}"#), Some(Told::Started));
        assert_eq!(read(r#"{"at_ms":5,"type":"floor","state":"idle"}"#), None);
        assert_eq!(read("no JSON"), None);
    }
}
