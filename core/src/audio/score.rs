//! For tests, those of the whole receiver included: how much a sound differs from another, and whether it clicks.

use realfft::RealFftPlanner;

use super::HEAR_RATE;

/// Signal to noise of each 20 ms, in dB, the mean over those in which there is a signal: limited to -10..=35 as usual.
pub(crate) fn segmental_snr_db(wanted: &[f32], got: &[f32]) -> f32 {
    let segment = HEAR_RATE as usize / 50;
    let ratios: Vec<f32> = wanted
        .chunks_exact(segment)
        .zip(got.chunks_exact(segment))
        .filter_map(|(wanted, got)| {
            let signal: f32 = wanted.iter().map(|x| x * x).sum();
            let noise: f32 = wanted.iter().zip(got).map(|(a, b)| (a - b) * (a - b)).sum();
            (signal > 1e-4).then(|| (10.0 * (signal / noise.max(1e-9)).log10()).clamp(-10.0, 35.0))
        })
        .collect();
    ratios.iter().sum::<f32>() / ratios.len().max(1) as f32
}

/// The mean distance of the short-time spectra, in dB: of each frame of 32 ms at `places` (sample numbers in `wanted` and
/// in `got`), the root mean square over bands of 250 Hz up to 4 kHz.
pub(crate) fn spectral_distance_db(wanted: &[f32], got: &[f32], places: impl Iterator<Item = (usize, usize)>) -> f32 {
    const FRAME: usize = 512;
    let fft = RealFftPlanner::<f32>::new().plan_fft_forward(FRAME);
    let bands = |sound: &[f32], at: usize| -> Vec<f32> {
        let window = |n: usize| 0.5 - 0.5 * (n as f32 * std::f32::consts::TAU / FRAME as f32).cos();
        let mut frame: Vec<f32> = sound[at..at + FRAME].iter().enumerate().map(|(n, x)| x * window(n)).collect();
        let mut spectrum = fft.make_output_vec();
        fft.process(&mut frame, &mut spectrum).expect("buffers of the plan's own size");
        // 8 bins of 31.25 Hz a band; a floor keeps silence comparable.
        let level = |band: &[realfft::num_complex::Complex<f32>]| {
            10.0 * (band.iter().map(|bin| bin.norm_sqr()).sum::<f32>() + 1e-3).log10()
        };
        spectrum[..128].chunks_exact(8).map(level).collect()
    };
    let (mut sum, mut frames) = (0.0, 0);
    for (a, b) in places.filter(|(a, b)| a + FRAME <= wanted.len() && b + FRAME <= got.len()) {
        let off: f32 = bands(wanted, a).iter().zip(bands(got, b)).map(|(a, b)| (a - b) * (a - b)).sum();
        sum += (off / 16.0).sqrt();
        frames += 1;
    }
    sum / frames.max(1) as f32
}

/// Where the sound clicks: its fourth difference, in which a voice is weak and a step is strong, is far above what it is within the 15 ms around, in which each voice has a pulse.
pub(crate) fn clicks(sound: &[f32]) -> Vec<usize> {
    const AROUND: usize = HEAR_RATE as usize * 3 / 200;
    const AT: usize = 8;
    let fourth = |x: &[f32]| (x[0] - 4.0 * x[1] + 6.0 * x[2] - 4.0 * x[3] + x[4]).abs();
    let sharp: Vec<f32> = sound.windows(5).map(fourth).collect();
    let mut found: Vec<usize> = Vec::new();
    for n in AROUND..sharp.len().saturating_sub(AROUND) {
        let around = sharp[n - AROUND..n - AT].iter().chain(&sharp[n + AT..n + AROUND]);
        let usual = around.fold(0.0_f32, |most, x| most.max(*x));
        // A step of -50 dBFS: less is not heard in a room.
        if sharp[n] > 2.0 * usual + 1e-2 && found.last().is_none_or(|last| n > last + AROUND) {
            found.push(n + 2);
        }
    }
    found
}

/// Something like a voice: harmonics of a gliding pitch through two formants, in syllables, `seconds` long.
pub(crate) fn voice(pitch_hz: f32, glide_hz: f32, seconds: f32) -> Vec<f32> {
    let mut phase = 0.0_f32;
    let formant =
        |hz: f32| 1.0 / (1.0 + ((hz - 600.0) / 250.0).powi(2)) + 0.5 / (1.0 + ((hz - 1_600.0) / 300.0).powi(2));
    let count = (seconds * HEAR_RATE as f32) as usize;
    (0..count)
        .map(|n| {
            let t = n as f32 / HEAR_RATE as f32;
            let pitch = pitch_hz + glide_hz * (t * 4.0).sin();
            phase = (phase + pitch / HEAR_RATE as f32).fract();
            let harmonics = 1..=(3_500.0 / pitch) as usize;
            let tone: f32 =
                harmonics.map(|k| (phase * k as f32 * std::f32::consts::TAU).sin() * formant(k as f32 * pitch)).sum();
            // It ends as softly as it begins: an edge would be a click of the voice's own.
            let end = ((count - n) as f32 / 800.0).min(1.0);
            0.15 * tone * (0.5 - 0.5 * (t * 19.0).cos()) * end
        })
        .collect()
}
