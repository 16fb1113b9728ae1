//! What the WebRTC stack runs on: tokio's clock and tasks, and sockets that are windows onto the shared port.
//!
//! The stack binds one socket per peer and keys its candidates by that socket's address. It is given a loopback socket
//! that is thrown away at once; the address stays as a name, the datagrams come and go through [`Port`](super::Port).

use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use duologue_signaling::demux::PeerId;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, RecvMeta, Runtime, Transmit,
};

use super::port::Outlet;

/// A datagram for one peer.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) from: SocketAddr,
    pub(super) bytes: Vec<u8>,
}

/// Datagrams that may wait for one peer: five seconds of audio.
pub(super) const DATAGRAMS_WAITING: usize = 256;

/// A stack that is being connected is woken at least so often: as DTLS client it sends its first message only when its timer next rings, and ICE sets
/// that to 200 ms. To be woken early costs it a look at its clocks.
const CONNECTING_LOOK: Duration = Duration::from_millis(5);

/// Where the port puts a peer's datagrams: one queue per family, because the stack pairs candidates by family.
#[derive(Clone, Debug)]
pub(super) struct Inbox {
    v4: mpsc::Sender<Arrived>,
    v6: mpsc::Sender<Arrived>,
}

impl Inbox {
    /// False when the datagram was dropped because the queue is full.
    pub(super) fn put(&self, datagram: Arrived) -> bool {
        let queue = if datagram.from.is_ipv4() { &self.v4 } else { &self.v6 };
        !matches!(queue.try_send(datagram), Err(mpsc::error::TrySendError::Full(_)))
    }
}

#[derive(Debug)]
struct Queues {
    v4: Option<mpsc::Receiver<Arrived>>,
    v6: Option<mpsc::Receiver<Arrived>>,
}

/// The runtime of one peer: owns every task that the stack starts for it.
#[derive(Debug)]
pub(super) struct PeerRuntime {
    peer: PeerId,
    outlet: Arc<Outlet>,
    queues: Mutex<Queues>,
    tasks: Mutex<JoinSet<()>>,
    connecting: AtomicBool,
}

impl PeerRuntime {
    pub(super) fn new(peer: PeerId, outlet: Arc<Outlet>) -> (Arc<Self>, Inbox) {
        let (v4, v4_queue) = mpsc::channel(DATAGRAMS_WAITING);
        let (v6, v6_queue) = mpsc::channel(DATAGRAMS_WAITING);
        let queues = Mutex::new(Queues { v4: Some(v4_queue), v6: Some(v6_queue) });
        let runtime = Arc::new(Self { peer, outlet, queues, tasks: Mutex::default(), connecting: true.into() });
        (runtime, Inbox { v4, v6 })
    }

    /// The peer is connected: its stack wakes by its own timers from here on.
    pub(super) fn is_connected(&self) {
        self.connecting.store(false, Ordering::Relaxed);
    }

    /// Ends every task and returns when they have ended.
    pub(super) async fn shut_down(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
    }
}

impl Runtime for PeerRuntime {
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Box<dyn JoinHandle> {
        let alive = Alive::count(&self.outlet.tasks);
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        Box::new(Task(tasks.spawn(async move {
            let _alive = alive;
            future.await;
        })))
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let local = socket.local_addr()?;
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = if local.is_ipv4() { queues.v4.take() } else { queues.v6.take() };
        let queue = queue.ok_or(io::ErrorKind::AddrInUse)?;
        Ok(Arc::new(Window { local, peer: self.peer, outlet: self.outlet.clone(), queue: Mutex::new(queue) }))
    }

    fn wrap_tcp_listener(&self, _: TcpListener) -> io::Result<Arc<dyn AsyncTcpListener>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn connect_tcp<'a>(
        &'a self,
        _: SocketAddr,
    ) -> Pin<Box<dyn Future<Output = io::Result<Arc<dyn AsyncTcpStream>>> + Send + 'a>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }

    fn resolve_host<'a>(
        &'a self,
        host: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>> {
        Box::pin(async move { tokio::net::lookup_host(host).await.map(Iterator::collect) })
    }

    // Tokio's instant, not the system's: when a test pauses the clock, ICE, DTLS and SCTP stand still with it.
    fn now(&self) -> std::time::Instant {
        tokio::time::Instant::now().into_std()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        let connecting = self.connecting.load(Ordering::Relaxed);
        Box::pin(tokio::time::sleep(if connecting { duration.min(CONNECTING_LOOK) } else { duration }))
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        Box::new(Beat(tokio::time::interval(period)))
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        futures_util::FutureExt::now_or_never(future);
    }

    fn name(&self) -> &'static str {
        "duologue"
    }
}

struct Beat(tokio::time::Interval);

impl AsyncInterval for Beat {
    fn tick(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            self.0.tick().await;
        })
    }
}

/// A task's handle; the task itself belongs to the runtime's set.
struct Task(AbortHandle);

impl JoinHandle for Task {
    fn detach(&self) {}

    fn abort(&self) {
        self.0.abort();
    }

    fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

/// Counts something alive for as long as it is held.
pub(super) struct Alive(Arc<AtomicUsize>);

impl Alive {
    pub(super) fn count(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::AcqRel);
        Self(counter.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The socket that one peer sees.
#[derive(Debug)]
struct Window {
    local: SocketAddr,
    peer: PeerId,
    outlet: Arc<Outlet>,
    queue: Mutex<mpsc::Receiver<Arrived>>,
}

impl AsyncUdpSocket for Window {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    fn poll_send(&self, _: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        // An error here would end the peer's driver; what was not sent is counted, and sent again by whoever needs it.
        self.outlet.send(transmit.contents, transmit.destination, self.peer);
        Poll::Ready(Ok(transmit.contents.len()))
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let datagram = match queue.poll_recv(context) {
            Poll::Ready(Some(datagram)) => datagram,
            // The port is gone; the peer notices by silence.
            Poll::Ready(None) | Poll::Pending => return Poll::Pending,
        };
        let (Some(buffer), Some(meta)) = (buffers.first_mut(), meta.first_mut()) else {
            return Poll::Ready(Ok(0));
        };
        let length = datagram.bytes.len().min(buffer.len());
        buffer[..length].copy_from_slice(&datagram.bytes[..length]);
        *meta = RecvMeta::default();
        meta.len = length;
        meta.stride = length.max(1);
        meta.addr = datagram.from;
        Poll::Ready(Ok(1))
    }
}
