//! The other side of a call: makes the offer, takes the answer. `duologue call` and the tests are such callers.

use super::{OfferRefused, Peer, Port, session};

/// A caller whose offer is on its way.
pub struct Caller {
    offering: session::Offering,
    offer: String,
}

impl Caller {
    /// Prepares a call through `port`: one sendrecv Opus track and the data channel for events.
    ///
    /// # Errors
    /// When the peer cannot be set up.
    pub async fn new(port: &Port) -> Result<Self, OfferRefused> {
        let (offering, offer) = port.offer().await?;
        Ok(Self { offering, offer })
    }

    /// What to send to the server.
    pub fn offer(&self) -> &str {
        &self.offer
    }

    /// Takes the server's answer and connects.
    ///
    /// # Errors
    /// When the answer cannot be used; nothing is left of the caller then.
    pub async fn answered(self, answer: &str) -> Result<Peer, OfferRefused> {
        self.offering.answered(answer).await
    }
}
