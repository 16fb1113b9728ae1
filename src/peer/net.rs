//! What carries datagrams: a UDP socket, or a network in memory on which whole calls run in virtual time.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Datagrams that may be under way to one address of a network in memory.
const UNDER_WAY: usize = 4096;
/// What a datagram may hold; longer ones are no RTC traffic (the path's MTU is 1,500 at most).
pub(super) const DATAGRAM: usize = 2048;

/// How the network in memory treats datagrams. The default delivers all of them at once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weather {
    /// One way.
    pub delay: Duration,
    /// Added to the delay, evenly from nothing to this: more than 20 ms reorders packets.
    pub jitter: Duration,
    /// Share of datagrams lost, 0.0..=1.0.
    pub loss: f64,
    /// The same seed and the same traffic lose the same datagrams.
    pub seed: u64,
}

#[derive(Debug)]
pub(super) struct Datagram {
    due: Instant,
    from: SocketAddr,
    bytes: Vec<u8>,
}

/// Who is on the network. Its lock is the one of this module: held for a look-up and a try_send, never across an await.
#[derive(Debug)]
struct Switch(Mutex<State>);

#[derive(Debug)]
struct State {
    inboxes: HashMap<SocketAddr, mpsc::Sender<Datagram>>,
    weather: Weather,
    dice: u64,
    next_port: u16,
}

/// A network in memory; clones are the same network. With tokio's clock paused a call on it takes no time of its own.
#[derive(Clone, Debug)]
pub struct Memory {
    switch: Arc<Switch>,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(Weather::default())
    }
}

impl Memory {
    /// A network under `weather`.
    pub fn new(weather: Weather) -> Self {
        // Never zero: that is the one state that the generator does not leave.
        let dice = weather.seed.wrapping_mul(2) | 1;
        let state = State { inboxes: HashMap::new(), weather, dice, next_port: 20_000 };
        Self { switch: Arc::new(Switch(Mutex::new(state))) }
    }

    /// Changes the weather for what is sent from now on.
    pub fn set(&self, weather: Weather) {
        self.locked().weather = weather;
    }

    /// Takes an address: port 0 takes a free one, an unspecified IP becomes 127.0.0.1.
    pub(super) fn bind(&self, at: SocketAddr) -> io::Result<(Wire, Inlet)> {
        let mut switch = self.locked();
        let ip = if at.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { at.ip() };
        let port = if at.port() == 0 {
            switch.next_port += 1;
            switch.next_port
        } else {
            at.port()
        };
        let local = SocketAddr::new(ip, port);
        if switch.inboxes.get(&local).is_some_and(|inbox| !inbox.is_closed()) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let (sender, inbox) = mpsc::channel(UNDER_WAY);
        switch.inboxes.insert(local, sender);
        drop(switch);
        let wire = Wire::Memory { net: self.clone(), local };
        Ok((wire, Inlet::Memory { inbox, waiting: BTreeMap::new(), arrivals: 0 }))
    }

    fn send(&self, bytes: &[u8], from: SocketAddr, to: SocketAddr) -> io::Result<()> {
        let mut switch = self.locked();
        let weather = switch.weather;
        let (lost, late) = (switch.draw(), switch.draw());
        if lost < weather.loss {
            return Ok(());
        }
        let due = Instant::now() + weather.delay + weather.jitter.mul_f64(late);
        match switch.inboxes.get(&to) {
            // A full or closed inbox loses the datagram, as a network does.
            Some(inbox) => {
                let _ = inbox.try_send(Datagram { due, from, bytes: bytes.to_vec() });
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, State> {
        self.switch.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// xorshift64*: evenly in 0.0..1.0 (Vigna, "An experimental exploration of Marsaglia's xorshift generators", 2016).
    fn draw(&mut self) -> f64 {
        self.dice ^= self.dice >> 12;
        self.dice ^= self.dice << 25;
        self.dice ^= self.dice >> 27;
        (self.dice.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The sending side; shared by all peers of a port.
#[derive(Debug)]
pub(super) enum Wire {
    Udp { socket: Arc<UdpSocket>, mapped: bool },
    Memory { net: Memory, local: SocketAddr },
}

/// The receiving side; owned by the one task that reads.
#[derive(Debug)]
pub(super) enum Inlet {
    Udp { socket: Arc<UdpSocket> },
    Memory { inbox: mpsc::Receiver<Datagram>, waiting: BTreeMap<(Instant, u64), Datagram>, arrivals: u64 },
}

/// Both sides of a UDP socket. `mapped`: an IPv6 socket that carries IPv4 too, as `::ffff:a.b.c.d`.
pub(super) fn udp(socket: UdpSocket, mapped: bool) -> (Wire, Inlet) {
    let socket = Arc::new(socket);
    (Wire::Udp { socket: socket.clone(), mapped }, Inlet::Udp { socket })
}

impl Wire {
    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Udp { socket, .. } => socket.local_addr(),
            Self::Memory { local, .. } => Ok(*local),
        }
    }

    /// Sends or fails at once; nothing waits for a full socket buffer, since RTP that waits is late and everything else
    /// on this port is sent again by its protocol.
    pub(super) fn send(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        match self {
            Self::Udp { socket, mapped } => {
                let to = match to.ip() {
                    IpAddr::V4(ip) if *mapped => SocketAddr::new(ip.to_ipv6_mapped().into(), to.port()),
                    _ => to,
                };
                socket.try_send_to(bytes, to).map(drop)
            }
            Self::Memory { net, local } => net.send(bytes, *local, to),
        }
    }
}

impl Inlet {
    /// The next datagram and where it came from. Cancel safe.
    pub(super) async fn receive(&mut self, buffer: &mut [u8; DATAGRAM]) -> io::Result<(usize, SocketAddr)> {
        match self {
            Self::Udp { socket } => {
                let (length, from) = socket.recv_from(buffer).await?;
                Ok((length, SocketAddr::new(from.ip().to_canonical(), from.port())))
            }
            Self::Memory { inbox, waiting, arrivals } => loop {
                while let Ok(datagram) = inbox.try_recv() {
                    *arrivals += 1;
                    waiting.insert((datagram.due, *arrivals), datagram);
                }
                let due = waiting.first_key_value().map(|((due, _), _)| *due);
                if due.is_some_and(|due| due <= Instant::now())
                    && let Some((_, datagram)) = waiting.pop_first()
                {
                    let length = datagram.bytes.len().min(buffer.len());
                    buffer[..length].copy_from_slice(&datagram.bytes[..length]);
                    return Ok((length, datagram.from));
                }
                let first_due = async {
                    match due {
                        Some(at) => tokio::time::sleep_until(at).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = first_due => {}
                    arrived = inbox.recv() => match arrived {
                        Some(datagram) => {
                            *arrivals += 1;
                            waiting.insert((datagram.due, *arrivals), datagram);
                        }
                        None => return Err(io::ErrorKind::NotConnected.into()),
                    },
                }
            },
        }
    }
}
