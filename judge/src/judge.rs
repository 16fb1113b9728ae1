//! The judge as the server uses it.

use crate::action::Action;
use crate::calibration::{Calibration, Probabilities};
use crate::encoder::{Encoder, LAYERS, LOWER, Layer, WIDTH};
use crate::fault::{Fault, Result};
use crate::network::{self, Example, Network};
use crate::ops::Span;
use crate::reason::Reason;
use crate::segment::{Reading, Segment, Segmenter};
use crate::situation::Situation;
use candle_core::{Device, Tensor};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Segments kept in each of the two halves of the cache: some 20 tokens of 1.5 kB each, so at most about 30 MB in all.
const CACHED: usize = 500;

#[derive(Debug, Clone)]
pub struct Decision {
    pub action: Action,
    pub reason: Reason,
    /// The row of the situation's memory that the decision rests on, if it rests on one.
    pub memory_row: Option<usize>,
    /// Calibrated, legal actions only.
    pub probabilities: Probabilities,
    pub took: Duration,
}

/// Reads and decides behind `&self`, from any thread. Blocks for as long as it computes: call it off the media path.
pub struct Judge {
    segmenter: Segmenter,
    encoder: Encoder,
    network: Network,
    calibration: Calibration,
    /// The base encoder's own upper layers: with them it is the embedding model that it was made as.
    upper: Vec<Layer>,
    cache: Mutex<Cache>,
    pool: rayon::ThreadPool,
}

/// What the lower layers made of segments that come again: persona, memory, earlier turns. Two halves: what is used lives on.
#[derive(Default)]
struct Cache {
    young: HashMap<Vec<u32>, Arc<Vec<f32>>>,
    old: HashMap<Vec<u32>, Arc<Vec<f32>>>,
}

impl Cache {
    fn get(&mut self, tokens: &[u32]) -> Option<Arc<Vec<f32>>> {
        if let Some(states) = self.young.get(tokens) {
            return Some(Arc::clone(states));
        }
        let states = self.old.remove(tokens)?;
        self.put(tokens.to_vec(), Arc::clone(&states));
        Some(states)
    }

    fn put(&mut self, tokens: Vec<u32>, states: Arc<Vec<f32>>) {
        if self.young.len() >= CACHED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(tokens, states);
    }
}

/// The files of the base encoder and of the trained head.
pub const BASE_WEIGHTS: &str = "model.safetensors";
pub const BASE_TOKENIZER: &str = "tokenizer.json";
pub const HEAD_WEIGHTS: &str = "head.safetensors";
pub const HEAD_CALIBRATION: &str = "calibration.json";

const HEAD: &[u8] = include_bytes!("../model/head.safetensors");
const CALIBRATION: &str = include_str!("../model/calibration.json");

impl Judge {
    /// `base` is the folder of all-MiniLM-L6-v2, `head` that of the trained part. `threads` compute at once, 1 or 2.
    pub fn load(base: &Path, head: &Path, threads: usize) -> Result<Self> {
        let path = head.join(HEAD_WEIGHTS);
        let network = Network::of(&network::load(&path)?).map_err(|e| Fault::content(&path, e.to_string()))?;
        Self::with(base, network, Calibration::load(&head.join(HEAD_CALIBRATION))?, threads)
    }

    /// [`Judge::load`] with the head that is in the repository: a program needs no file of it beside itself.
    pub fn shipped(base: &Path, threads: usize) -> Result<Self> {
        let name = Path::new(HEAD_WEIGHTS);
        let network = Network::of(&network::of_bytes(name, HEAD)?).map_err(|e| Fault::content(name, e.to_string()))?;
        let calibration = serde_json::from_str(CALIBRATION)
            .map_err(|e| Fault::content(Path::new(HEAD_CALIBRATION), e.to_string()))?;
        Self::with(base, network, calibration, threads)
    }

    fn with(base: &Path, network: Network, calibration: Calibration, threads: usize) -> Result<Self> {
        let (encoder, rest) = Encoder::load(&base.join(BASE_WEIGHTS))?;
        let upper = (LOWER..LAYERS).map(|at| Layer::of(&rest, at)).collect::<candle_core::Result<_>>()?;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.max(1))
            .thread_name(|n| format!("judge-{n}"))
            .build()
            .map_err(|e| Fault::content(base, e.to_string()))?;
        let segmenter = Segmenter::load(&base.join(BASE_TOKENIZER))?;
        Ok(Self { segmenter, encoder, network, calibration, upper, cache: Mutex::default(), pool })
    }

    /// Reads what is known before the caller speaks, so that `decide` has only the caller's words left to read. Optional:
    /// `decide` reads whatever is missing.
    pub fn prepare(&self, situation: &Situation) -> Result<()> {
        let reading = self.segmenter.read(situation);
        self.pool.install(|| self.states(&reading.segments[1..])).map(|_| ())
    }

    pub fn decide(&self, situation: &Situation) -> Result<Decision> {
        let began = Instant::now();
        let reading = self.segmenter.read(situation);
        let scores = self.pool.install(|| self.score(&reading))?;
        let probabilities = self.calibration.probabilities(situation.floor, &scores.actions, &situation.persona.priors);
        let action = self.calibration.choose(&probabilities);
        let reason = best_reason(action, &scores.reasons);
        let memory_row = best_row(&reading, &scores.rows);
        Ok(Decision { action, reason, memory_row, probabilities, took: began.elapsed() })
    }

    /// What a line means: the mean of the whole encoder's last states, as sentence-transformers has it, of length 1. Blocks for
    /// some 10 ms.
    pub fn embed(&self, line: &str) -> Result<Vec<f32>> {
        let tokens = self.segmenter.line(line);
        let count = tokens.tokens.len();
        self.pool.install(|| {
            let states = self.encoder.read(&[&tokens])?.pop().unwrap_or_default();
            let mut x = Tensor::from_vec(states, (count, WIDTH), &Device::Cpu)?;
            let span = [Span { ask: 0, asks: count, seen: 0, sees: count }];
            for layer in &self.upper {
                x = layer.apply(&x, &x, &span, &mut Ok)?;
            }
            let mean: Vec<f32> = x.mean(0)?.to_vec1()?;
            let length = mean.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-9);
            Ok(mean.into_iter().map(|x| x / length).collect())
        })
    }

    /// Forgets the segments that it has read.
    pub fn forget(&self) {
        *self.cache.lock().unwrap_or_else(PoisonError::into_inner) = Cache::default();
    }

    fn states(&self, segments: &[Segment]) -> Result<Vec<Arc<Vec<f32>>>> {
        let known: Vec<_> = {
            let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            segments.iter().map(|s| cache.get(&s.tokens)).collect()
        };
        let missing: Vec<&Segment> = segments.iter().zip(&known).filter(|(_, k)| k.is_none()).map(|(s, _)| s).collect();
        let mut read = self.encoder.read(&missing)?.into_iter().map(Arc::new);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let all = segments.iter().zip(known).filter_map(|(segment, known)| {
            known.or_else(|| {
                let states = read.next()?;
                cache.put(segment.tokens.clone(), Arc::clone(&states));
                Some(states)
            })
        });
        Ok(all.collect())
    }

    fn score(&self, reading: &Reading) -> Result<Logits> {
        let text = self.encoder.read(&[&reading.segments[0]])?;
        let context = self.states(&reading.segments[1..])?;
        let states = text.iter().chain(context.iter().map(Arc::as_ref)).map(Vec::as_slice).collect();
        let scores = self.network.score(&[Example { reading, states }], None)?;
        Ok(Logits {
            actions: scores.actions.flatten_all()?.to_vec1()?,
            reasons: scores.reasons.flatten_all()?.to_vec1()?,
            rows: scores.rows.map_or(Ok(Vec::new()), |rows| rows.to_vec1())?,
        })
    }
}

struct Logits {
    actions: Vec<f32>,
    reasons: Vec<f32>,
    rows: Vec<f32>,
}

fn best_reason(action: Action, logits: &[f32]) -> Reason {
    Reason::ALL
        .iter()
        .filter(|r| r.action() == action)
        .max_by(|a, b| logits[a.index()].total_cmp(&logits[b.index()]))
        .copied()
        .unwrap_or(Reason::CallerGoesOn)
}

/// Each row has a probability of its own; a decision may rest on none.
fn best_row(reading: &Reading, logits: &[f32]) -> Option<usize> {
    reading
        .segments
        .iter()
        .filter_map(|s| s.row)
        .zip(logits)
        .filter(|(_, logit)| **logit > 0.0)
        .max_by(|a, b| a.1.total_cmp(b.1))
        .map(|(row, _)| row)
}

/// Logits and priors of one item, as training and calibration keep them.
pub(crate) type Scored = (Vec<f32>, BTreeMap<Action, f32>);
