//! The mel filter bank that a Whisper ggml file carries, to the bit as `openai/whisper` ships it.

/// Mel bands of all Whisper models but large-v3.
pub const BANDS: usize = 80;
/// Bins of the 400-point Fourier transform of real samples.
pub const BINS: usize = 201;

const SAMPLE_RATE_HZ: f64 = 16_000.0;
const FFT_LENGTH: f64 = 400.0;

/// The weights, band by band, [`BINS`] each: librosa's `filters.mel` with Slaney's scale and area normalisation.
///
/// The published table went through single precision twice, once as triangle and once after the normalisation; both
/// roundings are repeated here because the file must be the published one.
pub fn filters() -> Vec<f32> {
    let edges: Vec<f64> = edges_hz();
    let mut weights = Vec::with_capacity(BANDS * BINS);
    for band in edges.windows(3) {
        let (low, middle, high) = (band[0], band[1], band[2]);
        let area = 2.0 / (high - low);
        for bin in 0..BINS {
            let hz = bin as f64 * SAMPLE_RATE_HZ / FFT_LENGTH;
            let rise = (hz - low) / (middle - low);
            let fall = (high - hz) / (high - middle);
            let triangle = rise.min(fall).max(0.0) as f32;
            // Adding zero turns the -0.0 of an edge into the +0.0 of the published file.
            weights.push((f64::from(triangle) * area) as f32 + 0.0);
        }
    }
    weights
}

/// Band edges at equal mel distances from 0 Hz to the Nyquist frequency.
fn edges_hz() -> Vec<f64> {
    let top = mel_of_hz(SAMPLE_RATE_HZ / 2.0);
    let steps = BANDS + 1;
    let step = top / steps as f64;
    (0..=steps).map(|i| hz_of_mel(if i == steps { top } else { i as f64 * step })).collect()
}

/// Slaney's scale (Auditory Toolbox, 1998): linear below 1 kHz, logarithmic above.
const HZ_PER_MEL: f64 = 200.0 / 3.0;
const BREAK_HZ: f64 = 1_000.0;
const BREAK_MEL: f64 = 15.0;

fn log_step() -> f64 {
    6.4f64.ln() / 27.0
}

fn mel_of_hz(hz: f64) -> f64 {
    if hz < BREAK_HZ { hz / HZ_PER_MEL } else { BREAK_MEL + (hz / BREAK_HZ).ln() / log_step() }
}

fn hz_of_mel(mel: f64) -> f64 {
    if mel < BREAK_MEL { mel * HZ_PER_MEL } else { BREAK_HZ * (log_step() * (mel - BREAK_MEL)).exp() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_band_has_weight_and_no_zero_is_negative() {
        let weights = filters();
        assert_eq!(weights.len(), BANDS * BINS);
        for band in weights.chunks(BINS) {
            assert!(band.iter().any(|&weight| weight > 0.0));
            assert!(band.iter().all(|weight| weight.is_sign_positive()));
        }
    }

    #[test]
    fn the_scale_and_its_inverse_agree() {
        for hz in [0.0, 440.0, 999.0, 1_000.0, 3_400.0, 8_000.0] {
            assert!((hz_of_mel(mel_of_hz(hz)) - hz).abs() < 1e-9);
        }
    }
}
