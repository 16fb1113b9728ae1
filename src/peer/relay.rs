//! A bad network between two sides that are on this machine: a UDP relay that loses, delays, doubles and reorders what
//! passes, by a seeded trace ([`crate::media::network`]).
//!
//! It needs no rights and no kernel module, and the same seed gives the same trace, which `tc netem` does not. What comes
//! in at the front goes to the server from a socket of its sender's own, and back. Everything is bounded: flows,
//! datagrams under way, and the time that a silent flow is kept.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::net::DATAGRAM;
use crate::media::network::{Fate, Impairment, Path, PathCounts};
use crate::time::CallTime;

/// Senders that are served at once: a browser has one for each of its addresses. One more takes the place of the one that
/// has been silent the longest.
const FLOWS_MOST: usize = 64;
/// Datagrams under way; one more is lost. At 50 packets a second each way this is 80 s of one call.
const UNDER_WAY: usize = 8_192;
/// Datagrams from the server that may wait for the relay's task: ten seconds of a call; then its sockets' buffers fill.
const BACK_WAITING: usize = 512;

/// What a relay does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RelayConfig {
    /// Where it takes datagrams; port 0 is a free one.
    pub listen: SocketAddr,
    /// Where it sends them on to.
    pub to: SocketAddr,
    /// On the way there, and on the way back.
    pub there: Impairment,
    pub back: Impairment,
    pub seed: u64,
    /// STUN and DTLS pass untouched: the call comes up at once, and what is impaired is media and its reports.
    pub spare_setup: bool,
}

/// What has passed, by direction and kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct RelayCounts {
    pub rtp_there: PathCounts,
    pub rtp_back: PathCounts,
    pub rtcp_there: PathCounts,
    pub rtcp_back: PathCounts,
    /// STUN and DTLS.
    pub setup_there: PathCounts,
    pub setup_back: PathCounts,
    /// Datagrams dropped because more were under way than the relay holds.
    pub overfull: u64,
}

/// A relay that runs.
#[derive(Debug)]
pub struct Relay {
    local: SocketAddr,
    cancel: CancellationToken,
    task: JoinHandle<RelayCounts>,
}

impl Relay {
    /// Opens the front and runs in the background.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn start(config: RelayConfig) -> io::Result<Self> {
        let front = UdpSocket::bind(config.listen).await?;
        let local = front.local_addr()?;
        let cancel = CancellationToken::new();
        let task = Task::new(front, config);
        let running = tokio::spawn(task.run(cancel.clone()));
        Ok(Self { local, cancel, task: running })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Ends it; what was under way is lost.
    pub async fn stop(self) -> RelayCounts {
        self.cancel.cancel();
        self.task.await.unwrap_or_default()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    There,
    Back,
}

/// Kinds of datagram have traces of their own, so that the trace of the media is the same however often the two sides
/// check on each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rtp,
    Rtcp,
    Setup,
}

impl Kind {
    /// RFC 7983, section 7; RFC 5761, section 4, for RTCP beside RTP.
    fn of(datagram: &[u8]) -> Self {
        match datagram {
            [128..=191, 192..=223, ..] => Self::Rtcp,
            [128..=191, ..] => Self::Rtp,
            _ => Self::Setup,
        }
    }
}

/// A sender at the front, and the socket that stands for it towards the server.
struct Flow {
    client: SocketAddr,
    towards: Arc<UdpSocket>,
    hears: AbortHandle,
    last: Instant,
}

struct UnderWay {
    way: Way,
    client: SocketAddr,
    bytes: Arc<[u8]>,
}

struct Task {
    front: UdpSocket,
    config: RelayConfig,
    began: Instant,
    /// By direction and kind.
    paths: [[Path; 3]; 2],
    flows: Vec<Flow>,
    readers: JoinSet<()>,
    back: (mpsc::Sender<(SocketAddr, Vec<u8>)>, mpsc::Receiver<(SocketAddr, Vec<u8>)>),
    under_way: BTreeMap<(Instant, u64), UnderWay>,
    numbered: u64,
    overfull: u64,
}

impl Task {
    fn new(front: UdpSocket, config: RelayConfig) -> Self {
        let path = |impairment: Impairment, stream: u64| Path::new(impairment, config.seed, stream);
        let setup = |impairment| if config.spare_setup { Impairment::default() } else { impairment };
        let of = |impairment, first| {
            [path(impairment, first), path(impairment, first + 1), path(setup(impairment), first + 2)]
        };
        Self {
            front,
            config,
            began: Instant::now(),
            paths: [of(config.there, 0), of(config.back, 3)],
            flows: Vec::new(),
            readers: JoinSet::new(),
            back: mpsc::channel(BACK_WAITING),
            under_way: BTreeMap::new(),
            numbered: 0,
            overfull: 0,
        }
    }

    async fn run(mut self, cancel: CancellationToken) -> RelayCounts {
        let mut buffer = [0; DATAGRAM];
        loop {
            let due = self.under_way.first_key_value().map(|((due, _), _)| *due);
            let first_due = async {
                match due {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = cancel.cancelled() => return self.finish().await,
                () = first_due => self.deliver(),
                // An error is the echo of an earlier datagram that found nobody; the next one may find somebody.
                came = self.front.recv_from(&mut buffer) => if let Ok((length, client)) = came {
                    if self.know(client).await {
                        self.take(Way::There, client, &buffer[..length]);
                    }
                },
                Some((client, bytes)) = self.back.1.recv() => self.take(Way::Back, client, &bytes),
            }
        }
    }

    /// Puts a datagram on its way, or loses it.
    fn take(&mut self, way: Way, client: SocketAddr, datagram: &[u8]) {
        let now = Instant::now();
        let at = CallTime::ZERO + now.duration_since(self.began);
        let path = &mut self.paths[way as usize][Kind::of(datagram) as usize];
        let Fate::Passes { at: leaves, again } = path.pass(at, datagram.len()) else { return };
        let bytes: Arc<[u8]> = datagram.into();
        for leaves in std::iter::once(leaves).chain(again) {
            if self.under_way.len() >= UNDER_WAY {
                self.overfull += 1;
                return;
            }
            self.numbered += 1;
            let due = now + leaves.since(at);
            self.under_way.insert((due, self.numbered), UnderWay { way, client, bytes: bytes.clone() });
        }
    }

    /// Sends what is due. A socket that takes nothing loses it, as a network does.
    fn deliver(&mut self) {
        let now = Instant::now();
        while let Some(first) = self.under_way.first_entry().filter(|first| first.key().0 <= now) {
            let UnderWay { way, client, bytes } = first.remove();
            let _ = match (way, self.flows.iter().find(|flow| flow.client == client)) {
                (Way::There, Some(flow)) => flow.towards.try_send(&bytes),
                (Way::Back, _) => self.front.try_send_to(&bytes, client),
                (Way::There, None) => Ok(0),
            };
        }
    }

    /// Whether there is a flow for this sender; makes one for a new sender.
    async fn know(&mut self, client: SocketAddr) -> bool {
        if let Some(flow) = self.flows.iter_mut().find(|flow| flow.client == client) {
            flow.last = Instant::now();
            return true;
        }
        let Ok(towards) = self.towards().await else { return false };
        if self.flows.len() >= FLOWS_MOST
            && let Some(idlest) = (0..self.flows.len()).min_by_key(|n| self.flows[*n].last)
        {
            self.flows.swap_remove(idlest).hears.abort();
        }
        while self.readers.try_join_next().is_some() {}
        let hears = self.readers.spawn(hear(towards.clone(), client, self.back.0.clone()));
        self.flows.push(Flow { client, towards, hears, last: Instant::now() });
        true
    }

    async fn towards(&self) -> io::Result<Arc<UdpSocket>> {
        let any: SocketAddr = if self.config.to.is_ipv4() {
            ([0, 0, 0, 0], 0).into()
        } else {
            (std::net::Ipv6Addr::UNSPECIFIED, 0).into()
        };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(self.config.to).await?;
        Ok(Arc::new(socket))
    }

    async fn finish(mut self) -> RelayCounts {
        self.readers.shutdown().await;
        let [there, back] = &self.paths;
        RelayCounts {
            rtp_there: there[0].counts(),
            rtp_back: back[0].counts(),
            rtcp_there: there[1].counts(),
            rtcp_back: back[1].counts(),
            setup_there: there[2].counts(),
            setup_back: back[2].counts(),
            overfull: self.overfull,
        }
    }
}

/// What comes from the server for one sender. Ends with the relay's task, or when its flow is taken from it.
async fn hear(socket: Arc<UdpSocket>, client: SocketAddr, back: mpsc::Sender<(SocketAddr, Vec<u8>)>) {
    let mut buffer = [0; DATAGRAM];
    loop {
        match socket.recv(&mut buffer).await {
            Ok(length) => {
                if back.send((client, buffer[..length].to_vec())).await.is_err() {
                    return;
                }
            }
            // Nobody listens at the server's port just now; a pause keeps the loop from spinning on it.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_their_first_bytes() {
        assert_eq!(Kind::of(&[0, 1, 0, 8]), Kind::Setup, "STUN");
        assert_eq!(Kind::of(&[22, 254, 253]), Kind::Setup, "DTLS");
        assert_eq!(Kind::of(&[128, 111]), Kind::Rtp);
        assert_eq!(Kind::of(&[144, 0x80 | 63]), Kind::Rtp, "with a marker");
        assert_eq!(Kind::of(&[129, 201]), Kind::Rtcp, "a receiver report");
        assert_eq!(Kind::of(&[]), Kind::Setup);
    }
}
