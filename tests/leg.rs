//! A telephone's leg under a whole call, in virtual time: G.711 in and out, keys, hold, and another codec in the middle.

mod house;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use duologue::audio::codec::{LineCodec, LineDecoder, LineEncoder};
use duologue::audio::opus::OpusSettings;
use duologue::audio::{HEAR_RATE, LINE_FRAME, LINE_RATE};
use duologue::backend::scripted_voice::{WordCode, heard};
use duologue::call::leg::{Echoes, Leg, Line, Outgoing};
use duologue::call::registry::Asked;
use duologue::call::wire;
use duologue::media::lateness::Lateness;
use duologue::media::rtp::RtpPacket;
use duologue::peer::{Ending, GoneWhy, OfferRefused, PeerEvent, Spoken};
use duologue::time::TICK;
use duologue_signaling::event::{Event, Stamped, TurnOutcome};
use house::stage::*;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A line whose other end is in the test's hands.
struct Wire {
    packets: mpsc::Sender<Outgoing>,
    messages: mpsc::Sender<String>,
}

#[async_trait]
impl Line for Wire {
    fn send(&self, packet: Outgoing) -> bool {
        self.packets.try_send(packet).is_ok()
    }

    fn send_message(&self, text: String) -> bool {
        self.messages.try_send(text).is_ok()
    }

    fn lateness(&self) -> Lateness {
        Lateness::default()
    }

    async fn reoffer(&self, _: String) -> Result<String, OfferRefused> {
        Err(OfferRefused::Closed)
    }
}

/// A telephone: a mouth and ears in a codec of its own.
struct Telephone {
    call: String,
    codec: LineCodec,
    events: mpsc::Sender<PeerEvent>,
    arriving: mpsc::Receiver<Outgoing>,
    messages: mpsc::Receiver<String>,
    encoder: LineEncoder,
    decoder: LineDecoder,
    sequence: u16,
    /// Ticks since the call began, on its own clock.
    ticks: u32,
    phase: f32,
    packets: Vec<Outgoing>,
    told: Vec<Stamped>,
    /// At 16 kHz.
    sound: Vec<f32>,
}

const fn spoken(codec: LineCodec) -> Spoken {
    Spoken { codec, payload_type: if matches!(codec, LineCodec::Pcma) { 8 } else { 0 }, red: None }
}

impl Telephone {
    async fn call(stage: &Stage, codec: LineCodec) -> Self {
        let (events, happening) = wire::leg_events();
        let ((leaving, arriving), (telling, messages)) = (mpsc::channel(4_096), mpsc::channel(4_096));
        let cancel = CancellationToken::new();
        let task = tokio::spawn(cancel.clone().cancelled_owned());
        let leg = Leg {
            events: happening,
            line: Arc::new(Wire { packets: leaving, messages: telling }),
            spoken: spoken(codec),
            transport: "sip",
            echoes: Echoes::Likely,
            ending: Ending::new(cancel, task),
        };
        let admitted = stage.registry.admit(Asked::default()).await.expect("a free line");
        let call = stage.registry.begin(admitted, leg).expect("a call");
        events.send(PeerEvent::Connected).await.expect("the call listens");
        let encoder = LineEncoder::new(codec, OpusSettings::default()).expect("an encoder");
        let decoder = LineDecoder::new(codec).expect("a decoder");
        let (packets, told, sound) = (Vec::new(), Vec::new(), Vec::new());
        let (sequence, ticks, phase) = (65_000, 0, 0.0);
        Self { call, codec, events, arriving, messages, encoder, decoder, sequence, ticks, phase, packets, told, sound }
    }

    /// Holds the line for so long; sounds as [`Phone`] does.
    async fn hold(&mut self, ms: u64, voiced: bool) {
        let mut tick = tokio::time::interval(TICK);
        for _ in 0..ms / 20 {
            tick.tick().await;
            let frame: [f32; LINE_FRAME] = std::array::from_fn(|_| {
                self.phase += 1.0 / LINE_RATE as f32;
                let t = self.phase * std::f32::consts::TAU;
                let voice: f32 = (1..=12).map(|k| (t * 140.0 * k as f32).sin() / k as f32).sum();
                if voiced { 0.2 * voice * (0.7 + 0.3 * (t * 4.0).sin()) } else { 0.0 }
            });
            let payload = self.encoder.encode(&frame).expect("a packet");
            self.send(spoken(self.codec).payload_type, payload).await;
            self.ticks += 1;
            self.listen();
        }
    }

    /// Says that nobody speaks, and how loud the room is, and sends nothing for so long.
    async fn hush(&mut self, ms: u64, below_db: u8) {
        // As some do, with coefficients of the room's spectrum.
        self.send(13, vec![below_db, 130, 127].into()).await;
        let mut tick = tokio::time::interval(TICK);
        for _ in 0..ms / 20 {
            tick.tick().await;
            self.ticks += 1;
            self.listen();
        }
    }

    async fn send(&mut self, payload_type: u8, payload: Bytes) {
        let packet = RtpPacket {
            payload_type,
            sequence: self.sequence,
            // It wraps in the middle of the call.
            timestamp: (u32::MAX - 50_000).wrapping_add(self.ticks * self.codec.tick_clocks()),
            ssrc: 11,
            marker: false,
            payload,
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.events.send(PeerEvent::Rtp { packet, at: Instant::now() }).await.expect("the call listens");
    }

    fn listen(&mut self) {
        while let Ok(packet) = self.arriving.try_recv() {
            self.decoder.decode(&packet.payload, &mut self.sound);
            self.packets.push(packet);
        }
        while let Ok(json) = self.messages.try_recv() {
            self.told.push(serde_json::from_str(&json).expect("an event"));
        }
    }

    fn words(&self) -> Vec<WordCode> {
        heard(&self.sound, HEAR_RATE)
    }

    fn ended_turns(&self) -> Vec<(TurnOutcome, String)> {
        let ended = self.told.iter().filter_map(|stamped| match &stamped.event {
            Event::TurnEnded { outcome, heard, .. } => Some((*outcome, heard.clone())),
            _ => None,
        });
        ended.collect()
    }
}

const ANSWER: &str = "The kitchen closes at ten. The bar closes at midnight, every day of the week.";

#[tokio::test(start_paused = true)]
async fn a_question_in_any_codec_is_answered_in_it() {
    for codec in [LineCodec::Pcmu, LineCodec::Pcma, LineCodec::G722] {
        let stage = stage("Good evening.", &["What time do you close?"]).await;
        let mut phone = Telephone::call(&stage, codec).await;
        phone.hold(2_000, false).await;
        phone.hold(1_500, true).await;
        phone.hold(8_000, false).await;
        assert_eq!(
            phone.ended_turns(),
            [(TurnOutcome::Completed, "Good evening.".into()), (TurnOutcome::Completed, ANSWER.into())],
            "{codec:?}"
        );
        assert_eq!(phone.words(), WordCode::of_text(&format!("Good evening. {ANSWER}")), "{codec:?}");
        for pair in phone.packets.windows(2) {
            assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
            assert_eq!(pair[1].timestamp, pair[0].timestamp.wrapping_add(160));
            assert_eq!((pair[1].payload_type, pair[1].payload.len()), (spoken(codec).payload_type, 160));
        }
        phone.events.send(PeerEvent::Gone(GoneWhy::ClosedByPeer)).await.expect("the call listens");
        stage.registry.shut_down().await;
        stage.registry.settle().await;
        let call = stage.store.reader().call(&phone.call).await.expect("readable").expect("kept");
        assert_eq!(call.summary.transport, "sip");
        assert_eq!(call.turns.len(), 3);
    }
}

/// RFC 3389. What would have been concealed as lost is a pause, in which the room goes on.
#[tokio::test(start_paused = true)]
async fn a_telephone_that_sends_nothing_while_nobody_speaks_is_understood() {
    for codec in [LineCodec::Pcmu, LineCodec::Pcma] {
        let stage = stage("Good evening.", &["What time do you close?"]).await;
        let mut phone = Telephone::call(&stage, codec).await;
        phone.hold(200, false).await;
        phone.hush(1_800, 72).await;
        phone.hold(1_500, true).await;
        phone.hush(9_000, 70).await;
        assert_eq!(
            phone.ended_turns(),
            [(TurnOutcome::Completed, "Good evening.".into()), (TurnOutcome::Completed, ANSWER.into())],
            "{codec:?}"
        );
        phone.events.send(PeerEvent::Gone(GoneWhy::ClosedByPeer)).await.expect("the call listens");
        stage.registry.shut_down().await;
        stage.registry.settle().await;
        let database = SqliteConnectOptions::new().filename(stage.folder.path().join("calls.db")).read_only(true);
        let mut database = database.connect().await.expect("a database");
        let heard: (i64, i64, i64) = sqlx::query_as("SELECT packets_lost, frames_concealed, comfort_ms FROM calls")
            .fetch_one(&mut database)
            .await
            .expect("a row");
        assert_eq!((heard.0, heard.1), (0, 0), "{codec:?}: {heard:?}");
        assert!((10_000..11_500).contains(&heard.2), "{codec:?}: {heard:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn on_hold_the_call_stands_still_and_goes_on_where_it_was() {
    let stage = stage("Good evening.", &["What time do you close?"]).await;
    let mut phone = Telephone::call(&stage, LineCodec::Pcmu).await;
    phone.hold(2_000, false).await;
    phone.hold(1_500, true).await;
    phone.hold(3_000, false).await;
    phone.events.send(PeerEvent::Held(true)).await.expect("the call listens");
    phone.hold(40, false).await;
    let before = phone.packets.len();
    // Music, which nobody hears; and longer than any silence that somebody would ask about.
    phone.hold(59_000, true).await;
    // The exchange takes its music away before it takes the call back: a rest of it would be a sound over the agent.
    phone.hold(1_000, false).await;
    assert_eq!(phone.packets.len(), before, "nothing is sent");
    phone.events.send(PeerEvent::Held(false)).await.expect("the call listens");
    phone.hold(6_000, false).await;
    assert_eq!(phone.ended_turns().last(), Some(&(TurnOutcome::Completed, ANSWER.into())));
    assert_eq!(phone.words(), WordCode::of_text(&format!("Good evening. {ANSWER}")), "no word is lost");
    let holds: Vec<_> = phone.told.iter().filter(|told| matches!(told.event, Event::Hold { .. })).collect();
    assert_eq!(holds.len(), 2);
    assert!(holds[1].at_ms - holds[0].at_ms < 50, "the call's clock stood still: {holds:?}");
    let (last, next) = (&phone.packets[before - 1], &phone.packets[before]);
    assert_eq!(next.sequence, last.sequence.wrapping_add(1), "no packet is missing");
    assert!(next.timestamp.wrapping_sub(last.timestamp) > 59 * 8_000, "and time has passed");
    stage.registry.shut_down().await;
}

#[tokio::test(start_paused = true)]
async fn keys_are_told_and_make_a_number() {
    let stage = stage("Good evening.", &[]).await;
    let mut phone = Telephone::call(&stage, LineCodec::Pcmu).await;
    phone.hold(2_000, false).await;
    for key in ['4', '2', '#', '*', '7'] {
        let key = PeerEvent::Key { key, held: Duration::from_millis(100) };
        phone.events.send(key).await.expect("the call listens");
        phone.hold(300, false).await;
    }
    phone.hold(4_000, false).await;
    let typed: Vec<&str> = phone
        .told
        .iter()
        .filter_map(|told| match &told.event {
            Event::Transcript { text, typed: true, .. } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(typed, ["42", "*7"], "by #, and by a pause");
    let keys = phone.told.iter().filter(|told| matches!(told.event, Event::Key { held_ms: 100, .. })).count();
    assert_eq!(keys, 5);
    stage.registry.shut_down().await;
}

#[tokio::test(start_paused = true)]
async fn another_codec_in_the_middle_of_the_call_is_spoken_and_heard() {
    let stage = stage("Good evening.", &["What time do you close?"]).await;
    let mut phone = Telephone::call(&stage, LineCodec::Pcmu).await;
    phone.hold(3_000, false).await;
    phone.events.send(PeerEvent::Speaks(spoken(LineCodec::Pcma))).await.expect("the call listens");
    phone.listen();
    phone.codec = LineCodec::Pcma;
    phone.encoder = LineEncoder::new(LineCodec::Pcma, OpusSettings::default()).expect("an encoder");
    // What is on its way is lost, as it is with a telephone that has changed already.
    phone.hold(40, false).await;
    phone.decoder = LineDecoder::new(LineCodec::Pcma).expect("a decoder");
    phone.sound.clear();
    phone.hold(1_500, true).await;
    phone.hold(8_000, false).await;
    assert_eq!(phone.words(), WordCode::of_text(ANSWER));
    assert_eq!(phone.packets.last().map(|packet| packet.payload_type), Some(8));
    stage.registry.shut_down().await;
}
