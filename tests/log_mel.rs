//! The log-mel picture held to the numbers of the Python code that the end-of-turn model was trained with.

mod shared;

use duologue::audio::log_mel::{BANDS, HOP, LogMel};

/// Every 31st number of the picture of 8 s: silence, then 5.12 s of the synthetic voice.
const GOLDEN: &str = include_str!("golden/mel/buzz.txt");

#[test]
fn the_picture_is_the_one_that_whispers_feature_extractor_draws() {
    let mut audio = vec![0.0; 128_000 - 160 * 512];
    audio.extend(shared::synthetic_voice(160 * 512));
    let picture = LogMel::new().picture(&audio);
    assert_eq!(picture.len(), BANDS * audio.len() / HOP);
    let golden: Vec<f32> = GOLDEN.lines().map(|line| line.parse().expect("a number a line")).collect();
    let found: Vec<f32> = picture.iter().copied().step_by(31).collect();
    assert_eq!(found.len(), golden.len());
    let worst = found.iter().zip(&golden).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("largest difference {worst:e}");
    assert!(worst < 1e-3, "largest difference {worst:e}");
}

#[test]
fn silence_has_a_picture_without_features() {
    let picture = LogMel::new().picture(&[0.0; 16_000]);
    assert_eq!(picture.len(), BANDS * 100);
    assert!(picture.iter().all(|value| *value == picture[0] && value.is_finite()));
}

#[test]
fn audio_shorter_than_a_frame_has_no_picture() {
    assert!(LogMel::new().picture(&[0.1; 399]).is_empty());
    assert_eq!(LogMel::new().picture(&[0.1; 400]).len(), BANDS * 2);
}
