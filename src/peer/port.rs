//! The one UDP port of all calls: a task that reads it and hands each datagram to its peer.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use duologue_signaling::demux::{self, Kind, PeerId, Table};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::net::{self, DATAGRAM, Inlet, Wire};
use super::runtime::{Arrived, Inbox, PeerRuntime};
use super::{OfferRefused, Peer, PortConfig, PortCounts, PortError, proof, session};
use crate::meters::Meters;

/// What peers may tell the reader before it gets round to it. Checks come every few seconds from each peer.
const NEWS_WAITING: usize = 1024;

/// What a peer tells the task that reads the port.
#[derive(Debug)]
pub(super) enum News {
    /// A peer with this queue; `alert` is rung when a DTLS alert arrives for it.
    Arrives {
        peer: PeerId,
        inbox: Inbox,
        alert: Arc<tokio::sync::Notify>,
    },
    /// Checks for this fragment are for this peer.
    Named {
        peer: PeerId,
        ufrag: String,
    },
    /// The peer has sent this STUN message.
    Sent {
        peer: PeerId,
        message: Vec<u8>,
        to: SocketAddr,
    },
    Leaves {
        peer: PeerId,
    },
}

/// The way out of the port and what it counts; shared by its peers.
#[derive(Debug)]
pub(super) struct Outlet {
    wire: Wire,
    news: mpsc::Sender<News>,
    next_peer: AtomicU64,
    pub(super) peers: Arc<AtomicUsize>,
    pub(super) tasks: Arc<AtomicUsize>,
    delivered: AtomicU64,
    strangers: AtomicU64,
    overflowed: AtomicU64,
    unsent: AtomicU64,
    refused: AtomicU64,
    meters: OnceLock<Meters>,
}

impl Outlet {
    fn new(wire: Wire) -> (Arc<Self>, mpsc::Receiver<News>) {
        let (news, heard) = mpsc::channel(NEWS_WAITING);
        let outlet = Self {
            wire,
            news,
            next_peer: AtomicU64::new(1),
            peers: Arc::default(),
            tasks: Arc::default(),
            delivered: AtomicU64::new(0),
            strangers: AtomicU64::new(0),
            overflowed: AtomicU64::new(0),
            unsent: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            meters: OnceLock::new(),
        };
        (Arc::new(outlet), heard)
    }

    /// Sends now or never.
    pub(super) fn send(&self, bytes: &[u8], to: SocketAddr, peer: PeerId) {
        // Told before it is sent: the answer must not overtake the news of the question. Lost news cost one check,
        // which is repeated.
        if matches!(demux::kind(bytes), Kind::Check { .. } | Kind::CheckAnswer { success: true, .. }) {
            let _ = self.news.try_send(News::Sent { peer, message: bytes.to_vec(), to });
        }
        if self.wire.send(bytes, to).is_err() {
            self.unsent.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn refuse(&self, why: &'static str) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        if let Some(meters) = self.meters.get() {
            meters.refuse_srtp(why);
        }
    }

    /// Tells the reader; false when the port is closed.
    pub(super) async fn tell(&self, news: News) -> bool {
        self.news.send(news).await.is_ok()
    }
}

/// An open media port. Dropping it ends the reading task; its peers then go silent.
#[derive(Debug)]
pub struct Port {
    outlet: Arc<Outlet>,
    config: Arc<PortConfig>,
    local: SocketAddr,
    reader: JoinHandle<()>,
}

impl Drop for Port {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Port {
    /// Opens a UDP port.
    ///
    /// # Errors
    /// When the port is taken, the address is not this machine's or may not be used.
    pub async fn bind(config: PortConfig) -> Result<Self, PortError> {
        let mapped = config.listen.is_ipv6() && config.listen.ip().is_unspecified();
        let socket = open(config.listen, mapped).map_err(|why| fault(config.listen, why))?;
        let (wire, inlet) = net::udp(socket, mapped);
        Self::start(config, wire, inlet)
    }

    /// Opens a port on a network in memory.
    ///
    /// # Errors
    /// When the port is taken there.
    pub async fn bind_in(config: PortConfig, network: &net::Memory) -> Result<Self, PortError> {
        let (wire, inlet) = network.bind(config.listen).map_err(|why| fault(config.listen, why))?;
        Self::start(config, wire, inlet)
    }

    fn start(config: PortConfig, wire: Wire, inlet: Inlet) -> Result<Self, PortError> {
        let local = wire.local_addr().map_err(|why| PortError::Io { listen: config.listen, why })?;
        let (outlet, news) = Outlet::new(wire);
        let reader = tokio::spawn(read(inlet, news, outlet.clone()));
        Ok(Self { outlet, config: Arc::new(config), local, reader })
    }

    /// The address that the port listens on; the port number is the real one.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Answers an offer: a peer that is being connected, and the SDP answer for the other side.
    ///
    /// # Errors
    /// When the offer is at fault or the peer cannot be set up; nothing is left of it then.
    pub async fn accept(&self, offer: &str) -> Result<(Peer, String), OfferRefused> {
        session::accept(self.door(), offer).await
    }

    /// Makes an offer; the peer connects when the answer has been given to [`session::Caller`].
    pub(super) async fn offer(&self) -> Result<(session::Offering, String), OfferRefused> {
        session::offer(self.door()).await
    }

    /// Has what is refused from here on be counted there as well.
    pub fn count_in(&self, meters: Meters) {
        // Of two the first: a port has one owner.
        let _ = self.outlet.meters.set(meters);
    }

    /// What has happened on this port.
    pub fn counts(&self) -> PortCounts {
        let outlet = &self.outlet;
        PortCounts {
            peers: outlet.peers.load(Ordering::Acquire),
            tasks: outlet.tasks.load(Ordering::Acquire),
            delivered: outlet.delivered.load(Ordering::Relaxed),
            strangers: outlet.strangers.load(Ordering::Relaxed),
            overflowed: outlet.overflowed.load(Ordering::Relaxed),
            unsent: outlet.unsent.load(Ordering::Relaxed),
            refused: outlet.refused.load(Ordering::Relaxed),
        }
    }

    fn door(&self) -> Door {
        Door { outlet: self.outlet.clone(), config: self.config.clone(), local: self.local }
    }
}

/// What a session needs of its port.
#[derive(Clone, Debug)]
pub(super) struct Door {
    pub(super) outlet: Arc<Outlet>,
    pub(super) config: Arc<PortConfig>,
    local: SocketAddr,
}

impl Door {
    /// Lets a new peer in: its number, its runtime, and the bell for DTLS alerts.
    pub(super) async fn enter(&self) -> Result<(PeerId, Arc<PeerRuntime>, Arc<tokio::sync::Notify>), OfferRefused> {
        let peer = PeerId(self.outlet.next_peer.fetch_add(1, Ordering::Relaxed));
        let (runtime, inbox) = PeerRuntime::new(peer, self.outlet.clone());
        let alert = Arc::new(tokio::sync::Notify::new());
        let told = self.outlet.tell(News::Arrives { peer, inbox, alert: alert.clone() }).await;
        if told { Ok((peer, runtime, alert)) } else { Err(OfferRefused::Closed) }
    }

    /// The addresses that the other side is told, best first.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        let own = || {
            if !self.local.ip().is_unspecified() {
                return vec![self.local.ip()];
            }
            let families = if self.local.is_ipv4() { [true, false] } else { [true, true] };
            interfaces(families, self.config.loopback)
        };
        let ips = if self.config.public.is_empty() { own() } else { self.config.public.clone() };
        ips.into_iter().map(|ip| SocketAddr::new(ip, self.local.port())).collect()
    }

    /// Loopback addresses under which the stack knows this port, one per family in use.
    pub(super) fn inner_addresses(&self) -> Vec<SocketAddr> {
        let mut inner = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
        if self.local.is_ipv6() {
            inner.push(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 0)));
        }
        inner
    }
}

fn open(listen: SocketAddr, mapped: bool) -> io::Result<tokio::net::UdpSocket> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(listen), Type::DGRAM, Some(Protocol::UDP))?;
    if mapped {
        socket.set_only_v6(false)?;
    }
    // The kernel's 212 KB hold some 900 small packets; forty calls behind one pause of 200 ms need 400. Best effort.
    let _ = socket.set_recv_buffer_size(1 << 20);
    let _ = socket.set_send_buffer_size(1 << 20);
    socket.set_nonblocking(true)?;
    socket.bind(&listen.into())?;
    tokio::net::UdpSocket::from_std(socket.into())
}

fn fault(listen: SocketAddr, why: io::Error) -> PortError {
    match why.kind() {
        io::ErrorKind::AddrInUse => PortError::InUse(listen),
        io::ErrorKind::AddrNotAvailable => PortError::NoSuchAddress(listen),
        io::ErrorKind::PermissionDenied => PortError::NotAllowed(listen),
        _ => PortError::Io { listen, why },
    }
}

/// Addresses of this machine that another one may reach: no link-local ones, which mean nothing without their zone.
fn interfaces([v4, v6]: [bool; 2], loopback: bool) -> Vec<IpAddr> {
    let usable = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => v4 && !ip.is_link_local() && !ip.is_unspecified(),
        IpAddr::V6(ip) => v6 && !ip.is_unicast_link_local() && !ip.is_unspecified(),
    };
    let mut all: Vec<IpAddr> = rtc::shared::ifaces::ifaces()
        .unwrap_or_default()
        .into_iter()
        .filter_map(|interface| Some(interface.addr?.ip()))
        .filter(usable)
        .collect();
    all.sort_by_key(|ip| (ip.is_loopback(), ip.is_ipv6()));
    all.dedup();
    if !loopback && all.iter().any(|ip| !ip.is_loopback()) {
        all.retain(|ip| !ip.is_loopback());
    }
    all
}

struct Resident {
    inbox: Inbox,
    alert: Arc<tokio::sync::Notify>,
}

/// The reading task: owns the table, alone.
async fn read(mut inlet: Inlet, mut news: mpsc::Receiver<News>, outlet: Arc<Outlet>) {
    let mut hall = Hall { table: Table::default(), residents: std::collections::HashMap::new(), since: Instant::now() };
    let mut buffer = [0_u8; DATAGRAM];
    loop {
        tokio::select! {
            biased;
            heard = news.recv() => match heard {
                Some(heard) => hall.hear(heard),
                None => return,
            },
            received = inlet.receive(&mut buffer) => {
                // News that came while the datagram was being read may be about it.
                while let Ok(heard) = news.try_recv() {
                    hall.hear(heard);
                }
                match received {
                    Ok((length, from)) => hall.deliver(&buffer[..length], from, &outlet),
                    // An ICMP error or a network that is down for a moment: nothing to read, nothing lost.
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        }
    }
}

struct Hall {
    table: Table,
    residents: std::collections::HashMap<PeerId, Resident>,
    since: Instant,
}

impl Hall {
    fn hear(&mut self, news: News) {
        match news {
            News::Arrives { peer, inbox, alert } => {
                self.residents.insert(peer, Resident { inbox, alert });
            }
            News::Named { peer, ufrag } => self.table.name(&ufrag, peer),
            News::Sent { peer, message, to } => self.table.sent(&message, to, peer, self.since.elapsed()),
            News::Leaves { peer } => {
                self.residents.remove(&peer);
                self.table.forget(peer);
            }
        }
    }

    fn deliver(&mut self, datagram: &[u8], from: SocketAddr, outlet: &Outlet) {
        let resident = self.table.route(datagram, from).ok().and_then(|peer| self.residents.get(&peer));
        let Some(resident) = resident else {
            outlet.strangers.fetch_add(1, Ordering::Relaxed);
            return;
        };
        if let Some(why) = proof::missing(datagram) {
            outlet.refuse(why);
            return;
        }
        let counter = if resident.inbox.put(Arrived { from, bytes: datagram.to_vec() }) {
            &outlet.delivered
        } else {
            &outlet.overflowed
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if demux::is_dtls_alert(datagram) {
            resident.alert.notify_one();
        }
    }
}
