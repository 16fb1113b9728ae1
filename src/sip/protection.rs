//! How a call's sound is protected, and where the keys come from: the SDP, or a handshake (DTLS) on each of its ports. Until they are
//! there nothing leaves, and nothing that comes is believed.

use std::net::SocketAddr;

use bytes::Bytes;
use duologue_signaling::phone_sdp::{
    Crypto, DtlsRole, DtlsSdp, Fingerprint, Key, OurDtls, PhoneSdp, PhoneSdpFault, Said, Setup, Suite,
};
use tokio::time::Instant;

use super::call::Call;
use super::dtls::{AgreedKeys, Handshake, Identity, NoKeys};
use super::line::Port;
use super::outbound::Keys;
use super::srtp::{Opener, Sealer};
use crate::peer::GoneWhy;

/// A key for our packets.
fn new_key() -> Key {
    Key(rand::random())
}

/// How a call of ours is offered.
#[derive(Clone, Copy)]
pub(super) enum Offered {
    Clear,
    /// With this key in the SDP.
    Sdes(Key),
    Dtls,
}

impl Offered {
    /// As `sip.srtp` says it of whom is called.
    pub(super) fn with(keys: Option<Keys>) -> Self {
        match keys {
            None => Self::Clear,
            Some(Keys::Sdes) => Self::Sdes(new_key()),
            Some(Keys::Dtls) => Self::Dtls,
        }
    }

    /// As our SDP says it.
    pub(super) fn dtls(self, identity: &Identity) -> Option<OurDtls> {
        let says = OurDtls { sha256: identity.sha256, setup: Setup::ActPass };
        matches!(self, Self::Dtls).then_some(says)
    }

    pub(super) const fn key(self) -> Option<Key> {
        match self {
            Self::Sdes(key) => Some(key),
            Self::Clear | Self::Dtls => None,
        }
    }

    /// Whether an answer is as protected as our offer was.
    ///
    /// # Errors
    /// When it is not.
    pub(super) fn is_answered_by(self, answer: &PhoneSdp) -> Result<(), PhoneSdpFault> {
        let answered = (answer.crypto.is_some(), answer.dtls.is_some());
        match (self, answered) {
            (Self::Clear, (false, false)) | (Self::Sdes(_), (true, false)) | (Self::Dtls, (false, true)) => Ok(()),
            (Self::Sdes(_) | Self::Dtls, (false, false)) => Err(PhoneSdpFault::InTheClear),
            (Self::Clear, _) => Err(PhoneSdpFault::Transport("SRTP, where RTP/AVP was offered,".into())),
            (Self::Sdes(_) | Self::Dtls, _) => Err(PhoneSdpFault::OtherKeys),
        }
    }
}

/// One way of packets, out or in.
#[derive(Default)]
pub(super) enum Cover<T> {
    /// In the clear.
    #[default]
    Open,
    /// It will be protected, and the key is not there yet.
    Awaited,
    Sealed(T),
}

/// What a call's packets are protected with.
#[derive(Default)]
pub(super) struct Protection {
    /// Ours, as our SDP has it.
    pub(super) key: Option<Key>,
    /// The telephone's packets.
    pub(super) sound: Cover<Opener>,
    /// Its reports, where they have a key of their own; else they are covered as the sound is.
    pub(super) reports: Option<Cover<Opener>>,
    dtls: Option<Dtls>,
    /// Why there will be no keys.
    failed: Option<NoKeys>,
}

/// Keys from DTLS.
struct Dtls {
    role: DtlsRole,
    /// With whom, and where (RFC 5763, section 6.6): where that changes, new keys are agreed on.
    named: Vec<Fingerprint>,
    address: SocketAddr,
    mux: bool,
    sound: Handshake,
    /// Of the reports, where they do not travel with the sound (RFC 5764, section 4.1), and as long as there is hope for it.
    reports: Option<Handshake>,
}

impl Dtls {
    /// Whether keys that were agreed on, or are about to be, are still those of this SDP. On hold the old way it names no address.
    fn is_of(&self, role: DtlsRole, theirs: &PhoneSdp, named: &[Fingerprint]) -> bool {
        let there = theirs.address == self.address || theirs.address.ip().is_unspecified();
        (self.role, self.mux) == (role, theirs.mux) && self.named == named && there
    }

    fn of(&mut self, port: Port) -> Option<&mut Handshake> {
        match port {
            Port::Sound => Some(&mut self.sound),
            Port::Reports => self.reports.as_mut(),
        }
    }
}

impl Protection {
    pub(super) fn of(&mut self, port: Port) -> &mut Cover<Opener> {
        match port {
            Port::Sound => &mut self.sound,
            Port::Reports => self.reports.as_mut().unwrap_or(&mut self.sound),
        }
    }

    /// Whether sound may flow: it is in the clear, or its keys are there.
    pub(super) const fn is_there(&self) -> bool {
        !matches!(self.sound, Cover::Awaited)
    }

    /// There will be no keys for this port. A call without reports is a call: none leave, and none are believed. But where somebody else is at
    /// that port, nobody knows who is at the other.
    fn fail(&mut self, port: Port, why: NoKeys) {
        match (port, &mut self.dtls) {
            (Port::Reports, Some(dtls)) if why != NoKeys::Fingerprint => {
                tracing::debug!(%why, "no keys for a telephone's reports");
                dtls.reports = None;
            }
            _ => self.failed = Some(why),
        }
    }

    /// Whether keys are those of the SDP; nothing where there are none at all.
    const fn by_sdp(&self) -> Option<bool> {
        match (&self.dtls, &self.sound) {
            (Some(_), _) => Some(false),
            (None, Cover::Open) => None,
            (None, _) => Some(true),
        }
    }
}

impl Call<'_> {
    /// Protects what leaves as the other side's SDP wants it, and opens what comes with its key. Before our answer to it is written.
    ///
    /// # Errors
    /// When a call that was protected would go on in the clear, or with keys from elsewhere.
    pub(super) fn secure(&mut self, theirs: &PhoneSdp, said: Said) -> Result<(), PhoneSdpFault> {
        let wanted = match (&theirs.crypto, &theirs.dtls) {
            (Some(_), _) => Some(true),
            (None, Some(_)) => Some(false),
            (None, None) => None,
        };
        match (self.protection.by_sdp(), wanted) {
            (Some(_), None) => return Err(PhoneSdpFault::InTheClear),
            (Some(before), Some(now)) if before != now => return Err(PhoneSdpFault::OtherKeys),
            _ => {}
        }
        match (theirs.crypto, &theirs.dtls) {
            (Some(crypto), _) => self.secure_by(crypto),
            (None, Some(dtls)) => self.secure_over(dtls, theirs, said),
            (None, None) => Ok(()),
        }
    }

    /// With the keys of both SDPs.
    fn secure_by(&mut self, crypto: Crypto) -> Result<(), PhoneSdpFault> {
        let protection = &mut self.protection;
        // Two ways of protecting with one key would use its stream of bits twice.
        if protection.key.is_none() || self.wire.suite().is_some_and(|suite| suite != crypto.suite) {
            protection.key = Some(new_key());
        }
        if let Some(key) = &protection.key
            && !self.wire.protect(crypto.suite, key)
        {
            return Err(PhoneSdpFault::NoKey);
        }
        if !matches!(&protection.sound, Cover::Sealed(opener) if opener.is_of(&crypto)) {
            protection.sound = Cover::Sealed(Opener::new(crypto));
        }
        Ok(())
    }

    /// With keys that are agreed on over DTLS from here on, where they are not already.
    fn secure_over(&mut self, dtls: &DtlsSdp, theirs: &PhoneSdp, said: Said) -> Result<(), PhoneSdpFault> {
        // RFC 5763, section 5, would have the one who answers begin. Where our packets may not go before one of its own has come, it has to.
        let rather = if self.latch.target().is_some() { DtlsRole::Client } else { DtlsRole::Server };
        let role = dtls.role(said, self.protection.dtls.as_ref().map(|dtls| dtls.role), rather)?;
        let named = &dtls.fingerprints;
        if self.protection.dtls.as_ref().is_some_and(|dtls| dtls.is_of(role, theirs, named)) {
            return Ok(());
        }
        let (identity, now) = (&self.exchange.identity, Instant::now().into_std());
        let handshake = || {
            Handshake::new(identity, role, named, now)
                .inspect_err(|why| tracing::warn!(%why, "no handshake with a telephone"))
                .map_err(|_| PhoneSdpFault::NoFingerprint)
        };
        let (sound, reports) = (handshake()?, if theirs.mux { None } else { Some(handshake()?) });
        self.wire.awaits_keys(reports.is_some());
        self.protection.sound = Cover::Awaited;
        self.protection.reports = reports.as_ref().map(|_| Cover::Awaited);
        let (named, address, mux) = (named.clone(), theirs.address, theirs.mux);
        self.protection.dtls = Some(Dtls { role, named, address, mux, sound, reports });
        Ok(())
    }

    /// As our SDP says it.
    pub(super) fn our_dtls(&self, said: Said) -> Option<OurDtls> {
        let role = self.protection.dtls.as_ref()?.role;
        let setup = if said == Said::InOffer { Setup::ActPass } else { role.setup() };
        Some(OurDtls { sha256: self.exchange.identity.sha256, setup })
    }

    /// A packet that could be the telephone's has come from there. Where we are to begin and may not send to where it says that it is, it is
    /// reached there.
    pub(super) fn seen_at(&mut self, from: SocketAddr) {
        if let Some(dtls) = self.protection.dtls.as_mut().filter(|_| self.latch.target().is_none()) {
            dtls.sound.from.get_or_insert(from);
        }
    }

    /// A datagram of a handshake's.
    pub(super) async fn on_handshake(&mut self, port: Port, from: SocketAddr, datagram: &Bytes) {
        let heard = match port {
            Port::Sound => self.latch.would_hear(from),
            Port::Reports => self.latch.knows(from.ip()),
        };
        if !heard {
            self.strangers += 1;
            return;
        }
        let Some(handshake) = self.protection.dtls.as_mut().and_then(|dtls| dtls.of(port)) else { return };
        handshake.from = Some(from);
        let read = handshake.read(datagram, Instant::now().into_std());
        while let Some(leaving) = handshake.leaving() {
            self.wire.send_plain(port, &leaving, from);
        }
        match read {
            Ok(None) => {}
            Ok(Some(keys)) => self.on_keys(port, from, &keys).await,
            Err(why) => self.protection.fail(port, why),
        }
    }

    /// They are there. Where the handshake came from is where the telephone is: it has shown who it is.
    async fn on_keys(&mut self, port: Port, from: SocketAddr, keys: &AgreedKeys) {
        let suite = Suite::Sha1Of80;
        let Some(sealer) = Sealer::new(suite, &keys.ours) else { return };
        self.wire.seals(port, sealer);
        *self.protection.of(port) = Cover::Sealed(Opener::new(Crypto { tag: 0, suite, key: keys.theirs }));
        match port {
            Port::Sound => {
                self.latch.hears(from);
                self.wire.aim(self.latch.target());
                self.heard = Instant::now();
                self.connect().await;
            }
            Port::Reports => self.rtcp.from = Some(from),
        }
    }

    /// Begins, where that is ours: when the other side knows what we have answered, and can be reached.
    pub(super) fn begin_handshakes(&mut self) {
        let (sound, reports) = (self.latch.target(), self.reports_to());
        let mut failed = None;
        let Some(dtls) = self.protection.dtls.as_mut().filter(|_| self.acknowledged) else { return };
        for (port, to) in [(Port::Sound, sound), (Port::Reports, reports)] {
            let Some(handshake) = dtls.of(port).filter(|handshake| handshake.is_to_begin()) else { continue };
            let Some(to) = to.or(handshake.from) else { continue };
            let begun = handshake.begin(Instant::now().into_std());
            while let Some(leaving) = handshake.leaving() {
                self.wire.send_plain(port, &leaving, to);
            }
            if let Err(why) = begun {
                failed = Some((port, why));
            }
        }
        if let Some((port, why)) = failed {
            self.protection.fail(port, why);
        }
    }

    /// At the end of the call.
    pub(super) fn close_handshakes(&mut self) {
        let (sound, reports) = (self.latch.target(), self.reports_to());
        let Some(dtls) = &mut self.protection.dtls else { return };
        for (port, to) in [(Port::Sound, sound), (Port::Reports, reports)] {
            let Some(handshake) = dtls.of(port) else { continue };
            handshake.close(Instant::now().into_std());
            let to = handshake.from.or(to);
            while let Some((leaving, to)) = handshake.leaving().zip(to) {
                self.wire.send_plain(port, &leaving, to);
            }
        }
    }

    /// Ten times a second: what is overdue is sent again, and a call that gets no keys ends.
    pub(super) fn mind_handshakes(&mut self) -> Option<GoneWhy> {
        self.begin_handshakes();
        let (sound, reports) = (self.latch.target(), self.reports_to());
        let dtls = self.protection.dtls.as_mut()?;
        let mut late = None;
        for (port, to) in [(Port::Sound, sound), (Port::Reports, reports)] {
            let Some(handshake) = dtls.of(port) else { continue };
            if let Err(why) = handshake.look(Instant::now().into_std()) {
                late.get_or_insert((port, why));
            }
            let to = handshake.from.or(to);
            while let Some((leaving, to)) = handshake.leaving().zip(to) {
                self.wire.send_plain(port, &leaving, to);
            }
        }
        if let Some((port, why)) = late {
            self.protection.fail(port, why);
        }
        let why = self.protection.failed.take()?;
        self.exchange.registry.recorder().meters().fail_dtls(why.as_str());
        Some(GoneWhy::Failed(format!("no keys for the sound: {why}")))
    }
}

#[cfg(test)]
mod tests {
    use duologue_signaling::phone_sdp::KEY_BYTES;

    use super::*;

    #[test]
    fn an_answer_is_as_protected_as_the_offer_was_and_in_the_same_way() {
        let answer = |transport: &str| {
            let key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
            let named = format!("a=fingerprint:sha-256 {}", ["0F"; 32].join(":"));
            let text = format!(
                "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n\
                 m=audio 5004 {transport} 8\r\n{key}\r\n{named}\r\na=setup:active\r\n"
            );
            PhoneSdp::read(text.as_bytes()).expect("an answer")
        };
        let (clear, sdes, dtls) = (answer("RTP/AVP"), answer("RTP/SAVP"), answer("UDP/TLS/RTP/SAVP"));
        let key = Offered::Sdes(Key([7; KEY_BYTES]));
        for (offered, right, wrong) in [
            (Offered::Clear, &clear, [&sdes, &dtls]),
            (key, &sdes, [&clear, &dtls]),
            (Offered::Dtls, &dtls, [&clear, &sdes]),
        ] {
            assert_eq!(offered.is_answered_by(right), Ok(()));
            assert!(wrong.iter().all(|wrong| offered.is_answered_by(wrong).is_err()));
        }
        assert_eq!(Offered::Dtls.is_answered_by(&clear), Err(PhoneSdpFault::InTheClear));
        assert_eq!(Offered::Dtls.is_answered_by(&sdes), Err(PhoneSdpFault::OtherKeys));
    }
}
