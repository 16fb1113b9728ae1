use super::*;
use crate::models::testing::ct2_file;

/// Every variable of a model with one layer a side and a state of two, in 16-bit floats; `key_bias` goes to the encoder's key.
fn variables(key_bias: u8) -> Vec<(String, Vec<u32>, u8, Vec<u8>)> {
    let mut all = vec![
        ("encoder/num_heads".to_owned(), vec![], 2, vec![1, 0]),
        ("decoder/num_heads".to_owned(), vec![], 2, vec![1, 0]),
    ];
    let mut halves = |name: &str, dims: &[u32]| {
        let count: u32 = dims.iter().product();
        let data = (0..count).flat_map(|i| (i as u16).to_le_bytes()).collect();
        all.push((name.to_owned(), dims.to_vec(), 4, data));
    };
    halves("decoder/embeddings/weight", &[3, 2]);
    halves("decoder/position_encodings/encodings", &[4, 2]);
    halves("encoder/position_encodings/encodings", &[5, 2]);
    halves("encoder/conv1/weight", &[2, 80, 3]);
    halves("encoder/conv1/bias", &[2]);
    halves("encoder/conv2/weight", &[2, 2, 3]);
    halves("encoder/conv2/bias", &[2]);
    for side in ["encoder", "decoder"] {
        let layer = format!("{side}/layer_0");
        let mut norms = vec![format!("{side}/layer_norm"), format!("{layer}/ffn/layer_norm")];
        norms.push(format!("{layer}/self_attention/layer_norm"));
        let mut linears = vec![("ffn/linear_0", 4, 2), ("ffn/linear_1", 2, 4)];
        linears.extend([("self_attention/linear_0", 6, 2), ("self_attention/linear_1", 2, 2)]);
        if side == "decoder" {
            norms.push(format!("{layer}/attention/layer_norm"));
            linears.extend([("attention/linear_0", 2, 2), ("attention/linear_1", 4, 2), ("attention/linear_2", 2, 2)]);
        }
        for norm in norms {
            halves(&format!("{norm}/gamma"), &[2]);
            halves(&format!("{norm}/beta"), &[2]);
        }
        for (name, rows, columns) in linears {
            halves(&format!("{layer}/{name}/weight"), &[rows, columns]);
            halves(&format!("{layer}/{name}/bias"), &[rows]);
        }
    }
    for (name, _, _, data) in &mut all {
        match name.as_str() {
            "encoder/layer_0/self_attention/linear_0/bias" => data[4] = key_bias,
            "decoder/layer_0/self_attention/linear_0/bias" => data[4] = 0,
            _ => continue,
        }
        data[5..8].fill(0);
    }
    for (name, _, _, data) in &mut all {
        if name == "decoder/layer_0/attention/linear_1/bias" {
            data[..4].fill(0);
        }
    }
    all
}

fn file(variables: &[(String, Vec<u32>, u8, Vec<u8>)]) -> Vec<u8> {
    let borrowed = variables.iter().map(|(name, dims, element, data)| (&**name, &**dims, *element, &**data));
    ct2_file(&Vec::from_iter(borrowed))
}

/// A vocabulary of 50257 tokens: `!` and a space-led word in their stand-ins, the rest numbers.
fn tokenizer() -> Vec<u8> {
    let numbered = (2..TOKENS).map(|id| (format!("t{id}"), id.into()));
    let vocabulary: serde_json::Map<_, serde_json::Value> =
        numbered.chain([("!".to_owned(), 0.into()), ("\u{120}caf\u{c3}\u{a9}".to_owned(), 1.into())]).collect();
    serde_json::json!({ "version": "1.0", "model": { "type": "BPE", "vocab": vocabulary } }).to_string().into()
}

/// One tensor of a ggml file.
struct Tensor {
    name: String,
    half: bool,
    /// Innermost first, as stored.
    dims: Vec<usize>,
    data: Vec<u8>,
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn int(&mut self) -> usize {
        i32::from_le_bytes(self.take(4).try_into().expect("four bytes")) as usize
    }

    fn tensor(&mut self) -> Tensor {
        let (rank, name_length, kind) = (self.int(), self.int(), self.int());
        let dims: Vec<usize> = (0..rank).map(|_| self.int()).collect();
        let name = String::from_utf8(self.take(name_length).to_vec()).expect("a name");
        let size = if kind == 1 { 2 } else { 4 };
        let data = self.take(size * dims.iter().product::<usize>()).to_vec();
        Tensor { name, half: kind == 1, dims, data }
    }
}

fn converted() -> Vec<u8> {
    let mut out = Vec::new();
    convert(&file(&variables(0)), &tokenizer(), &mut out).expect("a sound model");
    out
}

fn tensors() -> Vec<Tensor> {
    let out = converted();
    let mut reader = Reader(&out);
    reader.take(12 * 4 + 8 + mel::BANDS * mel::BINS * 4);
    for _ in 0..reader.int() {
        let length = reader.int();
        reader.take(length);
    }
    let mut tensors = Vec::new();
    while !reader.0.is_empty() {
        tensors.push(reader.tensor());
    }
    tensors
}

#[test]
fn the_header_tells_the_shape() {
    let out = converted();
    let mut reader = Reader(&out);
    let header: Vec<usize> = (0..12).map(|_| reader.int()).collect();
    assert_eq!(header, [0x6767_6d6c, 3, 5, 2, 1, 1, 4, 2, 1, 1, 80, 1]);
    assert_eq!((reader.int(), reader.int()), (80, 201));
}

#[test]
fn tokens_are_written_as_bytes_not_as_their_stand_ins() {
    let out = converted();
    let mut reader = Reader(&out);
    reader.take(12 * 4 + 8 + mel::BANDS * mel::BINS * 4);
    assert_eq!(reader.int(), TOKENS);
    let mut token = || {
        let length = reader.int();
        reader.take(length).to_vec()
    };
    assert_eq!(token(), b"!");
    assert_eq!(token(), " café".as_bytes());
}

#[test]
fn tensors_come_in_the_published_order() {
    let names: Vec<String> = tensors().into_iter().map(|tensor| tensor.name).collect();
    assert_eq!(
        names[..3],
        ["decoder.positional_embedding", "encoder.positional_embedding", "decoder.token_embedding.weight"]
    );
    assert_eq!(names[3..5], ["decoder.blocks.0.mlp_ln.weight", "decoder.blocks.0.mlp_ln.bias"]);
    let at = |wanted: &str| names.iter().position(|name| name == wanted).expect(wanted);
    assert!(at("decoder.blocks.0.cross_attn.out.bias") < at("decoder.ln.weight"));
    assert!(at("decoder.ln.bias") < at("encoder.conv1.weight"));
    assert!(at("encoder.conv2.bias") < at("encoder.blocks.0.mlp_ln.weight"));
    assert_eq!(names.last().map(String::as_str), Some("encoder.ln_post.bias"));
    assert_eq!(names.len(), 3 + 24 + 2 + 4 + 15 + 2);
}

#[test]
fn fused_attention_is_cut_into_query_key_and_value() {
    let tensors = tensors();
    let get = |name: &str| tensors.iter().find(|tensor| tensor.name == name);
    for (part, name) in ["query", "key", "value"].iter().enumerate() {
        let tensor = get(&format!("encoder.blocks.0.attn.{name}.weight")).expect("written");
        assert!(tensor.half);
        assert_eq!(tensor.dims, [2, 2]);
        let first = u16::from_le_bytes([tensor.data[0], tensor.data[1]]);
        assert_eq!(usize::from(first), part * 4);
    }
    assert!(get("encoder.blocks.0.attn.key.bias").is_none());
    assert!(get("decoder.blocks.0.cross_attn.value.bias").is_some_and(|bias| !bias.half && bias.dims == [2]));
}

#[test]
fn a_convolution_has_its_bias_as_a_column_and_its_weight_innermost_first() {
    let tensors = tensors();
    let get = |name: &str| tensors.iter().find(|tensor| tensor.name == name).expect("written");
    assert_eq!(get("encoder.conv1.bias").dims, [1, 2]);
    assert_eq!(get("encoder.conv1.weight").dims, [3, 80, 2]);
}

#[test]
fn a_bias_where_whisper_has_none_is_refused() {
    let fault = convert(&file(&variables(7)), &tokenizer(), &mut Vec::new()).expect_err("refused");
    assert!(fault.to_string().contains("encoder/layer_0/self_attention/linear_0/bias"), "{fault}");
}

#[test]
fn each_missing_variable_is_named() {
    let whole = variables(0);
    for missing in 0..whole.len() {
        let mut rest = whole.clone();
        let (name, ..) = rest.remove(missing);
        // Without this one a layer is not seen at all: the model is shorter, not broken.
        if name.ends_with("layer_0/ffn/linear_0/weight") {
            continue;
        }
        let fault = convert(&file(&rest), &tokenizer(), &mut Vec::new()).expect_err(&name).to_string();
        assert!(fault.contains(&name), "{name}: {fault}");
    }
}

#[test]
fn a_hole_in_the_vocabulary_is_named() {
    let holed = String::from_utf8(tokenizer()).expect("json").replace("\"t41\":41", "\"t41\":50300");
    let fault = convert(&file(&variables(0)), holed.as_bytes(), &mut Vec::new()).expect_err("refused");
    assert!(fault.to_string().contains("token 41 is missing"), "{fault}");
}

#[test]
fn halves_are_widened_exactly() {
    for (half, single) in [
        (0x0000, 0.0),
        (0x8000, -0.0),
        (0x3c00, 1.0),
        (0xc000, -2.0),
        (0x0001, 5.960_464_5e-8),
        (0x83ff, -6.097_555e-5),
        (0x7bff, 65_504.0),
        (0x7c00, f32::INFINITY),
    ] {
        assert_eq!(widen(half).to_bits(), f32::to_bits(single), "{half:#06x}");
    }
    assert!(widen(0x7e00).is_nan());
}
