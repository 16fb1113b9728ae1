//! Converts a Whisper model from CTranslate2 (`model.bin` + `tokenizer.json`) to the ggml file that whisper.cpp reads.
//!
//! The result is the published ggml file byte for byte (the manifest holds its SHA-1), hence the fixed tensor order, the
//! mel filters rounded as `openai/whisper` rounded them, and biases of convolutions written as columns. The ggml layout is
//! that of whisper.cpp's `models/convert-pt-to-ggml.py`: header, mel filters, tokens, tensors until the end of the file.

use std::collections::HashMap;
use std::io::{self, Write};

use super::ct2::{Ct2Model, Element, Variable};
use super::mel;

#[cfg(test)]
mod tests;

const MAGIC: i32 = 0x6767_6d6c;
/// Whisper's byte-pair vocabulary; whisper.cpp makes the special tokens after it itself.
const TOKENS: usize = 50_257;
const FTYPE_F16: i32 = 1;
const TYPE_F32: i32 = 0;
const TYPE_F16: i32 = 1;

/// Writes the ggml file of `weights` (a CTranslate2 `model.bin`) and `tokenizer` (a `tokenizer.json`) to `out`.
///
/// # Errors
/// Names what is missing or malformed in the input, or the IO error of `out`.
pub fn convert(weights: &[u8], tokenizer: &[u8], out: &mut dyn Write) -> Result<(), ConvertError> {
    let model = Ct2Model::parse(weights).map_err(ConvertError::Input)?;
    if model.spec != "WhisperSpec" {
        return Err(input(format!("a {} model, not Whisper", model.spec)));
    }
    let tokens = tokens(tokenizer)?;
    let source = Source { model: &model };
    let shape = Shape::of(&source)?;
    let mut out = Ggml { out };
    out.header(&shape)?;
    out.mel_filters()?;
    out.tokens(&tokens)?;
    out.tensors(&source, &shape)
}

/// Why a conversion failed.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    #[error("{0}")]
    Input(String),
    #[error(transparent)]
    Write(#[from] io::Error),
}

fn input(fault: impl Into<String>) -> ConvertError {
    ConvertError::Input(fault.into())
}

struct Shape {
    vocabulary: usize,
    audio_context: usize,
    audio_state: usize,
    audio_heads: i32,
    audio_layers: usize,
    text_context: usize,
    text_state: usize,
    text_heads: i32,
    text_layers: usize,
}

impl Shape {
    fn of(source: &Source<'_>) -> Result<Self, ConvertError> {
        let [audio_context, audio_state] = source.matrix("encoder/position_encodings/encodings")?;
        let [text_context, text_state] = source.matrix("decoder/position_encodings/encodings")?;
        let [vocabulary, _] = source.matrix("decoder/embeddings/weight")?;
        let mels = source.get("encoder/conv1/weight")?.dims.get(1).copied();
        if mels != Some(mel::BANDS) {
            return Err(input(format!("{mels:?} mel bands; only models of {} are converted", mel::BANDS)));
        }
        Ok(Shape {
            vocabulary,
            audio_context,
            audio_state,
            audio_heads: source.scalar("encoder/num_heads")?,
            audio_layers: source.layers("encoder"),
            text_context,
            text_state,
            text_heads: source.scalar("decoder/num_heads")?,
            text_layers: source.layers("decoder"),
        })
    }
}

struct Source<'a> {
    model: &'a Ct2Model<'a>,
}

impl<'a> Source<'a> {
    fn get(&self, name: &str) -> Result<&'a Variable<'a>, ConvertError> {
        let variable = self.model.variables.get(name);
        variable.ok_or_else(|| input(format!("no variable `{name}`")))
    }

    fn matrix(&self, name: &str) -> Result<[usize; 2], ConvertError> {
        let dims = &self.get(name)?.dims;
        <[usize; 2]>::try_from(dims.as_slice()).map_err(|_| input(format!("`{name}` has the dimensions {dims:?}")))
    }

    fn scalar(&self, name: &str) -> Result<i32, ConvertError> {
        match self.get(name)? {
            Variable { element: Element::I16, data: [low, high], .. } => Ok(i16::from_le_bytes([*low, *high]).into()),
            other => Err(input(format!("`{name}` is no 16-bit scalar but {:?}", other.element))),
        }
    }

    fn layers(&self, side: &str) -> usize {
        let names = &self.model.variables;
        (0..).take_while(|i| names.contains_key(format!("{side}/layer_{i}/ffn/linear_0/weight").as_str())).count()
    }

    /// Part `part` of `of` equal parts along the first dimension, as (dims, data); always 16-bit floats.
    fn rows(&self, name: &str, part: usize, of: usize) -> Result<(Vec<usize>, &'a [u8]), ConvertError> {
        let variable = self.get(name)?;
        if variable.element != Element::F16 {
            return Err(input(format!("`{name}` is {:?}; only 16-bit floats are converted", variable.element)));
        }
        let mut dims = variable.dims.clone();
        let rows = dims.first_mut().filter(|rows| **rows % of == 0);
        *rows.ok_or_else(|| input(format!("`{name}` cannot be cut into {of} parts")))? /= of;
        let bytes = variable.data.len() / of;
        Ok((dims, &variable.data[part * bytes..][..bytes]))
    }
}

/// The tokens 0..50257 as bytes, in order.
fn tokens(tokenizer: &[u8]) -> Result<Vec<Vec<u8>>, ConvertError> {
    #[derive(serde::Deserialize)]
    struct Tokenizer {
        model: Vocabulary,
    }
    #[derive(serde::Deserialize)]
    struct Vocabulary {
        vocab: HashMap<String, usize>,
    }
    let tokenizer: Tokenizer =
        serde_json::from_slice(tokenizer).map_err(|fault| input(format!("tokenizer.json: {fault}")))?;
    let byte_of = byte_table();
    let mut tokens = vec![None; TOKENS];
    for (text, id) in tokenizer.model.vocab {
        let Some(slot) = tokens.get_mut(id) else { continue };
        let bytes: Option<Vec<u8>> = text.chars().map(|c| byte_of.get(&c).copied()).collect();
        *slot = Some(bytes.ok_or_else(|| input(format!("tokenizer.json: token {id} is no byte string")))?);
    }
    let missing = tokens.iter().position(Option::is_none);
    match missing {
        Some(id) => Err(input(format!("tokenizer.json: token {id} is missing"))),
        None => Ok(tokens.into_iter().flatten().collect()),
    }
}

/// GPT-2's table of printable stand-ins: printable Latin-1 bytes stand for themselves, the others for U+0100 and up.
fn byte_table() -> HashMap<char, u8> {
    let mut stand_in = 0x100;
    (0..=255u8)
        .map(|byte| {
            if matches!(byte, 33..=126 | 161..=172 | 174..=255) {
                (char::from(byte), byte)
            } else {
                stand_in += 1;
                (char::from_u32(stand_in - 1).unwrap_or_default(), byte)
            }
        })
        .collect()
}

/// How a tensor is stored in the ggml file.
#[derive(Clone, Copy)]
enum Store {
    /// 16-bit, as it is.
    Half,
    /// Widened to 32 bits.
    Full,
    /// Widened, and a column of one element a row: the form of a convolution's bias.
    Column,
}

struct Ggml<'w> {
    out: &'w mut dyn Write,
}

impl Ggml<'_> {
    fn int(&mut self, value: i32) -> io::Result<()> {
        self.out.write_all(&value.to_le_bytes())
    }

    fn count(&mut self, value: usize) -> Result<(), ConvertError> {
        let value = i32::try_from(value).map_err(|_| input(format!("{value} is too large for a ggml file")))?;
        Ok(self.int(value)?)
    }

    fn header(&mut self, shape: &Shape) -> Result<(), ConvertError> {
        self.int(MAGIC)?;
        self.count(shape.vocabulary)?;
        self.count(shape.audio_context)?;
        self.count(shape.audio_state)?;
        self.int(shape.audio_heads)?;
        self.count(shape.audio_layers)?;
        self.count(shape.text_context)?;
        self.count(shape.text_state)?;
        self.int(shape.text_heads)?;
        self.count(shape.text_layers)?;
        self.count(mel::BANDS)?;
        Ok(self.int(FTYPE_F16)?)
    }

    fn mel_filters(&mut self) -> Result<(), ConvertError> {
        self.count(mel::BANDS)?;
        self.count(mel::BINS)?;
        for weight in mel::filters() {
            self.out.write_all(&weight.to_le_bytes())?;
        }
        Ok(())
    }

    fn tokens(&mut self, tokens: &[Vec<u8>]) -> Result<(), ConvertError> {
        self.count(tokens.len())?;
        for token in tokens {
            self.count(token.len())?;
            self.out.write_all(token)?;
        }
        Ok(())
    }

    fn tensors(&mut self, source: &Source<'_>, shape: &Shape) -> Result<(), ConvertError> {
        use Store::{Column, Full, Half};
        fn whole(from: &str) -> (&str, usize, usize) {
            (from, 0, 1)
        }
        self.tensor(source, "decoder.positional_embedding", whole("decoder/position_encodings/encodings"), Full)?;
        self.tensor(source, "encoder.positional_embedding", whole("encoder/position_encodings/encodings"), Full)?;
        self.tensor(source, "decoder.token_embedding.weight", whole("decoder/embeddings/weight"), Half)?;
        for layer in 0..shape.text_layers {
            self.block(source, "decoder", layer)?;
        }
        self.norm(source, "decoder.ln", "decoder/layer_norm")?;
        for conv in ["conv1", "conv2"] {
            let from = format!("encoder/{conv}");
            self.tensor(source, &format!("encoder.{conv}.weight"), whole(&format!("{from}/weight")), Half)?;
            self.tensor(source, &format!("encoder.{conv}.bias"), whole(&format!("{from}/bias")), Column)?;
        }
        for layer in 0..shape.audio_layers {
            self.block(source, "encoder", layer)?;
        }
        self.norm(source, "encoder.ln_post", "encoder/layer_norm")
    }

    fn block(&mut self, source: &Source<'_>, side: &str, layer: usize) -> Result<(), ConvertError> {
        let to = format!("{side}.blocks.{layer}");
        let from = format!("{side}/layer_{layer}");
        self.norm(source, &format!("{to}.mlp_ln"), &format!("{from}/ffn/layer_norm"))?;
        self.linear(source, &format!("{to}.mlp.0"), &format!("{from}/ffn/linear_0"), 0, 1)?;
        self.linear(source, &format!("{to}.mlp.2"), &format!("{from}/ffn/linear_1"), 0, 1)?;

        let own = format!("{from}/self_attention");
        self.norm(source, &format!("{to}.attn_ln"), &format!("{own}/layer_norm"))?;
        self.linear(source, &format!("{to}.attn.query"), &format!("{own}/linear_0"), 0, 3)?;
        self.key(source, &format!("{to}.attn.key"), &format!("{own}/linear_0"), 1, 3)?;
        self.linear(source, &format!("{to}.attn.value"), &format!("{own}/linear_0"), 2, 3)?;
        self.linear(source, &format!("{to}.attn.out"), &format!("{own}/linear_1"), 0, 1)?;
        if side == "encoder" {
            return Ok(());
        }

        let cross = format!("{from}/attention");
        self.norm(source, &format!("{to}.cross_attn_ln"), &format!("{cross}/layer_norm"))?;
        self.linear(source, &format!("{to}.cross_attn.query"), &format!("{cross}/linear_0"), 0, 1)?;
        self.key(source, &format!("{to}.cross_attn.key"), &format!("{cross}/linear_1"), 0, 2)?;
        self.linear(source, &format!("{to}.cross_attn.value"), &format!("{cross}/linear_1"), 1, 2)?;
        self.linear(source, &format!("{to}.cross_attn.out"), &format!("{cross}/linear_2"), 0, 1)
    }

    fn norm(&mut self, source: &Source<'_>, to: &str, from: &str) -> Result<(), ConvertError> {
        self.tensor(source, &format!("{to}.weight"), (&format!("{from}/gamma"), 0, 1), Store::Full)?;
        self.tensor(source, &format!("{to}.bias"), (&format!("{from}/beta"), 0, 1), Store::Full)
    }

    fn linear(
        &mut self,
        source: &Source<'_>,
        to: &str,
        from: &str,
        part: usize,
        of: usize,
    ) -> Result<(), ConvertError> {
        self.tensor(source, &format!("{to}.weight"), (&format!("{from}/weight"), part, of), Store::Half)?;
        self.tensor(source, &format!("{to}.bias"), (&format!("{from}/bias"), part, of), Store::Full)
    }

    /// Whisper's keys have no bias; CTranslate2 fills the fused one with zeros, and anything else would be lost here.
    fn key(&mut self, source: &Source<'_>, to: &str, from: &str, part: usize, of: usize) -> Result<(), ConvertError> {
        let bias = format!("{from}/bias");
        let (_, data) = source.rows(&bias, part, of)?;
        if data.iter().any(|&byte| byte != 0) {
            return Err(input(format!("`{bias}` has a bias for the key: not a Whisper model")));
        }
        self.tensor(source, &format!("{to}.weight"), (&format!("{from}/weight"), part, of), Store::Half)
    }

    fn tensor(
        &mut self,
        source: &Source<'_>,
        to: &str,
        (from, part, of): (&str, usize, usize),
        store: Store,
    ) -> Result<(), ConvertError> {
        let (mut dims, data) = source.rows(from, part, of)?;
        if matches!(store, Store::Column) {
            dims.push(1);
        }
        self.count(dims.len())?;
        self.count(to.len())?;
        self.int(if matches!(store, Store::Half) { TYPE_F16 } else { TYPE_F32 })?;
        for &dim in dims.iter().rev() {
            self.count(dim)?;
        }
        self.out.write_all(to.as_bytes())?;
        if matches!(store, Store::Half) {
            return Ok(self.out.write_all(data)?);
        }
        for half in data.chunks_exact(2) {
            let value = widen(u16::from_le_bytes([half[0], half[1]]));
            self.out.write_all(&value.to_le_bytes())?;
        }
        Ok(())
    }
}

/// IEEE 754 half to single precision: exact for every value.
fn widen(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let exponent = u32::from(half >> 10 & 0x1f);
    let fraction = u32::from(half & 0x3ff);
    match (exponent, fraction) {
        // Subnormal halves are multiples of 2^-24, which single precision holds as normal numbers.
        (0, _) => f32::from_bits(sign | (fraction as f32 * 2f32.powi(-24)).to_bits()),
        (31, _) => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 127 - 15) << 23 | fraction << 13),
    }
}
