//! The fetched models are the published ones, and the voice in parts says what the whole voice says.
//!
//! Needs the models (`duologue models fetch --for-default`, which `make test` runs); says so where they are absent.

use std::fs;

use duologue::models::{Library, Presence};
use ort::session::Session;
use ort::value::Tensor;
use sha1::{Digest, Sha1};

fn library() -> Library {
    Library::open(None).expect("a place for models")
}

/// Whether the model is here; prints what to run where it is not.
fn is_here(library: &Library, id: &str) -> bool {
    let model = library.manifest().model(id).expect("listed");
    let here = matches!(library.presence(model), Presence::Present);
    if !here {
        println!("{id} is not in {}; run `duologue models fetch {id}`", library.directory().display());
    }
    here
}

#[test]
fn converted_whisper_models_have_the_published_sha1() {
    let library = library();
    for (id, file, published) in [
        ("whisper-tiny.en", "ggml-tiny.en.bin", "c78c86eb1a8faa21b369bcd33207cc90d64ae9df"),
        ("whisper-base", "ggml-base.bin", "465707469ff3a37a2b9b8d8f89f2f99de7299dac"),
    ] {
        if is_here(&library, id) {
            let bytes = fs::read(library.path(id, file).expect("there")).expect("readable");
            let sha1: String = Sha1::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(sha1, published, "{file}");
        }
    }
}

#[test]
fn every_model_that_is_here_is_what_the_manifest_lists() {
    let library = library();
    let models = &library.manifest().models;
    let here: Vec<&str> = models.iter().map(|model| model.id.as_str()).filter(|id| is_here(&library, id)).collect();
    assert!(library.verify(&here).is_ok(), "{:?}", library.verify(&here));
}

/// "Hello." in the phoneme ids of Piper's English voices, padded as they expect it.
const HELLO: [i64; 17] = [1, 0, 20, 0, 59, 0, 24, 0, 120, 0, 27, 0, 100, 0, 10, 0, 2];

fn session(library: &Library, file: &str) -> Session {
    let path = library.path("piper-joe", file).expect("there");
    Session::builder().expect("a builder").commit_from_file(path).expect("a model")
}

fn samples_of(outputs: &ort::session::SessionOutputs<'_>, name: &str) -> (Vec<i64>, Vec<f32>) {
    let (shape, data) = outputs[name].try_extract_tensor::<f32>().expect("floats");
    (shape.to_vec(), data.to_vec())
}

#[test]
fn the_voice_in_parts_says_what_the_whole_voice_says() {
    let library = library();
    if !is_here(&library, "piper-joe") || !is_here(&library, "onnxruntime") {
        return;
    }
    let runtime = library.path("onnxruntime", "libonnxruntime.so.1.31.1").expect("there");
    ort::init_from(runtime).expect("the runtime").commit();

    // No noise at all: both must then give the same samples.
    let text = || {
        ort::inputs![
            "input" => Tensor::from_array(([1, HELLO.len()], HELLO.to_vec())).expect("a tensor"),
            "input_lengths" => Tensor::from_array(([1], vec![HELLO.len() as i64])).expect("a tensor"),
            "scales" => Tensor::from_array(([3], vec![0f32, 1.0, 0.0])).expect("a tensor"),
        ]
    };
    let mut whole = session(&library, "en_US-joe-medium.onnx");
    let (_, expected) = samples_of(&whole.run(text()).expect("speech"), "output");

    let mut frontend = session(&library, "en_US-joe-medium.frontend.onnx");
    let front = frontend.run(text()).expect("frames");
    let [z_p, mask, durations] = ["z_p", "mask", "durations"].map(|name| samples_of(&front, name));
    let mut flow = session(&library, "en_US-joe-medium.flow.onnx");
    let flowed = flow
        .run(ort::inputs!["z_p" => Tensor::from_array(z_p.clone()).expect("a tensor"),
                          "mask" => Tensor::from_array(mask).expect("a tensor")])
        .expect("a flow");
    let z = samples_of(&flowed, "z");
    let mut vocoder = session(&library, "en_US-joe-medium.vocoder.onnx");
    let spoken = vocoder.run(ort::inputs!["z" => Tensor::from_array(z).expect("a tensor")]).expect("speech");
    let (_, spoken) = samples_of(&spoken, "output");

    assert_eq!(spoken.len(), expected.len());
    let loudest = expected.iter().fold(0f32, |loudest, sample| loudest.max(sample.abs()));
    assert!(loudest > 0.05, "the voice is silent");
    let furthest = spoken.iter().zip(&expected).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(furthest < 1e-5, "samples differ by {furthest}");

    let (shape, frames) = durations;
    assert_eq!(shape, [1, 1, HELLO.len() as i64], "one duration for each phoneme");
    assert_eq!(frames.iter().sum::<f32>() as usize * 256, expected.len());
    assert_eq!(frames.iter().sum::<f32>() as i64, z_p.0[2]);
}
