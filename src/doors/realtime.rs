//! OpenAI's Realtime protocol: over a WebSocket, sound and all, or beside a WebRTC connection whose tracks have the sound.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::ws::{Message, WebSocket};
use duologue_signaling::event::Stamped;
use duologue_signaling::realtime::format::Format;
use duologue_signaling::realtime::session::{Session, Step};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::doorway::{Doorway, PAYLOAD_TYPE, RESERVED, Said};
use super::orders::Party;
use crate::audio::codec::{L16Rate, LineCodec};
use crate::call::leg::{Echoes, Leg, Line, Outgoing};
use crate::call::wire;
use crate::media::lateness::Lateness;
use crate::peer::{Ending, GoneWhy, OfferRefused, Peer, PeerEvent, PeerLine};
use crate::time::TICK;

/// Longest message of a client's, bytes: 60 s of sound in base64 are 3.9 MB.
pub const MESSAGE_LIMIT_BYTES: usize = 4 << 20;
/// A client that takes nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// What became of what a client or a call said.
type Goes = Result<(), GoneWhy>;

/// A session over a WebSocket.
pub struct Talk {
    pub socket: WebSocket,
    pub doorway: Doorway,
    pub session: Session,
    pub party: Party,
    /// What both sides speak at present.
    pub format: Format,
}

impl Talk {
    /// Until the client goes, or the call is over.
    pub async fn run(mut self) {
        let closing = self.doorway.closing();
        let mut beat = tokio::time::interval(TICK);
        beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let why = loop {
            let goes = tokio::select! {
                biased;
                () = closing.cancelled() => break None,
                Some(said) = self.doorway.said.recv() => self.hear_call(said),
                message = self.socket.recv() => self.hear_client(message),
                _ = beat.tick() => Ok(()),
            };
            self.doorway.let_in();
            let done = match goes {
                Ok(()) => self.take_steps().await,
                gone => gone,
            };
            if let Err(why) = done {
                break Some(why);
            }
        };
        match why {
            Some(why) => self.doorway.gone(why),
            None => {
                while let Ok(said) = self.doorway.said.try_recv() {
                    let _ = self.hear_call(said);
                }
                let _ = self.take_steps().await;
                let _ = tokio::time::timeout(PATIENCE, self.socket.send(Message::Close(None))).await;
            }
        }
    }

    fn hear_call(&mut self, said: Said) -> Goes {
        match said {
            Said::Sound(packet) => {
                // What was on its way when the format changed is in the one before.
                if packet.payload_type == payload_type(self.format) {
                    self.session.sound(&swapped(self.format, &packet.payload));
                }
            }
            Said::Message(json) => tell(&mut self.session, &json, self.doorway.pace.heard_ms()),
        }
        Ok(())
    }

    fn hear_client(&mut self, message: Option<Result<Message, axum::Error>>) -> Goes {
        match message {
            Some(Ok(Message::Text(text))) => self.session.ask(&text),
            Some(Ok(Message::Binary(_))) => self.session.unreadable("Messages are text: sound goes in as base64."),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Close(_))) | None => return Err(GoneWhy::ClosedByPeer),
            // The socket's limit is told by the socket; nothing can follow on it.
            Some(Err(fault)) => return Err(GoneWhy::Failed(fault.to_string())),
        }
        Ok(())
    }

    async fn take_steps(&mut self) -> Goes {
        loop {
            let steps = self.session.steps();
            if steps.is_empty() {
                return Ok(());
            }
            for step in steps {
                match step {
                    Step::Tell(event) => self.send(&event).await?,
                    Step::Hear(sound) => {
                        if !self.doorway.pace.push(&swapped(self.format, &sound)) {
                            self.session.full(self.doorway.pace.waiting_ms());
                        }
                        self.doorway.let_in();
                    }
                    Step::Forget => self.doorway.pace.forget(),
                    Step::Speak(format) => {
                        self.format = format;
                        self.doorway.speak(codec(format), payload_type(format));
                    }
                    Step::Order(order) => {
                        if !self.party.order(order) {
                            self.session.busy();
                        }
                    }
                }
            }
        }
    }

    async fn send(&mut self, event: &Value) -> Goes {
        let sent = tokio::time::timeout(PATIENCE, self.socket.send(Message::Text(event.to_string().into()))).await;
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(GoneWhy::ClosedByPeer),
            Err(_) => Err(GoneWhy::Silent),
        }
    }
}

/// What a leg speaks for a client of this format.
pub const fn codec(format: Format) -> LineCodec {
    match format {
        Format::Pcm => LineCodec::L16(L16Rate::Hz24000),
        Format::Pcmu => LineCodec::Pcmu,
        Format::Pcma => LineCodec::Pcma,
    }
}

/// G.711 has its own (RFC 3551, section 6), so that packets tell what they are in.
const fn payload_type(format: Format) -> u8 {
    match format {
        Format::Pcm => PAYLOAD_TYPE,
        Format::Pcmu => 0,
        Format::Pcma => 8,
    }
}

/// The protocol has the least significant byte of a sample first, RTP the most significant one.
fn swapped(format: Format, sound: &[u8]) -> Vec<u8> {
    match format {
        Format::Pcm => sound.chunks_exact(2).flat_map(|pair| [pair[1], pair[0]]).collect(),
        Format::Pcmu | Format::Pcma => sound.to_vec(),
    }
}

fn tell(session: &mut Session, json: &str, heard_ms: u64) {
    // Our own events: what cannot be read here was none.
    if let Ok(stamped) = serde_json::from_str::<Stamped>(json) {
        session.event(&stamped, heard_ms);
    }
}

/// The way out of a leg whose messages are translated.
struct Translated {
    line: PeerLine,
    said: mpsc::Sender<Said>,
}

#[async_trait]
impl Line for Translated {
    fn send(&self, packet: Outgoing) -> bool {
        Line::send(&self.line, packet)
    }

    fn send_message(&self, text: String) -> bool {
        self.said.try_send(Said::Message(text)).is_ok()
    }

    fn lateness(&self) -> Lateness {
        self.line.lateness()
    }

    async fn reoffer(&self, offer: String) -> Result<String, OfferRefused> {
        self.line.reoffer(offer).await
    }
}

/// Beside a WebRTC connection: its first data channel (`oai-events`) has the messages, its tracks the sound.
struct Beside {
    peer_events: mpsc::Receiver<PeerEvent>,
    events: mpsc::Sender<PeerEvent>,
    said: mpsc::Receiver<Said>,
    line: PeerLine,
    session: Session,
    began: Instant,
}

/// A leg over this connection whose messages are a session's. It begins when it is told whose it is.
pub fn beside(peer: Peer, session: Session) -> (Leg, oneshot::Sender<Party>) {
    let spoken = peer.agreed.spoken();
    let (peer_events, line, ending) = peer.into_parts();
    let (events, received) = wire::leg_events();
    let (says, said) = wire::said();
    let (introduce, introduced) = oneshot::channel();
    let closing = CancellationToken::new();
    let closed = closing.clone();
    let beside = Beside { peer_events, events, said, line: line.clone(), session, began: Instant::now() };
    let task = tokio::spawn(async move {
        if let Ok(party) = introduced.await {
            beside.run(party, closed).await;
        }
        ending.close().await;
    });
    let leg = Leg {
        events: received,
        line: Arc::new(Translated { line, said: says }),
        spoken,
        transport: "realtime",
        echoes: Echoes::ClientTells,
        ending: Ending::new(closing, task),
    };
    (leg, introduce)
}

impl Beside {
    async fn run(mut self, party: Party, closing: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = closing.cancelled() => break,
                event = self.peer_events.recv() => match event {
                    Some(PeerEvent::Message(text)) => self.session.ask(&text),
                    Some(event) => {
                        let packet = matches!(event, PeerEvent::Rtp { .. });
                        if !packet || self.events.capacity() > RESERVED {
                            let _ = self.events.try_send(event);
                        }
                    }
                    // The call has been told by `Gone`.
                    None => break,
                },
                Some(said) = self.said.recv() => self.hear_call(said),
            }
            self.take_steps(&party);
        }
        while let Ok(said) = self.said.try_recv() {
            self.hear_call(said);
        }
        self.take_steps(&party);
    }

    fn hear_call(&mut self, said: Said) {
        if let Said::Message(json) = said {
            // The track has been heard since the connection stood.
            let heard_ms = self.began.elapsed().as_millis() as u64;
            tell(&mut self.session, &json, heard_ms);
        }
    }

    fn take_steps(&mut self, party: &Party) {
        for step in self.session.steps() {
            match step {
                Step::Tell(event) => {
                    self.line.send_message(event.to_string());
                }
                Step::Order(order) => {
                    if !party.order(order) {
                        self.session.busy();
                    }
                }
                // The sound is the track's.
                Step::Hear(_) | Step::Forget | Step::Speak(_) => {}
            }
        }
    }
}
