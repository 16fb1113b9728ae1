//! Asterisk's AudioSocket over TCP: `AudioSocket(UUID,HOST:PORT)` in a dial plan, or the channel of that name.
//!
//! The call begins with the first sound, whose code says at which rate both sides go on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use duologue_signaling::audio_socket::{HANG_UP, Message, Reader, sound};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::doorway::{self, Doorway, Said};
use crate::audio::codec::{L16Rate, LineCodec};
use crate::call::leg::Echoes;
use crate::call::registry::{Asked, Registry};
use crate::peer::{GoneWhy, PeerEvent};
use crate::time::TICK;

/// Name and sound come within this, or nobody is there.
const BEGIN_WITHIN: Duration = Duration::from_secs(10);
/// An Asterisk that takes nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(10);
/// Asterisk sends 50 messages a second; a connection that is silent for so long is dead.
const SILENT_MOST: Duration = Duration::from_secs(30);
/// Connections at once that have not become calls yet.
const WAITING_MOST: usize = 64;

/// Takes calls until it is stopped; then those that are on have been ended by the registry.
pub async fn serve(listener: TcpListener, registry: Arc<Registry>, stop: CancellationToken) {
    let mut callers = JoinSet::new();
    let most = registry.lines() + WAITING_MOST;
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = callers.join_next() => {}
            taken = listener.accept() => match taken {
                Ok((stream, from)) if callers.len() < most => {
                    callers.spawn(call(stream, from, registry.clone()));
                }
                Ok((_, from)) => tracing::warn!(%from, "too many AudioSocket connections; this one is closed"),
                // No descriptor left, or the connection is gone already.
                Err(fault) => {
                    tracing::warn!(%fault, "an AudioSocket connection was not taken");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    callers.shutdown().await;
}

async fn call(mut stream: TcpStream, from: SocketAddr, registry: Arc<Registry>) {
    let _ = stream.set_nodelay(true);
    let mut reader = Reader::default();
    let begun = tokio::time::timeout(BEGIN_WITHIN, first_sound(&mut stream, &mut reader)).await;
    let why = match begun {
        Ok(Ok(first)) => match open(stream, reader, first, &registry).await {
            Ok(socket) => return socket.run().await,
            Err(why) => why,
        },
        Ok(Err(why)) => why,
        Err(_) => format!("no sound came within {} s", BEGIN_WITHIN.as_secs()),
    };
    tracing::info!(%from, %why, "an AudioSocket connection became no call");
}

/// The beginning of a call.
struct First {
    id: Option<[u8; 16]>,
    code: u8,
    rate_hz: u32,
    samples: Vec<i16>,
}

async fn first_sound(stream: &mut TcpStream, reader: &mut Reader) -> Result<First, String> {
    let mut id = None;
    let mut buffer = [0; 4_096];
    loop {
        while let Some(message) = reader.next() {
            match message {
                Message::Id(name) => id = Some(name),
                Message::Sound { code, rate_hz, samples } => return Ok(First { id, code, rate_hz, samples }),
                Message::HangUp => return Err("it hung up".into()),
                Message::Digit(_) | Message::Fault(_) => {}
                Message::Unknown { code, length } => {
                    return Err(format!("it sent kind 0x{code:02x} with {length} bytes, which is no AudioSocket"));
                }
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) => return Err("it closed the connection".into()),
            Ok(length) => reader.push(&buffer[..length]),
            Err(fault) => return Err(fault.to_string()),
        }
    }
}

async fn open(mut stream: TcpStream, reader: Reader, first: First, registry: &Arc<Registry>) -> Result<Socket, String> {
    let First { id, code, rate_hz, samples } = first;
    let opened = async {
        let rate = L16Rate::of(rate_hz)
            .ok_or_else(|| format!("sound at {rate_hz} Hz is not taken: use slin, slin16, slin24 or slin48"))?;
        let admitted = registry.admit(Asked::default()).await.map_err(|refused| refused.to_string())?;
        let (leg, doorway) = doorway::open(LineCodec::L16(rate), "audiosocket", Echoes::Likely);
        let call = registry.begin(admitted, leg).map_err(|refused| refused.to_string())?;
        Ok::<_, String>((call, doorway))
    };
    match opened.await {
        Ok((call, doorway)) => {
            let name = id.map_or_else(String::new, |id| uuid::Uuid::from_bytes(id).to_string());
            tracing::info!(%call, asterisk = %name, rate_hz, "an AudioSocket connection is a call");
            let mut socket = Socket { stream, reader, doorway, code };
            socket.take(&samples);
            Ok(socket)
        }
        Err(why) => {
            let _ = tokio::time::timeout(PATIENCE, stream.write_all(&HANG_UP)).await;
            Err(why)
        }
    }
}

struct Socket {
    stream: TcpStream,
    reader: Reader,
    doorway: Doorway,
    /// What Asterisk's sound came with, and ours goes back with.
    code: u8,
}

impl Socket {
    async fn run(mut self) {
        let closing = self.doorway.closing();
        let mut beat = tokio::time::interval(TICK);
        beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut buffer = [0; 4_096];
        let mut heard = tokio::time::Instant::now();
        let why = loop {
            let goes = tokio::select! {
                biased;
                () = closing.cancelled() => break None,
                Some(said) = self.doorway.said.recv() => self.hear_call(said).await,
                read = self.stream.read(&mut buffer) => {
                    heard = tokio::time::Instant::now();
                    match read {
                        Ok(0) => Err(GoneWhy::ClosedByPeer),
                        Ok(length) => {
                            self.reader.push(&buffer[..length]);
                            self.hear_asterisk()
                        }
                        Err(fault) => Err(GoneWhy::Failed(fault.to_string())),
                    }
                }
                _ = beat.tick() => if heard.elapsed() < SILENT_MOST { Ok(()) } else { Err(GoneWhy::Silent) },
            };
            self.doorway.let_in();
            if let Err(why) = goes {
                break Some(why);
            }
        };
        match why {
            Some(why) => self.doorway.gone(why),
            None => {
                let goodbye = async {
                    self.stream.write_all(&HANG_UP).await?;
                    self.stream.shutdown().await
                };
                let _ = tokio::time::timeout(PATIENCE, goodbye).await;
            }
        }
    }

    fn hear_asterisk(&mut self) -> Result<(), GoneWhy> {
        while let Some(message) = self.reader.next() {
            match message {
                Message::Sound { code, samples, .. } if code == self.code => self.take(&samples),
                Message::Digit(key) => self.doorway.tell(PeerEvent::Key { key, held: Duration::ZERO }),
                Message::HangUp => return Err(GoneWhy::ClosedByPeer),
                Message::Fault(what) => return Err(GoneWhy::Failed(format!("Asterisk reports fault 0x{what:02x}"))),
                // Another rate in the middle of a call, or something newer than this.
                Message::Sound { .. } | Message::Id(_) | Message::Unknown { .. } => {}
            }
        }
        Ok(())
    }

    fn take(&mut self, samples: &[i16]) {
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_be_bytes()).collect();
        if !self.doorway.pace.push(&bytes) {
            tracing::debug!("an AudioSocket is a minute ahead: its sound is dropped");
        }
    }

    async fn hear_call(&mut self, said: Said) -> Result<(), GoneWhy> {
        let Said::Sound(packet) = said else { return Ok(()) };
        let pairs = packet.payload.chunks_exact(2);
        let samples: Vec<i16> = pairs.map(|pair| i16::from_be_bytes([pair[0], pair[1]])).collect();
        match tokio::time::timeout(PATIENCE, self.stream.write_all(&sound(self.code, &samples))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(fault)) => Err(GoneWhy::Failed(fault.to_string())),
            Err(_) => Err(GoneWhy::Silent),
        }
    }
}
