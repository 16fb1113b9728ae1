//! What comes to a telephone call's sockets: its sound, and the reports about it. What is not the telephone's is counted and changes
//! nothing, least of all where our own packets go.

use std::net::SocketAddr;

use bytes::Bytes;
use duologue_signaling::demux::is_report;
use duologue_signaling::phone_sdp::{Key, PhoneSdp, PhoneSdpFault};
use tokio::time::Instant;

use super::call::Call;
use super::srtp::{NotOpened, Opener};
use crate::media::ear::NOISE_TYPE;
use crate::media::rtp::RtpPacket;
use crate::peer::PeerEvent;

/// The clock of comfort noise under its usual number.
const NOISE_CLOCK_HZ: u32 = 8_000;

/// A key for our packets.
pub(super) fn new_key() -> Key {
    Key(rand::random())
}

impl Call<'_> {
    /// Protects what leaves as the other side's SDP wants it, and opens what comes with its key. Before our answer to it is written.
    ///
    /// # Errors
    /// When a call that was protected would go on in the clear.
    pub(super) fn secure(&mut self, theirs: &PhoneSdp) -> Result<(), PhoneSdpFault> {
        let Some(crypto) = theirs.crypto else {
            return if self.opener.is_some() { Err(PhoneSdpFault::InTheClear) } else { Ok(()) };
        };
        // Two ways of protecting with one key would use its stream of bits twice.
        if self.key.is_none() || self.wire.suite().is_some_and(|suite| suite != crypto.suite) {
            self.key = Some(new_key());
        }
        if let Some(key) = &self.key
            && !self.wire.protect(crypto.suite, key)
        {
            return Err(PhoneSdpFault::NoKey);
        }
        if !self.opener.as_ref().is_some_and(|opener| opener.is_of(&crypto)) {
            self.opener = Some(Opener::new(crypto));
        }
        Ok(())
    }

    /// A datagram on the port of the sound.
    pub(super) fn on_datagram(&mut self, from: SocketAddr, datagram: Bytes) {
        if is_report(&datagram) {
            if self.mux {
                self.on_report(from, datagram);
            }
            return;
        }
        if !self.latch.would_hear(from) {
            self.strangers += 1;
            return;
        }
        let Some(packet) = self.opened(datagram, false).and_then(|datagram| RtpPacket::read(&datagram)) else { return };
        let keys = self.agreed.keys.filter(|keys| keys.payload_type == packet.payload_type);
        // Some telephones send comfort noise that nobody has agreed on: it is known by its number.
        let noise = packet.payload_type == NOISE_TYPE && self.agreed.codec.clock_hz() == NOISE_CLOCK_HZ;
        if packet.payload_type != self.agreed.payload_type && keys.is_none() && !noise {
            return;
        }
        self.latch.hears(from);
        self.wire.aim(self.latch.target());
        let at = Instant::now();
        self.heard = at;
        let clock_hz = self.agreed.codec.clock_hz();
        let since = self.began.elapsed();
        self.rtcp.reception.came(packet.ssrc, packet.sequence, packet.timestamp, clock_hz, since);
        if keys.is_some()
            && let Some(key) = self.keys.packet(self.now(), packet.timestamp, &packet.payload)
        {
            self.press(key.key, key.held);
        }
        if self.events.try_send(PeerEvent::Rtp { packet, at }).is_err() {
            self.untaken += 1;
        }
    }

    /// A datagram on the port of the reports, or a report on that of the sound.
    pub(super) fn on_report(&mut self, from: SocketAddr, datagram: Bytes) {
        if !self.latch.knows(from.ip()) {
            self.strangers += 1;
            return;
        }
        let Some(report) = self.opened(datagram, true) else { return };
        let Some(links) = self.rtcp.read(report, self.wire.ssrc(), self.agreed.codec.clock_hz()) else { return };
        self.heard = Instant::now();
        if !self.mux {
            self.rtcp.from = Some(from);
        }
        for link in links {
            if self.events.try_send(PeerEvent::Report(link)).is_err() {
                self.untaken += 1;
            }
        }
    }

    /// What is in a packet. `None` where it should have been protected, and does not prove whose it is.
    fn opened(&mut self, datagram: Bytes, rtcp: bool) -> Option<Bytes> {
        let Some(opener) = &mut self.opener else { return Some(datagram) };
        match opener.open(&datagram, rtcp) {
            Ok(opened) => Some(opened.into()),
            Err(why) => {
                self.not_opened(why);
                None
            }
        }
    }

    fn not_opened(&mut self, why: NotOpened) {
        self.unopened += 1;
        self.exchange.registry.recorder().meters().refuse_srtp(why.as_str());
    }

    /// Ten times a second: says how it stands, where that is due.
    pub(super) fn mind_reports(&mut self) {
        if self.connected && self.rtcp.is_due() {
            self.send_report(false);
        }
    }

    /// A report leaves; what the network does not take now is said in the next one.
    pub(super) fn send_report(&mut self, goodbye: bool) {
        let Some(to) = self.reports_to() else { return };
        let (ssrc, clock_hz) = (self.wire.ssrc(), self.agreed.codec.clock_hz());
        if let Some(report) = self.rtcp.write(ssrc, &self.wire.departed(), clock_hz, goodbye) {
            self.wire.send_report(&report, to, self.mux);
        }
    }

    /// With the sound, or else where reports have come from, or where the SDP says: never to a third machine's.
    fn reports_to(&self) -> Option<SocketAddr> {
        let sound = self.latch.target()?;
        if self.mux {
            return Some(sound);
        }
        self.rtcp.from.or_else(|| (self.reports_said.ip() == sound.ip()).then_some(self.reports_said))
    }
}
