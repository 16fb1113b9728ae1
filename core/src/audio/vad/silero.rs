//! Silero VAD for 16 kHz in plain Rust: the graph of `silero_vad_16k_op15.onnx` (silero-vad 6.2, MIT), one frame at
//! a time.
//!
//! It is run for every frame of every call, and costs less here than one session of an ONNX runtime would: no
//! allocation, no second thread, weights shared between calls.
//!
//! The graph: 64 samples of the frame before + 512 new ones + 64 reflected ones -> short-time spectrum (a convolution
//! with 129 cosines and 129 sines, 256 long, every 128; magnitude) -> four convolutions of width 3, each with ReLU,
//! two of them halving the time axis (4 -> 4 -> 2 -> 1 -> 1 steps) -> an LSTM of 128 cells -> ReLU -> one
//! weighted sum -> sigmoid.

use std::sync::Arc;

use super::{VAD_FRAME, Vad, VadFault, onnx};

/// Samples of the frame before that the network sees again.
const CONTEXT: usize = 64;
const INPUT: usize = CONTEXT + VAD_FRAME;
/// Samples reflected at the end only.
const REFLECTED: usize = 64;
const WINDOW: usize = 256;
const HOP: usize = 128;
/// Steps in time of the spectrum.
const STEPS: usize = 1 + (INPUT + REFLECTED - WINDOW) / HOP;
/// Frequencies of the spectrum.
const BINS: usize = WINDOW / 2 + 1;
const CELLS: usize = 128;
/// Width of a convolution in time, with one step of zeros at either end.
const WIDTH: usize = 3;
/// Numbers of the widest layer.
const LAYER: usize = (STEPS + 2) * BINS;

const STFT: &str = "model.stft.forward_basis_buffer";
const ENCODER: [[&str; 2]; 4] = [
    ["model.encoder.0.reparam_conv.weight", "model.encoder.0.reparam_conv.bias"],
    ["model.encoder.1.reparam_conv.weight", "model.encoder.1.reparam_conv.bias"],
    ["model.encoder.2.reparam_conv.weight", "model.encoder.2.reparam_conv.bias"],
    ["model.encoder.3.reparam_conv.weight", "model.encoder.3.reparam_conv.bias"],
];

/// The trained numbers, shared by all calls; 1.2 MB.
pub struct SileroWeights {
    /// `[2 * BINS][WINDOW]`: cosines, then sines.
    stft: Vec<f32>,
    encoder: [Convolution; 4],
    /// `[4 * CELLS][2 * CELLS]`: the gates (input, forget, cell, output) over the input and the cells' last output.
    gates: Vec<f32>,
    gates_bias: Vec<f32>,
    output: Vec<f32>,
    output_bias: f32,
}

/// A convolution over time; the weights lie `[outputs][WIDTH][inputs]`, so that an output is one dot product with
/// `WIDTH` consecutive steps.
struct Convolution {
    weights: Vec<f32>,
    bias: Vec<f32>,
    inputs: usize,
    stride: usize,
}

impl SileroWeights {
    /// Reads the weights out of `silero_vad_16k_op15.onnx`.
    ///
    /// # Errors
    /// When the bytes are truncated, no ONNX, or another network.
    pub fn parse(file: &[u8]) -> Result<Self, VadFault> {
        let tensors = onnx::tensors(file)?;
        let read = |name: &'static str, wanted: usize| -> Result<Vec<f32>, VadFault> {
            let raw = tensors.get(name).ok_or(VadFault::Missing { name })?;
            if raw.len() != wanted * 4 {
                return Err(VadFault::Shape { name, wanted, found: raw.len() / 4 });
            }
            Ok(raw.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
        };
        let convolution = |layer: usize, inputs: usize, outputs: usize, stride: usize| {
            let [weights, bias] = ENCODER[layer];
            let by_input = read(weights, outputs * inputs * WIDTH)?;
            Ok(Convolution { weights: time_first(&by_input, inputs), bias: read(bias, outputs)?, inputs, stride })
        };
        let over_input = read("model.decoder.rnn.weight_ih", 4 * CELLS * CELLS)?;
        let over_last = read("model.decoder.rnn.weight_hh", 4 * CELLS * CELLS)?;
        let gates = over_input
            .chunks_exact(CELLS)
            .zip(over_last.chunks_exact(CELLS))
            .flat_map(|(input, last)| [input, last].concat())
            .collect();
        let bias_input = read("model.decoder.rnn.bias_ih", 4 * CELLS)?;
        let bias_last = read("model.decoder.rnn.bias_hh", 4 * CELLS)?;
        Ok(Self {
            stft: read(STFT, 2 * BINS * WINDOW)?,
            encoder: [
                convolution(0, BINS, 128, 1)?,
                convolution(1, 128, 64, 2)?,
                convolution(2, 64, 64, 2)?,
                convolution(3, 64, CELLS, 1)?,
            ],
            gates,
            gates_bias: bias_input.iter().zip(&bias_last).map(|(a, b)| a + b).collect(),
            output: read("model.decoder.decoder.2.weight", CELLS)?,
            output_bias: read("model.decoder.decoder.2.bias", 1)?[0],
        })
    }
}

/// `[outputs][inputs][WIDTH]`, as ONNX has it, to `[outputs][WIDTH][inputs]`.
fn time_first(by_input: &[f32], inputs: usize) -> Vec<f32> {
    by_input
        .chunks_exact(inputs * WIDTH)
        .flat_map(|of_output| (0..WIDTH).flat_map(move |k| of_output.iter().skip(k).step_by(WIDTH).copied()))
        .collect()
}

/// The detector of one stream.
pub struct SileroVad {
    weights: Arc<SileroWeights>,
    /// The last samples of the frame before, then this frame, then its reflected end.
    window: [f32; INPUT + REFLECTED],
    /// What the LSTM is told: the encoder's output, then the cells' last output.
    told: [f32; 2 * CELLS],
    cells: [f32; CELLS],
    /// Activations of a layer and of the next, each with a step of zeros at either end.
    layers: [[f32; LAYER]; 2],
}

impl SileroVad {
    /// A detector that has heard nothing yet.
    pub fn new(weights: Arc<SileroWeights>) -> Self {
        Self {
            weights,
            window: [0.0; INPUT + REFLECTED],
            told: [0.0; 2 * CELLS],
            cells: [0.0; CELLS],
            layers: [[0.0; LAYER]; 2],
        }
    }

    /// Magnitudes of the spectrum into `layers[0]`, steps 1..=STEPS.
    fn spectrum(&mut self) {
        let steps: [&[f32]; STEPS] = std::array::from_fn(|step| &self.window[step * HOP..][..WINDOW]);
        self.layers[0][..BINS].fill(0.0);
        self.layers[0][(STEPS + 1) * BINS..].fill(0.0);
        let (cosines, sines) = self.weights.stft.split_at(BINS * WINDOW);
        for (bin, (cosine, sine)) in cosines.chunks_exact(WINDOW).zip(sines.chunks_exact(WINDOW)).enumerate() {
            let (re, im) = (dots(cosine, steps), dots(sine, steps));
            for step in 0..STEPS {
                self.layers[0][(1 + step) * BINS + bin] = (re[step] * re[step] + im[step] * im[step]).sqrt();
            }
        }
    }

    /// The four convolutions; the result goes to the LSTM.
    fn encode(&mut self) {
        let [a, b] = &mut self.layers;
        let [first, second, third, fourth] = &self.weights.encoder;
        first.run::<4>(a, b);
        second.run::<2>(b, a);
        third.run::<1>(a, b);
        fourth.run::<1>(b, a);
        self.told[..CELLS].copy_from_slice(&a[CELLS..2 * CELLS]);
    }

    /// One step of the LSTM (Hochreiter and Schmidhuber's, with forget gates; PyTorch's order of the gates).
    fn remember(&mut self) {
        let mut gates = [0.0f32; 4 * CELLS];
        let rows = self.weights.gates.chunks_exact(2 * CELLS).zip(&self.weights.gates_bias);
        for (gate, (row, bias)) in gates.iter_mut().zip(rows) {
            *gate = bias + dots(row, [&self.told])[0];
        }
        for i in 0..CELLS {
            let [input, forget, candidate, output] = [0, 1, 2, 3].map(|gate| gates[gate * CELLS + i]);
            self.cells[i] = sigmoid(forget) * self.cells[i] + sigmoid(input) * candidate.tanh();
            self.told[CELLS + i] = sigmoid(output) * self.cells[i].tanh();
        }
    }
}

impl Vad for SileroVad {
    fn probability(&mut self, frame: &[f32; VAD_FRAME]) -> f32 {
        self.window.copy_within(VAD_FRAME..INPUT, 0);
        self.window[CONTEXT..INPUT].copy_from_slice(frame);
        for i in 0..REFLECTED {
            self.window[INPUT + i] = self.window[INPUT - 2 - i];
        }
        self.spectrum();
        self.encode();
        self.remember();
        let sum: f32 = self.told[CELLS..].iter().zip(&self.weights.output).map(|(h, w)| h.max(0.0) * w).sum();
        let probability = sigmoid(sum + self.weights.output_bias);
        if probability.is_finite() {
            probability
        } else {
            // A NaN in the audio would stay in the cells for the rest of the call.
            self.reset();
            0.0
        }
    }

    fn reset(&mut self) {
        self.window.fill(0.0);
        self.told.fill(0.0);
        self.cells.fill(0.0);
    }
}

impl Convolution {
    /// `from` and `to` hold steps of `inputs` and `outputs` numbers, a step of zeros before and after; `OUT` steps
    /// come out.
    fn run<const OUT: usize>(&self, from: &[f32], to: &mut [f32]) {
        let outputs = self.bias.len();
        to[..outputs].fill(0.0);
        to[(OUT + 1) * outputs..][..outputs].fill(0.0);
        let steps: [&[f32]; OUT] =
            std::array::from_fn(|step| &from[step * self.stride * self.inputs..][..WIDTH * self.inputs]);
        for (o, (row, bias)) in self.weights.chunks_exact(WIDTH * self.inputs).zip(&self.bias).enumerate() {
            for (step, sum) in dots(row, steps).into_iter().enumerate() {
                to[(1 + step) * outputs + o] = (sum + bias).max(0.0);
            }
        }
    }
}

/// The dot products of `row` with `N` vectors of its length, summed in eight lanes so that the compiler can use
/// vector registers: the order of additions is fixed by the code, since it may not reorder them itself.
#[inline]
fn dots<const N: usize>(row: &[f32], vectors: [&[f32]; N]) -> [f32; N] {
    const LANES: usize = 8;
    let whole = row.len() / LANES * LANES;
    let mut sums = [[0.0f32; LANES]; N];
    for at in (0..whole).step_by(LANES) {
        let weights: &[f32; LANES] = row[at..at + LANES].try_into().expect("LANES long");
        for (sum, vector) in sums.iter_mut().zip(&vectors) {
            let values: &[f32; LANES] = vector[at..at + LANES].try_into().expect("LANES long");
            for lane in 0..LANES {
                sum[lane] += weights[lane] * values[lane];
            }
        }
    }
    std::array::from_fn(|n| {
        let rest: f32 = row[whole..].iter().zip(&vectors[n][whole..]).map(|(w, v)| w * v).sum();
        sums[n].iter().sum::<f32>() + rest
    })
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}
