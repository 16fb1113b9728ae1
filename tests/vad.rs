//! Voice activity detection held to the numbers that ONNX Runtime 1.31 computes from the same graph.
//!
//! `tests/golden/vad/` holds one probability a line, for: made-up weights (which need no model file), the trained
//! weights over a synthetic voice, and the trained weights over a recording.

mod shared;

use std::sync::Arc;

use duologue::audio::vad::{EnergyVad, SileroVad, SileroWeights, VAD_FRAME, Vad, VadFault};
use proptest::prelude::*;
use shared::{Noise, synthetic_voice};

/// The tensors of the graph in the order in which the made-up weights are numbered: name, numbers, scale.
const TENSORS: [(&str, usize, f64); 15] = [
    ("model.stft.forward_basis_buffer", 258 * 256, 0.25),
    ("model.encoder.0.reparam_conv.weight", 128 * 129 * 3, 2.5 / 19.672_315_572_906),
    ("model.encoder.0.reparam_conv.bias", 128, 0.1),
    ("model.encoder.1.reparam_conv.weight", 64 * 128 * 3, 2.5 / 19.595_917_942_265_423),
    ("model.encoder.1.reparam_conv.bias", 64, 0.1),
    ("model.encoder.2.reparam_conv.weight", 64 * 64 * 3, 2.5 / 13.856_406_460_551_018),
    ("model.encoder.2.reparam_conv.bias", 64, 0.1),
    ("model.encoder.3.reparam_conv.weight", 128 * 64 * 3, 2.5 / 13.856_406_460_551_018),
    ("model.encoder.3.reparam_conv.bias", 128, 0.1),
    ("model.decoder.rnn.weight_ih", 512 * 128, 2.5 / 11.313_708_498_984_761),
    ("model.decoder.rnn.weight_hh", 512 * 128, 2.5 / 11.313_708_498_984_761),
    ("model.decoder.rnn.bias_ih", 512, 0.1),
    ("model.decoder.rnn.bias_hh", 512, 0.1),
    ("model.decoder.decoder.2.weight", 128, 0.5),
    ("model.decoder.decoder.2.bias", 1, 0.5),
];

#[test]
fn the_network_computes_what_onnx_runtime_computes_for_made_up_weights() {
    let weights = SileroWeights::parse(&made_up_model()).expect("a model of this shape");
    let golden = golden(include_str!("golden/vad/formula-weights.txt"));
    let mut vad = SileroVad::new(Arc::new(weights));
    let voice = synthetic_voice(100 * VAD_FRAME);
    assert_close(&heard(&mut vad, &voice), &golden);
    vad.reset();
    assert_close(&heard(&mut vad, &voice), &golden);
}

#[test]
fn the_trained_network_computes_what_onnx_runtime_computes() {
    let Some(mut vad) = trained() else { return };
    let golden = golden(include_str!("golden/vad/silero-buzz.txt"));
    assert_close(&heard(&mut vad, &synthetic_voice(300 * VAD_FRAME)), &golden);
}

#[test]
fn a_recording_gets_the_probabilities_that_onnx_runtime_gives_it() {
    let (Some(mut vad), Some(jfk)) = (trained(), shared::recording("misc/jfk.wav")) else { return };
    assert_close(&heard(&mut vad, &jfk), &golden(include_str!("golden/vad/silero-jfk.txt")));
}

#[test]
fn a_sample_that_is_no_number_does_not_spoil_the_rest_of_the_call() {
    let weights = Arc::new(SileroWeights::parse(&made_up_model()).expect("a model of this shape"));
    for vad in [&mut SileroVad::new(weights) as &mut dyn Vad, &mut EnergyVad::new()] {
        for spoilt in [f32::NAN, f32::INFINITY, f32::MAX] {
            vad.reset();
            let fresh = vad.probability(&[0.0; VAD_FRAME]);
            vad.probability(&[spoilt; VAD_FRAME]);
            vad.probability(&[0.0; VAD_FRAME]);
            let after = vad.probability(&[0.0; VAD_FRAME]);
            assert!((0.0..=1.0).contains(&after), "{after} after {spoilt}");
            vad.reset();
            assert_eq!(vad.probability(&[0.0; VAD_FRAME]), fresh);
        }
    }
}

#[test]
fn another_network_is_named_as_such() {
    let other = onnx(&TENSORS.map(|(name, numbers, _)| (name, vec![0.0; numbers]))[1..]);
    let fault = SileroWeights::parse(&other).err().expect("refused");
    assert_eq!(fault, VadFault::Missing { name: "model.stft.forward_basis_buffer" });

    let mut tensors = TENSORS.map(|(name, numbers, _)| (name, vec![0.0; numbers]));
    tensors[14].1.push(0.0);
    let fault = SileroWeights::parse(&onnx(&tensors)).err().expect("refused");
    assert_eq!(fault, VadFault::Shape { name: "model.decoder.decoder.2.bias", wanted: 1, found: 2 });
}

#[test]
fn energy_tells_a_voice_from_the_noise_that_it_has_got_used_to() {
    let mut vad = EnergyVad::new();
    let mut noise = Noise(3);
    let mut noise_frame = |level: f32| -> [f32; VAD_FRAME] { std::array::from_fn(|_| level * noise.next() as f32) };
    let mut last = 1.0;
    for _ in 0..600 {
        last = vad.probability(&noise_frame(0.01));
    }
    assert!(last < 0.1, "steady noise is not speech: {last}");
    assert!(vad.probability(&noise_frame(0.1)) > 0.9, "20 dB more is");
    assert!(vad.probability(&[0.0; VAD_FRAME]) < 0.05, "silence is not");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_a_fault_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(SileroWeights::parse(&bytes).is_err());
    }

    #[test]
    fn a_truncated_model_is_a_fault(cut in 0usize..1_280_000) {
        let model = onnx(&TENSORS.map(|(name, numbers, _)| (name, vec![0.5; numbers])));
        prop_assert!(SileroWeights::parse(&model[..cut.min(model.len() - 1)]).is_err());
    }
}

fn trained() -> Option<SileroVad> {
    let file = shared::model("silero_vad_16k_op15.onnx", "silero-vad")?;
    let weights = SileroWeights::parse(&std::fs::read(file).expect("readable")).expect("the Silero VAD");
    Some(SileroVad::new(Arc::new(weights)))
}

fn heard(vad: &mut impl Vad, audio: &[f32]) -> Vec<f32> {
    let (frames, _) = audio.as_chunks::<VAD_FRAME>();
    frames.iter().map(|frame| vad.probability(frame)).collect()
}

fn golden(text: &str) -> Vec<f32> {
    text.lines().map(|line| line.parse().expect("a number a line")).collect()
}

fn assert_close(found: &[f32], golden: &[f32]) {
    assert_eq!(found.len(), golden.len());
    let worst = found.iter().zip(golden).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("largest difference {worst:e} over {} frames", golden.len());
    assert!(worst < 1e-4, "largest difference {worst:e}");
}

fn made_up_model() -> Vec<u8> {
    let tensors = std::array::from_fn::<_, { TENSORS.len() }, _>(|i| {
        let (name, numbers, scale) = TENSORS[i];
        let mut noise = Noise(i as u32 + 1);
        let scale = f64::from(scale as f32);
        (name, (0..numbers).map(|_| (noise.next() * scale) as f32).collect::<Vec<f32>>())
    });
    onnx(&tensors)
}

/// An ONNX file with these initializers and nothing else but a producer's name.
fn onnx(tensors: &[(&str, Vec<f32>)]) -> Vec<u8> {
    let mut graph = Vec::new();
    for (name, numbers) in tensors {
        let raw: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let mut tensor = Vec::new();
        field(&mut tensor, 8, name.as_bytes());
        field(&mut tensor, 9, &raw);
        field(&mut graph, 5, &tensor);
    }
    let mut model = vec![0x08, 0x08];
    field(&mut model, 2, b"duologue");
    field(&mut model, 7, &graph);
    model
}

fn field(message: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    message.push(number << 3 | 2);
    let mut length = bytes.len();
    while length >= 0x80 {
        message.push(length as u8 | 0x80);
        length >>= 7;
    }
    message.push(length as u8);
    message.extend_from_slice(bytes);
}
