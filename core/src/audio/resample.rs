//! From one sample rate to another, in pieces of any size: 48 kHz to the 16 kHz that the models hear, a voice's
//! 22.05 kHz to the 48 kHz of the line, 8 kHz telephone audio to either.
//!
//! The work is done by rubato's synchronous FFT resampler (overlap-add with a windowed sinc); this file adds what a
//! stream needs: input of any length, output aligned with the input, and an end.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler as _};

/// Frames of the slower side that one FFT block holds at least. The filter is as long as the block, so this sets how
/// close its edge comes to the Nyquist frequency (160 frames: 0.92 of it, 7.3 kHz at 16 kHz) and the delay (half a
/// block: 5 ms between 48 and 16 kHz).
const BLOCK_FRAMES: u32 = 160;

/// No block may be longer than this part of a second (1/10): rates without a common divisor would need blocks of a
/// second and delay a call by half of that.
const BLOCKS_PER_SECOND_MIN: u32 = 10;

/// Two rates between which no stream can be resampled with a bearable delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot resample from {from_hz} Hz to {to_hz} Hz: use rates such as 8000, 16000, 22050, 24000, 44100 or 48000")]
pub struct UnsupportedRates {
    pub from_hz: u32,
    pub to_hz: u32,
}

/// A mono stream on its way from one rate to another.
pub struct Resampler {
    /// Nothing to do when both rates are the same.
    engine: Option<Engine>,
    from_hz: u64,
    to_hz: u64,
    /// Whether the first [`Resampler::delay`] samples are dropped, so that output and input are aligned.
    aligned: bool,
    /// Samples taken in and given out since the stream began.
    taken: u64,
    given: u64,
}

struct Engine {
    fft: Fft<f32>,
    /// Input that does not fill a block yet.
    pending: Vec<f32>,
    block_in: usize,
    /// One block of output.
    block_out: Vec<f32>,
    /// Samples at the beginning of the stream that are still to be dropped.
    to_drop: usize,
}

impl Resampler {
    /// A resampler for clips: output sample `n` belongs to the moment `n / to_hz` of the input, and after
    /// [`Resampler::flush`] there are as many as the input's duration asks for. Output lags behind by [`Resampler::delay`]
    /// within the stream.
    ///
    /// # Errors
    /// When a rate is zero or the two have too small a common divisor.
    pub fn new(from_hz: u32, to_hz: u32) -> Result<Self, UnsupportedRates> {
        Self::build(from_hz, to_hz, true)
    }

    /// A resampler for live sound: a whole block in gives a whole block out from the first push on (960 samples at
    /// 48 kHz are always 320 at 16 kHz), late by [`Resampler::delay`].
    ///
    /// # Errors
    /// When a rate is zero or the two have too small a common divisor.
    pub fn live(from_hz: u32, to_hz: u32) -> Result<Self, UnsupportedRates> {
        Self::build(from_hz, to_hz, false)
    }

    fn build(from_hz: u32, to_hz: u32, aligned: bool) -> Result<Self, UnsupportedRates> {
        let engine = if from_hz == to_hz && from_hz > 0 { None } else { Some(Engine::new(from_hz, to_hz, aligned)?) };
        Ok(Self { engine, from_hz: from_hz.into(), to_hz: to_hz.into(), aligned, taken: 0, given: 0 })
    }

    /// Samples at the output rate by which the output lags behind the input; zero when the rates are the same.
    pub fn delay(&self) -> usize {
        self.engine.as_ref().map_or(0, |engine| engine.fft.output_delay())
    }

    /// Takes in any number of samples and appends what is ready to `out`.
    pub fn push(&mut self, input: &[f32], out: &mut Vec<f32>) {
        self.taken += input.len() as u64;
        let before = out.len();
        match &mut self.engine {
            None => out.extend_from_slice(input),
            Some(engine) => engine.push(input, out),
        }
        self.given += (out.len() - before) as u64;
    }

    /// Ends the stream: appends what the resampler still holds to `out` and starts afresh, as if new.
    pub fn flush(&mut self, out: &mut Vec<f32>) {
        let tail = if self.aligned { 0 } else { self.delay() as u64 };
        let due = samples_at(self.taken, self.from_hz, self.to_hz) + tail;
        if let Some(engine) = &mut self.engine {
            engine.finish(due.saturating_sub(self.given), out, self.aligned);
        }
        self.taken = 0;
        self.given = 0;
    }
}

/// How many samples at `to_hz` last as long as `samples` at `from_hz`, rounded to the nearest.
pub fn samples_at(samples: u64, from_hz: u64, to_hz: u64) -> u64 {
    (samples * to_hz + from_hz / 2) / from_hz.max(1)
}

impl Engine {
    fn new(from_hz: u32, to_hz: u32, aligned: bool) -> Result<Self, UnsupportedRates> {
        let unsupported = UnsupportedRates { from_hz, to_hz };
        if from_hz == 0 || to_hz == 0 {
            return Err(unsupported);
        }
        let divisor = greatest_common_divisor(from_hz, to_hz);
        // An even number on both sides: half a block, the delay, must be a whole number of samples.
        let blocks = BLOCK_FRAMES.div_ceil(from_hz.min(to_hz) / divisor).next_multiple_of(2);
        let block_in = blocks * (from_hz / divisor);
        if block_in > from_hz / BLOCKS_PER_SECOND_MIN {
            return Err(unsupported);
        }
        let fft = Fft::new(from_hz as usize, to_hz as usize, block_in as usize, 1, FixedSync::Both)
            .map_err(|_| unsupported)?;
        let to_drop = if aligned { fft.output_delay() } else { 0 };
        let block_out = vec![0.0; fft.output_frames_next()];
        Ok(Self {
            pending: Vec::with_capacity(block_in as usize),
            block_in: fft.input_frames_next(),
            block_out,
            to_drop,
            fft,
        })
    }

    fn push(&mut self, mut input: &[f32], out: &mut Vec<f32>) {
        if !self.pending.is_empty() {
            let missing = (self.block_in - self.pending.len()).min(input.len());
            self.pending.extend_from_slice(&input[..missing]);
            input = &input[missing..];
            if self.pending.len() < self.block_in {
                return;
            }
            let block = std::mem::take(&mut self.pending);
            self.convert(&block, out);
            self.pending = block;
            self.pending.clear();
        }
        let mut blocks = input.chunks_exact(self.block_in);
        for block in &mut blocks {
            self.convert(block, out);
        }
        self.pending.extend_from_slice(blocks.remainder());
    }

    /// Converts one whole block.
    fn convert(&mut self, block: &[f32], out: &mut Vec<f32>) {
        let frames = self.block_out.len();
        let source = InterleavedSlice::new(block, 1, block.len()).expect("one channel fits its own length");
        let mut sink =
            InterleavedSlice::new_mut(&mut self.block_out, 1, frames).expect("one channel fits its own length");
        self.fft
            .process_into_buffer(&source, &mut sink, None)
            .expect("blocks have the size that the resampler asked for");
        let dropped = self.to_drop.min(frames);
        self.to_drop -= dropped;
        out.extend_from_slice(&self.block_out[dropped..]);
    }

    /// Pushes silence until `due` more samples have come out, cuts there, and forgets the stream.
    fn finish(&mut self, due: u64, out: &mut Vec<f32>, aligned: bool) {
        let end = out.len() + due as usize;
        let silence = vec![0.0; self.block_in];
        while out.len() < end {
            self.push(&silence, out);
        }
        out.truncate(end);
        self.pending.clear();
        self.fft.reset();
        self.to_drop = if aligned { self.fft.output_delay() } else { 0 };
    }
}

fn greatest_common_divisor(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RATES_HZ: [u32; 6] = [8_000, 16_000, 22_050, 24_000, 44_100, 48_000];

    fn tone(hz: f64, rate_hz: u32, samples: usize) -> Vec<f32> {
        let step = std::f64::consts::TAU * hz / f64::from(rate_hz);
        (0..samples).map(|n| (0.5 * (step * n as f64).sin()) as f32).collect()
    }

    fn whole(resampler: &mut Resampler, input: &[f32]) -> Vec<f32> {
        let mut out = Vec::new();
        resampler.push(input, &mut out);
        resampler.flush(&mut out);
        out
    }

    /// Power of `wanted` over power of the difference, in dB; the ends, where a tone that starts abruptly cannot be
    /// resampled, are left out.
    fn snr_db(got: &[f32], wanted: &[f32]) -> f64 {
        let inner = got.len() / 10..got.len() * 9 / 10;
        let power = |samples: &mut dyn Iterator<Item = f64>| samples.map(|x| x * x).sum::<f64>();
        let signal = power(&mut wanted[inner.clone()].iter().map(|&x| f64::from(x)));
        let noise = power(&mut inner.map(|n| f64::from(got[n]) - f64::from(wanted[n])));
        10.0 * (signal / noise.max(1e-30)).log10()
    }

    #[test]
    fn a_tone_comes_out_as_the_same_tone_in_place_between_any_two_rates() {
        for from_hz in RATES_HZ {
            for to_hz in RATES_HZ {
                let hz = f64::from(from_hz.min(to_hz)) * 0.31;
                let input = tone(hz, from_hz, from_hz as usize / 2);
                let out = whole(&mut Resampler::new(from_hz, to_hz).unwrap(), &input);
                let snr = snr_db(&out, &tone(hz, to_hz, out.len()));
                assert!(snr > 90.0, "{from_hz} -> {to_hz} Hz: {snr:.1} dB");
            }
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_hold_is_gone_instead_of_folded_back() {
        let out = whole(&mut Resampler::new(48_000, 16_000).unwrap(), &tone(9_500.0, 48_000, 24_000));
        let loudest = out[800..out.len() - 800].iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        assert!(loudest < 0.5e-4, "a 9.5 kHz tone leaves {loudest}");
    }

    /// Power of one tone in the inner part, relative to its amplitude squared, in dB.
    fn level_db(samples: &[f32], hz: f64, rate_hz: u32) -> f64 {
        let inner = &samples[samples.len() / 10..samples.len() * 9 / 10];
        let step = std::f64::consts::TAU * hz / f64::from(rate_hz);
        let (re, im) = inner.iter().enumerate().fold((0.0, 0.0), |(re, im), (n, x)| {
            // A Hann window, so that a loud tone does not leak over a faint one.
            let hann = 0.5 - 0.5 * (std::f64::consts::TAU * n as f64 / inner.len() as f64).cos();
            let x = f64::from(*x) * hann;
            (re + x * (step * n as f64).cos(), im + x * (step * n as f64).sin())
        });
        10.0 * ((re * re + im * im) * (4.0 / inner.len() as f64).powi(2)).max(1e-30).log10()
    }

    #[test]
    fn telephone_speech_keeps_its_band_and_leaves_no_mirror_image_above_it() {
        for to_hz in [16_000, 48_000] {
            for hz in [300.0, 1_000.0, 2_000.0, 3_000.0, 3_400.0] {
                let out = whole(&mut Resampler::new(8_000, to_hz).unwrap(), &tone(hz, 8_000, 8_000));
                // The tone has an amplitude of 0.5: -6 dB.
                let kept = level_db(&out, hz, to_hz) - 20.0 * 0.5_f64.log10();
                assert!(kept.abs() < 0.1, "{hz} Hz comes out at {kept:+.2} dB");
                let image = level_db(&out, 8_000.0 - hz, to_hz);
                assert!(image < -90.0, "{hz} Hz leaves {image:.0} dB at {} Hz", 8_000.0 - hz);
            }
        }
    }

    #[test]
    fn a_live_frame_of_20_ms_is_always_a_frame_of_20_ms() {
        for (from_hz, to_hz) in [(48_000, 16_000), (16_000, 48_000), (8_000, 48_000), (48_000, 8_000)] {
            let mut resampler = Resampler::live(from_hz, to_hz).unwrap();
            for _ in 0..5 {
                let mut out = Vec::new();
                resampler.push(&vec![0.25; from_hz as usize / 50], &mut out);
                assert_eq!(out.len(), to_hz as usize / 50, "{from_hz} -> {to_hz}");
            }
            assert!(resampler.delay() <= to_hz as usize / 100, "half a 20 ms block at most");
        }
    }

    #[test]
    fn a_live_stream_is_late_by_the_delay_it_names() {
        let mut resampler = Resampler::live(48_000, 16_000).unwrap();
        let input = tone(440.0, 48_000, 48_000);
        let out = whole(&mut resampler, &input);
        assert_eq!(out.len(), 16_000 + resampler.delay());
        assert!(snr_db(&out[resampler.delay()..], &tone(440.0, 16_000, 16_000)) > 90.0);
    }

    #[test]
    fn a_flushed_resampler_is_as_good_as_new() {
        let mut used = Resampler::new(22_050, 48_000).unwrap();
        whole(&mut used, &tone(3_000.0, 22_050, 5_001));
        let input = tone(700.0, 22_050, 4_321);
        assert_eq!(whole(&mut used, &input), whole(&mut Resampler::new(22_050, 48_000).unwrap(), &input));
    }

    #[test]
    fn equal_rates_pass_through_untouched() {
        let input = tone(440.0, 48_000, 1_000);
        assert_eq!(whole(&mut Resampler::new(48_000, 48_000).unwrap(), &input), input);
    }

    #[test]
    fn rates_that_would_delay_a_call_are_refused_by_name() {
        for (from_hz, to_hz) in [(0, 48_000), (48_000, 0), (0, 0), (22_051, 48_000)] {
            let refusal = Resampler::new(from_hz, to_hz).err().expect("refused");
            assert_eq!(refusal, UnsupportedRates { from_hz, to_hz });
        }
    }

    proptest! {
        #[test]
        fn pieces_of_any_size_give_what_the_whole_gives(
            from in 0..RATES_HZ.len(),
            to in 0..RATES_HZ.len(),
            pieces in prop::collection::vec(0_usize..2_000, 0..20),
        ) {
            let (from_hz, to_hz) = (RATES_HZ[from], RATES_HZ[to]);
            let input = tone(1_234.5, from_hz, pieces.iter().sum());
            let mut resampler = Resampler::new(from_hz, to_hz).unwrap();
            let (mut out, mut at) = (Vec::new(), 0);
            for piece in pieces {
                resampler.push(&input[at..at + piece], &mut out);
                at += piece;
            }
            resampler.flush(&mut out);
            prop_assert_eq!(out.len() as u64, samples_at(input.len() as u64, from_hz.into(), to_hz.into()));
            prop_assert_eq!(out, whole(&mut Resampler::new(from_hz, to_hz).unwrap(), &input));
        }
    }
}
