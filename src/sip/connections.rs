//! TCP and TLS connections to the SIP port. The stack would take as many as come, with two buffers of 64 kB each, so they are taken here:
//! a bounded number in all, and of each source; and what comes over them is looked at before the stack has it ([`super::stream`]).

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as Pair;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rsipstack::sip::Transport;
use rsipstack::transaction::endpoint::EndpointInnerRef;
use rsipstack::transport::stream::StreamConnectionInner;
use rsipstack::transport::tcp::TcpConnection;
use rsipstack::transport::{SipAddr, SipConnection};
use rustls::ServerConfig;
use tokio::io::{AsyncWriteExt as _, ReadHalf, split};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::flood::source;
use super::seam;
use super::stream::{Came, Reader};
use crate::meters::Meters;

/// After a connection could not be had, as when files run out.
const BREATH: Duration = Duration::from_millis(100);
/// A handshake takes two times there and back; who has not finished it by then will not.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(10);

/// Who is connected.
pub(super) struct Connections {
    open: Mutex<Open>,
    most: usize,
    most_a_source: usize,
    pub(super) idle: Duration,
    pub(super) meters: Meters,
}

#[derive(Default)]
struct Open {
    all: usize,
    of: HashMap<IpAddr, usize>,
}

/// One of the places for connections; given back when dropped.
pub(super) struct Place {
    among: Arc<Connections>,
    source: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.among.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all -= 1;
        if let Some(his) = open.of.get_mut(&self.source) {
            *his -= 1;
            if *his == 0 {
                open.of.remove(&self.source);
            }
        }
        self.among.meters.sip_connections(open.all);
    }
}

/// What a listener needs to make connections of what it takes.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) connections: Arc<Connections>,
    /// The address that telephones are told, where it is another one.
    pub(super) public: Option<SocketAddr>,
    pub(super) endpoint: EndpointInnerRef,
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
    /// `None`: plain TCP.
    pub(super) tls: Option<Arc<ServerConfig>>,
}

impl Connections {
    pub(super) fn new(most: u32, most_a_source: u32, idle: Duration, meters: Meters) -> Self {
        Self { open: Mutex::default(), most: most as usize, most_a_source: most_a_source as usize, idle, meters }
    }

    /// `None`: there are enough.
    fn place(self: &Arc<Self>, from: SocketAddr) -> Option<Place> {
        let source = source(from.ip());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let his = open.of.get(&source).copied().unwrap_or(0);
        if open.all >= self.most || his >= self.most_a_source {
            tracing::debug!(%from, open = open.all, his, "a connection for SIP is one too many");
            self.meters.refuse_sip("connection");
            return None;
        }
        open.all += 1;
        open.of.insert(source, his + 1);
        self.meters.sip_connections(open.all);
        Some(Place { among: self.clone(), source })
    }
}

impl Door {
    /// Takes connections until it is to stop.
    pub(super) async fn serve(self, listener: TcpListener) {
        let stop = self.stop.clone();
        while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((stream, from)) => {
                    // One that is too many is closed.
                    let Some(place) = self.connections.place(from) else { continue };
                    let door = self.clone();
                    self.tasks.spawn(async move {
                        let stop = door.stop.clone();
                        let taken = stop.run_until_cancelled(door.take(stream, from, place)).await;
                        if let Some(Err(fault)) = taken {
                            tracing::debug!(%from, %fault, "a connection for SIP came to nothing");
                        }
                    });
                }
                Err(fault) => {
                    tracing::warn!(%fault, "a connection for SIP could not be taken");
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
    }

    async fn take(self, stream: TcpStream, from: SocketAddr, place: Place) -> rsipstack::Result<()> {
        let here = self.public.map_or_else(|| stream.local_addr(), Ok)?;
        match self.tls.clone() {
            None => self.take_plain(stream, (here, from), place).await,
            Some(tls) => self.take_secured(tls, stream, (here, from), place).await,
        }
    }

    async fn take_secured(
        self,
        tls: Arc<ServerConfig>,
        stream: TcpStream,
        (here, from): (SocketAddr, SocketAddr),
        place: Place,
    ) -> rsipstack::Result<()> {
        let shaken = tokio::time::timeout(HANDSHAKE, TlsAcceptor::from(tls).accept(stream)).await;
        let stream = match shaken {
            Ok(Ok(stream)) => stream,
            Ok(Err(fault)) => {
                self.connections.meters.refuse_sip("tls");
                return Err(fault.into());
            }
            Err(_) => {
                self.connections.meters.refuse_sip("tls");
                tracing::debug!(%from, "a TLS handshake was not finished");
                return Ok(());
            }
        };
        let connections = self.connections.clone();
        let reader = |read| Reader::new(read, from, connections.idle, connections.meters.clone());
        let connection = seam::hand_over(stream, reader, (here, from), Some(place), self.stop.child_token()).await?;
        self.endpoint.transport_layer.add_connection(connection);
        Ok(())
    }

    /// The stack reads TCP from a socket and from nothing else. So it writes to the telephone itself, and reads from one end of a pair
    /// of sockets, into the other end of which goes what has been looked at.
    async fn take_plain(
        self,
        stream: TcpStream,
        (here, from): (SocketAddr, SocketAddr),
        place: Place,
    ) -> rsipstack::Result<()> {
        let (ours, theirs) = Pair::pair()?;
        ours.set_nonblocking(true)?;
        theirs.set_nonblocking(true)?;
        let ours = UnixStream::from_std(ours)?;
        // To the kernel both are stream sockets: only a question for its address would be answered differently, and none is asked.
        let theirs = TcpStream::from_std(std::net::TcpStream::from(OwnedFd::from(theirs)))?;
        let (read, write) = split(stream);
        let (looked_at, _) = split(theirs);
        let address = |at: SocketAddr| SipAddr { r#type: Some(Transport::Tcp), addr: at.into() };
        let inner = Arc::new(StreamConnectionInner::new(address(here), address(from), looked_at, write));
        let gone = self.stop.child_token();
        let connection = TcpConnection { inner, cancel_token: Some(gone.clone()) };
        let reader = Reader::new(read, from, self.connections.idle, self.connections.meters.clone());
        self.endpoint.transport_layer.add_connection(SipConnection::Tcp(connection.clone()));
        gone.run_until_cancelled(pump(reader, ours, &connection)).await;
        drop(place);
        Ok(())
    }
}

/// Until the telephone has nothing more to say. The stack finds its end closed then, and closes the connection.
async fn pump(mut reader: Reader<ReadHalf<TcpStream>>, mut into: UnixStream, connection: &TcpConnection) {
    loop {
        let done = match reader.next().await {
            Came::Bytes(bytes) => into.write_all(&bytes).await.is_err(),
            Came::Refused(answer) => connection.inner.send_raw(&answer).await.is_err(),
            Came::Over(answer) => {
                if let Some(answer) = answer {
                    let _ = connection.inner.send_raw(&answer).await;
                }
                true
            }
        };
        if done {
            return;
        }
    }
}
