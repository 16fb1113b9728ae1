//! Twilio's Media Streams over a WebSocket: the caller of a telephone number, by way of TwiML's `<Connect><Stream>`.
//!
//! Twilio plays what it is sent as it comes and buffers the rest. A `mark` after every 200 ms of sound comes back when it has
//! been played: that is a playout report, so that what was heard is known. When the agent is interrupted the buffer is
//! cleared; marks that come back from before that tell nothing.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use duologue_signaling::event::{Event, Stamped, TurnOutcome};
use duologue_signaling::twilio::{self, Start};
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior};

use super::doorway::{self, Doorway, Said};
use crate::audio::codec::LineCodec;
use crate::call::leg::{Echoes, Outgoing};
use crate::call::registry::{Asked, Registry};
use crate::config::Secret;
use crate::peer::{GoneWhy, PeerEvent};
use crate::time::TICK;

/// Longest message of Twilio's, bytes: 20 ms of sound are 300.
pub const MESSAGE_LIMIT_BYTES: usize = 64 * 1024;
/// The stream begins within this, or nobody is there.
const START_WITHIN: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(10);
/// A mark after so many frames: 200 ms, as often as a browser reports.
const MARK_EVERY: u32 = 10;
/// So many silent frames go out after sound; then nothing does, so that Twilio's buffer never holds old silence.
const SILENT_MOST: u32 = 10;

/// Takes a stream: waits for its beginning, opens a call, and carries both to their end.
pub async fn run(mut socket: WebSocket, registry: Arc<Registry>, key: Option<Secret>) {
    let began = match tokio::time::timeout(START_WITHIN, started(&mut socket)).await {
        Ok(Some(start)) => open(socket, start, &registry, key).await,
        Ok(None) => Err("the stream did not begin".to_owned()),
        Err(_) => Err(format!("no stream began within {} s", START_WITHIN.as_secs())),
    };
    match began {
        Ok(stream) => stream.run().await,
        Err(why) => tracing::info!(%why, "a media stream was not taken"),
    }
}

async fn started(socket: &mut WebSocket) -> Option<Start> {
    while let Some(Ok(message)) = socket.recv().await {
        let Message::Text(text) = message else { continue };
        match twilio::read(&text) {
            Ok(Some(twilio::Message::Start(start))) => return Some(start),
            Ok(_) => {}
            Err(fault) => {
                tracing::info!(%fault, "a media stream is refused");
                return None;
            }
        }
    }
    None
}

async fn open(
    socket: WebSocket,
    start: Start,
    registry: &Arc<Registry>,
    key: Option<Secret>,
) -> Result<Stream, String> {
    let parameter = |name: &str| start.parameters.get(name).map(String::as_str);
    if let Some(key) = key
        && !key.is(parameter("key").unwrap_or("").as_bytes())
    {
        return Err("the parameter 'key' is missing or wrong".into());
    }
    let caller = parameter("caller").filter(|name| (1..=128).contains(&name.chars().count())).map(str::to_owned);
    let recorded = parameter("record") != Some("false");
    let asked = Asked { persona: parameter("persona"), caller, recorded, ..Asked::default() };
    let admitted = registry.admit(asked).await.map_err(|refused| refused.to_string())?;
    let (leg, doorway) = doorway::open(LineCodec::Pcmu, "twilio", Echoes::Likely);
    let call = registry.begin(admitted, leg).map_err(|refused| refused.to_string())?;
    tracing::info!(%call, twilio = %start.call, "a media stream is a call");
    Ok(Stream {
        socket,
        doorway,
        stream: start.stream,
        began: Instant::now(),
        cleared: 0,
        unmarked: 0,
        silent: SILENT_MOST,
    })
}

struct Stream {
    socket: WebSocket,
    doorway: Doorway,
    stream: String,
    began: Instant,
    /// How often the buffer has been cleared: marks carry it.
    cleared: u32,
    unmarked: u32,
    silent: u32,
}

impl Stream {
    async fn run(mut self) {
        let closing = self.doorway.closing();
        let mut beat = tokio::time::interval(TICK);
        beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let why = loop {
            let goes = tokio::select! {
                biased;
                () = closing.cancelled() => break None,
                Some(said) = self.doorway.said.recv() => self.hear_call(said).await,
                message = self.socket.recv() => self.hear_twilio(message),
                _ = beat.tick() => Ok(()),
            };
            self.doorway.let_in();
            if let Err(why) = goes {
                break Some(why);
            }
        };
        match why {
            Some(why) => self.doorway.gone(why),
            // Without a stream Twilio goes on in its TwiML, which usually hangs up.
            None => {
                let _ = tokio::time::timeout(PATIENCE, self.socket.send(Message::Close(None))).await;
            }
        }
    }

    async fn hear_call(&mut self, said: Said) -> Result<(), GoneWhy> {
        match said {
            Said::Sound(packet) => self.play(packet).await,
            Said::Message(json) => match serde_json::from_str::<Stamped>(&json).map(|stamped| stamped.event) {
                Ok(Event::TurnEnded { outcome: TurnOutcome::Interrupted, .. }) => {
                    self.cleared += 1;
                    self.unmarked = 0;
                    self.send(&twilio::clear(&self.stream)).await
                }
                _ => Ok(()),
            },
        }
    }

    async fn play(&mut self, packet: Outgoing) -> Result<(), GoneWhy> {
        // μ-law's two zeros.
        let silent = packet.payload.iter().all(|byte| byte & 0x7f == 0x7f);
        self.silent = if silent { self.silent.saturating_add(1) } else { 0 };
        if self.silent > SILENT_MOST {
            return Ok(());
        }
        self.send(&twilio::sound(&self.stream, &packet.payload)).await?;
        self.unmarked += 1;
        if self.unmarked == MARK_EVERY {
            self.unmarked = 0;
            let end = packet.timestamp.wrapping_add(packet.payload.len() as u32);
            return self.send(&twilio::mark(&self.stream, &format!("{}:{end}", self.cleared))).await;
        }
        Ok(())
    }

    fn hear_twilio(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), GoneWhy> {
        let text = match message {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Close(_))) | None => return Err(GoneWhy::ClosedByPeer),
            Some(Ok(_)) => return Ok(()),
            Some(Err(fault)) => return Err(GoneWhy::Failed(fault.to_string())),
        };
        match twilio::read(&text) {
            Ok(Some(twilio::Message::Sound(mulaw))) => {
                if !self.doorway.pace.push(&mulaw) {
                    tracing::debug!("a media stream is a minute ahead: its sound is dropped");
                }
            }
            Ok(Some(twilio::Message::Mark(name))) => self.played(&name),
            Ok(Some(twilio::Message::Digit(digit))) => {
                for key in digit.chars().filter(|key| key.is_ascii_graphic()) {
                    self.doorway.tell(PeerEvent::Key { key, held: Duration::ZERO });
                }
            }
            Ok(Some(twilio::Message::Stop)) => return Err(GoneWhy::ClosedByPeer),
            Ok(_) => {}
            Err(fault) => tracing::debug!(%fault, "a message of a media stream is passed over"),
        }
        Ok(())
    }

    /// Everything before this mark has been played by now.
    fn played(&mut self, name: &str) {
        let Some((cleared, end)) = name.split_once(':') else { return };
        if let (Ok(cleared), Ok(rtp_timestamp)) = (cleared.parse::<u32>(), end.parse::<u32>())
            && cleared == self.cleared
        {
            let at_ms = self.began.elapsed().as_millis() as u64;
            let report = json!({"type": "playout", "rtp_timestamp": rtp_timestamp, "at_ms": at_ms});
            self.doorway.tell(PeerEvent::Message(report.to_string()));
        }
    }

    async fn send(&mut self, message: &Value) -> Result<(), GoneWhy> {
        let sent = tokio::time::timeout(PATIENCE, self.socket.send(Message::Text(message.to_string().into()))).await;
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(GoneWhy::ClosedByPeer),
            Err(_) => Err(GoneWhy::Silent),
        }
    }
}
