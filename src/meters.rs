//! Ring 3: what the server counts about itself, for Prometheus: `GET /metrics`. Everything that is kept of a call passes the store's
//! [`Recorder`](crate::store::Recorder), and is counted there: nothing else in the server knows of metrics.
//!
//! Labels come from closed lists of ours; no call, caller or word is ever one. docs/OBSERVABILITY.md has the names.

use std::sync::Arc;

use duologue_signaling::event::{Event, TurnOutcome};
use duologue_signaling::sip_datagram::Fault;
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::journal::{BridgeRow, Entry, Speaker, TurnRow};

/// Response latencies: a quarter of a second steps where answers lie, then coarser. Seconds.
const RESPONSE: [f64; 12] = [0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0];
/// Judgements: the rules take microseconds, the tuned judge tens of milliseconds, a language model more. Seconds.
const JUDGEMENT: [f64; 8] = [0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.4];
/// Calls: a minute's steps, then coarser. Seconds.
const LENGTH: [f64; 9] = [5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0];

/// Why something at the SIP port is not taken, beside the faults of a message: too much of one source, a connection too many, too
/// many requests in work.
const NOT_TAKEN: [Label; 7] = ["flood", "connection", "busy", "tls", "password", "passwords", "refer"];

/// Why a packet of protected sound is not opened.
const UNOPENED: [Label; 5] = ["authentication", "replay", "clear", "short", "early"];

/// Why a telephone and this server agree on no keys over DTLS.
const NO_KEYS: [Label; 3] = ["fingerprint", "timeout", "handshake"];

/// How a bridge ends while the server runs.
const PARTED: [Label; 7] = ["call-ended", "other-ended", "parted", "busy", "declined", "no-answer", "unreachable"];

type Label = &'static str;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    reason: Label,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Parted {
    outcome: Label,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Said {
    speaker: Label,
    outcome: Label,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Judged {
    moment: Label,
    action: Label,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Rejected {
    reason: Label,
}

/// Codes of trouble that have a label of their own; one more is `other`, so that labels stay bounded.
const CODES_MOST: usize = 32;

/// All counters. Cheap to clone.
#[derive(Clone)]
pub struct Meters(Arc<Inner>);

impl std::fmt::Debug for Meters {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Meters")
    }
}

struct Inner {
    registry: Registry,
    active: Gauge,
    started: Counter,
    ended: Family<Ended, Counter>,
    length: Histogram,
    turns: Family<Said, Counter>,
    response: Histogram,
    judgements: Family<Judged, Counter>,
    judgement: Histogram,
    overruled: Counter,
    interruptions: Counter,
    packets_received: Counter,
    packets_lost: Counter,
    packets_sent: Counter,
    frames_concealed: Counter,
    troubles: Family<Code, Counter>,
    codes: std::sync::Mutex<std::collections::BTreeSet<String>>,
    lost: Counter,
    delivered: Counter,
    undelivered: Counter,
    bridges: Family<Parted, Counter>,
    bridge_dropped: Counter,
    stored: Counter,
    store_failures: Counter,
    unstored: Gauge,
    sip_rejected: Family<Rejected, Counter>,
    srtp_rejected: Family<Rejected, Counter>,
    dtls_failed: Family<Rejected, Counter>,
    sip_connections: Gauge,
    registrations: Gauge,
    missing_registrations: Gauge,
}

impl Default for Meters {
    fn default() -> Self {
        Self::new()
    }
}

impl Meters {
    /// Everything at nothing.
    pub fn new() -> Self {
        let histogram = |bounds: &[f64]| Histogram::new(bounds.iter().copied());
        let mut this = Inner {
            registry: Registry::with_prefix("duologue"),
            active: Gauge::default(),
            started: Counter::default(),
            ended: Family::default(),
            length: histogram(&LENGTH),
            turns: Family::default(),
            response: histogram(&RESPONSE),
            judgements: Family::default(),
            judgement: histogram(&JUDGEMENT),
            overruled: Counter::default(),
            interruptions: Counter::default(),
            packets_received: Counter::default(),
            packets_lost: Counter::default(),
            packets_sent: Counter::default(),
            frames_concealed: Counter::default(),
            troubles: Family::default(),
            codes: std::sync::Mutex::default(),
            lost: Counter::default(),
            delivered: Counter::default(),
            undelivered: Counter::default(),
            bridges: Family::default(),
            bridge_dropped: Counter::default(),
            stored: Counter::default(),
            store_failures: Counter::default(),
            unstored: Gauge::default(),
            sip_rejected: Family::default(),
            srtp_rejected: Family::default(),
            dtls_failed: Family::default(),
            sip_connections: Gauge::default(),
            registrations: Gauge::default(),
            missing_registrations: Gauge::default(),
        };
        this.register();
        // All at nothing, so that the first of a kind is seen as a rise.
        for reason in Fault::ALL.map(Fault::as_str).into_iter().chain(NOT_TAKEN) {
            drop(this.sip_rejected.get_or_create(&Rejected { reason }));
        }
        for reason in UNOPENED {
            drop(this.srtp_rejected.get_or_create(&Rejected { reason }));
        }
        for reason in NO_KEYS {
            drop(this.dtls_failed.get_or_create(&Rejected { reason }));
        }
        for outcome in PARTED {
            drop(this.bridges.get_or_create(&Parted { outcome }));
        }
        Self(Arc::new(this))
    }

    /// An entry is about to be kept.
    pub fn observe(&self, entry: &Entry) {
        let meters = &*self.0;
        match entry {
            Entry::CallOpened { .. } => {
                meters.started.inc();
                meters.active.inc();
            }
            Entry::CallClosed { duration_ms, reason, media, .. } => {
                meters.active.dec();
                meters.ended.get_or_create(&Ended { reason: reason.as_str() }).inc();
                meters.length.observe(seconds(*duration_ms));
                meters.packets_received.inc_by(media.packets_received);
                meters.packets_lost.inc_by(media.packets_lost);
                meters.packets_sent.inc_by(media.packets_sent);
                meters.frames_concealed.inc_by(media.frames_concealed);
            }
            Entry::Turn(turn) => meters.turn(turn),
            Entry::Judgement(row) => {
                meters.judgements.get_or_create(&Judged { moment: row.moment, action: row.action }).inc();
                meters.judgement.observe(f64::from(row.took_ms) / 1_000.0);
                if row.overruled_by.is_some() {
                    meters.overruled.inc();
                }
            }
            Entry::Event { event, .. } => {
                if let Event::Trouble { code, .. } = &event.event {
                    meters.troubles.get_or_create(&Code { code: meters.bounded(code) }).inc();
                }
            }
            Entry::Bridge(BridgeRow { end: Some(end), .. }) => {
                meters.bridges.get_or_create(&Parted { outcome: end.outcome }).inc();
                meters.bridge_dropped.inc_by(end.dropped);
            }
            Entry::Undelivered(row) => {
                meters.undelivered.inc_by(row.messages);
            }
            _ => {}
        }
    }

    /// A webhook has been taken by its receiver.
    pub fn deliver(&self) {
        self.0.delivered.inc();
    }

    /// A recording has come to its store.
    pub fn recording_stored(&self) {
        self.0.stored.inc();
    }

    /// So many finished recordings are still to go there.
    pub fn recordings_waiting(&self, count: usize) {
        self.0.unstored.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// The store of recordings did not do what it was asked for.
    pub fn store_failed(&self) {
        self.0.store_failures.inc();
    }

    /// With so many trunks we are registered now, and with so many that we want to be we are not.
    pub fn registered(&self, known: usize, missing: usize) {
        self.0.registrations.set(known as i64);
        self.0.missing_registrations.set(missing as i64);
    }

    /// An entry could not be kept.
    pub fn lose(&self) {
        self.0.lost.inc();
    }

    /// Something came to the SIP port that is not taken; `reason` is one of a closed list.
    pub fn refuse_sip(&self, reason: &'static str) {
        self.0.sip_rejected.get_or_create(&Rejected { reason }).inc();
    }

    /// A packet of protected sound was not opened.
    pub fn refuse_srtp(&self, reason: &'static str) {
        self.0.srtp_rejected.get_or_create(&Rejected { reason }).inc();
    }

    /// A telephone and this server have agreed on no keys over DTLS, and the call has ended.
    pub fn fail_dtls(&self, reason: &'static str) {
        self.0.dtls_failed.get_or_create(&Rejected { reason }).inc();
    }

    /// So many TCP and TLS connections to the SIP ports are open now.
    pub fn sip_connections(&self, open: usize) {
        self.0.sip_connections.set(i64::try_from(open).unwrap_or(i64::MAX));
    }

    /// All of it, as Prometheus reads it (OpenMetrics 1.0).
    pub fn text(&self) -> String {
        let mut out = String::new();
        // A string takes everything.
        let _ = encode(&mut out, &self.0.registry);
        out
    }
}

const fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}

impl Inner {
    fn register(&mut self) {
        let r = &mut self.registry;
        r.register("calls_active", "Calls that are open now", self.active.clone());
        r.register("calls_started", "Calls taken", self.started.clone());
        r.register("calls_ended", "Calls that are over, by why", self.ended.clone());
        r.register_with_unit("call_duration", "How long calls were", Unit::Seconds, self.length.clone());
        r.register("turns", "Turns of both sides, by how they ended", self.turns.clone());
        let about = "From the caller's last sound to the first packet of the answer, as the server sees it";
        r.register_with_unit("response", about, Unit::Seconds, self.response.clone());
        r.register("judgements", "Judgements, by what was done", self.judgements.clone());
        r.register_with_unit("judgement", "How long judgements took", Unit::Seconds, self.judgement.clone());
        r.register("judgements_overruled", "Judgements that a budget or a rule overruled", self.overruled.clone());
        r.register("interruptions", "Agent turns that the caller stopped", self.interruptions.clone());
        r.register("rtp_packets_received", "RTP packets of callers", self.packets_received.clone());
        r.register("rtp_packets_lost", "RTP packets of callers that never came", self.packets_lost.clone());
        r.register("rtp_packets_sent", "RTP packets to callers", self.packets_sent.clone());
        r.register(
            "rtp_frames_concealed",
            "Frames of 20 ms of callers that were made up",
            self.frames_concealed.clone(),
        );
        r.register("troubles", "What failed while calls went on, by code", self.troubles.clone());
        r.register("rows_lost", "Entries that the database did not take", self.lost.clone());
        r.register("webhooks_delivered", "Webhooks that their receiver took", self.delivered.clone());
        r.register("webhooks_undelivered", "Webhooks that were given up", self.undelivered.clone());
        r.register("bridges", "Calls that were connected, or were to be, by how that ended", self.bridges.clone());
        let about = "Frames of 20 ms that one call had for another, and that did not come there in time";
        r.register("bridge_frames_dropped", about, self.bridge_dropped.clone());
        r.register("recordings_stored", "Recordings that came to their store", self.stored.clone());
        r.register("recordings_waiting", "Finished recordings that are still to go there", self.unstored.clone());
        r.register(
            "recording_store_failures",
            "Times that the store of recordings failed",
            self.store_failures.clone(),
        );
        let refused = "What came to the SIP port and was not taken, by why";
        r.register("sip_rejected", refused, self.sip_rejected.clone());
        let unopened = "Packets of protected sound that were not opened, by why";
        r.register("srtp_rejected", unopened, self.srtp_rejected.clone());
        let keyless = "Calls of telephones that ended because no keys were agreed on over DTLS, by why";
        r.register("dtls_failed", keyless, self.dtls_failed.clone());
        r.register("sip_connections", "TCP and TLS connections to the SIP ports", self.sip_connections.clone());
        let about = "Trunks that know where calls for us go";
        r.register("sip_registrations", about, self.registrations.clone());
        let about = "Trunks that are to know it, and do not";
        r.register("sip_registrations_missing", about, self.missing_registrations.clone());
    }

    fn turn(&self, turn: &TurnRow) {
        let speaker = match turn.speaker {
            Speaker::Caller => "caller",
            Speaker::Agent => "agent",
        };
        let outcome = match turn.outcome {
            None => "",
            Some(TurnOutcome::Completed) => "completed",
            Some(TurnOutcome::Interrupted) => "interrupted",
            Some(TurnOutcome::Revoked) => "revoked",
            Some(TurnOutcome::Failed) => "failed",
        };
        self.turns.get_or_create(&Said { speaker, outcome }).inc();
        if turn.outcome == Some(TurnOutcome::Interrupted) {
            self.interruptions.inc();
        }
        let heard = turn.heard.as_ref().is_some_and(|heard| !heard.is_empty());
        if let (true, Some(from), Some(until)) = (heard, turn.latency.speech_end_ms, turn.latency.first_packet_ms)
            && until >= from
        {
            self.response.observe(seconds(until - from));
        }
    }

    /// The code, or `other` where there are many already.
    fn bounded(&self, code: &str) -> String {
        let mut codes = self.codes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if codes.contains(code) || codes.len() < CODES_MOST {
            codes.insert(code.to_owned());
            code.to_owned()
        } else {
            "other".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_trouble_stay_bounded() {
        let meters = Meters::new();
        let codes: std::collections::BTreeSet<String> =
            (0..100).map(|n| meters.0.bounded(&format!("code-{n}"))).collect();
        assert_eq!(codes.len(), CODES_MOST + 1);
        assert_eq!(meters.0.bounded("code-3"), "code-3", "those that were first keep their names");
    }
}
