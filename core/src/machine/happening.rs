//! What a call is told from outside.

use std::sync::Arc;
use std::time::Duration;

use duologue_signaling::event::{BridgeState, TransferState};
use serde::{Deserialize, Serialize};

use crate::audio::codec::LineCodec;
use crate::backend::Speech;
use crate::dialogue::conversation::{Errand, Input};
use crate::dialogue::parts::Ask;
use crate::dialogue::persona::Persona;
use crate::journal::{CallId, EndReason};
use crate::media::downlink::LinkReport;
use crate::media::rtp::RtpPacket;
use crate::memory::Fact;
use crate::replay::kept;
use crate::time::CallTime;

/// Everything that changes a call but the passing of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Happening {
    /// A packet of the caller's, and when it was read from the network. A journal has a form of its own for it.
    #[serde(skip)]
    Rtp { arrived: CallTime, packet: RtpPacket },
    /// Media flows.
    Connected,
    /// How our packets arrive.
    Report(LinkReport),
    /// A key of the caller's telephone was pressed for so long.
    Key { key: char, held: Duration },
    /// The caller has put us on hold, or is back. Meanwhile the call's clock stands still, and nothing is heard.
    Hold { on: bool },
    /// The other side was asked to call somebody else in our place, and this is how it stands.
    Transfer { to: String, state: TransferState, detail: String },
    /// This call is to be connected with another one, is, or was.
    Bridge { with: CallId, state: BridgeState, detail: String },
    /// Another telephone holds the call from here on.
    TakenOver { by: String },
    /// These keys are pressed for the agent.
    KeysSent { keys: String },
    /// The other side speaks this codec from now on.
    Speaks { codec: LineCodec, payload_type: u8 },
    /// The client has sent this.
    Message(String),
    /// This persona answers from now on.
    Persona(#[serde(with = "kept::shared")] Arc<Persona>),
    /// The persona that was asked for does not exist; in words.
    NoPersona(String),
    /// Something to say of the agent's own accord, after so long.
    Errand { errand: Errand, after: Duration },
    /// What is known of the caller has been changed from outside.
    Recollect,
    /// A back end has answered.
    Input(Input),
    /// The recogniser has.
    Words(Ask, Result<String, String>),
    /// The sound of a clause that may be needed at once.
    Phrase(String, Vec<Speech>),
    /// The language model was asked for facts.
    Extracted(Extracted),
    /// The call is to end.
    End { reason: EndReason, detail: String },
    /// It does: nothing happens after this.
    Finish,
}

/// What came of asking the language model for the facts of a turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Extracted {
    pub turn: u32,
    #[serde(deserialize_with = "kept::code")]
    pub outcome: kept::Code,
    pub facts: Vec<Fact>,
    pub refused: u32,
    pub took_ms: u64,
}
