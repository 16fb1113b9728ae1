//! The layers of the sentence encoder (BERT, six of them), and the lower ones as they come, frozen.

use crate::fault::{Fault, Result};
use crate::ops::{Attend, Gelu, Normalise, Span};
use crate::segment::Segment;
use candle_core::{DType, Device, Tensor};
use std::collections::HashMap;
use std::path::Path;

pub const WIDTH: usize = 384;
const HEADS: usize = 12;
const EPS: f32 = 1e-12;
/// Layers of the encoder that read each segment alone and are never trained.
pub const LOWER: usize = 4;
pub const LAYERS: usize = 6;

/// Named arrays, from which layers take theirs.
pub type Weights = HashMap<String, Tensor>;

pub(crate) fn take(weights: &Weights, name: &str) -> candle_core::Result<Tensor> {
    weights.get(name).cloned().ok_or_else(|| candle_core::Error::Msg(format!("has no array `{name}`")))
}

#[derive(Clone)]
pub(crate) struct Linear {
    /// `[outputs, inputs]` while it learns; then turned, once: turning it inside each product costs a short text half its time.
    weight: Tensor,
    learns: bool,
    bias: Tensor,
}

impl Linear {
    pub(crate) fn of(weights: &Weights, name: &str) -> candle_core::Result<Self> {
        let (weight, bias) = (take(weights, &format!("{name}.weight"))?, take(weights, &format!("{name}.bias"))?);
        let learns = weight.is_variable();
        let weight = if learns { weight } else { weight.t()?.contiguous()? };
        Ok(Self { weight, learns, bias })
    }

    pub(crate) fn apply(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let product = if self.learns { x.matmul(&self.weight.t()?)? } else { x.matmul(&self.weight)? };
        product.broadcast_add(&self.bias)
    }
}

#[derive(Clone)]
struct Norm {
    gain: Tensor,
    bias: Tensor,
}

impl Norm {
    fn of(weights: &Weights, name: &str) -> candle_core::Result<Self> {
        Ok(Self { gain: take(weights, &format!("{name}.weight"))?, bias: take(weights, &format!("{name}.bias"))? })
    }

    fn apply(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        x.apply_op3(&self.gain, &self.bias, Normalise { eps: EPS })
    }
}

/// One layer: attention, then the feed-forward part, each added and normalised.
#[derive(Clone)]
pub(crate) struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    after_attention: Norm,
    up: Linear,
    down: Linear,
    after_feed: Norm,
}

/// What is done to a part's output before it is added: drop some of it while training, nothing else.
pub(crate) type Drop<'a> = &'a mut dyn FnMut(Tensor) -> candle_core::Result<Tensor>;

impl Layer {
    pub(crate) fn of(weights: &Weights, at: usize) -> candle_core::Result<Self> {
        let name = |part: &str| format!("encoder.layer.{at}.{part}");
        Ok(Self {
            query: Linear::of(weights, &name("attention.self.query"))?,
            key: Linear::of(weights, &name("attention.self.key"))?,
            value: Linear::of(weights, &name("attention.self.value"))?,
            out: Linear::of(weights, &name("attention.output.dense"))?,
            after_attention: Norm::of(weights, &name("attention.output.LayerNorm"))?,
            up: Linear::of(weights, &name("intermediate.dense"))?,
            down: Linear::of(weights, &name("output.dense"))?,
            after_feed: Norm::of(weights, &name("output.LayerNorm"))?,
        })
    }

    /// `x` holds the rows that are seen, `asks` the rows that are carried on.
    pub(crate) fn apply(
        &self,
        x: &Tensor,
        asks: &Tensor,
        spans: &[Span],
        drop: Drop<'_>,
    ) -> candle_core::Result<Tensor> {
        let kv = Tensor::cat(&[self.key.apply(x)?, self.value.apply(x)?], 1)?;
        let attend = Attend { spans: spans.to_vec(), heads: HEADS };
        let mixed = self.query.apply(asks)?.apply_op2(&kv, attend)?;
        let x = self.after_attention.apply(&(drop(self.out.apply(&mixed)?)? + asks)?)?;
        let fed = self.down.apply(&self.up.apply(&x)?.apply_op1(Gelu)?)?;
        self.after_feed.apply(&(drop(fed)? + x)?)
    }
}

/// The embeddings and the lower layers.
pub struct Encoder {
    words: Tensor,
    places: Tensor,
    norm: Norm,
    layers: Vec<Layer>,
}

impl Encoder {
    /// Reads `model.safetensors`; gives the encoder and the arrays of the upper layers, from which training starts.
    pub fn load(path: &Path) -> Result<(Self, Weights)> {
        let bytes = std::fs::read(path).map_err(Fault::file(path))?;
        let mut weights = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)
            .map_err(|e| Fault::content(path, e.to_string()))?;
        for tensor in weights.values_mut() {
            if tensor.dtype().is_float() {
                *tensor = tensor.to_dtype(DType::F32)?;
            }
        }
        let encoder = Self::of(&weights).map_err(|e| Fault::content(path, e.to_string()))?;
        weights.retain(|name, _| (LOWER..LAYERS).any(|at| name.starts_with(&format!("encoder.layer.{at}."))));
        Ok((encoder, weights))
    }

    fn of(weights: &Weights) -> candle_core::Result<Self> {
        let kind = take(weights, "embeddings.token_type_embeddings.weight")?.narrow(0, 0, 1)?;
        Ok(Self {
            words: take(weights, "embeddings.word_embeddings.weight")?,
            places: take(weights, "embeddings.position_embeddings.weight")?.broadcast_add(&kind)?,
            norm: Norm::of(weights, "embeddings.LayerNorm")?,
            layers: (0..LOWER).map(|at| Layer::of(weights, at)).collect::<candle_core::Result<_>>()?,
        })
    }

    /// What the lower layers make of each segment, `WIDTH` floats a token.
    pub fn read(&self, segments: &[&Segment]) -> candle_core::Result<Vec<Vec<f32>>> {
        if segments.is_empty() {
            return Ok(Vec::new());
        }
        let mut spans = Vec::new();
        let (mut tokens, mut places) = (Vec::new(), Vec::new());
        for segment in segments {
            let length = segment.tokens.len();
            spans.push(Span { ask: tokens.len(), asks: length, seen: tokens.len(), sees: length });
            tokens.extend_from_slice(&segment.tokens);
            places.extend(0..u32::try_from(length).unwrap_or(u32::MAX));
        }
        let total = tokens.len();
        let index = |ids: Vec<u32>| Tensor::from_vec(ids, total, &Device::Cpu);
        let words = self.words.index_select(&index(tokens)?, 0)?;
        let mut x = self.norm.apply(&(words + self.places.index_select(&index(places)?, 0)?)?)?;
        for layer in &self.layers {
            x = layer.apply(&x, &x, &spans, &mut Ok)?;
        }
        let all: Vec<f32> = x.flatten_all()?.to_vec1()?;
        Ok(spans.iter().map(|s| all[s.ask * WIDTH..(s.ask + s.asks) * WIDTH].to_vec()).collect())
    }
}
