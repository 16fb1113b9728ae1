//! The receiver against the network: whatever the packets do, every sample is accounted for, nothing clicks, and the delay
//! stays what it should be.

#[path = "../src/audio/score.rs"]
#[allow(dead_code, reason = "written for the unit tests, of which these use a part")]
mod score;
mod trace;

use std::collections::BTreeMap;

use bytes::Bytes;
use duologue_core::audio::codec::{LineCodec, LineEncoder};
use duologue_core::audio::opus::OpusSettings;
use duologue_core::audio::{HEAR_FRAME, HEAR_RATE, LINE_FRAME};
use duologue_core::media::jitter::{JitterSettings, PushOutcome};
use duologue_core::media::receiver::{Receiver, ReceiverSettings};
use duologue_core::media::rtp::RtpPacket;
use duologue_core::time::CallTime;
use proptest::prelude::*;
use score::{clicks, voice};
use trace::{Draw, Listener, Speaker, Timed, Weather, hushed, level_dbfs, travel};

const SECOND: usize = HEAR_RATE as usize;

/// A quiet room, about -66 dBFS.
fn room(seconds: f32) -> Vec<f32> {
    let (mut draw, mut last) = (Draw(3), 0.0);
    let mut sample = || {
        last = 0.7 * last + 1.2e-3 * (draw.share() as f32 - 0.5);
        last
    };
    (0..(seconds * HEAR_RATE as f32) as usize).map(|_| sample()).collect()
}

/// A voice in a room, and the room alone, by turns of this many seconds.
fn turns(seconds: f32, count: usize) -> Vec<f32> {
    let mut sound = Vec::new();
    for n in 0..count {
        let here = room(seconds);
        if n % 2 == 0 {
            sound.extend(voice(130.0, 15.0, seconds).iter().zip(&here).map(|(a, b)| a + b));
        } else {
            sound.extend(here);
        }
    }
    sound
}

fn ms_of(samples: u64) -> u64 {
    samples * 1_000 / u64::from(HEAR_RATE)
}

#[test]
fn a_stretched_voice_is_not_heard_to_be() {
    // The network is bad at first, so that the delay is long; then it is good, and the delay falls while the voice goes on.
    let sent = Speaker::default().speak(&voice(130.0, 15.0, 16.0));
    let bad = travel(&sent[..25], Weather { jitter_ms: 150.0, ..Weather::default() }, 5);
    let network: Vec<Timed> = bad.into_iter().chain(travel(&sent[25..], Weather::default(), 5)).collect();
    let mut listener = Listener::usual();
    listener.listen(&network, 800, |_| false);
    let counts = listener.receiver.counts();
    assert!(ms_of(counts.shortened) >= 60, "{counts:?}");
    assert!(listener.accounted_for());
    let steady = &listener.heard[SECOND..15 * SECOND];
    assert_eq!(clicks(steady), Vec::<usize>::new());
    assert!(listener.receiver.jitter().target_delay(CallTime::from_ms(16_000)).as_millis() <= 30);
}

#[test]
fn a_voice_that_may_not_be_stretched_is_not() {
    let sent = Speaker::default().speak(&voice(130.0, 15.0, 4.0));
    let network = travel(&sent, Weather { jitter_ms: 100.0, ..Weather::default() }, 5);
    let mut listener = Listener::new(JitterSettings::default(), false);
    listener.listen(&network, 200, |_| false);
    let counts = listener.receiver.counts();
    assert_eq!((counts.shortened, counts.lengthened), (0, 0));
    // In a pause it is: the delay falls back.
    let sent = Speaker::default().speak(&turns(2.0, 4));
    let bad = travel(&sent[..100], Weather { jitter_ms: 150.0, ..Weather::default() }, 5);
    let network: Vec<Timed> = bad.into_iter().chain(travel(&sent[100..], Weather::default(), 5)).collect();
    let mut listener = Listener::new(JitterSettings::default(), false);
    listener.listen(&network, 400, hushed);
    assert!(listener.receiver.counts().shortened > 0 && listener.accounted_for());
}

#[test]
fn after_concealment_the_sound_fades_into_the_room_and_comes_back_without_a_click() {
    let sound: Vec<f32> = room(1.0).into_iter().chain(turns(3.0, 1)).collect();
    let sent = Speaker::default().speak(&sound);
    // 300 ms in the middle of the voice are gone, with the packet that could tell that they were.
    let mut network = travel(&sent, Weather::default(), 1);
    network.retain(|(at, _)| !(2_000_000..2_300_000).contains(at));
    let mut listener = Listener::usual();
    listener.listen(&network, 200, hushed);
    assert!(listener.accounted_for());
    let counts = listener.receiver.counts();
    assert!(
        (280..=340).contains(&ms_of(counts.concealed)),
        "what is missing is told, however it is filled: {counts:?}"
    );
    assert_eq!(counts.recovered, 0);
    // The hole is where the room is: somewhere within the second.
    let frames: Vec<f32> = listener.heard[2 * SECOND..5 * SECOND / 2].chunks(HEAR_FRAME).map(level_dbfs).collect();
    let hole: Vec<&f32> = frames.iter().filter(|level| **level < -60.0).collect();
    assert!((10..=14).contains(&hole.len()), "{frames:?}");
    let off_db = level_dbfs(&room(1.0)) - hole.iter().copied().sum::<f32>() / hole.len() as f32;
    assert!(off_db.abs() < 6.0, "the hole is as loud as the room, within {off_db:.1} dB");
    assert_eq!(clicks(&listener.heard[SECOND / 2..]), Vec::<usize>::new());
}

#[test]
fn where_the_sender_says_nothing_the_room_goes_on() {
    let sound: Vec<f32> = room(1.0).into_iter().chain(turns(3.0, 4)).collect();
    let sent = Speaker { dtx: true, ..Speaker::default() }.speak(&sound);
    assert!(sent.len() < 550, "{} packets for 13 s: DTX is on", sent.len());
    let mut listener = Listener::usual();
    listener.listen(&travel(&sent, Weather::default(), 1), 640, hushed);
    assert!(listener.accounted_for());
    let counts = listener.receiver.counts();
    assert!(ms_of(counts.comfort) > 3_000, "{counts:?}");
    assert_eq!(counts.concealed + counts.recovered, 0, "a pause is no loss: {counts:?}");
    assert_eq!(clicks(&listener.heard[SECOND / 2..]), Vec::<usize>::new());
    // A second within the second pause: as loud as the room was before the first word, and as even.
    let pause = &listener.heard[11 * SECOND..12 * SECOND];
    let levels: Vec<f32> = pause.chunks(HEAR_FRAME).map(level_dbfs).collect();
    let wanted = level_dbfs(&listener.heard[SECOND / 2..SECOND]);
    let worst = levels.iter().map(|level| (level - wanted).abs()).fold(0.0, f32::max);
    assert!(worst < 9.0, "room at {wanted:.1} dBFS, pause {levels:.1?}");
    assert!((level_dbfs(pause) - wanted).abs() < 4.0, "{wanted:.1} and {:.1}", level_dbfs(pause));
}

/// RFC 3389: with G.711 a telephone says by a packet of its own that it is silent, and how loud its room is.
#[test]
fn what_a_telephone_says_of_its_room_is_what_is_heard_of_it() {
    let mut receiver = Receiver::new(ReceiverSettings::default()).expect("a decoder");
    receiver.speak(LineCodec::Pcmu).expect("a decoder");
    let mut encoder = LineEncoder::new(LineCodec::Pcmu, OpusSettings::default()).expect("an encoder");
    let packet = |payload_type, sequence: u16, tick: u32, payload| RtpPacket {
        payload_type,
        sequence,
        timestamp: tick * 160,
        ssrc: 7,
        marker: false,
        payload,
    };
    let mut tick = 0_u32;
    let mut hear = |receiver: &mut Receiver| {
        let mut frame = [0.0; HEAR_FRAME];
        receiver.frame(CallTime::from_ms(u64::from(tick) * 20), &mut frame);
        receiver.judged(&frame, false);
        tick += 1;
        (tick, frame)
    };
    let mut at = 0;
    let mut sequence = 65_500_u16;
    for below_db in [46_u8, 60] {
        for _ in 0..50 {
            let tone: [f32; LINE_FRAME] = std::array::from_fn(|n| 0.3 * (n as f32 * 0.026).sin());
            let payload = encoder.encode(&tone).expect("a packet");
            receiver.packet(CallTime::from_ms(u64::from(at) * 20), packet(0, sequence, at, payload));
            sequence = sequence.wrapping_add(1);
            (at, _) = hear(&mut receiver);
        }
        receiver.noise(&packet(13, sequence, at, Bytes::copy_from_slice(&[below_db, 127])));
        sequence = sequence.wrapping_add(1);
        let mut pause = Vec::new();
        for n in 0..100 {
            let (next, frame) = hear(&mut receiver);
            at = next;
            // What was sent before it has its delay.
            if n >= 20 {
                pause.extend(frame);
            }
        }
        let off_db = level_dbfs(&pause) + f32::from(below_db);
        assert!(off_db.abs() < 1.0, "-{below_db} dB was told: {off_db:.1} dB off");
    }
    let (counts, packets) = (receiver.counts(), receiver.jitter().stats());
    assert_eq!((counts.concealed, packets.lost, packets.played), (0, 0, 100), "{counts:?}");
    assert!(counts.adds_up(receiver.left()));
}

#[test]
fn a_new_source_begins_without_a_click() {
    let first = Speaker::default().speak(&voice(130.0, 15.0, 2.0));
    let second = Speaker { ssrc: 9, first_sequence: 3, first_timestamp: 77, ..Speaker::default() };
    let second = second.speak(&voice(180.0, 15.0, 2.0));
    let later = second.into_iter().map(|(at, packet)| (at + 2_000_000, packet));
    let network: Vec<Timed> = first.into_iter().chain(later).collect();
    let mut listener = Listener::usual();
    listener.listen(&network, 210, |_| false);
    assert!(listener.accounted_for());
    assert_eq!(clicks(&listener.heard), Vec::<usize>::new());
    // Between the last syllable of the one and the first of the other.
    let silent: Vec<bool> = listener.heard.chunks(HEAR_FRAME).map(|frame| level_dbfs(frame) < -50.0).collect();
    let longest = silent[10..190].split(|silent| !silent).map(<[bool]>::len).max();
    assert!(longest < Some(9), "the line is silent for {longest:?} ticks");
}

/// The same sound over and over: encoding a quarter of an hour takes longer than listening to it.
fn over_and_over(packets: &[Timed], seconds: u64) -> impl Iterator<Item = Timed> {
    (0..seconds * 50).map(|n| {
        let (_, packet) = &packets[n as usize % packets.len()];
        let (sequence, timestamp) = (n as u16, (n as u32).wrapping_mul(960));
        (n * 20_000 + 20_000, RtpPacket { sequence, timestamp, ..packet.clone() })
    })
}

#[test]
fn drifting_clocks_neither_let_the_delay_creep_nor_run_dry() {
    let packets = Speaker::default().speak(&turns(2.0, 2));
    for drift_ppm in [200, -200] {
        let sent: Vec<Timed> = over_and_over(&packets, 900).collect();
        let network = travel(&sent, Weather { jitter_ms: 15.0, drift_ppm, ..Weather::default() }, 8);
        let mut listener = Listener::usual();
        let mut left_ms = Vec::new();
        for minute in 0..15_u64 {
            let before = listener.receiver.jitter().waits().clone();
            // Without the last packets, which are still under way.
            listener.listen(&network, 3_000 - u64::from(minute == 14) * 50, hushed);
            let waits = listener.receiver.jitter().waits();
            left_ms.push((waits.sum() - before.sum()).as_millis() as u64 / (waits.count() - before.count()));
            listener.heard.drain(..listener.heard.len() - HEAR_FRAME);
        }
        let (counts, stats) = (listener.receiver.counts(), listener.receiver.jitter().stats());
        assert_eq!((stats.lost, stats.late, stats.dropped, counts.recovered), (0, 0, 0, 0), "{drift_ppm}: {stats:?}");
        assert_eq!(counts.concealed, 0, "{drift_ppm}: it ran dry: {counts:?}");
        let (least, most) = (left_ms[1..].iter().min().unwrap(), left_ms[1..].iter().max().unwrap());
        assert!(*least >= 10 && *most <= 45, "{drift_ppm}: mean delay by the minute {left_ms:?}");
        // 200 ppm are 180 ms in a quarter of an hour: the stretching has made up for them, and for little else.
        let net_ms = ms_of(counts.lengthened) as i64 - ms_of(counts.shortened) as i64;
        assert!((net_ms + drift_ppm * 18 / 20).abs() < 60, "{drift_ppm}: {net_ms} ms");
        assert!(ms_of(counts.lengthened + counts.shortened) < 1_000, "{counts:?}");
        let told = i64::from(listener.receiver.jitter().drift_ppm().unwrap());
        assert!((told - drift_ppm).abs() <= 15, "{drift_ppm} told as {told}");
    }
}

#[test]
fn a_stream_that_stops_and_comes_back_clicks_nowhere() {
    let sent = Speaker::default().speak(&turns(1.0, 8));
    for (from, to) in [(60, 75), (60, 160), (120, 290)] {
        // The numbers run on as if the sender had stopped its clock; and with the clock running on.
        for clock_runs in [true, false] {
            let gone = (to - from) as u32;
            let network: Vec<Timed> = sent
                .iter()
                .enumerate()
                .filter(|(n, _)| !(from..to).contains(n))
                .map(|(n, (at, packet))| {
                    let mut packet = packet.clone();
                    if n >= to {
                        packet.sequence = packet.sequence.wrapping_sub(gone as u16);
                        if !clock_runs {
                            packet.timestamp = packet.timestamp.wrapping_sub(gone * 960);
                        }
                    }
                    (*at, packet)
                })
                .collect();
            let mut listener = Listener::usual();
            listener.listen(&network, 420, hushed);
            assert!(listener.accounted_for(), "{from}..{to} {clock_runs}");
            let stats = listener.receiver.jitter().stats();
            assert_eq!((stats.lost, stats.played), (0, network.len() as u64), "{from}..{to} {clock_runs}: {stats:?}");
            assert_eq!(clicks(&listener.heard), Vec::<usize>::new(), "{from}..{to} {clock_runs}");
        }
    }
}

fn weather() -> impl Strategy<Value = Weather> {
    let jitter = prop_oneof![Just(0.0), 0.0..30.0, 0.0..150.0, 0.0..600.0];
    (0.0..0.5, 0.0..6.0, jitter, 0.0..0.3, -1_000_i64..1_000)
        .prop_map(|(loss, burst, jitter_ms, doubled, drift_ppm)| Weather { loss, burst, jitter_ms, doubled, drift_ppm })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn in_any_weather_every_sample_has_one_origin(
        weather in weather(), seed: u64, packet_ms in prop::sample::select(vec![10_u32, 20, 40, 60]), dtx: bool, stretch: bool,
    ) {
        let speaker = Speaker { packet_ms, dtx, expected_loss: 20, ..Speaker::default() };
        let sent = speaker.speak(&turns(0.8, 8));
        let network = travel(&sent, weather, seed);
        let mut listener = Listener::new(JitterSettings { min_ms: 20, max_ms: 240, packet_ms: 20 }, stretch);
        for _ in 0..20 {
            listener.listen(&network, 20, hushed);
            prop_assert!(listener.accounted_for(), "{:?}", listener.receiver.counts());
            // A tick's rest, the longest packet and the longest period: nothing piles up.
            prop_assert!(ms_of(listener.receiver.left() as u64) <= 20 + u64::from(packet_ms) + 13);
        }
        prop_assert_eq!(network.len() as u64, listener.receiver.jitter().stats().received);
        let loudest = listener.heard.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        prop_assert!(loudest <= 1.0 && listener.heard.iter().all(|x| x.is_finite()), "{loudest}");
        // As many packets as there were: played, or told why not. A packet that comes twice may be late and a duplicate.
        let stats = listener.receiver.jitter().stats();
        let numbers: BTreeMap<u32, usize> = network.iter().fold(BTreeMap::new(), |mut numbers, (_, packet)| {
            *numbers.entry(packet.timestamp).or_default() += 1;
            numbers
        });
        prop_assert!(stats.played <= numbers.len() as u64);
        prop_assert!(stats.lost <= (sent.len() - numbers.len()) as u64 + stats.dropped, "{:?}", stats);
    }

    #[test]
    fn any_packets_are_survived(packets in prop::collection::vec(
        (0_u64..50_000, any::<u16>(), any::<u32>(), 0_u32..3, prop::collection::vec(any::<u8>(), 0..60), any::<bool>()), 0..200,
    )) {
        let (mut at, mut number) = (0, 0_u16);
        let network: Vec<Timed> = packets.into_iter().map(|(after_us, sequence, timestamp, ssrc, payload, wild)| {
            at += after_us;
            number = number.wrapping_add(1);
            let sequence = if wild { sequence } else { number };
            let timestamp = if wild { timestamp } else { u32::from(number) * 960 };
            (at, RtpPacket { payload_type: 111, sequence, timestamp, ssrc, marker: wild, payload: Bytes::from(payload) })
        }).collect();
        let mut listener = Listener::usual();
        listener.listen(&network, at / 20_000 + 20, hushed);
        prop_assert!(listener.accounted_for(), "{:?} {:?}", listener.receiver.counts(), listener.receiver.jitter().stats());
        prop_assert!(listener.heard.iter().all(|x| x.is_finite() && x.abs() <= 1.0));
    }
}

#[test]
fn a_flood_of_new_sources_piles_nothing_up() {
    let voiced = Speaker::default().speak(&voice(130.0, 15.0, 1.0));
    let mut listener = Listener::usual();
    listener.listen(&voiced, 20, hushed);
    for n in 0..2_000_u32 {
        let packet = |k: u16| RtpPacket { ssrc: 1_000 + n, sequence: k, ..voiced[usize::from(k)].1.clone() };
        let outcomes = [0, 1].map(|k| listener.receiver.packet(CallTime::from_ms(500), packet(k)));
        assert_eq!(outcomes, [PushOutcome::Foreign, PushOutcome::NewStream]);
    }
    assert!(ms_of(listener.receiver.left() as u64) < 60);
}
