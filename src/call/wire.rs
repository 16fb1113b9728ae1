//! Every queue of the process, in one table. All are bounded. Those of a call are made here; `peer`, `store` and the back ends
//! make their own, under the names and bounds that stand here.
//!
//! | channel | carries | made by | room | when it is full | at a barge-in |
//! |---|---|---|---|---|---|
//! | inbox | [`Input`]: results of ASR, judge, LLM, voice | [`inbox`], one a call | 64 | the back end's task waits | results of the dropped turn are refused by number |
//! | control | [`Control`]: hang-up, typed text, errands, a persona, from HTTP | [`control`], one a call | 8 | the request is refused: 503 | stays |
//! | events | JSON of every event | [`events`], one a call | 256 | the slowest listener misses the oldest, and is told | stays |
//! | speech | [`Speech`] of one clause | [`speech`], one a clause | 4 | the voice waits | dropped with the turn |
//! | peer events | RTP, messages, state | `peer`, one a peer | `peer::EVENTS_WAITING` | the newest packet is dropped and counted | stays |
//! | peer messages | events for the data channel | `peer`, one a peer | `peer::MESSAGES_WAITING` | dropped and counted | stays |
//! | leg events | as peer events, of a leg that is no peer | [`leg_events`], one a leg | `peer::EVENTS_WAITING` | the newest packet is dropped and counted | stays |
//! | looked at | what came over one TCP connection of SIP, for the stack | `sip`, one a connection | a pair of sockets' buffers | nothing more is read: the telephone's TCP waits | stays |
//! | across | what one call has heard in a tick, for the one that it is connected with | [`across`], two a bridge | [`ACROSS_WAITING`] | the tick's sound is dropped and counted | stays |
//! | said | the agent's sound and the events of a call, for a door | [`said`], one a door's leg | [`SAID_WAITING`] | dropped: a client that does not read loses sound, and is gone after 10 s | stays: what is on its way is the client's |
//! | relay back | datagrams on their way back through `duologue relay` | `peer`, one a relay | 512 | the socket's own buffer fills, then drops | stays |
//! | entries | rows for SQLite | `store`, one a process | `store::ENTRIES_WAITING` | dropped and counted: the call goes on | stays |
//! | ticks | both sides of each tick, for the file | `recording`, one a process | `recording::TICKS_WAITING` | the tick is lost and counted; its time is silence in the file | stays |
//! | traces | entries that spans are made of | `traces`, one a process | `traces::ENTRIES_WAITING` | dropped and counted | stays |
//! | webhooks | events for a program of the operator's | `webhook`, one a process | `webhook::MESSAGES_WAITING` | the message is lost, counted and a row | stays |
//! | blocks | a second of a call's input journal | `replay`, one a process | `replay::BLOCKS_WAITING` | the block is lost and counted; the call can be replayed up to there | stays |
//! | permits | the right to infer, over all engines | `backend::pool`, one a process | the machine's cores | whoever asks waits, the most urgent first | partials in work are called back for the tail |
//! | engine jobs | work for a model's thread | each back end, one an engine | the engine's own constant | the caller's future waits | a job whose asker is gone is skipped |

use std::sync::Arc;
use std::time::Duration;

use duologue_signaling::event::BridgeState;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::bridging::{Across, Brief, Joint};
use super::leg::Leg;
use crate::backend::Speech;
use crate::dialogue::conversation::{Errand, Input};
use crate::dialogue::persona::Persona;
use crate::doors::doorway::Said;
use crate::journal::{CallId, EndReason};
use crate::peer::{EVENTS_WAITING, PeerEvent, PeerLine};

/// From outside the call.
pub enum Control {
    /// End the call.
    End { reason: EndReason, detail: String },
    /// A message as it could have come over the data channel.
    Message(String),
    /// Something to say of the agent's own accord, after so long.
    Errand { errand: Errand, after: Duration },
    /// What is known of the caller has been changed from outside.
    Recollect,
    /// The agent stops.
    Stop,
    /// Of agent turn `turn` the client has played so much, and plays no more.
    Truncated { turn: u32, played: Duration },
    /// Somebody else hears the agent from now on.
    Listener(PeerLine),
    /// This persona answers from now on.
    Persona(Arc<Persona>),
    /// These keys are pressed for the agent.
    Press(String),
    /// The call is held over this leg from now on, by whoever is named.
    Leg { leg: Box<Leg>, by: String },
    /// What whoever takes the call over is to be told.
    Brief(oneshot::Sender<Brief>),
    /// How it stands between this call and another one.
    Bridge { with: CallId, state: BridgeState, detail: String },
    /// The two hear each other from now on.
    Join { with: CallId, joint: Box<Joint>, detail: String },
}

/// Results for one call. A reply yields at most some 30 tokens and 10 chunks of sound a second.
pub fn inbox() -> (mpsc::Sender<Input>, mpsc::Receiver<Input>) {
    mpsc::channel(64)
}

/// Requests to one call; each is handled within a tick.
pub fn control() -> (mpsc::Sender<Control>, mpsc::Receiver<Control>) {
    mpsc::channel(8)
}

/// What one call says about itself, already as JSON.
pub fn events() -> broadcast::Sender<Arc<str>> {
    broadcast::channel(256).0
}

/// One clause's sound: chunks of about 0.3 s to 1 s.
pub fn speech() -> (mpsc::Sender<Speech>, mpsc::Receiver<Speech>) {
    mpsc::channel(4)
}

/// What happens on a leg that is no WebRTC peer. Whoever fills it drops packets that find no room.
pub fn leg_events() -> (mpsc::Sender<PeerEvent>, mpsc::Receiver<PeerEvent>) {
    mpsc::channel(EVENTS_WAITING)
}

/// What may wait between two calls: a sixth of a second, which a call that stood still for longer does not catch up with.
pub const ACROSS_WAITING: usize = 8;

/// From one call to the one that it is connected with. Whoever fills it drops what finds no room.
pub fn across() -> (mpsc::Sender<Across>, mpsc::Receiver<Across>) {
    mpsc::channel(ACROSS_WAITING)
}

/// What may wait for a door: four seconds of sound, and the events among it.
pub const SAID_WAITING: usize = 256;

/// What a call says to its door. Whoever fills it drops what finds no room.
pub fn said() -> (mpsc::Sender<Said>, mpsc::Receiver<Said>) {
    mpsc::channel(SAID_WAITING)
}
