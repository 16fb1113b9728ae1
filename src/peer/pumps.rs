//! What moves packets and messages between the stack and the call, one task per track and channel.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use webrtc::data_channel::{DataChannel, DataChannelEvent};
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};

use super::PeerEvent;
use super::line::Shared;
use crate::media::rtp::RtpPacket;

/// Places in the event queue that packets and messages leave free for what must not be lost: the end of the call.
const RESERVED: usize = 32;
/// How long the last messages may take to be acknowledged before the line is closed all the same: a few round trips. A peer
/// that is gone costs this much once.
const FAREWELL: Duration = Duration::from_millis(400);
/// How often it is looked whether they have been. The stack has no event for "all acknowledged".
const FAREWELL_LOOK: Duration = Duration::from_millis(5);

/// The ends of a peer's queues.
pub(super) struct Pumps {
    events: mpsc::Sender<PeerEvent>,
    /// Taken by the first data channel.
    outgoing: Option<mpsc::Receiver<String>>,
    shared: Arc<Shared>,
    last: Farewell,
}

/// The end of the messages: what was said last should be heard before the line is closed.
#[derive(Clone)]
struct Farewell {
    /// Cancelled when nothing more will be said.
    closing: CancellationToken,
    /// Cancelled when what was said last has arrived.
    said: CancellationToken,
}

impl Pumps {
    pub(super) fn new(events: mpsc::Sender<PeerEvent>, outgoing: mpsc::Receiver<String>, shared: Arc<Shared>) -> Self {
        let last = Farewell { closing: CancellationToken::new(), said: CancellationToken::new() };
        Self { events, outgoing: Some(outgoing), shared, last }
    }

    /// Puts an event that has a reserved place.
    pub(super) fn tell(&self, event: PeerEvent) {
        if self.events.try_send(event).is_err() {
            tracing::debug!("a peer's event is not taken: its call has ended or does not keep up");
        }
    }

    /// Lets the messages that were given to the line arrive, such as the one that says why the call is over. Bounded.
    pub(super) async fn say_farewell(&self) {
        // Without a channel nobody listens.
        if self.outgoing.is_none() {
            self.last.closing.cancel();
            let _ = tokio::time::timeout(FAREWELL, self.last.said.cancelled()).await;
        }
    }

    /// Hears a track until it ends.
    pub(super) fn hear(&self, track: Arc<dyn TrackRemote>, running: &mut JoinSet<()>) {
        running.spawn(hear(track, self.events.clone(), self.shared.clone()));
    }

    /// Carries messages both ways on the first data channel; further ones are left alone.
    pub(super) fn converse(&mut self, channel: Arc<dyn DataChannel>, running: &mut JoinSet<()>) {
        if let Some(outgoing) = self.outgoing.take() {
            let last = self.last.clone();
            running.spawn(converse(channel, outgoing, last, self.events.clone(), self.shared.clone()));
        }
    }
}

/// Puts an event that may be dropped; false when it was.
fn offer(events: &mpsc::Sender<PeerEvent>, event: PeerEvent) -> bool {
    events.capacity() > RESERVED && events.try_send(event).is_ok()
}

async fn hear(track: Arc<dyn TrackRemote>, events: mpsc::Sender<PeerEvent>, shared: Arc<Shared>) {
    while let Some(event) = track.poll().await {
        let TrackRemoteEvent::OnRtpPacket(packet) = event else { continue };
        let at = Instant::now();
        let header = packet.header;
        let packet = RtpPacket {
            payload_type: header.payload_type,
            sequence: header.sequence_number,
            timestamp: header.timestamp,
            ssrc: header.ssrc,
            marker: header.marker,
            payload: packet.payload,
        };
        if !offer(&events, PeerEvent::Rtp { packet, at }) {
            shared.counters.packets_untaken.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn converse(
    channel: Arc<dyn DataChannel>,
    mut outgoing: mpsc::Receiver<String>,
    last: Farewell,
    events: mpsc::Sender<PeerEvent>,
    shared: Arc<Shared>,
) {
    // Dropped with the task, however it ends.
    let _said = last.said.drop_guard();
    let (mut open, mut dumb) = (false, false);
    loop {
        tokio::select! {
            () = last.closing.cancelled() => break,
            event = channel.poll() => match event {
                Some(DataChannelEvent::OnOpen) => {
                    open = true;
                    let _ = events.try_send(PeerEvent::MessagesOpen);
                }
                Some(DataChannelEvent::OnMessage(message)) => {
                    // Taken at once: while a message waits here the stack hands over nothing else, audio included.
                    let text = message.is_string.then(|| String::from_utf8(message.data.to_vec()).ok()).flatten();
                    if !text.is_some_and(|text| offer(&events, PeerEvent::Message(text))) {
                        shared.counters.messages_untaken.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Some(DataChannelEvent::OnClose) | None => return,
                Some(_) => {}
            },
            text = outgoing.recv(), if open && !dumb => match text {
                Some(text) => if channel.try_send_text(&text).await.is_err() {
                    shared.counters.messages_unsent.fetch_add(1, Ordering::Relaxed);
                },
                // No line is left that could send; what comes in is still wanted.
                None => dumb = true,
            },
        }
    }
    while let (true, Ok(text)) = (open, outgoing.try_recv()) {
        if channel.try_send_text(&text).await.is_err() {
            shared.counters.messages_unsent.fetch_add(1, Ordering::Relaxed);
        }
    }
    while open && channel.outstanding_bytes().await.is_ok_and(|bytes| bytes > 0) {
        tokio::time::sleep(FAREWELL_LOOK).await;
    }
}
