use super::*;

fn node(op: &str, input: &[&str], output: &str) -> Node {
    Node {
        input: input.iter().map(|&name| name.to_owned()).collect(),
        output: vec![output.to_owned()],
        op_type: Some(op.to_owned()),
        ..Node::default()
    }
}

fn weight(name: &str) -> Bytes {
    #[derive(Clone, PartialEq, Message)]
    struct Tensor {
        #[prost(string, optional, tag = "8")]
        name: Option<String>,
        #[prost(bytes = "bytes", optional, tag = "9")]
        raw_data: Option<Bytes>,
    }
    let raw_data = Some(Bytes::from(vec![7; 8]));
    Tensor { name: Some(name.to_owned()), raw_data }.encode_to_vec().into()
}

/// The skeleton of a VITS voice: encoder, durations, mask, noise, flow, vocoder; one constant used on both sides.
fn voice(change: impl FnOnce(&mut Graph)) -> Bytes {
    let mut graph = Graph {
        node: vec![
            node("Constant", &[], "shared"),
            node("Conv", &["input", "enc.weight"], "m_p"),
            node("Ceil", &["m_p"], "w_ceil"),
            node("Less", &["w_ceil", "shared"], "y_mask"),
            node("RandomNormalLike", &["m_p"], "noise"),
            node("Mul", &["noise", "scales"], "scaled"),
            node("Add", &["m_p", "scaled"], "sum"),
            node("Conv", &["sum", "flow.weight", "shared"], "flowed"),
            node("Mul", &["flowed", "y_mask"], "masked"),
            node("Slice", &["masked", "shared"], "sliced"),
            node("ConvTranspose", &["sliced", "dec.weight"], "output"),
        ],
        initializer: ["enc.weight", "flow.weight", "dec.weight"].map(weight).to_vec(),
        input: vec![float_tensor("input", &["p"]), float_tensor("scales", &["three"])],
        output: vec![float_tensor("output", &["t"])],
        value_info: vec![float_tensor("m_p", &["p"])],
        ..Graph::default()
    };
    change(&mut graph);
    let opset_import = vec![Bytes::from_static(&[0x10, 0x0f])];
    Model { ir_version: Some(8), graph: Some(graph), opset_import, ..Model::default() }.encode_to_vec().into()
}

fn graph_of(part: &[u8]) -> Graph {
    let model = Model::decode(part).expect("a model");
    assert_eq!((model.ir_version, model.opset_import.len()), (Some(8), 1));
    model.graph.expect("a graph")
}

fn names(infos: &[ValueInfo]) -> Vec<&str> {
    infos.iter().map(ValueInfo::name).collect()
}

fn ops(graph: &Graph) -> Vec<&str> {
    graph.node.iter().map(Node::op_type).collect()
}

#[test]
fn the_voice_is_cut_at_z_p_and_at_z() {
    let parts = split(voice(|_| {})).expect("a voice");
    let [frontend, flow, vocoder] = [&parts.frontend, &parts.flow, &parts.vocoder].map(|part| graph_of(part));
    assert_eq!(names(&frontend.input), ["input", "scales"]);
    assert_eq!(names(&frontend.output), [Z_P, MASK, DURATIONS]);
    assert_eq!(ops(&frontend), ["Constant", "Conv", "Ceil", "Less", "RandomNormalLike", "Mul", "Add"]);
    assert_eq!((names(&flow.input), names(&flow.output)), (vec![Z_P, MASK], vec![Z]));
    assert_eq!(ops(&flow), ["Constant", "Conv", "Mul"]);
    assert_eq!((names(&vocoder.input), names(&vocoder.output)), (vec![Z], vec!["output"]));
    assert_eq!(ops(&vocoder), ["Constant", "Slice", "ConvTranspose"]);
}

#[test]
fn every_part_has_its_weights_unchanged_and_no_others() {
    let parts = split(voice(|_| {})).expect("a voice");
    let weights = |part: &[u8]| graph_of(part).initializer;
    assert_eq!(weights(&parts.frontend), [weight("enc.weight")]);
    assert_eq!(weights(&parts.flow), [weight("flow.weight")]);
    assert_eq!(weights(&parts.vocoder), [weight("dec.weight")]);
}

#[test]
fn the_cut_tensors_are_renamed_wherever_they_are_used() {
    let parts = split(voice(|_| {})).expect("a voice");
    let flow = graph_of(&parts.flow);
    assert_eq!(flow.node[1].input, [Z_P, "flow.weight", "shared"]);
    assert_eq!(flow.node[2].input, ["flowed", MASK]);
    assert_eq!(flow.node[2].output, [Z]);
}

#[test]
fn the_same_voice_gives_the_same_bytes() {
    let once = split(voice(|_| {})).expect("a voice");
    let again = split(voice(|_| {})).expect("a voice");
    assert!(once.frontend == again.frontend && once.flow == again.flow && once.vocoder == again.vocoder);
}

#[test]
fn a_second_speaker_is_refused_with_the_tensors_that_cross() {
    let fault = split(voice(|graph| {
        graph.node.insert(6, node("Gather", &["scales"], "speaker"));
        graph.node[8].input.push("speaker".to_owned());
    }));
    let fault = fault.err().expect("refused");
    assert!(fault.contains("speaker") && fault.contains("y_mask"), "{fault}");
}

#[test]
fn what_is_no_voice_is_refused_and_never_a_panic() {
    assert!(split(Bytes::from_static(b"not a model")).is_err());
    assert!(split(Bytes::new()).is_err());
    for missing in 0..11 {
        let fault = split(voice(|graph| {
            graph.node.remove(missing);
        }));
        // Without a plain step (constant, convolution, slice) there is still a VITS skeleton.
        let essential = [2, 3, 4, 6, 8].contains(&missing);
        assert!(!essential || fault.is_err(), "without node {missing}");
    }
}

#[test]
fn a_file_cut_anywhere_is_no_panic() {
    let whole = voice(|_| {});
    for length in 0..whole.len() {
        let _ = split(whole.slice(..length)).err();
    }
}
