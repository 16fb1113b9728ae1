//! What comes over one TCP or TLS connection of SIP. The stack ends a connection at the first message that it cannot read, without a
//! word; so each message is taken and looked at here first, as datagrams are, and refused with an answer where one is due.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use duologue_signaling::sip_datagram::{Look, look, unreadable};
use duologue_signaling::sip_stream::{Front, front, plain};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::datagrams::the_stack_reads;
use crate::meters::Meters;

/// Room that is made before each read; a message with SDP has some 1,500 bytes.
const READ: usize = 4_096;

/// What came.
pub(super) enum Came {
    /// For the stack: one message, or a ping that it answers.
    Bytes(Vec<u8>),
    /// Not for the stack; this is the answer.
    Refused(Vec<u8>),
    /// Nothing more; this is the connection's last word.
    Over(Option<Vec<u8>>),
}

/// The reading end.
pub(super) struct Reader<R> {
    stream: R,
    buffer: BytesMut,
    from: SocketAddr,
    idle: Duration,
    meters: Meters,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// `idle`: a connection over which nothing comes for so long is over.
    pub(super) fn new(stream: R, from: SocketAddr, idle: Duration, meters: Meters) -> Self {
        Self { stream, buffer: BytesMut::new(), from, idle, meters }
    }

    /// The next thing that comes. Called again after it was dropped, it has lost nothing.
    pub(super) async fn next(&mut self) -> Came {
        loop {
            match front(&self.buffer, self.from) {
                Front::More => {
                    self.buffer.reserve(READ);
                    match tokio::time::timeout(self.idle, self.stream.read_buf(&mut self.buffer)).await {
                        Ok(Ok(read)) if read > 0 => {}
                        _ => return Came::Over(None),
                    }
                }
                Front::Blank(length) => self.buffer.advance(length),
                Front::Ping(length) => return Came::Bytes(self.buffer.split_to(length).to_vec()),
                Front::Message(length) => {
                    let message = self.buffer.split_to(length);
                    if let Some(came) = self.look(&message) {
                        return came;
                    }
                }
                Front::Broken { fault, answer } => {
                    self.meters.refuse_sip(fault.as_str());
                    tracing::debug!(from = %self.from, fault = fault.as_str(), "a SIP connection whose messages have no end");
                    return Came::Over(answer);
                }
            }
        }
    }

    fn look(&self, message: &[u8]) -> Option<Came> {
        let looked = match look(message, self.from) {
            Look::Message(read) if !the_stack_reads(&read) => unreadable(message, self.from),
            looked => looked,
        };
        match looked {
            Look::KeepAlive | Look::Ping => None,
            Look::Message(read) => Some(Came::Bytes(plain(&read).into_owned())),
            Look::Refused { fault, answer } => {
                self.meters.refuse_sip(fault.as_str());
                tracing::debug!(from = %self.from, fault = fault.as_str(), "a SIP message that cannot be read");
                answer.map(Came::Refused)
            }
        }
    }
}
