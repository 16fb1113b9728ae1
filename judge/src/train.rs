//! The fine-tuning: the upper layers and the heads learn; the lower layers are read once and kept.

use crate::action::Action;
use crate::beginnings::{beginning, ending, share_cut};
use crate::encoder::{Encoder, Weights};
use crate::evaluate::Report;
use crate::evidence::shared_with_rows;
use crate::fault::{Fault, Result};
use crate::fit;
use crate::judge::{BASE_TOKENIZER, BASE_WEIGHTS, HEAD_CALIBRATION, HEAD_WEIGHTS, Scored};
use crate::network::{self, Example, Network};
use crate::reason::Reason;
use crate::segment::{Reading, Segment, Segmenter};
use crate::situation::{Item, read_items};
use candle_core::{Device, Tensor, Var};
use candle_nn::optim::{AdamW, Optimizer, ParamsAdamW};
use half::f16;
use half::slice::HalfFloatSliceExt;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Debug, Clone)]
pub struct Plan {
    pub data: PathBuf,
    pub base: PathBuf,
    pub out: PathBuf,
    /// A trained head to go on from; arrays that it lacks begin afresh.
    pub from: Option<PathBuf>,
    /// Files of items beside those of `data`: labelled decisions of calls.
    pub with: Vec<PathBuf>,
    pub epochs: usize,
    pub batch: usize,
    /// Highest learning rates of the upper layers and of the heads.
    pub rate: f64,
    pub head_rate: f64,
    /// Share of values dropped while training.
    pub dropout: f32,
    /// Share of the target that is spread over all legal actions.
    pub smoothing: f32,
    pub seed: u64,
}

/// One item as training needs it: where its segments' states are, and what should come out.
struct Sample {
    reading: Reading,
    states: Vec<usize>,
    targets: Vec<f32>,
    legal: Vec<f32>,
    weight: f32,
    reason: u32,
    rows: Vec<f32>,
}

/// States of the lower layers, each segment once, in half precision.
#[derive(Default)]
struct Library {
    at: HashMap<Vec<u32>, usize>,
    states: Vec<Vec<f16>>,
}

impl Library {
    fn read(&mut self, encoder: &Encoder, segments: &[&Segment]) -> Result<()> {
        let mut fresh: Vec<&Segment> = Vec::new();
        for segment in segments {
            if !self.at.contains_key(&segment.tokens) {
                self.at.insert(segment.tokens.clone(), self.states.len() + fresh.len());
                fresh.push(segment);
            }
        }
        for chunk in fresh.chunks(64) {
            for states in encoder.read(chunk)? {
                let mut half = vec![f16::ZERO; states.len()];
                half.convert_from_f32_slice(&states);
                self.states.push(half);
            }
        }
        Ok(())
    }
}

fn sample(item: &Item, reading: Reading, weight: f32, smoothing: f32) -> Sample {
    let legal = item.floor.legal();
    let mut targets = vec![0.0; Action::COUNT];
    for action in legal {
        targets[action.index()] += smoothing / legal.len() as f32;
    }
    let also: Vec<Action> = item.also.iter().copied().filter(|a| *a != item.gold).collect();
    let gold_share = if also.is_empty() { 1.0 } else { 0.7 };
    targets[item.gold.index()] += (1.0 - smoothing) * gold_share;
    for action in &also {
        targets[action.index()] += (1.0 - smoothing) * (1.0 - gold_share) / also.len() as f32;
    }
    let mask = Action::ALL.map(|a| if item.floor.allows(a) { 0.0 } else { -1e4 }).to_vec();
    let rows = row_targets(item);
    let rows = reading.segments.iter().filter_map(|s| s.row).map(|row| rows[row]).collect();
    let reason = u32::try_from(Reason::of(item).index()).unwrap_or(0);
    Sample { reading, states: Vec::new(), targets, legal: mask, weight, reason, rows }
}

/// Nobody marks rows by hand: the row that shares most with the text and the reason given is taken for it, where the
/// action can rest on a row at all.
fn row_targets(item: &Item) -> Vec<f32> {
    let mut targets = vec![0.0; item.memory.len()];
    if matches!(item.gold, Action::Interrupt | Action::Refuse | Action::Respond | Action::Initiate | Action::Deflect) {
        let shared = shared_with_rows(&format!("{} {}", item.text, item.why), &item.memory);
        let best = shared.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        if let Some((row, _)) = best.filter(|(_, score)| **score >= 2.0) {
            targets[row] = 1.0;
        }
    }
    targets
}

/// A refused honest question is the worst fault, so that what calls for an answer counts more than its share.
const RESPOND_WEIGHT: f32 = 1.4;

/// Rarer pairs of floor and action weigh more, by the root of how rare they are; the mean is about 1.
fn weights(items: &[Item]) -> HashMap<(usize, usize), f32> {
    let mut counts: HashMap<(usize, usize), f32> = HashMap::new();
    for item in items {
        *counts.entry((item.floor.index(), item.gold.index())).or_default() += 1.0;
    }
    let raw = |n: f32| (items.len() as f32 / n).sqrt();
    let mean = counts.values().map(|n| n * raw(*n)).sum::<f32>() / items.len() as f32;
    let extra = |action| if action == Action::Respond.index() { RESPOND_WEIGHT } else { 1.0 };
    counts.iter().map(|(k, n)| (*k, raw(*n) / mean * extra(k.1))).collect()
}

struct Reader {
    segmenter: Segmenter,
    encoder: Encoder,
    library: Library,
}

impl Reader {
    fn samples(&mut self, items: &[Item], smoothing: f32) -> Result<Vec<Sample>> {
        let weights = weights(items);
        let mut samples: Vec<Sample> = items
            .iter()
            .map(|item| {
                let weight = weights[&(item.floor.index(), item.gold.index())];
                sample(item, self.segmenter.read(&item.situation()), weight, smoothing)
            })
            .collect();
        let segments: Vec<&Segment> = samples.iter().flat_map(|s| &s.reading.segments).collect();
        self.library.read(&self.encoder, &segments)?;
        for sample in &mut samples {
            sample.states = sample.reading.segments.iter().map(|s| self.library.at[&s.tokens]).collect();
        }
        Ok(samples)
    }
}

/// The states of a batch, widened to single precision for as long as it is worked on.
fn widen(library: &Library, batch: &[&Sample]) -> Vec<Vec<Vec<f32>>> {
    let one = |at: &usize| library.states[*at].to_f32_vec();
    batch.iter().map(|s| s.states.iter().map(one).collect()).collect()
}

fn examples<'a>(batch: &[&'a Sample], states: &'a [Vec<Vec<f32>>]) -> Vec<Example<'a>> {
    let one = |(s, states): (&&'a Sample, &'a Vec<Vec<f32>>)| Example {
        reading: &s.reading,
        states: states.iter().map(Vec::as_slice).collect(),
    };
    batch.iter().zip(states).map(one).collect()
}

fn matrix(rows: usize, columns: usize, values: impl Iterator<Item = f32>) -> candle_core::Result<Tensor> {
    Tensor::from_vec(values.collect::<Vec<_>>(), (rows, columns), &Device::Cpu)
}

/// Cross-entropy of the actions, and a little of the reasons and of the rows.
fn loss(batch: &[&Sample], scores: &network::Scores) -> candle_core::Result<Tensor> {
    let (n, total) = (batch.len(), batch.iter().map(|s| s.weight).sum::<f32>());
    let legal = matrix(n, Action::COUNT, batch.iter().flat_map(|s| s.legal.iter().copied()))?;
    let targets = batch.iter().flat_map(|s| s.targets.iter().map(|t| t * s.weight / total));
    let targets = matrix(n, Action::COUNT, targets)?;
    let actions = candle_nn::ops::log_softmax(&(&scores.actions + legal)?, 1)?;
    let mut loss = (actions * targets)?.sum_all()?.neg()?;
    let reasons = Tensor::from_vec(batch.iter().map(|s| s.reason).collect::<Vec<_>>(), n, &Device::Cpu)?;
    loss = (loss + (candle_nn::loss::cross_entropy(&scores.reasons, &reasons)? * 0.2)?)?;
    if let Some(rows) = &scores.rows {
        let wanted: Vec<f32> = batch.iter().flat_map(|s| s.rows.iter().copied()).collect();
        let wanted = Tensor::from_vec(wanted, rows.dims1()?, &Device::Cpu)?;
        // softplus(x) - wanted * x, in the form that does not overflow
        let soft = (rows.relu()? + (rows.abs()?.neg()?.exp()? + 1.0)?.log()?)?;
        loss = (loss + ((soft - (rows * wanted)?)?.mean_all()? * 0.2)?)?;
    }
    Ok(loss)
}

fn scored(network: &Network, library: &Library, samples: &[Sample], items: &[Item]) -> Result<Vec<Scored>> {
    let mut out = Vec::with_capacity(samples.len());
    let all: Vec<&Sample> = samples.iter().collect();
    for batch in all.chunks(16) {
        let states = widen(library, batch);
        let logits: Vec<Vec<f32>> = network.score(&examples(batch, &states), None)?.actions.to_vec2()?;
        out.extend(logits);
    }
    Ok(out.into_iter().zip(items).map(|(logits, item)| (logits, item.persona.priors.clone())).collect())
}

/// What the learning goes over: variables by name, and two optimisers over them.
struct Learner {
    vars: HashMap<String, Var>,
    layers: AdamW,
    heads: AdamW,
    network: Network,
}

impl Learner {
    fn new(weights: &Weights, plan: &Plan) -> Result<Self> {
        let mut names: Vec<&String> = weights.keys().collect();
        names.sort();
        let mut vars = HashMap::new();
        let (mut layers, mut heads) = (Vec::new(), Vec::new());
        for name in names {
            let var = Var::from_tensor(&weights[name])?;
            if name.starts_with("encoder.") {
                layers.push(var.clone())
            } else {
                heads.push(var.clone())
            }
            vars.insert(name.clone(), var);
        }
        let params = |lr, weight_decay| ParamsAdamW { lr, weight_decay, beta2: 0.99, ..Default::default() };
        let shared: Weights = vars.iter().map(|(n, v)| (n.clone(), v.as_tensor().clone())).collect();
        Ok(Self {
            layers: AdamW::new(layers, params(plan.rate, 0.01))?,
            heads: AdamW::new(heads, params(plan.head_rate, 0.02))?,
            network: Network::of(&shared)?,
            vars,
        })
    }

    fn learn(&mut self, loss: &Tensor, share_of_rate: f64, plan: &Plan) -> Result<()> {
        let grads = loss.backward()?;
        self.layers.set_learning_rate(plan.rate * share_of_rate);
        self.heads.set_learning_rate(plan.head_rate * share_of_rate);
        self.layers.step(&grads)?;
        self.heads.step(&grads)?;
        Ok(())
    }

    fn weights(&self) -> Weights {
        self.vars.iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect()
    }
}

/// Up over the first tenth, then down to nothing.
fn rate_at(step: usize, steps: usize) -> f64 {
    let (at, rise) = (step as f64 / steps.max(1) as f64, 0.1);
    if at < rise { (at + 0.01) / rise } else { (1.0 - at) / (1.0 - rise) }.min(1.0)
}

/// Everything that is learnt from: the data, what else the plan names, and what is made of their turns.
fn learnt(plan: &Plan) -> Result<Vec<Item>> {
    let mut train = read_items(&plan.data.join("train.jsonl"))?;
    for more in &plan.with {
        train.extend(read_items(more)?);
    }
    let made: Vec<Item> = train.iter().filter_map(|item| beginning(item).or_else(|| ending(item))).collect();
    train.extend(made);
    Ok(train)
}

/// Trains on `train.jsonl` and on what is made of its turns, fits the calibration on `dev.jsonl` after each epoch, and writes the head
/// whenever it is the best so far on the development split: macro-F1 less the shares of honest questions refused and cut in on, and
/// half that of tellings turned away.
pub fn train(plan: &Plan, mut tell: impl FnMut(&str)) -> Result<Report> {
    let began = Instant::now();
    let train = learnt(plan)?;
    let dev = read_items(&plan.data.join("dev.jsonl"))?;
    let (dev, whole) = with_beginnings(dev);
    let mut rng = StdRng::seed_from_u64(plan.seed);
    let (encoder, mut start) = Encoder::load(&plan.base.join(BASE_WEIGHTS))?;
    network::add_fresh(&mut start, &mut rng)?;
    if let Some(from) = &plan.from {
        start.extend(network::load(&from.join(HEAD_WEIGHTS))?);
    }
    let segmenter = Segmenter::load(&plan.base.join(BASE_TOKENIZER))?;
    let mut reader = Reader { segmenter, encoder, library: Library::default() };
    let samples = reader.samples(&train, plan.smoothing)?;
    let dev_samples = reader.samples(&dev, 0.0)?;
    let library = reader.library;
    tell(&format!(
        "read {} items, {} segments, {:.0} s",
        samples.len(),
        library.states.len(),
        began.elapsed().as_secs_f32()
    ));

    let mut learner = Learner::new(&start, plan)?;
    let mut rounds = rounds(&train);
    let steps = plan.epochs * rounds.iter().map(Vec::len).sum::<usize>() / rounds.len().max(1) / plan.batch;
    let mut step = 0;
    std::fs::create_dir_all(&plan.out).map_err(Fault::file(&plan.out))?;
    let mut best: Option<(f32, Report)> = None;
    for epoch in 0..plan.epochs {
        let count = rounds.len();
        let order = &mut rounds[epoch % count];
        order.shuffle(&mut rng);
        let mut sum = 0.0;
        for batch in order.chunks(plan.batch) {
            let batch: Vec<&Sample> = batch.iter().map(|at| &samples[*at]).collect();
            let states = widen(&library, &batch);
            let scores = learner.network.score(&examples(&batch, &states), Some((plan.dropout, &mut rng)))?;
            let loss = loss(&batch, &scores)?;
            sum += loss.to_scalar::<f32>()? * batch.len() as f32;
            learner.learn(&loss, rate_at(step, steps).max(0.0), plan)?;
            step += 1;
        }
        let scored = scored(&learner.network, &library, &dev_samples, &dev)?;
        let calibration = fit::calibrate(&dev, &scored, whole);
        let outcomes = fit::outcomes(&dev, &scored, &calibration);
        let (judged, made) = outcomes.split_at(whole);
        let (report, cut, away) = (Report::of(judged), share_cut(made), Report::of(made).honest.1);
        tell(&format!(
            "epoch {}: loss {:.3}, dev macro-F1 {:.3}, ECE {:.3}, honest refused {:.1} %, cut in on {:.1} %, turned away {:.1} %, {:.1} min",
            epoch + 1,
            sum / order.len().max(1) as f32,
            report.macro_f1,
            report.ece,
            report.honest.1 * 100.0,
            cut * 100.0,
            away * 100.0,
            began.elapsed().as_secs_f32() / 60.0
        ));
        let worth = report.macro_f1 - report.honest.1 - cut - away / 2.0;
        if best.as_ref().is_none_or(|(most, _)| worth > *most) {
            network::save(&plan.out.join(HEAD_WEIGHTS), &learner.weights())?;
            calibration.save(&plan.out.join(HEAD_CALIBRATION))?;
            best = Some((worth, report));
        }
    }
    best.map(|(_, report)| report).ok_or_else(|| Fault::content(&plan.data, "no epoch was trained"))
}

/// Fits the calibration of a trained head anew on `dev.jsonl`, and writes it beside the head.
///
/// # Errors
/// When a file is not there, or is not what it should be.
pub fn recalibrate(data: &Path, base: &Path, head: &Path) -> Result<Report> {
    let (dev, whole) = with_beginnings(read_items(&data.join("dev.jsonl"))?);
    let (encoder, _) = Encoder::load(&base.join(BASE_WEIGHTS))?;
    let network = Network::of(&network::load(&head.join(HEAD_WEIGHTS))?)?;
    let segmenter = Segmenter::load(&base.join(BASE_TOKENIZER))?;
    let mut reader = Reader { segmenter, encoder, library: Library::default() };
    let samples = reader.samples(&dev, 0.0)?;
    let scored = scored(&network, &reader.library, &samples, &dev)?;
    let calibration = fit::calibrate(&dev, &scored, whole);
    calibration.save(&head.join(HEAD_CALIBRATION))?;
    let outcomes = fit::outcomes(&dev, &scored, &calibration);
    Ok(Report::of(&outcomes[..whole]))
}

/// The items, and after them a beginning of each that is to be answered and the ending of each telling; how many are items.
fn with_beginnings(items: Vec<Item>) -> (Vec<Item>, usize) {
    let honest = items.iter().filter(|item| item.gold == Action::Respond).filter_map(beginning);
    let made: Vec<Item> = honest.chain(items.iter().filter_map(ending)).collect();
    let whole = items.len();
    (items.into_iter().chain(made).collect(), whole)
}

/// Each epoch goes over one variant of every item: originals first, then the first variants, and so on.
fn rounds(items: &[Item]) -> Vec<Vec<usize>> {
    let mut rounds: Vec<Vec<usize>> = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let variant = item.id.rsplit_once('~').and_then(|(_, n)| n.parse::<usize>().ok()).unwrap_or(0);
        if rounds.len() <= variant {
            rounds.resize(variant + 1, Vec::new());
        }
        rounds[variant].push(at);
    }
    rounds.retain(|round| !round.is_empty());
    rounds
}
