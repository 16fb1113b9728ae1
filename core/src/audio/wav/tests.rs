use std::io::Cursor;

use proptest::prelude::*;

use super::*;

/// A mono WAV of the given integer width or of floats, written by hound itself.
fn wav(bits: u16, format: SampleFormat, channels: u16, samples: &[f32]) -> Vec<u8> {
    let spec = WavSpec { channels, sample_rate: 22_050, bits_per_sample: bits, sample_format: format };
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut bytes, spec).unwrap();
    for &sample in samples {
        match format {
            SampleFormat::Float => writer.write_sample(sample).unwrap(),
            SampleFormat::Int => {
                let full_scale = ((1_u64 << (bits - 1)) - 1) as f32;
                writer.write_sample((sample * full_scale) as i32).unwrap();
            }
        }
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}

#[test]
fn every_pcm_width_reads_as_the_same_sound() {
    let sound = [0.0, 0.5, -0.5, 0.25, -0.75];
    for (bits, format, error) in [
        (8, SampleFormat::Int, 0.02),
        (16, SampleFormat::Int, 1e-4),
        (24, SampleFormat::Int, 1e-6),
        (32, SampleFormat::Int, 1e-6),
        (32, SampleFormat::Float, 0.0),
    ] {
        let read = read(&wav(bits, format, 1, &sound)[..]).unwrap();
        assert_eq!((read.rate_hz, read.right.is_none()), (22_050, true));
        for (a, b) in read.left.iter().zip(&sound) {
            assert!((a - b).abs() <= error, "{bits} bit {format:?}: {a} for {b}");
        }
    }
}

#[test]
fn two_channels_are_the_two_sides_and_more_are_mixed() {
    let stereo = read(&wav(32, SampleFormat::Float, 2, &[0.1, 0.3, 0.2, 0.4])[..]).unwrap();
    assert_eq!((stereo.left.as_slice(), stereo.right.as_deref()), (&[0.1, 0.2][..], Some(&[0.3, 0.4][..])));
    assert_eq!(stereo.duration(), Duration::from_secs_f64(2.0 / 22_050.0));
    assert_eq!(stereo.into_mono(), [0.2, 0.3]);
    let four = read(&wav(32, SampleFormat::Float, 4, &[0.1, 0.1, 0.3, 0.3])[..]).unwrap();
    assert_eq!((four.left.as_slice(), four.right), (&[0.2][..], None));
}

#[test]
fn a_file_cut_short_yields_what_is_there() {
    let whole = wav(16, SampleFormat::Int, 1, &[0.5; 1_000]);
    let read = read(&whole[..whole.len() - 501]).unwrap();
    assert_eq!(read.left.len(), 749);
}

#[test]
fn what_is_no_pcm_wav_is_refused_with_the_way_out() {
    for wrong in [&b""[..], b"RIFF", b"not a wav file at all, but long enough to be one, with a header and so on"] {
        let error = read(wrong).unwrap_err();
        assert!(error.to_string().contains("ffmpeg"), "{error}");
    }
}

#[test]
fn the_shorter_side_of_a_stereo_recording_is_filled_with_silence() {
    let mut bytes = Cursor::new(Vec::new());
    write_stereo(&mut bytes, 48_000, &[0.5, 0.5, 0.5], &[-0.25]).unwrap();
    let sound = read(&bytes.get_ref()[..]).unwrap();
    assert_eq!(sound.left, [0.5, 0.5, 0.5]);
    assert_eq!(sound.right.unwrap(), [-0.25, 0.0, 0.0]);
}

#[test]
fn what_is_too_loud_is_clipped_and_never_wraps() {
    let mut bytes = Cursor::new(Vec::new());
    write_mono(&mut bytes, 16_000, &[3.0, -3.0, f32::NAN]).unwrap();
    let sound = read(&bytes.get_ref()[..]).unwrap();
    assert_eq!(sound.left, [32_767.0 / 32_768.0, -1.0, 0.0]);
}

proptest! {
    #[test]
    fn what_was_written_is_read_back(sound in prop::collection::vec(-1.0_f32..1.0, 0..500), rate in 8_000_u32..96_000) {
        let mut bytes = Cursor::new(Vec::new());
        write_mono(&mut bytes, rate, &sound).unwrap();
        let read = read(&bytes.get_ref()[..]).unwrap();
        prop_assert_eq!(read.rate_hz, rate);
        prop_assert_eq!(read.left.len(), sound.len());
        for (a, b) in read.left.iter().zip(&sound) {
            prop_assert!((a - b).abs() <= 1.0 / 32_768.0);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused_without_a_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), header: bool) {
        if header {
            let mut file = wav(16, SampleFormat::Int, 1, &[0.1; 8]);
            // Any header fields, a valid frame around them.
            let n = bytes.len().min(24);
            file[20..20 + n].copy_from_slice(&bytes[..n]);
            bytes = file;
        }
        let _ = read(&bytes[..]);
    }
}
