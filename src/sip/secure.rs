//! TLS connections that the server makes. The stack would make them itself, but does not know what the other side has to show: that is
//! in the configuration. So a connection is there before the stack has something to send over it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rsipstack::transport::SipConnection;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::connections::HANDSHAKE;
use super::stream::Reader;
use super::target::{Target, Way};
use super::{Exchange, seam};
use crate::meters::Meters;

/// Over a connection of ours nothing needs to come for as long as a call lasts. That the other side is gone is found by TCP, which asks it
/// after so long.
const ASKED_AFTER: Duration = Duration::from_secs(60);
/// Longer than any call.
const FOR_EVER: Duration = Duration::from_secs(365 * 86_400);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotSecured {
    #[error("nobody's certificate is believed here: install ca-certificates, or set sip.tls_ca")]
    NobodyBelieved,
    #[error("{0} is no name that a certificate can have")]
    Name(String),
    #[error("no TLS with {host}: {why}")]
    Failed { host: String, why: String },
}

/// Whose certificate was shown, and where.
type Other = (String, SocketAddr);

/// The connections that are open; of each, what is cancelled when it is over.
#[derive(Default)]
pub(super) struct Secured(Mutex<HashMap<Other, CancellationToken>>);

impl Secured {
    fn has(&self, other: &Other) -> bool {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, gone| !gone.is_cancelled());
        open.contains_key(other)
    }

    fn put(&self, other: Other, gone: CancellationToken) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(other, gone);
    }
}

impl Exchange {
    /// Makes a TLS connection where one is needed and there is none. What goes elsewhere without TLS needs none.
    pub(super) async fn connect(&self, hop: &Target, there: SocketAddr) -> Result<(), NotSecured> {
        let other = (hop.host.clone(), there);
        if hop.way != Way::Tls || self.secured.has(&other) {
            return Ok(());
        }
        let believed = self.settings.believed.clone().ok_or(NotSecured::NobodyBelieved)?;
        let name = hop.place().0.to_owned();
        let name = ServerName::try_from(name).map_err(|_| NotSecured::Name(hop.host.clone()))?;
        let failed = |why: String| NotSecured::Failed { host: hop.host.clone(), why };
        let shaken = tokio::time::timeout(HANDSHAKE, async {
            let stream = TcpStream::connect(there).await?;
            SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(ASKED_AFTER))?;
            TlsConnector::from(believed).connect(name, stream).await
        });
        let stream = shaken
            .await
            .map_err(|_| failed(format!("no handshake within {} s", HANDSHAKE.as_secs())))?
            .map_err(|why| failed(why.to_string()))?;
        let meters = self.registry.recorder().meters().clone();
        let gone = self.stop.child_token();
        let here = SocketAddr::new(self.here(there.ip()), self.port(hop.way.transport()));
        let reader = |read| Reader::new(read, there, FOR_EVER, meters);
        let connection = seam::hand_over(stream, reader, (here, there), None, gone.clone()).await;
        let connection = connection.map_err(|why| failed(why.to_string()))?;
        self.endpoint.transport_layer.add_connection(connection);
        self.secured.put(other, gone);
        Ok(())
    }
}

/// What the stack tells others of where we are over TLS: it takes that from its listeners, of which ours is none. Nothing is read from it.
pub(super) async fn told(
    here: SocketAddr,
    stop: &CancellationToken,
    meters: &Meters,
) -> rsipstack::Result<SipConnection> {
    let reader = |read| Reader::new(read, here, HANDSHAKE, meters.clone());
    seam::hand_over(tokio::io::empty(), reader, (here, here), None, stop.child_token()).await
}
