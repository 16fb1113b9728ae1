//! One peer's life: set up around the WebRTC stack, run by one task, taken down to the last task.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use duologue_signaling::demux::PeerId;
use rtc::interceptor::{Registry, Slot};
use rtc::peer_connection::configuration::RTCOfferOptions;
use rtc::peer_connection::configuration::interceptor_registry::configure_rtcp_reports;
use rtc::peer_connection::transport::{RTCDtlsTransportState, RTCIceCandidateInit};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use webrtc::data_channel::DataChannel;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::TrackRemote;
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceGatheringState, RTCPeerConnectionState,
    RTCSessionDescription,
};
use webrtc::rtp_transceiver::RtpSender;

use super::line::{Again, Counters, Departures, Shared};
use super::port::{Door, News};
use super::reports::Tap;
use super::runtime::{Alive, PeerRuntime};
use super::{
    Agreed, CONNECT_WITHIN, EVENTS_WAITING, GoneWhy, LinkReport, MESSAGES_WAITING, OfferRefused, Peer, PeerEvent,
    PeerLine, answer, pumps, stack,
};

/// The label of the data channel that carries a call's events.
pub(super) const CHANNEL_LABEL: &str = "events";
/// Bytes that may lie unacknowledged in the data channel; beyond that messages are dropped and counted.
const CHANNEL_BUFFER_BYTES: usize = 256 * 1024;
/// The stack passes over checks that come before it knows its own addresses, which it finds out behind our back, and the caller's next one is long
/// in coming. They are this machine's own: it takes a millisecond. No answer waits longer than this for it.
const GATHERED_WITHIN: Duration = Duration::from_millis(50);
/// Signals from the stack that may wait for the session's task.
const SIGNALS_WAITING: usize = 64;
/// Candidates of the other side's that are looked at after the offer: a client with several networks and relays has some 20.
const TRICKLED_MOST: usize = 32;

/// What the stack tells the session's task.
pub(super) enum Signal {
    State(RTCPeerConnectionState),
    Track(Arc<dyn TrackRemote>),
    Channel(Arc<dyn DataChannel>),
    Report(LinkReport),
}

/// The stack's callbacks run on its driver, which must not wait: they only pass on.
struct Relay {
    out: mpsc::Sender<Signal>,
    /// Told once the stack knows its own addresses.
    gathered: Arc<Notify>,
}

impl Relay {
    fn pass(&self, signal: Signal) {
        if self.out.try_send(signal).is_err() {
            tracing::warn!("a peer's signal is lost: its session does not keep up");
        }
    }
}

#[async_trait]
impl PeerConnectionEventHandler for Relay {
    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        self.pass(Signal::State(state));
    }

    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.gathered.notify_one();
        }
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        self.pass(Signal::Channel(channel));
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        self.pass(Signal::Track(track));
    }
}

/// A peer that is set up but has nobody to talk to yet.
struct Session {
    peer: PeerId,
    door: Door,
    runtime: Arc<PeerRuntime>,
    connection: Arc<dyn PeerConnection>,
    sender: Arc<dyn RtpSender>,
    track: Arc<TrackLocalStaticRTP>,
    shared: Arc<Shared>,
    signals: mpsc::Receiver<Signal>,
    alert: Arc<Notify>,
    gathered: Arc<Notify>,
    ssrc: u32,
    /// Candidates that came after the offer.
    trickled: AtomicUsize,
    _alive: Alive,
}

/// Our own offer, waiting for its answer.
pub(super) struct Offering {
    session: Session,
    channel: Arc<dyn DataChannel>,
}

/// Answers an offer.
pub(super) async fn accept(door: Door, offer: &str) -> Result<(Peer, String), OfferRefused> {
    let facts = duologue_signaling::offer::check(offer)?;
    let session = Session::build(door).await?;
    match session.answer(offer).await {
        Ok(answer) => {
            let _known = tokio::time::timeout(GATHERED_WITHIN, session.gathered.notified()).await;
            let codecs = answer::codecs(&answer);
            let agreed = Agreed {
                opus: codecs.opus.unwrap_or(facts.opus_payload_type),
                telephone_event: codecs.telephone_event,
                red: codecs.red,
                data_channel: facts.has_data_channel,
                ssrc: session.ssrc,
            };
            Ok((session.run(agreed, None), answer))
        }
        Err(refused) => {
            session.dissolve().await;
            Err(refused)
        }
    }
}

/// Makes an offer of one audio track and the events channel.
pub(super) async fn offer(door: Door) -> Result<(Offering, String), OfferRefused> {
    let session = Session::build(door).await?;
    match session.make_offer().await {
        Ok((channel, offer)) => Ok((Offering { session, channel }, offer)),
        Err(refused) => {
            session.dissolve().await;
            Err(refused)
        }
    }
}

impl Offering {
    /// Takes the other side's answer and connects.
    pub(super) async fn answered(self, answer: &str) -> Result<Peer, OfferRefused> {
        let Self { session, channel } = self;
        let codecs = answer::codecs(answer);
        match (session.take(answer).await, codecs.opus) {
            (Ok(()), Some(opus)) => {
                let answer::Codecs { telephone_event, red, .. } = codecs;
                let agreed = Agreed { opus, telephone_event, red, data_channel: true, ssrc: session.ssrc };
                Ok(session.run(agreed, Some(channel)))
            }
            (taken, _) => {
                session.dissolve().await;
                Err(taken.err().unwrap_or_else(|| OfferRefused::NotAnswerable("the answer has no Opus".to_owned())))
            }
        }
    }
}

fn setup(why: impl std::fmt::Display) -> OfferRefused {
    OfferRefused::Setup(why.to_string())
}

impl Session {
    async fn build(door: Door) -> Result<Self, OfferRefused> {
        let codecs = stack::codecs().map_err(setup)?;
        let (peer, runtime, alert) = door.enter().await?;
        let alive = Alive::count(&door.outlet.peers);
        let ssrc = rand::random_range(1..=u32::MAX);
        let departures = Arc::new(Departures::new());
        let shared =
            Arc::new(Shared { connected: false.into(), departures: departures.clone(), counters: Counters::default() });
        let (out, signals) = mpsc::channel(SIGNALS_WAITING);
        let tap = Tap::new(ssrc, departures, out.clone());
        let gathered = Arc::new(Notify::new());
        let relay = Relay { out, gathered: gathered.clone() };
        // Slot 0 is next to the wire: there the stack's own sender reports pass too.
        let interceptors = configure_rtcp_reports(Registry::new()).with(Slot::Custom(0), tap);
        let built = PeerConnectionBuilder::new()
            .with_media_engine(codecs)
            .with_setting_engine(stack::settings(door.config.ice_lite))
            .with_interceptor_registry(interceptors)
            .with_data_channel_send_buffer_limit(CHANNEL_BUFFER_BYTES)
            .with_handler(Arc::new(relay))
            .with_runtime(runtime.clone())
            .with_udp_addrs(door.inner_addresses())
            .build()
            .await;
        let track = stack::own_track(ssrc);
        let connected = match built {
            Ok(connection) => {
                let connection: Arc<dyn PeerConnection> = Arc::new(connection);
                connection.add_track(track.clone()).await.map(|sender| (connection, sender))
            }
            Err(why) => Err(why),
        };
        match connected {
            Ok((connection, sender)) => {
                let trickled = AtomicUsize::new(0);
                Ok(Self {
                    peer,
                    door,
                    runtime,
                    connection,
                    sender,
                    track,
                    shared,
                    signals,
                    alert,
                    gathered,
                    ssrc,
                    trickled,
                    _alive: alive,
                })
            }
            Err(why) => {
                runtime.shut_down().await;
                door.outlet.tell(News::Leaves { peer }).await;
                Err(setup(why))
            }
        }
    }

    /// Our description for an offer, first or further; the port knows its name before it is returned.
    async fn answer(&self, offer: &str) -> Result<String, OfferRefused> {
        let not_answerable = |why: webrtc::error::Error| OfferRefused::NotAnswerable(why.to_string());
        let offer = RTCSessionDescription::offer(offer.to_owned()).map_err(not_answerable)?;
        self.connection.set_remote_description(offer).await.map_err(not_answerable)?;
        let answer = self.connection.create_answer(None).await.map_err(not_answerable)?;
        let sdp = answer.sdp.clone();
        self.name(&sdp).await?;
        self.connection.set_local_description(answer).await.map_err(setup)?;
        Ok(answer::finish(&sdp, &self.door.addresses()))
    }

    async fn make_offer(&self) -> Result<(Arc<dyn DataChannel>, String), OfferRefused> {
        let channel = self.connection.create_data_channel(CHANNEL_LABEL, None).await.map_err(setup)?;
        Ok((channel, self.describe(None).await?))
    }

    /// Our offer, first or further.
    async fn describe(&self, options: Option<RTCOfferOptions>) -> Result<String, OfferRefused> {
        let offer = self.connection.create_offer(options).await.map_err(setup)?;
        let sdp = offer.sdp.clone();
        self.name(&sdp).await?;
        self.connection.set_local_description(offer).await.map_err(setup)?;
        Ok(answer::finish(&sdp, &self.door.addresses()))
    }

    /// Negotiates further. Whoever asked may have gone meanwhile; that is their affair.
    async fn negotiate(&self, again: Again) {
        match again {
            Again::Answer { offer, answer } => {
                let made = match duologue_signaling::offer::check(&offer) {
                    Ok(_) => self.answer(&offer).await,
                    Err(fault) => Err(fault.into()),
                };
                let _ = answer.send(made);
            }
            Again::Offer { offer } => {
                let options = RTCOfferOptions { ice_restart: true };
                let _ = offer.send(self.describe(Some(options)).await);
            }
            Again::Answered { answer, done } => {
                let _ = done.send(self.take(&answer).await);
            }
            Again::Candidates { candidates, done } => {
                self.look_there_too(candidates).await;
                let _ = done.send(Ok(()));
            }
        }
    }

    /// Each is checked by packets of ours, so whoever may trickle could have us knock at strangers' doors: only so many, and only by UDP, where
    /// a knock is some 100 bytes.
    async fn look_there_too(&self, candidates: Vec<String>) {
        for candidate in candidates {
            let known = self.trickled.load(Ordering::Relaxed);
            if known >= TRICKLED_MOST || !duologue_signaling::whip::is_udp_address(&candidate) {
                tracing::debug!(known, "a trickled candidate is passed over");
                continue;
            }
            self.trickled.store(known + 1, Ordering::Relaxed);
            let init = RTCIceCandidateInit { candidate, ..RTCIceCandidateInit::default() };
            if let Err(fault) = self.connection.add_ice_candidate(init).await {
                tracing::debug!(%fault, "a trickled candidate is passed over");
            }
        }
    }

    async fn take(&self, answer: &str) -> Result<(), OfferRefused> {
        let not_usable = |why: webrtc::error::Error| OfferRefused::NotAnswerable(why.to_string());
        let answer = RTCSessionDescription::answer(answer.to_owned()).map_err(not_usable)?;
        self.connection.set_remote_description(answer).await.map_err(not_usable)
    }

    async fn name(&self, description: &str) -> Result<(), OfferRefused> {
        let ufrag = answer::fragment(description).ok_or_else(|| setup("its description has no ICE fragment"))?;
        let named = News::Named { peer: self.peer, ufrag: ufrag.to_owned() };
        if self.door.outlet.tell(named).await { Ok(()) } else { Err(OfferRefused::Closed) }
    }

    fn run(self, agreed: Agreed, channel: Option<Arc<dyn DataChannel>>) -> Peer {
        let (events, received) = mpsc::channel(EVENTS_WAITING);
        let (messages, outgoing) = mpsc::channel(MESSAGES_WAITING);
        let (again, asked) = mpsc::channel(1);
        let line = PeerLine { agreed, track: self.track.clone(), shared: self.shared.clone(), messages, again };
        let cancel = CancellationToken::new();
        let pumps = pumps::Pumps::new(events, outgoing, self.shared.clone());
        let task = tokio::spawn(self.live(pumps, asked, channel, cancel.clone()));
        Peer { events: received, line, agreed, cancel, task: Some(task) }
    }

    async fn live(
        mut self,
        mut pumps: pumps::Pumps,
        mut again: mpsc::Receiver<Again>,
        channel: Option<Arc<dyn DataChannel>>,
        cancel: CancellationToken,
    ) {
        let mut running = JoinSet::new();
        if let Some(channel) = channel {
            pumps.converse(channel, &mut running);
        }
        let deadline = tokio::time::Instant::now() + CONNECT_WITHIN;
        let mut came_up = false;
        let why = loop {
            tokio::select! {
                () = cancel.cancelled() => break GoneWhy::ClosedHere,
                () = tokio::time::sleep_until(deadline), if !came_up => break GoneWhy::NeverConnected,
                () = self.alert.notified() => if self.closed_by_peer().await { break GoneWhy::ClosedByPeer },
                Some(again) = again.recv() => self.negotiate(again).await,
                signal = self.signals.recv() => match signal {
                    Some(Signal::Track(track)) => pumps.hear(track, &mut running),
                    Some(Signal::Channel(channel)) => pumps.converse(channel, &mut running),
                    Some(Signal::Report(report)) => pumps.tell(PeerEvent::Report(report)),
                    Some(Signal::State(state)) => match self.turn(state, &mut came_up, &pumps) {
                        Some(why) => break why,
                        None => {}
                    },
                    None => break GoneWhy::Failed("its driver ended".to_owned()),
                },
            }
        };
        if why == GoneWhy::ClosedHere {
            pumps.say_farewell().await;
        }
        running.shutdown().await;
        self.dissolve().await;
        pumps.tell(PeerEvent::Gone(why));
    }

    /// What a new state of the connection means; with a reason when it is the end.
    fn turn(&self, state: RTCPeerConnectionState, came_up: &mut bool, pumps: &pumps::Pumps) -> Option<GoneWhy> {
        match state {
            RTCPeerConnectionState::Connected => {
                *came_up = true;
                self.runtime.is_connected();
                self.shared.connected.store(true, Ordering::Release);
                pumps.tell(PeerEvent::Connected);
            }
            RTCPeerConnectionState::Disconnected if *came_up => pumps.tell(PeerEvent::Disconnected),
            RTCPeerConnectionState::Failed if *came_up => return Some(GoneWhy::Silent),
            RTCPeerConnectionState::Failed => return Some(GoneWhy::NeverConnected),
            RTCPeerConnectionState::Closed => return Some(GoneWhy::ClosedByPeer),
            _ => {}
        }
        None
    }

    /// Whether the alert that has just passed the port was a goodbye. The stack has no event for it.
    async fn closed_by_peer(&self) -> bool {
        for _ in 0..10 {
            let state = match self.sender.transport().await {
                Ok(Some(transport)) => transport.state().await.ok(),
                _ => None,
            };
            if state == Some(RTCDtlsTransportState::Closed) {
                return true;
            }
            // The datagram may still lie in the driver's queue.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        false
    }

    /// Says goodbye and lets go of everything.
    async fn dissolve(self) {
        self.shared.connected.store(false, Ordering::Release);
        if let Err(why) = self.connection.close().await {
            tracing::debug!(%why, "a peer did not close cleanly");
        }
        self.runtime.shut_down().await;
        self.door.outlet.tell(News::Leaves { peer: self.peer }).await;
    }
}
