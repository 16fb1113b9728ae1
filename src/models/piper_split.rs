//! Cuts a Piper voice (a VITS graph in ONNX) where speech can be streamed: a frontend run once a clause, then a flow and a
//! vocoder run chunk by chunk, each with a margin as narrow as it needs.
//!
//! Text encoder, durations and the drawing of noise see the whole clause and cost little; flow and vocoder cost most, but
//! look only a few frames around. The first seam is VITS' `z_p`, the second its `z` (Kim et al. 2021;
//! `SynthesizerTrn.infer`). They are found by the graph's structure, since node names differ between exporters. All noise
//! stays in the frontend, so that overlapping chunks see the same frames and join without a seam.

use std::collections::{BTreeSet, HashMap, HashSet};

use bytes::Bytes;
use prost::Message;

use super::onnx::{Graph, Model, Node, ValueInfo, float_tensor, tensor_name};

#[cfg(test)]
mod tests;

/// What the parts call the cut tensors, whatever the voice calls them:
///
/// * frontend: the voice's own inputs -> `z_p` f32 `[1, 192, T]`, `mask` f32 `[1, 1, T]`, `durations` f32 `[1, 1, P]`
///   (frames of each phoneme; they sum to `T`)
/// * flow: `z_p`, `mask` -> `z` f32 `[1, 192, T]`
/// * vocoder: `z` -> the voice's own output, 256 samples a frame for the usual voices
pub const Z_P: &str = "z_p";
/// See [`Z_P`].
pub const MASK: &str = "mask";
/// See [`Z_P`].
pub const DURATIONS: &str = "durations";
/// See [`Z_P`].
pub const Z: &str = "z";

/// The three parts, as ONNX files.
pub struct Parts {
    pub frontend: Vec<u8>,
    pub flow: Vec<u8>,
    pub vocoder: Vec<u8>,
}

/// Cuts `voice`, the bytes of a Piper `.onnx` file. The same voice gives the same bytes each time.
///
/// # Errors
/// Says what is missing where the graph is no single-speaker VITS voice.
pub fn split(voice: Bytes) -> Result<Parts, String> {
    let model = Model::decode(voice).map_err(|fault| format!("no ONNX model: {fault}"))?;
    let graph = model.graph.as_ref().ok_or("the ONNX model has no graph")?;
    if let Some(node) = graph.node.iter().find(|node| node.has_subgraph()) {
        return Err(format!("the node `{}` holds a graph of its own", node.op_type()));
    }
    let edges = Edges::of(graph);
    let z_p = find_z_p(graph, &edges)?;
    let durations = find_durations(graph)?;
    let mask = find_mask(graph, &edges, z_p)?;
    let z = find_z(graph, &edges, mask)?;
    let cutter = Cutter {
        model: &model,
        graph,
        edges: &edges,
        names: HashMap::from([(z_p, Z_P), (mask, MASK), (durations, DURATIONS), (z, Z)]),
    };
    let own_inputs: Vec<&str> = graph.input.iter().map(ValueInfo::name).collect();
    let own_outputs: Vec<&str> = graph.output.iter().map(ValueInfo::name).collect();
    Ok(Parts {
        frontend: cutter.cut(&own_inputs, &[z_p, mask, durations])?,
        flow: cutter.cut(&[z_p, mask], &[z])?,
        vocoder: cutter.cut(&[z], &own_outputs)?,
    })
}

/// Which node makes a tensor, which nodes take it.
struct Edges<'g> {
    maker: HashMap<&'g str, usize>,
    takers: HashMap<&'g str, Vec<usize>>,
}

impl<'g> Edges<'g> {
    fn of(graph: &'g Graph) -> Self {
        let mut edges = Edges { maker: HashMap::new(), takers: HashMap::new() };
        for (i, node) in graph.node.iter().enumerate() {
            for name in &node.output {
                edges.maker.insert(name, i);
            }
            for name in node.input.iter().filter(|name| !name.is_empty()) {
                edges.takers.entry(name).or_default().push(i);
            }
        }
        edges
    }

    /// Nodes whose result depends on `tensor`.
    fn downstream(&self, graph: &'g Graph, tensor: &'g str) -> HashSet<usize> {
        let mut found = HashSet::new();
        let mut open = vec![tensor];
        while let Some(tensor) = open.pop() {
            for &taker in self.takers.get(tensor).into_iter().flatten() {
                if found.insert(taker) {
                    open.extend(graph.node[taker].output.iter().map(String::as_str));
                }
            }
        }
        found
    }

    /// Nodes that are needed for `tensors`, when those in `given` are supplied from outside.
    fn upstream(&self, graph: &'g Graph, tensors: &[&'g str], given: &[&str]) -> HashSet<usize> {
        let mut found = HashSet::new();
        let mut open = tensors.to_vec();
        while let Some(tensor) = open.pop() {
            if given.contains(&tensor) {
                continue;
            }
            if let Some(&maker) = self.maker.get(tensor)
                && found.insert(maker)
            {
                open.extend(graph.node[maker].input.iter().map(String::as_str));
            }
        }
        found
    }
}

/// `z_p = m_p + noise * exp(logs_p) * noise_scale`: the sum at the end of the products that the prior's noise, the last one
/// that the graph draws, goes through.
fn find_z_p<'g>(graph: &'g Graph, edges: &Edges<'g>) -> Result<&'g str, String> {
    let noise = graph.node.iter().rfind(|node| node.op_type() == "RandomNormalLike");
    let mut node = noise.ok_or("no noise is drawn (RandomNormalLike): not a VITS voice")?;
    loop {
        let tensor = node.output.first().map(String::as_str).unwrap_or_default();
        let &[taker] = edges.takers.get(tensor).map(Vec::as_slice).unwrap_or_default() else {
            return Err(format!("`{tensor}`, on the way from the prior's noise to z_p, is not used exactly once"));
        };
        node = &graph.node[taker];
        match (node.op_type(), node.output.first()) {
            ("Mul", _) => {}
            ("Add", Some(sum)) => return Ok(sum),
            (op, _) => return Err(format!("the prior's noise goes through a `{op}` before any sum: not a VITS voice")),
        }
    }
}

/// Frames per phoneme: VITS rounds them up, the only `Ceil` in the graph.
fn find_durations(graph: &Graph) -> Result<&str, String> {
    let mut rounded = graph.node.iter().filter(|node| node.op_type() == "Ceil");
    match (rounded.next().and_then(|node| node.output.first()), rounded.next()) {
        (Some(durations), None) => Ok(durations),
        _ => Err("the durations are not the only rounded-up tensor: not a VITS voice".to_owned()),
    }
}

/// The one tensor beside `z_p` that reaches past it and depends on what is spoken. Constants do not count: every part gets
/// its own.
fn find_mask<'g>(graph: &'g Graph, edges: &Edges<'g>, z_p: &'g str) -> Result<&'g str, String> {
    let after = edges.downstream(graph, z_p);
    let spoken: HashSet<usize> = graph.input.iter().flat_map(|input| edges.downstream(graph, input.name())).collect();
    let crossing: BTreeSet<&str> = after
        .iter()
        .flat_map(|&i| &graph.node[i].input)
        .map(String::as_str)
        .filter(|&name| name != z_p)
        .filter(|name| {
            let maker = edges.maker.get(name);
            maker.is_some_and(|maker| spoken.contains(maker) && !after.contains(maker))
        })
        .collect();
    match Vec::from_iter(crossing).as_slice() {
        [mask] => Ok(mask),
        several => Err(format!(
            "{} tensors reach past z_p beside it ({}); only single-speaker voices can be cut",
            several.len(),
            several.join(", ")
        )),
    }
}

/// The vocoder's input: the product of the last masking.
fn find_z<'g>(graph: &'g Graph, edges: &Edges<'g>, mask: &str) -> Result<&'g str, String> {
    let last = edges.takers.get(mask).and_then(|takers| takers.last());
    let node = last.map(|&taker| &graph.node[taker]);
    node.filter(|node| node.op_type() == "Mul")
        .and_then(|node| node.output.first())
        .map(String::as_str)
        .ok_or_else(|| "the mask is not multiplied in last: not a VITS voice".to_owned())
}

struct Cutter<'g> {
    model: &'g Model,
    graph: &'g Graph,
    edges: &'g Edges<'g>,
    /// New names of the cut tensors.
    names: HashMap<&'g str, &'static str>,
}

impl<'g> Cutter<'g> {
    /// The part between `inputs` and `outputs` as a file: its nodes in their old order, the weights that they use,
    /// nothing else.
    fn cut(&self, inputs: &[&'g str], outputs: &[&'g str]) -> Result<Vec<u8>, String> {
        let mut indices = Vec::from_iter(self.edges.upstream(self.graph, outputs, inputs));
        indices.sort_unstable();
        let rename = |tensor: &String| match self.names.get(tensor.as_str()) {
            Some(&new) => new.to_owned(),
            None => tensor.clone(),
        };
        let used: HashSet<&str> = indices.iter().flat_map(|&i| &self.graph.node[i].input).map(String::as_str).collect();
        let leak = self.graph.input.iter().map(ValueInfo::name);
        if let Some(leak) = leak.filter(|name| !inputs.contains(name)).find(|name| used.contains(name)) {
            return Err(format!("the voice's input `{leak}` is wanted after the cut at {inputs:?}"));
        }
        let node = indices.iter().map(|&i| {
            let node = &self.graph.node[i];
            Node {
                input: node.input.iter().map(rename).collect(),
                output: node.output.iter().map(rename).collect(),
                ..node.clone()
            }
        });
        let weights = self.graph.initializer.iter();
        let part = Graph {
            node: node.collect(),
            name: self.graph.name.clone(),
            initializer: weights.filter(|tensor| used.contains(tensor_name(tensor).as_str())).cloned().collect(),
            input: self.declare(inputs),
            output: self.declare(outputs),
            ..Graph::default()
        };
        Ok(Model { graph: Some(part), ..self.model.clone() }.encode_to_vec())
    }

    fn declare(&self, tensors: &[&str]) -> Vec<ValueInfo> {
        let own = || self.graph.input.iter().chain(&self.graph.output);
        let declare = |tensor: &&str| match self.names.get(tensor).copied() {
            Some(Z_P) => Some(float_tensor(Z_P, &["batch_size", "channels", "frames"])),
            Some(MASK) => Some(float_tensor(MASK, &["batch_size", "one", "frames"])),
            Some(DURATIONS) => Some(float_tensor(DURATIONS, &["batch_size", "one", "phonemes"])),
            Some(z) => Some(float_tensor(z, &["batch_size", "channels", "frames"])),
            None => own().find(|info| info.name() == *tensor).cloned(),
        };
        tensors.iter().filter_map(declare).collect()
    }
}
