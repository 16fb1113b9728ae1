//! Ring 3: telephones. Calls over SIP (RFC 3261) become calls like a browser's: [`line`] is their sound, [`call`] their dialog, and
//! what the call sees is a [`crate::call::leg::Leg`].
//!
//! The stack below (`rsipstack`) keeps transactions, dialogs and sockets; what is asked and answered, SDP and RTP are ours. See
//! docs/TELEPHONY.md for what is there, and what is not.

mod call;
mod connections;
mod datagrams;
mod dial;
mod dialled;
mod digest;
mod dtls;
mod ending;
mod flood;
mod guard;
mod known;
mod leaving;
mod line;
mod offers;
mod outbound;
mod party;
mod phones;
mod placed;
mod protection;
mod referral;
mod refresh;
mod register;
mod replaced;
mod request;
mod ringing;
mod route;
mod rtcp;
mod sdp;
mod seam;
mod secure;
mod settings;
mod sound;
mod srtp;
mod stream;
mod target;
mod tls;
mod transfer;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rsipstack::EndpointBuilder;
use rsipstack::dialog::dialog_layer::DialogLayer;
use rsipstack::sip::{Header, HeadersExt as _, Method, StatusCode, Transport};
use rsipstack::transaction::endpoint::{Endpoint, EndpointInnerRef};
use rsipstack::transaction::transaction::Transaction;
use rsipstack::transport::TransportLayer;
use rsipstack::transport::udp::UdpConnection;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::call::registry::Registry;
use crate::config::SecretError;
use connections::{Connections, Door};
use datagrams::Datagrams;
pub use dial::{Dialler, NotDialled};
pub use dialled::{Dialled, NumbersFault};
use digest::Spelling;
use dtls::Identity;
pub use guard::Guard;
pub use outbound::{Keys, Outbound, Trunk};
use phones::Phones;
pub use phones::{ContactShown, PhoneShown};
pub use refresh::SessionTimes;
use register::Registrar;
use replaced::Takeable;
use ringing::KEYS_IN_CLEAR;
use secure::Secured;
pub use settings::SipSettings;
pub use target::{Target, TargetFault, Way};
pub use tls::TlsFault;

/// What is understood here of everybody, as `Allow` has it.
const ALLOWED: [Method; 8] = [
    Method::Invite,
    Method::Ack,
    Method::Cancel,
    Method::Bye,
    Method::Options,
    Method::Info,
    Method::Update,
    Method::Notify,
];
/// Requests of no call yet that may be in work at once, beside the calls themselves: each waits for the network at most.
const STRANGERS_MOST: usize = 256;
/// The goodbyes of the last calls are waited for so long at the end.
const GOODBYE: Duration = Duration::from_secs(2);

/// Why no telephone can call.
#[derive(Debug, thiserror::Error)]
pub enum SipError {
    #[error("cannot listen for SIP on {listen}: {why}; set {key} in duologue.toml")]
    Listen { key: &'static str, listen: SocketAddr, why: String },
    #[error("sip.rtp_last is below sip.rtp_first, or leaves no even port with one above it")]
    Ports,
    #[error("sip.numbers: {0}")]
    Numbers(#[from] NumbersFault),
    #[error("sip.codecs is empty: name one")]
    Codecs,
    #[error("sip.digests is empty: name one")]
    Digests,
    #[error(
        "sip.phones: '{0}' is no name (letters, digits, +, -, . and _), stands there twice, or is one of sip.users"
    )]
    Phone(String),
    #[error(transparent)]
    Password(#[from] SecretError),
    #[error("sip.outbound and sip.trunks: {0}")]
    Outbound(#[from] TargetFault),
    #[error("sip.srtp: {0}")]
    Srtp(TargetFault),
    #[error("sip.refer_from: {0}")]
    ReferFrom(TargetFault),
    #[error(transparent)]
    Tls(#[from] TlsFault),
    #[error("no certificate for the sound of telephones can be made: {0}")]
    Certificate(String),
    #[error("SIP: {0}")]
    Stack(String),
}

/// What has come so far, and was no call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SipCounts {
    /// Calls that were answered.
    pub answered: u64,
    /// Calls that were refused, for whatever reason.
    pub refused: u64,
    /// Requests that were turned away because too many were in work.
    pub flooded: u64,
    /// Calls that the server made, whatever came of them.
    pub dialled: u64,
}

/// The telephones' side of a server.
pub struct Switchboard {
    /// Where SIP is listened for, UDP and TCP alike.
    pub address: SocketAddr,
    /// Where it is over TLS.
    pub secure_address: Option<SocketAddr>,
    exchange: Arc<Exchange>,
    stop: CancellationToken,
}

/// What every call shares.
struct Exchange {
    settings: SipSettings,
    address: SocketAddr,
    secure_address: Option<SocketAddr>,
    /// The TLS connections that were made from here.
    secured: Secured,
    registry: Arc<Registry>,
    /// Who we are where keys are agreed on over DTLS.
    identity: Identity,
    /// Shared with what the stack does in the background.
    dialogs: Arc<DialogLayer>,
    /// What registrations are sent with.
    endpoint: EndpointInnerRef,
    registrar: Registrar,
    /// Those that are registered with us.
    phones: Phones,
    takeable: Takeable,
    places: Arc<Semaphore>,
    tasks: TaskTracker,
    answered: AtomicU64,
    refused: AtomicU64,
    flooded: AtomicU64,
    dialled: AtomicU64,
    /// Calls of the server's own: at once, and within a minute.
    outbound: Arc<Semaphore>,
    minute: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Switchboard {
    /// Listens, and takes calls.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn start(settings: SipSettings, registry: Arc<Registry>) -> Result<Self, SipError> {
        let stop = CancellationToken::new();
        let (tcp, address) = bind("sip.listen", settings.listen).await?;
        let secure = match &settings.tls {
            Some((listen, config)) => Some((bind("sip.tls_listen", *listen).await?, config.clone())),
            None => None,
        };
        let secure_address = secure.as_ref().map(|((_, address), _)| *address);
        let public = |port: u16| settings.public.map(|ip| SocketAddr::new(ip, port));
        let meters = registry.recorder().meters().clone();
        let refused = |why: String| SipError::Listen { key: "sip.listen", listen: address, why };
        let datagrams = Datagrams::bind(address, settings.messages_a_second, meters.clone())
            .map_err(|why| refused(format!("UDP: {why}")))?;
        let udp = UdpConnection::from_socket(Arc::new(datagrams), public(address.port()), Some(stop.child_token()))
            .await
            .map_err(|why| refused(format!("UDP: {why}")))?;
        let transports = TransportLayer::new(stop.clone());
        transports.set_stream_idle_timeout(settings.tcp_idle);
        let told = udp.get_addr().get_socketaddr().map_err(|why| SipError::Stack(why.to_string()))?;
        transports.add_transport(udp.into());
        if let Some(at) = secure_address {
            let told = SocketAddr::new(told.ip(), at.port());
            let told = secure::told(told, &stop, &meters).await.map_err(|why| SipError::Stack(why.to_string()))?;
            transports.add_transport(told);
        }
        let connections = Connections::new(settings.tcp_most, settings.tcp_most_per_address, settings.tcp_idle, meters);
        let endpoint = EndpointBuilder::new()
            .with_user_agent(concat!("duologue/", env!("CARGO_PKG_VERSION")))
            .with_transport_layer(transports)
            .with_inspector(Box::new(Spelling))
            .with_cancel_token(stop.clone())
            .with_allows(ALLOWED.to_vec())
            .build();
        let mut incoming = endpoint.incoming_transactions().map_err(|why| SipError::Stack(why.to_string()))?;
        let tasks = TaskTracker::new();
        let door = Door {
            connections: Arc::new(connections),
            public: public(address.port()),
            endpoint: endpoint.inner.clone(),
            tasks: tasks.clone(),
            stop: stop.clone(),
            tls: None,
        };
        if let Some(((listener, at), config)) = secure {
            tasks.spawn(Door { public: public(at.port()), tls: Some(config), ..door.clone() }.serve(listener));
        }
        tasks.spawn(door.serve(tcp));
        let addresses = (address, secure_address);
        let identity = Identity::new().map_err(|why| SipError::Certificate(why.to_string()))?;
        let exchange = Exchange::new(settings, registry, identity, addresses, &endpoint, (tasks, stop.clone()));
        let exchange = Arc::new(exchange);
        exchange.tasks.spawn(async move { endpoint.serve().await });
        let taking = exchange.clone();
        let stopped = stop.clone();
        exchange.tasks.spawn(async move {
            while let Some(Some(request)) = stopped.run_until_cancelled(incoming.recv()).await {
                taking.take(request).await;
            }
        });
        exchange.register_all();
        Ok(Self { address, secure_address, exchange, stop })
    }

    /// Who makes calls.
    pub fn dialler(&self) -> Dialler {
        Dialler(self.exchange.clone())
    }

    /// What has come so far.
    pub fn counts(&self) -> SipCounts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let exchange = &self.exchange;
        SipCounts {
            answered: read(&exchange.answered),
            refused: read(&exchange.refused),
            flooded: read(&exchange.flooded),
            dialled: read(&exchange.dialled),
        }
    }

    /// Takes no more. The calls have been ended by the registry; their goodbyes may still leave.
    pub async fn stop(self) {
        self.exchange.tasks.close();
        self.exchange.unregister_all().await;
        let _ = tokio::time::timeout(GOODBYE, self.exchange.dialogs_gone()).await;
        self.stop.cancel();
        let _ = tokio::time::timeout(GOODBYE, self.exchange.tasks.wait()).await;
    }
}

/// A listener, and where it is.
async fn bind(key: &'static str, listen: SocketAddr) -> Result<(TcpListener, SocketAddr), SipError> {
    let refused = |why: std::io::Error| SipError::Listen { key, listen, why: format!("TCP: {why}") };
    let tcp = TcpListener::bind(listen).await.map_err(refused)?;
    let port = tcp.local_addr().map_or(listen.port(), |at| at.port());
    Ok((tcp, SocketAddr::new(listen.ip(), port)))
}

impl Exchange {
    fn new(
        settings: SipSettings,
        registry: Arc<Registry>,
        identity: Identity,
        (address, secure_address): (SocketAddr, Option<SocketAddr>),
        endpoint: &Endpoint,
        (tasks, stop): (TaskTracker, CancellationToken),
    ) -> Self {
        Self {
            address,
            secure_address,
            identity,
            secured: Secured::default(),
            dialogs: Arc::new(DialogLayer::new(endpoint.inner.clone())),
            endpoint: endpoint.inner.clone(),
            registrar: Registrar::new(settings.outbound.registered().count()),
            phones: Phones::new(settings.phones.iter().cloned(), settings.phones_kept),
            takeable: Takeable::default(),
            places: Arc::new(Semaphore::new(registry.lines() * 2 + STRANGERS_MOST)),
            tasks,
            outbound: Arc::new(Semaphore::new(settings.outbound_most as usize)),
            minute: Arc::new(Semaphore::new(settings.outbound_a_minute as usize)),
            stop,
            dialled: AtomicU64::new(0),
            settings,
            registry,
            answered: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            flooded: AtomicU64::new(0),
        }
    }

    /// The port that the other side is told for requests of its own. Where no TLS is listened for, it has our connection.
    fn port(&self, transport: Transport) -> u16 {
        let secure = self.secure_address.filter(|_| transport == Transport::Tls);
        secure.unwrap_or(self.address).port()
    }

    async fn take(self: &Arc<Self>, mut request: Transaction) {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            self.flooded.fetch_add(1, Ordering::Relaxed);
            self.registry.recorder().meters().refuse_sip("busy");
            answer(&mut request, StatusCode::ServiceUnavailable, Vec::new()).await;
            return;
        };
        let exchange = self.clone();
        self.tasks.spawn(async move {
            exchange.handle(request).await;
            drop(place);
        });
    }

    async fn handle(self: &Arc<Self>, mut request: Transaction) {
        // Nothing of ours is to be acknowledged before the answer, so that no PRACK is about anything (RFC 3262, section 3). The stack takes them all.
        let dialog = self.dialogs.match_dialog(&request).filter(|_| request.original.method != Method::PRack);
        if let Some(dialog) = dialog {
            let rsipstack::dialog::dialog::Dialog::Invite(mut dialog) = dialog else { return };
            if self.tells_keys_in_clear(&request) {
                return answer(&mut request, StatusCode::NotAcceptableHere, vec![warning(KEYS_IN_CLEAR)]).await;
            }
            if let Err(fault) = dialog.handle(&mut request).await {
                tracing::debug!(%fault, "a request in a SIP call");
            }
            return;
        }
        let of_a_call = request.original.to_header().is_ok_and(|to| to.tag().is_ok_and(|tag| tag.is_some()));
        match request.original.method {
            _ if of_a_call => answer(&mut request, StatusCode::CallTransactionDoesNotExist, Vec::new()).await,
            Method::Invite if !request::is_sdp(&request.original) => {
                let known = vec![Header::Accept("application/sdp".into())];
                answer(&mut request, StatusCode::UnsupportedMediaType, known).await;
            }
            Method::Invite => self.ring(request).await,
            Method::Register if !self.settings.phones.is_empty() => self.register_phone(request).await,
            Method::Options => self.tell_state(request).await,
            Method::Ack => {}
            Method::Bye | Method::Cancel | Method::Info | Method::Update | Method::PRack => {
                answer(&mut request, StatusCode::CallTransactionDoesNotExist, Vec::new()).await;
            }
            _ => answer(&mut request, StatusCode::MethodNotAllowed, self.what_is_spoken()).await,
        }
    }

    async fn dialogs_gone(&self) {
        while !self.dialogs.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The address under which this side of the machine is reached from there.
    fn here(&self, there: IpAddr) -> IpAddr {
        let listen = self.settings.listen.ip();
        if let Some(public) = self.settings.public {
            return public;
        }
        if !listen.is_unspecified() {
            return listen;
        }
        // Nothing is sent: connecting a UDP socket only looks up the route.
        let any: IpAddr = if there.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { listen };
        let routed = UdpSocket::bind((any, 0)).and_then(|socket| {
            socket.connect((there, 9))?;
            socket.local_addr()
        });
        routed.map_or(there, |at| at.ip())
    }
}

/// Why something is refused, for whoever looks at it.
fn warning(why: &str) -> Header {
    Header::Warning(format!("399 duologue \"{}\"", why.replace(['"', '\\', '\r', '\n'], "'")).into())
}

/// Answers a request that is no call's. The other side asks again where the network swallows it.
async fn answer(request: &mut Transaction, status: StatusCode, headers: Vec<Header>) {
    if let Err(fault) = request.reply_with(status, headers, None).await {
        tracing::debug!(%fault, "a SIP request was not answered");
    }
}
