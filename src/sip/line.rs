//! A telephone's sound: one UDP socket a call, RTP both ways to and from one address (symmetric RTP, RFC 4961), plain or protected, and
//! beside it one for reports.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use duologue_signaling::phone_sdp::{Key, KeyPackets, Suite};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::time::Instant;

use super::protection::Cover;
use super::srtp::Sealer;
use crate::call::leg::{Line, NotTransferred, Onto, Outgoing};
use crate::media::lateness::{self, BUCKETS_MS, Lateness};
use crate::media::rtp::RtpPacket;
use crate::peer::OfferRefused;

/// Ports that are tried before a call is refused: with half of them taken all are taken in one of 2^64 calls.
const TRIES: u32 = 64;

/// Whose packets are heard, and where ours go.
///
/// What a telephone behind a NAT says of its address is not where its packets come from. They are taken from the address that its SDP
/// names or that its SIP comes from, and from no other; the first one decides about the port, and from then on only a new offer
/// changes it. So nobody else can take the call's sound over, or have it sent to himself (RTPbleed), by sending packets to the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Latch {
    said: SocketAddr,
    signalled: IpAddr,
    taken: Option<SocketAddr>,
    /// It was called from here: its answer may be believed about where the sound goes, as two that wait for each other's first packet
    /// wait for ever.
    called: bool,
}

impl Latch {
    pub(super) const fn new(said: SocketAddr, signalled: IpAddr) -> Self {
        Self { said, signalled, taken: None, called: false }
    }

    /// Of a telephone that the server has called.
    pub(super) const fn called(said: SocketAddr, signalled: IpAddr) -> Self {
        Self { said, signalled, taken: None, called: true }
    }

    /// Whether a packet from there is the telephone's.
    pub(super) fn hears(&mut self, from: SocketAddr) -> bool {
        // Packets from exactly where they were said to come from are right whatever came before.
        if from == self.said {
            self.taken = Some(from);
        }
        match self.taken {
            Some(taken) => taken == from,
            None if from.ip() == self.said.ip() || from.ip() == self.signalled => {
                self.taken = Some(from);
                true
            }
            None => false,
        }
    }

    /// Whether a packet from there could be the telephone's. What has yet to prove itself is asked this way: it changes nothing.
    pub(super) fn would_hear(&self, from: SocketAddr) -> bool {
        let mut latch = *self;
        latch.hears(from)
    }

    /// Whether the telephone is at this address, behind whatever port.
    pub(super) fn knows(&self, ip: IpAddr) -> bool {
        match self.taken {
            Some(taken) => taken.ip() == ip || self.said.ip() == ip,
            None => self.said.ip() == ip || self.signalled == ip,
        }
    }

    /// A new offer names another address, or the same again.
    pub(super) fn moved(&mut self, said: SocketAddr) {
        if said != self.said {
            (self.said, self.taken) = (said, None);
        }
    }

    /// Where our packets go. To an address that SIP did not come from only when a packet has come from there: otherwise a caller
    /// could have sound sent to anybody.
    pub(super) fn target(&self) -> Option<SocketAddr> {
        self.taken.or_else(|| (self.called || self.said.ip() == self.signalled).then_some(self.said))
    }
}

/// The ports of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Port {
    /// Reports travel here too, where both sides want it.
    Sound,
    Reports,
}

/// Our packets on their way out.
#[derive(Default)]
struct Out {
    sound: Cover<Sealer>,
    /// Of reports that have a key of their own.
    reports: Option<Cover<Sealer>>,
    departed: Departed,
}

/// What has left so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Departed {
    /// The number of the first packet.
    pub(super) first: Option<u16>,
    /// The stamp of the last one, and when that was.
    pub(super) last: Option<(u32, Instant)>,
    pub(super) packets: u32,
    /// Of sound, without headers.
    pub(super) octets: u32,
}

/// What both ends of the socket share.
pub(super) struct Wire {
    pub(super) socket: UdpSocket,
    /// That of the reports, one port above (RFC 3550, section 11), for whom they do not travel with the sound.
    pub(super) reports: UdpSocket,
    out: Mutex<Out>,
    /// `None`: nowhere yet.
    target: watch::Sender<Option<SocketAddr>>,
    ssrc: u32,
    /// How keys are read there.
    keys: watch::Sender<Option<KeyPackets>>,
    /// Whom the telephone is to call in our place: its task looks at that.
    onto: watch::Sender<Option<Onto>>,
    /// Whom another telephone has to call to take this one over: known once the call was answered.
    taken_over_by: OnceLock<Onto>,
    unsent: AtomicU64,
    late: [AtomicU64; BUCKETS_MS.len()],
    worst_us: AtomicU64,
}

impl Wire {
    /// A socket on an even port of the range.
    ///
    /// # Errors
    /// When none of those that were tried is free.
    pub(super) async fn open(
        on: IpAddr,
        ports: &RangeInclusive<u16>,
        target: Option<SocketAddr>,
    ) -> std::io::Result<Arc<Self>> {
        let pairs = (ports.end() - ports.start()) / 2 + 1;
        let mut refused = std::io::ErrorKind::AddrInUse.into();
        for _ in 0..TRIES {
            let port = ports.start() + 2 * (rand::random::<u16>() % pairs);
            match pair(on, port).await {
                Ok((socket, reports)) => {
                    return Ok(Arc::new(Self {
                        socket,
                        reports,
                        out: Mutex::default(),
                        target: watch::Sender::new(target),
                        ssrc: rand::random(),
                        keys: watch::Sender::new(None),
                        onto: watch::Sender::new(None),
                        taken_over_by: OnceLock::new(),
                        unsent: AtomicU64::new(0),
                        late: std::array::from_fn(|_| AtomicU64::new(0)),
                        worst_us: AtomicU64::new(0),
                    }));
                }
                Err(why) => refused = why,
            }
        }
        Err(refused)
    }

    /// Our packets go there from here on.
    pub(super) fn aim(&self, target: Option<SocketAddr>) {
        self.target.send_if_modified(|before| std::mem::replace(before, target) != target);
    }

    /// Keys are read there like this from here on.
    pub(super) fn reads_keys(&self, keys: Option<KeyPackets>) {
        self.keys.send_replace(keys);
    }

    /// Who is told when the telephone is to call somebody else.
    pub(super) fn transfers(&self) -> watch::Receiver<Option<Onto>> {
        self.onto.subscribe()
    }

    /// It is to call nobody else any more, and may be asked again.
    pub(super) fn not_handed_on(&self) {
        self.onto.send_replace(None);
    }

    /// The call was answered: another telephone may take it over like this.
    pub(super) fn can_be_taken_over(&self, onto: Onto) {
        let _ = self.taken_over_by.set(onto);
    }

    /// Packets that the network did not take.
    pub(super) fn unsent(&self) -> u64 {
        self.unsent.load(Ordering::Relaxed)
    }

    fn out(&self) -> MutexGuard<'_, Out> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Our packets are protected like this from here on. One key in the same way goes on where it was. False: the key is none.
    pub(super) fn protect(&self, suite: Suite, key: &Key) -> bool {
        let mut out = self.out();
        if !matches!(&out.sound, Cover::Sealed(sealer) if sealer.suite == suite) {
            out.sound = Sealer::new(suite, key).map_or(Cover::Awaited, Cover::Sealed);
        }
        matches!(out.sound, Cover::Sealed(_))
    }

    /// Nothing leaves from here on, until there are keys; for reports others than for the sound, where they have a port of their own.
    pub(super) fn awaits_keys(&self, of_reports: bool) {
        let mut out = self.out();
        (out.sound, out.reports) = (Cover::Awaited, of_reports.then_some(Cover::Awaited));
    }

    /// The keys of a port are there.
    pub(super) fn seals(&self, port: Port, sealer: Sealer) {
        let mut out = self.out();
        match port {
            Port::Sound => out.sound = Cover::Sealed(sealer),
            Port::Reports => out.reports = Some(Cover::Sealed(sealer)),
        }
    }

    /// How our packets are protected.
    pub(super) fn suite(&self) -> Option<Suite> {
        match &self.out().sound {
            Cover::Sealed(sealer) => Some(sealer.suite),
            Cover::Open | Cover::Awaited => None,
        }
    }

    pub(super) fn departed(&self) -> Departed {
        self.out().departed
    }

    /// Our source in RTP.
    pub(super) const fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Whether the network has taken it; what was to be protected and cannot be does not leave.
    fn depart(&self, datagram: &Bytes, target: SocketAddr) -> bool {
        match &mut self.out().sound {
            Cover::Open => self.socket.try_send_to(datagram, target).is_ok(),
            Cover::Awaited => false,
            Cover::Sealed(sealer) => {
                sealer.seal(datagram, false).is_some_and(|sealed| self.socket.try_send_to(&sealed, target).is_ok())
            }
        }
    }

    /// A report leaves, from the socket of the sound or its own.
    pub(super) fn send_report(&self, report: &Bytes, to: SocketAddr, with_the_sound: bool) {
        let mut out = self.out();
        let Out { sound, reports, .. } = &mut *out;
        let sealed = match reports.as_mut().filter(|_| !with_the_sound).unwrap_or(sound) {
            Cover::Open => Some(report.clone()),
            Cover::Awaited => None,
            Cover::Sealed(sealer) => sealer.seal(report, true).map(Bytes::from),
        };
        let socket = if with_the_sound { &self.socket } else { &self.reports };
        if !sealed.is_some_and(|sealed| socket.try_send_to(&sealed, to).is_ok()) {
            self.unsent.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A datagram that protects itself.
    pub(super) fn send_plain(&self, port: Port, datagram: &[u8], to: SocketAddr) {
        let socket = if port == Port::Sound { &self.socket } else { &self.reports };
        if socket.try_send_to(datagram, to).is_err() {
            self.unsent.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The port that the socket has.
    pub(super) fn port(&self) -> u16 {
        self.socket.local_addr().map_or(0, |at| at.port())
    }
}

/// The sockets of one even port and the next, known to be ready once: then they can be sent to without waiting.
async fn pair(on: IpAddr, port: u16) -> std::io::Result<(UdpSocket, UdpSocket)> {
    let (socket, reports) = (UdpSocket::bind((on, port)).await?, UdpSocket::bind((on, port + 1)).await?);
    socket.writable().await?;
    reports.writable().await?;
    Ok((socket, reports))
}

/// The way out.
pub(super) struct RtpLine(pub(super) Arc<Wire>);

#[async_trait]
impl Line for RtpLine {
    fn send(&self, packet: Outgoing) -> bool {
        let wire = &self.0;
        let Outgoing { payload_type, sequence, timestamp, marker, payload, due } = packet;
        let octets = payload.len() as u32;
        let datagram: Bytes = RtpPacket { payload_type, sequence, timestamp, ssrc: wire.ssrc, marker, payload }.write();
        let target = *wire.target.borrow();
        let sent = target.is_some_and(|target| wire.depart(&datagram, target));
        if sent {
            let departed = &mut wire.out().departed;
            departed.first.get_or_insert(sequence);
            departed.last = Some((timestamp, Instant::now()));
            departed.packets = departed.packets.wrapping_add(1);
            departed.octets = departed.octets.wrapping_add(octets);
        } else {
            wire.unsent.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        let late = Instant::now().saturating_duration_since(due);
        wire.late[lateness::bucket_of(late)].fetch_add(1, Ordering::Relaxed);
        wire.worst_us.fetch_max(late.as_micros() as u64, Ordering::Relaxed);
        true
    }

    /// A telephone has no screen.
    fn send_message(&self, _: String) -> bool {
        false
    }

    fn lateness(&self) -> Lateness {
        let frames = std::array::from_fn(|bucket| self.0.late[bucket].load(Ordering::Relaxed));
        Lateness::of(frames, std::time::Duration::from_micros(self.0.worst_us.load(Ordering::Relaxed)))
    }

    async fn reoffer(&self, _: String) -> Result<String, OfferRefused> {
        Err(OfferRefused::NotAnswerable("a telephone's offers come over SIP".into()))
    }

    fn key_packets(&self) -> Option<KeyPackets> {
        *self.0.keys.borrow()
    }

    fn transfer(&self, onto: Onto) -> Result<(), NotTransferred> {
        // Before it was answered there is nobody to ask.
        if self.0.taken_over_by.get().is_none() {
            return Err(NotTransferred::NoTelephone);
        }
        let asked = self.0.onto.send_if_modified(|before| {
            let free = before.is_none();
            if free {
                *before = Some(onto);
            }
            free
        });
        if asked { Ok(()) } else { Err(NotTransferred::Already) }
    }

    fn taken_over_by(&self) -> Option<Onto> {
        self.0.taken_over_by.get().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_first_packet_from_the_telephone_s_own_addresses_decides() {
        let mut latch = Latch::new(at("192.168.1.9:5004"), "203.0.113.5".parse().unwrap());
        assert_eq!(latch.target(), None, "not to a third address that has sent nothing");
        assert!(!latch.hears(at("198.51.100.66:5004")), "a stranger's");
        assert!(latch.hears(at("203.0.113.5:31000")), "through the NAT that SIP came through");
        assert_eq!(latch.target(), Some(at("203.0.113.5:31000")));
        assert!(!latch.hears(at("203.0.113.5:31001")), "another port behind that NAT");
        assert!(!latch.hears(at("198.51.100.66:31000")));
        assert!(latch.hears(at("203.0.113.5:31000")));
    }

    #[test]
    fn exactly_what_was_said_is_right_whatever_came_before() {
        let mut latch = Latch::new(at("203.0.113.5:5004"), "203.0.113.5".parse().unwrap());
        assert_eq!(latch.target(), Some(at("203.0.113.5:5004")));
        assert!(latch.hears(at("203.0.113.5:9")));
        assert!(latch.hears(at("203.0.113.5:5004")));
        assert!(!latch.hears(at("203.0.113.5:9")));
    }

    #[test]
    fn a_new_offer_with_another_address_begins_anew_and_with_the_same_does_not() {
        let mut latch = Latch::new(at("192.0.2.1:5004"), "192.0.2.1".parse().unwrap());
        assert!(latch.hears(at("192.0.2.1:7000")));
        latch.moved(at("192.0.2.1:5004"));
        assert_eq!(latch.target(), Some(at("192.0.2.1:7000")));
        latch.moved(at("192.0.2.8:6000"));
        assert_eq!(latch.target(), None);
        assert!(!latch.hears(at("192.0.2.77:6000")));
        assert!(latch.hears(at("192.0.2.8:6000")));
        assert_eq!(latch.target(), Some(at("192.0.2.8:6000")));
    }
}
