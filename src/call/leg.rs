//! What a call is held over: a browser's peer, a telephone's RTP, or any other door. The call knows no more of it than this.
//!
//! A leg is a bounded stream of [`PeerEvent`]s in, a [`Line`] out, the codec of both, and what ends it. Sound comes and goes as
//! RTP packets, whatever the door: jitter buffer, echo canceller, floor and memory are the same for all.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
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
