//! How this server stands, for whoever shares calls out among several, and how it takes leave of them.

use rsipstack::sip::{Header, Method, StatusCode};
use rsipstack::transaction::transaction::Transaction;

use super::{ALLOWED, Exchange, Switchboard, answer};

impl Switchboard {
    /// Trunks send no more calls here; those that are there go on.
    pub async fn leave(&self) {
        self.exchange.unregister_all().await;
    }
}

impl Exchange {
    /// Answers OPTIONS outside of a call as an INVITE would be answered now (RFC 3261, section 11.2): a dispatcher that asks finds out
    /// before it loses a call that this server is full, or about to stop.
    pub(super) async fn tell_state(&self, mut request: Transaction) {
        let (status, mut headers) = (self.state(), self.what_is_spoken());
        if status != StatusCode::OK {
            // Seconds: a dispatcher asks more often, and others need not ask at once.
            headers.push(Header::RetryAfter("5".into()));
        }
        answer(&mut request, status, headers).await;
    }

    fn state(&self) -> StatusCode {
        if self.registry.is_leaving() {
            StatusCode::ServiceUnavailable
        } else if self.registry.is_full() {
            StatusCode::BusyHere
        } else {
            StatusCode::OK
        }
    }

    /// What a request may ask for here.
    pub(super) fn what_is_spoken(&self) -> Vec<Header> {
        let mut spoken = self.in_calls();
        spoken.push(Header::Accept("application/sdp".into()));
        spoken
    }

    /// What the other side of a call may ask for in it: some telephones offer their owner nothing else.
    pub(super) fn in_calls(&self) -> Vec<Header> {
        let refers = (!self.settings.refer_from.is_empty()).then_some(Method::Refer);
        let allowed: Vec<String> = ALLOWED.iter().chain(&refers).map(ToString::to_string).collect();
        vec![Header::Allow(allowed.join(", ").into())]
    }
}
