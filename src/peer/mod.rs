//! Ring 3: WebRTC peers. One UDP port serves every call; a peer is ICE, DTLS, SRTP and SCTP ended here.
//!
//! [`Port::bind`] opens the port, [`Port::accept`] answers one browser's offer with a [`Peer`]: a bounded stream of
//! [`PeerEvent`]s in, a [`PeerLine`] out. What goes through are RTP packets and text; no audio is decoded here. The same
//! machinery in the other direction is [`client`]; [`net`] lets both run on a network in memory, in virtual time.

mod answer;
pub mod client;
mod line;
pub mod net;
mod port;
mod proof;
mod pumps;
pub mod relay;
pub(crate) mod reports;
mod runtime;
mod session;
mod stack;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use duologue_signaling::event::TransferState;
use duologue_signaling::offer::OfferFault;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::audio::codec::LineCodec;
use crate::journal::EndReason;
pub use crate::media::downlink::LinkReport;
use crate::media::rtp::RtpPacket;

pub use line::{LineCounts, PeerLine};
pub use port::Port;

/// Events of one peer that may wait for the call task. At 50 packets a second this is five seconds of not looking.
pub const EVENTS_WAITING: usize = 256;
/// Messages that may wait for the data channel; one more is dropped and counted.
pub const MESSAGES_WAITING: usize = 64;
/// RTP packets that may wait between [`PeerLine::send_rtp`] and the wire; one more is dropped and counted, because
/// what waits cannot be recalled when the caller cuts in. A task that was held up for 240 ms may still catch up.
pub const PACKETS_WAITING: u32 = 12;

/// Where a port listens and what it tells the other side.
#[derive(Clone, Debug)]
pub struct PortConfig {
    /// `0.0.0.0:port` is all IPv4, `[::]:port` is all IPv6 and IPv4, a concrete address only itself. Port 0 takes a
    /// free one.
    pub listen: SocketAddr,
    /// Addresses at which this host is reached through a one-to-one NAT. When there are any, the answers name them and
    /// no local address.
    pub public: Vec<IpAddr>,
    /// Answer as an ICE-lite agent (RFC 8445, section 2.5): for hosts whose addresses are reachable as they are. The
    /// server then sends no checks of its own.
    pub ice_lite: bool,
    /// Offer 127.0.0.1 (and ::1) beside the real interfaces. Without any other interface they are offered anyway.
    pub loopback: bool,
}

impl PortConfig {
    /// Listens on `listen` and tells of its own addresses, loopback included.
    pub fn local(listen: SocketAddr) -> Self {
        Self { listen, public: Vec::new(), ice_lite: false, loopback: true }
    }
}

/// Why there is no port.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    #[error(
        "UDP port {} is in use: stop the other program (`ss -ulpn 'sport = :{}'` names it) or set another media port",
        .0.port(), .0.port()
    )]
    InUse(SocketAddr),
    #[error("this machine has no address {}: listen on 0.0.0.0, [::] or an address of its own", .0.ip())]
    NoSuchAddress(SocketAddr),
    #[error("UDP port {} needs privileges: take one above 1023", .0.port())]
    NotAllowed(SocketAddr),
    #[error("cannot listen on UDP {listen}: {why}")]
    Io { listen: SocketAddr, why: std::io::Error },
}

/// Why an offer got no answer.
#[derive(Debug, thiserror::Error)]
pub enum OfferRefused {
    /// The offer itself is at fault: 4xx.
    #[error(transparent)]
    Fault(#[from] OfferFault),
    /// The offer passed the check and still cannot be answered: 4xx.
    #[error("the offer cannot be answered: {0}")]
    NotAnswerable(String),
    /// Ours: 5xx.
    #[error("the peer could not be set up: {0}")]
    Setup(String),
    /// The peer is closed, or the port is: 409 or 503.
    #[error("the peer is closed")]
    Closed,
}

/// What both sides have agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// RTP payload type of Opus in this call.
    pub opus: u8,
    /// RTP payload type of telephone events at 48 kHz (RFC 4733), where the other side has them.
    pub telephone_event: Option<u8>,
    /// RTP payload type of redundant audio (RFC 2198) around that Opus, where the other side reads it.
    pub red: Option<u8>,
    /// Whether a data channel was offered.
    pub data_channel: bool,
    /// The SSRC that our packets carry.
    pub ssrc: u32,
}

impl Agreed {
    /// The part of it that sound is sent and heard by.
    pub const fn spoken(&self) -> Spoken {
        Spoken { codec: LineCodec::Opus, payload_type: self.opus, red: self.red }
    }
}

/// The codec of a line, and its RTP payload types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spoken {
    pub codec: LineCodec,
    pub payload_type: u8,
    /// Of redundant audio around it; with Opus alone.
    pub red: Option<u8>,
}

/// What a line reports, in the order it happened: a WebRTC peer, or whatever else a call is held over.
#[derive(Clone, Debug, PartialEq)]
pub enum PeerEvent {
    /// ICE and DTLS are up: media flows. Once, unless `Disconnected` came between.
    Connected,
    /// A packet, as it arrived: unordered, duplicates included. The payload type tells Opus from telephone events.
    Rtp { packet: RtpPacket, at: Instant },
    /// How our packets arrive at the other side.
    Report(LinkReport),
    /// The data channel is open: messages can be sent. Those sent earlier go out now.
    MessagesOpen,
    /// A text message from the data channel.
    Message(String),
    /// A key of the telephone was pressed and let go: 0 to 9, *, #, A to D.
    Key { key: char, held: Duration },
    /// The other side has put the call on hold, or taken it back.
    Held(bool),
    /// The other side was asked to call `to` in our place, or asks us to call `to` in its own, and this is how it stands.
    Transfer { to: String, state: TransferState, detail: String },
    /// From here on the line speaks this.
    Speaks(Spoken),
    /// Nothing has been heard for some seconds; it may come back (then `Connected` follows).
    Disconnected,
    /// Over. Always the last event; the peer has already let go of everything.
    Gone(GoneWhy),
}

/// Why a peer is gone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GoneWhy {
    /// It said so: DTLS `close_notify`.
    #[error("the other side closed the connection")]
    ClosedByPeer,
    /// Media never came up in [`CONNECT_WITHIN`].
    #[error("no connection came about within {} s: UDP may be blocked between the two sides", CONNECT_WITHIN.as_secs())]
    NeverConnected,
    /// ICE consent expired (RFC 7675), or no packet has come for too long.
    #[error("the other side went silent")]
    Silent,
    /// Closed from here.
    #[error("closed from here")]
    ClosedHere,
    /// Whom the server called did not take the call: busy, declined, ...
    #[error("{1}")]
    NotTaken(EndReason, String),
    /// The other side speaks to somebody else in our place.
    #[error("the call was handed on to {0}")]
    Transferred(String),
    /// The other side has let the session's time run out (RFC 4028).
    #[error("the other side did not say in time that it is still there")]
    Expired,
    /// The connection broke in another way.
    #[error("the connection failed: {0}")]
    Failed(String),
}

/// How long a peer may take from the answer to the first `Connected`.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(20);

/// One call's connection.
#[derive(Debug)]
pub struct Peer {
    /// What happens; ends after [`PeerEvent::Gone`].
    pub events: mpsc::Receiver<PeerEvent>,
    /// The way out; can be cloned.
    pub line: PeerLine,
    /// What was negotiated.
    pub agreed: Agreed,
    cancel: CancellationToken,
    task: Option<JoinHandle<()>>,
}

/// What keeps a line alive. Whoever holds it hangs up by closing it, or, in the background, by dropping it.
#[derive(Debug)]
pub struct Ending {
    cancel: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl Ending {
    /// The line's tasks end when `cancel` is; `task` is the last of them.
    pub const fn new(cancel: CancellationToken, task: JoinHandle<()>) -> Self {
        Self { cancel, task: Some(task) }
    }

    /// Hangs up: tells the other side, ends every task of this line and returns when they have ended.
    pub async fn close(mut self) {
        self.cancel.cancel();
        if let Some(task) = self.task.take() {
            let _ = task.await;
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl Peer {
    /// Its parts: what happens, the way out, and what keeps both alive.
    pub fn into_parts(mut self) -> (mpsc::Receiver<PeerEvent>, PeerLine, Ending) {
        let nothing = mpsc::channel(1).1;
        let events = std::mem::replace(&mut self.events, nothing);
        // What is dropped here hangs up nobody.
        let cancel = std::mem::take(&mut self.cancel);
        (events, self.line.clone(), Ending { cancel, task: self.task.take() })
    }

    /// Hangs up: tells the other side, ends every task of this peer and returns when they have ended.
    pub async fn close(mut self) {
        self.cancel.cancel();
        if let Some(task) = self.task.take() {
            let _ = task.await;
        }
    }
}

/// Closes the peer in the background: its task says goodbye and ends by itself within the stack's 100 ms. (On `Peer`
/// itself, so that a task which uses only `events` and `line` must still own the whole peer.)
impl Drop for Peer {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// What a port has done since it was bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortCounts {
    /// Peers alive now.
    pub peers: usize,
    /// Tasks alive now for those peers.
    pub tasks: usize,
    /// Datagrams handed to a peer.
    pub delivered: u64,
    /// Datagrams of no peer: strangers, peers just gone, garbage.
    pub strangers: u64,
    /// Datagrams dropped because a peer's queue was full.
    pub overflowed: u64,
    /// Datagrams that the network did not take from us.
    pub unsent: u64,
    /// Reports from a peer's address that do not even claim to be protected.
    pub refused: u64,
}
