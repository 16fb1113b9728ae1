//! The UDP socket of SIP. The stack drops what it cannot read and says nothing; so every datagram is looked at here first
//! ([`duologue_signaling::sip_datagram`]), counted where it is refused, and answered where an answer is due.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use duologue_signaling::sip_datagram::{Look, look, unreadable};
use rsipstack::platform::net::UdpSocket as StackSocket;
use rsipstack::sip::{HeadersExt as _, SipMessage, ToTypedHeader as _};
use rsipstack::transaction::key::{TransactionKey, TransactionRole};

use super::flood::Floods;
use crate::meters::Meters;

/// Refusals that one source is told of within a second. The rest is counted and not answered: SIP asks again by itself.
const ANSWERS_A_SECOND: u32 = 10;

/// The socket, as the stack wants it.
pub(super) struct Datagrams {
    socket: tokio::net::UdpSocket,
    meters: Meters,
    sources: Mutex<Sources>,
}

struct Sources {
    all: Floods,
    answers: Floods,
}

impl Datagrams {
    /// `most`: messages of one source within a second.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub fn bind(listen: SocketAddr, most: u32, meters: Meters) -> std::io::Result<Self> {
        let socket = std::net::UdpSocket::bind(listen)?;
        socket.set_nonblocking(true)?;
        let sources = Sources { all: Floods::new(most), answers: Floods::new(ANSWERS_A_SECOND) };
        Ok(Self { socket: tokio::net::UdpSocket::from_std(socket)?, meters, sources: Mutex::new(sources) })
    }

    /// How much of the buffer is for the stack.
    fn keep(&self, buffer: &mut [u8], length: usize, from: SocketAddr, now: Instant) -> Option<usize> {
        let take = |floods: fn(&mut Sources) -> &mut Floods| {
            floods(&mut self.sources.lock().unwrap_or_else(PoisonError::into_inner)).take(from.ip(), now)
        };
        if !take(|sources| &mut sources.all) {
            self.meters.refuse_sip("flood");
            return None;
        }
        let looked = match look(&buffer[..length], from) {
            Look::Message(message) if !the_stack_reads(&message) => unreadable(&buffer[..length], from),
            looked => looked,
        };
        match looked {
            Look::KeepAlive => None,
            Look::Ping | Look::Message(Cow::Borrowed(_)) => Some(length),
            Look::Message(Cow::Owned(longer)) => {
                // The stack's buffer has room for any datagram; one that grew beyond it is not SIP's any more.
                buffer.get_mut(..longer.len())?.copy_from_slice(&longer);
                Some(longer.len())
            }
            Look::Refused { fault, answer } => {
                self.meters.refuse_sip(fault.as_str());
                tracing::debug!(%from, fault = fault.as_str(), "a SIP message that cannot be read");
                if let Some(answer) = answer
                    && take(|sources| &mut sources.answers)
                {
                    // Where the kernel has no room, the network would have lost it as well.
                    let _ = self.socket.try_send_to(&answer, from);
                }
                None
            }
        }
    }
}

/// The stack will read it once more and then say nothing of what it finds wrong.
pub(super) fn the_stack_reads(message: &[u8]) -> bool {
    match SipMessage::try_from(message) {
        Ok(SipMessage::Request(request)) => {
            request.top_via_header().is_ok_and(|via| via.typed().is_ok())
                && TransactionKey::from_request(&request, TransactionRole::Server).is_ok()
        }
        Ok(SipMessage::Response(response)) => TransactionKey::from_response(&response, TransactionRole::Client).is_ok(),
        Err(_) => false,
    }
}

#[async_trait::async_trait]
impl StackSocket for Datagrams {
    async fn recv_from(&self, buffer: &mut [u8]) -> rsipstack::Result<(usize, SocketAddr)> {
        loop {
            let (length, from) = self.socket.recv_from(buffer).await?;
            if let Some(length) = self.keep(buffer, length, from, Instant::now()) {
                return Ok((length, from));
            }
        }
    }

    async fn send_to(&self, bytes: &[u8], to: SocketAddr) -> rsipstack::Result<usize> {
        Ok(self.socket.send_to(bytes, to).await?)
    }

    fn local_addr(&self) -> rsipstack::Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }
}
