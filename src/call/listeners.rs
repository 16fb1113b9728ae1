//! Those who hear the agent of a call beside the caller: WebRTC peers that only receive (WHEP).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::registry::{Asked, OpenError, Opened, Registry};
use super::wire::Control;
use crate::audio::LINE_FRAME;
use crate::audio::opus::{OpusEncoder, OpusSettings};
use crate::peer::{OfferRefused, Peer, PeerEvent, PeerLine};

/// The transport of a microphone that comes alone.
pub const WHIP: &str = "whip";
/// Listeners to one call.
pub const LISTENERS_MOST: usize = 8;
/// A caller who came with a microphone alone is greeted when somebody listens, or after this: setting a listener up takes two
/// round trips and less than a second.
const FIRST_WITHIN: Duration = Duration::from_secs(5);

/// Why nobody can listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("there is no such live call")]
    NoSuchCall,
    #[error("{0} listen already")]
    TooMany(usize),
    #[error(transparent)]
    Offer(#[from] OfferRefused),
}

/// The call's side: one stream for all listeners.
#[derive(Default)]
pub struct Listeners {
    lines: Vec<PeerLine>,
    encoder: Option<OpusEncoder>,
    sequence: u16,
    timestamp: u32,
    quiet: bool,
    /// Until when the first one is waited for.
    first_until: Option<Instant>,
}

impl Listeners {
    /// One more.
    pub fn add(&mut self, line: PeerLine) {
        if self.encoder.is_none() {
            self.encoder = OpusEncoder::new(OpusSettings::default()).ok();
            (self.sequence, self.timestamp, self.quiet) = (rand::random(), rand::random(), true);
        }
        self.lines.push(line);
    }

    /// The agent's next 20 ms, for whoever listens.
    pub fn send(&mut self, frame: &[f32; LINE_FRAME], speech: bool, due: Instant) {
        self.lines.retain(|line| !line.is_gone());
        if self.lines.is_empty() {
            return;
        }
        let marker = speech && self.quiet;
        self.quiet = !speech;
        if let Some(Ok(payload)) = self.encoder.as_mut().map(|encoder| encoder.encode(frame)) {
            for line in &self.lines {
                let numbers = (self.sequence, self.timestamp);
                line.send_as(line.agreed().opus, numbers, marker, payload.clone(), Some(due));
            }
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(LINE_FRAME as u32);
    }

    /// The caller is there and hears nothing by himself: somebody is waited for.
    pub fn await_first(&mut self) {
        self.first_until = Some(Instant::now() + FIRST_WITHIN);
    }

    /// Somebody listens, or has been waited for long enough. Once.
    pub fn ready(&mut self) -> bool {
        let heard = self.lines.iter().any(PeerLine::is_connected);
        self.first_until.take_if(|until| heard || Instant::now() >= *until).is_some()
    }
}

/// A listener, seen from outside.
#[derive(Clone)]
pub(super) struct Listening {
    pub line: PeerLine,
    pub offer: Arc<str>,
    pub closing: CancellationToken,
}

impl Registry {
    /// Takes the call of a microphone.
    ///
    /// # Errors
    /// As [`Registry::open`].
    pub async fn open_whip(self: &Arc<Self>, offer: &str, asked: Asked<'_>) -> Result<Opened, OpenError> {
        let admitted = self.admit(asked).await?;
        let (peer, answer) = self.answer(offer).await?;
        let mut leg = super::leg::Leg::from(peer);
        leg.transport = WHIP;
        let call = self.begin(admitted, leg)?;
        if let Some(live) = self.live().get_mut(&call) {
            live.offer = Some(offer.into());
        }
        Ok(Opened { call, answer })
    }

    /// Somebody hears the agent of a live call from now on; gives the listener's name and the answer.
    ///
    /// # Errors
    /// When there is no such call, enough listen to it, or the offer cannot be answered.
    pub async fn listen_in(self: &Arc<Self>, call: &str, offer: &str) -> Result<(String, String), ListenError> {
        let events = self.listen(call).ok_or(ListenError::NoSuchCall)?;
        if self.live().get(call).is_some_and(|live| live.listeners.len() >= LISTENERS_MOST) {
            return Err(ListenError::TooMany(LISTENERS_MOST));
        }
        let (peer, answer) = self.answer(offer).await?;
        let name = uuid::Uuid::new_v4().simple().to_string();
        let closing = CancellationToken::new();
        let listening = Listening { line: peer.line.clone(), offer: offer.into(), closing: closing.clone() };
        if let Some(live) = self.live().get_mut(call) {
            live.listeners.insert(name.clone(), listening);
        }
        // A call that is over by now, or too busy, has nobody to listen to: its end closes the peer.
        self.tell(call, Control::Listener(peer.line.clone()));
        self.follow(hear_out(self.clone(), call.to_owned(), name.clone(), peer, events, closing));
        Ok((name, answer))
    }

    /// The offer that holds: of a microphone, or of one of the call's listeners.
    pub fn offer_of(&self, call: &str, listener: Option<&str>) -> Option<Arc<str>> {
        let live = self.live();
        let live = live.get(call)?;
        match listener {
            None => live.offer.clone(),
            Some(name) => live.listeners.get(name).map(|listening| listening.offer.clone()),
        }
    }

    /// A further offer in its place. `None`: there is nobody of that name.
    pub async fn reoffer_of(
        &self,
        call: &str,
        listener: Option<&str>,
        offer: String,
    ) -> Option<Result<String, OfferRefused>> {
        let answer = match listener {
            None => self.reoffer(call, offer.clone()).await?,
            Some(name) => {
                let listening = self.live().get(call)?.listeners.get(name).cloned()?;
                listening.line.reoffer(offer.clone()).await
            }
        };
        if answer.is_ok()
            && let Some(live) = self.live().get_mut(call)
        {
            match listener {
                None => live.offer = Some(offer.into()),
                Some(name) => {
                    if let Some(listening) = live.listeners.get_mut(name) {
                        listening.offer = offer.into();
                    }
                }
            }
        }
        Some(answer)
    }

    /// A microphone, or one of the call's listeners, may be reached there as well. `None`: there is nobody of that name.
    pub async fn trickle_to(
        &self,
        call: &str,
        listener: Option<&str>,
        candidates: Vec<String>,
    ) -> Option<Result<(), OfferRefused>> {
        let live = self.live().get(call).cloned()?;
        Some(match listener {
            None => live.line.trickle(candidates).await,
            Some(name) => live.listeners.get(name)?.line.trickle(candidates).await,
        })
    }

    /// The listener goes. False: there is none of that name.
    pub fn stop_listening(&self, call: &str, listener: &str) -> bool {
        let gone = self.live().get_mut(call).and_then(|live| live.listeners.remove(listener));
        gone.inspect(|listening| listening.closing.cancel()).is_some()
    }
}

/// Until the listener goes, or the call is over.
async fn hear_out(
    registry: Arc<Registry>,
    call: String,
    name: String,
    mut peer: Peer,
    mut events: tokio::sync::broadcast::Receiver<Arc<str>>,
    closing: CancellationToken,
) {
    loop {
        tokio::select! {
            () = closing.cancelled() => break,
            event = peer.events.recv() => match event {
                // What a listener sends is nobody's.
                Some(event) if !matches!(event, PeerEvent::Gone(_)) => {}
                _ => break,
            },
            event = events.recv() => if matches!(event, Err(RecvError::Closed)) { break },
        }
    }
    registry.stop_listening(&call, &name);
    peer.close().await;
}
