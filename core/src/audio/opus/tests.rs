use proptest::prelude::*;

use super::*;
use crate::audio::{HEAR_FRAME, HEAR_RATE};

const TICK: Duration = Duration::from_millis(20);

/// Something like a voice: harmonics of a gliding pitch, in syllables.
fn voice(frames: usize) -> Vec<[f32; LINE_FRAME]> {
    let mut phase = 0.0_f32;
    let sample = |n: usize| {
        let t = n as f32 / LINE_RATE as f32;
        let pitch = 140.0 + 30.0 * (t * 2.0).sin();
        phase += pitch / LINE_RATE as f32;
        let tone: f32 = (1..=8).map(|k| (phase * k as f32 * std::f32::consts::TAU).sin() / k as f32).sum();
        0.2 * tone * (t * 12.0).sin().abs()
    };
    let all: Vec<f32> = (0..frames * LINE_FRAME).map(sample).collect();
    all.as_chunks::<LINE_FRAME>().0.to_vec()
}

fn packets(settings: OpusSettings, frames: &[[f32; LINE_FRAME]]) -> Vec<Bytes> {
    let mut encoder = OpusEncoder::new(settings).unwrap();
    frames.iter().map(|frame| encoder.encode(frame).unwrap()).collect()
}

/// How much louder the wanted signal is than the difference, in dB.
fn snr_db(wanted: &[f32], got: &[f32]) -> f32 {
    let power: f32 = wanted.iter().map(|x| x * x).sum();
    let noise: f32 = wanted.iter().zip(got).map(|(a, b)| (a - b) * (a - b)).sum();
    10.0 * (power / noise.max(1e-12)).log10()
}

fn decoded(packets: &[Bytes], rate_hz: u32) -> Vec<f32> {
    let mut decoder = OpusDecoder::new(rate_hz).unwrap();
    let mut out = Vec::new();
    for packet in packets {
        assert_eq!(decoder.decode(packet, &mut out), Origin::Packet);
    }
    out
}

/// Decodes with every tenth packet lost, made good by `repair`.
fn with_losses(packets: &[Bytes], repair: impl Fn(&mut OpusDecoder, &Bytes, &mut Vec<f32>) -> Origin) -> Vec<f32> {
    let mut decoder = OpusDecoder::new(HEAR_RATE).unwrap();
    let mut out = Vec::new();
    for (n, packet) in packets.iter().enumerate() {
        match packets.get(n + 1) {
            Some(next) if n % 10 == 9 => repair(&mut decoder, next, &mut out),
            _ => decoder.decode(packet, &mut out),
        };
    }
    out
}

#[test]
fn a_packet_is_twenty_milliseconds_at_any_rate() {
    let packet = &packets(OpusSettings::default(), &voice(1))[0];
    assert_eq!(packet_samples(packet), Some(LINE_FRAME as u32));
    for rate_hz in [8_000, 16_000, 48_000] {
        let mut out = vec![0.5];
        assert_eq!(OpusDecoder::new(rate_hz).unwrap().decode(packet, &mut out), Origin::Packet);
        assert_eq!(out.len() - 1, rate_hz as usize / 50, "appended, not overwritten");
    }
}

#[test]
fn a_voice_survives_the_line_at_the_set_bitrate() {
    let frames = voice(100);
    let packets = packets(OpusSettings { bitrate_bps: 24_000, ..OpusSettings::default() }, &frames);
    let bytes: usize = packets.iter().map(Bytes::len).sum();
    assert!((2_000..9_000).contains(&bytes), "2 s at 24 kb/s are 6,000 bytes: {bytes}");
    let heard = decoded(&packets, LINE_RATE);
    let (loud_in, loud_out) = (crate::audio::level::rms(&frames.concat()), crate::audio::level::rms(&heard));
    assert!((loud_out / loud_in - 1.0).abs() < 0.2, "level kept: {loud_in} -> {loud_out}");
}

#[test]
fn in_band_fec_restores_a_lost_packet_better_than_concealment() {
    let packets = packets(OpusSettings { expected_loss_percent: 20, ..OpusSettings::default() }, &voice(200));
    let whole = decoded(&packets, HEAR_RATE);
    let recovered = with_losses(&packets, |decoder, next, out| decoder.recover(next, TICK, out));
    let concealed = with_losses(&packets, |decoder, _, out| decoder.conceal(TICK, out));
    assert_eq!((recovered.len(), concealed.len()), (whole.len(), whole.len()), "no time is lost or won");
    let (fec, plc) = (snr_db(&whole, &recovered), snr_db(&whole, &concealed));
    assert!(fec > plc + 2.0, "recovered {fec:.1} dB, concealed {plc:.1} dB");
}

#[test]
fn redundancy_is_seen_where_it_is() {
    let voiced = voice(100);
    let share = |settings: OpusSettings| {
        packets(settings, &voiced).iter().filter(|packet| has_redundancy(packet)).count() as f32 / 100.0
    };
    assert_eq!(share(OpusSettings { fec: false, ..OpusSettings::default() }), 0.0);
    assert_eq!(share(OpusSettings { expected_loss_percent: 0, ..OpusSettings::default() }), 0.0);
    let with = share(OpusSettings { expected_loss_percent: 20, ..OpusSettings::default() });
    assert!(with > 0.5, "of a voice with pauses: {with}");
    // Two frames of 20 ms in one packet (code 3, variable rate), the second of which has no say in it.
    let packets = packets(OpusSettings { expected_loss_percent: 20, ..OpusSettings::default() }, &voiced);
    let one = packets.iter().find(|packet| has_redundancy(packet)).unwrap();
    let mut two = vec![one[0] | 3, 0x82, (one.len() - 1) as u8];
    two.extend(&one[1..]);
    two.extend(&one[1..]);
    assert!(one.len() < 250 && has_redundancy(&two));
    for nothing in [&[][..], &[0x48], &[0x4b], &[0x4b, 0xff, 255, 255], &[0xf8, 0xff, 0xff]] {
        assert!(!has_redundancy(nothing));
    }
}

#[test]
fn a_malformed_packet_is_counted_and_concealed() {
    let mut decoder = OpusDecoder::new(HEAR_RATE).unwrap();
    let mut out = Vec::new();
    // Code 3 with no frames; two equal frames of 20 ms in an odd number of bytes; nothing at all.
    for (payload, frames) in [(&[0x7b, 0x00][..], 1), (&[0x79, 1, 2, 3], 2), (&[], 1)] {
        out.clear();
        assert_eq!(decoder.decode(payload, &mut out), Origin::Concealed);
        assert_eq!(out.len(), frames * HEAR_FRAME);
    }
    assert_eq!(decoder.malformed(), 3);
}

#[test]
fn other_durations_come_out_whole() {
    for (duration_ms, size) in [(10, 480), (40, 1_920), (60, 2_880)] {
        let mut encoder = opus::Encoder::new(LINE_RATE, opus::Channels::Mono, opus::Application::Voip).unwrap();
        let packet = encoder.encode_vec_float(&vec![0.1; size], 1_275).unwrap();
        assert_eq!(packet_samples(&packet), Some(size as u32));
        let mut out = Vec::new();
        let mut decoder = OpusDecoder::new(HEAR_RATE).unwrap();
        decoder.decode(&packet, &mut out);
        assert_eq!(out.len(), duration_ms * 16);
        decoder.conceal(Duration::from_millis(duration_ms as u64), &mut out);
        assert_eq!(out.len(), 2 * duration_ms * 16);
    }
}

#[test]
fn stereo_from_a_sender_is_heard_as_mono() {
    let mut encoder = opus::Encoder::new(LINE_RATE, opus::Channels::Stereo, opus::Application::Audio).unwrap();
    let packet = encoder.encode_vec_float(&[0.1; 2 * LINE_FRAME], 1_275).unwrap();
    let mut out = Vec::new();
    assert_eq!(OpusDecoder::new(HEAR_RATE).unwrap().decode(&packet, &mut out), Origin::Packet);
    assert_eq!(out.len(), HEAR_FRAME);
}

#[test]
fn settings_out_of_range_are_refused_with_the_ranges() {
    assert_eq!(OpusDecoder::new(44_100).err(), Some(OpusError::Rate(44_100)));
    for wrong in [
        OpusSettings { bitrate_bps: 100, ..OpusSettings::default() },
        OpusSettings { complexity: 11, ..OpusSettings::default() },
        OpusSettings { expected_loss_percent: 101, ..OpusSettings::default() },
    ] {
        let error = OpusEncoder::new(wrong).err().unwrap();
        assert!(error.to_string().contains("0 to 10"), "{error}");
    }
}

#[test]
fn samples_that_are_no_numbers_are_silence() {
    let mut encoder = OpusEncoder::new(OpusSettings::default()).unwrap();
    let mut decoder = OpusDecoder::new(HEAR_RATE).unwrap();
    let mut out = Vec::new();
    for wrong in [f32::NAN, f32::INFINITY, 1e30] {
        let packet = encoder.encode(&[wrong; LINE_FRAME]).unwrap();
        decoder.decode(&packet, &mut out);
    }
    assert!(out.iter().all(|x| x.is_finite()));
}

proptest! {

    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes_are_asked_for_redundancy(payload in prop::collection::vec(any::<u8>(), 0..40)) {
        prop_assert!(!has_redundancy(&payload) || packet_samples(&payload).is_some());
    }

    #[test]
    fn any_bytes_give_finite_sound_of_the_stated_length(payload in prop::collection::vec(any::<u8>(), 0..200), fec: bool) {
        let mut decoder = OpusDecoder::new(HEAR_RATE).unwrap();
        let mut out = Vec::new();
        let expected = if fec {
            decoder.recover(&payload, TICK, &mut out);
            HEAR_FRAME
        } else {
            decoder.decode(&payload, &mut out);
            packet_samples(&payload).map_or(HEAR_FRAME, |samples| samples as usize / 3)
        };
        prop_assert_eq!(out.len(), expected);
        prop_assert!(out.iter().all(|x| x.is_finite()));
    }
}
