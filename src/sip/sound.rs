//! What comes to a telephone call's sockets: its sound, and the reports about it. What is not the telephone's is counted and changes
//! nothing, least of all where our own packets go.

use std::net::SocketAddr;

use bytes::Bytes;
use duologue_signaling::demux::{Kind, is_report, kind};
use tokio::time::Instant;

use super::call::Call;
use super::line::Port;
use super::protection::Cover;
use super::srtp::NotOpened;
use crate::media::ear::NOISE_TYPE;
use crate::media::rtp::RtpPacket;
use crate::peer::PeerEvent;

/// The clock of comfort noise under its usual number.
const NOISE_CLOCK_HZ: u32 = 8_000;

impl Call<'_> {
    /// A datagram on the port of the sound.
    pub(super) async fn on_datagram(&mut self, from: SocketAddr, datagram: Bytes) {
        if kind(&datagram) == Kind::Dtls {
            return self.on_handshake(Port::Sound, from, &datagram).await;
        }
        if is_report(&datagram) {
            if self.mux {
                self.on_said(Port::Sound, from, datagram);
            }
            return;
        }
        if !self.latch.would_hear(from) {
            self.strangers += 1;
            return;
        }
        self.seen_at(from);
        let Some(packet) = self.opened(Port::Sound, datagram, false).and_then(|datagram| RtpPacket::read(&datagram))
        else {
            return;
        };
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

    /// A datagram on the port of the reports.
    pub(super) async fn on_report(&mut self, from: SocketAddr, datagram: Bytes) {
        match kind(&datagram) {
            Kind::Dtls => self.on_handshake(Port::Reports, from, &datagram).await,
            _ => self.on_said(Port::Reports, from, datagram),
        }
    }

    /// A report, on its own port or that of the sound.
    fn on_said(&mut self, port: Port, from: SocketAddr, datagram: Bytes) {
        if !self.latch.knows(from.ip()) {
            self.strangers += 1;
            return;
        }
        let Some(report) = self.opened(port, datagram, true) else { return };
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
    fn opened(&mut self, port: Port, datagram: Bytes, rtcp: bool) -> Option<Bytes> {
        let opened = match self.protection.of(port) {
            Cover::Open => return Some(datagram),
            Cover::Awaited => Err(NotOpened::Early),
            Cover::Sealed(opener) => opener.open(&datagram, rtcp),
        };
        match opened {
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
    pub(super) fn reports_to(&self) -> Option<SocketAddr> {
        let sound = self.latch.target()?;
        if self.mux {
            return Some(sound);
        }
        self.rtcp.from.or_else(|| (self.reports_said.ip() == sound.ip()).then_some(self.reports_said))
    }
}
