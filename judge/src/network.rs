//! The trained part: the upper layers, where the segments meet, and the heads.

use crate::action::Action;
use crate::encoder::{LAYERS, LOWER, Layer, Linear, WIDTH, Weights, take};
use crate::evidence;
use crate::fault::{Fault, Result};
use crate::ops::Span;
use crate::reason::Reason;
use crate::segment::{MARKS, PARTS, Part, Reading};
use candle_core::{DType, Device, Tensor};
use rand::rngs::StdRng;
use rand::{Rng, RngCore};
use std::path::Path;

/// A situation as read by the lower layers: for each segment of the reading, `WIDTH` floats a token.
pub struct Example<'a> {
    pub reading: &'a Reading,
    pub states: Vec<&'a [f32]>,
}

/// Logits of a batch.
pub struct Scores {
    /// `[batch, Action::COUNT]`, not masked.
    pub actions: Tensor,
    /// `[batch, Reason::ALL.len()]`
    pub reasons: Tensor,
    /// One a memory row of the batch, in the order of the segments; none if no item has a row.
    pub rows: Option<Tensor>,
}

#[derive(Clone)]
pub struct Network {
    layers: Vec<Layer>,
    parts: Tensor,
    marks: Tensor,
    numbers: Linear,
    actions: Linear,
    reasons: Linear,
    row: Linear,
    groups: Tensor,
}

/// Names and shapes of the arrays that training makes anew.
fn fresh_shapes() -> [(&'static str, usize, usize); 7] {
    let pooled = 2 * WIDTH + evidence::COUNT;
    [
        ("parts", PARTS, WIDTH),
        ("marks", MARKS, WIDTH),
        ("numbers", WIDTH, evidence::COUNT),
        ("actions", Action::COUNT, pooled),
        ("reasons", Reason::ALL.len(), pooled),
        ("row", WIDTH, WIDTH),
        ("groups", evidence::BUCKETS, Action::COUNT),
    ]
}

/// Adds the arrays of the heads, small and random, to those of the upper layers.
pub fn add_fresh(weights: &mut Weights, rng: &mut StdRng) -> Result<()> {
    for (name, rows, columns) in fresh_shapes() {
        let size = if name == "groups" { 0.0 } else { 0.02 };
        let values: Vec<f32> = (0..rows * columns).map(|_| rng.random_range(-1.0f32..1.0) * 1.7 * size).collect();
        weights.insert(format!("{name}.weight"), Tensor::from_vec(values, (rows, columns), &Device::Cpu)?);
        if !matches!(name, "parts" | "marks" | "groups") {
            weights.insert(format!("{name}.bias"), Tensor::zeros(rows, DType::F32, &Device::Cpu)?);
        }
    }
    Ok(())
}

/// The arrays of a trained head, in single precision.
pub fn load(path: &Path) -> Result<Weights> {
    of_bytes(path, &std::fs::read(path).map_err(Fault::file(path))?)
}

/// The arrays of a trained head's file, in single precision; `path` is named where they are damaged.
pub fn of_bytes(path: &Path, bytes: &[u8]) -> Result<Weights> {
    let mut weights =
        candle_core::safetensors::load_buffer(bytes, &Device::Cpu).map_err(|e| Fault::content(path, e.to_string()))?;
    for tensor in weights.values_mut() {
        *tensor = tensor.to_dtype(DType::F32)?;
    }
    Ok(weights)
}

/// In half precision, arrays in the order of their names.
pub fn save(path: &Path, weights: &Weights) -> Result<()> {
    let half: Weights = weights
        .iter()
        .map(|(name, tensor)| Ok((name.clone(), tensor.to_dtype(DType::F16)?)))
        .collect::<candle_core::Result<_>>()?;
    candle_core::safetensors::save(&half, path).map_err(|e| Fault::content(path, e.to_string()))
}

/// Where the rows of a batch lie.
struct Packing {
    base: Vec<f32>,
    parts: Vec<u32>,
    marks: Vec<u32>,
    /// 0, or 1 + the item whose numbers are added here.
    numbers: Vec<u32>,
    joint: Vec<Span>,
    last: Vec<Span>,
    /// Rows of the text segments among all rows.
    text: Vec<u32>,
    /// First row of each item among the rows of text.
    first: Vec<u32>,
    /// `[batch, text rows]`: mean of the caller's own words.
    mean: Vec<f32>,
    /// First row of each memory row, and its item.
    memory: Vec<u32>,
    memory_item: Vec<u32>,
}

fn id(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

impl Packing {
    fn of(batch: &[Example]) -> Self {
        let text_rows: usize = batch.iter().map(|e| e.reading.segments[0].tokens.len()).sum();
        let mut p = Self {
            base: Vec::new(),
            parts: Vec::new(),
            marks: Vec::new(),
            numbers: Vec::new(),
            joint: Vec::new(),
            last: Vec::new(),
            text: Vec::new(),
            first: Vec::new(),
            mean: vec![0.0; batch.len() * text_rows],
            memory: Vec::new(),
            memory_item: Vec::new(),
        };
        for (item, example) in batch.iter().enumerate() {
            let start = p.parts.len();
            for (segment, states) in example.reading.segments.iter().zip(&example.states) {
                if segment.row.is_some() {
                    p.memory.push(id(p.parts.len()));
                    p.memory_item.push(id(item));
                }
                p.base.extend_from_slice(states);
                p.parts.extend(segment.parts.iter().map(|part| u32::from(*part)));
                p.marks.extend(segment.marks.iter().map(|mark| u32::from(*mark)));
            }
            let rows = p.parts.len() - start;
            p.numbers.resize(p.parts.len(), 0);
            p.numbers[start] = id(item + 1);
            p.joint.push(Span { ask: start, asks: rows, seen: start, sees: rows });
            p.add_text(item, start, rows, text_rows, example.reading);
        }
        p
    }

    fn add_text(&mut self, item: usize, start: usize, rows: usize, text_rows: usize, reading: &Reading) {
        let parts = &reading.segments[0].parts;
        let own = parts.iter().filter(|part| **part == Part::Text as u8).count();
        let from = self.text.len();
        for (at, part) in parts.iter().enumerate() {
            if *part == Part::Text as u8 {
                self.mean[item * text_rows + from + at] = 1.0 / own as f32;
            }
        }
        self.first.push(id(from));
        self.text.extend((start..start + parts.len()).map(id));
        self.last.push(Span { ask: from, asks: parts.len(), seen: start, sees: rows });
    }
}

fn index(ids: Vec<u32>) -> candle_core::Result<Tensor> {
    let count = ids.len();
    Tensor::from_vec(ids, count, &Device::Cpu)
}

/// Zeroes a share of a tensor and stretches the rest; candle's own cannot be seeded on the CPU.
fn dropped(x: Tensor, share: f32, rng: &mut StdRng) -> candle_core::Result<Tensor> {
    let limit = (share * 256.0) as u8;
    let mut mask = vec![0u8; x.elem_count()];
    rng.fill_bytes(&mut mask);
    let keep = 1.0 / (1.0 - f32::from(limit) / 256.0);
    let mask: Vec<f32> = mask.iter().map(|b| if *b < limit { 0.0 } else { keep }).collect();
    let mask = Tensor::from_vec(mask, x.shape(), x.device())?;
    x * mask
}

impl Network {
    /// The arrays are shared: a network over variables learns with them.
    pub fn of(weights: &Weights) -> Result<Self> {
        let array = |name: &str| take(weights, &format!("{name}.weight"));
        let network = Self {
            layers: (LOWER..LAYERS).map(|at| Layer::of(weights, at)).collect::<candle_core::Result<_>>()?,
            parts: array("parts")?,
            marks: array("marks")?,
            numbers: Linear::of(weights, "numbers")?,
            actions: Linear::of(weights, "actions")?,
            reasons: Linear::of(weights, "reasons")?,
            row: Linear::of(weights, "row")?,
            groups: array("groups")?,
        };
        for (name, rows, columns) in fresh_shapes() {
            if array(name)?.dims() != [rows, columns] {
                let was = array(name)?;
                return Err(candle_core::Error::Msg(format!(
                    "array `{name}` is {:?}, not [{rows}, {columns}]: trained by another version",
                    was.dims()
                ))
                .into());
            }
        }
        Ok(network)
    }

    /// `training` gives the share to drop and the source of chance.
    pub fn score(&self, batch: &[Example], mut training: Option<(f32, &mut StdRng)>) -> Result<Scores> {
        let p = Packing::of(batch);
        let rows = p.parts.len();
        let numbers: Vec<f32> = batch.iter().flat_map(|e| e.reading.numbers.iter().copied()).collect();
        let numbers = Tensor::from_vec(numbers, (batch.len(), evidence::COUNT), &Device::Cpu)?;
        let told =
            Tensor::cat(&[Tensor::zeros((1, WIDTH), DType::F32, &Device::Cpu)?, self.numbers.apply(&numbers)?], 0)?;
        let base = Tensor::from_vec(p.base, (rows, WIDTH), &Device::Cpu)?;
        let x = (base + self.parts.index_select(&index(p.parts)?, 0)?)?;
        let x = (x + self.marks.index_select(&index(p.marks)?, 0)?)?;
        let x = (x + told.index_select(&index(p.numbers)?, 0)?)?;
        let mut drop = |t: Tensor| match &mut training {
            Some((share, rng)) => dropped(t, *share, rng),
            None => Ok(t),
        };
        let joint = self.layers[0].apply(&x, &x, &p.joint, &mut drop)?;
        let text_rows = p.text.len();
        let asks = joint.index_select(&index(p.text)?, 0)?;
        let text = self.layers[1].apply(&joint, &asks, &p.last, &mut drop)?;
        let first = text.index_select(&index(p.first)?, 0)?;
        let mean = Tensor::from_vec(p.mean, (batch.len(), text_rows), &Device::Cpu)?.matmul(&text)?;
        let pooled = drop(Tensor::cat(&[&first, &mean, &numbers], 1)?)?;
        let rows = if p.memory.is_empty() {
            None
        } else {
            let states = joint.index_select(&index(p.memory)?, 0)?;
            let asked = self.row.apply(&first)?.index_select(&index(p.memory_item)?, 0)?;
            Some(((states * asked)?.sum(1)? / (WIDTH as f64).sqrt())?)
        };
        let actions = (self.actions.apply(&pooled)? + self.group_scores(batch)?)?;
        Ok(Scores { actions, reasons: self.reasons.apply(&pooled)?, rows })
    }

    fn group_scores(&self, batch: &[Example]) -> candle_core::Result<Tensor> {
        let total: usize = batch.iter().map(|e| e.reading.groups.len()).sum();
        if total == 0 {
            return Tensor::zeros((batch.len(), Action::COUNT), DType::F32, &Device::Cpu);
        }
        let mut share = vec![0.0; batch.len() * total];
        let mut ids = Vec::with_capacity(total);
        for (item, example) in batch.iter().enumerate() {
            let groups = &example.reading.groups;
            let from = item * total + ids.len();
            share[from..from + groups.len()].fill(1.0 / (groups.len() as f32).max(1.0).sqrt());
            ids.extend_from_slice(groups);
        }
        let chosen = self.groups.index_select(&index(ids)?, 0)?;
        Tensor::from_vec(share, (batch.len(), total), &Device::Cpu)?.matmul(&chosen)
    }
}
