//! A leg of a call, and its other end: what a door holds.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::pace::Pace;
use crate::audio::codec::LineCodec;
use crate::call::leg::{Echoes, Leg, Line, Outgoing};
use crate::call::wire;
use crate::media::lateness::Lateness;
use crate::peer::{Ending, GoneWhy, OfferRefused, PeerEvent, Spoken};

/// Places in the leg's queue that packets leave free for what must not be lost: the end of the call.
pub(super) const RESERVED: usize = 32;
/// The payload type of a leg whose packets never see a network: the first dynamic one (RFC 3551, section 6).
pub(super) const PAYLOAD_TYPE: u8 = 96;

/// What the call says to its door, in the order in which it was said.
#[derive(Debug)]
pub enum Said {
    /// 20 ms of the agent's sound.
    Sound(Outgoing),
    /// An event, as JSON.
    Message(String),
}

/// The door's end of a leg. Dropped, it has said goodbye.
pub struct Doorway {
    /// What the call says.
    pub said: mpsc::Receiver<Said>,
    /// The caller's sound on its way in.
    pub pace: Pace,
    events: mpsc::Sender<PeerEvent>,
    closing: CancellationToken,
    _goodbye: DropGuard,
}

/// The way out of a leg that ends in this process.
struct DoorLine(mpsc::Sender<Said>);

#[async_trait]
impl Line for DoorLine {
    fn send(&self, packet: Outgoing) -> bool {
        self.0.try_send(Said::Sound(packet)).is_ok()
    }

    fn send_message(&self, text: String) -> bool {
        self.0.try_send(Said::Message(text)).is_ok()
    }

    /// When a packet leaves is the door's affair: its protocols have a stream under them.
    fn lateness(&self) -> Lateness {
        Lateness::default()
    }

    async fn reoffer(&self, _: String) -> Result<String, OfferRefused> {
        Err(OfferRefused::NotAnswerable("this call did not begin with an offer".into()))
    }
}

/// A leg and the door's end of it. The conversation begins at once.
pub fn open(codec: LineCodec, transport: &'static str, echoes: Echoes) -> (Leg, Doorway) {
    let (events, received) = wire::leg_events();
    let (says, said) = wire::said();
    let (closing, gone) = (CancellationToken::new(), CancellationToken::new());
    let goodbye = gone.clone().drop_guard();
    // The call waits for the door's goodbye, which is bounded there.
    let task = tokio::spawn(async move { gone.cancelled().await });
    let ending = Ending::new(closing.clone(), task);
    let spoken = Spoken { codec, payload_type: PAYLOAD_TYPE, red: None };
    let _ = events.try_send(PeerEvent::Connected);
    let leg = Leg { events: received, line: Arc::new(DoorLine(says)), spoken, transport, echoes, ending };
    (leg, Doorway { said, pace: Pace::new(codec, PAYLOAD_TYPE), events, closing, _goodbye: goodbye })
}

impl Doorway {
    /// The caller's sound that is due goes in. What finds no room is lost like a packet.
    pub fn let_in(&mut self) {
        let now = Instant::now();
        while let Some(packet) = self.pace.due(now) {
            if self.events.capacity() > RESERVED {
                let _ = self.events.try_send(PeerEvent::Rtp { packet, at: now });
            }
        }
    }

    /// Both sides speak this from now on. What waits of the caller's sound is not to be heard.
    pub fn speak(&mut self, codec: LineCodec, payload_type: u8) {
        self.pace.speak(codec, payload_type);
        // One of a handful in a session: it has its place among those that packets leave free.
        let _ = self.events.try_send(PeerEvent::Speaks(Spoken { codec, payload_type, red: None }));
    }

    /// Something else happens on the leg, as a key that is pressed.
    pub fn tell(&self, event: PeerEvent) {
        if self.events.capacity() > RESERVED {
            let _ = self.events.try_send(event);
        }
    }

    /// The other side is gone.
    pub fn gone(&self, why: GoneWhy) {
        let _ = self.events.try_send(PeerEvent::Gone(why));
    }

    /// The call is over: what it has said last waits in `said`.
    pub fn closing(&self) -> CancellationToken {
        self.closing.clone()
    }
}
