//! A server on a network in memory, and a caller with a mouth and ears of its own: whole calls in virtual time.

use std::sync::Arc;
use std::time::Duration;

use duologue::audio::opus::{OpusDecoder, OpusEncoder, OpusSettings};
use duologue::audio::{LINE_FRAME, LINE_RATE};
use duologue::backend::llm::{Script, ScriptedLlm};
use duologue::backend::scripted_asr::{Lines, ScriptedAsr};
use duologue::backend::scripted_voice::ScriptedVoice;
use duologue::call::engines::Engines;
use duologue::call::registry::{Asked, House, Registry};
use duologue::config::EchoCancelling;
use duologue::dialogue::conversation::ConversationSettings;
use duologue::dialogue::persona::Persona;
use duologue::knowledge::KnowledgeHouse;
use duologue::media::ear::EarSettings;
use duologue::media::red;
use duologue::media::rtp::RtpPacket;
use duologue::peer::client::Caller;
use duologue::peer::net::Memory;
use duologue::peer::{Peer, PeerEvent, Port, PortConfig};
use duologue::recording::{Consent, RecordingHouse};
use duologue::replay::JournalHouse;
use duologue::store::Store;
use duologue::time::TICK;
use duologue_signaling::event::{Event, Stamped, TurnOutcome};

const EAR: EarSettings = EarSettings {
    jitter_min_ms: 20,
    jitter_max_ms: 240,
    stretch_speech: true,
    vad_threshold: 0.5,
    onset_ms: 90,
    pre_roll_ms: 300,
    part_ms: 3_000,
    part_pause_ms: 140,
};

const SCRIPT: &str = "first_token_ms: 100\ntoken_ms: 20\nrules:\n  - hears: [close]\n    says: The kitchen closes at ten. The bar closes at midnight, every day of the week.\notherwise: I see.\n";

/// A server on a network in memory.
pub struct Stage {
    pub network: Memory,
    pub registry: Arc<Registry>,
    pub store: Store,
    pub folder: tempfile::TempDir,
}

pub async fn stage(opening: &str, asks: &[&str]) -> Stage {
    stage_in(opening, asks, Memory::default()).await
}

pub async fn stage_in(opening: &str, asks: &[&str], network: Memory) -> Stage {
    stage_with(opening, asks, network, None).await
}

/// Calls are recorded into the stage's folder, where callers are told so.
pub async fn recorded_stage(opening: &str, asks: &[&str], consent: Consent) -> Stage {
    stage_with(opening, asks, Memory::default(), Some(consent)).await
}

async fn stage_with(opening: &str, asks: &[&str], network: Memory, consent: Option<Consent>) -> Stage {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(&folder.path().join("calls.db")).await.expect("a database");
    let mut porter = Persona::blank("porter");
    porter.opening = opening.into();
    porter.prompt = "You are a porter.".into();
    let mut echo = Persona::blank("echo");
    echo.echo = true;
    let recording = consent.map(|consent| RecordingHouse::open(folder.path(), consent).expect("a house"));
    let journal = recording.as_ref().map(|_| JournalHouse::open(folder.path(), String::new()).expect("a thread"));
    let registry = Registry::new(House {
        port: Port::bind_in(any_port(), &network).await.expect("a port"),
        engines: Engines {
            embedder: None,
            judge: None,
            judge_limit: Duration::from_millis(400),
            asr: Arc::new(ScriptedAsr::new(Lines::InOrder(asks.iter().map(|text| (*text).into()).collect()))),
            turn_model: None,
            llm: Arc::new(ScriptedLlm::new(Script::parse(SCRIPT).expect("a script"))),
            tts: Arc::new(ScriptedVoice::with_delay(Duration::from_millis(50))),
            vad: None,
        },
        recorder: store.recorder(),
        store: store.reader(),
        personas: vec![Arc::new(porter), Arc::new(echo)],
        default_persona: "porter".into(),
        conversation: ConversationSettings::default(),
        ear: EAR,
        redundancy_most: 4,
        echo_canceller: EchoCancelling::Auto,
        memory: None,
        knowledge: KnowledgeHouse { store: store.reader(), meanings: None, passages: 0 },
        web: None,
        recording,
        journal,
        max_calls: 4,
        longest_call: Duration::from_secs(3_600),
    });
    Stage { network, registry, store, folder }
}

pub fn any_port() -> PortConfig {
    PortConfig::local("127.0.0.1:0".parse().expect("an address"))
}

/// A caller with a mouth and ears of its own.
pub struct Phone {
    pub call: String,
    pub peer: Peer,
    _port: Port,
    pub encoder: OpusEncoder,
    pub decoder: OpusDecoder,
    pub sequence: u16,
    pub packets: Vec<RtpPacket>,
    pub events: Vec<Stamped>,
    pub sound: Vec<f32>,
    pub phase: f32,
    pub over: bool,
}

impl Phone {
    pub async fn call(stage: &Stage, persona: &str) -> Self {
        Self::call_as(stage, Asked { persona: Some(persona), ..Asked::default() }).await
    }

    pub async fn call_as(stage: &Stage, asked: Asked<'_>) -> Self {
        let port = Port::bind_in(any_port(), &stage.network).await.expect("a port");
        let caller = Caller::new(&port).await.expect("an offer");
        let opened = stage.registry.open(caller.offer(), asked).await.expect("a call");
        let peer = caller.answered(&opened.answer).await.expect("a usable answer");
        let encoder = OpusEncoder::new(OpusSettings::default()).expect("an encoder");
        let decoder = OpusDecoder::new(LINE_RATE).expect("a decoder");
        let (packets, events, sound) = (Vec::new(), Vec::new(), Vec::new());
        let mut phone = Self {
            call: opened.call,
            peer,
            _port: port,
            encoder,
            decoder,
            sequence: 0,
            packets,
            events,
            sound,
            phase: 0.0,
            over: false,
        };
        while !matches!(phone.peer.events.recv().await, Some(PeerEvent::Connected) | None) {}
        phone
    }

    /// Holds the line for so long, voiced or silent.
    pub async fn hold(&mut self, how_long: Duration, voiced: bool) {
        let mut tick = tokio::time::interval(TICK);
        for _ in 0..how_long.as_millis() / TICK.as_millis() {
            tick.tick().await;
            let frame = self.frame(voiced);
            let payload = self.encoder.encode(&frame).expect("a packet");
            self.peer.line.send_rtp(
                self.sequence,
                u32::from(self.sequence).wrapping_mul(LINE_FRAME as u32),
                false,
                payload,
            );
            self.sequence = self.sequence.wrapping_add(1);
            self.listen();
        }
    }

    pub async fn speak(&mut self, ms: u64) {
        self.hold(Duration::from_millis(ms), true).await;
    }

    pub async fn wait(&mut self, ms: u64) {
        self.hold(Duration::from_millis(ms), false).await;
    }

    /// A buzz with the harmonics of a voice, syllables included: speech enough for a detector that goes by energy.
    pub fn frame(&mut self, voiced: bool) -> [f32; LINE_FRAME] {
        std::array::from_fn(|_| {
            self.phase += 1.0 / LINE_RATE as f32;
            let t = self.phase * std::f32::consts::TAU;
            let voice: f32 = (1..=12).map(|k| (t * 140.0 * k as f32).sin() / k as f32).sum();
            if voiced { 0.2 * voice * (0.7 + 0.3 * (t * 4.0).sin()) } else { 0.0 }
        })
    }

    pub fn listen(&mut self) {
        while let Ok(event) = self.peer.events.try_recv() {
            match event {
                PeerEvent::Rtp { packet, .. } => {
                    // Nothing is lost here, so that what goes along of earlier packets is of no use.
                    let payload = if Some(packet.payload_type) == self.peer.agreed.red {
                        red::parse(&packet.payload).expect("redundant audio").pop().expect("a primary block").payload
                    } else {
                        packet.payload.clone()
                    };
                    self.decoder.decode(&payload, &mut self.sound);
                    self.packets.push(packet);
                }
                PeerEvent::Message(json) => self.events.push(serde_json::from_str(&json).expect("an event")),
                PeerEvent::Gone(_) => self.over = true,
                _ => {}
            }
        }
    }

    pub fn ended_turns(&self) -> Vec<(TurnOutcome, String)> {
        let ended = self.events.iter().filter_map(|stamped| match &stamped.event {
            Event::TurnEnded { outcome, heard, .. } => Some((*outcome, heard.clone())),
            _ => None,
        });
        ended.collect()
    }
}
