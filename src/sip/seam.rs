//! TLS connections, as the stack has them. Its own TLS takes as many as come, knows no bound of time for a handshake, and reads them
//! as it reads TCP. It has a seam for TLS of others, though: a stream of bytes that somebody else has made. Ours are made and bounded
//! here, and what comes over them is looked at ([`super::stream`]).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex, Once, PoisonError};

use rsipstack::platform::tls::{TlsClientConfig, TlsConnector, TlsStream, set_client_connector};
use rsipstack::sip::Transport;
use rsipstack::transport::{PlatformTlsConnection, SipAddr, SipConnection};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf, split};
use tokio::sync::Mutex as Waiting;
use tokio_util::sync::CancellationToken;

use super::connections::Place;
use super::stream::{Came, Reader};

/// One connection.
struct Secured<S> {
    reader: Waiting<Reader<ReadHalf<S>>>,
    writer: Waiting<WriteHalf<S>>,
    here: SocketAddr,
    /// Of a connection that came: it is given back with the stream.
    _place: Option<Place>,
}

impl<S: AsyncRead + AsyncWrite + Send + 'static> Secured<S> {
    async fn write(&self, bytes: &[u8]) -> std::io::Result<()> {
        let mut writer = self.writer.lock().await;
        writer.write_all(bytes).await?;
        writer.flush().await
    }
}

#[async_trait::async_trait]
impl<S: AsyncRead + AsyncWrite + Send + 'static> TlsStream for Secured<S> {
    async fn recv(&self) -> rsipstack::Result<Vec<u8>> {
        let mut reader = self.reader.lock().await;
        loop {
            match reader.next().await {
                Came::Bytes(bytes) => return Ok(bytes),
                Came::Refused(answer) => self.write(&answer).await?,
                // Nothing is how the stack is told of the end.
                Came::Over(answer) => {
                    if let Some(answer) = answer {
                        self.write(&answer).await?;
                    }
                    return Ok(Vec::new());
                }
            }
        }
    }

    async fn send_all(&self, bytes: Vec<u8>) -> rsipstack::Result<()> {
        Ok(self.write(&bytes).await?)
    }

    async fn shutdown(&self) -> rsipstack::Result<()> {
        Ok(self.writer.lock().await.shutdown().await?)
    }

    fn local_addr(&self) -> rsipstack::Result<SocketAddr> {
        Ok(self.here)
    }
}

/// Streams on their way through the seam, by a name of ours; each stays for as long as one call of the stack's.
static PASSING: LazyLock<Mutex<HashMap<String, Box<dyn TlsStream>>>> = LazyLock::new(Mutex::default);

/// What the stack asks for streams: it is process-wide there.
struct Seam;

#[async_trait::async_trait]
impl TlsConnector for Seam {
    async fn connect(&self, config: &TlsClientConfig, at: SocketAddr) -> rsipstack::Result<Box<dyn TlsStream>> {
        let passing = PASSING.lock().unwrap_or_else(PoisonError::into_inner).remove(&config.server_name);
        // A connection that has gone is made again by whoever calls next: only he knows by what name the other side has to show itself.
        passing.ok_or_else(|| rsipstack::Error::Error(format!("there is no TLS connection to {at} any more")))
    }
}

/// Hands a TLS stream to the stack. `here` is the address that it tells of this side; `gone` is cancelled when the connection is over.
///
/// # Errors
/// None that the stack has with a stream that is there.
pub(super) async fn hand_over<S: AsyncRead + AsyncWrite + Send + 'static>(
    stream: S,
    reader: impl FnOnce(ReadHalf<S>) -> Reader<ReadHalf<S>>,
    (here, there): (SocketAddr, SocketAddr),
    place: Option<Place>,
    gone: CancellationToken,
) -> rsipstack::Result<SipConnection> {
    static SEAM: Once = Once::new();
    SEAM.call_once(|| set_client_connector(Arc::new(Seam)));
    let (read, write) = split(stream);
    let secured = Secured { reader: Waiting::new(reader(read)), writer: Waiting::new(write), here, _place: place };
    let name = format!("{:032x}", rand::random::<u128>());
    PASSING.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), Box::new(secured));
    let there = SipAddr { r#type: Some(Transport::Tls), addr: there.into() };
    Ok(SipConnection::TlsPlatform(PlatformTlsConnection::connect(&there, Some(&name), Some(gone)).await?))
}
