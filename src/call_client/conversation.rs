//! One call from the caller's side: a packet every 20 ms, what comes back on tape, until the conductor hangs up.

use std::time::Duration;

use duologue_signaling::event::ClientMessage;
use tokio::time::{Instant, MissedTickBehavior};

use super::conductor::{Conductor, Cue, Pace};
use super::ear::Stretch;
use super::feedback::Feedback;
use super::tape::{Listener, Received, Track, samples};
use crate::audio::LINE_FRAME;
use crate::audio::opus::{OpusEncoder, OpusError, OpusSettings};
use crate::peer::{GoneWhy, Peer, PeerEvent};
use crate::time::TICK;

/// One thing that the caller says.
#[derive(Clone, Debug, PartialEq)]
pub struct Utterance {
    /// 48 kHz mono.
    pub sound: Vec<f32>,
    /// Where in it there is speech; never empty.
    pub speech: Vec<Stretch>,
}

/// What came of a call.
#[derive(Debug)]
pub struct Outcome {
    /// Both sides, from the moment the call was connected.
    pub caller: Track,
    pub agent: Track,
    /// The caller's turns, in samples of the call.
    pub turns: Vec<Stretch>,
    pub received: Received,
    pub packets_sent: u64,
    /// The most that a packet left after its time. Latencies of a run where this is large are not to be believed.
    pub latest_send: Duration,
    /// When ICE and DTLS were up, and when the first packet of the other side's sound came.
    pub connected: Instant,
    pub first_packet: Option<Instant>,
    /// Set when the other side ended the call.
    pub gone: Option<GoneWhy>,
}

/// Why there was no call.
#[derive(Debug, thiserror::Error)]
pub enum ConversationFault {
    #[error("the call was not connected: {0}")]
    NotConnected(GoneWhy),
    #[error(transparent)]
    Opus(#[from] OpusError),
}

/// What is being played.
struct Playing<'a> {
    utterance: &'a Utterance,
    next: usize,
    began: u64,
}

/// What the caller holds in his hand.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Handset {
    /// Zero: the agent is heard as it arrives. Otherwise by its timestamps, this long after the first packet.
    pub playout_delay: Duration,
    /// What is heard comes back through the microphone.
    pub echo: Option<Feedback>,
}

/// Plays `utterances` into a call and listens. `told` gets each message from the data channel with its moment.
///
/// # Errors
/// When the call is not connected.
pub async fn converse(
    peer: &mut Peer,
    utterances: &[Utterance],
    pace: Pace,
    set: Handset,
    mut told: impl FnMut(Duration, &str),
) -> Result<Outcome, ConversationFault> {
    connected(peer).await?;
    let begun = Instant::now();
    let mut caller = Caller::new(utterances, pace, set.echo)?;
    if set.echo.is_some()
        && let Ok(message) = serde_json::to_string(&ClientMessage::Microphone { echo_cancelled: false })
    {
        peer.line.send_message(message);
    }
    let mut listener = Listener::new(set.playout_delay)?;
    let (mut gone, mut first_packet) = (None, None);
    let mut reported = Duration::ZERO;
    let mut tick = tokio::time::interval(TICK);
    // A late tick is made up for: the other side must get every frame.
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        tokio::select! {
            biased;
            event = peer.events.recv() => match event {
                Some(PeerEvent::Rtp { packet, at }) => {
                    first_packet.get_or_insert(at);
                    let (opus, at) = (peer.agreed.opus, at.saturating_duration_since(begun));
                    if packet.payload_type == opus {
                        listener.take(&packet, at);
                    } else if Some(packet.payload_type) == peer.agreed.red {
                        listener.take_redundant(&packet, opus, at);
                    }
                }
                Some(PeerEvent::Message(text)) => told(begun.elapsed(), &text),
                Some(PeerEvent::Gone(why)) => {
                    gone = Some(why);
                    break;
                }
                Some(_) => {}
                None => break,
            },
            due = tick.tick() => {
                if !caller.tick(peer, due.duration_since(begun), begun.elapsed(), &listener)? {
                    break;
                }
                report_playout(peer, &listener, begun.elapsed(), &mut reported);
            }
        }
    }
    Ok(Outcome {
        caller: caller.track,
        agent: listener.track,
        turns: caller.turns,
        received: listener.received,
        packets_sent: caller.sent,
        latest_send: caller.latest,
        connected: begun,
        first_packet,
        gone,
    })
}

/// Tells the server what is being played: it cannot know otherwise which words were heard. Five times a second while
/// the agent is audible, once a second in silence.
fn report_playout(peer: &Peer, listener: &Listener, now: Duration, reported: &mut Duration) {
    let audible = listener.heard().is_some_and(|heard| now.saturating_sub(heard) < Duration::from_millis(500));
    let every = Duration::from_millis(if audible { 200 } else { 1_000 });
    if now.saturating_sub(*reported) < every {
        return;
    }
    let Some(rtp_timestamp) = listener.playing(now) else { return };
    let report = ClientMessage::Playout { rtp_timestamp, at_ms: now.as_millis() as u64 };
    if let Ok(json) = serde_json::to_string(&report) {
        *reported = now;
        // Dropped when the data channel is not open: the next one is as good.
        peer.line.send_message(json);
    }
}

async fn connected(peer: &mut Peer) -> Result<(), ConversationFault> {
    loop {
        match peer.events.recv().await {
            Some(PeerEvent::Connected) => return Ok(()),
            Some(PeerEvent::Gone(why)) => return Err(ConversationFault::NotConnected(why)),
            Some(_) => {}
            None => return Err(ConversationFault::NotConnected(GoneWhy::ClosedHere)),
        }
    }
}

/// The speaking side.
struct Caller<'a> {
    utterances: &'a [Utterance],
    conductor: Conductor,
    echo: Option<Feedback>,
    playing: Option<Playing<'a>>,
    encoder: OpusEncoder,
    track: Track,
    turns: Vec<Stretch>,
    sequence: u16,
    timestamp: u32,
    sent: u64,
    latest: Duration,
}

impl<'a> Caller<'a> {
    fn new(utterances: &'a [Utterance], pace: Pace, echo: Option<Feedback>) -> Result<Self, OpusError> {
        Ok(Self {
            utterances,
            conductor: Conductor::new(utterances.len(), pace),
            echo,
            playing: None,
            encoder: OpusEncoder::new(OpusSettings::default())?,
            track: Track::default(),
            turns: Vec::new(),
            // RFC 3550, section 5.1: both begin at random.
            sequence: rand::random(),
            timestamp: rand::random(),
            sent: 0,
            latest: Duration::ZERO,
        })
    }

    /// Sends the frame that is due; false when the call is over.
    fn tick(&mut self, peer: &Peer, due: Duration, now: Duration, heard: &Listener) -> Result<bool, OpusError> {
        let place = samples(due);
        match self.conductor.cue(due, heard.heard()) {
            Cue::HangUp => return Ok(false),
            Cue::Play(turn) => {
                let utterance = &self.utterances[turn];
                let moved = |stretch: &Stretch| Stretch { start: place + stretch.start, end: place + stretch.end };
                self.turns.extend(utterance.speech.iter().map(moved));
                self.playing = Some(Playing { utterance, next: 0, began: place });
            }
            Cue::GoOn => {}
        }
        let mut frame = self.frame();
        if let Some(echo) = self.echo {
            echo.mix(&heard.track, place, &mut frame);
        }
        self.track.put(place, &frame);
        let payload = self.encoder.encode(&frame)?;
        let first = self.sent == 0;
        if peer.line.send_rtp(self.sequence, self.timestamp, first, payload) {
            self.sent += 1;
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(LINE_FRAME as u32);
        self.latest = self.latest.max(now.saturating_sub(due));
        Ok(true)
    }

    fn frame(&mut self) -> [f32; LINE_FRAME] {
        let mut frame = [0.0; LINE_FRAME];
        let Some(playing) = &mut self.playing else { return frame };
        let rest = &playing.utterance.sound[playing.next..];
        let taken = rest.len().min(LINE_FRAME);
        frame[..taken].copy_from_slice(&rest[..taken]);
        playing.next += taken;
        if playing.next == playing.utterance.sound.len() {
            let last_word = playing.utterance.speech.last().map_or(playing.next as u64, |stretch| stretch.end);
            let spoken = Duration::from_micros((playing.began + last_word) * 1_000_000 / 48_000);
            self.conductor.played(spoken);
            self.playing = None;
        }
        frame
    }
}
