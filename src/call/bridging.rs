//! Two calls that are connected: what one has heard in a tick is said by the other. Each has its own task, tick and clock; between the
//! two stand a bounded channel each way, and neither ever waits for the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::registry::Registry;
use super::task::CallTask;
use super::wire::{self, Control};
use crate::audio::codec::LineCodec;
use crate::audio::resample::UnsupportedRates;
use crate::audio::{HEAR_FRAME, LINE_FRAME};
use crate::journal::CallId;
use crate::machine::Briefing;
use crate::media::crossing::{Crossed, Crossing};
use crate::media::red;
use crate::media::rtp::RtpPacket;
use crate::peer::Spoken;

/// Packets of one tick that are passed on: a quarter of a second of the shortest that are sent.
const PACKETS_MOST: usize = 25;

/// What goes from one call to the other in a tick.
pub struct Across {
    heard: [f32; HEAR_FRAME],
    /// Its caller does not mind being recorded.
    may_be_taped: bool,
    /// The packets that have come since the tick before, in this codec, and may go on as they are.
    packets: Vec<RtpPacket>,
    codec: LineCodec,
}

/// What has gone across so far, both ways together, in frames of 20 ms.
#[derive(Debug, Default)]
pub struct Counts {
    passed: AtomicU64,
    missing: AtomicU64,
    dropped: AtomicU64,
    relayed: AtomicU64,
}

impl Counts {
    fn add(&self, crossed: Crossed) {
        self.passed.fetch_add(crossed.passed, Ordering::Relaxed);
        self.missing.fetch_add(crossed.missing, Ordering::Relaxed);
        self.dropped.fetch_add(crossed.dropped, Ordering::Relaxed);
    }

    /// Packets that went across as they came.
    pub fn relayed(&self) -> u64 {
        self.relayed.load(Ordering::Relaxed)
    }

    pub fn read(&self) -> Crossed {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Crossed { passed: read(&self.passed), missing: read(&self.missing), dropped: read(&self.dropped) }
    }
}

/// One call's end of a bridge.
pub struct Joint {
    to: mpsc::Sender<Across>,
    from: mpsc::Receiver<Across>,
    crossing: Crossing,
    may_be_taped: bool,
    /// What has come from our own side since the last tick.
    came: Vec<RtpPacket>,
    /// What has come from the other, and in which codec.
    packets: Vec<RtpPacket>,
    codec: Option<LineCodec>,
    counts: Arc<Counts>,
}

impl Joint {
    /// Both ends, and what counts what goes across.
    ///
    /// # Errors
    /// Never for the two rates that are compiled in.
    pub fn pair() -> Result<(Box<Self>, Box<Self>, Arc<Counts>), UnsupportedRates> {
        let counts = Arc::<Counts>::default();
        let ((to_b, from_a), (to_a, from_b)) = (wire::across(), wire::across());
        let end = |to, from| -> Result<Box<Self>, UnsupportedRates> {
            let crossing = Crossing::new()?;
            let (came, packets, counts) = (Vec::new(), Vec::new(), counts.clone());
            Ok(Box::new(Self { to, from, crossing, may_be_taped: true, came, packets, codec: None, counts }))
        };
        let (a, b) = (end(to_b, from_b)?, end(to_a, from_a)?);
        Ok((a, b, counts))
    }

    /// What the other side says in this tick. A call that is over says nothing; what follows from that is decided by whoever has
    /// connected the two.
    fn take(&mut self) -> Option<Box<[f32; LINE_FRAME]>> {
        while let Ok(Across { heard, may_be_taped, packets, codec }) = self.from.try_recv() {
            self.may_be_taped = may_be_taped;
            self.packets.extend(packets);
            self.codec = Some(codec);
            self.crossing.came(heard);
        }
        let frame = self.crossing.next();
        self.counts.add(self.crossing.take_crossed());
        frame
    }

    /// A packet of our own side; `red` has copies of earlier ones around it, which are of no use further on.
    pub(super) fn packet(&mut self, packet: &RtpPacket, spoken: Spoken) {
        if self.came.len() == PACKETS_MOST {
            return;
        }
        if packet.payload_type == spoken.payload_type {
            self.came.push(packet.clone());
        } else if Some(packet.payload_type) == spoken.red
            && let Some(primary) = red::parse(&packet.payload).ok().and_then(|mut blocks| blocks.pop())
        {
            self.came.push(RtpPacket { payload: primary.payload, ..packet.clone() });
        }
    }

    fn pass(&self, across: Across) {
        // A call that is on hold reads nothing, and one that is over neither: then nothing of it was meant to be heard.
        if let Err(mpsc::error::TrySendError::Full(_)) = self.to.try_send(across) {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether what comes from the other side may be recorded.
    pub(super) const fn may_be_taped(&self) -> bool {
        self.may_be_taped
    }
}

/// What somebody is told who takes a call over, and whether he may be recorded with it.
#[derive(Debug)]
pub struct Brief {
    pub briefing: Briefing,
    pub taped: bool,
}

impl CallTask {
    /// Before a tick: what the other side of the bridge says in it.
    pub(super) fn hear_other(&mut self) {
        if let Some(sound) = self.work.joint.as_mut().and_then(|joint| joint.take()) {
            self.machine.put_beside(sound);
        }
    }

    /// After a tick: what was heard in it, for the other side.
    pub(super) fn pass_on(&mut self) {
        let Some(joint) = &mut self.work.joint else { return };
        // Where the echo of the other side is taken out here, it would come back with the packets.
        let (mut packets, codec) = (std::mem::take(&mut joint.came), self.mouth.spoken().codec);
        // Doors beat time by packets of one length.
        let of_a_tick = |packet: &RtpPacket| codec.packet_ticks(&packet.payload) == Some(LINE_FRAME as u32);
        if self.machine.cancels_echo() || !packets.iter().all(of_a_tick) {
            packets.clear();
        }
        let mut heard = [0.0; HEAR_FRAME];
        for (sample, said) in heard.iter_mut().zip(self.machine.heard()) {
            *sample = *said;
        }
        joint.pass(Across { heard, may_be_taped: self.tape.is_some(), packets, codec });
    }

    /// In a tick: what the other side has sent leaves as it came, where both speak the same codec and the agent says nothing. False: the
    /// tick's frame is to be sent.
    pub(super) fn relay_other(&mut self, due: Instant) -> bool {
        let Some(joint) = &mut self.work.joint else { return false };
        let packets = std::mem::take(&mut joint.packets);
        let same = joint.codec == Some(self.mouth.spoken().codec);
        let relayed = same && !self.machine.speaks() && self.mouth.relay(&packets, due, self.leg.line.as_ref());
        if relayed {
            joint.counts.relayed.fetch_add(packets.len() as u64, Ordering::Relaxed);
        }
        relayed
    }

    pub(super) fn brief(&self, answer: oneshot::Sender<Brief>) {
        // Whoever has asked may be gone.
        let _ = answer.send(Brief { briefing: self.machine.briefing(), taped: self.tape.is_some() });
    }
}

/// Why a call is not connected with another one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotBridged {
    #[error("there is no live call {0}")]
    NoSuchCall(CallId),
    #[error("a call cannot be connected with itself")]
    Itself,
    #[error("call {0} is connected with another one, or about to be")]
    Already(CallId),
    #[error("an echo or a recording answers call {0}: nobody there could listen")]
    NobodyTalks(CallId),
}

/// One call's being taken for a bridge: no other is made with it meanwhile. Dropped, it is free again.
pub struct Claim {
    registry: Arc<Registry>,
    call: CallId,
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(live) = self.registry.live().get_mut(&self.call) {
            live.bridge = None;
        }
    }
}

impl Registry {
    /// Takes a call for a bridge, which `parting` ends.
    ///
    /// # Errors
    /// When there is no such call, it is taken already, or nobody there could listen.
    pub fn claim(self: &Arc<Self>, call: &str, parting: &CancellationToken) -> Result<Claim, NotBridged> {
        let mut calls = self.live();
        let live = calls.get_mut(call).ok_or_else(|| NotBridged::NoSuchCall(call.to_owned()))?;
        if !live.talks {
            return Err(NotBridged::NobodyTalks(call.to_owned()));
        }
        if live.bridge.is_some() {
            return Err(NotBridged::Already(call.to_owned()));
        }
        live.bridge = Some(parting.clone());
        Ok(Claim { registry: self.clone(), call: call.to_owned() })
    }

    /// Ends the bridge of a call, or the attempt at one. `None`: there is no such live call. `Some(false)`: it has none.
    pub fn part(&self, call: &str) -> Option<bool> {
        let calls = self.live();
        let bridge = calls.get(call)?.bridge.as_ref();
        Some(bridge.map(CancellationToken::cancel).is_some())
    }

    /// What somebody is to be told who takes this call over. `None`: there is no such live call any more.
    pub async fn brief(&self, call: &str) -> Option<Brief> {
        let (answer, brief) = oneshot::channel();
        self.tell_surely(call, Control::Brief(answer)).await;
        brief.await.ok()
    }

    /// Tells a live call something, and waits for room where there is none. False: there is no such live call.
    pub async fn tell_surely(&self, call: &str, control: Control) -> bool {
        let Some(live) = self.live().get(call).map(|live| live.control.clone()) else { return false };
        live.send(control).await.is_ok()
    }
}
