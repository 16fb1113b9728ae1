//! Offers and answers within a call (RFC 3264): what is sent where, on hold or not, in which codec. And what the other side's are
//! besides: a sign that it is still there.

use duologue_signaling::phone_sdp::{self, Ours, PhoneAgreed, PhoneSdp, PhoneSdpFault, Said};
use rsipstack::dialog::dialog::TransactionHandle;
use rsipstack::sip::{Header, HeadersExt as _, Method, Request, Response, StatusCode};
use tokio::time::Instant;

use super::call::Call;
use super::refresh::{Agreed, TooBrief};
use super::sdp;
use super::transfer::taken_over_by;
use crate::media::keys::KeyReader;
use crate::peer::PeerEvent;

impl Call<'_> {
    /// The ACK: sound flows, or what it waits for. Where the offer was ours, it has the answer.
    pub(super) async fn on_ack(&mut self) {
        self.take_answer().await;
        self.acknowledged = true;
        self.begin_handshakes();
        self.connect().await;
    }

    /// Sound flows from here on, where it may: the answer has come there, and keys that were to be agreed on are.
    pub(super) async fn connect(&mut self) {
        if self.connected || !self.acknowledged || !self.protection.is_there() {
            return;
        }
        self.connected = true;
        self.wire.can_be_taken_over(taken_over_by(self.dialog));
        self.tell(PeerEvent::Connected).await;
        if self.agreed.direction.seen_from_there().holds() {
            self.on_hold(true).await;
        }
    }

    /// What the ACK of an INVITE without an offer answers to ours. The stack tells of other things in the same way: only the ACK of that
    /// INVITE is meant.
    async fn take_answer(&mut self) {
        let Some(ack) = self.dialog.last_remote_ack().filter(|ack| self.offered.is_some() && cseq(ack) == self.offered)
        else {
            return;
        };
        self.offered = None;
        match self.read(&ack.body).and_then(|read| self.secure_answer(&read.1).map(|()| read)) {
            Ok((agreed, theirs)) => self.follow(&theirs, agreed).await,
            Err(why) => {
                tracing::info!(%why, "an ACK without a usable answer: the telephone hears what it heard before")
            }
        }
    }

    /// A further offer: hold, another address, another codec. What cannot be followed leaves everything as it was.
    pub(super) async fn on_offer(&mut self, request: &Request, handle: TransactionHandle) {
        let agreed = match Agreed::by_request(request, self.exchange.settings.session) {
            Ok(agreed) => agreed,
            Err(TooBrief(least)) => {
                let _ = handle.respond(TooBrief::STATUS, Some(vec![least]), None).await;
                return;
            }
        };
        let mut headers = agreed.map(|agreed| agreed.headers(request)).unwrap_or_default();
        if request.body.is_empty() {
            // An UPDATE without one only says that the other side is there (RFC 4028).
            let offer = (request.method == Method::Invite).then(|| self.offer().into_bytes());
            if offer.is_some() {
                self.offered = cseq(request);
                headers.extend(is_sdp());
            }
            let _ = handle.respond(StatusCode::OK, Some(headers), offer).await;
            return self.timer.begin(agreed);
        }
        match self.read(&request.body).and_then(|read| self.secure(&read.1, Said::InOffer).map(|()| read)) {
            Ok((found, theirs)) => {
                let body = self.answer(&theirs, &found);
                headers.extend(is_sdp());
                let _ = handle.respond(StatusCode::OK, Some(headers), Some(body.into_bytes())).await;
                self.follow(&theirs, found).await;
                self.timer.begin(agreed);
            }
            Err(why) => {
                tracing::info!(%why, "a telephone's further offer is refused");
                let _ = handle.reply(StatusCode::NotAcceptableHere).await;
            }
        }
    }

    /// The answer to an offer of ours that only said that we are here.
    pub(super) async fn on_offer_answered(&mut self, answer: &Response) {
        if !answer.body.is_empty()
            && let Ok((agreed, theirs)) = self.read(&answer.body)
            && self.secure_answer(&theirs).is_ok()
        {
            self.follow(&theirs, agreed).await;
        }
    }

    fn read(&self, body: &[u8]) -> Result<(PhoneAgreed, PhoneSdp), PhoneSdpFault> {
        PhoneSdp::read(body).and_then(|sdp| Ok((sdp.agree(&self.exchange.settings.codecs)?, sdp)))
    }

    /// Does what was agreed on.
    pub(super) async fn follow(&mut self, theirs: &PhoneSdp, agreed: PhoneAgreed) {
        // On hold the old way a telephone names no address.
        if !theirs.address.ip().is_unspecified() {
            self.latch.moved(theirs.address);
            self.wire.aim(self.latch.target());
            (self.mux, self.reports_said) = (theirs.mux, theirs.rtcp);
        }
        if sdp::spoken(&agreed) != sdp::spoken(&self.agreed) {
            self.tell(PeerEvent::Speaks(sdp::spoken(&agreed))).await;
        }
        if agreed.keys != self.agreed.keys {
            self.keys = KeyReader::new(agreed.keys.map_or(8_000, |keys| keys.clock_hz));
            self.wire.reads_keys(agreed.keys);
        }
        self.agreed = agreed;
        self.heard = Instant::now();
        if self.connected {
            self.on_hold(theirs.direction.holds()).await;
        }
    }

    pub(super) async fn on_hold(&mut self, held: bool) {
        if held != self.held {
            self.held = held;
            self.tell(PeerEvent::Held(held)).await;
        }
    }

    pub(super) fn answer(&mut self, theirs: &PhoneSdp, agreed: &PhoneAgreed) -> String {
        // What the answer says of reports holds from it on.
        (self.mux, self.reports_said) = (theirs.mux, theirs.rtcp);
        let ours = self.ours(Said::InAnswer);
        theirs.answer(agreed, &ours)
    }

    pub(super) fn offer(&mut self) -> String {
        let ours = self.ours(Said::InOffer);
        phone_sdp::offer(&ours, &self.exchange.settings.codecs)
    }

    /// An answer is to what our last offer said: in the clear or with a key in the SDP, as in [`Self::offer`], or over DTLS.
    fn secure_answer(&mut self, theirs: &PhoneSdp) -> Result<(), PhoneSdpFault> {
        let keyless = theirs.crypto.is_some() && self.protection.key.is_none();
        if keyless || (theirs.dtls.is_some() && self.our_dtls(Said::InOffer).is_none()) {
            return Err(PhoneSdpFault::OtherKeys);
        }
        self.secure(theirs, Said::InAnswer)
    }

    fn ours(&mut self, said: Said) -> Ours {
        self.version += 1;
        let (here, session, version) = (self.here, self.session, self.version);
        Ours { here, session, version, key: self.protection.key, suite: self.wire.suite(), dtls: self.our_dtls(said) }
    }
}

/// The number of a request in its dialog.
pub(super) fn cseq(request: &Request) -> Option<u32> {
    request.cseq_header().ok()?.seq().ok()
}

pub(super) fn is_sdp() -> Vec<Header> {
    vec![Header::ContentType("application/sdp".into())]
}
