//! What a call leaves behind, as values: each entry becomes a row. The store writes them; nobody waits for it.

use std::ops::Range;
use std::sync::Arc;

use duologue_signaling::event::{LatencyParts, Stamped, TurnOutcome};

use crate::dialogue::judge::Situation;
use crate::knowledge::Passage;
use crate::media::downlink::LinkReport;
use crate::media::far_ear::{Evidence, ReportCounts};
use crate::media::lateness::Lateness;
use crate::memory::meaning::Meaning;
use crate::memory::{Gleanings, Party};
use crate::time::CallTime;

/// A call's name: a UUID of version 7, so that names sort by time.
pub type CallId = String;

/// Why a call ended: `calls.end_reason` in SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// The caller hung up: `DELETE`, a hangup message, or the peer closed.
    CallerHangup,
    /// The agent hung up.
    AgentHangup,
    /// The transport died: consent expired, no packets, tab closed without a word.
    NetworkGone,
    /// Media never came up.
    NeverConnected,
    /// The server shut down.
    Shutdown,
    /// The longest allowed call.
    TimeLimit,
    /// The server stopped without ending the call; written at the next start.
    Crash,
    /// A fault of ours; the journal is kept.
    Bug,
    /// The other side speaks to somebody else in our place.
    Transferred,
    /// Whom the server called speaks to somebody else.
    Busy,
    /// Whom the server called does not want to be called.
    Declined,
    /// Whom the server called let it ring.
    NoAnswer,
    /// Whom the server called was not to be had: no such number, nobody there, no codec in common.
    Unreachable,
}

impl EndReason {
    /// As it stands in SQL and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CallerHangup => "caller-hangup",
            Self::AgentHangup => "agent-hangup",
            Self::NetworkGone => "network-gone",
            Self::NeverConnected => "never-connected",
            Self::Shutdown => "shutdown",
            Self::TimeLimit => "time-limit",
            Self::Crash => "crash",
            Self::Bug => "bug",
            Self::Transferred => "transferred",
            Self::Busy => "busy",
            Self::Declined => "declined",
            Self::NoAnswer => "no-answer",
            Self::Unreachable => "unreachable",
        }
    }
}

/// Whose turn a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Speaker {
    Caller,
    Agent,
}

/// One thing to keep.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    CallOpened {
        call: CallId,
        /// Milliseconds since the Unix epoch.
        started_utc_ms: i64,
        /// A stable name of the caller, where the client gave one; memory hangs on it.
        caller: Option<String>,
        persona: String,
        /// `webrtc`, `sip`, ...
        transport: String,
        /// What does the work: names of the back ends.
        asr: String,
        llm: String,
        tts: String,
    },
    CallClosed {
        call: CallId,
        ended_utc_ms: i64,
        duration_ms: u64,
        reason: EndReason,
        /// One sentence for people.
        detail: String,
        media: MediaTotals,
    },
    /// A finished turn of either side.
    Turn(TurnRow),
    /// The word ledger of an agent turn, once nothing of it is on its way any more.
    Words {
        call: CallId,
        turn: u32,
        /// What was generated; the words lie in it.
        text: String,
        /// The prefix of `text` that was heard: the last word on it, where the turn's own row said more.
        heard: String,
        words: Vec<WordFate>,
    },
    /// How a call's client reported what it played, and the way to its ear at the end.
    Playout { call: CallId, reports: ReportCounts, way_ms: u64 },
    /// How late the frames of a call left.
    Lateness { call: CallId, lateness: Lateness },
    /// How the agent's sound has arrived at the caller, and how it is sent.
    Downlink(DownlinkRow),
    /// An event as it was sent to the client.
    Event { call: CallId, event: Stamped },
    /// What a judge said, and what was done.
    Judgement(JudgementRow),
    /// What stood before the model when it answered.
    Retrieval(RetrievalRow),
    /// A question to the web, and what came of it.
    Search(SearchRow),
    /// From `turn` on the model sees nothing that was said before.
    Topic { call: CallId, turn: u32, at_ms: u64, asked_by: &'static str },
    /// The call's caller is refused from now on, for `ttl_s` seconds.
    Blocked { call: CallId, at_ms: u64, ttl_s: u64, reason: &'static str },
    /// What a turn gave to remember of the call's caller.
    Remembered {
        call: CallId,
        /// The turn that it rests on.
        turn: u32,
        gleanings: Gleanings,
        /// Milliseconds since the Unix epoch.
        at_utc_ms: i64,
    },
    /// The call's recording begins: the file's name in the folder, the moment of its first sample, and the id of the key that it is
    /// sealed with.
    RecordingBegan { call: CallId, file: String, started_ms: u64, key_id: Option<String> },
    /// The call's recording is whole.
    RecordingKept {
        call: CallId,
        duration_ms: u64,
        bytes: u64,
        /// SHA-256 of the file, in hex.
        sha256: String,
        /// Sound that the disk did not take.
        lost_ms: u64,
    },
    /// The call's recording is no more.
    RecordingGone { call: CallId, why: RecordingGone, at_utc_ms: i64 },
    /// The call's input journal begins: the file's name in the folder of recordings, and the id of the key that it is sealed with.
    JournalBegan { call: CallId, file: String, key_id: Option<String> },
    /// The call's input journal is whole; `lost`: records that the disk did not take.
    JournalKept { call: CallId, bytes: u64, records: u64, lost: u64 },
    /// The call's input journal is no more, as its recording is no more.
    JournalGone { call: CallId, why: RecordingGone, at_utc_ms: i64 },
    /// The agent has brought up a promise that is open.
    Raised { call: CallId, at_ms: u64, who: Party, what: String },
    /// What came of asking the language model for facts.
    Extracted { call: CallId, turn: u32, at_utc_ms: i64, outcome: &'static str, facts: u32, refused: u32, took_ms: u64 },
    /// What a fact of the call's caller means; the fact is the one with this line that holds.
    Meant { call: CallId, line: String, model: &'static str, meaning: Box<Meaning> },
    /// What a call was about, for the next one.
    Summed { call: CallId, text: String },
    /// How it stands with two calls that are to be connected: the newest row of this id says all.
    Bridge(BridgeRow),
    /// What the receiver of webhooks was not told.
    Undelivered(UndeliveredRow),
}

/// Two calls whose sides hear each other, or were to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeRow {
    pub id: String,
    /// Whose caller it is about, and the call that he is connected with.
    pub call: CallId,
    pub other: CallId,
    /// `handover` or `bridge`.
    pub kind: &'static str,
    /// Milliseconds since the Unix epoch.
    pub asked_utc_ms: i64,
    pub joined_utc_ms: Option<i64>,
    pub end: Option<BridgeEnd>,
}

/// How a bridge ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeEnd {
    pub at_utc_ms: i64,
    /// `call-ended`, `other-ended`, `parted`; where it did not come about also `busy`, `declined`, `no-answer`, `unreachable`.
    pub outcome: &'static str,
    /// Ticks of 20 ms in which sound went across, both ways together; in which there was none to go; and whose sound was dropped.
    pub passed: u64,
    pub missing: u64,
    pub dropped: u64,
    /// Packets that went across as they came, neither decoded nor encoded.
    pub relayed: u64,
}

/// Webhooks that were given up: one of a call, or some of any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UndeliveredRow {
    /// Absent where many were lost together.
    pub call: Option<CallId>,
    /// Milliseconds since the Unix epoch.
    pub at_utc_ms: i64,
    /// The event's name; empty where many were lost together, as is `message`, the message's own id.
    pub kind: &'static str,
    pub message: String,
    pub messages: u64,
    pub attempts: u32,
    /// In words.
    pub why: String,
}

/// Why a recording is no more: `recordings.removed_why` in SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordingGone {
    /// It was older than recordings may be.
    Retention,
    /// The caller did not want to be recorded.
    OptOut,
    /// Taken out from outside.
    Operator,
}

impl RecordingGone {
    /// As it stands in SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retention => "retention",
            Self::OptOut => "opt-out",
            Self::Operator => "operator",
        }
    }
}

/// A turn as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct TurnRow {
    pub call: CallId,
    /// Counts both speakers' turns of the call, from 1.
    pub turn: u32,
    pub speaker: Speaker,
    /// Milliseconds since the call began: first and last sound of it.
    pub started_ms: u64,
    pub ended_ms: u64,
    /// Caller: what was recognised. Agent: what the model generated.
    pub text: String,
    /// Agent only: the prefix of `text` that was heard, or had left and could not be called back.
    pub heard: Option<String>,
    /// Caller only: came from the keyboard.
    pub typed: bool,
    /// Agent only.
    pub outcome: Option<TurnOutcome>,
    /// Agent only: what the judge chose and why.
    pub action: Option<String>,
    pub reason: Option<String>,
    /// Agent only.
    pub latency: LatencyParts,
}

/// A judgement as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgementRow {
    pub call: CallId,
    /// The caller's turn that it is about.
    pub turn: u32,
    /// Milliseconds since the call began.
    pub at_ms: u64,
    pub moment: &'static str,
    /// Which judge, which version.
    pub judge: &'static str,
    /// What it was shown of the turn.
    pub text: String,
    pub proposed: &'static str,
    pub action: &'static str,
    /// The budget or never-rule that put `action` in the place of `proposed`.
    pub overruled_by: Option<&'static str>,
    pub reason: &'static str,
    /// The sentence of memory that it rests on.
    pub rests_on: Option<String>,
    pub probabilities: Vec<(&'static str, f32)>,
    pub took_ms: f32,
    /// Everything that it was shown, for labelling and training.
    pub shown: Option<Arc<Situation>>,
}

/// What was looked up for an answer, as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct RetrievalRow {
    pub call: CallId,
    /// The agent's turn that it is for, and the caller's turn that asked.
    pub turn: u32,
    pub caller_turn: u32,
    /// Milliseconds since the call began.
    pub at_ms: u64,
    /// What was looked up.
    pub words: String,
    pub took_ms: f32,
    /// What the model was shown, the best first.
    pub retrieved: Vec<Retrieved>,
}

/// A question to the web, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchRow {
    pub call: CallId,
    /// The agent's turn that it is for, and the caller's turn that asked.
    pub turn: u32,
    pub caller_turn: u32,
    /// When it was asked, milliseconds since the call began; and how long it took.
    pub at_ms: u64,
    pub took_ms: u32,
    pub query: String,
    pub provider: &'static str,
    pub results: u32,
    /// `found`, `nothing`, `late`, `failed`, `dropped`.
    pub outcome: &'static str,
    /// What was wrong.
    pub detail: String,
}

/// A passage that the model was shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Retrieved {
    pub passage: Passage,
    /// The answer took something from it.
    pub cited: bool,
}

/// How far a word has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WordState {
    Generated,
    Synthesised,
    Sent,
    Heard,
}

impl WordState {
    /// As it stands in SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generated => "generated",
            Self::Synthesised => "synthesised",
            Self::Sent => "sent",
            Self::Heard => "heard",
        }
    }
}

/// A word's way so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordFate {
    /// Its bytes in the turn's text, its punctuation included.
    pub text: Range<usize>,
    pub generated: CallTime,
    pub synthesised: Option<CallTime>,
    /// The tick in which its last sample left.
    pub sent: Option<CallTime>,
    /// When its last sample was heard, and how that is known.
    pub heard: Option<(CallTime, Evidence)>,
}

impl WordFate {
    pub fn state(&self) -> WordState {
        if self.heard.is_some() {
            WordState::Heard
        } else if self.sent.is_some() {
            WordState::Sent
        } else if self.synthesised.is_some() {
            WordState::Synthesised
        } else {
            WordState::Generated
        }
    }
}

/// A stretch of the way to the caller: one row of `downlink_stats` in SQL.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DownlinkRow {
    pub call: CallId,
    /// Milliseconds since the call began.
    pub at_ms: u64,
    /// The caller's report at that moment; absent at the end of the call.
    pub report: Option<LinkReport>,
    /// Sent since the row before: packets, copies of earlier packets in them, and their payload all together.
    pub packets_sent: u64,
    pub copies_sent: u64,
    pub payload_bytes: u64,
    /// From here on: copies in each packet, the loss that in-band FEC is for, bits a second of the voice itself.
    pub copies: u8,
    pub fec_percent: u8,
    pub bitrate_bps: u32,
}

/// A call's media in numbers: the caller's side as it was received, but for `packets_sent`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MediaTotals {
    pub packets_received: u64,
    pub packets_lost: u64,
    pub packets_late: u64,
    pub packets_duplicate: u64,
    /// 20 ms frames made up for lost and slow ones.
    pub frames_concealed: u64,
    /// 20 ms frames recovered from in-band FEC.
    pub frames_recovered: u64,
    pub packets_sent: u64,
    /// Jitter buffer, milliseconds from arrival until heard: mean, 95th percentile (to 5 ms) and most of the call.
    pub jitter_delay_ms: u32,
    pub jitter_delay_p95_ms: u32,
    pub jitter_delay_max_ms: u32,
    /// Milliseconds of sound that were listened to, and how many of them were comfort noise.
    pub heard_ms: u64,
    pub comfort_ms: u64,
    /// Milliseconds that time-stretch took out of the sound, and put in.
    pub shortened_ms: u64,
    pub lengthened_ms: u64,
    /// Parts per million by which the caller's clock is faster than ours; `None` where the call was too short to tell.
    pub drift_ppm: Option<i32>,
}
