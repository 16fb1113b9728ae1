use proptest::prelude::*;

use super::*;
use crate::audio::HEAR_FRAME;
use crate::audio::score::{clicks, segmental_snr_db, spectral_distance_db, voice};

/// Cuts the sound into frames and changes each `every`th of them; gives the result, how much longer it is, and for each
/// frame where it lies in the sound and in the result.
fn changed(
    sound: &[f32],
    every: usize,
    change: impl Fn(&mut Vec<f32>) -> isize,
) -> (Vec<f32>, isize, Vec<(usize, usize)>) {
    let (mut out, mut longer, mut places) = (Vec::new(), 0, Vec::new());
    for (n, frame) in sound.chunks_exact(HEAR_FRAME).enumerate() {
        places.push((n * HEAR_FRAME, out.len()));
        let mut frame = frame.to_vec();
        if n % every == every - 1 {
            longer += change(&mut frame);
        }
        out.extend(frame);
    }
    (out, longer, places)
}

fn shorter(frame: &mut Vec<f32>) -> isize {
    -(shorten(frame, 0, LONGEST, 0.8) as isize)
}

fn longer(frame: &mut Vec<f32>) -> isize {
    lengthen(frame, 0, LONGEST, 0.8) as isize
}

#[test]
fn a_splice_in_a_voice_clicks_and_the_voice_does_not() {
    for pitch_hz in [90.0, 140.0, 230.0] {
        let whole = voice(pitch_hz, 20.0, 2.0);
        assert_eq!(clicks(&whole), Vec::<usize>::new(), "{pitch_hz} Hz");
        // Cut anywhere. Not every splice clicks: a pulse of the voice may hide it, or the halves happen to meet.
        let heard = (0..20).filter(|n| {
            let mut cut = whole.clone();
            cut.drain(8_000 + n * 317..8_000 + n * 317 + 61);
            !clicks(&cut).is_empty()
        });
        let heard = heard.count();
        assert!(heard >= 8, "{pitch_hz} Hz: {heard} of 20");
    }
}

#[test]
fn the_period_of_a_voice_is_found() {
    for pitch_hz in [85.0, 100.0, 123.0, 180.0, 250.0, 390.0] {
        let found = period(&voice(pitch_hz, 0.0, 0.5)[3_000..3_320], LONGEST).unwrap();
        let periods = found.samples as f32 * pitch_hz / HEAR_RATE as f32;
        assert!((periods - periods.round()).abs() < 0.05 && periods > 0.9, "{pitch_hz} Hz: {periods} periods");
        assert!(found.likeness > 0.9, "{pitch_hz} Hz: {found:?}");
    }
}

#[test]
fn of_a_steady_voice_nothing_is_heard_but_its_length() {
    // 160 Hz is a period of 100 samples: the stretched voice must be the same voice, sample by sample.
    let phase = |n: usize| (n % 100) as f32 / 100.0 * std::f32::consts::TAU;
    let sound: Vec<f32> =
        (0..32_000).map(|n| (1..15).map(|k| 0.2 * (phase(n) * k as f32).sin() / k as f32).sum()).collect();
    for change in [shorter, longer] {
        let (out, by, _) = changed(&sound, 3, change);
        assert_eq!(by.abs() % 100, 0);
        assert!(by.unsigned_abs() >= 33 * 100, "every third of 100 frames by a period: {by}");
        let same = out.len().min(sound.len());
        assert!(segmental_snr_db(&sound[..same], &out[..same]) > 34.0);
        assert_eq!(clicks(&out), Vec::<usize>::new());
    }
}

#[test]
fn a_gliding_voice_keeps_its_spectrum_and_never_clicks() {
    for pitch_hz in [95.0, 140.0, 210.0, 300.0] {
        let sound = voice(pitch_hz, pitch_hz * 0.15, 2.0);
        for change in [shorter, longer] {
            let (out, by, places) = changed(&sound, 3, change);
            assert!(by.abs() > 1_000, "{pitch_hz} Hz: changed by {by} samples of 32,000");
            let distance_db = spectral_distance_db(&sound, &out, places.into_iter());
            assert!(distance_db < 2.0, "{pitch_hz} Hz, {by}: {distance_db:.2} dB");
            assert_eq!(clicks(&out), Vec::<usize>::new(), "{pitch_hz} Hz, {by}");
        }
        // The same by force: what the search is for.
        let cut = |frame: &mut Vec<f32>| -(frame.drain(100..177).count() as isize);
        assert!(!clicks(&changed(&sound, 3, cut).0).is_empty());
    }
}

#[test]
fn a_plosive_is_left_as_it_is() {
    let mut sound = voice(120.0, 0.0, 0.2)[1_600..1_920].to_vec();
    // A burst in the middle of a held vowel, and one that begins in the frame.
    for n in 150..190 {
        sound[n] += if n % 3 == 0 { 0.5 } else { -0.3 };
    }
    let before = sound.clone();
    assert_eq!(shorten(&mut sound, 0, LONGEST, 0.8), 0);
    assert_eq!(sound, before);
    let mut onset = vec![0.0; 60];
    onset.extend(&voice(120.0, 0.0, 0.2)[1_600..1_860]);
    assert_eq!(shorten(&mut onset.clone(), 0, LONGEST, 0.8) + lengthen(&mut onset, 0, LONGEST, 0.8), 0);
}

#[test]
fn a_room_keeps_its_level() {
    let mut draw = 7_u32;
    let room: Vec<f32> = (0..16_000)
        .map(|_| {
            draw = draw.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            0.02 * (draw as f32 / u32::MAX as f32 - 0.5)
        })
        .collect();
    let level = crate::audio::level::level_dbfs(&room);
    for change in [
        |f: &mut Vec<f32>| -(shorten(f, 0, LONGEST, -1.0) as isize),
        |f: &mut Vec<f32>| lengthen(f, 0, LONGEST, -1.0) as isize,
    ] {
        let (out, by, _) = changed(&room, 2, change);
        assert!(by.abs() > 1_000);
        assert!((crate::audio::level::level_dbfs(&out) - level).abs() < 0.5, "{by}");
    }
}

proptest! {
    #[test]
    fn any_sound_is_survived_and_every_sample_accounted_for(
        sound in prop::collection::vec(prop_oneof![8 => -1.0_f32..1.0, 1 => Just(0.0), 1 => any::<f32>()], 0..900),
        from in 0_usize..900,
        most in 0_usize..400,
        likeness in -1.0_f32..1.0,
    ) {
        let (mut short, mut long) = (sound.clone(), sound.clone());
        let removed = shorten(&mut short, from, most, likeness);
        let added = lengthen(&mut long, from, most, likeness);
        prop_assert_eq!(short.len() + removed, sound.len());
        prop_assert_eq!(long.len(), sound.len() + added);
        prop_assert!(removed <= most.min(LONGEST) && added <= most.min(LONGEST));
        let kept = from.min(sound.len());
        let same = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits());
        prop_assert!(same(&short[..kept], &sound[..kept]) && same(&long[..kept], &sound[..kept]), "what is before `from` is not touched");
    }
}
