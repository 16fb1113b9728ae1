//! A caller over WebRTC, in real time, with a mouth and ears: it says words that can be read back from the sound, and keeps what it hears.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use duologue::audio::opus::{OpusDecoder, OpusEncoder, OpusSettings};
use duologue::audio::{LINE_FRAME, LINE_RATE};
use duologue::backend::scripted_voice::{ScriptedVoice, WordCode, heard};
use duologue::backend::{Clause, Speech, Tts as _, Urgency};
use duologue::media::red;
use duologue::peer::client::Caller;
use duologue::peer::{Peer, PeerEvent, Port, PortConfig};
use duologue::time::TICK;
use duologue_signaling::event::{BridgeState, Event, Stamped};
use reqwest::{Client, header};

/// The next 20 ms of what there is to say, and silence behind it.
pub fn next_frame(to_say: &mut VecDeque<f32>) -> [f32; LINE_FRAME] {
    let mut frame = [0.0; LINE_FRAME];
    let ready = to_say.len().min(LINE_FRAME);
    for (sample, said) in frame.iter_mut().zip(to_say.drain(..ready)) {
        *sample = said;
    }
    frame
}

/// Words as sound, at 48 kHz: each is a chord of its own.
pub async fn words(text: &str) -> Vec<f32> {
    let (out, mut speech) = tokio::sync::mpsc::channel(4);
    let clause = Clause { text: text.to_owned(), urgency: Urgency::Speech };
    let listen = async {
        let mut pcm = Vec::new();
        while let Some(piece) = speech.recv().await {
            if let Speech::Pcm(samples) = piece {
                pcm.extend(samples);
            }
        }
        pcm
    };
    let voice = ScriptedVoice::default();
    let (spoken, pcm) = tokio::join!(voice.speak(clause, out), listen);
    spoken.expect("a voice");
    pcm
}

#[derive(Default)]
struct Seen {
    to_say: VecDeque<f32>,
    sound: Vec<f32>,
    events: Vec<Stamped>,
    over: bool,
}

/// See the module's words.
pub struct Browser {
    pub call: String,
    seen: Arc<Mutex<Seen>>,
    hang_up: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Browser {
    /// Calls; `query` is that of `POST /v1/calls`.
    pub async fn call(url: &str, query: &str) -> Self {
        let port = Port::bind(PortConfig::local("127.0.0.1:0".parse().expect("an address"))).await.expect("a port");
        let offer = Caller::new(&port).await.expect("an offer");
        let asked =
            Client::new().post(format!("{url}/v1/calls{query}")).header(header::CONTENT_TYPE, "application/sdp");
        let response = asked.body(offer.offer().to_owned()).send().await.expect("an answer");
        let location = response.headers()[header::LOCATION].to_str().expect("text").to_owned();
        let peer = offer.answered(&response.text().await.expect("an answer")).await.expect("usable");
        let seen = Arc::<Mutex<Seen>>::default();
        let (hang_up, hung_up) = tokio::sync::oneshot::channel();
        tokio::spawn(live(peer, port, seen.clone(), hung_up));
        let call = location.rsplit('/').next().expect("a number").to_owned();
        Self { call, seen, hang_up: Some(hang_up) }
    }

    pub async fn says(&self, text: &str) {
        let sound = words(text).await;
        let ms = sound.len() as u64 * 1_000 / u64::from(LINE_RATE);
        self.seen.lock().expect("nobody panicked").to_say.extend(sound);
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    /// The words that came out of its loudspeaker so far.
    pub fn heard(&self) -> Vec<WordCode> {
        heard(&self.seen.lock().expect("nobody panicked").sound, LINE_RATE)
    }

    pub fn events(&self) -> Vec<Stamped> {
        self.seen.lock().expect("nobody panicked").events.clone()
    }

    /// Waits for an event.
    pub async fn until(&self, what: &str, wanted: impl Fn(&Event) -> bool) {
        let patience = Instant::now() + Duration::from_secs(60);
        while !self.events().iter().any(|stamped| wanted(&stamped.event)) {
            assert!(Instant::now() < patience, "{what} did not come: {:#?}", self.events());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until it stands so with the bridge.
    pub async fn until_bridge(&self, wanted: BridgeState) {
        let is = |event: &Event| matches!(event, Event::Bridge { state, .. } if *state == wanted);
        self.until(wanted.as_str(), is).await;
    }

    /// Waits until the agent has said so many turns.
    pub async fn until_turns(&self, count: usize) {
        let patience = Instant::now() + Duration::from_secs(60);
        let ended = |stamped: &&Stamped| matches!(stamped.event, Event::TurnEnded { .. });
        while self.events().iter().filter(ended).count() < count {
            assert!(Instant::now() < patience, "no {count} turns: {:#?}", self.events());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits for the end of the call.
    pub async fn until_over(&self) {
        let patience = Instant::now() + Duration::from_secs(30);
        while !self.seen.lock().expect("nobody panicked").over {
            assert!(Instant::now() < patience, "the call goes on");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn hang_up(&mut self) {
        drop(self.hang_up.take());
    }
}

async fn live(mut peer: Peer, _port: Port, seen: Arc<Mutex<Seen>>, mut hung_up: tokio::sync::oneshot::Receiver<()>) {
    let encoder = OpusEncoder::new(OpusSettings::default()).expect("an encoder");
    let mut encoder = encoder;
    let mut decoder = OpusDecoder::new(LINE_RATE).expect("a decoder");
    let mut tick = tokio::time::interval(TICK);
    let mut sequence = 0_u16;
    loop {
        tokio::select! {
            biased;
            _ = &mut hung_up => {
                seen.lock().expect("nobody panicked").over = true;
                return peer.close().await;
            }
            _ = tick.tick() => {
                let frame = next_frame(&mut seen.lock().expect("nobody panicked").to_say);
                let payload = encoder.encode(&frame).expect("a packet");
                peer.line.send_rtp(sequence, u32::from(sequence).wrapping_mul(LINE_FRAME as u32), false, payload);
                sequence = sequence.wrapping_add(1);
            }
            event = peer.events.recv() => {
                let mut seen = seen.lock().expect("nobody panicked");
                match event {
                    Some(PeerEvent::Rtp { packet, .. }) => {
                        let payload = if Some(packet.payload_type) == peer.agreed.red {
                            red::parse(&packet.payload).expect("redundant audio").pop().expect("a primary block").payload
                        } else {
                            packet.payload
                        };
                        decoder.decode(&payload, &mut seen.sound);
                    }
                    Some(PeerEvent::Message(json)) => seen.events.push(serde_json::from_str(&json).expect("an event")),
                    Some(PeerEvent::Gone(_)) | None => {
                        seen.over = true;
                        return;
                    }
                    Some(_) => {}
                }
            }
        }
    }
}
