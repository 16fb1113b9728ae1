//! TCP connections to the SIP port. The stack would take as many as come, with two buffers of 64 kB each, so they are taken here: a bounded
//! number in all, and of each source.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rsipstack::sip::Transport;
use rsipstack::transaction::endpoint::{EndpointInnerRef, TransportEventInspector};
use rsipstack::transport::tcp::TcpConnection;
use rsipstack::transport::{SipAddr, SipConnection, TransportEvent};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::flood::source;
use crate::meters::Meters;

/// After a connection could not be had, as when files run out.
const BREATH: Duration = Duration::from_millis(100);

/// Who is connected.
pub(super) struct Connections {
    open: Mutex<Open>,
    most: usize,
    most_a_source: usize,
    meters: Meters,
}

#[derive(Default)]
struct Open {
    /// The source of each, by the address of what the stack has of it. The stack's last word on a connection holds on to it, so that the
    /// address is nobody else's before.
    sources: HashMap<usize, IpAddr>,
    of: HashMap<IpAddr, usize>,
}

impl Connections {
    pub fn new(most: u32, most_a_source: u32, meters: Meters) -> Self {
        Self { open: Mutex::default(), most: most as usize, most_a_source: most_a_source as usize, meters }
    }

    /// Takes connections until `stop`. The stack reads from them, and ends them where nothing comes for long.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        public: Option<SocketAddr>,
        endpoint: EndpointInnerRef,
        stop: CancellationToken,
    ) {
        while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((stream, from)) => {
                    if let Some(connection) = self.take(stream, from, public, &stop) {
                        endpoint.transport_layer.add_connection(SipConnection::Tcp(connection));
                    }
                }
                Err(fault) => {
                    tracing::warn!(%fault, "a TCP connection for SIP could not be taken");
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
    }

    /// `None`: there are enough, and this one is closed.
    fn take(
        &self,
        stream: TcpStream,
        from: SocketAddr,
        public: Option<SocketAddr>,
        stop: &CancellationToken,
    ) -> Option<TcpConnection> {
        let source = source(from.ip());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let his = open.of.get(&source).copied().unwrap_or(0);
        if open.sources.len() >= self.most || his >= self.most_a_source {
            tracing::debug!(%from, open = open.sources.len(), his, "a TCP connection for SIP is one too many");
            self.meters.refuse_sip("connection");
            return None;
        }
        let here = public.or_else(|| stream.local_addr().ok())?;
        let here = SipAddr { r#type: Some(Transport::Tcp), addr: here.into() };
        // It may be gone already.
        let connection = TcpConnection::from_stream(stream, here, Some(stop.child_token())).ok()?;
        open.sources.insert(identity(&connection), source);
        open.of.insert(source, his + 1);
        self.tell(&open);
        Some(connection)
    }

    fn closed(&self, connection: &TcpConnection) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that the server opened itself are not counted.
        let Some(source) = open.sources.remove(&identity(connection)) else { return };
        if let Some(his) = open.of.get_mut(&source) {
            *his -= 1;
            if *his == 0 {
                open.of.remove(&source);
            }
        }
        self.tell(&open);
    }

    fn tell(&self, open: &Open) {
        self.meters.sip_connections(open.sources.len());
    }
}

fn identity(connection: &TcpConnection) -> usize {
    Arc::as_ptr(&connection.inner).addr()
}

/// Hears from the stack which connections are over.
pub(super) struct Leaving(pub Arc<Connections>);

#[async_trait::async_trait]
impl TransportEventInspector for Leaving {
    async fn handle(&self, event: TransportEvent) -> Option<TransportEvent> {
        if let TransportEvent::Closed(SipConnection::Tcp(connection)) = &event {
            self.0.closed(connection);
        }
        Some(event)
    }
}
