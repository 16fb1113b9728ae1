//! What a call is held over: a browser's peer, a telephone's RTP, or any other door. The call knows no more of it than this.
//!
//! A leg is a bounded stream of [`PeerEvent`]s in, a [`Line`] out, the codec of both, and what ends it. Sound comes and goes as
//! RTP packets, whatever the door: jitter buffer, echo canceller, floor and memory are the same for all.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use duologue_signaling::phone_sdp::KeyPackets;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::media::lateness::Lateness;
use crate::peer::{Ending, OfferRefused, Peer, PeerEvent, PeerLine, Spoken};

/// One packet on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    pub payload_type: u8,
    pub sequence: u16,
    /// In units of the codec's RTP clock.
    pub timestamp: u32,
    /// It begins a talk spurt.
    pub marker: bool,
    pub payload: Bytes,
    /// When it was to leave.
    pub due: Instant,
}

/// The way out of a leg. Nothing of it waits but [`Line::reoffer`], and nothing of it keeps the leg alive.
#[async_trait]
pub trait Line: Send + Sync {
    /// Sends one packet now, or drops and counts it: false.
    fn send(&self, packet: Outgoing) -> bool;

    /// Sends one message (an event as JSON), after those before it. A line without such a way drops it: false.
    fn send_message(&self, text: String) -> bool;

    /// How late packets have left so far.
    fn lateness(&self) -> Lateness;

    /// Answers a further offer for the same connection.
    ///
    /// # Errors
    /// When the offer is at fault, the line is gone, or offers do not come to it this way.
    async fn reoffer(&self, offer: String) -> Result<String, OfferRefused>;

    /// The other side may be reached there as well. A line that did not begin with an offer has no use for it.
    ///
    /// # Errors
    /// When the line is gone.
    async fn trickle(&self, _candidates: Vec<String>) -> Result<(), OfferRefused> {
        Ok(())
    }

    /// How the other side reads keys that the agent presses. `None`: it does not.
    fn key_packets(&self) -> Option<KeyPackets> {
        None
    }

    /// Asks the other side to call somebody else in our place; what comes of it is told by events.
    ///
    /// # Errors
    /// When it is no telephone, or was asked to already.
    fn transfer(&self, _onto: Onto) -> Result<(), NotTransferred> {
        Err(NotTransferred::NoTelephone)
    }

    /// Whom another telephone has to call to take this line's other side over. `None`: it is no telephone, or does not talk yet.
    fn taken_over_by(&self) -> Option<Onto> {
        None
    }
}

/// Whom a call is handed on to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Onto {
    /// As it is shown.
    pub to: String,
    /// As the other side is told (`Refer-To`, RFC 3515), which may name a call to be taken over (`Replaces`, RFC 3891).
    pub refer_to: String,
}

/// Why a call was not handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTransferred {
    #[error("the call is not a telephone's: nobody there could be asked to call somebody else")]
    NoTelephone,
    #[error("the call is being handed on already")]
    Already,
}

#[async_trait]
impl Line for PeerLine {
    fn send(&self, packet: Outgoing) -> bool {
        let Outgoing { payload_type, sequence, timestamp, marker, payload, due } = packet;
        self.send_as(payload_type, (sequence, timestamp), marker, payload, Some(due))
    }

    fn send_message(&self, text: String) -> bool {
        Self::send_message(self, text)
    }

    fn lateness(&self) -> Lateness {
        Self::lateness(self)
    }

    async fn reoffer(&self, offer: String) -> Result<String, OfferRefused> {
        Self::reoffer(self, offer).await
    }

    async fn trickle(&self, candidates: Vec<String>) -> Result<(), OfferRefused> {
        Self::trickle(self, candidates).await
    }
}

/// One side of a call. Dropped, it hangs up in the background.
pub struct Leg {
    /// What happens; ends after [`PeerEvent::Gone`]. [`PeerEvent::Connected`] begins the conversation.
    pub events: mpsc::Receiver<PeerEvent>,
    pub line: Arc<dyn Line>,
    pub spoken: Spoken,
    /// How the caller came: `calls.transport` in SQL.
    pub transport: &'static str,
    /// Whether an echo of our voice is to be expected from the other side.
    pub echoes: Echoes,
    pub ending: Ending,
}

/// What is known of an echo at the other side, beside what `media.echo_canceller` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echoes {
    /// The client says so itself: a browser.
    ClientTells,
    /// A telephone's hybrid or loudspeaker: cancelled here, unless the configuration forbids it.
    Likely,
    /// No loudspeaker and no line: a program.
    Never,
}

impl Leg {
    /// Hangs up, and returns when everything of this leg has ended.
    pub async fn close(self) {
        self.ending.close().await;
    }
}

impl From<Peer> for Leg {
    fn from(peer: Peer) -> Self {
        let spoken = peer.agreed.spoken();
        let (events, line, ending) = peer.into_parts();
        Self { events, line: Arc::new(line), spoken, transport: "webrtc", echoes: Echoes::ClientTells, ending }
    }
}
