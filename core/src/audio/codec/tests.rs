use std::f32::consts::TAU;

use super::*;
use crate::audio::HEAR_FRAME;
use crate::audio::score::{clicks, segmental_snr_db, voice};

const PLAIN: [LineCodec; 5] = [
    LineCodec::Pcmu,
    LineCodec::Pcma,
    LineCodec::G722,
    LineCodec::L16(L16Rate::Hz16000),
    LineCodec::L16(L16Rate::Hz24000),
];

/// A voice at 48 kHz, in frames.
fn frames(seconds: f32) -> Vec<[f32; LINE_FRAME]> {
    let mut line = Vec::new();
    let mut up = Resampler::new(HEAR_RATE, LINE_RATE).unwrap();
    up.push(&voice(140.0, 15.0, seconds), &mut line);
    up.flush(&mut line);
    line.as_chunks::<LINE_FRAME>().0.to_vec()
}

fn packets(codec: LineCodec, seconds: f32) -> Vec<Bytes> {
    let mut encoder = LineEncoder::new(codec, OpusSettings::default()).unwrap();
    frames(seconds).iter().map(|frame| encoder.encode(frame).unwrap()).collect()
}

/// What comes out where the packets that `lost` names did not come.
fn heard(codec: LineCodec, packets: &[Bytes], lost: impl Fn(usize) -> bool) -> Vec<f32> {
    let mut decoder = LineDecoder::new(codec).unwrap();
    let mut out = Vec::new();
    for (n, packet) in packets.iter().enumerate() {
        if lost(n) {
            decoder.conceal(USUAL_PACKET, &mut out);
        } else {
            assert_eq!(decoder.decode(packet, &mut out), Origin::Packet);
        }
    }
    out
}

/// Of two tones, the delay of the codec taken out: signal to noise, in dB.
fn tone_snr_db(codec: LineCodec, hz: f32) -> f32 {
    let mut encoder = LineEncoder::new(codec, OpusSettings::default()).unwrap();
    let mut decoder = LineDecoder::new(codec).unwrap();
    let mut out = Vec::new();
    for frame in 0..50 {
        let sound =
            std::array::from_fn(|n| 0.4 * ((frame * LINE_FRAME + n) as f32 / LINE_RATE as f32 * hz * TAU).sin());
        decoder.decode(&encoder.encode(&sound).unwrap(), &mut out);
    }
    let out = &out[8_000..14_000];
    // The part of what came out that is the tone, whatever its phase: the rest is noise.
    let part = |wave: fn(f32) -> f32| -> (f32, Vec<f32>) {
        let base: Vec<f32> = (0..out.len()).map(|n| wave(n as f32 / HEAR_RATE as f32 * hz * TAU)).collect();
        let amount = 2.0 * out.iter().zip(&base).map(|(a, b)| a * b).sum::<f32>() / out.len() as f32;
        (amount, base)
    };
    let ((sine, sines), (cosine, cosines)) = (part(f32::sin), part(f32::cos));
    let tone: Vec<f32> = sines.iter().zip(&cosines).map(|(a, b)| sine * a + cosine * b).collect();
    let signal: f32 = tone.iter().map(|x| x * x).sum();
    let noise: f32 = tone.iter().zip(out).map(|(a, b)| (a - b) * (a - b)).sum();
    10.0 * (signal / noise.max(1e-12)).log10()
}

#[test]
fn a_tone_comes_through_each_codec_as_well_as_the_codec_allows() {
    // G.711 has some 38 dB at this level, G.722 some 27 (its low band has six bits).
    for (codec, least_db) in [
        (LineCodec::Pcmu, 34.0),
        (LineCodec::Pcma, 34.0),
        (LineCodec::G722, 22.0),
        (LineCodec::L16(L16Rate::Hz16000), 70.0),
        (LineCodec::L16(L16Rate::Hz24000), 70.0),
        (LineCodec::L16(L16Rate::Hz48000), 70.0),
    ] {
        let got = tone_snr_db(codec, 1_000.0);
        assert!(got > least_db, "{codec:?}: {got:.1} dB");
    }
}

#[test]
fn a_packet_of_20_ms_is_as_long_as_its_codec_says() {
    for codec in PLAIN {
        let packets = packets(codec, 0.5);
        for packet in &packets {
            assert_eq!(codec.packet_ticks(packet), Some(LINE_FRAME as u32), "{codec:?}");
        }
        assert_eq!(codec.tick_clocks() * codec.line_ticks(), LINE_FRAME as u32);
        assert_eq!(heard(codec, &packets, |_| false).len(), packets.len() * HEAR_FRAME, "{codec:?}");
    }
}

#[test]
fn packets_of_any_telephone_length_give_the_same_sound() {
    for codec in [LineCodec::Pcmu, LineCodec::G722] {
        let whole: Vec<u8> = packets(codec, 1.2).concat();
        let cut = |ms: usize| -> Vec<f32> {
            let pieces: Vec<Bytes> = whole[..160 * 60].chunks(8 * ms).map(Bytes::copy_from_slice).collect();
            heard(codec, &pieces, |_| false)
        };
        let (ten, twenty, thirty, forty) = (cut(10), cut(20), cut(30), cut(40));
        assert_eq!(twenty.len(), 60 * HEAR_FRAME);
        assert!(ten == twenty && thirty == twenty && forty == twenty, "{codec:?}");
    }
}

#[test]
fn what_is_lost_is_made_up_better_than_by_silence_and_without_a_click() {
    for codec in PLAIN {
        let packets = packets(codec, 4.0);
        let wanted = heard(codec, &packets, |_| false);
        let lost = |n: usize| n % 10 == 7;
        let got = heard(codec, &packets, lost);
        assert_eq!(got.len(), wanted.len());
        // Where packets were lost; silence there would have 0 dB.
        let delay =
            if codec.sample_rate_hz() == HEAR_RATE { 0 } else { Resampler::live(8_000, HEAR_RATE).unwrap().delay() };
        let gaps = |sound: &[f32]| -> Vec<f32> {
            let gap = |n: usize| sound[n * HEAR_FRAME + delay..][..HEAR_FRAME].to_vec();
            (0..packets.len() - 1).filter(|n| lost(*n)).flat_map(gap).collect()
        };
        let made_up = segmental_snr_db(&gaps(&wanted), &gaps(&got));
        let (clicked, before) = (clicks(&got).len(), clicks(&wanted).len());
        println!("{codec:?}: {made_up:.1} dB where something was made up; {clicked} clicks, {before} without loss");
        assert!(made_up > 1.0, "{codec:?}: {made_up:.1} dB");
        assert!(clicked <= before + 2, "{codec:?}: {clicked} clicks");
    }
}

#[test]
fn a_steady_sound_goes_on_as_it_was() {
    // A hum of 125 Hz with its harmonics: a period of 64 samples at 8 kHz.
    let sample = |n: usize| (1..8).map(|k| (n as f32 / 8_000.0 * 125.0 * k as f32 * TAU).sin() / k as f32).sum::<f32>();
    let mut concealer = Concealer::new(8_000);
    let mut past: Vec<f32> = (0..800).map(|n| 0.2 * sample(n)).collect();
    concealer.good(&mut past);
    let mut out = Vec::new();
    concealer.fill(80, &mut out);
    for (n, got) in out.iter().enumerate() {
        let wanted = 0.2 * sample(800 + n);
        assert!((got - wanted).abs() < 0.01, "sample {n}: {got} instead of {wanted}");
    }
}

#[test]
fn what_is_made_up_fades_within_60_ms_and_what_follows_comes_in_softly() {
    let mut concealer = Concealer::new(8_000);
    let mut past: Vec<f32> = (0..800).map(|n| 0.5 * (n as f32 / 8_000.0 * 200.0 * TAU).sin()).collect();
    concealer.good(&mut past);
    let mut out = Vec::new();
    for _ in 0..10 {
        concealer.fill(160, &mut out);
    }
    let loudest = |range: std::ops::Range<usize>| out[range].iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    assert!(loudest(0..80) > 0.45, "10 ms as they were");
    assert!(loudest(320..400) < 0.3, "half of it gone at 45 ms");
    assert_eq!(loudest(480..1_600), 0.0);
    let mut next = [0.5_f32; 160];
    concealer.good(&mut next);
    assert!(next[0] < 0.05 && next[159] == 0.5, "{} {}", next[0], next[159]);
}

#[test]
fn nothing_that_arrives_is_more_than_malformed() {
    for codec in PLAIN {
        let mut decoder = LineDecoder::new(codec).unwrap();
        let mut out = Vec::new();
        decoder.decode(&[], &mut out);
        decoder.decode(&vec![0x55; 20_000], &mut out);
        assert_eq!(decoder.malformed(), 2, "{codec:?}");
        decoder.decode(&[1, 2], &mut out);
        decoder.conceal(Duration::from_secs(10), &mut out);
        decoder.reset();
        assert!(out.iter().all(|sample| sample.is_finite()));
    }
}

#[test]
fn samples_that_are_no_numbers_are_sent_as_silence() {
    for codec in PLAIN {
        let mut encoder = LineEncoder::new(codec, OpusSettings::default()).unwrap();
        encoder.encode(&[f32::NAN; LINE_FRAME]).unwrap();
        encoder.encode(&[f32::INFINITY; LINE_FRAME]).unwrap();
        let packet = encoder.encode(&[0.0; LINE_FRAME]).unwrap();
        let mut out = Vec::new();
        LineDecoder::new(codec).unwrap().decode(&packet, &mut out);
        assert!(out.iter().all(|sample| sample.abs() < 0.01), "{codec:?}");
    }
}
